//! The keys of this host: records in the primary bucket, a copy in memory that requests are checked with.
//!
//! A record has everything of a key but its secret. Changes go to the manifest first and to memory when
//! they are durable, so a key that was shown is known after a crash, and a key whose revocation was
//! acknowledged never opens anything again. When a key was used last is kept in memory, by the minute.
//!
//! Hosts that share a bucket learn of each other's changes when they start or change keys themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use boathouse_storage::{Bucket, Manifest, StorageError};
use boathouse_types::{Clock, DatasetName, IndexName, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Caller, Reach, Scope, token::Token};

/// Keys that a host keeps at most.
pub(super) const MOST_KEYS: usize = 1_000;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;
const MINUTE_MILLIS: i64 = 60_000;

/// What is kept of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    id: String,
    name: String,
    /// SHA-256 of the key's text, in hex.
    sha256: String,
    scopes: BTreeSet<Scope>,
    /// Datasets within reach; with `indexes`, none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datasets: Option<BTreeSet<DatasetName>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    indexes: Option<BTreeSet<IndexName>>,
    created_at: Timestamp,
    created_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    keys: Vec<Record>,
}

/// A key that is wanted.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySpec {
    /// What it is for, 1 to 80 characters; shown in lists and in the audit log.
    pub name: String,
    /// What it allows, for example `["read", "search"]`.
    #[schema(value_type = Vec<String>)]
    pub scopes: BTreeSet<Scope>,
    /// Days until it expires, 1 to 3,650; never when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<u32>,
    /// The datasets that it reaches; all when this and `indexes` are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datasets: Option<BTreeSet<DatasetName>>,
    /// The indexes that it reaches; when left out, those on `datasets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indexes: Option<BTreeSet<IndexName>>,
}

/// A key as it is shown; its secret is not.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct KeyView {
    /// Its id, which is the middle part of its text.
    id: String,
    name: String,
    #[schema(value_type = Vec<String>)]
    scopes: BTreeSet<Scope>,
    /// The datasets that it reaches; all when this and `indexes` are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    datasets: Option<BTreeSet<DatasetName>>,
    /// The indexes that it reaches; when missing, those on `datasets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    indexes: Option<BTreeSet<IndexName>>,
    created_at: Timestamp,
    created_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// Whether it has expired.
    expired: bool,
    /// The minute of its last use since the host started.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Timestamp>,
}

/// A key in memory.
#[derive(Debug)]
struct Held {
    record: Record,
    /// Minute of the last use, in milliseconds since 1970; 0: not used.
    last_used: AtomicI64,
    /// Set before its record is taken away.
    revoked: AtomicBool,
}

/// What a token turns out to be.
#[derive(Debug)]
pub(super) enum Found {
    /// A key that holds.
    Caller(Caller),
    /// A key that held until then.
    Expired { caller: Caller, end: Timestamp },
    /// No key of this host, or one that was revoked.
    Unknown,
}

/// A change of the keys that was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    /// The bucket failed.
    #[error("keys cannot be read from or written to the primary bucket")]
    Storage(#[from] StorageError),
    /// There is no such key.
    #[error("there is no key with this id; `GET /auth/keys` lists them")]
    Unknown,
    /// It is the last one that may make others.
    #[error("it is the last key with the scope `admin` that holds; make another first")]
    LastAdmin,
    /// There are too many.
    #[error("there are {MOST_KEYS} keys, which is the most; revoke those that nobody uses")]
    TooMany,
}

/// All keys.
pub(super) struct Keys {
    manifest: Manifest<Document>,
    clock: Arc<dyn Clock>,
    held: ArcSwap<BTreeMap<String, Arc<Held>>>,
    /// Held while the manifest changes, so that memory follows it in order.
    changing: tokio::sync::Mutex<()>,
}

impl Keys {
    /// No keys, before they are read.
    pub(super) fn new(primary: &Bucket, clock: Arc<dyn Clock>) -> Self {
        Self {
            manifest: Manifest::new(primary.clone(), "auth/keys"),
            clock,
            held: ArcSwap::default(),
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// Reads all keys from the bucket itself.
    pub(super) async fn read(&self) -> Result<(), StorageError> {
        let _turn = self.changing.lock().await;
        let (_, document) = self.newest().await?;
        self.hold(document);
        Ok(())
    }

    /// Reads all keys, from their copies where the bucket does not answer. A copy may be older, and a key in
    /// it revoked since: this is for a host that starts without its bucket, until [`Self::read`] succeeds.
    pub(super) async fn read_copy(&self) -> Result<(), StorageError> {
        let _turn = self.changing.lock().await;
        let found = self.manifest.load().await?;
        self.hold(found.map(|found| found.value).unwrap_or_default());
        Ok(())
    }

    /// Whether there is no key at all. An expired key is one: a door does not open by itself.
    pub(super) fn is_empty(&self) -> bool {
        self.held.load().is_empty()
    }

    /// Whether a key with the scope `admin` holds now.
    pub(super) fn has_admin(&self) -> bool {
        let now = self.clock.now();
        let held = self.held.load();
        held.values().any(|held| held.record.is_admin_at(now))
    }

    /// Whose token this is.
    pub(super) fn find(&self, token: &Token) -> Found {
        let held = self.held.load();
        let Some(found) = held.get(token.id()) else {
            return Found::Unknown;
        };
        if !token.hash().is(&found.record.sha256) || found.revoked.load(Ordering::Relaxed) {
            return Found::Unknown;
        }
        let now = self.clock.now();
        match found.record.expires_at {
            Some(end) if end <= now => Found::Expired {
                caller: found.record.caller(),
                end,
            },
            _ => {
                let minute = now.millis() - now.millis().rem_euclid(MINUTE_MILLIS);
                found.last_used.store(minute, Ordering::Relaxed);
                Found::Caller(found.record.caller())
            }
        }
    }

    /// All keys, oldest first.
    pub(super) fn list(&self) -> Vec<KeyView> {
        let now = self.clock.now();
        let held = self.held.load();
        let mut views: Vec<KeyView> = held.values().map(|held| held.view(now)).collect();
        views.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        views
    }

    /// Keeps a new key; durable when this returns.
    pub(super) async fn add(
        &self,
        spec: KeySpec,
        token: &Token,
        by: &str,
    ) -> Result<KeyView, KeysError> {
        let now = self.clock.now();
        let expires_at = spec.expires_in_days.map(|days| {
            Timestamp::from_millis(now.millis().saturating_add(i64::from(days) * DAY_MILLIS))
        });
        let record = Record {
            id: token.id().to_owned(),
            name: spec.name,
            sha256: token.hash().to_hex(),
            scopes: spec.scopes,
            datasets: spec.datasets,
            indexes: spec.indexes,
            created_at: now,
            created_by: by.to_owned(),
            expires_at,
        };
        let view = Held::new(record.clone()).view(now);
        let _turn = self.changing.lock().await;
        loop {
            let (version, mut document) = self.newest().await?;
            if document.keys.len() >= MOST_KEYS {
                return Err(KeysError::TooMany);
            }
            document.keys.push(record.clone());
            if self.commit(version, document).await? {
                return Ok(view);
            }
        }
    }

    /// Revokes a key; with `keep_admin` not the last one that holds and may make others. The key opens
    /// nothing from the moment at which it is found, even when the bucket fails or the caller goes away.
    pub(super) async fn revoke(&self, id: &str, keep_admin: bool) -> Result<(), KeysError> {
        let now = self.clock.now();
        let _turn = self.changing.lock().await;
        loop {
            let (version, mut document) = self.newest().await?;
            let had = document.admins_at(now);
            let Some(at) = document.keys.iter().position(|key| key.id == id) else {
                return Err(KeysError::Unknown);
            };
            document.keys.remove(at);
            if keep_admin && had > 0 && document.admins_at(now) == 0 {
                return Err(KeysError::LastAdmin);
            }
            if let Some(held) = self.held.load().get(id) {
                held.revoked.store(true, Ordering::Relaxed);
            }
            if self.commit(version, document).await? {
                return Ok(());
            }
        }
    }

    async fn newest(&self) -> Result<(u64, Document), StorageError> {
        let found = self.manifest.without_rescue().load().await?;
        Ok(found.map_or_else(
            || (0, Document::default()),
            |found| (found.version, found.value),
        ))
    }

    /// Makes a document the newest and takes it into memory; false when another host was faster.
    async fn commit(&self, version: u64, document: Document) -> Result<bool, StorageError> {
        match self.manifest.commit(version, &document).await {
            Ok(_) => self.hold(document),
            Err(StorageError::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        if let Err(error) = self.manifest.prune(0).await {
            tracing::warn!(%error, "old versions of the list of keys could not be deleted");
        }
        Ok(true)
    }

    /// Takes a document into memory; what is known of earlier uses stays.
    fn hold(&self, document: Document) {
        let before = self.held.load_full();
        let held = document.keys.into_iter().map(|record| {
            let known = before
                .get(&record.id)
                .filter(|known| known.record == record);
            let held = known.map_or_else(|| Arc::new(Held::new(record.clone())), Arc::clone);
            (record.id, held)
        });
        self.held.store(Arc::new(held.collect()));
    }
}

impl Document {
    fn admins_at(&self, now: Timestamp) -> usize {
        self.keys.iter().filter(|key| key.is_admin_at(now)).count()
    }
}

impl Held {
    fn new(record: Record) -> Self {
        Self {
            record,
            last_used: AtomicI64::new(0),
            revoked: AtomicBool::new(false),
        }
    }

    fn view(&self, now: Timestamp) -> KeyView {
        let record = self.record.clone();
        let used = self.last_used.load(Ordering::Relaxed);
        KeyView {
            expired: record.expires_at.is_some_and(|end| end <= now),
            id: record.id,
            name: record.name,
            scopes: record.scopes,
            datasets: record.datasets,
            indexes: record.indexes,
            created_at: record.created_at,
            created_by: record.created_by,
            expires_at: record.expires_at,
            last_used_at: (used > 0).then(|| Timestamp::from_millis(used)),
        }
    }
}

impl Record {
    fn is_admin_at(&self, now: Timestamp) -> bool {
        self.scopes.contains(&Scope::Admin) && self.expires_at.is_none_or(|end| end > now)
    }

    fn caller(&self) -> Caller {
        let reach = if self.datasets.is_none() && self.indexes.is_none() {
            Reach::All
        } else {
            Reach::Only {
                datasets: self.datasets.clone().unwrap_or_default(),
                indexes: self.indexes.clone().unwrap_or_default(),
            }
        };
        let name = format!("{} ({})", self.name, self.id);
        Caller::new(name, self.scopes.iter().cloned(), reach)
    }
}

#[cfg(test)]
mod tests;
