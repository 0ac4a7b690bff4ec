//! What is typed after `test`.

/// Run the tests
///
/// Starts a PostgreSQL for them, from this machine or from PyPI, and removes it at the end. Needs no root and changes
/// nothing outside of target/. What is left out is named at the end; `--all` runs that too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask test                    what needs no Docker
  cargo xtask test revision           the tests with `revision` in their name
  cargo xtask test --all --install    everything, on a machine that may lack some of it (Debian, Ubuntu)
  cargo xtask test --faults           the fault campaign: some minutes, a table at the end
  cargo xtask test --faults --long --only kill:run    kill it at every message of one kind of run
  cargo xtask test --kubernetes       end to end, in the cluster of the kubeconfig
  cargo xtask test --kubernetes --image registry.example/run-migrations@sha256:… eviction

Environment: CARGO_TARGET_DIR, RUST_BACKTRACE and RUST_TEST_THREADS as cargo and the tests read them; with --all
DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_TLS_VERIFY and XDG_RUNTIME_DIR as the docker CLI does; with \
--kubernetes KUBECONFIG as kubectl does, and the PostgreSQL that pods and this machine reach: POSTGRES_HOST, POSTGRES_PORT \
(5432), POSTGRES_DB (postgres), POSTGRES_USER (a role with CREATEDB), POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE. Without \
POSTGRES_HOST one is started for kind, and for --host-network.

The tests get TEST_POSTGRES_HOST, _PORT, _USER, _PASSWORD, _SOCKET_DIR, _CA, _BIN and _DB, TEST_CLUSTER_ID, _IMAGE, \
_HOST_NETWORK, _POSTGRES_HOST and _POSTGRES_PORT, TEST_ECR, TEST_ECR_PYTHON, TEST_AWS_BIN and TEST_ACT_BIN from here.")]
pub struct Arguments {
    /// Also run the tests that need a Docker daemon
    #[arg(long)]
    pub all: bool,
    /// First install what is missing with apt-get (and sudo)
    #[arg(long)]
    pub install: bool,
    /// Run the fault campaign instead: the job is killed, cut off and crowded out at every moment there is
    #[arg(long, conflicts_with_all = ["all", "filters"])]
    pub faults: bool,
    /// --faults: which of the moments are tried
    #[arg(long, value_name = "N", default_value_t = 1, requires = "faults")]
    pub seed: u64,
    /// --faults: some thousand of the moments; with --only KIND all there are
    #[arg(long, requires = "faults")]
    pub long: bool,
    // No documentation, in which rustdoc would look for links.
    #[arg(
        long,
        help = "--faults: only a part, as KIND[:SCENARIO[:MOMENT[:SERVER]]]",
        value_name = "PART",
        default_value = "",
        hide_default_value = true,
        requires = "faults"
    )]
    pub only: String,
    #[command(flatten)]
    pub kubernetes: ClusterTestFlags,
    /// Only tests with one of these words in their name
    #[arg(value_name = "FILTER")]
    pub filters: Vec<String>,
}

/// Where the suite runs.
#[derive(Debug, clap::Args)]
pub struct ClusterTestFlags {
    /// Run the end-to-end suite instead, in the cluster of the kubeconfig: its own namespaces and databases, gone at the
    /// end. It takes the rights of an administrator
    #[arg(long, conflicts_with_all = ["all", "faults"])]
    pub kubernetes: bool,
    /// --kubernetes: what the pods run, where the nodes don't see the image that is built here (into kind it is loaded):
    /// registry/repository@sha256:…, or the name of one that was loaded
    #[arg(long, value_name = "IMAGE", requires = "kubernetes")]
    pub image: Option<String>,
    /// --kubernetes: the pods share the network of their node
    #[arg(long, requires = "kubernetes")]
    pub host_network: bool,
    /// --kubernetes: where pods find the PostgreSQL, if they don't at POSTGRES_HOST and POSTGRES_PORT
    #[arg(long, value_name = "HOST:PORT", requires = "kubernetes")]
    pub postgres: Option<String>,
}
