//! Plugins that decide which trial is best: feasibility, Pareto front and rank.
//!
//! What a plugin is written for is its taste, the score. The two parts that most plugins share are
//! here: [`fronts`], and [`Objective::is_met_by`] for feasibility.

mod fronts;

pub use fronts::fronts;

use crate::{Description, Error, Objective, Trials};

/// A scoring plugin: a pure function of its input.
pub trait Scoring {
    /// What the plugin says of itself.
    fn describe() -> Description;

    /// Judges every trial; the answer has exactly one verdict per trial, in the order of the input.
    ///
    /// # Errors
    ///
    /// Whatever keeps the plugin from judging; then no trial of this call is judged.
    fn evaluate(trials: &Trials, objective: &Objective) -> Result<Vec<Verdict>, Error>;
}

/// The word on one trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Meets every bound of the objective.
    pub feasible: bool,
    /// 0 = not dominated by any trial, 1 = not dominated once front 0 is taken away, and so on.
    pub front: u32,
    /// Higher is better. Never NaN: the host refuses the whole answer otherwise.
    pub score: f64,
    /// Why, in a few words.
    pub reason: Option<String>,
}
