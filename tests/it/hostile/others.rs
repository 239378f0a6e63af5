//! The other two kinds: detectors that attack during an ingest, and proposers that attack a run of
//! trials.
//!
//! An ingest goes on without the detector and says so; a run goes on with the bundled proposer once the
//! hostile one is suspended.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{activate, arena, field, install};
use crate::{
    guests::{EVIL_PROPOSER, order},
    support::{Host, sentences},
};

#[test]
fn a_detector_that_loops_is_stopped_and_the_ingest_says_so() {
    check_detector(
        "loop",
        &expect![[r#"
            evil/pii@1.0.0: it was stopped at its deadline of 2000 ms
        "#]],
    );
}

#[test]
fn a_detector_that_takes_all_memory_is_stopped() {
    check_detector(
        "memory",
        &expect![[r#"
            evil/pii@1.0.0: it exceeded its limit: linear memory of 67108864 bytes
        "#]],
    );
}

#[test]
fn a_detector_that_panics_has_failed() {
    check_detector(
        "panic",
        &expect![[r#"
            evil/pii@1.0.0: it crashed: wasm trap: wasm `unreachable` instruction executed
        "#]],
    );
}

#[test]
fn a_finding_in_no_column_is_refused() {
    check_detector(
        "column",
        &expect![[r#"
            evil/pii@1.0.0: it found something in column 4294967295 of a table with 2 columns
        "#]],
    );
}

#[test]
fn a_confidence_that_is_no_number_is_refused() {
    check_detector(
        "certain",
        &expect![[r#"
            evil/pii@1.0.0: the confidence of `secret` is NaN, outside 0 to 1
        "#]],
    );
}

#[test]
fn the_same_finding_twice_is_refused() {
    check_detector(
        "twice",
        &expect![[r#"
            evil/pii@1.0.0: it found `secret` twice in column 0
        "#]],
    );
}

#[test]
fn evidence_that_contradicts_itself_is_refused() {
    check_detector(
        "proofs",
        &expect![[r#"
            evil/pii@1.0.0: the evidence for `secret` in column 0 contradicts itself: 20 sampled, 4294967295 tested, 0 matched, 0 passed
        "#]],
    );
}

#[test]
fn more_findings_than_there_can_be_are_refused() {
    check_detector(
        "many",
        &expect![[r#"
            evil/pii@1.0.0: it exceeded its limit: 16777216 bytes handed to the host at once
        "#]],
    );
}

/// Ingests a table with an order in it, and compares what the hostile detector's failure is called.
fn check_detector(word: &str, expected: &Expect) {
    let arena = arena();
    arena.runtime.block_on(async {
        let _turn = arena.turn.lock().await;
        let report = arena.host.ingest("orders", table(word)).await;
        expected.assert_eq(&failures(&report).concat());
        check_email_is_found(&report);

        let report = arena.host.ingest("orders", table("nothing")).await;
        assert_eq!(failures(&report), [""; 0]);
        check_email_is_found(&report);
        arena.serves_on().await;
    });
}

/// A table that orders a hostile detector to attack.
fn table(word: &str) -> String {
    let rows = (0..20).map(|row| format!("user{row}@example.org,{row}\n"));
    format!("email,attack_{word}\n{}", rows.collect::<String>())
}

/// What is said of detectors that failed, a line each.
fn failures(report: &Value) -> Vec<String> {
    let failures = report["detector_failures"].as_array().expect("a list");
    let line = |failure: &Value| format!("{}\n", failure.as_str().unwrap_or_default());
    failures.iter().map(line).collect()
}

/// The bundled detector has done its work.
#[track_caller]
fn check_email_is_found(report: &Value) {
    let findings = report["findings"].as_array().expect("a list");
    let emails = findings.iter().filter(|finding| finding["kind"] == "email");
    assert_eq!(emails.count(), 1, "{report}");
}

#[tokio::test]
async fn a_proposer_beyond_the_bounds_is_refused_and_suspended() {
    check_proposer("beyond", json!({"bad_answer": 3})).await;
}

#[tokio::test]
async fn a_proposer_off_the_step_is_refused_and_suspended() {
    check_proposer("offstep", json!({"bad_answer": 3})).await;
}

#[tokio::test]
async fn a_proposer_without_enough_values_is_refused_and_suspended() {
    check_proposer("few", json!({"bad_answer": 3})).await;
}

#[tokio::test]
async fn a_proposer_that_loops_is_stopped_and_suspended() {
    check_proposer("loop", json!({"deadline": 3})).await;
}

/// On a host of its own, since it ends with the plugin suspended: a run with a hostile proposer ends
/// with its trials, which the bundled one proposed.
async fn check_proposer(word: &str, failures: Value) {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    install(&host, "proposer/evil/proposer", EVIL_PROPOSER).await;
    field(&host, "notes", Some(order(word))).await;
    let at = json!({"indexes": ["notes"]});
    activate(&host, "proposer/evil/proposer", &at).await;
    let run = json!({"max_trials": 2});
    let (status, report) = host.post("/vectors/autotune/notes", &run).await;
    assert_eq!(status, 200, "{report}");
    let trials = report["trials"].as_array().expect("trials");
    assert_eq!(trials.len(), 2, "{report}");
    let proposer = &trials[1]["proposed_by"]["name"];
    assert_eq!(proposer, "boathouse/epsilon-greedy", "{report}");
    assert_eq!(report["refused"], 3, "{report}");
    assert_eq!(report["suspended"]["name"], "evil/proposer", "{report}");
    let why = report["last_refusal"].as_str().expect("words");
    assert!(why.starts_with("evil/proposer@1.0.0: "), "{report}");
    let suspended = |plugin: &Value| plugin["versions"][0]["suspended"].is_object();
    let plugin = host.until("/plugins/proposer/evil/proposer", suspended);
    let stats = plugin.await["versions"][0]["stats"].clone();
    assert_eq!(stats["failures"], failures, "{stats}");
    assert_eq!(host.read("/readyz").await["ready"], true);
}
