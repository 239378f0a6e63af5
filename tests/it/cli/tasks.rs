//! Long work from the command line: it is listed, waited for and cancelled, and goes on when a command is interrupted.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::{check_refused, text};
use crate::support::{Host, passages, program, run, sentences};

/// Runs a command against a host; it must succeed.
#[track_caller]
fn told(host: &Host, arguments: &[&str]) -> String {
    let output = run(&[&["--url", &host.url], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Starts a command, interrupts it when the first part of its task of a kind is done, and waits for its end.
async fn interrupted(host: &Host, arguments: &[&str], kind: &str) -> Output {
    let command = Command::new(program())
        .args(["--url", &host.url])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // By then the command follows its task: before it does so, a signal would end it without a word.
    let has_begun = |task: &Value| task["progress"]["done"].as_u64() >= Some(1);
    host.until("/tasks", |list| running(list, kind).is_some_and(has_begun))
        .await;
    let id = command.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status();
    assert!(killed.expect("a signal").success());
    command.wait_with_output().expect("it ends")
}

fn running<'a>(list: &'a Value, kind: &str) -> Option<&'a Value> {
    let mut tasks = list["tasks"].as_array().expect("tasks").iter();
    tasks.find(|task| task["kind"] == kind && task["state"] == "running")
}

#[tokio::test]
async fn a_run_goes_on_when_its_command_is_interrupted_and_is_cancelled_by_another() {
    let host = Host::fresh();
    host.ingest("notes", passages()).await;
    host.index("notes", "notes", "passage").await;
    let run_it = ["tune", "run", "notes", "--strategy", "grid"];
    let most = ["--max-trials", "10000"];
    let ended = interrupted(&host, &[&run_it[..], &most].concat(), "autotune").await;
    let said = ["goes on with autotune `notes`", "boathouse task cancel"];
    check_refused(&ended, 130, &said);

    let list = host.read("/tasks").await;
    let task = running(&list, "autotune").expect("the host goes on");
    let id = task["id"].as_str().expect("an id").to_owned();
    assert!(text(&ended.stderr).contains(&id));
    let busy = run(&["--url", &host.url, "index", "delete", "notes"]);
    check_refused(&busy, 1, &["index_busy", "boathouse task list"]);
    let shown = told(&host, &["task", "list", "--running"]);
    assert!(shown.contains(&id) && shown.contains("trials"), "{shown}");
    assert!(told(&host, &["task", "cancel", &id]).contains("asked to stop"));
    let report = told(&host, &["--json", "task", "wait", &id]);
    let report: Value = serde_json::from_str(&report).expect("json");
    assert_eq!(report["ended"]["why"], "cancelled", "{report}");
    let shown = told(&host, &["task", "show", &id]);
    assert!(shown.contains("cancelled"), "{shown}");
    told(&host, &["index", "delete", "notes"]);
}

#[tokio::test]
async fn a_run_tells_why_it_ended_and_which_trial_it_recommends() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let output = run(&[
        "--url",
        &host.url,
        "tune",
        "run",
        "notes",
        "--max-trials",
        "2",
    ]);
    let (shown, bars) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{bars}");
    assert!(
        shown.contains("2 trials, as many as were allowed"),
        "{shown}"
    );
    assert!(
        shown.contains("keep what serves: ") || shown.contains("promote "),
        "{shown}"
    );
    assert!(bars.contains("trials: 2 of 2"), "{bars}");
    let unknown = run(&["--url", &host.url, "task", "show", "none"]);
    check_refused(&unknown, 1, &["unknown_task"]);
}

#[tokio::test]
async fn a_run_keeps_to_the_bounds_that_its_options_give() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let run_it = [
        "tune",
        "run",
        "notes",
        "--strategy",
        "grid",
        "--max-trials",
        "3",
    ];
    let bounds = ["--bound", "m=4", "--bound", "ef-search=10..20:10"];
    let report = told(&host, &[&["--json"][..], &run_it, &bounds].concat());
    let report: Value = serde_json::from_str(&report).expect("json");
    let trials = report["trials"].as_array().expect("trials");
    assert_eq!(trials.len(), 3, "{report}");
    // The first one is what serves.
    for trial in &trials[1..] {
        let config = &trial["config"];
        let is_within =
            config["m"] == 4 && (config["ef_search"] == 10 || config["ef_search"] == 20);
        assert!(is_within, "{trial}");
    }
    for (bounds, code, words) in [
        (["--bound", "m"], 2, ["KNOB=MIN..MAX:STEP"]),
        (["--bound", "width=4"], 1, ["there is no knob `width`"]),
        (["--bound", "m=1..4"], 1, ["knob `m` leaves 2 to 128"]),
    ] {
        let refused = run(&[&["--url", &host.url][..], &run_it, &bounds].concat());
        check_refused(&refused, code, &words);
    }
}
