//! Watched folders of a real host: files that turn up, are bad, are half-written, come twice, and a host or a
//! bucket that fails around them.

mod faults;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Host, check_problem};

/// A host that watches folders beside its data folder.
pub(crate) struct Watched {
    pub(crate) host: Host,
    world: TempDir,
}

impl Watched {
    /// Watches `in` for the dataset `notes`; `more` is added to the section, or to the configuration after it.
    pub(crate) fn new(more: &str) -> Self {
        let world = tempfile::tempdir().expect("folder");
        fs::create_dir(world.path().join("in")).expect("made");
        let at = world.path();
        let config = format!(
            "[[watch]]\nfolder = {:?}\ndataset = \"notes\"\nstable_secs = 0\nevery_secs = 1\n{}",
            at.join("in"),
            more.replace("WORLD", at.to_str().expect("a path")),
        );
        let data = at.join("data");
        fs::create_dir_all(&data).expect("made");
        fs::write(data.join("boathouse.toml"), config).expect("written");
        let host = Host::on(&data);
        Self { host, world }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.world.path().join("in")
    }

    /// Puts a file there in one step, as a program does that renames what it wrote.
    pub(crate) fn put(&self, name: &str, text: &str) {
        put(&self.folder(), name, text);
    }

    /// How the first folder is once it meets a condition.
    pub(crate) async fn until(&self, done: impl Fn(&Value) -> bool) -> Value {
        let list = self
            .host
            .until("/ingest/watch", |list| done(&list["folders"][0]))
            .await;
        list["folders"][0].clone()
    }

    /// Ids of the rows of `notes`, in order.
    pub(crate) async fn rows(&self) -> Vec<i64> {
        rows(&self.host, "notes").await
    }

    fn kill_and_restart(self) -> Self {
        Self {
            host: self.host.kill_and_restart(),
            world: self.world,
        }
    }
}

pub(crate) async fn rows(host: &Host, dataset: &str) -> Vec<i64> {
    let page = host
        .read(&format!("/datasets/{dataset}/rows?limit=100"))
        .await;
    let rows = page["rows"].as_array().expect("rows");
    rows.iter()
        .map(|row| row["id"].as_i64().expect("an id"))
        .collect()
}

fn put(folder: &Path, name: &str, text: &str) {
    let hidden = folder.join(format!(".{name}"));
    fs::write(&hidden, text).expect("written");
    fs::rename(hidden, folder.join(name)).expect("renamed");
}

#[tokio::test]
async fn a_file_becomes_rows_once_whatever_it_is_called() {
    let world = Watched::new("");
    world.put("a.csv", "id\n1\n2\n");
    world.until(|folder| folder["ingested"] == 1).await;
    assert_eq!(world.rows().await, [1, 2]);
    world.put("b.csv", "id\n3\n");
    world.put("a.csv", "id\n1\n2\n");
    let view = world
        .until(|folder| folder["ingested"] == 2 && folder["duplicates"] == 1)
        .await;
    assert_eq!(world.rows().await, [1, 2, 3]);
    assert!(!world.folder().join("a.csv").exists());
    for name in ["a.csv", "a-2.csv", "b.csv"] {
        assert!(world.folder().join("done").join(name).exists(), "{name}");
    }
    assert_eq!(view["dataset"], "notes");
    let tasks = world.host.read("/tasks").await;
    let tasks = tasks["tasks"].as_array().expect("tasks");
    assert_eq!(tasks.len(), 2, "a duplicate is no task: {tasks:?}");
    let lineage = world.host.read("/lineage/notes").await;
    let last = &lineage["events"][3];
    assert_eq!(last["eventType"], "COMPLETE", "{lineage}");
    assert_eq!(
        last["run"]["facets"]["boathouse_ingest"]["source_system"],
        "watcher"
    );
    assert_eq!(last["inputs"][0]["namespace"], "file");
    let metrics = world.host.read("/metrics").await;
    let text = metrics.as_str().expect("text");
    assert!(text.contains("outcome=\"ingested\"} 2"), "{text}");
}

#[tokio::test]
async fn a_bad_file_is_set_aside_with_a_reason_and_holds_up_nothing() {
    let world = Watched::new("");
    world.put("a.csv", "id\n1\n");
    world.until(|folder| folder["ingested"] == 1).await;
    world.put("bad.json", "{\"id\": 7, \"secret\": \"Jane Doe\"");
    world.put("other.csv", "id,name\n2,Jane Doe\n");
    world.put("z.csv", "id\n3\n");
    let view = world
        .until(|folder| folder["failed"] == 2 && folder["ingested"] == 2)
        .await;
    assert_eq!(world.rows().await, [1, 3]);
    assert_eq!(view["last_error"]["file"], "other.csv", "{view}");
    for name in ["bad.json", "other.csv"] {
        let failed = world.folder().join("failed");
        assert!(failed.join(name).exists(), "{name}");
        let reason = fs::read_to_string(failed.join(format!("{name}.reason.txt")));
        let reason = reason.expect("a reason");
        assert!(
            reason.contains(name) || reason.contains("does not fit"),
            "{reason}"
        );
        assert!(!reason.contains("Jane"), "no values: {reason}");
    }
}

#[tokio::test]
async fn files_that_are_being_written_wait_and_strange_things_are_left() {
    let world = Watched::new("");
    let folder = world.folder();
    fs::write(folder.join("a.csv.part"), "id\n1\n").expect("written");
    fs::create_dir(folder.join("deep")).expect("made");
    fs::write(folder.join("deep/b.csv"), "id\n2\n").expect("written");
    std::os::unix::fs::symlink("/etc/hostname", folder.join("link.csv")).expect("linked");
    world.put("first.csv", "id\n0\n");
    let view = world.until(|folder| folder["ingested"] == 1).await;
    assert_eq!(view["waiting"], json!(["a.csv.part"]), "{view}");
    fs::rename(folder.join("a.csv.part"), folder.join("a.csv")).expect("renamed");
    world.until(|folder| folder["ingested"] == 2).await;
    assert_eq!(world.rows().await, [0, 1]);
    assert!(folder.join("deep/b.csv").exists() && folder.join("link.csv").is_symlink());
}

#[tokio::test]
async fn a_file_waits_until_it_stands_still() {
    // Far longer than the test takes.
    let slow = "[[watch]]\nfolder = \"WORLD/slow\"\ndataset = \"slow\"\nstable_secs = 3600\nevery_secs = 1\n";
    let world = Watched::new(slow);
    let folder = world.world.path().join("slow");
    fs::create_dir(&folder).expect("made");
    put(&folder, "a.csv", "id\n1\n");
    let seen = |list: &Value| list["folders"][1]["waiting"] == json!(["a.csv"]);
    world.host.until("/ingest/watch", seen).await;
    let (status, _) = world.host.get("/datasets/slow").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn with_replace_the_newest_file_is_the_dataset_and_may_stay() {
    let world = Watched::new("mode = \"replace\"\nafter = \"keep\"\n");
    world.put("a.csv", "id\n1\n");
    world.until(|folder| folder["ingested"] == 1).await;
    world.put("b.csv", "id\n2\n");
    world.until(|folder| folder["ingested"] == 2).await;
    assert_eq!(world.rows().await, [2]);
    let world = world.kill_and_restart();
    world.until(|folder| folder["duplicates"] == 1).await;
    let versions = world.host.read("/datasets/notes").await;
    assert_eq!(
        versions["version"], 2,
        "a start ingests nothing again: {versions}"
    );
    assert!(world.folder().join("a.csv").exists() && world.folder().join("b.csv").exists());
}

#[tokio::test]
async fn a_folder_that_is_missing_is_told_and_waited_for() {
    let world = Watched::new("");
    fs::remove_dir(world.folder()).expect("removed");
    world.until(|folder| folder["state"] == "missing").await;
    let (status, ready) = world.host.get("/readyz").await;
    assert_eq!(status, 503);
    let components = ready["components"].as_array().expect("components");
    let told = components.iter().any(|one| {
        let name = one["name"].as_str().unwrap_or_default();
        name.starts_with("watched folder") && one["ready"] == false
    });
    assert!(told, "{ready}");
    fs::create_dir(world.folder()).expect("made");
    world.put("a.csv", "id\n1\n");
    world.until(|folder| folder["ingested"] == 1).await;
    assert_eq!(world.host.get("/readyz").await.0, 200);
}

#[tokio::test]
async fn a_bad_section_is_refused_with_its_place() {
    let world = tempfile::tempdir().expect("folder");
    let file = world.path().join("boathouse.toml");
    for (section, words) in [
        ("folder = \"in\"\n", "dataset"),
        ("folder = \"in\"\ndataset = \"No Name\"\n", "dataset"),
        (
            "folder = \"boathouse-data/in\"\ndataset = \"d\"\n",
            "server.data",
        ),
        ("folder = \"in\"\ndataset = \"d\"\nafter = \"eat\"\n", "eat"),
    ] {
        fs::write(&file, format!("[[watch]]\n{section}")).expect("written");
        let file = file.to_str().expect("a path");
        let out = crate::support::run(&["config", "check", "--config", file]);
        let told = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{told}");
        assert!(told.contains(words), "{told}");
    }
    let host = Host::fresh();
    assert_eq!(host.read("/ingest/watch").await, json!({"folders": []}));
    check_problem(
        host.get("/lineage?limit=0").await,
        422,
        "out_of_bounds",
        &["limit"],
    );
}
