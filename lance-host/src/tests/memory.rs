//! A bucket in memory that can be told to fail.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::{Answer, Listing, ObjectBytes, ObjectError, ObjectInfo, Objects, Part, Put, Upload};

struct Object {
    bytes: Vec<u8>,
    /// Counts writes: the time and the entity tag.
    written: u64,
}

/// The bucket.
#[derive(Default)]
pub(crate) struct Memory {
    objects: Mutex<BTreeMap<String, Object>>,
    writes: AtomicU64,
    failing: AtomicBool,
}

impl Memory {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// From now on everything fails, or no longer.
    pub(crate) fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::Release);
    }

    fn info(path: &str, object: &Object) -> ObjectInfo {
        ObjectInfo {
            path: path.to_owned(),
            size: object.bytes.len() as u64,
            modified: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + object.written),
            e_tag: Some(object.written.to_string()),
        }
    }

    /// Does something with the objects, unless everything fails.
    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut BTreeMap<String, Object>) -> Result<T, ObjectError>,
    ) -> Answer<T> {
        let answer = if self.failing.load(Ordering::Acquire) {
            Err(ObjectError::Failed("told to fail".to_owned()))
        } else {
            work(&mut self.objects.lock().expect("objects"))
        };
        Box::pin(ready(answer))
    }

    fn write(
        &self,
        objects: &mut BTreeMap<String, Object>,
        path: String,
        bytes: Vec<u8>,
        how: Put,
    ) -> Result<Option<String>, ObjectError> {
        if how == Put::New && objects.contains_key(&path) {
            return Err(ObjectError::Exists);
        }
        let written = self.writes.fetch_add(1, Ordering::Relaxed);
        objects.insert(path, Object { bytes, written });
        Ok(Some(written.to_string()))
    }
}

/// Objects behind a reference, since an upload outlives the call that began it.
pub(crate) struct Shared(pub(crate) Arc<Memory>);

impl Objects for Shared {
    fn put(&self, path: String, bytes: Vec<u8>, how: Put) -> Answer<Option<String>> {
        self.0
            .with(|objects| self.0.write(objects, path, bytes, how))
    }

    fn upload(&self, path: String) -> Answer<Box<dyn Upload>> {
        let memory = Arc::clone(&self.0);
        self.0.with(|_| {
            let bytes = Vec::new();
            let upload = Parts {
                memory,
                path,
                bytes,
            };
            Ok(Box::new(upload) as Box<dyn Upload>)
        })
    }

    fn get(&self, path: String, part: Part) -> Answer<ObjectBytes> {
        self.0.with(|objects| {
            let object = objects.get(&path).ok_or(ObjectError::Missing)?;
            let info = Memory::info(&path, object);
            let range = match part {
                Part::Whole => 0..info.size,
                Part::Range(range) => range.start..range.end.min(info.size),
                Part::From(from) => from..info.size,
                Part::Last(bytes) => info.size.saturating_sub(bytes)..info.size,
            };
            let empty = range.start >= range.end && info.size > 0;
            if empty || range.start > info.size {
                return Err(ObjectError::Denied("behind the end".to_owned()));
            }
            let bytes = object.bytes[range.start as usize..range.end as usize].to_vec();
            Ok(ObjectBytes { info, range, bytes })
        })
    }

    fn head(&self, path: String) -> Answer<ObjectInfo> {
        self.0.with(|objects| {
            let object = objects.get(&path).ok_or(ObjectError::Missing)?;
            Ok(Memory::info(&path, object))
        })
    }

    fn list(&self, folder: String) -> Answer<Vec<ObjectInfo>> {
        self.0.with(|objects| {
            let within = objects
                .iter()
                .filter(|(path, _)| below(path, &folder).is_some());
            // Not in order: the bridge has to care for that.
            let infos = within.map(|(path, object)| Memory::info(path, object));
            Ok(infos.rev().collect())
        })
    }

    fn children(&self, folder: String) -> Answer<Listing> {
        self.0.with(|objects| {
            let mut listing = Listing::default();
            let mut folders = BTreeSet::new();
            for (path, object) in objects.iter().rev() {
                let Some(rest) = below(path, &folder) else {
                    continue;
                };
                match rest.split_once('/') {
                    None => listing.objects.push(Memory::info(path, object)),
                    Some((name, _)) => {
                        let at = path.len() - rest.len() + name.len();
                        folders.insert(path[..at].to_owned());
                    }
                }
            }
            listing.folders = folders.into_iter().rev().collect();
            Ok(listing)
        })
    }

    fn delete(&self, path: String) -> Answer<()> {
        self.0.with(|objects| {
            objects.remove(&path);
            Ok(())
        })
    }

    fn copy(&self, from: String, to: String, how: Put) -> Answer<()> {
        self.0.with(|objects| {
            let object = objects.get(&from).ok_or(ObjectError::Missing)?;
            let bytes = object.bytes.clone();
            self.0.write(objects, to, bytes, how).map(|_| ())
        })
    }
}

/// The part of a path below a folder.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() {
        return Some(path);
    }
    path.strip_prefix(folder)?.strip_prefix('/')
}

struct Parts {
    memory: Arc<Memory>,
    path: String,
    bytes: Vec<u8>,
}

impl Upload for Parts {
    fn part(&mut self, bytes: Vec<u8>) -> Answer<()> {
        let kept = &mut self.bytes;
        self.memory.with(|_| {
            kept.extend(bytes);
            Ok(())
        })
    }

    fn complete(self: Box<Self>) -> Answer<Option<String>> {
        let Self {
            memory,
            path,
            bytes,
        } = *self;
        memory.with(|objects| memory.write(objects, path, bytes, Put::Replace))
    }

    fn abort(self: Box<Self>) -> Answer<()> {
        self.memory.with(|_| Ok(()))
    }
}
