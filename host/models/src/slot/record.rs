//! What the slot must still know after a restart: which models in the server's memory are there by its doing.
//!
//! The record is written before a model is loaded and after models have gone, so it may name too many models and never
//! too few. What it names and nobody needs is unloaded at the next look.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Occupant;
use crate::ModelName;

/// What the slot remembers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SlotRecord {
    /// Who holds the slot, or is being given it.
    pub holder: Option<Occupant>,
    /// Models that may be in memory by the slot's doing.
    pub ours: BTreeSet<ModelName>,
    /// Those of them that are to stay although nobody holds them.
    #[serde(default)]
    pub preloaded: BTreeSet<ModelName>,
}

/// Keeps the record. A write that was reported as done is read after a restart.
#[async_trait]
pub trait RecordStore: Send + Sync {
    /// The last record that was written; none when there is none.
    ///
    /// # Errors
    /// What went wrong, in words.
    async fn read(&self) -> Result<Option<SlotRecord>, String>;

    /// Writes a record in the place of the last.
    ///
    /// # Errors
    /// What went wrong, in words.
    async fn write(&self, record: &SlotRecord) -> Result<(), String>;
}

/// A record that lives as long as this value: for a host that keeps nothing.
#[derive(Debug, Default)]
pub struct MemoryRecords(Mutex<Option<SlotRecord>>);

#[async_trait]
impl RecordStore for MemoryRecords {
    async fn read(&self) -> Result<Option<SlotRecord>, String> {
        Ok(self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }

    async fn write(&self, record: &SlotRecord) -> Result<(), String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(record.clone());
        Ok(())
    }
}
