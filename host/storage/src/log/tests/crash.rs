//! Whatever the store does at whichever operation: what was acknowledged is there once and in order, and
//! what was not is there at most once.
//!
//! A scenario of several writers and a compaction is run for every operation that it has and every fault
//! that one can meet, first in durable mode, then buffered. Then the log is opened again over what lies in
//! the store, read, compacted and read again.

use futures::future::{Either, select};

use super::*;

/// What writers of one log have tried. A record is `writer * 1000 + number`.
#[derive(Default)]
struct Tally {
    tried: BTreeSet<u32>,
    acknowledged: BTreeSet<u32>,
    /// Taken by a buffer and not flushed yet, with the writer who took them.
    buffered: BTreeSet<u32>,
}

/// A log and how many records it has been given.
struct Writer {
    log: AppendLog<Record>,
    number: u32,
    appended: u32,
}

impl Writer {
    fn new(bucket: &Bucket, number: u32, threshold: usize) -> Self {
        Self {
            log: log(bucket).with_flush_threshold(threshold),
            number,
            appended: 0,
        }
    }

    /// Appends several records at once.
    async fn append(&mut self, records: u32, tally: &mut Tally) {
        let first = self.number * 1000 + self.appended;
        self.appended += records;
        tally.tried.extend(first..first + records);
        let appends = (first..first + records).map(|id| {
            let log = self.log.clone();
            async move { log.append(record(id)).await.map(|()| id) }
        });
        let taken = join_all(appends).await.into_iter().flatten();
        if self.log.shared.is_buffered() {
            tally.buffered.extend(taken);
        } else {
            tally.acknowledged.extend(taken);
        }
    }

    async fn flush(&mut self, tally: &mut Tally) {
        let own = self.number * 1000..(self.number + 1) * 1000;
        let waiting: Vec<_> = tally.buffered.range(own).copied().collect();
        if self.log.flush().await.is_ok() {
            tally.acknowledged.extend(waiting);
        }
    }
}

/// One step of the scenario. A caller that meets a stalled operation is cut off there; whether that
/// happened.
async fn is_cut_off(store: &FaultyStore, step: impl Future<Output = ()>) -> bool {
    let cut = select(Box::pin(step), Box::pin(store.reached())).await;
    matches!(cut, Either::Right(_))
}

/// Appends by three writers, singly and at once, with compactions in between.
/// Gives what was tried, and whether the fault was met.
async fn scenario(
    bucket: &Bucket,
    store: &FaultyStore,
    plan: Plan,
    threshold: usize,
) -> (Tally, bool) {
    let mut tally = Tally::default();
    let mut met = false;
    store.follow(plan);
    let mut writers = [0, 1, 2].map(|number| Writer::new(bucket, number, threshold));
    for round in [[1, 3, 0], [2, 0, 1], [0, 1, 4], [1, 1, 1]] {
        for (writer, records) in writers.iter_mut().zip(round) {
            let step = async {
                writer.append(records, &mut tally).await;
                writer.flush(&mut tally).await;
                if records == 0 {
                    // A compaction that fails is no reason to stop: the store decides.
                    let _ = writer.log.compact().await;
                }
            };
            if !matches!(plan, Plan::Stall { .. }) {
                step.await;
            } else if is_cut_off(store, step).await {
                store.follow(Plan::Never);
                met = true;
            }
        }
    }
    (tally, met || store.stopped())
}

/// Reads the log as a new process would, twice, with a compaction in between.
async fn check(bucket: &Bucket, tally: &Tally, told: &str) {
    for _ in 0..2 {
        let found = ids(&log(bucket)).await;
        let unique: BTreeSet<_> = found.iter().copied().collect();
        assert_eq!(unique.len(), found.len(), "{told}: doubled: {found:?}");
        assert!(
            unique.is_superset(&tally.acknowledged),
            "{told}: lost: {found:?}"
        );
        assert!(
            unique.is_subset(&tally.tried),
            "{told}: invented: {found:?}"
        );
        for writer in 0..3 {
            let own = found.iter().filter(|id| **id / 1000 == writer);
            assert!(own.is_sorted(), "{told}: out of order: {found:?}");
        }
        log(bucket).compact().await.unwrap();
    }
    assert!(files(bucket).await <= 1, "{told}");
}

/// Runs the scenario with the plan's fault at every operation that it has.
async fn at_every_operation(threshold: usize, plan: impl Fn(usize) -> Plan) {
    for at in 0.. {
        let plan = plan(at);
        let bucket = memory();
        let (seen, store) = faulty(&bucket, Plan::Never);
        let (tally, met) = scenario(&seen, &store, plan, threshold).await;
        check(&bucket, &tally, &format!("threshold {threshold}, {plan:?}")).await;
        if !met {
            assert_eq!(tally.acknowledged, tally.tried);
            assert!(at > 30, "the scenario has only {at} operations");
            break;
        }
    }
}

#[tokio::test]
async fn it_may_stop_anywhere() {
    for (threshold, last) in [1, 2].into_iter().flat_map(|t| Last::BOTH.map(|l| (t, l))) {
        at_every_operation(threshold, |at| Plan::Stop { at, last }).await;
    }
}

#[tokio::test]
async fn any_operation_may_fail() {
    for (threshold, last) in [1, 2].into_iter().flat_map(|t| Last::BOTH.map(|l| (t, l))) {
        at_every_operation(threshold, |at| Plan::FailOnce { at, last }).await;
    }
}

#[tokio::test]
async fn callers_may_be_cut_off_anywhere() {
    for threshold in [1, 2] {
        at_every_operation(threshold, |at| Plan::Stall { at }).await;
    }
}

#[tokio::test]
async fn listings_may_be_behind() {
    for (threshold, behind) in [1, 2].into_iter().flat_map(|t| (1..9).map(move |b| (t, b))) {
        let bucket = memory();
        let (seen, store) = faulty(&bucket, Plan::Never);
        let plan = Plan::StaleListings { behind };
        let (tally, _) = scenario(&seen, &store, plan, threshold).await;
        assert_eq!(tally.acknowledged, tally.tried);
        // Behind or not: what is read is never doubled, and an error says that it was not to be had.
        match log(&seen).read_all().await {
            Ok(contents) => {
                let unique: BTreeSet<_> = contents.records.iter().map(|r| r.id).collect();
                assert_eq!(unique.len(), contents.records.len());
            }
            Err(error) => assert!(matches!(error, StorageError::Contended { .. }), "{error}"),
        }
        check(
            &bucket,
            &tally,
            &format!("threshold {threshold}, behind {behind}"),
        )
        .await;
    }
}
