//! What is typed after `lint`.

/// Format and lint everything: Rust, SQL, TOML, shell, workflows, Dockerfile, manifests, documentation
///
/// Linters that do not come with Rust are installed from PyPI into target/python, in the versions and with the hashes
/// of xtask/tools/requirements.txt. Every check runs; one that has nothing to look at says so.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask lint          check, change nothing
  cargo xtask lint --fix    repair what can be repaired, report the rest

Environment: GITHUB_ACTIONS=true also prints findings as annotations, and writes the job's page; NO_COLOR and CLICOLOR_FORCE; CARGO_TARGET_DIR
and PIP_* as cargo and pip read them.")]
pub struct Arguments {
    /// Repair what the tools can repair
    #[arg(long)]
    pub fix: bool,
}
