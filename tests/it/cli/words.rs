//! Arguments that begin with a hyphen, options that page, and what the command line prints of rows.

use serde_json::json;

use super::{check_refused, text};
use crate::support::{Host, run, sentences};

const ROWS: &str = "id,n,text,b,a\n\
    -5,-5,baking bread at home,0.30000000000000004,x\n\
    7,7,the harbour and its ships,1.5,y\n\
    9,9,growing tomatoes in a garden,132.714285,z\n";

async fn host() -> Host {
    let host = Host::fresh();
    host.ingest("notes", ROWS).await;
    let spec =
        json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id"});
    host.done("/vectors/indexes", &spec).await;
    host
}

#[track_caller]
fn told(host: &Host, arguments: &[&str]) -> String {
    let output = run(&[&["--url", &host.url], arguments].concat());
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

#[tokio::test]
async fn conditions_and_ids_may_begin_with_a_hyphen() {
    let host = host().await;
    let shown = told(&host, &["search", "notes", "bread", "--filter", "-5 < n"]);
    assert!(
        shown.contains("lets 2 documents through") && !shown.contains("baking"),
        "{shown}"
    );
    let shown = told(&host, &["index", "delete-docs", "notes", "-5"]);
    assert!(shown.starts_with("1 document deleted"), "{shown}");
    let filter = [
        "index",
        "delete-docs",
        "notes",
        "--filter",
        "-8 < n AND n < 8",
    ];
    let shown = told(&host, &filter);
    assert!(shown.starts_with("1 document deleted"), "{shown}");
    let neither = run(&["--url", &host.url, "index", "delete-docs", "notes"]);
    check_refused(&neither, 2, &["--filter"]);
    let both = [
        "--url",
        &host.url,
        "index",
        "delete-docs",
        "notes",
        "9",
        "--filter",
        "n = 9",
    ];
    check_refused(&run(&both), 2, &["--filter"]);
    told(&host, &["index", "delete-docs", "notes", "9"]);
    let shown = told(&host, &["search", "notes", "bread"]);
    assert!(shown.contains("nothing was found"), "{shown}");
    for tune in [["tune", "evalset", "notes"], ["tune", "run", "notes"]] {
        let refused = run(&[&["--url", &host.url][..], &tune].concat());
        check_refused(&refused, 1, &["all documents", "were deleted"]);
    }
}

#[tokio::test]
async fn rows_are_paged_as_of_a_version_and_keep_digits_and_the_order_of_columns() {
    let host = host().await;
    let answer = host
        .upload("dataset=notes&format=csv&mode=append", ROWS)
        .await;
    assert_eq!(answer["result"]["version"], 2, "{answer}");
    let shown = told(&host, &["dataset", "rows", "notes", "--limit", "1"]);
    let row = r#"{"id":-5,"n":-5,"text":"baking bread at home","b":0.30000000000000004,"a":"x"}"#;
    assert_eq!(shown.trim(), row);
    let page = ["dataset", "rows", "notes", "--offset", "2"];
    let count = |shown: String| shown.lines().count();
    assert_eq!(count(told(&host, &page)), 4);
    let earlier = [&page[..], &["--version", "1"]].concat();
    assert_eq!(count(told(&host, &earlier)), 1);
    let search = ["search", "notes", "tomatoes", "-k", "1", "--with", "b,a"];
    let shown = told(&host, &search);
    let of = |column: &str| shown.find(column).unwrap_or_else(|| panic!("{shown}"));
    assert!(of("b: 132.714285") < of("a: z"), "{shown}");
    let shown = told(&host, &["search", "notes", "tomatoes", "-k", "1"]);
    let of = |column: &str| shown.find(column).unwrap_or_else(|| panic!("{shown}"));
    assert!(
        of("text: growing") < of("b: ") && of("b: ") < of("a: z"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_journal_shows_its_newest_trials() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    for ef in ["10", "20", "30"] {
        told(&host, &["tune", "trial", "notes", "--ef-search", ef]);
    }
    let shown = told(&host, &["tune", "journal", "notes", "--limit", "2"]);
    assert!(
        shown.contains("distances") && shown.trim().lines().count() == 3,
        "{shown}"
    );
    let shown = told(
        &host,
        &["--json", "tune", "journal", "notes", "--limit", "1"],
    );
    let journal: serde_json::Value = serde_json::from_str(&shown).expect("json");
    assert_eq!(journal["trials"].as_array().map(Vec::len), Some(1));
    assert_eq!(journal["trials"][0]["config"]["ef_search"], 30, "{journal}");
    told(&host, &["tune", "trial", "notes", "--seed", "7"]);
    let grid = ["tune", "run", "notes", "--max-trials", "1", "--strategy"];
    told(&host, &[&grid[..], &["grid", "--note", "by hand"]].concat());
    let newest = &["--json", "tune", "journal", "notes", "--limit", "2"];
    let shown = told(&host, newest);
    let journal: serde_json::Value = serde_json::from_str(&shown).expect("json");
    assert_eq!(journal["trials"][0]["config"]["seed"], 7, "{journal}");
    // What a noisy machine has to say stands behind it.
    let note = journal["trials"][1]["note"].as_str();
    assert!(
        note.is_some_and(|note| note.starts_with("by hand")),
        "{journal}"
    );
    let id = journal["trials"][0]["id"].as_str().expect("an id");
    let promote = ["tune", "promote", "notes", id, "--force"];
    let shown = told(&host, &[&promote[..], &["--reason", "to see"]].concat());
    assert!(shown.contains("to see"), "{shown}");
    let shown = told(&host, &["tune", "journal", "notes", "--limit", "1"]);
    assert!(shown.contains("host/grid"), "{shown}");
    let shown = told(&host, &["gc", "--dry-run"]);
    assert!(
        !shown.contains("merged") || shown.contains("would be merged"),
        "{shown}"
    );
}

#[test]
fn a_url_without_a_scheme_and_an_unknown_mode_are_refused_at_once() {
    let bare = run(&["--url", "127.0.0.1:7791", "dataset", "list"]);
    check_refused(&bare, 2, &["http://127.0.0.1:7700"]);
    let mode = ["ingest", "x.csv", "--dataset", "x", "--mode", "upsert"];
    check_refused(&run(&mode), 2, &["upsert", "append"]);
}

#[tokio::test]
async fn a_refused_upload_says_why_however_large_it_is() {
    let host = Host::fresh();
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), "a\n".to_owned() + &"1\n".repeat(8 << 20)).expect("written");
    let path = file.path().display().to_string();
    let wrong = ["ingest", &path, "--dataset", "x", "--bucket", "No Bucket"];
    for _ in 0..4 {
        let refused = run(&[&["--url", &host.url], &wrong[..]].concat());
        check_refused(&refused, 1, &["bad_query"]);
    }
    assert_eq!(host.read("/datasets").await["datasets"], json!([]));
}
