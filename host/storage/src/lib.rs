//! Buckets: named object stores, and the two ways in which Boathouse keeps state in them.
//!
//! A [`Bucket`] is a folder of this machine, an S3 bucket, or memory; the [`BucketRegistry`] knows them
//! by name. On top lie a [`Manifest`], a small versioned document that changes by conditional create,
//! and an [`AppendLog`], a journal of write-once batch files. Everything larger (tables, graphs) is an
//! object with a unique name that a manifest points at, so a reader sees the old state or the new.
//!
//! Invariants: an acknowledged write is durable (on local disks file and folder are synced first); no
//! path a caller gives leaves its bucket; no object is ever changed in place by the manifest or the log,
//! so a crash at any step leaves at worst an object that nobody refers to; a file of an unknown newer
//! format is refused by name, never guessed at. Secrets are references and are neither kept nor shown.
//!
//! Beside them a [`FileCache`] keeps local copies that are mapped instead of read, and can be made again.
//!
//! Not here: what the documents mean, tasks and retries (this crate spawns nothing), garbage collection.

mod bucket;
mod cache;
mod config;
mod error;
mod id;
mod local;
mod log;
mod manifest;
mod mirror;
#[cfg(test)]
mod model;
mod path;
mod registry;
mod s3;
mod secret;
mod staged;

pub use bucket::{Bucket, ObjectInfo};
pub use cache::FileCache;
pub use config::{BackendConfig, BucketConfig, S3Config};
pub use error::StorageError;
pub use id::time_ordered_id;
pub use log::{AppendLog, CoveredFile, KeptFile, LogContents, Salvage};
pub use manifest::{MIN_KEPT, Manifest, Versioned};
pub use mirror::{Mirror, MirrorLag, MirrorScope, Restored, noting_rescue, restore};
pub use registry::BucketRegistry;
pub use secret::SecretRef;
pub use staged::StagedFile;
