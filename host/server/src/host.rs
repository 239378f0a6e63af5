//! A running host: the data folder held, the routes served, everything stopped in order.
//!
//! One process holds a data folder at a time, by a lock that the operating system drops when the
//! process ends, however it ends. Beside the lock stands the address of the holder, so that the
//! command line finds the host that is already there.

use std::{
    fs::{File, TryLockError},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::{App, OpenError},
    config::{Config, Environment},
    http,
};

/// The host cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made or written.
    #[error("cannot use data folder {folder}: make it writable or choose another with --data")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process holds the data folder.
    #[error(
        "data folder {folder} is in use by another boathouse{holder}; stop it or choose another folder with --data"
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Where the holder listens, as ` at http://...`, when known.
        holder: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: choose another port with --port (0 picks a free one)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// What the data folder holds cannot be opened.
    #[error("cannot open what the buckets hold")]
    Open(#[from] OpenError),
}

/// A host that serves.
pub struct Host {
    app: Arc<App>,
    address: SocketAddr,
    stop: CancellationToken,
    server: TaskTracker,
    _lock: FolderLock,
}

impl Host {
    /// Takes the data folder, opens everything in it and starts to serve.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(config: Config, environment: &Environment) -> Result<Self, StartError> {
        let folder = config.server.data.clone();
        let lock = FolderLock::take(&folder)?;
        let wanted = config.address();
        let listen = |source| StartError::Listen {
            address: wanted,
            source,
        };
        let listener = TcpListener::bind(wanted).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let app = App::open(config, environment).await?;
        lock.publish(address);
        let stop = CancellationToken::new();
        let server = TaskTracker::new();
        let stopped = stop.clone().cancelled_owned();
        let routes = http::router(Arc::clone(&app));
        server.spawn(async move {
            if let Err(error) = axum::serve(listener, routes)
                .with_graceful_shutdown(stopped)
                .await
            {
                tracing::error!(%error, "the server ended");
            }
        });
        server.close();
        Ok(Self {
            app,
            address,
            stop,
            server,
            _lock: lock,
        })
    }

    /// Where the host listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Base of its URLs.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops tasks and the server, in this order, and lets go of the folder.
    pub async fn stop(self) {
        self.app.tasks.stop().await;
        self.stop.cancel();
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), self.server.wait()).await;
    }
}

/// The lock on a data folder and the address beside it.
struct FolderLock {
    _file: File,
    address: PathBuf,
}

impl FolderLock {
    fn take(folder: &Path) -> Result<Self, StartError> {
        let unusable = |source| StartError::Folder {
            folder: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("host.lock"))
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {
                let address = folder.join("host.address");
                // Left by a holder that was killed; it must not send anybody to a dead address.
                let _none_left = std::fs::remove_file(&address);
                Ok(Self {
                    _file: file,
                    address,
                })
            }
            Err(TryLockError::WouldBlock) => Err(StartError::InUse {
                folder: folder.to_owned(),
                holder: holder(folder).map_or_else(String::new, |url| format!(" at {url}")),
            }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    fn publish(&self, address: SocketAddr) {
        if let Err(error) = std::fs::write(&self.address, format!("http://{address}")) {
            tracing::warn!(%error, "the address of this host could not be noted in its folder");
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.address);
    }
}

/// URL of the host that holds a data folder, when one does.
#[must_use]
pub fn holder(folder: &Path) -> Option<String> {
    let file = File::options()
        .write(true)
        .open(folder.join("host.lock"))
        .ok()?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => std::fs::read_to_string(folder.join("host.address")).ok(),
        _ => None,
    }
}
