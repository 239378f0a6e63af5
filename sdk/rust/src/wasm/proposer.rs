//! World `proposer`: the context is taken apart once, the journal by column.

use std::marker::PhantomData;

use super::{description, types};
use crate::proposer::{IndexFacts, Knob, Metric};
use crate::{Context, Error, Proposal, Proposer, Trials};

pub mod bindings {
    //! Bindings of the world.
    wit_bindgen::generate!({
        path: "wit",
        world: "proposer",
        pub_export_macro: true,
        default_bindings_module: "boathouse_sdk::wasm::proposer::bindings",
        with: {
            "boathouse:plugin/types@1.1.0": crate::wasm::shared::boathouse::plugin::types,
            "boathouse:plugin/host@1.1.0": crate::wasm::shared::boathouse::plugin::host,
        },
    });
}

/// A [`Proposer`] plugin behind the exports of its world.
pub struct Exports<T>(PhantomData<T>);

impl<T: Proposer> bindings::Guest for Exports<T> {
    fn describe() -> types::Description {
        description(T::describe(), types::PluginKind::Proposer)
    }

    fn propose(context: bindings::Context) -> Result<bindings::Proposal, types::Error> {
        let context = Context::try_from(context)?;
        Ok(match T::propose(&context)? {
            Proposal::Configuration { settings, reason } => {
                bindings::Proposal::Configuration(bindings::Configuration { settings, reason })
            }
            Proposal::Exhausted(why) => bindings::Proposal::Exhausted(why),
        })
    }
}

impl TryFrom<bindings::Context> for Context {
    type Error = Error;

    fn try_from(given: bindings::Context) -> Result<Self, Error> {
        let trials = Trials::try_from(given.trials)?;
        let champion = given.champion.map(|row| row as usize);
        if champion.is_some_and(|row| row >= trials.len()) {
            return Err(Error::invalid_input(
                "the champion is not a row of the journal",
            ));
        }
        let index = given.index;
        let knobs = given.knobs.into_iter().map(|knob| Knob {
            name: knob.name,
            min: knob.min,
            max: knob.max,
            step: knob.step,
        });
        Ok(Self {
            index: IndexFacts {
                name: index.name,
                backend: index.backend,
                vectors: index.vectors,
                dimension: index.dimension,
                metric: match index.metric {
                    types::Metric::Cosine => Metric::Cosine,
                    types::Metric::L2 => Metric::L2,
                    types::Metric::Dot => Metric::Dot,
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
