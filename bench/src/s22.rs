//! S22 and G5: the figures of Lance tables on 100,000 vectors of 768 components, by `boathouse-lance-host` against pylance
//! on the same files.
//!
//! The vectors are invented (`data/mixture.rs`) and stand in Parquet as a host stores them. Neither side has a host: one
//! would embed texts itself. Beside each row stands what the system that this one re-creates took, on other vectors and
//! another machine.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::{
    Options,
    data::Collection,
    lance::{Course, Plan, Tables, peer, write_parquet},
    p1::K,
    process::{self, Process},
};

pub(crate) fn run(options: Options) -> Result<()> {
    let rows = options.rows(100_000, 5_000);
    let threads = std::thread::available_parallelism()?.get();
    let split = Collection::Mixture.split(rows, options.quick)?;
    let truth = split.truth(K, threads)?;
    let folder = process::emptied("s22")?;
    let source = folder.join("vectors.parquet");
    write_parquet(&split, &source)?;
    let sources = vec![source.clone()];
    let mut peer = peer(&split, sources.clone(), folder.join("theirs"), threads)?;
    let mut ours = Tables {
        process: Process::ours_on("lance", threads)?,
        sources,
        folder: folder.join("ours"),
        dimension: split.dimension,
        queries: split.queries.clone(),
    };
    let course = Course {
        id: "S22",
        of: format!("lance-host, {rows} {}", Collection::Mixture.describe()),
        split: &split,
        truth: &truth,
        plan: Plan::of(&split),
        options,
        peer: peer.process.name().to_owned(),
        rewritten: (source, folder.join("rewritten.parquet")),
        seed: json!({
            "migrate_s": 0.57, "build_s": 16.2, "search_ms": [23, 53], "document_ms": [5, 7],
            "document_by_b_tree_ms": 0.3, "append_ms": 3.3, "append_bytes": 320_000,
        }),
    };
    course.run(&mut ours, &mut peer)?;
    drop((ours, peer));
    fs::remove_dir_all(&folder).context("the folder of s22")
}
