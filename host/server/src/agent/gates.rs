//! Whether the agent may go on, and with which index: what it knows goes in, a decision and its reasons come out.
//!
//! A [`Gate`] is one thing that has to be open before a trial starts. Five concern the whole host (`enabled`,
//! `rate`, `load`, `slot`, `lane`), two a single index (`cooldown`, `index`). Each says in words and numbers how it
//! stands and, where that is known, when it opens.
//!
//! [`decide`] is a function: it reads no clock, no bucket and no host, and executes nothing. The only state is that
//! of [`LoadGate`], which opens later than it closes: load has to have been clearly below the limits for a while,
//! or the agent would begin a trial in every pause between two requests and give it up again. Nobody tells it of
//! load, so it has to look: what it has not seen does not count as quiet.

use boathouse_types::{IndexName, Timestamp};
use serde::Serialize;

use super::{
    config::AgentConfig,
    memory::Document,
    queue::Reason,
    words::{counted, span},
};
use crate::load::LoadNow;

/// For how long load has to be low before the agent goes on.
const CALM: i64 = 10_000;
/// Share of a limit that load has to be at or below to count as low.
const LOW: f64 = 0.8;
/// When to look again at what tells nobody that it changes.
const POLL: i64 = 1_000;
/// Time between two looks at the load beyond which nobody knows what was in between.
const UNSEEN: i64 = 2 * POLL;

/// One thing that has to be open before a trial starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateName {
    /// The agent is switched on.
    Enabled,
    /// Few enough trials began in the last hour.
    Rate,
    /// Clients search little enough.
    Load,
    /// Nobody computes on the accelerator: no answer of a model, and no change of the GPU slot.
    Slot,
    /// Nobody else runs a trial in this process, nor what belongs to one.
    Lane,
    /// The last look at the index is long enough ago.
    Cooldown,
    /// The index serves, nobody else is at it, and its rows are in.
    Index,
}

impl GateName {
    /// The name in answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Rate => "rate",
            Self::Load => "load",
            Self::Slot => "slot",
            Self::Lane => "lane",
            Self::Cooldown => "cooldown",
            Self::Index => "index",
        }
    }
}

/// How a gate stands.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Gate {
    /// Which one.
    pub gate: GateName,
    /// Whether it lets the agent through.
    pub open: bool,
    /// How it stands, in words and numbers.
    pub detail: String,
    /// When it opens by itself, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Timestamp>,
}

impl Gate {
    fn open(gate: GateName, detail: impl Into<String>) -> Self {
        Self {
            gate,
            open: true,
            detail: detail.into(),
            opens_at: None,
        }
    }

    fn closed(
        gate: GateName,
        detail: impl Into<String>,
        opens_at: impl Into<Option<Timestamp>>,
    ) -> Self {
        Self {
            gate,
            open: false,
            detail: detail.into(),
            opens_at: opens_at.into(),
        }
    }
}

/// What the agent knows of its host at a moment.
pub(super) struct Signals<'a> {
    pub(super) now: Timestamp,
    pub(super) config: &'a AgentConfig,
    pub(super) memory: &'a Document,
    pub(super) load: LoadNow,
    /// What is under way on the accelerator.
    pub(super) slot_held_by: Option<String>,
    /// Nobody but the agent runs a trial, or has one promoted.
    pub(super) lane_is_free: bool,
}

/// An index that waits, with what keeps it alone from its turn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub(super) index: IndexName,
    /// The strongest of its reasons.
    pub(super) reason: Reason,
    /// Since when it waits.
    pub(super) since: Timestamp,
    /// Until when it is left alone after the last look.
    pub(super) cools_until: Option<Timestamp>,
    /// Why nothing can be done to it at present.
    pub(super) obstacle: Option<String>,
    /// Its trials are over; what came of them is to be judged, which is no trial.
    pub(super) is_concluding: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Go on with this index.
    Attend(IndexName),
    /// Look again at this time, or earlier when something happens.
    Wait(Timestamp),
}

/// The gate that opens later than it closes.
#[derive(Debug, Default)]
pub(super) struct LoadGate {
    is_closed: bool,
    /// While closed: since when load has been low at every look, and when that was looked at last.
    low: Option<(Timestamp, Timestamp)>,
}

impl LoadGate {
    /// How it stands after one more look at the load.
    pub(super) fn look(&mut self, load: &LoadNow, config: &AgentConfig, now: Timestamp) -> Gate {
        if let Some(why) = excess(load, config, 1.0) {
            *self = Self {
                is_closed: true,
                low: None,
            };
            let detail = format!(
                "{why}; trials go on when it has been quiet for {}",
                span(CALM)
            );
            return Gate::closed(GateName::Load, detail, None);
        }
        if !self.is_closed {
            return Gate::open(GateName::Load, as_it_is(load, config));
        }
        if let Some(why) = excess(load, config, LOW) {
            self.low = None;
            let detail = format!("there was load, and still {why}");
            return Gate::closed(GateName::Load, detail, None);
        }
        // A clock that was set back begins anew too.
        let is_seen = |last: Timestamp| (0..=UNSEEN).contains(&(now.millis() - last.millis()));
        let low = self.low.filter(|(_, last)| is_seen(*last));
        let since = low.map_or(now, |(since, _)| since);
        self.low = Some((since, now));
        let opens_at = since.millis().saturating_add(CALM);
        if now.millis() >= opens_at {
            *self = Self::default();
            return Gate::open(GateName::Load, as_it_is(load, config));
        }
        Gate::closed(
            GateName::Load,
            "there was load; it is quiet again, which has to last a moment",
            Timestamp::from_millis(opens_at),
        )
    }
}

/// What exceeds a share of its limit.
fn excess(load: &LoadNow, config: &AgentConfig, share: f64) -> Option<String> {
    let in_flight = f64::from(config.pause_above_in_flight) * share;
    if f64::from(load.in_flight) > in_flight {
        return Some(format!(
            "{} under way, more than {in_flight:.0}",
            counted(load.in_flight.into(), "search", "searches")
        ));
    }
    let qps = config.pause_above_qps * share;
    if load.qps > qps {
        return Some(format!(
            "{} searches a second, more than {qps:.0}",
            load.qps
        ));
    }
    let (p95, limit) = load.p95_us.zip(config.pause_above_p95_us)?;
    let limit = limit * share;
    (p95 > limit)
        .then(|| format!("95 of 100 searches take up to {p95:.0} us, more than {limit:.0} us"))
}

fn as_it_is(load: &LoadNow, config: &AgentConfig) -> String {
    format!(
        "{} searches a second of {}, {} under way of {}",
        load.qps, config.pause_above_qps, load.in_flight, config.pause_above_in_flight
    )
}

/// How the gates of the host stand.
pub(super) fn of_host(load: &mut LoadGate, signals: &Signals<'_>) -> Vec<Gate> {
    vec![
        enabled(signals),
        rate(signals),
        load.look(&signals.load, signals.config, signals.now),
        slot(signals),
        lane(signals),
    ]
}

fn enabled(signals: &Signals<'_>) -> Gate {
    let configured = signals.config.enabled;
    let is_enabled = signals.memory.is_enabled(configured);
    let how = match signals.memory.switch(configured) {
        Some(switched) if switched.enabled => format!("started by {}", switched.by),
        Some(switched) => format!("stopped by {} at {}", switched.by, switched.at),
        None => format!("`[agent] enabled` is {configured}"),
    };
    match is_enabled {
        true => Gate::open(GateName::Enabled, how),
        false => Gate::closed(
            GateName::Enabled,
            format!(
                "{how}; `boathouse agent start` or `POST /vectors/agent/start` starts the agent"
            ),
            None,
        ),
    }
}

fn rate(signals: &Signals<'_>) -> Gate {
    let most = signals.config.max_trials_per_hour;
    let begun = signals.memory.trials_in_hour(signals.now);
    let detail = format!("{begun} of {most} trials within the last hour");
    match signals.memory.room_at(most, signals.now) {
        None => Gate::open(GateName::Rate, detail),
        Some(opens_at) => Gate::closed(GateName::Rate, detail, opens_at),
    }
}

fn slot(signals: &Signals<'_>) -> Gate {
    match &signals.slot_held_by {
        None => Gate::open(GateName::Slot, "nobody computes on an accelerator"),
        Some(holder) => Gate::closed(GateName::Slot, format!("{holder} is under way"), None),
    }
}

fn lane(signals: &Signals<'_>) -> Gate {
    match signals.lane_is_free {
        true => Gate::open(GateName::Lane, "nobody else runs a trial"),
        false => Gate::closed(
            GateName::Lane,
            "somebody else runs a trial, or has one promoted",
            None,
        ),
    }
}

impl Candidate {
    /// How its own gates stand.
    pub(super) fn gates(&self, now: Timestamp) -> [Gate; 2] {
        let cooldown = match self.cools_until.filter(|until| *until > now) {
            None => Gate::open(GateName::Cooldown, "the last look is long enough ago"),
            Some(until) => Gate::closed(
                GateName::Cooldown,
                "it was looked at a short while ago",
                until,
            ),
        };
        let index = match &self.obstacle {
            None => Gate::open(GateName::Index, "it serves, and nobody else is at it"),
            Some(obstacle) => Gate::closed(GateName::Index, obstacle.clone(), None),
        };
        [cooldown, index]
    }

    /// The gates that keep it from its turn: its own, and those of the host that concern it.
    pub(super) fn closed(&self, host: &[Gate], now: Timestamp) -> Vec<Gate> {
        let concerns = |gate: &&Gate| !(self.is_concluding && gate.gate == GateName::Rate);
        let host = host.iter().filter(concerns).cloned();
        let all = host.chain(self.gates(now));
        all.filter(|gate| !gate.open).collect()
    }

    /// When to look again: when it may get its turn, if all of these open when they say, but load is watched.
    fn look_at(closed: &[Gate], now: Timestamp) -> Timestamp {
        let poll = Timestamp::from_millis(now.millis().saturating_add(POLL));
        if closed.iter().any(|gate| gate.gate == GateName::Load) {
            return poll;
        }
        let times = closed.iter().map(|gate| gate.opens_at.unwrap_or(poll));
        times.max().unwrap_or(now)
    }
}

/// Who gets its turn: of those that nothing keeps from it the one with the strongest reason, then who waits
/// longest. When it is nobody's turn, when to look again: not after `at_latest`.
pub(super) fn decide(
    host: &[Gate],
    candidates: &[Candidate],
    now: Timestamp,
    at_latest: Timestamp,
) -> Next {
    let mut ordered: Vec<&Candidate> = candidates.iter().collect();
    ordered.sort_by_key(|one| (one.reason.rank(), one.since, &one.index));
    let mut look_at = at_latest;
    for candidate in ordered {
        let closed = candidate.closed(host, now);
        if closed.is_empty() {
            return Next::Attend(candidate.index.clone());
        }
        let is_off = closed.iter().any(|gate| gate.gate == GateName::Enabled);
        if !is_off {
            look_at = look_at.min(Candidate::look_at(&closed, now));
        }
    }
    Next::Wait(look_at)
}

#[cfg(test)]
mod tests;
