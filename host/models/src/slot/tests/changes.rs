//! What a change of hands does, and what it leaves alone.

use std::time::Duration;

use tokio::time::{self, Instant};

use super::world::{LARGE, SMALL, World, ask, plain, profile, with_context, with_embedder};
use crate::{
    ServerError, SlotError, SlotState,
    slot::{ModelUse, SwapReport},
    testing::name,
};

#[tokio::test(start_paused = true)]
async fn an_empty_slot_is_given_and_taken() {
    let world = World::new().await;
    world.check(SlotState::Empty, None, &[]);
    let report = world.active(with_embedder("a")).await;
    world.check(SlotState::Ready, Some("p-a"), &["a", "e"]);
    assert_eq!(
        (report.model_before, report.model_after),
        (None, Some(name("a")))
    );
    assert_eq!(report.loaded, [name("a"), name("e")]);
    assert_eq!(report.loaded_bytes, LARGE + SMALL);
    assert_eq!(report.wholly_on_gpu, Some(true));
    let report = world.slot.deactivate(profile("p-a")).await.unwrap();
    world.check(SlotState::Empty, None, &[]);
    assert_eq!(report.unloaded, [name("a"), name("e")]);
    assert_eq!(report.freed_bytes, LARGE + SMALL);
    assert_eq!(report.gpu_freed_bytes, Some(LARGE + SMALL));
    assert_eq!(
        (report.memory_returned, report.model_after),
        (Some(true), None)
    );
}

#[tokio::test(start_paused = true)]
async fn another_model_takes_the_place_of_the_former_and_the_shared_embedder_stays() {
    let world = World::new().await;
    world.active(with_embedder("a")).await;
    let report = world.active(with_embedder("b")).await;
    world.check(SlotState::Ready, Some("p-b"), &["b", "e"]);
    assert_eq!(world.requests("e", true), 0);
    assert_eq!(report.unloaded, [name("a")]);
    assert_eq!(
        (&report.model_before, &report.model_after),
        (&Some(name("a")), &Some(name("b")))
    );
    assert_eq!(report.gpu_used_before_bytes, Some(LARGE + SMALL));
    assert_eq!(report.gpu_used_after_bytes, Some(LARGE + SMALL));
    assert!(
        report.unload_ms >= 900 && report.load_ms >= 800,
        "{report:?}"
    );
    assert!(
        report.total_ms >= report.unload_ms + report.load_ms,
        "{report:?}"
    );
    assert_eq!(world.double.most_answering(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_embedder_that_only_the_former_needs_goes_unless_it_is_protected() {
    let world = World::new().await;
    world.active(with_embedder("a")).await;
    world.active(plain("b")).await;
    world.check(SlotState::Ready, Some("p-b"), &["b"]);
    let protection = world.slot.protect(name("e"));
    world.active(with_embedder("a")).await;
    world.active(plain("b")).await;
    world.check(SlotState::Ready, Some("p-b"), &["b", "e"]);
    drop(protection);
    // Nobody needs it any more: the next look sees to it.
    world.settled().await;
    world.settled().await;
    world.check(SlotState::Ready, Some("p-b"), &["b"]);
}

#[tokio::test(start_paused = true)]
async fn the_same_model_is_neither_drained_nor_unloaded() {
    let world = World::new().await;
    world.active(with_embedder("a")).await;
    let lease = world.slot.lease(profile("p-a")).await.unwrap();
    let mut other = with_embedder("a");
    other.profile = profile("another");
    let began = Instant::now();
    let report = world.active(other.clone()).await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!((report.unloaded.len(), report.drained), (0, 0));
    world.check(SlotState::Ready, Some("another"), &["a", "e"]);
    // The answer of the former profile is still counted.
    assert_eq!(world.slot.view().answers, 1);
    let refused = world.slot.lease(profile("p-a")).await.unwrap_err();
    assert_eq!(
        refused,
        SlotError::NotActive {
            profile: profile("p-a")
        }
    );
    let change = world.activate(plain("b"));
    time::sleep(Duration::from_secs(10)).await;
    world.check(SlotState::Draining, Some("another"), &["a", "e"]);
    drop(lease);
    change.await.unwrap().unwrap();
    world.check(SlotState::Ready, Some("p-b"), &["b"]);
}

#[tokio::test(start_paused = true)]
async fn other_options_load_the_same_model_anew_when_its_answers_have_ended() {
    let world = World::new().await;
    world.active(with_context(plain("a"), 2_048)).await;
    let lease = world.slot.lease(profile("p-a")).await.unwrap();
    let change = world.activate(with_context(plain("a"), 4_096));
    time::sleep(Duration::from_secs(10)).await;
    world.check(SlotState::Draining, Some("p-a"), &["a"]);
    drop(lease);
    let report = change.await.unwrap().unwrap();
    assert_eq!(report.drained, 1);
    let last = world
        .double
        .calls()
        .into_iter()
        .rfind(|call| call.model == "a:latest");
    assert_eq!(last.unwrap().options["num_ctx"], 4_096);
    assert_eq!(world.double.most_answering(), 1);
}

#[tokio::test(start_paused = true)]
async fn answers_under_way_end_before_their_model_goes() {
    let world = World::new().await;
    world.double.set(|settings| settings.words = 100);
    world.active(plain("a")).await;
    let answer = world.spawn(ask(
        world.slot.clone(),
        world.server.clone(),
        profile("p-a"),
    ));
    time::sleep(Duration::from_secs(1)).await;
    let report = world.active(plain("b")).await;
    assert_eq!((report.drained, report.stopped), (1, 0));
    assert!(report.drain_ms >= 4_000, "{report:?}");
    assert_eq!(answer.await.unwrap(), Ok(100));
}

#[tokio::test(start_paused = true)]
async fn answers_without_end_are_told_to_stop() {
    let world = World::new().await;
    world.double.set(|settings| settings.words = usize::MAX);
    world.active(plain("a")).await;
    let answer = world.spawn(ask(
        world.slot.clone(),
        world.server.clone(),
        profile("p-a"),
    ));
    time::sleep(Duration::from_secs(1)).await;
    let refused = world.spawn({
        let slot = world.slot.clone();
        async move {
            time::sleep(Duration::from_secs(2)).await;
            slot.lease(profile("p-a")).await
        }
    });
    let report = world.active(plain("b")).await;
    assert_eq!((report.drained, report.stopped), (1, 1));
    assert_eq!(answer.await.unwrap(), Err(SlotError::Changing));
    assert_eq!(refused.await.unwrap().unwrap_err(), SlotError::Changing);
    world.check(SlotState::Ready, Some("p-b"), &["b"]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_hold_the_slot_gives_nothing_back() {
    let world = World::new().await;
    let nothing = world.slot.deactivate(profile("p-a")).await;
    assert_eq!(nothing, Ok(SwapReport::default()));
    world.active(plain("a")).await;
    let refused = world.slot.deactivate(profile("p-b")).await;
    assert_eq!(
        refused,
        Err(SlotError::HeldByOther {
            holder: profile("p-a")
        })
    );
    world.check(SlotState::Ready, Some("p-a"), &["a"]);
}

#[tokio::test(start_paused = true)]
async fn models_come_and_go_by_name() {
    let world = World::new().await;
    let slot = &world.slot;
    slot.preload(name("a")).await.unwrap();
    world.settled().await;
    world.check(SlotState::Empty, None, &["a"]);
    // One model that answers at a time, by name too.
    slot.preload(name("b")).await.unwrap();
    world.check(SlotState::Empty, None, &["b"]);
    world.active(with_embedder("b")).await;
    assert_eq!(world.requests("b", true), 0);
    let refused = slot.preload(name("a")).await;
    assert_eq!(
        refused,
        Err(SlotError::Occupied {
            holds: name("b"),
            model: name("a")
        })
    );
    slot.preload(name("f")).await.unwrap();
    world.settled().await;
    world.check(SlotState::Ready, Some("p-b"), &["b", "e", "f"]);
    let needed = slot.unload(name("e")).await;
    assert!(matches!(needed, Err(SlotError::InUse { .. })), "{needed:?}");
    slot.unload(name("f")).await.unwrap();
    world.check(SlotState::Ready, Some("p-b"), &["b", "e"]);
    slot.unload(name("b")).await.unwrap();
    world.check(SlotState::Empty, None, &[]);
    let nothing = slot.unload(name("b")).await.unwrap();
    assert_eq!((nothing.unloaded.len(), nothing.freed_bytes), (0, 0));
    let missing = ServerError::MissingModel {
        model: name("none"),
    };
    let missing = Err(SlotError::Server(missing));
    assert_eq!(slot.preload(name("none")).await, missing);
    assert_eq!(slot.unload(name("none")).await, missing);
    assert_eq!(world.double.most_answering(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_others_load_is_shown_and_left_alone() {
    let world = World::new().await;
    world.double.load_foreign("c");
    world.double.load_foreign("e");
    world.active(with_embedder("a")).await;
    world.settled().await;
    world.check(SlotState::Ready, Some("p-a"), &["a", "c", "e"]);
    let vram = world.slot.vram().await;
    let used: Vec<_> = vram
        .models
        .iter()
        .map(|one| (one.model.name.as_str(), one.used_as))
        .collect();
    let expected = [
        ("c:latest", ModelUse::Other),
        ("e:latest", ModelUse::Embedder),
        ("a:latest", ModelUse::Slot),
    ];
    assert_eq!(used, expected);
    assert_eq!(vram.models_bytes, 2 * LARGE + SMALL);
    assert_eq!(vram.gpus[0].used_bytes, Some(2 * LARGE + SMALL));
    assert!(!vram.history.is_empty());
    // Neither was loaded by the slot, so neither is unloaded by it.
    world.slot.deactivate(profile("p-a")).await.unwrap();
    world.settled().await;
    world.check(SlotState::Empty, None, &["c", "e"]);
}

#[tokio::test(start_paused = true)]
async fn what_keep_alive_took_is_not_held_any_more() {
    let world = World::new().await;
    world.active(with_embedder("a")).await;
    time::sleep(Duration::from_secs(290)).await;
    world.check(SlotState::Ready, Some("p-a"), &["a", "e"]);
    // Activating again keeps it for as long again.
    world.active(with_embedder("a")).await;
    time::sleep(Duration::from_secs(290)).await;
    world.check(SlotState::Ready, Some("p-a"), &["a", "e"]);
    time::sleep(Duration::from_secs(20)).await;
    world.check(SlotState::Empty, None, &[]);
    let view = world.slot.view();
    assert!(
        view.last_error
            .is_some_and(|error| error.contains("a:latest"))
    );
}
