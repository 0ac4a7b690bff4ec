//! Who gets the password, and what a server has to prove.

use crate::support::{
    Certificate, Directory, Encryption, Impostor, Interceptor, Job, NONCE, Offer, Relay, Role, Server, Setup,
    let_in_by, message, quoted, until, welcome,
};

const SCRIPTS: &[(&str, &str)] = &[("1_a.up.sql", "SELECT 1;")];
const NEW_KEY: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// A run at an impostor's, which is to get no password.
fn at(impostor: &Impostor, directory: &Directory, mode: &str) -> Job {
    Job::new("upgrade head")
        .within(directory)
        .env("POSTGRES_HOST", "127.0.0.1")
        .env("POSTGRES_PORT", &impostor.port.to_string())
        .env("POSTGRES_DB", "a")
        .env("POSTGRES_USER", "a")
        .env("POSTGRES_PASSWORD", "hunter2")
        .env("POSTGRES_SSLMODE", mode)
        .env("CONNECT_TIMEOUT", "2s")
}

/// The password went to a server that anybody could have been: under `prefer`, the default, and under `require`, where the encryption
/// was with nobody knew whom.
#[test]
fn a_server_that_nobody_knows_gets_no_password() {
    let directory = Directory::with(SCRIPTS);
    let config = Certificate::self_signed(&directory, "rogue", NEW_KEY).server(None);
    let clear = ("clear text", message(b'R', &[0, 0, 0, 3]), "password");
    let md5 = ("an MD5 hash", message(b'R', b"\0\0\0\x05salt"), "md5");
    let mut allowed = Vec::new();
    for (what, question, word) in [clear, md5] {
        for (mode, encryption) in [
            ("disable", Encryption::None),
            ("allow", Encryption::None),
            ("", Encryption::None),
            ("prefer", Encryption::Tls(config.clone())),
            ("require", Encryption::Tls(config.clone())),
        ] {
            let impostor = Impostor::answering(encryption, vec![question.clone(), welcome()]);
            let outcome = at(&impostor, &directory, mode).run();
            outcome.fails(
                8,
                &format!(
                    "error: stopped before the login to 127.0.0.1:{}: the server asks for ",
                    impostor.port
                ),
            );
            outcome.fails(8, what);
            outcome.fails(8, "nothing proves that it is the right server, so nothing was sent; verify it with \
                POSTGRES_SSLMODE=verify-full and POSTGRES_SSLROOTCERT, or allow it with POSTGRES_REQUIRE_AUTH=");
            assert!(impostor.has_heard("application_name"), "{mode}");
            assert!(!impostor.has_heard("hunter2") && !impostor.has_heard("md5"), "{mode}");
            let job = at(&impostor, &directory, mode).env("POSTGRES_REQUIRE_AUTH", word);
            allowed.push((job.start(), impostor, word));
        }
    }
    // Whoever allows it gets what he asked for.
    for (run, impostor, word) in allowed {
        run.wait().fails(3, "no connection to the server within 2 s");
        assert!(impostor.has_heard(if word == "md5" { "md5" } else { "hunter2" }));
    }
}

/// An authority was enough, which may vouch for a server of anybody else's: that of a cloud does.
#[test]
fn a_server_that_is_known_may_ask_for_the_password() {
    let Server { socket, authority, .. } = Server::of_environment();
    for method in ["password", "md5"] {
        let setup = Setup::with(SCRIPTS);
        setup.database.execute("SET password_encryption = 'md5'");
        let role = setup.database.role("secret");
        let_in_by(method, &setup.database, &role);
        let job = || setup.job("current").role(&role);
        job().run().fails(8, "the server asks for ");
        job().env("POSTGRES_SSLMODE", "require").run().fails(8, "the server asks for ");
        job().env("POSTGRES_SSLMODE", "").env("POSTGRES_SSLROOTCERT", &authority).run().ok();
        for mode in ["allow", "prefer", "require", "verify-ca"] {
            let job = job().env("POSTGRES_SSLMODE", mode).env("POSTGRES_SSLROOTCERT", &authority);
            job.run().fails(8, "nothing proves that it is the right server, so nothing was sent");
        }
        job().env("POSTGRES_HOST", &socket).run().ok();
        job().env("POSTGRES_REQUIRE_AUTH", method).run().ok();
        let wrong = job().env("POSTGRES_HOST", &socket).env("POSTGRES_PASSWORD", "wrong").run();
        wrong.fails(8, "check POSTGRES_USER and POSTGRES_PASSWORD\n");
        job()
            .env("POSTGRES_HOST", &socket)
            .env("POSTGRES_REQUIRE_AUTH", "scram-sha-256")
            .run()
            .fails(8, "which POSTGRES_REQUIRE_AUTH does not allow");
    }
}

#[test]
fn require_auth_says_which_ways_are_allowed() {
    let setup = Setup::with(SCRIPTS);
    let (asked, trusted) = (setup.database.role("secret"), setup.database.role("secret"));
    let_in_by("trust", &setup.database, &trusted);
    let run =
        |role: &Role, words: &str| setup.job("current").role(role).env("POSTGRES_REQUIRE_AUTH", words).run();
    for words in ["scram-sha-256", "md5,scram-sha-256", "!password", "!password,!md5", "!none"] {
        run(&asked, words).ok();
    }
    for words in ["!scram-sha-256", "none", "password,md5", "gss"] {
        let outcome = run(&asked, words);
        outcome.fails(
            8,
            "the server asks for SCRAM, which POSTGRES_REQUIRE_AUTH does not allow; if it should, ",
        );
        let advice =
            if words.starts_with('!') { "take !scram-sha-256 out of it" } else { "add scram-sha-256 to it" };
        outcome.fails(8, advice);
    }
    for words in ["none", "!password", "scram-sha-256,none"] {
        run(&trusted, words).ok();
    }
    for words in ["!none", "scram-sha-256"] {
        run(&trusted, words).fails(8, "the server lets the job in without asking for a password");
    }
    run(&asked, "scram")
        .fails(2, "POSTGRES_REQUIRE_AUTH: \"scram\" is not one of password, md5, scram-sha-256, ");
}

/// One was demanded whatever the server wanted.
#[test]
fn a_password_is_needed_where_the_server_asks_for_one() {
    let setup = Setup::with(SCRIPTS);
    let (asked, trusted) = (setup.database.role("secret"), setup.database.role("secret"));
    let_in_by("trust", &setup.database, &trusted);
    let run = |role: &Role, host: &str| {
        setup.job("current").role(role).env("POSTGRES_HOST", host).without("POSTGRES_PASSWORD").run()
    };
    let Server { host, socket, .. } = Server::of_environment();
    for host in [&host, &socket] {
        run(&trusted, host).ok();
        run(&asked, host).fails(
            8,
            ": the server asks for a password, and there is none; set POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE or \
             POSTGRES_PASSWORD_COMMAND\n",
        );
    }
}

/// Who is in between and shows a certificate of his own was not noticed under `require`, for SCRAM passed through
/// untouched. psql notices.
#[test]
fn somebody_in_between_is_noticed() {
    let setup = Setup::with(SCRIPTS);
    let own = |name: &str, algorithm: &[&str]| Certificate::self_signed(&setup.directory, name, algorithm);
    for certificate in [
        own("ec", NEW_KEY),
        own("rsa", &["-newkey", "rsa:2048", "-sha384"]),
        Certificate::of_role(&setup.directory, "of the first version"),
    ] {
        let config = certificate.server(None);
        let untouched = Interceptor::start(config.clone(), Offer::Untouched);
        let stripped = Interceptor::start(config, Offer::WithoutBinding);
        let job = |interceptor: &Interceptor| {
            setup
                .job("upgrade head")
                .env("POSTGRES_SSLMODE", "require")
                .env("POSTGRES_PORT", &interceptor.port.to_string())
        };
        for channel_binding in ["", "prefer", "require"] {
            let outcome = job(&untouched).env("POSTGRES_CHANNEL_BINDING", channel_binding).run();
            outcome.fails(8, "refused the connection: SCRAM channel binding check failed (SQLSTATE 28000); if the channel binding failed, ");
            outcome.fails(8, "an attacker or a proxy is in between; for a proxy that you trust, set POSTGRES_CHANNEL_BINDING=disable\n");
        }
        // The server knows that it had offered more.
        job(&stripped).run().fails(8, "refused the connection: ");
        job(&stripped)
            .env("POSTGRES_CHANNEL_BINDING", "require")
            .run()
            .fails(8, "the server offers no channel binding, and POSTGRES_CHANNEL_BINDING is require\n");
        assert_eq!(setup.database.tables("public"), [""; 0]);
        job(&untouched).env("POSTGRES_CHANNEL_BINDING", "disable").run().ok();
        setup.database.execute("DROP TABLE _sqlx_migrations");
    }
}

/// A certificate whose signature has no hash of its own can't be bound to; it must not be a way around the binding.
#[test]
fn a_certificate_that_no_login_can_be_bound_to_is_no_way_around() {
    let setup = Setup::with(SCRIPTS);
    let config = Certificate::self_signed(&setup.directory, "ed", &["-newkey", "ed25519"]).server(None);
    let interceptor = Interceptor::start(config, Offer::Untouched);
    let job = setup.job("upgrade head").env("POSTGRES_SSLMODE", "require");
    let job = job.env("POSTGRES_PORT", &interceptor.port.to_string());
    job.run().fails(8, "the login can't be bound to the server's certificate");
}

#[test]
fn channel_binding_takes_encryption() {
    let setup = Setup::with(SCRIPTS);
    let job = |mode: &str| {
        setup.job("current").env("POSTGRES_SSLMODE", mode).env("POSTGRES_CHANNEL_BINDING", "require")
    };
    for mode in ["prefer", "require"] {
        job(mode).run().ok();
    }
    job("allow").run().fails(8, "the connection is not encrypted, so that there is no channel binding");
    let socket = Server::of_environment().socket;
    job("prefer").env("POSTGRES_HOST", &socket).run().fails(8, "the connection is not encrypted");
    job("disable").run().fails(2, "POSTGRES_CHANNEL_BINDING: is \"require\", which needs encryption");
    let trusted = setup.database.role("secret");
    let_in_by("trust", &setup.database, &trusted);
    job("require").role(&trusted).run().fails(8, "which no channel binding protects");
}

/// It was let in by whoever said so, in the middle of what should have proved who that is.
#[test]
fn a_server_has_to_prove_that_it_knows_the_password() {
    let directory = Directory::with(SCRIPTS);
    let sasl = || message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    let clear = || message(b'R', &[0, 0, 0, 3]);
    let last = || message(b'R', b"\0\0\0\x0cv=AAAA");
    for (answers, code, said) in [
        (
            vec![sasl(), welcome()],
            8,
            "the server lets the job in without having proved that it knows the password",
        ),
        (
            vec![sasl(), message(b'R', b"\0\0\0\x0br=mine,s=AAAA,i=1")],
            8,
            "the server's answer does not belong to this login",
        ),
        (vec![sasl(), message(b'R', b"\0\0\0\x0bnonsense")], 8, "what the server says is not SCRAM"),
        (vec![sasl(), last()], 3, "what the server says at the login is not PostgreSQL's protocol"),
        (vec![sasl(), clear()], 8, "the server asks for the password in clear text"),
        (
            vec![message(b'R', b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")],
            8,
            "the server offers channel binding on a connection without encryption",
        ),
        (
            vec![message(b'R', b"\0\0\0\x0aPLAIN\0\0")],
            8,
            "the server offers only PLAIN, which this job does not support",
        ),
        (
            vec![message(b'R', &[0, 0, 0, 7])],
            8,
            "the server asks for GSSAPI, which this job does not support",
        ),
    ] {
        let impostor = Impostor::answering(Encryption::None, answers);
        at(&impostor, &directory, "").run().fails(code, said);
        assert!(!impostor.has_heard("hunter2"));
    }
    // Nor when it is allowed to ask for less.
    let impostor = Impostor::answering(Encryption::None, vec![sasl(), clear()]);
    let job = at(&impostor, &directory, "").env("POSTGRES_REQUIRE_AUTH", "!none");
    job.run().fails(3, "what the server says at the login is not PostgreSQL's protocol");
    assert!(!impostor.has_heard("hunter2"));
}

/// A sign before the number took it past the limit, and the job calculated for half an hour, deaf to signals.
#[test]
fn a_server_can_not_keep_the_job_calculating() {
    let directory = Directory::with(SCRIPTS);
    for (rounds, code, said) in [
        ("+4294967295", 8, "what the server says is not SCRAM"),
        ("4294967295", 3, "it asks for more than 1000000 rounds on the password"),
        ("1000001", 3, "it asks for more than 1000000 rounds on the password"),
    ] {
        let first = [b"\0\0\0\x0br=", NONCE, b"x,s=AAAA,i=", rounds.as_bytes()].concat();
        let answers = vec![message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"), message(b'R', &first)];
        let start = std::time::Instant::now();
        at(&Impostor::answering(Encryption::None, answers), &directory, "").run().fails(code, said);
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "{rounds}: {:?}", start.elapsed());
    }
}

/// What everybody on the way can read was not said.
#[test]
fn a_connection_without_encryption_is_told_once() {
    let setup = Setup::with(SCRIPTS);
    let lines = |mode: &str, host: &str| {
        let job = setup.job("upgrade head").env("POSTGRES_SSLMODE", mode).env("POSTGRES_HOST", host);
        let stderr = job.env("RUST_LOG", "info").run().ok().stderr.clone();
        stderr.matches(" INFO the connection is not encrypted").count()
    };
    let Server { host, socket, .. } = Server::of_environment();
    assert_eq!(lines("allow", &host), 1);
    assert_eq!(lines("prefer", &host), 0);
    // Whoever asked for it knows.
    assert_eq!(lines("disable", &host), 0);
    assert_eq!(lines("prefer", &socket), 0);
    // Also where the server gets no further.
    let impostor = Impostor::answering(Encryption::None, vec![message(b'R', &[0, 0, 0, 3])]);
    let outcome = at(&impostor, &setup.directory, "").env("RUST_LOG", "info").run();
    assert_eq!(
        outcome.stderr.matches(" INFO the connection is not encrypted\n").count(),
        1,
        "{}",
        outcome.stderr
    );
}

/// The server says the same of a login that was not bound as it should be, and of one that is not allowed.
#[test]
fn a_role_that_may_not_log_in_is_told_as_such() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("secret");
    setup.database.execute(&format!("ALTER ROLE {} NOLOGIN", quoted(&role.name)));
    for mode in ["disable", "require"] {
        let outcome = setup.job("current").role(&role).env("POSTGRES_SSLMODE", mode).run();
        outcome.fails(8, "is not permitted to log in (SQLSTATE 28000); check POSTGRES_USER");
    }
}

/// It took a second connection, for which the server may have no room.
#[test]
fn a_signal_cancels_where_there_is_no_room_for_a_second_connection() {
    let relay = Relay::at("127.0.0.1:0");
    let Server { host, port, socket, .. } = Server::of_environment();
    let port = port.to_string();
    for (mode, host, port) in [
        ("disable", &*host, &*port),
        ("require", &host, &port),
        ("require", "127.0.0.1", &relay.port.to_string()),
        ("prefer", &socket, &port),
    ] {
        let setup = Setup::with(&[("1_a.sql", "SELECT pg_sleep(600);")]);
        let role = setup.database.role("secret");
        setup.database.execute(&format!("GRANT CREATE ON SCHEMA public TO {}", quoted(&role.name)));
        setup.database.execute(&format!("ALTER ROLE {} CONNECTION LIMIT 1", quoted(&role.name)));
        let job =
            setup.job("upgrade head").role(&role).env("POSTGRES_SSLMODE", mode).env("POSTGRES_HOST", host);
        let job = job.env("POSTGRES_PORT", port).start();
        until("the job sleeps", || setup.database.is_sleeping());
        let start = std::time::Instant::now();
        job.signal("TERM");
        job.wait().fails(143, "it was rolled back; the database is at base");
        assert!(start.elapsed() < std::time::Duration::from_secs(4), "{mode} {host}: {:?}", start.elapsed());
    }
}
