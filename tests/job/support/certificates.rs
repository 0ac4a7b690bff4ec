//! Certificates of a test's own, made with openssl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};

use super::{Directory, Server};

/// A certificate and its key, in PEM.
pub(crate) struct Certificate {
    pub(crate) path: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// One that nobody vouches for; `algorithm` are openssl's words for a new key.
    pub(crate) fn self_signed(directory: &Directory, name: &str, algorithm: &[&str]) -> Self {
        let own = Self::called(directory, name);
        let new = ["req", "-x509", "-days", "1", "-nodes", "-subj", "/CN=localhost"];
        openssl(directory.path(), &[&new[..], algorithm, &own.files()[..]].concat());
        own
    }

    /// One of X.509's first version that the authority of the test server vouches for, made out to a role.
    pub(crate) fn of_role(directory: &Directory, role: &str) -> Self {
        let own = Self::called(directory, role);
        let authority = Server::of_environment().authority;
        let authority_key = Path::new(&authority).with_extension("key");
        let subject = format!("/CN={role}");
        let key = text(&own.key);
        openssl(
            directory.path(),
            &[
                "req", "-new", "-nodes", "-subj", &subject, "-newkey", "rsa:2048", "-keyout", &key, "-out",
                "role.csr",
            ],
        );
        let authority_key = text(&authority_key);
        let signed =
            ["x509", "-req", "-days", "1", "-in", "role.csr", "-CA", &authority, "-CAkey", &authority_key];
        openssl(directory.path(), &[&signed[..], &["-set_serial", "2", "-out", &text(&own.path)]].concat());
        own
    }

    fn called(directory: &Directory, name: &str) -> Self {
        let file = |ending| directory.path().join(format!("{name}.{ending}"));
        Self { path: file("pem"), key: file("key") }
    }

    fn files(&self) -> [&str; 4] {
        ["-keyout", self.key.to_str().unwrap(), "-out", self.path.to_str().unwrap()]
    }

    /// A server that shows this one, and demands one of its clients that these roots vouch for, if there are any.
    pub(crate) fn server(&self, client_roots: Option<&str>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match client_roots {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let mut store = RootCertStore::empty();
                store.add(CertificateDer::from_pem_file(roots).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let certificate = CertificateDer::from_pem_file(&self.path).unwrap();
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let key = rustls::crypto::ring::default_provider().key_provider.load_private_key(key).unwrap();
        // As they are: with_single_cert takes none of X.509's first version.
        let shown = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
        Arc::new(builder.with_cert_resolver(Arc::new(shown)))
    }
}

/// A revocation list of the test server's authority; with the server's own certificate on it or without.
pub(crate) fn revocation_list(directory: &Directory, is_revoked: bool) -> PathBuf {
    let authority = Server::of_environment().authority;
    let key = text(&Path::new(&authority).with_extension("key"));
    let line = if is_revoked { "R\t491231235959Z\t200101000000Z\t01\tunknown\t/CN=localhost\n" } else { "" };
    let file = |name: &str| directory.path().join(name);
    fs::write(file("index.txt"), line).unwrap();
    fs::write(file("number"), "01\n").unwrap();
    fs::write(
        file("ca.cnf"),
        "[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\ncrlnumber = number\ndefault_md = sha256\n\
         default_crl_days = 1\ncrl_extensions = list\n[list]\nauthorityKeyIdentifier = keyid\n",
    )
    .unwrap();
    let name = if is_revoked { "revoked.pem" } else { "none-revoked.pem" };
    let new = ["ca", "-gencrl", "-config", "ca.cnf", "-cert", &authority, "-keyfile", &key, "-out", name];
    openssl(directory.path(), &new);
    file(name)
}

pub(crate) fn openssl(directory: &Path, words: &[&str]) {
    let output = Command::new("openssl").current_dir(directory).args(words).output().unwrap();
    assert!(output.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
