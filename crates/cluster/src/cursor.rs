//! Where a log was left, so that a stream that ends early goes on without a line twice and without one lost.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// How far back a stream is asked to begin: the API takes whole seconds.
const OVERLAP: SignedDuration = SignedDuration::from_secs(2);

/// The times of the latest lines, and how many of them the next stream will repeat.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    recent: Vec<Timestamp>,
    repeated: usize,
}

impl Cursor {
    /// From when the next stream is to begin; nothing is from the start.
    pub(super) fn resume(&mut self) -> Option<Timestamp> {
        let latest = self.recent.iter().max()?;
        let since = Timestamp::from_second(latest.as_second() - OVERLAP.as_secs()).ok()?;
        // kubelet compares line by line, too, so lines out of order do no harm.
        self.repeated = self.recent.iter().filter(|time| **time >= since).count();
        Some(since)
    }

    /// A line with its time in front. Gives back the text, if it is new.
    pub(super) fn take<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        let stamped =
            line.split_once(' ').and_then(|(time, text)| Some((time.parse::<Timestamp>().ok()?, text)));
        let Some((time, text)) = stamped else { return Some(line) };
        if self.repeated > 0 {
            self.repeated -= 1;
            return None;
        }
        self.recent.push(time);
        if self.recent.len() > 4096 {
            let latest = self.recent.iter().max().copied().unwrap_or(time);
            self.recent.retain(|time| latest.duration_since(*time) <= OVERLAP + OVERLAP);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: u32, nano: u32, text: &str) -> String {
        format!("2026-11-23T12:00:{second:02}.{nano:09}Z {text}")
    }

    /// The kubelet's part: what is not before the given time, in the order of the file.
    fn served(log: &[String], since: Option<Timestamp>) -> Vec<String> {
        let time = |line: &str| line.split_once(' ').unwrap().0.parse::<Timestamp>().unwrap();
        log.iter().filter(|line| since.is_none_or(|since| time(line) >= since)).cloned().collect()
    }

    #[test]
    fn wherever_a_stream_is_cut_each_line_comes_once() {
        let log: Vec<_> = [
            line(1, 0, "a"),
            line(1, 5, "a"),
            line(1, 5, "a"),
            line(1, 3, "out of order"),
            line(2, 999_999_999, "b"),
            line(3, 0, ""),
            line(3, 0, "c d"),
            line(9, 1, "e"),
        ]
        .to_vec();
        let whole = ["a", "a", "a", "out of order", "b", "", "c d", "e"];
        for first in 0..=log.len() {
            for second in 0..=log.len() {
                let mut cursor = Cursor::default();
                let mut got = Vec::new();
                for most in [first, second, log.len()] {
                    let since = cursor.resume();
                    for line in served(&log, since).iter().take(most) {
                        got.extend(cursor.take(line).map(str::to_owned));
                    }
                }
                assert_eq!(got, whole, "cut after {first} and {second} lines");
            }
        }
    }

    #[test]
    fn a_line_without_a_time_is_passed_on() {
        assert_eq!(Cursor::default().take("unable to retrieve logs"), Some("unable to retrieve logs"));
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut cursor = Cursor::default();
        for second in 0..20_000_i64 {
            let time = Timestamp::from_second(second / 100).unwrap();
            assert_eq!(cursor.take(&format!("{time} x")), Some("x"));
        }
        assert!(cursor.recent.len() <= 4096, "{}", cursor.recent.len());
        assert_eq!(cursor.resume(), Timestamp::from_second(197).ok());
        assert_eq!(cursor.repeated, 300);
    }
}
