//! Who gets the slot when several want it: joined, in turns, bounded, and given up by leaving.

use std::time::Duration;

use tokio::time::{self, Instant};

use super::world::{World, ask, ask_with, plain, profile, settings, with_embedder};
use crate::{SlotError, SlotLimits, SlotState};

/// Activates a profile and asks it, as a request that wants an answer does.
fn answered(world: &World, model: &str) -> tokio::task::JoinHandle<Result<usize, SlotError>> {
    let (slot, server, occupant) = (world.slot.clone(), world.server.clone(), plain(model));
    world.spawn(async move {
        let active = slot.activate(occupant).await?;
        ask_with(active.lease, server).await
    })
}

#[tokio::test(start_paused = true)]
async fn requests_for_one_profile_share_a_change() {
    let world = World::new().await;
    let all: Vec<_> = (0..10)
        .map(|_| world.activate(with_embedder("a")))
        .collect();
    let mut reports = Vec::new();
    for one in all {
        reports.push(one.await.unwrap().unwrap());
    }
    assert!(reports.iter().all(|report| *report == reports[0]));
    assert_eq!(world.requests("a", false), 1);
}

#[tokio::test(start_paused = true)]
async fn turns_are_grouped_and_everybody_is_answered() {
    let world = World::new().await;
    let mut all = Vec::new();
    for model in ["a", "b", "a", "b", "c", "a", "c", "b"] {
        all.push(answered(&world, model));
        // Some find the change of their group under way, some find it waiting.
        time::sleep(Duration::from_millis(100)).await;
    }
    for one in all {
        assert_eq!(one.await.unwrap(), Ok(5));
    }
    // One load a group, and no model came twice.
    let loads = |model| world.requests(model, false);
    let answers = |model| if model == "c" { 2 } else { 3 };
    for model in ["a", "b", "c"] {
        assert_eq!(loads(model) - answers(model), 1, "{model}");
    }
    assert_eq!(world.double.most_answering(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_changes_wait() {
    let limits = SlotLimits {
        queue: 1,
        ..SlotLimits::default()
    };
    let world = World::with(settings(), limits).await;
    let first = world.activate(plain("a"));
    time::sleep(Duration::from_millis(10)).await;
    let second = world.activate(plain("b"));
    let joined = world.activate(plain("b"));
    time::sleep(Duration::from_millis(10)).await;
    assert_eq!(world.slot.view().waiting, 1);
    let third = world.activate(plain("c")).await.unwrap();
    assert_eq!(third, Err(SlotError::QueueFull { limit: 1 }));
    for one in [first, second, joined] {
        assert!(one.await.unwrap().is_ok());
    }
    world.check(SlotState::Ready, Some("p-b"), &["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_nobody_waits_for_any_more_is_forgotten() {
    let limits = SlotLimits {
        queue: 1,
        ..SlotLimits::default()
    };
    let world = World::with(settings(), limits).await;
    let first = world.activate(plain("a"));
    let second = world.activate(plain("b"));
    time::sleep(Duration::from_millis(10)).await;
    second.abort();
    let _ = second.await;
    // Its place in the queue is free again.
    let third = world.activate(plain("c"));
    first.await.unwrap().unwrap();
    third.await.unwrap().unwrap();
    world.check(SlotState::Ready, Some("p-c"), &["c"]);
    assert_eq!(world.requests("b", false), 0);
}

/// A change from `a` to `b` that is given up after a time leaves the slot where it was.
async fn check_cancelled_after(wait: Duration, state: SlotState) {
    let world = World::new().await;
    world.double.set(|settings| settings.words = 40);
    world.active(with_embedder("a")).await;
    let answer = world.spawn(ask(
        world.slot.clone(),
        world.server.clone(),
        profile("p-a"),
    ));
    time::sleep(Duration::from_millis(100)).await;
    let change = world.activate(with_embedder("b"));
    time::sleep(wait).await;
    assert_eq!(world.slot.view().state, state, "after {wait:?}");
    change.abort();
    let _ = change.await;
    let _ = answer.await.unwrap();
    time::sleep(Duration::from_secs(8)).await;
    world.check(SlotState::Ready, Some("p-a"), &["a", "e"]);
    assert_eq!(world.requests("e", true), 0);
    assert_eq!(world.double.most_answering(), 1, "after {wait:?}");
    let words = ask(world.slot.clone(), world.server.clone(), profile("p-a")).await;
    assert_eq!(words, Ok(40));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_taken_back_when_all_who_waited_have_gone() {
    check_cancelled_after(Duration::from_millis(500), SlotState::Draining).await;
    check_cancelled_after(Duration::from_millis(2_100), SlotState::Unloading).await;
    check_cancelled_after(Duration::from_millis(3_400), SlotState::Loading).await;
}

#[tokio::test(start_paused = true)]
async fn one_who_leaves_takes_nothing_from_the_others() {
    let world = World::new().await;
    let stays = world.activate(plain("a"));
    let leaves = world.activate(plain("a"));
    time::sleep(Duration::from_millis(300)).await;
    leaves.abort();
    stays.await.unwrap().unwrap();
    world.check(SlotState::Ready, Some("p-a"), &["a"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_bound() {
    let world = World::new().await;
    world.double.set(|settings| {
        settings.words = usize::MAX;
        settings.give_back = Duration::from_secs(60);
    });
    let limits = SlotLimits::default();
    let server = *world.server.limits();
    let began = Instant::now();
    // Everybody keeps asking without end, so each turn costs a whole drain.
    let all: Vec<_> = ["a", "b", "c", "a", "b", "c"]
        .map(|model| answered(&world, model))
        .into();
    time::sleep(Duration::from_millis(100)).await;
    let slot = world.slot.clone();
    let last = world.spawn(async move { slot.deactivate(profile("p-c")).await });
    for one in all {
        assert_eq!(one.await.unwrap(), Err(SlotError::Changing));
    }
    last.await.unwrap().unwrap();
    assert!(began.elapsed() < limits.longest_wait(server.load, server.short));
}
