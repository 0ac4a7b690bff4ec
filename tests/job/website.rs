//! The repository's own migrations: up, down one by one, and up again, to the same schema.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sqlx::migrate::Migrator;

use crate::offline_sql::{psql, rows};
use crate::support::{Directory, Job, Setup};

fn setup() -> Setup {
    let setup = Setup::with(&[]);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    Setup { directory: Directory::copy_of(&scripts), ..setup }
}

/// The versions of the scripts, and how many of the oldest no downgrade passes: all up to the last without a down script.
fn versions(directory: &Directory) -> (Vec<i64>, usize) {
    let entries = std::fs::read_dir(directory.migrations()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<_> = names.filter(|name| name.ends_with(".sql")).collect();
    let mut has_down = BTreeMap::new();
    for name in names {
        let version: i64 = name.split_once('_').unwrap().0.parse().unwrap();
        *has_down.entry(version).or_default() |= name.ends_with(".down.sql");
    }
    let kept = has_down
        .values()
        .enumerate()
        .rfind(|(_, has_down): &(usize, &bool)| !**has_down)
        .map_or(0, |(last, _)| last + 1);
    (has_down.into_keys().collect(), kept)
}

#[test]
fn every_migration_has_a_true_inverse() {
    let setup = setup();
    let (versions, kept) = versions(&setup.directory);
    setup.job("upgrade base").run().ok();
    setup.job("stamp base").run().ok();
    if kept == 0 {
        setup.job("upgrade +1").run().ok();
        setup.job("downgrade base").run().ok();
    }
    let mut dumps = vec![setup.database.dump()];
    for _ in &versions {
        setup.job("upgrade +1").run().ok();
        dumps.push(setup.database.dump());
    }
    assert_eq!(setup.database.versions(), versions);
    for place in (kept..versions.len()).rev() {
        setup.job("downgrade -1").run().ok();
        assert!(setup.database.dump() == dumps[place], "the inverse of {} is not true", versions[place]);
    }
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.dump(), dumps[versions.len()]);
    if kept == 0 {
        setup.job("downgrade base").run().ok();
        setup.job("upgrade head").env("TRANSACTION", "run").run().ok();
        assert_eq!(setup.database.dump(), dumps[versions.len()]);
    }
}

#[test]
fn the_job_psql_and_sqlx_make_the_same_schema() {
    let setup = setup();
    setup.job("upgrade head").run().ok();

    let by_psql = setup.database.another();
    let done = psql(&setup.directory, "upgrade --sql base:head", &by_psql);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(rows(&by_psql), rows(&setup.database));
    assert_eq!(by_psql.dump(), setup.database.dump());
    Job::new("current --check").within(&setup.directory).on(&by_psql).run().ok();

    let by_sqlx = setup.database.another();
    let migrator = by_sqlx.block_on(Migrator::new(setup.directory.migrations())).unwrap();
    let mut connection = by_sqlx.connection();
    by_sqlx.block_on(migrator.run(&mut connection)).unwrap();
    assert_eq!(rows(&by_sqlx), rows(&setup.database));
    assert_eq!(by_sqlx.dump(), setup.database.dump());

    let (versions, kept) = versions(&setup.directory);
    if kept == versions.len() {
        return;
    }
    let lowest = kept.checked_sub(1).map_or_else(|| "base".to_owned(), |last| versions[last].to_string());
    let done = psql(&setup.directory, &format!("downgrade --sql head:{lowest}"), &by_psql);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    setup.job(&format!("downgrade {lowest}")).run().ok();
    assert_eq!(by_psql.dump(), setup.database.dump());
}
