//! CPU time of planning 10,000 migrations, read and prepared by the library: `cargo bench --bench planning`. Each line
//! of output is what was measured, a tab, and the milliseconds of the quickest of a few repetitions.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints what it found, or fails")]

use std::path::Path;

use run_migrations::migration::{Checksum, History};
use run_migrations::plan::{self, OutOfOrder};
use run_migrations::revision::Revision;
use run_migrations::script;
use run_migrations::standing::{Applied, Standing};

const COUNT: i64 = 10_000;
const REPETITIONS: usize = 5;

fn main() {
    let directory = std::env::temp_dir().join(format!("planning-{}", std::process::id()));
    write(&directory);
    let history = History::read(&directory).unwrap();
    let applied: Vec<Applied> = history.migrations().iter().map(row).collect();
    measure("reading the files", || {
        assert_eq!(History::read(&directory).unwrap().migrations().len(), 10_000)
    });
    measure("planning all of them", || assert_eq!(steps(&history, &[]), 10_000));
    measure("planning with all of them applied", || assert_eq!(steps(&history, &applied), 0));
    let standing = Standing::of(&history, &[]);
    let plan = plan::upgrade(&history, &standing, &Revision::Head, OutOfOrder::Refuse).unwrap();
    measure("checking every statement", || assert_eq!(script::prepare(&plan.steps).unwrap().len(), 10_000));
    std::fs::remove_dir_all(&directory).unwrap();
}

fn steps(history: &History, applied: &[Applied]) -> usize {
    let standing = Standing::of(history, applied);
    plan::upgrade(history, &standing, &Revision::Head, OutOfOrder::Refuse).unwrap().steps.len()
}

fn write(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    for number in 0..COUNT {
        let stem = directory.join(format!("{}_add_phone_to_subject_{number}", 20_260_101_000_000 + number));
        let table = format!("subject_{number}");
        let up = format!(
            "-- People can be called back.\nALTER TABLE {table} ADD COLUMN phone text;\n\
             COMMENT ON COLUMN {table}.phone IS 'As dialled; see the ''format'' page';\n"
        );
        std::fs::write(stem.with_extension("up.sql"), up).unwrap();
        std::fs::write(stem.with_extension("down.sql"), format!("ALTER TABLE {table} DROP COLUMN phone;\n"))
            .unwrap();
    }
}

fn row(migration: &run_migrations::migration::Migration) -> Applied {
    Applied {
        version: migration.version,
        description: migration.description.clone(),
        installed_on: "2026-01-01T00:00:00Z".to_owned(),
        success: true,
        checksum: Checksum::from_hex(&migration.checksum.to_string()).unwrap(),
        execution_time: 1,
    }
}

fn measure(what: &str, work: impl Fn()) {
    let times = (0..REPETITIONS).map(|_| {
        let start = cpu_time();
        work();
        cpu_time() - start
    });
    println!("{what}\t{:.2}", times.fold(f64::INFINITY, f64::min));
}

/// Milliseconds this process has spent on a CPU, as Linux counts them.
fn cpu_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
}
