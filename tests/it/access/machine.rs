//! Access seen from the machine of the host: the command line, the owner's token, the address that is bound,
//! and the wire.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

use super::{Guest, text};
use crate::support::{Host, check_problem, program, run};

/// Runs the program with a variable set.
fn run_with(variable: (&str, &str), arguments: &[&str]) -> Output {
    Command::new(program())
        .args(arguments)
        .env(variable.0, variable.1)
        .output()
        .expect("the program runs")
}

#[tokio::test]
async fn the_command_line_shows_a_key_from_a_file_or_a_variable_or_owns_the_folder() {
    let host = Host::fresh();
    let data = host.data.display().to_string();
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("key").display().to_string();
    let made = run(&[
        "--data", &data, "key", "create", "boss", "--admin", "--out", &file,
    ]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let key = std::fs::read_to_string(&file).expect("the key");
    assert!(
        !text(&made.stdout).contains(key.trim()),
        "it is in the file alone"
    );

    assert!(
        text(&made.stderr).contains("first key of this host"),
        "{}",
        text(&made.stderr)
    );
    let bare = run(&["--url", &host.url, "dataset", "list"]);
    assert_eq!(bare.status.code(), Some(1));
    assert!(
        text(&bare.stderr).contains("key_needed"),
        "{}",
        text(&bare.stderr)
    );
    for good in [
        run(&["--url", &host.url, "--key-file", &file, "dataset", "list"]),
        run_with(
            ("BOATHOUSE_KEY", key.trim()),
            &["--url", &host.url, "dataset", "list"],
        ),
        run(&["--data", &data, "key", "list"]),
        // A key for another host does not lock the owner out here.
        run_with(
            (
                "BOATHOUSE_KEY",
                &format!("bh_{}_{}", "0".repeat(12), "0".repeat(64)),
            ),
            &["--data", &data, "key", "list"],
        ),
    ] {
        assert!(good.status.success(), "{}", text(&good.stderr));
    }
    let me = run(&["--data", &data, "--json", "key", "me"]);
    let me: Value = serde_json::from_slice(&me.stdout).expect("json");
    assert_eq!(me["name"], "owner");
    let audit = run(&["--data", &data, "audit", "--limit", "10"]);
    assert!(
        text(&audit.stdout).contains("/auth/keys"),
        "{}",
        text(&audit.stdout)
    );
    let wrong = run_with(
        ("BOATHOUSE_KEY", "hunter2"),
        &["--url", &host.url, "key", "me"],
    );
    assert_eq!(wrong.status.code(), Some(2));
    assert!(!text(&wrong.stderr).contains("hunter2"));
}

#[tokio::test]
async fn a_command_starts_a_host_for_itself_where_none_runs_keys_or_not() {
    let host = Host::fresh();
    let data = host.data.display().to_string();
    let made = run(&["--data", &data, "key", "create", "boss", "--admin"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let token = host.data.join("host.token");
    assert!(token.exists());
    let before = std::fs::read_to_string(&token).expect("token");
    let host = host.kill_and(|data| {
        let data = data.display().to_string();
        let list = run(&["--data", &data, "key", "list"]);
        assert!(list.status.success(), "{}", text(&list.stderr));
        assert!(!token.exists(), "it goes with its host");
    });
    let after = std::fs::read_to_string(host.data.join("host.token")).expect("token");
    assert_ne!(before, after, "made anew at every start");
    let stale = Guest::new(&host, &before).get("/datasets").await;
    check_problem(stale, 401, "key_unknown", &[]);
    assert_eq!(
        Guest::new(&host, &after).get("/auth/me").await.1["name"],
        "owner"
    );
}

/// A host that may listen anywhere; stopped when dropped.
struct Exposed {
    child: Child,
    line: String,
}

impl Exposed {
    fn start(data: &str, arguments: &[&str]) -> Self {
        use std::io::BufRead as _;

        let mut child = Command::new(program())
            .args(["serve", "--data", data, "--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("standard output");
        std::io::BufReader::new(out)
            .read_line(&mut line)
            .expect("a line");
        Self { child, line }
    }

    fn url(&self) -> &str {
        let url = self.line.trim().strip_prefix("listening on ");
        url.unwrap_or_else(|| panic!("unexpected {:?}", self.line))
    }

    fn port(&self) -> &str {
        self.url().rsplit(':').next().expect("a port")
    }
}

impl Drop for Exposed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn beyond_loopback_a_host_starts_with_an_admin_key_only() {
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().display().to_string();
    let any = Ipv4Addr::UNSPECIFIED.to_string();
    let refused = || {
        let output = run(&["serve", "--data", &data, "--port", "0", "--bind", &any]);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        let cure = format!("boathouse key create --admin --data {data}");
        assert!(message.contains(&cure), "{message}");
    };
    refused();
    let make = |arguments: &[&str]| {
        let output = run(&[&["--data", &data, "key", "create"], arguments].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    };
    make(&["--scope", "read"]);
    refused();
    let key = make(&["--admin"]);
    let exposed = Exposed::start(&data, &["--bind", &any]);
    let url = format!("http://127.0.0.1:{}", exposed.port());
    let client = reqwest::Client::new();
    let ask = async |key: Option<&str>| {
        let request = client.get(format!("{url}/datasets"));
        let request = match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!((ask(None).await, ask(Some(&key)).await), (401, 200));
    let id = key.split('_').nth(1).expect("an id");
    let last = run(&["--data", &data, "key", "revoke", id]);
    assert!(
        text(&last.stderr).contains("last_admin_key"),
        "{}",
        text(&last.stderr)
    );
    assert_eq!(ask(Some(&key)).await, 200);
}

#[tokio::test]
async fn keys_may_be_asked_for_on_loopback_too() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(
        folder.path().join("boathouse.toml"),
        "[auth]\nrequired = true\n",
    )
    .expect("written");
    let host = Host::on(folder.path());
    check_problem(host.get("/datasets").await, 401, "key_needed", &[]);
    let data = folder.path().display().to_string();
    let made = run(&["--data", &data, "key", "create", "--scope", "read"]);
    let key = text(&made.stdout).trim().to_owned();
    assert_eq!(Guest::new(&host, &key).get("/datasets").await.0, 200);
}

#[tokio::test]
async fn with_a_certificate_the_wire_is_encrypted_and_the_command_line_works_on() {
    let folder = tempfile::tempdir().expect("folder");
    let pem = |name: &str| -> PathBuf {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        tests.join("../host/server/testdata/tls").join(name)
    };
    let config = folder.path().join("boathouse.toml");
    let written = format!(
        "[server.tls]\ncert = {:?}\nkey = {:?}\n",
        pem("cert.pem"),
        pem("key.pem")
    );
    std::fs::write(&config, written).expect("written");
    let data = folder.path().display().to_string();
    let config = config.display().to_string();
    let exposed = Exposed::start(&data, &["--config", &config]);
    assert!(exposed.url().starts_with("https://"), "{}", exposed.url());
    let authority = std::fs::read(pem("cert.pem")).expect("a certificate");
    let authority = reqwest::Certificate::from_pem(&authority).expect("a certificate");
    let client = reqwest::Client::builder()
        .add_root_certificate(authority)
        .build()
        .expect("a client");
    // A client that never says a word keeps nobody out.
    let silent =
        tokio::net::TcpStream::connect(("127.0.0.1", exposed.port().parse().expect("port")))
            .await
            .expect("connected");
    let answer = client
        .get(format!("{}/datasets", exposed.url()))
        .send()
        .await;
    assert_eq!(answer.expect("an answer").status().as_u16(), 200);
    drop(silent);
    let plain = reqwest::get(format!("http://127.0.0.1:{}/livez", exposed.port())).await;
    assert!(plain.is_err(), "HTTP is not spoken there");
    let list = run(&["--data", &data, "dataset", "list"]);
    assert!(list.status.success(), "{}", text(&list.stderr));
}
