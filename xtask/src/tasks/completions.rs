//! `cargo xtask completions`: the completion script of a shell, on stdout.

use anyhow::Context;
use clap::CommandFactory;

/// Print the completion script of a shell
///
/// Completes `xtask …`; where it is called as `cargo xtask`, alias it: `alias xtask='cargo xtask'`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask completions bash > ~/.local/share/bash-completion/completions/xtask
  cargo xtask completions zsh > ~/.zfunc/_xtask
  cargo xtask completions fish > ~/.config/fish/completions/xtask.fish")]
pub struct Arguments {
    /// Shell to complete for
    shell: clap_complete::Shell,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut command = crate::cli::Xtask::command().bin_name("xtask");
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "xtask", &mut script);
    workspace::ui::exact(String::from_utf8(script).context("the completion script is not text")?.trim_end());
    Ok(())
}
