//! What may serve: only what is surely better or what somebody forces, and no search notices the change.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    guests::MARKED_1,
    support::{Host, check_problem, ids, passages, run},
};

const PROMOTE: &str = "/vectors/promote/passages";

/// A host with an index of the demo's passages that serves with an `ef_search`.
async fn host_with(ef_search: u32, recall_floor: f64) -> Host {
    let host = Host::fresh();
    host.ingest("requests", passages()).await;
    let config = json!({"m": 8, "ef_construction": 40, "ef_search": ef_search, "seed": 0});
    let body = json!({
        "name": "passages", "dataset": "requests", "text_column": "passage", "id_column": "request_id",
        "config": config, "objective": {"recall_floor": recall_floor},
    });
    host.done("/vectors/indexes", &body).await;
    let set = json!({"index": "passages", "queries": 200});
    host.done("/vectors/evalsets", &set).await;
    host
}

/// Has a scoring plugin judge that looks at recall alone and finds everything feasible.
async fn judged_by_recall(host: &Host) {
    let plugin = "/plugins/scoring/test/marked/versions";
    let (status, body) = host.post_raw(plugin, MARKED_1).await;
    assert_eq!(status, 201, "{body}");
    let (status, body) = host
        .post(&format!("{plugin}/1.0.0/activate"), &json!({}))
        .await;
    assert_eq!(status, 200, "{body}");
}

/// Measures a configuration and gives the id of its trial.
async fn trial(host: &Host, config: Value) -> String {
    let report = host.done("/vectors/trials/passages", &config).await;
    report["trial"]["id"].as_str().expect("an id").to_owned()
}

async fn serves(host: &Host) -> Value {
    host.read("/vectors/indexes/passages").await["serving"]["config"]["ef_search"].clone()
}

#[tokio::test]
async fn only_what_is_surely_better_serves() {
    let host = host_with(11, 0.1).await;
    judged_by_recall(&host).await;
    let same = trial(&host, json!({"ef_search": 11})).await;
    let better = trial(&host, json!({"ef_search": 200})).await;
    let equal = trial(&host, json!({"ef_search": 201})).await;
    host.search("passages", &json!({"text": "ships and gold", "with": []}))
        .await;

    let refused = host.post(PROMOTE, &json!({"trial": same})).await;
    check_problem(refused, 409, "not_better", &["the one that serves"]);
    let (status, promoted) = host.post(PROMOTE, &json!({"trial": better})).await;
    assert_eq!(status, 200, "{promoted}");
    let line = &promoted["promotion"];
    let evidence = &line["evidence"];
    assert_eq!(
        (&evidence["queries"], &evidence["live_queries"]),
        (&json!(201), &json!(1))
    );
    assert_eq!(evidence["score"]["by"]["name"], "test/marked", "{evidence}");
    assert!(
        evidence["score"]["interval"]["low"].as_f64() > Some(0.0),
        "{evidence}"
    );
    assert!(
        line["reason"]
            .as_str()
            .expect("words")
            .contains("higher by"),
        "{line}"
    );
    assert_eq!(
        (&line["by"], &line["forced"]),
        (&json!("anonymous"), &Value::Null)
    );
    assert_eq!(serves(&host).await, 200);

    let (status, refused) = host.post(PROMOTE, &json!({"trial": equal})).await;
    let least = refused["evidence"]["score"]["interval"]["low"].as_f64();
    assert!(least <= Some(0.0), "{refused}");
    check_problem(
        (status, refused),
        409,
        "not_better",
        &["not surely better", "force"],
    );
    let again = host.post(PROMOTE, &json!({"trial": better})).await;
    check_problem(again, 409, "already_serves", &[]);
    assert_eq!(serves(&host).await, 200);

    // What was decided lasts, with everything behind it.
    let host = host.kill_and_restart();
    assert_eq!(serves(&host).await, 200);
    let history = host.read("/vectors/promotions/passages").await;
    assert_eq!(history["promotions"], json!([line]));
}

#[tokio::test]
async fn nobody_talks_one_below_the_floor_in() {
    let host = host_with(400, 0.95).await;
    judged_by_recall(&host).await;
    let bad = trial(
        &host,
        json!({"m": 2, "ef_construction": 4, "ef_search": 10}),
    )
    .await;
    let (status, refused) = host.post(PROMOTE, &json!({"trial": bad})).await;
    let why = refused["evidence"]["challenger"]["shortfall"].as_str();
    assert!(
        why.is_some_and(|why| why.contains("below the floor of 0.95")),
        "{refused}"
    );
    assert_eq!(
        refused["evidence"]["score"],
        Value::Null,
        "nobody was asked: {refused}"
    );
    check_problem(
        (status, refused),
        409,
        "not_better",
        &["misses the objective"],
    );
    let forced = host
        .post(PROMOTE, &json!({"trial": bad, "force": true}))
        .await;
    check_problem(forced, 409, "below_floor", &["at most", "`below_floor`"]);
    let half = host
        .post(PROMOTE, &json!({"trial": bad, "below_floor": true}))
        .await;
    check_problem(half, 422, "without_force", &[]);
    assert_eq!(serves(&host).await, 400);
    assert_eq!(
        host.read("/vectors/promotions/passages").await["promotions"],
        json!([])
    );

    let wish = json!({"trial": bad, "force": true, "below_floor": true, "reason": "an experiment"});
    let (status, promoted) = host.post(PROMOTE, &wish).await;
    assert_eq!(status, 200, "{promoted}");
    let line = &promoted["promotion"];
    assert_eq!(
        (&line["forced"], &line["evidence"]),
        (&json!(true), &Value::Null)
    );

    // What serves misses the floor now: whatever meets it wins, also when its score is no better.
    let good = trial(
        &host,
        json!({"m": 8, "ef_construction": 40, "ef_search": 400}),
    )
    .await;
    let shown = run(&["tune", "promote", "passages", &good, "--url", &host.url]);
    let text = String::from_utf8(shown.stdout).expect("text");
    assert!(text.contains("compared on 200 queries"), "{text}");
    assert!(text.contains("what serves does not"), "{text}");
    assert_eq!(serves(&host).await, 400);
}

/// What the searches under way saw while what serves went back and forth.
#[tokio::test]
async fn searches_go_on_during_a_hundred_changes_of_what_serves() {
    let host = host_with(10, 0.1).await;
    let other = trial(
        &host,
        json!({"m": 4, "ef_construction": 20, "ef_search": 300}),
    )
    .await;
    let wish = json!({"trial": other, "force": true});
    let body = json!({"text": "women at work in the factories", "k": 10, "with": []});
    // What each of the two answers when nothing changes.
    let mut expected = BTreeMap::new();
    for _ in 0..2 {
        let answer = host.search("passages", &body).await;
        let known = (answer["config"].to_string(), ids(&answer));
        expected.insert(known.0, (known.1, answer["distances"].clone()));
        let (status, body) = host.post(PROMOTE, &wish).await;
        assert!(status == 200 || body["code"] == "already_serves", "{body}");
    }
    assert_eq!(expected.len(), 2);
    let (done, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let searching = async || {
        while !done.load(SeqCst) {
            let answer = host.search("passages", &body).await;
            let (hits, distances) = &expected[&answer["config"].to_string()];
            assert_eq!(
                (&ids(&answer), &answer["distances"]),
                (hits, distances),
                "{answer}"
            );
            asked.fetch_add(1, SeqCst);
        }
    };
    let changing = async {
        for change in 0..50 {
            let (status, back) = host.post("/vectors/rollback/passages", &json!({})).await;
            assert_eq!(
                (status, &back["serving"]["graph_origin"]),
                (200, &json!("memory")),
                "{change}: {back}"
            );
            let (status, forth) = host.post(PROMOTE, &wish).await;
            assert_eq!(
                (status, &forth["serving"]["graph_origin"]),
                (200, &json!("memory")),
                "{change}: {forth}"
            );
        }
        done.store(true, SeqCst);
    };
    futures::join!(join_all([searching(), searching(), searching()]), changing);
    assert!(asked.load(SeqCst) >= 50, "too few searches to tell");
    let history = host.read("/vectors/promotions/passages").await;
    assert_eq!(history["promotions"].as_array().map(Vec::len), Some(101));
}

#[tokio::test]
async fn a_promotion_may_be_a_task() {
    let host = host_with(11, 0.1).await;
    let better = trial(&host, json!({"ef_search": 200})).await;
    let request = reqwest::Client::new()
        .post(format!("{}{PROMOTE}", host.url))
        .header("prefer", "respond-async")
        .json(&json!({"trial": better, "force": true}));
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), 202);
    let task: Value = response.json().await.expect("a task");
    assert_eq!(task["kind"], "promote");
    let ended = host.ended(&task).await;
    assert_eq!(
        ended["result"]["serving"]["config"]["ef_search"], 200,
        "{ended}"
    );
    let line = ["tune", "rollback", "passages", "--url", &host.url];
    let shown = run(&line);
    let text = String::from_utf8(shown.stdout).expect("text");
    assert!(text.contains("ef_search 11"), "{text}");
    let tasks = host.read("/tasks").await;
    assert_eq!(tasks["tasks"][0]["kind"], "rollback", "{tasks}");
    let again = run(&line);
    let said = String::from_utf8(again.stderr).expect("text");
    assert!(
        !again.status.success() && said.contains("no earlier promotion"),
        "{said}"
    );
}
