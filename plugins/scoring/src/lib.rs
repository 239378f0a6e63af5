//! The bundled scoring plugin, `boathouse/pareto`.
//!
//! - *Feasible* is a trial whose recall is at or above the floor even at the lower end of its
//!   interval, and whose p95 latency and memory are within budget and cap where these are given.
//! - *Front* is its rank in the non-dominated sorting by recall (up), p95 latency (down) and memory
//!   (down), over all trials, feasible or not.
//! - *Score* is `recall * R - latency * min(p95_ms, 1) - memory * min(bytes / scale, 1)` with the
//!   weights `recall` (1 when absent), `latency` (0.2) and `memory` (0) of the objective; `scale` is
//!   the memory cap, or 1 GiB when there is none. Without weights that is recall less
//!   0.2 x min(p95 in ms, 1).
//!
//! It is a pure function without settings. What it does not do is choose: ties and significance are
//! the host's business.

mod score;

use boathouse_sdk::scoring::fronts;
use boathouse_sdk::{Description, Error, Objective, Scoring, Trials, Verdict};

/// The plugin.
#[derive(Debug, Clone, Copy)]
pub struct Pareto;

impl Scoring for Pareto {
    fn describe() -> Description {
        let summary =
            "Recall less 0.2 x min(p95 in ms, 1), Pareto fronts over recall, p95 and memory.";
        Description::new("boathouse/pareto", env!("CARGO_PKG_VERSION"), summary).reads([
            "recall",
            "recall_low",
            "latency_p95_us",
            "memory_bytes",
        ])
    }

    fn evaluate(trials: &Trials, objective: &Objective) -> Result<Vec<Verdict>, Error> {
        let bounds = score::Bounds::new(objective)?;
        let formula = score::Formula::new(objective)?;
        check_numbers(trials)?;
        let fronts = fronts(&aims(trials));
        let verdicts = fronts.into_iter().enumerate().map(|(row, front)| {
            let (p95_us, memory) = (trials.latency_p95_us[row], trials.memory_bytes[row]);
            let broken = bounds.broken(trials.recall_low[row], p95_us, memory);
            Verdict {
                feasible: broken.is_none(),
                front,
                score: formula.score(trials.recall[row], p95_us, memory),
                reason: broken.map(str::to_owned),
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

/// Refuses measurements that are none, naming trial and column.
fn check_numbers(trials: &Trials) -> Result<(), Error> {
    let share = (0.0..=1.0, "a number in 0..=1");
    let finite = (f64::MIN..=f64::MAX, "a finite number");
    let duration = (0.0..=f64::MAX, "a finite number of microseconds");
    let columns = [
        ("recall", &trials.recall, share),
        ("recall_low", &trials.recall_low, finite),
        ("latency_p95_us", &trials.latency_p95_us, duration),
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
