//! The OpenAPI document in the tree is the one that the routes give, and the page of the API has every route and every
//! problem code.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use expect_test::expect_file;
use serde_json::Value;

use crate::support::Host;

const PAGE: &str = include_str!("../../docs/api.md");
/// Where the sources of the host are, which give problems their codes.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../host/server/src");

/// `UPDATE_EXPECT=1 cargo test openapi` writes it anew.
#[tokio::test]
async fn the_snapshot_is_what_the_host_serves() {
    let document = boathouse_server::http::openapi();
    let text = format!("{}\n", document.to_pretty_json().expect("json"));
    expect_file!["../../docs/openapi.json"].assert_eq(&text);
    let host = Host::fresh();
    let served = host.read("/openapi.json").await;
    assert_eq!(
        served,
        serde_json::from_str::<serde_json::Value>(&text).expect("json")
    );
}

/// What stands in backticks at the beginning of a row of a table.
fn first_cells() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
}

#[test]
fn the_page_has_every_route_and_no_other() {
    let document = boathouse_server::http::openapi();
    let document = document.to_pretty_json().expect("json");
    let document: Value = serde_json::from_str(&document).expect("json");
    let paths = document["paths"].as_object().expect("paths");
    // The document does not tell of itself.
    let mut routes = BTreeSet::from(["GET /openapi.json".to_owned()]);
    for (path, operations) in paths {
        let operations = operations.as_object().expect("operations").iter();
        let methods = operations.filter(|(_, operation)| operation["responses"].is_object());
        routes.extend(methods.map(|(method, _)| format!("{} {path}", method.to_uppercase())));
    }
    let is_route = |cell: &&str| cell.contains(" /");
    let cells = first_cells().map(|(cell, _)| cell).filter(is_route);
    let told: BTreeSet<String> = cells
        .map(|cell| cell.split('?').next().unwrap_or(cell).to_owned())
        .collect();
    assert_eq!(told, routes);
}

#[test]
fn the_page_has_every_problem_code() {
    let is_status = |rest: &&str| rest.starts_with(|first: char| first.is_ascii_digit());
    let told: BTreeSet<&str> = first_cells()
        .filter(|(cell, rest)| !cell.contains(' ') && is_status(rest))
        .map(|(code, _)| code)
        .collect();
    let mut sources = Vec::new();
    read_sources(Path::new(SOURCES), &mut sources);
    let missing: BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| codes(source))
        .filter(|code| !told.contains(code))
        .collect();
    assert!(missing.is_empty(), "not told by docs/api.md: {missing:?}");
    for code in told {
        let literal = format!("\"{code}\"");
        assert!(
            sources.iter().any(|source| source.contains(&literal)),
            "docs/api.md tells of `{code}`, which there is none of"
        );
    }
}

/// The codes that a source gives to problems, where it writes them into the call that makes one.
fn codes(source: &str) -> impl Iterator<Item = &str> {
    let makers = ["conflict(", "not_found(", "unprocessable("];
    makers
        .into_iter()
        .flat_map(move |maker| source.split(maker).skip(1))
        .filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next())
        .filter(|text| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
}

fn read_sources(folder: &Path, into: &mut Vec<String>) {
    let entries = fs::read_dir(folder).expect("a folder of sources");
    let paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    for path in paths {
        if path.is_dir() {
            read_sources(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(fs::read_to_string(&path).expect("text"));
        }
    }
}
