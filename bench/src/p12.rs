//! P12: what HTTP adds to a search under eight clients.
//!
//! A release build of `boathouse serve` with the demo's table in one index. Eight clients, each on a connection
//! of its own, search without a pause and without columns. An answer tells how long the call of the index took in
//! the host, waiting for a thread included, so both figures are of one and the same search: the peer is that
//! call, ours is the search as its client sees it, and what is judged is the difference of their medians. The
//! clients are bare sockets, as they share the machine with the host. A search that fails ends the bench.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream},
    net::TcpStream,
};

use crate::{
    Options,
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
            took.push(client.search(query).await?);
        }
        anyhow::Ok(took)
    };
    let all = futures::future::try_join_all((0..CLIENTS).map(client)).await?;
    Ok(all.into_iter().flatten().collect())
}

/// A connection that is kept.
struct Client(BufStream<TcpStream>);

impl Client {
    async fn connect(address: std::net::SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufStream::new(stream)))
    }

    async fn search(&mut self, text: &str) -> Result<Took> {
        let body = json!({ "text": text, "k": 10, "with": [] }).to_string();
        let head = format!(
            "POST /vectors/indexes/{INDEX}/search HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let start = Instant::now();
        self.0.write_all(head.as_bytes()).await?;
        self.0.write_all(body.as_bytes()).await?;
        self.0.flush().await?;
        let answer = self.answer().await?;
        let seen_us = start.elapsed().as_secs_f64() * 1e6;
        let answer: Value = serde_json::from_slice(&answer)?;
        let call_us = answer["took_us"].as_f64().context("took_us")?;
        Ok(Took { seen_us, call_us })
    }

    /// The body of an answer, which must be one of success with its length said.
    async fn answer(&mut self) -> Result<Vec<u8>> {
        let (mut line, mut length) = (String::new(), None);
        self.0.read_line(&mut line).await?;
        ensure!(line.starts_with("HTTP/1.1 200 "), "the host said {line:?}");
        loop {
            line.clear();
            self.0.read_line(&mut line).await?;
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = Some(value.trim().parse()?);
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length.context("an answer without its length")?];
        self.0.read_exact(&mut body).await?;
        Ok(body)
    }
}
