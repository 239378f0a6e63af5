//! Files of earlier releases: kept in `tests/fixtures/formats/{release}`, they open in every later one, and
//! what a later release wrote is refused by name while the rest serves.
//!
//! A release's folder holds the buckets `primary`, `rescue` and `cold` (added while the host ran) as the
//! program of that release left them; the `README.md` beside them says what was done. Run the tests of this module with
//! `BOATHOUSE_TESTS_WRITE_FORMATS=1` to write the folder of the present release anew.

mod newer;
mod write;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Host, ids, run};

/// The plugin that the files have, made of WebAssembly text.
const PLUGIN: &str = "/plugins/scoring/raw/honest";
/// What stands in the files for the folder of the bucket `cold`.
const COLD_ROOT: &str = "/boathouse-fixture/cold";
/// What is asked of the index.
const QUERY: &str = "ships in the harbour";

/// Files of a release in a folder of their own.
struct Kept {
    folder: TempDir,
    key: String,
}

impl Kept {
    /// A copy of the files of a release.
    fn of(release: &Path) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path();
        for (bucket, place) in [
            ("primary", "data/primary"),
            ("rescue", "data/rescue"),
            ("cold", "cold"),
        ] {
            copy(&release.join(bucket), &root.join(place));
        }
        let cold = root.join("cold");
        for place in ["data/primary", "data/rescue/primary"] {
            for file in files(&root.join(place).join("storage/manifest")) {
                let text = fs::read_to_string(&file).expect("text");
                let here = cold.to_str().expect("text");
                fs::write(&file, text.replace(COLD_ROOT, here)).expect("written");
            }
        }
        let key = fs::read_to_string(release.join("key.txt")).expect("a key");
        Self {
            folder,
            key: key.trim().to_owned(),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn open(&self) -> Host {
        Host::on(&self.data()).with_key(&self.key)
    }
}

/// The folder of the release under test.
fn present() -> PathBuf {
    all().join(env!("CARGO_PKG_VERSION"))
}

fn all() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/formats")
}

/// All releases whose files are kept.
fn releases() -> Vec<PathBuf> {
    let entries = fs::read_dir(all()).expect("fixtures");
    let mut folders: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

/// The files below a folder, by path.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let place = to.join(file.strip_prefix(from).expect("below"));
        fs::create_dir_all(place.parent().expect("a folder")).expect("made");
        fs::copy(&file, place).expect("copied");
    }
}

#[tokio::test]
async fn the_files_of_this_release_are_kept() {
    if std::env::var_os("BOATHOUSE_TESTS_WRITE_FORMATS").is_some() {
        write::write(&present()).await;
    }
    let release = present();
    assert!(
        release.join("key.txt").exists(),
        "{} is missing: write it with BOATHOUSE_TESTS_WRITE_FORMATS=1, look at it and commit it",
        release.display()
    );
}

#[tokio::test]
async fn the_files_of_every_release_open_and_answer() {
    for release in releases() {
        let kept = Kept::of(&release);
        let host = kept.open();
        let ready = host.read("/readyz").await;
        assert_eq!(ready["ready"], true, "{ready}");
        check_datasets(&host).await;
        check_index(&host).await;
        check_deletions(&host).await;
        check_house(&host).await;
        // A host that has changed them finds them again.
        host.done("/vectors/trials/notes", &json!({"ef_search": 70}))
            .await;
        let host = host.kill_and_restart();
        let host = host.with_key(&kept.key);
        let journal = host.read("/vectors/trials/notes").await;
        assert_eq!(
            (&journal["total"], &journal["malformed"]),
            (&json!(4), &json!(0)),
            "{journal}"
        );
    }
}

#[tokio::test]
async fn the_copies_of_every_release_bring_a_lost_bucket_back() {
    for release in releases() {
        let kept = Kept::of(&release);
        fs::remove_dir_all(kept.data().join("primary")).expect("lost");
        let data = kept.data();
        let output = run(&["--json", "--data", data.to_str().expect("text"), "restore"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Rows and vectors have no copies, which the command says by its exit code.
        assert_eq!(output.status.code(), Some(3), "{said}");
        let copies = data.join("rescue/primary");
        for copy in files(&copies) {
            let back = data
                .join("primary")
                .join(copy.strip_prefix(&copies).expect("below"));
            let there = fs::read(&back).expect("restored") == fs::read(&copy).expect("read");
            assert!(there, "{} differs", back.display());
        }
        let host = kept.open();
        check_house(&host).await;
        let notes = host.read("/datasets/notes").await;
        assert_eq!(
            notes["versions"].as_array().map(Vec::len),
            Some(2),
            "{notes}"
        );
        let lineage = host.read("/lineage/notes").await;
        assert_eq!(
            lineage["events"].as_array().map(Vec::len),
            Some(4),
            "{lineage}"
        );
    }
}

/// Two versions of one dataset, one that was deleted, one in a bucket of its own.
async fn check_datasets(host: &Host) {
    let list = host.read("/datasets").await;
    let datasets = list["datasets"].as_array().expect("datasets").iter();
    let names: Vec<_> = datasets
        .map(|one| one["name"].as_str().expect("name"))
        .collect();
    assert_eq!(names, ["cold-notes", "notes"], "{list}");
    let notes = host.read("/datasets/notes").await;
    assert_eq!(
        notes["versions"].as_array().map(Vec::len),
        Some(2),
        "{notes}"
    );
    for (query, rows) in [("?version=1", 6), ("?version=2", 8), ("", 8)] {
        let page = host.read(&format!("/datasets/notes/rows{query}")).await;
        assert_eq!(page["total"], rows, "{page}");
        assert_eq!(page["rows"].as_array().map(Vec::len), Some(rows), "{page}");
    }
    assert_eq!(host.get("/datasets/gone").await.0, 404);
    let page = host.read("/datasets/cold-notes/rows").await;
    assert_eq!(
        page["rows"][1],
        json!({"id": "c2", "text": "bread that keeps"}),
        "{page}"
    );
    let lineage = host.read("/lineage/notes").await;
    let events = lineage["events"].as_array().expect("events").iter();
    let kinds: Vec<_> = events
        .map(|event| event["eventType"].as_str().expect("type"))
        .collect();
    assert_eq!(kinds, ["START", "COMPLETE", "START", "COMPLETE"]);
}

/// An index on the first version but one, with three trials, three promotions and an evaluation set.
async fn check_index(host: &Host) {
    let index = host.read("/vectors/indexes/notes").await;
    assert_eq!(index["vectors"], 8, "{index}");
    assert_eq!(index["serving"]["graph_origin"], "stored", "{index}");
    assert_eq!(index["serving"]["config"]["ef_search"], 40, "{index}");
    let answer = host
        .search("notes", &json!({"text": QUERY, "k": 2, "with": ["text"]}))
        .await;
    assert_eq!(ids(&answer)[0], "5", "{answer}");
    let journal = host.read("/vectors/trials/notes").await;
    assert_eq!(
        (&journal["total"], &journal["malformed"]),
        (&json!(3), &json!(0)),
        "{journal}"
    );
    let history = host.read("/vectors/promotions/notes").await;
    let events = history["promotions"].as_array().expect("promotions").iter();
    let kinds: Vec<_> = events
        .map(|one| one["event"].as_str().expect("event"))
        .collect();
    assert_eq!(kinds, ["promote", "promote", "rollback"]);
    let sets = host.read("/vectors/evalsets?index=notes").await;
    assert_eq!(sets["evalsets"][0]["queries"], 2, "{sets}");
}

/// An index without one document, which the other one has.
async fn check_deletions(host: &Host) {
    let index = host.read("/vectors/indexes/fewer").await;
    assert_eq!(index["vectors"], 7, "{index}");
    let answer = host.search("fewer", &json!({"text": QUERY, "k": 8})).await;
    let found = ids(&answer);
    assert!(
        found.len() == 7 && !found.contains(&"5".to_owned()),
        "{answer}"
    );
}

/// A plugin that serves one index, a bucket that was added, a key, lines of the audit log.
async fn check_house(host: &Host) {
    let version = host.read(&format!("{PLUGIN}/versions/1.0.0")).await;
    assert_eq!(
        (&version["version"]["state"], &version["report"]["passed"]),
        (&json!("active"), &json!(true)),
        "{version}"
    );
    let events = host.read(&format!("{PLUGIN}/events")).await;
    let events = events["events"].as_array().expect("events").iter();
    let kinds: Vec<_> = events
        .map(|event| event["event"].as_str().expect("event"))
        .collect();
    assert_eq!(kinds, ["uploaded", "checked", "activated"]);
    let buckets = host.read("/storage/buckets").await;
    let mut all = buckets["buckets"].as_array().expect("buckets").iter();
    let cold = all.find(|bucket| bucket["name"] == "cold").expect("cold");
    assert_eq!(cold["health"]["state"], "healthy", "{cold}");
    let keys = host.read("/auth/keys").await;
    assert_eq!(keys["keys"][0]["name"], "fixture", "{keys}");
    let audit = host.read("/audit").await;
    let lines = audit["lines"].as_array().expect("lines");
    let is_there = |line: &Value| line["path"] == "/auth/keys" && line["status"] == 201;
    assert!(lines.iter().any(is_there), "{audit}");
}
