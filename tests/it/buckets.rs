//! Buckets at run time: added, used, lost, found again and removed, over HTTP and the command line.

mod edges;
mod refused;
mod unwell;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{Host, check_problem, ids, run, sentences};

/// A look at each bucket every second.
pub(crate) const WATCHFUL: &str = "[storage.health]\nevery_secs = 1\n";

/// A wish for a bucket in a folder.
pub(crate) fn local(name: &str, root: &Path) -> Value {
    json!({"name": name, "backend": "local", "root": root})
}

/// Adds a bucket that must be taken.
pub(crate) async fn add(host: &Host, name: &str, root: &Path) -> Value {
    let (status, made) = host.post("/storage/buckets", &local(name, root)).await;
    assert_eq!(status, 201, "{made}");
    made
}

/// What the list shows of a bucket; null when it is not there.
pub(crate) async fn bucket(host: &Host, name: &str) -> Value {
    let list = host.read("/storage/buckets").await;
    found(&list, name)
}

pub(crate) fn found(list: &Value, name: &str) -> Value {
    let buckets = list["buckets"].as_array().expect("buckets");
    let found = buckets.iter().find(|bucket| bucket["name"] == name);
    found.cloned().unwrap_or(Value::Null)
}

/// Waits until a bucket is as `state` says.
pub(crate) async fn until(host: &Host, name: &str, state: &str) -> Value {
    let is_so = |list: &Value| found(list, name)["health"]["state"] == state;
    found(&host.until("/storage/buckets", is_so).await, name)
}

/// Waits until the host is ready.
pub(crate) async fn ready(host: &Host) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let (status, ready) = host.get("/readyz").await;
        if status == 200 {
            return;
        }
        assert!(Instant::now() < deadline, "{ready}");
        tokio::task::yield_now().await;
    }
}

/// A dataset and an index on it, both in a bucket.
async fn fill(host: &Host, bucket: &str) {
    let parameters = format!("dataset=notes&format=csv&bucket={bucket}");
    let ended = host.upload(&parameters, sentences()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let body =
        json!({"name": "notes", "dataset": "notes", "text_column": "text", "bucket": bucket});
    host.done("/vectors/indexes", &body).await;
}

#[tokio::test]
async fn a_bucket_is_added_used_kept_and_removed() {
    let (host, place) = (Host::fresh(), tempfile::tempdir().expect("folder"));
    let root = place.path().join("deep/archive");
    let made = add(&host, "archive", &root).await;
    assert_eq!(
        (
            &made["origin"],
            &made["location"]["root"],
            &made["health"]["state"]
        ),
        (&json!("catalogue"), &json!(root), &json!("healthy")),
        "{made}"
    );
    fill(&host, "archive").await;
    let query = json!({"text": "ships in the harbour", "k": 3});
    let answer = host.search("notes", &query).await;
    assert!(root.join("datasets/notes").is_dir() && root.join("indexes/notes").is_dir());
    let counted = |list: &Value| found(list, "archive")["objects"].as_u64() > Some(0);
    host.until("/storage/buckets", counted).await;

    let host = host.kill_and_restart();
    let known = bucket(&host, "archive").await;
    assert_eq!(
        known["holds"],
        json!({"datasets": 1, "indexes": 1}),
        "{known}"
    );
    assert_eq!(ids(&host.search("notes", &query).await), ids(&answer));

    let (status, problem) = host.delete("/storage/buckets/archive").await;
    assert_eq!(
        problem["holds"],
        json!({"datasets": ["notes"], "indexes": ["notes"]})
    );
    check_problem(
        (status, problem),
        409,
        "bucket_in_use",
        &["notes", "move or delete"],
    );
    host.search("notes", &query).await;
    assert_eq!(host.delete("/vectors/indexes/notes").await.0, 204);
    assert_eq!(host.delete("/datasets/notes").await.0, 204);
    assert_eq!(host.delete("/storage/buckets/archive").await.0, 204);
    assert!(root.join("_lineage/notes").is_dir(), "data is deleted");
    let again = host.delete("/storage/buckets/archive").await;
    check_problem(again, 404, "unknown_bucket", &["archive"]);
    let host = host.kill_and_restart();
    assert_eq!(bucket(&host, "archive").await, Value::Null);
    add(&host, "other", &root).await;
}

#[tokio::test]
async fn of_additions_that_race_one_wins() {
    let (host, place) = (Host::fresh(), tempfile::tempdir().expect("folder"));
    let one_name = |n: usize| local("raced", &place.path().join(format!("r{n}")));
    let one_place = |n: usize| local(&format!("b{n}"), &place.path().join("shared"));
    let wishes: [&dyn Fn(usize) -> Value; 2] = [&one_name, &one_place];
    for wish in wishes {
        let bodies: Vec<Value> = (0..8).map(wish).collect();
        let posts = bodies
            .iter()
            .map(|body| host.post("/storage/buckets", body));
        let answers = futures::future::join_all(posts).await;
        let statuses = || answers.iter().map(|(status, _)| *status);
        assert_eq!(
            statuses().filter(|status| *status == 201).count(),
            1,
            "{answers:?}"
        );
        assert!(
            statuses().all(|status| [201, 409, 422].contains(&status)),
            "{answers:?}"
        );
    }
    let before = host.read("/storage/buckets").await;
    let names = |list: &Value| {
        let buckets = list["buckets"].as_array().expect("buckets").clone();
        let names = buckets.into_iter().map(|bucket| bucket["name"].clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&before).len(), 4, "{before}");
    let host = host.kill_and_restart();
    assert_eq!(names(&host.read("/storage/buckets").await), names(&before));
}

#[tokio::test]
async fn a_bucket_is_there_after_a_kill_or_it_is_not() {
    let place = tempfile::tempdir().expect("folder");
    let mut host = Host::fresh();
    for round in 0..4_u32 {
        let name = format!("b{round}");
        let wish = local(&name, &place.path().join(&name));
        let post = host.post("/storage/buckets", &wish);
        // Cut off somewhere on its way, later each time.
        let looks = async {
            for _ in 0..round * 2 {
                host.read("/storage/buckets").await;
            }
        };
        tokio::select! { biased; _ = post => {} () = looks => {} }
        host = host.kill_and_restart();
        let known = bucket(&host, &name).await;
        if known.is_null() {
            add(&host, &name, &place.path().join(&name)).await;
        }
        assert_eq!(bucket(&host, &name).await["health"]["state"], "healthy");
    }
}

#[tokio::test]
async fn the_command_line_adds_lists_and_removes() {
    let (host, place) = (Host::fresh(), tempfile::tempdir().expect("folder"));
    let root = place.path().join("disk");
    let root = root.to_str().expect("text");
    let cli = |arguments: &[&str]| {
        let output = run(&[&["--url", host.url.as_str(), "bucket"], arguments].concat());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, out, err) = cli(&["add", "disk", "--local", root]);
    assert!(
        code == Some(0) && out.contains(root) && out.contains("healthy"),
        "{out}{err}"
    );
    let (code, out, _) = cli(&["list", "--json"]);
    let list: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (code, &found(&list, "disk")["origin"]),
        (Some(0), &json!("catalogue"))
    );
    let (code, _, err) = cli(&["add", "disk", "--local", root]);
    assert!(code == Some(1) && err.contains("already"), "{err}");
    let (code, _, err) = cli(&["remove", "primary"]);
    assert!(
        code == Some(1) && err.contains("cannot be removed"),
        "{err}"
    );
    assert_eq!(cli(&["remove", "disk"]).0, Some(0));
    let (code, _, err) = cli(&["add", "x"]);
    assert!(code == Some(2) && err.contains("--local"), "{err}");
}

#[tokio::test]
async fn who_may_read_one_dataset_sees_no_places_and_changes_nothing() {
    let (host, place) = (Host::fresh(), tempfile::tempdir().expect("folder"));
    host.ingest("notes", sentences()).await;
    let admin = json!({"name": "root", "scopes": ["admin"]});
    assert_eq!(host.post("/auth/keys", &admin).await.0, 201);
    let data = host.data.to_str().expect("text").to_owned();
    let key = place.path().join("key");
    let made = run(&[
        "--data",
        &data,
        "key",
        "create",
        "--scope",
        "read",
        "--dataset",
        "notes",
        "--out",
        key.to_str().expect("text"),
    ]);
    assert!(made.status.success(), "{made:?}");
    let bearer = std::fs::read_to_string(&key).expect("a key");
    let http = reqwest::Client::new();
    let url = format!("{}/storage/buckets", host.url);
    let list = http
        .get(&url)
        .bearer_auth(bearer.trim())
        .send()
        .await
        .expect("an answer");
    let list: Value = list.json().await.expect("JSON");
    let primary = found(&list, "primary");
    assert_eq!(
        (&primary["location"], &primary["holds"]),
        (&Value::Null, &Value::Null)
    );
    assert!(!list.to_string().contains(&data), "{list}");
    let wish = local("mine", &place.path().join("mine"));
    let post = http.post(&url).bearer_auth(bearer.trim()).json(&wish);
    let refused = post.send().await.expect("an answer");
    assert_eq!(refused.status().as_u16(), 403);
    assert!(!place.path().join("mine").exists());
}
