//! The buckets under test beside the model of what they must hold.

use std::{collections::BTreeSet, ops::Range, sync::Arc, time::Duration};

use boathouse_faults::{FaultyStore, Plan};
use boathouse_types::{BucketName, ManualClock};
use bytes::Bytes;
use futures::future::{join_all, select};
use tokio_util::sync::CancellationToken;

use super::Operation;
use crate::{AppendLog, Bucket, Manifest, Mirror, MirrorScope, StorageError, restore};

pub(super) const WRITERS: usize = 3;
pub(super) const OBJECTS: usize = 3;
/// Records of the first writer start at 0, of the second at 10,000, and so on.
const RECORDS: u32 = 10_000;

/// What the log must hold.
#[derive(Default)]
struct Records {
    tried: BTreeSet<u32>,
    acknowledged: BTreeSet<u32>,
    /// Acknowledged when the rescue was level last.
    mirrored: BTreeSet<u32>,
}

/// What an object may hold: one of these, where none is "no such object". The rescue may have any of those
/// that there ever were.
struct Object {
    possible: BTreeSet<Option<u32>>,
    ever: BTreeSet<Option<u32>>,
}

struct Writer {
    log: AppendLog<u32>,
    next: u32,
    /// Taken by the buffer and not flushed yet.
    buffered: BTreeSet<u32>,
}

pub(super) struct World {
    home: Bucket,
    rescue: Bucket,
    home_store: FaultyStore,
    rescue_store: FaultyStore,
    bucket: Bucket,
    mirror: Mirror,
    clock: Arc<ManualClock>,
    writers: Vec<Writer>,
    records: Records,
    changes: Records,
    objects: Vec<Object>,
    nothing: BTreeSet<u32>,
    next: u32,
}

fn faulty(name: &str) -> (Bucket, Bucket, FaultyStore) {
    let bucket = Bucket::memory(BucketName::new(name).unwrap());
    let store = FaultyStore::new(Arc::clone(bucket.store()), Plan::Never);
    let seen = bucket.with_store(Arc::new(store.clone()));
    (bucket, seen, store)
}

fn path(object: usize) -> String {
    format!("sets/{object}.json")
}

impl Writer {
    /// Every second writer is a buffered one.
    fn new(bucket: &Bucket, clock: &Arc<ManualClock>, number: usize, next: u32) -> Self {
        let log = AppendLog::new(bucket.clone(), "log", Arc::clone(clock) as _);
        Self {
            log: log.with_flush_threshold(1 + 2 * (number % 2)),
            next,
            buffered: BTreeSet::new(),
        }
    }
}

impl World {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let (home, seen_home, home_store) = faulty("primary");
        let (rescue, seen_rescue, rescue_store) = faulty("rescue");
        let mirror = Mirror::new(seen_rescue, Arc::clone(&clock) as _, MirrorScope::Recovery);
        let bucket = mirror.over(&seen_home);
        let writer = |n| Writer::new(&bucket, &clock, n, n as u32 * RECORDS);
        let object = |_| Object {
            possible: BTreeSet::from([None]),
            ever: BTreeSet::from([None]),
        };
        Self {
            writers: (0..WRITERS).map(writer).collect(),
            objects: (0..OBJECTS).map(object).collect(),
            records: Records::default(),
            changes: Records::default(),
            nothing: BTreeSet::new(),
            next: 0,
            home,
            rescue,
            home_store,
            rescue_store,
            bucket,
            mirror,
            clock,
        }
    }

    /// Runs an operation; one that hangs in a stalled store is cut off.
    pub(super) async fn run(&mut self, operation: Operation) {
        self.clock.advance(1);
        let (home, rescue) = (self.home_store.clone(), self.rescue_store.clone());
        let work = Box::pin(self.step(operation));
        // A plan is followed for the next operation that meets it, so only a stall is waited for here.
        let stalled =
            Box::pin(async { select(Box::pin(stalls(&home)), Box::pin(stalls(&rescue))).await });
        select(work, stalled).await;
    }

    async fn step(&mut self, operation: Operation) {
        match operation {
            Operation::Append { writer, records } => self.append(writer, records).await,
            Operation::Flush { writer } => self.flush(writer).await,
            Operation::Compact { writer } => drop(self.writers[writer].log.compact().await),
            Operation::Reopen { writer } => {
                let next = self.writers[writer].next;
                self.writers[writer] = Writer::new(&self.bucket, &self.clock, writer, next);
            }
            Operation::ReadLog => self.read_log().await,
            Operation::Change => self.change().await,
            Operation::Prune => drop(self.document(&self.bucket).prune(0).await),
            Operation::ReadDocument => self.read_document().await,
            Operation::Put { object } => self.put(object).await,
            Operation::Delete { object } => self.delete(object).await,
            Operation::ReadObject { object } => self.read_object(object).await,
            Operation::Mirror => self.mirror_until_it_fails().await,
            Operation::Home(plan) => self.home_store.follow(plan),
            Operation::Rescue(plan) => self.rescue_store.follow(plan),
        }
    }

    async fn append(&mut self, writer: usize, records: u32) {
        let is_buffered = writer % 2 == 1;
        let writer = &mut self.writers[writer];
        let ids: Range<u32> = writer.next..writer.next + records;
        writer.next = ids.end;
        self.records.tried.extend(ids.clone());
        let log = &writer.log;
        let appends = ids.map(|id| async move { log.append(id).await.map(|()| id) });
        let taken = join_all(appends).await.into_iter().flatten();
        if is_buffered {
            writer.buffered.extend(taken);
        } else {
            self.records.acknowledged.extend(taken);
        }
    }

    async fn flush(&mut self, writer: usize) {
        let writer = &mut self.writers[writer];
        if writer.log.flush().await.is_ok() {
            self.records.acknowledged.append(&mut writer.buffered);
        }
    }

    /// Reads with a log of its own, which has nothing buffered.
    async fn read_log(&mut self) {
        let log = AppendLog::new(self.bucket.clone(), "log", Arc::clone(&self.clock) as _);
        let reading = crate::noting_rescue(log.read_all());
        let (contents, from_rescue) = reading.await;
        if let Ok(contents) = contents {
            let known = self.known(&self.records, from_rescue);
            agree(&contents.records, &self.records.tried, known);
        }
    }

    /// What a reader must find: less when the rescue has answered, nothing when listings are behind.
    fn known<'a>(&'a self, records: &'a Records, from_rescue: bool) -> &'a BTreeSet<u32> {
        if matches!(self.home_store.plan(), Plan::StaleListings { .. }) {
            &self.nothing
        } else if from_rescue {
            &records.mirrored
        } else {
            &records.acknowledged
        }
    }

    fn document(&self, bucket: &Bucket) -> Manifest<Vec<u32>> {
        Manifest::new(bucket.clone(), "doc/manifest")
    }

    /// Adds a change to the document, as one writer who tries once.
    async fn change(&mut self) {
        let document = self.document(&self.bucket);
        let change = self.next;
        self.next += 1;
        self.changes.tried.insert(change);
        let Ok(found) = document.load().await else {
            return;
        };
        let (version, mut changes) = found.map_or((0, Vec::new()), |f| (f.version, f.value));
        changes.push(change);
        if document.commit(version, &changes).await.is_ok() {
            self.changes.acknowledged.insert(change);
        }
    }

    async fn read_document(&mut self) {
        let document = self.document(&self.bucket);
        let (found, from_rescue) = crate::noting_rescue(document.load()).await;
        if let Ok(found) = found {
            let known = self.known(&self.changes, from_rescue);
            let changes = found.map_or_else(Vec::new, |found| found.value);
            agree(&changes, &self.changes.tried, known);
        }
    }

    async fn put(&mut self, object: usize) {
        let value = self.next;
        self.next += 1;
        let state = &mut self.objects[object];
        // Open from the moment it begins: it may be cut off.
        state.possible.insert(Some(value));
        state.ever.insert(Some(value));
        let bytes = Bytes::from(value.to_string());
        if self.bucket.put(&path(object), bytes).await.is_ok() {
            state.possible = BTreeSet::from([Some(value)]);
        }
    }

    async fn delete(&mut self, object: usize) {
        let state = &mut self.objects[object];
        state.possible.insert(None);
        if self.bucket.delete(&path(object)).await.is_ok() {
            state.possible = BTreeSet::from([None]);
        }
    }

    async fn read_object(&mut self, object: usize) {
        let path = path(object);
        let state = &self.objects[object];
        match crate::noting_rescue(self.bucket.get(&path)).await {
            (Ok(bytes), from_rescue) => {
                let value = std::str::from_utf8(&bytes).unwrap().parse().unwrap();
                let allowed = if from_rescue {
                    &state.ever
                } else {
                    &state.possible
                };
                assert!(allowed.contains(&Some(value)), "object {object} is {value}");
            }
            (Err(StorageError::NotFound { .. }), from_rescue) => {
                assert!(
                    !from_rescue && state.possible.contains(&None),
                    "object {object} is gone"
                );
            }
            (Err(_), _) => {}
        }
    }

    async fn mirror_until_it_fails(&mut self) {
        let name = self.home.name().clone();
        let ended = async {
            loop {
                let lag = self.mirror.lag(&name);
                if lag.failing.is_some() || (lag.objects == 0 && !lag.comparing) {
                    return lag.failing.is_none();
                }
                tokio::task::yield_now().await;
            }
        };
        if self.mirrored(ended).await && self.home_store.plan() == Plan::Never {
            self.records.mirrored.clone_from(&self.records.acknowledged);
            self.changes.mirrored.clone_from(&self.changes.acknowledged);
        }
    }

    /// Runs the mirror's worker as long as `scenario` takes.
    async fn mirrored<T>(&self, scenario: impl Future<Output = T>) -> T {
        let stop = CancellationToken::new();
        let scenario = async {
            let result = scenario.await;
            stop.cancel();
            result
        };
        futures::join!(self.mirror.work(stop.clone()), scenario).1
    }

    /// Switches everything on, compares, levels, and compares a restored bucket too.
    pub(super) async fn end(&mut self) {
        self.home_store.follow(Plan::Never);
        self.rescue_store.follow(Plan::Never);
        for writer in 0..WRITERS {
            self.flush(writer).await;
        }
        self.mirror.catch_up(self.home.name()).await.unwrap();
        let settled = self.mirrored(self.mirror.settled());
        let deadline = Duration::from_secs(20);
        tokio::time::timeout(deadline, settled)
            .await
            .expect("the rescue is not brought level");
        self.read_log().await;
        self.read_document().await;
        for object in 0..OBJECTS {
            self.read_object(object).await;
        }
        let home = Bucket::memory(self.home.name().clone());
        restore(&self.rescue, &home, false).await.unwrap();
        for bucket in [&self.home, &home] {
            let log = AppendLog::new(bucket.clone(), "log", Arc::clone(&self.clock) as _);
            for _ in 0..2 {
                let found = log.read_all().await.unwrap().records;
                agree(&found, &self.records.tried, &self.records.acknowledged);
                log.compact().await.unwrap();
            }
            let document = self.document(bucket).load().await.unwrap();
            let changes = document.map_or_else(Vec::new, |found| found.value);
            agree(&changes, &self.changes.tried, &self.changes.acknowledged);
        }
    }
}

/// Resolves when the store hangs in the operation of its plan.
async fn stalls(store: &FaultyStore) {
    if !matches!(store.plan(), Plan::Stall { .. }) {
        std::future::pending::<()>().await;
    }
    store.reached().await;
    store.follow(Plan::Never);
}

/// What was acknowledged is there, nothing is there twice, nothing was invented, and each writer's records
/// are in order.
fn agree(found: &[u32], tried: &BTreeSet<u32>, acknowledged: &BTreeSet<u32>) {
    let unique: BTreeSet<_> = found.iter().copied().collect();
    assert_eq!(unique.len(), found.len(), "doubled: {found:?}");
    assert!(unique.is_subset(tried), "invented: {found:?}");
    let lost: Vec<_> = acknowledged.difference(&unique).collect();
    assert!(lost.is_empty(), "lost {lost:?} of {found:?}");
    for writer in 0..WRITERS as u32 {
        let own = found.iter().filter(|id| **id / RECORDS == writer);
        assert!(own.is_sorted(), "out of order: {found:?}");
    }
}
