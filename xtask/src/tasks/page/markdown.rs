//! The page: status at a glance, then the evidence.

use std::fmt::Write as _;

use super::run;
use crate::plan::Plan;
use image::reference::PinnedReference;
use verdict::Record;
use workspace::github::cell;

/// All that is known of a release.
#[derive(Debug)]
pub(super) struct ReleasePage {
    pub(super) title: String,
    pub(super) is_rehearsal: bool,
    pub(super) image: Image,
    pub(super) deployment: Deployment,
    pub(super) attestation: GateResult,
    pub(super) approval: GateResult,
    pub(super) plan: Plan,
    /// What the deploying job kept of the run.
    pub(super) record: Option<Record>,
    /// What it printed.
    pub(super) log: Option<String>,
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
    /// Nobody followed it to its end.
    BrokenOff,
    /// By others, who take the digest from here.
    Elsewhere,
    /// Not in this set-up.
    NotWanted,
    /// Not reached, or not allowed to begin.
    NotBegun,
}

/// Whether something really stood in the way of what should not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GateResult {
    Real(String),
    /// Somebody stood in it, and let nothing pass.
    Shut(String),
    Absent(String),
}

impl ReleasePage {
    /// Nothing failed, as far as this set-up goes.
    pub(super) fn is_well(&self) -> bool {
        let is_there = matches!(self.image, Image::There { .. });
        is_there
            && !matches!(self.deployment, Deployment::Failed | Deployment::BrokenOff | Deployment::NotBegun)
    }

    /// The job found everything applied.
    pub(super) fn has_done_nothing(&self) -> bool {
        self.record.as_ref().is_some_and(|record| run::is_done(record) && record.verdict.steps == 0)
    }

    fn has_job_spoken(&self) -> bool {
        self.record.as_ref().is_some_and(run::has_spoken)
    }

    fn headline(&self) -> String {
        let title = cell(&self.title);
        match (&self.image, self.deployment) {
            _ if self.is_rehearsal && self.is_well() => {
                format!("✅ {title} can be released: rehearsed, nothing written")
            }
            _ if self.is_rehearsal => format!("❌ {title} can't be released yet"),
            (Image::Missing, _) => {
                format!(
                    "❌ {title} is not released: it has no image that may run; the database was not touched"
                )
            }
            (_, Deployment::Done) => format!("✅ {title} is released"),
            (_, Deployment::Failed) if !self.has_job_spoken() => {
                format!(
                    "❌ {title}: the image is released, the deployment failed before the job said anything"
                )
            }
            (_, Deployment::Failed) => format!("❌ {title}: the image is released, the migration failed"),
            (_, Deployment::BrokenOff) => {
                format!(
                    "❌ {title}: the image is released, the deployment was broken off; the Job may still run"
                )
            }
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

    /// What whoever reads of a failure has to do.
    fn next(&self) -> Option<&'static str> {
        match self.deployment {
            _ if self.is_rehearsal => None,
            Deployment::Failed if self.has_job_spoken() => Some(
                "a fault of the script: fix it and release the next version; anything else: run the failed jobs again",
            ),
            Deployment::Failed => {
                Some("run the failed jobs again, once the cause is fixed; what is applied stays")
            }
            Deployment::BrokenOff => Some(
                "`cargo xtask run-migrations --on kubernetes current` tells how far it came; then run the failed jobs again, which attach to a Job that still runs",
            ),
            _ => None,
        }
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n| | |\n|---|---|\n", self.headline());
        let mut row = |name: &str, value: &str| {
            let _ = writeln!(text, "| **{name}** | {value} |");
        };
        match (self.record.as_ref().and_then(run::place), self.deployment) {
            (Some(place), _) => row("Database", &cell(&place)),
            (None, Deployment::Done) if self.is_rehearsal => {
                row("Cluster", "✅ accepts the Job, and ran nothing");
            }
            (None, Deployment::Failed | Deployment::BrokenOff) if self.is_rehearsal => {
                row("Cluster", "❌ refused, or was not reached; the log of the job Deploy says why");
            }
            (None, Deployment::Done | Deployment::Failed) => {
                row("Database", "not known from here; the log of the job Deploy says how far it came");
            }
            (None, Deployment::BrokenOff) => row("Database", "not known from here; the Job may still run"),
            _ => {}
        }
        if let Some(next) = self.next() {
            row("Next", next);
        }
        match &self.image {
            Image::There { reference, how } => {
                row("Image", &format!("`{}`<br>{how}", reference.name));
                row("Digest", &format!("`{}`", reference.digest));
            }
            Image::Missing => row("Image", "none; the log of the job Image says why"),
        }
        let gates = [("Attestation", &self.attestation), ("Approval", &self.approval)];
        // Without an image nothing came as far as a gate.
        for (name, gate) in gates.into_iter().filter(|_| self.image != Image::Missing) {
            match gate {
                GateResult::Real(what) => row(name, &format!("✅ {}", cell(what))),
                GateResult::Shut(what) => row(name, &format!("❌ {}", cell(what))),
                GateResult::Absent(what) => row(name, &format!("⚪ no gate: {}", cell(what))),
            }
        }
        row("Plan", &cell(&self.plan.heading));
        let links: Vec<_> = self.links.iter().map(|(name, address)| format!("[{name}]({address})")).collect();
        if !links.is_empty() {
            row("Links", &links.join(" · "));
        }
        match (&self.record, &self.log) {
            (Some(record), _) if run::has_spoken(record) || record.failure.is_some() => {
                text.push_str(&run::section(record));
            }
            (_, Some(log)) if !self.is_well() => text.push_str(&run::log(log)),
            _ => {}
        }
        let plan = self.plan.markdown();
        if !plan.is_empty() {
            let _ = write!(text, "\n## Plan: {}\n\n{plan}", cell(&self.plan.heading));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{History, since};
    use image::name::Digest;
    use image::reference::Name;

    fn page(deployment: Deployment, record: &str) -> ReleasePage {
        ReleasePage {
            title: "v1.0.0".to_owned(),
            is_rehearsal: false,
            image: Image::There {
                reference: Name::parse("r/i").unwrap().pinned(Digest::of(b"")),
                how: "promoted",
            },
            deployment,
            attestation: GateResult::Real("by ci.yml".to_owned()),
            approval: GateResult::Absent("APPROVAL is none".to_owned()),
            plan: since(None, &History::new()),
            record: Some(record).filter(|text| !text.is_empty()).map(|text| Record::parse(text).unwrap()),
            log: None,
            changes: Some("### Added\n\n- A.".to_owned()),
            links: vec![("run", "https://run".to_owned())],
        }
    }

    const DONE: &str = r#"{"exit_code": 0, "command": "upgrade", "from": "base", "to": 1, "current": 1, "head": 1,
        "steps": 1, "done": 1, "migrations": [
        {"version": 1, "description": "create a", "status": "done", "milliseconds": 5}]}"#;
    const FAILED: &str =
        r#"{"exit_code": 5, "current": "base", "steps": 1, "message": "applying 1 (a): no"}"#;

    #[test]
    fn the_page_of_a_release() {
        assert_eq!(
            page(Deployment::Done, DONE).markdown(),
            "# ✅ v1.0.0 is released\n\n| | |\n|---|---|\n\
             | **Database** | at 1 (head) |\n\
             | **Image** | `r/i`<br>promoted |\n\
             | **Digest** | `sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` |\n\
             | **Attestation** | ✅ by ci.yml |\n\
             | **Approval** | ⚪ no gate: APPROVAL is none |\n\
             | **Plan** | the first release: 0 migrations |\n\
             | **Links** | [run](https://run) |\n\
             \n## Run: upgrade from base to 1: 1 migration\n\n| | version | migration | took |\n|---|---|---|--:|\n\
             | ✅ applied | `1` | create a | 5 ms |\n\ndone: 1 migration in 5 ms; the database is at 1 (head)\n\
             \n## What changed\n\n#### Added\n\n- A.\n"
        );
    }

    #[test]
    fn the_headline_says_what_happened() {
        let with = |change: fn(&mut ReleasePage)| {
            let mut page = page(Deployment::Done, "");
            change(&mut page);
            (page.is_well(), page.headline())
        };
        for (change, expected) in [
            ((|_| {}) as fn(&mut ReleasePage), (true, "✅ v1.0.0 is released")),
            (
                |page| {
                    page.deployment = Deployment::Failed;
                    page.record = Some(Record::parse(FAILED).unwrap());
                },
                (false, "❌ v1.0.0: the image is released, the migration failed"),
            ),
            (
                |page| page.deployment = Deployment::Failed,
                (
                    false,
                    "❌ v1.0.0: the image is released, the deployment failed before the job said anything",
                ),
            ),
            (
                |page| page.deployment = Deployment::NotBegun,
                (false, "❌ v1.0.0: the image is released, the migration did not begin"),
            ),
            (
                |page| page.deployment = Deployment::BrokenOff,
                (
                    false,
                    "❌ v1.0.0: the image is released, the deployment was broken off; the Job may still run",
                ),
            ),
            (
                |page| page.image = Image::Missing,
                (
                    false,
                    "❌ v1.0.0 is not released: it has no image that may run; the database was not touched",
                ),
            ),
            (
                |page| page.deployment = Deployment::Elsewhere,
                (true, "✅ v1.0.0 is released; the cluster takes it from here by digest"),
            ),
            (
                |page| page.is_rehearsal = true,
                (true, "✅ v1.0.0 can be released: rehearsed, nothing written"),
            ),
        ] {
            let (is_well, headline) = with(change);
            assert_eq!((is_well, &*headline), expected);
        }
    }

    #[test]
    fn a_rehearsal_tells_what_the_cluster_said_and_a_failure_what_is_next() {
        let rehearsed = |deployment| ReleasePage { is_rehearsal: true, ..page(deployment, "") }.markdown();
        let failed = |record| page(Deployment::Failed, record).markdown();
        let broken_off = |record| page(Deployment::BrokenOff, record).markdown();
        let no_image = ReleasePage { image: Image::Missing, ..page(Deployment::NotBegun, "") };
        for (page, there, absent) in [
            (rehearsed(Deployment::Done), "| **Cluster** | ✅ accepts the Job", "**Database**"),
            (rehearsed(Deployment::Failed), "| **Cluster** | ❌ refused", "**Next**"),
            (failed(""), "| **Database** | not known from here", "fix it"),
            (
                failed(r#"{"end": "not_started"}"#),
                "the deployment failed before the job said anything\n",
                "fix it",
            ),
            (failed(r#"{"exit_code": 4}"#), "the migration failed\n", "said anything"),
            (failed(r#"{"end": "stopped", "failure": "no <image>"}"#), "\nno &lt;image>\n", "fix it"),
            (
                broken_off(r#"{"end": "left"}"#),
                "the deployment was broken off; the Job may still run\n",
                "fix it",
            ),
            (failed(FAILED), "**Next** | a fault of the script: fix it", "not known"),
            (failed(FAILED), "| **Database** | at base; 0 of 1 migration done |", "not known"),
            (
                broken_off(r#"{"end": "left", "exit_code": 5, "current": "base"}"#),
                "| **Database** | not known from here; the Job may still run |\n| **Next** | `cargo xtask run-migrations --on kubernetes current` tells",
                "at base |",
            ),
            (broken_off(DONE), "| **Database** | at 1 (head) |", "not known"),
            (no_image.markdown(), "| **Image** | none; the log of the job Image says why |", "no gate"),
        ] {
            assert!(page.contains(there) && !page.contains(absent), "{page}");
        }
    }
    /// A log with `done: …` in it, from a script or a pod's name, set the row of the database and kept the page.
    #[test]
    fn nothing_that_was_printed_decides_anything() {
        let log =
            "  applied  1  a      5 ms\nnothing to do: the database is at 999 (head)\n````\n# ✅ forged\n";
        for (deployment, record) in [
            (Deployment::Done, ""),
            (Deployment::Failed, ""),
            (Deployment::Failed, FAILED),
            (Deployment::BrokenOff, r#"{"end": "left"}"#),
        ] {
            let page = ReleasePage { log: Some(log.to_owned()), ..page(deployment, record) };
            assert!(!page.has_done_nothing());
            let page = page.markdown();
            let before = page.split("\n## Log, its end\n").next().unwrap();
            assert!(!before.contains("999") && !before.contains("forged"), "{page}");
            assert!(page == before || page.contains("`````text\n  applied  1"), "{page}");
        }
    }

    /// Whoever may push a tag or approve has a name.
    #[test]
    fn names_are_text() {
        let mut page = page(Deployment::Done, DONE);
        page.title = "v1|<img src=x>@all".to_owned();
        page.approval = GateResult::Real("approved by [a](https://b)\n| **Database** | at 999 |".to_owned());
        page.plan.heading = "2 migrations since v1`|#1".to_owned();
        let page = page.markdown();
        assert!(page.starts_with("# ✅ v1\\|&lt;img src=x>@<!-- -->all is released\n"), "{page}");
        assert!(
            page.contains(r"approved by \[a\](https:<!-- -->//b) \| \*\*Database\*\* \| at 999 \| |"),
            "{page}"
        );
        assert!(page.contains(r"| 2 migrations since v1\`\|#<!-- -->1 |"), "{page}");
    }
}
