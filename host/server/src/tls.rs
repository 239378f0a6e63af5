//! Encrypted connections: TLS 1.2 and 1.3 by rustls, with a certificate and a key from two PEM files.
//!
//! Handshakes run beside each other within the listener, at most [`MOST_HANDSHAKES`] at a time and each
//! for [`PATIENCE`] at most, so a client that never finishes one keeps nobody else out for long.
//!
//! Not here: asking for certificates, renewing them (restart the host with the new files), and
//! certificates of clients.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::serve::Listener;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
    server::TlsStream,
};

use crate::{config::TlsConfig, listener::PromptListener};

const MOST_HANDSHAKES: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);

/// Certificate and key do not make a server.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file holds no PEM of the kind that is wanted.
    #[error("{path} cannot be read as the {what}: it must be a PEM file")]
    File {
        /// `certificate` or `private key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// They do not belong together, or are of a kind that is not supported.
    #[error("the certificate and the private key of server.tls cannot be used together")]
    Pair(#[source] rustls::Error),
}

/// A listener whose connections are encrypted.
pub(crate) struct TlsListener {
    tcp: PromptListener,
    acceptor: TlsAcceptor,
    handshakes: FuturesUnordered<BoxFuture<'static, Option<Connection>>>,
}

type Connection = (TlsStream<TcpStream>, SocketAddr);

impl TlsListener {
    /// Encrypts what comes in over `tcp`.
    pub(crate) fn new(tcp: TcpListener, config: &TlsConfig) -> Result<Self, TlsError> {
        Ok(Self {
            tcp: PromptListener(tcp),
            acceptor: TlsAcceptor::from(Arc::new(server_config(config)?)),
            handshakes: FuturesUnordered::new(),
        })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Connection {
        loop {
            let room = self.handshakes.len() < MOST_HANDSHAKES;
            tokio::select! {
                (stream, peer) = Listener::accept(&mut self.tcp), if room => {
                    let handshake = handshake(self.acceptor.clone(), stream, peer);
                    self.handshakes.push(handshake.boxed());
                }
                Some(done) = self.handshakes.next() => {
                    if let Some(connection) = done {
                        return connection;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
) -> Option<Connection> {
    match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some((stream, peer)),
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(%peer, "a TLS handshake took too long");
            None
        }
    }
}

fn server_config(config: &TlsConfig) -> Result<ServerConfig, TlsError> {
    let chain = CertificateDer::pem_file_iter(&config.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| {
            let found = !chain.is_empty();
            found
                .then_some(chain)
                .ok_or(rustls::pki_types::pem::Error::NoItemsFound)
        })
        .map_err(|source| TlsError::File {
            what: "certificate",
            path: config.cert.clone(),
            source,
        })?;
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(|source| TlsError::File {
        what: "private key",
        path: config.key.clone(),
        source,
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Pair)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn testdata(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("testdata/tls")
            .join(name)
    }

    fn check(cert: &str, key: &str, words: &str) {
        let config = TlsConfig {
            cert: testdata(cert),
            key: testdata(key),
        };
        match server_config(&config) {
            Ok(_) => assert_eq!(words, "", "{cert} and {key} were taken"),
            Err(error) => assert!(
                !words.is_empty() && error.to_string().contains(words),
                "{error}"
            ),
        }
    }

    #[test]
    fn only_a_certificate_with_its_own_key_makes_a_server() {
        check("cert.pem", "key.pem", "");
        check("missing.pem", "key.pem", "certificate");
        check("key.pem", "key.pem", "certificate");
        check("cert.pem", "missing.pem", "private key");
        check("cert.pem", "cert.pem", "private key");
        check("cert.pem", "other-key.pem", "together");
    }
}
