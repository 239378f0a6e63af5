//! Each failure that a person can cure names its cure: a full disk, wrong credentials, the wrong region, a
//! bucket that is missing, an endpoint that is something else.
//!
//! The answers are those of the S3 API reference, given by a little server over a real connection, so that
//! what is judged is what `object_store` makes of them.

use boathouse_types::BucketName;
use bytes::Bytes;
use futures::future::{Either, select};
use object_store::ObjectStoreExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{BucketConfig, S3Config, SecretRef};

/// Takes one request and gives its first line.
async fn request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return String::new(),
        }
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = between(&head, "content-length: ", "\r").and_then(|n| n.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.unwrap();
    head.lines().next().unwrap_or_default().to_owned()
}

/// Answers every request with a status and a body, which a HEAD goes without.
async fn serve(listener: TcpListener, status: &str, body: &str) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = request(&mut stream).await;
        let shown = if asked.starts_with("head") { "" } else { body };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{shown}"
        );
        // A client that has seen enough may be gone.
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

fn s3(endpoint: String) -> Bucket {
    let key = Some(SecretRef::Env("KEY".into()));
    let backend = BackendConfig::S3(S3Config {
        endpoint: Some(endpoint),
        bucket: "boats".into(),
        access_key_id: key.clone(),
        secret_access_key: key,
        allow_http: true,
        ..S3Config::default()
    });
    let name = BucketName::primary();
    let environment = |_: &str| Some("s3cret".to_owned());
    Bucket::open(&BucketConfig { name, backend }, &environment).unwrap()
}

/// What `work` gives on a bucket whose server answers so.
async fn against<T>(status: &str, body: &str, work: impl AsyncFnOnce(Bucket) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let serving = Box::pin(serve(listener, status, body));
    match select(serving, Box::pin(work(s3(endpoint)))).await {
        Either::Left(((), _)) => unreachable!("it serves for ever"),
        Either::Right((result, _)) => result,
    }
}

fn answer(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message>\
         <Region>eu-west-3</Region></Error>"
    )
}

/// Every operation says the same; `told` stands in each message.
async fn check(status: &str, body: &str, told: &str, kind: fn(&StorageError) -> bool) {
    against(status, body, async |bucket| {
        for result in [
            bucket.put("a/b", Bytes::from("1")).await,
            bucket.put_new("a/b", Bytes::from("1")).await,
            bucket.get("a/b").await.map(drop),
            bucket.list("a").await.map(drop),
            bucket.children("a").await.map(drop),
        ] {
            let error = result.unwrap_err();
            let text = error.to_string();
            assert!(kind(&error) && text.contains(told), "{status}: {error:?}");
            assert!(!chain(&error).contains("s3cret"), "{error:?}");
        }
    })
    .await;
}

fn is_denied(error: &StorageError) -> bool {
    matches!(error, StorageError::Denied { .. })
}

fn is_misconfigured(error: &StorageError) -> bool {
    matches!(error, StorageError::Misconfigured { .. })
}

#[tokio::test]
async fn wrong_credentials_name_what_to_correct() {
    for (code, told) in [
        ("InvalidAccessKeyId", "`access_key_id`"),
        ("SignatureDoesNotMatch", "`secret_access_key`"),
        ("AccessDenied", "their rights"),
        ("RequestTimeTooSkewed", "clock"),
    ] {
        check("403 Forbidden", &answer(code), told, is_denied).await;
    }
}

#[tokio::test]
async fn the_wrong_region_is_told_with_the_right_one() {
    let told = "`region` to `eu-west-3`";
    let malformed = answer("AuthorizationHeaderMalformed");
    check("400 Bad Request", &malformed, told, is_misconfigured).await;
    let redirected = "301 Moved Permanently";
    check(redirected, "", "correct `region`", is_misconfigured).await;
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_no_missing_object() {
    let body = answer("NoSuchBucket");
    check(
        "404 Not Found",
        &body,
        "no bucket `boats`",
        is_misconfigured,
    )
    .await;
    against("404 Not Found", &body, async |bucket| {
        // A HEAD has no body to tell; and what was not deleted must not pass for deleted.
        for result in [bucket.exists("a").await.map(drop), bucket.delete("a").await] {
            assert!(is_misconfigured(&result.unwrap_err()));
        }
    })
    .await;
    against("404 Not Found", &answer("NoSuchKey"), async |bucket| {
        assert!(!bucket.exists("a").await.unwrap());
        let missing = bucket.get("a").await;
        assert!(matches!(missing, Err(StorageError::NotFound { .. })));
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_is_no_s3_is_told() {
    let page = "<!DOCTYPE html><html><body>It works!</body></html>";
    for status in ["200 OK", "404 Not Found", "405 Method Not Allowed"] {
        against(status, page, async |bucket| {
            let error = bucket.probe().await.unwrap_err();
            let told = error.to_string().contains("no S3 store");
            assert!(is_misconfigured(&error) && told, "{status}: {error:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let bucket = s3(endpoint);
    let error = bucket.get("a").await.unwrap_err();
    assert!(
        matches!(error, StorageError::Unavailable { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("can be reached"), "{error}");
    let error = bucket.list("").await.unwrap_err();
    assert!(error.to_string().contains("failed at `/`"), "{error}");
}

#[test]
fn no_room_is_told_wherever_it_is_missing() {
    let local = Bucket::memory(BucketName::primary());
    let s3 = s3("http://127.0.0.1:1".into());
    let generic =
        |source: Box<dyn error::Error + Send + Sync>| Error::Generic { store: "x", source };
    let quota = io::Error::from(io::ErrorKind::QuotaExceeded);
    for (bucket, error) in [
        // ENOSPC
        (&local, generic(io::Error::from_raw_os_error(28).into())),
        (&local, generic(quota.into())),
        (&s3, generic("507 Insufficient Storage: ".into())),
        (&s3, generic(answer("XMinioStorageFull").into())),
    ] {
        let full = bucket.fault("a/b", error);
        assert!(matches!(full, StorageError::Full { .. }), "{full:?}");
        assert!(full.to_string().contains("free some space"), "{full}");
    }
}

#[test]
fn what_a_store_says_is_not_repeated_unless_it_is_plain() {
    for (text, expected) in [
        ("expecting 'eu-west-3'", Some("eu-west-3")),
        ("expecting '<b>'", None),
        ("expecting ''", None),
        ("expecting 'x", None),
    ] {
        assert_eq!(between(text, "expecting '", "'"), expected, "{text}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_folder_that_nobody_may_write_names_the_cure() {
    // Not even the superuser makes files there.
    let open = |root: &str| {
        let backend = BackendConfig::Local { root: root.into() };
        let name = BucketName::primary();
        Bucket::open(&BucketConfig { name, backend }, &|_| None)
    };
    for (root, told) in [
        ("/proc/self", "cannot be written"),
        ("/proc/boats", "cannot be created"),
    ] {
        let error = open(root).unwrap_err();
        assert!(matches!(error, StorageError::UnusableRoot { .. }));
        assert!(error.to_string().contains(told), "{error}");
    }
    let denied = Error::PermissionDenied {
        path: "a".into(),
        source: io::Error::from(io::ErrorKind::PermissionDenied).into(),
    };
    let denied = Bucket::memory(BucketName::primary()).fault("a", denied);
    assert!(denied.to_string().contains("let this user"), "{denied}");
}

#[tokio::test]
async fn errors_of_a_view_name_the_whole_path() {
    let bucket = Bucket::memory(BucketName::primary());
    let view = bucket.within("x").unwrap().within("y/").unwrap();
    let missing = view.get("z").await.unwrap_err();
    assert!(missing.to_string().contains("`x/y/z`"), "{missing}");
    assert!(view.store().head(&"z".into()).await.is_err());
}
