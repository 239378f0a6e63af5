//! Acknowledged appends per second under 1, 8 and 64 writers, against as many writers that put objects.
//!
//! Our side is one append log that all writers share. The peer writes each record as an object of its own,
//! with the same bytes and under a name that nobody else has. On a local disk there are two peers: the store
//! under the log, which syncs file and folder as the log's promise wants it, and `object_store`'s own, which
//! syncs nothing and so promises less.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use anyhow::Result;
use boathouse_storage::{AppendLog, Bucket};
use bytes::Bytes;
use futures::future::try_join_all;
use object_store::{ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, path::Path};
use serde_json::{Map, json};

use super::{Stores, clear, clock, remove, trial};
use crate::{
    Options,
    compare::{Bar, Comparison, Row, round, rounds},
};

/// Writers, and the records that they write together in a round.
const LOADS: [(usize, usize); 3] = [(1, 400), (8, 1_600), (64, 6_400)];
/// Least by which group commit has to win under the most writers.
const BAR: f64 = 5.0;

pub(crate) fn run(options: Options) -> Result<()> {
    let stores = Stores::all()?;
    for (place, bucket) in stores.each() {
        let store = Arc::clone(bucket.store());
        measure(&stores, options, place, bucket, ("object_store put", store))?;
    }
    let folder = stores.beside("unsynced")?;
    let unsynced: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(&folder)?);
    let peer = ("object_store put, not synced", unsynced);
    measure(&stores, options, "a local folder", &stores.local, peer)?;
    remove(&folder)
}

fn measure(
    stores: &Stores,
    options: Options,
    place: &str,
    bucket: &Bucket,
    (peer, store): (&str, Arc<dyn ObjectStore>),
) -> Result<()> {
    let mut fewer = Map::new();
    for (writers, records) in LOADS {
        let each = if options.quick { records / 10 } else { records } / writers;
        let load = Load { writers, each };
        let timed = rounds(
            options.rounds(),
            || stores.runtime.block_on(load.append(bucket)),
            || stores.runtime.block_on(load.put(bucket, &store)),
        )?;
        let mut measured = Comparison::default();
        for (ours, theirs) in timed {
            measured.push(ours, theirs);
        }
        if writers < LOADS[LOADS.len() - 1].0 {
            fewer.insert(
                format!("writers_{writers}"),
                json!({"ours": round(measured.ours()), "ratio": round(measured.ratio())}),
            );
            continue;
        }
        Row {
            id: "append",
            work: format!("acknowledged appends in {place}, {writers} writers"),
            peer,
            unit: "appends/s",
            measured: &measured,
            bar: Bar::AtLeast(BAR),
            detail: json!({
                "records_a_round": writers * each,
                "bytes_a_record": serde_json::to_vec(&trial(0)?)?.len(),
                "fewer_writers": fewer,
            }),
        }
        .print();
    }
    Ok(())
}

/// So many writers, each with so many records.
#[derive(Clone, Copy)]
struct Load {
    writers: usize,
    each: usize,
}

impl Load {
    /// Records per second through one log.
    async fn append(self, bucket: &Bucket) -> Result<f64> {
        let log = AppendLog::new(bucket.clone(), "appends", clock());
        let record = trial(0)?;
        let write = |_| async {
            for _ in 0..self.each {
                log.append(record.clone()).await?;
            }
            anyhow::Ok(())
        };
        let start = Instant::now();
        try_join_all((0..self.writers).map(write)).await?;
        let rate = self.rate(start);
        clear(bucket, "appends").await?;
        Ok(rate)
    }

    /// Objects per second, a record each.
    async fn put(self, bucket: &Bucket, store: &Arc<dyn ObjectStore>) -> Result<f64> {
        let record = Bytes::from(serde_json::to_vec(&trial(0)?)?);
        let next = AtomicUsize::new(0);
        let write = |_| async {
            for _ in 0..self.each {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let path = Path::from(format!("puts/{number}.jsonl"));
                store.put(&path, record.clone().into()).await?;
            }
            anyhow::Ok(())
        };
        let start = Instant::now();
        try_join_all((0..self.writers).map(write)).await?;
        let rate = self.rate(start);
        clear(bucket, "puts").await?;
        Ok(rate)
    }

    fn rate(self, start: Instant) -> f64 {
        (self.writers * self.each) as f64 / start.elapsed().as_secs_f64()
    }
}
