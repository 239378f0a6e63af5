//! What a table needs of a bucket, in standard types.
//!
//! Whoever has a bucket implements [`Objects`] for it and hands it to [`crate::Lance::bucket`]. Credentials, retries,
//! checked paths and durable writes stay on that side; Lance sees names and bytes. Paths are relative to the bucket's
//! root, with `/` between their parts and none at their ends.
//!
//! What an implementation owes, since commits of tables rest on it:
//! - an object is there whole or not at all, and stays when the answer is `Ok`;
//! - of several [`Put::New`] under one path exactly one succeeds, and the others get [`ObjectError::Exists`];
//! - a listing shows everything that was acknowledged before it began.

use std::{future::Future, ops::Range, pin::Pin, time::SystemTime};

/// The answer to a request: a future that borrows nothing.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, ObjectError>> + Send + 'static>>;

/// Why a bucket did not do what was asked. Texts must be fit for a log: without credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object.
    #[error("there is no such object")]
    Missing,
    /// There is an object of that path already.
    #[error("there is such an object already")]
    Exists,
    /// The bucket does not allow it.
    #[error("the bucket does not allow it: {0}")]
    Denied(String),
    /// The bucket failed or cannot be reached.
    #[error("the bucket failed: {0}")]
    Failed(String),
}

/// What a bucket says about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Path from the bucket's root.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was written, by the bucket's clock.
    pub modified: SystemTime,
    /// Changes whenever the content does, if the bucket has such a thing.
    pub e_tag: Option<String>,
}

/// Which bytes of an object are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    Whole,
    /// Those of the range, cut at the end of the object.
    Range(Range<u64>),
    /// Those from an offset on.
    From(u64),
    /// So many at the end, or all if there are fewer.
    Last(u64),
}

/// Bytes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectBytes {
    /// The object; its size is that of the whole.
    pub info: ObjectInfo,
    /// Where the bytes are in it.
    pub range: Range<u64>,
    /// The bytes, as many as the range is long.
    pub bytes: Vec<u8>,
}

/// Whether an object may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Whatever was there is replaced.
    Replace,
    /// Refused with [`ObjectError::Exists`] when there is one.
    New,
}

/// What is directly in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Paths of the folders in it.
    pub folders: Vec<String>,
    /// The objects in it.
    pub objects: Vec<ObjectInfo>,
}

/// A bucket.
pub trait Objects: Send + Sync + 'static {
    /// Writes an object; gives its entity tag.
    fn put(&self, path: String, bytes: Vec<u8>, how: Put) -> Answer<Option<String>>;

    /// Begins to write an object in parts; it appears with [`Upload::complete`].
    fn upload(&self, path: String) -> Answer<Box<dyn Upload>>;

    /// Reads of an object. A range that begins behind its end is [`ObjectError::Denied`].
    fn get(&self, path: String, part: Part) -> Answer<ObjectBytes>;

    /// Tells of an object without its bytes.
    fn head(&self, path: String) -> Answer<ObjectInfo>;

    /// Every object below a folder, however deep; of the whole bucket for the empty path.
    fn list(&self, folder: String) -> Answer<Vec<ObjectInfo>>;

    /// What is directly in a folder.
    fn children(&self, folder: String) -> Answer<Listing>;

    /// Removes an object. One that is not there may be `Ok` or [`ObjectError::Missing`].
    fn delete(&self, path: String) -> Answer<()>;

    /// Copies an object within the bucket.
    fn copy(&self, from: String, to: String, how: Put) -> Answer<()>;
}

/// An object that is written in parts. Dropping it leaves no object.
pub trait Upload: Send + 'static {
    /// The next part; parts keep the order of these calls, whenever their answers come. All but the last have at least
    /// 5 MiB.
    fn part(&mut self, bytes: Vec<u8>) -> Answer<()>;

    /// Makes the object appear, once all parts are answered; gives its entity tag.
    fn complete(self: Box<Self>) -> Answer<Option<String>>;

    /// Gives up, and frees what was stored.
    fn abort(self: Box<Self>) -> Answer<()>;
}
