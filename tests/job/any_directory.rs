//! Whatever a directory of migrations holds: the job reads it or says what is wrong with it, soon and with little memory.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Directory, Job, Outcome, Random, many_times};

/// Needs no server, and reads everything.
fn print(directory: &Directory) -> (Outcome, u64) {
    let mut run = Job::new("upgrade").word("--sql").word("base:head").within(directory).start();
    let start = Instant::now();
    let mut memory = 0;
    while !run.is_over() {
        memory = memory.max(run.memory());
        assert!(start.elapsed() < Duration::from_secs(20), "it hangs");
        std::thread::sleep(Duration::from_millis(1));
    }
    (run.wait(), memory >> 20)
}

const NAMES: &[&str] = &[
    "1_a.sql",
    "1_a.up.sql",
    "1_a.down.sql",
    "2_b.sql",
    "02_b.sql",
    "3_c.SQL",
    "_.sql",
    "4_.sql",
    "README.md",
    ".sql",
    "9223372036854775808_x.sql",
    "99999999999999999999999999_x.up.sql",
    "5_ü €.sql",
    "6_a\nb.sql",
    "-7_x.sql",
    "8_..sql",
];

const TEXTS: &[&str] = &[
    "",
    "SELECT 1;",
    "-- no-transaction\nVACUUM;",
    "BEGIN;",
    "\\i x",
    "SELECT '",
    "\u{feff}SELECT 1",
    "SELECT 1\0;",
    "$$",
    "/* /*",
    "COPY t FROM STDIN;",
    ";;;",
];

fn name(random: &Random) -> OsString {
    match random.below(4) {
        0 => {
            let mut bytes = [b"1_".to_vec(), random.bytes(200), b".sql".to_vec()].concat();
            bytes.retain(|byte| ![0, b'/'].contains(byte));
            OsString::from_vec(bytes)
        }
        _ => random.of(NAMES).into(),
    }
}

#[test]
fn a_directory_may_hold_anything() {
    let codes = std::cell::RefCell::new(std::collections::BTreeMap::new());
    many_times(60, |random| {
        let directory = Directory::with(&[]);
        for _ in 0..=random.below(4) {
            let path = directory.migrations().join(name(random));
            if path.symlink_metadata().is_ok() {
                continue;
            }
            // A name that the file system does not take is as good as none.
            let _ = match random.below(12) {
                0 => std::fs::create_dir(&path),
                1 => Command::new("mkfifo").arg(&path).stderr(std::process::Stdio::null()).status().map(drop),
                2 => symlink(
                    random.of(&["nowhere", ".", "1_a.sql", "/dev/zero", "/proc/self/mem", "/dev/stdin"]),
                    &path,
                ),
                3 => std::fs::write(&path, random.bytes(2_000)),
                _ => std::fs::write(&path, random.of(TEXTS)),
            };
        }
        let (outcome, memory) = print(&directory);
        assert!(matches!(outcome.code, Some(0 | 2)), "{:?} {}", outcome.code, outcome.stderr);
        let is_warned = outcome.stderr.lines().all(|line| line.starts_with(" WARN "));
        assert_eq!(outcome.code == Some(0), is_warned, "{}", outcome.stderr);
        assert!(memory < 100, "{memory} MiB");
        *codes.borrow_mut().entry(outcome.code).or_insert(0) += 1;
    });
    assert!(codes.borrow().len() == 2, "{codes:?}");
}

/// They take no room on the disk.
#[test]
fn a_script_without_end_is_refused_unread() {
    let directory = Directory::with(&[("1_a.sql", "SELECT 1;")]);
    for (name, size) in [("2_b.sql", 100 << 30), ("3_c.up.sql", (256 << 20) + 1), ("4_d.sql", 1 << 20)] {
        std::fs::File::create(directory.migrations().join(name)).unwrap().set_len(size).unwrap();
    }
    let (outcome, memory) = print(&directory);
    for name in ["2_b.sql", "3_c.up.sql"] {
        let problem = "is too large: all scripts together may have 256 MiB; load data by other means";
        outcome.fails(2, &format!("migrations/{name} {problem}"));
    }
    assert!(!outcome.stderr.contains("4_d.sql is too large"), "{}", outcome.stderr);
    assert!(memory < 100, "{memory} MiB");
}

#[test]
fn a_password_file_without_end_is_refused() {
    let directory = Directory::with(&[("1_a.sql", "SELECT 1;")]);
    let job = Job::new("current").within(&directory).env("POSTGRES_PASSWORD_FILE", "/dev/zero");
    job.run().fails(2, "POSTGRES_PASSWORD_FILE: /dev/zero is longer than any password");
}
