//! The life of plugins over HTTP: upload, activation, rollback, deletion, and the log of it all.
//!
//! `plugins/refused.rs` is what a host must not take, `plugins/endure.rs` what it survives, `plugins/limits.rs`
//! the bounds that its operator sets, `plugins/house.rs` the plugins that it brings along. Swaps under load
//! have a module of their own, `swap`, and so have hostile plugins.

mod endure;
mod house;
mod limits;
mod refused;

use std::time::Duration;

use futures::future::join_all;
use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};

use crate::{
    guests::{MARKED_1, MARKED_2, order, replaced},
    support::{Host, check_problem, sentences},
};

const EVIL: &str = "/plugins/scoring/evil/scoring";
const MARKED: &str = "/plugins/scoring/test/marked";
const HOUSE: &str = "/plugins/scoring/boathouse/pareto";

/// A request with headers of its own.
fn request(host: &Host, method: Method, path: &str) -> RequestBuilder {
    let client = reqwest::Client::new();
    let request = client.request(method, format!("{}{path}", host.url));
    request.timeout(Duration::from_secs(240))
}

/// Status, headers and body of an answer.
async fn answer(request: RequestBuilder) -> (u16, header::HeaderMap, Value) {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, headers, body)
}

async fn upload(host: &Host, plugin: &str, bytes: &[u8]) -> (u16, Value) {
    host.post_raw(&format!("{plugin}/versions"), bytes.to_vec())
        .await
}

/// Uploads that must succeed.
async fn stock(host: &Host, plugin: &str, components: &[&[u8]]) {
    for component in components {
        let (status, body) = upload(host, plugin, component).await;
        assert_eq!(status, 201, "{plugin}: {body}");
    }
}

async fn activate(host: &Host, plugin: &str, version: &str, body: &Value) -> (u16, Value) {
    host.post(&format!("{plugin}/versions/{version}/activate"), body)
        .await
}

/// An activation that must succeed.
async fn activated(host: &Host, plugin: &str, version: &str, body: &Value) -> Value {
    let (status, switched) = activate(host, plugin, version, body).await;
    assert_eq!(status, 200, "{plugin} {version}: {switched}");
    switched
}

/// An index that has a trial to judge.
async fn judged(host: &Host, index: &str) {
    if host.get("/datasets/notes").await.0 == 404 {
        host.ingest("notes", sentences()).await;
    }
    host.index(index, "notes", "text").await;
    host.done(&format!("/vectors/trials/{index}"), &json!({}))
        .await;
}

/// An index that has a trial to judge and whose objective orders a hostile scoring plugin to attack.
async fn ordering(host: &Host, index: &str, word: &str) {
    host.ingest("notes", sentences()).await;
    let body = json!({
        "name": index, "dataset": "notes", "text_column": "text",
        "objective": {"memory_cap_bytes": order(word)},
    });
    host.done("/vectors/indexes", &body).await;
    host.done(&format!("/vectors/trials/{index}"), &json!({}))
        .await;
}

/// Who scores the trials of an index, as `name@version`.
async fn scorer(host: &Host, index: &str) -> String {
    let best = host.read(&format!("/vectors/trials/{index}/best")).await;
    let by = &best["scored_by"];
    let (name, version) = (by["name"].as_str(), by["version"].as_str());
    format!("{}@{}", name.expect("a name"), version.expect("a version"))
}

/// States of the versions of a plugin, as `version state`.
async fn states(host: &Host, plugin: &str) -> Vec<String> {
    let view = host.read(plugin).await;
    let versions = view["versions"].as_array().expect("versions");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let state =
        |version: &Value| format!("{} {}", text(&version["version"]), text(&version["state"]));
    versions.iter().map(state).collect()
}

/// What happened to a plugin, as `event version`.
async fn events(host: &Host, plugin: &str) -> Vec<String> {
    let page = host.read(&format!("{plugin}/events?limit=1000")).await;
    let events = page["events"].as_array().expect("events");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let event = |event: &Value| format!("{} {}", text(&event["event"]), text(&event["version"]));
    events.iter().map(event).collect()
}

#[tokio::test]
async fn a_version_comes_in_serves_goes_back_and_is_deleted() {
    let host = Host::fresh();
    judged(&host, "a").await;
    check_comes_in(&host).await;
    let other = replaced(MARKED_1, "test/marked", "test/market");
    stock(&host, "/plugins/scoring/test/market", &[&other]).await;
    stock(&host, MARKED, &[MARKED_2]).await;

    let switched = activated(&host, MARKED, "1.0.0", &json!({})).await;
    assert_eq!(
        switched["active"],
        json!({"name": "test/marked", "version": "1.0.0"})
    );
    assert_eq!(
        switched["replaced"]["name"], "boathouse/pareto",
        "{switched}"
    );
    assert!(switched["drained_ms"].is_u64(), "{switched}");
    assert_eq!(scorer(&host, "a").await, "test/marked@1.0.0");
    let same = activated(&host, MARKED, "1.0.0", &json!({})).await;
    assert_eq!(
        (&same["replaced"], &same["etag"]),
        (&Value::Null, &switched["etag"])
    );
    activated(&host, MARKED, "2.0.0", &json!({})).await;
    assert_eq!(
        states(&host, MARKED).await,
        ["1.0.0 retired", "2.0.0 active"]
    );

    let one = format!("{MARKED}/versions/2.0.0");
    check_problem(host.delete(&one).await, 409, "version_in_use", &["serves"]);
    for expected in ["test/marked@1.0.0", "boathouse/pareto@0.1.0"] {
        let (status, back) = host.post(&format!("{MARKED}/rollback"), &json!({})).await;
        assert_eq!(status, 200, "{back}");
        assert_eq!(scorer(&host, "a").await, expected);
    }
    assert_eq!(host.delete(&one).await.0, 204);
    check_problem(host.delete(&one).await, 404, "unknown_version", &["2.0.0"]);
    assert_eq!(states(&host, MARKED).await, ["1.0.0 retired"]);
    assert_eq!(
        events(&host, MARKED).await,
        [
            "uploaded 1.0.0",
            "checked 1.0.0",
            "uploaded 2.0.0",
            "checked 2.0.0",
            "activated 1.0.0",
            "activated 2.0.0",
            "retired 1.0.0",
            "rolled_back 1.0.0",
            "retired 2.0.0",
            "retired 1.0.0",
            "deleted 2.0.0",
        ]
    );
}

/// An upload brings its report and its place, and may be repeated.
async fn check_comes_in(host: &Host) {
    let path = format!("{MARKED}/versions?version=1.0.0");
    let sent = request(host, Method::POST, &path).body(MARKED_1);
    let (status, headers, body) = answer(sent).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(
        headers[header::LOCATION],
        format!("{MARKED}/versions/1.0.0")
    );
    assert_eq!(body["version"]["state"], "checked");
    assert_eq!(body["report"]["passed"], true, "{body}");
    assert!(
        body["report"]["checks"]
            .as_array()
            .is_some_and(|checks| checks.len() == 10)
    );
    let (status, again) = upload(host, MARKED, MARKED_1).await;
    assert_eq!(
        (status, &again["report"]),
        (200, &body["report"]),
        "{again}"
    );
}

#[tokio::test]
async fn if_match_lets_exactly_one_of_two_operators_win() {
    let host = Host::fresh();
    stock(&host, MARKED, &[MARKED_1, MARKED_2]).await;
    let (_, headers, view) = answer(request(&host, Method::GET, MARKED)).await;
    let etag = headers[header::ETAG].to_str().expect("text").to_owned();
    assert_eq!(view["etag"], etag.as_str());
    let guarded = |version: &str, etag: &str| {
        let path = format!("{MARKED}/versions/{version}/activate");
        answer(request(&host, Method::POST, &path).header(header::IF_MATCH, etag))
    };
    let (first, second) = tokio::join!(guarded("1.0.0", &etag), guarded("2.0.0", &etag));
    let mut statuses = [first.0, second.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412], "{} {}", first.2, second.2);
    let (_, lost) = if first.0 == 412 {
        (first.1, first.2)
    } else {
        (second.1, second.2)
    };
    assert_eq!(lost["code"], "changed_meanwhile");
    let (status, _, body) = guarded("1.0.0", "*").await;
    assert_eq!(status, 200, "{body}");
    let (status, _, body) = guarded("1.0.0", "no tag").await;
    assert_eq!((status, &body["code"]), (422, &json!("bad_if_match")));
    let rollback = format!("{MARKED}/rollback");
    let stale = request(&host, Method::POST, &rollback).header(header::IF_MATCH, &etag);
    assert_eq!(answer(stale).await.0, 412);
}

#[tokio::test]
async fn concurrent_activations_all_succeed_and_one_serves() {
    let host = Host::fresh();
    stock(&host, MARKED, &[MARKED_1, MARKED_2]).await;
    let nothing = json!({});
    let versions = ["1.0.0", "2.0.0"].into_iter().cycle().take(16);
    for (status, body) in join_all(versions.map(|v| activate(&host, MARKED, v, &nothing))).await {
        assert_eq!(status, 200, "{body}");
    }
    let plugins = host.read("/plugins").await;
    let serving: Vec<&Value> = plugins["plugins"]
        .as_array()
        .expect("plugins")
        .iter()
        .filter(|version| version["kind"] == "scoring" && version["state"] == "active")
        .collect();
    assert_eq!(serving.len(), 1, "{serving:?}");
    assert_eq!(serving[0]["places"][0]["place"], "host");
}

#[tokio::test]
async fn an_override_serves_its_index_and_its_index_may_go() {
    let host = Host::fresh();
    judged(&host, "a").await;
    judged(&host, "b").await;
    stock(&host, MARKED, &[MARKED_1]).await;
    activated(&host, MARKED, "1.0.0", &json!({"indexes": ["a"]})).await;
    assert_eq!(scorer(&host, "a").await, "test/marked@1.0.0");
    assert_eq!(scorer(&host, "b").await, "boathouse/pareto@0.1.0");
    assert_eq!(host.delete("/vectors/indexes/a").await.0, 204);
    assert_eq!(scorer(&host, "b").await, "boathouse/pareto@0.1.0");
    let host = host.kill_and_restart();
    assert_eq!(states(&host, MARKED).await, ["1.0.0 active"]);
    let (status, left) = host.post(&format!("{MARKED}/deactivate"), &json!({})).await;
    assert_eq!((status, &left["active"]), (200, &Value::Null), "{left}");
    assert_eq!(states(&host, MARKED).await, ["1.0.0 retired"]);
    check_problem(
        host.post(&format!("{MARKED}/deactivate"), &json!({})).await,
        409,
        "not_active",
        &["nowhere"],
    );
}

#[tokio::test]
async fn the_list_shows_limits_figures_and_what_each_version_says() {
    let host = Host::fresh();
    judged(&host, "a").await;
    scorer(&host, "a").await;
    let list = host.read("/plugins").await;
    assert_eq!(list["limits"]["scoring"]["deadline_ms"], 2_000, "{list}");
    assert!(list["sandbox"]["max_concurrent_calls"].as_u64() > Some(0));
    let view = host.read(HOUSE).await;
    let version = &view["versions"][0];
    assert_eq!(
        (&version["state"], &version["deterministic"]),
        (&json!("active"), &json!(true))
    );
    assert!(version["stats"]["calls"].as_u64() > Some(0), "{version}");
    assert!(
        version["stats"]["peak_memory_bytes"].as_u64() > Some(0),
        "{version}"
    );
    let counts = version["stats"]["latency"]["counts"]
        .as_array()
        .expect("counts");
    let called: u64 = counts.iter().filter_map(Value::as_u64).sum();
    assert!(called > 0, "{version}");
    let one = host.read(&format!("{HOUSE}/versions/0.1.0")).await;
    assert_eq!(one["report"]["passed"], true, "{one}");
    let pages = host.read("/plugins/events?limit=1").await;
    assert_eq!(
        (pages["events"].as_array().map(Vec::len), &pages["next"]),
        (Some(1), &json!(1))
    );
}

#[tokio::test]
async fn events_are_followed_live_and_taken_up_again() {
    let host = Host::fresh();
    stock(&host, MARKED, &[MARKED_1]).await;
    let first = followed(&host, None, 2).await;
    assert_eq!(
        first,
        [("uploaded".to_owned(), 12), ("checked".to_owned(), 13)]
    );
    let follow = followed(&host, Some(13), 1);
    let act = async {
        activated(&host, MARKED, "1.0.0", &json!({})).await;
    };
    let (live, ()) = tokio::join!(follow, act);
    assert_eq!(live, [("activated".to_owned(), 14)]);
}

/// The first events of a stream, with their ids.
async fn followed(host: &Host, last: Option<u64>, wanted: usize) -> Vec<(String, u64)> {
    let mut follow = request(host, Method::GET, &format!("{MARKED}/events"))
        .header(header::ACCEPT, "text/event-stream");
    if let Some(last) = last {
        follow = follow.header("last-event-id", last);
    }
    let mut response = follow.send().await.expect("a stream");
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/event-stream"
    );
    let mut text = String::new();
    loop {
        let events: Vec<(String, u64)> = text
            .split("\n\n")
            .filter_map(|block| {
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim().to_owned())
                };
                field("data:")?;
                Some((field("event:")?, field("id:")?.parse().ok()?))
            })
            .collect();
        let complete = text.matches("\n\n").count();
        if complete >= wanted && events.len() >= wanted {
            return events;
        }
        let chunk = response
            .chunk()
            .await
            .expect("a chunk")
            .expect("an open stream");
        text += std::str::from_utf8(&chunk).expect("text");
    }
}

#[tokio::test]
async fn of_equal_uploads_at_once_one_is_new() {
    let host = Host::fresh();
    let answers = join_all((0..6).map(|_| upload(&host, MARKED, MARKED_1))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 201], "{answers:?}");
}

#[tokio::test]
async fn a_version_that_comes_while_it_goes_is_there_whole_or_not_at_all() {
    let host = Host::fresh();
    let version = format!("{MARKED}/versions/1.0.0");
    for _ in 0..20 {
        stock(&host, MARKED, &[MARKED_1]).await;
        let uploads = join_all((0..4).map(|_| upload(&host, MARKED, MARKED_1)));
        let (uploads, (deleted, _)) = tokio::join!(uploads, host.delete(&version));
        assert_eq!(deleted, 204);
        for (status, body) in uploads {
            assert!(status == 200 || status == 201, "{status} {body}");
        }
        let (listed, view) = host.get(&version).await;
        if listed == 200 {
            let digest = view["version"]["digest"].as_str().expect("a digest");
            let blob = format!("primary/plugins/blobs/{digest}.wasm");
            assert!(host.data.join(blob).exists(), "listed without its bytes");
            assert_eq!(host.delete(&version).await.0, 204);
        }
    }
}
