//! A certificate authority and a server certificate for `localhost`, made with openssl, good for a day.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use workspace::process;

const CONFIG: &str = "\
[req]
distinguished_name = name
prompt = no
[name]
CN = localhost
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
";

#[derive(Debug)]
pub(super) struct Certificates {
    pub(super) authority: PathBuf,
    pub(super) server: PathBuf,
    pub(super) key: PathBuf,
}

pub(super) fn make(directory: &Path) -> anyhow::Result<Certificates> {
    let file = |name: &str| directory.join(name);
    fs::write(file("openssl.cnf"), CONFIG).context("cannot write openssl.cnf")?;
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout"];
    openssl(
        directory,
        &[
            &[
                "req",
                "-x509",
                "-days",
                "1",
                "-extensions",
                "authority",
                "-subj",
                "/CN=authority of the tests",
                "-config",
                "openssl.cnf",
                "-out",
                "authority.pem",
            ],
            &key[..],
            &["authority.key"],
        ],
    )?;
    openssl(
        directory,
        &[&["req", "-new", "-config", "openssl.cnf", "-out", "server.csr"], &key[..], &["server.key"]],
    )?;
    openssl(
        directory,
        &[&[
            "x509",
            "-req",
            "-days",
            "1",
            "-in",
            "server.csr",
            "-CA",
            "authority.pem",
            "-CAkey",
            "authority.key",
            "-set_serial",
            "1",
            "-extfile",
            "openssl.cnf",
            "-extensions",
            "server",
            "-out",
            "server.pem",
        ]],
    )?;
    Ok(Certificates { authority: file("authority.pem"), server: file("server.pem"), key: file("server.key") })
}

fn openssl(directory: &Path, words: &[&[&str]]) -> anyhow::Result<()> {
    process::output(Command::new("openssl").current_dir(directory).args(words.concat()))
        .map(drop)
        .context("cannot make a certificate for the test server (Debian, Ubuntu: package openssl)")
}
