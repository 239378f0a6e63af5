//! Garbage collection over HTTP: what nobody refers to goes, and everything answers as before.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::support::{Host, check_problem, ids, run, sentences};

/// No run of its own accord, and of versions only the newest.
const CONFIG: &str = "[storage.gc]\nevery_hours = 0\n[datasets]\nkeep_versions = 1\n";

/// Files that nobody refers to, by the class that they are of.
const LITTER: [(&str, &str); 6] = [
    (
        "rows",
        "datasets/notes/data/0199aa00-0000-7000-8000-000000000001.parquet",
    ),
    (
        "vectors",
        "indexes/notes/vectors/0199aa00000070008000000000000001.parquet",
    ),
    ("graphs", "indexes/notes/graphs/0123456789abcdef.graph"),
    (
        "plugins",
        "plugins/blobs/00000000000000000000000000000000000000000000000000000000000000aa.wasm",
    ),
    ("probes", ".boathouse-probe/x/race-0"),
    ("staged", "datasets/notes/data/torn.parquet#1"),
];

#[tokio::test]
async fn what_nobody_refers_to_goes_and_everything_answers_as_before() {
    let host = Host::configured(CONFIG);
    live(&host).await;
    let primary = host.data.join("primary");
    for (_, path) in LITTER.iter().chain([&("unknown", "notes.txt")]) {
        let file = primary.join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, "litter").expect("written");
    }
    let before = answers(&host).await;
    let files = tree(&primary);

    let told = collect(&host, true).await;
    assert_eq!(tree(&primary), files, "a dry run changes nothing");
    check_classes(&told);
    assert_eq!(
        told["expired"],
        json!([{"dataset": "notes", "versions": [1, 2]}])
    );

    let done = collect(&host, false).await;
    check_classes(&done);
    assert_eq!(done["expired"], told["expired"]);
    for (_, path) in LITTER {
        assert!(!primary.join(path).exists(), "{path}");
    }
    assert!(primary.join("notes.txt").exists());
    assert_eq!(answers(&host).await, before);
    check_problem(
        host.get("/datasets/notes/rows?version=1").await,
        404,
        "version_expired",
        &["version 1", "expired"],
    );
    let rows = tree(&primary.join("datasets/notes/data"));
    assert_eq!(rows.len(), 2, "versions 3 and 4: {rows:?}");

    let again = collect(&host, false).await;
    let homes = again["buckets"].as_array().expect("buckets").iter();
    let idle = homes
        .filter(|bucket| bucket["copy"] == false)
        .all(|bucket| bucket["classes"] == json!({}));
    assert!(idle, "{again}");
    let (_, metrics) = host.get("/metrics").await;
    let line = r#"boathouse_gc_objects_total{class="probes"} 1"#;
    assert!(metrics.to_string().contains(&line.replace('"', "\\\"")));

    let host = host.kill_and_restart();
    assert_eq!(answers(&host).await, before);
}

/// Four versions of a dataset, an index on the third with trials and a promotion, and one that was deleted.
async fn live(host: &Host) {
    for _ in 0..3 {
        host.ingest("notes", sentences()).await;
    }
    host.index("notes", "notes", "text").await;
    host.index("gone", "notes", "text").await;
    host.ingest("notes", sentences()).await;
    let run = json!({"max_trials": 2, "strategy": "grid"});
    let (status, report) = host.post("/vectors/autotune/notes", &run).await;
    assert_eq!(status, 200, "{report}");
    let trial = json!({"trial": report["trials"][1]["id"], "force": true});
    let (status, body) = host.post("/vectors/promote/notes", &trial).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = host.delete("/vectors/indexes/gone").await;
    assert_eq!(status, 204, "{body}");
}

/// What clients read of all that is to stay.
async fn answers(host: &Host) -> Vec<Value> {
    let mut answers = Vec::new();
    for path in [
        "/datasets/notes/rows?version=3",
        "/datasets/notes/rows?version=4",
        "/lineage/notes",
        "/vectors/trials/notes",
        "/vectors/promotions/notes",
        "/vectors/evalsets?index=notes",
    ] {
        answers.push(host.read(path).await);
    }
    let query = json!({"text": "ships in the harbour", "k": 5});
    let found = ids(&host.search("notes", &query).await);
    answers.push(json!(found));
    answers
}

async fn collect(host: &Host, dry_run: bool) -> Value {
    let body = json!({"dry_run": dry_run, "grace_hours": 0});
    let report = host.done("/storage/gc", &body).await;
    assert_eq!(report["dry_run"], dry_run, "{report}");
    report
}

/// That the litter in `primary` was found, each piece as what it is.
#[track_caller]
fn check_classes(report: &Value) {
    let primary = &report["buckets"][0];
    assert_eq!(
        (&primary["bucket"], &primary["copy"]),
        (&json!("primary"), &json!(false))
    );
    for (class, path) in LITTER {
        let sum = &primary["classes"][class];
        let examples = sum["examples"].as_array().expect("examples");
        assert!(examples.contains(&json!(path)), "{class}: {report}");
    }
    assert_eq!(
        primary["unknown"]["examples"],
        json!(["notes.txt"]),
        "{report}"
    );
}

/// Files and their bytes, but for the audit log, into which the questions of this test go.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.starts_with(root.join("audit")) {
                let bytes = fs::read(&path).expect("read");
                files.insert(path, bytes);
            }
        }
    }
    files
}

#[tokio::test]
async fn a_wish_that_is_none_is_refused_and_young_objects_stay() {
    let host = Host::configured(CONFIG);
    for body in [
        json!({"grace_hours": -1}),
        json!({"grace_hours": "day"}),
        json!({"dryrun": true}),
        json!([]),
    ] {
        check_problem(host.post("/storage/gc", &body).await, 422, "bad_body", &[]);
    }
    let orphan = host.data.join("primary").join(LITTER[0].1);
    fs::create_dir_all(orphan.parent().expect("a folder")).expect("made");
    fs::write(&orphan, "litter").expect("written");
    let (status, task) = host.post_raw("/storage/gc", "").await;
    assert_eq!(status, 202, "{task}");
    let report = host.ended(&task).await["result"].clone();
    assert_eq!(report["grace_hours"], 24, "{report}");
    assert_eq!(report["objects"], 0, "{report}");
    assert!(orphan.exists());

    let data = host.data.to_str().expect("a path");
    let gc = |more: &[&str]| {
        let output = run(&[&["gc", "--data", data][..], more].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let told = gc(&["--grace-hours", "0", "--dry-run"]);
    assert!(
        told.contains(LITTER[0].1) && told.contains("1 object, 6 bytes would be removed"),
        "{told}"
    );
    assert!(orphan.exists());
    let done: Value = serde_json::from_str(&gc(&["--grace-hours", "0", "--json"])).expect("json");
    assert_eq!((&done["objects"], &done["bytes"]), (&json!(1), &json!(6)));
    assert!(!orphan.exists());
}

#[tokio::test]
async fn only_who_administers_may_collect() {
    let host = Host::configured(CONFIG);
    let (status, _) = host
        .post("/auth/keys", &json!({"name": "root", "scopes": ["admin"]}))
        .await;
    assert_eq!(status, 201);
    let owner = fs::read_to_string(host.data.join("host.token")).expect("the owner's token");
    let http = reqwest::Client::new();
    let post = async |token: &str, path: &str, body: Value| {
        let request = http.post(format!("{}{path}", host.url)).json(&body);
        let answer = request.bearer_auth(token.trim()).send().await;
        let answer = answer.expect("an answer");
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.expect("json"),
        )
    };
    let scopes = json!({"name": "team", "scopes": ["read", "ingest", "tune", "search"]});
    let (_, key) = post(&owner, "/auth/keys", scopes).await;
    let token = key["key"].as_str().expect("a key");
    let wish = json!({"dry_run": true});
    check_problem(
        post(token, "/storage/gc", wish.clone()).await,
        403,
        "scope_missing",
        &["admin"],
    );
    assert_eq!(post(&owner, "/storage/gc", wish).await.0, 202);
}
