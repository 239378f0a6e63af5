//! Whatever the store does at whichever operation: the document is the old one or the new one, whole, and
//! every change that was acknowledged is in it once.
//!
//! The document is the list of all changes so far. Two writers take turns and prune as they go; each makes
//! its change the way writers should: load, change, commit, and after anything but success load again.

use std::collections::BTreeSet;

use futures::future::{Either, select};

use super::*;

/// How often a writer tries again before it gives its change up.
const TRIES: usize = 12;
/// Changes in a scenario; more than [`MIN_KEPT`], so that versions are pruned.
const CHANGES: u32 = 14;

fn document(bucket: &Bucket) -> Manifest<Vec<u32>> {
    Manifest::new(bucket.clone(), "x/manifest")
}

/// Adds a change unless it is there already; whether that was acknowledged.
async fn add(manifest: &Manifest<Vec<u32>>, change: u32) -> bool {
    for _ in 0..TRIES {
        let Ok(found) = manifest.load().await else {
            continue;
        };
        let (version, mut changes) = found.map_or((0, Vec::new()), |f| (f.version, f.value));
        if changes.contains(&change) {
            return true;
        }
        changes.push(change);
        if manifest.commit(version, &changes).await.is_ok() {
            // A surplus that is not pruned now is pruned later.
            let _ = manifest.prune(0).await;
            return true;
        }
    }
    false
}

/// Gives the changes that were acknowledged, and whether the fault was met.
async fn scenario(seen: &Bucket, store: &FaultyStore, plan: Plan) -> (BTreeSet<u32>, bool) {
    let writers = [document(seen), document(seen)];
    let mut acknowledged = BTreeSet::new();
    let mut met = false;
    store.follow(plan);
    for change in 0..CHANGES {
        let step = add(&writers[change as usize % 2], change);
        match select(Box::pin(step), Box::pin(store.reached())).await {
            Either::Left((true, _)) => {
                acknowledged.insert(change);
            }
            Either::Left((false, _)) => {}
            Either::Right(((), step)) if matches!(plan, Plan::Stall { .. }) => {
                drop(step);
                store.follow(Plan::Never);
                met = true;
            }
            Either::Right(((), step)) => {
                met = true;
                if step.await {
                    acknowledged.insert(change);
                }
            }
        }
    }
    (acknowledged, met || store.stopped())
}

/// Loads the document as a new process would, and goes on with it.
async fn check(bucket: &Bucket, acknowledged: &BTreeSet<u32>, told: &str) {
    let found = document(bucket).load().await.unwrap();
    let changes = found.map_or_else(Vec::new, |found| found.value);
    let unique: BTreeSet<_> = changes.iter().copied().collect();
    assert_eq!(unique.len(), changes.len(), "{told}: doubled: {changes:?}");
    assert!(changes.is_sorted(), "{told}: {changes:?}");
    assert!(
        unique.is_superset(acknowledged),
        "{told}: lost: {changes:?}"
    );
    assert!(unique.iter().all(|change| *change < CHANGES), "{told}");
    assert!(add(&document(bucket), 99).await, "{told}");
    let left = bucket.list("x").await.unwrap().len();
    assert!(left <= MIN_KEPT, "{told}: {left}");
}

async fn at_every_operation(plan: impl Fn(usize) -> Plan) {
    for at in 0.. {
        let bucket = memory();
        let (seen, store) = faulty(&bucket, Plan::Never);
        let (acknowledged, met) = scenario(&seen, &store, plan(at)).await;
        check(&bucket, &acknowledged, &format!("{:?}", plan(at))).await;
        if !met {
            assert_eq!(acknowledged.len(), CHANGES as usize);
            assert!(at > 50, "the scenario has only {at} operations");
            break;
        }
    }
}

#[tokio::test]
async fn it_may_stop_anywhere() {
    for last in Last::BOTH {
        at_every_operation(|at| Plan::Stop { at, last }).await;
    }
}

#[tokio::test]
async fn any_operation_may_fail() {
    for last in Last::BOTH {
        at_every_operation(|at| Plan::FailOnce { at, last }).await;
    }
}

#[tokio::test]
async fn writers_may_be_cut_off_anywhere() {
    at_every_operation(|at| Plan::Stall { at }).await;
}

#[tokio::test]
async fn listings_may_be_behind() {
    for behind in 1..2 * MIN_KEPT {
        let bucket = memory();
        let (seen, store) = faulty(&bucket, Plan::Never);
        let plan = Plan::StaleListings { behind };
        let (acknowledged, _) = scenario(&seen, &store, plan).await;
        // Who cannot see the newest version cannot commit on top of it; nothing is committed beside it.
        check(&bucket, &acknowledged, &format!("behind {behind}")).await;
    }
}
