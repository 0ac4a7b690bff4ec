//! One image, three databases.

use serde_json::json;

use crate::support::programs::query;
use crate::support::site::{Site, address, create_database, drop_database};

#[test]
fn a_fleet_is_mended_by_running_it_again() {
    let site = Site::new("fleet");
    let others = ["fleet-b", "fleet-c"].map(create_database);
    site.create_secret("second");
    site.create_secret("third");
    let (host, port) = address();
    let port: u16 = port.parse().unwrap();
    let databases = [
        ("a", &site.database, "run-migrations"),
        ("b", &others[0], "second"),
        ("c", &others[1], "third"),
    ]
    .map(|(name, database, secret)| {
        json!({"name": name, "host": host, "port": port, "database": database, "secretRef": secret})
    });
    let file = site.overlay().join("databases.yaml");
    std::fs::write(&file, json!(databases).to_string()).unwrap();
    let words = format!("--fleet {} --canary 1 --parallel 2 --max-failed 2", file.display());

    query(&others[0], "CREATE TABLE contacts (id bigint)");
    let out = site.run(&words).exited(5);
    let lines: Vec<_> = out.stdout.lines().collect();
    assert!(lines[0].starts_with("a  at ") && lines[0].ends_with("(head)"), "{}", out.stdout);
    assert!(lines[1].starts_with("b  failed (5): "), "{}", out.stdout);
    assert!(lines[2].starts_with("c  at ") && lines[2].ends_with("(head)"), "{}", out.stdout);

    query(&others[0], "DROP TABLE contacts");
    let out = site.run(&words).exited(0);
    assert!(out.stdout.lines().all(|line| line.ends_with("(head)")), "{}", out.stdout);
    others.iter().for_each(|database| drop_database(database));
}
