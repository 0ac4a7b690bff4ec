//! Seconds from a tag to the start of the job, of as many releases as the argument says: `cargo xtask bench` runs it,
//! with PostgreSQL, the emulator of ECR and act. release.yml is run as the tests run it, with an image that ECR holds and
//! an xtask that is compiled. Each line of output is one release.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints what it found, or fails")]

#[expect(dead_code, reason = "the tests of the workflows use the rest of it")]
#[path = "../tests/workflows/stage.rs"]
mod stage;
#[path = "../tests/ecr/support/mod.rs"]
mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use stage::Stage;

fn main() {
    let releases: usize = std::env::args().find_map(|word| word.parse().ok()).unwrap();
    let stage = Stage::set("bench");
    stage.push_from_ci();
    for number in 0..releases {
        let version = format!("9.9.{number}");
        stage.tree.write_changelog(&version);
        let tag = format!("v{version}");
        stage.tag(&tag);
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        stage.push_event(&tag).succeeded();
        let jobs = stage.github("jobs");
        assert_eq!(jobs.lines().count(), number + 1, "each release started one job");
        let job: f64 = jobs.lines().last().unwrap().parse().unwrap();
        println!("{:.3}", job - start);
    }
}
