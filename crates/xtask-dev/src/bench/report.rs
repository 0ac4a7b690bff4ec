//! What was measured, as tables for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::tools::{Operation, Tool};

#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) times: Vec<Time>,
    pub(super) round_trips: Vec<RoundTrips>,
    pub(super) figures: Vec<Figure>,
    /// What was not measured, and why.
    pub(super) absent: Vec<String>,
}

/// One operation with one number of migrations.
#[derive(Debug, Serialize)]
pub(super) struct Time {
    pub(super) operation: &'static str,
    pub(super) migrations: usize,
    /// Milliseconds of each repetition, by tool.
    pub(super) samples: BTreeMap<&'static str, Vec<f64>>,
}

#[derive(Debug, Serialize)]
pub(super) struct RoundTrips {
    pub(super) operation: &'static str,
    /// By tool: with 10 migrations, and with 110.
    pub(super) counts: BTreeMap<&'static str, (u64, u64)>,
}

/// A figure beside the target it has to reach.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    pub(super) target: Option<Bound>,
    pub(super) met: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    pub(super) fn new(
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: Option<Bound>,
    ) -> Self {
        let met = target.map(|target| match target {
            Bound::AtMost(bound) => value <= bound,
            Bound::AtLeast(bound) => value >= bound,
        });
        Self { name: name.into(), value, unit, target, met }
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
pub(super) fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some((sorted.get(sorted.len() / 2 - 1)? + upper) / 2.0) }
}

impl Report {
    /// The median of a tool, in milliseconds.
    pub(super) fn time(&self, operation: Operation, migrations: usize, tool: Tool) -> Option<f64> {
        let found = |time: &&Time| time.operation == operation.name() && time.migrations == migrations;
        median(self.times.iter().find(found)?.samples.get(tool.name())?)
    }

    /// The targets that follow from times and round trips.
    pub(super) fn derive(&mut self) {
        let mut figures = Vec::new();
        let sizes: Vec<usize> = self.times.iter().map(|time| time.migrations).collect();
        let Some(&largest) = sizes.iter().max() else { return };
        let usual = if sizes.contains(&100) { 100 } else { largest };
        let mut ratio = |what: String, a: Option<f64>, b: Option<f64>, bound| {
            if let (Some(a), Some(b)) = (a, b) {
                figures.push(Figure::new(what, a / b, "×", Some(bound)));
            }
        };
        for operation in [Operation::Idle, Operation::Current] {
            let time = |tool| self.time(operation, usual, tool);
            let name = operation.name();
            ratio(
                format!("{name} ({usual}): alembic / job"),
                time(Tool::Alembic),
                time(Tool::Job),
                Bound::AtLeast(40.0),
            );
            ratio(
                format!("{name} ({usual}): sqlx / job"),
                time(Tool::Sqlx),
                time(Tool::Job),
                Bound::AtLeast(1.0),
            );
        }
        let time = |size, tool| self.time(Operation::Run, size, tool);
        let name = Operation::Run.name();
        ratio(
            format!("{name} ({usual}): sqlx / job"),
            time(usual, Tool::Sqlx),
            time(usual, Tool::Job),
            Bound::AtLeast(2.0),
        );
        let mut against_psql = vec![usual, largest];
        against_psql.dedup();
        for size in against_psql {
            ratio(
                format!("{name} ({size}): job / psql"),
                time(size, Tool::Job),
                time(size, Tool::Psql),
                Bound::AtMost(1.1),
            );
        }
        for counted in self.round_trips.iter().filter(|counted| counted.operation.starts_with("from empty")) {
            if let Some((few, many)) = counted.counts.get(Tool::Job.name()) {
                let each = (*many as f64 - *few as f64) / 100.0;
                figures.push(Figure::new(
                    format!("{}: round trips for each migration", counted.operation),
                    each,
                    "",
                    Some(Bound::AtMost(1.0)),
                ));
            }
        }
        figures.append(&mut self.figures);
        self.figures = figures;
    }

    /// What was not measured has no table.
    pub(super) fn text(&self) -> String {
        let mut parts = Vec::new();
        if !self.times.is_empty() {
            parts.push(self.times_table());
        }
        if !self.round_trips.is_empty() {
            parts.push(self.round_trips_table());
        }
        parts.push(self.figures_list());
        parts.join("\n").trim_end().to_owned()
    }

    fn measured_tools(&self) -> Vec<Tool> {
        let is_measured = |tool: &Tool| self.times.iter().any(|time| time.samples.contains_key(tool.name()));
        Tool::ALL.into_iter().filter(is_measured).collect()
    }

    fn times_table(&self) -> String {
        let tools = self.measured_tools();
        let mut text = heading("median, ms (of the job's)", &tools);
        for time in &self.times {
            let job = time.samples.get(Tool::Job.name()).and_then(|samples| median(samples));
            let cells = tools.iter().map(|tool| {
                let own = time.samples.get(tool.name()).and_then(|samples| median(samples));
                match (own, job) {
                    (Some(own), _) if *tool == Tool::Job => format!("{own:.1}"),
                    (Some(own), Some(job)) => format!("{own:.1} ({:.2} ×)", own / job),
                    _ => "–".to_owned(),
                }
            });
            text += &row(time.operation, &time.migrations.to_string(), cells);
        }
        text
    }

    fn round_trips_table(&self) -> String {
        let tools = self.measured_tools();
        let mut text = heading("round trips, connecting included", &tools);
        for counted in &self.round_trips {
            for (size, of) in [("10", 0), ("110", 1)] {
                let cells = tools.iter().map(|tool| match (counted.counts.get(tool.name()), of) {
                    (Some((few, _)), 0) => few.to_string(),
                    (Some((_, many)), _) => many.to_string(),
                    (None, _) => "–".to_owned(),
                });
                text += &row(counted.operation, size, cells);
            }
        }
        text
    }

    fn figures_list(&self) -> String {
        let mut text = String::new();
        for figure in &self.figures {
            let mark = match figure.met {
                Some(true) => "✓",
                Some(false) => "✗",
                None => " ",
            };
            let target = match figure.target {
                Some(Bound::AtMost(bound)) => format!("at most {bound} {}", figure.unit),
                Some(Bound::AtLeast(bound)) => format!("at least {bound} {}", figure.unit),
                None => String::new(),
            };
            let value = format!("{:.2} {}", figure.value, figure.unit);
            let _ = writeln!(text, "{mark} {:<62} {value:>12}   {target}", figure.name);
        }
        for absent in &self.absent {
            let _ = writeln!(text, "– {absent}");
        }
        text
    }
}

fn heading(first: &str, tools: &[Tool]) -> String {
    row(first, "migrations", tools.iter().map(|tool| tool.name().to_owned()))
}

fn row(name: &str, migrations: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: String = cells.map(|cell| format!("{cell:>18}")).collect();
    format!("{name:<34}{migrations:>10}{cells}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        for (samples, expected) in [
            (&[][..], None),
            (&[3.0][..], Some(3.0)),
            (&[9.0, 1.0, 2.0][..], Some(2.0)),
            (&[4.0, 1.0][..], Some(2.5)),
        ] {
            assert_eq!(median(samples), expected);
        }
    }

    #[test]
    fn targets_are_held_against_figures() {
        let time = |operation: Operation, migrations, job, other: &[(&'static str, f64)]| Time {
            operation: operation.name(),
            migrations,
            samples: std::iter::once(("job", vec![job]))
                .chain(other.iter().map(|(tool, ms)| (*tool, vec![*ms])))
                .collect(),
        };
        let mut report = Report {
            times: vec![
                time(Operation::Run, 100, 10.0, &[("psql", 10.0), ("sqlx", 30.0)]),
                time(Operation::Idle, 100, 5.0, &[("alembic", 150.0)]),
            ],
            round_trips: vec![RoundTrips {
                operation: Operation::Run.name(),
                counts: [("job", (20, 120))].into(),
            }],
            ..Report::default()
        };
        report.derive();
        let met: Vec<_> = report.figures.iter().map(|figure| (figure.value, figure.met)).collect();
        assert_eq!(met, [(30.0, Some(false)), (3.0, Some(true)), (1.0, Some(true)), (1.0, Some(true))]);
        let text = report.text();
        assert!(text.contains("✗ upgrade, nothing to do (100): alembic / job"), "{text}");
        let first = "median, ms (of the job's)         migrations               job              psql";
        assert!(text.starts_with(first), "{text}");
        assert!(
            text.contains("\n\nround trips, connecting included  migrations               job"),
            "{text}"
        );
    }

    #[test]
    fn what_was_not_measured_has_no_heading() {
        let figures = vec![Figure::new("promotion", 0.25, "s", Some(Bound::AtMost(1.0)))];
        let report = Report { figures, absent: vec!["sqlx is not on PATH".to_owned()], ..Report::default() };
        let name = format!("✓ {:<62}", "promotion");
        assert_eq!(report.text(), format!("{name}       0.25 s   at most 1 s\n– sqlx is not on PATH"));
        assert_eq!(Report::default().text(), "");
    }
}
