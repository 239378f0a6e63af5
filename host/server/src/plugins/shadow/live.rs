//! One shadow's live questions: asked in the background, compared, counted.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use boathouse_plugins::{
    Cause, Latency, Plugin, PluginError, compare_findings, compare_proposals, compare_verdicts,
};
use boathouse_types::{
    Finding, Objective, PluginKind, PluginRef, Proposal, ProposalContext, TableSample, Trial,
    Verdict,
};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Beside, Exchange, locked,
    report::{Difference, cause_name},
};

/// Failures in a row after which a shadow is no longer asked.
const MAX_FAILURES: u32 = 3;
/// Calls whose times are kept for percentiles.
const TIMED: usize = 1_000;

/// How a shadow has done beside serving plugins since it began or the host started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LiveView {
    /// Questions that it answered.
    pub answered: u64,
    /// Of these, those on which the host would have acted in the same way.
    pub equal: u64,
    /// Of these, those on which it would not.
    pub different: u64,
    /// Questions that it did not answer, by cause.
    pub failures: BTreeMap<Cause, u64>,
    /// Questions that were not put to it, because too much was waiting.
    pub dropped: u64,
    /// How long the serving plugins took, over the last 1,000 questions.
    pub active: Latency,
    /// How long the shadow took for the same questions.
    pub shadow: Latency,
    /// Why it is no longer asked: three failures in a row, and what the last one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// The last question on which it differed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_difference: Option<Difference>,
}

/// A shadow with its counts.
pub(super) struct Mirror {
    plugin: Plugin,
    beside: Beside,
    stopped: AtomicBool,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    view: LiveView,
    failures_in_a_row: u32,
    /// What each side took, oldest first.
    took: VecDeque<(Duration, Duration)>,
}

impl Mirror {
    pub(super) fn new(plugin: Plugin, beside: Beside) -> Self {
        Self {
            plugin,
            beside,
            stopped: AtomicBool::new(false),
            counts: Mutex::default(),
        }
    }

    pub(super) fn is_of(&self, kind: PluginKind, version: &PluginRef) -> bool {
        self.plugin.kind() == kind && self.plugin.identity() == version
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.is_of(other.plugin.kind(), other.plugin.identity())
    }

    /// Whether an answer by this plugin is to be compared with this shadow's.
    pub(super) fn wants(&self, kind: PluginKind, by: &PluginRef) -> bool {
        let own = self.plugin.identity();
        self.plugin.kind() == kind
            && own != by
            && (self.beside == Beside::All || own.name == by.name)
            && !self.stopped.load(Relaxed)
    }

    pub(super) fn dropped(&self) {
        locked(&self.counts).view.dropped += 1;
    }

    pub(super) fn view(&self) -> LiveView {
        let counts = locked(&self.counts);
        let (active, shadow): (Vec<_>, Vec<_>) = counts.took.iter().copied().unzip();
        LiveView {
            active: Latency::of(&active),
            shadow: Latency::of(&shadow),
            ..counts.view.clone()
        }
    }

    fn answered(&self, difference: Difference, active: Duration, shadow: Duration) {
        let mut counts = locked(&self.counts);
        counts.failures_in_a_row = 0;
        if counts.took.len() == TIMED {
            counts.took.pop_front();
        }
        counts.took.push_back((active, shadow));
        let view = &mut counts.view;
        view.answered += 1;
        if difference.is_equal() {
            view.equal += 1;
        } else {
            view.different += 1;
            view.last_difference = Some(difference);
        }
    }

    fn failed(&self, error: &PluginError) {
        if matches!(error, PluginError::Overloaded { .. }) {
            // Those who serve come first; it says nothing about the shadow.
            return self.dropped();
        }
        let mut counts = locked(&self.counts);
        *counts.view.failures.entry(error.cause()).or_default() += 1;
        counts.failures_in_a_row += 1;
        if counts.failures_in_a_row == MAX_FAILURES {
            let shadow = self.plugin.identity();
            tracing::warn!(%shadow, cause = ?error.cause(), "a shadow failed three times in a row and is no longer asked");
            // Without the guest's own words: what it logs may quote what it was asked about.
            let cause = cause_name(error.cause());
            counts.view.stopped = Some(format!(
                "{MAX_FAILURES} failures in a row, the last of cause {cause}; end the shadow and begin it anew to try again"
            ));
            self.stopped.store(true, Relaxed);
        }
    }
}

/// A question that waits to be put to a shadow.
pub(super) struct Job {
    mirror: Arc<Mirror>,
    asked: Asked,
    took: Duration,
    /// Given back when the job is done or thrown away.
    _room: OwnedSemaphorePermit,
}

/// An [`Exchange`] that can wait.
enum Asked {
    Proposal(ProposalContext, Proposal),
    Scoring(Vec<Trial>, Objective, Vec<Verdict>),
    Detection(TableSample, Vec<Finding>),
}

impl Job {
    pub(super) fn new(
        mirror: &Arc<Mirror>,
        room: OwnedSemaphorePermit,
        exchange: Exchange<'_>,
        took: Duration,
    ) -> Self {
        Self {
            mirror: Arc::clone(mirror),
            asked: match exchange {
                Exchange::Proposal(context, answer) => {
                    Asked::Proposal(context.clone(), answer.clone())
                }
                Exchange::Scoring(trials, objective, answer) => {
                    Asked::Scoring(trials.to_vec(), objective.clone(), answer.to_vec())
                }
                Exchange::Detection(table, answer) => {
                    Asked::Detection(table.clone(), answer.to_vec())
                }
            },
            took,
            _room: room,
        }
    }

    /// Asks the shadow and counts what came of it.
    pub(super) async fn run(self) {
        if self.mirror.stopped.load(Relaxed) {
            return;
        }
        let began = Instant::now();
        let answer = self.ask().await;
        match answer {
            Ok(difference) => self.mirror.answered(difference, self.took, began.elapsed()),
            Err(error) => self.mirror.failed(&error),
        }
    }

    async fn ask(&self) -> Result<Difference, PluginError> {
        let shadow = &self.mirror.plugin;
        Ok(match &self.asked {
            Asked::Proposal(context, active) => {
                let proposed = shadow.propose(context).await?;
                Difference::Proposer(compare_proposals(active, &proposed))
            }
            Asked::Scoring(trials, objective, active) => {
                let verdicts = shadow.evaluate(trials, objective).await?;
                Difference::Scoring(compare_verdicts(trials, active, &verdicts))
            }
            Asked::Detection(table, active) => {
                let findings = shadow.detect(table).await?;
                Difference::Pii(compare_findings(table, active, &findings))
            }
        })
    }
}

/// About how many KiB a question takes while it waits, at least one.
pub(super) fn kib(exchange: &Exchange<'_>) -> u32 {
    let bytes = match exchange {
        Exchange::Proposal(context, _) => size_of_val(context.trials.as_slice()),
        Exchange::Scoring(trials, ..) => size_of_val(*trials),
        Exchange::Detection(table, _) => {
            let values = table.columns.iter().flat_map(|column| &column.values);
            values.map(|value| size_of_val(value) + value.0.len()).sum()
        }
    };
    u32::try_from(bytes / 1_024 + 1).unwrap_or(u32::MAX)
}
