//! The agent over HTTP and on the command line: it tunes what is asked for within its hour, says what it waits for,
//! and stays as a person left it.

use serde_json::{Value, json};

use crate::{
    guests::{EVIL_PROPOSER, order},
    support::{Host, check_problem, passages, run, sentences},
};

const STATUS: &str = "/vectors/agent/status";

/// An agent that is on, has no pauses, and may run four trials an hour.
const EAGER: &str = "[agent]\nenabled = true\nmax_trials_per_hour = 4\ncooldown_secs = 0\nwake_interval_secs = 0\n\
    [vectors]\neval_queries = 60\n";

/// A host with a badly configured index on a few thousand passages.
async fn tunable(config: &str) -> Host {
    let host = Host::configured(config);
    host.ingest("requests", passages()).await;
    let spec = json!({"name": "requests", "dataset": "requests", "text_column": "passage",
        "config": {"m": 2, "ef_construction": 2, "ef_search": 1}, "objective": {"recall_floor": 0.5}});
    host.done("/vectors/indexes", &spec).await;
    host
}

async fn ask(host: &Host, index: &str) -> Value {
    let path = format!("/vectors/agent/enqueue/{index}");
    let (status, entry) = host.post(&path, &json!({})).await;
    assert_eq!(status, 200, "{entry}");
    entry
}

fn gate<'a>(agent: &'a Value, name: &str) -> &'a Value {
    let gates = agent["gates"].as_array().expect("gates");
    let gate = gates.iter().find(|gate| gate["gate"] == name);
    gate.unwrap_or_else(|| panic!("no gate {name}: {agent}"))
}

fn text_of(arguments: &[&str]) -> String {
    let ran = run(arguments);
    let error = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{arguments:?}: {error}");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

#[tokio::test]
async fn what_is_asked_for_is_tuned_and_a_full_hour_survives_a_kill() {
    let host = tunable(EAGER).await;
    ask(&host, "requests").await;
    // It is written down before its reasons leave the queue and before that is told.
    let is_over = |agent: &Value| {
        agent["indexes"][0]["looks"][0]["outcome"].is_string() && agent["working"].is_null()
    };
    let agent = host.until(STATUS, is_over).await;
    let look = &agent["indexes"][0]["looks"][0];
    assert_eq!(look["reasons"], json!(["asked"]), "{look}");
    let outcome = look["outcome"].as_str().expect("an outcome");
    assert!(["promoted", "kept"].contains(&outcome), "{look}");
    let detail = agent["indexes"][0]["detail"].as_str().expect("words");
    assert!(
        detail.contains("tuned") && detail.contains(outcome),
        "{detail}"
    );
    let tried = look["trials"].as_u64().expect("a number");
    assert!((1..=4).contains(&tried), "{look}");
    let journal = host.read("/vectors/trials/requests").await;
    assert_eq!(journal["total"], tried);
    assert_eq!(agent["trials"]["finished"], tried);
    assert!(
        agent["queue"].as_array().expect("a queue").is_empty(),
        "{agent}"
    );

    let events = text_of(&["agent", "events", "--url", &host.url]);
    for event in ["woke", "proposed", "trial", outcome, "settled"] {
        assert!(events.contains(event), "`{event}` is missing in:\n{events}");
    }
    let metrics = host.read("/metrics").await;
    let metrics = metrics.as_str().expect("text");
    let line = format!("boathouse_agent_outcomes_total{{outcome=\"finished\"}} {tried}");
    assert!(metrics.contains(&line), "{metrics}");

    let began = |agent: &Value| agent["trials"]["in_last_hour"].as_u64().expect("a number");
    let mut before = began(&agent);
    while before < 4 {
        let looks = agent["trials"]["kept"].as_u64();
        ask(&host, "requests").await;
        let agent = host
            .until(STATUS, |agent| {
                began(agent) == 4 || agent["trials"]["kept"].as_u64() > looks
            })
            .await;
        if began(&agent) == before {
            // The proposer has nothing left; what was tried counts nevertheless.
            break;
        }
        before = began(&agent);
    }
    let host = host.kill_and_restart();
    let agent = host.until(STATUS, |agent| began(agent) == before).await;
    if before == 4 {
        let rate = gate(&agent, "rate");
        assert_eq!(rate["open"], false, "{rate}");
        assert!(rate["opens_at"].is_string(), "{rate}");
        let entry = ask(&host, "requests").await;
        let waits = entry["tuning"].as_str().expect("words");
        assert!(waits.contains("4 of 4 trials"), "{entry}");
    }
    let replayed = text_of(&["agent", "replay", "requests", "--url", &host.url]);
    assert!(replayed.contains("proposals are as recorded"), "{replayed}");
}

/// A proposer that traps is counted, and suspended as anywhere; its index is tuned all the same.
#[tokio::test]
async fn a_proposer_that_traps_costs_nothing_but_its_proposals() {
    const PLUGIN: &str = "/plugins/proposer/evil/proposer";
    let host = Host::configured(EAGER);
    host.ingest("requests", passages()).await;
    let spec = json!({"name": "requests", "dataset": "requests", "text_column": "passage",
        "config": {"m": 2, "ef_construction": 2, "ef_search": 1},
        "objective": {"recall_floor": 0.5, "memory_cap_bytes": order("trap")}});
    host.done("/vectors/indexes", &spec).await;
    let versions = format!("{PLUGIN}/versions");
    let (status, told) = host.post_raw(&versions, EVIL_PROPOSER).await;
    assert_eq!(status, 201, "{told}");
    let at = json!({"indexes": ["requests"]});
    let (status, told) = host.post(&format!("{versions}/1.0.0/activate"), &at).await;
    assert_eq!(status, 200, "{told}");

    ask(&host, "requests").await;
    let is_over = |agent: &Value| {
        agent["indexes"][0]["looks"][0]["outcome"].is_string() && agent["working"].is_null()
    };
    let agent = host.until(STATUS, is_over).await;
    let look = &agent["indexes"][0]["looks"][0];
    let outcome = look["outcome"].as_str().expect("an outcome");
    assert!(["promoted", "kept"].contains(&outcome), "{look}");
    // What serves, and what the bundled proposer asks for once the other one is suspended.
    assert!(look["trials"].as_u64() >= Some(2), "{look}");
    assert_eq!(agent["trials"]["refused"], 3, "{agent}");
    let detail = look["detail"].as_str().expect("words");
    let said = detail.contains("evil/proposer@1.0.0 was suspended");
    assert!(said, "{look}");
    assert_eq!(agent["breaks"]["count"], 0, "{agent}");
    let events = text_of(&["agent", "events", "--url", &host.url]);
    assert!(events.contains("wasm trap"), "{events}");
    let is_suspended = |plugin: &Value| plugin["versions"][0]["suspended"].is_object();
    host.until(PLUGIN, is_suspended).await;
}

#[tokio::test]
async fn who_stops_the_agent_has_stopped_it_until_somebody_starts_it() {
    let host = tunable(EAGER).await;
    let (status, agent) = host.post("/vectors/agent/stop", &json!({})).await;
    assert_eq!((status, &agent["tuning"]), (200, &json!(false)), "{agent}");
    let host = host.kill_and_restart();
    let entry = ask(&host, "requests").await;
    let waits = entry["tuning"].as_str().expect("words");
    assert!(waits.contains("stopped by anonymous"), "{entry}");
    assert_eq!(entry["closed"][0]["gate"], "enabled", "{entry}");
    let agent = host.read(STATUS).await;
    assert_eq!(agent["switched"]["by"], "anonymous", "{agent}");
    assert_eq!(agent["trials"]["started"], 0);
    assert_eq!(
        agent,
        host.until("/vectors/agent", |same| *same == agent).await
    );

    let started = text_of(&["agent", "start", "--url", &host.url]);
    assert!(started.contains("tuning is on"), "{started}");
    let is_over = |agent: &Value| agent["indexes"][0]["looks"][0]["outcome"].is_string();
    host.until(STATUS, is_over).await;
    check_problem(
        host.get("/vectors/agent/events?format=xml").await,
        422,
        "unknown_format",
        &["json"],
    );
}

#[tokio::test]
async fn without_being_told_to_the_agent_tunes_nothing() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let entry = ask(&host, "notes").await;
    let waits = entry["tuning"].as_str().expect("words");
    assert!(waits.contains("`[agent] enabled` is false"), "{entry}");
    let shown = text_of(&["agent", "status", "--url", &host.url]);
    for words in [
        "tuning is off",
        "asked (1)",
        "not tuned yet",
        "POST /vectors/agent/start",
    ] {
        assert!(shown.contains(words), "`{words}` is missing in:\n{shown}");
    }
}

#[tokio::test]
async fn an_index_that_does_not_follow_says_so_however_often_it_is_asked_for() {
    let host = Host::fresh();
    host.ingest(
        "notes",
        "id,text\na,ships in the harbour\nb,boats on the river\n",
    )
    .await;
    let spec = json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id",
        "appends": "manual"});
    host.done("/vectors/indexes", &spec).await;
    let rows = "id,text\nc,a lighthouse\n";
    let ended = host
        .upload("dataset=notes&format=csv&mode=append", rows)
        .await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    for _ in 0..20 {
        let entry = ask(&host, "notes").await;
        assert_eq!(entry["appends"]["state"], "manual", "{entry}");
    }
    host.ingest("notes", "id,text\na,mushrooms in the forest\n")
        .await;
    let reasons = |agent: &Value| {
        let reasons = agent["queue"][0]["reasons"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        reasons
            .into_iter()
            .map(|noted| noted["reason"].clone())
            .collect::<Vec<_>>()
    };
    let is_replaced = |agent: &Value| reasons(agent).contains(&json!("replaced"));
    host.until("/vectors/agent", is_replaced).await;
    host.done("/vectors/indexes/notes/refresh", &json!({}))
        .await;
    let agent = host.read("/vectors/agent").await;
    assert!(!is_replaced(&agent), "the new rows are in: {agent}");
    assert!(reasons(&agent).contains(&json!("asked")), "{agent}");
}
