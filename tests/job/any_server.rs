//! Whatever listens where the server should be, and whenever it falls silent: the job ends in time, and says why.

use std::time::{Duration, Instant};

use crate::support::{
    Certificate, Directory, Encryption, Impostor, Job, Outcome, Relay, Running, Setup, Then, many_times,
    message, welcome,
};

/// A run at an impostor's.
fn at(impostor: &Impostor, directory: &Directory) -> Job {
    Job::new("upgrade head")
        .within(directory)
        .env("POSTGRES_HOST", "127.0.0.1")
        .env("POSTGRES_PORT", &impostor.port.to_string())
        .env("POSTGRES_DB", "a")
        .env("POSTGRES_USER", "a")
        .env("POSTGRES_PASSWORD", "a")
        .env("POSTGRES_SSLMODE", "disable")
        .env("CONNECT_TIMEOUT", "1s")
}

fn scripts() -> Directory {
    Directory::with(&[("1_a.sql", "SELECT 1;")])
}

#[test]
fn who_never_answers_is_not_waited_for() {
    let directory = scripts();
    let sasl = message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    let stages =
        [Vec::new(), sasl, message(b'R', &[0; 4]), welcome(), [welcome(), b"T\0\0".to_vec()].concat()];
    let start = Instant::now();
    let runs: Vec<_> = stages.map(|said| at(&Impostor::saying(said, Vec::new()), &directory).start()).into();
    for run in runs {
        run.wait().fails(3, "error: no connection to the server within 1 s: 127.0.0.1:");
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// The words are those of one query each; the job reads the bookkeeping twice, before and under the lock.
#[test]
fn a_server_that_falls_silent_is_not_waited_for() {
    const SCRIPT: &[(&str, &str)] = &[("1_a.sql", "SELECT 1;"), ("2_b.sql", "SELECT 1/0;")];
    const ALONE: &[(&str, &str)] =
        &[("1_a.sql", "-- no-transaction\nCREATE TABLE a (b int);\nCREATE INDEX CONCURRENTLY i ON a (b);\n")];
    let start = Instant::now();
    let cases = [
        ("pg_is_in_recovery()", SCRIPT, "no connection to the server within 4 s"),
        ("guard record", SCRIPT, "taking the run lock: the server did not answer within 5.1 s"),
        ("pg_try_advisory_lock(", SCRIPT, "taking the run lock: the server did not answer"),
        ("SET LOCAL row_security", SCRIPT, "reading the bookkeeping: the server did not answer"),
        ("CREATE TABLE \"public\"", SCRIPT, "creating the bookkeeping table: the server did not answer"),
        ("ROLLBACK", SCRIPT, "applying 2 (b): division by zero"),
        (
            "CREATE TABLE IF NOT EXISTS",
            ALONE,
            "applying 1 (a), its bookkeeping: the connection broke: the server",
        ),
        (
            "clock_timestamp() WHERE statement = 1",
            ALONE,
            "applying 1 (a), its bookkeeping: the connection broke: the server",
        ),
    ];
    let runs = cases.map(|(words, scripts, said)| {
        let setup = Setup::with(scripts);
        if words == "SET LOCAL row_security" {
            setup.job("upgrade 1").run().ok();
        }
        let relay = Relay::up_to(words, Then::Silence);
        (setup.job("upgrade head").env("POSTGRES_PORT", &relay.port.to_string()), setup, relay, words, said)
    });
    let runs = runs.map(|(job, setup, relay, words, said)| {
        let job = job.env("CONNECT_TIMEOUT", "4s").env("LOCK_TIMEOUT", "100ms");
        (job.start(), setup, relay, words, said)
    });
    for (run, _setup, _relay, words, said) in runs {
        let outcome = run.wait();
        println!("{words}");
        outcome.fails(3, said);
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

/// All is committed and said; who holds the lock is gone, or will be.
#[test]
fn a_connection_that_ends_after_the_last_commit_is_no_failure() {
    for then in [Then::Cut, Then::Silence] {
        let setup = Setup::with(&[("1_a.sql", "SELECT 1;")]);
        let relay = Relay::up_to("SELECT pg_advisory_unlock(", then);
        let job = setup.job("upgrade head").env("POSTGRES_PORT", &relay.port.to_string());
        let outcome = job.env("CONNECT_TIMEOUT", "1s").env("LOCK_TIMEOUT", "100ms").run();
        assert!(outcome.ok().stdout.ends_with("the database is at 1 (head)\n"), "{}", outcome.stdout);
        assert_eq!(setup.database.versions(), [1]);
    }
}

#[test]
fn nonsense_is_no_defect_of_the_job() {
    let directory = scripts();
    let codes = std::cell::RefCell::new(std::collections::BTreeMap::new());
    many_times(12, |random| {
        let runs: Vec<Running> = (0..8)
            .map(|_| {
                let mut said = if random.one_in(4) { Vec::new() } else { welcome() };
                if random.one_in(8) {
                    said.extend(b"S");
                }
                for _ in 0..random.below(6) {
                    match random.below(4) {
                        0 => said.extend(random.bytes(40)),
                        // Not as long as it has to be, or longer.
                        1 => said.extend(message(
                            *random.of(&[b"R", b"K", b"Z", b"T", b"D", b"C", b"S"]).first().unwrap(),
                            &random.bytes(20),
                        )),
                        2 => said.extend(message(b'T', b"\0\x01a\0\0\0\0\0\0\0\0\0\0\x17\0\x04\0\0\0\0\0\0")),
                        _ => said.extend(message(b'D', &[&[0, 1, 0, 0, 0][..], &random.bytes(4)].concat())),
                    }
                }
                let mode = *random.of(&[&"disable", &"prefer", &"require"]);
                at(&Impostor::saying(said, Vec::new()), &directory).env("POSTGRES_SSLMODE", mode).start()
            })
            .collect();
        for outcome in runs.into_iter().map(Running::wait) {
            // Refused, where what it said can be read as a refusal.
            assert!(matches!(outcome.code, Some(3 | 8)), "{:?} {}", outcome.code, outcome.stderr);
            assert!(outcome.stderr.contains("error: "), "{}", outcome.stderr);
            *codes.borrow_mut().entry(outcome.code).or_insert(0) += 1;
        }
    });
    println!("{codes:?}");
}

/// A row's description: names of one letter.
fn wide(columns: u16) -> Vec<u8> {
    let column = b"a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
    message(b'T', &[&columns.to_be_bytes()[..], &column.repeat(columns.into())].concat())
}

/// A row that holds nothing.
fn nulls(columns: u16) -> Vec<u8> {
    message(b'D', &[&columns.to_be_bytes()[..], &b"\xff\xff\xff\xff".repeat(columns.into())].concat())
}

/// What holds no value, and the end of a command, cost nothing as it was counted; a setting was not counted at all.
///
/// The bounds were as high as the memory that the job's pod may use, so that it was killed there without a word.
///
/// Under TLS nobody looked at what a message claimed to hold, and 2 GB were allocated for it.
#[test]
fn no_answer_is_too_long_for_the_job() {
    let directory = scripts();
    let algorithm = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let config = Certificate::self_signed(&directory, "rogue", &algorithm).server(None);
    let column = message(b'T', b"\0\x01a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
    let row = message(b'D', &[&[0, 1, 0, 1, 0, 0][..], &[b'x'; 1 << 16]].concat());
    let long_row = message(b'D', &[&[0, 1, 0, 0xe0, 0, 0][..], &vec![b'x'; 0xe0_0000]].concat());
    let setting = |index: u32| message(b'S', format!("p{index}\0v\0").as_bytes());
    let settings: Vec<u8> = (0..4000).flat_map(setting).collect();
    for (said, endless, reason) in [
        (b"R\x7f\xff\xff\xff".to_vec(), vec![0; 1 << 16], "it announces a message of 2147483643 bytes"),
        (b"E\x7f\xff\xff\xff".to_vec(), vec![b'x'; 1 << 16], "it announces a message of 2147483643 bytes"),
        (
            [welcome(), b"D\x7f\xff\xff\xff".to_vec()].concat(),
            vec![0; 1 << 16],
            "it announces a message of 2147483643 bytes",
        ),
        (message(b'R', &[0; 4]), message(b'S', &[b'a'; 1 << 15]), "its greeting does not end"),
        ([welcome(), column.clone()].concat(), row.clone(), "the server's answer has no end"),
        ([welcome(), column].concat(), long_row, "the server's answer has no end"),
        ([welcome(), wide(1600)].concat(), nulls(1600), "the server's answer has no end"),
        (welcome(), [wide(1600), nulls(1600)].concat(), "the server's answer has no end"),
        (welcome(), [wide(20_000), nulls(0)].concat(), "it announces 20000 columns"),
        (welcome(), message(b'C', b"SET\0").repeat(8000), "the server's answer has no end"),
        (welcome(), settings, "it reports more than 256 settings"),
    ] {
        // What has no end has none with TLS either, and takes longer.
        let modes = if reason.contains("no end") { &["disable"][..] } else { &["disable", "require"] };
        let limit = match reason {
            _ if endless.len() >= row.len() => "10s",
            "the server's answer has no end" => "6s",
            _ => "2s",
        };
        for mode in modes {
            let encryption =
                if *mode == "disable" { Encryption::None } else { Encryption::Tls(config.clone()) };
            let impostor = Impostor::answering_without_end(encryption, said.clone(), endless.clone());
            let job = at(&impostor, &directory).env("POSTGRES_SSLMODE", mode);
            let mut run = job.env("CONNECT_TIMEOUT", limit).env("RUST_LOG", "info").start();
            let mut peak = 0;
            while !run.is_over() {
                peak = peak.max(run.memory());
                std::thread::sleep(Duration::from_millis(5));
            }
            let outcome: Outcome = run.wait();
            outcome.fails(3, reason);
            assert!((1..64).contains(&(peak >> 20)), "{} MiB", peak >> 20);
        }
    }
}
