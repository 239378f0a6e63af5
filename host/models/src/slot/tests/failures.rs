//! What is true after something failed: where the slot was, or nobody; never a lie.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use boathouse_model_server::{Fault, Route};
use tokio::time;

use super::world::{World, ask, plain, profile, settings, with_embedder};
use crate::{
    MemoryRecords, RecordStore, ServerError, SlotError, SlotLimits, SlotRecord, SlotState,
    testing::name,
};

#[tokio::test(start_paused = true)]
async fn a_missing_model_changes_nothing_and_says_how_to_get_it() {
    let world = World::new().await;
    world.active(plain("a")).await;
    let before = world.double.calls().len();
    let failed = world.activate(plain("none")).await.unwrap().unwrap_err();
    assert!(
        failed.to_string().contains("ollama pull none:latest"),
        "{failed}"
    );
    world.check(SlotState::Ready, Some("p-a"), &["a"]);
    let calls = world.double.calls();
    let asked = calls[before..]
        .iter()
        .filter(|call| call.route == Route::Generate);
    assert_eq!(asked.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_does_not_load_gives_the_slot_back() {
    let world = World::new().await;
    world.active(with_embedder("a")).await;
    world
        .double
        .set(|settings| settings.broken.push("b:latest".to_owned()));
    let failed = world.activate(with_embedder("b")).await.unwrap();
    assert!(
        matches!(
            failed,
            Err(SlotError::Server(ServerError::Failed { status: 500, .. }))
        ),
        "{failed:?}"
    );
    world.check(SlotState::Ready, Some("p-a"), &["a", "e"]);
    assert!(world.slot.view().last_error.is_some());
    assert_eq!(
        ask(world.slot.clone(), world.server.clone(), profile("p-a")).await,
        Ok(5)
    );
    world.settled().await;
    world.check(SlotState::Ready, Some("p-a"), &["a", "e"]);
    // The next change that succeeds takes the error away.
    world.active(plain("c")).await;
    assert_eq!(world.slot.view().last_error, None);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_was_nobody_is_after_a_failure() {
    let world = World::new().await;
    world.double.fail_next(
        Route::Generate,
        Fault::Status(500, "out of memory".to_owned()),
    );
    world
        .activate(with_embedder("a"))
        .await
        .unwrap()
        .unwrap_err();
    world.check(SlotState::Empty, None, &[]);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_takes_too_long_is_given_up_and_its_model_unloaded() {
    let world = World::new().await;
    world.active(plain("a")).await;
    world
        .double
        .set(|settings| settings.load = Duration::from_secs(380));
    let change = world.activate(plain("b"));
    time::sleep(Duration::from_secs(365)).await;
    world
        .double
        .set(|settings| settings.load = Duration::from_secs(1));
    let failed = change.await.unwrap();
    assert!(
        matches!(failed, Err(SlotError::Server(ServerError::Slow { .. }))),
        "{failed:?}"
    );
    world.check(SlotState::Ready, Some("p-a"), &["a"]);
    assert_eq!(world.double.most_answering(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_changes_nothing_and_is_told() {
    let world = World::new().await;
    world.active(plain("a")).await;
    world.double.go_away();
    world.settled().await;
    let view = world.slot.view();
    assert_eq!(view.state, SlotState::Ready);
    assert!(
        view.server_error
            .is_some_and(|error| error.contains("does not answer"))
    );
    let failed = world.activate(plain("b")).await.unwrap().unwrap_err();
    let SlotError::Server(error @ ServerError::Away { .. }) = failed else {
        panic!("{failed:?}");
    };
    assert!(error.retry_after().is_some());
    world.double.come_back();
    world.settled().await;
    world.check(SlotState::Ready, Some("p-a"), &["a"]);
    assert_eq!(world.slot.view().server_error, None);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_in_the_middle_leaves_nobody_and_nothing_behind() {
    let world = World::new().await;
    world.active(plain("a")).await;
    let change = world.activate(plain("b"));
    // While `b` is being loaded.
    time::sleep(Duration::from_millis(1_500)).await;
    world.double.go_away();
    change.await.unwrap().unwrap_err();
    assert_eq!(world.slot.view().state, SlotState::Failed);
    assert_eq!(world.slot.view().holder, None);
    world.double.come_back();
    world.settled().await;
    world.settled().await;
    world.check(SlotState::Empty, None, &[]);
    world.active(plain("b")).await;
    assert_eq!(world.double.most_answering(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_started_again_has_lost_the_model() {
    let world = World::new().await;
    world.active(with_embedder("a")).await;
    world.double.restart();
    world.settled().await;
    world.check(SlotState::Empty, None, &[]);
    world.active(with_embedder("a")).await;
    world.check(SlotState::Ready, Some("p-a"), &["a", "e"]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_started_again_takes_over_what_it_had() {
    let mut world = World::new().await;
    world.active(with_embedder("a")).await;
    world.restart_host().await;
    world.settled().await;
    world.check(SlotState::Ready, Some("p-a"), &["a", "e"]);
    world.active(with_embedder("b")).await;
    world.check(SlotState::Ready, Some("p-b"), &["b", "e"]);
    assert_eq!(world.double.most_answering(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_died_in_a_change_leaves_at_most_what_the_record_names() {
    for after in [50, 500, 1_000, 1_200, 1_500, 1_800, 2_500] {
        let mut world = World::new().await;
        world.active(with_embedder("a")).await;
        let change = world.activate(with_embedder("b"));
        time::sleep(Duration::from_millis(after)).await;
        change.abort();
        world.restart_host().await;
        world.settled().await;
        world.settled().await;
        let view = world.slot.view();
        let held = world.held();
        match view.holder {
            Some(holder) => {
                assert_eq!(view.state, SlotState::Ready, "after {after} ms");
                let model = holder.model.as_str().trim_end_matches(":latest").to_owned();
                assert_eq!(held, [model, "e".to_owned()], "after {after} ms");
            }
            None => {
                assert_eq!(view.state, SlotState::Empty, "after {after} ms");
                assert_eq!(held, [""; 0], "after {after} ms");
            }
        }
        world.active(with_embedder("c")).await;
        world.check(SlotState::Ready, Some("p-c"), &["c", "e"]);
        assert_eq!(world.double.most_answering(), 1, "after {after} ms");
    }
}

/// Records that cannot be kept while it is told so.
#[derive(Debug, Default)]
struct FullDisk {
    records: MemoryRecords,
    is_full: AtomicBool,
}

#[async_trait]
impl RecordStore for FullDisk {
    async fn read(&self) -> Result<Option<SlotRecord>, String> {
        self.records.read().await
    }

    async fn write(&self, record: &SlotRecord) -> Result<(), String> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err("no space left".to_owned());
        }
        self.records.write(record).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_down_is_not_done() {
    let disk = Arc::new(FullDisk::default());
    let world = World::unseen(settings(), SlotLimits::default(), disk.clone());
    world.settled().await;
    world.active(plain("a")).await;
    disk.is_full.store(true, Ordering::SeqCst);
    let failed = world.activate(plain("b")).await.unwrap();
    let reason = "no space left".to_owned();
    assert_eq!(failed, Err(SlotError::Record { reason }));
    world.check(SlotState::Ready, Some("p-a"), &["a"]);
    assert_eq!(world.requests("a", true) + world.requests("b", false), 0);
    let failed = world.slot.preload(name("e")).await;
    assert!(
        matches!(failed, Err(SlotError::Record { .. })),
        "{failed:?}"
    );
    disk.is_full.store(false, Ordering::SeqCst);
    world.active(plain("b")).await;
    world.check(SlotState::Ready, Some("p-b"), &["b"]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_the_host_stops_is_told() {
    let mut world = World::new().await;
    let change = world.activate(plain("a"));
    time::sleep(Duration::from_millis(100)).await;
    let former = world.slot.clone();
    world.restart_host().await;
    assert_eq!(change.await.unwrap(), Err(SlotError::Closed));
    assert_eq!(
        former.lease(profile("p-a")).await.unwrap_err(),
        SlotError::Closed
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_of_the_server_is_waited_for() {
    let world = World::new().await;
    for _ in 0..3 {
        world
            .double
            .fail_next(Route::Generate, Fault::Status(503, "busy".to_owned()));
    }
    world.active(plain("a")).await;
    world.check(SlotState::Ready, Some("p-a"), &["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_gone_right_after_its_load_is_not_held() {
    // A load that keeps the model for no time at all is answered like any other, and nothing is there afterwards.
    let limits = SlotLimits {
        keep_alive: Duration::ZERO,
        ..SlotLimits::default()
    };
    let world = World::with(settings(), limits).await;
    let lost = world.slot.preload(name("a")).await;
    assert_eq!(lost, Err(SlotError::PushedOut { model: name("a") }));
    let lost = world.activate(plain("a")).await.unwrap();
    assert_eq!(lost, Err(SlotError::PushedOut { model: name("a") }));
    world.check(SlotState::Empty, None, &[]);
}
