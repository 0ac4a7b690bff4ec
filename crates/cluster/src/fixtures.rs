//! Jobs, pods and events as a 1.33 cluster reports them, for tests. Each step of a story changes what the API would
//! answer.

use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};

use super::job_state::{Change, JobState, Update};

pub(super) const JOB_UID: &str = "5f3c6b0e-6a51-4f5e-8f0a-0d6a1e3f7c11";
pub(super) const JOB_NAME: &str = "migrate-upgrade-0123456789";

/// Where a story starts, in seconds of its last day.
pub(super) const START: &str = "2026-11-23T12:00:00Z";

#[derive(Debug, Clone)]
pub(super) struct Story {
    job: Value,
    pods: Vec<Value>,
    events: Vec<Value>,
    deleted: bool,
}

pub(super) fn waiting(reason: &str, message: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": message}})
}

pub(super) fn terminated(exit_code: i32, reason: &str, message: &str) -> Value {
    json!({"terminated": {"exitCode": exit_code, "reason": reason, "message": message,
        "startedAt": "2026-11-23T12:00:05Z", "finishedAt": "2026-11-23T12:00:09Z"}})
}

impl Story {
    pub(super) fn new() -> Self {
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": JOB_NAME, "namespace": "site", "uid": JOB_UID, "creationTimestamp": START, "generation": 1,
                "managedFields": [{"manager": "run-migrations", "operation": "Update", "apiVersion": "batch/v1",
                    "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:template": {}}}}]},
            "spec": {"backoffLimit": 3, "activeDeadlineSeconds": 21600, "podReplacementPolicy": "Failed",
                "template": {"spec": {"restartPolicy": "Never", "serviceAccountName": "run-migrations", "containers": [{"name": "migrate", "image": "host/job@sha256:ab"}]}}},
            "status": {"startTime": START, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}
        });
        Self { job, pods: Vec::new(), events: Vec::new(), deleted: false }
    }

    /// A pod that waits to be scheduled.
    pub(super) fn pod(mut self, suffix: &str) -> Self {
        self.job["status"]["active"] = json!(1);
        self.pods.push(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("{JOB_NAME}-{suffix}"), "namespace": "site", "uid": format!("pod-{suffix}"),
                "creationTimestamp": format!("2026-11-23T12:00:0{}Z", self.pods.len() + 1),
                "labels": {"batch.kubernetes.io/controller-uid": JOB_UID, "batch.kubernetes.io/job-name": JOB_NAME},
                "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": JOB_NAME, "uid": JOB_UID,
                    "controller": true, "blockOwnerDeletion": true}]},
            "spec": {"serviceAccountName": "run-migrations",
                "containers": [{"name": "migrate", "image": "host/job@sha256:ab", "resources": {"limits": {"memory": "64Mi"}}}]},
            "status": {"phase": "Pending", "qosClass": "Burstable", "conditions": []}
        }));
        self
    }

    fn last(&mut self) -> &mut Value {
        self.pods.last_mut().unwrap()
    }

    pub(super) fn unscheduled(mut self, message: &str) -> Self {
        self.last()["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": message, "lastTransitionTime": START}]);
        self
    }

    pub(super) fn on_node(mut self) -> Self {
        self.last()["spec"]["nodeName"] = json!("node-1");
        self.last()["status"]["conditions"] =
            json!([{"type": "PodScheduled", "status": "True", "lastTransitionTime": START}]);
        self
    }

    pub(super) fn with_pull_secret(mut self, name: &str) -> Self {
        self.last()["spec"]["imagePullSecrets"] = json!([{"name": name}]);
        self
    }

    pub(super) fn state(mut self, state: Value) -> Self {
        self.last()["status"]["containerStatuses"] = json!([{"name": "migrate", "image": "host/job@sha256:ab",
            "imageID": "", "ready": false, "restartCount": 0, "state": state}]);
        self
    }

    /// The states of the init containers, while the job's own container waits for them.
    pub(super) fn initializing(self, states: &[Value]) -> Self {
        let mut story = self.on_node().state(waiting("PodInitializing", ""));
        let statuses = states.iter().zip(1..).map(|(state, number)| {
            json!({"name": format!("init-{number}"), "image": "busybox", "imageID": "", "ready": false,
                "restartCount": 0, "state": state})
        });
        story.last()["status"]["initContainerStatuses"] = statuses.collect();
        story
    }

    /// Another image than the Job's.
    pub(super) fn runs(mut self, image: &str) -> Self {
        self.last()["spec"]["containers"][0]["image"] = json!(image);
        self
    }

    /// As the Job controller writes pods.
    pub(super) fn by_the_controller(mut self) -> Self {
        self.last()["metadata"]["managedFields"] = json!([{"manager": "kube-controller-manager", "operation": "Update",
            "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:containers": {}}}}]);
        self
    }

    pub(super) fn suspended(mut self) -> Self {
        self.job["spec"]["suspend"] = json!(true);
        self.condition("Suspended", "JobSuspended", "Job suspended")
    }

    pub(super) fn running(self) -> Self {
        let mut story = self.on_node().state(json!({"running": {"startedAt": "2026-11-23T12:00:05Z"}}));
        story.last()["status"]["phase"] = json!("Running");
        story
    }

    pub(super) fn ended(self, state: Value) -> Self {
        let good = state["terminated"]["exitCode"] == 0;
        let mut story = self.on_node().state(state);
        story.last()["status"]["phase"] = json!(if good { "Succeeded" } else { "Failed" });
        story
    }

    pub(super) fn condition(mut self, kind: &str, reason: &str, message: &str) -> Self {
        let condition = json!({"type": kind, "status": "True", "reason": reason, "message": message,
            "lastProbeTime": START, "lastTransitionTime": START});
        match self.job["status"]["conditions"].as_array_mut() {
            Some(conditions) => conditions.push(condition),
            None => self.job["status"]["conditions"] = json!([condition]),
        }
        self
    }

    pub(super) fn complete(self) -> Self {
        let mut story = self
            .condition(
                "SuccessCriteriaMet",
                "CompletionsReached",
                "Reached expected number of succeeded pods",
            )
            .condition("Complete", "CompletionsReached", "Reached expected number of succeeded pods");
        story.job["status"]["succeeded"] = json!(1);
        story
    }

    pub(super) fn failed(self, reason: &str, message: &str) -> Self {
        let mut story = self.condition("FailureTarget", reason, message).condition("Failed", reason, message);
        story.job["status"]["failed"] = json!(1);
        story
    }

    fn event(mut self, kind: &str, name: String, uid: &str, reason: &str, message: &str) -> Self {
        let number = self.events.len();
        self.events.push(json!({"apiVersion": "v1", "kind": "Event",
            "metadata": {"name": format!("{name}.{number}"), "namespace": "site"},
            "involvedObject": {"kind": kind, "name": name, "uid": uid},
            "reason": reason, "message": message, "type": "Warning", "count": 1,
            "firstTimestamp": START, "lastTimestamp": format!("2026-11-23T12:00:{number:02}Z")}));
        self
    }

    pub(super) fn job_event(self, reason: &str, message: &str) -> Self {
        self.event("Job", JOB_NAME.to_owned(), JOB_UID, reason, message)
    }

    pub(super) fn pod_event(self, reason: &str, message: &str) -> Self {
        let (name, uid) = self
            .pods
            .last()
            .map(|pod| (pod["metadata"]["name"].clone(), pod["metadata"]["uid"].clone()))
            .unwrap();
        self.event("Pod", name.as_str().unwrap().to_owned(), uid.as_str().unwrap(), reason, message)
    }

    pub(super) fn deleted(mut self) -> Self {
        self.deleted = true;
        self
    }

    /// On its way out, for as long as one of its pods is.
    pub(super) fn leaving(mut self) -> Self {
        self.job["metadata"]["deletionTimestamp"] = json!(START);
        self
    }

    pub(super) fn job(&self) -> Value {
        self.job.clone()
    }

    /// What the API answers to a list, or to the question for one pod.
    pub(super) fn answer(&self, path: &str) -> Option<Value> {
        let list = |items: &[Value]| Some(json!({"metadata": {"resourceVersion": "1"}, "items": items}));
        match path.rsplit('/').next()? {
            "jobs" if self.deleted => list(&[]),
            "jobs" => list(std::slice::from_ref(&self.job)),
            "pods" => list(&self.pods),
            "events" => list(&self.events),
            name => self.pods.iter().find(|pod| pod["metadata"]["name"] == name).cloned(),
        }
    }

    pub(super) fn job_state(&self) -> JobState {
        let job: k8s_openapi::api::batch::v1::Job = serde_json::from_value(self.job.clone()).unwrap();
        let mut job_state = JobState::of(job.clone());
        let pods = self.pods.iter().map(|pod| serde_json::from_value(pod.clone()).unwrap()).collect();
        job_state.take(Change::Pod(Update::All(pods)));
        for event in &self.events {
            let event: Event = serde_json::from_value(event.clone()).unwrap();
            job_state.take(Change::Event(Update::One(Box::new(event))));
        }
        if self.deleted {
            job_state.take(Change::Job(Update::Gone(Box::new(job))));
        }
        job_state
    }
}
