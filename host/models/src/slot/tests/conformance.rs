//! One course over a double and over a real server: what must hold of any model server that the slot is put before.
//!
//! The real one is that of `OLLAMA_HOST`; it needs two models that answer, one that embeds, and nobody else who uses it
//! meanwhile. The smallest are taken. Where there is none, that is said on standard error.

use std::{collections::BTreeSet, io::Write as _, sync::Arc, time::Duration};

use boathouse_types::ManualClock;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::world::{ask_with, profile, settings};
use crate::{
    GpuReader, KnownModel, MemoryRecords, ModelName, ModelServer, NvmlGpus, Occupant,
    OllamaEmbedder, RecordStore, RunOptions, ServerAddress, ServerLimits, Slot, SlotLimits,
    SlotParts, SlotState,
    testing::{name, over},
};

/// Steps of the course.
const STEPS: usize = 30;

/// Numbers that look drawn, from a seed: Knuth's linear congruential generator (MMIX).
struct Turns(u64);

impl Turns {
    /// A number below a bound.
    fn below(&mut self, bound: u64) -> u64 {
        let (factor, more) = (6_364_136_223_846_793_005, 1_442_695_040_888_963_407);
        self.0 = self.0.wrapping_mul(factor).wrapping_add(more);
        (self.0 >> 33) % bound
    }
}

/// Two models that answer and one that embeds.
struct Models {
    first: ModelName,
    second: ModelName,
    embedder: ModelName,
}

/// A host with a slot, and what survives it.
struct Host {
    server: ModelServer,
    records: Arc<dyn RecordStore>,
    tasks: TaskTracker,
    slot: Slot,
    stop: CancellationToken,
}

impl Host {
    fn start(server: ModelServer, records: Arc<dyn RecordStore>) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let gpus: Arc<dyn GpuReader> = Arc::new(NvmlGpus::open());
        let (slot, actor) = Slot::new(SlotParts {
            server: server.clone(),
            gpus,
            records: Arc::clone(&records),
            clock: Arc::new(ManualClock::at(0)),
            limits: SlotLimits {
                reconcile: Duration::from_millis(500),
                ..SlotLimits::default()
            },
        });
        tasks.spawn(actor.run(stop.clone()));
        Self {
            server,
            records,
            tasks,
            slot,
            stop,
        }
    }

    async fn restart(self) -> Self {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        Self::start(self.server, self.records)
    }

    /// Waits until the slot is at rest and has looked.
    async fn rested(&self) {
        let mut view = self.slot.subscribe();
        let rests = |view: &crate::SlotView| {
            let at_rest = matches!(view.state, SlotState::Ready | SlotState::Empty);
            at_rest && view.seen_at.is_some() && view.next.is_none() && view.waiting == 0
        };
        let rested = tokio::time::timeout(Duration::from_secs(120), view.wait_for(rests)).await;
        rested.expect("at rest in time").expect("an actor");
    }
}

/// That the server has what the slot says, and never both models.
async fn check(host: &Host, models: &Models, allowed: &BTreeSet<String>) {
    host.rested().await;
    let resident = host.server.resident().await.expect("a list");
    let there = |model: &ModelName| resident.iter().any(|one| one.is(model));
    assert!(
        !(there(&models.first) && there(&models.second)),
        "both are in memory: {resident:?}"
    );
    let view = host.slot.view();
    match &view.holder {
        Some(holder) => assert!(there(&holder.model), "{view:?}"),
        None => assert!(!there(&models.first) && !there(&models.second), "{view:?}"),
    }
    let known = |name: &str| {
        let ours = [&models.first, &models.second, &models.embedder];
        ours.iter().any(|model| model.as_str() == name) || allowed.contains(name)
    };
    assert!(resident.iter().all(|one| known(&one.name)), "{resident:?}");
}

async fn course(server: ModelServer, models: Models, seed: u64) {
    let before = server.resident().await.expect("a list");
    let allowed: BTreeSet<String> = before.into_iter().map(|one| one.name).collect();
    let profiles = [&models.first, &models.second].map(|model| Occupant {
        profile: profile(if *model == models.first {
            "first"
        } else {
            "second"
        }),
        model: model.clone(),
        embedder: Some(models.embedder.clone()),
        options: RunOptions::default(),
    });
    let mut host = Host::start(server, Arc::new(MemoryRecords::default()));
    check(&host, &models, &allowed).await;
    let mut turns = Turns(seed);
    for _ in 0..STEPS {
        let who = profiles[usize::from(turns.below(2) == 1)].clone();
        match turns.below(6) {
            0 | 1 => {
                let active = host.slot.activate(who.clone()).await.expect("activated");
                assert_eq!(active.report.model_after, Some(who.model));
            }
            2 => {
                // Somebody who leaves soon.
                let wait = Duration::from_millis(turns.below(2_000));
                let _ = tokio::time::timeout(wait, host.slot.activate(who)).await;
            }
            3 => {
                let active = host.slot.activate(who).await.expect("activated");
                let words = ask_with(active.lease, host.server.clone()).await;
                assert!(words.expect("an answer") > 0);
            }
            4 => {
                let embedder = OllamaEmbedder::open(host.server.clone(), models.embedder.clone());
                let embedder = embedder.await.expect("an embedder");
                let vectors = embedder
                    .vectors(&["a web server", ""])
                    .await
                    .expect("vectors");
                assert!(vectors[0].is_ok() && vectors[1].is_err());
            }
            _ if turns.below(2) == 0 => host = host.restart().await,
            _ => {
                // It may be the other one's.
                let _ = host.slot.deactivate(who.profile).await;
            }
        }
        check(&host, &models, &allowed).await;
    }
    for who in profiles {
        let _ = host.slot.deactivate(who.profile).await;
    }
    check(&host, &models, &allowed).await;
}

#[tokio::test(start_paused = true)]
async fn the_course_over_a_double() {
    for seed in 1..=8 {
        let double = boathouse_model_server::Double::new(settings());
        let models = Models {
            first: name("a"),
            second: name("b"),
            embedder: name("e"),
        };
        course(over(&double), models, seed).await;
        assert_eq!(double.most_answering(), 1, "seed {seed}");
    }
}

/// The smallest models of a server that will do.
async fn models_of(server: &ModelServer) -> Option<Models> {
    let mut known = server.models().await.expect("the models of OLLAMA_HOST");
    known.sort_by_key(|model| model.size_bytes);
    let named = |model: &KnownModel| ModelName::new(&model.name).ok();
    let embeds = |model: &&KnownModel| model.embeds() == Some(true);
    let embedder = known.iter().find(embeds).and_then(named)?;
    let mut answers = known
        .iter()
        .filter(|model| model.answers() == Some(true))
        .filter_map(named);
    Some(Models {
        first: answers.next()?,
        second: answers.next()?,
        embedder,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_course_over_a_real_server() {
    let skip = |why: &str| {
        // Not `eprintln!`, which the test harness swallows when the test passes.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED the slot over a real model server: {why}"
        );
    };
    let Some(address) = std::env::var_os("OLLAMA_HOST") else {
        return skip("OLLAMA_HOST is not set");
    };
    let address = address.into_string().expect("an address");
    let address = ServerAddress::parse(&address).expect("an address");
    let server = ModelServer::at(address, ServerLimits::default()).expect("a client");
    let Some(models) = models_of(&server).await else {
        return skip("it has not two models that answer and one that embeds");
    };
    course(server, models, 1).await;
}
