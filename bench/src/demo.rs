//! A host that serves the demo's table, for what is measured over HTTP.

use std::path::Path;

use anyhow::Result;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::{host::Host, process};

/// The index on the demo's text.
pub(crate) const INDEX: &str = "requests";

/// A running host with one index.
pub(crate) struct Demo(Host);

impl Demo {
    /// Starts a host on the folder `bench/data/NAME` and lets it ingest and index the table.
    pub(crate) fn start(runtime: &Runtime, name: &str) -> Result<Self> {
        Self::of(runtime, Host::start(name)?)
    }

    /// The same with a model server at an address.
    pub(crate) fn beside(runtime: &Runtime, name: &str, model_server: &str) -> Result<Self> {
        Self::of(runtime, Host::beside(name, Some(model_server))?)
    }

    fn of(runtime: &Runtime, host: Host) -> Result<Self> {
        let demo = Self(host);
        runtime.block_on(demo.fill())?;
        Ok(demo)
    }

    pub(crate) fn host(&self) -> &Host {
        &self.0
    }

    async fn fill(&self) -> Result<()> {
        let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/server/demo/requests.csv");
        let table = tokio::fs::read(table).await?;
        let host = &self.0;
        let upload = host.post("/ingest/file?dataset=requests&format=csv");
        host.task(upload.body(table)).await?;
        let index = json!({
            "name": INDEX, "dataset": "requests", "text_column": "passage",
        });
        host.task(host.post("/vectors/indexes").json(&index))
            .await?;
        Ok(())
    }
}

/// Texts to search for.
pub(crate) fn openings() -> Result<Vec<String>> {
    let texts = std::fs::read_to_string(process::data("openings.txt")?)?;
    Ok(texts.lines().map(str::to_owned).collect())
}

/// The value below which a share of the sample lies, in its own unit.
pub(crate) fn percentile(sample: &[f64], share: f64) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(at - 1).copied().unwrap_or(f64::NAN)
}
