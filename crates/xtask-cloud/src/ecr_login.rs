//! `cargo xtask ecr-login`: a token from ECR, put where docker looks for it.

use crate::settings::ecr::EcrFlags;

/// Put an ECR token where Docker looks for it
///
/// Does what `aws ecr get-login-password | docker login` does, without either CLI: asks ECR for a token (good for
/// 12 hours), tries it on the registry, and stores it with docker's credential helper, or in its config.json. A push
/// with `cargo xtask push-image` does not need this.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask ecr-login
  cargo xtask ecr-login --region eu-west-1 --profile release
  cargo xtask ecr-login --password-stdout | podman login --username AWS --password-stdin HOST

Environment: AWS_REGION or AWS_DEFAULT_REGION, ECR_ACCOUNT, ECR_REGISTRY, ECR_REPOSITORY, AWS_PROFILE as above; every \
variable of the AWS SDK for credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, \
AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, …), AWS_ENDPOINT_URL, \
AWS_ENDPOINT_URL_ECR, AWS_CA_BUNDLE, HTTPS_PROXY, NO_PROXY; DOCKER_CONFIG and DOCKER_AUTH_CONFIG as the docker CLI reads \
them; RUST_LOG (the SDK's log, without secrets).")]
pub(crate) struct Arguments {
    /// Print the password alone on stdout and store nothing; the user is AWS
    #[arg(long)]
    password_stdout: bool,
    /// Say where the token would go, ask nobody for one
    #[arg(long, conflicts_with = "password_stdout")]
    dry_run: bool,
    #[command(flatten)]
    ecr: EcrFlags,
}

#[cfg(feature = "cloud")]
pub(crate) async fn run(arguments: &Arguments, project: &crate::project::Project) -> anyhow::Result<()> {
    use anyhow::{Context, ensure};

    use crate::docker::login::{Place, Store};
    use crate::ecr::Ecr;
    use crate::ecr::http::Access;
    use crate::settings::{ImageFlags, Settings};
    use crate::ui;

    let (_, settings) = Settings::read_with_ecr(&ImageFlags::default(), &arguments.ecr, project)?;
    let store = Store::of_this_user();
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
        Place::NotNeeded { program } => {
            ui::done("Nothing", format!("to store: docker has {program} ask ECR for a token each time"));
        }
        Place::Helper { program } => {
            ui::done("Logged in", format!("to {registry} {until}, stored by {program}"));
        }
        Place::File { path } => {
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
