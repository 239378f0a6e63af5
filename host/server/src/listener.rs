//! Where connections come in: TCP that sends each piece at once.
//!
//! An answer that is told word by word is many small pieces. By default the system holds a piece back while the one
//! before is not acknowledged yet, and a client acknowledges late, by up to 40 ms; so that is switched off.

use std::{io, net::SocketAddr};

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};

/// A listener whose connections wait for no acknowledgement.
pub(crate) struct PromptListener(pub(crate) TcpListener);

impl Listener for PromptListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        if let Err(error) = stream.set_nodelay(true) {
            // Whoever has gone already will not miss it.
            tracing::debug!(%peer, %error, "a connection stays slow with small pieces");
        }
        (stream, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_pieces_are_sent_at_once() {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut listener = PromptListener(tcp);
        let address = listener.local_addr().expect("an address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let client = client.expect("a connection");
        assert_eq!(accepted.1, client.local_addr().expect("an address"));
        assert!(accepted.0.nodelay().expect("an option"));
    }
}
