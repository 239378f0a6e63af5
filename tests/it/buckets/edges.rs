//! Buckets that half work: of a search without its dataset, of a removal that was cut off, of folders that
//! cannot be made, of a `rescue` that lost everything.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{WATCHFUL, add, bucket, ready, until};
use crate::support::{Host, check_problem, program, run, sentences};

#[tokio::test]
async fn a_search_goes_on_without_columns_while_the_bucket_of_its_dataset_is_away() {
    let (host, place) = (
        Host::configured(WATCHFUL),
        tempfile::tempdir().expect("folder"),
    );
    let (root, away) = (place.path().join("archive"), place.path().join("away"));
    add(&host, "archive", &root).await;
    let file = place.path().join("notes.csv");
    fs::write(&file, sentences()).expect("written");
    let file = file.to_str().expect("text");
    let cli = |arguments: &[&str]| {
        let output = run(&[&["--json", "--url", host.url.as_str()], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    cli(&["ingest", file, "--dataset", "notes", "--bucket", "archive"]);
    let dataset = host.read("/datasets/notes").await;
    assert_eq!(dataset["bucket"], "archive", "{dataset}");
    host.index("notes", "notes", "text").await;

    fs::rename(&root, &away).expect("moved away");
    until(&host, "archive", "unhealthy").await;
    let path = "/vectors/indexes/notes/search";
    let answer = host.post(path, &json!({"text": "bread"})).await;
    let words = ["`archive`", "`notes`", "\"with\": []"];
    check_problem(answer, 503, "storage_unavailable", &words);
    let found = cli(&["search", "notes", "bread", "--no-columns"]);
    let hits = found["hits"].as_array().expect("hits");
    assert!(!hits.is_empty(), "{found}");
    assert!(hits.iter().all(|hit| hit["columns"] == json!({})));

    fs::rename(&away, &root).expect("brought back");
    ready(&host).await;
    let found = cli(&["search", "notes", "bread", "--with", "text"]);
    assert!(found["hits"][0]["columns"]["text"].is_string(), "{found}");
}

#[tokio::test]
async fn a_mark_that_a_removal_left_in_rescue_keeps_no_name() {
    let (host, place) = (
        Host::configured(WATCHFUL),
        tempfile::tempdir().expect("folder"),
    );
    let copies = host.data.join("rescue/archive");
    fs::create_dir_all(copies.join("storage")).expect("made");
    fs::write(copies.join("storage/bucket.json"), "{}").expect("written");
    add(&host, "archive", &place.path().join("archive")).await;
    let host = host.kill_and_restart();
    let archive = bucket(&host, "archive").await;
    assert_eq!(archive["health"]["state"], "healthy", "{archive}");
}

#[tokio::test]
async fn folders_that_cannot_be_made_keep_their_reason_and_the_first_of_one_place_comes_in() {
    let place = tempfile::tempdir().expect("folder");
    let file = place.path().join("file");
    fs::write(&file, "no folder").expect("written");
    let (root, fine) = (file.join("bucket"), place.path().join("fine"));
    let section = |name: &str, root| {
        format!("[[buckets]]\nname = \"{name}\"\nbackend = \"local\"\nroot = {root:?}\n")
    };
    let sections = [
        section("one", &root),
        section("two", &root),
        section("fine", &fine),
    ];
    let host = Host::configured(&format!("{WATCHFUL}{}", sections.concat()));
    // By the time the host misses a folder that goes away now, it has looked at the others too.
    fs::remove_dir_all(&fine).expect("removed");
    until(&host, "fine", "unhealthy").await;
    let one = bucket(&host, "one").await;
    let why = one["health"]["detail"].as_str().expect("a reason");
    assert!(why.contains("cannot be created"), "{why}");

    fs::remove_file(&file).expect("removed");
    fs::create_dir_all(&root).expect("made");
    until(&host, "one", "healthy").await;
    let two = bucket(&host, "two").await;
    let why = two["health"]["detail"].as_str().expect("a reason");
    assert!(why.contains("bucket `one`"), "{why}");
}

#[tokio::test]
async fn a_rescue_that_is_begun_anew_is_told_in_the_log() {
    let folder = tempfile::tempdir().expect("folder");
    let host = Host::on(folder.path());
    host.ingest("notes", sentences()).await;
    drop(host);
    fs::remove_dir_all(folder.path().join("rescue")).expect("removed");
    let mut host = Command::new(program())
        .args(["serve", "--port", "0", "--data"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let out = host.stdout.as_mut().expect("standard output");
    BufReader::new(out).read_line(&mut line).expect("a line");
    assert!(line.starts_with("listening on "), "{line}");
    host.kill().expect("killed");
    let output = host.wait_with_output().expect("ended");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no copy of `primary`"), "{said}");
}
