//! Bindings to the contract and their translation to the plain types of this crate.
//!
//! Compiled inside components only. The bindings of the three worlds share one set of `types` and
//! `host`; each has a feature of its own, because a component carries the type names of every world
//! that was compiled into it. Imports of the host that a plugin does not call are left out when it
//! is linked. What comes from outside is checked here, so that the rest of the crate may index
//! without fear.

#[cfg(not(any(feature = "pii", feature = "proposer", feature = "scoring")))]
compile_error!("enable the feature of the plugin's kind: `pii`, `proposer` or `scoring`");

#[cfg(feature = "pii")]
pub mod pii;
#[cfg(feature = "proposer")]
pub mod proposer;
#[cfg(feature = "scoring")]
pub mod scoring;

use std::time::Duration;

use crate::{Description, Error, Level, Objective, Trials};
use shared::boathouse::plugin::{host, types};

pub mod shared {
    //! The interfaces that all worlds import.
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package boathouse:sdk;
            world shared {
                import boathouse:plugin/types@1.1.0;
                import boathouse:plugin/host@1.1.0;
            }
        ",
        generate_all,
        generate_unused_types: true,
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

pub(crate) fn deadline() -> Duration {
    Duration::from_millis(u64::from(host::deadline_ms()))
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
