//! P12: what HTTP adds to a search under eight clients.
//!
//! A release build of `boathouse serve` with the demo's table in one index. Eight clients, each on a connection
//! of its own, search without a pause and without columns. An answer tells how long the call of the index took in
//! the host, waiting for a thread included, so both figures are of one and the same search: the peer is that
//! call, ours is the search as its client sees it, and what is judged is the difference of their medians. The
//! clients are bare sockets, as they share the machine with the host. A search that fails ends the bench.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{
    Options,
    client::Client,
    compare::{Bar, Comparison, Row, median, round},
    demo::{Demo, INDEX, openings, percentile},
};

const CLIENTS: usize = 8;
/// Most that HTTP may add at the median, in microseconds.
const ADDED_US: f64 = 300.0;

/// One search: as its client saw it, and as the host says of the call inside.
struct Took {
    seen_us: f64,
    call_us: f64,
}

pub(crate) fn run(options: Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let demo = Demo::start(&runtime, "p12")?;
    let queries = openings()?;
    let time = Duration::from_secs(if options.quick { 1 } else { 4 });
    let address = demo.host().address()?;
    runtime.block_on(round_of(address, &queries, time))?;
    let mut measured = Comparison::default();
    let (mut added, mut rates, mut p99) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds() {
        let took = runtime.block_on(round_of(address, &queries, time))?;
        let (seen, call): (Vec<f64>, Vec<f64>) =
            took.iter().map(|one| (one.seen_us, one.call_us)).unzip();
        measured.push(median(&seen), median(&call));
        added.push(median(&seen) - median(&call));
        rates.push(took.len() as f64 / time.as_secs_f64());
        p99.push(percentile(&seen, 0.99));
    }
    let added_us = median(&added);
    Row {
        id: "P12",
        work: format!("search over HTTP under {CLIENTS} clients: p50"),
        peer: "the call inside the host",
        unit: "us",
        measured: &measured,
        // The bar is one of microseconds; as a ratio it depends on what the call took.
        bar: Bar::AtMost(1.0 + ADDED_US / median(&measured.peers())),
        detail: json!({
            "added_p50_us": round(added_us), "bar_added_us": ADDED_US,
            "met_added": added_us <= ADDED_US,
            "searches_per_second": round(median(&rates)), "p99_us": round(median(&p99)), "errors": 0,
        }),
    }
    .print();
    Ok(())
}

/// All clients for so long.
async fn round_of(
    address: std::net::SocketAddr,
    queries: &[String],
    time: Duration,
) -> Result<Vec<Took>> {
    let end = Instant::now() + time;
    let client = |number: usize| async move {
        let mut client = Client::connect(address).await?;
        let mut took = Vec::new();
        for query in queries.iter().cycle().skip(number * 350) {
            if Instant::now() >= end {
                break;
            }
            took.push(search(&mut client, query).await?);
        }
        anyhow::Ok(took)
    };
    let all = futures::future::try_join_all((0..CLIENTS).map(client)).await?;
    Ok(all.into_iter().flatten().collect())
}

/// Searches once.
async fn search(client: &mut Client, text: &str) -> Result<Took> {
    let body = json!({ "text": text, "k": 10, "with": [] }).to_string();
    let path = format!("/vectors/indexes/{INDEX}/search");
    let start = Instant::now();
    let answer = client.post(&path, &body).await?;
    let seen_us = start.elapsed().as_secs_f64() * 1e6;
    let answer: Value = serde_json::from_slice(&answer)?;
    let call_us = answer["took_us"].as_f64().context("took_us")?;
    Ok(Took { seen_us, call_us })
}
