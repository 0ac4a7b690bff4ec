//! The repository's own migrations: up, down one by one, and up again, to the same schema.

use std::path::Path;

use sqlx::migrate::Migrator;

use crate::offline_sql::{psql, rows};
use crate::support::{Directory, Job, Setup};

fn setup() -> Setup {
    let setup = Setup::with(&[]);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    Setup { directory: Directory::copy_of(&scripts), ..setup }
}

#[test]
fn every_migration_has_a_true_inverse() {
    let setup = setup();
    setup.job("upgrade base").run().ok();
    setup.job("stamp base").run().ok();
    setup.job("upgrade +1").run().ok();
    setup.job("downgrade base").run().ok();
    let mut dumps = vec![setup.database.dump()];
    let mut versions = vec!["base".to_owned()];
    let count = std::fs::read_dir(setup.directory.migrations())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".up.sql"))
        .count();
    for _ in 0..count {
        setup.job("upgrade +1").run().ok();
        dumps.push(setup.database.dump());
        versions.push(setup.database.versions().last().unwrap().to_string());
    }
    for place in (0..count).rev() {
        setup.job("downgrade -1").run().ok();
        assert!(setup.database.dump() == dumps[place], "reverting {} is not true", versions[place + 1]);
    }
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.dump(), dumps[count]);
    setup.job("downgrade base").run().ok();
    setup.job("upgrade head").env("TRANSACTION", "run").run().ok();
    assert_eq!(setup.database.dump(), dumps[count]);
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

    let done = psql(&setup.directory, "downgrade --sql head:base", &by_psql);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    setup.job("downgrade base").run().ok();
    assert_eq!(by_psql.dump(), setup.database.dump());
}
