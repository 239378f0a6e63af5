//! Trials as a table: what was tried, what it gave, how it was measured and who proposed it.

use comfy_table::Table;
use serde_json::Value;

use crate::cli::output::table;

/// Columns. `marks` and `by` are put in here; the others are as the host tells them.
const COLUMNS: [(&str, &str); 14] = [
    ("trial", "/id"),
    ("sample", "/sample"),
    ("configuration", "/words"),
    ("m", "/config/m"),
    ("ef_construction", "/config/ef_construction"),
    ("ef_search", "/config/ef_search"),
    ("recall", "/metrics/recall_at_k"),
    ("p50 µs", "/metrics/search_latency_p50_us"),
    ("p95 µs", "/metrics/search_latency_p95_us"),
    ("distances", "/metrics/distances_per_query"),
    ("build s", "/metrics/build_time_secs"),
    ("marks", "/marks"),
    ("proposed by", "/by"),
    ("note", "/note"),
];

/// The column of configurations in words, and those of the knobs of graphs.
const WORDS: usize = 2;
const KNOBS: std::ops::RangeInclusive<usize> = 3..=5;

/// A list of trials as a table.
pub(super) fn trials(list: &Value) -> Table {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<Value> = list.iter().map(|trial| row(trial, list)).collect();
    // Graphs have their knobs in columns; where there are tables a configuration is told in words.
    let of_tables = list.iter().any(|trial| trial["backend"] == "lance");
    let columns = COLUMNS
        .iter()
        .enumerate()
        .filter(|(at, _)| match of_tables {
            true => !KNOBS.contains(at),
            false => *at != WORDS,
        });
    let columns: Vec<_> = columns.map(|(_, column)| *column).collect();
    table(&rows.into(), &columns)
}

fn row(trial: &Value, list: &[Value]) -> Value {
    let mut row = trial.clone();
    if row.is_object() {
        row["marks"] = marks(trial, list).into();
        row["by"] = by(trial).into();
        row["words"] = super::knobs::in_words(&trial["config"]).into();
    }
    row
}

/// What sets a measurement apart: `early 200/500` when it ended after 200 of 500 queries, `derived` when its graph was cut
/// down from a larger one instead of being built.
fn marks(trial: &Value, list: &[Value]) -> Option<String> {
    let is_there = |key: &str| trial.get(key).is_some_and(|value| !value.is_null());
    let early = is_there("stopped_early").then(|| early(trial, list));
    let derived = is_there("derived_from").then(|| "derived".to_owned());
    let marks: Vec<String> = early.into_iter().chain(derived).collect();
    (!marks.is_empty()).then(|| marks.join(", "))
}

/// How many queries were asked, of as many as another trial of the list was asked of the same set. The journal does not
/// say how many there were; where no other trial tells, that is left out.
fn early(trial: &Value, list: &[Value]) -> String {
    let asked = |trial: &Value| trial.pointer("/metrics/eval_queries")?.as_u64();
    let of_the_set = list.iter().filter(|other| {
        other["evalset"] == trial["evalset"]
            && other["stopped_early"].is_null()
            && other["evalset"].is_string()
    });
    match (asked(trial), of_the_set.filter_map(asked).max()) {
        (Some(asked), Some(all)) => format!("early {asked}/{all}"),
        (Some(asked), None) => format!("early {asked}"),
        (None, _) => "early".to_owned(),
    }
}

/// The plugin or the strategy of the host that proposed a trial; none for a person and for what serves.
fn by(trial: &Value) -> Option<String> {
    let plugin = trial.pointer("/proposed_by/name").and_then(Value::as_str);
    let strategy = trial.pointer("/asked/strategy").and_then(Value::as_str);
    plugin
        .map(str::to_owned)
        .or_else(|| strategy.map(|strategy| format!("host/{strategy}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn measured(queries: u64) -> Value {
        json!({"id": "t", "evalset": "default@1", "metrics": {"eval_queries": queries}})
    }

    #[test]
    fn a_trial_that_ended_early_says_after_how_many_queries() {
        let mut short = measured(200);
        short["stopped_early"] = "below the floor".into();
        let mut others = [short.clone(), measured(500)];
        assert_eq!(marks(&short, &others).as_deref(), Some("early 200/500"));
        others[1]["evalset"] = "default@2".into();
        assert_eq!(marks(&short, &others).as_deref(), Some("early 200"));
        short["derived_from"] = "build".into();
        assert_eq!(marks(&short, &[]).as_deref(), Some("early 200, derived"));
        assert_eq!(marks(&measured(500), &others), None);
    }

    #[test]
    fn who_proposed_a_trial_is_named() {
        let plugin = json!({"proposed_by": {"name": "acme/p", "version": "1.0.0"}, "asked": {}});
        assert_eq!(by(&plugin).as_deref(), Some("acme/p"));
        let house = json!({"asked": {"strategy": "grid"}});
        assert_eq!(by(&house).as_deref(), Some("host/grid"));
        assert_eq!(by(&json!({"id": "t0001"})), None);
    }

    #[test]
    fn a_table_has_a_line_a_trial() {
        let mut proposed = measured(500);
        proposed["proposed_by"] = json!({"name": "acme/p"});
        proposed["derived_from"] = "build".into();
        let shown = trials(&json!([proposed])).to_string();
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(
            shown.contains("derived") && shown.contains("acme/p"),
            "{shown}"
        );
        assert!(shown.contains("ef_search") && !shown.contains("configuration"));
        assert_eq!(trials(&Value::Null).to_string().lines().count(), 1);
        let mut of_table = measured(500);
        of_table["backend"] = "lance".into();
        of_table["config"] = json!({"partitions": 4, "nprobes": 5});
        let shown = trials(&json!([of_table, measured(500)])).to_string();
        assert!(shown.contains("partitions 4 nprobes 5"), "{shown}");
        assert!(!shown.contains("ef_search"), "{shown}");
    }
}
