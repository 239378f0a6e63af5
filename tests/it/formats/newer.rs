//! What a later release wrote is refused with its name and number, where it is wanted; the rest serves.
//!
//! The files of this release are copied and the version in one kind of object is raised. An object of one
//! dataset or index spoils what needs it and nothing else. The documents of the host itself (keys, plugins,
//! buckets) keep it from starting: it would act on what it does not understand.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use super::{Kept, PLUGIN, QUERY, files, present};
use crate::support::{Host, check_problem, ids, program};

/// What an object says of its version, and what a later release would.
type Rise = (&'static [u8], &'static [u8]);

const JSON: Rise = (b"\"format_version\":1", b"\"format_version\":9");
const EVALUATION_SET: Rise = (b"\"version\":1", b"\"version\":9");
const PARQUET: Rise = (
    b"boathouse.format_version\x18\x011",
    b"boathouse.format_version\x18\x019",
);
const GRAPH: Rise = (b"BOATHNSW\x02", b"BOATHNSW\x09");

/// Raises the version of the newest file in a folder.
fn raise(folder: &Path, (now, later): Rise) {
    let file = files(folder).pop().expect("a file");
    let mut bytes = fs::read(&file).expect("read");
    let at = bytes.windows(now.len()).position(|window| window == now);
    let at = at.unwrap_or_else(|| panic!("{} says no version", file.display()));
    bytes[at..at + now.len()].copy_from_slice(later);
    fs::write(&file, bytes).expect("written");
}

/// Takes the seals of a dataset's files out of its manifests: a later release would have sealed what it wrote.
fn unseal(manifests: &Path) {
    for file in files(manifests) {
        let text = fs::read_to_string(&file).expect("text");
        let mut document: Value = serde_json::from_str(&text).expect("a manifest");
        let versions = document["value"]["versions"].as_array_mut();
        for version in versions.expect("versions") {
            for rows in version["files"].as_array_mut().expect("files") {
                rows.as_object_mut().expect("a file").remove("seal");
            }
        }
        fs::write(file, document.to_string()).expect("written");
    }
}

/// The files of this release with newer objects at these places of the data folder.
fn raised(places: &[(&str, Rise)]) -> Kept {
    let kept = Kept::of(&present());
    for (place, version) in places {
        raise(&kept.data().join(place), *version);
    }
    kept
}

async fn check_newer(host: &Host, path: &str, object: &str) {
    let words = newer(object);
    check_problem(host.get(path).await, 500, "newer_format", &words);
}

/// What is said of an object of a newer format.
fn newer(object: &str) -> [&str; 4] {
    [object, "version 9", "up to version 1", "update"]
}

/// The index answers, from memory.
async fn check_search(host: &Host) {
    let answer = host
        .search("notes", &json!({"text": QUERY, "k": 2, "with": []}))
        .await;
    assert_eq!(ids(&answer)[0], "5", "{answer}");
}

#[tokio::test]
async fn a_newer_object_spoils_its_own_routes_and_nothing_else() {
    let kept = raised(&[
        ("primary/_hnsw_trials/notes", JSON),
        ("primary/_lineage/notes", JSON),
        ("primary/_evalsets/notes", EVALUATION_SET),
        ("primary/audit/log", JSON),
        ("primary/indexes/notes/graphs", GRAPH),
        ("../cold/datasets/cold-notes/data", PARQUET),
    ]);
    unseal(&kept.data().join("../cold/datasets/cold-notes/manifest"));
    for report in files(&kept.data().join("primary/plugins/reports")) {
        let text = fs::read_to_string(&report).expect("text");
        fs::write(
            report,
            text.replace("\"format_version\":1", "\"format_version\":9"),
        )
        .expect("written");
    }
    let host = kept.open();
    check_newer(&host, "/vectors/trials/notes", "`boathouse/log`").await;
    check_newer(&host, "/lineage/notes", "_lineage/notes/").await;
    let sets = host.read("/vectors/evalsets?index=notes").await;
    let why = sets["unreadable"][0]["detail"].as_str().expect("words");
    for word in newer("_evalsets/notes/default.json") {
        assert!(why.contains(word), "{why}");
    }
    check_newer(&host, "/audit", "audit/log/").await;
    check_newer(
        &host,
        "/datasets/cold-notes/rows",
        "datasets/cold-notes/data/",
    )
    .await;
    check_newer(
        &host,
        &format!("{PLUGIN}/versions/1.0.0"),
        "plugins/reports/",
    )
    .await;

    assert_eq!(host.read("/readyz").await["ready"], true);
    check_search(&host).await;
    let index = host.read("/vectors/indexes/notes").await;
    assert_eq!(
        index["serving"]["graph_origin"], "built",
        "a graph can be made again"
    );
    assert_eq!(host.read("/datasets/notes/rows").await["total"], 8);
    assert_eq!(
        host.read("/datasets").await["datasets"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(
        host.read("/vectors/promotions/notes").await["promotions"]
            .as_array()
            .map(Vec::len),
        Some(3)
    );
}

#[tokio::test]
async fn an_index_with_newer_objects_is_named_and_the_rest_serves() {
    for (place, version, words) in [
        (
            "primary/indexes/notes/manifest",
            JSON,
            ["indexes/notes/manifest/", "`boathouse/manifest`"],
        ),
        (
            "primary/indexes/notes/vectors",
            PARQUET,
            ["stored vectors", "version 9"],
        ),
        (
            "primary/_promotions/notes",
            JSON,
            ["_promotions/notes/", "`boathouse/log`"],
        ),
    ] {
        let kept = raised(&[(place, version)]);
        let host = kept.open();
        let (status, ready) = host.get("/readyz").await;
        let components = ready["components"].as_array().expect("components").iter();
        let failing: Vec<&Value> = components.filter(|one| one["ready"] == false).collect();
        assert_eq!((status, failing.len()), (503, 1), "{place}: {ready}");
        assert_eq!(failing[0]["name"], "index notes", "{place}");
        let detail = failing[0]["detail"].as_str().expect("detail");
        for word in words.into_iter().chain(["update"]) {
            assert!(detail.contains(word), "`{word}` is missing in: {detail}");
        }
        let list = host.read("/vectors/indexes").await;
        assert_eq!(list["broken"][0]["name"], "notes", "{place}: {list}");
        check_problem(
            host.get("/vectors/indexes/notes").await,
            404,
            "unknown_index",
            &["update"],
        );
        assert_eq!(host.read("/datasets/notes/rows").await["total"], 8);
        assert_eq!(
            host.read("/plugins").await["plugins"]
                .as_array()
                .map(Vec::len),
            Some(5)
        );
    }
}

#[tokio::test]
async fn a_dataset_with_a_newer_manifest_is_refused_and_the_rest_serves() {
    let kept = raised(&[("primary/datasets/notes/manifest", JSON)]);
    let host = kept.open();
    for path in ["/datasets/notes", "/datasets/notes/rows"] {
        check_newer(&host, path, "datasets/notes/manifest/").await;
    }
    let listed = host.read("/datasets").await;
    let listed = listed["datasets"].as_array().expect("a list");
    assert!(listed.iter().any(|one| one["name"] == "cold-notes"));
    assert!(!listed.iter().any(|one| one["name"] == "notes"));
    assert_eq!(host.read("/datasets/cold-notes/rows").await["total"], 2);
    check_search(&host).await;
    let ended = host
        .upload("dataset=notes&format=csv&mode=replace", "id\n1\n")
        .await;
    assert_eq!(ended["error"]["code"], "newer_format", "{ended}");
}

#[tokio::test]
async fn a_host_does_not_start_on_newer_documents_of_its_own() {
    for (place, object) in [
        ("primary/auth/keys", "auth/keys/"),
        ("primary/plugins/manifest", "plugins/manifest/"),
        ("primary/plugins/events", "plugins/events/"),
        ("primary/storage/manifest", "storage/manifest/"),
    ] {
        let kept = raised(&[(place, JSON)]);
        let output = Command::new(program())
            .args(["serve", "--port", "0", "--data"])
            .arg(kept.data())
            .output()
            .expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{place}: {said}");
        for word in [object, "version 9", "update"] {
            assert!(
                said.contains(word),
                "{place}: `{word}` is missing in: {said}"
            );
        }
    }
}
