//! A namespace with the rights of k8s/release for one identity, and k8s/admission for this namespace alone.

use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use super::await_some;
use super::outcome::wait;
use super::programs::{kubectl, output, setting};
use super::site::namespaced;

/// Those of k8s/admission and k8s/overlays/production.
pub(crate) const IMAGE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/run-migrations";
pub(crate) const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const NAMES: &str = "run-migrations-release";

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[derive(Debug)]
pub(crate) struct Admission {
    namespace: String,
}

impl Admission {
    pub(crate) fn new(test: &str) -> Self {
        let namespace = format!("run-migrations-test-{}-{test}", setting("TEST_CLUSTER_ID"));
        namespaced(&namespace, "restricted");
        let admission = Self { namespace };
        admission.kubectl(&["apply", "-k", &format!("{ROOT}/k8s/release")]);
        admission
    }

    #[track_caller]
    fn kubectl(&self, words: &[&str]) -> String {
        output(kubectl(&self.namespace).args(words), "")
    }

    /// Policies are the cluster's: they take the name of the namespace, and hold for it alone.
    pub(crate) fn apply(&self) {
        for mut object in rendered(&self.kubectl(&["kustomize", &format!("{ROOT}/k8s/admission")])) {
            if object["kind"] != "ConfigMap" {
                object["metadata"]["name"] = json!(self.namespace);
            }
            if object["kind"] == "ValidatingAdmissionPolicyBinding" {
                object["spec"]["policyName"] = json!(self.namespace);
                object["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"][0]["values"] =
                    json!([self.namespace]);
            }
            output(kubectl(&self.namespace).args(["apply", "-f", "-"]), &object.to_string());
        }
        let mut other = self.job();
        other["spec"]["template"]["spec"]["containers"][0]["image"] = json!("other");
        self.await_refused(&other, "the image must be");
        self.await_admitted(&self.job());
    }

    /// Sets one of the names that Jobs may use.
    pub(crate) fn name(&self, key: &str, value: &str) {
        let patch = json!({"data": {key: value}}).to_string();
        self.kubectl(&["patch", "configmap", NAMES, "--type", "merge", "--patch", &patch]);
    }

    pub(crate) fn parameter(&self, key: &str) -> String {
        let path = format!("jsonpath={{.data.{key}}}");
        self.kubectl(&["get", "configmap", NAMES, "--output", &path]) + "\n"
    }

    pub(crate) fn forget_names(&self) {
        self.kubectl(&["delete", "configmap", NAMES]);
    }

    /// What xtask makes of the production overlay.
    pub(crate) fn job(&self) -> Value {
        self.job_with("upgrade head")
    }

    pub(crate) fn job_with(&self, words: &str) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask-cloud"));
        command
            .args(["run-migrations", "--on", "kubernetes", "--dry-run", "--yes"])
            .args(["--namespace", &self.namespace, "--image", &format!("{IMAGE}@{DIGEST}"), "--manifests"])
            .arg("k8s/overlays/production")
            .args(words.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let out = wait(command.spawn().unwrap()).exited(0);
        serde_yaml::from_str(&out.stdout).unwrap()
    }

    /// What the API server says to this Job from the release's identity; nothing where it would make it.
    pub(crate) fn create(&self, job: &Value) -> String {
        let mut create = kubectl(&self.namespace);
        create.args(["create", "--dry-run=server", "--validate=false", "-f", "-"]);
        create.args(["--as", "release", "--as-group", "run-migrations-release"]);
        match super::programs::outcome(&mut create, &job.to_string()) {
            Ok(_) => String::new(),
            Err(said) => said,
        }
    }

    /// The API server hears of policies and their parameters a moment later.
    pub(crate) fn await_admitted(&self, job: &Value) {
        await_some("a Job that is admitted", || self.create(job).is_empty().then_some(()));
    }

    pub(crate) fn await_refused(&self, job: &Value, said: &str) {
        await_some(said, || self.create(job).contains(said).then_some(()));
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        // A test that has failed says why already.
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy", "namespace"] {
            let mut delete = kubectl(&self.namespace);
            delete.args(["delete", kind, &self.namespace, "--ignore-not-found", "--wait=false"]);
            let _ = delete.output();
        }
    }
}

fn rendered(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap()).collect()
}
