//! Encryption as libpq has it.

use crate::support::{Database, Directory, Job, Relay, Server};

const SCRIPTS: &[(&str, &str)] =
    &[("1_a.up.sql", "CREATE TABLE a AS SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid();")];

/// Whether the session that applied the migration was encrypted.
fn encrypted(arrange: impl Fn(Job) -> Job) -> bool {
    let (database, directory) = (Database::new(), Directory::with(SCRIPTS));
    arrange(Job::new("upgrade head").within(&directory).on(&database)).run().ok();
    database.value("SELECT ssl FROM a")
}

#[test]
fn each_mode_encrypts_where_it_should() {
    let authority = Server::of_environment().authority;
    assert!(!encrypted(|job| job.env("POSTGRES_SSLMODE", "disable")));
    assert!(!encrypted(|job| job.env("POSTGRES_SSLMODE", "allow")));
    assert!(encrypted(|job| job.without("POSTGRES_SSLMODE")), "prefer is the default");
    assert!(encrypted(|job| job.env("POSTGRES_SSLMODE", "prefer")));
    assert!(encrypted(|job| job.env("POSTGRES_SSLMODE", "require")));
    for mode in ["require", "verify-ca", "verify-full"] {
        for host in ["127.0.0.1", "localhost"] {
            assert!(
                encrypted(|job| {
                    let job = job.env("POSTGRES_SSLMODE", mode).env("POSTGRES_SSLROOTCERT", &authority);
                    job.env("POSTGRES_HOST", host)
                }),
                "{mode} {host}"
            );
        }
    }
}

/// Made for these tests; it has signed nothing.
const ANOTHER_AUTHORITY: &str = include_str!("support/another_authority.pem");

#[test]
fn a_server_that_another_authority_vouches_for_is_refused() {
    let (database, directory) = (Database::new(), Directory::with(SCRIPTS));
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, ANOTHER_AUTHORITY).unwrap();
    for mode in ["require", "verify-ca", "verify-full"] {
        let job = Job::new("upgrade head").within(&directory).on(&database).env("POSTGRES_SSLMODE", mode);
        let outcome = job.env("POSTGRES_SSLROOTCERT", path.to_str().unwrap()).run();
        outcome.fails(8, " refused the connection: ");
        outcome.fails(8, "certificate: UnknownIssuer; check POSTGRES_SSLMODE and POSTGRES_SSLROOTCERT");
    }
    assert_eq!(database.tables("public"), [""; 0]);
}

#[test]
fn a_certificate_made_out_to_another_host_is_refused_by_verify_full_alone() {
    let authority = Server::of_environment().authority;
    let (database, directory) = (Database::new(), Directory::with(SCRIPTS));
    // All of 127.0.0.0/8 is this machine, but the certificate names only one of its addresses.
    let relay = Relay::at("127.0.0.2:0");
    let job = |mode: &str| {
        let job = Job::new("current").within(&directory).on(&database).env("POSTGRES_SSLMODE", mode);
        let job = job.env("POSTGRES_SSLROOTCERT", &authority).env("POSTGRES_HOST", "127.0.0.2");
        job.env("POSTGRES_PORT", &relay.port.to_string()).run()
    };
    job("verify-ca").ok();
    job("verify-full")
        .fails(8, " refused the connection: invalid peer certificate: certificate not valid for name ");
}

#[test]
fn a_root_certificate_that_is_none_is_refused() {
    let (database, directory) = (Database::new(), Directory::with(SCRIPTS));
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, "no certificate").unwrap();
    let job = Job::new("current").within(&directory).on(&database).env("POSTGRES_SSLMODE", "verify-full");
    let outcome = job.env("POSTGRES_SSLROOTCERT", path.to_str().unwrap()).run();
    assert!(matches!(outcome.code, Some(2 | 8)), "{outcome:?}");
}

#[test]
fn verification_without_a_root_certificate_is_a_mistake() {
    let (database, directory) = (Database::new(), Directory::with(SCRIPTS));
    for mode in ["verify-ca", "verify-full"] {
        let job = Job::new("current").within(&directory).on(&database).env("POSTGRES_SSLMODE", mode);
        job.run().is(
            2,
            "",
            &format!(
                "error: 1 setting is wrong:\n  POSTGRES_SSLROOTCERT: is missing, and {mode} needs it; \
                 set it to a file of certificates, or to `system`"
            ),
        );
    }
}
