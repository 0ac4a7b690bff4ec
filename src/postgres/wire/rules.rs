//! Which questions about the login are answered: decided before anything leaves that may be secret.

use crate::postgres::wire::scram::Binding;
use crate::postgres::wire::tls::{Encrypted, Security};
use crate::postgres::{ChannelBinding, DatabaseError, Method, RequireAuth};

const PLUS: &str = "SCRAM-SHA-256-PLUS";
const WITHOUT: &str = "SCRAM-SHA-256";

pub(super) struct Rules<'s> {
    pub(super) require_auth: Option<&'s RequireAuth>,
    pub(super) channel_binding: ChannelBinding,
    pub(super) security: &'s Security,
}

impl Rules<'_> {
    pub(super) fn permit(&self, method: Method) -> Result<(), DatabaseError> {
        let asks = match method {
            Method::Password => "asks for the password in clear text",
            Method::Md5 => "asks for an MD5 hash of the password",
            Method::Scram => "asks for SCRAM",
            Method::Gss => "asks for GSSAPI",
            Method::Sspi => "asks for SSPI",
            Method::OAuth => "asks for an OAuth token",
            Method::None => "lets the job in without asking for a password",
        };
        if self.channel_binding == ChannelBinding::Require && method != Method::Scram {
            return Err(DatabaseError::distrust(format!(
                "the server {asks}, which no channel binding protects, and POSTGRES_CHANNEL_BINDING is require"
            )));
        }
        match self.require_auth {
            Some(rules) if rules.allows(method) => Ok(()),
            Some(rules) => Err(DatabaseError::distrust(format!(
                "the server {asks}, which POSTGRES_REQUIRE_AUTH does not allow; if it should, {}",
                rules.to_allow(method)
            ))),
            None if matches!(method, Method::Password | Method::Md5) && !self.security.is_verified() => {
                Err(DatabaseError::distrust(format!(
                    "the server {asks}, and nothing proves that it is the right server, so nothing was sent; \
                     verify it with POSTGRES_SSLMODE=verify-full and POSTGRES_SSLROOTCERT, or allow it with \
                     POSTGRES_REQUIRE_AUTH={method}"
                )))
            }
            None => Ok(()),
        }
    }

    /// Which of the mechanisms to use, and how the login is bound to the connection. As libpq does it.
    pub(super) fn choose(&self, offered: &[String]) -> Result<(&'static str, Binding), DatabaseError> {
        let offers = |name: &str| offered.iter().any(|offered| offered == name);
        let (encrypted, wanted) = match (self.security, self.channel_binding) {
            (Security::Tls(encrypted), ChannelBinding::Prefer | ChannelBinding::Require) => {
                (Some(encrypted), true)
            }
            (Security::Tls(encrypted), ChannelBinding::Disable) => (Some(encrypted), false),
            (Security::Local | Security::Plain, _) => (None, false),
        };
        if offers(PLUS) && encrypted.is_none() {
            return Err(DatabaseError::distrust(
                "the server offers channel binding on a connection without encryption, as only somebody in between would",
            ));
        }
        match encrypted.filter(|_| wanted && offers(PLUS)) {
            Some(Encrypted { end_point: Some(end_point), .. }) => Ok((PLUS, Binding::To(end_point.clone()))),
            // Whoever is in between could show such a certificate to get rid of the binding.
            Some(Encrypted { is_verified: false, .. }) => Err(DatabaseError::distrust("the login can't be bound to the server's certificate, because its signature algorithm (such as Ed25519) \
                 defines no hash; give the server another certificate, verify it with POSTGRES_SSLMODE=verify-full, or set \
                 POSTGRES_CHANNEL_BINDING=disable")),
            bound if self.channel_binding == ChannelBinding::Require => Err(DatabaseError::distrust(match (bound, encrypted) {
                (Some(_), _) => {
                    "the login can't be bound to the server's certificate, because its signature algorithm (such as \
                     Ed25519) defines no hash, and POSTGRES_CHANNEL_BINDING is require"
                }
                (None, Some(_)) => "the server offers no channel binding, and POSTGRES_CHANNEL_BINDING is require",
                (None, None) => {
                    "the connection is not encrypted, so that there is no channel binding, and \
                     POSTGRES_CHANNEL_BINDING is require"
                }
            }
            .to_owned())),
            _ if !offers(WITHOUT) => {
                Err(DatabaseError::distrust(format!("the server offers only {}, which this job does not support", offered.join(", "))))
            }
            None if wanted => Ok((WITHOUT, Binding::NotOffered)),
            _ => Ok((WITHOUT, Binding::Unsupported)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(is_verified: bool, end_point: Option<&[u8]>) -> Security {
        Security::Tls(Encrypted::of(is_verified, end_point.map(<[u8]>::to_vec)))
    }

    fn rules<'s>(
        require_auth: Option<&'s RequireAuth>,
        channel_binding: ChannelBinding,
        security: &'s Security,
    ) -> Rules<'s> {
        Rules { require_auth, channel_binding, security }
    }

    #[test]
    fn a_password_goes_to_a_server_that_is_known() {
        let verified = [Security::Local, tls(true, None)];
        let others = [Security::Plain, tls(false, None)];
        for method in [Method::Password, Method::Md5] {
            for security in &verified {
                assert!(rules(None, ChannelBinding::Prefer, security).permit(method).is_ok());
            }
            for security in &others {
                assert!(rules(None, ChannelBinding::Prefer, security).permit(method).is_err());
                let named = RequireAuth::parse(&method.to_string()).unwrap();
                assert!(rules(Some(&named), ChannelBinding::Prefer, security).permit(method).is_ok());
            }
        }
        for security in verified.iter().chain(&others) {
            for method in [Method::Scram, Method::None] {
                assert!(rules(None, ChannelBinding::Prefer, security).permit(method).is_ok());
            }
            assert!(rules(None, ChannelBinding::Require, security).permit(Method::None).is_err());
            assert!(rules(None, ChannelBinding::Require, security).permit(Method::Password).is_err());
        }
        let scram = RequireAuth::parse("scram-sha-256").unwrap();
        for method in [Method::Password, Method::Md5, Method::Gss, Method::None] {
            assert!(rules(Some(&scram), ChannelBinding::Prefer, &Security::Local).permit(method).is_err());
        }
    }

    #[test]
    fn a_login_is_bound_wherever_that_can_be() {
        use ChannelBinding::{Disable, Prefer, Require};
        let (both, without, others) = (&[WITHOUT, PLUS][..], &[WITHOUT][..], &["PLAIN"][..]);
        let end_point = &b"hash"[..];
        let bound = || Ok((PLUS, Binding::To(end_point.to_vec())));
        let unbound = |binding| Ok((WITHOUT, binding));
        for (security, channel_binding, offered, expected) in [
            (tls(false, Some(end_point)), Prefer, both, bound()),
            (tls(false, Some(end_point)), Require, both, bound()),
            (tls(false, Some(end_point)), Disable, both, unbound(Binding::Unsupported)),
            // The server will know if somebody struck it from the list.
            (tls(false, Some(end_point)), Prefer, without, unbound(Binding::NotOffered)),
            (tls(false, None), Prefer, without, unbound(Binding::NotOffered)),
            (tls(false, Some(end_point)), Require, without, Err("the server offers no channel binding")),
            (tls(false, None), Prefer, both, Err("the login can't be bound")),
            (tls(false, None), Disable, both, unbound(Binding::Unsupported)),
            (tls(true, None), Prefer, both, unbound(Binding::Unsupported)),
            (tls(true, None), Require, both, Err("the login can't be bound")),
            (Security::Plain, Prefer, without, unbound(Binding::Unsupported)),
            (Security::Plain, Prefer, both, Err("the server offers channel binding on a connection")),
            (Security::Plain, Require, without, Err("the connection is not encrypted")),
            (Security::Local, Prefer, without, unbound(Binding::Unsupported)),
            (Security::Local, Require, without, Err("the connection is not encrypted")),
            (tls(true, Some(end_point)), Prefer, others, Err("the server offers only PLAIN")),
        ] {
            let offered: Vec<_> = offered.iter().copied().map(str::to_owned).collect();
            let chosen = rules(None, channel_binding, &security).choose(&offered);
            match (chosen, expected) {
                (Ok(chosen), Ok(expected)) => assert_eq!(chosen, expected),
                (Err(error), Err(expected)) => assert!(error.to_string().starts_with(expected), "{error}"),
                (chosen, expected) => panic!("{chosen:?}, not {expected:?}"),
            }
        }
    }
}
