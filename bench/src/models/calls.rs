//! The same request to a host and to a model server, by the same client, with how long it took in milliseconds.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::host::Host;

/// Pause between two looks at what the server has in memory.
const LOOK: Duration = Duration::from_millis(1);

/// When the words of an answer came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    /// Milliseconds until the first.
    pub(crate) first_ms: f64,
    /// Milliseconds until the end.
    pub(crate) end_ms: f64,
}

/// Requests to a host.
#[derive(Clone, Copy)]
pub(crate) struct Through<'a>(pub(crate) &'a Host);

/// Requests to the model server.
#[derive(Clone, Copy)]
pub(crate) struct Direct<'a> {
    pub(crate) http: &'a reqwest::Client,
    pub(crate) port: u16,
}

impl Through<'_> {
    /// Gives the slot to a profile.
    pub(crate) async fn activate(self, id: &str) -> Result<f64> {
        let start = Instant::now();
        let path = format!("/vectors/profile/{id}/activate");
        self.0.answer(self.0.post(&path)).await?;
        Ok(millis(start))
    }

    /// Asks a profile, which is activated first if that is wished for.
    pub(crate) async fn ask(self, id: &str, question: &str, activate: bool) -> Result<Heard> {
        let path = format!("/vectors/profile/{id}/ask");
        let body = json!({ "question": question, "activate": activate });
        let (heard, last) = stream(self.0.post(&path).json(&body), "event: token").await?;
        ensure!(last.contains("\"citations\""), "it ended with {last}");
        Ok(heard)
    }

    /// Searches an index by text, for numbers only.
    pub(crate) async fn search(self, index: &str, text: &str) -> Result<f64> {
        let start = Instant::now();
        let path = format!("/vectors/indexes/{index}/search");
        let body = json!({ "text": text, "k": 10, "with": [] });
        let found = self.0.answer(self.0.post(&path).json(&body)).await?;
        let took = millis(start);
        let hits = found["hits"].as_array().context("hits")?;
        ensure!(hits.len() == 10, "{} hits", hits.len());
        Ok(took)
    }
}

impl Direct<'_> {
    /// Asks a model, which the server loads if it has to.
    pub(crate) async fn ask(self, model: &str, prompt: &str) -> Result<Heard> {
        let body = json!({ "model": model, "prompt": prompt, "stream": true });
        let (heard, last) = stream(self.post("generate", &body), "\"response\"").await?;
        ensure!(last.contains("\"done\":true"), "it ended with {last}");
        Ok(heard)
    }

    /// The vector of a text.
    pub(crate) async fn embed(self, model: &str, text: &str) -> Result<f64> {
        let start = Instant::now();
        let body = json!({ "model": model, "input": [text] });
        let answer = self.whole(self.post("embed", &body)).await?;
        let took = millis(start);
        ensure!(answer["embeddings"][0].is_array(), "no vector");
        Ok(took)
    }

    /// Unloads a model, waits until it has left the server's list, and loads another.
    pub(crate) async fn swap(self, out: &str, model: &str) -> Result<f64> {
        let start = Instant::now();
        let unload = json!({ "model": out, "keep_alive": 0, "stream": false });
        self.whole(self.post("generate", &unload)).await?;
        let name = format!("{out}:latest");
        loop {
            let list = self.http.get(self.url("ps"));
            let list = self.whole(list).await?;
            let models = list["models"].as_array().context("models")?;
            if models.iter().all(|one| one["name"] != name.as_str()) {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        let load = json!({ "model": model, "keep_alive": "5m", "stream": false });
        self.whole(self.post("generate", &load)).await?;
        Ok(millis(start))
    }

    fn url(self, path: &str) -> String {
        format!("http://127.0.0.1:{}/api/{path}", self.port)
    }

    fn post(self, path: &str, body: &Value) -> RequestBuilder {
        self.http.post(self.url(path)).json(body)
    }

    async fn whole(self, request: RequestBuilder) -> Result<Value> {
        let answer = request.send().await?.error_for_status()?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }
}

/// Reads an answer of many pieces to its end: when its words came, of which each has the mark, and its last piece.
async fn stream(request: RequestBuilder, mark: &str) -> Result<(Heard, String)> {
    let start = Instant::now();
    let mut answer = request.send().await?;
    if !answer.status().is_success() {
        bail!("{}: {}", answer.status(), answer.text().await?);
    }
    let (mut first_ms, mut last) = (None, String::new());
    while let Some(piece) = answer.chunk().await? {
        let piece = String::from_utf8_lossy(&piece);
        if first_ms.is_none() && piece.contains(mark) {
            first_ms = Some(millis(start));
        }
        last = piece.into_owned();
    }
    let heard = Heard {
        first_ms: first_ms.context("no word came")?,
        end_ms: millis(start),
    };
    Ok((heard, last))
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
