//! How a request reaches a model server: over the network, or straight into the double that tests drive.
//!
//! A transport knows paths and bytes and nothing of models. It reports two things that differ for callers: nobody
//! took the request ([`exchange`](Transport::exchange) fails), or the answer broke off (its body fails).

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use reqwest::{Client, redirect};

use super::address::ServerAddress;
use crate::ServerError;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);

/// Why bytes did not travel; without addresses and credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TransportError(pub String);

/// An answer whose body comes bit by bit.
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body; where it is cut says nothing about lines.
    pub body: BoxStream<'static, Result<Bytes, TransportError>>,
}

/// Carries requests to a model server.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Where the server is, as messages may show it.
    fn address(&self) -> String;

    /// Sends a request: GET without a body, else POST of JSON. Dropping the future or the body of the answer ends
    /// the request at the server too.
    ///
    /// # Errors
    /// When nobody answers.
    async fn exchange(
        &self,
        path: &'static str,
        body: Option<Bytes>,
    ) -> Result<Reply, TransportError>;
}

/// HTTP over TCP.
#[derive(Debug, Clone)]
pub struct Network {
    http: Client,
    address: ServerAddress,
}

impl Network {
    /// A client of the server at an address. Connects at the first request.
    ///
    /// # Errors
    /// [`ServerError::Away`] when the client cannot be made, for want of TLS roots for instance.
    pub fn new(address: ServerAddress) -> Result<Self, ServerError> {
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none());
        if address.is_local() {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| ServerError::Away {
            address: address.to_string(),
            reason: reason(error).0,
        })?;
        Ok(Self { http, address })
    }
}

#[async_trait]
impl Transport for Network {
    fn address(&self) -> String {
        self.address.to_string()
    }

    async fn exchange(
        &self,
        path: &'static str,
        body: Option<Bytes>,
    ) -> Result<Reply, TransportError> {
        let url = self.address.url().join(path);
        let url = url.map_err(|error| TransportError(error.to_string()))?;
        let request = match body {
            None => self.http.get(url),
            Some(body) => self
                .http
                .post(url)
                .header("content-type", "application/json")
                .body(body),
        };
        let answer = request.send().await.map_err(reason)?;
        Ok(Reply {
            status: answer.status().as_u16(),
            body: answer.bytes_stream().map_err(reason).boxed(),
        })
    }
}

/// The innermost cause, which says most; the address, which may hold a password, is left out.
fn reason(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    TransportError(cause.to_string())
}
