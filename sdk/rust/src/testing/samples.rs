//! Input in a line: a journal, a context, a table.
//!
//! What a test does not say gets a usual value, and every field is public, so that a test changes just
//! what it is about:
//!
//! ```
//! use boathouse_sdk::testing::{context, journal, table};
//! use boathouse_sdk::Context;
//!
//! let trials = journal(&[(0.97, 310.0, 5_000_000), (0.99, 450.0, 5_000_000)]);
//! assert_eq!((trials.recall[0], trials.latency_p95_us[1]), (0.97, 450.0));
//!
//! let asked = Context { champion: Some(1), ..context(trials, 42) };
//! assert_eq!(asked.champion_settings(), Some(&[16, 100, 20][..]));
//!
//! let people = table(&[("mail", &["a@example.org", "b@example.org"]), ("age", &["31", "27"])]);
//! assert_eq!(people.columns[0].distinct(), 2);
//! ```

use crate::pii::{Column, Table};
use crate::proposer::{IndexFacts, Knob, Metric};
use crate::{Context, Extra, Objective, Trial, Trials};

/// A journal with one trial per `(recall, p95 latency in µs, bytes in memory)`.
///
/// Its knobs are `m` (16), `ef_construction` (100) and `ef_search` (10, 20, ... row by row). The
/// interval of recall reaches 0.005 to either side, p50 is half and p99 twice the p95.
#[must_use]
pub fn journal(rows: &[(f64, f64, u64)]) -> Trials {
    let mut trials = Trials::new(["m", "ef_construction", "ef_search"]);
    for (ef_search, &(recall, latency_p95_us, memory_bytes)) in (10..).step_by(10).zip(rows) {
        trials.push(Trial {
            settings: &[16, 100, ef_search],
            recall,
            recall_low: (recall - 0.005).max(0.0),
            recall_high: (recall + 0.005).min(1.0),
            latency_p50_us: latency_p95_us / 2.0,
            latency_p95_us,
            latency_p99_us: latency_p95_us * 2.0,
            distances: 800.0,
            memory_bytes,
            build_seconds: 1.5,
        });
    }
    trials
}

/// A context over a journal of [`journal`]'s knobs: an index of 10,000 vectors of 256 dimensions, `m`
/// in 4..=64, `ef_construction` in 20..=400 and `ef_search` in 10..=500, the default objective, nobody
/// serving.
#[must_use]
pub fn context(trials: Trials, seed: u64) -> Context {
    let knobs = [
        ("m", 4, 64, 4),
        ("ef_construction", 20, 400, 20),
        ("ef_search", 10, 500, 10),
    ];
    let knob = |(name, min, max, step): (&str, u32, u32, u32)| Knob {
        name: name.to_owned(),
        min,
        max,
        step,
    };
    Context {
        index: IndexFacts {
            name: "docs".to_owned(),
            backend: "parquet".to_owned(),
            vectors: 10_000,
            dimension: 256,
            metric: Metric::Cosine,
        },
        knobs: knobs.map(knob).into(),
        objective: Objective::default(),
        trials,
        champion: None,
        seed,
        extra: Extra::new(),
    }
}

/// A table of text columns, each given by name and values, one value per row. As in what a host sends,
/// equal values become one with its count, in the order of their first appearance.
#[must_use]
pub fn table(columns: &[(&str, &[&str])]) -> Table {
    let column = |(name, values): &(&str, &[&str])| {
        let mut counted: Vec<(&str, u32)> = Vec::new();
        for &value in *values {
            match counted.iter_mut().find(|(known, _)| *known == value) {
                Some((_, count)) => *count += 1,
                None => counted.push((value, 1)),
            }
        }
        Column::new(name, "Utf8").with_values(counted)
    };
    Table {
        name: "people".to_owned(),
        columns: columns.iter().map(column).collect(),
        extra: Extra::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_whole_and_its_settings_lie_on_the_grid() {
        let trials = journal(&[(0.999, 100.0, 1), (0.001, 200.0, 2), (0.5, 0.0, 3)]);
        assert_eq!(trials.check(), Ok(()));
        assert!(
            trials
                .recall_low
                .iter()
                .chain(&trials.recall_high)
                .all(|r| (0.0..=1.0).contains(r))
        );
        let context = context(trials, 1);
        for trial in context.trials.iter() {
            for (knob, &value) in context.knobs.iter().zip(trial.settings) {
                assert_eq!(knob.step(value, 0), value, "{}", knob.name);
            }
        }
        assert!(journal(&[]).is_empty());
    }

    #[test]
    fn equal_values_of_a_table_are_counted() {
        let table = table(&[("c", &["b", "a", "b"]), ("empty", &[])]);
        let values: Vec<_> = table.columns[0].values().collect();
        assert_eq!(values, [("b", 2), ("a", 1)]);
        assert_eq!(table.columns[0].rows, 3);
        assert_eq!(table.columns[1].distinct(), 0);
    }
}
