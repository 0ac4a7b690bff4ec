//! What a run would need and does not have, found before it changes anything.

use migration_core::disagreement::other_tool;
use migration_core::{BOOKKEEPING, Disagreement, Prepared, wording};

use crate::engine::{Error, Tracker};
use crate::postgres::bookkeeping::{elsewhere, repoint};
use crate::postgres::sql::quoted_identifier;
use crate::postgres::{DatabaseInfo, Session};

/// A plan must not promise what the run would be refused. It may be made by a role that only reads.
pub(super) fn warn_of_refusal(session: &Session, prepared: &[Prepared<'_>], tracker: &mut Tracker<'_>) {
    let may = refuse_unwritable(session).and_then(|()| refuse_unrecordable(session, prepared));
    warn_unless(may, session, tracker);
}

pub(super) fn warn_unless(may: Result<(), Error>, session: &Session, tracker: &mut Tracker<'_>) {
    if let Err(refusal) = may {
        let user = quoted_identifier(&session.info.user);
        tracker.warn(format!("a run as role {user} would be refused: {}", refusal.in_passing()));
    }
}

/// A script without a transaction needs a table beside the bookkeeping, for as long as it runs.
pub(super) fn refuse_unrecordable(session: &Session, prepared: &[Prepared<'_>]) -> Result<(), Error> {
    let without_transaction = || prepared.iter().filter(|prepared| !prepared.script.is_transactional());
    if without_transaction().next().is_none() {
        return Ok(());
    }
    let info = &session.info;
    if let Some(problem) = info.progress.as_ref().and_then(|table| table.distrusted(&info.user)) {
        return Err(Error::refused(problem));
    }
    let beginning = without_transaction().find(|prepared| prepared.resumes_at.is_none());
    let table = info.bookkeeping.as_ref().filter(|table| !table.may_create);
    let (Some(prepared), Some(table)) = (beginning, table) else { return Ok(()) };
    let schema = quoted_identifier(&table.schema);
    let user = quoted_identifier(&info.user);
    Err(Error::refused(format!(
        "{} runs without a transaction, and role {user} may not record its progress; grant it with: \
         GRANT CREATE ON SCHEMA {schema} TO {user}",
        wording::path(&prepared.script.path)
    )))
}

/// What a table of a stranger's says is not to decide what is run, and nothing is to be written to it.
pub(super) fn refuse_distrusted(session: &Session) -> Result<(), Error> {
    let info = &session.info;
    let problem = info.home().and_then(|table| table.distrusted(&info.user));
    problem.map_or(Ok(()), |problem| Err(Error::refused(problem)))
}

/// A database that another tool built, and of which our bookkeeping knows nothing.
pub(super) async fn refuse_other_tool(session: &mut Session) -> Result<(), Error> {
    if session.info.bookkeeping.is_some() || session.info.others.is_empty() {
        return Ok(());
    }
    let mut tools = Vec::new();
    for other in session.info.others.clone() {
        let newest = session.newest_of(&other).await;
        let revision = newest.as_deref().unwrap_or("a revision that can't be read");
        tools.push(other_tool(other.tool.name, &other.table.qualified(), other.table.owner(), revision));
    }
    Err(Disagreement::OtherTool(tools).into())
}

pub(super) fn refuse_unwritable(session: &Session) -> Result<(), Error> {
    let info = &session.info;
    let user = quoted_identifier(&info.user);
    let problem = if info.is_standby {
        "the server is a standby, which takes no changes; connect to the primary".to_owned()
    } else if info.is_read_only {
        format!("transactions of role {user} are read-only here (default_transaction_read_only)")
    } else {
        match (&info.bookkeeping, &info.schema) {
            (Some(table), _) => match table.unwritable(&info.user) {
                None => return Ok(()),
                Some(problem) => problem,
            },
            (None, Some(_)) if info.may_create => return refuse_distrusted(session),
            (None, schema) => not_found(info, schema.as_deref()),
        }
    };
    Err(Error::refused(problem))
}

/// The role may not create the table that it does not find. Most often there is one, and the role looks elsewhere:
/// a right to create would give the database a second history.
fn not_found(info: &DatabaseInfo, schema: Option<&str>) -> String {
    let user = quoted_identifier(&info.user);
    let what = format!("no {BOOKKEEPING} was found on the search path of role {user} ({})", info.search_path);
    let repoint = repoint(info);
    let elsewhere = elsewhere(info).map(|elsewhere| format!("{elsewhere}; "));
    let found = elsewhere.is_some();
    let next = format!("{}{repoint}", elsewhere.unwrap_or_default());
    match schema.map(quoted_identifier) {
        None if found => format!("{what}, and none of its schemas exists; {next}"),
        None => format!(
            "{what}, and none of its schemas exists; {next}; if the database has no history yet, create one of them \
             with: CREATE SCHEMA … AUTHORIZATION {user}"
        ),
        Some(schema) if found => format!("{what}, and the role may not create it in schema {schema}; {next}"),
        Some(schema) => format!(
            "{what}, and the role may not create it in schema {schema}; {next}; if the database has no history yet, \
             grant it with: GRANT CREATE ON SCHEMA {schema} TO {user}"
        ),
    }
}
