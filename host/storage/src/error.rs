//! What can go wrong with a bucket, named by what the caller can do about it.
//!
//! Errors are `Clone` because one failed write of a group commit is the answer to every append in the
//! group; sources are shared by `Arc`. No message holds a secret: secrets appear as references only.

use std::{io, sync::Arc};

use boathouse_types::BucketName;

use crate::SecretRef;

/// A failed storage operation.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// Correct the path.
    #[error("`{path}` is no object path: {reason}")]
    InvalidPath {
        /// The path, escaped and shortened.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Correct the bucket's configuration.
    #[error("bucket `{bucket}` is misconfigured: {reason}")]
    Misconfigured {
        /// The bucket.
        bucket: BucketName,
        /// What is wrong, and what to write instead.
        reason: String,
    },
    /// Make the folder usable, or choose another root.
    #[error("bucket `{bucket}` cannot use the folder `{root}`: {cure}")]
    UnusableRoot {
        /// The bucket.
        bucket: BucketName,
        /// The configured root.
        root: String,
        /// What to do about it.
        cure: &'static str,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// Write the secret as a reference. The text is not repeated: it may be the secret itself.
    #[error("a secret is given by reference: write `env:NAME` or `file:/absolute/path`")]
    InvalidSecretRef,
    /// Set the variable or write the file.
    #[error("the secret `{reference}` cannot be read: {cure}")]
    UnresolvedSecret {
        /// Where the secret should be.
        reference: SecretRef,
        /// What to do about it.
        cure: String,
    },
    /// Name a bucket that is registered.
    #[error("there is no bucket `{name}`")]
    UnknownBucket {
        /// The name asked for.
        name: BucketName,
    },
    /// Choose another name.
    #[error("there is a bucket `{name}` already")]
    BucketExists {
        /// The name that is taken.
        name: BucketName,
    },
    /// The object is not there.
    #[error("bucket `{bucket}` has no object `{path}`")]
    NotFound {
        /// The bucket.
        bucket: BucketName,
        /// The path asked for.
        path: String,
    },
    /// A conditional create came second.
    #[error("bucket `{bucket}` has an object `{path}` already")]
    Exists {
        /// The bucket.
        bucket: BucketName,
        /// The path that is taken.
        path: String,
    },
    /// Somebody else committed first: load again, apply the change to that, and commit again.
    #[error("`{prefix}` is no longer at version {expected}; load it again and retry")]
    Conflict {
        /// The manifest's prefix.
        prefix: String,
        /// The version that the commit was based on.
        expected: u64,
    },
    /// Update this program.
    #[error(
        "`{path}` is `{format}` version {found} and this program reads up to version {supported}; update it"
    )]
    NewerFormat {
        /// The object.
        path: String,
        /// The name of the format.
        format: &'static str,
        /// The version in the object.
        found: u64,
        /// The newest version known here.
        supported: u64,
    },
    /// Restore the object from a copy.
    #[error("`{path}` is damaged: {reason}")]
    Damaged {
        /// The object.
        path: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// Use another store: commits in this one could be lost.
    #[error("bucket `{bucket}` cannot be trusted with commits: {reason}")]
    Unfit {
        /// The bucket.
        bucket: BucketName,
        /// What the probe saw.
        reason: String,
    },
    /// Try again in a moment.
    #[error("`{path}` kept changing while it was read; try again")]
    Contended {
        /// The prefix that was read.
        path: String,
    },
    /// Correct the credentials or the rights.
    #[error("bucket `{bucket}` denies access to `{path}`; {cure}")]
    Denied {
        /// The bucket.
        bucket: BucketName,
        /// The path asked for.
        path: String,
        /// What to do about it.
        cure: &'static str,
        /// What the store said.
        source: Arc<object_store::Error>,
    },
    /// Make room. What was to be written is not there.
    #[error(
        "bucket `{bucket}` is full: `{path}` was not written; free some space or raise its quota"
    )]
    Full {
        /// The bucket.
        bucket: BucketName,
        /// The path that was written.
        path: String,
        /// What the store said.
        source: Arc<object_store::Error>,
    },
    /// The store failed or cannot be reached. A write that ends so may have happened or not.
    #[error(
        "bucket `{bucket}` failed at `{path}`; see that its store can be reached and try again"
    )]
    Unavailable {
        /// The bucket.
        bucket: BucketName,
        /// The path asked for.
        path: String,
        /// What the store said.
        source: Arc<object_store::Error>,
    },
    /// The value has no JSON form.
    #[error("the value cannot be written as JSON")]
    Unencodable {
        /// What serde said.
        source: Arc<serde_json::Error>,
    },
}

impl From<serde_json::Error> for StorageError {
    fn from(source: serde_json::Error) -> Self {
        Self::Unencodable {
            source: Arc::new(source),
        }
    }
}
