//! TLS after PostgreSQL's own question for it.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use crate::postgres::server::Identity;
use crate::postgres::wire::certificate;
use crate::postgres::wire::stream::{Stream, cut};
use crate::postgres::wire::trust::Verifier;
use crate::postgres::{DatabaseError, Tls, Trust, pem};

/// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST>
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

pub(super) enum Security {
    /// A Unix socket: nothing leaves the machine.
    Local,
    Plain,
    Tls(Encrypted),
}

pub(super) struct Encrypted {
    /// Whether a certificate made out to the host proved who the server is: an authority such as that of a cloud vouches
    /// for the servers of others as well.
    pub(super) is_verified: bool,
    /// What binds a login to this connection; `None` where the certificate has no such thing.
    pub(super) end_point: Option<Vec<u8>>,
    shown: Arc<Shown>,
}

#[cfg(test)]
impl Encrypted {
    pub(super) fn of(is_verified: bool, end_point: Option<Vec<u8>>) -> Self {
        Self { is_verified, end_point, shown: Arc::default() }
    }
}

impl Security {
    pub(super) fn is_verified(&self) -> bool {
        match self {
            Self::Local => true,
            Self::Plain => false,
            Self::Tls(encrypted) => encrypted.is_verified,
        }
    }

    /// Whether the server asked for a certificate that we have not got.
    pub(super) fn lacks_certificate(&self) -> bool {
        matches!(self, Self::Tls(encrypted) if encrypted.shown.is_lacking())
    }

    pub(super) fn shows_certificate(&self) -> bool {
        matches!(self, Self::Tls(encrypted) if encrypted.shown.is_shown.load(Ordering::Relaxed))
    }

    /// Why reading or writing failed: what a server thinks of our certificate may come late.
    pub(super) fn broken(&self, error: io::Error) -> DatabaseError {
        match self {
            Self::Tls(encrypted) => failure(error, &encrypted.shown, ""),
            Self::Local | Self::Plain => cut(error),
        }
    }
}

pub(super) async fn encrypt(
    stream: Stream,
    tls: &Tls,
    host: &str,
) -> Result<(Stream, Security), DatabaseError> {
    match ask(stream).await? {
        (stream, true) => shake_hands(stream, tls, host, "").await,
        (_, false) => Err(DatabaseError::Tls(
            "the server does not offer encryption; turn it on there, or change POSTGRES_SSLMODE".to_owned(),
        )),
    }
}

/// Asks for encryption, and does without where the server has none.
pub(super) async fn encrypt_if_offered(
    stream: Stream,
    tls: &Tls,
    host: &str,
) -> Result<(Stream, Security), DatabaseError> {
    const WITHOUT: &str = ", or set POSTGRES_SSLMODE=disable to go without encryption";
    match ask(stream).await? {
        (stream, true) => shake_hands(stream, tls, host, WITHOUT).await,
        (stream, false) => Ok((stream, Security::Plain)),
    }
}

async fn ask(mut stream: Stream) -> Result<(Stream, bool), DatabaseError> {
    stream.write_all(&SSL_REQUEST).await.map_err(cut)?;
    // One byte: what an attacker appends to it must not count as said under encryption.
    match stream.read_u8().await.map_err(cut)? {
        b'S' => Ok((stream, true)),
        b'N' => Ok((stream, false)),
        // Anybody on the way may have written it: not a word of it is shown.
        b'E' => {
            Err(DatabaseError::Cut("the server answered the request for encryption with an error".to_owned()))
        }
        _ => Err(DatabaseError::Cut(
            "the server's answer to the request for encryption is not PostgreSQL's protocol".to_owned(),
        )),
    }
}

async fn shake_hands(
    stream: Stream,
    tls: &Tls,
    host: &str,
    way_out: &str,
) -> Result<(Stream, Security), DatabaseError> {
    let shown = Arc::new(Shown::default());
    let config = config(tls, &shown)?;
    let name = server_name(tls, host)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = stream.map_err(|error| failure(error, &shown, way_out))?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let end_point = certificate.and_then(|certificate| certificate::end_point(certificate));
    let is_verified = matches!(tls.trust, Trust::Host(_));
    Ok((Box::new(stream), Security::Tls(Encrypted { is_verified, end_point, shown })))
}

/// The files are read again for each connection.
fn config(tls: &Tls, shown: &Arc<Shown>) -> Result<ClientConfig, DatabaseError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::of(&tls.trust, &provider)?;
    let certificate = tls.identity.as_ref().map(|identity| certified(identity, &provider)).transpose()?;
    let resolver = Resolver { certificate, shown: Arc::clone(shown) };
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config
        .map_err(|error| DatabaseError::wrong("POSTGRES_SSLMODE")(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(resolver));
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// rustls itself would take no certificate of X.509's first version, which openssl makes without being asked for more.
fn certified(identity: &Identity, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, DatabaseError> {
    let certificates =
        pem::certificates(&identity.certificate).map_err(DatabaseError::not_now("POSTGRES_SSLCERT"))?;
    let key = pem::private_key(&identity.key).map_err(DatabaseError::not_now("POSTGRES_SSLKEY"))?;
    let key = provider.key_provider.load_private_key(key).map_err(|error| {
        DatabaseError::wrong("POSTGRES_SSLKEY")(format!("{} can't be used: {error}", identity.key.display()))
    })?;
    let own = certificates.first().and_then(|certificate| certificate::public_key(certificate));
    if key.public_key().is_some_and(|public| own.is_none_or(|own| own != public.as_ref())) {
        return Err(DatabaseError::wrong("POSTGRES_SSLCERT")(format!(
            "the key in {} is not that of the certificate in {}",
            identity.key.display(),
            identity.certificate.display()
        )));
    }
    Ok(Arc::new(CertifiedKey::new(certificates, key)))
}

/// A name that is no host name can't be held against a certificate, and is not sent.
fn server_name(tls: &Tls, host: &str) -> Result<ServerName<'static>, DatabaseError> {
    match ServerName::try_from(host.to_owned()) {
        Ok(name) => Ok(name),
        Err(_) if matches!(tls.trust, Trust::Host(_)) => Err(DatabaseError::Tls(format!(
            "no certificate can be made out to {host:?}; check POSTGRES_HOST and POSTGRES_SSLMODE"
        ))),
        Err(_) => Ok(ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into())),
    }
}

fn failure(error: io::Error, shown: &Shown, way_out: &str) -> DatabaseError {
    let Some(reason) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return cut(error);
    };
    if let Error::InvalidCertificate(problem) = reason
        && let Some(advice) = what_to_do(problem)
    {
        return DatabaseError::Untrusted(format!("{reason}; {advice}"));
    }
    let advice = match reason {
        Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_) => {
            format!("the server does not offer TLS 1.2 or newer; update it{way_out}")
        }
        Error::AlertReceived(_) if shown.is_lacking() => {
            "the server asked for a client certificate and got none; set POSTGRES_SSLCERT and POSTGRES_SSLKEY"
                .to_owned()
        }
        Error::AlertReceived(_) if shown.is_shown.load(Ordering::Relaxed) => {
            "check POSTGRES_SSLCERT and POSTGRES_SSLKEY".to_owned()
        }
        other if other.to_string().contains("CaUsedAsEndEntity") => {
            "the server shows a CA's certificate as its own; give it one that the CA signed".to_owned()
        }
        _ => format!("check POSTGRES_SSLMODE and POSTGRES_SSLROOTCERT{way_out}"),
    };
    DatabaseError::Tls(format!("{reason}; {advice}"))
}

fn what_to_do(problem: &CertificateError) -> Option<&'static str> {
    Some(match problem {
        CertificateError::UnknownIssuer => {
            "it is signed by none of the authorities in POSTGRES_SSLROOTCERT; if it is the right server, add its \
             authority to that file"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is made out to other names; set POSTGRES_HOST to one of them, or give the server another certificate"
        }
        CertificateError::Revoked => "POSTGRES_SSLCRL lists it; give the server another certificate",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "renew it, or check the clock of this machine"
        }
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            "renew the list in POSTGRES_SSLCRL"
        }
        CertificateError::UnknownRevocationStatus => {
            "no list in POSTGRES_SSLCRL is from its authority; add that one's"
        }
        _ => return None,
    })
}

#[derive(Debug, Default)]
struct Shown {
    was_asked_for: AtomicBool,
    is_shown: AtomicBool,
}

impl Shown {
    fn is_lacking(&self) -> bool {
        self.was_asked_for.load(Ordering::Relaxed) && !self.is_shown.load(Ordering::Relaxed)
    }
}

struct Resolver {
    certificate: Option<Arc<CertifiedKey>>,
    shown: Arc<Shown>,
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.shown.was_asked_for.store(true, Ordering::Relaxed);
        self.shown.is_shown.store(self.certificate.is_some(), Ordering::Relaxed);
        self.certificate.clone()
    }

    fn has_certs(&self) -> bool {
        self.certificate.is_some()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}
