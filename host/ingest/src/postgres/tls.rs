//! Protection of a connection by TLS.
//!
//! `prefer` and `require` encrypt without asking who the server is, as libpq does: they help against those who
//! listen, not against those who stand between. `verify-full` checks the certificate against the system's roots,
//! or those of a file, and for the name of the host. Cryptography is ring's, chosen here and not for the process.

use std::{path::Path, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};

/// Encrypts a connection to the host of this name. The error is a clause for a person.
pub(super) async fn protect(
    stream: TcpStream,
    host: &str,
    verify: bool,
    root_cert: Option<&Path>,
) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| "the host has a name for which there can be no certificate".to_owned())?;
    let config = config(verify, root_cert.map(Path::to_owned)).await?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|error| format!("TLS failed: {error}"))
}

async fn config(
    verify: bool,
    root_cert: Option<std::path::PathBuf>,
) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    if !verify {
        let anyone = Arc::new(Anyone(provider));
        return Ok(config
            .dangerous()
            .with_custom_certificate_verifier(anyone)
            .with_no_client_auth());
    }
    let roots = tokio::task::spawn_blocking(move || roots(root_cert.as_deref()))
        .await
        .map_err(|error| error.to_string())??;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let found = match file {
        Some(_) => rustls_native_certs::load_certs_from_paths(file, None),
        None => rustls_native_certs::load_native_certs(),
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    match (added, file) {
        (1.., _) => Ok(roots),
        (0, Some(_)) => {
            Err("the file of `sslrootcert` holds no certificate that can be read".to_owned())
        }
        (0, None) => Err(
            "this system has no root certificates: name a file of them by `sslrootcert`".to_owned(),
        ),
    }
}

/// Takes any certificate, as `prefer` and `require` do; signatures of the handshake are checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
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
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
