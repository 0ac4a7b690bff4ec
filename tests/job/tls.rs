//! Encryption as libpq has it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::support::{
    Certificate, Database, Directory, Encryption, Impostor, Job, Relay, Server, Setup, let_in_by, openssl,
    revocation_list, until,
};

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
    fs::write(&path, ANOTHER_AUTHORITY).unwrap();
    for mode in ["require", "verify-ca", "verify-full"] {
        let job = Job::new("upgrade head").within(&directory).on(&database).env("POSTGRES_SSLMODE", mode);
        let outcome = job.env("POSTGRES_SSLROOTCERT", path.to_str().unwrap()).run();
        outcome.fails(8, "error: the certificate of ");
        outcome.fails(
            8,
            " is not trusted: invalid peer certificate: UnknownIssuer; it is signed by none of the ",
        );
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
    job("verify-full").fails(8, " is not trusted: invalid peer certificate: certificate not valid for name ");
}

#[test]
fn a_root_certificate_that_is_none_is_refused() {
    let (database, directory) = (Database::new(), Directory::with(SCRIPTS));
    let path = directory.path().join("ca.pem");
    fs::write(&path, "no certificate").unwrap();
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

/// It was accepted, and meant nothing: the server could be anybody.
#[test]
fn a_root_certificate_without_a_mode_means_verify_full() {
    let authority = Server::of_environment().authority;
    let (database, directory) = (Database::new(), Directory::with(SCRIPTS));
    let path = directory.path().join("ca.pem");
    fs::write(&path, ANOTHER_AUTHORITY).unwrap();
    let relay = Relay::at("127.0.0.2:0");
    let job = |roots: &str| {
        let job = Job::new("current").within(&directory).on(&database).without("POSTGRES_SSLMODE");
        job.env("POSTGRES_SSLROOTCERT", roots)
    };
    let unknown = job(path.to_str().unwrap()).run();
    unknown.fails(8, " is not trusted: invalid peer certificate: UnknownIssuer; it is signed by none of ");
    let elsewhere = job(&authority).env("POSTGRES_HOST", "127.0.0.2");
    elsewhere.env("POSTGRES_PORT", &relay.port.to_string()).run().fails(8, "certificate not valid for name ");
    assert!(encrypted(|job| job.without("POSTGRES_SSLMODE").env("POSTGRES_SSLROOTCERT", &authority)));
    // Nobody is plain text for it.
    let plain = Impostor::answering(Encryption::None, Vec::new());
    let outcome = job(&authority).env("POSTGRES_PORT", &plain.port.to_string()).run();
    outcome.fails(8, "the server does not offer encryption");
    assert!(!plain.has_heard("user"));
    // As in libpq, and those of the system vouch for many.
    for mode in ["disable", "allow", "prefer", "require", "verify-ca"] {
        let outcome = job("system").env("POSTGRES_SSLMODE", mode).run();
        outcome.fails(2, "POSTGRES_SSLROOTCERT: is `system`, which proves nothing with POSTGRES_SSLMODE=");
    }
}

/// Where the encryption did not come about, `prefer` went on without, and said nothing.
#[test]
fn encryption_that_fails_is_no_reason_to_do_without() {
    const TLS_1_1: &[u8] = &[21, 3, 2, 0, 2, 2, 70];
    const NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    let (database, directory) = (Database::new(), Directory::with(SCRIPTS));
    for (bytes, said) in [
        (TLS_1_1, "the server does not offer TLS 1.2 or newer; update it"),
        (NO_TLS, "check POSTGRES_SSLMODE and POSTGRES_SSLROOTCERT"),
    ] {
        for (mode, way_out) in
            [("", ", or set POSTGRES_SSLMODE=disable to go without encryption\n"), ("require", "\n")]
        {
            let impostor = Impostor::answering(Encryption::Broken(bytes), Vec::new());
            let job = Job::new("current").within(&directory).on(&database).env("POSTGRES_SSLMODE", mode);
            let outcome = job.env("POSTGRES_PORT", &impostor.port.to_string()).run();
            outcome.fails(8, &format!("{said}{way_out}"));
            assert!(!impostor.has_heard("user"), "{mode}");
        }
    }
}

/// There was no way to show one, and nobody said that the server wanted one.
#[test]
fn a_client_certificate_lets_a_role_in() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("secret");
    let_in_by("cert", &setup.database, &role);
    let job = |mode: &str| {
        setup.job("current").role(&role).without("POSTGRES_PASSWORD").env("POSTGRES_SSLMODE", mode)
    };
    for mode in ["prefer", "require"] {
        job(mode).run().fails(
            8,
            "; the server asked for a client certificate and got none; set POSTGRES_SSLCERT and POSTGRES_SSLKEY\n",
        );
    }
    let certificate = Certificate::of_role(&setup.directory, &role.name);
    let with = |mode: &str, certificate: &Certificate| {
        let job = job(mode).env("POSTGRES_SSLCERT", certificate.path.to_str().unwrap());
        job.env("POSTGRES_SSLKEY", certificate.key.to_str().unwrap()).run()
    };
    for mode in ["prefer", "require"] {
        with(mode, &certificate).ok();
    }
    let another = Certificate::of_role(&setup.directory, "somebody");
    with("require", &another).fails(8, "(SQLSTATE 28000); check POSTGRES_USER");
    with("require", &another)
        .fails(8, "the common name of the one in POSTGRES_SSLCERT has to be the role's, or ");
    let mixed = Certificate { path: certificate.path, key: another.key };
    with("require", &mixed).fails(2, "POSTGRES_SSLCERT: the key in ");
}

#[test]
fn a_key_that_others_may_read_or_that_takes_a_passphrase_is_a_mistake() {
    let setup = Setup::with(SCRIPTS);
    let certificate = Certificate::of_role(&setup.directory, "a");
    let run = |key: &str| {
        let job = setup.job("current").env("POSTGRES_SSLCERT", certificate.path.to_str().unwrap());
        if key.is_empty() { job } else { job.env("POSTGRES_SSLKEY", key) }.run()
    };
    run("").fails(2, "POSTGRES_SSLKEY: is missing, and POSTGRES_SSLCERT is set");
    let key = certificate.key.to_str().unwrap();
    run(key).ok();
    fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
    run(key).fails(2, "can be read by others (mode 0644); allow no more than 06");
    let locked = setup.directory.path().join("locked.key");
    let locked = locked.to_str().unwrap();
    openssl(setup.directory.path(), &["rsa", "-aes128", "-passout", "pass:x", "-in", key, "-out", locked]);
    run(locked).fails(2, "locked.key is encrypted; write it without a passphrase");
    run(certificate.path.to_str().unwrap()).fails(2, "POSTGRES_SSLKEY: ");
}

/// Other servers than PostgreSQL end the handshake over it, some of them after the client has taken it to be done.
#[test]
fn a_server_that_hangs_up_over_a_missing_certificate_is_told_as_such() {
    let setup = Setup::with(SCRIPTS);
    let authority = Server::of_environment().authority;
    let config =
        Certificate::self_signed(&setup.directory, "own", &["-newkey", "rsa:2048"]).server(Some(&authority));
    let impostor = Impostor::answering(Encryption::Tls(config), Vec::new());
    for mode in ["prefer", "require"] {
        let job = setup.job("current").env("POSTGRES_SSLMODE", mode);
        job.env("POSTGRES_PORT", &impostor.port.to_string()).run().fails(
            8,
            "; the server asked for a client certificate and got none; set POSTGRES_SSLCERT and POSTGRES_SSLKEY\n",
        );
    }
}

#[test]
fn a_certificate_that_was_revoked_is_refused() {
    let authority = Server::of_environment().authority;
    let setup = Setup::with(SCRIPTS);
    let run = |is_revoked| {
        let list = revocation_list(&setup.directory, is_revoked);
        let job = setup.job("current").without("POSTGRES_SSLMODE").env("POSTGRES_SSLROOTCERT", &authority);
        job.env("POSTGRES_SSLCRL", list.to_str().unwrap()).run()
    };
    run(false).ok();
    run(true).fails(8, "invalid peer certificate: Revoked");
}

/// The list of a moment ago ended the run for good, and the wrong setting was named.
#[test]
fn a_list_that_can_not_be_read_for_a_moment_is_read_again_and_named() {
    let authority = Server::of_environment().authority;
    let setup = Setup::with(&[("1_a.sql", "SELECT pg_sleep(600);")]);
    let list = revocation_list(&setup.directory, false);
    let good = fs::read(&list).unwrap();
    let job = setup.job("upgrade head").without("POSTGRES_SSLMODE").env("POSTGRES_SSLROOTCERT", &authority);
    let job = job.env("POSTGRES_SSLCRL", list.to_str().unwrap()).env("RUST_LOG", "info").start();
    until("the job sleeps", || setup.database.is_sleeping());
    fs::write(&list, "no list").unwrap();
    setup.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE 'run-migrations%'",
    );
    std::thread::sleep(Duration::from_millis(500));
    fs::write(&list, good).unwrap();
    let outcome = job.wait();
    outcome.fails(3, "= state: it was rolled back; ");
    outcome.fails(3, ": POSTGRES_SSLCRL: ");
    assert!(!outcome.stderr.contains("POSTGRES_SSLROOTCERT"), "{}", outcome.stderr);
}

/// They reached the driver, which nobody had said.
#[test]
fn variables_of_libpq_are_of_no_effect() {
    let setup = Setup::with(&[(
        "1_a.sql",
        "CREATE TABLE a AS SELECT current_setting('application_name') AS name, current_setting('work_mem') AS mem, \
         current_database()::text AS database;",
    )]);
    for mode in ["disable", "require"] {
        let variables = [
            ("PGHOST", "nowhere.invalid"),
            ("PGHOSTADDR", "192.0.2.1"),
            ("PGPORT", "1"),
            ("PGDATABASE", "nowhere"),
            ("PGUSER", "nobody"),
            ("PGPASSWORD", "wrong"),
            ("PGPASSFILE", "/nonexistent"),
            ("PGSERVICE", "none"),
            ("PGOPTIONS", "-c work_mem=77MB -c search_path=nowhere"),
            ("PGAPPNAME", "another"),
            ("PGSSLMODE", "nonsense"),
            ("PGSSLCERT", "/nonexistent"),
            ("PGSSLKEY", "/nonexistent"),
            ("PGSSLROOTCERT", "/nonexistent"),
            ("PGSSLCRL", "/nonexistent"),
            ("PGREQUIREAUTH", "none"),
            ("PGCHANNELBINDING", "nonsense"),
            ("PGCLIENTENCODING", "LATIN1"),
            ("PGTZ", "nowhere"),
        ];
        let job = setup.job("upgrade head").env("POSTGRES_SSLMODE", mode);
        let job = variables.into_iter().fold(job, |job, (name, value)| job.env(name, value));
        let outcome = job.run();
        assert!(outcome.ok().stderr.contains(" WARN PGHOST, PGHOSTADDR, "), "{}", outcome.stderr);
        assert_eq!(outcome.stderr.matches(" WARN ").count(), 1, "{}", outcome.stderr);
        let seen =
            "SELECT name LIKE 'run-migrations %' AND mem <> '77MB' AND database = current_database() FROM a";
        assert!(setup.database.value::<bool>(seen), "{mode}");
        setup.database.execute("DROP TABLE a, _sqlx_migrations");
    }
}
