//! `ecr-login` and `ecr-logout` with docker's config.json.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::Duration;

use crate::support::emulator::address;
use crate::support::proxy::{Fault, Proxy, Rule, Server};
use crate::support::{PASSWORD, Scratch, run, xtask};

/// Base64 of `AWS:` and the password.
const AUTH: &str = "QVdTOm1pbmlzdGFjay1hdXRoLXRva2Vu";

#[test]
fn the_token_goes_where_docker_looks_and_everything_else_stays() {
    for before in [
        None,
        Some(""),
        Some("{}"),
        Some(r#"{"auths":{"a":{"auth":"YTpi"}},"unknown":{"x":[1]},"currentContext":"c"}"#),
    ] {
        let scratch = Scratch::new();
        if let Some(before) = before {
            scratch.write("config.json", before);
        }
        let config = scratch.config().display().to_string();
        let said = ["Logged in", "until 20", &config, "unencrypted"];
        // the current context is for docker's own connection, which a login does not need
        let out = run(&mut xtask("ecr-login", &address(), &scratch)).succeeded().said(&said);
        assert_eq!(out.stdout, "");
        let text = fs::read_to_string(scratch.config()).unwrap();
        assert!(text.starts_with("{\n\t\"auths\": {\n\t\t\""), "{text}");
        assert_eq!(fs::metadata(scratch.config()).unwrap().permissions().mode() & 0o777, 0o600);
        let mut now: serde_json::Value = serde_json::from_str(&text).unwrap();
        let auths = now["auths"].as_object_mut().unwrap();
        assert_eq!(auths.remove(&address()).unwrap(), serde_json::json!({ "auth": AUTH }));
        if let Some(before) = before.filter(|before| before.len() > 2) {
            assert_eq!(now, serde_json::from_str::<serde_json::Value>(before).unwrap());
        }
        run(&mut xtask("ecr-logout", &address(), &scratch)).succeeded().said(&["Logged out", &config]);
        assert!(!fs::read_to_string(scratch.config()).unwrap().contains(AUTH));
        run(&mut xtask("ecr-logout", &address(), &scratch)).succeeded().said(&["Nothing to take out"]);
    }
}

#[test]
fn the_docker_cli_finds_the_token() {
    // `docker login` reads what is stored and checks it; where there is no docker, its own format was held to above.
    let Ok(version) = Command::new("docker").arg("--version").output() else { return };
    assert!(version.status.success());
    let scratch = Scratch::new();
    run(&mut xtask("ecr-login", &address(), &scratch)).succeeded();
    let out = run(Command::new("docker").args(["logout", &address()]).env("DOCKER_CONFIG", scratch.path()))
        .succeeded();
    assert!(out.stdout.contains("Removing login credentials"), "{}", out.stdout);
    assert!(!fs::read_to_string(scratch.config()).unwrap().contains(AUTH));
}

#[test]
fn a_broken_file_is_refused_and_untouched() {
    for broken in ["{\"auths\": {", "[]", "{\"auths\": 5}", "not json"] {
        let scratch = Scratch::new();
        scratch.write("config.json", broken);
        run(&mut xtask("ecr-login", &address(), &scratch))
            .failed(&["the token was not stored", "left as it is"]);
        assert_eq!(fs::read_to_string(scratch.config()).unwrap(), broken);
    }
}

#[test]
fn a_symlink_stays_one() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path().join("dotfiles")).unwrap();
    let real = scratch.write("dotfiles/docker.json", "{\"psFormat\": \"x\"}");
    symlink("dotfiles/docker.json", scratch.config()).unwrap();
    run(&mut xtask("ecr-login", &address(), &scratch)).succeeded();
    assert!(scratch.config().is_symlink());
    let text = fs::read_to_string(real).unwrap();
    assert!(text.contains(AUTH) && text.contains("psFormat"), "{text}");
}

#[test]
fn a_directory_that_can_not_be_written_is_named() {
    let scratch = Scratch::new();
    // what no rights help against, not even root's
    scratch.write("file", "");
    let mut command = xtask("ecr-login", &address(), &scratch);
    command.env("DOCKER_CONFIG", scratch.path().join("file/below"));
    run(&mut command).failed(&["the token was not stored", "file/below/config.json"]);
}

#[test]
fn a_read_only_directory_keeps_its_file() {
    let scratch = Scratch::new();
    let directory = scratch.path().join("docker");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("config.json"), "{}").unwrap();
    let is_root = run(Command::new("id").arg("-u")).stdout.trim() == "0";
    let mut command = xtask("ecr-login", &address(), &scratch);
    command.env("DOCKER_CONFIG", &directory);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o555)).unwrap();
    if is_root {
        // Root writes anywhere; the same program as somebody else does not.
        use std::os::unix::process::CommandExt;
        fs::copy(env!("CARGO_BIN_EXE_xtask-cloud"), scratch.path().join("xtask")).unwrap();
        let mut other = Command::new(scratch.path().join("xtask"));
        other.arg("ecr-login").uid(65534).gid(65534);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => other.env(name, value),
                None => other.env_remove(name),
            };
        }
        command = other;
        // the checkout may be closed to others, and is not asked for anything here
        let root = scratch.path().join("checkout");
        fs::create_dir_all(root.join("xtask")).unwrap();
        fs::write(root.join("Cargo.toml"), "[workspace]\n").unwrap();
        fs::write(root.join("xtask/Cargo.toml"), "").unwrap();
        command.current_dir(root);
    }
    let out = run(&mut command);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    out.failed(&["the token was not stored", "cannot write", "config.json", "Permission denied"]);
    assert_eq!(fs::read_to_string(directory.join("config.json")).unwrap(), "{}");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
}

/// `ecr-login`, killed as it enters the kernel for so many times after it first looks at config.json. Whether it was: it
/// may have ended before.
#[cfg(target_os = "linux")]
fn killed_at(moment: usize, scratch: &Scratch) -> bool {
    let login = xtask("ecr-login", &address(), scratch);
    let mut killer = Command::new(std::env::var("TEST_ECR_PYTHON").unwrap());
    killer
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ecr/support/kill_at.py"))
        .args([&moment.to_string(), "config.json"])
        .arg(login.get_program())
        .args(login.get_args());
    for (name, value) in login.get_envs() {
        match value {
            Some(value) => killer.env(name, value),
            None => killer.env_remove(name),
        };
    }
    let out = run(&mut killer);
    assert!([Some(0), Some(10)].contains(&out.code), "{}", out.stderr);
    out.code == Some(0)
}

#[test]
#[cfg(target_os = "linux")]
fn killed_at_any_moment_it_leaves_the_old_file_or_the_new_one() {
    let scratch = Scratch::new();
    let old = "{\"currentContext\": \"default\"}";
    let (mut olds, mut news) = (0, 0);
    // Once the new one has been in its place for some moments, nothing more is done to it.
    while news < 5 {
        // On a busy machine a login may find no answer in time, and end by itself.
        let is_killed = (0..3).any(|_| {
            scratch.write("config.json", old);
            killed_at(olds + news, &scratch)
        });
        assert!(is_killed, "it ended after {olds} moments and {news}");
        let text = fs::read_to_string(scratch.config()).unwrap();
        if text == old {
            olds += 1;
        } else {
            let now: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(now["auths"][address()]["auth"], AUTH);
            assert_eq!(now["currentContext"], "default");
            news += 1;
        }
    }
    assert!(olds > 15, "only {olds} moments before the new one was there");
    // what lies about then is closed to others, and gone after a login a minute later
    let beside = || {
        let entries = fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_string_lossy().contains("/.config.json.")).collect::<Vec<_>>()
    };
    assert!(!beside().is_empty(), "no one was killed while it wrote");
    for path in beside() {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(120);
        fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    }
    run(&mut xtask("ecr-login", &address(), &scratch)).succeeded();
    assert_eq!(beside(), [] as [std::path::PathBuf; 0]);
}

#[test]
fn the_password_alone_is_on_stdout_and_nothing_is_stored() {
    let scratch = Scratch::new();
    let out = run(&mut xtask("ecr-login --password-stdout", &address(), &scratch)).succeeded();
    assert_eq!(out.stdout, format!("{PASSWORD}\n"));
    assert!(!out.stderr.contains(PASSWORD));
    assert!(!scratch.config().exists());
}

#[test]
fn a_token_that_the_registry_refuses_is_not_stored() {
    let scratch = Scratch::new();
    let refused = Fault::Answer { status: 401, kind: "text/plain", body: "no".to_owned() };
    let rule = Rule { holding: "GET /v2/", times: 9, fault: refused };
    let proxy = Proxy::start(Server::Tcp(address()), vec![rule]);
    run(&mut xtask("ecr-login", &proxy.address, &scratch))
        .failed(&["refuses the token that ECR has just given"]);
    assert!(!scratch.config().exists());
}

#[test]
fn what_the_environment_overrides_is_said() {
    let scratch = Scratch::new();
    let mut command = xtask("ecr-login", &address(), &scratch);
    command.env("DOCKER_AUTH_CONFIG", format!(r#"{{"auths":{{"{}":{{"auth":"YTpi"}}}}}}"#, address()));
    run(&mut command).succeeded().said(&["DOCKER_AUTH_CONFIG also has"]);
    // docker passes over what it does not understand, and the token is stored
    run(command.env("DOCKER_AUTH_CONFIG", "rubbish"))
        .succeeded()
        .said(&["Logged in", "DOCKER_AUTH_CONFIG is not usable"]);
}

#[test]
fn a_dry_run_changes_nothing() {
    let scratch = Scratch::new();
    run(&mut xtask("ecr-login --dry-run", &address(), &scratch))
        .succeeded()
        .said(&["Would log in", &address()]);
    assert!(!scratch.config().exists());
}
