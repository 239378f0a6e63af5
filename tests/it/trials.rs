//! Trials that can be trusted: truth that follows a merge, trials that end early, rounds on samples.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};

use crate::support::{Host, check_problem, passages, run};

/// `id,text` of so many passages, without quotes; beyond the table they begin again, each with words of another.
fn texts(from: usize, count: usize) -> String {
    let lines: Vec<String> = passages().lines().skip(1).map(clean).collect();
    let mut csv = "id,text\n".to_owned();
    for at in from..from + count {
        let round = at / lines.len();
        let (line, other) = (&lines[at % lines.len()], &lines[(at * 7 + 1) % lines.len()]);
        let words = other.split(' ').take(4 * round);
        let words: Vec<&str> = words.collect();
        writeln!(csv, "p{at},{line} {}", words.join(" ")).expect("written");
    }
    csv
}

fn clean(line: &str) -> String {
    line.chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ')
        .collect()
}

/// A host with an index of so many rows whose recall is to be above a floor.
async fn world(rows: usize, floor: f64) -> Host {
    let host = Host::fresh();
    host.ingest("notes", texts(0, rows)).await;
    let spec = json!({
        "name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id",
        "objective": {"recall_floor": floor}
    });
    host.done("/vectors/indexes", &spec).await;
    host
}

/// An evaluation set as it is stored.
fn stored_set(data: &Path, name: &str) -> Value {
    let path = data.join(format!("primary/_evalsets/notes/{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).expect("json")
}

/// After a merge the sets know the new base, as if they had been made for it.
#[tokio::test]
async fn an_evaluation_set_follows_a_merge() {
    let host = world(400, 0.95).await;
    let questions = [
        "peace with our neighbours",
        "taxes and jobs",
        "health insurance",
    ];
    let given = |name: &str| json!({"index": "notes", "name": name, "texts": questions});
    host.done("/vectors/evalsets", &given("given")).await;
    host.done(
        "/vectors/evalsets",
        &json!({"index": "notes", "queries": 150}),
    )
    .await;
    let before = stored_set(&host.data, "default");
    // Some rows are new, and some replace earlier ones, true neighbours among them.
    let csv = texts(300, 1_300);
    let ended = host
        .upload("dataset=notes&format=csv&mode=append", csv)
        .await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let merged = |view: &Value| view["tail_vectors"] == 0 && view["vectors"] == 1_600;
    let index = host.until("/vectors/indexes/notes", merged).await;
    let follows = |list: &Value| {
        let sets = list["evalsets"].as_array().expect("sets");
        sets.iter()
            .all(|set| set["data_version"] == index["data_version"])
    };
    host.until("/vectors/evalsets?index=notes", follows).await;
    let after = stored_set(&host.data, "default");
    let vectors = |set: &Value| {
        let queries = set["queries"].as_array().expect("queries").iter();
        queries
            .map(|query| query["vector"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        vectors(&after),
        vectors(&before),
        "the queries are the same"
    );
    assert_ne!(after["queries"], before["queries"], "their truth is not");
    host.done("/vectors/evalsets", &given("anew")).await;
    let (followed, anew) = (
        stored_set(&host.data, "given"),
        stored_set(&host.data, "anew"),
    );
    assert_eq!(followed["queries"], anew["queries"]);
    assert_eq!(followed["vectors"], anew["vectors"]);
}

/// One set that is damaged hides no other, and can be got rid of.
#[tokio::test]
async fn a_damaged_evaluation_set_is_listed_as_such_and_can_be_deleted() {
    let host = world(60, 0.9).await;
    for name in ["default", "other"] {
        let wish = json!({"index": "notes", "name": name, "queries": 20});
        host.done("/vectors/evalsets", &wish).await;
    }
    let path = host.data.join("primary/_evalsets/notes/other.json");
    std::fs::write(&path, "{\"format\": \"boathouse-evalset\"").expect("written");
    let list = host.read("/vectors/evalsets?index=notes").await;
    let names = |key: &str| -> Vec<Value> {
        let sets = list[key].as_array().expect("sets").iter();
        sets.map(|set| set["name"].clone()).collect()
    };
    assert_eq!(
        (names("evalsets"), names("unreadable")),
        (vec![json!("default")], vec![json!("other")]),
        "{list}"
    );
    let why = list["unreadable"][0]["detail"].as_str().expect("words");
    assert!(why.contains("_evalsets/notes/other.json"), "{why}");
    for name in ["other", "default"] {
        let (status, body) = host
            .delete(&format!("/vectors/evalsets/notes/{name}"))
            .await;
        assert_eq!((status, body), (204, Value::Null));
    }
    let gone = host.delete("/vectors/evalsets/notes/other").await;
    check_problem(gone, 404, "not_found", &["`other`"]);
    let nowhere = host.delete("/vectors/evalsets/nowhere/other").await;
    check_problem(nowhere, 404, "unknown_index", &["nowhere"]);
    let list = host.read("/vectors/evalsets?index=notes").await;
    assert_eq!(list, json!({"evalsets": []}));
    // The default set is made anew for who needs it.
    host.done("/vectors/trials/notes", &json!({})).await;
    let list = host.read("/vectors/evalsets?index=notes").await;
    assert_eq!(list["evalsets"][0]["queries"], 60, "{list}");
}

/// What cannot reach the floor is not asked every query, and the journal says so.
#[tokio::test]
async fn a_trial_that_cannot_reach_the_floor_ends_early() {
    let host = world(3_000, 0.999).await;
    let bounds = json!({
        "m": {"name": "m", "min": 4, "max": 4, "step": 1},
        "ef_construction": {"name": "ef_construction", "min": 20, "max": 20, "step": 1},
        "ef_search": {"name": "ef_search", "min": 10, "max": 20, "step": 10}
    });
    let wish = json!({"strategy": "grid", "max_trials": 3, "bounds": bounds});
    let (status, report) = host.post("/vectors/autotune/notes", &wish).await;
    assert_eq!(status, 200, "{report}");
    let page = host.read("/vectors/trials/notes").await;
    let trials = page["trials"].as_array().expect("trials");
    assert_eq!((trials.len(), &page["malformed"]), (3, &json!(0)));
    assert_eq!(
        trials[0]["stopped_early"],
        Value::Null,
        "what serves is measured whole"
    );
    for trial in &trials[1..] {
        let why = trial["stopped_early"].as_str().unwrap_or_default();
        assert!(why.contains("below the floor of 0.999"), "{trial}");
        let asked = trial["metrics"]["eval_queries"].as_u64().expect("a number");
        assert!((100..1_000).contains(&asked), "{trial}");
    }
    let best = host.read("/vectors/trials/notes/best?metric=latency").await;
    assert_eq!(best["trial"]["id"], trials[0]["id"], "the only whole one");
}

/// Halving by HTTP and by the command line: samples first, then all vectors, and a run goes on where one ended.
#[tokio::test]
async fn halving_measures_samples_first() {
    let host = world(3_400, 0.95).await;
    host.done(
        "/vectors/evalsets",
        &json!({"index": "notes", "queries": 120}),
    )
    .await;
    let wish = json!({"strategy": "halving", "max_trials": 4});
    let (status, report) = host.post("/vectors/autotune/notes", &wish).await;
    assert_eq!(status, 200, "{report}");
    assert_eq!(report["ended"]["why"], "trials", "{report}");
    let line = [
        "--url",
        &host.url,
        "--json",
        "tune",
        "run",
        "notes",
        "--strategy",
        "halving",
        "--max-trials",
        "40",
    ];
    let output = run(&line);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_str(&said).expect("json");
    assert_eq!(report["ended"]["why"], "exhausted", "{report}");
    let page = host.read("/vectors/trials/notes").await;
    let trials = page["trials"].as_array().expect("trials");
    let (samples, whole): (Vec<&Value>, Vec<&Value>) =
        trials.iter().partition(|trial| trial["sample"].is_number());
    assert_eq!(samples.len(), 9, "each build once, in two runs");
    for trial in samples {
        assert_eq!(
            (&trial["sample"], &trial["metrics"]["vectors"]),
            (&json!(0.3), &json!(1_020))
        );
    }
    assert!(whole.len() >= 2, "{page}");
    let of_whole = |trial: &&Value| trial["metrics"]["vectors"] == 3_400;
    assert!(whole.iter().all(of_whole));
    let replay = host.read("/vectors/agent/replay/notes?limit=100").await;
    let chosen = trials.len() - 1;
    assert_eq!(
        (
            &replay["equal"],
            &replay["trials"][0]["proposed_by"]["name"]
        ),
        (&json!(chosen), &json!("host/halving")),
        "all but the baseline follow from the journal: {replay}"
    );
    let best = host.read("/vectors/trials/notes/best").await;
    assert_eq!(best["trial"]["sample"], Value::Null);
    let wish = json!({"strategy": "quartering"});
    let (status, problem) = host.post("/vectors/autotune/notes", &wish).await;
    assert_eq!(status, 422, "{problem}");
}
