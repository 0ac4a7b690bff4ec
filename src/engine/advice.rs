//! What to do about a statement's failure, where that is known.

use crate::postgres::{Culprit, DatabaseError, LOCK_LOST, NOT_ORDINARY, NOT_WRITTEN, RunOptions};
use migration_core::{Prepared, Statement, Transaction, wording};

/// What PostgreSQL's message leaves out.
pub(super) fn advice(
    error: &DatabaseError,
    options: &RunOptions,
    prepared: &Prepared<'_>,
    culprit: &Culprit,
) -> Option<String> {
    let is_transactional = prepared.script.is_transactional();
    let in_run = is_transactional && options.transaction == Transaction::Run;
    let each = "set TRANSACTION=each, which commits after each migration";
    let text = match error.sqlstate()? {
        // What `message::proven` raises.
        "22P02" if error.to_string().contains(NOT_WRITTEN) => {
            "the script, or a trigger, rule or policy on the bookkeeping table, is in the way; remove it".to_owned()
        }
        "22P02" if error.to_string().contains(NOT_ORDINARY) => {
            "drop what is called so if nobody needs it, or make it yours, and look at who put it there".to_owned()
        }
        "22P02" if error.to_string().contains(LOCK_LOST) => {
            "the script calls pg_advisory_unlock_all, or a connection pooler in transaction mode stands before the \
             server; remove the call, or connect to the server itself"
                .to_owned()
        }
        // unsafe_new_enum_value_usage
        "55P04" if in_run => format!("a new enum value can be used only after a commit; {each}"),
        "55P04" => {
            "a new enum value can be used only after a commit; add it in a migration of its own".to_owned()
        }
        // object_in_use
        "55006" if in_run => {
            format!("what earlier migrations queued in this transaction is in the way; {each}")
        }
        // out_of_memory
        "53200" if in_run => format!("one transaction for all needs too many locks; {each}"),
        "53200" => "split the migration, or raise the server's max_locks_per_transaction".to_owned(),
        // active_sql_transaction
        "25001" if in_run && sets_transaction(prepared, culprit) => {
            format!("SET TRANSACTION comes before all else, and earlier migrations share the transaction; {each}")
        }
        "25001" if sets_transaction(prepared, culprit) => {
            "SET TRANSACTION comes before all else; make it the first statement of the script".to_owned()
        }
        "25001" => {
            "this statement can't run in a transaction; make `-- no-transaction` the first line of the script"
                .to_owned()
        }
        // invalid_transaction_termination
        "2D000" if is_transactional => {
            "what commits by itself can't run in a transaction; make `-- no-transaction` the first line of the script"
                .to_owned()
        }
        "2D000" => "what commits by itself has to be called by a CALL or DO of its own, by no function".to_owned(),
        // untranslatable_character
        "22P05" if *culprit == Culprit::FileName => {
            "the database's encoding lacks this character; rename the file, or use a database with ENCODING 'UTF8'"
                .to_owned()
        }
        "22P05" => {
            "the encoding lacks this character; write it another way, or use a database with ENCODING 'UTF8'".to_owned()
        }
        // serialization_failure
        "40001" => "a concurrent transaction changed the same rows; run again".to_owned(),
        // lock_not_available
        "55P03" => format!(
            "another session holds the table for longer than LOCK_TIMEOUT ({}); run again when it is done",
            wording::duration(options.lock_timeout)
        ),
        // query_canceled
        "57014" if !options.statement_timeout.is_zero() => {
            format!(
                "STATEMENT_TIMEOUT is {}; raise it if the statement needs longer",
                wording::duration(options.statement_timeout)
            )
        }
        _ => return None,
    };
    Some(text)
}

fn sets_transaction(prepared: &Prepared<'_>, culprit: &Culprit) -> bool {
    let Culprit::Statement { number, .. } = culprit else { return false };
    prepared.split().get(number - 1).is_some_and(Statement::sets_transaction)
}
