//! What of an index is tuned: its graph or its Lance table, with the space of knobs of each.
//!
//! Whichever serves is meant where nobody says otherwise. Everything below this file sees a configuration, bounds and
//! vectors; that tables are Lance's is known to `lance/` alone.

use boathouse_tuning::{Bounds, IndexData, check_config, check_table};
use boathouse_types::{Configuration, IndexConfig, TableConfig, VectorBackend};

use super::{AutotuneSpec, StrategyName, TrialSpec};
use crate::{indexes::LiveIndex, lance, problem::Problem};

/// One of the two that an index can be tuned as.
pub(crate) struct Space {
    /// The vectors, as trials of it see them.
    pub(crate) data: IndexData,
    /// What serves, or would serve if this were to.
    pub(crate) serving: Configuration,
}

impl Space {
    /// What is asked for, else what serves.
    ///
    /// # Errors
    /// 422 `too_few_rows` for a table of too few; 501 in a host without Lance.
    pub(crate) fn of(index: &LiveIndex, asked: Option<VectorBackend>) -> Result<Self, Problem> {
        let backend = asked.unwrap_or(index.meta.vector_backend);
        let serving = match backend {
            VectorBackend::Parquet => Configuration::Graph(index.serving().config()),
            VectorBackend::Lance => Configuration::Table(lance::config_of_table(index)?),
        };
        Ok(Self {
            data: IndexData {
                backend,
                ..index.data.clone()
            },
            serving,
        })
    }

    /// The configuration that a trial is about; what is left out is as it serves.
    ///
    /// # Errors
    /// 422 for a knob of the other engine, and for a configuration beyond the hard limits.
    pub(crate) fn configuration(&self, spec: &TrialSpec) -> Result<Configuration, Problem> {
        self.check_knobs(spec)?;
        match self.serving {
            Configuration::Graph(serving) => {
                let config = IndexConfig {
                    m: spec.m.unwrap_or(serving.m),
                    ef_construction: spec.ef_construction.unwrap_or(serving.ef_construction),
                    ef_search: spec.ef_search.unwrap_or(serving.ef_search),
                    seed: spec.seed.unwrap_or(serving.seed),
                };
                check_config(&config)?;
                Ok(config.into())
            }
            Configuration::Table(serving) => {
                let config = TableConfig {
                    partitions: spec.partitions.unwrap_or(serving.partitions),
                    sub_vectors: spec.sub_vectors.unwrap_or(serving.sub_vectors),
                    nprobes: spec.nprobes.unwrap_or(serving.nprobes),
                    refine_factor: spec.refine_factor.unwrap_or(serving.refine_factor),
                };
                check_table(&config, self.data.vectors.dimension())?;
                let (needed, found) = (u64::from(config.partitions), self.data.len() as u64);
                if needed > found {
                    let why = format!("must be at most {found}, the number of vectors");
                    return Err(Problem::field("partitions", "out_of_bounds", why));
                }
                Ok(config.into())
            }
        }
    }

    fn check_knobs(&self, spec: &TrialSpec) -> Result<(), Problem> {
        let of_graph = [
            ("m", spec.m.is_some()),
            ("ef_construction", spec.ef_construction.is_some()),
            ("ef_search", spec.ef_search.is_some()),
            ("seed", spec.seed.is_some()),
        ];
        let of_table = [
            ("partitions", spec.partitions.is_some()),
            ("sub_vectors", spec.sub_vectors.is_some()),
            ("nprobes", spec.nprobes.is_some()),
            ("refine_factor", spec.refine_factor.is_some()),
        ];
        let (others, theirs, own, other) = match self.data.backend {
            VectorBackend::Parquet => (of_table, "a Lance table", "graph", "lance"),
            VectorBackend::Lance => (of_graph, "a graph", "Lance table", "parquet"),
        };
        match others.into_iter().find(|(_, is_there)| *is_there) {
            None => Ok(()),
            Some((knob, _)) => {
                let index = &self.data.index;
                let why = format!(
                    "is a knob of {theirs}, and this trial is of the {own} of index `{index}`; `\"backend\": \"{other}\"` (`--backend {other}`) asks for the other"
                );
                Err(Problem::field(knob, "not_of_backend", why))
            }
        }
    }

    /// What a run may try, and where what it recommends has to lie.
    ///
    /// # Errors
    /// 422 for impossible bounds, and for a strategy that is not for it.
    pub(crate) fn bounds(&self, spec: &AutotuneSpec) -> Result<(Bounds, Option<Bounds>), Problem> {
        let is_table = self.data.backend == VectorBackend::Lance;
        if is_table && matches!(spec.strategy, StrategyName::Halving) {
            let why = "is for graphs; use `grid` or `proposer` for a Lance table";
            return Err(Problem::field("strategy", "not_of_backend", why));
        }
        let space = Bounds::for_index(&self.data.facts());
        match spec.bounds.clone() {
            None => {
                space.validate()?;
                Ok((space, None))
            }
            Some(written) => {
                let bounds = written.within(space)?;
                Ok((bounds.clone(), Some(bounds)))
            }
        }
    }
}
