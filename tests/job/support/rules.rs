//! Lines of the test server's pg_hba.conf, for roles of a test's own.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Database, Role, Server, quoted, until};

static FILE: Mutex<()> = Mutex::new(());

/// How a role has to log in on a database, whichever way it comes; `trust`, `password`, `md5`, or `cert`, for which the
/// server asks everybody for a certificate of its own authority from then on.
pub(crate) fn let_in_by(method: &str, database: &Database, role: &Role) {
    let _alone = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    if method == "cert" {
        let authority = Server::of_environment().authority;
        database.execute(&format!("ALTER SYSTEM SET ssl_ca_file = '{authority}'"));
    }
    let path: String = database.value("SELECT current_setting('hba_file')");
    let others = fs::read_to_string(&path).unwrap();
    let whom = format!("{} {}", quoted(&database.name), quoted(&role.name));
    let local = if method == "cert" { String::new() } else { format!("local {whom} {method}\n") };
    let kind = if method == "cert" { "hostssl" } else { "host" };
    fs::write(&path, format!("{local}{kind} {whom} all {method}\n{others}")).unwrap();
    let loaded = "SELECT extract(epoch FROM pg_conf_load_time())::float8";
    let before: f64 = database.value(loaded);
    database.execute("SELECT pg_reload_conf()");
    until("the server has read its settings again", || database.value::<f64>(loaded) > before);
    // It tells its sessions before it reads the rules.
    std::thread::sleep(Duration::from_millis(200));
}
