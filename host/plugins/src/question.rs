//! The host's questions in the shape of the contract: structs of arrays with one entry per row.
//!
//! What the host does not know is filled in here and nowhere else: a recall without an interval is its
//! own interval, distances that were not counted are 0.

use boathouse_types::{
    Configuration, Interval, Metric, Objective, ProposalContext, TableConfig, TableSample, Trial,
    TrialMetrics, VectorBackend,
};

use crate::bindings::{
    pii,
    proposer::{Context, IndexFacts, Knob},
    types,
};

/// The knobs of an HNSW index, in the order of a scoring question without trials.
const KNOBS: [&str; 3] = ["m", "ef_construction", "ef_search"];

/// Why a question cannot be put.
pub(crate) type Unfit = String;

/// A journal for a scoring plugin, with the knobs of what its trials are about.
pub(crate) fn journal(trials: &[Trial]) -> Result<types::Trials, Unfit> {
    match trials.first() {
        Some(first) => {
            let settings = first.config.settings().into_iter();
            let names: Vec<&str> = settings.map(|(name, _)| name).collect();
            trials_with(trials, &names)
        }
        None => trials_with(trials, &KNOBS),
    }
}

/// What the owner of an index wants.
pub(crate) fn objective(objective: &Objective) -> types::Objective {
    types::Objective {
        recall_floor: objective.recall_floor,
        p95_budget_us: objective.p95_budget_us,
        memory_cap_bytes: objective.memory_cap_bytes,
        weights: objective.weights.clone(),
        extra: Vec::new(),
    }
}

/// A context for a proposer.
pub(crate) fn context(context: &ProposalContext) -> Result<Context, Unfit> {
    let names: Vec<&str> = context.knobs.iter().map(|k| k.name.as_str()).collect();
    let trials = trials_with(&context.trials, &names)?;
    if let Some(row) = context.champion.filter(|row| *row >= trials.count) {
        return Err(format!(
            "the champion is row {row} of a journal of {} trials",
            trials.count
        ));
    }
    Ok(Context {
        index: IndexFacts {
            name: context.index.name.clone(),
            backend: match context.index.backend {
                VectorBackend::Parquet => "parquet",
                VectorBackend::Lance => "lance",
            }
            .to_owned(),
            vectors: context.index.vectors,
            dimension: context.index.dimension,
            metric: match context.index.metric {
                Metric::Cosine => types::Metric::Cosine,
                Metric::L2 => types::Metric::L2,
                Metric::Dot => types::Metric::Dot,
            },
        },
        knobs: context.knobs.iter().map(knob).collect::<Result<_, _>>()?,
        objective: objective(&context.objective),
        trials,
        champion: context.champion,
        seed: context.seed,
        extra: Vec::new(),
    })
}

/// A table for a detector.
pub(crate) fn table(sample: &TableSample) -> Result<pii::Table, Unfit> {
    Ok(pii::Table {
        name: sample.name.clone(),
        columns: sample
            .columns
            .iter()
            .map(column)
            .collect::<Result<_, _>>()?,
        extra: Vec::new(),
    })
}

fn column(column: &boathouse_types::ColumnSample) -> Result<pii::Column, Unfit> {
    let mut values = String::new();
    let mut offsets = vec![0];
    for (value, _) in &column.values {
        values.push_str(value);
        offsets.push(
            u32::try_from(values.len())
                .map_err(|_| format!("the sample of column `{}` is over 4 GiB", column.name))?,
        );
    }
    Ok(pii::Column {
        name: column.name.clone(),
        declared_type: column.declared_type.clone(),
        rows: column.rows,
        nulls: column.nulls,
        values,
        offsets,
        counts: column.values.iter().map(|(_, count)| *count).collect(),
        extra: Vec::new(),
    })
}

fn knob(knob: &boathouse_types::Knob) -> Result<Knob, Unfit> {
    if knob.step == 0 || knob.min > knob.max {
        return Err(format!(
            "knob `{}` has bounds {}..={} and step {}",
            knob.name, knob.min, knob.max, knob.step
        ));
    }
    Ok(Knob {
        name: knob.name.clone(),
        min: knob.min,
        max: knob.max,
        step: knob.step,
    })
}

fn trials_with(trials: &[Trial], knobs: &[&str]) -> Result<types::Trials, Unfit> {
    let count = u32::try_from(trials.len()).map_err(|_| "over 2^32 trials".to_owned())?;
    known(knobs)?;
    let mut settings = Vec::with_capacity(trials.len() * knobs.len());
    for trial in trials {
        for &knob in knobs {
            let value = trial.config.setting(knob);
            settings.push(value.ok_or_else(|| {
                format!("trial `{}` has no value of the knob `{knob}`", trial.id)
            })?);
        }
    }
    let column = |of: fn(&TrialMetrics) -> f64| trials.iter().map(|t| of(&t.metrics)).collect();
    Ok(types::Trials {
        count,
        knobs: knobs.iter().map(|&name| name.to_owned()).collect(),
        settings,
        recall: column(|m| m.recall_at_k),
        recall_low: column(|m| interval(m).low),
        recall_high: column(|m| interval(m).high),
        latency_p50_us: column(|m| m.search_latency_p50_us),
        latency_p95_us: column(|m| m.search_latency_p95_us),
        latency_p99_us: column(|m| m.search_latency_p99_us),
        distances: column(|m| m.distances_per_query.unwrap_or(0.0)),
        memory_bytes: trials.iter().map(|t| t.metrics.memory_bytes).collect(),
        build_seconds: column(|m| m.build_time_secs),
        measures: Vec::new(),
    })
}

fn interval(metrics: &TrialMetrics) -> Interval {
    metrics.recall_interval.unwrap_or(Interval {
        low: metrics.recall_at_k,
        high: metrics.recall_at_k,
    })
}

/// That configurations have such knobs.
fn known(knobs: &[&str]) -> Result<(), Unfit> {
    let table = TableConfig {
        partitions: 1,
        sub_vectors: 1,
        nprobes: 1,
        refine_factor: 1,
    };
    let of = [Configuration::default(), Configuration::from(table)];
    let is_one = |knob: &&&str| of.iter().any(|config| config.setting(knob).is_some());
    match knobs.iter().find(|knob| !is_one(knob)) {
        None => Ok(()),
        Some(knob) => Err(format!(
            "a journal holds no values of the knob `{knob}`, only of m, ef_construction and ef_search, or of partitions, sub_vectors, nprobes and refine_factor"
        )),
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::{ColumnSample, IndexConfig};

    use super::*;
    use crate::testing::trial;

    #[test]
    fn a_journal_becomes_columns_and_gaps_are_filled() {
        let mut first = trial(0.9, 100.0);
        first.config = IndexConfig {
            m: 8,
            ..IndexConfig::default()
        }
        .into();
        let mut second = trial(0.95, 200.0);
        second.metrics.recall_interval = Some(Interval {
            low: 0.94,
            high: 0.96,
        });
        second.metrics.distances_per_query = Some(7.5);
        let journal = journal(&[first, second]).expect("journal");
        assert_eq!(journal.count, 2);
        assert_eq!(journal.settings, [8, 80, 30, 16, 80, 30]);
        assert_eq!(journal.recall_low, [0.9, 0.94]);
        assert_eq!(journal.recall_high, [0.9, 0.96]);
        assert_eq!(journal.distances, [0.0, 7.5]);
    }

    #[test]
    fn trials_of_tables_have_the_knobs_of_tables() {
        let config = TableConfig {
            partitions: 8,
            sub_vectors: 4,
            nprobes: 5,
            refine_factor: 10,
        };
        let mut one = trial(0.9, 100.0);
        one.config = config.into();
        let told = journal(std::slice::from_ref(&one)).expect("journal");
        assert_eq!(
            told.knobs,
            ["partitions", "sub_vectors", "nprobes", "refine_factor"]
        );
        assert_eq!(told.settings, [8, 4, 5, 10]);
        let mixed = journal(&[one, trial(0.9, 100.0)]);
        assert!(mixed.is_err_and(|text| text.contains("no value of the knob `partitions`")));
    }

    #[test]
    fn settings_follow_the_knobs_of_the_context() {
        let one = trials_with(&[trial(0.9, 1.0)], &["ef_search"]).expect("journal");
        assert_eq!(one.settings, [30]);
        assert!(trials_with(&[], &["beam"]).is_err_and(|text| text.contains("`beam`")));
    }

    #[test]
    fn offsets_lie_on_character_boundaries() {
        let column = column(&ColumnSample {
            values: vec![
                ("né".to_owned(), 3),
                (String::new(), 1),
                ("x".to_owned(), 2),
            ],
            ..ColumnSample::default()
        })
        .expect("column");
        assert_eq!(column.values, "néx");
        assert_eq!(column.offsets, [0, 3, 3, 4]);
        assert_eq!(column.counts, [3, 1, 2]);
    }

    #[test]
    fn an_empty_column_has_one_offset() {
        let column = column(&ColumnSample::default()).expect("column");
        assert_eq!(column.offsets, [0]);
    }
}
