//! `cargo xtask ecr-login`: a token from ECR, put where docker looks for it.

use xtask::cli::ecr_login::Arguments;

pub(crate) async fn run(arguments: &Arguments, project: &workspace::project::Project) -> anyhow::Result<()> {
    use anyhow::{Context, ensure};

    use docker::login::{CredentialStore, StoredIn};
    use registry::Ecr;
    use registry::http::Access;
    use settings::{ImageFlags, Settings};
    use workspace::ui;

    let (_, settings) = Settings::read_with_ecr(&ImageFlags::default(), &arguments.ecr, project)?;
    let store = CredentialStore::of_this_user();
    if arguments.dry_run {
        let registry = settings.registry_without_asking();
        let registry =
            registry.map_or_else(|| "the registry of the account".to_owned(), |host| host.to_string());
        ui::note("Would log in", format!("to {registry}, by {}", store?.path().display()));
        return Ok(());
    }
    let ecr = Ecr::connect(&settings).await?;
    let registry = &ecr.registry;
    let token = ecr.token().await?;
    let access = ecr.http.access(registry, &token.credentials).await?;
    ensure!(
        access == Access::Granted,
        "{registry} refuses the token that ECR has just given; it may be the registry of another account or region"
    );
    if arguments.password_stdout {
        ui::exact(token.credentials.password.expose());
        return Ok(());
    }
    let store = store?;
    let place = store.put(registry, &token.credentials).context("the token was not stored")?;
    let until = token.expires.map_or_else(
        || "for 12 hours".to_owned(),
        |time| format!("until {}", humantime::format_rfc3339_seconds(time)),
    );
    match &place {
        StoredIn::NotNeeded { program } => {
            ui::done("Nothing", format!("to store: docker has {program} ask ECR for a token each time"));
        }
        StoredIn::Helper { program } => {
            ui::done("Logged in", format!("to {registry} {until}, stored by {program}"));
        }
        StoredIn::File { path } => {
            ui::done("Logged in", format!("to {registry} {until}, stored in {}", path.display()));
            ui::warning(
                "the token stands there unencrypted; a credential helper (credsStore) would keep it safe",
            );
        }
    }
    match store.overridden(registry) {
        Ok(None) => {}
        Ok(Some(_)) => {
            ui::warning(format!("DOCKER_AUTH_CONFIG also has {registry}, and docker prefers that"));
        }
        Err(error) => ui::warning(format!("{error:#}; docker passes it over")),
    }
    Ok(())
}
