use super::*;
use crate::pod::other_digest;
use crate::same_run_fixtures::{held, with};

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
