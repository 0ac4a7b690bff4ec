//! What is said of an image is true of it: the identity stands for what the job is built from and for nothing else, and
//! the bill of materials names what is in the binary.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::tree::Tree;
use crate::support::{Run, run};

fn identity(tree: &Tree) -> String {
    identified(&mut tree.xtask("push-image --dry-run", "127.0.0.1:9"))
}

fn identified(command: &mut Command) -> String {
    let out = run(command).succeeded();
    out.stderr.trim().rsplit("identity ").next().unwrap().to_owned()
}

/// One of the lines that a package has in the lock file, replaced.
pub(crate) fn relock(tree: &Tree, package: &str) {
    let file = tree.root().join("Cargo.lock");
    let text = std::fs::read_to_string(&file).unwrap();
    let at = text.find(&format!("name = \"{package}\"\n")).unwrap();
    let sum = at + text[at..].find("checksum = \"").unwrap() + "checksum = \"".len();
    let changed = format!("{}{}{}", &text[..sum], "0".repeat(64), &text[sum + 64..]);
    std::fs::write(file, changed).unwrap();
}

/// Before, all of Cargo.lock and of the root's manifest was hashed, so a new AWS SDK made a "new" job, as did a lint; and
/// what stands under `crates/` was not.
#[test]
fn an_identity_is_that_of_what_the_job_is_built_from() {
    let tree = Tree::copy();
    let append = |path: &str, text: &str| {
        let file = tree.root().join(path);
        let old = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, old + text).unwrap();
    };
    let commit = |what: &str| {
        tree.git(&["add", "--all"]);
        tree.git(&["commit", "--quiet", "--message", what]);
    };
    let reset = || tree.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    append("crates/more/Cargo.toml", "[package]\nname = \"more\"\nversion = \"0.0.0\"\nedition = \"2024\"\n");
    append("crates/more/src/lib.rs", "// A crate of the job.\n");
    append("Cargo.lock", "\n[[package]]\nname = \"more\"\nversion = \"0.0.0\"\n");
    tree.replace("Cargo.toml", "\n[dependencies]\n", "\n[dependencies]\nmore = { path = \"crates/more\" }\n");
    commit("Add a crate");
    let first = identity(&tree);
    let same: [(&str, &dyn Fn()); 14] = [
        ("a crate of xtask", &|| relock(&tree, "aws-sdk-ecr")),
        ("a crate of a driver that is not built", &|| relock(&tree, "libsqlite3-sys")),
        ("a crate of the tests", &|| relock(&tree, "tower-test")),
        ("xtask", &|| append("xtask/src/cli.rs", "// more\n")),
        ("a crate of the pipeline", &|| append("crates/registry/src/lib.rs", "// more\n")),
        ("xtask's manifest", &|| append("xtask/Cargo.toml", "# more\n")),
        ("a test", &|| append("tests/job/more.rs", "// more\n")),
        ("a test of a crate", &|| append("crates/more/tests/more.rs", "// more\n")),
        ("the README", &|| append("README.md", "more\n")),
        ("manifests", &|| append("k8s/base/job.yaml", "# more\n")),
        ("the alias", &|| append(".cargo/config.toml", "[build]\nrustflags = ['-Copt-level=0']\n")),
        ("another profile", &|| tree.replace("Cargo.toml", "[profile.dev]", "[profile.dev]\nopt-level = 1")),
        ("a lint", &|| tree.replace("Cargo.toml", "todo = \"warn\"", "todo = \"deny\"")),
        ("a file that is no script", &|| append("migrations/README.md", "more\n")),
    ];
    for (what, change) in same {
        change();
        commit(what);
        assert_eq!(identity(&tree), first, "{what}");
        reset();
    }
    let mut seen = BTreeSet::from([first]);
    let other: [(&str, &dyn Fn()); 12] = [
        ("a crate of the job", &|| relock(&tree, "sqlx-postgres")),
        ("a crate of its build scripts", &|| relock(&tree, "cc")),
        ("a crate of its macros", &|| relock(&tree, "syn")),
        ("the profile", &|| tree.replace("Cargo.toml", "opt-level = \"z\"", "opt-level = \"s\"")),
        ("features", &|| {
            tree.replace("Cargo.toml", "features = [\"fmt\", ", "features = [\"alloc\", \"fmt\", ");
        }),
        ("a script", &|| append("migrations/99990101000000_new.up.sql", "SELECT 1;\n")),
        ("a source", &|| append("src/main.rs", "// more\n")),
        ("a crate's source", &|| append("crates/more/src/lib.rs", "// more\n")),
        ("a crate's manifest", &|| append("crates/more/Cargo.toml", "[features]\nmore = []\n")),
        ("a build script", &|| append("build.rs", "fn main() {}\n")),
        ("the toolchain's file", &|| append("rust-toolchain.toml", "# more\n")),
        ("what packs", &|| append("crates/image/src/context.rs", "// more\n")),
    ];
    for (what, change) in other {
        change();
        commit(what);
        assert!(seen.insert(identity(&tree)), "{what}");
        reset();
    }
}

/// A job that tells in its binary what its build has seen: every variable, and whether it was optimized.
const MAIN: &str = "fn main() { println!(\"{}\", env!(\"SEEN\")) }\n";
const BUILD: &str = "fn main() {
    let seen: std::collections::BTreeMap<_, _> =
        std::env::vars().filter(|(name, _)| name != \"CARGO_MAKEFLAGS\").collect();
    println!(\"cargo:rustc-env=SEEN={}\", format!(\"{seen:?}\").replace('\\n', \" \"));
}
";

fn tell_what_is_seen(tree: &Tree) {
    for directory in ["src", "tests", "benches", "examples", "crates"] {
        let _ = std::fs::remove_dir_all(tree.root().join(directory));
    }
    std::fs::create_dir(tree.root().join("src")).unwrap();
    std::fs::write(tree.root().join("src/main.rs"), MAIN).unwrap();
    std::fs::write(tree.root().join("build.rs"), BUILD).unwrap();
    let manifest = "[workspace]\n[package]\nname = \"run-migrations\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
        [profile.job]\ninherits = \"release\"\nopt-level = \"z\"\nstrip = \"symbols\"\n";
    std::fs::write(tree.root().join("Cargo.toml"), manifest).unwrap();
    tree.commit("Tell what is seen");
}

/// What the bill of materials says of the binary, if it is a valid one.
fn digest_of_binary(tree: &Tree, out: &Run) -> String {
    let file = tree.scratch.write("bill.spdx.json", &out.stdout);
    let tools = Path::new(&std::env::var("TEST_SPDX_BIN").unwrap()).join("pyspdxtools");
    run(Command::new(tools).arg("--infile").arg(file)).succeeded();
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    let packages = document["packages"].as_array().unwrap();
    let binary = packages.iter().find(|one| one["SPDXID"] == "SPDXRef-binary").unwrap();
    binary["checksums"][0]["checksumValue"].as_str().unwrap().to_owned()
}

/// A program that leaves a mark and fails, in whatever place it is called.
fn evil(tree: &Tree) -> (PathBuf, PathBuf) {
    let mark = tree.scratch.path().join("mark");
    let bin = tree.scratch.program("evil", &format!("echo \"$0 $*\" >> {}; exit 1", mark.display()));
    (bin.join("evil"), mark)
}

/// A home of cargo's with the crates of the real one, and a configuration.
fn home(tree: &Tree, real: &Path, config: &str) -> PathBuf {
    let home = tree.scratch.path().join("cargo-home");
    std::fs::create_dir_all(&home).unwrap();
    let _ = std::os::unix::fs::symlink(real.join("registry"), home.join("registry"));
    std::fs::write(home.join("config.toml"), config).unwrap();
    home
}

/// Before, each of these changed the binary of an identity: through a parent directory, cargo's home, or a variable that
/// the list of those that count lacked.
#[test]
fn nothing_that_surrounds_a_build_has_a_part_in_it() {
    let tree = Tree::copy();
    tell_what_is_seen(&tree);
    let sbom = |surround: &dyn Fn(&mut Command)| {
        let mut command = tree.xtask("sbom", "127.0.0.1:9");
        // Where it is shared, what was built before would be taken for it.
        command.env_remove("CARGO_TARGET_DIR");
        surround(&mut command);
        let out = run(&mut command).succeeded();
        let _ = std::fs::remove_dir_all(tree.root().join("target/x86_64-unknown-linux-gnu"));
        let _ = std::fs::remove_dir_all(tree.root().join("target/aarch64-unknown-linux-gnu"));
        digest_of_binary(&tree, &out)
    };
    let dry_run = || tree.xtask("push-image --dry-run", "127.0.0.1:9");
    let (clean, identity) = (sbom(&|_| {}), identified(&mut dry_run()));

    let (evil, mark) = evil(&tree);
    let evil = evil.display().to_string();
    let config = format!(
        "paths = ['/nowhere']\n[build]\nrustflags = ['-Copt-level=0', '--cfg=evil']\nrustc-wrapper = '{evil}'\nrustc = '{evil}'\n\
         target-dir = '/nowhere'\n[env]\nEVIL = 'config'\nPATH = {{ value = '/nowhere', force = true }}\n\
         [profile.job]\nopt-level = 0\nstrip = false\n[profile.release]\ndebug = true\n\
         [target.x86_64-unknown-linux-gnu]\nlinker = '{evil}'\nrustflags = ['--cfg=evil']\n\
         [net]\nretry = 3\n"
    );
    for directory in [tree.scratch.path().to_owned(), tree.root()] {
        std::fs::create_dir_all(directory.join(".cargo")).unwrap();
        std::fs::write(directory.join(".cargo/config.toml"), &config).unwrap();
    }
    tree.commit("Configure cargo in the checkout");
    let surround = |command: &mut Command| {
        let real = command.get_envs().find(|(name, _)| *name == "CARGO_HOME").unwrap().1.unwrap().to_owned();
        let directory = tree.scratch.path().display().to_string();
        command.env("CARGO_HOME", home(&tree, Path::new(&real), &config));
        for name in [
            "AR",
            "CC",
            "CXX",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "CARGO_BUILD_RUSTC",
            "CARGO_BUILD_RUSTC_WRAPPER",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
            "CC_x86_64_unknown_linux_gnu",
            "TARGET_CC",
            "HOST_CC",
        ] {
            command.env(name, &evil);
        }
        for name in
            ["CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "LD_RUN_PATH"]
        {
            command.env(name, &directory);
        }
        for name in ["CFLAGS", "TARGET_CFLAGS", "HOST_CFLAGS", "CFLAGS_x86_64_unknown_linux_gnu", "LDFLAGS"] {
            command.env(name, "-DEVIL");
        }
        for name in ["RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            command.env(name, "-Copt-level=0");
        }
        for (name, value) in [
            ("CARGO_INCREMENTAL", "1"),
            ("CARGO_PROFILE_JOB_OPT_LEVEL", "0"),
            ("CARGO_PROFILE_JOB_STRIP", "none"),
            ("CARGO_PROFILE_RELEASE_DEBUG", "true"),
            ("CARGO_UNSTABLE_BUILD_STD", "std"),
            ("EVIL", "environment"),
            ("LD_PRELOAD", "/nowhere/evil.so"),
            ("RUSTC_BOOTSTRAP", "1"),
            ("SOURCE_DATE_EPOCH", "1"),
        ] {
            command.env(name, value);
        }
    };
    assert_eq!(sbom(&surround), clean, "the bytes of the binary");
    let mut surrounded = dry_run();
    surround(&mut surrounded);
    assert_eq!(identified(&mut surrounded), identity);
    assert!(!mark.exists(), "{}", std::fs::read_to_string(&mark).unwrap_or_default());
    // What is no crate of Cargo.lock is refused by name.
    let vendored = home(
        &tree,
        Path::new("/nowhere"),
        "[source.crates-io]\nreplace-with = 'v'\n[source.v]\ndirectory = '/v'\n",
    );
    let out = run(dry_run().env("CARGO_HOME", vendored));
    assert!(out.code == Some(1) && out.stderr.contains("`source.v.directory`"), "{}", out.stderr);
}

mod whole {
    use super::*;

    /// Before, it listed ten crates that are not built, such as libsqlite3-sys, and sixteen macros; and neither Rust's
    /// standard library, nor the libc, nor what the binary and the layers are by digest.
    #[test]
    fn the_bill_of_materials_is_that_of_the_image() {
        let tree = Tree::copy();
        let image = format!("registry.example/job@sha256:{}", "a".repeat(64));
        let mut command = tree.xtask(&format!("sbom {image}"), "127.0.0.1:9");
        let shared = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
        let out = run(command.env("CARGO_TARGET_DIR", shared)).succeeded();
        digest_of_binary(&tree, &out);
        let document: Value = serde_json::from_str(&out.stdout).unwrap();
        let packages = document["packages"].as_array().unwrap();
        let names: BTreeSet<_> = packages.iter().map(|one| one["name"].as_str().unwrap()).collect();
        for name in ["run-migrations", "sqlx-postgres", "ring", "rust-std"] {
            assert!(names.contains(name), "{name}");
        }
        for name in [
            "libsqlite3-sys",
            "sqlx-mysql",
            "sqlx-sqlite",
            "serde_derive",
            "syn",
            "cc",
            "aws-sdk-ecr",
            "xtask",
        ] {
            assert!(!names.contains(name), "{name}");
        }
        assert!(names.contains("glibc") || names.contains("musl"));
        let unsummed: Vec<_> =
            packages.iter().filter(|one| one["checksums"][0]["checksumValue"].is_null()).collect();
        assert!(
            unsummed
                .iter()
                .all(|one| one["primaryPackagePurpose"] == "SOURCE"
                    || one["downloadLocation"] == "NOASSERTION"),
            "{unsummed:?}"
        );
        assert_eq!(packages[0]["checksums"][0]["checksumValue"], "a".repeat(64));
    }
}

/// git was told to overlook a script, and the image that held it was that of the commit.
#[test]
fn what_git_is_told_to_overlook_is_not_committed_all_the_same() {
    let tree = Tree::copy();
    let script = "migrations/99990101000000_more.up.sql";
    let overlooked = |file: &str| {
        run(&mut tree.xtask("push-image --dry-run", "127.0.0.1:9"))
            .failed(&["nothing is pushed: not everything is committed", file]);
    };
    std::fs::write(tree.root().join(script), "SELECT 1;\n").unwrap();
    tree.git(&["config", "status.showUntrackedFiles", "no"]);
    overlooked(script);
    std::fs::write(tree.root().join(".git/info/exclude"), "migrations/9999*\n").unwrap();
    overlooked(script);
    std::fs::remove_file(tree.root().join(script)).unwrap();
    for flag in ["skip-worktree", "assume-unchanged"] {
        tree.git(&["update-index", &format!("--{flag}"), "src/main.rs"]);
        std::fs::write(tree.root().join("src/main.rs"), "fn main() {}\n").unwrap();
        overlooked("src/main.rs");
        tree.git(&["update-index", &format!("--no-{flag}"), "src/main.rs"]);
        tree.git(&["checkout", "--quiet", "src/main.rs"]);
    }
    identity(&tree);
}
