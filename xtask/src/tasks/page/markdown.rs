//! The page: status at a glance, then the evidence.

use std::fmt::Write as _;

use super::report::{Report, Step};
use crate::github::cell;
use crate::image::reference::PinnedReference;
use crate::plan::Plan;

/// All that is known of a release.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) title: String,
    pub(super) is_rehearsal: bool,
    pub(super) image: Image,
    pub(super) deployment: Deployment,
    pub(super) attestation: Gate,
    pub(super) approval: Gate,
    pub(super) plan: Plan,
    pub(super) report: Option<Report>,
    pub(super) changes: Option<String>,
    /// Name and address.
    pub(super) links: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Image {
    /// In ECR, and how it came there.
    There {
        reference: PinnedReference,
        how: &'static str,
    },
    Missing,
}

/// What became of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deployment {
    Done,
    Failed,
    /// By others, who take the digest from here.
    Elsewhere,
    /// Not in this set-up.
    NotWanted,
    /// Not reached, or not allowed to begin.
    NotBegun,
}

/// Whether something really stood in the way of what should not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gate {
    Real(String),
    Absent(String),
}

impl Facts {
    /// Nothing failed, as far as this set-up goes.
    pub(super) fn is_well(&self) -> bool {
        let is_there = matches!(self.image, Image::There { .. });
        is_there && !matches!(self.deployment, Deployment::Failed | Deployment::NotBegun)
    }

    fn headline(&self) -> String {
        let title = cell(&self.title);
        match (&self.image, self.deployment) {
            _ if self.is_rehearsal && self.is_well() => {
                format!("✅ {title} can be released (a rehearsal: nothing was written)")
            }
            _ if self.is_rehearsal => format!("❌ {title} can't be released yet"),
            (Image::Missing, _) => {
                format!("❌ {title} is not released: there is no image; the database was not touched")
            }
            (_, Deployment::Done) => format!("✅ {title} is released"),
            (_, Deployment::Failed) => format!("❌ {title}: the image is released, the migration failed"),
            (_, Deployment::NotBegun) => {
                format!("❌ {title}: the image is released, the migration did not begin")
            }
            (_, Deployment::Elsewhere) => {
                format!("✅ {title} is released; the cluster takes it from here by digest")
            }
            (_, Deployment::NotWanted) => {
                format!("✅ {title} is released as an image; nothing is deployed from here")
            }
        }
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n| | |\n|---|---|\n", self.headline());
        let mut row = |name: &str, value: &str| {
            let _ = writeln!(text, "| **{name}** | {value} |");
        };
        let report = self.report.as_ref();
        if let Some(state) = report.and_then(|report| report.state.as_deref()) {
            row("Database", &cell(state));
        } else if self.deployment == Deployment::Failed {
            row("Database", "not known from here; the log of the job `deploy` says how far it came");
        }
        match &self.image {
            Image::There { reference, how } => {
                row("Image", &format!("`{}`<br>{how}", reference.name));
                row("Digest", &format!("`{}`", reference.digest));
            }
            Image::Missing => row("Image", "none"),
        }
        for (name, gate) in [("Attestation", &self.attestation), ("Approval", &self.approval)] {
            match gate {
                Gate::Real(what) => row(name, &format!("✅ {}", cell(what))),
                Gate::Absent(what) => row(name, &format!("⚪ no gate: {}", cell(what))),
            }
        }
        row("Plan", &cell(&self.plan.heading));
        let links: Vec<_> = self.links.iter().map(|(name, address)| format!("[{name}]({address})")).collect();
        if !links.is_empty() {
            row("Links", &links.join(" · "));
        }
        if let Some(report) = report {
            run(&mut text, report);
        }
        let _ = write!(text, "\n## Plan: {}\n\n{}", self.plan.heading, self.plan.markdown());
        if let Some(changes) = &self.changes {
            // Its headings stand below ours.
            let changes = changes.replace("\n### ", "\n#### ");
            let _ = write!(
                text,
                "\n## What changed\n\n{}\n",
                changes.strip_prefix("### ").map_or(changes.clone(), |rest| format!("#### {rest}"))
            );
        }
        text
    }
}

fn run(text: &mut String, report: &Report) {
    let heading = report.heading.as_deref().unwrap_or("the job");
    let _ = write!(text, "\n## Run: {heading}\n\n");
    if !report.steps.is_empty() || report.failed.is_some() {
        text.push_str("| | version | migration | took |\n|---|---|---|--:|\n");
    }
    for Step { verb, version, description, took } in &report.steps {
        let _ = writeln!(text, "| ✅ {verb} | `{version}` | {} | {took} |", cell(description));
    }
    if let Some((version, description)) = &report.failed {
        let _ = writeln!(text, "| ❌ failed | `{version}` | {} | |", cell(description));
    }
    if let Some(done) = &report.done {
        let _ = write!(text, "\n{}\n", cell(done));
    }
    if let Some(error) = &report.error {
        let _ = write!(text, "\n````text\n{}\n````\n", error.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::read;
    use super::*;
    use crate::image::name::Digest;
    use crate::image::reference::Name;
    use crate::plan::{History, since};

    fn facts(deployment: Deployment, report: &str) -> Facts {
        Facts {
            title: "v1.0.0".to_owned(),
            is_rehearsal: false,
            image: Image::There {
                reference: Name::parse("r/i").unwrap().pinned(Digest::of(b"")),
                how: "promoted",
            },
            deployment,
            attestation: Gate::Real("by ci.yml".to_owned()),
            approval: Gate::Absent("APPROVAL is none".to_owned()),
            plan: since(None, &History::new()),
            report: Some(read(report)).filter(|_| !report.is_empty()),
            changes: Some("### Added\n\n- A.".to_owned()),
            links: vec![("run", "https://run".to_owned())],
        }
    }

    #[test]
    fn the_page_of_a_release() {
        let report = "upgrade from base to 1: 1 migration\n  applied  1  create a      5 ms\ndone: 1 migration in 5 ms; the database is at 1 (head)\n";
        assert_eq!(
            facts(Deployment::Done, report).markdown(),
            "# ✅ v1.0.0 is released\n\n| | |\n|---|---|\n\
             | **Database** | the database is at 1 (head) |\n\
             | **Image** | `r/i`<br>promoted |\n\
             | **Digest** | `sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` |\n\
             | **Attestation** | ✅ by ci.yml |\n\
             | **Approval** | ⚪ no gate: APPROVAL is none |\n\
             | **Plan** | the first release: 0 migrations |\n\
             | **Links** | [run](https://run) |\n\
             \n## Run: upgrade from base to 1: 1 migration\n\n| | version | migration | took |\n|---|---|---|--:|\n\
             | ✅ applied | `1` | create a | 5 ms |\n\ndone: 1 migration in 5 ms; the database is at 1 (head)\n\
             \n## Plan: the first release: 0 migrations\n\n\n## What changed\n\n#### Added\n\n- A.\n"
        );
    }

    #[test]
    fn the_headline_says_what_happened() {
        let with = |change: fn(&mut Facts)| {
            let mut facts = facts(Deployment::Done, "");
            change(&mut facts);
            (facts.is_well(), facts.headline())
        };
        for (change, expected) in [
            ((|_| {}) as fn(&mut Facts), (true, "✅ v1.0.0 is released")),
            (
                |facts| facts.deployment = Deployment::Failed,
                (false, "❌ v1.0.0: the image is released, the migration failed"),
            ),
            (
                |facts| facts.deployment = Deployment::NotBegun,
                (false, "❌ v1.0.0: the image is released, the migration did not begin"),
            ),
            (
                |facts| facts.image = Image::Missing,
                (false, "❌ v1.0.0 is not released: there is no image; the database was not touched"),
            ),
            (
                |facts| facts.deployment = Deployment::Elsewhere,
                (true, "✅ v1.0.0 is released; the cluster takes it from here by digest"),
            ),
            (
                |facts| facts.is_rehearsal = true,
                (true, "✅ v1.0.0 can be released (a rehearsal: nothing was written)"),
            ),
        ] {
            let (is_well, headline) = with(change);
            assert_eq!((is_well, &*headline), expected);
        }
    }
}
