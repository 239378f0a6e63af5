//! Protection of a connection by TLS.
//!
//! `prefer` and `require` encrypt without asking who the server is, as libpq does: they help against those who
//! listen, not against those who stand between. `verify-full` checks the certificate against the system's roots,
//! or those of a file, and for the name of the host. Cryptography is ring's, chosen here and not for the process.
//!
//! A server may have made its certificate itself. As most programs make one, it is marked as an authority's, and the
//! library takes such a one for no server. Who names that very certificate in the file trusts it, as with libpq: it
//! is taken then, byte for byte, while its dates allow that, for the names that it says, from who has its key.

use std::{path::Path, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
        SignatureScheme,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
            verify_server_name,
        },
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
        server::ParsedCertificate,
    },
};

use super::failure::ROOTS;
use crate::tls::{is_authority, reason};

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
        .map_err(|error| reason(&error, ROOTS))
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
    let trusted = tokio::task::spawn_blocking(move || trusted(root_cert.as_deref()))
        .await
        .map_err(|error| error.to_string())??;
    let trusted = Arc::new(Trusted::new(trusted, provider)?);
    Ok(config
        .dangerous()
        .with_custom_certificate_verifier(trusted)
        .with_no_client_auth())
}

/// Certificates that are trusted: as roots, and those of a file themselves.
struct Roots {
    roots: RootCertStore,
    given: Vec<CertificateDer<'static>>,
}

fn trusted(file: Option<&Path>) -> Result<Roots, String> {
    let found = match file {
        Some(_) => rustls_native_certs::load_certs_from_paths(file, None),
        None => rustls_native_certs::load_native_certs(),
    };
    let mut roots = RootCertStore::empty();
    let given = match file {
        Some(_) => found.certs.clone(),
        None => Vec::new(),
    };
    let (added, _) = roots.add_parsable_certificates(found.certs);
    match (added, file) {
        (1.., _) => Ok(Roots { roots, given }),
        (0, Some(_)) => {
            Err("the file of `sslrootcert` holds no certificate that can be read".to_owned())
        }
        (0, None) => Err(
            "this system has no root certificates: name a file of them by `sslrootcert`".to_owned(),
        ),
    }
}

/// Takes a certificate for which a root vouches, or that was given itself, for the host's name.
#[derive(Debug)]
struct Trusted {
    chain: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl Trusted {
    fn new(roots: Roots, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        let store = Arc::new(roots.roots);
        let chain = WebPkiServerVerifier::builder_with_provider(store, provider).build();
        Ok(Self {
            chain: chain.map_err(|error| format!("TLS cannot be set up: {error}"))?,
            given: roots.given,
        })
    }
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked =
            self.chain
                .verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        match checked {
            // Its dates were looked at first, the name is not until somebody vouches for it.
            Err(Error::InvalidCertificate(problem))
                if is_unvouched(&problem) && self.given.contains(end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Whether nothing is wrong with a certificate but that no root can vouch for it.
fn is_unvouched(problem: &CertificateError) -> bool {
    matches!(problem, CertificateError::UnknownIssuer) || is_authority(problem)
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

#[cfg(test)]
mod tests;
