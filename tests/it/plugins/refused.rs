//! What a host does not take: each refusal says what to do, and nothing is stored or changed.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use reqwest::{Method, header};
use serde_json::{Value, json};

use super::{HOUSE, MARKED, activate, answer, request, states, stock, upload};
use crate::{
    guests::{MARKED_1, MARKED_2, replaced},
    support::{Host, check_problem},
};

/// Names of the failed checks of a refused upload.
fn failed((status, body): (u16, Value)) -> Vec<String> {
    assert_eq!(
        (status, &body["code"]),
        (422, &json!("check_failed")),
        "{body}"
    );
    assert_eq!(body["report"]["passed"], false);
    let errors = body["errors"].as_array().expect("errors");
    let name = |error: &Value| error["field"].as_str().expect("a field").to_owned();
    errors.iter().map(name).collect()
}

/// Files below `plugins` of the primary bucket.
fn stored(host: &Host) -> usize {
    let folder = |name: &str| {
        let folder = host.data.join("primary/plugins").join(name);
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    };
    folder("blobs") + folder("reports") + folder("manifest") + folder("events")
}

#[tokio::test]
async fn a_component_that_fails_its_checks_is_not_stored() {
    let host = Host::fresh();
    let before = stored(&host);
    assert_eq!(failed(upload(&host, MARKED, b"").await), ["preamble"]);
    assert_eq!(
        failed(upload(&host, MARKED, b"\0asm\x01\0\0\0").await),
        ["preamble"]
    );
    let noise: Vec<u8> = (0..50_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    assert_eq!(failed(upload(&host, MARKED, &noise).await), ["preamble"]);
    let (status, body) = upload(&host, MARKED, b"\0asm\x01\0\0\0").await;
    let cure = body["errors"][0]["detail"].as_str().unwrap_or_default();
    assert!(status == 422 && cure.contains("core module"), "{body}");
    for part in 1..10 {
        let cut = &MARKED_1[..MARKED_1.len() * part / 10];
        assert!(!failed(upload(&host, MARKED, cut).await).is_empty());
    }
    let kind = upload(&host, "/plugins/proposer/test/marked", MARKED_1).await;
    assert_eq!(failed(kind), ["exports"]);
    let name = upload(&host, "/plugins/scoring/test/other", MARKED_1).await;
    assert_eq!(failed(name), ["describe"]);
    let version = host
        .post_raw(&format!("{MARKED}/versions?version=9.0.0"), MARKED_1)
        .await;
    assert_eq!(failed(version), ["describe"]);
    assert_eq!(stored(&host), before, "something is left over");
    check_problem(
        host.get(MARKED).await,
        404,
        "unknown_plugin",
        &["test/marked"],
    );
}

#[tokio::test]
async fn other_bytes_under_a_version_are_a_conflict() {
    let host = Host::fresh();
    stock(&host, MARKED, &[MARKED_1]).await;
    let other = replaced(MARKED_2, "2.0.0", "1.0.0");
    for path in [
        format!("{MARKED}/versions"),
        format!("{MARKED}/versions?version=1.0.0"),
    ] {
        let refused = host.post_raw(&path, other.clone()).await;
        check_problem(
            refused,
            409,
            "version_exists",
            &["1.0.0", "raise the version"],
        );
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_before_it_is_sent() {
    let host = Host::fresh();
    let address = host.url.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(address).expect("connected");
    write!(
        stream,
        "POST {MARKED}/versions HTTP/1.1\r\nhost: {address}\r\ncontent-length: 1073741824\r\nconnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    assert!(text.contains("component_too_large"), "{text}");
    // Without a declared length it ends as soon as the limit is passed.
    let config = "[plugins.sandbox.limits.scoring]\ncomponent_bytes = 150000\n";
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("boathouse.toml"), config).expect("written");
    let host = Host::on(folder.path());
    let parts = (0..200).map(|_| Ok::<_, std::io::Error>(vec![0_u8; 1_000]));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(parts));
    let sent = request(&host, Method::POST, &format!("{MARKED}/versions")).body(body);
    let (status, _, problem) = answer(sent).await;
    assert_eq!(
        (status, &problem["code"]),
        (413, &json!("component_too_large")),
        "{problem}"
    );
}

#[tokio::test]
async fn an_upload_that_trickles_is_cut_off() {
    let host = Host::fresh();
    let address = host.url.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(address).expect("connected");
    write!(
        stream,
        "POST {MARKED}/versions HTTP/1.1\r\nhost: {address}\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n."
    )
    .expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    assert!(text.contains("upload_too_slow"), "{text}");
}

#[tokio::test]
async fn paths_and_bodies_that_make_no_sense_are_named() {
    let host = Host::fresh();
    stock(&host, MARKED, &[MARKED_1]).await;
    for (path, code) in [
        ("/plugins/taste/test/marked/versions", "bad_path"),
        ("/plugins/scoring/Test/marked/versions", "bad_name"),
        ("/plugins/scoring/test/..%2Fx/versions", "bad_name"),
        (
            "/plugins/scoring/test/marked/versions?version=latest",
            "bad_version",
        ),
        (
            "/plugins/scoring/test/marked/versions?version=1",
            "bad_version",
        ),
        (
            "/plugins/scoring/test/marked/versions?version=",
            "bad_version",
        ),
        ("/plugins/scoring/test/marked/versions?size=1", "bad_query"),
    ] {
        check_problem(host.post_raw(path, MARKED_1).await, 422, code, &[]);
    }
    let none = "/plugins/scoring/test/none";
    for (plugin, version, body, status, code) in [
        (MARKED, "2.0.0", json!({}), 404, "unknown_version"),
        (MARKED, "two", json!({}), 422, "bad_version"),
        (none, "1.0.0", json!({}), 404, "unknown_plugin"),
        (MARKED, "1.0.0", json!({"index": "a"}), 422, "bad_body"),
        (
            MARKED,
            "1.0.0",
            json!({"indexes": ["../a"]}),
            422,
            "bad_body",
        ),
        (MARKED, "1.0.0", json!({"indexes": []}), 422, "wrong_place"),
        (
            MARKED,
            "1.0.0",
            json!({"datasets": ["d"]}),
            422,
            "wrong_place",
        ),
        (
            MARKED,
            "1.0.0",
            json!({"indexes": ["gone"]}),
            404,
            "unknown_index",
        ),
    ] {
        check_problem(
            activate(&host, plugin, version, &body).await,
            status,
            code,
            &[],
        );
    }
    let path = format!("{MARKED}/versions/1.0.0/activate");
    let broken =
        request(&host, Method::POST, &path).header(header::CONTENT_TYPE, "application/json");
    let (status, _, body) = answer(broken.body("{\"indexes\": [")).await;
    assert_eq!((status, &body["code"]), (400, &json!("bad_body")), "{body}");
    assert_eq!(
        states(&host, MARKED).await,
        ["1.0.0 checked"],
        "nothing changed"
    );
}

#[tokio::test]
async fn the_default_cannot_be_missing_and_nothing_is_not_rolled_back() {
    let host = Host::fresh();
    stock(&host, MARKED, &[MARKED_1]).await;
    let post = async |path: String| host.post(&path, &json!({})).await;
    for plugin in [HOUSE, MARKED, "/plugins/pii/boathouse/pii"] {
        check_problem(
            post(format!("{plugin}/rollback")).await,
            409,
            "no_previous",
            &[],
        );
    }
    check_problem(
        post(format!("{HOUSE}/deactivate")).await,
        409,
        "is_default",
        &["activate another"],
    );
    check_problem(
        post(format!("{MARKED}/deactivate")).await,
        409,
        "not_active",
        &[],
    );
    let unknown = "/plugins/scoring/test/none/rollback".to_owned();
    check_problem(post(unknown).await, 404, "unknown_plugin", &[]);
    let house = host.delete(&format!("{HOUSE}/versions/0.1.0")).await;
    check_problem(house, 409, "version_in_use", &["serves"]);
    assert_eq!(states(&host, HOUSE).await, ["0.1.0 active"]);
}

#[tokio::test]
async fn no_change_is_made_on_a_revision_that_is_gone() {
    let host = Host::fresh();
    stock(&host, MARKED, &[MARKED_1]).await;
    let (_, headers, _) = answer(request(&host, Method::GET, MARKED)).await;
    let gone = headers[header::ETAG].clone();
    stock(&host, MARKED, &[MARKED_2]).await;
    let one = format!("{MARKED}/versions/1.0.0");
    for (method, path) in [
        (Method::POST, format!("{one}/activate")),
        (Method::POST, format!("{one}/shadow")),
        (Method::DELETE, format!("{one}/shadow")),
        (Method::DELETE, one),
        (Method::POST, format!("{MARKED}/rollback")),
        (Method::POST, format!("{MARKED}/deactivate")),
    ] {
        let late = request(&host, method.clone(), &path).header(header::IF_MATCH, &gone);
        let (status, _, problem) = answer(late).await;
        assert_eq!(
            (status, &problem["code"]),
            (412, &json!("changed_meanwhile")),
            "{method} {path}: {problem}"
        );
    }
    assert_eq!(
        states(&host, MARKED).await,
        ["1.0.0 checked", "2.0.0 checked"]
    );
}

#[tokio::test]
async fn a_shadow_of_a_version_that_is_none_is_named() {
    let path = format!("{MARKED}/versions/latest/shadow");
    let answer = Host::fresh().post_raw(&path, MARKED_1).await;
    check_problem(answer, 422, "bad_version", &[]);
}
