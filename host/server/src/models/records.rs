//! What the GPU slot must remember over restarts: a document in `primary`, `models/slot`, with an entry a host.
//!
//! Hosts that share a `primary` have model servers of their own, so each has its own entry, under the name that its data
//! folder keeps.

use std::collections::BTreeMap;

use async_trait::async_trait;
use boathouse_models::{RecordStore, SlotRecord};
use boathouse_storage::{Bucket, StorageError};
use serde::{Deserialize, Serialize};

use crate::{agent::ledger::Ledger, problem::chain};

/// Where the document is.
const PREFIX: &str = "models/slot";

/// What each host has by the doing of its slot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Document {
    hosts: BTreeMap<String, SlotRecord>,
}

/// The record of one host.
pub(super) struct Records {
    ledger: Ledger<Document>,
    host: String,
}

impl Records {
    pub(super) fn new(primary: &Bucket, host: &str) -> Self {
        Self {
            ledger: Ledger::new(primary, PREFIX),
            host: host.to_owned(),
        }
    }
}

#[async_trait]
impl RecordStore for Records {
    async fn read(&self) -> Result<Option<SlotRecord>, String> {
        let document = self.ledger.load().await.map_err(in_words)?;
        Ok(document.hosts.get(&self.host).cloned())
    }

    async fn write(&self, record: &SlotRecord) -> Result<(), String> {
        let written = self.ledger.change(|document| {
            document.hosts.insert(self.host.clone(), record.clone());
        });
        written.await.map_err(in_words)
    }
}

fn in_words(error: StorageError) -> String {
    chain(&error)
}

#[cfg(test)]
mod tests {
    use boathouse_models::ModelName;
    use boathouse_types::BucketName;

    use super::*;

    fn record(model: &str) -> SlotRecord {
        SlotRecord {
            ours: [ModelName::new(model).expect("a name")].into(),
            ..SlotRecord::default()
        }
    }

    #[tokio::test]
    async fn each_host_finds_its_own_record_again() {
        let primary = Bucket::memory(BucketName::primary());
        let at = |host| Records::new(&primary, host);
        assert_eq!(at("one").read().await, Ok(None));
        at("one").write(&record("a")).await.expect("written");
        at("two").write(&record("b")).await.expect("written");
        at("one").write(&record("c")).await.expect("written");
        assert_eq!(at("one").read().await, Ok(Some(record("c"))));
        assert_eq!(at("two").read().await, Ok(Some(record("b"))));
    }
}
