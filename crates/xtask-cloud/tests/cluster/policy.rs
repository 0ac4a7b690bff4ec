//! k8s/admission against the real API server, as the identity of the release: which Jobs it may create. Every Job is
//! created as a dry run, which goes through all of admission and runs nothing.

use serde_json::{Value, json};

use crate::attacks::{CONTAINER, POD, attacks, secrets_of_others};
use crate::support::admission::Admission;

/// Everything that `create jobs` was enough for: whoever had the Role of k8s/release could read every Secret and token of
/// the namespace in the log of a Job of their own, or send the password to a server of theirs.
#[test]
fn a_job_that_is_not_the_releases_is_refused() {
    let admission = Admission::new("policy");
    let steals = with(admission.job(), &[(&format!("{CONTAINER}/envFrom"), secrets_of_others())]);
    let admitted = admission.create(&steals);
    assert_eq!(admitted, "", "the Role alone admits it, which is what the policy is for");
    admission.apply();

    let mut failures = Vec::new();
    for (attack, changes, said) in attacks() {
        let answer = admission.create(&with(admission.job(), &changes));
        if !answer.contains("ValidatingAdmissionPolicy") || !answer.contains(said) {
            failures.push(format!("{attack}: {said:?} is not in {answer:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_jobs_of_a_release_are_admitted() {
    let admission = Admission::new("admitted");
    admission.apply();
    for words in [
        "upgrade head",
        "upgrade 20260608081522 --plan",
        "current --check",
        "history base:head",
        "downgrade base",
    ] {
        assert_eq!(admission.create(&admission.job_with(words)), "", "{words}");
    }
    for (what, changes) in [
        (
            "another kind of node",
            vec![(POD.to_owned() + "/nodeSelector/kubernetes.io~1arch", json!("arm64"))],
        ),
        ("a queue's suspension", vec![("/spec/suspend".to_owned(), json!(true))]),
        ("a group for key files", vec![(POD.to_owned() + "/securityContext/fsGroup", json!(65532))]),
        ("more memory", vec![(CONTAINER.to_owned() + "/resources/limits/memory", json!("1Gi"))]),
    ] {
        let changes: Vec<_> =
            changes.iter().map(|(pointer, value)| (pointer.as_str(), value.clone())).collect();
        assert_eq!(admission.create(&with(admission.job(), &changes)), "", "{what}");
    }
    // A fleet's: another Secret and another host, once they are among the names.
    let other = with(
        admission.job(),
        &[
            (&format!("{CONTAINER}/env/0/value"), json!("eu.example.internal")),
            (&format!("{CONTAINER}/env/4/valueFrom/secretKeyRef/name"), json!("shop-eu")),
            (&format!("{CONTAINER}/env/5/valueFrom/secretKeyRef/name"), json!("shop-eu")),
        ],
    );
    assert!(admission.create(&other).contains("denied request"));
    admission.name("secrets", "run-migrations shop-eu");
    let environment = admission.parameter("environment") + "POSTGRES_HOST=eu.example.internal\n";
    admission.name("environment", &environment);
    admission.await_admitted(&other);
}

/// What an administrator leaves out is not for a release to ask, and without the names nothing is.
#[test]
fn the_names_decide() {
    let admission = Admission::new("names");
    admission.apply();
    admission.name("commands", "upgrade current");
    admission.await_refused(&admission.job_with("downgrade base"), "one of the commands upgrade current");
    assert_eq!(admission.create(&admission.job_with("upgrade head")), "");
    admission.forget_names();
    admission.await_refused(&admission.job(), "no params found");
}

/// Sets each field that a JSON pointer names; null takes it out, and an index past the end appends.
fn with(mut job: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/");
        match (job.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}")), value) {
            (Value::Array(items), value) => match key.parse::<usize>().unwrap() {
                index if index == items.len() => items.push(value.clone()),
                index => items[index] = value.clone(),
            },
            (parent, Value::Null) => drop(parent.as_object_mut().unwrap().remove(&key)),
            (parent, value) => parent[key] = value.clone(),
        }
    }
    job
}
