//! What the host itself would try next: strategies that need no proposer.
//!
//! A strategy is a function of the journal and of what is wanted, nothing else. So a run that was interrupted
//! goes on where it ended, and what was chosen can be chosen again ([`crate::Replay::house`]).

use boathouse_types::{HouseStrategy, Trial};

use crate::{Bounds, basis::Basis, grid, halving, replay::Shown};

/// What a choice depends on.
#[derive(Debug, Clone)]
pub(crate) struct Situation<'a> {
    /// What may be tried.
    pub(crate) bounds: Bounds,
    /// Recall to reach.
    pub(crate) floor: f64,
    /// Seed of every build.
    pub(crate) seed: u64,
    /// Version of the vectors at hand.
    pub(crate) data_version: &'a str,
    /// Identity of the evaluation set; none in journals of older hosts.
    pub(crate) evalset: Option<&'a str>,
    /// How many there are.
    pub(crate) vectors: u64,
    /// All lines.
    pub(crate) journal: &'a [Trial],
}

/// What to try.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Choice {
    /// A configuration, on all vectors.
    Try {
        /// One value a knob.
        settings: Vec<u32>,
        reason: String,
    },
    /// A build of a graph, on a share of the vectors.
    Sample {
        /// `m`, `ef_construction`.
        build: (u32, u32),
        share: f64,
        reason: String,
    },
    /// Nothing is left.
    Exhausted(String),
}

impl Situation<'_> {
    pub(crate) fn choice(&self, strategy: HouseStrategy) -> Choice {
        match strategy {
            HouseStrategy::Grid => {
                let comparable = self.measured(self.data_version);
                grid::next(&self.bounds, &comparable, self.seed)
            }
            HouseStrategy::Halving => match &self.bounds {
                Bounds::Graph(bounds) => halving::next(self, bounds),
                Bounds::Table(_) => Choice::Exhausted("halving is for graphs".to_owned()),
            },
        }
    }

    /// Trials on one version of vectors, with the queries at hand.
    pub(crate) fn measured(&self, data_version: &str) -> Vec<&Trial> {
        let basis = Basis {
            backend: self.bounds.backend(),
            data_version: Some(data_version),
            evalset: self.evalset,
        };
        Shown::of(self.journal, basis).into_lines()
    }
}
