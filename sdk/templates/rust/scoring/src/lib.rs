//! `{{name}}`: decides which trial is best.
//!
//! A trial is feasible when it meets the objective. Trials are ranked into Pareto fronts by recall, p95 latency and
//! memory. The score is recall, less 0.2 for every millisecond of p95 latency: change it to your taste.

use boathouse_sdk::scoring::fronts;
use boathouse_sdk::{Description, Error, Objective, Scoring, Trial, Trials, Verdict};

struct Plugin;

impl Scoring for Plugin {
    fn describe() -> Description {
        let summary = "Recall, less 0.2 for every millisecond of p95 latency.";
        Description::new("{{name}}", env!("CARGO_PKG_VERSION"), summary).reads([
            "recall",
            "recall_low",
            "latency_p95_us",
            "memory_bytes",
        ])
    }

    fn evaluate(trials: &Trials, objective: &Objective) -> Result<Vec<Verdict>, Error> {
        // Less is better on every axis.
        let aims = |trial: Trial| {
            let memory = trial.memory_bytes as f64;
            [-trial.recall, trial.latency_p95_us, memory]
        };
        let fronts = fronts(&trials.iter().map(aims).collect::<Vec<_>>());
        let judge = |(trial, front): (Trial, u32)| Verdict {
            feasible: objective.is_met_by(&trial),
            front,
            score: trial.recall - 0.2 * trial.latency_p95_us / 1000.0,
            reason: None,
        };
        Ok(trials.iter().zip(fronts).map(judge).collect())
    }
}

boathouse_sdk::export_scoring!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;
    use boathouse_sdk::testing::journal;

    #[test]
    fn the_quicker_of_equal_recall_wins_and_the_objective_is_kept() {
        let trials = journal(&[
            (0.97, 300.0, 1000),
            (0.97, 900.0, 1000),
            (0.80, 100.0, 1000),
        ]);
        let verdicts = Plugin::evaluate(&trials, &Objective::default()).expect("verdicts");
        assert!(verdicts[0].score > verdicts[1].score);
        let fronts: Vec<u32> = verdicts.iter().map(|verdict| verdict.front).collect();
        assert_eq!(fronts, [0, 1, 0]);
        let feasible: Vec<bool> = verdicts.iter().map(|verdict| verdict.feasible).collect();
        assert_eq!(feasible, [true, true, false]);
    }
}
