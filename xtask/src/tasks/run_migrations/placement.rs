//! Where the job runs: in a container if that container can reach the database, else natively. Decided from facts
//! alone.

use std::fmt;

use docker::{Daemon, DaemonPlace};
use local_postgres::local::Runs;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Either,
    Native,
    Container,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DatabaseChoice {
    Configured { host: String },
    Local(Runs),
    NotNeeded,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Placement {
    /// On this Docker network; `host` is what the database is called there, where that differs.
    Container { network: String, host: Option<String> },
    /// `why` is worth a line unless the user asked for it.
    Native { why: Option<String> },
}

/// `tie` is why it has to be this machine itself, where there is such a reason.
pub(super) fn decide(
    wish: Wish,
    daemon: &Result<Daemon, String>,
    database: &DatabaseChoice,
    tie: Option<&str>,
) -> Placement {
    let native = |why: &str| Placement::Native { why: Some(why.to_owned()) };
    let on = |network: &str| Placement::Container { network: network.to_owned(), host: None };
    if wish == Wish::Native {
        return Placement::Native { why: None };
    }
    let daemon = match daemon {
        Ok(daemon) => daemon,
        Err(why) => return native(&format!("no Docker can be used: {why}")),
    };
    if let Some(why) = tie {
        return native(why);
    }
    match (database, daemon.place) {
        (DatabaseChoice::NotNeeded, _) => on("none"),
        (DatabaseChoice::Local(Runs::InContainer { container, network }), _) => {
            Placement::Container { network: network.clone(), host: Some(container.clone()) }
        }
        (DatabaseChoice::Configured { host }, _) if host.starts_with('/') => {
            native("the database is behind a Unix socket of this machine, which a container does not see")
        }
        // With the host's network a container sees what we see, names and loopback included.
        (_, DaemonPlace::Here) => on("host"),
        (DatabaseChoice::Configured { host }, _) if !is_loopback(host) => on("bridge"),
        (_, DaemonPlace::Aside) => native(
            "the database listens on this machine's loopback, which this Docker's containers do not share",
        ),
        (_, DaemonPlace::Elsewhere) => {
            native("the database listens on this machine's loopback, and Docker runs elsewhere")
        }
    }
}

impl Placement {
    /// For a person, with the reason.
    pub(super) fn told(&self, daemon: &Result<Daemon, String>) -> String {
        match (self, daemon) {
            (Self::Container { network, .. }, Ok(daemon)) => {
                format!("in a container on the network {network}, since Docker {} answers", daemon.version)
            }
            (Self::Container { network, .. }, Err(_)) => format!("in a container on the network {network}"),
            (Self::Native { why: Some(why) }, _) => format!("natively, since {why}"),
            (Self::Native { why: None }, _) => "natively, since --native says so".to_owned(),
        }
    }
}

impl fmt::Display for DatabaseChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured { host } => write!(f, "against the PostgreSQL at {host}"),
            Self::Local(_) => write!(f, "against the local PostgreSQL"),
            Self::NotNeeded => write!(f, "without a database"),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use docker::ImageStore;

    #[test]
    fn the_job_runs_where_it_reaches_the_database() {
        let at = |place| Ok(Daemon { place, version: String::new(), store: ImageStore::Own });
        let configured = |host: &str| DatabaseChoice::Configured { host: host.to_owned() };
        let machine = || DatabaseChoice::Local(Runs::OnMachine);
        let shared = || {
            DatabaseChoice::Local(Runs::InContainer { container: "pg".to_owned(), network: "net".to_owned() })
        };
        for (daemon, database, expected) in [
            (at(DaemonPlace::Here), machine(), "host"),
            (at(DaemonPlace::Aside), machine(), "native"),
            (at(DaemonPlace::Elsewhere), machine(), "native"),
            (Err("down".to_owned()), machine(), "native"),
            (at(DaemonPlace::Here), shared(), "net"),
            (at(DaemonPlace::Aside), shared(), "net"),
            (at(DaemonPlace::Here), configured("localhost"), "host"),
            (at(DaemonPlace::Aside), configured("::1"), "native"),
            (at(DaemonPlace::Aside), configured("127.9.9.9"), "native"),
            (at(DaemonPlace::Aside), configured("db.internal"), "bridge"),
            (at(DaemonPlace::Elsewhere), configured("10.0.0.1"), "bridge"),
            (at(DaemonPlace::Here), configured("/run/postgresql"), "native"),
            (at(DaemonPlace::Elsewhere), DatabaseChoice::NotNeeded, "none"),
        ] {
            let network = |placement| match placement {
                Placement::Container { network, .. } => network,
                Placement::Native { why } => why.map_or_else(String::new, |_| "native".to_owned()),
            };
            assert_eq!(
                network(decide(Wish::Either, &daemon, &database, None)),
                expected,
                "{daemon:?} {database:?}"
            );
            assert_eq!(
                network(decide(Wish::Native, &daemon, &database, None)),
                "",
                "asked for: no reason to give"
            );
            assert_eq!(
                network(decide(Wish::Either, &daemon, &database, Some("of what only this machine has"))),
                "native",
                "tied to this machine"
            );
        }
    }
}
