//! Trials over Lance tables: by hand, by the grid and by a proposer, journalled beside those of the graph, and asked again
//! after a kill.

use serde_json::{Value, json};

use super::{ROWS, prepared, serve_from};
use crate::support::{Host, check_problem, run};

const TRIALS: &str = "/vectors/trials/notes";
const AUTOTUNE: &str = "/vectors/autotune/notes";
const REPLAY: &str = "/vectors/agent/replay/notes";

/// An index that serves by its table, with few queries to measure with.
async fn of_table() -> Host {
    let host = Host::fresh();
    prepared(&host, ROWS).await;
    host.done("/vectors/lance/migrate/notes", &json!({})).await;
    let built = json!({"partitions": 4});
    host.done("/vectors/lance/index/notes", &built).await;
    let (status, _) = serve_from(&host, "lance").await;
    assert_eq!(status, 200);
    let set = json!({"index": "notes", "queries": 40, "k": 5});
    host.done("/vectors/evalsets", &set).await;
    host
}

async fn tuned(host: &Host, wish: &Value) -> Value {
    let (status, report) = host.post(AUTOTUNE, wish).await;
    assert_eq!(status, 200, "{report}");
    assert_eq!(report["refused"], 0, "{report}");
    report
}

#[tokio::test]
async fn a_table_is_tuned_by_grid_and_proposer_and_its_journal_proves_itself() {
    let host = of_table().await;
    let by_grid = tuned(&host, &json!({"strategy": "grid", "max_trials": 3})).await;
    let proposed = tuned(&host, &json!({"max_trials": 3})).await;
    for report in [&by_grid, &proposed] {
        let trials = report["trials"].as_array().expect("trials");
        assert_eq!(trials.len(), 3, "{report}");
        for trial in trials {
            assert_eq!(trial["backend"], "lance", "{trial}");
            assert!(trial["config"]["nprobes"].is_u64(), "{trial}");
            assert!(trial["metrics"]["recall_interval"].is_object(), "{trial}");
            assert!(trial["scored_by"].is_object(), "{trial}");
        }
    }
    let asked = &proposed["trials"][0]["asked"];
    assert_eq!(asked["index"]["backend"], "lance", "{asked}");
    let names = asked["knobs"].as_array().expect("knobs").iter();
    let names: Vec<_> = names.map(|knob| knob["name"].clone()).collect();
    assert_eq!(
        names,
        ["partitions", "sub_vectors", "nprobes", "refine_factor"]
    );
    // The graph is tuned beside it, and neither sees the trials of the other.
    let graph = tuned(&host, &json!({"backend": "parquet", "max_trials": 2})).await;
    assert!(
        graph["trials"][1]["config"]["ef_search"].is_u64(),
        "{graph}"
    );
    let best = host.read(&format!("{TRIALS}/best?metric=recall")).await;
    assert_eq!(best["trial"]["backend"], "lance", "{best}");
    let of_graph = format!("{TRIALS}/best?metric=recall&backend=parquet");
    let best = host.read(&of_graph).await;
    assert!(best["trial"]["config"]["m"].is_u64(), "{best}");

    let report = host.read(REPLAY).await;
    let counts = ["equal", "different", "not_asked"].map(|key| report[key].as_u64());
    // But for both baselines every trial was somebody's choice.
    assert_eq!(counts, [Some(6), Some(0), Some(0)], "{report}");
    let journal = host.read(TRIALS).await;
    let host = host.kill_and_restart();
    assert_eq!(host.read(REPLAY).await, report);
    assert_eq!(host.read(TRIALS).await, journal);
    let shown = run(&["--url", &host.url, "tune", "journal", "notes"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("nprobes") && shown.contains("ef_search"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_is_of_the_other_engine_is_refused_by_name() {
    let host = of_table().await;
    for (path, wish, words) in [
        (TRIALS, json!({"ef_search": 30}), ["ef_search", "backend"]),
        (
            AUTOTUNE,
            json!({"strategy": "halving"}),
            ["grid", "proposer"],
        ),
    ] {
        check_problem(host.post(path, &wish).await, 422, "not_of_backend", &words);
    }
    let bounds = json!({"bounds": {"m": {"min": 4, "max": 8}}});
    let refused = host.post(AUTOTUNE, &bounds).await;
    check_problem(refused, 422, "invalid_input", &["`m`", "nprobes"]);
    let journal = host.read(TRIALS).await;
    assert_eq!(journal["total"], 0, "{journal}");
    let report = host.done(TRIALS, &json!({"nprobes": 2})).await;
    let id = report["trial"]["id"].as_str().expect("an id");
    let wish = json!({"trial": id, "force": true, "below_floor": true});
    let refused = host.post("/vectors/promote/notes", &wish).await;
    check_problem(refused, 422, "not_of_backend", &["Lance table"]);
}
