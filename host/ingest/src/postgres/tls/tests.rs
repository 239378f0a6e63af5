//! Which servers `verify-full` takes for the one that is meant.
//!
//! `authority.pem` is a certificate for `localhost` that is marked as an authority's and signed by itself, as
//! `openssl req -x509` makes them; `leaf.pem` is one for `localhost` that it vouches for. Both are valid from 2020 to
//! 2120.

use std::time::Duration;

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{PrivateKeyDer, pem::PemObject as _},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
};

use super::*;

const CERTIFICATE: &[u8] = include_bytes!("authority.pem");
const KEY: &[u8] = include_bytes!("authority.key");
const LEAF: &[u8] = include_bytes!("leaf.pem");
const LEAF_KEY: &[u8] = include_bytes!("leaf.key");

const YEAR: u64 = 365 * 86_400;
/// In seconds since 1970: in 2030.
const THEN: u64 = 60 * YEAR + 15 * 86_400;

fn der(pem: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem).unwrap()
}

/// Who trusts what stands in a file of this one certificate.
fn trusting(pem: &[u8]) -> Trusted {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    let roots = trusted(Some(file.path())).unwrap();
    Trusted::new(roots, Arc::new(ring::default_provider())).unwrap()
}

fn verified(
    who: &Trusted,
    shown: &CertificateDer<'_>,
    name: &'static str,
    at: u64,
) -> Result<(), CertificateError> {
    let name = ServerName::try_from(name).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(at));
    match who.verify_server_cert(shown, &[], &name, &[], now) {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(problem)) => Err(problem),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_certificate_that_is_given_itself_is_taken_while_it_is_valid_and_for_its_names() {
    use CertificateError as E;
    for pem in [CERTIFICATE, LEAF] {
        let (who, shown) = (trusting(pem), der(pem));
        assert_eq!(verified(&who, &shown, "localhost", THEN), Ok(()));
        let refused = |name, at| verified(&who, &shown, name, at).unwrap_err();
        let problem = refused("db.example.org", THEN);
        assert!(
            matches!(problem, E::NotValidForNameContext { .. }),
            "{problem}"
        );
        let problem = refused("localhost", THEN + 200 * YEAR);
        assert!(matches!(problem, E::ExpiredContext { .. }), "{problem}");
        let problem = refused("localhost", THEN - 20 * YEAR);
        assert!(matches!(problem, E::NotValidYetContext { .. }), "{problem}");
    }
}

#[test]
fn a_certificate_that_was_not_given_is_taken_only_from_whom_a_root_vouches_for() {
    let (authority, leaf) = (der(CERTIFICATE), der(LEAF));
    let who = trusting(CERTIFICATE);
    assert_eq!(verified(&who, &leaf, "localhost", THEN), Ok(()));
    let who = trusting(LEAF);
    let problem = verified(&who, &authority, "localhost", THEN).unwrap_err();
    assert!(is_authority(&problem), "{problem}");
    // All the same but for the end of its signature.
    let mut forged = leaf.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let problem = verified(&who, &forged.into(), "localhost", THEN).unwrap_err();
    assert_eq!(problem, CertificateError::UnknownIssuer);
}

/// A server that shows a certificate whatever its key is.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A handshake of who trusts the certificate with a server that shows it and holds a key.
async fn shake_hands(key: &[u8]) -> Result<(), String> {
    let provider = Arc::new(ring::default_provider());
    let key = PrivateKeyDer::from_pem_slice(key).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let shown = Shows(Arc::new(CertifiedKey::new(vec![der(CERTIFICATE)], key)));
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trusting(CERTIFICATE)))
        .with_no_client_auth();
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from("localhost").unwrap();
    let (met, _) = tokio::join!(
        TlsConnector::from(Arc::new(client)).connect(name, near),
        TlsAcceptor::from(Arc::new(server)).accept(far),
    );
    met.map(|_| ()).map_err(|error| reason(&error, ROOTS))
}

#[tokio::test]
async fn who_shows_the_certificate_must_have_its_key() {
    assert_eq!(shake_hands(KEY).await, Ok(()));
    let told = shake_hands(LEAF_KEY).await.unwrap_err();
    assert!(told.contains("BadSignature"), "{told}");
}
