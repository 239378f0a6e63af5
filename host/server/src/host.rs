//! A running host: the data folder held, the routes served, everything stopped in order.
//!
//! One process holds a data folder at a time, by a lock that the operating system drops when the
//! process ends, however it ends. Beside the lock stand the address of the holder and the owner's token, so
//! that the command line finds the host that is already there and may use it.
//!
//! With a certificate the host speaks TLS where it is told to listen, and HTTP on a loopback port of its own
//! for the command line of its machine, which need not know the certificate's name.
//!
//! A host that listens beyond loopback has a key that may administer it, or does not start.

use std::{
    fs::{File, TryLockError},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    agent,
    app::{App, OpenError},
    auth::{OwnerFile, Peer},
    client::Client,
    config::{Config, Environment, TlsConfig},
    gc, http,
    indexes::chores,
    lineage,
    listener::PromptListener,
    live, models,
    tls::{TlsError, TlsListener},
    watcher,
};

/// How long a host that stops waits for copies into `rescue`.
const LAST_COPIES: Duration = Duration::from_secs(5);

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
    /// The network would reach a host that nobody can administer.
    #[error(
        "refusing to listen on {bind} without a key that has the scope `admin`; make one with `boathouse key create --admin --data {folder}`"
    )]
    NoKeys {
        /// The address that is no loopback address.
        bind: IpAddr,
        /// The data folder.
        folder: PathBuf,
    },
    /// Certificate and key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The owner's token cannot be written.
    #[error("cannot write the owner's token into data folder {folder}")]
    Token {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A restoration was cut off, so something may be missing still.
    #[error(
        "the restoration of data folder {folder} has not ended; run `boathouse restore` again until it does"
    )]
    HalfRestored {
        /// The folder.
        folder: PathBuf,
    },
    /// What the data folder holds cannot be opened.
    #[error("cannot open what the buckets hold")]
    Open(#[from] OpenError),
}

/// A host that serves.
pub struct Host {
    app: Arc<App>,
    address: SocketAddr,
    /// Where programs of this machine find it over plain HTTP.
    local: SocketAddr,
    stop: CancellationToken,
    server: TaskTracker,
    copying: Copying,
    _owner: OwnerFile,
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
        let entrances = Entrances::open(listener, config.server.tls.as_ref()).await?;
        let local = entrances.local;
        check_restored(&folder)?;
        let app = App::open(config, environment).await?;
        check_exposure(&app, wanted.ip(), &folder)?;
        let owner = OwnerFile::write(&folder, app.auth.owner_token())
            .map_err(|source| StartError::Token { folder, source })?;
        lock.publish(local);
        let stop = CancellationToken::new();
        let server = TaskTracker::new();
        // Whoever asks first is told as well which rows are not searched yet.
        agent::look(&app).await;
        entrances.serve(&app, &server, &stop);
        let (worker, stopping) = (Arc::clone(&app), stop.clone());
        server.spawn(async move { worker.auth.audit.run(stopping).await });
        let collecting = gc::on_schedule(Arc::clone(&app));
        app.tasks.background().spawn(collecting);
        chores::start(&app);
        agent::start(&app);
        live::start(&app);
        models::start(&app);
        lineage::start(&app);
        watcher::start(&app);
        server.close();
        app.bucket_table.watch(&app);
        let copying = Copying::start(&app);
        Ok(Self {
            app,
            address,
            local,
            stop,
            server,
            copying,
            _owner: owner,
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
        let scheme = match self.app.config.server.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}", self.address)
    }

    /// A client that may do everything here.
    #[must_use]
    pub fn client(&self) -> Client {
        let token = self.app.auth.owner_token().clone();
        Client::new(&format!("http://{}", self.local)).with_token(token)
    }

    /// Stops tasks and the server, in this order, writes what is left, waits a moment for the copies of it,
    /// and lets go of the folder.
    pub async fn stop(self) {
        self.app.plugins.close();
        self.app.tasks.stop().await;
        self.stop.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(5), self.server.wait()).await;
        self.app.auth.audit.close().await;
        self.copying.end(&self.app).await;
    }
}

/// The copying into `rescue`.
struct Copying {
    stop: CancellationToken,
    worker: TaskTracker,
}

impl Copying {
    fn start(app: &App) -> Self {
        let (stop, worker) = (CancellationToken::new(), TaskTracker::new());
        let (mirror, stopping) = (app.mirror.clone(), stop.clone());
        worker.spawn(async move { mirror.work(stopping).await });
        worker.close();
        Self { stop, worker }
    }

    /// What cannot be copied in time is copied after the next start.
    async fn end(self, app: &App) {
        let settled = tokio::time::timeout(LAST_COPIES, app.mirror.settled()).await;
        if settled.is_err() {
            tracing::warn!("copies into `rescue` are left for the next start");
        }
        self.stop.cancel();
        self.worker.wait().await;
    }
}

/// Where connections come in.
struct Entrances {
    plain: TcpListener,
    encrypted: Option<TlsListener>,
    /// Address of `plain`, as this machine reaches it.
    local: SocketAddr,
}

impl Entrances {
    async fn open(listener: TcpListener, tls: Option<&TlsConfig>) -> Result<Self, StartError> {
        let own = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let fail = |source| StartError::Listen {
            address: own,
            source,
        };
        let (plain, encrypted) = match tls {
            None => (listener, None),
            Some(tls) => (
                TcpListener::bind(own).await.map_err(fail)?,
                Some(TlsListener::new(listener, tls)?),
            ),
        };
        let mut local = plain.local_addr().map_err(fail)?;
        if local.ip().is_unspecified() {
            local.set_ip(match local.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        Ok(Self {
            plain,
            encrypted,
            local,
        })
    }

    fn serve(self, app: &Arc<App>, server: &TaskTracker, stop: &CancellationToken) {
        let routes = http::router(Arc::clone(app));
        let plain = routes.clone().into_make_service_with_connect_info::<Peer>();
        let stopped = stop.clone().cancelled_owned();
        let serving =
            axum::serve(PromptListener(self.plain), plain).with_graceful_shutdown(stopped);
        server.spawn(ended(serving.into_future()));
        if let Some(encrypted) = self.encrypted {
            let routes = routes.into_make_service_with_connect_info::<Peer>();
            let stopped = stop.clone().cancelled_owned();
            let serving = axum::serve(encrypted, routes).with_graceful_shutdown(stopped);
            server.spawn(ended(serving.into_future()));
        }
    }
}

async fn ended(serving: impl Future<Output = io::Result<()>>) {
    if let Err(error) = serving.await {
        tracing::error!(%error, "the server ended");
    }
}

/// That no restoration was left half-way.
fn check_restored(folder: &Path) -> Result<(), StartError> {
    match folder.join(RESTORING).exists() {
        true => Err(StartError::HalfRestored {
            folder: folder.to_owned(),
        }),
        false => Ok(()),
    }
}

/// That a host which the network reaches has a key that may administer it.
fn check_exposure(app: &App, bind: IpAddr, folder: &Path) -> Result<(), StartError> {
    if bind.is_loopback() {
        return Ok(());
    }
    if !app.auth.has_admin() {
        return Err(StartError::NoKeys {
            bind,
            folder: folder.to_owned(),
        });
    }
    if app.config.server.tls.is_some() {
        return Ok(());
    }
    tracing::warn!(
        %bind,
        "the network reaches this host and nothing is encrypted: whoever listens on the wire can copy keys; set server.tls, or put a proxy with TLS in front"
    );
    Ok(())
}

/// File in the data folder that stands there while a restoration runs.
pub(crate) const RESTORING: &str = "restore.unfinished";

/// The lock on a data folder and the address beside it.
pub(crate) struct FolderLock {
    _file: File,
    address: PathBuf,
}

impl FolderLock {
    /// Takes the folder, which is made when it is missing.
    ///
    /// # Errors
    /// [`StartError::InUse`] while another process holds it, [`StartError::Folder`].
    pub(crate) fn take(folder: &Path) -> Result<Self, StartError> {
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
