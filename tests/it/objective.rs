//! What is wanted of an index: refused where it cannot be had, changed while it serves, told where the evaluation set
//! cannot show it; and what a run and `best` say within bounds and after another evaluation set.

use serde_json::{Value, json};

use crate::support::{Host, check_problem, passages, run, sentences};

const INDEX: &str = "/vectors/indexes/notes";

async fn patch(host: &Host, body: &Value) -> (u16, Value) {
    let url = format!("{}{INDEX}", host.url);
    let request = reqwest::Client::new().patch(url).json(body);
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.expect("json"))
}

/// A host with an index of thirty sentences.
async fn small() -> Host {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    host
}

/// An index over passages whose first configuration finds little.
async fn poor(host: &Host, floor: f64) {
    host.ingest("notes", passages()).await;
    let spec = json!({"name": "notes", "dataset": "notes", "text_column": "passage",
        "config": {"m": 2, "ef_construction": 2, "ef_search": 1}, "objective": {"recall_floor": floor}});
    host.done("/vectors/indexes", &spec).await;
}

fn cli(host: &Host, arguments: &[&str]) -> (bool, String) {
    let at: &[&str] = &["--url", &host.url];
    let ran = run(&[at, arguments].concat());
    let said = [ran.stdout, ran.stderr].concat();
    (
        ran.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test]
async fn an_objective_that_cannot_be_had_is_refused_and_another_can_be_set() {
    let host = small().await;
    let create = |objective: &Value| json!({"name": "other", "dataset": "notes", "text_column": "text", "objective": objective});
    for (objective, code, word) in [
        (
            json!({"recall_floor": 1.5}),
            "out_of_bounds",
            "recall_floor",
        ),
        (
            json!({"p95_budget_us": 0}),
            "out_of_bounds",
            "p95_budget_us",
        ),
        (
            json!({"memory_cap_bytes": 0}),
            "out_of_bounds",
            "memory_cap_bytes",
        ),
        (
            json!({"weights": [["speed", 1]]}),
            "objective_declined",
            "unknown weight `speed`",
        ),
        (json!({"floor": 1}), "bad_body", "floor"),
    ] {
        let refused = host.post("/vectors/indexes", &create(&objective)).await;
        check_problem(refused, 422, code, &[word]);
        let refused = patch(&host, &json!({"objective": objective})).await;
        check_problem(refused, 422, code, &[word]);
    }
    let both = json!({"objective": {}, "appends": "auto"});
    check_problem(patch(&host, &both).await, 422, "one_change", &["objective"]);

    let wanted =
        json!({"recall_floor": 0.8, "p95_budget_us": 900.0, "weights": [["latency", 0.5]]});
    let (status, index) = patch(&host, &json!({"objective": wanted})).await;
    assert_eq!((status, &index["objective"]), (200, &wanted), "{index}");
    let host = host.kill_and_restart();
    assert_eq!(host.read(INDEX).await["objective"], wanted);
    // All of it is replaced; what serves stays, and is judged by the new one.
    let (status, index) = patch(&host, &json!({"objective": {"recall_floor": 0.7}})).await;
    assert_eq!(
        (status, &index["objective"]),
        (200, &json!({"recall_floor": 0.7}))
    );
    let recall = host.read("/vectors/indexes/notes/recall").await;
    assert_eq!(recall["floor"], 0.7, "{recall}");
}

#[tokio::test]
async fn the_command_line_sets_an_objective_and_a_first_configuration() {
    let host = small().await;
    let line = "index create quick --dataset notes --text text --m 8 --ef-construction 50 \
        --ef-search 20 --recall-floor 0.8 --weight latency=0.5";
    let line: Vec<&str> = line.split_whitespace().collect();
    let (done, said) = cli(&host, &line);
    assert!(done, "{said}");
    let index = host.read("/vectors/indexes/quick").await;
    let config = &index["serving"]["config"];
    assert_eq!(
        (
            &config["m"],
            &config["ef_construction"],
            &config["ef_search"]
        ),
        (&json!(8), &json!(50), &json!(20))
    );
    let wanted = json!({"recall_floor": 0.8, "weights": [["latency", 0.5]]});
    assert_eq!(index["objective"], wanted);
    let change = [
        "index",
        "objective",
        "quick",
        "--memory-cap-bytes",
        "9000000",
        "--without",
        "weights",
    ];
    let (done, said) = cli(&host, &change);
    assert!(done && said.contains("9000000"), "{said}");
    let wanted = json!({"recall_floor": 0.8, "memory_cap_bytes": 9_000_000});
    assert_eq!(
        host.read("/vectors/indexes/quick").await["objective"],
        wanted
    );
    let (done, said) = cli(
        &host,
        &["index", "objective", "quick", "--p95-budget-us", "0"],
    );
    assert!(
        !done && said.contains("p95_budget_us must be greater than 0"),
        "{said}"
    );
}

/// Thirty queries show a recall of 0.90 at most.
#[tokio::test]
async fn a_floor_that_the_evaluation_set_cannot_show_is_told() {
    let host = small().await;
    let wish = json!({"strategy": "grid", "max_trials": 3});
    let (status, report) = host.post("/vectors/autotune/notes", &wish).await;
    assert_eq!(status, 200, "{report}");
    let reason = report["recommendation"]["reason"].as_str().expect("words");
    assert!(
        reason.contains("30 queries can show a recall of 0.90"),
        "{reason}"
    );
    let best = host.read("/vectors/trials/notes/best").await;
    let recalls = report["trials"].as_array().expect("trials").iter();
    let highest = recalls.filter_map(|trial| trial["metrics"]["recall_at_k"].as_f64());
    let highest = highest.fold(0.0, f64::max);
    assert_eq!(
        best["trial"]["metrics"]["recall_at_k"],
        json!(highest),
        "{best}"
    );
    let reason = best["reason"].as_str().expect("words");
    assert!(reason.contains("30 queries can show"), "{reason}");
}

#[tokio::test]
async fn the_agent_tries_no_more_than_what_serves_where_nothing_could_be_shown() {
    let eager = "[agent]\nenabled = true\nmin_recall = 0.99\ncooldown_secs = 0\nwake_interval_secs = 0\n\
        [vectors]\neval_queries = 60\n";
    let host = Host::configured(eager);
    poor(&host, 0.5).await;
    host.post("/vectors/agent/enqueue/notes", &json!({})).await;
    let is_over = |agent: &Value| agent["indexes"][0]["looks"][0]["outcome"].is_string();
    let agent = host.until("/vectors/agent/status", is_over).await;
    let look = &agent["indexes"][0]["looks"][0];
    assert_eq!(
        (&look["outcome"], &look["trials"]),
        (&json!("kept"), &json!(1)),
        "{look}"
    );
    let detail = look["detail"].as_str().expect("words");
    assert!(detail.contains("60 queries can show"), "{detail}");
}

#[tokio::test]
async fn bounds_are_known_by_name_and_hold_for_what_is_recommended() {
    let host = Host::configured("[vectors]\neval_queries = 100\n");
    poor(&host, 0.1).await;
    let good = json!({"m": 16, "ef_construction": 80, "ef_search": 60});
    host.done("/vectors/trials/notes", &good).await;
    for bounds in [
        json!([{"name": "ef_search", "min": 10, "max": 20, "step": 10}, {"name": "m", "min": 4, "max": 4}]),
        json!({"ef_search": {"min": 10, "max": 20, "step": 10}, "m": {"min": 4, "max": 4}}),
    ] {
        let wish = json!({"strategy": "grid", "max_trials": 2, "bounds": bounds});
        let (status, report) = host.post("/vectors/autotune/notes", &wish).await;
        assert_eq!(status, 200, "{report}");
        let recommended = &report["recommendation"];
        assert_eq!(recommended["action"], "promote", "{report}");
        let config = &recommended["trial"]["config"];
        let ef_search = config["ef_search"].as_u64().expect("a number");
        assert!(
            config["m"] == 4 && (10..=20).contains(&ef_search),
            "{report}"
        );
    }
    for (bounds, word) in [
        (json!({"ef": {"min": 1, "max": 2}}), "`ef`"),
        (json!([{"min": 1, "max": 2}]), "`name`"),
        (
            json!([{"name": "m", "min": 4, "max": 4}, {"name": "m", "min": 4, "max": 4}]),
            "twice",
        ),
    ] {
        let wish = json!({"strategy": "grid", "bounds": bounds});
        let refused = host.post("/vectors/autotune/notes", &wish).await;
        check_problem(refused, 422, "bad_body", &[word]);
    }
}

#[tokio::test]
async fn best_speaks_of_the_queries_that_are_asked_now() {
    const BEST: &str = "/vectors/trials/notes/best";
    let host = small().await;
    let set = |queries: u32| json!({"index": "notes", "queries": queries});
    host.done("/vectors/evalsets", &set(10)).await;
    host.done("/vectors/trials/notes", &json!({})).await;
    let best = host.read(BEST).await;
    let first = best["trial"]["id"].clone();
    host.done("/vectors/evalsets", &set(20)).await;
    let refused = host.get(BEST).await;
    check_problem(refused, 404, "no_comparable_trials", &["asked no more"]);
    host.done("/vectors/trials/notes", &json!({})).await;
    let best = host.read(BEST).await;
    let id = best["trial"]["id"].clone();
    assert_ne!(id, first, "{best}");
    let (status, _) = host.delete("/vectors/evalsets/notes/default").await;
    assert_eq!(status, 204);
    let best = host.read(BEST).await;
    assert_eq!(best["trial"]["id"], id, "{best}");
    let reason = best["reason"].as_str().expect("words");
    assert!(
        reason.contains("`default@") && reason.contains("is there no more"),
        "{reason}"
    );
}

/// Also while the index is busy: whether a wish can be granted has nothing to do with whose turn it is.
#[tokio::test]
async fn an_evaluation_set_that_cannot_be_made_is_refused_at_once() {
    let host = small().await;
    let busy = json!({"m": 48, "ef_construction": 400});
    let busy = host.start("/vectors/trials/notes", &busy).await;
    for (wish, code, word) in [
        (json!({"k": 0}), "invalid_input", "k must be"),
        (json!({"queries": 0}), "invalid_input", "queries"),
        (json!({"texts": []}), "invalid_input", "queries"),
        (json!({"name": "No Name"}), "invalid_input", "name"),
        (json!({"vectors": [[1.0, 2.0]]}), "invalid_input", "query 0"),
        (
            json!({"queries": 5, "texts": ["ships"]}),
            "one_source",
            "`texts`",
        ),
        (json!({"live": true, "queries": 5}), "one_source", "`live`"),
    ] {
        let mut body = json!({"index": "notes"});
        for (key, value) in wish.as_object().expect("an object") {
            body[key] = value.clone();
        }
        let refused = host.post("/vectors/evalsets", &body).await;
        check_problem(refused, 422, code, &[word]);
    }
    host.ended(&busy).await;
    let many = json!({"index": "notes", "queries": 100_000});
    let made = host.done("/vectors/evalsets", &many).await;
    assert_eq!(
        (&made["queries"], &made["source"]),
        (&json!(30), &json!("drawn"))
    );
    let note = made["note"].as_str().expect("words");
    assert!(note.contains("100000 queries were asked for"), "{note}");
}

#[tokio::test]
async fn the_command_line_makes_sets_and_trials_name_the_one_that_they_ask() {
    let host = small().await;
    let drawn = ["tune", "evalset", "notes", "--queries", "5"];
    let (done, said) = cli(&host, &drawn);
    assert!(done, "{said}");
    let make = [
        "tune", "evalset", "notes", "--name", "asked", "--text", "ships", "--text", "bread",
    ];
    let (done, said) = cli(&host, &make);
    assert!(
        done && said.contains("evaluation set asked: 2 queries"),
        "{said}"
    );
    let (done, said) = cli(&host, &["tune", "evalsets", "notes"]);
    assert!(
        done && said.contains("given") && said.contains("drawn"),
        "{said}"
    );
    for command in [
        &["tune", "trial", "notes"][..],
        &["tune", "run", "notes", "--max-trials", "1"],
        &["tune", "best", "notes"],
    ] {
        let with_set = [command, &["--evalset", "asked"]].concat();
        let (done, said) = cli(&host, &with_set);
        assert!(done && said.contains("distances"), "{with_set:?}: {said}");
    }
    let page = host.read("/vectors/trials/notes").await;
    let trials = page["trials"].as_array().expect("trials");
    let sets = trials.iter().map(|trial| {
        let set = trial["evalset"].as_str().expect("a set");
        set.split('@').next().expect("a name")
    });
    assert_eq!(sets.collect::<Vec<_>>(), ["asked", "asked"]);
    let (done, said) = cli(&host, &["tune", "delete-evalset", "notes", "asked"]);
    assert!(done, "{said}");
    let (done, said) = cli(&host, &["tune", "trial", "notes", "--evalset", "asked"]);
    assert!(
        !done && said.contains("no evaluation set `asked`"),
        "{said}"
    );
    let list = host.read("/vectors/evalsets?index=notes").await;
    assert_eq!(
        list["evalsets"].as_array().expect("sets").len(),
        1,
        "{list}"
    );
    let (done, said) = cli(&host, &["tune", "evalset", "notes", "--live"]);
    assert!(!done && said.contains("nobody has searched"), "{said}");
}
