//! A loaded plugin and the calls that can be made of it.
//!
//! Each call runs on a fresh instance in a store of its own, on a thread of the blocking pool, behind
//! the host's gate; the instance is dropped with the store whatever happens, so a trap cannot spread
//! and nothing of one call is visible to the next. Dropping the future of a call does not stop the
//! guest; its deadline does.

use std::{sync::Arc, time::Instant};

use boathouse_types::{
    Finding, Objective, PluginKind, PluginRef, Proposal, ProposalContext, TableSample, Trial,
    Verdict,
};
use serde::{Deserialize, Serialize};
use wasmtime::{Store, Trap, component::ResourceTableError};
use wasmtime_wasi::I32Exit;

use crate::{
    Limits, PluginError, PluginStats,
    answer::{Described, Flaw, TableShape, Untrusted},
    bindings::types,
    component::{Guest, one_line},
    guest::{self, GuestState, Settings},
    host::Runtime,
    question,
    stats::Stats,
};

/// Seed of a guest's random numbers where the question brings none.
const SEED: u64 = 0x0b0a_7b0a;

/// A plugin at a version. Clones share the compiled component and the counts.
#[derive(Clone)]
pub struct Plugin {
    shared: Arc<Shared>,
    settings: Settings,
}

struct Shared {
    runtime: Arc<Runtime>,
    guest: Guest,
    described: Described,
    /// `team/name@version`, for messages.
    label: String,
    digest: String,
    stats: Stats,
}

/// What a plugin says of itself; its claims are not proven by being here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PluginDescription {
    /// One sentence for a list of plugins.
    pub summary: String,
    /// Names of the inputs that it looks at.
    pub reads: Vec<String>,
    /// It claims that equal inputs give bit-equal outputs.
    pub deterministic: bool,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("label", &self.shared.label)
            .field("kind", &self.kind())
            .field("digest", &self.shared.digest)
            .finish_non_exhaustive()
    }
}

impl Plugin {
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        guest: Guest,
        described: Described,
        digest: String,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                runtime,
                guest,
                label: described.identity.to_string(),
                described,
                digest,
                stats: Stats::default(),
            }),
            settings: Arc::from([]),
        }
    }

    /// The same plugin with the settings that its guest gets to read, in this order.
    #[must_use]
    pub fn with_settings(self, settings: Vec<(String, String)>) -> Self {
        Self {
            settings: settings.into(),
            ..self
        }
    }

    /// Its name and version.
    #[must_use]
    pub fn identity(&self) -> &PluginRef {
        &self.shared.described.identity
    }

    /// Which judgement it makes.
    #[must_use]
    pub fn kind(&self) -> PluginKind {
        self.shared.described.kind
    }

    /// SHA-256 of its component in lower-case hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.shared.digest
    }

    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> PluginDescription {
        let described = &self.shared.described;
        PluginDescription {
            summary: described.summary.clone(),
            reads: described.reads.clone(),
            deterministic: described.deterministic,
        }
    }

    /// The limits that its calls keep to.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.shared.limits()
    }

    /// What its calls have come to.
    #[must_use]
    pub fn stats(&self) -> PluginStats {
        self.shared.stats.snapshot()
    }

    /// Asks a proposer which configuration to try next.
    ///
    /// # Errors
    /// [`PluginError`]; a proposal outside the knobs' bounds is a [`PluginError::BadAnswer`].
    pub async fn propose(&self, context: &ProposalContext) -> Result<Proposal, PluginError> {
        let Guest::Proposer(pre) = &self.shared.guest else {
            return Err(self.wrong_kind(PluginKind::Proposer));
        };
        let (pre, knobs) = (pre.clone(), context.knobs.clone());
        let question = self.put(question::context(context))?;
        self.ask(
            context.seed,
            move |store| pre.instantiate(&mut *store)?.call_propose(store, &question),
            move |said, limits| said.proposal(&knobs, limits),
        )
        .await
    }

    /// Asks a scoring plugin for one verdict per trial, in their order.
    ///
    /// # Errors
    /// [`PluginError`]; another number of verdicts or a score of NaN is a [`PluginError::BadAnswer`].
    pub async fn evaluate(
        &self,
        trials: &[Trial],
        objective: &Objective,
    ) -> Result<Vec<Verdict>, PluginError> {
        let Guest::Scoring(pre) = &self.shared.guest else {
            return Err(self.wrong_kind(PluginKind::Scoring));
        };
        let (pre, asked) = (pre.clone(), trials.len());
        let journal = self.put(question::journal(trials))?;
        let objective = question::objective(objective);
        self.ask(
            SEED,
            move |store| {
                pre.instantiate(&mut *store)?
                    .call_evaluate(store, &journal, &objective)
            },
            move |said, limits| said.verdicts(asked, limits),
        )
        .await
    }

    /// Asks a detector which columns of a table hold personal data.
    ///
    /// # Errors
    /// [`PluginError`]; a finding on a column that does not exist, or with a number out of its range,
    /// is a [`PluginError::BadAnswer`].
    pub async fn detect(&self, table: &TableSample) -> Result<Vec<Finding>, PluginError> {
        let Guest::Pii(pre) = &self.shared.guest else {
            return Err(self.wrong_kind(PluginKind::Pii));
        };
        let (pre, shape) = (pre.clone(), TableShape::of(table));
        let question = self.put(question::table(table))?;
        self.ask(
            SEED,
            move |store| pre.instantiate(&mut *store)?.call_detect(store, &question),
            move |said, limits| said.findings(&shape, limits),
        )
        .await
    }

    fn wrong_kind(&self, asked: PluginKind) -> PluginError {
        PluginError::WrongKind {
            plugin: self.shared.label.clone(),
            is: self.kind(),
            asked,
        }
    }

    fn put<T>(&self, question: Result<T, question::Unfit>) -> Result<T, PluginError> {
        question.map_err(|what| PluginError::BadQuestion {
            plugin: self.shared.label.clone(),
            what,
        })
    }

    /// Takes its turn, calls a fresh instance and checks what it says.
    async fn ask<Said, Answer>(
        &self,
        seed: u64,
        call: impl FnOnce(&mut Store<GuestState>) -> wasmtime::Result<Result<Said, types::Error>>
        + Send
        + 'static,
        check: impl FnOnce(Untrusted<Said>, &Limits) -> Result<Answer, Flaw> + Send + 'static,
    ) -> Result<Answer, PluginError>
    where
        Answer: Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let settings = Arc::clone(&self.settings);
        let outcome = match self.shared.runtime.enter(&self.shared.label).await {
            Err(error) => Err(error),
            Ok(admission) => tokio::task::spawn_blocking(move || {
                let _admission = admission;
                shared.run(&settings, seed, call, check)
            })
            .await
            .unwrap_or_else(|error| {
                Err(PluginError::Host {
                    what: format!("a call did not end: {error}"),
                })
            }),
        };
        let failure = outcome.as_ref().err().map(PluginError::cause);
        self.shared.stats.ended(failure);
        outcome
    }
}

impl Shared {
    fn limits(&self) -> &Limits {
        self.runtime.config.limits.of(self.described.kind)
    }

    fn run<Said, Answer>(
        &self,
        settings: &Settings,
        seed: u64,
        call: impl FnOnce(&mut Store<GuestState>) -> wasmtime::Result<Result<Said, types::Error>>,
        check: impl FnOnce(Untrusted<Said>, &Limits) -> Result<Answer, Flaw>,
    ) -> Result<Answer, PluginError> {
        let limits = self.limits();
        let started = Instant::now();
        let engine = &self.runtime.engine;
        let mut store = guest::store(engine, limits, &self.label, settings, seed);
        let returned = call(&mut store);
        let answer = match returned {
            Err(error) => Err(fault(&error, store.data(), &self.label, limits)),
            Ok(Err(declared)) => {
                let (why, text) = Untrusted::new(declared).declined(limits);
                Err(PluginError::Declined {
                    plugin: self.label.clone(),
                    why,
                    text,
                })
            }
            Ok(Ok(said)) => {
                check(Untrusted::new(said), limits).map_err(|Flaw(what)| PluginError::BadAnswer {
                    plugin: self.label.clone(),
                    what,
                })
            }
        };
        let peak = store.data().limiter.peak_memory();
        self.stats.ran(started.elapsed(), peak);
        answer
    }
}

/// What a failed call means, in the order of what explains most: the deadline, a limit that was hit,
/// then the crash itself.
pub(crate) fn fault(
    error: &wasmtime::Error,
    state: &GuestState,
    plugin: &str,
    limits: &Limits,
) -> PluginError {
    tracing::debug!(plugin, "{error:?}");
    let plugin = plugin.to_owned();
    let log = state.log.tail();
    let trap = error.downcast_ref::<Trap>().copied();
    if trap == Some(Trap::Interrupt) {
        return PluginError::Deadline {
            plugin,
            deadline_ms: limits.deadline_ms,
            log,
        };
    }
    if let Some(limit) = limit_hit(error, trap, state, limits) {
        return PluginError::Limit { plugin, limit, log };
    }
    let what = match (trap, error.downcast_ref::<I32Exit>()) {
        (Some(trap), _) => trap.to_string(),
        (None, Some(_)) => "it tried to exit the process".to_owned(),
        (None, None) => one_line(&error.root_cause()),
    };
    PluginError::Trap { plugin, what, log }
}

fn limit_hit(
    error: &wasmtime::Error,
    trap: Option<Trap>,
    state: &GuestState,
    limits: &Limits,
) -> Option<String> {
    if trap == Some(Trap::StackOverflow) {
        return Some("its stack".to_owned());
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        return Some(format!("{} resource handles", limits.resource_handles));
    }
    // The engine does not export the type of this error; a test holds its text fast.
    if error
        .root_cause()
        .to_string()
        .contains("hostcalls has been exhausted")
    {
        return Some(format!(
            "{} bytes handed to the host at once",
            limits.hostcall_bytes
        ));
    }
    state.limiter.refused().map(str::to_owned)
}
