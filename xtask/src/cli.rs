//! What can be typed after `cargo xtask`, whichever program runs it. The arguments of a task stand in the task's own
//! file, or below here where another program has the task.

pub mod attestation;
pub mod bench;
pub mod ecr_login;
pub mod ecr_logout;
pub mod images;
pub mod lint;
pub mod push_image;
pub mod release;
pub mod setup;
pub mod test;

use clap::{Parser, Subcommand, builder::styling::AnsiColor, builder::styling::Styles};

use crate::tasks;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// The release pipeline of run-migrations
///
/// stdout carries the result of a task (a path, an image, a report), stderr everything else.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    styles = STYLES,
    max_term_width = 110,
    disable_help_subcommand = true,
    after_help = "\
A first day:
  cargo xtask new-migration \"add contact city\"   write the two scripts it names
  cargo xtask run-migrations                      apply them to a local PostgreSQL
  cargo xtask database psql                       look at the result
  cargo xtask run-migrations downgrade -1         revert the last one

`cargo xtask TASK --help` shows a task's examples and every environment variable it reads. Settings come from the \
first of: flag, environment, xtask/release.yaml, default. NO_COLOR and CLICOLOR_FORCE are honoured."
)]
pub struct Xtask {
    #[command(subcommand)]
    pub task: Task,
}

#[derive(Debug, Subcommand)]
pub enum Task {
    Lint(lint::Arguments),
    Test(test::Arguments),
    Bench(bench::Arguments),
    NewMigration(tasks::new_migration::Arguments),
    RunMigrations(tasks::run_migrations::Arguments),
    Database(tasks::database::Arguments),
    BuildImage(tasks::build_image::Arguments),
    EcrLogin(ecr_login::Arguments),
    EcrLogout(ecr_logout::Arguments),
    PushImage(push_image::Arguments),
    Images(images::Arguments),
    Release(release::Arguments),
    Changelog(tasks::changelog::Arguments),
    Plan(tasks::plan::Arguments),
    Page(tasks::page::Arguments),
    Attestation(attestation::Arguments),
    Sbom(tasks::sbom::Arguments),
    Setup(setup::Arguments),
    Completions(tasks::completions::Arguments),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Xtask::command().debug_assert();
    }
}
