//! The copies in `rescue`: made whatever happens, read where the home bucket fails, and brought back.

mod restore;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    buckets::{WATCHFUL, found, ready, until},
    support::{Host, run, sentences},
};

/// A dataset, an index, trials, a promotion and a key.
async fn live(host: &Host) {
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let (status, report) = host
        .post("/vectors/autotune/notes", &json!({"max_trials": 2}))
        .await;
    assert_eq!(status, 200, "{report}");
    let trial = json!({"trial": report["trials"][1]["id"], "force": true});
    let (status, promoted) = host.post("/vectors/promote/notes", &trial).await;
    assert_eq!(status, 200, "{promoted}");
}

/// Waits until the primary bucket has its copies.
async fn copied(host: &Host) {
    host.until("/storage/buckets", is_even).await;
}

/// Whether nothing of the primary bucket waits to be copied.
fn is_even(list: &Value) -> bool {
    let mirror = &found(list, "primary")["mirror"];
    mirror["objects"] == 0 && mirror["comparing"] == false
}

/// The answer to a `GET`, and whether it says that it rests on copies.
async fn get(host: &Host, path: &str) -> (u16, bool, Value) {
    answer(reqwest::Client::new().get(format!("{}{path}", host.url))).await
}

/// As [`get`], with a key.
async fn get_with(key: &str, host: &Host, path: &str) -> (u16, bool, Value) {
    let request = reqwest::Client::new().get(format!("{}{path}", host.url));
    answer(request.bearer_auth(key)).await
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, bool, Value) {
    let response = request.send().await.expect("an answer");
    let from = response.headers().get("boathouse-served-from").cloned();
    let rescued = from.is_some_and(|from| from == "rescue");
    let status = response.status().as_u16();
    (status, rescued, response.json().await.expect("JSON"))
}

/// Waits until an answer to who has a key meets a condition.
async fn until_with(key: &str, host: &Host, path: &str, done: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let (_, _, view) = get_with(key, host, path).await;
        if done(&view) {
            return view;
        }
        assert!(Instant::now() < deadline, "{path} never got there: {view}");
    }
}

/// The files below a folder, by path.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let below = path.strip_prefix(folder).expect("below");
                files.insert(below.to_str().expect("text").to_owned());
            }
        }
    }
    files
}

/// What recovery needs of the files of a bucket.
fn needed(files: BTreeSet<String>) -> BTreeSet<String> {
    let made_again = ["/data/", "/vectors/", "/graphs/"];
    let is_needed = |path: &String| !made_again.iter().any(|part| path.contains(part));
    files.into_iter().filter(is_needed).collect()
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_copied_after_it() {
    let host = Host::fresh();
    live(&host).await;
    let host = host.kill_and_restart();
    copied(&host).await;
    let copies = files(&host.data.join("rescue/primary"));
    let missing: Vec<_> = needed(files(&host.data.join("primary")))
        .into_iter()
        .filter(|path| !copies.contains(path) && !path.starts_with("audit/"))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(copies, needed(copies.clone()), "more than recovery needs");
    let metrics = host.read("/metrics").await;
    let metrics = metrics.as_str().expect("text");
    for line in [
        r#"boathouse_bucket_healthy{bucket="rescue"} 1"#,
        r#"boathouse_rescue_reads_total{bucket="primary"} 0"#,
    ] {
        assert!(metrics.contains(line), "`{line}` is missing in {metrics}");
    }
}

#[tokio::test]
async fn while_primary_is_away_its_copies_answer_and_say_so() {
    let host = Host::configured(WATCHFUL);
    live(&host).await;
    copied(&host).await;
    let (home, away) = (host.data.join("primary"), host.data.join("away"));
    let (_, rescued, before) = get(&host, "/vectors/trials/notes").await;
    assert!(!rescued);
    fs::rename(&home, &away).expect("moved away");
    until(&host, "primary", "unhealthy").await;
    for path in ["/vectors/trials/notes", "/datasets/notes", "/datasets"] {
        let (status, rescued, body) = get(&host, path).await;
        assert_eq!((status, rescued), (200, true), "{path}: {body}");
    }
    let (_, _, copy) = get(&host, "/vectors/trials/notes").await;
    assert_eq!(copy, before);
    let ended = host.upload("dataset=new&format=csv", "id\n1\n").await;
    assert_eq!(ended["error"]["code"], "storage_unavailable", "{ended}");
    assert_eq!(get(&host, "/datasets/notes/rows").await.0, 503);
    let list = host.read("/storage/buckets").await;
    let mirror = &found(&list, "primary")["mirror"];
    assert!(mirror["fallbacks"].as_u64() > Some(0), "{list}");
    assert!(!home.exists(), "the folder was made anew");

    fs::rename(&away, &home).expect("brought back");
    ready(&host).await;
    let (_, rescued, after) = get(&host, "/vectors/trials/notes").await;
    assert_eq!((rescued, after), (false, before));
    host.ingest("new", "id\n1\n").await;
}

#[tokio::test]
async fn a_host_begins_with_copies_while_primary_does_not_answer() {
    let host = Host::configured(WATCHFUL);
    live(&host).await;
    let admin = json!({"name": "root", "scopes": ["admin"]});
    let (status, made) = host.post("/auth/keys", &admin).await;
    assert_eq!(status, 201, "{made}");
    let key = made["key"].as_str().expect("a key");
    let (journal, buckets) = ("/vectors/trials/notes", "/storage/buckets");
    until_with(key, &host, buckets, is_even).await;
    let (_, _, before) = get_with(key, &host, journal).await;
    let (home, away) = (host.data.join("primary"), host.data.join("away"));
    let host = host.kill_and(|_| {
        fs::rename(&home, &away).expect("moved away");
        fs::write(&home, "no folder").expect("written");
    });
    let (status, _, ready) = get_with(key, &host, "/readyz").await;
    assert_eq!(status, 503, "{ready}");
    assert!(ready.to_string().contains("bucket primary"), "{ready}");
    assert_eq!(get(&host, "/datasets").await.0, 401, "keys do not hold");
    let (status, rescued, datasets) = get_with(key, &host, "/datasets").await;
    assert_eq!((status, rescued), (200, true), "{datasets}");
    assert_eq!(datasets["datasets"][0]["name"], "notes");
    let plugins = get_with(key, &host, "/plugins").await.2;
    assert_eq!(plugins["plugins"].as_array().expect("plugins").len(), 4);
    let post = reqwest::Client::new().post(format!("{}/auth/keys", host.url));
    let (status, _, problem) = answer(post.bearer_auth(key).json(&admin)).await;
    assert_eq!(
        (status, &problem["code"]),
        (503, &json!("storage_unavailable"))
    );

    fs::remove_file(&home).expect("removed");
    fs::rename(&away, &home).expect("brought back");
    until_with(key, &host, "/readyz", |ready| ready["ready"] == true).await;
    assert_eq!(get_with(key, &host, journal).await, (200, false, before));
    let indexes = get_with(key, &host, "/vectors/indexes").await.2;
    assert_eq!(indexes["indexes"][0]["name"], "notes");
}

/// A host that has no key does not become open to all because its keys cannot be read.
#[tokio::test]
async fn a_host_without_copies_of_keys_lets_its_owner_in_and_nobody_else() {
    let host = Host::configured(WATCHFUL);
    copied(&host).await;
    let (home, away) = (host.data.join("primary"), host.data.join("away"));
    let host = host.kill_and(|_| {
        fs::rename(&home, &away).expect("moved away");
        fs::write(&home, "no folder").expect("written");
    });
    let (status, _, problem) = get(&host, "/storage/buckets").await;
    assert_eq!((status, &problem["code"]), (401, &json!("key_needed")));
    let data = host.data.to_str().expect("text");
    let list = run(&["--data", data, "--json", "bucket", "list"]);
    assert!(list.status.success(), "{list:?}");
    fs::remove_file(&home).expect("removed");
    fs::rename(&away, &home).expect("brought back");
    let deadline = Instant::now() + Duration::from_secs(120);
    while get(&host, "/storage/buckets").await.0 != 200 {
        assert!(Instant::now() < deadline, "the host stays closed");
    }
}

#[tokio::test]
async fn a_host_without_its_rescue_works_and_copies_later() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("boathouse.toml"), WATCHFUL).expect("written");
    drop(Host::on(folder.path()));
    let (rescue, away) = (folder.path().join("rescue"), folder.path().join("away"));
    fs::rename(&rescue, &away).expect("moved away");
    fs::write(&rescue, "no folder").expect("written");
    let host = Host::on(folder.path());
    live(&host).await;
    let list = host.read("/storage/buckets").await;
    assert_eq!(
        found(&list, "rescue")["health"]["state"],
        "unhealthy",
        "{list}"
    );
    let waits = |list: &Value| {
        let mirror = &found(list, "primary")["mirror"];
        mirror["objects"].as_u64() > Some(0) && mirror["oldest"].is_string()
    };
    host.until("/storage/buckets", waits).await;
    fs::remove_file(&rescue).expect("removed");
    fs::rename(&away, &rescue).expect("brought back");
    copied(&host).await;
    assert!(rescue.join("primary/_hnsw_trials/notes").is_dir());
    assert_eq!(host.read("/readyz").await["ready"], true);
}
