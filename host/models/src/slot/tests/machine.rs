//! Random histories: requests, people who leave, deaths of the host and of the server, faults, others' models; at any
//! moments, many at once. Whatever happens:
//!
//! - never two models that answer are in memory by the slot's doing;
//! - a protected embedder is never unloaded;
//! - nobody waits longer than the stated bound, and everybody gets an answer;
//! - when the storm is over, the slot says what is in memory, and nothing of ours is left that it does not say.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use boathouse_model_server::{Fault, Holding, Route, Settings};
use proptest::prelude::*;
use tokio::{task::JoinHandle, time};

use super::world::{World, ask, plain, settings, with_context, with_embedder};
use crate::{MemoryRecords, Occupant, SlotLimits, SlotState, testing::name};

/// What happens at a moment of a history.
#[derive(Debug, Clone)]
enum Event {
    Activate(usize),
    /// Activates and leaves after so many milliseconds, done or not.
    Leave(usize, u64),
    Deactivate(usize),
    /// Asks, and reads the answer for at most so many milliseconds.
    Ask(usize, u64),
    Preload(&'static str),
    Unload(&'static str),
    Foreign(&'static str),
    HostDies,
    ServerRestarts,
    ServerAway(u64),
    Fails(Route, Fault),
    /// The loads of a model fail from now on.
    Breaks(&'static str),
}

/// The profiles of a history; two share a model, most share an embedder.
fn profiles() -> [Occupant; 5] {
    let mut twin = with_embedder("a");
    twin.profile = super::world::profile("twin");
    let mut wide = with_context(with_embedder("b"), 4_096);
    wide.profile = super::world::profile("wide");
    [
        with_embedder("a"),
        twin,
        with_embedder("b"),
        wide,
        plain("c"),
    ]
}

fn model() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "e", "f"])
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Status(503, "busy".to_owned())),
        Just(Fault::Status(500, "failed".to_owned())),
        Just(Fault::Garbage),
        (0..3_usize).prop_map(Fault::CutAfter),
        (0..3_usize).prop_map(Fault::ErrorAfter),
        (100..15_000_u64).prop_map(|ms| Fault::Hangs(Duration::from_millis(ms))),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let profile = || 0..profiles().len();
    let route = prop::sample::select(vec![
        Route::Generate,
        Route::Embed,
        Route::Resident,
        Route::Models,
    ]);
    prop_oneof![
        6 => profile().prop_map(Event::Activate),
        3 => (profile(), 0..6_000_u64).prop_map(|(who, ms)| Event::Leave(who, ms)),
        2 => profile().prop_map(Event::Deactivate),
        6 => (profile(), 0..60_000_u64).prop_map(|(who, ms)| Event::Ask(who, ms)),
        1 => model().prop_map(Event::Preload),
        1 => model().prop_map(Event::Unload),
        1 => model().prop_map(Event::Foreign),
        1 => Just(Event::HostDies),
        1 => Just(Event::ServerRestarts),
        1 => (0..40_000_u64).prop_map(Event::ServerAway),
        3 => (route, fault()).prop_map(|(route, fault)| Event::Fails(route, fault)),
        1 => model().prop_map(Event::Breaks),
    ]
}

/// What a server is like in a history.
fn server() -> impl Strategy<Value = Settings> {
    (
        0..5_000_u64,
        0..2_000_u64,
        0..15_000_u64,
        any::<bool>(),
        1..400_usize,
    )
        .prop_map(|(load, unload, give_back, list_hangs, words)| Settings {
            load: Duration::from_millis(load),
            unload: Duration::from_millis(unload),
            give_back: Duration::from_millis(give_back),
            list_hangs,
            words,
            ..settings()
        })
}

/// What belongs to a host's life: the requests that it serves.
struct Life {
    world: World,
    requests: Vec<JoinHandle<()>>,
}

impl Life {
    fn request(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let request = self.world.spawn(work);
        self.requests.push(request);
    }

    async fn meet(&mut self, event: Event) {
        let (slot, server) = (self.world.slot.clone(), self.world.server.clone());
        let double = self.world.double.clone();
        match event {
            Event::Activate(who) => self.request(async move {
                let _ = slot.activate(profiles()[who].clone()).await;
            }),
            Event::Leave(who, ms) => self.request(async move {
                let activation = slot.activate(profiles()[who].clone());
                let _ = time::timeout(Duration::from_millis(ms), activation).await;
            }),
            Event::Deactivate(who) => self.request(async move {
                let _ = slot.deactivate(profiles()[who].profile.clone()).await;
            }),
            Event::Ask(who, ms) => self.request(async move {
                let answer = ask(slot, server, profiles()[who].profile.clone());
                let _ = time::timeout(Duration::from_millis(ms), answer).await;
            }),
            Event::Preload(model) => self.request(async move {
                let _ = slot.preload(name(model)).await;
            }),
            Event::Unload(model) => self.request(async move {
                let _ = slot.unload(name(model)).await;
            }),
            Event::Foreign(model) => double.load_foreign(model),
            Event::HostDies => {
                self.requests.drain(..).for_each(|request| request.abort());
                self.world.restart_host().await;
            }
            Event::ServerRestarts => double.restart(),
            Event::ServerAway(ms) => {
                double.go_away();
                self.world.spawn(async move {
                    time::sleep(Duration::from_millis(ms)).await;
                    double.come_back();
                });
            }
            Event::Fails(route, fault) => double.fail_next(route, fault),
            Event::Breaks(model) => {
                double.set(|settings| settings.broken.push(format!("{model}:latest")));
            }
        }
    }

    /// Ends the storm, and waits until everybody has an answer.
    async fn calm(&mut self) {
        let server = *self.world.server.limits();
        let bound = SlotLimits::default().longest_wait(server.load, server.short);
        for request in self.requests.drain(..) {
            let ended = time::timeout(bound, request).await;
            assert!(ended.is_ok(), "somebody waits longer than {bound:?}");
        }
        self.world.double.come_back();
        self.world.double.forget_faults();
        self.world.double.set(|settings| settings.broken.clear());
        // At least one look after all of it.
        self.world.settled().await;
    }
}

/// Where the slot does not say what is in memory.
fn lie(world: &World) -> Option<String> {
    let view = world.slot.view();
    let holds = world.double.holds();
    let ours = holds.iter().filter(|one| one.answers && !one.foreign);
    let ours: BTreeSet<&str> = ours.map(|one: &Holding| one.model.as_str()).collect();
    let held: BTreeSet<&str> = holds.iter().map(|one| one.model.as_str()).collect();
    let shown: BTreeSet<&str> = view.resident.iter().map(|one| one.name.as_str()).collect();
    let holder = view.holder.as_ref().map(|holder| holder.model.as_str());
    let is_true = match (view.state, holder) {
        (SlotState::Ready, Some(model)) => {
            held.contains(model) && ours.iter().all(|one| *one == model)
        }
        // What was preloaded by name may be there; never two of them.
        (SlotState::Empty, None) => ours.len() <= 1,
        _ => false,
    };
    let at_rest = (view.answers, view.waiting, &view.next) == (0, 0, &None);
    (!is_true || !at_rest || shown != held).then(|| format!("{view:?} and {holds:?}"))
}

/// Waits until the slot tells the truth: at a keep-alive's end a look later, after a storm some unloads later.
async fn check_truth(world: &World, patience: Duration) {
    let told = async {
        while lie(world).is_some() {
            time::sleep(Duration::from_secs(1)).await;
        }
    };
    if time::timeout(patience, told).await.is_err() {
        panic!("after {patience:?}: {:?}", lie(world));
    }
}

async fn live(settings: Settings, protects: bool, history: Vec<(u64, Event)>) {
    let records = Arc::new(MemoryRecords::default());
    let world = World::unseen(settings, SlotLimits::default(), records);
    let mut life = Life {
        world,
        requests: Vec::new(),
    };
    // A host that has just started protects what its indexes need before anything else, and for good.
    let protect = |life: &Life| {
        if protects {
            std::mem::forget(life.world.slot.protect(name("e")));
        }
    };
    protect(&life);
    for (pause, event) in history {
        life.meet(event).await;
        protect(&life);
        time::sleep(Duration::from_millis(pause)).await;
    }
    life.calm().await;
    check_truth(&life.world, Duration::from_secs(240)).await;
    assert!(
        life.world.double.most_answering() <= 1,
        "two models that answer"
    );
    if protects {
        let unloads = life.world.requests("e", true);
        assert_eq!(unloads, 0, "the protected embedder was unloaded");
    }
    // And the slot still works.
    life.world.active(with_embedder("a")).await;
    check_truth(&life.world, Duration::from_secs(60)).await;
    assert!(
        life.world.double.most_answering() <= 1,
        "two models that answer"
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_slot_tells_the_truth(
        settings in server(),
        protects in any::<bool>(),
        history in prop::collection::vec((0..8_000_u64, event()), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(live(settings, protects, history));
    }
}
