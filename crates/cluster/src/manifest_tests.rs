use super::*;

const BASE: &str = include_str!("../../../k8s/base/job.yaml");

fn reference() -> Reference {
    Reference::parse(&format!("host.example/site/job@sha256:{}", "ab".repeat(32))).unwrap()
}

fn words(typed: &str) -> Vec<String> {
    typed.split_whitespace().map(str::to_owned).collect()
}

fn prepared(typed: &str) -> Manifest {
    let (image, words) = (reference(), words(typed));
    let revision = words.get(1).map(String::as_str);
    let wanted = Wanted { image: &image, command: &words[0], revision, words: &words };
    prepare(only_job(BASE).unwrap(), "site", wanted).unwrap()
}

#[test]
fn the_job_runs_this_image_with_these_words() {
    let Manifest { name, job } = prepared("upgrade 20260608081522 --allow-out-of-order");
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], reference().to_string());
    assert_eq!(container["args"], json!(["upgrade", "20260608081522", "--allow-out-of-order"]));
    assert_eq!(
        container["env"][1]["valueFrom"]["secretKeyRef"],
        json!({"name": "run-migrations", "key": "password"})
    );
    assert_eq!(job["metadata"]["name"], name);
    assert_eq!(job["metadata"]["namespace"], "site");
    assert_eq!(job["metadata"]["labels"]["run-migrations/command"], "upgrade");
    for metadata in [&job["metadata"], &job["spec"]["template"]["metadata"]] {
        assert_eq!(metadata["labels"]["app.kubernetes.io/name"], "run-migrations");
        assert_eq!(metadata["annotations"]["run-migrations/image"], reference().to_string());
        assert_eq!(
            metadata["annotations"]["run-migrations/arguments"],
            "upgrade 20260608081522 --allow-out-of-order"
        );
    }
}

#[test]
fn the_name_is_that_of_the_content() {
    let one = prepared("upgrade head");
    assert_eq!(one, prepared("upgrade head"), "the same run has the same name");
    let (prefix, hash) = one.name.rsplit_once('-').unwrap();
    assert_eq!((prefix, hash.len()), ("migrate-upgrade", 10));
    for other in ["upgrade 20260608081522", "upgrade head --plan", "downgrade head"] {
        assert_ne!(prepared(other).name, one.name, "{other}");
    }
    let changed = BASE.replace("memory: 64Mi", "memory: 128Mi");
    let (image, words) = (reference(), words("upgrade head"));
    let wanted = Wanted { image: &image, command: "upgrade", revision: Some("head"), words: &words };
    let changed = prepare(only_job(&changed).unwrap(), "site", wanted).unwrap();
    assert_ne!(changed.name, one.name, "a changed manifest is another run");
}

#[test]
fn each_database_of_a_fleet_has_its_own_secret() {
    let (image, words) = (reference(), words("upgrade head"));
    let wanted = Wanted { image: &image, command: "upgrade", revision: Some("head"), words: &words };
    let job = only_job(BASE).unwrap();
    let template = Template { job: &job, namespace: "site", wanted, fleet: "databases" };
    let of = |name: &str| {
        let text = |part: &str| format!("{part}-{name}");
        let (host, database, secret) = (text("host"), text("db"), text("secret"));
        let port = (name == "a").then_some(6432);
        template.manifest(&Database { name: name.to_owned(), host, database, secret, port }).unwrap()
    };
    let (a, b) = (of("a"), of("b"));
    assert_ne!(a.name, b.name);
    let key = |key: &str| json!({"secretKeyRef": {"name": "secret-a", "key": key}});
    assert_eq!(
        a.job["spec"]["template"]["spec"]["containers"][0]["env"],
        json!([
            {"name": "POSTGRES_USER", "valueFrom": key("username")},
            {"name": "POSTGRES_PASSWORD", "valueFrom": key("password")},
            {"name": "POSTGRES_HOST", "value": "host-a"},
            {"name": "POSTGRES_PORT", "value": "6432"},
            {"name": "POSTGRES_DB", "value": "db-a"}
        ])
    );
    assert!(!a.job.to_string().contains("secret-b"));
    assert!(!b.job.to_string().contains("POSTGRES_PORT"), "the overlay's stays");
    assert_eq!(template.selector(), "run-migrations/fleet=databases");
    for metadata in [&b.job["metadata"], &b.job["spec"]["template"]["metadata"]] {
        assert_eq!(metadata["labels"]["run-migrations/fleet"], "databases");
        assert_eq!(metadata["labels"]["run-migrations/database"], "b");
    }
}

#[test]
fn an_image_that_was_loaded_is_not_pulled() {
    let (image, words) = (Reference::parse("run-migrations:test").unwrap(), words("upgrade head"));
    let wanted = Wanted { image: &image, command: "upgrade", revision: Some("head"), words: &words };
    let job = prepare(only_job(BASE).unwrap(), "site", wanted).unwrap().job;
    assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "Never");
}

#[test]
fn what_is_not_one_job_is_refused() {
    let two = format!("{BASE}---\n{BASE}");
    let with_sidecar = "kind: Job\nspec: {template: {spec: {containers: [{name: a}, {name: b}]}}}\n";
    for (text, message) in [
        ("kind: Secret\n", "there is no Job in the manifests"),
        (&two, "there are 2 Jobs in the manifests; which of them runs the migrations?"),
        ("kind: Job\n", "the Job has no containers"),
        (with_sidecar, "none of the Job's 2 containers is called migrate"),
        ("kind: Job\nspec: {template: {spec: {containers: [5]}}}\n", "the Job's container is no object"),
        ("kind: Job\nmetadata: 5\n", "the Job's metadata.namespace is no object"),
    ] {
        let (image, words) = (reference(), words("upgrade head"));
        let wanted = Wanted { image: &image, command: "upgrade", revision: None, words: &words };
        let error = only_job(text).and_then(|job| prepare(job, "site", wanted)).unwrap_err();
        assert_eq!(error.to_string(), message, "{text}");
    }
    assert!(only_job("a: [").is_err());
}

#[test]
fn labels_hold_what_labels_may() {
    for (text, expected) in [
        ("head", "head"),
        ("create projects", "create_projects"),
        ("head-1", "head-1"),
        ("-ü-", ""),
        (&"a".repeat(70), &"a".repeat(63)),
    ] {
        assert_eq!(label(text), expected);
    }
}

/// What Kubernetes makes of an exit code is promised in docs/exit-codes.md; the order of the rules is part of it.
#[test]
fn the_base_keeps_its_promises() {
    let job = only_job(BASE).unwrap();
    let spec = &job["spec"];
    let rules = spec["podFailurePolicy"]["rules"].as_array().unwrap();
    assert_eq!(rules[0]["action"], "Ignore");
    assert_eq!(rules[0]["onPodConditions"][0]["type"], "DisruptionTarget");
    assert_eq!(rules[1]["action"], "FailJob");
    assert_eq!(rules[1]["onExitCodes"]["operator"], "In");
    assert_eq!(rules[1]["onExitCodes"]["values"], json!([1, 2, 5, 6, 7, 8, 9, 70, 134, 139]));
    assert_eq!(rules.len(), 2, "all else is a retry");
    assert_eq!(spec["podReplacementPolicy"], "Failed");
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Never");
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["enableServiceLinks"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"],
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true})
    );
    assert_eq!(container["name"], CONTAINER);
}
