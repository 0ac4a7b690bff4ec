//! The migrations that the job is disturbed at. Every statement leaves a trace if it takes effect twice, or not at all.

use std::time::Duration;

use super::kind::Kind;

pub(super) const LOCK_TIMEOUT: Duration = Duration::from_millis(1500);

pub(super) const MAX_BLOCKING: Duration = Duration::from_millis(1500);

#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) transaction: &'static str,
    pub(super) files: &'static [(&'static str, &'static str)],
    /// Undisturbed runs that bring the database to where the run begins.
    pub(super) before: &'static [&'static [&'static str]],
    /// The run that is disturbed.
    pub(super) words: &'static [&'static str],
    pub(super) halts: Halts,
    /// How long the visitors of a site may wait while this is applied; nothing where there is no site.
    pub(super) visitors_wait: Option<Promise>,
    /// The one kind of fault it is made for; nothing where it serves any.
    pub(super) meant_for: Option<Kind>,
}

/// Whether a script may is partially applied in a way that takes a person.
#[derive(Debug, Clone, Copy)]
pub(super) enum Halts {
    /// The job must go on by itself.
    Never,
    /// It may ask for `resolve`; what the person does first to bring the script to its end, wherever it stands.
    Until { repair: &'static str },
}

/// What bounds the time that the visitors of a site wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    /// One statement that only changes the catalog waits for its lock, and is done when it has it.
    LockTimeout,
    /// Whatever holds locks for longer gives way.
    MaxBlocking,
}

impl Promise {
    /// With a second for all that takes time by itself.
    pub(super) fn limit(self) -> Duration {
        Duration::from_secs(1)
            + match self {
                Self::LockTimeout => LOCK_TIMEOUT,
                Self::MaxBlocking => MAX_BLOCKING,
            }
    }
}

const ACCOUNTS: (&str, &str) = (
    "1_accounts.up.sql",
    "CREATE TABLE account (name text PRIMARY KEY, balance numeric NOT NULL DEFAULT 0);
INSERT INTO account (name) SELECT 'name ' || n FROM generate_series(1, 40) AS n;
CREATE TABLE audit (what text NOT NULL);
-- An index of it takes a moment to build.
CREATE FUNCTION slow(n numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS
  $$ BEGIN PERFORM pg_sleep(0.001); RETURN n; END $$;
",
);

const NO_ACCOUNTS: (&str, &str) =
    ("1_accounts.down.sql", "DROP FUNCTION slow(numeric);\nDROP TABLE audit;\nDROP TABLE account;\n");

const TRANSACTIONAL: &[(&str, &str)] = &[
    ACCOUNTS,
    NO_ACCOUNTS,
    (
        "2_entries.up.sql",
        "CREATE TABLE entry (
  account text NOT NULL REFERENCES account DEFERRABLE INITIALLY DEFERRED,
  amount numeric NOT NULL
);
INSERT INTO entry SELECT name, 1 FROM account;
INSERT INTO audit VALUES ('entries');
",
    ),
    ("2_entries.down.sql", "DROP TABLE entry;\nINSERT INTO audit VALUES ('no entries');\n"),
    (
        "3_notes.up.sql",
        "SET search_path = public;
UPDATE account SET balance = balance + 1;
ALTER TABLE account ADD COLUMN note text;
CREATE INDEX account_note ON account (note); -- not concurrently
",
    ),
    (
        "3_notes.down.sql",
        "ALTER TABLE account DROP COLUMN note;\nUPDATE account SET balance = balance - 1;\n-- and nothing else",
    ),
    ("4_rich.up.sql", "CREATE VIEW rich AS SELECT name FROM account WHERE balance > 0"),
    ("4_rich.down.sql", "DROP VIEW rich"),
];

const STATEMENTWISE: &[(&str, &str)] = &[
    ACCOUNTS,
    NO_ACCOUNTS,
    (
        "2_mails.up.sql",
        "-- no-transaction
ALTER TABLE account ADD COLUMN mail text;
CREATE INDEX CONCURRENTLY account_balance ON account (slow(balance));
UPDATE account SET mail = name || '@example.org', balance = balance + 1;
CREATE UNIQUE INDEX CONCURRENTLY account_mail ON account (mail);
CREATE TABLE letter (account text NOT NULL REFERENCES account);
INSERT INTO letter SELECT name FROM account;
INSERT INTO audit VALUES ('mails');
",
    ),
    (
        "2_mails.down.sql",
        "-- no-transaction
INSERT INTO audit VALUES ('no mails');
DROP INDEX CONCURRENTLY account_mail;
UPDATE account SET balance = balance - 1;
DROP TABLE letter;
DROP INDEX CONCURRENTLY account_balance;
ALTER TABLE account DROP COLUMN mail;
",
    ),
    ("3_rich.up.sql", "CREATE VIEW rich AS SELECT name FROM account WHERE balance > 0;"),
    ("3_rich.down.sql", "DROP VIEW rich;"),
];

/// What a person does who finds the way down of `2_mails` in the middle.
const NO_MAILS: &str = "
INSERT INTO audit SELECT 'no mails' WHERE NOT EXISTS (SELECT FROM audit WHERE what = 'no mails');
DROP INDEX IF EXISTS account_mail;
UPDATE account SET balance = 0;
DROP TABLE IF EXISTS letter;
DROP INDEX IF EXISTS account_balance;
ALTER TABLE account DROP COLUMN IF EXISTS mail;
";

const CARELESS: &[(&str, &str)] = &[
    ACCOUNTS,
    (
        "2_upkeep.up.sql",
        "-- no-transaction
UPDATE account SET balance = balance + 1;
REINDEX INDEX CONCURRENTLY account_pkey;
VACUUM account;
SET statement_timeout = '1min';
CREATE INDEX CONCURRENTLY account_balance ON account (slow(balance));
INSERT INTO audit VALUES ('upkeep');
",
    ),
    ("3_rich.up.sql", "CREATE VIEW rich AS SELECT name FROM account WHERE balance > 0;"),
];

const UPKEEP: &str = "
UPDATE account SET balance = 1;
DROP INDEX IF EXISTS account_balance, account_pkey_ccnew, account_pkey_ccold;
CREATE INDEX account_balance ON account (slow(balance));
INSERT INTO audit SELECT 'upkeep' WHERE NOT EXISTS (SELECT FROM audit WHERE what = 'upkeep');
";

const UP: &[&str] = &["upgrade", "head"];

/// What a scenario is unless it says otherwise.
const PLAIN: Scenario = Scenario {
    name: "",
    transaction: "each",
    files: &[],
    before: &[],
    words: UP,
    halts: Halts::Never,
    visitors_wait: None,
    meant_for: None,
};

const ALL: &[Scenario] = &[
    Scenario { name: "each", files: TRANSACTIONAL, ..PLAIN },
    Scenario { name: "run", transaction: "run", files: TRANSACTIONAL, ..PLAIN },
    Scenario { name: "no-transaction", files: STATEMENTWISE, ..PLAIN },
    Scenario { name: "each-down", files: TRANSACTIONAL, before: &[UP], words: &["downgrade", "1"], ..PLAIN },
    Scenario {
        name: "no-transaction-down",
        transaction: "run",
        files: STATEMENTWISE,
        before: &[UP],
        words: &["downgrade", "1"],
        halts: Halts::Until { repair: NO_MAILS },
        ..PLAIN
    },
    Scenario {
        name: "upkeep",
        transaction: "run",
        files: CARELESS,
        before: &[&["upgrade", "1"]],
        halts: Halts::Until { repair: UPKEEP },
        ..PLAIN
    },
];

const SITE: (&str, &str) = (
    "1_site.up.sql",
    "CREATE TABLE account (name text PRIMARY KEY, balance numeric NOT NULL DEFAULT 0, about text);
INSERT INTO account SELECT 'name ' || n, 0, repeat('about ', 20) FROM generate_series(1, 5000) AS n;
CREATE TABLE audit (what text NOT NULL);
",
);

/// The migrations of a site that goes on meanwhile: one quick statement; more than one; one that holds its locks for
/// longer than anybody is to wait.
const LIVE: &[Scenario] = &[
    Scenario {
        name: "quick",
        files: &[SITE, ("2_note.up.sql", "ALTER TABLE account ADD COLUMN note text;")],
        before: &[&["upgrade", "1"]],
        visitors_wait: Some(Promise::LockTimeout),
        ..PLAIN
    },
    Scenario {
        name: "several",
        files: &[
            SITE,
            (
                "2_notes.up.sql",
                "ALTER TABLE audit ADD COLUMN note text;
ALTER TABLE account ADD COLUMN note text;
SELECT pg_sleep(0.3);
INSERT INTO audit VALUES ('notes');",
            ),
        ],
        before: &[&["upgrade", "1"]],
        visitors_wait: Some(Promise::MaxBlocking),
        ..PLAIN
    },
    Scenario {
        name: "slow",
        transaction: "run",
        files: &[
            SITE,
            ("2_note.up.sql", "ALTER TABLE account ADD COLUMN note text;"),
            ("3_rest.up.sql", "SELECT pg_sleep(4);\nINSERT INTO audit VALUES ('rest');"),
        ],
        before: &[&["upgrade", "1"]],
        visitors_wait: Some(Promise::MaxBlocking),
        ..PLAIN
    },
];

/// What is made for one kind of fault.
const SPECIAL: &[Scenario] = &[
    Scenario {
        name: "far",
        transaction: "run",
        files: &[
            SITE,
            ("2_note.up.sql", "ALTER TABLE account ADD COLUMN note text;"),
            (
                "3_long.up.sql",
                "-- Who comes from another node takes longer than a lost one may go unnoticed.
SELECT pg_sleep(60) WHERE inet_client_addr() <> '127.0.0.1';
INSERT INTO audit VALUES ('long');",
            ),
        ],
        before: &[&["upgrade", "1"]],
        meant_for: Some(Kind::LostNode),
        ..PLAIN
    },
    // As those write scripts for whom sqlx applies them: one statement where there is no transaction.
    Scenario {
        name: "sqlx",
        files: &[
            ACCOUNTS,
            (
                "2_balances.up.sql",
                "-- no-transaction\nCREATE INDEX CONCURRENTLY account_balance ON account (slow(balance));",
            ),
            (
                "3_raise.up.sql",
                "UPDATE account SET balance = balance + 1;\nINSERT INTO audit VALUES ('raise');",
            ),
            (
                "4_names.up.sql",
                "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY account_lower ON account (lower(name));",
            ),
            ("5_rich.up.sql", "CREATE VIEW rich AS SELECT name FROM account WHERE balance > 0;"),
        ],
        meant_for: Some(Kind::WithSqlx),
        ..PLAIN
    },
];

/// Those with a site, those without, and those for one kind of fault.
pub(super) fn all() -> impl Iterator<Item = &'static Scenario> {
    ALL.iter().chain(LIVE).chain(SPECIAL)
}

impl Scenario {
    /// Whether a fault of this kind is tried on it.
    pub(super) fn serves(&self, kind: Kind) -> bool {
        match (self.meant_for, kind) {
            (Some(only), _) => only == kind,
            // sqlx knows one way, and for scripts without a transaction one statement.
            (None, Kind::WithSqlx) => ["each", "run"].contains(&self.name),
            (None, _) => kind.is_live() == self.visitors_wait.is_some(),
        }
    }

    /// Whether it takes statement after statement.
    pub(super) fn is_statementwise(&self) -> bool {
        self.files.iter().any(|(_, text)| text.starts_with("-- no-transaction"))
    }

    /// Whether it may take a person.
    pub(super) fn may_halt(&self) -> bool {
        matches!(self.halts, Halts::Until { .. })
    }

    /// The up scripts that are applied when all has been done, as `(version, description, text)`.
    pub(super) fn applied_at_the_end(&self) -> Vec<(i64, String, &'static str)> {
        let down = self.words.first() == Some(&"downgrade");
        let up = self.files.iter().filter_map(|(name, text)| {
            let (version, description) = name.strip_suffix(".up.sql")?.split_once('_')?;
            Some((version.parse().ok()?, description.replace('_', " "), *text))
        });
        up.filter(|(version, ..)| !down || *version <= 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_at_the_end_is_known() {
        for (scenario, versions) in ALL.iter().zip([4, 4, 3, 1, 1, 3]) {
            assert_eq!(scenario.applied_at_the_end().len(), versions, "{}", scenario.name);
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = all().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
