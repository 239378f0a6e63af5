//! That memory is really back before anything is loaded into it, and what is said when it is not.

use std::time::Duration;

use tokio::time;

use super::world::{LARGE, World, plain, settings};
use crate::{SlotError, SlotLimits, SlotState, testing::name};

#[tokio::test(start_paused = true)]
async fn nothing_is_loaded_before_the_memory_is_back() {
    let world = World::new().await;
    world
        .double
        .set(|settings| settings.give_back = Duration::from_secs(4));
    world.active(plain("a")).await;
    let change = world.activate(plain("b"));
    // Not listed any more, and its memory still taken.
    time::sleep(Duration::from_secs(2)).await;
    world.check(SlotState::Unloading, Some("p-a"), &[]);
    assert_eq!(world.double.used_bytes(), LARGE);
    let report = change.await.unwrap().unwrap();
    assert_eq!(report.memory_returned, Some(true));
    assert!(report.unload_ms >= 4_000, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_change_waits_for_is_noticed_within_a_tenth_of_a_second() {
    for millis in [1, 20, 90, 333, 1_000, 2_500] {
        let world = World::new().await;
        world.active(plain("a")).await;
        let (takes, load) = (Duration::from_millis(millis), Duration::from_millis(800));
        world.double.set(|settings| {
            (settings.unload, settings.give_back, settings.load) = (takes, takes, load);
        });
        let began = time::Instant::now();
        world.active(plain("b")).await;
        let own = began.elapsed().saturating_sub(2 * takes + load);
        assert!(own <= Duration::from_millis(100), "{millis} ms: {own:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn memory_that_does_not_come_back_is_told() {
    let world = World::new().await;
    world
        .double
        .set(|settings| settings.give_back = Duration::from_secs(600));
    world.active(plain("a")).await;
    let report = world.active(plain("b")).await;
    assert_eq!(report.memory_returned, Some(false));
    assert_eq!(
        (report.freed_bytes, report.gpu_freed_bytes),
        (LARGE, Some(0))
    );
    world.check(SlotState::Ready, Some("p-b"), &["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_somebody_else_uses_does_not_leave_and_nothing_is_loaded_beside_it() {
    let world = World::new().await;
    world.active(plain("a")).await;
    // An answer that the slot knows nothing of.
    world.double.set(|settings| settings.words = usize::MAX);
    let body = serde_json::json!({"model": "a", "prompt": "x"}).to_string();
    let (_, words) = world
        .double
        .call("api/generate", Some(body.into()))
        .await
        .unwrap();
    let failed = world.activate(plain("b")).await.unwrap();
    let limit = SlotLimits::default().unload;
    assert_eq!(
        failed,
        Err(SlotError::NotUnloaded {
            model: name("a"),
            limit
        })
    );
    // The former holder has it again, for as long again.
    world.check(SlotState::Ready, Some("p-a"), &["a"]);
    drop(words);
    time::sleep(Duration::from_secs(100)).await;
    world.check(SlotState::Ready, Some("p-a"), &["a"]);
    world.active(plain("b")).await;
    assert_eq!(world.double.most_answering(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_partly_on_the_processor_is_told() {
    let mut settings = settings();
    settings.models[0].gpu_bytes = LARGE / 2;
    let world = World::with(settings, SlotLimits::default()).await;
    let report = world.active(plain("a")).await;
    assert_eq!(report.wholly_on_gpu, Some(false));
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_samples_is_kept() {
    let world = World::new().await;
    world.active(plain("a")).await;
    for _ in 0..12 {
        world.clock.advance(5_000);
        time::sleep(Duration::from_secs(5)).await;
    }
    let samples = world.slot.vram().await.history;
    assert!(samples.len() >= 12, "{}", samples.len());
    assert_eq!(samples.last().unwrap().gpus[0].used_bytes, Some(LARGE));
}
