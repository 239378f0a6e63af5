//! The tree keeps to its own rules: arrows between rooms, file sizes, opening essays.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

/// Which room uses which, as ARCHITECTURE.md draws it. Development-only edges are not part of it.
const ARROWS: [(&str, &[&str]); 24] = [
    ("boathouse-types", &[]),
    ("boathouse-storage", &["types"]),
    ("boathouse-plugins", &["types"]),
    ("boathouse-vector", &["types"]),
    ("boathouse-models", &["types"]),
    ("boathouse-tuning", &["types", "storage", "vector"]),
    ("boathouse-ingest", &["types", "storage"]),
    ("boathouse-query", &[]),
    ("boathouse-lance-host", &[]),
    // Ours, under the name of the crate whose place it takes: `tools/protoc`.
    ("protobuf-src", &[]),
    ("boathouse-sdk", &[]),
    ("boathouse-proposer", &["sdk"]),
    ("boathouse-surrogate", &["sdk"]),
    ("boathouse-pii", &["sdk"]),
    ("boathouse-scoring", &["sdk"]),
    ("boathouse-bundle", &["guest-build"]),
    ("boathouse-guest-build", &[]),
    ("boathouse-faults", &[]),
    ("boathouse-s3-server", &["storage"]),
    ("boathouse-db-server", &[]),
    ("boathouse-model-server", &[]),
    ("boathouse-test-evil", &["sdk"]),
    ("boathouse-test-floats", &["sdk"]),
    ("boathouse-test-marked", &["sdk"]),
];

/// Crates that exactly one room may name.
const FIREWALLS: [(&str, &str); 12] = [
    ("wasmtime", "boathouse-plugins"),
    ("wasmtime-wasi", "boathouse-plugins"),
    ("hnsw_rs", "boathouse-vector"),
    ("model2vec-rs", "boathouse-models"),
    ("nvml-wrapper", "boathouse-models"),
    ("datafusion-expr", "boathouse-query"),
    ("lance", "boathouse-lance-host"),
    ("lance-datafusion", "boathouse-lance-host"),
    ("lance-index", "boathouse-lance-host"),
    ("lance-io", "boathouse-lance-host"),
    ("lance-linalg", "boathouse-lance-host"),
    ("lance-table", "boathouse-lance-host"),
];

/// Crates that must be compiled once only. Lance brings an object_store of its own, which has a test of its own.
const ONCE: [&str; 4] = ["arrow-array", "parquet", "datafusion-common", "wasmtime"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("workspace")
        .to_owned()
}

/// What `cargo metadata` says. Read as plain JSON: a typed reader would switch on features of serde_json
/// for the tests alone, and everything above it would be compiled twice.
fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| {
        // Without the filter cargo wants the sources of crates for other systems, which nothing fetched.
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--offline", "--locked"])
            .args(["--filter-platform", &host_triple()])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("json")
    })
}

/// The platform that the compiler runs on, as it says itself.
fn host_triple() -> String {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc tells its host").to_owned()
}

fn packages() -> &'static [Value] {
    metadata()["packages"].as_array().expect("packages")
}

fn name_of(value: &Value) -> String {
    value["name"].as_str().expect("name").to_owned()
}

/// Names of the crates that each crate of ours uses, development-only ones left out.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let of = |package: &Value| {
        let used = package["dependencies"].as_array().expect("dependencies");
        used.iter()
            .filter(|used| used["kind"] != "dev")
            .map(name_of)
            .collect()
    };
    let ours = packages()
        .iter()
        .filter(|package| package["source"].is_null());
    ours.map(|package| (name_of(package), of(package)))
        .collect()
}

#[test]
fn arrows_between_rooms_are_those_of_the_architecture() {
    let uses = uses();
    for (room, allowed) in ARROWS {
        let allowed: BTreeSet<String> = allowed
            .iter()
            .map(|name| format!("boathouse-{name}"))
            .collect();
        let ours: BTreeSet<String> = uses[room]
            .iter()
            .filter(|name| name.starts_with("boathouse-"))
            .cloned()
            .collect();
        assert!(
            ours.is_subset(&allowed),
            "{room} may use {allowed:?} and uses {ours:?}"
        );
    }
    let known: BTreeSet<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    let free = ["boathouse-server", "boathouse-tests", "boathouse-bench"];
    for room in uses.keys() {
        assert!(
            known.contains(room.as_str()) || free.contains(&room.as_str()),
            "{room} has no place in the architecture"
        );
    }
}

#[test]
fn what_stands_behind_a_firewall_is_named_by_one_room() {
    for (name, room) in FIREWALLS {
        let naming: Vec<_> = uses()
            .into_iter()
            .filter(|(_, used)| used.contains(name))
            .map(|(room, _)| room)
            .collect();
        assert_eq!(naming, [room], "{name}");
    }
}

#[test]
fn one_arrow_one_datafusion_one_wasmtime() {
    for name in ONCE {
        let versions: Vec<_> = packages()
            .iter()
            .filter(|package| package["name"] == name)
            .map(|package| &package["version"])
            .collect();
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
}

#[test]
fn lance_keeps_its_object_store_to_itself() {
    let nodes = metadata()["resolve"]["nodes"].as_array().expect("nodes");
    let users = |id: &str| -> BTreeSet<String> {
        let uses = |node: &&Value| {
            let used = node["dependencies"].as_array().expect("dependencies");
            used.iter().any(|used| used == id)
        };
        let ids: Vec<_> = nodes.iter().filter(uses).map(|node| &node["id"]).collect();
        packages()
            .iter()
            .filter(|package| ids.contains(&&package["id"]))
            .map(name_of)
            .collect()
    };
    let stores = packages()
        .iter()
        .filter(|package| package["name"] == "object_store");
    let (theirs, ours): (Vec<_>, Vec<_>) = stores
        .map(|store| users(store["id"].as_str().expect("id")))
        .partition(|users| users.contains("lance"));
    assert_eq!(ours.len(), 1, "{ours:?}");
    for user in theirs.iter().flatten() {
        let known = user.starts_with("lance") || user == "boathouse-lance-host";
        assert!(known, "{user} uses the object_store of lance");
    }
}

/// Every Rust file of the workspace with its text.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = [
        "host",
        "plugins",
        "sdk",
        "tests",
        "bench",
        "tools",
        "lance-host",
        "examples",
    ]
    .map(|name| root().join(name))
    .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with(".venv") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("source");
                let name = path
                    .strip_prefix(root())
                    .expect("inside")
                    .display()
                    .to_string();
                files.push((name, text));
            }
        }
    }
    assert!(files.len() > 50, "the sources were not found");
    files
}

#[test]
fn every_file_opens_with_an_essay_and_ends_in_time() {
    for (name, text) in sources() {
        assert!(text.starts_with("//!"), "{name} does not open with //!");
        assert!(
            text.lines().count() <= 1_000,
            "{name} is longer than 1,000 lines: split it by meaning"
        );
        assert!(
            !name.ends_with("/mod.rs"),
            "{name}: write foo.rs and foo/ instead of mod.rs"
        );
        assert!(
            !text.contains(concat!("#[", "ignore")),
            "{name} has an ignored test"
        );
    }
}

/// Every feature of the mission stands in docs/features.md, and the test it names exists.
#[test]
fn the_feature_list_is_whole_and_its_tests_exist() {
    let list = std::fs::read_to_string(root().join("docs/features.md")).expect("docs/features.md");
    let rows: BTreeMap<&str, Vec<&str>> = list
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| id"))
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            Some((*cells.first()?, cells))
        })
        .collect();
    let ids = (1..=25)
        .map(|n| format!("S{n}"))
        .chain((1..=7).map(|n| format!("G{n}")))
        .chain((1..=6).map(|n| format!("+{n}")));
    let sources = sources();
    for id in ids {
        let row = rows
            .get(id.as_str())
            .unwrap_or_else(|| panic!("{id} is missing in docs/features.md"));
        let state = row[2];
        assert!(
            ["done", "part", "not yet"].contains(&state),
            "{id}: state `{state}`"
        );
        let tests: Vec<&str> = row[3].split('`').skip(1).step_by(2).collect();
        assert!(
            state == "not yet" || !tests.is_empty(),
            "{id} is {state} and names no test"
        );
        for test in tests {
            let function = format!("fn {}(", test.rsplit("::").next().unwrap_or(test));
            assert!(
                sources.iter().any(|(_, text)| text.contains(&function)),
                "{id}: there is no test `{test}`"
            );
        }
    }
}
