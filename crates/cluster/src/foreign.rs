//! Pods that name our Job as their controller and do not run what the Job says. Whoever may create pods can make one, and
//! an admission rule of the cluster can turn the Job's own pod into one. Neither is followed or believed, and because of
//! neither is a Job deleted: a migration may be under way beside it, or in it.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;

use super::pod::{has_ended, has_started};
use super::same_run::Difference;

/// The manager under which the Job controller writes pods.
const CONTROLLER: &str = "kube-controller-manager";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PodStage {
    Waiting,
    AtWork,
    Ended,
    /// It was deleted before it was seen to end.
    Gone,
}

impl PodStage {
    pub(super) fn of(pod: &Pod) -> Self {
        match (has_ended(pod), has_started(pod)) {
            (true, _) => Self::Ended,
            (false, true) => Self::AtWork,
            (false, false) => Self::Waiting,
        }
    }
}

/// Where it seems to come from. What a pod says of its maker can be forged, so that this chooses words and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    /// The Job controller: something changed the pod on its way.
    Controller,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Foreign {
    name: String,
    namespace: String,
    maker: Maker,
    pub(super) difference: Difference,
    pub(super) stage: PodStage,
    pub(super) is_told: bool,
}

impl Foreign {
    pub(super) fn new(pod: &Pod, difference: Difference) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Self {
            name: text(&pod.metadata.name),
            namespace: text(&pod.metadata.namespace),
            maker: maker(pod),
            difference,
            stage: PodStage::of(pod),
            is_told: false,
        }
    }

    /// For whoever follows the Job, as soon as it is seen.
    pub(super) fn warning(&self) -> String {
        let Self { name, namespace, maker, .. } = self;
        match maker {
            Maker::Controller => format!(
                "{self}; neither its log nor its result is taken for the job's, and it is left to run, since a migration \
                 may be under way in it"
            ),
            Maker::Other => format!(
                "{self}; it is ignored; see who made it with `kubectl get pod {name} --namespace {namespace} \
                 --show-managed-fields --output yaml`"
            ),
        }
    }

    /// Why the end of a Job that has no other pod tells nothing.
    pub(super) fn nothing_is_known(&self) -> String {
        let Self { name, namespace, .. } = self;
        format!(
            "the Job finished without a pod that ran what was asked for, so nothing is known of this run: {self}; next: see \
             who made or changed that pod with `kubectl get pod {name} --namespace {namespace} --show-managed-fields \
             --output yaml`, and see where the database is with `current`"
        )
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, maker, difference, .. } = self;
        match maker {
            Maker::Controller => {
                write!(f, "an admission rule of the cluster changed the job's pod {name}: {difference}")
            }
            Maker::Other => write!(
                f,
                "the pod {name} claims to belong to this Job and does not run what was asked for: {difference}"
            ),
        }
    }
}

fn maker(pod: &Pod) -> Maker {
    // It removes its finalizer from the pods of others as well; only who made the pod wrote its containers.
    let made = |fields: &serde_json::Value| !fields["f:spec"]["f:containers"].is_null();
    let is_made = pod.metadata.managed_fields.iter().flatten().any(|entry| {
        entry.manager.as_deref() == Some(CONTROLLER) && entry.fields_v1.as_ref().is_some_and(|it| made(&it.0))
    });
    if is_made { Maker::Controller } else { Maker::Other }
}
