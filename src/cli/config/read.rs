//! Arguments and environment → [`Config`], with every mistake there is.

use migration_core::WrongSettings;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::cli::config::database_url;
use crate::cli::config::reader::{Reader, quoted};
use crate::cli::config::row_values::{ROW_VALUES, default_row_values};
use crate::cli::config::task::Asked;
use crate::cli::config::{LogFormat, LogSettings, Output};
use crate::cli::{Action, Args, Config, Environment};

pub(crate) fn read(args: &Args, environment: &Environment) -> Result<Config, WrongSettings> {
    let (environment, wrong_url) = &database_url::expand(environment);
    let mut reader = Reader::of(environment);
    reader.allows_relative = reader.choice("ALLOW_RELATIVE", &[("true", true), ("false", false)]);
    let task = reader.task(args);
    let server = match wrong_url {
        _ if args.has("--sql") => None,
        Some(wrong) => {
            reader.mistakes.push(wrong.clone());
            None
        }
        None => Some(reader.server()),
    };
    reader.choice("OUTPUT", &OUTPUTS);
    let migrations = reader.migrations();
    reader.choice_or("DETAIL", default_row_values(environment), &ROW_VALUES);
    let Reader { mistakes: wrong_log, .. } = log(environment).1;
    reader.mistakes.extend(wrong_log);
    reader.misspelt();
    let action = match (task, server) {
        (Some(Asked::Script(direction, range)), _) => Some(Action::Script { direction, range }),
        (Some(Asked::Task(task)), Some(Some(server))) => Some(Action::Online(Box::new(server), task)),
        _ => None,
    };
    match action {
        Some(action) if reader.mistakes.is_empty() => Ok(Config { action, migrations }),
        _ => Err(WrongSettings(reader.mistakes)),
    }
}

/// LOG_FORMAT and RUST_LOG, read on their own, so that even a wrong configuration is reported in the format that was
/// asked for; what is wrong with them falls back to the default, and is told by [`read`].
pub(crate) fn log_settings(environment: &Environment) -> LogSettings {
    log(environment).0
}

fn log(environment: &Environment) -> (LogSettings, Reader<'_>) {
    let mut reader = Reader::of(environment);
    let auto = if environment.is_in_cluster() { LogFormat::Json } else { LogFormat::Text };
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json), ("auto", auto)];
    let format = reader.choice("LOG_FORMAT", &formats);
    let filter = reader.parsed("RUST_LOG", |text| {
        text.parse::<Targets>().map_err(|_| {
            format!(
                "{} is not a log level; expected error, warn, info, debug or trace, also as target=level",
                quoted(text)
            )
        })
    });
    let default = || Targets::new().with_default(LevelFilter::INFO);
    (LogSettings { format, filter: filter.unwrap_or_else(default) }, reader)
}

/// OUTPUT, in the same way.
pub(crate) fn output(environment: &Environment) -> Output {
    let asked = environment.text("OUTPUT").map(str::trim).unwrap_or_default();
    let chosen = OUTPUTS.iter().find(|(word, _)| word.eq_ignore_ascii_case(asked));
    chosen.map_or(Output::Text, |(_, output)| *output)
}

const OUTPUTS: [(&str, Output); 2] = [("text", Output::Text), ("json", Output::Json)];
