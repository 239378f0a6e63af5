//! Configurations on the command line: as options, and in words.

use serde::Serialize;
use serde_json::Value;

/// A configuration to try; what is left out is as it serves.
#[derive(Debug, clap::Args, Serialize)]
pub(crate) struct Tried {
    /// What is tried: `parquet` (the graph) or `lance` (a Lance table); what serves when left out.
    #[arg(long)]
    backend: Option<String>,
    /// Of a graph: neighbours kept per node and layer.
    #[arg(long)]
    m: Option<u32>,
    /// Of a graph: candidates looked at while building.
    #[arg(long)]
    ef_construction: Option<u32>,
    /// Of a graph: candidates kept while searching.
    #[arg(long)]
    ef_search: Option<u32>,
    /// Of a graph: seed of the build; that of what serves when left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Of a Lance table: parts that the vectors are divided into.
    #[arg(long)]
    partitions: Option<u32>,
    /// Of a Lance table: codes of a vector, a divisor of its components.
    #[arg(long)]
    sub_vectors: Option<u32>,
    /// Of a Lance table: partitions that a search looks into.
    #[arg(long)]
    nprobes: Option<u32>,
    /// Of a Lance table: so many times k candidates are compared exactly.
    #[arg(long)]
    refine_factor: Option<u32>,
    /// A note for the journal.
    #[arg(long)]
    note: Option<String>,
    /// Evaluation set to measure with; `default` when left out.
    #[arg(long, value_name = "NAME")]
    evalset: Option<String>,
}

/// The knobs in the order in which they are shown.
const SHOWN: [&str; 7] = [
    "m",
    "ef_construction",
    "ef_search",
    "partitions",
    "sub_vectors",
    "nprobes",
    "refine_factor",
];

/// A configuration as the host tells it, in words: `m 16 ef_construction 80 ef_search 30`.
pub(super) fn in_words(config: &Value) -> String {
    let set = SHOWN
        .iter()
        .filter(|knob| !config[**knob].is_null())
        .map(|knob| format!("{knob} {}", config[*knob]));
    set.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_configuration_is_told_by_the_knobs_that_it_has() {
        let graph = json!({"ef_search": 30, "m": 16, "ef_construction": 80, "seed": 3});
        assert_eq!(in_words(&graph), "m 16 ef_construction 80 ef_search 30");
        let table = json!({"nprobes": 5, "partitions": 4, "sub_vectors": 48, "refine_factor": 10});
        let told = "partitions 4 sub_vectors 48 nprobes 5 refine_factor 10";
        assert_eq!(in_words(&table), told);
        assert_eq!(in_words(&Value::Null), "");
    }
}
