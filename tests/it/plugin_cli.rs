//! `boathouse plugin`: checks and timings without a host, and a plugin's life at one.
//!
//! `plugin_cli/signing.rs` is what a team with a signing key hands in, `plugin_cli/follow.rs` who watches.

mod follow;
mod signing;

use std::{path::Path, process::Output};

use boathouse_bundle::{EPSILON_GREEDY, PARETO};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    guests::{EVIL_PII, MARKED_1, MARKED_2},
    support::{Host, run, sentences},
};

/// Files in a folder of their own.
fn files(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("folder");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("written");
    }
    folder
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("json")
}

#[track_caller]
fn check_refused(output: &Output, code: i32, words: &[&str]) {
    let said = text(&output.stderr) + &text(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is missing in: {said}");
    }
}

#[test]
fn a_component_is_checked_without_a_host_and_without_a_data_folder() {
    let folder = files(&[
        ("good.wasm", PARETO.bytes),
        ("module.wasm", b"\0asm\x01\0\0\0"),
        ("cut.wasm", &MARKED_1[..MARKED_1.len() / 2]),
        ("notes.txt", b"not a component"),
    ]);
    let data = path(&folder, "data");
    let check = |file: &str, more: &[&str]| {
        let file = path(&folder, file);
        run(&[&["--data", &data, "plugin", "check", &file], more].concat())
    };
    let good = check("good.wasm", &["--json"]);
    let report = json_of(&good);
    assert_eq!(
        (&report["passed"], &report["name"], &report["kind"]),
        (&json!(true), &json!("boathouse/pareto"), &json!("scoring"))
    );
    let shown = check("good.wasm", &[]);
    assert!(
        text(&shown.stdout).contains("determinism"),
        "{}",
        text(&shown.stdout)
    );
    let kind = ["--kind", "scoring"];
    check_refused(
        &check("module.wasm", &kind),
        1,
        &["core module", "cure", "wasm32-wasip2"],
    );
    check_refused(&check("cut.wasm", &kind), 1, &["failed", "does not pass"]);
    for more in [&[] as &[&str], &kind] {
        check_refused(&check("notes.txt", more), 1, &["not WebAssembly", "cure"]);
    }
    check_refused(
        &check("missing.wasm", &[]),
        1,
        &["cannot read", "missing.wasm"],
    );
    check_refused(&check("good.wasm", &["--kind", "pii"]), 1, &["`detect`"]);
    check_refused(
        &check("good.wasm", &["--kind", "music"]),
        2,
        &["proposer, scoring or pii"],
    );
    assert!(!Path::new(&data).exists(), "no data folder was made");
}

#[test]
fn a_component_is_timed_without_a_host() {
    let folder = files(&[("pareto.wasm", PARETO.bytes)]);
    let (file, data) = (path(&folder, "pareto.wasm"), path(&folder, "data"));
    let bench = [
        "--data",
        &data,
        "--json",
        "plugin",
        "bench",
        &file,
        "--seconds",
        "0",
    ];
    let figures = json_of(&run(&bench));
    assert_eq!(figures["component_bytes"], json!(PARETO.bytes.len()));
    assert!(
        figures["peak_memory_bytes"].as_u64() >= Some(65_536),
        "{figures}"
    );
    let questions = figures["questions"].as_array().expect("questions");
    assert_eq!(questions.len(), 4);
    for question in questions {
        assert_eq!(
            (&question["calls"], &question["failed"]),
            (&json!(3), &Value::Null)
        );
        assert!(question["p95_us"].as_u64() >= question["p50_us"].as_u64());
    }
    assert!(!Path::new(&data).exists(), "no data folder was made");
}

/// A host with an index and a journal, and the command line that talks to it.
struct Stage {
    host: Host,
    folder: TempDir,
}

impl Stage {
    async fn set() -> Self {
        let host = Host::fresh();
        host.ingest("notes", sentences()).await;
        host.index("notes", "notes", "text").await;
        let (status, report) = host
            .post("/vectors/autotune/notes", &json!({"max_trials": 4}))
            .await;
        assert_eq!(status, 200, "{report}");
        let folder = files(&[
            ("proposer.wasm", EPSILON_GREEDY.bytes),
            ("marked-1.wasm", MARKED_1),
            ("marked-2.wasm", MARKED_2),
            ("pii.wasm", EVIL_PII),
        ]);
        Self { host, folder }
    }

    fn file(&self, name: &str) -> String {
        path(&self.folder, name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(&[&["--url", &self.host.url, "plugin"], arguments].concat())
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        json_of(&run(&[
            &["--url", &self.host.url, "--json", "plugin"],
            arguments,
        ]
        .concat()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_lives_by_the_command_line_alone() {
    let stage = Stage::set().await;
    let name = "test/marked";
    for file in ["marked-1.wasm", "marked-2.wasm"] {
        let pushed = stage.run(&["push", &stage.file(file)]);
        assert!(pushed.status.success(), "{}", text(&pushed.stderr));
        assert!(text(&pushed.stdout).contains("next: boathouse plugin shadow test/marked"));
    }
    let other = stage.run(&["push", &stage.file("marked-1.wasm"), "--version", "3.0.0"]);
    check_refused(&other, 1, &["3.0.0", "not uploaded"]);

    stage.json(&["shadow", name, "1.0.0"]);
    let shown = text(&stage.run(&["shadow", name, "1.0.0", "--show"]).stdout);
    assert!(
        shown.contains("questions about the past") && shown.contains("notes"),
        "{shown}"
    );
    stage.json(&["shadow", name, "1.0.0", "--stop"]);

    let first = stage.json(&["activate", name, "1.0.0"]);
    assert_eq!(first["replaced"]["name"], "boathouse/pareto", "{first}");
    let etag = first["etag"].as_str().expect("an etag").trim_matches('"');
    let second = stage.json(&["activate", name, "2.0.0", "--if-match", etag]);
    assert_eq!(second["replaced"]["version"], "1.0.0", "{second}");
    let late = stage.run(&["activate", name, "1.0.0", "--if-match", etag]);
    check_refused(&late, 1, &["changed_meanwhile"]);
    let back = stage.json(&["rollback", name]);
    assert_eq!(back["active"]["version"], "1.0.0", "{back}");
    check_refused(&stage.run(&["deactivate", name]), 1, &["is_default"]);
    check_refused(
        &stage.run(&["delete", name, "1.0.0"]),
        1,
        &["version_in_use"],
    );
    stage.json(&["delete", name, "2.0.0"]);
    check_refused(
        &stage.run(&["delete", "no/body", "1.0.0"]),
        1,
        &["no/body", "plugin list"],
    );

    check_overriding(&stage);
    check_told(&stage, name);
}

/// An index gets a plugin of its own and loses it again.
fn check_overriding(stage: &Stage) {
    let indexed = stage.json(&[
        "activate",
        "boathouse/pareto",
        &pareto(stage),
        "--index",
        "notes",
    ]);
    assert_eq!(
        indexed["places"][0]["place"],
        json!({"index": "notes"}),
        "{indexed}"
    );
    stage.json(&["deactivate", "boathouse/pareto"]);
}

/// Everything that happened to a plugin is on record, and it is in the list.
fn check_told(stage: &Stage, name: &str) {
    let events = stage.json(&["events"]);
    let happened: Vec<&str> = events["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| event["name"] == name)
        .filter_map(|event| event["event"].as_str())
        .collect();
    for expected in [
        "uploaded",
        "shadow_started",
        "shadow_stopped",
        "activated",
        "rolled_back",
        "deleted",
    ] {
        assert!(
            happened.contains(&expected),
            "`{expected}` is missing in {happened:?}"
        );
    }
    let list = text(&stage.run(&["list"]).stdout);
    assert!(
        list.contains(name) && list.contains("boathouse/pii"),
        "{list}"
    );
}

/// The version of the bundled scoring plugin.
fn pareto(stage: &Stage) -> String {
    let list = stage.json(&["list"]);
    let plugins = list["plugins"].as_array().expect("plugins");
    let found = plugins
        .iter()
        .find(|plugin| plugin["name"] == "boathouse/pareto");
    let version = found.and_then(|plugin| plugin["version"].as_str());
    version.expect("a version").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_team_suffices_for_the_whole_life_of_its_plugins() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let folder = files(&[("marked-1.wasm", MARKED_1), ("marked-2.wasm", MARKED_2)]);
    let (one, two) = (
        path(&folder, "marked-1.wasm"),
        path(&folder, "marked-2.wasm"),
    );
    let data = host.data.display().to_string();
    let key = path(&folder, "team.key");
    for scope in [
        &["--admin", "boss"][..],
        &["--scope", "plugins:write:test", "team", "--out", &key],
    ] {
        let made = run(&[&["--data", &data, "key", "create"], scope].concat());
        assert!(made.status.success(), "{}", text(&made.stderr));
    }
    let team = |arguments: &[&str]| {
        let target = ["--url", &host.url, "--key-file", &key, "plugin"];
        run(&[&target, arguments].concat())
    };
    let name = "test/marked";
    for arguments in [
        &["push", &one][..],
        &["push", &two],
        &["shadow", name, "1.0.0"],
        &["shadow", name, "1.0.0", "--show"],
        &["shadow", name, "1.0.0", "--stop"],
        &["activate", name, "1.0.0", "--index", "notes"],
        &["deactivate", name],
        &["activate", name, "1.0.0"],
        &["activate", name, "2.0.0"],
        &["rollback", name],
        &["delete", name, "2.0.0"],
    ] {
        let done = team(arguments);
        assert!(
            done.status.success(),
            "{arguments:?}: {}",
            text(&done.stderr)
        );
    }
    let told = json_of(&run(&["--data", &data, "--json", "plugin", "events"]));
    let events = told["events"].as_array().expect("events");
    let own: Vec<_> = events
        .iter()
        .filter(|event| event["name"] == name)
        .collect();
    for event in &own {
        let by = event["by"].as_str().expect("text");
        assert!(by.starts_with("team"), "whose key it was: {event}");
    }
    assert!(own.len() > 10, "{told}");
    let nobody = team(&["delete", "test/nobody", "1.0.0"]);
    check_refused(&nobody, 1, &["there is no plugin `test/nobody`"]);
    let no_name = team(&["rollback", "test/marked/events"]);
    check_refused(&no_name, 1, &["there is no plugin `test/marked/events`"]);
    let foreign = team(&["activate", "boathouse/pareto", "1.0.0"]);
    check_refused(&foreign, 1, &["scope_missing", "plugins:write:boathouse"]);
    check_refused(&team(&["list"]), 1, &["scope_missing", "read"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_replayed_over_a_real_journal_before_it_is_uploaded() {
    let stage = Stage::set().await;
    let replay = |file: &str| stage.json(&["replay", &stage.file(file), "--index", "notes"]);
    let proposed = replay("proposer.wasm");
    assert_eq!(
        (
            &proposed["asked"],
            &proposed["equal"],
            &proposed["without_question"]
        ),
        (&json!(3), &json!(3), &json!(0)),
        "{proposed}"
    );
    let scored = replay("marked-1.wasm");
    assert_eq!(
        scored["trials"].as_array().map(Vec::len),
        Some(4),
        "{scored}"
    );
    assert!(scored["winner_recorded"].is_string(), "{scored}");
    let detector = stage.run(&["replay", &stage.file("pii.wasm"), "--index", "notes"]);
    check_refused(&detector, 1, &["plugin shadow"]);
    let nowhere = stage.run(&["replay", &stage.file("proposer.wasm"), "--index", "nowhere"]);
    check_refused(&nowhere, 1, &["unknown_index"]);
}
