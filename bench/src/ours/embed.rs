//! The built-in embedder over a file of texts, one a line, on one thread.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result};
use boathouse_models::StaticEmbedder;
use serde::{Deserialize, Serialize};

use super::Took;
use crate::process;

/// What this side can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Read texts. Answered by [`Prepared`].
    Prepare { texts: PathBuf },
    /// Embed all of them once. Answered by [`Took`].
    Run,
}

/// What was read and what it gave.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    /// Number of texts.
    pub(crate) texts: usize,
    /// Inner product of the first vector and the last: shows that both sides compute the same.
    pub(crate) product: f64,
}

pub(super) fn serve() -> Result<()> {
    let embedder = StaticEmbedder::bundled()?;
    let mut texts: Vec<String> = Vec::new();
    process::serve(&super::name(), |ask| {
        Ok(match ask {
            Ask::Prepare { texts: path } => {
                let read = std::fs::read_to_string(&path);
                let read = read.with_context(|| path.display().to_string())?;
                texts = read.lines().map(str::to_owned).collect();
                let vectors = embedder.embed(&texts)?;
                let ends = vectors.first().zip(vectors.last());
                let (first, last) = ends.context("no text")?;
                let product = first.iter().zip(last).map(|(a, b)| f64::from(a * b)).sum();
                serde_json::to_value(Prepared {
                    texts: texts.len(),
                    product,
                })?
            }
            Ask::Run => {
                let start = Instant::now();
                embedder.embed(&texts)?;
                serde_json::to_value(Took {
                    seconds: start.elapsed().as_secs_f64(),
                })?
            }
        })
    })
}
