//! World `scoring`: verdicts travel as one column each.

use std::marker::PhantomData;

use super::{description, types};
use crate::{Scoring, Trials, Verdict};

pub mod bindings {
    //! Bindings of the world.
    wit_bindgen::generate!({
        path: "wit",
        world: "scoring",
        pub_export_macro: true,
        default_bindings_module: "boathouse_sdk::wasm::scoring::bindings",
        with: {
            "boathouse:plugin/types@1.1.0": crate::wasm::shared::boathouse::plugin::types,
            "boathouse:plugin/host@1.1.0": crate::wasm::shared::boathouse::plugin::host,
        },
    });
}

/// A [`Scoring`] plugin behind the exports of its world.
pub struct Exports<T>(PhantomData<T>);

impl<T: Scoring> bindings::Guest for Exports<T> {
    fn describe() -> types::Description {
        description(T::describe(), types::PluginKind::Scoring)
    }

    fn evaluate(
        trials: types::Trials,
        objective: types::Objective,
    ) -> Result<bindings::Verdicts, types::Error> {
        let trials = Trials::try_from(trials)?;
        let verdicts = T::evaluate(&trials, &objective.into())?;
        Ok(verdicts.into())
    }
}

impl From<Vec<Verdict>> for bindings::Verdicts {
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
