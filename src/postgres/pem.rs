//! Files in PEM: certificates, keys, and lists of certificates that were revoked.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::postgres::file;

/// Longer than the revocation lists of any authority of one's own.
const LONGEST: usize = 64 << 20;

/// The certificates of a file, of which there is one at least.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    items(path, "certificate")
}

/// The revocation lists of a file, of which there is one at least.
pub(crate) fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    items(path, "certificate revocation list")
}

/// The private key that a file holds, which nobody else may read.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read(path)?;
    // As libpq has it: root may let a group read, as Kubernetes does.
    let about = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let (forbidden, most) =
        if about.uid() == 0 { (0o037, "0640, since root owns it") } else { (0o077, "0600") };
    if about.mode() & forbidden != 0 {
        return Err(format!(
            "{} can be read by others (mode {:04o}); allow no more than {most}",
            path.display(),
            about.mode() & 0o7777
        ));
    }
    let text = String::from_utf8_lossy(&bytes);
    if text.contains("ENCRYPTED") {
        return Err(format!("{} is encrypted; write it without a passphrase", path.display()));
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| no_good(path, "private key", &error))
}

fn items<T: PemObject>(path: &Path, what: &str) -> Result<Vec<T>, String> {
    let bytes = read(path)?;
    let items = T::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let items = items.map_err(|error| no_good(path, what, &error))?;
    if items.is_empty() { Err(no_good(path, what, &pem::Error::NoItemsFound)) } else { Ok(items) }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = file::read(path, LONGEST)?;
    if bytes.len() > LONGEST {
        return Err(format!("{} is longer than {} MiB", path.display(), LONGEST >> 20));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{} can't be read: {error}", path.display())
}

fn no_good(path: &Path, what: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => format!("{} holds no {what} in PEM", path.display()),
        other => format!("{} holds no {what} in PEM: {other}", path.display()),
    }
}
