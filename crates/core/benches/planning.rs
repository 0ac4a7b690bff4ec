//! CPU time of planning 10,000 migrations, read and prepared by the library: `cargo bench --package migration-core`. Each line
//! of output is what was measured, a tab, and the mean of its milliseconds.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints what it found, or fails")]

use std::path::Path;

use migration_core::{Applied, History, Migration, OutOfOrder, Revision, State, plan, script};

const COUNT: i64 = 10_000;
const REPETITIONS: u16 = 25;

fn main() {
    let directory = std::env::temp_dir().join(format!("planning-{}", std::process::id()));
    write(&directory);
    let history = History::read(&directory).unwrap();
    let applied: Vec<Applied> = history.migrations().iter().map(row).collect();
    measure("reading", || assert_eq!(History::read(&directory).unwrap().migrations().len(), 10_000));
    measure("planning, every statement checked", || {
        let state = State::of(&history, &[]);
        let plan = plan::upgrade(&history, &state, &Revision::Head, OutOfOrder::Refuse).unwrap();
        assert_eq!(script::prepare(&plan.steps).unwrap().len(), 10_000);
    });
    measure("planning with nothing to do", || {
        let state = State::of(&history, &applied);
        let plan = plan::upgrade(&history, &state, &Revision::Head, OutOfOrder::Refuse).unwrap();
        assert!(plan.steps.is_empty());
    });
    std::fs::remove_dir_all(&directory).unwrap();
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

fn row(migration: &Migration) -> Applied {
    Applied {
        version: migration.version,
        description: migration.description.clone(),
        installed_on: "2026-01-01T00:00:00Z".to_owned(),
        success: true,
        checksum: migration.checksum.clone(),
        execution_time: 1,
    }
}

/// The kernel's count moves on in steps of a few milliseconds, so the mean of many repetitions is taken.
fn measure(what: &str, work: impl Fn()) {
    let start = cpu_time();
    (0..REPETITIONS).for_each(|_| work());
    println!("{what}\t{:.2}", (cpu_time() - start) / f64::from(REPETITIONS));
}

/// Milliseconds this process has spent on a CPU, as Linux counts them.
fn cpu_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
}
