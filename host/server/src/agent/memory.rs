//! What the agent must not forget when its host stops: whether somebody switched it on or off, when trials began,
//! what came of its last looks at each index, and which trials lost to what serves.
//!
//! It is one small document in `primary` (`agent/state`). A trial is written down before it begins, so a host that
//! is killed half-way through one has counted it, and hosts that share a `primary` share its hour. One that was
//! cancelled counts as well: it has cost what the limit protects.
//!
//! A duel says by chance once in forty that an equal is better. Who is put forward again and again wins in the end,
//! so who lost is not put forward again on the same [`Terms`].
//!
//! A clock that was wrong binds nobody: times that lie ahead are taken for now ([`Memory::mend`]).

use std::{collections::BTreeMap, sync::Arc};

use boathouse_storage::{Bucket, StorageError};
use boathouse_types::{Clock, Configuration, IndexName, Objective, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ledger::Ledger, queue::Reason};

/// Where the document is.
const PREFIX: &str = "agent/state";
/// The time over which trials are counted.
const HOUR: i64 = 60 * 60 * 1_000;
/// Looks at an index that are remembered.
const LOOKS: usize = 10;
/// Trials that lost to what serves an index that are remembered.
const LOST: usize = 64;
/// How far ahead a time may lie by the clock of another host before it counts as wrong.
const AHEAD: i64 = 60 * 1_000;

/// Somebody started or stopped the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Switched {
    /// Whether it tunes since then.
    pub enabled: bool,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What the configuration said at that time; when it says something else since, that holds, and at the next
    /// start this is forgotten.
    pub configured: bool,
}

/// A look at an index: what was tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Look {
    /// When it ended.
    pub at: Timestamp,
    /// Why the agent looked.
    pub reasons: Vec<Reason>,
    /// Trials that were run.
    pub trials: u32,
    /// Version of the vectors that they measured.
    pub data_version: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The same in words.
    pub detail: String,
}

/// What comes of a look at an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Another configuration serves.
    Promoted,
    /// The same configuration serves.
    Kept,
    /// Something went wrong; it is tried again.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

/// What a challenger meets: a duel on other terms is another duel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Terms {
    /// What serves.
    pub(super) champion: Configuration,
    /// Version of the vectors.
    pub(super) data_version: String,
    /// What is wanted.
    pub(super) objective: Objective,
}

/// A trial that lost to what serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lost {
    trial: String,
    at: Timestamp,
}

/// The trials that lost to what serves an index, as long as the terms are these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Duels {
    #[serde(flatten)]
    terms: Terms,
    /// Newest last.
    lost: Vec<Lost>,
}

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    switched: Option<Switched>,
    /// When the trials of the last hour began, oldest first.
    starts: Vec<Timestamp>,
    /// Looks at each index, newest last.
    looks: BTreeMap<IndexName, Vec<Look>>,
    /// What lost to what serves each index.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    duels: BTreeMap<IndexName, Duels>,
}

/// The agent's memory.
pub(super) struct Memory {
    ledger: Ledger<Document>,
    clock: Arc<dyn Clock>,
}

impl Document {
    /// Whether the agent tunes, by the last word that was said: a person's or the configuration's.
    pub(super) fn is_enabled(&self, configured: bool) -> bool {
        self.switch(configured)
            .map_or(configured, |switched| switched.enabled)
    }

    /// A person's word, while it holds.
    pub(super) fn switch(&self, configured: bool) -> Option<&Switched> {
        let switched = self.switched.as_ref();
        switched.filter(|switched| switched.configured == configured)
    }

    /// How many trials began in the hour that ends now, both ends included.
    pub(super) fn trials_in_hour(&self, now: Timestamp) -> u32 {
        let recent = self.starts.iter().filter(|start| is_recent(start, now));
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }

    /// When fewer than `most` trials will have begun within an hour; none when that is so now.
    pub(super) fn room_at(&self, most: u32, now: Timestamp) -> Option<Timestamp> {
        let recent = self.starts.iter().filter(|start| is_recent(start, now));
        // All but `most - 1` have to be over.
        let binding = recent.rev().nth((most as usize).saturating_sub(1))?;
        Some(Timestamp::from_millis(binding.millis() + HOUR + 1))
    }

    /// The last look at an index.
    pub(super) fn last_look(&self, index: &IndexName) -> Option<&Look> {
        self.looks.get(index)?.last()
    }

    /// Looks at an index, newest last.
    pub(super) fn looks(&self, index: &IndexName) -> &[Look] {
        self.looks.get(index).map_or(&[], Vec::as_slice)
    }

    /// The trials that lost to what serves an index on these terms. Those that lost before a time are left out.
    pub(super) fn lost(
        &self,
        index: &IndexName,
        terms: &Terms,
        since: Option<Timestamp>,
    ) -> Vec<String> {
        let duels = self.duels.get(index).filter(|duels| duels.terms == *terms);
        let lost = duels.into_iter().flat_map(|duels| &duels.lost);
        let counts = |one: &&Lost| since.is_none_or(|since| one.at >= since);
        lost.filter(counts).map(|one| one.trial.clone()).collect()
    }

    /// Every index that something is remembered about.
    pub(super) fn indexes(&self) -> impl Iterator<Item = &IndexName> {
        self.looks.keys().chain(self.duels.keys())
    }

    /// Whether it tells of times that were not yet.
    pub(super) fn is_ahead(&self, now: Timestamp) -> bool {
        let looks = self.looks.values().flatten().map(|look| look.at);
        let duels = self.duels.values().flat_map(|duels| &duels.lost);
        let mut times = self.starts.iter().copied();
        let is_ahead = |at: Timestamp| at.millis() - now.millis() > AHEAD;
        times.any(is_ahead) || looks.chain(duels.map(|one| one.at)).any(is_ahead)
    }

    /// Forgets what no limit needs any more. A time that lies ahead was told by a clock that was wrong, and cannot
    /// have been later than now.
    fn tidy(&mut self, now: Timestamp) {
        let looks = self.looks.values_mut().flatten().map(|look| &mut look.at);
        let duels = self.duels.values_mut().flat_map(|duels| &mut duels.lost);
        let times = self.starts.iter_mut().chain(looks);
        for at in times.chain(duels.map(|one| &mut one.at)) {
            *at = (*at).min(now);
        }
        self.starts.retain(|start| is_recent(start, now));
    }

    /// Whether a person's word was said to another configuration.
    fn is_outdated(&self, configured: bool) -> bool {
        self.switched.is_some() && self.switch(configured).is_none()
    }

    fn note_lost(&mut self, index: &IndexName, terms: &Terms, lost: Lost) {
        let anew = || Duels {
            terms: terms.clone(),
            lost: Vec::new(),
        };
        let duels = self.duels.entry(index.clone()).or_insert_with(anew);
        if duels.terms != *terms {
            *duels = anew();
        }
        duels.lost.retain(|known| known.trial != lost.trial);
        duels.lost.push(lost);
        let surplus = duels.lost.len().saturating_sub(LOST);
        duels.lost.drain(..surplus);
    }
}

/// Whether a trial that began then counts still.
fn is_recent(start: &Timestamp, now: Timestamp) -> bool {
    now.millis() - start.millis() <= HOUR
}

impl Memory {
    /// The memory in a bucket; nothing is read yet.
    pub(super) fn new(primary: &Bucket, clock: &Arc<dyn Clock>) -> Self {
        Self {
            ledger: Ledger::new(primary, PREFIX),
            clock: Arc::clone(clock),
        }
    }

    /// As it was read or written last.
    pub(super) fn known(&self) -> Arc<Document> {
        self.ledger.known()
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(super) async fn load(&self) -> Result<Arc<Document>, StorageError> {
        self.ledger.load().await
    }

    /// Reads it for the first time. A person's word to another configuration is forgotten: the configuration was
    /// the last to speak, and the word must not hold again when that changes back.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(super) async fn wake_up(&self, configured: bool) -> Result<(), StorageError> {
        if !self.ledger.load().await?.is_outdated(configured) {
            return Ok(());
        }
        self.ledger
            .change(|document| {
                if document.is_outdated(configured) {
                    document.switched = None;
                }
            })
            .await
    }

    /// Takes times for now that lie ahead, once a clock that was wrong is right.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(super) async fn mend(&self) -> Result<(), StorageError> {
        let now = self.clock.now();
        if !self.known().is_ahead(now) {
            return Ok(());
        }
        self.ledger.change(|document| document.tidy(now)).await
    }

    /// Switches the agent on or off.
    ///
    /// # Errors
    /// When the bucket fails; it may be switched or not then.
    pub(super) async fn switch(
        &self,
        enabled: bool,
        configured: bool,
        by: &str,
    ) -> Result<(), StorageError> {
        let switched = Switched {
            enabled,
            at: self.clock.now(),
            by: by.to_owned(),
            configured,
        };
        self.ledger
            .change(|document| {
                if document.is_enabled(configured) != enabled {
                    document.switched = Some(switched.clone());
                }
            })
            .await
    }

    /// Writes down that a trial begins, if the agent is on by what the bucket says now and fewer than `most` began
    /// within an hour; none when it may not.
    ///
    /// # Errors
    /// When the bucket fails; the trial must not begin then.
    pub(super) async fn begin_trial(
        &self,
        most: u32,
        configured: bool,
    ) -> Result<Option<Timestamp>, StorageError> {
        let now = self.clock.now();
        let begin = |document: &mut Document| {
            document.tidy(now);
            let may = document.is_enabled(configured) && document.room_at(most, now).is_none();
            if may {
                document.starts.push(now);
            }
            may.then_some(now)
        };
        self.ledger.change(begin).await
    }

    /// Takes back that a trial began: there was nothing to try.
    ///
    /// # Errors
    /// When the bucket fails; it counts then.
    pub(super) async fn not_begun(&self, begun: Timestamp) -> Result<(), StorageError> {
        self.ledger
            .change(|document| {
                let at = document.starts.iter().rposition(|start| *start == begun);
                if let Some(at) = at {
                    document.starts.remove(at);
                }
            })
            .await
    }

    /// Remembers a look at an index.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(super) async fn looked(&self, index: &IndexName, look: &Look) -> Result<(), StorageError> {
        self.ledger
            .change(|document| {
                let looks = document.looks.entry(index.clone()).or_default();
                looks.push(look.clone());
                let surplus = looks.len().saturating_sub(LOOKS);
                looks.drain(..surplus);
            })
            .await
    }

    /// Remembers that a trial lost to what serves.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(super) async fn lost(
        &self,
        index: &IndexName,
        terms: &Terms,
        trial: &str,
    ) -> Result<(), StorageError> {
        let lost = Lost {
            trial: trial.to_owned(),
            at: self.clock.now(),
        };
        self.ledger
            .change(|document| document.note_lost(index, terms, lost.clone()))
            .await
    }

    /// Forgets an index.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(super) async fn forget(&self, index: &IndexName) -> Result<(), StorageError> {
        self.ledger
            .change(|document| {
                document.looks.remove(index);
                document.duels.remove(index);
            })
            .await
    }
}

#[cfg(test)]
mod tests;
