//! Where a run is on its way, in a few words for a line that changes.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;

use super::job_state::{JobState, condition, is_finished};
use super::pod::{container, has_ended, uid};

/// The stages of a run, as far as Kubernetes knows them; what the job does in the container, its log tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Suspended,
    /// The Job is there, its pod is not.
    NoPod,
    Unscheduled,
    Scheduled {
        node: String,
    },
    Pulling {
        node: String,
    },
    Creating {
        node: String,
    },
    Running,
    /// A pod ended, the next one is to come.
    BetweenPods {
        attempt: usize,
    },
    Finished,
    Deleted,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspended => write!(f, "suspended, until somebody resumes the Job"),
            Self::NoPod => write!(f, "waiting for a pod"),
            Self::Unscheduled => write!(f, "waiting for a node"),
            Self::Scheduled { node } => write!(f, "scheduled on {node}"),
            Self::Pulling { node } => write!(f, "pulling the image on {node}"),
            Self::Creating { node } => write!(f, "creating the container on {node}"),
            Self::Running => write!(f, "started"),
            Self::BetweenPods { attempt } => write!(f, "attempt {attempt} ended"),
            Self::Finished => write!(f, "finished"),
            Self::Deleted => write!(f, "deleted"),
        }
    }
}

pub(super) fn phase(job_state: &JobState) -> Phase {
    let Some(job) = job_state.job() else { return Phase::Deleted };
    if is_finished(job) {
        return Phase::Finished;
    }
    let pods = job_state.pods();
    match pods.iter().rfind(|pod| !has_ended(pod)) {
        Some(pod) => of_pod(job_state, pod),
        None if condition(job, "Suspended").is_some() => Phase::Suspended,
        None if pods.is_empty() => Phase::NoPod,
        None => Phase::BetweenPods { attempt: pods.len() },
    }
}

fn of_pod(job_state: &JobState, pod: &Pod) -> Phase {
    let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()) else {
        return Phase::Unscheduled;
    };
    let state = container(pod).and_then(|status| status.state.as_ref());
    if state.is_some_and(|state| state.running.is_some()) {
        return Phase::Running;
    }
    let events = job_state.events_of(&uid(pod));
    let last = events.iter().rev().find_map(|event| event.reason.as_deref());
    match last {
        Some("Pulling") => Phase::Pulling { node },
        Some("Pulled" | "Created" | "Started") => Phase::Creating { node },
        _ => Phase::Scheduled { node },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Story, terminated, waiting};

    #[test]
    fn a_run_passes_its_stages() {
        let started = || Story::new().pod("a");
        for (story, expected) in [
            (Story::new(), "waiting for a pod"),
            (
                Story::new().condition("Suspended", "JobSuspended", ""),
                "suspended, until somebody resumes the Job",
            ),
            (started().unscheduled("0/3 nodes are available"), "waiting for a node"),
            (started().on_node(), "scheduled on node-1"),
            (started().on_node().state(waiting("ContainerCreating", "")), "scheduled on node-1"),
            (started().on_node().pod_event("Pulling", "Pulling image"), "pulling the image on node-1"),
            (started().on_node().pod_event("Pulled", "pulled"), "creating the container on node-1"),
            (started().running(), "started"),
            (started().ended(terminated(4, "Error", "")), "attempt 1 ended"),
            (started().ended(terminated(4, "Error", "")).pod("b"), "waiting for a node"),
            (started().ended(terminated(4, "Error", "")).pod("b").running(), "started"),
            (started().ended(terminated(0, "Completed", "")).complete(), "finished"),
            (started().running().deleted(), "deleted"),
        ] {
            assert_eq!(phase(&story.job_state()).to_string(), expected);
        }
    }
}
