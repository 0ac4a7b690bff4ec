//! `cargo xtask page`: the evidence of a release, as a page anyone can read.

mod markdown;
mod publish;
mod run;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::plan::since_last_release;
use image::reference::PinnedReference;
use markdown::{Deployment, GateResult, Image, ReleasePage};
use publish::Earlier;
use verdict::{ExitCode, Record, RunEnd};
use workspace::changelog::{self, Version};
use workspace::git::git;
use workspace::github::cli::get;
use workspace::github::repository::Repository;
use workspace::github::tag::commit_of;
use workspace::project::Project;
use workspace::{github, process, ui};

/// Write the page of a release: status, image, gates, plan, the job's verdict, what changed
///
/// As Markdown on stdout, and in a workflow on the job's page. With --publish it becomes the release on GitHub, made or
/// renewed; what did not go well is not published, and a run with nothing to do leaves an earlier page as it is. What the
/// jobs before came to is read from the environment.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask page --tag v1.2.3 --image \"$(cargo xtask push-image --tag v1.2.3)\"

Environment: GITHUB_REPOSITORY, GITHUB_SERVER_URL and GITHUB_RUN_ID as GitHub sets them; GH_TOKEN as gh reads \
it, to learn who approved.")]
pub struct Arguments {
    /// The release's tag, or the branch that is rehearsed
    #[arg(long, value_name = "TAG")]
    tag: String,
    /// The image in ECR, by digest
    #[arg(
        long,
        env = "IMAGE_REFERENCE",
        value_name = "REFERENCE",
        hide_env_values = true,
        default_value = ""
    )]
    image: String,
    /// How it came there: pushed or promoted
    #[arg(long, env = "IMAGE_ACTION", value_name = "WORD", hide_env_values = true, default_value = "")]
    action: String,
    /// What became of the run, as `run-migrations --on kubernetes --verdict FILE` wrote it
    #[arg(long, value_name = "FILE")]
    verdict: Option<PathBuf>,
    /// What was printed; its end is shown where there is no verdict, and nothing is taken from it
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// kubernetes, gitops or none
    #[arg(long, env = "DEPLOY", value_name = "WORD", hide_env_values = true, default_value = "none")]
    deploy: String,
    /// How the job that deploys ended, as GitHub says it
    #[arg(
        long,
        env = "DEPLOY_RESULT",
        value_name = "WORD",
        hide_env_values = true,
        default_value = "skipped"
    )]
    deploy_result: String,
    /// Whether the image's attestation was verified: true, false, off
    #[arg(long, env = "ATTESTED", value_name = "WORD", hide_env_values = true, default_value = "off")]
    attested: String,
    /// required, where the environment has reviewers
    #[arg(long, env = "APPROVAL", value_name = "WORD", hide_env_values = true, default_value = "none")]
    approval: String,
    /// Nothing was written, on purpose: true or false
    #[arg(long, env = "REHEARSE", value_name = "WORD", hide_env_values = true, default_value = "false")]
    rehearse: String,
    /// Make or renew the release on GitHub
    #[arg(long)]
    publish: bool,
}

pub(crate) fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
    let facts = facts(arguments, project)?;
    let text = facts.markdown();
    github::summarize(&text)?;
    ui::result(text.trim_end());
    if arguments.publish && facts.is_well() && !facts.is_rehearsal {
        let version = Version::parse(&arguments.tag)?;
        still_names_this(&version.tag(), project)?;
        let earlier = if facts.has_done_nothing() { Earlier::Keep } else { Earlier::Replace };
        publish::publish(project, &version, &arguments.image, &text, earlier)?;
    }
    Ok(())
}

/// The release on GitHub is of whatever the tag names there, and the page of this checkout.
fn still_names_this(tag: &str, project: &Project) -> anyhow::Result<()> {
    let here = process::output(git(project.root()).args(["rev-parse", "HEAD"]))?;
    let there = commit_of(&Repository::find(project)?, tag)?;
    ensure!(
        there.as_deref() == Some(here.trim()),
        "{tag} is not published: on GitHub it names {}, and this is {}; find out who moved it",
        there.as_deref().unwrap_or("nothing"),
        here.trim()
    );
    Ok(())
}

fn facts(arguments: &Arguments, project: &Project) -> anyhow::Result<ReleasePage> {
    let is_rehearsal = arguments.rehearse == "true";
    let log = read(arguments.report.as_deref())?;
    let record = read(arguments.verdict.as_deref())?;
    let record = record
        .map(|text| Record::parse(&text).context("the file of --verdict holds no verdict of the job"))
        .transpose()?;
    let version = Version::parse(&arguments.tag).ok();
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut links = Vec::new();
    let mut approvals = None;
    if let (Some(server), Ok(repository), Some(id)) =
        (set("GITHUB_SERVER_URL"), Repository::find(project), set("GITHUB_RUN_ID"))
    {
        let here = format!("{server}/{repository}");
        links.push(("this run", format!("{here}/actions/runs/{id}")));
        // A run by hand has another commit than the tag it was given.
        let mut git = git(project.root());
        git.args(["rev-parse", "HEAD"]);
        if let Ok(commit) = process::output(&mut git) {
            let commit = commit.trim();
            links.push(("commit", format!("{here}/commit/{commit}")));
        }
        links.push(("releases", format!("{here}/releases")));
        if arguments.approval == "required" && arguments.deploy == "kubernetes" {
            approvals = get(&format!("repos/{repository}/actions/runs/{id}/approvals"))?;
        }
    }
    let approval = approval(&arguments.approval, &arguments.deploy, approvals.as_ref());
    let (record, log) = if is_rehearsal { (None, None) } else { (record, log) };
    Ok(ReleasePage {
        title: arguments.tag.clone(),
        is_rehearsal,
        image: image(&arguments.image, &arguments.action)?,
        deployment: match approval {
            // GitHub says of such a job that it failed.
            GateResult::Shut(_) => Deployment::NotBegun,
            _ => deployment(&arguments.deploy, &arguments.deploy_result, record.as_ref()),
        },
        attestation: attestation(&arguments.attested),
        approval,
        plan: since_last_release(project, Some(&arguments.tag))?,
        record,
        log,
        changes: version.and_then(|version| changelog::read(project, &version).ok()),
        links,
    })
}

fn image(reference: &str, action: &str) -> anyhow::Result<Image> {
    let how = match action {
        _ if reference.is_empty() => return Ok(Image::Missing),
        "pushed" => "built by this release, since ECR held no image of these inputs",
        "promoted" => "promoted: the very image that was tested",
        _ => "as ECR holds it",
    };
    Ok(Image::There { reference: PinnedReference::parse(reference)?, how })
}

/// A file that may be missing: the job that writes it may not have come so far.
fn read(path: Option<&Path>) -> anyhow::Result<Option<String>> {
    let Some(path) = path.filter(|path| path.exists()) else { return Ok(None) };
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn deployment(deploy: &str, result: &str, record: Option<&Record>) -> Deployment {
    let has_failed = |record: &Record| record.verdict.exit_code.is_some_and(|code| code != ExitCode::Done);
    match (deploy, result) {
        ("kubernetes", "success") if record.is_some_and(has_failed) => Deployment::Failed,
        // Whatever the workflow came to, nobody saw the Job end well.
        ("kubernetes", "success") if record.is_some_and(|record| record.end != RunEnd::Finished) => {
            Deployment::BrokenOff
        }
        ("kubernetes", "success") => Deployment::Done,
        ("kubernetes", "failure") if record.is_some_and(|record| record.end == RunEnd::Left) => {
            Deployment::BrokenOff
        }
        ("kubernetes", "failure") => Deployment::Failed,
        // By hand, or since it took too long.
        ("kubernetes", "cancelled") => Deployment::BrokenOff,
        ("kubernetes", _) => Deployment::NotBegun,
        ("gitops", _) => Deployment::Elsewhere,
        _ => Deployment::NotWanted,
    }
}

fn attestation(attested: &str) -> GateResult {
    match attested {
        "true" => GateResult::Real("verified: attested by this repository's own workflow".to_owned()),
        "off" => GateResult::Absent("nobody is asked who built the image (ATTESTATIONS is off)".to_owned()),
        _ => GateResult::Absent("the image is not attested".to_owned()),
    }
}

fn approval(expected: &str, deploy: &str, approvals: Option<&Value>) -> GateResult {
    if deploy != "kubernetes" {
        return GateResult::Absent("nothing is deployed from here".to_owned());
    }
    if expected != "required" {
        return GateResult::Absent(format!("nobody has to approve (APPROVAL is {expected})"));
    }
    let approvals = approvals.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let who = |state: &str| {
        let those = approvals.iter().filter(|one| one["state"] == state);
        those.filter_map(|one| one["user"]["login"].as_str()).collect::<Vec<_>>().join(", ")
    };
    match (&*who("approved"), &*who("rejected")) {
        ("", "") => GateResult::Absent(
            "APPROVAL is required, but nobody was asked; does the environment have reviewers?".to_owned(),
        ),
        ("", people) => GateResult::Shut(format!("rejected by {people}")),
        // Whoever rejected it before was overruled when it ran again.
        (people, _) => GateResult::Real(format!("approved by {people}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_gate_is_real_where_somebody_stood_in_it() {
        let approvals = json!([{"state": "approved", "user": {"login": "ann"}}]);
        for (expected, deploy, approvals, gate) in [
            ("required", "kubernetes", Some(&approvals), GateResult::Real("approved by ann".to_owned())),
            (
                "none",
                "kubernetes",
                None,
                GateResult::Absent("nobody has to approve (APPROVAL is none)".to_owned()),
            ),
            ("required", "gitops", None, GateResult::Absent("nothing is deployed from here".to_owned())),
        ] {
            assert_eq!(approval(expected, deploy, approvals), gate);
        }
        let rejected = json!([{"state": "rejected", "user": {"login": "ann"}}]);
        let found = approval("required", "kubernetes", Some(&rejected));
        assert_eq!(found, GateResult::Shut("rejected by ann".to_owned()));
        assert!(matches!(approval("required", "kubernetes", Some(&json!([]))), GateResult::Absent(_)));
    }

    #[test]
    fn a_job_that_was_skipped_did_not_run_and_one_that_was_cancelled_may_have() {
        let left = r#"{"end": "left"}"#;
        for (deploy, result, record, expected) in [
            ("kubernetes", "success", "", Deployment::Done),
            ("kubernetes", "success", r#"{"exit_code": 5}"#, Deployment::Failed),
            ("kubernetes", "success", left, Deployment::BrokenOff),
            ("kubernetes", "success", r#"{"end": "left", "exit_code": 0}"#, Deployment::BrokenOff),
            ("kubernetes", "success", r#"{"end": "not_started"}"#, Deployment::BrokenOff),
            ("kubernetes", "success", r#"{"end": "stopped"}"#, Deployment::BrokenOff),
            ("kubernetes", "failure", "", Deployment::Failed),
            ("kubernetes", "failure", left, Deployment::BrokenOff),
            ("kubernetes", "skipped", "", Deployment::NotBegun),
            ("kubernetes", "cancelled", "", Deployment::BrokenOff),
            ("gitops", "skipped", "", Deployment::Elsewhere),
            ("none", "skipped", "", Deployment::NotWanted),
        ] {
            let found = deployment(deploy, result, Record::parse(record).ok().as_ref());
            assert_eq!(found, expected, "{deploy} {result} {record}");
        }
    }
}
