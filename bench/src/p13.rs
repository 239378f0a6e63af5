//! P13, the part about plugins: searches while plugins are swapped, against the same host in quiet.
//!
//! Both sides are one release build of `boathouse serve` with the demo's table in one index. Four clients
//! search by text without a pause; in the busy half of a round a fifth one activates the two versions of a
//! scoring plugin in turn, a hundred times in all the rounds. The figure is the 99th percentile of a
//! search as its client sees it. A search or an activation that fails ends the bench.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use boathouse_bundle::PARETO;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::{
    Options,
    compare::{Bar, Comparison, Row},
    demo::{Demo, INDEX, openings, percentile},
};

const CLIENTS: usize = 4;
const SWAPS: usize = 100;

pub(crate) fn run(options: Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let host = Swapped::start(&runtime)?;
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

/// The host with what it is to search and to swap.
struct Swapped(Demo);

impl Swapped {
    fn start(runtime: &Runtime) -> Result<Self> {
        let swapped = Self(Demo::start(runtime, "p13")?);
        runtime.block_on(swapped.fill())?;
        Ok(swapped)
    }

    /// A second version of the scoring plugin.
    async fn fill(&self) -> Result<()> {
        let host = self.0.host();
        let other = another_version(PARETO.bytes)?;
        let versions = format!("{}/versions", self.plugin());
        host.answer(host.post(&versions).body(other)).await?;
        Ok(())
    }

    fn plugin(&self) -> String {
        format!("/plugins/scoring/{}", PARETO.name)
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
                let host = self.0.host();
                let path = format!("/vectors/indexes/{INDEX}/search");
                host.answer(host.post(&path).json(&body)).await?;
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
                let host = self.0.host();
                host.answer(host.post(&path)).await?;
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
