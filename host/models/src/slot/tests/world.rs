//! A slot over a double, with all that a host would give it, under a clock that only the test moves.

use std::{sync::Arc, time::Duration};

use boathouse_model_server::{Call, Double, Kind, Model, Settings};
use boathouse_types::{Clock, ManualClock};
use futures::StreamExt as _;
use serde_json::json;
use tokio::{task::JoinHandle, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Gpu, GpuReader, Lease, MemoryRecords, ModelServer, Occupant, Piece, ProfileId, Prompt,
    RecordStore, RunOptions, ServerError, Slot, SlotError, SlotLimits, SlotParts, SlotState,
    testing::{name, over},
};

/// Bytes of a model that answers.
pub(super) const LARGE: u64 = 8_000_000_000;
/// Bytes of an embedder.
pub(super) const SMALL: u64 = 500_000_000;

/// Models `a`, `b`, `c` answer, `e` and `f` embed.
pub(super) fn settings() -> Settings {
    let answers =
        ["a", "b", "c"].map(|name| Model::new(&format!("{name}:latest"), Kind::Answers, LARGE));
    let embeds =
        ["e", "f"].map(|name| Model::new(&format!("{name}:latest"), Kind::Embeds(8), SMALL));
    Settings {
        models: answers.into_iter().chain(embeds).collect(),
        ..Settings::default()
    }
}

/// The only GPU, which is the double's.
#[derive(Debug)]
struct DoublesGpu(Double);

impl GpuReader for DoublesGpu {
    fn read(&self) -> Vec<Gpu> {
        vec![Gpu {
            total_bytes: Some(24_000_000_000),
            used_bytes: Some(self.0.used_bytes()),
            ..Gpu::default()
        }]
    }
}

/// The slot of a host that may die.
pub(super) struct World {
    pub(super) double: Double,
    pub(super) server: ModelServer,
    pub(super) slot: Slot,
    pub(super) records: Arc<dyn RecordStore>,
    /// What records and samples are dated by; stands still unless a test moves it.
    pub(super) clock: Arc<ManualClock>,
    limits: SlotLimits,
    actor: JoinHandle<()>,
    tasks: TaskTracker,
}

impl World {
    /// A slot that has looked once.
    pub(super) async fn new() -> Self {
        Self::with(settings(), SlotLimits::default()).await
    }

    pub(super) async fn with(settings: Settings, limits: SlotLimits) -> Self {
        let world = Self::unseen(settings, limits, Arc::new(MemoryRecords::default()));
        world.settled().await;
        world
    }

    /// A slot that has not looked yet.
    pub(super) fn unseen(
        settings: Settings,
        limits: SlotLimits,
        records: Arc<dyn RecordStore>,
    ) -> Self {
        let double = Double::new(settings);
        let server = over(&double);
        let tasks = TaskTracker::new();
        let clock = Arc::new(ManualClock::at(0));
        let (slot, actor) = start(&double, &server, &records, &clock, limits, &tasks);
        Self {
            double,
            server,
            slot,
            records,
            clock,
            limits,
            actor,
            tasks,
        }
    }

    /// The host dies and starts again; what is in the server's memory stays.
    pub(super) async fn restart_host(&mut self) {
        self.actor.abort();
        while !self.actor.is_finished() {
            tokio::task::yield_now().await;
        }
        let (slot, actor) = start(
            &self.double,
            &self.server,
            &self.records,
            &self.clock,
            self.limits,
            &self.tasks,
        );
        (self.slot, self.actor) = (slot, actor);
    }

    /// Waits until the slot has looked since now.
    pub(super) async fn settled(&self) {
        time::sleep(self.limits.reconcile + Duration::from_secs(1)).await;
    }

    /// Runs something beside the test.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.tasks.spawn(work)
    }

    /// Activates a profile beside the test, which holds no lease afterwards.
    pub(super) fn activate(
        &self,
        occupant: Occupant,
    ) -> JoinHandle<Result<crate::SwapReport, SlotError>> {
        let slot = self.slot.clone();
        self.spawn(async move { slot.activate(occupant).await.map(|done| done.report) })
    }

    /// Activates a profile.
    pub(super) async fn active(&self, occupant: Occupant) -> crate::SwapReport {
        let done = self.slot.activate(occupant).await;
        done.expect("activated").report
    }

    /// What is in memory: names without tags, in order.
    pub(super) fn held(&self) -> Vec<String> {
        let mut held: Vec<String> = self
            .double
            .holds()
            .iter()
            .map(|one| one.model.trim_end_matches(":latest").to_owned())
            .collect();
        held.sort();
        held
    }

    /// Requests about a model so far, those that unload it or those that do not.
    pub(super) fn requests(&self, model: &str, unloads: bool) -> usize {
        let wanted =
            |call: &Call| call.model == format!("{model}:latest") && call.unloads == unloads;
        self.double.calls().into_iter().filter(wanted).count()
    }

    #[track_caller]
    pub(super) fn check(&self, state: SlotState, holder: Option<&str>, held: &[&str]) {
        let view = self.slot.view();
        let shown = view.holder.as_ref().map(|holder| holder.profile.as_str());
        assert_eq!((view.state, shown), (state, holder), "{view:?}");
        assert_eq!(self.held(), held, "{view:?}");
    }
}

fn start(
    double: &Double,
    server: &ModelServer,
    records: &Arc<dyn RecordStore>,
    clock: &Arc<ManualClock>,
    limits: SlotLimits,
    tasks: &TaskTracker,
) -> (Slot, JoinHandle<()>) {
    let (slot, actor) = Slot::new(SlotParts {
        server: server.clone(),
        gpus: Arc::new(DoublesGpu(double.clone())),
        records: Arc::clone(records),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        limits,
    });
    (slot, tasks.spawn(actor.run(CancellationToken::new())))
}

/// Profile `p-MODEL` with a model that answers, and the embedder `e`.
pub(super) fn with_embedder(model: &str) -> Occupant {
    Occupant {
        embedder: Some(name("e")),
        ..plain(model)
    }
}

/// Profile `p-MODEL` with a model that answers.
pub(super) fn plain(model: &str) -> Occupant {
    Occupant {
        profile: profile(&format!("p-{model}")),
        model: name(model),
        embedder: None,
        options: RunOptions::default(),
    }
}

/// The same with a context of so many tokens.
pub(super) fn with_context(occupant: Occupant, tokens: u64) -> Occupant {
    let options = json!({ "num_ctx": tokens });
    Occupant {
        options: RunOptions(options.as_object().cloned().unwrap_or_default()),
        ..occupant
    }
}

pub(super) fn profile(id: &str) -> ProfileId {
    ProfileId::new(id).unwrap()
}

/// An answer to who holds the slot, from the first word to the last or until the slot is given away; how many words
/// came.
pub(super) async fn ask(
    slot: Slot,
    server: ModelServer,
    profile: ProfileId,
) -> Result<usize, SlotError> {
    let lease = slot.lease(profile).await?;
    ask_with(lease, server).await
}

/// As [`ask`], with the lease that an activation came with.
pub(super) async fn ask_with(lease: Lease, server: ModelServer) -> Result<usize, SlotError> {
    let stopped = lease.stopped();
    let prompt = Prompt {
        model: lease.occupant().model.clone(),
        text: "a question".to_owned(),
        system: None,
        options: lease.occupant().options.clone(),
        keep_alive: None,
    };
    let answer = async {
        let mut words = 0;
        let mut pieces = server.ask(&prompt).await?;
        while let Some(piece) = pieces.next().await {
            words += usize::from(matches!(piece?, Piece::Text(_)));
        }
        Ok::<_, ServerError>(words)
    };
    tokio::select! {
        () = stopped.cancelled() => Err(SlotError::Changing),
        words = answer => words.map_err(SlotError::Server),
    }
}
