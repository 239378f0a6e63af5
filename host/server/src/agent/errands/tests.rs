//! The order in which indexes get their turn, and what becomes of what failed.

use super::*;
use crate::indexes::testing::Quiet;

fn name(text: &str) -> IndexName {
    IndexName::new(text).unwrap()
}

fn failure(code: &str) -> Result<(), Problem> {
    Err(Problem::conflict(code, "the bucket is full"))
}

/// The pause before an index is tried again.
fn pause_of(errands: &Errands, index: &IndexName) -> Duration {
    errands.state().waiting[index]
        .due
        .duration_since(Instant::now())
}

#[tokio::test]
async fn who_waits_longest_is_next_and_what_is_done_is_gone() {
    let errands = Errands::default();
    for index in ["b", "a", "b"] {
        errands.nudge(&name(index));
    }
    let (first, errand) = errands.next().unwrap();
    assert_eq!(first, name("a"), "b was nudged again later");
    assert_eq!(errands.state_of(&first), (true, None));
    errands.settle(&first, errand, Ok(()));
    let (second, errand) = errands.next().unwrap();
    errands.settle(&second, errand, Ok(()));
    assert_eq!(second, name("b"));
    assert!(errands.next().is_none() && errands.due().is_none());
    assert!(!errands.has(&name("a")), "nothing waits any more");
}

#[tokio::test]
async fn what_failed_waits_longer_each_time_and_a_nudge_ends_the_wait() {
    let (errands, index) = (Errands::default(), name("a"));
    errands.nudge(&index);
    let (_, mut errand) = errands.next().unwrap();
    assert_eq!(errand.pause, PAUSES.0);
    for _ in 0..12 {
        let pause = errand.pause;
        errands.settle(&index, errand, failure("storage_full"));
        assert!(errands.next().is_none(), "not yet");
        assert!(pause_of(&errands, &index) <= pause);
        errand = errands.state().waiting.remove(&index).unwrap();
        assert_eq!(errand.pause, (pause * 2).min(PAUSES.1));
    }
    assert_eq!(errand.pause, PAUSES.1);
    errands.settle(&index, errand, failure("storage_full"));
    let (working, problem) = errands.state_of(&index);
    assert!(!working && problem.unwrap().contains("the bucket is full"));
    assert!(errands.has(&index));
    errands.nudge(&index);
    assert_eq!(errands.next().unwrap().0, index);
}

#[tokio::test]
async fn a_nudge_during_the_work_is_not_lost() {
    for outcome in [Ok(()), failure("storage_full")] {
        let (errands, index) = (Errands::default(), name("a"));
        errands.nudge(&index);
        let (_, errand) = errands.next().unwrap();
        errands.nudge(&index);
        errands.settle(&index, errand, outcome);
        assert_eq!(errands.next().unwrap().0, index);
    }
}

#[tokio::test]
async fn who_cancels_is_left_alone_for_long() {
    let (errands, index) = (Errands::default(), name("a"));
    errands.nudge(&index);
    let (_, errand) = errands.next().unwrap();
    errands.settle(&index, errand, failure("cancelled"));
    assert!(pause_of(&errands, &index) > PAUSES.1 / 2);
}

/// The version of its dataset that an index covers.
fn covered(host: &Quiet, index: &str) -> u64 {
    let index = host.app.indexes.get(index).unwrap();
    index.meta.covered_version()
}

#[tokio::test]
async fn an_index_that_is_refreshed_keeps_no_other_one_waiting() {
    let host = Quiet::open().await;
    for index in ["a", "b"] {
        let rows = "id,text\n1,ships in the harbour\n2,baking bread\n";
        host.ingest(index, "replace", rows).await;
        host.index(index).await;
    }
    let refreshing = host.app.indexes.get("a").unwrap().try_growing().unwrap();
    for index in ["a", "b"] {
        host.ingest(index, "append", "id,text\n3,an old bicycle\n")
            .await;
    }
    let patience = Duration::from_secs(60);
    let carried = tokio::time::timeout(patience, carry_due(&host.app)).await;
    assert!(carried.is_ok(), "it waits for who refreshes `a`");
    assert_eq!((covered(&host, "a"), covered(&host, "b")), (1, 2));
    let (working, problem) = host.app.agent.errands.state_of(&name("a"));
    assert!(!working && problem.unwrap().contains("is being refreshed"));

    drop(refreshing);
    host.app.agent.errands.nudge(&name("a"));
    carry_due(&host.app).await;
    assert_eq!(covered(&host, "a"), 2);
}
