//! Jobs and pods that pass themselves off as ours, and rules of the cluster that make others of ours: nothing of them is
//! followed or believed.

use serde_json::{Value, json};

use crate::following::{soon, succeed};
use crate::support::api::{Api, Fault, Rule};
use crate::support::program::{DIGEST, REPORT, failed, run, verdict, whole_report};

/// The Job that these words would make.
fn job(api: &Api, words: &str) -> Value {
    let out = run(api, &format!("--dry-run {words}")).exited(0);
    serde_yaml::from_str(&out.stdout).unwrap()
}

/// A Job of the same name was attached to whatever it ran, and its end reported as that of the migrations.
#[test]
fn another_job_of_the_same_name_is_not_attached_to() {
    let other = format!("host.example/job@sha256:{}", "cd".repeat(32));
    let container = "/spec/template/spec/containers/0";
    for (pointer, value, manager, said) in [
        (
            format!("{container}/image"),
            json!(other),
            "run-migrations",
            "containers[0].image is \"host.example/job@sha256:cdcd",
        ),
        (
            format!("{container}/command"),
            json!(["/x"]),
            "run-migrations",
            "containers[0].command is [\"/x\"]",
        ),
        (
            format!("{container}/args/1"),
            json!("base"),
            "run-migrations",
            "containers[0].args[1] is \"base\", not \"head\"",
        ),
        (format!("{container}/env/0/value"), json!("x"), "run-migrations", "containers[0].env[0]"),
        (
            "/metadata/annotations/run-migrations~1revision".to_owned(),
            json!("base"),
            "run-migrations",
            "is \"base\", not \"head\"",
        ),
        (
            "/spec/template/spec/serviceAccountName".to_owned(),
            json!("admin"),
            "run-migrations",
            "is \"admin\", not",
        ),
        (
            "/metadata/labels/team".to_owned(),
            json!("site"),
            "kubectl-create",
            "manager is \"kubectl-create\", not \"run-migrations\"",
        ),
    ] {
        let api = Api::start(vec![], succeed);
        let mut planted = job(&api, "");
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match (planted.pointer_mut(parent).unwrap(), key.parse::<usize>()) {
            (Value::Array(items), Ok(index)) => items[index] = value,
            (parent, _) => parent[key.replace("~1", "/")] = value,
        }
        let name = planted["metadata"]["name"].as_str().unwrap().to_owned();
        api.create(&name, &planted, manager);
        for words in ["", "--detach"] {
            let out = run(&api, words).exited(1).said(&[
                "is under way and is not this run: ",
                said,
                "nothing was started",
                &format!("kubectl get job {name} --namespace site --show-managed-fields"),
            ]);
            assert_eq!(out.stdout, "", "{pointer}");
        }
        assert_eq!((api.count("POST "), api.count("DELETE "), api.count("/log")), (0, 0, 0), "{pointer}");
        // Of a finished one nothing is believed either way.
        api.condition(&name, "Complete", "CompletionsReached", "");
        run(&api, "").exited(0).printed(&whole_report()).said(&["in the place of a finished one"]);
    }
}

/// What an admission rule put in the place of the image ran with the database's password.
#[test]
fn a_job_that_the_cluster_changes_is_deleted_before_it_is_followed() {
    let fault = Fault::Admit {
        pointer: "/spec/template/spec/containers/0/image",
        value: "\"mirror.example/job:latest\"",
    };
    let api = Api::start(vec![Rule { on: "POST ", times: 1, fault }], succeed);
    let out = run(&api, "").exited(1).said(&[
        "the cluster changed the Job migrate-upgrade-",
        "containers[0].image is \"mirror.example/job:latest\", not \"host.example/job@sha256:",
        "it was deleted at once",
        "kubectl get mutatingwebhookconfigurations",
    ]);
    assert_eq!(out.stdout, "");
    assert_eq!((api.count("DELETE "), api.count("/log")), (1, 0));
    assert!(api.job_names().is_empty());
}

/// Puts a pod that runs something else, and names the Job as its controller, beside or in the place of the Job's own.
fn plant(api: &Api, job: &str) -> String {
    let planted = api.pod(job, "planted");
    api.change("pods", &planted, |pod| {
        pod["spec"]["containers"][0]["image"] = json!("busybox");
        pod["spec"]["containers"][0]["command"] = json!(["sh", "-c", "echo done"]);
    });
    api.log(&planted, "done: 99 migrations; the database is at 99 (head)");
    planted
}

const CLAIMS: &str = "-planted claims to belong to this Job and does not run what was asked for: ";

/// xtask deleted the Job as soon as it saw such a pod, in the middle of the migration, and called one that had gone well
/// a failure.
#[test]
fn a_pod_that_somebody_planted_has_no_say() {
    let before = |api: &Api, job: &str| {
        let planted = plant(api, job);
        api.running(&planted);
        succeed(api, job);
    };
    let amid = |api: &Api, job: &str| {
        let pod = api.pod(job, "a");
        api.running(&pod);
        api.log(&pod, REPORT[0]);
        soon();
        let planted = plant(api, job);
        api.end(&planted, 5, "Error", &failed(5, "forged"));
        soon();
        for line in &REPORT[1..] {
            api.log(&pod, line);
        }
        api.end(&pod, 0, "Completed", &verdict());
        soon();
        api.condition(job, "Complete", "CompletionsReached", "");
    };
    let after = |api: &Api, job: &str| {
        let pod = api.pod(job, "a");
        api.running(&pod);
        for line in REPORT {
            api.log(&pod, line);
        }
        api.end(&pod, 0, "Completed", &verdict());
        api.condition(job, "Complete", "CompletionsReached", "");
        let planted = plant(api, job);
        api.end(&planted, 5, "Error", &failed(5, "forged"));
    };
    for story in [before as fn(&Api, &str), amid, after] {
        let api = Api::start(vec![], story);
        let out = run(&api, "").exited(0).printed(&whole_report());
        assert!(out.stderr.matches(CLAIMS).count() <= 1, "{}", out.stderr);
        assert_eq!((api.count("DELETE "), api.count("-planted/log")), (0, 0), "{}", out.stderr);
    }
}

/// The Job counts such a pod, and may be complete by it alone.
#[test]
fn where_only_a_planted_pod_ended_nothing_is_known() {
    for by_the_controller in [false, true] {
        let story = move |api: &Api, job: &str| {
            let planted = plant(api, job);
            if by_the_controller {
                api.change("pods", &planted, |pod| {
                    pod["metadata"]["managedFields"] = json!([{"manager": "kube-controller-manager",
                        "operation": "Update", "fieldsV1": {"f:spec": {"f:containers": {}}}}]);
                });
            }
            api.running(&planted);
            soon();
            api.end(&planted, 0, "Completed", &verdict());
            api.condition(job, "Complete", "CompletionsReached", "");
        };
        let api = Api::start(vec![], story);
        let who =
            if by_the_controller { "an admission rule of the cluster changed the job's pod" } else { CLAIMS };
        let out = run(&api, "").exited(1).said(&[
            "the Job finished without a pod that ran what was asked for, so nothing is known of this run: ",
            who,
            "is \"busybox\", not \"host.example/job@sha256:",
            "see where the database is with `current`",
        ]);
        assert_eq!(out.stdout, "");
        assert_eq!((api.count("DELETE "), api.count("/log")), (0, 0), "its words are not shown");
    }
}

#[test]
fn a_pod_with_the_labels_alone_is_not_the_jobs() {
    let api = Api::start(vec![], |api, job| {
        for (suffix, owner) in [
            ("none", json!([])),
            ("owned", json!({"controller": false})),
            ("set", json!({"kind": "ReplicaSet"})),
            ("other", json!({"uid": "other"})),
        ] {
            let planted = api.pod(job, suffix);
            api.change("pods", &planted, |pod| match owner.as_object() {
                Some(fields) => {
                    for (key, value) in fields {
                        pod["metadata"]["ownerReferences"][0][key] = value.clone();
                    }
                }
                None => pod["metadata"]["ownerReferences"] = owner,
            });
            api.log(&planted, "done: 99 migrations; the database is at 99 (head)");
            api.end(&planted, 5, "Error", &verdict());
        }
        succeed(api, job);
    });
    run(&api, "").exited(0).printed(&whole_report());
}

/// The first of the statuses was taken where none was called `migrate`; kubelet sorts them by name.
#[test]
fn what_stands_beside_the_job_has_no_say() {
    let api = Api::start(vec![], |api, job| {
        let pod = api.pod(job, "a");
        api.change("pods", &pod, |pod| {
            let beside = json!({"name": "agent", "image": "agent"});
            pod["spec"]["containers"].as_array_mut().unwrap().insert(0, beside);
        });
        api.running(&pod);
        for line in REPORT {
            api.log(&pod, line);
        }
        api.end(&pod, 0, "Completed", &verdict());
        api.change("pods", &pod, |pod| {
            let message = json!({"exit_code": 6, "message": "forged"}).to_string();
            let state = json!({"terminated": {"exitCode": 6, "reason": "Error", "message": message}});
            let status = json!({"name": "agent", "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": state});
            pod["status"]["containerStatuses"].as_array_mut().unwrap().insert(0, status);
        });
        api.condition(job, "Complete", "CompletionsReached", "");
    });
    run(&api, "").exited(0).printed(&whole_report());
    assert!(api.count("container=migrate") > 0 && api.count("container=agent") == 0, "{:?}", api.requests());
}

#[test]
fn another_digest_on_the_node_is_told() {
    let api = Api::start(vec![], |api, job| {
        let pod = api.pod(job, "a");
        for line in REPORT {
            api.log(&pod, line);
        }
        api.end(&pod, 0, "Completed", &verdict());
        api.change("pods", &pod, |pod| {
            let other = format!("host.example/job@sha256:{}", "cd".repeat(32));
            pod["status"]["containerStatuses"][0]["imageID"] = json!(other);
        });
        api.condition(job, "Complete", "CompletionsReached", "");
    });
    let out = run(&api, "").exited(0).said(&["which is not the digest that was asked for"]);
    assert_eq!(out.stderr.matches("not the digest").count(), 1, "{}", out.stderr);
    assert!(!out.stderr.contains(&format!("the image \"host.example/job@{DIGEST}")));
}

#[test]
fn a_dry_run_tells_what_the_cluster_would_change() {
    let fault = Fault::Admit { pointer: "/spec/template/spec/hostNetwork", value: "true" };
    let api = Api::start(vec![Rule { on: "POST ?dryRun", times: 1, fault }], succeed);
    run(&api, "--dry-run=server").exited(1).said(&["the cluster changes the Job", "hostNetwork is true"]);
    run(&api, "--dry-run=server").exited(0).said(&["the API server accepts it"]);
}

#[test]
fn a_fleet_attaches_to_its_own_jobs_alone() {
    let api = Api::start(vec![], succeed);
    let path =
        std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("strangers-{}.yaml", api.port));
    std::fs::write(
        &path,
        "- {name: a, host: h, database: d, secretRef: s}\n- {name: b, host: h, database: d, secretRef: t}\n",
    )
    .unwrap();
    let words = format!("--fleet {} --max-failed 2", path.display());
    let out = run(&api, &format!("{words} --dry-run")).exited(0);
    let first = out.stdout.trim_start_matches("---\n").split("\n---\n").next().unwrap();
    let mut planted: Value = serde_yaml::from_str(first).unwrap();
    planted["spec"]["template"]["spec"]["containers"][0]["image"] = json!("busybox");
    api.create(planted["metadata"]["name"].as_str().unwrap(), &planted, "run-migrations");
    let out = run(&api, &words).exited(1);
    assert!(out.stdout.contains("a  failed (1): the Job migrate-upgrade-"), "{}", out.stdout);
    assert!(out.stdout.contains("is not this run: "), "{}", out.stdout);
    assert!(out.stdout.contains("b  at 2 (head)"), "{}", out.stdout);
    assert_eq!((api.count("POST "), api.count("DELETE ")), (1, 0));
}
