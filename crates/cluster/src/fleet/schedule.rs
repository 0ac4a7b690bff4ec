//! Which database is next, and when to stop: canaries first, never more than so many at once, and none any more after so
//! many failures.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The first so many go ahead; the rest follow when all of them have succeeded.
    pub canary: usize,
    /// How many run at once.
    pub parallel: usize,
    /// No new Jobs are started after this many failures.
    pub max_failed: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Result {
    Succeeded,
    Failed,
}

/// Why the rest was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    Canary,
    Failures(usize),
}

/// How far a fleet is. They are started in the order of the file, so a number is all that is known of who waits.
#[derive(Debug, Clone)]
pub struct Schedule {
    total: usize,
    rules: Rules,
    started: usize,
    running: usize,
    failed: usize,
}

impl Schedule {
    pub fn new(total: usize, rules: Rules) -> Self {
        Self { total, rules, started: 0, running: 0, failed: 0 }
    }

    /// The next one to start now. Whoever asks starts it.
    pub(crate) fn next(&mut self) -> Option<usize> {
        let canaries = self.rules.canary.min(self.total);
        let behind_canaries = self.started >= canaries;
        let ended = self.started - self.running;
        let waits_for_canaries = behind_canaries && ended < canaries;
        let may_start = self.started < self.total
            && self.running < self.rules.parallel
            && !waits_for_canaries
            && self.stopped().is_none();
        may_start.then(|| {
            self.running += 1;
            self.started += 1;
            self.started - 1
        })
    }

    pub fn ended(&mut self, result: Result) {
        self.running -= 1;
        self.failed += usize::from(result == Result::Failed);
    }

    /// Nothing while all may still be started.
    pub fn stopped(&self) -> Option<Stopped> {
        let is_left = self.started < self.total;
        match self.failed {
            0 => None,
            _ if !is_left => None,
            failed if failed >= self.rules.max_failed => Some(Stopped::Failures(failed)),
            // All that has ended by now are canaries.
            _ if self.started <= self.rules.canary => Some(Stopped::Canary),
            _ => None,
        }
    }

    pub fn is_over(&self) -> bool {
        self.running == 0 && (self.started == self.total || self.stopped().is_some())
    }

    /// For people: how many are done, run, wait.
    pub fn describe(&self) -> String {
        let ended = self.started - self.running;
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        format!("{ended} of {} done{failed}, {} running", self.total, self.running)
    }
}

#[cfg(test)]
mod tests {
    use super::Result::{Failed, Succeeded};
    use super::*;

    const fn rules(canary: usize, parallel: usize, max_failed: usize) -> Rules {
        Rules { canary, parallel, max_failed }
    }

    fn start(schedule: &mut Schedule) -> Vec<usize> {
        std::iter::from_fn(|| schedule.next()).collect()
    }

    #[test]
    fn each_end_lets_the_next_start() {
        for (name, rules, ends, starts, stopped) in [
            ("one at a time", rules(0, 1, 1), vec![Succeeded; 5], "0 1 2 3 4 -", None),
            ("as many as are allowed", rules(0, 3, 1), vec![Succeeded; 5], "012 3 4 - - -", None),
            ("more than there are", rules(0, 9, 1), vec![Succeeded; 5], "01234 - - - - -", None),
            ("canaries first", rules(2, 3, 1), vec![Succeeded; 5], "01 - 234 - - -", None),
            ("canaries one by one", rules(2, 1, 1), vec![Succeeded; 5], "0 1 2 3 4 -", None),
            ("nothing but canaries", rules(9, 2, 1), vec![Succeeded; 5], "01 2 3 4 - -", None),
            ("a canary that fails", rules(2, 3, 9), vec![Failed, Succeeded], "01 - -", Some(Stopped::Canary)),
            (
                "the last canary fails",
                rules(2, 3, 9),
                vec![Succeeded, Failed],
                "01 - -",
                Some(Stopped::Canary),
            ),
            ("the first of many canaries", rules(4, 1, 9), vec![Failed], "0 -", Some(Stopped::Canary)),
            (
                "the first failure",
                rules(0, 2, 1),
                vec![Failed, Succeeded],
                "01 - -",
                Some(Stopped::Failures(1)),
            ),
            (
                "what runs comes to its end",
                rules(0, 2, 2),
                vec![Failed, Succeeded, Failed, Failed],
                "01 2 3 - -",
                Some(Stopped::Failures(3)),
            ),
            (
                "fewer failures than allowed",
                rules(0, 1, 3),
                vec![Failed, Succeeded, Failed, Succeeded, Succeeded],
                "0 1 2 3 4 -",
                None,
            ),
            (
                "failures behind the canaries",
                rules(1, 1, 2),
                vec![Succeeded, Failed, Succeeded, Succeeded, Succeeded],
                "0 1 2 3 4 -",
                None,
            ),
            (
                "only the last fail",
                rules(0, 2, 1),
                vec![Succeeded, Succeeded, Succeeded, Failed, Failed],
                "01 2 3 4 - -",
                None,
            ),
        ] {
            let mut schedule = Schedule::new(5, rules);
            let mut text = Vec::new();
            let mut step = |schedule: &mut Schedule| {
                let started: String = start(schedule).iter().map(ToString::to_string).collect();
                text.push(if started.is_empty() { "-".to_owned() } else { started });
            };
            step(&mut schedule);
            for end in ends {
                assert!(!schedule.is_over(), "{name}");
                schedule.ended(end);
                step(&mut schedule);
            }
            assert!(schedule.is_over(), "{name}: {schedule:?}");
            assert_eq!((text.join(" ").as_str(), schedule.stopped()), (starts, stopped), "{name}");
        }
    }

    /// Whatever happens in whatever order: the bounds hold, and it comes to an end.
    #[test]
    fn the_bounds_hold_always() {
        for total in 1..6 {
            for (canary, parallel, max_failed) in
                (0..4).flat_map(|a| (1..4).flat_map(move |b| (1..4).map(move |c| (a, b, c))))
            {
                for failures in 0..(1_u32 << total) {
                    let mut schedule = Schedule::new(total, rules(canary, parallel, max_failed));
                    let (mut running, mut failed) = (std::collections::VecDeque::new(), 0);
                    while !schedule.is_over() {
                        let before = running.len();
                        running.extend(start(&mut schedule));
                        assert!(running.len() <= parallel);
                        assert!(running.len() == before || failed < max_failed);
                        let Some(index) = running.pop_front() else {
                            panic!("it stands still: {schedule:?}")
                        };
                        let result = if failures & (1 << index) == 0 { Succeeded } else { Failed };
                        failed += usize::from(result == Failed);
                        schedule.ended(result);
                    }
                    assert!(running.is_empty());
                }
            }
        }
    }
}
