//! Small questions of every kind that every plugin is asked before it may serve, and that time it.
//!
//! Ordinary ones look like what the host asks on any day; every plugin must answer them. Odd ones are at
//! the edges of the contract: nothing to judge, one row, extreme numbers, texts in many scripts. A plugin
//! may decline those, and must not crash over them. All of it is made up and the same in every call.

use boathouse_types::{
    ColumnSample, IndexConfig, IndexFacts, Interval, Knob, Metric, Objective, ProposalContext,
    TableSample, Trial, TrialMetrics, VectorBackend,
};

/// A question with its name.
#[derive(Debug, Clone)]
pub struct Golden<T> {
    /// What it is, for messages.
    pub name: &'static str,
    /// It has to be answered; others may be declined.
    pub ordinary: bool,
    /// The question.
    pub question: T,
}

/// A question to a scoring plugin.
#[derive(Debug, Clone)]
pub struct Journal {
    /// The trials to judge, oldest first.
    pub trials: Vec<Trial>,
    /// What the owner of the index wants.
    pub objective: Objective,
}

fn ordinary<T>(name: &'static str, question: T) -> Golden<T> {
    Golden {
        name,
        ordinary: true,
        question,
    }
}

fn odd<T>(name: &'static str, question: T) -> Golden<T> {
    Golden {
        name,
        ordinary: false,
        question,
    }
}

/// Questions for scoring plugins.
#[must_use]
pub fn journals() -> Vec<Golden<Journal>> {
    let journal = |trials, objective| Journal { trials, objective };
    let demanding = Objective {
        recall_floor: 0.95,
        p95_budget_us: Some(400.0),
        memory_cap_bytes: Some(60 << 20),
        weights: vec![("recall".to_owned(), 2.0), ("latency".to_owned(), 0.5)],
    };
    let mut ends = vec![trial(0, 0.0, 0.0), trial(1, 1.0, 1e12)];
    ends[1].metrics.memory_bytes = u64::MAX;
    vec![
        ordinary("twelve trials", journal(twelve(), Objective::default())),
        ordinary(
            "twelve trials, every bound set",
            journal(twelve(), demanding),
        ),
        ordinary(
            "one trial",
            journal(vec![trial(0, 0.97, 310.0)], Objective::default()),
        ),
        odd("no trials", journal(Vec::new(), Objective::default())),
        odd(
            "trials at the ends of their ranges",
            journal(ends, Objective::default()),
        ),
    ]
}

/// Questions for proposers.
#[must_use]
pub fn contexts() -> Vec<Golden<ProposalContext>> {
    let knobs = vec![
        knob("m", 8, 64, 8),
        knob("ef_construction", 20, 400, 20),
        knob("ef_search", 10, 500, 10),
    ];
    let short = twelve().into_iter().take(3).collect();
    let tried = vec![trial(0, 0.97, 310.0)];
    let ef_search = IndexConfig::default().ef_search;
    let only = vec![knob("ef_search", ef_search, ef_search, 1)];
    vec![
        ordinary(
            "the first proposal",
            context(knobs.clone(), Vec::new(), None),
        ),
        ordinary(
            "three trials and a champion",
            context(knobs.clone(), short, Some(2)),
        ),
        ordinary(
            "twelve trials and a champion",
            context(knobs.clone(), twelve(), Some(5)),
        ),
        odd(
            "twelve trials and no champion",
            context(knobs, twelve(), None),
        ),
        odd("nothing left to try", context(only, tried, Some(0))),
    ]
}

/// Questions for detectors.
#[must_use]
pub fn tables() -> Vec<Golden<TableSample>> {
    let table = |name: &str, columns| TableSample {
        name: name.to_owned(),
        columns,
    };
    let long = "x".repeat(10_000);
    vec![
        ordinary("people", table("people", people())),
        ordinary("measurements", table("measurements", measurements())),
        ordinary("one value", table("single", vec![text("note", &["hello"])])),
        odd("a table without columns", table("empty", Vec::new())),
        odd(
            "columns without values",
            table("nulls", vec![text("email", &[]), text("", &[])]),
        ),
        odd(
            "texts in many scripts",
            table(
                "Größe \u{1f600}",
                vec![
                    text(
                        "naïve",
                        &["é", "日本語", "\u{202e}abc", "\0", "a\u{301}", ""],
                    ),
                    text("long", &[&long]),
                ],
            ),
        ),
    ]
}

/// Trials with a tie, two that are worse in everything, and some below the usual floor of recall.
fn twelve() -> Vec<Trial> {
    let measured = [
        (0.82, 120.0),
        (0.88, 150.0),
        (0.91, 180.0),
        (0.94, 210.0),
        (0.955, 260.0),
        (0.97, 310.0),
        (0.97, 310.0),
        (0.98, 420.0),
        (0.985, 640.0),
        (0.99, 900.0),
        (0.96, 950.0),
        (0.90, 1_200.0),
    ];
    let rows = (0..).zip(measured);
    rows.map(|(row, (recall, p95))| trial(row, recall, p95))
        .collect()
}

fn trial(row: u32, recall: f64, p95_us: f64) -> Trial {
    Trial::of(
        format!("golden-{row}"),
        IndexConfig {
            m: 8 + 8 * (row % 4),
            ef_construction: 40 + 20 * (row % 5),
            ef_search: 20 + 10 * row,
            seed: 0,
        },
        TrialMetrics {
            build_time_secs: f64::from(row % 3),
            search_latency_p50_us: p95_us * 0.6,
            search_latency_p95_us: p95_us,
            search_latency_p99_us: p95_us * 1.4,
            recall_at_k: recall,
            recall_interval: Some(Interval {
                low: (recall - 0.01).max(0.0),
                high: (recall + 0.01).min(1.0),
            }),
            k: Some(10),
            memory_bytes: (40 << 20) + (u64::from(row) << 21),
            vectors: 10_000,
            eval_queries: 100,
            brute_force_latency_us: 4_000.0,
            distances_per_query: Some(200.0 + 50.0 * f64::from(row)),
        },
    )
}

fn knob(name: &str, min: u32, max: u32, step: u32) -> Knob {
    Knob {
        name: name.to_owned(),
        min,
        max,
        step,
    }
}

fn context(knobs: Vec<Knob>, trials: Vec<Trial>, champion: Option<u32>) -> ProposalContext {
    ProposalContext {
        index: IndexFacts {
            name: "golden".to_owned(),
            backend: VectorBackend::Parquet,
            vectors: 10_000,
            dimension: 256,
            metric: Metric::Cosine,
        },
        knobs,
        objective: Objective::default(),
        champion,
        seed: trials.len() as u64 + 1,
        trials,
    }
}

fn people() -> Vec<ColumnSample> {
    let emails: Vec<String> = (0..20).map(|i| format!("person{i}@example.org")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    vec![
        text(
            "name",
            &[
                "Ada Lovelace",
                "Alan Turing",
                "Grace Hopper",
                "Mary Jackson",
            ],
        ),
        text("email", &emails),
        text(
            "phone",
            &["+1 202-555-0143", "+44 20 7946 0958", "030 23125 123"],
        ),
        text(
            "comment",
            &["call back", "write to ada@example.org", "nothing"],
        ),
        text("country", &["DE", "GB", "US"]),
    ]
}

fn measurements() -> Vec<ColumnSample> {
    let numbers: Vec<String> = (0..20).map(|i| format!("{}.{}", 20 + i % 7, i)).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    vec![
        ColumnSample {
            declared_type: "Float64".to_owned(),
            ..text("temperature", &numbers)
        },
        text("unit", &["C", "F"]),
    ]
}

fn text(name: &str, values: &[&str]) -> ColumnSample {
    ColumnSample {
        name: name.to_owned(),
        declared_type: "Utf8".to_owned(),
        rows: values.len() as u64 * 3 + 2,
        nulls: 2,
        values: values
            .iter()
            .map(|value| ((*value).to_owned(), 3))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question;

    #[test]
    fn every_question_can_be_put() {
        for Golden { name, question, .. } in journals() {
            assert!(question::journal(&question.trials).is_ok(), "{name}");
        }
        for Golden { name, question, .. } in contexts() {
            assert!(question::context(&question).is_ok(), "{name}");
        }
        for Golden { name, question, .. } in tables() {
            assert!(question::table(&question).is_ok(), "{name}");
        }
    }

    #[test]
    fn each_kind_has_ordinary_and_odd_ones_with_names_of_their_own() {
        fn check<T>(golden: &[Golden<T>]) {
            assert!(golden.iter().any(|g| g.ordinary) && golden.iter().any(|g| !g.ordinary));
            let mut names: Vec<_> = golden.iter().map(|g| g.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), golden.len());
        }
        check(&journals());
        check(&contexts());
        check(&tables());
    }

    #[test]
    fn the_journal_has_a_tie_and_both_sides_of_the_floor() {
        let trials = twelve();
        let floor = Objective::default().recall_floor;
        let feasible = trials.iter().filter(|t| t.metrics.recall_at_k >= floor);
        assert!((1..trials.len()).contains(&feasible.count()));
        let same = |a: &Trial, b: &Trial| {
            (a.metrics.recall_at_k, a.metrics.search_latency_p95_us)
                == (b.metrics.recall_at_k, b.metrics.search_latency_p95_us)
        };
        assert!(trials.windows(2).any(|pair| same(&pair[0], &pair[1])));
    }
}
