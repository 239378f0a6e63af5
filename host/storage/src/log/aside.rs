//! Lines that do not read, taken out of a log, and the files that they stood in kept aside.
//!
//! Lines that are no JSON, in a file and in its copy in the rescue, are records that nobody will read again; so is a file
//! without any line, as none is written so. Left where they are they would be met at every reading, and a header that
//! does not read keeps the whole log from being read. So the file is copied as it is to `{log}/damaged`, and its copy
//! where that is another one; then the lines that read in either take its place. Where none does it is deleted.
//!
//! Invariants: what is taken out was stored aside before; a line that reads stays, also one that is no record of this
//! program, as another release may read it; nothing is taken out while the rescue does not answer, which may have a
//! sound copy. A kept file is named by its bytes, so doing this again after a crash changes nothing.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned, de::IgnoredAny};
use sha2::{Digest as _, Sha256};

use super::{AppendLog, LogContents, Shared, format, read::faults};
use crate::StorageError;

/// The folder of a log in which damaged files are kept.
const FOLDER: &str = "damaged";
/// What their names end with.
const SUFFIX: &str = ".damaged";
/// Digits of a digest in a name.
const DIGITS: usize = 12;

/// What a log holds without its lines that do not read.
#[derive(Debug)]
pub struct Salvage<T> {
    /// The records, and the lines that are none of this program's.
    pub contents: LogContents<T>,
    files: Vec<Damaged>,
}

/// A file with lines that do not read.
#[derive(Debug)]
struct Damaged {
    path: String,
    /// Its bytes, and those of its copy when they are others.
    states: Vec<Bytes>,
    /// What takes its place; none when no line reads.
    rest: Option<Bytes>,
}

/// A damaged file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// Where it lies in its bucket.
    pub path: String,
    /// What the caller of [`AppendLog::set_aside`] has written on it.
    pub label: String,
}

impl<T: Serialize + DeserializeOwned + Send + 'static> AppendLog<T> {
    /// What the log holds without its lines that do not read, in its files and in their copies; none when it has no such
    /// lines. Nothing is changed.
    ///
    /// # Errors
    /// As [`Self::read_all`], and when the rescue does not answer.
    pub async fn salvage(&self) -> Result<Option<Salvage<T>>, StorageError> {
        let shared = &self.shared;
        let mut files = shared.files(&shared.bucket).await?;
        let mut damaged = Vec::new();
        for (path, bytes) in &mut files {
            let (named, own) = (path.clone(), bytes.clone());
            let is_sound = move || Ok(faults(&named, &own, &is_json) == 0);
            if shared.compute(is_sound).await? {
                continue;
            }
            let mut states = vec![bytes.clone()];
            let copy = shared.bucket.copied(path).await?;
            states.extend(copy.filter(|copy| copy != bytes));
            let looked_at = states.clone();
            let rest = shared.compute(move || Ok(rest(&looked_at))).await?;
            *bytes = rest.clone().unwrap_or_default();
            let path = path.clone();
            damaged.push(Damaged { path, states, rest });
        }
        if damaged.is_empty() {
            return Ok(None);
        }
        // An empty one stands for a file that goes.
        files.retain(|(_, bytes)| !bytes.is_empty());
        let (batches, read) = (shared.buffered().await, |line: &[u8]| {
            serde_json::from_slice(line).ok()
        });
        let (files, read) = (Arc::new(files), Arc::new(read));
        Ok(Some(Salvage {
            contents: shared.contents(&files, &batches, &read).await?,
            files: damaged,
        }))
    }

    /// Keeps the files of a salvage aside, with a label in their names, which holds letters and digits only; then takes
    /// out of the log what does not read. Gives where they are kept.
    ///
    /// # Errors
    /// The bucket fails; what was kept by then is kept, and doing all again is right.
    pub async fn set_aside(
        &self,
        salvage: &Salvage<T>,
        label: &str,
    ) -> Result<Vec<String>, StorageError> {
        let Shared { bucket, prefix, .. } = &*self.shared;
        let mut kept = Vec::new();
        for file in &salvage.files {
            let name = file.path.rsplit('/').next().unwrap_or(&file.path);
            for state in &file.states {
                let digest = format!("{:x}", Sha256::digest(state));
                let digest = &digest[..DIGITS];
                let path = format!("{prefix}/{FOLDER}/{label}-{digest}-{name}{SUFFIX}");
                bucket.put(&path, state.clone()).await?;
                kept.push(path);
            }
            match &file.rest {
                Some(rest) => bucket.put(&file.path, rest.clone()).await?,
                None => bucket.delete(&file.path).await?,
            }
        }
        Ok(kept)
    }

    /// The damaged files that are kept, by path.
    ///
    /// # Errors
    /// The bucket fails.
    pub async fn kept_aside(&self) -> Result<Vec<KeptFile>, StorageError> {
        let Shared { bucket, prefix, .. } = &*self.shared;
        let listed = bucket.list(&format!("{prefix}/{FOLDER}")).await?;
        let kept = listed.into_iter().filter_map(|object| {
            let name = object.path.rsplit('/').next()?.strip_suffix(SUFFIX)?;
            let label = name.split('-').next()?.to_owned();
            let path = object.path;
            Some(KeptFile { path, label })
        });
        Ok(kept.collect())
    }
}

fn is_json(line: &[u8]) -> Option<IgnoredAny> {
    serde_json::from_slice(line).ok()
}

/// A file with the lines that read in any of the states of one; none when there are none. Where the states have as many
/// lines, what is lost in one is taken from the other; else the one with more that read counts.
fn rest(states: &[Bytes]) -> Option<Bytes> {
    let states: Vec<Vec<&[u8]>> = states.iter().map(|state| format::lines(state)).collect();
    let (own, others) = states.split_first()?;
    let reads = |line: &&[u8]| is_json(line).is_some();
    let mut best: Vec<&[u8]> = own.iter().copied().filter(reads).collect();
    for other in others {
        let found: Vec<&[u8]> = match other.len() == own.len() {
            true => {
                let pairs = own.iter().zip(other);
                let either = pairs.filter_map(|(a, b)| [*a, *b].into_iter().find(reads));
                either.collect()
            }
            false => other.iter().copied().filter(reads).collect(),
        };
        if found.len() > best.len() {
            best = found;
        }
    }
    let mut bytes = format::header_line();
    for line in &best {
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
    }
    (!best.is_empty()).then(|| bytes.into())
}

#[cfg(test)]
mod tests {
    use boathouse_faults::{FaultyStore, Plan};
    use boathouse_types::{BucketName, ManualClock};

    use super::*;
    use crate::{Bucket, Mirror, MirrorScope};

    const FILE: &str = "log/0199aa00-0000-7000-8000-000000000001.jsonl";
    const HEAD: &str = "{\"format\":\"boathouse/log\",\"format_version\":1}\n";

    struct World {
        bucket: Bucket,
        copies: Bucket,
        rescue: FaultyStore,
    }

    impl World {
        /// A log with a sound file, and one that is so here and in the rescue.
        async fn new(own: &str, copy: &str) -> Self {
            let rescue = Bucket::memory(BucketName::rescue());
            let store = FaultyStore::new(Arc::clone(rescue.store()), Plan::Never);
            let clock = Arc::new(ManualClock::at(1));
            let seen = rescue.with_store(Arc::new(store.clone()));
            let mirror = Mirror::new(seen, clock, MirrorScope::Recovery);
            let bucket = mirror.over(&Bucket::memory(BucketName::primary()));
            let copies = rescue.within("primary").unwrap();
            let sound = "log/0199aa00-0000-7000-8000-000000000000.jsonl";
            bucket.put(sound, "7\n".into()).await.unwrap();
            for (place, state) in [(&bucket, own), (&copies, copy)] {
                let bytes = Bytes::copy_from_slice(state.as_bytes());
                place.put(FILE, bytes).await.unwrap();
            }
            Self {
                bucket,
                copies,
                rescue: store,
            }
        }

        fn log(&self) -> AppendLog<u64> {
            let clock = Arc::new(ManualClock::at(1));
            AppendLog::new(self.bucket.without_rescue(), "log", clock)
        }

        /// Sets aside what is damaged; gives what is kept.
        async fn set_aside(&self) -> Vec<String> {
            let log = self.log();
            let salvage = log.salvage().await.unwrap().expect("it is damaged");
            let kept = log.set_aside(&salvage, "12").await.unwrap();
            let left = log.read_all().await.unwrap();
            assert_eq!(left, salvage.contents);
            assert!(log.salvage().await.unwrap().is_none(), "it is sound");
            let listed = log.kept_aside().await.unwrap();
            assert!(listed.iter().all(|file| file.label == "12"));
            let mut paths: Vec<String> = listed.into_iter().map(|file| file.path).collect();
            paths.sort();
            let mut expected = kept.clone();
            expected.sort();
            assert_eq!(paths, expected);
            kept
        }
    }

    async fn check(own: &str, copy: &str, records: &[u64]) {
        let world = World::new(own, copy).await;
        let kept = world.set_aside().await;
        let left = world.log().read_all().await.unwrap();
        assert_eq!(
            (left.records.as_slice(), left.malformed),
            (records, 0),
            "{own:?}"
        );
        let mut states = Vec::new();
        for path in kept {
            states.push(world.bucket.get(&path).await.unwrap());
        }
        let mut expected = vec![own];
        expected.extend((copy != own).then_some(copy));
        assert_eq!(states, expected);
    }

    #[tokio::test]
    async fn what_reads_in_either_state_stays_and_both_are_kept() {
        let torn = format!("{HEAD}1\n{{\n3\n");
        check(&torn, &torn, &[7, 1, 3]).await;
        check(&torn, &format!("{HEAD}{{\n2\n3\n"), &[7, 1, 2, 3]).await;
        check(&torn, &format!("{HEAD}{{\n"), &[7, 1, 3]).await;
        check(&format!("{HEAD}{{\n"), &torn, &[7, 1, 3]).await;
    }

    #[tokio::test]
    async fn where_nothing_reads_the_file_goes_and_is_kept() {
        for own in ["{", "", HEAD, "\n\n"] {
            let world = World::new(own, "{").await;
            world.set_aside().await;
            assert!(!world.bucket.exists(FILE).await.unwrap(), "{own:?}");
            assert_eq!(world.log().read_all().await.unwrap().records, [7]);
        }
    }

    #[tokio::test]
    async fn a_header_that_does_not_read_keeps_nothing_from_being_read() {
        let torn = "{\"format\":\"boathouse/log\",\"for\n1\n2\n";
        let world = World::new(torn, torn).await;
        let refused = world.log().read_all().await.unwrap_err();
        assert!(matches!(refused, StorageError::Damaged { .. }), "{refused}");
        check(torn, torn, &[7, 1, 2]).await;
    }

    #[tokio::test]
    async fn lines_of_another_release_stay() {
        let world = World::new("1\n{\"new\":1}\n{\n", "{").await;
        world.set_aside().await;
        let left = world.log().read_all().await.unwrap();
        assert_eq!((left.records, left.malformed), (vec![7, 1], 1));
        assert!(world.log().salvage().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn nothing_is_taken_out_while_the_rescue_does_not_answer() {
        let world = World::new("1\n{\n", "1\n2\n").await;
        world.rescue.follow(Plan::DOWN);
        assert!(world.log().salvage().await.is_err());
        assert_eq!(world.bucket.get(FILE).await.unwrap(), "1\n{\n");
        world.rescue.follow(Plan::Never);
        // A sound copy needs no salvage: whoever reads puts it back.
        assert_eq!(world.log().read_all().await.unwrap().records, [7, 1, 2]);
        assert!(world.log().salvage().await.unwrap().is_none());
        assert_eq!(world.copies.get(FILE).await.unwrap(), "1\n2\n");
    }

    #[tokio::test]
    async fn a_file_without_a_line_counts_and_its_copy_is_read() {
        for own in ["", HEAD] {
            let world = World::new(own, "1\n").await;
            let read = world.log().read_all().await.unwrap();
            assert_eq!((read.records, read.malformed), (vec![7, 1], 0));
            assert_eq!(world.bucket.get(FILE).await.unwrap(), "1\n");
            let world = World::new(own, own).await;
            let read = world.log().read_all().await.unwrap();
            assert_eq!((read.records, read.malformed), (vec![7], 1));
        }
    }
}
