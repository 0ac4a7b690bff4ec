//! Encryption: POSTGRES_SSL…, POSTGRES_CHANNEL_BINDING.

use std::path::{Path, PathBuf};

use crate::cli::config::reader::Reader;
use crate::postgres::server::Identity;
use crate::postgres::{ChannelBinding, RootSource, Roots, Ssl, Tls, Trust, pem};

const MODE: &str = "POSTGRES_SSLMODE";
const ROOTS: &str = "POSTGRES_SSLROOTCERT";
const REVOKED: &str = "POSTGRES_SSLCRL";
const CERTIFICATE: &str = "POSTGRES_SSLCERT";
const KEY: &str = "POSTGRES_SSLKEY";

impl Reader<'_> {
    pub(super) fn ssl(&mut self) -> Option<Ssl> {
        let modes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
        // Whoever names roots wants to know who the server is.
        let default = if self.is_set(ROOTS) { "verify-full" } else { "prefer" };
        let mode = self.choice_or(MODE, default, &modes.map(|mode| (mode, mode)));
        let before = self.mistakes.len();
        let roots = self.roots();
        let identity = self.identity();
        if self.mistakes.len() > before {
            return None;
        }
        let tls = |trust| Tls { trust, identity };
        let vouched = |roots: Option<Roots>| roots.map_or(Trust::Anybody, Trust::Authority);
        match (mode, roots) {
            // As in libpq: anybody can have a certificate that the system trusts, for another host.
            (weak, Some(Roots { from: RootSource::System, .. })) if weak != "verify-full" => {
                self.wrong(
                    ROOTS,
                    format!("is `system`, which proves nothing with {MODE}={weak}; set that to verify-full"),
                );
                None
            }
            ("verify-ca" | "verify-full", None) => {
                self.wrong(
                    ROOTS,
                    format!(
                        "is missing, and {mode} needs it; set it to a file of certificates, or to `system`"
                    ),
                );
                None
            }
            ("verify-full", Some(roots)) => Some(Ssl::Require(tls(Trust::Host(roots)))),
            ("disable", _) => Some(Ssl::Disable),
            // As in libpq: a root certificate that is there is used.
            ("allow", roots) => Some(Ssl::Allow(tls(vouched(roots)))),
            ("prefer", roots) => Some(Ssl::Prefer(tls(vouched(roots)))),
            (_, roots) => Some(Ssl::Require(tls(vouched(roots)))),
        }
    }

    pub(super) fn channel_binding(&mut self, ssl: Option<&Ssl>) -> ChannelBinding {
        const NAME: &str = "POSTGRES_CHANNEL_BINDING";
        let choices = [
            ("disable", ChannelBinding::Disable),
            ("prefer", ChannelBinding::Prefer),
            ("require", ChannelBinding::Require),
        ];
        let chosen = self.choice(NAME, &choices);
        if chosen == ChannelBinding::Require && ssl == Some(&Ssl::Disable) {
            self.wrong(
                NAME,
                format!(
                    "is \"require\", which needs encryption, but {MODE} is \"disable\"; change one of them"
                ),
            );
        }
        chosen
    }

    fn roots(&mut self) -> Option<Roots> {
        let revoked = self.checked(REVOKED, |path| pem::revocation_lists(path).map(drop));
        let from = match self.environment.text(ROOTS).unwrap_or_default().trim() {
            "system" => Some(RootSource::System),
            _ => self.checked(ROOTS, |path| pem::certificates(path).map(drop)).map(RootSource::File),
        };
        if self.is_set(REVOKED) && !self.is_set(ROOTS) {
            self.wrong(REVOKED, format!("is set without {ROOTS}, so no certificate would be checked"));
        }
        Some(Roots { from: from?, revoked })
    }

    fn identity(&mut self) -> Option<Identity> {
        let certificate = self.checked(CERTIFICATE, |path| pem::certificates(path).map(drop));
        let key = self.checked(KEY, |path| pem::private_key(path).map(drop));
        for (set, other) in [(CERTIFICATE, KEY), (KEY, CERTIFICATE)] {
            if self.is_set(set) && !self.is_set(other) {
                self.wrong(other, format!("is missing, and {set} is set; they are needed together"));
            }
        }
        Some(Identity { certificate: certificate?, key: key? })
    }

    /// A file that is read again for each connection; here only to find mistakes before anything starts.
    fn checked(&mut self, name: &str, check: impl Fn(&Path) -> Result<(), String>) -> Option<PathBuf> {
        self.parsed(name, |path| check(Path::new(path)).map(|()| PathBuf::from(path)))
    }
}
