//! Connections that are protected, each in its way.

use std::{path::Path, process::Command};

use boathouse_db_server::Postgres;
use serde_json::json;
use tempfile::TempDir;

use super::{check_refused, ingest, landed, wish};
use crate::support::{Host, db, skip};

/// A server with a certificate for `localhost`, and the folder of the certificate `tls.crt`.
async fn protected() -> Option<(Postgres, TempDir)> {
    let server = db::own_postgres(&[]).await?;
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        skip(
            "TLS to PostgreSQL",
            "openssl is not here to make a certificate",
        );
        return None;
    }
    let server = server
        .with_tls(&certificate, &key)
        .expect("a server with TLS");
    Some((server, folder))
}

/// Whether the connection that reads is protected.
const IS_PROTECTED: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

async fn check(host: &Host, dsn: &str, tls: Option<&str>, expected: &str) {
    let mut wish = wish(dsn, "query", IS_PROTECTED);
    if let Some(tls) = tls {
        wish["tls"] = json!(tls);
    }
    let answered = ingest(host, &wish).await;
    assert_eq!(answered["added_rows"], 1, "{answered}");
    let (_, page) = host.get("/datasets/d/rows").await;
    assert_eq!(
        page["rows"][0]["ssl"],
        expected == "t",
        "{dsn} {tls:?}: {page}"
    );
}

fn with_roots(dsn: &str, file: &Path) -> String {
    format!("{dsn}?sslrootcert={}", file.display())
}

#[tokio::test]
async fn each_mode_protects_as_it_says() {
    let Some((server, folder)) = protected().await else {
        return;
    };
    let host = Host::fresh();
    let by_address = server.dsn("postgres");
    let by_name = by_address.replace("127.0.0.1", "localhost");
    check(&host, &by_address, Some("disable"), "f").await;
    check(&host, &by_address, Some("prefer"), "t").await;
    check(&host, &by_address, None, "t").await;
    check(&host, &by_address, Some("require"), "t").await;
    check(&host, &format!("{by_address}?sslmode=disable"), None, "f").await;
    let roots = folder.path().join("tls.crt");
    check(
        &host,
        &with_roots(&by_name, &roots),
        Some("verify-full"),
        "t",
    )
    .await;
    let in_text = format!("{}&sslmode=verify-full", with_roots(&by_name, &roots));
    check(&host, &in_text, None, "t").await;
    let (status, _) = host.delete("/datasets/d").await;
    assert!(status < 300);
    for dsn in [
        // A certificate that no root of the system vouches for, one for another name, a file without any.
        by_name.clone(),
        with_roots(&by_address, &roots),
        with_roots(&by_name, &folder.path().join("tls.key")),
    ] {
        let mut wish = wish(&dsn, "query", IS_PROTECTED);
        wish["tls"] = json!("verify-full");
        check_refused(&host, &wish, "source_unreachable", &[]).await;
    }
}

#[tokio::test]
async fn what_must_be_protected_is_not_sent_in_clear() {
    let Some(database) =
        db::postgres_with("CREATE TABLE t (id int); INSERT INTO t VALUES (1);").await
    else {
        return;
    };
    let host = Host::fresh();
    for tls in ["require", "verify-full"] {
        let mut wish = wish(&database.dsn(), "table", "t");
        wish["tls"] = json!(tls);
        check_refused(&host, &wish, "bad_option", &["offers no TLS", "`prefer`"]).await;
    }
    ingest(&host, &wish(&database.dsn(), "table", "t")).await;
    assert_eq!(landed::rows(&host.data).num_rows(), 1);
}

/// A certificate for `localhost` that is marked as an authority's and signed by itself, and its key.
fn authority() -> [std::path::PathBuf; 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/mysql/tls");
    ["authority.pem", "authority.key"].map(|name| folder.join(name))
}

#[tokio::test]
async fn a_certificate_that_a_server_made_itself_is_taken_from_who_names_it() {
    let Some(server) = db::own_postgres(&[]).await else {
        return;
    };
    let [certificate, key] = authority();
    let server = server
        .with_tls(&certificate, &key)
        .expect("a server with TLS");
    let host = Host::fresh();
    let by_address = server.dsn("postgres");
    let by_name = by_address.replace("127.0.0.1", "localhost");
    let trusting = with_roots(&by_name, &certificate);
    check(&host, &trusting, Some("verify-full"), "t").await;
    check(&host, &format!("{trusting}&sslmode=verify-ca"), None, "t").await;
    let (status, _) = host.delete("/datasets/d").await;
    assert!(status < 300);
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/mysql/tls/localhost.pem");
    for (dsn, words) in [
        (with_roots(&by_address, &certificate), "another name"),
        (with_roots(&by_name, &other), "CA:TRUE"),
    ] {
        let mut wish = wish(&dsn, "query", IS_PROTECTED);
        wish["tls"] = json!("verify-full");
        check_refused(&host, &wish, "source_unreachable", &["TLS failed", words]).await;
    }
}
