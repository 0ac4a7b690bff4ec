//! What is typed after `bench`.

/// Measure the job against its targets and against other tools
///
/// Applies the same generated migrations with the job (as it goes into the image), one psql session that sends the same
/// scripts, and, where they are on PATH, sqlx-cli and Alembic, to a PostgreSQL of its own with the usual durability.
/// Where there is Docker, releases to an emulator of ECR are timed beside `docker push`; and release.yml, run with act,
/// from a tag to the start of the job. Medians of interleaved repetitions.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench --quick          a first impression, in a minute or two
  cargo xtask bench                  what the figures in docs/measured.md were made with
  cargo xtask bench --fresh-clone    also from a fresh clone to a migrated database, which compiles everything
  cargo xtask bench --push           only releases, against an emulator of ECR
  cargo xtask bench --json > bench.json

Environment: PATH, where sqlx and alembic are looked for; CARGO_TARGET_DIR as cargo reads it.")]
pub struct Arguments {
    /// Fewer repetitions, and no 1000 migrations
    #[arg(long)]
    pub quick: bool,
    /// Print JSON, with every single sample
    #[arg(long)]
    pub json: bool,
    /// Also time a fresh clone, and an image build after a change to migrations/ alone
    #[arg(long)]
    pub fresh_clone: bool,
    /// Only the releases: pushes to an emulator of ECR and promotions there, beside `docker push`
    #[arg(long, conflicts_with = "fresh_clone")]
    pub push: bool,
}
