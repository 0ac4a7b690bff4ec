//! Why a run gets nowhere, where Kubernetes itself would go on trying for hours: the reason, and the next step.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerState, Pod};
use k8s_openapi::jiff::Timestamp;

use super::foreign::PodStage;
use super::job_state::JobState;
use super::pod::{container, has_ended, uid};

const OTHER_MACHINE: &str = "the image is built for another kind of machine than the node: build it with --platform, or \
                             steer the pod with a nodeSelector on kubernetes.io/arch";

/// A run that will not get further by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong, in Kubernetes' words where it has good ones.
    pub what: String,
    pub next: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; next: {}", self.what, self.next)
    }
}

fn trouble(what: impl Into<String>, next: impl Into<String>) -> Trouble {
    Trouble { what: what.into(), next: next.into() }
}

/// What stands in the way now. `patience` is for what may pass: a node that is still to come, a registry that is down.
/// Nothing does while a pod works: what is given up is deleted, and whoever may create pods can put a twin of ours beside
/// it that never gets a node, or is killed for want of memory.
pub(super) fn diagnose(job_state: &mut JobState, now: Timestamp, patience: Duration) -> Option<Trouble> {
    let without_pod = job_state.without_pod_since(now);
    if job_state.is_at_work() {
        return None;
    }
    let pods = job_state.pods();
    if let Some(killed) = pods.last().and_then(|pod| out_of_memory(pod)) {
        return Some(killed);
    }
    match pods.iter().rfind(|pod| !has_ended(pod)) {
        Some(pod) => of_pod(job_state, pod, now, patience),
        None => not_made(job_state, without_pod?, now, patience),
    }
}

/// A pod that could not be made is no pod: only events tell, where they may be read.
fn not_made(job_state: &JobState, since: Timestamp, now: Timestamp, patience: Duration) -> Option<Trouble> {
    let job = job_state.job()?;
    let waited = is_over(since, now, patience);
    let within = humantime::format_duration(patience);
    if job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true) {
        let next = "take `suspend: true` out of the overlay, or have it resumed by whoever suspends Jobs in this \
                    namespace, a person or a queue such as Kueue; then run this again";
        return waited
            .then(|| trouble(format!("the Job is suspended, and was not resumed within {within}"), next));
    }
    if !job_state.pods().is_empty() || job_state.foreign().any(|foreign| foreign.stage == PodStage::Ended) {
        // The next attempt comes when Kubernetes has paused for long enough.
        return None;
    }
    if let Some(foreign) = job_state.foreign().find(|foreign| foreign.stage == PodStage::Waiting) {
        let what = format!("no pod that runs what was asked for was made within {within}: {foreign}");
        return waited
            .then(|| trouble(what, "delete that pod, find out who made or changed it, and run this again"));
    }
    let events = job_state.events_of(job_state.uid());
    let Some(said) = events.iter().rfind(|event| event.reason.as_deref() == Some("FailedCreate")) else {
        let metadata = &job.metadata;
        let name = metadata.name.as_deref().unwrap_or_default();
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let next = format!(
            "`kubectl get events --namespace {namespace} --field-selector involvedObject.name={name}` tells whether a \
             quota or an admission rule refuses the pod; if there are none, the cluster's Job controller is down"
        );
        return waited.then(|| trouble(format!("no pod was made for the Job within {within}"), next));
    };
    let said = said.message.clone().unwrap_or_default();
    let what = format!("no pod can be made: {said}");
    let next = if said.contains("exceeded quota") {
        "raise the ResourceQuota of the namespace, or free what it counts; the job asks for very little \
         (`kubectl describe resourcequota`)"
    } else if said.contains("violates PodSecurity") {
        "the manifests satisfy the restricted standard as they are; take out of the overlay what the message names"
    } else if said.contains("serviceaccount") && said.contains("not found") {
        "apply the ServiceAccount of the manifests once, `kubectl apply -k` on their directory"
    } else if said.contains("is forbidden") || said.contains("denied the request") {
        "an admission rule of the cluster refuses the pod; change the overlay, or ask who keeps the rule"
    } else if waited {
        "look at the Job with `kubectl describe`; its controller can't make a pod"
    } else {
        return None;
    };
    Some(trouble(what, next))
}

fn of_pod(job_state: &JobState, pod: &Pod, now: Timestamp, patience: Duration) -> Option<Trouble> {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let scheduled = conditions.and_then(|all| all.iter().find(|condition| condition.type_ == "PodScheduled"));
    let since = scheduled.and_then(|condition| condition.last_transition_time.as_ref());
    let since = since.or(pod.metadata.creation_timestamp.as_ref()).map(|time| time.0)?;
    let since = initialized(pod).map_or(since, |initialized| initialized.max(since));
    let waited = is_over(since, now, patience);
    if let Some(refused) = scheduled.filter(|condition| condition.status == "False") {
        let why = refused.message.as_deref().unwrap_or_default();
        let next =
            "make room, or a node with the labels and taints that the message is about; then run this again";
        return waited.then(|| trouble(format!("no node takes the pod: {why}"), next));
    }
    let state = container(pod).and_then(|status| status.state.as_ref());
    if state.is_some_and(|state| state.running.is_some()) {
        // What was in its way is over.
        return None;
    }
    let (reason, said) = match waiting(state) {
        ("PodInitializing", _) => waiting(Some(to_come_first(pod)?)),
        known => known,
    };
    let events = job_state.events_of(&uid(pod));
    let last = |reason: &str, start: &str| {
        let wanted = |message: &&str| message.starts_with(start);
        let of_reason = events.iter().rev().filter(|event| event.reason.as_deref() == Some(reason));
        of_reason.filter_map(|event| event.message.as_deref()).find(wanted)
    };
    match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable" => {
            // Between two attempts the state says no more than that there will be another one.
            let said = last("Failed", "Failed to pull image").unwrap_or(said);
            image(pod, reason, said, waited)
        }
        // A node that is slow, or out of step with the API server, says so in the same place.
        "CreateContainerConfigError" => (waited
            || has_any(said, &["not found", "couldn't find key", "root"]))
        .then(|| trouble(format!("the container can't be configured: {said}"), missing(said))),
        "CreateContainerError" | "RunContainerError" => (waited
            || has_any(said, &["exec format", "no such file", "not found", "permission denied"]))
        .then(|| not_started(said)),
        _ => not_yet(last("FailedMount", ""), last("FailedCreatePodSandBox", ""), waited),
    }
}

fn waiting(state: Option<&ContainerState>) -> (&str, &str) {
    let waiting = state.and_then(|state| state.waiting.as_ref());
    waiting.map_or(("", ""), |waiting| {
        (waiting.reason.as_deref().unwrap_or_default(), waiting.message.as_deref().unwrap_or_default())
    })
}

/// The init containers of the overlay, as they are now.
fn inits(pod: &Pod) -> impl Iterator<Item = &ContainerState> {
    let statuses = pod.status.iter().flat_map(|status| status.init_container_statuses.iter().flatten());
    statuses.filter_map(|status| status.state.as_ref())
}

/// The init container that can't start; nothing while one is at work, which takes as long as it likes.
fn to_come_first(pod: &Pod) -> Option<&ContainerState> {
    let is_at_work =
        |state: &ContainerState| state.running.is_some() || waiting(Some(state)).0 == "CrashLoopBackOff";
    let has_reason = |state: &&ContainerState| {
        !["", "PodInitializing", "CrashLoopBackOff"].contains(&waiting(Some(*state)).0)
    };
    let untouched = || inits(pod).find(|state| state.waiting.is_some());
    inits(pod).find(has_reason).or_else(|| if inits(pod).any(is_at_work) { None } else { untouched() })
}

/// When the last of its init containers was done, or began if it stays.
fn initialized(pod: &Pod) -> Option<Timestamp> {
    let started = |state: &ContainerState| state.running.as_ref()?.started_at.as_ref().map(|time| time.0);
    let ended = |state: &ContainerState| state.terminated.as_ref()?.finished_at.as_ref().map(|time| time.0);
    inits(pod).filter_map(|state| ended(state).or_else(|| started(state))).max()
}

/// A container that is still being made: by what was said of its volumes and of its sandbox.
fn not_yet(mount: Option<&str>, sandbox: Option<&str>, waited: bool) -> Option<Trouble> {
    if let Some(said) = sandbox.filter(|said| said.contains("OOM-killed")) {
        return Some(trouble(
            format!("the container can't start: {said}"),
            "raise resources.limits.memory in the overlay: the container runtime needs some of it to start",
        ));
    }
    match (mount, sandbox) {
        (Some(said), _) if waited || said.contains("not found") => {
            Some(trouble(format!("a volume can't be mounted: {said}"), missing(said)))
        }
        (_, said) if waited => Some(trouble(
            format!("the container does not start: {}", said.unwrap_or("the node does not say why")),
            "look at the pod and its node with `kubectl describe`: the container runtime or the network plugin is in the way",
        )),
        _ => None,
    }
}

fn image(pod: &Pod, reason: &str, said: &str, waited: bool) -> Option<Trouble> {
    let has = |words: &[&str]| has_any(said, words);
    let secrets: Vec<_> = pod.spec.iter().flat_map(|spec| spec.image_pull_secrets.iter().flatten()).collect();
    let next = if reason == "ErrImageNeverPull" {
        "load the image into the nodes (`kind load docker-image`, `minikube image load`), or name one of a registry by \
         its digest"
            .to_owned()
    } else if has(&["no match for platform", "no matching manifest", "does not match the specified platform"])
    {
        OTHER_MACHINE.to_owned()
    } else if has(&["no basic auth", "unauthorized", "authorization failed", "denied", "forbidden"]) {
        let by = match secrets.as_slice() {
            [] => "no imagePullSecrets are set on the pod or its ServiceAccount".to_owned(),
            secrets => {
                let names: Vec<_> = secrets.iter().map(|secret| secret.name.as_str()).collect();
                format!(
                    "the pod pulls with {}: a token of ECR in there is good for 12 hours, so look at its age (`kubectl \
                     get secret {}`)",
                    names.join(", "),
                    names.join(" ")
                )
            }
        };
        format!(
            "{by}; on EKS nodes pull with their own role, which needs AmazonEC2ContainerRegistryPullOnly and, from \
             another account, a policy on the repository"
        )
    } else if has(&[
        "not found",
        "manifest unknown",
        "invalidimagename",
        "couldn't parse",
        "invalid reference",
    ]) {
        "the registry does not have this image: compare name and digest, of one of ours with `cargo xtask images`".to_owned()
    } else if waited {
        "the node does not reach the registry: look at its network, and at the registry's state".to_owned()
    } else {
        return None;
    };
    Some(trouble(format!("the image can't be pulled ({reason}): {said}"), next))
}

fn has_any(said: &str, words: &[&str]) -> bool {
    let lower = said.to_lowercase();
    words.iter().any(|word| lower.contains(word))
}

fn missing(said: &str) -> String {
    let lower = said.to_lowercase();
    if lower.contains("secret") {
        "create the Secret with the keys username and password, as k8s/secret.example.yaml shows".to_owned()
    } else if lower.contains("configmap") {
        "create the ConfigMap; postgres-ca holds the certificates that vouch for the server, under ca.crt"
            .to_owned()
    } else if lower.contains("root") {
        "the image wants to run as root; use one that has a user, such as ours".to_owned()
    } else {
        "look at the pod with `kubectl describe`".to_owned()
    }
}

/// The program can't be executed.
pub(super) fn not_started(said: &str) -> Trouble {
    let next = if said.contains("exec format error") {
        OTHER_MACHINE
    } else if has_any(said, &["no such file", "not found", "permission denied"]) {
        "look at the image: does it hold the program that the message names?"
    } else {
        "look at the pod and its node with `kubectl describe`"
    };
    trouble(format!("the container can't start: {said}"), next)
}

/// A kill for memory, which the next pod would only repeat.
fn out_of_memory(pod: &Pod) -> Option<Trouble> {
    let state = container(pod)?.state.as_ref()?;
    let killed = state.terminated.as_ref().filter(|ended| ended.reason.as_deref() == Some("OOMKilled"))?;
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let limits = containers.first().and_then(|container| container.resources.as_ref()?.limits.as_ref());
    let limit = limits.and_then(|limits| limits.get("memory")).map_or("its limit", |limit| limit.0.as_str());
    Some(trouble(
        format!("the job was killed for want of memory (exit code {}, limit {limit})", killed.exit_code),
        "raise resources.limits.memory in the overlay; the database rolled back what was not committed",
    ))
}

fn is_over(since: Timestamp, now: Timestamp, patience: Duration) -> bool {
    now.duration_since(since).unsigned_abs() >= patience && now > since
}

#[cfg(test)]
#[path = "diagnosis_tests.rs"]
mod tests;
