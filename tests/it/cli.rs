//! The command line: its exit codes, its messages, and that it is a client like any other.

use std::process::Output;

use serde_json::Value;

use crate::support::{Host, run, sentences};

mod rows;
mod tasks;
mod words;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn check_refused(output: &Output, code: i32, words: &[&str]) {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is missing in: {message}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_the_cure() {
    let host = Host::fresh();
    let port = host.url.rsplit(':').next().expect("port").to_owned();
    let other = tempfile::tempdir().expect("folder");
    let folder = other.path().display().to_string();
    check_refused(
        &run(&["serve", "--data", &folder, "--port", &port]),
        1,
        &["cannot listen", &port, "--port"],
    );
    let held = host.data.display().to_string();
    check_refused(
        &run(&["serve", "--data", &held, "--port", "0"]),
        1,
        &["in use", &host.url],
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_the_cure() {
    let file = tempfile::NamedTempFile::new().expect("file");
    let inside = file.path().join("data").display().to_string();
    check_refused(
        &run(&["serve", "--data", &inside, "--port", "0"]),
        1,
        &["data folder", &inside, "--data"],
    );
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("boathouse.toml");
    std::fs::write(&path, "[server]\nport = 1\ncolour = \"red\"\n").expect("written");
    let path = path.display().to_string();
    check_refused(&run(&["serve", "--config", &path]), 2, &[":3", "colour"]);
}

#[test]
fn commands_work_on_a_folder_without_a_host() {
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().join("data").display().to_string();
    let csv = folder.path().join("notes.csv");
    std::fs::write(&csv, sentences()).expect("written");
    let csv = csv.display().to_string();
    let missing = folder.path().join("missing.csv").display().to_string();
    check_refused(
        &run(&["--data", &data, "ingest", &missing, "--dataset", "notes"]),
        1,
        &["cannot read", "missing.csv"],
    );
    let json = |arguments: &[&str]| -> Value {
        let output = run(&[&["--json", "--data", &data], arguments].concat());
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("json")
    };
    assert_eq!(json(&["ingest", &csv, "--dataset", "notes"])["rows"], 30);
    assert_eq!(
        json(&[
            "index",
            "create",
            "notes",
            "--dataset",
            "notes",
            "--text",
            "text",
            "--id",
            "id"
        ])["vectors"],
        30
    );
    assert_eq!(
        json(&["tune", "run", "notes", "--max-trials", "2"])["trials"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(json(&["tune", "journal", "notes"])["total"], 2);
    let answer = json(&["search", "notes", "tomatoes", "-k", "3"]);
    assert!(
        answer["hits"][0]["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("s3-")),
        "{answer}"
    );
    let plugins = json(&["plugin", "list"]);
    assert_eq!(plugins["plugins"].as_array().map(Vec::len), Some(4));
    let told = run(&["--data", &data, "plugin", "list"]);
    let told = text(&told.stderr);
    assert!(
        told.contains(&format!("no host holds {data}")) && told.contains("--url"),
        "{told}"
    );
    check_refused(
        &run(&["--data", &data, "search", "nowhere", "x"]),
        1,
        &["nowhere", "unknown_index"],
    );
}

#[test]
fn the_demo_runs_twice_on_one_folder() {
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().join("demo").display().to_string();
    for _ in 0..2 {
        let output = run(&["demo", "--data", &data]);
        let shown = text(&output.stdout);
        assert!(output.status.success(), "{shown}\n{}", text(&output.stderr));
        for expected in [
            "3028 rows",
            "credit_card",
            "person_name",
            "champion",
            "Done in",
        ] {
            assert!(
                shown.contains(expected),
                "`{expected}` is missing in:\n{shown}"
            );
        }
        assert_eq!(
            shown.matches("over HTTP").count(),
            3,
            "three searches:\n{shown}"
        );
    }
}
