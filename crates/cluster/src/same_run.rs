//! Whether a Job or a pod is what this run asked for. Another Job may have the name of ours, a pod may say that it is
//! our Job's, and an admission rule may change both: what runs then is not this run, and its verdict is not to be
//! believed.
//!
//! What was asked must be there as it was asked. What was not asked may be there where it does not change which program
//! runs, with which words, rights, secrets and files, or against which server.

use std::fmt;

use foreign_text::{one_line, shortened};
use serde_json::{Value, json};

/// The name under which this program writes Jobs, in `metadata.managedFields`. Whoever may create Jobs could write under
/// the same: it tells the Jobs of other tools, and the comparison tells the rest.
pub(super) const MANAGER: &str = "run-migrations";

/// One field that is not as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) field: String,
    pub(super) asked: Value,
    pub(super) found: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, asked, found } = self;
        let field = one_line(field);
        match (asked, found) {
            (Value::Null, found) => write!(f, "{field} is {}, which was not asked for", shown(found)),
            (asked, Value::Null) => write!(f, "{field} is missing; asked for was {}", shown(asked)),
            (asked, found) => write!(f, "{field} is {}, not {}", shown(found), shown(asked)),
        }
    }
}

fn shown(value: &Value) -> String {
    const MOST: usize = 200;
    shortened(&value.to_string(), MOST)
}

/// Whether fields that were not asked for count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extras {
    /// Unless they are what the server fills in.
    Count,
    Pass,
}

/// Of a pod, what decides over rights, network, files, processes, devices, and on whose node it runs.
pub(super) const DECISIVE_OF_POD: [&str; 22] = [
    "affinity",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "ephemeralContainers",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "resourceClaims",
    "resources",
    "runtimeClassName",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "shareProcessNamespace",
    "volumes",
];

/// Of a container, what decides over what it does; what tells most comes first.
pub(super) const DECISIVE_OF_CONTAINER: [&str; 18] = [
    "image",
    "args",
    "command",
    "env",
    "envFrom",
    "lifecycle",
    "livenessProbe",
    "readinessProbe",
    "resources",
    "restartPolicy",
    "securityContext",
    "startupProbe",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
];

/// Of a Job, what decides over whose its pods are.
const DECISIVE_OF_JOB: [&str; 2] = ["managedBy", "manualSelector"];

/// Quantities, which the server writes in its own way and which do not change what runs.
const QUANTITIES: [&str; 4] = ["divisor", "limits", "requests", "sizeLimit"];

/// Lists to which admission rules add, so that a pod finds its node and its image.
const OPEN_LISTS: [&str; 3] = ["imagePullSecrets", "tolerations", "topologySpreadConstraints"];

/// What the server leaves out where it is false.
const LEFT_OUT: [&str; 7] = ["hostIPC", "hostNetwork", "hostPID", "readOnly", "stdin", "stdinOnce", "tty"];

/// What Kubernetes itself writes on the pods of a Job.
const MARKS: [&str; 4] =
    ["batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name"];

/// Those of the queue, by their domain.
const QUEUE: &str = "kueue.x-k8s.io/";
const QUEUE_NAME: &str = "kueue.x-k8s.io/queue-name";

/// The first thing in which the Job that the server holds is not the one that was sent.
pub(super) fn difference(sent: &Value, held: &Value) -> Option<Difference> {
    let part = |pointer: &str| (at(sent, pointer), at(held, pointer));
    for key in ["name", "namespace", "labels", "annotations"] {
        let (sent, held) = part(&format!("/metadata/{key}"));
        if let Some(found) = compare(&format!("metadata.{key}"), sent, held, Extras::Pass) {
            return Some(found);
        }
    }
    for key in ["labels", "annotations"] {
        let (sent, held) = part(&format!("/spec/template/metadata/{key}"));
        let path = format!("spec.template.metadata.{key}");
        if let Some(found) = compare(&path, sent, held, Extras::Pass).or_else(|| marks(&path, sent, held)) {
            return Some(found);
        }
    }
    let (sent_spec, held_spec) = part("/spec");
    let is_compared = |key: &str| key != "template" && key != "suspend";
    let sent_job = sent;
    fields("spec", sent_spec, held_spec, &DECISIVE_OF_JOB, is_compared).or_else(|| {
        let (sent, held) = part("/spec/template/spec");
        let path = "spec.template.spec";
        // A queue that was asked to run the Job chooses the nodes.
        let is_queued = !at(sent_job, "/metadata/labels")[QUEUE_NAME].is_null();
        let selector = |job: &Value| job["nodeSelector"].clone();
        let chosen = compare(&format!("{path}.nodeSelector"), &selector(sent), &selector(held), Extras::Pass);
        let is_compared = |key: &str| key != "containers" && !(key == "nodeSelector" && is_queued);
        chosen.or_else(|| fields(path, sent, held, &DECISIVE_OF_POD, is_compared)).or_else(|| {
            let (sent, held) = (list(&sent["containers"]), list(&held["containers"]));
            containers(&format!("{path}.containers"), sent, held)
        })
    })
}

/// Who wrote the Job, where it was not this program.
pub(super) fn other_creator(held: &Value) -> Option<Difference> {
    let entries = list(&held["metadata"]["managedFields"]);
    let writers = entries.iter().filter(|entry| {
        entry["subresource"].as_str().unwrap_or_default().is_empty()
            && !entry["fieldsV1"]["f:spec"]["f:template"].is_null()
    });
    let names: Vec<_> = writers.map(|entry| entry["manager"].clone()).collect();
    (!names.contains(&json!(MANAGER))).then(|| Difference {
        field: "metadata.managedFields[].manager".to_owned(),
        asked: json!(MANAGER),
        found: names.first().cloned().unwrap_or(Value::Null),
    })
}

/// Labels or annotations that were put on the pods, by which other programs change them.
fn marks(path: &str, sent: &Value, held: &Value) -> Option<Difference> {
    let held = held.as_object()?;
    let is_known = |key: &str| MARKS.contains(&key) || key.starts_with(QUEUE);
    let (key, found) = held.iter().find(|(key, _)| sent[key.as_str()].is_null() && !is_known(key))?;
    Some(Difference { field: format!("{path}[{key}]"), asked: Value::Null, found: found.clone() })
}

fn containers(path: &str, sent: &[Value], held: &[Value]) -> Option<Difference> {
    let names = |containers: &[Value]| -> Value {
        containers.iter().map(|container| container["name"].clone()).collect::<Vec<_>>().into()
    };
    let (sent_names, held_names) = (names(sent), names(held));
    if sent_names != held_names {
        return Some(Difference { field: path.to_owned(), asked: sent_names, found: held_names });
    }
    sent.iter().zip(held).enumerate().find_map(|(index, (sent, held))| {
        fields(&format!("{path}[{index}]"), sent, held, &DECISIVE_OF_CONTAINER, |_| true)
    })
}

/// Everything that was sent, and the decisive fields whether they were sent or not.
fn fields(
    path: &str,
    sent: &Value,
    held: &Value,
    decisive: &[&str],
    is_compared: impl Fn(&str) -> bool,
) -> Option<Difference> {
    let of_sent = sent.as_object().into_iter().flat_map(|object| object.keys().map(String::as_str));
    let others = decisive.iter().copied().filter(|key| sent[*key].is_null());
    of_sent.chain(others).filter(|key| is_compared(key)).find_map(|key| {
        // The server sets the older name of the same field as well.
        let is_older_name = key == "serviceAccount" && !held[key].is_null();
        let asked = if is_older_name { &sent["serviceAccountName"] } else { &sent[key] };
        let extras = if decisive.contains(&key) { Extras::Count } else { Extras::Pass };
        compare(&format!("{path}.{key}"), asked, &held[key], extras)
    })
}

pub(super) fn compare(path: &str, sent: &Value, held: &Value, extras: Extras) -> Option<Difference> {
    let key = path.rsplit('.').next().unwrap_or(path);
    if QUANTITIES.contains(&key) {
        return None;
    }
    let differs = || Some(Difference { field: path.to_owned(), asked: sent.clone(), found: held.clone() });
    match (sent, held) {
        (sent, Value::Null) => {
            let is_left_out = *sent == json!(false) && LEFT_OUT.contains(&key);
            if is_empty(sent) || is_left_out { None } else { differs() }
        }
        // What is added to them is quantities, or is compared.
        (Value::Null, Value::Object(_)) if key == "resources" => compare(path, &json!({}), held, extras),
        (Value::Null, held) => {
            if extras == Extras::Pass || is_filled_in(key, held) {
                None
            } else {
                differs()
            }
        }
        (Value::Object(asked), Value::Object(found)) => {
            let added = found.keys().filter(|key| !asked.contains_key(*key));
            asked
                .keys()
                .chain(added)
                .find_map(|key| compare(&format!("{path}.{key}"), &sent[key], &held[key], extras))
        }
        (Value::Array(asked), Value::Array(found)) if OPEN_LISTS.contains(&key) => {
            let is_there = |one: &Value| found.iter().any(|item| compare(path, one, item, extras).is_none());
            if asked.iter().all(is_there) { None } else { differs() }
        }
        (Value::Array(asked), Value::Array(found)) if asked.len() == found.len() => {
            let mut pairs = asked.iter().zip(found).enumerate();
            pairs.find_map(|(index, (asked, found))| {
                compare(&format!("{path}[{index}]"), asked, found, extras)
            })
        }
        _ if sent == held => None,
        _ => differs(),
    }
}

/// What the server leaves out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// What the server fills in where nothing was said.
fn is_filled_in(key: &str, value: &Value) -> bool {
    let filled = match key {
        "apiVersion" => json!("v1"),
        "enableServiceLinks" => return value.is_boolean(),
        "defaultMode" => json!(0o644),
        "dnsPolicy" => json!("ClusterFirst"),
        "expirationSeconds" => json!(3600),
        "failureThreshold" => json!(3),
        "periodSeconds" => json!(10),
        "procMount" => json!("Default"),
        "scheme" => json!("HTTP"),
        "successThreshold" | "timeoutSeconds" => json!(1),
        "terminationMessagePath" => json!("/dev/termination-log"),
        "terminationMessagePolicy" => json!("File"),
        _ => return is_empty(value) || *value == json!(false),
    };
    *value == filled
}

fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
#[path = "same_run_tests.rs"]
mod tests;
