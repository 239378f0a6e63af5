//! The double of a model server in a process of its own, which the host and the bench both ask over HTTP.

use std::time::Duration;

use anyhow::{Context as _, Result};
use boathouse_model_server::{Double, Kind, Model, Server, Settings};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::process;

/// Components of the vectors of the model that embeds.
const DIMENSION: usize = 384;
/// Bytes of a model that answers; only one of two fits on the GPU.
const LARGE: u64 = 8 << 30;
const SMALL: u64 = 1 << 30;

/// A question to the process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// Where it listens.
    Port,
    /// It is to be like this from now on.
    Be(Times),
    /// What it was asked so far.
    Counts,
}

/// How long it takes to do things.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Times {
    /// Milliseconds of a load.
    pub(crate) load_ms: u64,
    /// Milliseconds until a model that was unloaded is not listed any more.
    pub(crate) unload_ms: u64,
    /// Milliseconds before each word.
    pub(crate) word_ms: u64,
    /// Words of an answer.
    pub(crate) words: usize,
}

/// What it was asked so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Models that it has loaded.
    pub(crate) loads: usize,
    /// Requests to load a model that answers, those of one that was there included.
    pub(crate) asked_to_load: usize,
    /// The last question that a model was asked.
    pub(crate) prompt: String,
}

pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let answers =
        ["a", "b"].map(|name| Model::new(&format!("{name}:latest"), Kind::Answers, LARGE));
    let embeds = Model::new("e:latest", Kind::Embeds(DIMENSION), SMALL);
    let double = Double::new(Settings {
        models: answers.into_iter().chain([embeds]).collect(),
        give_back: Duration::ZERO,
        gpu_bytes: LARGE + SMALL,
        ..Settings::default()
    });
    let server = runtime.block_on(Server::start(double.clone()))?;
    process::serve("Ollama's protocol, double", |question: Question| {
        Ok(match question {
            Question::Port => json!({ "port": server.port() }),
            Question::Be(times) => {
                double.set(|settings| {
                    settings.load = Duration::from_millis(times.load_ms);
                    settings.unload = Duration::from_millis(times.unload_ms);
                    settings.word = Duration::from_millis(times.word_ms);
                    settings.words = times.words;
                });
                json!({})
            }
            Question::Counts => serde_json::to_value(counts(&double)).context("counts")?,
        })
    })
}

fn counts(double: &Double) -> Counts {
    let calls = double.calls();
    let answering = |model: &str| matches!(model, "a:latest" | "b:latest");
    let loads = calls
        .iter()
        .filter(|call| answering(&call.model) && !call.unloads && call.prompt.is_empty());
    let asked = calls.iter().rev().find(|call| !call.prompt.is_empty());
    Counts {
        loads: double.loads(),
        asked_to_load: loads.count(),
        prompt: asked.map_or_else(String::new, |call| call.prompt.clone()),
    }
}
