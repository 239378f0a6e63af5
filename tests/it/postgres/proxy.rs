//! Something between a client and a server that cuts or holds a connection after a number of bytes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use boathouse_db_server::{PASSWORD, USER};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};

/// What happens to a connection on which the server has sent so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It ends.
    Cut,
    /// It waits for [`Proxy::release`].
    Hold,
}

/// A proxy in front of a server, until it is dropped.
pub(super) struct Proxy {
    port: u16,
    state: Arc<State>,
    listener: AbortHandle,
}

struct State {
    after: After,
    bytes: AtomicU64,
    held: AtomicUsize,
    open: watch::Sender<bool>,
}

impl Proxy {
    /// A proxy that acts on a connection after so many bytes of the server.
    pub(super) async fn start(server: u16, after: After, bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            after,
            bytes: AtomicU64::new(bytes),
            held: AtomicUsize::new(0),
            open: watch::Sender::new(false),
        });
        let shared = Arc::clone(&state);
        let serve = async move {
            while let Ok((client, _)) = listener.accept().await {
                spawn(pass(client, server, Arc::clone(&shared)));
            }
        };
        Self {
            port,
            state,
            listener: spawn(serve),
        }
    }

    /// The URL of a database of the server, by way of the proxy.
    pub(super) fn dsn(&self, database: &str) -> String {
        format!(
            "postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// Connections that wait.
    pub(super) fn held(&self) -> usize {
        self.state.held.load(Ordering::SeqCst)
    }

    /// Lets everything pass from now on.
    pub(super) fn release(&self) {
        self.state.bytes.store(u64::MAX, Ordering::SeqCst);
        self.state.open.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is its own task registry")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(work).abort_handle()
}

async fn pass(client: TcpStream, server: u16, state: Arc<State>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let _ = copy(&mut from_client, &mut to_server).await;
    };
    let down = async {
        let (mut passed, mut bytes) = (0, vec![0; 16 << 10]);
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            passed += count as u64;
            if passed > state.bytes.load(Ordering::SeqCst) {
                if state.after == After::Cut {
                    return;
                }
                state.held.fetch_add(1, Ordering::SeqCst);
                let mut open = state.open.subscribe();
                let _ = open.wait_for(|open| *open).await;
            }
            if to_client.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    // The end of either way is the end of the connection.
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
