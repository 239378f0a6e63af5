//! A double behind a port of this machine.
//!
//! Dropping it closes the port and sends the double away, so that answers that are under way break off, and so do requests
//! on connections that are still open.

use std::{io, net::Ipv4Addr};

use axum::serve::ListenerExt as _;
use tokio::{net::TcpListener, task::JoinSet};

use crate::Double;

/// A double that is served on a port of 127.0.0.1 until this value is dropped.
#[derive(Debug)]
pub struct Server {
    /// What answers.
    pub double: Double,
    port: u16,
    _serving: JoinSet<()>,
}

impl Server {
    /// Serves a double on a free port.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(double: Double) -> io::Result<Self> {
        Self::start_at(double, 0).await
    }

    /// Serves a double on a port, one that an earlier server had for instance; 0 is any.
    ///
    /// # Errors
    /// When the port is not free.
    pub async fn start_at(double: Double, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = listener.local_addr()?.port();
        double.come_back();
        let router = double.router();
        let mut serving = JoinSet::new();
        // Each word goes when it is said, and does not wait for an answer to the word before.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        serving.spawn(async move {
            // Ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            double,
            port,
            _serving: serving,
        })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.double.go_away();
    }
}
