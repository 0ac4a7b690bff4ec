use k8s_openapi::api::batch::v1::Job;

use super::*;
use crate::manifest::{Wanted, only_job, prepare};
use crate::pod::{MAIN, other_digest};
use crate::reference::Reference;
use crate::same_pod::difference_of_pod;

const BASE: &str = include_str!("../../../k8s/base/job.yaml");

const CONTAINER_AT: &str = "/spec/template/spec/containers/0";

fn sent() -> Value {
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
fn held() -> Value {
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

fn with(mut job: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = job.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer} is in the Job"));
    match (parent, key.parse::<usize>()) {
        (Value::Array(items), Ok(index)) if index == items.len() => items.push(value),
        (Value::Array(items), Ok(index)) => items[index] = value,
        (parent, _) => parent[key] = value,
    }
    job
}

#[test]
fn what_the_server_makes_of_a_job_is_the_same_run() {
    assert_eq!(difference(&sent(), &sent()), None);
    assert_eq!(difference(&sent(), &held()), None);
    assert_eq!(other_creator(&held()), None);
    // Queues suspend Jobs and choose nodes, and rules of the cluster add what helps a pod to a node or an image.
    for (pointer, value) in [
        ("/spec/suspend", json!(true)),
        ("/spec/template/spec/nodeSelector/pool", json!("batch")),
        ("/spec/template/spec/tolerations", json!([{"key": "batch", "operator": "Exists"}])),
        ("/spec/template/spec/imagePullSecrets", json!([{"name": "ecr"}])),
        ("/spec/template/spec/priorityClassName", json!("batch")),
        ("/spec/template/metadata/labels/kueue.x-k8s.io~1podset", json!("main")),
        ("/metadata/labels/team", json!("site")),
        ("/spec/aFieldOfTomorrow", json!("default")),
    ] {
        let pointer = pointer.replace("~1", "\u{1}");
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let mut job = held();
        job.pointer_mut(parent).unwrap()[key.replace('\u{1}', "/")] = value;
        assert_eq!(difference(&sent(), &job), None, "{pointer}");
    }
}

/// A Job of our name was attached to, and its verdict believed, whatever it ran.
#[test]
fn what_runs_something_else_is_another_run() {
    let container = |field: &str| format!("{CONTAINER_AT}/{field}");
    let pod = |field: &str| format!("/spec/template/spec/{field}");
    let other = format!("host.example/job@sha256:{}", "cd".repeat(32));
    let variable = |name: &str| json!({"name": name, "value": "x"});
    for (pointer, value, said) in [
        (container("image"), json!(other), "containers[0].image is \"host.example/job@sha256:cdcd"),
        (
            container("args"),
            json!(["downgrade", "base"]),
            "containers[0].args[0] is \"downgrade\", not \"upgrade\"",
        ),
        (
            container("args/1"),
            json!("20260608081522"),
            "containers[0].args[1] is \"20260608081522\", not \"head\"",
        ),
        (container("args/2"), json!("--allow-out-of-order"), "containers[0].args is "),
        (container("args"), Value::Null, "containers[0].args is missing; asked for was"),
        (container("command"), json!(["sh"]), "containers[0].command is [\"sh\"], which was not asked for"),
        (container("env/2"), variable("MIGRATIONS_DIR"), "containers[0].env is "),
        (container("env/0"), variable("POSTGRES_USER"), "env[0].valueFrom is missing; asked for was"),
        (container("env/1/valueFrom/secretKeyRef/name"), json!("other"), "secretKeyRef.name is \"other\""),
        (container("envFrom"), json!([{"secretRef": {"name": "other"}}]), "envFrom is"),
        (container("volumeMounts/0/mountPath"), json!("/migrations"), "mountPath is \"/migrations\""),
        (container("volumeMounts/0/subPath"), json!("x"), "subPath is \"x\", which was not asked for"),
        (container("volumeMounts/1"), json!({"name": "ca", "mountPath": "/migrations"}), "volumeMounts is"),
        (container("lifecycle"), json!({"postStart": {"exec": {"command": ["x"]}}}), "lifecycle is"),
        (container("livenessProbe"), json!({"exec": {"command": ["x"]}}), "livenessProbe is"),
        (container("workingDir"), json!("/tmp"), "workingDir is"),
        (container("terminationMessagePath"), json!("/etc/ca/ca.crt"), "terminationMessagePath is"),
        (container("securityContext/privileged"), json!(true), "securityContext.privileged is true"),
        (container("securityContext/readOnlyRootFilesystem"), json!(false), "is false, not true"),
        (pod("containers/1"), json!({"name": "b", "image": "b"}), "containers is [\"migrate\",\"b\"], not"),
        (pod("initContainers"), json!([{"name": "b"}]), "initContainers is"),
        (
            pod("serviceAccountName"),
            json!("admin"),
            "serviceAccountName is \"admin\", not \"run-migrations\"",
        ),
        (pod("serviceAccount"), json!("admin"), "serviceAccount is \"admin\", not \"run-migrations\""),
        (pod("automountServiceAccountToken"), Value::Null, "automountServiceAccountToken is missing"),
        (pod("volumes/0/configMap/name"), json!("other"), "volumes[0].configMap.name is \"other\""),
        (pod("volumes/1"), json!({"name": "s", "secret": {"secretName": "s"}}), "volumes is"),
        (pod("hostNetwork"), json!(true), "hostNetwork is true, not false"),
        (pod("hostPID"), json!(true), "hostPID is true, which was not asked for"),
        (pod("hostAliases"), json!([{"ip": "10.0.0.1", "hostnames": ["db"]}]), "hostAliases is"),
        (pod("dnsPolicy"), json!("None"), "dnsPolicy is \"None\""),
        (pod("dnsConfig"), json!({"nameservers": ["10.0.0.1"]}), "dnsConfig is"),
        (pod("shareProcessNamespace"), json!(true), "shareProcessNamespace is true"),
        (pod("runtimeClassName"), json!("other"), "runtimeClassName is \"other\", which was not asked for"),
        (pod("hostUsers"), json!(true), "hostUsers is true, which was not asked for"),
        (pod("nodeName"), json!("node-1"), "nodeName is \"node-1\", which was not asked for"),
        (pod("ephemeralContainers"), json!([{"name": "b"}]), "ephemeralContainers is"),
        (pod("securityContext/runAsUser"), json!(0), "securityContext.runAsUser is 0, not 65532"),
        (
            "/spec/template/metadata/annotations/sidecar.istio.io".to_owned(),
            json!("x"),
            "annotations[sidecar.istio.io] is",
        ),
        // These passed for the Job controller's own, `job-name` and `controller-uid`.
        (
            "/spec/template/metadata/labels/job-name-of-ours".to_owned(),
            json!("x"),
            "labels[job-name-of-ours] is",
        ),
        (
            "/spec/template/metadata/labels/controller-uid2".to_owned(),
            json!("x"),
            "labels[controller-uid2] is",
        ),
        ("/spec/template/metadata/labels/vault".to_owned(), json!("x"), "template.metadata.labels[vault] is"),
        ("/spec/backoffLimit".to_owned(), json!(0), "spec.backoffLimit is 0, not 3"),
        ("/spec/manualSelector".to_owned(), json!(true), "spec.manualSelector is true"),
        ("/metadata/labels".to_owned(), json!({}), "metadata.labels.app.kubernetes.io/managed-by is missing"),
    ] {
        let found = difference(&sent(), &with(held(), &pointer, value));
        let found = found.unwrap_or_else(|| panic!("{pointer} is another run")).to_string();
        assert!(found.contains(said), "{pointer}: {found}");
    }
}

#[test]
fn the_manager_of_the_spec_is_this_program() {
    let entry = |manager: &str, fields: Value, subresource: &str| json!({"manager": manager, "operation": "Update", "subresource": subresource, "fieldsV1": fields});
    let template = || json!({"f:spec": {"f:template": {}}});
    for (entries, expected) in [
        (json!([entry(MANAGER, template(), "")]), None),
        (
            json!([entry("kueue", json!({"f:spec": {"f:suspend": {}}}), ""), entry(MANAGER, template(), "")]),
            None,
        ),
        (
            json!([entry("kubectl-create", template(), "")]),
            Some("manager is \"kubectl-create\", not \"run-migrations\""),
        ),
        (json!([entry(MANAGER, template(), "status")]), Some("manager is missing")),
        (Value::Null, Some("manager is missing")),
    ] {
        let found = other_creator(&with(held(), "/metadata/managedFields", entries));
        let found = found.map(|found| found.to_string());
        assert_eq!(found.is_some(), expected.is_some(), "{found:?}");
        assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()));
    }
}

fn pod_of(job: &Value) -> Value {
    let template = &job["spec"]["template"];
    json!({"metadata": {"name": "a", "annotations": template["metadata"]["annotations"]}, "spec": template["spec"]})
}

fn of_pod(pod: Value) -> Option<String> {
    let job = serde_json::from_value(held()).unwrap();
    let pod = serde_json::from_value(pod).unwrap();
    difference_of_pod(&job, &pod).map(|difference| difference.to_string())
}

/// Meshes, agents and the cloud put things beside the job, which the job does not notice.
#[test]
fn a_pod_may_have_what_the_cluster_puts_beside_the_job() {
    let main = "/spec/containers/0";
    let mut pod = pod_of(&held());
    for (pointer, value) in [
        (format!("{main}/env/2"), json!({"name": "AWS_ROLE_ARN", "value": "x"})),
        (
            format!("{main}/volumeMounts/1"),
            json!({"name": "t", "mountPath": "/var/run/secrets/eks.amazonaws.com/serviceaccount"}),
        ),
        ("/spec/volumes/1".to_owned(), json!({"name": "t", "projected": {}})),
        ("/spec/containers/1".to_owned(), json!({"name": "istio-proxy", "image": "istio"})),
        ("/spec/initContainers".to_owned(), json!([{"name": "istio-init", "image": "istio"}])),
        ("/spec/nodeName".to_owned(), json!("node-1")),
        ("/spec/tolerations".to_owned(), json!([{"key": "node.kubernetes.io/not-ready"}])),
        ("/metadata/labels".to_owned(), json!({"x": "y"})),
        ("/spec/enableServiceLinks".to_owned(), json!(false)),
        ("/spec/securityContext/seLinuxOptions".to_owned(), json!({"level": "s0:c1,c2"})),
        (format!("{main}/securityContext/runAsNonRoot"), json!(true)),
        (format!("{main}/securityContext/privileged"), json!(false)),
        (format!("{main}/securityContext/seccompProfile"), json!({"type": "RuntimeDefault"})),
    ] {
        pod = with(pod, &pointer, value);
    }
    assert_eq!(of_pod(pod), None);
}

/// Whoever may create pods can plant one that names our Job as its controller; its word was taken for the job's.
#[test]
fn a_pod_that_runs_something_else_is_foreign() {
    let main = "/spec/containers/0";
    for (pointer, value, said) in [
        (format!("{main}/image"), json!("busybox"), "containers[migrate].image is \"busybox\""),
        (format!("{main}/args"), json!(["current"]), "args is"),
        (format!("{main}/command"), json!(["sh"]), "command is"),
        (format!("{main}/name"), json!("other"), "containers[migrate].image is missing"),
        (format!("{main}/env/2"), json!({"name": "POSTGRES_HOST", "value": "x"}), "env is"),
        (format!("{main}/env/2"), json!({"name": "MIGRATIONS_DIR", "value": "x"}), "env is"),
        (format!("{main}/env/0"), json!({"name": "POSTGRES_USER", "value": "x"}), "env is"),
        (
            format!("{main}/volumeMounts/1"),
            json!({"name": "v", "mountPath": "/migrations"}),
            "volumeMounts is",
        ),
        (format!("{main}/terminationMessagePath"), json!("/tmp/x"), "terminationMessagePath is"),
        (
            "/spec/volumes/0".to_owned(),
            json!({"name": "ca", "configMap": {"name": "x"}}),
            "volumes is missing",
        ),
        ("/spec/serviceAccountName".to_owned(), json!("admin"), "serviceAccountName is \"admin\""),
        ("/spec/hostNetwork".to_owned(), json!(true), "hostNetwork is true"),
        ("/spec/hostAliases".to_owned(), json!([{"ip": "10.0.0.1"}]), "hostAliases is"),
        ("/spec/shareProcessNamespace".to_owned(), json!(true), "shareProcessNamespace is true"),
        // Of a pod nothing of these was compared, so that a rule could make it privileged.
        (
            format!("{main}/securityContext/privileged"),
            json!(true),
            "securityContext.privileged is true, which",
        ),
        (format!("{main}/securityContext/allowPrivilegeEscalation"), json!(true), "is true, not false"),
        (
            format!("{main}/securityContext/readOnlyRootFilesystem"),
            Value::Null,
            "readOnlyRootFilesystem is missing",
        ),
        (format!("{main}/securityContext/capabilities/add"), json!(["SYS_ADMIN"]), "capabilities.add is"),
        (
            format!("{main}/securityContext/capabilities"),
            json!({"add": ["ALL"]}),
            "capabilities.drop is missing",
        ),
        (format!("{main}/securityContext"), Value::Null, "securityContext is missing"),
        (
            format!("{main}/securityContext/seLinuxOptions"),
            json!({"level": "s0", "type": "spc_t"}),
            "seLinuxOptions is",
        ),
        (
            "/spec/securityContext/runAsUser".to_owned(),
            json!(0),
            "spec.securityContext.runAsUser is 0, not 65532",
        ),
        ("/spec/securityContext/supplementalGroups".to_owned(), json!([0]), "supplementalGroups is"),
        ("/spec/securityContext/sysctls".to_owned(), json!([{"name": "a", "value": "b"}]), "sysctls is"),
        (
            "/spec/securityContext/seccompProfile/type".to_owned(),
            json!("Unconfined"),
            "type is \"Unconfined\"",
        ),
        ("/spec/ephemeralContainers".to_owned(), json!([{"name": "debugger"}]), "ephemeralContainers is"),
        ("/spec/runtimeClassName".to_owned(), json!("other"), "runtimeClassName is \"other\""),
        ("/spec/hostUsers".to_owned(), json!(true), "hostUsers is true"),
        (
            "/spec/automountServiceAccountToken".to_owned(),
            json!(true),
            "automountServiceAccountToken is true, not false",
        ),
        ("/spec/enableServiceLinks".to_owned(), json!(true), "enableServiceLinks is true, not false"),
        ("/spec/dnsPolicy".to_owned(), json!("Default"), "dnsPolicy is \"Default\""),
        (
            "/metadata/annotations".to_owned(),
            json!({MAIN: "other"}),
            "annotations is \"other\", not \"migrate\"",
        ),
    ] {
        let found = of_pod(with(pod_of(&held()), &pointer, value));
        let found = found.unwrap_or_else(|| panic!("{pointer} is foreign"));
        assert!(found.contains(said), "{pointer}: {found}");
    }
}

/// What the overlay puts before the job was not compared with what came of it.
#[test]
fn the_init_containers_of_the_overlay_are_the_pods_too() {
    let init =
        |name: &str, image: &str| json!({"name": name, "image": image, "securityContext": {"runAsUser": 1}});
    let mut job = held();
    job["spec"]["template"]["spec"]["initContainers"] = json!([init("a", "a:1"), init("b", "b:1")]);
    let pod = |inits: Value| {
        let job: Job = serde_json::from_value(job.clone()).unwrap();
        let pod = with(pod_of(&serde_json::to_value(&job).unwrap()), "/spec/initContainers", inits);
        difference_of_pod(&job, &serde_json::from_value(pod).unwrap()).map(|other| other.to_string())
    };
    let token = json!([{"name": "t", "mountPath": "/var/run/secrets/eks.amazonaws.com/serviceaccount"}]);
    let privileged = json!({"runAsUser": 1, "privileged": true});
    for (inits, said) in [
        (json!([init("a", "a:1"), init("b", "b:1")]), None),
        (json!([init("mesh", "x"), init("a", "a:1"), with(init("b", "b:1"), "/volumeMounts", token)]), None),
        (
            json!([init("b", "b:1"), init("a", "a:1")]),
            Some("spec.initContainers is [\"b\",\"a\"], not [\"a\",\"b\"]"),
        ),
        (json!([init("a", "a:1")]), Some("spec.initContainers is [\"a\"]")),
        (json!([init("a", "a:1"), init("b", "other")]), Some("initContainers[b].image is \"other\"")),
        (
            json!([with(init("a", "a:1"), "/securityContext", privileged), init("b", "b:1")]),
            Some("initContainers[a].securityContext.privileged is true"),
        ),
    ] {
        let found = pod(inits);
        assert_eq!(found.is_some(), said.is_some(), "{found:?}");
        assert!(found.clone().unwrap_or_default().contains(said.unwrap_or_default()), "{found:?}");
    }
}

#[test]
fn a_digest_is_compared_where_the_node_names_one() {
    let (a, b) = (format!("sha256:{}", "ab".repeat(32)), format!("sha256:{}", "cd".repeat(32)));
    for (reported, expected) in [
        (format!("host.example/job@{a}"), false),
        (format!("docker-pullable://other.example/job@{a}"), false),
        (format!("host.example/job@{b}"), true),
        // Of an image that was loaded: its configuration.
        (b.clone(), false),
        (String::new(), false),
    ] {
        assert_eq!(other_digest(&format!("host.example/job@{a}"), &reported), expected, "{reported}");
    }
    assert!(!other_digest("run-migrations:test", &format!("x@{b}")));
}

/// What others wrote becomes no control sequence of the terminal.
#[test]
fn foreign_words_are_escaped() {
    let job = with(held(), &format!("{CONTAINER_AT}/image"), json!("a\u{1b}[2J\u{9b}2J\u{202e}\nb"));
    let said = difference(&sent(), &job).unwrap().to_string();
    assert!(said.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{said:?}");
    // A command of GitHub's runner came through in mid-line.
    for (key, value) in [("##[add-mask]a", "x"), ("a", "no ##[add-mask]x"), ("a\u{2028}b", "\u{200b}")] {
        let job = with(held(), "/spec/template/metadata/annotations", json!({key: value}));
        let job = Difference {
            field: key.to_owned(),
            ..marks("annotations", &json!({}), at(&job, "/spec/template/metadata/annotations")).unwrap()
        };
        let said = job.to_string();
        assert!(!said.contains("##[") && !said.contains(['\u{2028}', '\u{200b}']), "{said}");
    }
    let long = with(held(), &format!("{CONTAINER_AT}/image"), json!("a".repeat(5000)));
    assert!(difference(&sent(), &long).unwrap().to_string().len() < 500);
}
