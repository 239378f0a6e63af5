//! Versions beside those that serve: compared over what the host remembers and as it goes on, harmless
//! whatever they do.

use serde_json::{Value, json};

use crate::{
    guests::{EVIL_PII, EVIL_PROPOSER, EVIL_SCORING, MARKED_1, order},
    support::{Host, check_problem, sentences},
};

/// A host with an index whose journal has trials, a version uploaded and running beside what serves.
async fn stage(plugin: &str, version: &str, component: &'static [u8]) -> Host {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let (status, report) = host
        .post("/vectors/autotune/notes", &json!({"max_trials": 4}))
        .await;
    assert_eq!(status, 200, "{report}");
    begin(&host, plugin, version, component).await;
    host
}

async fn begin(host: &Host, plugin: &str, version: &str, component: &'static [u8]) {
    let (status, body) = host
        .post_raw(&format!("/plugins/{plugin}/versions"), component)
        .await;
    assert_eq!(status, 201, "{body}");
    let (status, body) = host.post(&shadow(plugin, version), &json!({})).await;
    assert_eq!((status, &body["state"]), (200, &json!("shadow")), "{body}");
}

fn shadow(plugin: &str, version: &str) -> String {
    format!("/plugins/{plugin}/versions/{version}/shadow")
}

/// Both sides answered something, and each side's calls were timed.
#[track_caller]
fn check_sides(report: &Value) {
    assert_ne!(report["history"]["compared"], 0, "{report}");
    for side in ["active", "shadow"] {
        let latency = &report["history"][side]["latency"];
        assert!(latency["calls"].as_u64() > Some(0), "{side}: {report}");
        assert!(
            latency["p95_us"].as_u64() >= latency["p50_us"].as_u64(),
            "{report}"
        );
    }
}

#[tokio::test]
async fn a_scoring_plugin_is_compared_over_journals_and_as_answers_go_out() {
    let plugin = "scoring/test/marked";
    let host = stage(plugin, "1.0.0", MARKED_1).await;
    let path = shadow(plugin, "1.0.0");
    let report = host.read(&path).await;
    check_sides(&report);
    let row = &report["history"]["differences"]["scoring"][0];
    assert_eq!(
        (
            &row["index"],
            &row["active"]["name"],
            &row["difference"]["trials"]
        ),
        (&json!("notes"), &json!("boathouse/pareto"), &json!(4)),
        "{report}"
    );
    for winner in ["winner_active", "winner_shadow"] {
        assert!(row[winner].is_string(), "{report}");
    }
    // What serves goes on serving, and each answer is put to the shadow too.
    let best = host.read("/vectors/trials/notes/best").await;
    assert_eq!(best["scored_by"]["name"], "boathouse/pareto");
    let report = host
        .until(&path, |report| {
            report["live"]["answered"].as_u64() > Some(0)
        })
        .await;
    let live = &report["live"];
    assert_eq!(
        live["answered"].as_u64(),
        Some(live["equal"].as_u64().unwrap_or(0) + live["different"].as_u64().unwrap_or(0)),
        "{live}"
    );
    let metrics = host.get("/metrics").await.1;
    let metrics = metrics.as_str().expect("text");
    let labels = r#"kind="scoring",plugin="test/marked",version="1.0.0""#;
    for line in [
        format!("boathouse_plugin_calls_total{{{labels}}}"),
        format!("boathouse_plugin_call_duration_seconds_count{{{labels}}}"),
        format!(r#"boathouse_plugin_shadow_questions_total{{{labels},outcome="dropped"}} 0"#),
        r#"boathouse_plugin_info{kind="scoring",plugin="boathouse/pareto""#.to_owned(),
        "boathouse_indexes 1".to_owned(),
        "boathouse_datasets 1".to_owned(),
    ] {
        assert!(
            metrics.contains(&line),
            "`{line}` is missing in:\n{metrics}"
        );
    }
}

#[tokio::test]
async fn a_shadow_is_guarded_outlives_a_kill_and_ends_when_told() {
    let plugin = "scoring/test/marked";
    let host = stage(plugin, "1.0.0", MARKED_1).await;
    let path = shadow(plugin, "1.0.0");
    let version = format!("/plugins/{plugin}/versions/1.0.0");
    check_problem(
        host.delete(&version).await,
        409,
        "version_in_use",
        &["shadow"],
    );
    let (status, again) = host.post(&path, &json!({})).await;
    assert_eq!(
        (status, &again["state"]),
        (200, &json!("shadow")),
        "{again}"
    );

    let host = host.kill_and_restart();
    let report = host.read(&path).await;
    check_sides(&report);
    assert_eq!(
        report["live"]["answered"], 0,
        "figures begin anew: {report}"
    );
    host.read("/vectors/trials/notes/best").await;
    host.until(&path, |report| {
        report["live"]["answered"].as_u64() > Some(0)
    })
    .await;

    let (status, ended) = host.delete(&path).await;
    assert_eq!(
        (status, &ended["state"]),
        (200, &json!("checked")),
        "{ended}"
    );
    check_problem(host.get(&path).await, 409, "no_shadow", &["POST"]);
    check_problem(host.delete(&path).await, 409, "no_shadow", &["1.0.0"]);
    let nowhere = shadow(plugin, "9.9.9");
    check_problem(host.get(&nowhere).await, 404, "unknown_version", &["9.9.9"]);
    let serves = shadow("scoring/boathouse/pareto", &serving(&host).await);
    check_problem(
        host.post(&serves, &json!({})).await,
        409,
        "version_in_use",
        &["serves"],
    );
}

/// The version of the scoring plugin that serves.
async fn serving(host: &Host) -> String {
    let best = host.read("/vectors/trials/notes/best").await;
    best["scored_by"]["version"]
        .as_str()
        .expect("a version")
        .to_owned()
}

#[tokio::test]
async fn a_proposer_is_asked_what_was_asked_and_what_comes_next() {
    let plugin = "proposer/evil/proposer";
    let host = stage(plugin, "1.0.0", EVIL_PROPOSER).await;
    let report = host.read(&shadow(plugin, "1.0.0")).await;
    check_sides(&report);
    let rows = report["history"]["differences"]["proposer"]
        .as_array()
        .expect("rows");
    assert_eq!(
        rows.len(),
        4,
        "three proposed trials and the next one: {report}"
    );
    let (next, past) = rows.split_first().expect("rows");
    assert_eq!((&next["after"], &next["trial"]), (&json!(4), &Value::Null));
    for row in past {
        assert_eq!(
            row["difference"]["active"]["settings"], row["recorded"],
            "the bundled proposer repeats itself: {row}"
        );
        // The least of everything.
        assert_eq!(
            row["difference"]["shadow"]["settings"],
            json!([8, 20, 10]),
            "{row}"
        );
        assert_eq!(
            row["shadow_as_recorded"], row["difference"]["equal"],
            "{row}"
        );
        assert_eq!(
            row["assumed"],
            Value::Null,
            "the journal says what was asked: {row}"
        );
    }
    let (status, grown) = host
        .post("/vectors/autotune/notes", &json!({"max_trials": 2}))
        .await;
    assert_eq!(status, 200, "{grown}");
    for trial in grown["trials"].as_array().expect("trials") {
        assert_eq!(trial["proposed_by"]["name"], "boathouse/epsilon-greedy");
    }
    let path = shadow(plugin, "1.0.0");
    host.until(&path, |report| report["live"]["answered"] == 2)
        .await;
}

#[tokio::test]
async fn a_detector_is_compared_on_samples_and_no_value_leaves() {
    let host = Host::fresh();
    host.ingest(
        "people",
        "name,mail\nAda,ada@values.example\nBob,bob@values.example\n",
    )
    .await;
    let plugin = "pii/evil/pii";
    begin(&host, plugin, "1.0.0", EVIL_PII).await;
    let path = shadow(plugin, "1.0.0");
    let report = host.read(&path).await;
    check_sides(&report);
    let table = &report["history"]["differences"]["pii"][0];
    assert_eq!(
        (&table["dataset"], &table["version"], &table["rows"]),
        (&json!("people"), &json!(1), &json!(2)),
        "{report}"
    );
    let lost = table["difference"]["lost"].as_array().expect("lost");
    assert!(
        lost.iter()
            .any(|found| found["column"] == "mail" && found["kind"] == "email"),
        "it finds nothing, so every finding is lost: {report}"
    );
    assert_eq!(table["difference"]["added"], json!([]));
    // A detector of a new name is asked beside every one that serves.
    host.ingest("more", "mail\ncarl@values.example\n").await;
    let report = host
        .until(&path, |report| {
            report["live"]["answered"].as_u64() > Some(0)
        })
        .await;
    assert_eq!(report["live"]["different"], 1, "{report}");
    assert!(
        !report.to_string().contains("values.example"),
        "a value left: {report}"
    );
}

#[tokio::test]
async fn a_shadow_that_crashes_is_told_of_and_hurts_nobody() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    // The objective orders the hostile plugin to crash; an honest one has memory enough.
    let body = json!({"name": "notes", "dataset": "notes", "text_column": "text",
        "objective": {"recall_floor": 0.5, "memory_cap_bytes": order("trap")}});
    host.done("/vectors/indexes", &body).await;
    host.done("/vectors/trials/notes", &json!({})).await;
    let plugin = "scoring/evil/scoring";
    begin(&host, plugin, "1.0.0", EVIL_SCORING).await;
    let path = shadow(plugin, "1.0.0");
    let report = host.read(&path).await;
    let history = &report["history"];
    assert_eq!(
        history["shadow"]["failures"],
        json!({"trap": 1}),
        "{report}"
    );
    assert_eq!(history["active"]["failures"], json!({}), "{report}");
    assert_eq!(history["unanswered"][0]["plugin"]["name"], "evil/scoring");
    assert_eq!(history["compared"], 0);
    for _ in 0..3 {
        let best = host.read("/vectors/trials/notes/best").await;
        assert_eq!(best["scored_by"]["name"], "boathouse/pareto");
    }
    let report = host
        .until(&path, |report| report["live"]["stopped"].is_string())
        .await;
    assert_eq!(report["live"]["failures"], json!({"trap": 3}), "{report}");
    let serving = host.read("/plugins/scoring/boathouse/pareto").await;
    assert_eq!(
        serving["versions"][0]["suspended"],
        Value::Null,
        "{serving}"
    );
}

#[tokio::test]
async fn readers_who_come_at_once_share_a_comparison() {
    let plugin = "scoring/test/marked";
    let host = stage(plugin, "1.0.0", MARKED_1).await;
    let path = shadow(plugin, "1.0.0");
    let readers = (0..8).map(|_| host.read(&path));
    let reports = futures::future::join_all(readers).await;
    for report in &reports {
        check_sides(report);
        assert_eq!(
            report["history"]["differences"],
            reports[0]["history"]["differences"]
        );
    }
}
