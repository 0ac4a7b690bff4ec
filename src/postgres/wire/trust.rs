//! Whose certificate is trusted, as libpq has it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use webpki::RawPublicKeyEntity;

use crate::postgres::wire::certificate;
use crate::postgres::{DatabaseError, RootSource, Roots, Trust, pem};

/// What rustls asks about the server's certificate.
#[derive(Debug)]
pub(super) enum Verifier {
    /// Any certificate, if the server has its key: else a login could not be bound to it.
    Anybody(Arc<CryptoProvider>),
    /// One that the roots vouch for, whoever it was made out to.
    Authority(Arc<WebPkiServerVerifier>),
    /// One that the roots vouch for, made out to the host.
    Host(Arc<WebPkiServerVerifier>),
}

impl Verifier {
    pub(super) fn of(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Self, DatabaseError> {
        Ok(match trust {
            Trust::Anybody => Self::Anybody(Arc::clone(provider)),
            Trust::Authority(roots) => Self::Authority(vouching(roots, provider)?),
            Trust::Host(roots) => Self::Host(vouching(roots, provider)?),
        })
    }
}

const ROOTS: &str = "POSTGRES_SSLROOTCERT";
const REVOKED: &str = "POSTGRES_SSLCRL";

fn vouching(
    roots: &Roots,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, DatabaseError> {
    let mut store = RootCertStore::empty();
    match &roots.from {
        RootSource::File(path) => {
            for certificate in pem::certificates(path).map_err(DatabaseError::not_now(ROOTS))? {
                store.add(certificate).map_err(|error| {
                    DatabaseError::wrong(ROOTS)(format!(
                        "{} holds an unusable certificate: {error}",
                        path.display()
                    ))
                })?;
            }
        }
        RootSource::System => {
            let found = rustls_native_certs::load_native_certs();
            if found.certs.is_empty() {
                return Err(DatabaseError::wrong(ROOTS)(
                    "the system has no certificates to trust; set SSL_CERT_FILE to a file of them".to_owned(),
                ));
            }
            store.add_parsable_certificates(found.certs);
        }
    }
    let mut builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider));
    if let Some(path) = &roots.revoked {
        builder = builder
            .with_crls(pem::revocation_lists(path).map_err(DatabaseError::not_now(REVOKED))?)
            .enforce_revocation_expiration();
    }
    builder.build().map_err(|error| {
        let name = if matches!(error, VerifierBuilderError::InvalidCrl(_)) { REVOKED } else { ROOTS };
        DatabaseError::wrong(name)(error.to_string())
    })
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self {
            Self::Anybody(_) => Ok(ServerCertVerified::assertion()),
            Self::Host(roots) => roots.verify_server_cert(end_entity, intermediates, server_name, ocsp, now),
            // The name is looked at last.
            Self::Authority(roots) => {
                match roots.verify_server_cert(end_entity, intermediates, server_name, ocsp, now) {
                    Err(Error::InvalidCertificate(
                        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                    )) => Ok(ServerCertVerified::assertion()),
                    other => other,
                }
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self {
            Self::Anybody(provider) => has_key(provider, message, certificate, signature),
            Self::Authority(roots) | Self::Host(roots) => {
                roots.verify_tls12_signature(message, certificate, signature)
            }
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self {
            Self::Anybody(provider) => has_key(provider, message, certificate, signature),
            Self::Authority(roots) | Self::Host(roots) => {
                roots.verify_tls13_signature(message, certificate, signature)
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match self {
            Self::Anybody(provider) => provider.signature_verification_algorithms.supported_schemes(),
            Self::Authority(roots) | Self::Host(roots) => roots.supported_verify_schemes(),
        }
    }
}

/// Whether the server has the key of its certificate, of which nothing else need be right: many that
/// nobody vouches for are of a kind that webpki does not read.
fn has_key(
    provider: &CryptoProvider,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let encoding = || Error::InvalidCertificate(CertificateError::BadEncoding);
    let key = SubjectPublicKeyInfoDer::from(certificate::public_key(certificate).ok_or_else(encoding)?);
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| encoding())?;
    let mapping = provider.signature_verification_algorithms.mapping;
    let algorithms = mapping.iter().filter(|(scheme, _)| *scheme == signature.scheme);
    let is_valid = algorithms
        .flat_map(|(_, algorithms)| algorithms.iter())
        .any(|algorithm| key.verify_signature(*algorithm, message, signature.signature()).is_ok());
    if is_valid {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(Error::InvalidCertificate(CertificateError::BadSignature))
    }
}
