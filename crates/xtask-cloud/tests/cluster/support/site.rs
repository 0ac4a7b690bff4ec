//! A site of one test: namespace, Secret, database, and an overlay of k8s/base that leads from one to the other.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::await_some;
use super::outcome::{Run, wait};
use super::programs::{Held, kubectl, output, query, setting};

/// What the namespaces and databases of one run of the suite have in their names.
fn id() -> String {
    setting("TEST_CLUSTER_ID")
}

#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) namespace: String,
    pub(crate) database: String,
    directory: PathBuf,
}

impl Site {
    pub(crate) fn new(test: &str) -> Self {
        Self::with(test, &[])
    }

    /// With changes to the Job, as a JSON patch has them.
    pub(crate) fn with(test: &str, patch: &[Value]) -> Self {
        let namespace = format!("run-migrations-test-{}-{test}", id());
        let standard = if is_on_host_network() { "privileged" } else { "restricted" };
        namespaced(&namespace, standard);
        let database = create_database(test);
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(&namespace);
        let site = Self { namespace, database, directory };
        site.create_secret("run-migrations");
        site.write_overlay(patch);
        // As docs/cluster.md has it.
        let overlay = site.directory.display().to_string();
        site.kubectl(&["apply", "-k", &overlay, "--selector", "app.kubernetes.io/component=setup"]);
        site
    }

    /// With the password of the role that makes databases, which never stands in an argument.
    pub(crate) fn create_secret(&self, name: &str) {
        let user = format!("--from-literal=username={}", setting("TEST_POSTGRES_USER"));
        let mut create = kubectl(&self.namespace);
        create.args(["create", "secret", "generic", name, "--type", "kubernetes.io/basic-auth", &user]);
        output(create.arg("--from-file=password=/dev/stdin"), &setting("TEST_POSTGRES_PASSWORD"));
    }

    fn write_overlay(&self, patch: &[Value]) {
        let base = self.directory.join("base");
        std::fs::create_dir_all(&base).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/base");
        for file in std::fs::read_dir(source).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), base.join(file.file_name())).unwrap();
        }
        let (host, port) = address();
        let pod = "/spec/template/spec";
        let add =
            |path: &str, value: Value| json!({"op": "add", "path": format!("{pod}/{path}"), "value": value});
        let variable =
            |name: &str, value: &str| add("containers/0/env/-", json!({"name": name, "value": value}));
        let image = setting("TEST_CLUSTER_IMAGE");
        let policy = if image.contains('@') { "IfNotPresent" } else { "Never" };
        let mut job = vec![
            variable("POSTGRES_HOST", &host),
            variable("POSTGRES_PORT", &port),
            variable("POSTGRES_DB", &self.database),
            add("containers/0/image", json!(image)),
            add("containers/0/imagePullPolicy", json!(policy)),
            add("hostNetwork", json!(is_on_host_network())),
        ];
        job.extend_from_slice(patch);
        let port = port.parse::<u16>().unwrap();
        let port = json!([
            {"op": "replace", "path": "/spec/egress/1/ports/0/port", "value": port},
            // The server is wherever the one who runs the suite has it.
            {"op": "remove", "path": "/spec/egress/1/to"},
        ]);
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": ["base"],
            "patches": [
                {"target": {"kind": "Job"}, "patch": json!(job).to_string()},
                {"target": {"kind": "NetworkPolicy"}, "patch": port.to_string()},
            ],
        });
        std::fs::write(self.directory.join("kustomization.yaml"), kustomization.to_string()).unwrap();
    }

    /// The directory of the overlay.
    pub(crate) fn overlay(&self) -> &Path {
        &self.directory
    }

    /// `cargo xtask run-migrations --on kubernetes` with these words behind it; a later `--image` wins.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask-cloud"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["GITHUB_", "POSTGRES_", "KUBERNETES_", "IMAGE"].iter().any(|start| text.starts_with(start)) {
                command.env_remove(&name);
            }
        }
        command.args(["run-migrations", "--on", "kubernetes", "--namespace", &self.namespace, "--manifests"]);
        command.arg(&self.directory).args(words.split_whitespace());
        command.env("IMAGE", setting("TEST_CLUSTER_IMAGE")).env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, words: &str) -> Child {
        self.command(words).spawn().unwrap()
    }

    pub(crate) fn run(&self, words: &str) -> Run {
        wait(self.start(words))
    }

    #[track_caller]
    pub(crate) fn kubectl(&self, words: &[&str]) -> String {
        output(kubectl(&self.namespace).args(words), "")
    }

    /// Applies an object.
    #[track_caller]
    pub(crate) fn apply(&self, object: &Value) {
        output(kubectl(&self.namespace).args(["apply", "-f", "-"]), &object.to_string());
    }

    #[track_caller]
    pub(crate) fn query(&self, sql: &str) -> String {
        query(&self.database, sql)
    }

    /// How many migrations are applied; none where there is no bookkeeping.
    #[track_caller]
    pub(crate) fn applied(&self) -> usize {
        let is_there = "SELECT count(*) FROM pg_class WHERE relname = '_sqlx_migrations'";
        let rows = "SELECT count(*) FROM _sqlx_migrations";
        if self.query(is_there) == "0" { 0 } else { self.query(rows).parse().unwrap() }
    }

    /// The Job as the overlay renders it.
    pub(crate) fn job(&self) -> Value {
        let rendered = self.kubectl(&["kustomize", &self.directory.display().to_string()]);
        let documents = serde_yaml::Deserializer::from_str(&rendered);
        let values = documents.map(|document| serde::Deserialize::deserialize(document).unwrap());
        values.into_iter().find(|value: &Value| value["kind"] == "Job").unwrap()
    }

    /// A Job that is deleted goes after its pods.
    #[track_caller]
    pub(crate) fn await_no_job(&self) {
        await_some("the end of the Job", || {
            self.kubectl(&["get", "jobs", "--output", "name"]).is_empty().then_some(())
        });
    }

    /// Keeps the job from getting further than its run lock.
    pub(crate) fn hold_run_lock(&self) -> Held {
        // The first eight bytes of SHA-384("run-migrations").
        const KEY: i64 = 0x664d_23dc_b454_22d2;
        Held::by(&self.database, &format!("SELECT pg_advisory_lock({KEY})"))
    }

    /// The pod whose job stands at the run lock, once there is one besides `other`.
    #[track_caller]
    pub(crate) fn await_pod_at_lock(&self, other: Option<&str>) -> String {
        let pods = [
            "get",
            "pods",
            "--field-selector",
            "status.phase=Running",
            "--output",
            "jsonpath={.items[*].metadata.name}",
        ];
        let pod = await_some("a pod that runs", || {
            let names = self.kubectl(&pods);
            names.split_whitespace().find(|name| Some(*name) != other).map(str::to_owned)
        });
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'run-migrations%' \
                        AND datname = current_database()";
        await_some("a session of the job", || (self.query(sessions) == "1").then_some(()));
        pod
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let mut delete = kubectl(&self.namespace);
        delete.args(["delete", "namespace", &self.namespace, "--wait=false"]);
        // The suite deletes what is left, and a test that has failed says why already.
        let _ = delete.output();
        let _ = std::fs::remove_dir_all(&self.directory);
        if !std::thread::panicking() {
            drop_database(&self.database);
        }
    }
}

/// How many migrations there are.
pub(crate) fn migrations() -> usize {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let files = std::fs::read_dir(directory).unwrap();
    files.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().ends_with(".up.sql")).count()
}

/// Where pods find the PostgreSQL.
pub(crate) fn address() -> (String, String) {
    (setting("TEST_CLUSTER_POSTGRES_HOST"), setting("TEST_CLUSTER_POSTGRES_PORT"))
}

fn is_on_host_network() -> bool {
    setting("TEST_CLUSTER_HOST_NETWORK") == "true"
}

pub(crate) fn namespaced(namespace: &str, standard: &str) {
    let object = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": {
            "run-migrations/test": id(),
            "pod-security.kubernetes.io/enforce": standard,
        }},
    });
    output(kubectl("default").args(["create", "-f", "-"]), &object.to_string());
    // Its controller makes the default ServiceAccount a moment later.
    let account = ["get", "serviceaccount", "default", "--ignore-not-found", "--output", "name"];
    await_some("the namespace's ServiceAccount", || {
        (!output(kubectl(namespace).args(account), "").is_empty()).then_some(())
    });
}

pub(crate) fn create_database(name: &str) -> String {
    let database = format!("run_migrations_test_{}_{}", id(), name.replace('-', "_"));
    query(&setting("TEST_POSTGRES_DB"), &format!("CREATE DATABASE {database}"));
    database
}

pub(crate) fn drop_database(database: &str) {
    query(&setting("TEST_POSTGRES_DB"), &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
}
