//! Everything a workflow finds: a tree with its origin, GitHub, ECR, a cluster with a database.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::support::emulator::{Repository, address};
use crate::support::tree::Tree;
use crate::support::{Run, run};

/// All of them; act finds a called one beside its caller.
const WORKFLOWS: [&str; 5] = ["ci", "gate", "release", "rollback", "tag"];

/// The workflows' own repository. To act its actions are another's, whatever the tree has checked out.
const OWN: &str = "site/run-migrations";

const CI: &str = "site/run-migrations/.github/workflows/ci.yml";

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) tree: Tree,
    pub(crate) repository: Repository,
    /// What main's `.github/delivery.env` says.
    settings: BTreeMap<&'static str, String>,
    /// Variables of the repository, which whoever may write to it sets.
    pub(crate) variables: BTreeMap<&'static str, &'static str>,
    /// Of the repository on GitHub.
    pub(crate) visibility: &'static str,
    database: String,
    cluster: Child,
    port: String,
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run this with `cargo xtask test`"))
}

fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

/// A program of the workspace, which cargo puts beside the one it builds for these tests. `cargo test --workspace` builds
/// the job too; what needs `xtask-dev` builds it.
pub(crate) fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_xtask-cloud")).with_file_name(name)
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workflows")
}

impl Stage {
    pub(crate) fn set(test: &str) -> Self {
        let tree = Tree::copy();
        for name in WORKFLOWS {
            let path = tree.root().join(format!(".github/workflows/{name}.yml"));
            // act does not know this key yet, and refuses the whole file; nor this name of the repository itself.
            let text = std::fs::read_to_string(&path).unwrap().replace("queue: max", "");
            let text = text.replace("$/.github/actions/gated", &format!("{OWN}/gated@main"));
            let text = text.replace("$/", "./");
            std::fs::write(&path, text).unwrap();
        }
        // For a checkout of the very ref that it runs at act copies the tree, which has not all that is at the origin.
        tree.replace(".github/workflows/gate.yml", "ref: refs/heads/main", "ref: ${{ 'refs/heads/main' }}");
        // What cargo would build from these sources is what it has just built for this test.
        tree.replace(".cargo/config.toml", "run --package xtask --", "built-xtask");
        let shim = format!(
            "shift\necho \"$GITHUB_JOB: $*\" >> \"$GH_STATE/tasks\"\n\
             if test -x \"$GH_STATE/../bin/instead-of-$1\"; then exec \"$GH_STATE/../bin/instead-of-$1\" \"$@\"; fi\n\
             case $1 in lint|test|bench) exec {} \"$@\" ;; esac\n\
             exec {} \"$@\"",
            program("xtask-dev").display(),
            program("xtask-cloud").display()
        );
        tree.scratch.program("cargo-built-xtask", &shim);
        tree.commit("Prepare for act");
        std::fs::create_dir_all(tree.github()).unwrap();
        let database = format!("workflows_{test}_{}", std::process::id());
        psql("postgres", &format!("CREATE DATABASE {database}"));
        let (cluster, port) = start(&tree, &database);
        let repository = Repository::created(&format!("workflow-{test}"), "MUTABLE");
        let settings = [
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ROLE_READER", "arn:aws:iam::123456789012:role/reader"),
            ("AWS_ROLE_PUSHER", "arn:aws:iam::123456789012:role/pusher"),
            ("AWS_ROLE_PROMOTER", "arn:aws:iam::123456789012:role/promoter"),
            ("AWS_ROLE_DEPLOYER", "arn:aws:iam::123456789012:role/deployer"),
            ("ECR_REPOSITORY", &repository.0),
            ("DEPLOY", "kubernetes"),
            ("KUBERNETES_MANIFESTS", "crates/xtask-cloud/tests/workflows/job.yaml"),
        ];
        let settings = settings.map(|(key, value)| (key, value.to_owned())).into();
        let variables = BTreeMap::new();
        let stage =
            Self { tree, repository, settings, variables, visibility: "private", database, cluster, port };
        stage.commit_settings();
        stage
    }

    /// Changes what a release goes by, on main.
    pub(crate) fn set_delivery(&mut self, key: &'static str, value: &str) {
        self.settings.insert(key, value.to_owned());
        self.commit_settings();
    }

    fn commit_settings(&self) {
        let lines: String = self.settings.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        std::fs::write(self.tree.root().join(".github/delivery.env"), lines).unwrap();
        self.tree.commit("Say what a release goes by");
    }

    /// From now on a task of xtask is this script, which finds its words as `$@`.
    pub(crate) fn instead(&self, task: &str, script: &str) {
        self.tree.scratch.program(&format!("instead-of-{task}"), script);
    }

    /// Puts an image with this tree's identity into ECR, as ci.yml would have, attested.
    pub(crate) fn push_from_ci(&self) -> String {
        let out = run(&mut self.tree.xtask("push-image --dry-run", "127.0.0.1:9")).succeeded();
        let identity = out.stderr.trim().rsplit("identity ").next().unwrap().to_owned();
        let commit = self.tree.git(&["rev-parse", "HEAD"]);
        let digest = self.repository.image_of(&commit, &identity, "linux/amd64", identity.as_bytes());
        let line = json!({"digest": digest, "workflow": CI, "ref": "refs/heads/main", "commit": commit});
        std::fs::write(self.tree.github().join("attestations.json"), format!("{line}\n")).unwrap();
        digest
    }

    pub(crate) fn tag(&self, tag: &str) {
        self.tree.git(&["tag", "--annotate", tag, "--message", tag]);
        self.tree.git(&["push", "--quiet", "origin", tag]);
    }

    /// As GitHub would after the push of a tag: the tree's tag.yml runs, and what it starts.
    pub(crate) fn push_event(&self, tag: &str) -> Run {
        let pushed = self.push_tag(tag);
        let started = self.github("dispatches");
        if started.is_empty() {
            return pushed;
        }
        let started: serde_json::Value = serde_json::from_str(&started).unwrap();
        assert_eq!(started["workflow"], "release.yml");
        self.dispatch_at(started["ref"].as_str().unwrap(), "release", &started["inputs"])
    }

    /// What the tree's tag.yml alone does.
    pub(crate) fn push_tag(&self, tag: &str) -> Run {
        let _ = std::fs::remove_file(self.tree.github().join("dispatches"));
        self.act("push", "tag", &json!({"ref": format!("refs/tags/{tag}")}), &[])
    }

    /// By hand, from main.
    pub(crate) fn dispatch(&self, workflow: &str, inputs: &serde_json::Value) -> Run {
        self.dispatch_at("refs/heads/main", workflow, inputs)
    }

    /// By hand, at a branch or a tag, whose copy of the workflow is the tree's here.
    pub(crate) fn dispatch_at(&self, reference: &str, workflow: &str, inputs: &serde_json::Value) -> Run {
        self.act("workflow_dispatch", workflow, &json!({"ref": reference, "inputs": inputs}), &[])
    }

    /// What xtask does, as a line of a script that stands in for a task.
    pub(crate) fn real(&self) -> String {
        format!("{} \"$@\"", program("xtask-cloud").display())
    }

    /// Lets ci.yml push without waiting for its other jobs.
    pub(crate) fn push_at_once(&self) {
        let needs = "    needs: [lint, dependencies, test, image, kubernetes, delivery]\n    runs-on";
        self.tree.replace(".github/workflows/ci.yml", needs, "    needs: delivery\n    runs-on");
        self.tree.commit("Push at once");
    }

    /// One job of ci.yml, as after a push to main.
    pub(crate) fn ci_job(&self, job: &str) -> Run {
        self.act("push", "ci", &json!({"ref": "refs/heads/main"}), &["--job", job])
    }

    /// All of ci.yml, after a push to main.
    pub(crate) fn ci_of_main(&self) -> Run {
        self.act("push", "ci", &json!({"ref": "refs/heads/main"}), &[])
    }

    /// All of ci.yml, for a pull request.
    pub(crate) fn ci_of_pull_request(&self) -> Run {
        self.act("pull_request", "ci", &json!({"number": 1, "pull_request": {"number": 1}}), &[])
    }

    fn act(&self, event: &str, workflow: &str, payload: &serde_json::Value, more: &[&str]) -> Run {
        let origin = self.tree.git(&["remote", "get-url", "origin"]);
        let mut payload = payload.clone();
        payload["repository"] = json!({"full_name": "site/run-migrations", "visibility": self.visibility});
        let payload = self.tree.scratch.write("event.json", &payload.to_string());
        self.tree.git(&["remote", "set-url", "origin", "https://github.com/site/run-migrations.git"]);
        let like = self.tree.xtask("", &address());
        let mut act = Command::new(format!("{}/act", variable("TEST_ACT_BIN")));
        for (name, value) in like.get_envs() {
            match value {
                Some(value) => act.env(name, value),
                None => act.env_remove(name),
            };
        }
        for name in [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_REGION",
            "GITHUB_REPOSITORY",
            "CARGO_MANIFEST_DIR",
        ] {
            act.env_remove(name);
        }
        let kubeconfig = format!(
            "{{apiVersion: v1, kind: Config, current-context: c, clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{}'}}}}], \
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}], users: [{{name: u, user: {{}}}}]}}",
            self.port
        );
        act.current_dir(self.tree.root())
            .env("KUBECONFIG", self.tree.scratch.write("kubeconfig", &kubeconfig))
            .env("TEST_ORIGIN", &origin)
            .env("TEST_TARGET", target())
            // What a release has to compile is the same as here.
            .env("CARGO_TARGET_DIR", target())
            .env("IMAGE", "run-migrations-test-workflow")
            .args([event, "--eventpath", &payload.to_string_lossy()])
            .args([
                "--workflows",
                &format!(".github/workflows/{workflow}.yml"),
                "--no-cache-server",
                "--action-offline-mode",
            ])
            .args(["-P", "ubuntu-latest=-self-hosted", "-P", "self-hosted=-self-hosted"])
            .args(["--artifact-server-addr", "127.0.0.1", "--cache-server-addr", "127.0.0.1"]);
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.github/actions");
        act.args(["--local-repository", &format!("{OWN}@main={}", own.display())]);
        for action in self.actions() {
            let name = action.split(['/', '@']).nth(1).unwrap();
            act.args([
                "--local-repository",
                &format!("{action}={}", here().join("actions").join(name).display()),
            ]);
        }
        for (name, value) in &self.variables {
            act.args(["--var", &format!("{name}={value}")]);
        }
        let out = run(act.args(more));
        self.tree.git(&["remote", "set-url", "origin", &origin]);
        out
    }

    /// Those of other repositories that the workflows use, as they name them.
    fn actions(&self) -> BTreeSet<String> {
        let path = |name: &str| self.tree.root().join(format!(".github/workflows/{name}.yml"));
        let texts = WORKFLOWS.map(|name| std::fs::read_to_string(path(name)).unwrap());
        let used = texts.iter().flat_map(|text| text.lines());
        let used = used
            .filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("uses: ")?.split(' ').next());
        used.filter(|action| !action.starts_with("./") && !action.starts_with(OWN))
            .map(str::to_owned)
            .collect()
    }

    /// A file of what GitHub would know; empty where it knows nothing.
    pub(crate) fn github(&self, path: &str) -> String {
        std::fs::read_to_string(self.tree.github().join(path)).unwrap_or_default()
    }

    /// What the database says.
    pub(crate) fn query(&self, sql: &str) -> String {
        psql(&self.database, sql)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.cluster.kill();
        let _ = self.cluster.wait();
        psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.database));
    }
}

fn start(tree: &Tree, database: &str) -> (Child, String) {
    let mut cluster = Command::new(variable("TEST_ECR_PYTHON"))
        .arg(here().join("cluster.py"))
        .env("JOB", program("run-migrations"))
        .env("MIGRATIONS_DIR", tree.root().join("migrations"))
        .env("STARTED", tree.github().join("jobs"))
        .env("POSTGRES_DB", database)
        .envs(
            ["HOST", "PORT", "USER", "PASSWORD"]
                .map(|name| (format!("POSTGRES_{name}"), variable(&format!("TEST_POSTGRES_{name}")))),
        )
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(cluster.stdout.take().unwrap()).read_line(&mut port).unwrap();
    (cluster, port.trim().to_owned())
}

fn psql(database: &str, sql: &str) -> String {
    let out = run(Command::new(format!("{}/psql", variable("TEST_POSTGRES_BIN")))
        .args(["-X", "-At", "-d", database, "-c", sql])
        .env("PGHOST", variable("TEST_POSTGRES_HOST"))
        .env("PGPORT", variable("TEST_POSTGRES_PORT"))
        .env("PGUSER", variable("TEST_POSTGRES_USER"))
        .env("PGPASSWORD", variable("TEST_POSTGRES_PASSWORD")));
    out.succeeded().stdout.trim().to_owned()
}
