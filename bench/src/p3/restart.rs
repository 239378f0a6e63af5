//! P3's other row: a whole host, killed and started again, until its first answer.
//!
//! The index is one of WordNet's glosses, embedded and built by the host itself; the peer loads an index over the same
//! vectors. Ours is everything between the start of the program and the answer to a search by text over HTTP: reading
//! the configuration, opening buckets and plugins, comparing and mapping files. The start of Python is not in the peer's.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{EF_CONSTRUCTION, M, opened, peer};
use crate::{
    Options,
    compare::{Bar, Comparison, Row},
    data::{Collection, Split},
    host::Host,
    ours::open::{Ask, Stored},
    process,
};

/// The index, and its dataset.
const NAME: &str = "glosses";
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(options: Options) -> Result<()> {
    let rows = options.rows(100_000, 5_000);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut host = Host::start("p3-host")?;
    runtime.block_on(fill(&host, rows))?;
    let split = Collection::Texts.split(rows, options.quick)?;
    let folder = process::emptied("p3")?;
    let place = folder.join("theirs");
    let peer_name = store(&split, &place)?;
    let mut measured = Comparison::default();
    for number in 0..=options.rounds() {
        let ours = runtime.block_on(restarted(&mut host))?;
        let theirs = opened(peer, &place, &split.base, split.rows, split.dimension)?.seconds;
        // The first fills the system's memory.
        if number > 0 {
            measured.push(ours * 1e3, theirs * 1e3);
        }
    }
    Row {
        id: "P3",
        work: format!(
            "a whole host with an index of {rows} x {}, killed and started again, to its first answer",
            split.dimension
        ),
        peer: &peer_name,
        unit: "ms",
        measured: &measured,
        bar: Bar::AtMost(0.3),
        detail: json!({ "peer": "load_index and one query" }),
    }
    .print();
    fs::remove_dir_all(&folder).context("the folder of p3")
}

/// Takes the glosses in and indexes them.
async fn fill(host: &Host, rows: usize) -> Result<()> {
    let texts = fs::read_to_string(process::data("glosses.txt")?)?;
    let mut table = String::from("id,text\n");
    for (id, text) in texts.lines().take(rows).enumerate() {
        table += &format!("{id},\"{}\"\n", text.replace('"', "\"\""));
    }
    let upload = host.post(&format!("/ingest/file?dataset={NAME}&format=csv"));
    host.task(upload.body(table)).await?;
    let index = json!({
        "name": NAME, "dataset": NAME, "text_column": "text",
        "config": { "m": M, "ef_construction": EF_CONSTRUCTION, "ef_search": super::EF, "seed": 0 },
    });
    host.task(host.post("/vectors/indexes").json(&index))
        .await?;
    Ok(())
}

/// The peer's index over the same vectors; gives the peer's name.
fn store(split: &Split, place: &Path) -> Result<String> {
    let mut peer = peer()?;
    let _: Stored = peer.ask(&Ask::Store {
        base: split.base.clone(),
        rows: split.rows,
        dimension: split.dimension,
        m: M,
        ef_construction: EF_CONSTRUCTION,
        threads: std::thread::available_parallelism()?.get(),
        path: place.to_owned(),
    })?;
    Ok(peer.name().to_owned())
}

/// Kills the host and starts it again; seconds from the start to the first answer.
async fn restarted(host: &mut Host) -> Result<f64> {
    host.kill()?;
    let start = Instant::now();
    host.start_again()?;
    let question = json!({ "text": "a ship in the harbour", "k": super::K, "with": [] });
    loop {
        let search = host.post(&format!("/vectors/indexes/{NAME}/search"));
        if search.json(&question).send().await?.status().is_success() {
            return Ok(start.elapsed().as_secs_f64());
        }
        ensure!(start.elapsed() < PATIENCE, "the index does not answer");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
