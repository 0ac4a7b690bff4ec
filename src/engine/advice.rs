//! What to do about a statement's failure, where that is known.

use crate::postgres::{DatabaseError, LOCK_LOST, NOT_ORDINARY, NOT_WRITTEN, RunOptions};
use migration_core::{Transaction, wording};

/// What PostgreSQL's message leaves out.
pub(super) fn advice(error: &DatabaseError, options: &RunOptions, is_transactional: bool) -> Option<String> {
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
        "25001" => {
            "this statement can't run in a transaction; make `-- no-transaction` the first line of the script"
                .to_owned()
        }
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
