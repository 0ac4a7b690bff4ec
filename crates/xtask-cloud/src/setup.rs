//! `cargo xtask setup github`: what AWS and GitHub have to be told once, so that the workflows can release.

mod check;
mod delivery;
mod environment;
mod roles;
mod rulesets;
mod script;
mod site;

use xtask::cli::setup::{Arguments, What};

pub(crate) async fn run(arguments: &Arguments, project: &workspace::project::Project) -> anyhow::Result<()> {
    use anyhow::{Context, bail};
    use serde_json::json;

    use workspace::ui;

    let What::Github(arguments) = &arguments.what;
    let site = site::find(arguments, project).await?;
    let roles = roles::all(&site);
    let file = delivery::DeliveryFile::read(project)?;
    let values = site.delivery(&file.values);
    if arguments.check {
        let differences = check::differences(&site, &roles, &file, &values)?;
        if file.values.get("ATTESTATIONS") == "off" {
            ui::warning(format!("ATTESTATIONS is off. {}", script::LOST));
        }
        if site.rulesets == rulesets::Rulesets::Unavailable {
            ui::warning(
                "this account's plan has no rulesets: whoever may write to the repository may make tags, and so release",
            );
        }
        if differences.is_empty() {
            ui::done(
                "As it should be",
                format!("identity provider, roles, rulesets and settings of {}", site.repository),
            );
            return Ok(());
        }
        bail!("{} things are not as they should be\n  {}", differences.len(), differences.join("\n  "));
    }
    if arguments.json {
        let values: serde_json::Map<_, _> =
            values.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let roles: Vec<_> = roles.iter().map(roles::Role::json).collect();
        let all = json!({"provider": site.provider(), "roles": roles, "delivery": values});
        ui::document(&serde_json::to_string_pretty(&all).context("the result can't be written")?);
    } else {
        ui::exact(&script::write(&site, &roles, &file.values.with(&values))?);
    }
    Ok(())
}
