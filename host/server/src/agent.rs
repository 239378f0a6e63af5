//! The agent: who keeps indexes up to date with their datasets, and tunes them.
//!
//! It has two halves, each a loop of its own that begins anew after a panic (`supervise.rs`). *Carrying*
//! (`errands.rs`) brings rows that were appended into the indexes whose policy is `auto`; that is always on. *Tuning*
//! (`tuning.rs`) is on when the configuration or a person says so: it takes an index from the queue (`queue.rs`),
//! runs trials as long as all gates are open (`gates.rs`), and has promoted what is better (`course.rs`). What it
//! did and may not forget is in its memory (`memory.rs`), what happens in `events.rs`.
//!
//! Reasons to look at an index: somebody asks, rows were appended or replaced ([`heard`] and `news.rs`), its live
//! recall is too low or its queries have changed ([`Agent::wake`]), and time.
//!
//! Invariants: never two trials of the agent at once, never more of them in any hour than configured, none that
//! starts or goes on while clients need the machine. All three hold over restarts. Nothing is promoted here: that is
//! for the gate of promotions to do or to refuse.

use std::sync::Arc;

use boathouse_storage::Bucket;
use boathouse_types::{Clock, IndexName};

use crate::{app::App, indexes::LiveIndex, problem::Problem};

mod config;
mod course;
#[cfg(test)]
mod day;
mod errands;
mod events;
mod gates;
pub(crate) mod ledger;
mod memory;
mod news;
mod persons;
mod queue;
mod supervise;
mod tuning;
mod view;
mod waiting;
mod words;
mod yielding;

pub use config::AgentConfig;
use errands::Errands;
use events::Events;
pub use events::{AgentEvent, Batch, Happened};
pub use gates::{Gate, GateName};
use memory::Memory;
pub use memory::{Look, Outcome, Switched};
pub(crate) use news::{heard, look};
pub(crate) use persons::AtWork;
use persons::Persons;
pub use queue::{Noted, Reason};
use queue::{Queue, Wish};
pub use supervise::Breaks;
use supervise::Supervision;
use tuning::Tuning;
pub use tuning::Working;
pub(crate) use view::{AgentFigures, figures};
pub use view::{
    AgentView, Carrying, CarryingState, IndexLooks, QueueEntry, TrialCounts, entry, view,
};

/// The agent of a host.
pub struct Agent {
    queue: Queue,
    memory: Memory,
    errands: Errands,
    tuning: Tuning,
    persons: Persons,
    events: Events,
    supervision: Supervision,
}

impl Agent {
    /// The agent whose queue and memory are in this bucket; nothing is read yet.
    #[must_use]
    pub fn new(primary: &Bucket, clock: &Arc<dyn Clock>) -> Self {
        Self {
            queue: Queue::new(primary, clock),
            memory: Memory::new(primary, clock),
            errands: Errands::default(),
            tuning: Tuning::default(),
            persons: Persons::default(),
            events: Events::new(clock),
            supervision: Supervision::default(),
        }
    }

    /// Says that there is a reason to look at an index. It is in the queue after the next look at that, which
    /// begins now; reasons that are equal until then count once.
    pub async fn wake(&self, index: &IndexName, reason: Reason) {
        self.tuning.wish(index, reason);
    }

    /// Begins no trial until this is dropped: a person has one run, or promoted.
    pub(crate) fn make_way(&self) -> AtWork<'_> {
        self.persons.begin()
    }

    /// Looks as soon as possible whether an index has rows to get.
    pub(crate) fn nudge(&self, name: &IndexName) {
        self.errands.nudge(name);
    }

    /// As [`Self::nudge`], if the index waits for something: that it is built, for example.
    pub(crate) fn hurry(&self, name: &IndexName) {
        if self.errands.has(name) {
            self.nudge(name);
        }
    }

    /// Notes that somebody asks for an index to be looked at.
    ///
    /// # Errors
    /// When the queue cannot be written.
    pub(crate) async fn ask(&self, index: &LiveIndex) -> Result<(), Problem> {
        let meta = &index.meta;
        let wish = Wish::new(&meta.name, &meta.dataset, Reason::Asked, None);
        self.queue.add(&[wish]).await?;
        self.nudge(&meta.name);
        self.look_soon();
        Ok(())
    }

    /// Forgets an index that is gone.
    pub(crate) async fn forget(&self, name: &IndexName) {
        self.errands.forget(name);
        self.tuning.forget(name);
        let forgotten = match self.queue.remove(name).await {
            Ok(()) => self.memory.forget(name).await,
            Err(error) => Err(error),
        };
        if let Err(error) = forgotten {
            tracing::warn!(index = %name, %error, "the agent remembers a deleted index for now");
        }
    }

    /// Events after a number, at most so many.
    #[must_use]
    pub fn events_after(&self, last: u64, most: usize) -> Batch {
        self.events.after(last, most)
    }

    /// As [`Self::events_after`], but waits for the first one; none once the host stops.
    pub async fn follow_events(&self, last: u64, most: usize) -> Option<Batch> {
        self.events.follow(last, most).await
    }

    /// Has the tuning half look at its queue now.
    fn look_soon(&self) {
        self.tuning.look_soon();
    }
}

/// Switches tuning on or off, until somebody says otherwise: it lasts, also over restarts, as long as the
/// configuration does not change its mind. A trial under way is given up when it is switched off.
///
/// # Errors
/// When the memory cannot be written.
pub(crate) async fn switch(app: &App, enabled: bool, by: &str) -> Result<(), Problem> {
    let agent = &app.agent;
    agent.memory.load().await?;
    let configured = app.config.agent.enabled;
    if agent.memory.known().is_enabled(configured) != enabled {
        agent.memory.switch(enabled, configured, by).await?;
        let detail = match enabled {
            true => format!("started by {by}"),
            false => format!("stopped by {by}"),
        };
        agent
            .events
            .tell(Happened::Switched, None, detail, tuning::NOTHING);
    }
    agent.look_soon();
    Ok(())
}

/// Lets the agent work until the host stops. Its tasks say that they are its own.
pub(crate) fn start(app: &Arc<App>) {
    supervise::keep_running(app, "carrying", errands::work);
    supervise::keep_running(app, "tuning", tuning::work);
}
