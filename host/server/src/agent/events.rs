//! What the agent does, as it happens: the newest events in memory, and those who follow them.
//!
//! Events are numbered upwards; numbers of a later process are greater than those of an earlier one, so a follower
//! that comes back after a restart names the last number it saw as always. Nobody who follows is waited for: one
//! that is so slow that events were forgotten before it took them learns how many, and is let go.
//!
//! What must last is in the agent's memory, the journals and the promotions; these events are for watching.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use boathouse_types::{Clock, IndexName, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

/// Events in memory.
const KEPT: usize = 1_000;

/// One thing that the agent did or met.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AgentEvent {
    /// Greater than those of all earlier events.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: Happened,
    /// The index that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexName>,
    /// In words.
    pub detail: String,
    /// What there is to tell besides, for example the trial.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    pub data: Value,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// Somebody switched it on or off.
    Switched,
    /// There is a reason to look at an index.
    Woke,
    /// A gate opened.
    GateOpened,
    /// A gate closed.
    GateClosed,
    /// A configuration will be tried.
    Proposed,
    /// Its graph is being built.
    Building,
    /// A trial has ended and is in the journal.
    Trial,
    /// A proposal could not be had or lies outside the bounds; nothing was run.
    Refused,
    /// A trial under way was given up, for load or because the agent was stopped.
    Yielded,
    /// Another configuration serves.
    Promoted,
    /// The same configuration serves on.
    Kept,
    /// Something went wrong.
    Failed,
    /// An index has left the queue.
    Settled,
    /// The agent broke off and begins anew.
    Restarted,
}

impl Happened {
    /// The name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Switched => "switched",
            Self::Woke => "woke",
            Self::GateOpened => "gate_opened",
            Self::GateClosed => "gate_closed",
            Self::Proposed => "proposed",
            Self::Building => "building",
            Self::Trial => "trial",
            Self::Refused => "refused",
            Self::Yielded => "yielded",
            Self::Promoted => "promoted",
            Self::Kept => "kept",
            Self::Failed => "failed",
            Self::Settled => "settled",
            Self::Restarted => "restarted",
        }
    }
}

/// Events after a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Oldest first.
    pub events: Vec<AgentEvent>,
    /// How many of this process were forgotten between that number and these.
    pub missed: u64,
}

/// The events of a host's agent.
pub(super) struct Events {
    clock: Arc<dyn Clock>,
    /// Number before the first one of this process.
    before: u64,
    recent: Mutex<VecDeque<AgentEvent>>,
    /// Number of the newest event; followers wait on it. None once the host stops.
    newest: watch::Sender<Option<u64>>,
}

impl Events {
    /// None yet.
    pub(super) fn new(clock: &Arc<dyn Clock>) -> Self {
        // Fewer events than milliseconds, so numbers only grow, whatever process they are of.
        let before = u64::try_from(clock.now().millis()).unwrap_or(0);
        Self {
            clock: Arc::clone(clock),
            before,
            recent: Mutex::default(),
            newest: watch::Sender::new(Some(before)),
        }
    }

    /// Tells of something.
    pub(super) fn tell(
        &self,
        event: Happened,
        index: Option<&IndexName>,
        detail: impl Into<String>,
        data: Value,
    ) {
        let mut recent = self.recent();
        let seq = recent.back().map_or(self.before, |event| event.seq) + 1;
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(AgentEvent {
            seq,
            at: self.clock.now(),
            event,
            index: index.cloned(),
            detail: detail.into(),
            data,
        });
        drop(recent);
        self.newest.send_if_modified(|newest| match newest {
            Some(known) if *known < seq => {
                *known = seq;
                true
            }
            _ => false,
        });
    }

    /// Events after a number, at most so many.
    pub(super) fn after(&self, last: u64, most: usize) -> Batch {
        let recent = self.recent();
        let oldest = recent.front().map_or(last + 1, |event| event.seq);
        // Who asks for everything wants what there is.
        let missed = match last > self.before {
            true => oldest.saturating_sub(last + 1),
            false => 0,
        };
        let events = recent.iter().filter(|event| event.seq > last);
        Batch {
            events: events.take(most).cloned().collect(),
            missed,
        }
    }

    /// As [`Self::after`], but waits for the first one; none once the host stops.
    pub(super) async fn follow(&self, last: u64, most: usize) -> Option<Batch> {
        let mut newest = self.newest.subscribe();
        loop {
            (*newest.borrow_and_update())?;
            let batch = self.after(last, most);
            if !batch.events.is_empty() {
                return Some(batch);
            }
            newest.changed().await.ok()?;
        }
    }

    /// Lets followers go, so that the host can stop.
    pub(super) fn close(&self) {
        self.newest.send_replace(None);
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<AgentEvent>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::ManualClock;

    use super::*;

    const START: u64 = 1_800_000_000_000;

    fn events() -> Events {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(START as i64));
        Events::new(&clock)
    }

    fn tell(events: &Events, detail: &str) {
        events.tell(Happened::Woke, None, detail, Value::Null);
    }

    #[test]
    fn events_are_told_in_order_and_after_a_number() {
        let events = events();
        for detail in ["one", "two", "three"] {
            tell(&events, detail);
        }
        let all = events.after(0, 10);
        let numbers: Vec<u64> = all.events.iter().map(|event| event.seq).collect();
        assert_eq!(
            (numbers, all.missed),
            (vec![START + 1, START + 2, START + 3], 0)
        );
        let rest = events.after(START + 1, 1);
        assert_eq!(
            (rest.events[0].detail.as_str(), rest.events.len()),
            ("two", 1)
        );
        assert!(events.after(START + 3, 10).events.is_empty());
    }

    #[test]
    fn who_is_too_slow_learns_how_many_events_it_missed() {
        let events = events();
        for _ in 0..KEPT + 5 {
            tell(&events, "again");
        }
        assert_eq!(
            events.after(0, 1).missed,
            0,
            "who begins wants what there is"
        );
        assert_eq!(events.after(START + 2, 1).missed, 3);
        assert_eq!(events.after(START + 5, 1).missed, 0);
        let of_an_earlier_process = events.after(START - 77, KEPT * 2);
        assert_eq!(of_an_earlier_process.events.len(), KEPT);
    }

    #[tokio::test]
    async fn a_follower_waits_for_the_next_event_and_ends_with_the_host() {
        let events = events();
        let mut waiting = Box::pin(events.follow(0, 10));
        assert!(futures::poll!(&mut waiting).is_pending());
        tell(&events, "one");
        let told = waiting.await.expect("open");
        let mut waiting = Box::pin(events.follow(told.events[0].seq, 10));
        assert!(futures::poll!(&mut waiting).is_pending());
        events.close();
        assert_eq!(waiting.await, None);
    }

    #[test]
    fn names_are_those_of_the_answers() {
        for happened in [Happened::GateOpened, Happened::Switched, Happened::Yielded] {
            let json = serde_json::to_value(happened).expect("json");
            assert_eq!(json, happened.as_str());
        }
    }
}
