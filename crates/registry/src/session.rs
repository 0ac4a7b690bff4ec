//! Who we are to the registry for as long as a task runs: whom docker has stored, as long as the registry takes that,
//! else whom ECR itself gives a token for.

use anyhow::Context;
use tokio::sync::OnceCell;

use super::Ecr;
use super::http::Access;
use docker::login::CredentialStore;
use docker::login::credentials::Credentials;
use workspace::ui;

/// Credentials that the registry knows. What they let us do it does not say before it is tried.
#[derive(Debug)]
pub struct Session {
    first: Credentials,
    origin: TokenOrigin,
    token: OnceCell<Credentials>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenOrigin {
    /// They may be of another account, or of somebody who may only read.
    Docker,
    Ecr,
}

impl Session {
    /// A store that can't be read is no reason to stop.
    pub async fn open(ecr: &Ecr) -> anyhow::Result<Self> {
        let stored = CredentialStore::of_this_user().and_then(|store| store.find(&ecr.registry));
        let stored = stored.unwrap_or_else(|error| {
            ui::warning(format!("docker's stored credentials are not used: {error:#}"));
            None
        });
        let (first, origin) = match stored {
            Some(stored) if ecr.http.access(&ecr.registry, &stored).await? == Access::Granted => {
                (stored, TokenOrigin::Docker)
            }
            _ => (ecr.token().await?.credentials, TokenOrigin::Ecr),
        };
        Ok(Self { first, origin, token: OnceCell::new() })
    }

    pub fn credentials(&self) -> &Credentials {
        self.token.get().unwrap_or(&self.first)
    }

    /// Whether a token of ECR's own may do what these may not.
    pub fn is_dockers(&self) -> bool {
        self.origin == TokenOrigin::Docker && !self.token.initialized()
    }

    /// From here on it is a new token of ECR's.
    pub async fn renew(&mut self, ecr: &Ecr, why: &str) -> anyhow::Result<()> {
        self.token = OnceCell::new_with(Some(token(ecr, why).await?));
        Ok(())
    }

    /// ECR's token in the place of what docker has stored; none where it is ECR's that was refused. Whoever is refused
    /// at the same time gets the same one.
    pub(super) async fn instead(
        &self,
        refused: &Credentials,
        ecr: &Ecr,
        why: &str,
    ) -> anyhow::Result<Option<&Credentials>> {
        if self.origin == TokenOrigin::Ecr || self.token.get() == Some(refused) {
            return Ok(None);
        }
        self.token.get_or_try_init(|| token(ecr, why)).await.map(Some)
    }
}

async fn token(ecr: &Ecr, why: &str) -> anyhow::Result<Credentials> {
    ui::note("Refreshing", format!("the token, which the registry did not take: {why}"));
    let token = ecr.token().await;
    Ok(token.with_context(|| format!("the registry did not take the credentials: {why}"))?.credentials)
}
