//! `cargo xtask ecr-logout`: what `ecr-login` has stored, taken out again.

use xtask::cli::ecr_logout::Arguments;

pub(crate) async fn run(arguments: &Arguments, project: &workspace::project::Project) -> anyhow::Result<()> {
    use docker::login::CredentialStore;
    use registry::Ecr;
    use settings::{ImageFlags, Settings};
    use workspace::ui;

    let (_, settings) = Settings::read_with_ecr(&ImageFlags::default(), &arguments.ecr, project)?;
    let store = CredentialStore::of_this_user()?;
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
