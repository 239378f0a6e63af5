//! The bytes' way to a server: a socket of TCP or of this machine, protected where that is asked for.
//!
//! Whether the server can encrypt is asked here, before the client library sees the connection, so that the
//! guard on the length of messages lies above the protection and sees what the server says.

use std::{net::SocketAddr, path::Path, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream, lookup_host},
};

use crate::TlsMode;

use super::{
    address::{Address, Endpoint},
    tls,
};

/// The request of the protocol to encrypt: its length, then its number.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A dead peer is noticed after a minute or two.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// A connection of whatever kind.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A connection on which the protocol can begin.
pub(super) type Stream = Box<dyn Duplex>;

/// Why a connection could not be opened.
pub(super) enum Shut {
    /// As a clause for a person.
    Unreachable(String),
    /// The server offers no TLS, which is asked for.
    Unprotected,
}

impl From<String> for Shut {
    fn from(reason: String) -> Self {
        Self::Unreachable(reason)
    }
}

/// Opens a connection.
pub(super) async fn open(address: &Address, endpoint: &Endpoint) -> Result<Stream, Shut> {
    match endpoint {
        Endpoint::Unix(path) => Ok(open_unix(path).await?),
        Endpoint::Tcp { name, .. } => {
            let stream = open_tcp(endpoint)
                .await
                .map_err(|error| error.to_string())?;
            protect(stream, name, address).await
        }
    }
}

async fn open_unix(path: &Path) -> Result<Stream, String> {
    let stream = UnixStream::connect(path).await;
    Ok(Box::new(stream.map_err(|error| error.to_string())?))
}

async fn open_tcp(endpoint: &Endpoint) -> std::io::Result<TcpStream> {
    let Endpoint::Tcp {
        name,
        address,
        port,
    } = endpoint
    else {
        return Err(std::io::ErrorKind::Unsupported.into());
    };
    let addresses: Vec<SocketAddr> = match address {
        Some(address) => vec![(*address, *port).into()],
        None => lookup_host((name.as_str(), *port)).await?.collect(),
    };
    let stream = TcpStream::connect(&addresses[..]).await?;
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}

async fn protect(mut stream: TcpStream, host: &str, address: &Address) -> Result<Stream, Shut> {
    if address.tls == TlsMode::Disable {
        return Ok(Box::new(stream));
    }
    let mut answer = [0];
    let asked = async {
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_exact(&mut answer).await
    };
    asked.await.map_err(|error| error.to_string())?;
    match (answer, address.tls) {
        ([b'S'], mode) => {
            let verify = mode == TlsMode::VerifyFull;
            let root_cert = address.root_cert.as_deref();
            Ok(Box::new(
                tls::protect(stream, host, verify, root_cert).await?,
            ))
        }
        ([b'N'], TlsMode::Prefer) => Ok(Box::new(stream)),
        ([b'N'], _) => Err(Shut::Unprotected),
        _ => Err("what answers there is no PostgreSQL server"
            .to_owned()
            .into()),
    }
}
