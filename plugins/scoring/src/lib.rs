//! The bundled scoring plugin, `boathouse/pareto`.
//!
//! - *Feasible* is a trial whose recall is at or above the floor even at the lower end of its
//!   interval, and whose p95 latency, memory and build seconds are within budgets and cap where these are
//!   given.
//! - *Front* is its rank in the non-dominated sorting by recall (up), p95 latency (down) and memory
//!   (down), over all trials, feasible or not.
//! - *Score* is recall less what latency, memory and building cost, each by its weight and up to a scale.
//!   Without settings and weights that is recall less 0.2 x min(p95 in ms, 1).
//!
//! Weights, scales, floors and budgets come from the objective and from the operator's settings; [`taste`]
//! lists them. A trial that reused a graph costs what that graph took to build, where the journal has it.
//!
//! It is a pure function of trials, objective and settings. What it does not do is choose: ties and
//! significance are the host's business.

mod score;
mod taste;

use std::collections::BTreeMap;

use boathouse_sdk::scoring::fronts;
use boathouse_sdk::{Description, Error, Objective, Scoring, Trials, Verdict};
use score::Figures;
use taste::Taste;

/// The knob that needs no build.
const SEARCH: &str = "ef_search";

/// The plugin.
#[derive(Debug, Clone, Copy)]
pub struct Pareto;

impl Scoring for Pareto {
    fn describe() -> Description {
        let summary = "Recall less 0.2 x min(p95 in ms, 1), or by weights of its settings; Pareto fronts over recall, p95 and memory.";
        Description::new("boathouse/pareto", env!("CARGO_PKG_VERSION"), summary).reads([
            "recall",
            "recall_low",
            "latency_p95_us",
            "memory_bytes",
            "build_seconds",
            "setting:recall",
            "setting:latency",
            "setting:memory",
            "setting:build",
            "setting:latency_scale_us",
            "setting:memory_scale_bytes",
            "setting:build_scale_seconds",
            "setting:recall_floor",
            "setting:p95_budget_us",
            "setting:memory_cap_bytes",
            "setting:build_budget_seconds",
        ])
    }

    fn evaluate(trials: &Trials, objective: &Objective) -> Result<Vec<Verdict>, Error> {
        let taste = Taste::new(&boathouse_sdk::host::settings(), objective)?;
        check_numbers(trials)?;
        let builds = match taste.minds_builds() {
            true => build_seconds(trials),
            false => vec![0.0; trials.len()],
        };
        let fronts = fronts(&aims(trials));
        let verdicts = fronts.into_iter().enumerate().map(|(row, front)| {
            let figures = Figures {
                recall: trials.recall[row],
                recall_low: trials.recall_low[row],
                p95_us: trials.latency_p95_us[row],
                memory_bytes: trials.memory_bytes[row] as f64,
                build_seconds: builds[row],
            };
            let reason = taste.limits.broken(&figures);
            Verdict {
                feasible: reason.is_none(),
                front,
                score: taste.score(&figures),
                reason,
            }
        });
        Ok(verdicts.collect())
    }
}

boathouse_sdk::export_scoring!(Pareto);

/// What the fronts weigh against each other, less being better. Bytes are exact up to 8 PiB.
fn aims(trials: &Trials) -> Vec<[f64; 3]> {
    let measured = trials.recall.iter().zip(&trials.latency_p95_us);
    let measured = measured.zip(&trials.memory_bytes);
    measured
        .map(|((&recall, &p95_us), &memory)| [-recall, p95_us, memory as f64])
        .collect()
}

/// Seconds of building each trial's graph: the most that a trial of the same build says, because one that
/// reused the graph says 0.
fn build_seconds(trials: &Trials) -> Vec<f64> {
    let search = trials.knobs.iter().position(|knob| knob == SEARCH);
    let build = |settings: &[u32]| -> Vec<u32> {
        let axes = settings.iter().enumerate();
        let axes = axes.filter(|(axis, _)| Some(*axis) != search);
        axes.map(|(_, &value)| value).collect()
    };
    let mut builds: BTreeMap<Vec<u32>, f64> = BTreeMap::new();
    for trial in trials.iter() {
        let known = builds.entry(build(trial.settings)).or_default();
        *known = known.max(trial.build_seconds);
    }
    trials
        .iter()
        .map(|trial| builds[&build(trial.settings)])
        .collect()
}

/// Refuses measurements that are none, naming trial and column.
fn check_numbers(trials: &Trials) -> Result<(), Error> {
    let share = (0.0..=1.0, "a number in 0..=1");
    let finite = (f64::MIN..=f64::MAX, "a finite number");
    let time = (0.0..=f64::MAX, "a finite number of seconds");
    let duration = (0.0..=f64::MAX, "a finite number of microseconds");
    let columns = [
        ("recall", &trials.recall, share),
        ("recall_low", &trials.recall_low, finite),
        ("latency_p95_us", &trials.latency_p95_us, duration),
        ("build_seconds", &trials.build_seconds, time),
    ];
    for (name, values, (range, wanted)) in columns {
        if let Some(row) = values.iter().position(|value| !range.contains(value)) {
            let value = values[row];
            return Err(Error::invalid_input(format!(
                "`{name}` of trial {row} is {value}, not {wanted}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
