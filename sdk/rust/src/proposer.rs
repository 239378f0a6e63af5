//! Plugins that decide which configuration to try next.
//!
//! Equal contexts must give equal proposals: the host replays journals to check it. A proposal
//! outside the bounds or off the step of a knob is refused and counted as a failure.

use crate::{Description, Error, Extra, Objective, Trials};

/// A proposer plugin.
pub trait Proposer {
    /// What the plugin says of itself.
    fn describe() -> Description;

    /// Chooses the next configuration to try.
    ///
    /// # Errors
    ///
    /// Whatever keeps the plugin from choosing. That nothing is left to try is no error but
    /// [`Proposal::Exhausted`].
    fn propose(context: &Context) -> Result<Proposal, Error>;
}

/// Everything that a proposer gets to see.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// The index that is being tuned.
    pub index: IndexFacts,
    /// Knobs, in the order in which `trials.settings` and a proposal list their values.
    pub knobs: Vec<Knob>,
    /// What the owner wants.
    pub objective: Objective,
    /// The whole journal.
    pub trials: Trials,
    /// Row of `trials` that serves today.
    pub champion: Option<usize>,
    /// The only source of chance; the host derives it from the journal's length.
    pub seed: u64,
    /// Further facts.
    pub extra: Extra,
}

/// The index that is being tuned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexFacts {
    /// Its name.
    pub name: String,
    /// `parquet` or `lance`.
    pub backend: String,
    /// Vectors in it.
    pub vectors: u64,
    /// Components of each.
    pub dimension: u32,
    /// Distance that orders its neighbours.
    pub metric: Metric,
}

/// Distance that orders neighbours; smaller is nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// 1 - cosine similarity, in 0..=2.
    Cosine,
    /// Squared Euclidean distance.
    L2,
    /// 1 - inner product.
    Dot,
}

/// One knob: allowed values are `min`, `min + step`, ... up to `max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knob {
    /// For example `ef_search`.
    pub name: String,
    /// Least value.
    pub min: u32,
    /// Greatest value.
    pub max: u32,
    /// Distance between allowed values, at least 1.
    pub step: u32,
}

/// A proposer's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// Try this next.
    Configuration {
        /// One value per knob of the context, in its order.
        settings: Vec<u32>,
        /// Why, for the journal; one sentence.
        reason: String,
    },
    /// Nothing is left that would be worth a trial; the text says why.
    Exhausted(String),
}
