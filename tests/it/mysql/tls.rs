//! How connections are protected: with TLS of the server or without, checked or not.

use std::path::Path;

use serde_json::json;

use super::{ingest, ingested, is_absent, rows};
use crate::support::{Host, check_failed, db};

const CIPHER: &str = "SELECT VARIABLE_VALUE AS cipher FROM information_schema.SESSION_STATUS \
                      WHERE VARIABLE_NAME = 'Ssl_cipher'";

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("it/mysql/tls")
        .join(name)
}

#[tokio::test]
async fn a_server_without_tls_is_read_where_tls_is_not_asked_for() {
    let Some(server) = db::own_mariadb(&["skip-ssl"]).await else {
        return;
    };
    let host = Host::fresh();
    let dsn = server.dsn("mysql");
    for tls in ["prefer", "disable"] {
        ingested(&host, &dsn, &json!({"query": CIPHER, "tls": tls})).await;
        assert_eq!(rows(&host).await, [json!({"cipher": ""})], "{tls}");
    }
    for tls in ["require", "verify-full"] {
        let ended = ingest(&host, &dsn, &json!({"query": CIPHER, "tls": tls})).await;
        check_failed(&ended, "bad_option", &["no TLS"]);
    }
}

#[tokio::test]
async fn a_certificate_is_checked_where_that_was_asked_for() {
    let Some(server) = db::own_mariadb(&[]).await else {
        return;
    };
    let server = server
        .with_tls(&file("localhost.pem"), &file("localhost.key"))
        .expect("a server with TLS");
    let host = Host::fresh();
    // The certificate is for `localhost` and nobody else, and only who names it trusts it.
    let by_number = server.dsn("mysql");
    let by_name = by_number.replacen("127.0.0.1", "localhost", 1);
    let trusting = |dsn: &str| format!("{dsn}?ssl-ca={}", file("localhost.pem").display());
    for (dsn, words) in [
        (&by_number, "`ssl-ca`"),
        (&by_name, "`ssl-ca`"),
        (&trusting(&by_number), "another name"),
    ] {
        let what = json!({"query": CIPHER, "tls": "verify-full"});
        let ended = ingest(&host, dsn, &what).await;
        check_failed(&ended, "source_unreachable", &["certificate", words]);
    }
    is_absent(&host).await;
    for (dsn, tls, is_secure) in [
        (trusting(&by_name), "verify-full", true),
        (by_number.clone(), "require", true),
        (by_number.clone(), "prefer", true),
        (by_number.clone(), "disable", false),
    ] {
        ingested(&host, &dsn, &json!({"query": CIPHER, "tls": tls})).await;
        let rows = rows(&host).await;
        assert_eq!(rows[0]["cipher"] != "", is_secure, "{tls}");
    }
}

#[tokio::test]
async fn a_certificate_of_an_authority_is_refused_in_words() {
    let Some(server) = db::own_mariadb(&[]).await else {
        return;
    };
    let certificate = file("authority.pem");
    let server = server
        .with_tls(&certificate, &file("authority.key"))
        .expect("a server with TLS");
    let host = Host::fresh();
    let by_name = server.dsn("mysql").replacen("127.0.0.1", "localhost", 1);
    let trusting = format!("{by_name}?ssl-ca={}", certificate.display());
    let what = json!({"query": CIPHER, "tls": "verify-full"});
    for (dsn, words) in [
        (&trusting, "basicConstraints=CA:FALSE"),
        (&by_name, "certificate"),
    ] {
        let ended = ingest(&host, dsn, &what).await;
        check_failed(&ended, "source_unreachable", &["TLS failed", words]);
    }
    is_absent(&host).await;
    ingested(&host, &by_name, &json!({"query": CIPHER, "tls": "require"})).await;
}
