//! A Job as it was sent, and as a server keeps it, for tests.

use serde_json::{Value, json};

use crate::manifest::{Wanted, only_job, prepare};
use crate::reference::Reference;
use crate::same_run::MANAGER;

const BASE: &str = include_str!("../../../k8s/base/job.yaml");

pub(crate) fn sent() -> Value {
    let image = Reference::parse(&format!("host.example/job@sha256:{}", "ab".repeat(32))).unwrap();
    let words = ["upgrade".to_owned(), "head".to_owned()];
    let wanted = Wanted { image: &image, command: "upgrade", revision: Some("head"), words: &words };
    let mut job = prepare(only_job(BASE).unwrap(), "site", wanted).unwrap().job;
    let pod = &mut job["spec"]["template"]["spec"];
    // What the server leaves out again, and what it writes in another way.
    pod["hostNetwork"] = json!(false);
    pod["imagePullSecrets"] = json!([]);
    pod["containers"][0]["resources"]["limits"]["cpu"] = json!("1000m");
    pod["containers"][0]["volumeMounts"] = json!([{"name": "ca", "mountPath": "/etc/ca", "readOnly": true}]);
    pod["volumes"] = json!([{"name": "ca", "configMap": {"name": "ca"}}]);
    job
}

/// As a 1.36 API server keeps it.
pub(crate) fn held() -> Value {
    let mut job = sent();
    job["metadata"]["uid"] = json!("uid");
    job["metadata"]["annotations"]["run-migrations/invocation"] = json!("1-2");
    job["metadata"]["managedFields"] = json!([
        {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
            "fieldsV1": {"f:status": {}}},
        {"manager": MANAGER, "operation": "Update", "fieldsV1": {"f:spec": {"f:template": {}}}}
    ]);
    let spec = &mut job["spec"];
    spec["completionMode"] = json!("NonIndexed");
    spec["manualSelector"] = json!(false);
    spec["suspend"] = json!(false);
    spec["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "uid"}});
    let template = &mut spec["template"];
    for (key, value) in
        [("batch.kubernetes.io/controller-uid", "uid"), ("controller-uid", "uid"), ("job-name", "x")]
    {
        template["metadata"]["labels"][key] = json!(value);
    }
    let pod = &mut template["spec"];
    pod["dnsPolicy"] = json!("ClusterFirst");
    pod["schedulerName"] = json!("default-scheduler");
    pod["serviceAccount"] = json!("run-migrations");
    pod["volumes"][0]["configMap"]["defaultMode"] = json!(420);
    pod["containers"][0]["resources"]["limits"]["cpu"] = json!("1");
    for key in ["hostNetwork", "imagePullSecrets"] {
        pod.as_object_mut().unwrap().remove(key);
    }
    job
}

pub(crate) fn with(mut job: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = job.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer} is in the Job"));
    match (parent, key.parse::<usize>()) {
        (Value::Array(items), Ok(index)) if index == items.len() => items.push(value),
        (Value::Array(items), Ok(index)) => items[index] = value,
        (parent, _) => parent[key] = value,
    }
    job
}
