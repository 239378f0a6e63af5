//! Live recall: a configuration that finds too little is found out by its own searches, by everybody who looks.

use serde_json::{Value, json};

use crate::support::{Host, check_problem, passages, run};

/// Judges every search.
const ALL: &str = "[vectors]\nlive_recall_share = 1.0\n";
/// A word that is in no document and no name.
const MARK: &str = "quagmirelighthouse";

/// A host with an index of the demo's passages that is served badly on purpose.
async fn badly_served(config: &str) -> Host {
    let host = Host::configured(config);
    host.ingest("requests", passages()).await;
    let bad = json!({"m": 2, "ef_construction": 4, "ef_search": 1, "seed": 0});
    let body = json!({
        "name": "passages", "dataset": "requests", "text_column": "passage", "id_column": "request_id",
        "config": bad, "objective": {"recall_floor": 0.95},
    });
    host.done("/vectors/indexes", &body).await;
    host
}

/// Asks some questions, each in other words.
async fn ask(host: &Host, questions: std::ops::Range<usize>) {
    let words = [
        "war", "peace", "ships", "taxes", "school", "law", "women", "gold", "railway", "health",
    ];
    for number in questions {
        let of = |step: usize| words[number / step % words.len()];
        let text = format!("{} and {} for {} {MARK}", of(1), of(10), of(100));
        let body = json!({"text": text, "k": 10, "with": []});
        host.search("passages", &body).await;
    }
}

/// Asks until so many searches were judged.
async fn asked_until(host: &Host, judged: u64) -> Value {
    let mut asked = 0;
    loop {
        ask(host, asked..asked + 20).await;
        asked += 20;
        let view = host.read("/vectors/indexes/passages/recall").await;
        if view["counts"]["judged"].as_u64() >= Some(judged) {
            return view;
        }
        assert!(asked < 100_000, "nothing is judged: {view}");
    }
}

#[tokio::test]
async fn a_configuration_that_finds_too_little_is_found_out_by_its_searches() {
    let host = badly_served(ALL).await;
    let before = host.read("/vectors/indexes/passages/recall").await;
    assert_eq!(
        (&before["serving"], &before["alarm"]),
        (&Value::Null, &Value::Null)
    );
    asked_until(&host, 60).await;
    let path = "/vectors/indexes/passages/recall";
    let view = host.until(path, |view| !view["alarm"].is_null()).await;
    let serving = &view["serving"];
    assert!(serving["recall"].as_f64() < Some(0.95), "{view}");
    assert!(serving["interval"]["high"].as_f64() < Some(0.95), "{view}");
    assert!(serving["samples"].as_u64() >= Some(50), "{view}");
    assert_eq!(
        (&view["floor"], &view["counts"]["breaches"]),
        (&json!(0.95), &json!(1))
    );
    let shown = &view["configurations"][0];
    assert_eq!(
        (&shown["config"]["ef_search"], &shown["serves"]),
        (&json!(1), &json!(true))
    );
    assert!(view["history"][0]["samples"].as_u64() > Some(0), "{view}");

    let queue = host
        .until("/vectors/agent", |agent| {
            agent.to_string().contains("\"recall\"")
        })
        .await;
    assert!(queue.to_string().contains("passages"), "{queue}");
    let index = host.read("/vectors/indexes/passages").await;
    assert!(
        index["live_recall"]["alarm"]["since"].is_string(),
        "{index}"
    );
    let (_, metrics) = host.get("/metrics").await;
    let metrics = metrics.as_str().expect("text").to_owned();
    for line in [
        r#"boathouse_live_recall_alarm{index="passages"} 1"#,
        r#"boathouse_live_recall_breaches_total{index="passages"} 1"#,
        r#"boathouse_live_recall{index="passages"} 0."#,
    ] {
        assert!(metrics.contains(line), "`{line}` is missing in {metrics}");
    }
    let shown = run(&["index", "recall", "passages", "--url", &host.url]);
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert!(
        shown.contains("surely below it") && shown.contains("24 h"),
        "{shown}"
    );
}

/// How much searches find is one thing, whether they are like the evaluation set another.
#[tokio::test]
async fn an_evaluation_set_that_cannot_be_read_costs_no_judgement() {
    let host = badly_served(ALL).await;
    host.done(
        "/vectors/evalsets",
        &json!({"index": "passages", "queries": 60}),
    )
    .await;
    let set = host.data.join("primary/_evalsets/passages/default.json");
    std::fs::write(&set, "{}").expect("written");
    let path = "/vectors/indexes/passages/recall";
    for asked in (0..120).step_by(20) {
        ask(&host, asked..asked + 20).await;
        let all = |view: &Value| view["counts"]["judged"] == json!(asked + 20);
        host.until(path, all).await;
    }
    let view = host.read(path).await;
    assert_eq!(
        (&view["counts"]["dropped"], &view["drift"]),
        (&json!(0), &Value::Null),
        "{view}"
    );
}

/// What searches look for is in memory only, until somebody makes an evaluation set of it.
#[tokio::test]
async fn nothing_of_a_query_is_on_disk() {
    let host = badly_served(ALL).await;
    let wish = json!({"index": "passages", "live": true, "name": "asked"});
    let refused = host.post("/vectors/evalsets", &wish).await;
    check_problem(refused, 409, "no_live_queries", &["leave `live` out"]);
    let view = asked_until(&host, 10).await;
    let kept = view["counts"]["kept_queries"].as_u64().expect("a number");
    assert!(kept >= 20, "{view}");
    assert_eq!(
        files_with(&host.data, MARK.as_bytes()),
        Vec::<String>::new()
    );
    let set = host.done("/vectors/evalsets", &wish).await;
    assert_eq!(set["queries"], json!(kept));
    assert_eq!(
        files_with(&host.data, MARK.as_bytes()),
        Vec::<String>::new()
    );
    let both = json!({"index": "passages", "live": true, "queries": 5});
    let refused = host.post("/vectors/evalsets", &both).await;
    check_problem(refused, 422, "one_source", &["live"]);

    // A restart forgets all of it.
    let host = host.kill_and_restart();
    let view = host.read("/vectors/indexes/passages/recall").await;
    assert_eq!(
        (&view["counts"]["searches"], &view["history"]),
        (&json!(0), &json!([]))
    );
}

#[tokio::test]
async fn a_share_of_nothing_judges_nothing_and_a_wrong_one_is_refused() {
    let host = badly_served("[vectors]\nlive_recall_share = 0.0\n").await;
    ask(&host, 0..30).await;
    let view = host.read("/vectors/indexes/passages/recall").await;
    assert_eq!(
        (&view["counts"]["searches"], &view["counts"]["judged"]),
        (&json!(30), &json!(0))
    );
    assert_eq!(
        (&view["share"], &view["serving"]),
        (&json!(0.0), &Value::Null)
    );
    let missing = host.get("/vectors/indexes/nothing/recall").await;
    check_problem(missing, 404, "unknown_index", &["nothing"]);

    let folder = tempfile::tempdir().expect("folder");
    let config = folder.path().join("boathouse.toml");
    std::fs::write(&config, "[vectors]\nlive_recall_share = 1.5\n").expect("written");
    let config = config.to_str().expect("a path");
    let said = run(&["serve", "--port", "0", "--config", config]);
    let said = String::from_utf8(said.stderr).expect("text");
    assert!(said.contains("live_recall_share"), "{said}");
}

/// Files below a folder that hold some bytes.
fn files_with(folder: &std::path::Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
        } else if let Ok(content) = std::fs::read(&path)
            && content.windows(bytes.len()).any(|part| part == bytes)
        {
            found.push(path.display().to_string());
        }
    }
    found
}
