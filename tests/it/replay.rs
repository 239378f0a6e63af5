//! Journals that prove themselves: every proposal follows from the lines before it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Host, check_problem, sentences};

const REPLAY: &str = "/vectors/agent/replay/notes";

/// A host with an index and so many trials, all but the first one proposed.
async fn stage(trials: u32) -> Host {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let body = json!({"max_trials": trials});
    let (status, report) = host.post("/vectors/autotune/notes", &body).await;
    assert_eq!(status, 200, "{report}");
    host
}

/// Numbers of equal, different and unasked trials.
fn counts(report: &Value) -> [u64; 3] {
    ["equal", "different", "not_asked"].map(|key| report[key].as_u64().expect("a number"))
}

/// Files of the journal.
fn journal(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(journal(&path));
        } else if path
            .components()
            .any(|part| part.as_os_str() == "_hnsw_trials")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn every_proposal_comes_out_again_after_a_restart_too() {
    let host = stage(5).await;
    let report = host.read(REPLAY).await;
    assert_eq!(counts(&report), [4, 0, 0], "{report}");
    let newest = &report["trials"][0];
    assert_eq!(
        (&newest["line"], &newest["outcome"], &newest["same_journal"]),
        (&json!(4), &json!("equal"), &json!(true)),
        "{report}"
    );
    assert_eq!(newest["proposed"]["settings"], newest["recorded"]);
    let host = host.kill_and_restart();
    assert_eq!(
        host.read(REPLAY).await,
        report,
        "bit by bit, whatever was restarted"
    );
    let (status, _) = host
        .post("/vectors/autotune/notes", &json!({"max_trials": 2}))
        .await;
    assert_eq!(status, 200);
    let grown = host.read(REPLAY).await;
    assert_eq!(counts(&grown), [6, 0, 0], "{grown}");
    for limit in [0, 1_001] {
        let refused = host.get(&format!("{REPLAY}?limit={limit}")).await;
        check_problem(refused, 422, "bad_query", &["limit", "1 to 1,000"]);
    }
    let short = host.read(&format!("{REPLAY}?limit=2")).await;
    assert_eq!(
        (counts(&short), &short["left_out"]),
        ([2, 0, 0], &json!(4)),
        "{short}"
    );
}

#[tokio::test]
async fn a_line_that_was_tampered_with_shows() {
    let host = stage(4).await;
    let report = host.read(REPLAY).await;
    let [newest, before] = [&report["trials"][0], &report["trials"][1]];
    let id = before["trial"].as_str().expect("an id").to_owned();
    let data = host.data.clone();
    let mut changed = 0;
    for file in journal(&data.join("primary")) {
        let text = std::fs::read_to_string(&file).expect("a file");
        if !text.contains(&id) {
            continue;
        }
        let lines = text.lines().map(|line| {
            let Ok(mut trial) = serde_json::from_str::<Value>(line) else {
                return line.to_owned();
            };
            if trial["id"] == id {
                changed += 1;
                trial["config"]["ef_search"] = json!(3_999);
            }
            trial.to_string()
        });
        let lines: Vec<String> = lines.collect();
        std::fs::write(&file, lines.join("\n") + "\n").expect("written");
    }
    assert_eq!(changed, 1, "one line stands for one trial");
    let host = host.kill_and_restart();
    let tampered = host.read(REPLAY).await;
    let row = |id: &Value| {
        let rows = tampered["trials"].as_array().expect("trials");
        rows.iter()
            .find(|row| row["trial"] == *id)
            .expect("a row")
            .clone()
    };
    let forged = row(&before["trial"]);
    assert_eq!(
        (&forged["equal"], &forged["outcome"]),
        (&json!(false), &json!("different")),
        "it claims what was never proposed: {forged}"
    );
    let after = row(&newest["trial"]);
    assert_eq!(
        after["same_journal"], false,
        "the question has changed: {after}"
    );
    assert_eq!(
        tampered["trials"][2], report["trials"][2],
        "lines before are as they were"
    );
}

#[tokio::test]
async fn other_settings_are_not_blamed_on_the_plugin() {
    let host = stage(7).await;
    let settings = "[plugins.settings.\"boathouse/epsilon-greedy\"]\nepsilon = \"1\"\n";
    let host = host.kill_and(|data| {
        std::fs::write(data.join("boathouse.toml"), settings).expect("written");
    });
    let report = host.read(REPLAY).await;
    let [_, different, not_asked] = counts(&report);
    assert!(different > 0 && not_asked == 0, "{report}");
    for row in report["trials"].as_array().expect("trials") {
        let outcome = row["outcome"].as_str().expect("words");
        assert!(["equal", "settings_changed"].contains(&outcome), "{row}");
    }
    let host = host.kill_and(|data| {
        std::fs::remove_file(data.join("boathouse.toml")).expect("removed");
    });
    let report = host.read(REPLAY).await;
    assert_eq!(counts(&report), [6, 0, 0], "{report}");
}

#[tokio::test]
async fn what_nobody_can_be_asked_about_is_listed_as_such() {
    let host = stage(2).await;
    check_problem(
        host.get("/vectors/agent/replay/nowhere").await,
        404,
        "unknown_index",
        &["nowhere"],
    );
    check_problem(
        host.get(&format!("{REPLAY}?limit=many")).await,
        422,
        "bad_query",
        &["limit"],
    );
    let mut lines = Vec::new();
    for file in journal(&host.data.join("primary")) {
        let text = std::fs::read_to_string(&file).expect("a file");
        for line in text.lines() {
            let mut trial: Value = serde_json::from_str(line).expect("json");
            if trial["proposed_by"].is_object() {
                let mut gone = trial.clone();
                gone["proposed_by"]["version"] = json!("0.0.1");
                gone["id"] = json!("gone");
                trial["id"] = json!("older");
                trial.as_object_mut().expect("a trial").remove("asked");
                lines.extend([trial.to_string(), gone.to_string()]);
            }
        }
    }
    assert_eq!(lines.len(), 2);
    let folder = journal(&host.data.join("primary"))[0]
        .parent()
        .expect("a folder")
        .to_owned();
    // A name that is no UUID: such files sort before the others.
    std::fs::write(folder.join("foreign.jsonl"), lines.join("\n") + "\n").expect("written");
    let host = host.kill_and_restart();
    let report = host.read(REPLAY).await;
    let outcome = |id: &str| {
        let rows = report["trials"].as_array().expect("trials");
        let row = rows.iter().find(|row| row["trial"] == id);
        row.map(|row| row["outcome"].clone()).unwrap_or_default()
    };
    assert_eq!(outcome("older"), "not_recorded", "{report}");
    assert_eq!(outcome("gone"), "plugin_gone", "{report}");
    assert_eq!(counts(&report)[2], 2, "{report}");
}
