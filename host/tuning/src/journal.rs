//! The journal of an index: every trial that ended, oldest first, as JSON lines under
//! `_hnsw_trials/{index}` of the index's bucket.
//!
//! A line of an older shape, or one that another tool wrote, costs only itself: what is no trial is counted,
//! never fatal. A line without an `id` gets one derived from its content, so that it can be promoted like any
//! other. Only such a line is read as plain JSON; any other one as a trial straight away, which takes a third
//! of the time.

use std::{collections::HashSet, sync::Arc};

use boathouse_storage::{AppendLog, Bucket};
use boathouse_types::{Clock, IndexName, Trial};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::TuningError;

/// The journal of one index. Clones share it.
#[derive(Debug, Clone)]
pub struct Journal {
    index: IndexName,
    log: AppendLog<Value>,
}

/// What a journal holds.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalContents {
    /// The trials, oldest first.
    pub trials: Vec<Trial>,
    /// Lines that are no trial.
    pub malformed: u64,
}

impl Journal {
    /// The journal of `index` in `bucket`; nothing is read or written yet. The clock orders its files.
    #[must_use]
    pub fn new(bucket: &Bucket, index: &IndexName, clock: Arc<dyn Clock>) -> Self {
        Self {
            index: index.clone(),
            log: AppendLog::new(bucket.clone(), format!("_hnsw_trials/{index}"), clock),
        }
    }

    /// Adds a trial; durable when this returns.
    ///
    /// # Errors
    /// When the bucket fails, or a measurement is not a finite number.
    pub async fn append(&self, trial: &Trial) -> Result<(), TuningError> {
        let line = serde_json::to_value(trial)
            .map_err(|error| TuningError::InvalidInput(format!("not a trial: {error}")))?;
        if serde_json::from_value::<Trial>(line.clone()).is_err() {
            return Err(TuningError::InvalidInput(format!(
                "trial `{}` has a measurement that is not a finite number",
                trial.id
            )));
        }
        Ok(self.log.append(line).await?)
    }

    /// Reads the whole journal.
    ///
    /// # Errors
    /// When the bucket fails.
    pub async fn read(&self) -> Result<JournalContents, TuningError> {
        let contents = self.log.read_with(read_line).await?;
        Ok(JournalContents {
            malformed: contents.malformed,
            trials: with_own_ids(contents.records),
        })
    }

    /// One trial by its id.
    ///
    /// # Errors
    /// [`TuningError::NotFound`] when the journal has no such trial.
    pub async fn find(&self, id: &str) -> Result<Trial, TuningError> {
        let contents = self.read().await?;
        contents
            .trials
            .into_iter()
            .find(|trial| trial.id == id)
            .ok_or_else(|| TuningError::NotFound {
                what: "trial",
                name: id.chars().take(80).collect(),
                index: self.index.clone(),
            })
    }
}

/// A line as a trial, at once where it is one as this program writes them.
fn read_line(line: &[u8]) -> Option<Trial> {
    match serde_json::from_slice::<Trial>(line) {
        Ok(trial) if !trial.id.is_empty() => Some(trial),
        _ => read_odd_line(serde_json::from_slice(line).ok()?),
    }
    // A line that says of its fields that they are another engine's is none.
    .filter(|trial| trial.backend == trial.config.backend())
}

/// A line of another shape as a trial. A missing or empty id is replaced by a digest of the line's canonical text
/// (object keys are sorted), which is the same at every reading.
fn read_odd_line(mut line: Value) -> Option<Trial> {
    let fields = line.as_object()?;
    let named = ["id", "trial_id"].iter().any(|key| {
        fields
            .get(*key)
            .is_some_and(|id| id.as_str() != Some("") && !id.is_null())
    });
    if !named {
        let digest = Sha256::digest(line.to_string());
        let fields = line.as_object_mut()?;
        fields.remove("trial_id");
        fields.insert(
            "id".to_owned(),
            Value::String(format!("old-{}", hex(&digest[..6]))),
        );
    }
    serde_json::from_value(line).ok()
}

/// Trials whose ids differ.
fn with_own_ids(mut trials: Vec<Trial>) -> Vec<Trial> {
    let mut taken = HashSet::with_capacity(trials.len());
    for trial in &mut trials {
        trial.id = unique(std::mem::take(&mut trial.id), &mut taken);
    }
    trials
}

/// An id that no earlier line has: equal lines without ids would otherwise share one.
fn unique(id: String, taken: &mut HashSet<String>) -> String {
    let mut candidate = id.clone();
    let mut copy = 1;
    while !taken.insert(candidate.clone()) {
        copy += 1;
        candidate = format!("{id}-{copy}");
    }
    candidate
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{clock, index_name, memory_bucket, trial};
    use boathouse_types::{IndexConfig, TrialMetrics};
    use serde_json::json;

    fn older_line() -> Value {
        json!({"config": {"ef_construction": 20, "ef_search": 30, "seed": 7},
            "metrics": {"build_time_secs": 8.0, "search_latency_p50_us": 509.0,
                "search_latency_p95_us": 800.0, "search_latency_p99_us": 900.0, "recall_at_k": 0.96,
                "memory_bytes": 1, "vectors": 100_000, "eval_queries": 20,
                "brute_force_latency_us": 43_983.0},
            "note": "seed"})
    }

    #[tokio::test]
    async fn appended_trials_are_read_back_in_order() {
        let bucket = memory_bucket();
        let journal = Journal::new(&bucket, &index_name(), clock());
        let written = [trial("t1", 0.9, 100.0), trial("t2", 0.95, 120.0)];
        for trial in &written {
            journal.append(trial).await.unwrap();
        }
        let reopened = Journal::new(&bucket, &index_name(), clock())
            .read()
            .await
            .unwrap();
        assert_eq!(reopened.trials, written);
        assert_eq!(reopened.malformed, 0);
        assert_eq!(journal.find("t2").await.unwrap(), written[1]);
        assert!(matches!(
            journal.find("t3").await,
            Err(TuningError::NotFound { .. })
        ));
    }

    #[tokio::test]
    async fn a_measurement_that_is_no_number_is_not_written() {
        let journal = Journal::new(&memory_bucket(), &index_name(), clock());
        let error = journal
            .append(&trial("t1", f64::NAN, 100.0))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("t1"), "{error}");
        assert!(journal.read().await.unwrap().trials.is_empty());
    }

    #[tokio::test]
    async fn older_and_foreign_lines_cost_only_themselves() {
        let journal = Journal::new(&memory_bucket(), &index_name(), clock());
        let lines = [
            older_line(),
            older_line(),
            json!({"trial_id": "mine", "config": older_line()["config"], "metrics": older_line()["metrics"]}),
            json!({"hello": 1}),
            json!([1, 2]),
        ];
        for line in lines {
            journal.log.append(line).await.unwrap();
        }
        let first = journal.read().await.unwrap();
        assert_eq!(first.malformed, 2);
        assert_eq!(first.trials.len(), 3);
        assert_eq!(first.trials[0].config.setting("m"), Some(16));
        assert!(first.trials[0].id.starts_with("old-"));
        assert_eq!(first.trials[1].id, format!("{}-2", first.trials[0].id));
        assert_eq!(first.trials[2].id, "mine");
        assert_eq!(journal.read().await.unwrap(), first, "ids are stable");
    }

    /// A line with exactly the fields that journals had at first.
    #[tokio::test]
    async fn a_line_of_the_first_shape_is_read_field_by_field() {
        let journal = Journal::new(&memory_bucket(), &index_name(), clock());
        let line = r#"{"trial_id":"trial-1","config":{"ef_construction":80,"ef_search":60,"seed":42},
            "metrics":{"build_time_secs":8.25,"search_latency_p50_us":509.5,"search_latency_p95_us":800.25,
            "search_latency_p99_us":900.75,"recall_at_k":0.96,"memory_bytes":409600000,"vectors":100000,
            "eval_queries":20,"brute_force_latency_us":43983.5},"note":"baseline"}"#;
        let line: Value = serde_json::from_str(line).unwrap();
        journal.log.append(line).await.unwrap();
        let read = journal.read().await.unwrap();
        let expected = Trial {
            note: Some("baseline".to_owned()),
            ..Trial::of(
                "trial-1",
                IndexConfig {
                    m: 16,
                    ef_construction: 80,
                    ef_search: 60,
                    seed: 42,
                },
                TrialMetrics {
                    build_time_secs: 8.25,
                    search_latency_p50_us: 509.5,
                    search_latency_p95_us: 800.25,
                    search_latency_p99_us: 900.75,
                    recall_at_k: 0.96,
                    recall_interval: None,
                    k: None,
                    memory_bytes: 409_600_000,
                    vectors: 100_000,
                    eval_queries: 20,
                    brute_force_latency_us: 43_983.5,
                    distances_per_query: None,
                },
            )
        };
        assert_eq!((read.trials, read.malformed), (vec![expected], 0));
    }

    #[tokio::test]
    async fn lines_with_measurements_that_are_no_numbers_cost_only_themselves() {
        let journal = Journal::new(&memory_bucket(), &index_name(), clock());
        journal.append(&trial("t1", 0.9, 100.0)).await.unwrap();
        for broken in [Value::Null, json!("NaN"), json!({}), json!(true)] {
            let mut line = older_line();
            line["metrics"]["recall_at_k"] = broken;
            journal.log.append(line).await.unwrap();
        }
        let whole = older_line().to_string();
        for number in ["NaN", "1e999", "-Infinity"] {
            let line = whole.replace("0.96", number);
            assert_ne!(line, whole);
            assert!(read_line(line.as_bytes()).is_none(), "{number}");
        }
        let read = journal.read().await.unwrap();
        assert_eq!((read.trials.len(), read.malformed), (1, 4));
    }

    /// Whichever way a journal is read, its trials are the same.
    #[tokio::test]
    async fn a_line_of_another_shape_changes_nothing_for_the_others() {
        let journal = Journal::new(&memory_bucket(), &index_name(), clock());
        for id in ["t1", "t2", "t1"] {
            journal.append(&trial(id, 0.9, 100.0)).await.unwrap();
        }
        let before = journal.read().await.unwrap();
        let ids: Vec<_> = before.trials.iter().map(|trial| &*trial.id).collect();
        assert_eq!((ids, before.malformed), (vec!["t1", "t2", "t1-2"], 0));
        for id in [json!(""), Value::Null] {
            let mut line = older_line();
            line["id"] = id;
            journal.log.append(line).await.unwrap();
        }
        let after = journal.read().await.unwrap();
        assert_eq!(after.trials[..3], before.trials);
        assert_eq!((after.trials.len(), after.malformed), (5, 0));
    }
}
