//! cargo, started from a program that cargo started.

use std::process::Command;

use crate::project::Project;

/// cargo at the root of the checkout, without what `cargo run` has set for us: build scripts such as ring's look at
/// these variables, so the same crates would be compiled once from inside xtask and once from outside.
pub fn command(project: &Project) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(project.root());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_ours_alone) {
            command.env_remove(name);
        }
    }
    command
}

fn is_ours_alone(name: &str) -> bool {
    ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || ["CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_user_has_set_stays() {
        for (name, ours) in [
            ("CARGO_PKG_NAME", true),
            ("CARGO_MANIFEST_DIR", true),
            ("CARGO_TARGET_DIR", false),
            ("CARGO_HOME", false),
            ("RUSTFLAGS", false),
        ] {
            assert_eq!(super::is_ours_alone(name), ours, "{name}");
        }
    }
}
