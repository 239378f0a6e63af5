//! Our sides of the comparisons, each a service of this binary started as a process of its own.

pub(crate) mod embed;
pub(crate) mod ingest;
pub(crate) mod lance;
pub(crate) mod model_server;
pub(crate) mod open;
pub(crate) mod pii;
pub(crate) mod score;
pub(crate) mod search;
pub(crate) mod tune;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// First argument with which this binary is one of the services.
pub(crate) const COMMAND: &str = "serve";

/// How long something took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    /// Wall-clock time.
    pub(crate) seconds: f64,
}

/// Answers as a service until stdin ends.
pub(crate) fn serve(service: &str) -> Result<()> {
    match service {
        "search" => search::serve(),
        "tune" => tune::serve(),
        "pii" => pii::serve(),
        "score" => score::serve(),
        "embed" => embed::serve(),
        "open" => open::serve(),
        "lance" => lance::serve(),
        "ingest" => ingest::run(),
        "model-server" => model_server::serve(),
        _ => bail!("there is no service `{service}`"),
    }
}

/// Name and version for the greeting.
fn name() -> String {
    format!("boathouse {}", env!("CARGO_PKG_VERSION"))
}
