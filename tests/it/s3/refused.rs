//! Buckets on S3 that cannot be used: what a host says of them names the cure, and never a secret.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use boathouse_s3_server::{OWNER, READER};
use boathouse_storage::S3Config;
use serde_json::json;

use crate::support::{
    Host, run,
    s3::{self, Space, section},
    sentences,
};

/// Starts a host whose primary bucket is this; it must end at once and say these words.
#[track_caller]
fn check_refused(s3: S3Config, words: &[&str]) {
    let folder = tempfile::tempdir().expect("folder");
    let config = folder.path().join("boathouse.toml");
    let primary = section("[storage.primary]", s3);
    let log = "[telemetry]\nlog = \"debug\"\n";
    fs::write(&config, primary + log).expect("written");
    let data = folder.path().join("data").display().to_string();
    let config = config.display().to_string();
    let ended = run(&["serve", "--port", "0", "--data", &data, "--config", &config]);
    let said = String::from_utf8_lossy(&ended.stderr);
    let said = format!("{}{said}", String::from_utf8_lossy(&ended.stdout));
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let last = said.lines().filter(|line| !line.contains(" DEBUG "));
    let last: Vec<_> = last.collect();
    for word in words {
        assert!(
            last.join("\n").contains(word),
            "`{word}` is missing in:\n{said}"
        );
    }
    for secret in [OWNER.secret, READER.secret] {
        assert!(!said.contains(secret), "a secret in:\n{said}");
    }
}

/// The space on the shared server.
async fn s3() -> Option<(Space, S3Config)> {
    let space = Space::shared().await?;
    let s3 = space.config("primary");
    Some((space, s3))
}

#[tokio::test]
async fn wrong_credentials_are_named() {
    let Some(server) = s3::server().await else {
        return;
    };
    let (owner, reader) = (server.config(OWNER), server.config(READER));
    let mixed = S3Config {
        secret_access_key: reader.secret_access_key.clone(),
        ..owner
    };
    check_refused(mixed, &["`primary`", "`secret_access_key`"]);
    check_refused(reader, &["`primary`", "rights"]);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_named() {
    let Some((_space, s3)) = s3().await else {
        return;
    };
    let missing = S3Config {
        bucket: "not-there".to_owned(),
        ..s3
    };
    check_refused(missing, &["`primary`", "not-there"]);
}

#[tokio::test]
async fn an_endpoint_that_is_not_encrypted_must_be_allowed() {
    let Some((_space, s3)) = s3().await else {
        return;
    };
    let careless = S3Config {
        allow_http: false,
        ..s3
    };
    check_refused(careless, &["`primary`", "allow_http = true"]);
}

/// A server that gives every request the same answer; it ends with this process.
fn endpoint(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else {
                continue;
            };
            // One read suffices: the requests of the probe are small, and the connection is closed after it.
            let _ = connection.read(&mut [0; 64 << 10]);
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn an_endpoint_that_is_no_s3_is_named() {
    let Some((_space, s3)) = s3().await else {
        return;
    };
    let at = |endpoint: String| S3Config {
        endpoint: Some(endpoint),
        ..s3.clone()
    };
    let web = endpoint("200 OK", "<html><body>Welcome</body></html>");
    check_refused(at(web), &["`primary`", "endpoint"]);
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    check_refused(
        at(format!("http://{closed}")),
        &["`primary`", "can be reached"],
    );
}

/// What cannot be used is refused at a running host too, and what can is taken.
#[tokio::test]
async fn a_bucket_that_is_added_is_tried_first() {
    let Some(server) = s3::server().await else {
        return;
    };
    let host = Host::fresh();
    let add = async |s3: S3Config| {
        let mut body = serde_json::to_value(s3).expect("JSON");
        body["name"] = json!("cloud");
        body["backend"] = json!("s3");
        host.post("/storage/buckets", &body).await
    };
    let owner = server.config(OWNER);
    let web = endpoint("200 OK", "<html><body>Welcome</body></html>");
    for (s3, word) in [
        (server.config(READER), "rights"),
        (
            S3Config {
                bucket: "not-there".to_owned(),
                ..owner.clone()
            },
            "not-there",
        ),
        (
            S3Config {
                endpoint: Some(web),
                ..owner.clone()
            },
            "endpoint",
        ),
        (
            S3Config {
                allow_http: false,
                ..owner.clone()
            },
            "allow_http",
        ),
    ] {
        let (status, problem) = add(s3).await;
        let said = problem.to_string();
        assert!(
            [422, 503].contains(&status) && said.contains(word),
            "{said}"
        );
        assert!(!said.contains(OWNER.secret) && !said.contains(READER.secret));
    }
    assert_eq!(add(owner).await.0, 201);
    let list = host.read("/storage/buckets").await;
    assert_eq!(list["buckets"].as_array().map(Vec::len), Some(3), "{list}");
    assert!(!list.to_string().contains(OWNER.secret), "{list}");
    host.ingest("notes", sentences()).await;
    let body =
        json!({"name": "notes", "dataset": "notes", "text_column": "text", "bucket": "cloud"});
    let index = host.done("/vectors/indexes", &body).await;
    assert_eq!(index["bucket"], "cloud");
    let host = host.kill_and_restart();
    host.search("notes", &json!({"text": "bread"})).await;
}

/// SeaweedFS takes any region; AWS answers like this.
#[tokio::test]
async fn a_wrong_region_is_named() {
    let Some((_space, s3)) = s3().await else {
        return;
    };
    let aws = endpoint(
        "400 Bad Request",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'</Message><Region>eu-central-1</Region></Error>",
    );
    let elsewhere = S3Config {
        endpoint: Some(aws),
        ..s3
    };
    check_refused(elsewhere, &["`primary`", "region", "eu-central-1"]);
}
