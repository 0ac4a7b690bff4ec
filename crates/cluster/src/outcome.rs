//! How a run ended: from the Job's conditions and what its container left behind, never from counts.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};

use super::diagnosis::not_started;
use super::job_state::{JobState, condition};
use super::pod::container;
use verdict::Verdict;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The job's own; 1 where it left none.
    pub exit_code: u8,
    pub verdict: Option<Verdict>,
    /// Why the Job failed, where it did.
    pub failure: Option<String>,
}

/// Nothing while the Job is not finished. `last_line` is the last of the log, in which a program that can't be
/// executed is all there is.
///
/// The Job counts pods that somebody else made, and those that an admission rule has changed: where there is one, its
/// conditions say that it is finished, and only a pod that ran what was asked for says how.
pub(super) fn outcome(job: &Job, job_state: &JobState, last_line: Option<&str>) -> Option<Outcome> {
    let (complete, failed) = (condition(job, "Complete"), condition(job, "Failed"));
    let pods = job_state.pods();
    let done = pods.iter().rev().filter_map(|pod| ended(pod)).find(|ended| ended.exit_code == 0);
    let foreign = job_state.foreign().next();
    let is_done = if foreign.is_some() { done.is_some() } else { complete.is_some() };
    if is_done && (complete.is_some() || failed.is_some()) {
        return Some(Outcome { exit_code: 0, verdict: done.and_then(said), failure: None });
    }
    let (reason, message) = failed.or(complete)?;
    if let Some(foreign) = foreign.filter(|_| !pods.iter().any(|pod| ended(pod).is_some())) {
        return Some(Outcome { exit_code: 1, verdict: None, failure: Some(foreign.nothing_is_known()) });
    }
    let last = pods
        .iter()
        .filter_map(|pod| ended(pod))
        .max_by_key(|ended| ended.finished_at.as_ref().map(|time| time.0));
    let verdict = last.and_then(said);
    let code =
        last.and_then(|ended| u8::try_from(ended.exit_code).ok()).filter(|code| *code != 0).unwrap_or(1);
    Some(Outcome {
        exit_code: code,
        failure: Some(failure(reason, message, last, verdict.as_ref(), last_line)),
        verdict,
    })
}

fn ended(pod: &Pod) -> Option<&ContainerStateTerminated> {
    container(pod)?.state.as_ref()?.terminated.as_ref()
}

fn said(ended: &ContainerStateTerminated) -> Option<Verdict> {
    verdict::parse(ended.message.as_deref()?)
}

fn failure(
    reason: &str,
    message: &str,
    last: Option<&ContainerStateTerminated>,
    verdict: Option<&Verdict>,
    last_line: Option<&str>,
) -> String {
    if reason == "DeadlineExceeded" {
        return "the run took longer than activeDeadlineSeconds and was stopped, which rolls back what was not \
                committed; next: see what it waited for, then run again or raise the deadline in the overlay"
            .to_owned();
    }
    let Some(last) = last else {
        return format!("the Job failed ({reason}: {message}), and its pod is not there any more to say why");
    };
    if let Some(line) = last_line.filter(|line| verdict.is_none() && line.contains("exec format error")) {
        return not_started(line).to_string();
    }
    let why = last.reason.as_deref().unwrap_or("Error");
    if let ("StartError" | "ContainerCannotRun", Some(said)) = (why, &last.message) {
        return not_started(said).to_string();
    }
    let tried = match reason {
        "BackoffLimitExceeded" => ", and so did the pods before it",
        _ => "",
    };
    match verdict {
        Some(_) => format!("the job ended with exit code {}{tried}", last.exit_code),
        None => format!("the job ended with exit code {} ({why}) and left no verdict{tried}", last.exit_code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Story, terminated};

    const DONE: &str = r#"{"outcome":"done","exit_code":0,"steps":1,"done":1,"message":""}"#;
    const LOCKED: &str = r#"{"outcome":"locked","exit_code":4,"steps":1,"done":0,"message":"no lock"}"#;
    const FAILED: &str = r#"{"outcome":"failed","exit_code":5,"steps":1,"done":0,"message":"why"}"#;
    const POLICY: &str =
        "Container migrate for pod site/a failed with exit code 5 matching FailJob rule at index 1";

    #[test]
    fn the_end_is_what_the_conditions_say() {
        let done = || terminated(0, "Completed", DONE);
        let locked = || terminated(4, "Error", LOCKED);
        let pod = || Story::new().pod("a");
        let backoff = ("BackoffLimitExceeded", "Job has reached the specified backoff limit");
        for (story, line, expected) in [
            (pod().running(), None, None),
            // the pod has ended, but the Job has not said so
            (pod().ended(done()), None, None),
            (pod().ended(done()).condition("SuccessCriteriaMet", "CompletionsReached", ""), None, None),
            (
                pod().ended(terminated(5, "Error", FAILED)).condition(
                    "FailureTarget",
                    "PodFailurePolicy",
                    POLICY,
                ),
                None,
                None,
            ),
            (pod().ended(done()).complete(), None, Some((0, true, ""))),
            (pod().ended(locked()).pod("b").ended(done()).complete(), None, Some((0, true, ""))),
            // tidied up already
            (Story::new().complete(), None, Some((0, false, ""))),
            (
                pod().ended(terminated(5, "Error", FAILED)).failed("PodFailurePolicy", POLICY),
                None,
                Some((5, true, "the job ended with exit code 5")),
            ),
            (
                pod().ended(locked()).pod("b").ended(locked()).failed(backoff.0, backoff.1),
                None,
                Some((4, true, "the job ended with exit code 4, and so did the pods before it")),
            ),
            (
                pod().ended(terminated(137, "Error", "")).failed(backoff.0, backoff.1),
                None,
                Some((
                    137,
                    false,
                    "the job ended with exit code 137 (Error) and left no verdict, and so did",
                )),
            ),
            (
                pod().ended(terminated(143, "Error", "")).failed("DeadlineExceeded", "Job was active longer"),
                None,
                Some((143, false, "the run took longer than activeDeadlineSeconds")),
            ),
            (
                Story::new().failed("DeadlineExceeded", "Job was active longer"),
                None,
                Some((1, false, "the run took longer than activeDeadlineSeconds")),
            ),
            (
                Story::new().failed(backoff.0, backoff.1),
                None,
                Some((1, false, "the Job failed (BackoffLimitExceeded: Job has reached")),
            ),
            // The Job counts a pod that somebody made: only ours say how it went.
            (pod().runs("x").ended(done()).pod("b").ended(done()).complete(), None, Some((0, true, ""))),
            (
                pod()
                    .ended(done())
                    .pod("b")
                    .runs("x")
                    .ended(terminated(5, "Error", ""))
                    .failed("PodFailurePolicy", POLICY),
                None,
                Some((0, true, "")),
            ),
            (pod().ended(done()).pod("b").runs("x").ended(done()), None, None),
            (
                pod().ended(terminated(143, "Error", "")).pod("b").runs("x").ended(done()).complete(),
                None,
                Some((143, false, "the job ended with exit code 143 (Error) and left no verdict")),
            ),
            (
                pod().runs("x").ended(done()).complete(),
                None,
                Some((
                    1,
                    false,
                    "the Job finished without a pod that ran what was asked for, so nothing is known of this run: the pod",
                )),
            ),
            (
                pod().running().pod("b").runs("x").ended(done()).complete(),
                None,
                Some((1, false, "the Job finished without a pod that ran what was asked for")),
            ),
            (
                pod()
                    .runs("x")
                    .by_the_controller()
                    .ended(terminated(5, "Error", FAILED))
                    .failed(backoff.0, backoff.1),
                None,
                Some((
                    1,
                    false,
                    "the Job finished without a pod that ran what was asked for, so nothing is known of this run: an \
                     admission rule",
                )),
            ),
            (
                pod().ended(terminated(1, "Error", "")).failed("PodFailurePolicy", POLICY),
                Some("exec /run-migrations: exec format error"),
                Some((
                    1,
                    false,
                    "the container can't start: exec /run-migrations: exec format error; next: the image is built",
                )),
            ),
            (
                pod()
                    .ended(terminated(128, "StartError", "exec: \"/run-migrations\": no such file"))
                    .failed(backoff.0, backoff.1),
                None,
                Some((128, false, "the container can't start: exec: \"/run-migrations\": no such file")),
            ),
        ] {
            let job_state = story.job_state();
            let found = outcome(job_state.job().unwrap(), &job_state, line);
            let Some((code, has_verdict, failure)) = expected else {
                assert_eq!(found, None, "{story:?}");
                continue;
            };
            let found = found.unwrap();
            assert_eq!((found.exit_code, found.verdict.is_some()), (code, has_verdict), "{found:?}");
            assert!(found.failure.clone().unwrap_or_default().starts_with(failure), "{found:?}");
            assert_eq!(found.failure.is_none(), code == 0);
        }
    }
}
