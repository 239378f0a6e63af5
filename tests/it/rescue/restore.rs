//! `boathouse restore`: a lost bucket is brought back, whole or as far as there are copies.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

use super::{copied, live};
use crate::{
    buckets::{WATCHFUL, add, bucket, local},
    support::{Host, check_problem, ids, program, run, sentences},
};

const EVERYTHING: &str = "[storage.mirror]\nkeep = \"everything\"\n";
const QUERY: &str = "ships in the harbour";
/// What must be as it was.
const PATHS: [&str; 6] = [
    "/vectors/trials/notes",
    "/vectors/promotions/notes",
    "/vectors/evalsets?index=notes",
    "/datasets/notes",
    "/lineage/notes",
    "/plugins",
];

/// Runs `boathouse restore` on a folder; gives the exit code and what it printed.
fn restore(data: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let (folder, config) = (data.to_str().expect("text"), data.join("boathouse.toml"));
    let config = config.to_str().expect("text");
    let fixed = ["--json", "--data", folder, "--config", config, "restore"];
    let output = run(&[&fixed, arguments].concat());
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(&output.stderr);
        Value::String(text.into_owned())
    });
    (output.status.code(), report)
}

/// What a path shows, without what is counted anew since a start.
async fn look(host: &Host, path: &str) -> Value {
    let mut view = host.read(path).await;
    if let Some(plugins) = view["plugins"].as_array_mut() {
        for plugin in plugins {
            plugin["stats"].take();
        }
    }
    view
}

/// Starts a host that must not come up, and gives what it said.
fn refused(data: &Path) -> String {
    let Output { status, stderr, .. } = Command::new(program())
        .args(["serve", "--port", "0", "--data"])
        .arg(data)
        .args([Path::new("--config"), &data.join("boathouse.toml")])
        .output()
        .expect("the program runs");
    let said = String::from_utf8(stderr).expect("text");
    assert_eq!(status.code(), Some(1), "{said}");
    said
}

/// A folder with a host that has lived, copied and ended; what it answered.
async fn lived(config: &str) -> (tempfile::TempDir, Vec<Value>, Value) {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("boathouse.toml"), config).expect("written");
    let host = Host::on(folder.path());
    live(&host).await;
    let found = host.search("notes", &json!({"text": QUERY})).await;
    let (status, deleted) = host
        .delete_documents("notes", &json!({"ids": [ids(&found)[0]]}))
        .await;
    assert_eq!((status, &deleted["deleted"]), (200, &json!(1)), "{deleted}");
    copied(&host).await;
    let mut answers = Vec::new();
    for path in PATHS {
        answers.push(look(&host, path).await);
    }
    let answer = host.search("notes", &json!({"text": QUERY})).await;
    assert!(!ids(&answer).contains(&ids(&found)[0]), "{answer}");
    let (code, said) = restore(folder.path(), &[]);
    assert!(
        code == Some(1) && said.to_string().contains("in use"),
        "{said}"
    );
    drop(host);
    (folder, answers, answer)
}

#[tokio::test]
async fn with_everything_kept_a_lost_primary_comes_back_whole() {
    let (folder, before, answer) = lived(EVERYTHING).await;
    let data = folder.path();
    fs::remove_dir_all(data.join("primary")).expect("lost");
    let said = refused(data);
    assert!(said.contains("boathouse restore"), "{said}");
    assert!(!data.join("primary").exists(), "the folder was made anew");

    let (code, told) = restore(data, &["--dry-run"]);
    assert_eq!((code, &told["dry_run"]), (Some(0), &json!(true)), "{told}");
    assert!(
        !data.join("primary").exists(),
        "a dry run changed something"
    );
    let (code, done) = restore(data, &[]);
    assert_eq!(code, Some(0), "{done}");
    assert_eq!(done["buckets"], told["buckets"]);
    let (code, again) = restore(data, &[]);
    assert_eq!(
        (code, &again["buckets"][0]["copied"]),
        (Some(0), &json!(0)),
        "{again}"
    );

    let host = Host::on(data);
    for (path, before) in PATHS.into_iter().zip(before) {
        assert_eq!(look(&host, path).await, before, "{path}");
    }
    let again = host.search("notes", &json!({"text": QUERY})).await;
    assert_eq!(ids(&again), ids(&answer));
    assert_eq!(host.read("/readyz").await["ready"], true);
}

#[tokio::test]
async fn what_cannot_be_made_again_comes_back_and_the_rest_is_told() {
    let (folder, before, _) = lived("").await;
    let data = folder.path();
    fs::remove_dir_all(data.join("primary")).expect("lost");
    fs::create_dir(data.join("primary")).expect("an empty one in its place");
    // From its local files an index serves on.
    fs::remove_dir_all(data.join("cache/indexes")).expect("lost as well");
    let said = refused(data);
    assert!(said.contains("boathouse restore"), "{said}");
    let (code, done) = restore(data, &[]);
    assert_eq!(code, Some(3), "{done}");
    let primary = &done["buckets"][0];
    assert_eq!(
        (&primary["datasets_gone"], &primary["indexes_gone"]),
        (&json!({"notes": 1}), &json!(["notes"])),
        "{done}"
    );

    let host = Host::on(data);
    for at in [3, 4, 5] {
        assert_eq!(look(&host, PATHS[at]).await, before[at], "{}", PATHS[at]);
    }
    for log in ["_hnsw_trials/notes", "_promotions/notes", "_evalsets/notes"] {
        assert!(data.join("primary").join(log).is_dir(), "{log} is not back");
    }
    let names_both = |ready: &Value| {
        let text = ready.to_string();
        text.contains("dataset notes") && text.contains("index notes")
    };
    unready(&host, names_both).await;
    assert_eq!(host.delete("/vectors/indexes/notes").await.0, 204);
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    assert_eq!(host.read("/readyz").await["ready"], true);
}

#[tokio::test]
async fn an_index_that_serves_from_local_files_alone_says_so() {
    let (folder, _, answer) = lived("").await;
    let data = folder.path();
    fs::remove_dir_all(data.join("primary")).expect("lost");
    fs::create_dir(data.join("primary")).expect("an empty one in its place");
    let (code, done) = restore(data, &[]);
    assert_eq!(code, Some(3), "{done}");

    let host = Host::on(data);
    let is_told = |ready: &Value| {
        let text = ready.to_string();
        text.contains("index notes") && text.contains("boathouse index refresh notes")
    };
    unready(&host, is_told).await;
    // Its rows are lost.
    let wish = json!({"text": QUERY, "with": []});
    assert_eq!(ids(&host.search("notes", &wish).await), ids(&answer));
    let task = host
        .start("/vectors/indexes/notes/refresh", &json!({}))
        .await;
    let ended = host.ended(&task).await;
    assert_eq!(ended["result"]["mended_objects"], 1, "{ended}");
    let (_, ready) = host.get("/readyz").await;
    assert!(!ready.to_string().contains("index notes"), "{ready}");
    let host = host.kill_and(|data| {
        fs::remove_dir_all(data.join("cache/indexes")).expect("lost as well");
    });
    assert_eq!(ids(&host.search("notes", &wish).await), ids(&answer));
    let search = json!({"text": QUERY});
    let refused = host.post("/vectors/indexes/notes/search", &search).await;
    let words = [
        "is gone from its bucket",
        "ingest the dataset anew",
        "\"with\": []",
    ];
    check_problem(refused, 500, "damaged_object", &words);
    assert_eq!(host.delete("/vectors/indexes/notes").await.0, 204);
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    assert_eq!(host.read("/readyz").await["ready"], true);
}

/// The newest version of a manifest, or the newest file of a log, in the folder of a bucket.
fn newest(bucket: &Path, folder: &str) -> PathBuf {
    let objects = fs::read_dir(bucket.join(folder)).expect("objects");
    let paths = objects.map(|object| object.expect("an object").path());
    paths.max().expect("an object")
}

#[tokio::test]
async fn a_manifest_that_was_lost_is_missed_and_brought_back() {
    let (folder, _, answer) = lived("").await;
    let data = folder.path();
    // The deletion of a document: what is left shows it again.
    fs::remove_file(newest(&data.join("primary"), "indexes/notes/manifest")).expect("lost");
    let host = Host::on(data);
    let is_missed = |ready: &Value| {
        let text = ready.to_string();
        text.contains("index notes") && text.contains("boathouse restore")
    };
    unready(&host, is_missed).await;
    drop(host);
    let (code, done) = restore(data, &[]);
    assert_eq!(code, Some(0), "{done}");
    let host = Host::on(data);
    let again = host.search("notes", &json!({"text": QUERY})).await;
    assert_eq!(ids(&again), ids(&answer));
}

#[tokio::test]
async fn damaged_objects_are_read_from_their_copies_and_told_where_there_is_none() {
    let (folder, before, answer) = lived("").await;
    let (data, primary) = (folder.path(), folder.path().join("primary"));
    let mut sound = Vec::new();
    for folder in [
        "indexes/notes/manifest",
        "datasets/notes/manifest",
        "storage/manifest",
        "_promotions/notes",
    ] {
        let path = newest(&primary, folder);
        sound.push((path.clone(), fs::read(&path).expect("sound")));
        fs::write(&path, "{\"format\":").expect("torn");
    }
    let host = Host::on(data);
    for (path, before) in PATHS.into_iter().zip(before) {
        assert_eq!(look(&host, path).await, before, "{path}");
    }
    let again = host.search("notes", &json!({"text": QUERY})).await;
    assert_eq!(ids(&again), ids(&answer));
    for (path, bytes) in sound {
        assert_eq!(
            fs::read(&path).expect("mended"),
            bytes,
            "{}",
            path.display()
        );
    }

    let host = host.kill_and(|data| {
        for bucket in ["primary", "rescue/primary"] {
            for folder in ["datasets/notes/manifest", "_promotions/notes"] {
                let path = newest(&data.join(bucket), folder);
                fs::write(path, "{").expect("torn");
            }
        }
    });
    let is_told = |ready: &Value| {
        let text = ready.to_string();
        text.contains("dataset notes")
            && text.contains("put it back from a backup")
            && text.contains("promotions of index notes")
    };
    unready(&host, is_told).await;
    let list = host.read("/datasets").await;
    assert_eq!(list["broken"][0]["name"], "notes", "{list}");
    let history = host.read("/vectors/promotions/notes").await;
    let kept = history["kept_aside"].as_array().expect("kept files");
    assert_eq!((kept.len(), &history["malformed"]), (1, &json!(0)));
    let kept = primary.join(kept[0].as_str().expect("a path"));
    assert_eq!(fs::read(kept).expect("it is kept"), b"{");
    let index = host.read("/vectors/indexes/notes").await;
    assert_eq!(index["serving"]["trial"], Value::Null, "{index}");
}

/// Waits until the host says why it is not ready.
async fn unready(host: &Host, done: impl Fn(&Value) -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let (status, ready) = host.get("/readyz").await;
        if status == 503 && done(&ready) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{ready}");
    }
}

#[tokio::test]
async fn a_bucket_that_was_added_is_brought_back_too() {
    let (folder, place) = (
        tempfile::tempdir().expect("folder"),
        tempfile::tempdir().expect("folder"),
    );
    let config = format!("{WATCHFUL}{EVERYTHING}");
    fs::write(folder.path().join("boathouse.toml"), config).expect("written");
    let root = place.path().join("archive");
    let host = Host::on(folder.path());
    add(&host, "archive", &root).await;
    let ended = host
        .upload("dataset=old&format=csv&bucket=archive", "id\n1\n")
        .await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let even = |list: &Value| {
        let of = |name: &str| crate::buckets::found(list, name)["mirror"].clone();
        ["primary", "archive"].iter().all(|name| {
            let mirror = of(name);
            mirror["objects"] == 0 && mirror["comparing"] == false
        })
    };
    host.until("/storage/buckets", even).await;
    drop(host);
    fs::remove_dir_all(&root).expect("lost");
    fs::remove_dir_all(folder.path().join("primary")).expect("lost");
    let (code, unknown) = restore(folder.path(), &["--bucket", "nowhere"]);
    assert_eq!(code, Some(2), "{unknown}");
    let (code, done) = restore(folder.path(), &[]);
    assert_eq!(code, Some(0), "{done}");
    assert_eq!(done["buckets"][1]["name"], "archive", "{done}");
    let host = Host::on(folder.path());
    assert_eq!(bucket(&host, "archive").await["health"]["state"], "healthy");
    assert_eq!(
        host.read("/datasets/old/rows").await["rows"],
        json!([{"id": 1}])
    );
    let answer = host
        .post("/storage/buckets", &local("archive", &root))
        .await;
    assert_eq!(answer.0, 409, "{answer:?}");
}

#[tokio::test]
async fn a_restoration_that_was_cut_off_is_ended_before_a_host_starts() {
    let (folder, ..) = lived(EVERYTHING).await;
    let data = folder.path();
    let unfinished = data.join("restore.unfinished");
    fs::write(&unfinished, "").expect("written");
    let said = refused(data);
    assert!(said.contains("boathouse restore"), "{said}");
    assert_eq!(restore(data, &[]).0, Some(0));
    assert!(!unfinished.exists());
    drop(Host::on(data));
}
