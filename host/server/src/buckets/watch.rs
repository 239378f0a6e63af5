//! The watchers: one a bucket, which looks at it from time to time and whenever it has failed.
//!
//! A look at a bucket in use asks for one small object. When that fails, or when the bucket's mark is gone,
//! the gate is shut. A look at one that is out of use goes the whole way of an admission; when that
//! succeeds the gate opens, what the rescue bucket lacks is queued, and the indexes that live there are
//! opened. In between a watcher counts what lies in a folder and finds what is gone of datasets and indexes, once the
//! bucket is in use, and once more when its copies answer that did not then. Whether the objects of indexes that serve
//! are still there it looks again and again.
//!
//! Credentials are read again at every admission, so one that was exchanged is taken up by itself.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use boathouse_storage::{Bucket, StorageError};

use super::{
    ADMISSION, BucketTable,
    admission::{self, Cause, Fault, Marked, Root},
    gone::{self, Gone},
    seat::{Look, Seat, Usage},
};
use crate::{agent, app::App};

/// Least time between two looks, however often a store fails.
const LEAST: Duration = Duration::from_millis(500);
/// How long a bucket in use may take to answer a look.
const LOOK: Duration = Duration::from_secs(40);
/// Least time between two counts of a folder.
const COUNT_EVERY: Duration = Duration::from_secs(60);
/// A count takes at most one part in this many of the time.
const COUNT_SHARE: u32 = 100;
/// Least time between two looks at the objects of indexes that serve from a bucket: a listing or two of each.
const CHECK_EVERY: Duration = Duration::from_secs(600);

impl BucketTable {
    /// Starts the watchers of all buckets.
    pub fn watch(&self, app: &Arc<App>) {
        for seat in self.all_seats() {
            self.watch_one(app, &seat);
        }
    }

    /// Starts the watcher of one bucket; it ends with the host or when the bucket is removed.
    pub(super) fn watch_one(&self, app: &Arc<App>, seat: &Arc<Seat>) {
        let (app, seat) = (Arc::clone(app), Arc::clone(seat));
        let background = self.parts.background.clone();
        background.spawn(async move {
            let left = seat.left.clone();
            let _ = left.run_until_cancelled(turns(&app, &seat)).await;
        });
    }

    async fn look(&self, app: &Arc<App>, seat: &Arc<Seat>) {
        match seat.open() {
            Some(bucket) => {
                if let Err(fault) = admission::within(LOOK, self.answers(seat, &bucket)).await {
                    self.fails(seat, &fault);
                }
            }
            None if seat.lacks_its_folder() => {}
            None => match admission::within(ADMISSION, self.admission(seat, Root::Expect)).await {
                Ok(bucket) => self.is_back(app, seat, bucket),
                Err(fault) => self.fails(seat, &fault),
            },
        }
    }

    /// That a bucket in use is still there.
    async fn answers(&self, seat: &Seat, bucket: &Bucket) -> Result<(), Fault> {
        let fault = |error: StorageError| Fault::of(&error, &seat.config, &self.parts.environment);
        if seat.name() == self.rescue.name() {
            return bucket.children("").await.map(drop).map_err(fault);
        }
        match admission::marked(bucket, &seat.config, &self.parts.environment).await? {
            Marked::Yes | Marked::Never => Ok(()),
            Marked::No => {
                // A root that is gone is told in the store's own words.
                bucket.children("storage").await.map_err(fault)?;
                let why = "its objects are gone: mount or put back what was there, or run `boathouse restore` to bring the copies in `rescue` back";
                Err(Fault::new(Cause::Lost, why))
            }
        }
    }

    fn fails(&self, seat: &Seat, fault: &Fault) {
        if seat.suspend(fault, self.parts.clock.now()) {
            tracing::error!(bucket = %seat.name(), why = fault.why, "the bucket is out of use");
        }
    }

    fn is_back(&self, app: &Arc<App>, seat: &Arc<Seat>, bucket: Bucket) {
        tracing::warn!(bucket = %seat.name(), "the bucket can be used again");
        seat.admit(bucket, self.parts.clock.now());
        self.register(seat);
        let (app, seat) = (Arc::clone(app), Arc::clone(seat));
        self.parts.background.spawn(async move {
            let left = seat.left.clone();
            let _ = left.run_until_cancelled(welcome(&app, &seat)).await;
        });
    }

    /// Counts and looks for what is missing, where that is due, beside the looks.
    fn keep_up(&self, app: &Arc<App>, seat: &Arc<Seat>) {
        let counts = seat.is_local() && seat.is_count_due();
        let checks = seat.is_check_due() && seat.name() != self.rescue.name();
        let wanted = counts || checks || self.is_look_due(seat);
        let Some(bucket) = seat.open().filter(|_| wanted && seat.begin_upkeep()) else {
            return;
        };
        let (app, seat) = (Arc::clone(app), Arc::clone(seat));
        self.parts.background.spawn(async move {
            let left = seat.left.clone();
            let work = app.bucket_table.upkeep(&seat, &bucket, counts);
            if let Some(Err(error)) = left.run_until_cancelled(work).await {
                tracing::warn!(bucket = %seat.name(), %error, "what lies in the bucket cannot be listed");
            }
            if checks {
                let looking = app.indexes.look_at_objects(seat.name());
                left.run_until_cancelled(looking).await;
                seat.checked(Instant::now() + CHECK_EVERY);
            }
            seat.end_upkeep();
        });
    }

    async fn upkeep(&self, seat: &Seat, bucket: &Bucket, counts: bool) -> Result<(), StorageError> {
        if counts {
            let began = Instant::now();
            let objects = bucket.list("").await?;
            let usage = Usage {
                objects: objects.len() as u64,
                bytes: objects.iter().map(|object| object.size).sum(),
                counted_at: self.parts.clock.now(),
            };
            let pause = COUNT_EVERY.max(began.elapsed() * COUNT_SHARE);
            seat.counted(usage, Instant::now() + pause);
        }
        if self.is_look_due(seat)
            && let Some((look, gone)) = self.missing(seat, bucket).await?
        {
            for (dataset, files) in &gone.datasets {
                tracing::error!(bucket = %seat.name(), %dataset, files = files.len(), "files of the dataset are gone");
            }
            seat.looked(look, gone);
            for (what, why) in self.doubts(seat).await {
                tracing::error!(bucket = %seat.name(), %what, why, "a manifest is not to be believed");
            }
        }
        Ok(())
    }

    /// Whether what is missing in a bucket is to be looked for: when it was admitted, and until its copies answer.
    fn is_look_due(&self, seat: &Seat) -> bool {
        seat.look() != Look::Whole && seat.name() != self.rescue.name()
    }

    /// What is missing in a bucket, by the word of two looks; none when another look would find nothing new, as its
    /// copies still do not answer.
    async fn missing(
        &self,
        seat: &Seat,
        bucket: &Bucket,
    ) -> Result<Option<(Look, Gone)>, StorageError> {
        // First: what is committed from now on is no loss.
        let copies = match self.rescue.within(bucket.name().as_str()) {
            Ok(copies) => catalogued(&copies).await,
            Err(error) => Err(error),
        };
        let look = match (&copies, seat.look()) {
            (Ok(_), _) => Look::Whole,
            (Err(_), Look::Owed) => Look::Alone,
            (Err(_), _) => return Ok(None),
        };
        let paths = catalogued(bucket).await?;
        let mut gone = gone::look(&[bucket], &paths).await?;
        if !gone.datasets.is_empty() || !gone.indexes.is_empty() {
            let paths = catalogued(bucket).await?;
            gone.keep(&gone::look(&[bucket], &paths).await?);
        }
        // Without `rescue` nothing can be told by it; it is asked again.
        gone.compare(&paths, &copies.unwrap_or_default());
        Ok(Some((look, gone)))
    }
}

/// The objects of datasets and indexes.
async fn catalogued(bucket: &Bucket) -> Result<HashSet<String>, StorageError> {
    let mut listed = bucket.list("datasets").await?;
    listed.extend(bucket.list("indexes").await?);
    Ok(listed.into_iter().map(|object| object.path).collect())
}

async fn turns(app: &Arc<App>, seat: &Arc<Seat>) {
    let table = &app.bucket_table;
    loop {
        table.look(app, seat).await;
        table.keep_up(app, seat);
        tokio::time::sleep(LEAST).await;
        let every = tokio::time::sleep(table.parts.every.saturating_sub(LEAST));
        tokio::select! {
            () = every => {}
            () = seat.bell.notified() => {}
        }
    }
}

/// Makes use of a bucket that is new or back: its indexes are opened, and the mirror learns what it lacks.
pub(super) async fn welcome(app: &Arc<App>, seat: &Seat) {
    let name = seat.name();
    if *name == *app.bucket_table.rescue.name() {
        return;
    }
    if name == app.bucket_table.primary.name() {
        read_keys(app, seat).await;
    }
    if let Ok(bucket) = app.buckets.get(name) {
        app.indexes.open_bucket(&bucket, &app.tuner_options()).await;
        app.indexes.look_at_objects(name).await;
        agent::look(app).await;
    }
    if let Err(error) = app.mirror.catch_up(name).await {
        tracing::warn!(bucket = %name, %error, "the bucket cannot be compared with its copies yet");
    }
}

/// Reads the keys again, until that succeeds or the bucket fails for good, which leads here once more.
async fn read_keys(app: &App, seat: &Seat) {
    while let Err(error) = app.auth.refresh().await {
        tracing::error!(%error, "keys are as they were when the bucket failed");
        let may_pass = matches!(
            error,
            StorageError::Unavailable { .. } | StorageError::Denied { .. }
        );
        if !may_pass || !seat.is_healthy() {
            return;
        }
        tokio::time::sleep(LEAST).await;
    }
}

#[cfg(test)]
mod tests {
    use boathouse_storage::Manifest;
    use serde_json::{Value, json};

    use super::*;
    use crate::indexes::testing::Quiet;

    /// Gives a dataset so many versions of its manifest in a bucket.
    async fn dataset(bucket: &Bucket, versions: u64) {
        let value =
            json!({"name": "notes", "bucket": "primary", "next_version": 9, "versions": []});
        let manifest = Manifest::<Value>::new(bucket.clone(), "datasets/notes/manifest");
        for version in 0..versions {
            manifest.commit(version, &value).await.expect("committed");
        }
    }

    #[tokio::test]
    async fn what_only_the_copies_tell_is_learnt_when_they_answer_and_kept_when_they_do_not() {
        let host = Quiet::open().await;
        let table = &host.app.bucket_table;
        let seat = |bucket: &Bucket| table.seats().get(bucket.name()).cloned();
        let primary = seat(&table.primary).expect("a seat");
        let rescue = seat(&table.rescue).expect("a seat");
        let home = primary.open().expect("in use");
        let copies = rescue.open().expect("in use");
        dataset(&home, 1).await;
        dataset(&copies.within("primary").expect("a folder"), 2).await;
        let away = Fault::new(Cause::Unreachable, "it is away");
        let now = table.parts.clock.now();

        rescue.suspend(&away, now);
        for _ in 0..2 {
            let looked = table.upkeep(&primary, &home, false).await;
            looked.expect("the bucket itself answers");
            assert_eq!(primary.look(), Look::Alone);
            assert_eq!(table.doubtful().await, []);
        }
        rescue.admit(copies.clone(), now);
        let looked = table.upkeep(&primary, &home, false).await;
        looked.expect("both answer");
        assert_eq!(primary.look(), Look::Whole);
        let told = async |word: &str| {
            let doubts = table.doubtful().await;
            let [(what, why)] = &doubts[..] else {
                panic!("{doubts:?}");
            };
            assert_eq!(what.to_string(), "dataset notes");
            assert!(why.contains(word), "{why}");
        };
        told("boathouse restore").await;
        rescue.suspend(&away, now);
        told("cannot be told").await;
        rescue.admit(copies, now);
        told("boathouse restore").await;
        let manifest = Manifest::<Value>::new(home, "datasets/notes/manifest");
        let value = manifest.load().await.expect("read").expect("there").value;
        manifest.commit(1, &value).await.expect("committed");
        assert_eq!(table.doubtful().await, [], "it is there again");
    }
}
