//! Latency of one commit of a manifest, against one plain put of the same bytes in the same store.
//!
//! A commit is a conditional create and a look at the version before. Commits and puts take turns one by one;
//! a round's figure is the median of each.

use std::time::{Duration, Instant};

use anyhow::Result;
use boathouse_storage::{Bucket, Manifest};
use boathouse_types::Trial;
use object_store::{ObjectStoreExt as _, path::Path};
use serde_json::json;

use super::{Stores, clear, trial};
use crate::{
    Options,
    compare::{Bar, Comparison, Row, median},
};

/// Records in the document, which make it about as large as a dataset's manifest.
const RECORDS: usize = 4;
/// Most that a commit may cost.
const BAR: f64 = 2.5;

pub(crate) fn run(options: Options) -> Result<()> {
    let stores = Stores::all()?;
    let commits = if options.quick { 20 } else { 200 };
    let document: Vec<Trial> = (0..RECORDS).map(trial).collect::<Result<_>>()?;
    for (place, bucket) in stores.each() {
        stores.runtime.block_on(turns(bucket, &document, commits))?;
        let mut measured = Comparison::default();
        for _ in 0..options.rounds() {
            let (ours, peer) = stores.runtime.block_on(turns(bucket, &document, commits))?;
            measured.push(ours, peer);
        }
        Row {
            id: "commit",
            work: format!("one commit of a manifest in {place}"),
            peer: "object_store put",
            unit: "us",
            measured: &measured,
            bar: Bar::AtMost(BAR),
            detail: json!({
                "commits_a_round": commits,
                "bytes_a_document": serde_json::to_vec(&document)?.len(),
            }),
        }
        .print();
    }
    Ok(())
}

/// Median microseconds of a commit and of a put.
async fn turns(bucket: &Bucket, document: &Vec<Trial>, commits: u64) -> Result<(f64, f64)> {
    let manifest = Manifest::new(bucket.clone(), "commits/manifest");
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    // The first commit has no version before it; it is not counted, and gives the bytes.
    manifest.commit(0, document).await?;
    let first = bucket.list("commits/manifest").await?;
    let bytes = bucket.get(&first[0].path).await?;
    for version in 1..=commits {
        let committing = async {
            let start = Instant::now();
            manifest.commit(version, document).await?;
            anyhow::Ok(start.elapsed())
        };
        let putting = async {
            let path = Path::from(format!("commits/puts/{version:020}.json"));
            let start = Instant::now();
            bucket.store().put(&path, bytes.clone().into()).await?;
            anyhow::Ok(start.elapsed())
        };
        let (commit, put) = if version % 2 == 0 {
            let commit = committing.await?;
            (commit, putting.await?)
        } else {
            let put = putting.await?;
            (committing.await?, put)
        };
        ours.push(micros(commit));
        peer.push(micros(put));
    }
    clear(bucket, "commits").await?;
    Ok((median(&ours), median(&peer)))
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}
