//! Somebody in between, who ends the encryption with a certificate of his own and reads along.

use std::net::TcpListener;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Server, message};

/// Stands between the job and the test server.
pub(crate) struct Interceptor {
    pub(crate) port: u16,
}

/// What it does to the list of mechanisms that the server offers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It passes.
    Untouched,
    /// Channel binding is struck from it.
    WithoutBinding,
}

impl Interceptor {
    pub(crate) fn start(config: Arc<ServerConfig>, offer: Offer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    // Whoever hangs up has had enough.
                    tokio::spawn(intercept(client, Arc::clone(&config), offer));
                }
            });
        });
        Self { port }
    }
}

async fn intercept(mut client: TcpStream, config: Arc<ServerConfig>, offer: Offer) -> std::io::Result<()> {
    let Server { host, port, .. } = Server::of_environment();
    let mut request = [0; 8];
    client.read_exact(&mut request).await?;
    client.write_all(b"S").await?;
    let mut client = TlsAcceptor::from(config).accept(client).await?;
    let mut server = TcpStream::connect((host.as_str(), port)).await?;
    server.write_all(&request).await?;
    assert_eq!(server.read_u8().await?, b'S');
    let connector = TlsConnector::from(Arc::new(gullible()));
    let mut server = connector.connect(ServerName::try_from("localhost").unwrap(), server).await?;
    if offer == Offer::WithoutBinding {
        let length = client.read_u32().await?;
        let mut startup = vec![0; length as usize - 4];
        client.read_exact(&mut startup).await?;
        server.write_all(&[&length.to_be_bytes()[..], &startup].concat()).await?;
        server.flush().await?;
        let _ = server.read_u8().await?;
        let length = server.read_u32().await?;
        server.read_exact(&mut vec![0; length as usize - 4]).await?;
        client.write_all(&message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0")).await?;
        client.flush().await?;
    }
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// Takes any certificate.
fn gullible() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    config.dangerous().with_custom_certificate_verifier(Arc::new(Anything)).with_no_client_auth()
}

#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
