//! Bindings to the contract and their translation to the plain types of this crate.
//!
//! Compiled inside components only. The bindings of the three worlds share one set of `types` and
//! `host`; a component exports the one world that its macro names, and imports of the host that it
//! does not call are left out when it is linked. Everything that comes from outside is checked here,
//! so that the rest of the crate may index without fear.

use std::marker::PhantomData;

use crate::{
    Context, Description, Error, Level, Objective, Pii, Proposal, Proposer, Scoring, Trials,
    Verdict, pii as pii_types, proposer as proposer_types,
};
use shared::{host, types};

mod shared {
    pub(super) use super::proposer::boathouse::plugin::{host, types};
}

pub mod proposer {
    //! World `proposer`, and the interfaces that all worlds share.
    wit_bindgen::generate!({
        path: "../../wit/v1",
        world: "proposer",
        pub_export_macro: true,
        generate_unused_types: true,
        default_bindings_module: "boathouse_sdk::wasm::proposer",
    });
}

pub mod scoring {
    //! World `scoring`.
    wit_bindgen::generate!({
        path: "../../wit/v1",
        world: "scoring",
        pub_export_macro: true,
        default_bindings_module: "boathouse_sdk::wasm::scoring",
        with: {
            "boathouse:plugin/types@1.0.0": crate::wasm::proposer::boathouse::plugin::types,
            "boathouse:plugin/host@1.0.0": crate::wasm::proposer::boathouse::plugin::host,
        },
    });
}

pub mod pii {
    //! World `pii`.
    wit_bindgen::generate!({
        path: "../../wit/v1",
        world: "pii",
        pub_export_macro: true,
        default_bindings_module: "boathouse_sdk::wasm::pii",
        with: {
            "boathouse:plugin/types@1.0.0": crate::wasm::proposer::boathouse::plugin::types,
            "boathouse:plugin/host@1.0.0": crate::wasm::proposer::boathouse::plugin::host,
        },
    });
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => host::Level::Debug,
        Level::Info => host::Level::Info,
        Level::Warn => host::Level::Warn,
        Level::Error => host::Level::Error,
    };
    host::log(level, message);
}

pub(crate) fn settings() -> Vec<(String, String)> {
    host::settings()
}

/// A [`Scoring`] plugin behind the exports of its world.
pub struct ScoringGuest<T>(PhantomData<T>);

impl<T: Scoring> scoring::Guest for ScoringGuest<T> {
    fn describe() -> types::Description {
        description(T::describe(), types::PluginKind::Scoring)
    }

    fn evaluate(
        trials: types::Trials,
        objective: types::Objective,
    ) -> Result<scoring::Verdicts, types::Error> {
        let trials = Trials::try_from(trials)?;
        let verdicts = T::evaluate(&trials, &objective.into())?;
        Ok(verdicts.into())
    }
}

/// A [`Proposer`] plugin behind the exports of its world.
pub struct ProposerGuest<T>(PhantomData<T>);

impl<T: Proposer> proposer::Guest for ProposerGuest<T> {
    fn describe() -> types::Description {
        description(T::describe(), types::PluginKind::Proposer)
    }

    fn propose(context: proposer::Context) -> Result<proposer::Proposal, types::Error> {
        let context = Context::try_from(context)?;
        Ok(match T::propose(&context)? {
            Proposal::Configuration { settings, reason } => {
                proposer::Proposal::Configuration(proposer::Configuration { settings, reason })
            }
            Proposal::Exhausted(why) => proposer::Proposal::Exhausted(why),
        })
    }
}

/// A [`Pii`] plugin behind the exports of its world.
pub struct PiiGuest<T>(PhantomData<T>);

impl<T: Pii> pii::Guest for PiiGuest<T> {
    fn describe() -> types::Description {
        description(T::describe(), types::PluginKind::Pii)
    }

    fn detect(table: pii::Table) -> Result<Vec<pii::Finding>, types::Error> {
        let table = pii_types::Table::try_from(table)?;
        let findings = T::detect(&table)?;
        Ok(findings.into_iter().map(Into::into).collect())
    }
}

fn description(own: Description, kind: types::PluginKind) -> types::Description {
    types::Description {
        name: own.name,
        version: own.version,
        kind,
        summary: own.summary,
        reads: own.reads,
        deterministic: own.deterministic,
        extra: own.extra,
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidInput(text) => Self::InvalidInput(text),
            Error::Unsupported(text) => Self::Unsupported(text),
            Error::Other(text) => Self::Other(text),
        }
    }
}

impl From<types::Objective> for Objective {
    fn from(given: types::Objective) -> Self {
        Self {
            recall_floor: given.recall_floor,
            p95_budget_us: given.p95_budget_us,
            memory_cap_bytes: given.memory_cap_bytes,
            weights: given.weights,
            extra: given.extra,
        }
    }
}

impl TryFrom<types::Trials> for Trials {
    type Error = Error;

    fn try_from(given: types::Trials) -> Result<Self, Error> {
        let own = Self {
            count: given.count as usize,
            knobs: given.knobs,
            settings: given.settings,
            recall: given.recall,
            recall_low: given.recall_low,
            recall_high: given.recall_high,
            latency_p50_us: given.latency_p50_us,
            latency_p95_us: given.latency_p95_us,
            latency_p99_us: given.latency_p99_us,
            distances: given.distances,
            memory_bytes: given.memory_bytes,
            build_seconds: given.build_seconds,
            measures: given.measures,
        };
        own.check()?;
        Ok(own)
    }
}

impl From<Vec<Verdict>> for scoring::Verdicts {
    fn from(own: Vec<Verdict>) -> Self {
        let said = own.iter().any(|verdict| verdict.reason.is_some());
        Self {
            feasible: own.iter().map(|verdict| verdict.feasible).collect(),
            front: own.iter().map(|verdict| verdict.front).collect(),
            score: own.iter().map(|verdict| verdict.score).collect(),
            reasons: match said {
                true => own
                    .into_iter()
                    .map(|verdict| verdict.reason.unwrap_or_default())
                    .collect(),
                false => Vec::new(),
            },
            extra: Vec::new(),
        }
    }
}

impl TryFrom<proposer::Context> for Context {
    type Error = Error;

    fn try_from(given: proposer::Context) -> Result<Self, Error> {
        let trials = Trials::try_from(given.trials)?;
        let champion = given.champion.map(|row| row as usize);
        if champion.is_some_and(|row| row >= trials.len()) {
            return Err(Error::invalid_input(
                "the champion is not a row of the journal",
            ));
        }
        let index = given.index;
        let knobs = given.knobs.into_iter().map(|knob| proposer_types::Knob {
            name: knob.name,
            min: knob.min,
            max: knob.max,
            step: knob.step,
        });
        Ok(Self {
            index: proposer_types::IndexFacts {
                name: index.name,
                backend: index.backend,
                vectors: index.vectors,
                dimension: index.dimension,
                metric: match index.metric {
                    types::Metric::Cosine => proposer_types::Metric::Cosine,
                    types::Metric::L2 => proposer_types::Metric::L2,
                    types::Metric::Dot => proposer_types::Metric::Dot,
                },
            },
            knobs: knobs.collect(),
            objective: given.objective.into(),
            trials,
            champion,
            seed: given.seed,
            extra: given.extra,
        })
    }
}

impl TryFrom<pii::Table> for pii_types::Table {
    type Error = Error;

    fn try_from(given: pii::Table) -> Result<Self, Error> {
        let columns = given.columns.into_iter().map(|column| {
            let mut own = pii_types::Column::new(&column.name, &column.declared_type);
            own.rows = column.rows;
            own.nulls = column.nulls;
            own.extra = column.extra;
            own.with_packed(column.values, column.offsets, column.counts)
        });
        Ok(Self {
            name: given.name,
            columns: columns.collect::<Result<_, Error>>()?,
            extra: given.extra,
        })
    }
}

impl From<pii_types::Finding> for pii::Finding {
    fn from(own: pii_types::Finding) -> Self {
        Self {
            column: own.column,
            kind: own.kind,
            country: own.country,
            scope: match own.scope {
                pii_types::Scope::WholeColumn => pii::Scope::WholeColumn,
                pii_types::Scope::SomeValues => pii::Scope::SomeValues,
            },
            confidence: own.confidence,
            evidence: pii::Evidence {
                tested: own.evidence.tested,
                matched: own.evidence.matched,
                checksum_passed: own.evidence.checksum_passed,
                name_evidence: own.evidence.name_evidence,
            },
            extra: own.extra,
        }
    }
}
