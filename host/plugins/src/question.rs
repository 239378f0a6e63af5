//! The host's questions in the shape of the contract: structs of arrays with one entry per row.
//!
//! What the host does not know is filled in here and nowhere else: a recall without an interval is its
//! own interval, distances that were not counted are 0.

use boathouse_types::{
    Interval, Metric, Objective, ProposalContext, TableSample, Trial, TrialMetrics, VectorBackend,
};

use crate::bindings::{
    pii,
    proposer::{Context, IndexFacts, Knob},
    types,
};

/// The knobs of an HNSW index, in the order of a scoring question.
const KNOBS: [&str; 3] = ["m", "ef_construction", "ef_search"];

/// Why a question cannot be put.
pub(crate) type Unfit = String;

/// A journal for a scoring plugin.
pub(crate) fn journal(trials: &[Trial]) -> Result<types::Trials, Unfit> {
    trials_with(trials, &KNOBS)
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
    let value_of = knobs
        .iter()
        .map(|name| setting(name))
        .collect::<Result<Vec<_>, _>>()?;
    let column = |of: fn(&TrialMetrics) -> f64| trials.iter().map(|t| of(&t.metrics)).collect();
    Ok(types::Trials {
        count,
        knobs: knobs.iter().map(|&name| name.to_owned()).collect(),
        settings: trials
            .iter()
            .flat_map(|trial| value_of.iter().map(|value| value(trial)))
            .collect(),
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

fn setting(knob: &str) -> Result<fn(&Trial) -> u32, Unfit> {
    match knob {
        "m" => Ok(|trial| trial.config.m),
        "ef_construction" => Ok(|trial| trial.config.ef_construction),
        "ef_search" => Ok(|trial| trial.config.ef_search),
        _ => Err(format!(
            "a journal holds no values of the knob `{knob}`, only of m, ef_construction and ef_search"
        )),
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::ColumnSample;

    use super::*;
    use crate::testing::trial;

    #[test]
    fn a_journal_becomes_columns_and_gaps_are_filled() {
        let mut first = trial(0.9, 100.0);
        first.config.m = 8;
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
