//! Arguments and environment → [`Config`], collecting every mistake on the way.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::environment::{Environment, Value};
use super::{
    Address, Check, Command, Config, Extent, LogFormat, LogSettings, Manners, Output, Resolution, Roots,
    Server, Ssl, Task, Transaction,
};
use crate::cli::Args;
use crate::error::{Error, Mistake};
use crate::migration::{Checksum, Direction};
use crate::plan::OutOfOrder;
use crate::revision::{Range, Revision};
use crate::secret::Password;

const COMMANDS: &str = "upgrade, downgrade, current, history, stamp or resolve";

/// Checks arguments and environment against each other.
///
/// # Errors
/// [`Error::Configuration`] with every mistake there is.
pub fn read(args: &Args, environment: &Environment) -> Result<Config, Error> {
    let mut reader = Reader { environment, mistakes: Vec::new() };
    let task = reader.task(args);
    let server = if args.sql.is_some() { None } else { Some(reader.server()) };
    let output = reader.choice("OUTPUT", Output::Text, &[("text", Output::Text), ("json", Output::Json)]);
    let migrations = reader.migrations();
    let log = log_settings(environment, &mut reader.mistakes).format;
    let command = match (task, server) {
        (Some(Asked::Script(direction, range)), _) => Some(Command::Script { direction, range }),
        (Some(Asked::Task(task)), Some(Some(server))) => Some(Command::Online(Box::new(server), task)),
        _ => None,
    };
    match command {
        Some(command) if reader.mistakes.is_empty() => Ok(Config { command, migrations, output, log }),
        _ => Err(Error::Configuration(reader.mistakes)),
    }
}

/// LOG_FORMAT and RUST_LOG.
pub(super) fn log_settings(environment: &Environment, mistakes: &mut Vec<Mistake>) -> LogSettings {
    let mut reader = Reader { environment, mistakes: Vec::new() };
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json), ("auto", LogFormat::Auto)];
    let format = reader.choice("LOG_FORMAT", LogFormat::Auto, &formats);
    let default = || Targets::new().with_default(LevelFilter::INFO);
    let filter = reader.parsed("RUST_LOG", |text| {
        text.parse::<Targets>().map_err(|_| {
            "is no log level; expected error, warn, info, debug or trace, also as target=level".to_owned()
        })
    });
    mistakes.append(&mut reader.mistakes);
    LogSettings { format, filter: filter.unwrap_or_else(default) }
}

enum Asked {
    Script(Direction, Range),
    Task(Task),
}

struct Reader<'a> {
    environment: &'a Environment,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn wrong(&mut self, name: &str, problem: impl Into<String>) {
        self.mistakes.push(Mistake { name: name.to_owned(), problem: problem.into() });
    }

    /// A variable's text, trimmed: a secret made with `echo` ends in a newline.
    fn text(&mut self, name: &str) -> Option<String> {
        match self.environment.get(name) {
            Value::Missing => None,
            Value::NotUnicode => {
                self.wrong(name, "is not UTF-8");
                None
            }
            Value::Text(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        }
    }

    fn required(&mut self, name: &str, what: &str) -> Option<String> {
        let before = self.mistakes.len();
        let text = self.text(name);
        if text.is_none() && self.mistakes.len() == before {
            self.wrong(name, format!("is missing; set it to {what}"));
        }
        text
    }

    fn parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        parse(&text).map_err(|problem| self.wrong(name, problem)).ok()
    }

    fn choice<T: Copy>(&mut self, name: &str, default: T, choices: &[(&str, T)]) -> T {
        let names = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let found = self.parsed(name, |text| {
            let hit = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
            hit.map(|(_, value)| *value)
                .ok_or_else(|| format!("{} is none of {}", quoted(text), names.join(", ")))
        });
        found.unwrap_or(default)
    }

    fn duration(&mut self, name: &str, default: Duration) -> Duration {
        self.parsed(name, duration).unwrap_or(default)
    }

    fn migrations(&mut self) -> PathBuf {
        let in_image = Path::new("/migrations");
        let default = || if in_image.is_dir() { in_image.to_owned() } else { PathBuf::from("migrations") };
        self.text("MIGRATIONS_DIR").map_or_else(default, PathBuf::from)
    }

    fn task(&mut self, args: &Args) -> Option<Asked> {
        let from_arguments = args.command.is_some();
        let command = match &args.command {
            Some(command) => command.clone(),
            None => self.required("COMMAND", &format!("one of {COMMANDS}"))?,
        };
        let known = ["upgrade", "downgrade", "current", "history", "stamp", "resolve"];
        if !known.contains(&command.as_str()) {
            self.wrong("COMMAND", format!("{} is none of {COMMANDS}", quoted(&command)));
            return None;
        }
        self.misplaced_flags(args, &command);
        let revision = args.revision.clone().or_else(|| self.text("REVISION"));
        if let Some(sql) = &args.sql {
            return self.script(&command, sql, args.revision.as_deref());
        }
        let optional = from_arguments && matches!(command.as_str(), "current" | "history" | "resolve");
        if revision.is_none() && !optional {
            self.wrong(
                "REVISION",
                "is missing; set it to head, base, current, +N, -N, a version or a description",
            );
            return None;
        }
        let extent = if args.plan { Extent::Plan } else { Extent::Run };
        let order = if args.allow_out_of_order { OutOfOrder::Apply } else { OutOfOrder::Refuse };
        let task = match command.as_str() {
            "upgrade" => Task::Upgrade(self.target(revision.as_deref()?)?, order, extent),
            "downgrade" => Task::Downgrade(self.target(revision.as_deref()?)?, extent),
            "stamp" => Task::Stamp(self.target(revision.as_deref()?)?, extent),
            "resolve" => {
                // From the environment a revision comes with every command.
                let named = match &args.revision {
                    Some(text) => Some(self.revision(text)?),
                    None => None,
                };
                Task::Resolve(named, self.resolution(args)?)
            }
            "history" => Task::History(self.range(revision.as_deref())?),
            _ => {
                if let Some(revision) = &revision {
                    self.revision(revision)?;
                }
                Task::Current(self.check(args)?)
            }
        };
        Some(Asked::Task(task))
    }

    fn misplaced_flags(&mut self, args: &Args, command: &str) {
        let flags = [
            ("--plan", args.plan, &["upgrade", "downgrade", "stamp"][..]),
            ("--sql", args.sql.is_some(), &["upgrade", "downgrade"]),
            ("--allow-out-of-order", args.allow_out_of_order, &["upgrade"]),
            ("--check", args.check, &["current"]),
            ("--wait", args.wait.is_some(), &["current"]),
            ("--done", args.done, &["resolve"]),
            ("--retry", args.retry, &["resolve"]),
        ];
        for (flag, given, commands) in flags {
            if given && !commands.contains(&command) {
                self.wrong(flag, format!("goes with {}, not with {command}", commands.join(", ")));
            }
        }
        if args.sql.is_some() && args.plan {
            self.wrong("--plan", "does not go with --sql, which runs nothing");
        }
    }

    fn script(&mut self, command: &str, range: &str, revision: Option<&str>) -> Option<Asked> {
        if let Some(revision) = revision {
            self.wrong("REVISION", format!("{} is one too many: --sql has its own", quoted(revision)));
        }
        let direction = if command == "downgrade" { Direction::Down } else { Direction::Up };
        let range: Range = range.parse().map_err(|problem: String| self.wrong("--sql", problem)).ok()?;
        for side in [&range.from, &range.to] {
            if side.is_relative_to_current() {
                self.wrong("--sql", format!("{side} depends on the database; name a version, head or base"));
            }
        }
        Some(Asked::Script(direction, range))
    }

    fn revision(&mut self, text: &str) -> Option<Revision> {
        if text.starts_with("--") {
            self.wrong(text, "is no option here; --help lists them");
            return None;
        }
        let wrong = |problem: String| format!("{}: {problem}", quoted(text));
        Revision::from_str(text.trim()).map_err(|problem| self.wrong("REVISION", wrong(problem))).ok()
    }

    /// A revision to change the database to.
    fn target(&mut self, text: &str) -> Option<Revision> {
        let revision = self.revision(text)?;
        let allowed = self.choice("ALLOW_RELATIVE", false, &[("true", true), ("false", false)]);
        let is_offset = revision.is_relative_to_current() && revision != Revision::Current;
        if is_offset && self.environment.is_in_cluster() && !allowed {
            self.wrong(
                "REVISION",
                format!(
                    "{} is relative, and in a cluster a pod may run twice: name a version, or set \
                     ALLOW_RELATIVE=true",
                    quoted(text)
                ),
            );
            return None;
        }
        Some(revision)
    }

    fn range(&mut self, text: Option<&str>) -> Option<Range> {
        match text {
            None => Some(Range { from: Revision::Base, to: Revision::Head }),
            Some(text) if text.contains(':') => {
                let wrong = |problem: String| format!("{}: {problem}", quoted(text));
                text.trim().parse().map_err(|problem| self.wrong("REVISION", wrong(problem))).ok()
            }
            Some(text) => Some(Range { from: Revision::Base, to: self.revision(text)? }),
        }
    }

    fn resolution(&mut self, args: &Args) -> Option<Resolution> {
        match (args.done, args.retry) {
            (true, false) => Some(Resolution::Done),
            (false, true) => Some(Resolution::Retry),
            _ => {
                self.wrong(
                    "resolve",
                    "needs one of --done (all of the script is in effect) and --retry (none of it is)",
                );
                None
            }
        }
    }

    fn check(&mut self, args: &Args) -> Option<Check> {
        let Some(wait) = &args.wait else {
            return Some(if args.check { Check::FailIfPending(Duration::ZERO) } else { Check::Show });
        };
        match duration(wait) {
            Ok(wait) => Some(Check::FailIfPending(wait)),
            Err(problem) => {
                self.wrong("--wait", problem);
                None
            }
        }
    }

    fn server(&mut self) -> Option<Server> {
        let host =
            self.required("POSTGRES_HOST", "the server's host name, or the directory of its Unix socket");
        let port = self.parsed("POSTGRES_PORT", port).unwrap_or(5432);
        let database = self.required("POSTGRES_DB", "the database's name");
        let user = self.required("POSTGRES_USER", "the role to connect as");
        let password = self.password();
        let ssl = self.ssl();
        let manners = Manners {
            transaction: self.choice(
                "TRANSACTION",
                Transaction::Each,
                &[("each", Transaction::Each), ("run", Transaction::Run)],
            ),
            connect_timeout: self.duration("CONNECT_TIMEOUT", Duration::from_secs(60)),
            run_lock_timeout: self.duration("RUN_LOCK_TIMEOUT", Duration::from_secs(15 * 60)),
            lock_timeout: self.duration("LOCK_TIMEOUT", Duration::from_secs(2)),
            lock_retries: self.parsed("LOCK_RETRIES", count).unwrap_or(10),
            lock_retry_budget: self.duration("LOCK_RETRY_BUDGET", Duration::from_secs(10 * 60)),
            statement_timeout: self.duration("STATEMENT_TIMEOUT", Duration::ZERO),
            max_blocking: self.duration("MAX_BLOCKING", Duration::ZERO),
        };
        let address = host.and_then(|host| self.address(host, port));
        Some(Server {
            address: address?,
            database: database?,
            user: user?,
            password: password?,
            application: application(self.environment),
            ssl: ssl?,
            manners,
        })
    }

    fn address(&mut self, host: String, port: u16) -> Option<Address> {
        if host.contains("://") {
            self.wrong(
                "POSTGRES_HOST",
                "is a URL; only the host name goes here, the rest has variables of its own",
            );
            return None;
        }
        if host.starts_with('/') {
            return Some(Address::Unix(PathBuf::from(host), port));
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        if bare.parse::<IpAddr>().is_ok() {
            return Some(Address::Tcp(bare.to_owned(), port));
        }
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || "/:@,".contains(c)) {
            self.wrong(
                "POSTGRES_HOST",
                "is no host name; expected a name, an IP address or an absolute directory",
            );
            return None;
        }
        Some(Address::Tcp(host, port))
    }

    fn password(&mut self) -> Option<Password> {
        let file = self.text("POSTGRES_PASSWORD_FILE");
        match (self.environment.get("POSTGRES_PASSWORD"), file) {
            (Value::Missing, None) => {
                self.wrong(
                    "POSTGRES_PASSWORD",
                    "is missing; set it, or POSTGRES_PASSWORD_FILE to the file that holds the password",
                );
                None
            }
            (Value::Missing, Some(path)) => self.password_file(Path::new(&path)),
            (_, Some(_)) => {
                self.wrong("POSTGRES_PASSWORD", "and POSTGRES_PASSWORD_FILE are both set; keep one");
                None
            }
            (Value::NotUnicode, None) => {
                self.wrong("POSTGRES_PASSWORD", "is not UTF-8");
                None
            }
            (Value::Text(password), None) => Some(Password::new(password.to_owned())),
        }
    }

    fn password_file(&mut self, path: &Path) -> Option<Password> {
        const NAME: &str = "POSTGRES_PASSWORD_FILE";
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.wrong(NAME, format!("{} can't be read: {error}", path.display()));
                return None;
            }
        };
        let Ok(mut password) = String::from_utf8(bytes) else {
            self.wrong(NAME, format!("{} is not UTF-8", path.display()));
            return None;
        };
        if password.ends_with('\n') {
            password.pop();
            if password.ends_with('\r') {
                password.pop();
            }
        }
        if password.is_empty() {
            self.wrong(NAME, format!("{} is empty", path.display()));
            return None;
        }
        if password.contains('\0') {
            self.wrong(NAME, format!("{} holds a NUL byte", path.display()));
            return None;
        }
        Some(Password::new(password))
    }

    fn ssl(&mut self) -> Option<Ssl> {
        let modes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
        let mode = self.choice("POSTGRES_SSLMODE", "prefer", &modes.map(|mode| (mode, mode)));
        let roots = match self.text("POSTGRES_SSLROOTCERT") {
            Some(system) if system == "system" => Some(Roots::System),
            Some(path) => {
                if let Err(error) = fs::File::open(&path) {
                    self.wrong("POSTGRES_SSLROOTCERT", format!("{path} can't be read: {error}"));
                    return None;
                }
                Some(Roots::File(PathBuf::from(path)))
            }
            None => None,
        };
        match (mode, roots) {
            ("disable", _) => Some(Ssl::Disable),
            ("allow", _) => Some(Ssl::Allow),
            ("prefer", _) => Some(Ssl::Prefer),
            ("require", None) => Some(Ssl::Require),
            // As in libpq: anybody can have a certificate that the system trusts, for another host.
            ("require" | "verify-ca", Some(Roots::System)) => {
                self.wrong(
                    "POSTGRES_SSLROOTCERT",
                    "is `system`, which proves something only with verify-full",
                );
                None
            }
            // As in libpq: a root certificate that is there is used.
            ("require" | "verify-ca", Some(roots)) => Some(Ssl::VerifyCa(roots)),
            ("verify-full", Some(roots)) => Some(Ssl::VerifyFull(roots)),
            (mode, _) => {
                self.wrong(
                    "POSTGRES_SSLROOTCERT",
                    format!(
                        "is missing, and {mode} needs it; set it to a file of certificates, or to `system`"
                    ),
                );
                None
            }
        }
    }
}

/// `run-migrations VERSION RUN`, where the image says its version and the run is told from others
/// by its process and its start.
fn application(environment: &Environment) -> String {
    let version: String =
        environment.text("RUN_MIGRATIONS_VERSION").unwrap_or("dev").chars().take(32).collect();
    let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let run = Checksum::of(&format!("{} {started}", std::process::id())).to_string();
    format!("run-migrations {version} {}", &run[..8])
}

/// A value as a message shows it: short, in quotes, with escapes.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let short: String = text.chars().take(SHOWN).collect();
    let more = if text.chars().count() > SHOWN { "…" } else { "" };
    format!("{short:?}{more}")
}

fn port(text: &str) -> Result<u16, String> {
    let number = |digits: &str| digits.parse::<u16>().ok().filter(|&port| port > 0);
    // Kubernetes sets POSTGRES_PORT=tcp://10.0.0.1:5432 in every pod beside a service "postgres".
    let link =
        text.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')).and_then(|(_, port)| number(port));
    number(text).or(link).ok_or_else(|| {
        let shown = if text.contains("//") { "the URL".to_owned() } else { quoted(text) };
        format!("{shown} is no port; expected a number from 1 to 65535")
    })
}

fn count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{} is no number; expected 0 or more", quoted(text)))
}

/// A duration; `0` means none. PostgreSQL counts its limits in milliseconds of an `int`.
fn duration(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_millis(i32::MAX.unsigned_abs().into());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed = humantime::parse_duration(text).map_err(|_| {
        format!("{} is no duration; expected such as 500ms, 5s, 10m, 1h30m, or 0", quoted(text))
    })?;
    if parsed > longest {
        return Err(format!("{} is too long; 24 days is the longest", quoted(text)));
    }
    if parsed < Duration::from_millis(1) {
        return Err(format!("{} is too short; 1ms is the shortest, 0 means none", quoted(text)));
    }
    Ok(parsed)
}

/// Whether POSTGRES_PORT is a Kubernetes service link, which deserves a warning.
pub fn port_is_service_link(environment: &Environment) -> bool {
    environment.text("POSTGRES_PORT").is_some_and(|text| text.trim().starts_with("tcp://"))
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
