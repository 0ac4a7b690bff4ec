//! Whether a pod runs what its Job says: the same decisive fields, and room for what a cluster puts beside the job.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::pod::{MAIN, container_name};
use super::same_run::{DECISIVE_OF_CONTAINER, DECISIVE_OF_POD, Difference, Extras, compare, list};

/// Of these, what the scheduler sets, and what is compared by rules of its own.
const OTHERWISE_OF_POD: [&str; 6] =
    ["initContainers", "nodeName", "nodeSelector", "serviceAccount", "serviceAccountName", "volumes"];

/// In what a pod of this Job does not run what the Job says. Rules of the cluster may put containers, variables of the
/// cloud's identity and volumes of their own beside it.
pub(crate) fn difference_of_pod(job: &Job, pod: &Pod) -> Option<Difference> {
    // Both are made of text and numbers alone, so that this does not fail; what it would give is not ours.
    let asked = serde_json::to_value(job.spec.as_ref().map(|spec| &spec.template)).unwrap_or_default();
    let found = serde_json::to_value(pod).unwrap_or_default();
    let name = container_name(&asked);
    let main = |object: &Value| object["metadata"]["annotations"][MAIN].clone();
    if let Some(other) = compare("metadata.annotations", &main(&asked), &main(&found), Extras::Count) {
        return Some(other);
    }
    let (asked, found) = (&asked["spec"], &found["spec"]);
    let key = |key: &str| {
        let found = if key == "securityContext" { &widened(&asked[key], &found[key]) } else { &found[key] };
        compare(&format!("spec.{key}"), &asked[key], found, Extras::Count)
    };
    let main = (named(asked, "containers", &name), named(found, "containers", &name));
    container_of_pod(&format!("spec.containers[{name}]"), &main.0, &main.1)
        .or_else(|| containers_of_pod("containers", asked, found))
        .or_else(|| containers_of_pod("initContainers", asked, found))
        .or_else(|| beside("spec.volumes", list(&asked["volumes"]), list(&found["volumes"]), |_| true))
        .or_else(|| {
            let is_default =
                asked["serviceAccountName"].is_null() && found["serviceAccountName"] == json!("default");
            if is_default { None } else { key("serviceAccountName") }
        })
        // Rules of the cluster, or of the namespace, may narrow where a pod runs; they can't take from what was asked.
        .or_else(|| {
            compare("spec.nodeSelector", &asked["nodeSelector"], &found["nodeSelector"], Extras::Pass)
        })
        .or_else(|| {
            let mut keys = DECISIVE_OF_POD.iter().filter(|key| !OTHERWISE_OF_POD.contains(*key));
            keys.find_map(|name| key(name))
        })
}

fn named(spec: &Value, key: &str, name: &str) -> Value {
    list(&spec[key]).iter().find(|container| container["name"] == json!(name)).cloned().unwrap_or_default()
}

/// Those that were asked for are there in this order and do what they were asked for; others may be beside them.
fn containers_of_pod(key: &str, asked: &Value, found: &Value) -> Option<Difference> {
    let names = |spec: &Value| -> Vec<Value> {
        list(&spec[key]).iter().map(|container| container["name"].clone()).collect()
    };
    let asked_names = names(asked);
    let own: Vec<_> = names(found).into_iter().filter(|name| asked_names.contains(name)).collect();
    if own != asked_names {
        return Some(Difference {
            field: format!("spec.{key}"),
            asked: json!(asked_names),
            found: json!(own),
        });
    }
    asked_names.iter().filter_map(Value::as_str).find_map(|name| {
        let (asked, found) = (named(asked, key, name), named(found, key, name));
        container_of_pod(&format!("spec.{key}[{name}]"), &asked, &found)
    })
}

/// One container, to which the cloud may add its identity and the cluster its tokens.
fn container_of_pod(path: &str, asked: &Value, found: &Value) -> Option<Difference> {
    let decisive = |key: &&&str| !["env", "securityContext", "volumeMounts"].contains(*key);
    for key in DECISIVE_OF_CONTAINER.iter().filter(decisive) {
        if let Some(other) = compare(&format!("{path}.{key}"), &asked[*key], &found[*key], Extras::Count) {
            return Some(other);
        }
    }
    let of_cloud = |variable: &Value| {
        let name = variable["name"].as_str().unwrap_or_default();
        ["AWS_", "KUBERNETES_"].iter().any(|start| name.starts_with(start))
    };
    let of_cluster =
        |mount: &Value| mount["mountPath"].as_str().is_some_and(|path| path.starts_with("/var/run/secrets/"));
    let both = |key: &str| (list(&asked[key]), list(&found[key]));
    let ((env, found_env), (mounts, found_mounts)) = (both("env"), both("volumeMounts"));
    let (context, found_context) = (&asked["securityContext"], &found["securityContext"]);
    beside(&format!("{path}.env"), env, found_env, of_cloud)
        .or_else(|| beside(&format!("{path}.volumeMounts"), mounts, found_mounts, of_cluster))
        .or_else(|| {
            let found = widened(context, found_context);
            compare(&format!("{path}.securityContext"), context, &found, Extras::Count)
        })
}

/// A security context without what was added and only takes rights away: clusters do that to every pod, as OpenShift does
/// with labels of SELinux.
fn widened(asked: &Value, found: &Value) -> Value {
    let mut found = found.clone();
    if let Some(fields) = found.as_object_mut() {
        fields.retain(|key, value| !asked[key.as_str()].is_null() || !takes_away(key, value));
    }
    found
}

fn takes_away(key: &str, value: &Value) -> bool {
    let only = |name: &str| value.as_object().is_some_and(|fields| fields.keys().all(|key| key == name));
    match key {
        "runAsNonRoot" | "readOnlyRootFilesystem" => *value == json!(true),
        "seccompProfile" => *value == json!({"type": "RuntimeDefault"}),
        "seLinuxOptions" => only("level"),
        "capabilities" => only("drop"),
        _ => false,
    }
}

/// All that was asked for is there in this order, and the rest may be.
fn beside(
    path: &str,
    asked: &[Value],
    found: &[Value],
    may_be: impl Fn(&Value) -> bool,
) -> Option<Difference> {
    let mut wanted = asked.iter();
    let mut next = wanted.next();
    for item in found {
        match next {
            Some(one) if compare(path, one, item, Extras::Count).is_none() => next = wanted.next(),
            _ if may_be(item) => {}
            _ => {
                return Some(Difference {
                    field: path.to_owned(),
                    asked: next.cloned().unwrap_or_default(),
                    found: item.clone(),
                });
            }
        }
    }
    next.map(|missing| Difference { field: path.to_owned(), asked: missing.clone(), found: Value::Null })
}

#[cfg(test)]
#[path = "same_pod_tests.rs"]
mod tests;
