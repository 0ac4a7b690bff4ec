//! Credentials for the registry, shared by the tasks that need them.

use crate::docker::login::Store;
use crate::docker::login::credentials::Credentials;
use crate::ecr::Ecr;
use crate::ecr::http::Access;
use crate::ui;

/// What docker has stored if the registry takes it, else a new token. A store that can't be read is no reason to stop.
pub(super) async fn credentials(ecr: &Ecr) -> anyhow::Result<Credentials> {
    let stored = Store::of_this_user().and_then(|store| store.find(&ecr.name.registry));
    let stored = stored.unwrap_or_else(|error| {
        ui::warning(format!("docker's stored credentials are not used: {error:#}"));
        None
    });
    if let Some(stored) = stored
        && ecr.http.access(&ecr.name.registry, &stored).await? == Access::Granted
    {
        return Ok(stored);
    }
    Ok(ecr.token().await?.credentials)
}
