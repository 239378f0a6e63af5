//! P13, the part about plugins: searches while plugins are swapped, against the same host in quiet.
//!
//! Both sides are one release build of `boathouse serve` with the demo's table in one index. Four clients
//! search by text without a pause; in the busy half of a round a fifth one activates the two versions of a
//! scoring plugin in turn, a hundred times in all the rounds. The figure is the 99th percentile of a
//! search as its client sees it. A search or an activation that fails ends the bench.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use boathouse_bundle::PARETO;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    Options,
    compare::{Bar, Comparison, Row},
    process,
};

const CLIENTS: usize = 4;
const SWAPS: usize = 100;

pub(crate) fn run(options: Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let host = Host::start(&runtime)?;
    let queries = openings()?;
    let count = options.rounds();
    let half = Duration::from_secs(if options.quick { 2 } else { 6 });
    let swaps = SWAPS.div_ceil(count);
    runtime.block_on(host.searches(&queries, half, 0))?;
    let mut measured = Comparison::default();
    let (mut searches, mut slowest) = (0, 0.0_f64);
    for _ in 0..count {
        let quiet = runtime.block_on(host.searches(&queries, half, 0))?;
        let busy = runtime.block_on(host.searches(&queries, half, swaps))?;
        searches += busy.len();
        slowest = slowest.max(percentile(&busy, 1.0));
        measured.push(percentile(&busy, 0.99), percentile(&quiet, 0.99));
    }
    Row {
        id: "P13",
        work: format!("search under {CLIENTS} clients during {SWAPS} plugin swaps: p99"),
        peer: "the same host in quiet",
        unit: "us",
        measured: &measured,
        bar: Bar::AtMost(2.0),
        detail: json!({
            "swaps": swaps * count, "searches": searches, "errors": 0, "slowest_us": slowest,
        }),
    }
    .print();
    Ok(())
}

/// Texts to search for.
fn openings() -> Result<Vec<String>> {
    let texts = std::fs::read_to_string(process::data("openings.txt")?)?;
    Ok(texts.lines().map(str::to_owned).collect())
}

/// The value below which a share of the sample lies, in its own unit.
fn percentile(sample: &[f64], share: f64) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(at - 1).copied().unwrap_or(f64::NAN)
}

/// A running `boathouse serve` on a folder of its own; killed with this value.
struct Host {
    child: Child,
    url: String,
    http: reqwest::Client,
    folder: std::path::PathBuf,
}

impl Host {
    fn start(runtime: &Runtime) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("boathouse");
        if !program.is_file() {
            bail!("no release build of the host: cargo build --release -p boathouse-server");
        }
        let folder = process::folder().join("data/p13");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let mut child = Command::new(program)
            .args(["serve", "--port", "0", "--data"])
            .arg(&folder)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().context("standard output")?;
        BufReader::new(out).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ");
        let url = url.with_context(|| format!("the host said {line:?}"))?;
        let host = Self {
            url: url.to_owned(),
            child,
            http: reqwest::Client::new(),
            folder,
        };
        runtime.block_on(host.fill())?;
        Ok(host)
    }

    /// The demo's table, an index on its text, and a second version of the scoring plugin.
    async fn fill(&self) -> Result<()> {
        let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/server/demo/requests.csv");
        let table = tokio::fs::read(table).await?;
        self.task(
            self.post("/ingest/file?dataset=requests&format=csv")
                .body(table),
        )
        .await?;
        let index = json!({
            "name": "requests", "dataset": "requests", "text_column": "passage",
        });
        self.task(self.post("/vectors/indexes").json(&index))
            .await?;
        let other = another_version(PARETO.bytes)?;
        self.answer(
            self.post(&format!("{}/versions", self.plugin()))
                .body(other),
        )
        .await?;
        Ok(())
    }

    fn plugin(&self) -> String {
        format!("/plugins/scoring/{}", PARETO.name)
    }

    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.post(format!("{}{path}", self.url))
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let response = request.send().await?;
        let (status, body) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "{status}: {body}");
        Ok(serde_json::from_str(&body)?)
    }

    async fn task(&self, request: reqwest::RequestBuilder) -> Result<()> {
        let task = self.answer(request).await?;
        let id = task["id"].as_str().context("a task")?;
        loop {
            let url = format!("{}/tasks/{id}", self.url);
            let task = self.answer(self.http.get(url)).await?;
            match task["state"].as_str() {
                Some("running") => tokio::time::sleep(Duration::from_millis(50)).await,
                Some("succeeded") => return Ok(()),
                _ => bail!("{task}"),
            }
        }
    }

    /// Searches for so long, with so many swaps meanwhile; microseconds of each search.
    async fn searches(&self, queries: &[String], time: Duration, swaps: usize) -> Result<Vec<f64>> {
        let over = AtomicBool::new(false);
        let over = &over;
        let client = |number: usize| async move {
            let mut took = Vec::new();
            for query in queries.iter().cycle().skip(number * 700) {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let start = Instant::now();
                let body = json!({ "text": query, "k": 10 });
                self.answer(self.post("/vectors/indexes/requests/search").json(&body))
                    .await?;
                took.push(start.elapsed().as_secs_f64() * 1e6);
            }
            anyhow::Ok(took)
        };
        let swapper = async {
            let pause = time / u32::try_from(swaps.max(1))?;
            let end = Instant::now() + time;
            for swap in 0..swaps {
                let version = if swap % 2 == 0 { OTHER } else { VERSION };
                let path = format!("{}/versions/{version}/activate", self.plugin());
                self.answer(self.post(&path)).await?;
                tokio::time::sleep(pause / 2).await;
            }
            tokio::time::sleep(end.saturating_duration_since(Instant::now())).await;
            over.store(true, Ordering::Relaxed);
            anyhow::Ok(())
        };
        let clients = futures::future::try_join_all((0..CLIENTS).map(client));
        let (took, ()) = futures::future::try_join(clients, swapper).await?;
        Ok(took.concat())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
const OTHER: &str = "9.9.9";

/// The same component under another version, written over the old one in its data.
fn another_version(component: &[u8]) -> Result<Vec<u8>> {
    ensure!(VERSION.len() == OTHER.len(), "versions of one length");
    let mut changed = component.to_vec();
    let found: Vec<usize> = component
        .windows(VERSION.len())
        .enumerate()
        .filter(|(_, window)| *window == VERSION.as_bytes())
        .map(|(at, _)| at)
        .collect();
    ensure!(!found.is_empty(), "the component does not hold its version");
    for at in found {
        changed[at..at + OTHER.len()].copy_from_slice(OTHER.as_bytes());
    }
    Ok(changed)
}
