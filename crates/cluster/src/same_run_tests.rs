use super::*;
use crate::same_run_fixtures::{held, sent, with};

const CONTAINER_AT: &str = "/spec/template/spec/containers/0";

#[test]
fn what_the_server_makes_of_a_job_is_the_same_run() {
    assert_eq!(difference(&sent(), &sent()), None);
    assert_eq!(difference(&sent(), &held()), None);
    assert_eq!(other_creator(&held()), None);
    // Queues suspend Jobs and choose nodes, and rules of the cluster add what helps a pod to a node or an image.
    for (pointer, value) in [
        ("/spec/suspend", json!(true)),
        (&*format!("{CONTAINER_AT}/resources/limits/memory"), json!("128Mi")),
        (&*format!("{CONTAINER_AT}/resources/requests/ephemeral-storage"), json!("1Gi")),
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

/// Only one that was asked for.
#[test]
fn a_queue_chooses_the_nodes_of_the_jobs_that_it_was_given() {
    let selected = |job: Value| with(job, "/spec/template/spec/nodeSelector/pool", json!("batch"));
    let queued = |mut job: Value| {
        job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = json!("site");
        job
    };
    assert_eq!(difference(&queued(sent()), &selected(queued(held()))), None);
    assert!(difference(&sent(), &selected(queued(held()))).is_some());
    let pool = with(queued(sent()), "/spec/template/spec/nodeSelector/pool", json!("ours"));
    assert!(difference(&pool, &selected(queued(held()))).is_some(), "what was asked for stays");
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
        (container("resources/claims"), json!([{"name": "gpu"}]), "resources.claims is [{\"name\":\"gpu\"}]"),
        (pod("resourceClaims"), json!([{"name": "gpu", "resourceClaimName": "x"}]), "resourceClaims is"),
        (pod("resources"), json!({"claims": [{"name": "gpu"}]}), "resources.claims is"),
        (
            pod("affinity"),
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}),
            "affinity is",
        ),
        (pod("nodeSelector/pool"), json!("evil"), "nodeSelector.pool is \"evil\", which was not asked for"),
        (pod("nodeSelector"), Value::Null, "nodeSelector is missing"),
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
