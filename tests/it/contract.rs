//! The contract between host and plugins keeps its word: it changes with its version only, a minor
//! version breaks nobody, and what was built against an older one still serves.
//!
//! `wit/released` holds every version that ever went out, as it went out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use boathouse_plugins::{Compiling, PluginHost, PluginHostConfig};
use boathouse_types::{Objective, PluginKind};
use serde_json::json;
use wit_component::semver_check;
use wit_parser::Resolve;

use crate::{
    guests::{BUILT_AGAINST_1_0_0, raw::Raw, replaced},
    support::{Host, sentences},
};

/// The line that every file opens with, up to the version.
const PACKAGE: &str = "package boathouse:plugin@";

fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")
}

/// Names and texts of the files of a version.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|file| file.expect("a file"));
    files
        .map(|file| {
            let text = std::fs::read_to_string(file.path()).expect("text");
            (file.file_name().to_string_lossy().into_owned(), text)
        })
        .collect()
}

/// The version that all files of a folder name.
fn version(texts: &BTreeMap<String, String>) -> (u64, u64, u64) {
    let mut versions = texts.iter().map(|(name, text)| {
        let line = text.lines().next().unwrap_or_default();
        let version = line.strip_prefix(PACKAGE).and_then(|v| v.strip_suffix(';'));
        version.unwrap_or_else(|| panic!("{name} does not open with `{PACKAGE}...;`"))
    });
    let version = versions.next().expect("a file");
    assert!(
        versions.all(|other| other == version),
        "the files are of several versions"
    );
    let mut parts = version
        .split('.')
        .map(|part| part.parse().expect("a number"));
    let mut part = || parts.next().expect("three numbers");
    (part(), part(), part())
}

/// All released versions, oldest first.
fn released() -> Vec<((u64, u64, u64), PathBuf)> {
    let folders = std::fs::read_dir(wit().join("released")).expect("wit/released");
    let mut released: Vec<_> = folders
        .map(|folder| folder.expect("a folder").path())
        .map(|folder| (version(&texts(&folder)), folder))
        .collect();
    released.sort();
    released
}

/// Whether hosts of the newer contract can run guests of the older one, whatever their kind.
fn check_upgrade(older: &Path, newer: &Path) -> Result<(), String> {
    for kind in PluginKind::ALL {
        let mut resolve = Resolve::default();
        let worlds = [older, newer].map(|folder| {
            let (package, _) = resolve.push_path(folder).expect("the contract parses");
            let world = resolve.select_world(&[package], Some(kind.as_str()));
            world.expect("a world per kind")
        });
        semver_check(resolve, worlds[0], worlds[1])
            .map_err(|error| format!("{kind}: {error:#}"))?;
    }
    Ok(())
}

#[test]
fn the_contract_does_not_change_without_its_version() {
    let current = texts(&wit().join("v1"));
    let (major, minor, patch) = version(&current);
    let snapshot = wit().join(format!("released/{major}.{minor}.{patch}"));
    assert!(
        snapshot.is_dir(),
        "version {major}.{minor}.{patch} of the contract was not released: copy wit/v1 to {}",
        snapshot.display()
    );
    let (newest, _) = released().pop().expect("a release");
    assert_eq!(newest, (major, minor, patch), "an older version is current");
    let snapshot = texts(&snapshot);
    for name in current.keys().chain(snapshot.keys()) {
        assert_eq!(
            current.get(name),
            snapshot.get(name),
            "{name}: the contract changed without a version: give wit/v1 the next one, see docs/contract.md"
        );
    }
}

#[test]
fn releases_lie_under_their_version() {
    for ((major, minor, patch), folder) in released() {
        assert!(
            folder.ends_with(format!("{major}.{minor}.{patch}")),
            "{}",
            folder.display()
        );
    }
}

#[test]
fn every_minor_version_keeps_what_older_guests_rely_on() {
    let released = released();
    assert!(released.len() > 1);
    for (at, (old, older)) in released.iter().enumerate() {
        for (new, newer) in released[at + 1..].iter().filter(|(new, _)| new.0 == old.0) {
            let kept = check_upgrade(older, newer);
            assert_eq!(kept, Ok(()), "{new:?} breaks guests of {old:?}");
        }
    }
}

/// A copy of the present contract with one text replaced, as a version of its own.
fn mutated(file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    for (name, mut text) in texts(&wit().join("v1")) {
        if name == file {
            assert!(text.contains(from), "{file} does not say `{from}`");
            text = text.replacen(from, to, 1);
        }
        let rest = text.split_once(";\n").expect("a package").1;
        let text = format!("{PACKAGE}1.999.0;\n{rest}");
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

#[test]
fn a_breaking_change_is_noticed() {
    let weights = "        weights: list<tuple<string, f64>>,\n";
    let exports = "    export describe: func() -> description;\n";
    for (what, file, from, to) in [
        (
            "a record that grew",
            "types.wit",
            weights,
            &format!("{weights}        budget: f64,\n")[..],
        ),
        (
            "a host function that went",
            "types.wit",
            "    settings: func() -> list<tuple<string, string>>;\n",
            "",
        ),
        (
            "another type of a list",
            "scoring.wit",
            "score: list<f64>",
            "score: list<f32>",
        ),
        (
            "one more parameter",
            "proposer.wit",
            "propose: func(context: context)",
            "propose: func(context: context, mood: u32)",
        ),
        (
            "one more export",
            "pii.wit",
            exports,
            &format!("{exports}    export forget: func();\n"),
        ),
    ] {
        let folder = mutated(file, from, to);
        let kept = check_upgrade(&wit().join("v1"), folder.path());
        assert!(kept.is_err(), "{what} went unnoticed");
    }
}

#[test]
fn a_further_host_function_breaks_nobody() {
    let settings = "    settings: func() -> list<tuple<string, string>>;\n";
    let more = format!("{settings}    mood: func() -> u32;\n");
    let folder = mutated("types.wit", settings, &more);
    let kept = check_upgrade(&wit().join("v1"), folder.path());
    assert_eq!(kept, Ok(()));
}

/// Guests that use all that a release offered load on today's host and answer.
#[tokio::test]
async fn guests_of_every_release_of_this_major_run() {
    let host = PluginHost::new(PluginHostConfig::default(), Compiling::InProcess);
    let host = host.expect("host");
    for ((major, minor, patch), _) in released() {
        let contract = format!("released/{major}.{minor}.{patch}");
        let deadline = format!(
            r#"(import "boathouse:plugin/host@{major}.{minor}.{patch}" "deadline-ms"
                (func $deadline (result i32)))"#
        );
        let first = Raw {
            contract: &contract,
            always: "(call $log (i32.const 1) (i32.const 4096) (i32.const 5))
                (call $settings (i32.const 8192))",
            ..Raw::default()
        };
        let guest = if minor == 0 {
            first
        } else {
            Raw {
                imports: &deadline,
                always: "(call $log (i32.const 1) (i32.const 4096) (i32.const 5))
                    (call $settings (i32.const 8192))
                    (if (i32.eqz (call $deadline)) (then unreachable))",
                ..first
            }
        };
        let plugin = host.load(PluginKind::Scoring, &guest.component()).await;
        let plugin = plugin.unwrap_or_else(|error| panic!("{contract}: {error}"));
        let verdicts = plugin.evaluate(&[], &Objective::default()).await;
        assert_eq!(verdicts, Ok(Vec::new()), "{contract}");
    }
}

/// A guest that was built against a contract newer than its host's.
#[tokio::test]
async fn a_guest_of_a_newer_minor_runs_unless_it_calls_what_is_new() {
    let host = PluginHost::new(PluginHostConfig::default(), Compiling::InProcess);
    let host = host.expect("host");
    let settings = "    settings: func() -> list<tuple<string, string>>;\n";
    let more = format!("{settings}    mood: func() -> u32;\n");
    let folder = mutated("types.wit", settings, &more);
    let newer = Raw {
        contract: folder.path().to_str().expect("a plain path"),
        ..Raw::default()
    };
    let plugin = host.load(PluginKind::Scoring, &newer.component()).await;
    assert!(plugin.is_ok(), "{plugin:?}");
    let curious = Raw {
        imports: r#"(import "boathouse:plugin/host@1.999.0" "mood" (func $mood (result i32)))"#,
        always: "(drop (call $mood))",
        ..newer
    };
    let refused = host.load(PluginKind::Scoring, &curious.component()).await;
    let words = refused.expect_err("there is no mood").to_string();
    assert!(words.contains("`mood`"), "{words}");
}

/// The real thing: a component from the day of 1.0.0, through the front door.
#[tokio::test]
async fn a_component_built_against_1_0_0_is_checked_and_serves() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    host.done("/vectors/trials/notes", &json!({})).await;
    // Today's plugin has its name and version.
    let component = replaced(BUILT_AGAINST_1_0_0, "boathouse/pareto", "fixture/contract");
    let versions = "/plugins/scoring/fixture/contract/versions";
    let (status, body) = host.post_raw(versions, component).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(body["report"]["passed"], true, "{body}");
    let best = host.read("/vectors/trials/notes/best").await;
    let path = format!("{versions}/0.1.0/activate");
    let (status, body) = host.post(&path, &json!({"indexes": ["notes"]})).await;
    assert_eq!(status, 200, "{body}");
    let again = host.read("/vectors/trials/notes/best").await;
    assert_eq!(again["scored_by"]["name"], "fixture/contract", "{again}");
    assert_eq!(again["verdict"], best["verdict"]);
}
