//! A loaded plugin and the calls that can be made of it.
//!
//! Each call runs on a fresh instance in a store of its own, on a thread of the blocking pool, behind
//! the host's gate; the instance is dropped with the store whatever happens, so a trap cannot spread
//! and nothing of one call is visible to the next. Dropping the future of a call does not stop the
//! guest; its deadline does.

use std::sync::Arc;

use boathouse_types::{
    Finding, Objective, PluginKind, PluginRef, Proposal, ProposalContext, TableSample, Trial,
    Verdict,
};
use serde::{Deserialize, Serialize};

use crate::{
    Limits, PluginError, PluginStats,
    answer::Described,
    call::{Call, Ended},
    component::Guest,
    digest::Digest,
    guest::Settings,
    host::Runtime,
    inquiry::{Detecting, Evaluating, Inquiry, Proposing},
    question,
    stats::Stats,
};

/// A plugin at a version. Clones share the compiled component and the counts.
#[derive(Clone)]
pub struct Plugin {
    shared: Arc<Shared>,
    settings: Settings,
    observer: Option<Observer>,
}

/// Hears how each call ended: none for an answer. Also of calls whose caller went away meanwhile.
pub type Observer = Arc<dyn Fn(Option<&PluginError>) + Send + Sync>;

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
        digest: Digest,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                runtime,
                guest,
                label: described.identity.to_string(),
                described,
                digest: digest.to_string(),
                stats: Stats::default(),
            }),
            settings: Arc::from([]),
            observer: None,
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

    /// The same plugin with somebody who hears how each call of this value ended, before its caller does.
    #[must_use]
    pub fn observed(self, observer: Observer) -> Self {
        Self {
            observer: Some(observer),
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
        self.shared.described.claims()
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
        self.ask(self.fitting(Proposing::new(pre, context))?).await
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
        let inquiry = Evaluating::new(pre, trials, objective);
        self.ask(self.fitting(inquiry)?).await
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
        self.ask(self.fitting(Detecting::new(pre, table))?).await
    }

    fn wrong_kind(&self, asked: PluginKind) -> PluginError {
        PluginError::WrongKind {
            plugin: self.shared.label.clone(),
            is: self.kind(),
            asked,
        }
    }

    fn fitting<T>(&self, inquiry: Result<T, question::Unfit>) -> Result<T, PluginError> {
        inquiry.map_err(|what| PluginError::BadQuestion {
            plugin: self.shared.label.clone(),
            what,
        })
    }

    /// Takes its turn, and asks on a thread that may be held up.
    async fn ask<I>(&self, inquiry: I) -> Result<I::Answer, PluginError>
    where
        I: Inquiry + Send + 'static,
        I::Answer: Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let settings = Arc::clone(&self.settings);
        let observer = self.observer.clone();
        // On the thread of the call, so that calls count whose caller did not wait for their end.
        let ended = move |shared: &Shared, failure: Option<&PluginError>| {
            shared.stats.ended(failure.map(PluginError::cause));
            if let Some(observer) = observer {
                observer(failure);
            }
        };
        let admission = match self.shared.runtime.enter(&self.shared.label).await {
            Ok(admission) => admission,
            Err(error) => {
                ended(&shared, Some(&error));
                return Err(error);
            }
        };
        tokio::task::spawn_blocking(move || {
            let _admission = admission;
            let outcome = shared.run(&settings, &inquiry);
            ended(&shared, outcome.as_ref().err());
            outcome
        })
        .await
        // What a panic says may quote the question.
        .unwrap_or_else(|_| {
            Err(PluginError::host(
                "a call did not end: the host gave up on it",
            ))
        })
    }
}

impl Shared {
    fn limits(&self) -> &Limits {
        self.runtime.config.limits.of(self.described.kind)
    }

    fn run<I: Inquiry>(&self, settings: &Settings, inquiry: &I) -> Result<I::Answer, PluginError> {
        let call = Call {
            engine: &self.runtime.engine,
            limits: self.limits(),
            label: &self.label,
            settings,
        };
        let Ended {
            answer,
            took,
            peak_memory,
        } = call.run(inquiry);
        self.stats.ran(took, peak_memory);
        match I::SEES_VALUES {
            true => answer.map_err(PluginError::without_its_words),
            false => answer,
        }
    }
}
