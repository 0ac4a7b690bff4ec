//! What a campaign found, as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::kind::Kind;

/// A kind of fault, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) fault: &'static str,
    /// Moments there are.
    pub(super) moments: usize,
    /// Faults that came.
    pub(super) tried: usize,
    /// Runs of the job, those after the faults among them.
    pub(super) runs: usize,
    pub(super) violations: usize,
    /// How long anybody waited, where somebody looked.
    pub(super) longest_wait: Duration,
}

/// In the order of the kinds, whichever was tried first.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: BTreeMap<usize, Row>,
}

impl Table {
    pub(super) fn row(&mut self, kind: Kind) -> &mut Row {
        let place = Kind::ALL.iter().position(|other| *other == kind).unwrap_or(Kind::ALL.len());
        self.rows.entry(place).or_insert_with(|| Row { fault: kind.describe(), ..Row::default() })
    }

    pub(super) fn total(&self) -> Row {
        self.rows.values().fold(Row { fault: "together", ..Row::default() }, |sum, row| Row {
            fault: sum.fault,
            moments: sum.moments + row.moments,
            tried: sum.tried + row.tried,
            runs: sum.runs + row.runs,
            violations: sum.violations + row.violations,
            ..sum
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text =
            format!("{:<48}{:>9}{:>9}{:>9}{:>12}", "fault", "moments", "tried", "runs", "violations");
        for row in self.rows.values().chain([&self.total()]) {
            let Row { fault, moments, tried, runs, violations, longest_wait } = row;
            let _ = write!(text, "\n{fault:<48}{moments:>9}{tried:>9}{runs:>9}{violations:>12}");
            if !longest_wait.is_zero() {
                let _ = write!(text, "   waited at most {:.1} s", longest_wait.as_secs_f64());
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_add_up() {
        let mut table = Table::default();
        for kind in [Kind::Cut, Kind::Kill, Kind::Kill] {
            let row = table.row(kind);
            row.moments = 10;
            row.tried += 1;
            row.runs += 2;
        }
        table.row(Kind::Cut).violations += 1;
        table.row(Kind::Kill).longest_wait = Duration::from_millis(1460);
        let lines: Vec<_> =
            table.text().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "fault moments tried runs violations",
                "SIGKILL 10 2 4 0 waited at most 1.5 s",
                "connection cut 10 1 2 1",
                "together 20 3 6 1"
            ]
        );
    }
}
