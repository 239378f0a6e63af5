//! A client of a host that shares the machine with it: a bare socket that is kept, one request after the other.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream},
    net::TcpStream,
};

/// A connection that is kept.
pub(crate) struct Client(BufStream<TcpStream>);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufStream::new(stream)))
    }

    /// Sends JSON; the body of the answer, which must be one of success.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Result<Vec<u8>> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.0.write_all(head.as_bytes()).await?;
        self.0.write_all(body.as_bytes()).await?;
        self.0.flush().await?;
        self.answer().await
    }

    /// The body of what is at a path.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        self.0.write_all(head.as_bytes()).await?;
        self.0.flush().await?;
        self.answer().await
    }

    /// The body of an answer, which must be one of success with its length said.
    async fn answer(&mut self) -> Result<Vec<u8>> {
        let (mut status, mut line, mut length) = (String::new(), String::new(), None);
        self.0.read_line(&mut status).await?;
        loop {
            line.clear();
            self.0.read_line(&mut line).await?;
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = Some(value.trim().parse()?);
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length.context("an answer without its length")?];
        self.0.read_exact(&mut body).await?;
        ensure!(
            status.starts_with("HTTP/1.1 200 "),
            "the host said {status:?}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }
}
