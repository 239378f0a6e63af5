//! The HTTP client behind the command line and the demo: what they do, any client can do.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use futures::StreamExt as _;
use reqwest::{Method, RequestBuilder, Response};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    auth::Token,
    problem::Problem,
    tasks::{TaskState, TaskView},
};

/// How often a waiting client looks at a task.
const POLL: Duration = Duration::from_millis(60);
/// How long a client listens for a refusal that it missed.
const LISTEN: Duration = Duration::from_secs(2);

/// A request that did not bring what it was for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The host refused it.
    #[error("{0}")]
    Refused(Problem),
    /// No answer came.
    #[error("no answer from {url}: is the host running?")]
    NoAnswer {
        /// Where it went.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// An answer came that is not what such a host says.
    #[error("unexpected answer from {url}: {what}")]
    Unexpected {
        /// Where it went.
        url: String,
        /// What came.
        what: String,
    },
    /// A file to send cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// A client of one host.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    /// Sent with every request.
    token: Option<Token>,
    http: reqwest::Client,
}

impl Client {
    /// A client of the host at `base`, for example `http://127.0.0.1:7700`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            token: None,
            http: reqwest::Client::new(),
        }
    }

    /// The same client, with a key or the owner's token.
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Where the host is.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `GET`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.json(self.request(Method::GET, path)).await
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete(&self, path: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, path))
            .await
            .map(drop)
    }

    /// `DELETE` with a JSON body.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_with<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.json(self.request(Method::DELETE, path).json(body))
            .await
    }

    /// `POST` of a JSON body.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.json(self.request(Method::POST, path).json(body)).await
    }

    /// `PUT` of a JSON body.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.json(self.request(Method::PUT, path).json(body)).await
    }

    /// `PATCH` with a JSON body.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.json(self.request(Method::PATCH, path).json(body))
            .await
    }

    /// `POST` of a JSON body to a route that could answer at once, asking for a task instead.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post_async(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<TaskView, ClientError> {
        let request = self
            .request(Method::POST, path)
            .header("prefer", "respond-async");
        self.json(request.json(body)).await
    }

    /// `POST` of a file's bytes, streamed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post_file(&self, path: &str, file: &Path) -> Result<TaskView, ClientError> {
        let unreadable = |source| ClientError::File {
            path: file.display().to_string(),
            source,
        };
        let opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
        let meta = opened.metadata().await.map_err(unreadable)?;
        if meta.is_dir() {
            return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
        }
        let stream = tokio_util::io::ReaderStream::with_capacity(opened, 1 << 18);
        // Pipes and devices do not know how long they are, and some files of the system say nothing.
        let length = (meta.is_file() && meta.len() > 0).then_some(meta.len());
        let request = self.upload(path, length);
        let sent = self.json(request.body(reqwest::Body::wrap_stream(stream)));
        match sent.await {
            Err(missed @ ClientError::NoAnswer { .. }) => {
                Err(self.refusal(path, length).await.unwrap_or(missed))
            }
            sent => sent,
        }
    }

    fn upload(&self, path: &str, length: Option<u64>) -> RequestBuilder {
        let request = self.request(Method::POST, path);
        match length {
            Some(length) => request.header("content-length", length),
            None => request,
        }
    }

    /// Why the host would not take an upload. It refuses some without reading them and closes the connection, and
    /// who is still writing then may miss the answer. So it is asked again, and sent nothing of the body: whatever
    /// it says, nothing comes in.
    async fn refusal(&self, path: &str, length: Option<u64>) -> Option<ClientError> {
        let nothing = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let request = self.upload(path, length);
        let sent = self.send(request.body(reqwest::Body::wrap_stream(nothing)));
        match tokio::time::timeout(LISTEN, sent).await {
            Ok(Err(refused @ ClientError::Refused(_))) => Some(refused),
            _ => None,
        }
    }

    /// `POST` of bytes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post_bytes(
        &self,
        path: &str,
        bytes: &'static [u8],
    ) -> Result<TaskView, ClientError> {
        self.json(self.request(Method::POST, path).body(bytes))
            .await
    }

    /// A request with headers and a body of bytes of its own; the answer as JSON, null when it has no body.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Bytes>,
    ) -> Result<Value, ClientError> {
        let mut request = self.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.send(request.body(body.unwrap_or_default())).await?;
        let bytes = response
            .bytes()
            .await
            .map_err(|error| self.unexpected(error))?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Unexpected {
            url: self.base.clone(),
            what: error.to_string(),
        })
    }

    /// `GET` of text.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn text(&self, path: &str) -> Result<String, ClientError> {
        let response = self.send(self.request(Method::GET, path)).await?;
        response
            .text()
            .await
            .map_err(|error| self.unexpected(error))
    }

    /// Follows server-sent events after number `after`, showing the data of each, until the host ends them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn follow(
        &self,
        path: &str,
        after: u64,
        on_event: impl FnMut(&Value),
    ) -> Result<(), ClientError> {
        let request = self
            .request(Method::GET, path)
            .header("accept", "text/event-stream")
            .header("last-event-id", after.to_string());
        self.read_events(request, on_event).await
    }

    /// `POST` of a JSON body that is answered by server-sent events, showing the data of each, until the host ends them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post_and_follow(
        &self,
        path: &str,
        body: &impl Serialize,
        on_event: impl FnMut(&Value),
    ) -> Result<(), ClientError> {
        let request = self.request(Method::POST, path).json(body);
        let request = request.header("accept", "text/event-stream");
        self.read_events(request, on_event).await
    }

    async fn read_events(
        &self,
        request: RequestBuilder,
        mut on_event: impl FnMut(&Value),
    ) -> Result<(), ClientError> {
        let mut stream = self.send(request).await?.bytes_stream();
        let mut waiting = Vec::new();
        while let Some(chunk) = stream.next().await {
            waiting.extend_from_slice(&chunk.map_err(|error| self.unexpected(error))?);
            while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = waiting.drain(..=end).collect();
                let data = line.strip_prefix(b"data:").map(serde_json::from_slice);
                if let Some(Ok(event)) = data {
                    on_event(&event);
                }
            }
        }
        Ok(())
    }

    fn unexpected(&self, error: reqwest::Error) -> ClientError {
        ClientError::Unexpected {
            url: self.base.clone(),
            what: error.without_url().to_string(),
        }
    }

    /// Waits for the end of a task, showing each look at it to `watch`.
    ///
    /// # Errors
    /// The task's own problem, or [`ClientError`].
    pub async fn wait(
        &self,
        task: &TaskView,
        mut watch: impl FnMut(&TaskView),
    ) -> Result<Value, ClientError> {
        loop {
            let view: TaskView = self.get(&format!("/tasks/{}", task.id)).await?;
            watch(&view);
            if view.state == TaskState::Running {
                tokio::time::sleep(POLL).await;
                continue;
            }
            return match view.error {
                Some(problem) => Err(ClientError::Refused(problem)),
                None => Ok(view.result),
            };
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let no_answer = |source: reqwest::Error| ClientError::NoAnswer {
            url: self.base.clone(),
            source: source.without_url(),
        };
        let response = request.send().await.map_err(no_answer)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.text().await.map_err(no_answer)?;
        Err(match serde_json::from_str(&body) {
            Ok(problem) => ClientError::Refused(problem),
            Err(_) => ClientError::Unexpected {
                url: self.base.clone(),
                what: format!("{status} {}", body.chars().take(200).collect::<String>()),
            },
        })
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let response = self.send(request).await?;
        response
            .json()
            .await
            .map_err(|error| ClientError::Unexpected {
                url: self.base.clone(),
                what: error.without_url().to_string(),
            })
    }
}
