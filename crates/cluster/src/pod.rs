//! What a pod tells of itself: whose it is, which of its containers is the job's, and how far that is.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::Value;

/// The container the job runs in, where there are others beside it.
pub(super) const CONTAINER: &str = "migrate";

/// Names the container that a person's `kubectl logs` means; it is the job's, whatever is put beside it.
pub(super) const MAIN: &str = "kubectl.kubernetes.io/default-container";

/// The container the job runs in, by the template of its pods: the one that is marked or called so, or the only one.
pub(super) fn container_name(template: &Value) -> String {
    let marked = template["metadata"]["annotations"][MAIN].as_str();
    let containers = template["spec"]["containers"].as_array().map_or(&[][..], Vec::as_slice);
    let only = || containers.first().filter(|_| containers.len() == 1).and_then(|it| it["name"].as_str());
    let is_called_so = containers.iter().any(|container| container["name"] == CONTAINER);
    let name = marked.or_else(|| is_called_so.then_some(CONTAINER)).or_else(only);
    name.unwrap_or(CONTAINER).to_owned()
}

pub(super) fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}

/// The Job, or whatever else, that controls a pod.
pub(super) fn controller(pod: &Pod) -> Option<&OwnerReference> {
    let mut owners = pod.metadata.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true) && owner.kind == "Job")
}

/// The status of the container the job runs in: the one that is marked or called so, or the only one. What rules of the
/// cluster put beside it has no say.
pub(super) fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let marked = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(MAIN));
    let name = marked.map_or(CONTAINER, String::as_str);
    let only = || statuses.first().filter(|_| statuses.len() == 1);
    statuses.iter().find(|status| status.name == name).or_else(only)
}

/// What the node runs instead, where it reports another digest than the pod's.
pub(super) fn reported_digest(pod: &Pod) -> Option<&str> {
    let status = container(pod)?;
    let containers = &pod.spec.as_ref()?.containers;
    let asked = containers.iter().find(|container| container.name == status.name)?.image.as_deref()?;
    Some(status.image_id.as_str()).filter(|reported| other_digest(asked, reported))
}

/// The sentence for that. A runtime that knows the same image under two digests may name either.
pub(super) fn digest_reported(pod: &Pod, reported: &str) -> String {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    format!(
        "the node of pod {name} reports the image {reported:?}, which is not the digest that was asked for; compare the \
         two images in the registry"
    )
}

/// Whether there is a log to be had: the container runs, or has run.
pub(super) fn has_started(pod: &Pod) -> bool {
    let state = container(pod).and_then(|status| status.state.as_ref());
    state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
}

/// Whether its container will say nothing more.
pub(super) fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let state = container(pod).and_then(|status| status.state.as_ref());
    matches!(phase, Some("Succeeded" | "Failed")) || state.is_some_and(|state| state.terminated.is_some())
}

/// By what a pod was evicted, preempted or drained, if it was.
pub(super) fn disruption(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|it| it.type_ == "DisruptionTarget" && it.status == "True")?;
    let reason = found.reason.as_deref().unwrap_or("DisruptionTarget");
    Some(found.message.as_ref().map_or_else(|| reason.to_owned(), |message| format!("{reason}, {message}")))
}

/// The image that a node reports to run, where its digest is not the one that was asked for. A runtime that knows the
/// same image under two digests may name either, so this is worth a word and no more.
pub(super) fn other_digest(asked: &str, reported: &str) -> bool {
    let digest = |image: &str| image.rsplit_once("@sha256:").map(|(_, digest)| digest.to_owned());
    matches!((digest(asked), digest(reported)), (Some(asked), Some(reported)) if asked != reported)
}
