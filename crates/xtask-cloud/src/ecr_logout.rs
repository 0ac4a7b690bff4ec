//! `cargo xtask ecr-logout`: what `ecr-login` has stored, taken out again.

use crate::settings::ecr::EcrFlags;

/// Take the ECR token out of where Docker looks for it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask ecr-logout

Environment: as `cargo xtask ecr-login --help` has it. Where account and region are set, AWS is not asked.")]
pub(crate) struct Arguments {
    /// Say what would be taken out, take nothing out
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    ecr: EcrFlags,
}

#[cfg(feature = "cloud")]
pub(crate) async fn run(arguments: &Arguments, project: &crate::project::Project) -> anyhow::Result<()> {
    use crate::docker::login::Store;
    use crate::ecr::Ecr;
    use crate::settings::{ImageFlags, Settings};
    use crate::ui;

    let (_, settings) = Settings::read_with_ecr(&ImageFlags::default(), &arguments.ecr, project)?;
    let store = Store::of_this_user()?;
    let registry = match settings.registry_without_asking() {
        Some(registry) => registry,
        None => Ecr::connect(&settings).await?.registry,
    };
    if arguments.dry_run {
        ui::note("Would log out", format!("of {registry}, by {}", store.path().display()));
        return Ok(());
    }
    let places = store.take(&registry)?;
    if places.is_empty() {
        ui::done("Nothing", format!("to take out: docker has no credentials for {registry}"));
    }
    for place in places {
        ui::done("Logged out", format!("of {registry}; the token is gone from {place}"));
    }
    Ok(())
}
