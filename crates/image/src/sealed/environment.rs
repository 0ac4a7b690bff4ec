//! What a compiler of the image's binary gets to see of the environment.
//!
//! cargo, rustc, the C compiler, the linker and every build script read variables of their own, and nobody knows them
//! all. So everything is taken away but what says where programs, toolchains and downloads are, and how to report.

use std::process::Command;

const NAMES: [&str; 28] = [
    "ALL_PROXY",
    "CARGO_BUILD_JOBS",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLORTERM",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LOGNAME",
    "NO_COLOR",
    "NO_PROXY",
    "PATH",
    "RUSTUP_DIST_SERVER",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "RUSTUP_UPDATE_ROOT",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TERM",
    "TMPDIR",
    "USER",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// What the names of a family begin with: where crates and toolchains are downloaded from, and how progress is shown.
const FAMILIES: [&str; 6] =
    ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_TERM_", "RUSTUP_AUTO_"];

/// Leaves a program nothing of this environment that could shape what it builds.
pub fn scrub(command: &mut Command) -> &mut Command {
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_harmless)))
}

fn is_harmless(name: &str) -> bool {
    NAMES.contains(&name) || FAMILIES.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before, variables were hashed by a list, and each one that the list lacked changed the binary of an identity.
    #[test]
    fn only_what_is_known_to_be_harmless_gets_through() {
        for name in
            ["PATH", "HOME", "CARGO_HTTP_PROXY", "CARGO_REGISTRIES_OURS_TOKEN", "https_proxy", "no_proxy"]
        {
            assert!(is_harmless(name), "{name}");
        }
        for name in [
            "AR",
            "CARGO_BUILD_RUSTC_WRAPPER",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_INCREMENTAL",
            "CARGO_PROFILE_JOB_OPT_LEVEL",
            "CARGO_SOURCE_CRATES_IO_REPLACE_WITH",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
            "CARGO_UNSTABLE_BUILD_STD",
            "CC",
            "CFLAGS_x86_64_unknown_linux_gnu",
            "COMPILER_PATH",
            "CPATH",
            "CRATE_CC_NO_DEFAULTS",
            "C_INCLUDE_PATH",
            "GCC_EXEC_PREFIX",
            "HOST_CFLAGS",
            "LDFLAGS",
            "LD_LIBRARY_PATH",
            "LD_PRELOAD",
            "LIBRARY_PATH",
            "RING_PREGENERATE_ASM",
            "RUSTC",
            "RUSTC_BOOTSTRAP",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTFLAGS",
            "SOURCE_DATE_EPOCH",
            "TARGET_CFLAGS",
            // What only begins as a harmless name does.
            "PATH_OF_CC",
            "https_proxy_helper",
            "no_proxy_for",
        ] {
            assert!(!is_harmless(name), "{name}");
        }
    }
}
