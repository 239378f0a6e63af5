//! What serves an index by its promotions, also where these are damaged.
//!
//! Lines of the registry that read neither in the bucket nor in `rescue` tell of promotions that nobody knows any more.
//! Their files are kept aside, and what reads decides; where nothing does, what the index was created with serves. That is
//! told by the log, by `GET /readyz` and with the history until something is promoted or taken back. While `rescue` does
//! not say what it has, nothing is set aside, and an index whose registry does not read at all serves what it was created
//! with until it does.

use boathouse_storage::{Bucket, StorageError};
use boathouse_tuning::{Served, Tuner, TuningError};
use boathouse_types::{IndexName, VectorBackend};

use super::{IndexMeta, LiveIndex, locked};
use crate::problem::{Problem, chain};

/// What is not known of the promotions of an index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Damaged files that are kept, as long as nothing was decided since.
    pub(crate) kept_aside: Vec<String>,
    /// Why nothing of them can be read at present.
    pub(crate) unread: Option<String>,
}

impl Lost {
    fn is_nothing(&self) -> bool {
        self.kept_aside.is_empty() && self.unread.is_none()
    }
}

/// What serves by the registry, and what is not known of it. Damaged files are set aside where that can be done.
///
/// # Errors
/// When the bucket fails.
pub(super) async fn served(
    bucket: &Bucket,
    tuner: &Tuner,
    meta: &IndexMeta,
) -> Result<(Served, Lost), Problem> {
    let promotions = tuner.promotions();
    let mut current = promotions.current(VectorBackend::Parquet).await;
    let is_lost = lost_lines(bucket, &meta.name) > 0;
    if is_lost || current.as_ref().is_err_and(is_damage) {
        match promotions.set_damage_aside().await {
            Ok(0) => {}
            Ok(_) => current = promotions.current(VectorBackend::Parquet).await,
            Err(error) => {
                let index = &meta.name;
                tracing::warn!(%index, %error, "damaged files of the promotions cannot be set aside for now");
            }
        }
    }
    let mut lost = Lost::default();
    let current = match current {
        Err(error) if is_damage(&error) => {
            let (index, why) = (&meta.name, chain(&error));
            tracing::error!(%index, why, "the promotions do not read; what the index was created with serves");
            lost.unread = Some(why);
            None
        }
        current => {
            let current = current?;
            lost.kept_aside = promotions.kept_aside().await?;
            current
        }
    };
    Ok((current.unwrap_or_else(|| meta.first()), lost))
}

fn is_damage(error: &TuningError) -> bool {
    matches!(error, TuningError::Storage(StorageError::Damaged { .. }))
}

/// Lines of the promotions of an index that did not read when they were read last.
fn lost_lines(bucket: &Bucket, index: &IndexName) -> u64 {
    let log = format!("_promotions/{index}");
    let malformed = bucket.malformed().into_iter();
    malformed
        .filter(|(prefix, _)| *prefix == log)
        .map(|(_, lines)| lines)
        .sum()
}

impl LiveIndex {
    /// Lines of its promotions that are none of this program's and did not read when they were read last, so that an
    /// earlier configuration may serve.
    pub(crate) fn lost_promotions(&self) -> u64 {
        lost_lines(self.bucket(), &self.meta.name)
    }

    /// What is not known of its promotions.
    pub(crate) fn lost(&self) -> Lost {
        locked(self.lost_cell()).clone()
    }

    /// Keeps what is not known of its promotions.
    pub(super) fn note_lost(&self, lost: Lost) {
        *locked(self.lost_cell()) = lost;
    }

    /// Looks again at promotions that were damaged, and serves what they say.
    pub(super) async fn look_at_promotions(&self) -> Result<(), Problem> {
        if self.lost().is_nothing() {
            return Ok(());
        }
        let (_, lost) = served(self.bucket(), &self.tuner, &self.meta).await?;
        self.note_lost(lost.clone());
        if lost.unread.is_none() {
            self.follow_promotions().await?;
            self.note_lost(lost);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use boathouse_faults::{FaultyStore, Plan};
    use boathouse_storage::{Mirror, MirrorScope};
    use boathouse_tuning::Promote;
    use boathouse_types::{IndexConfig, ManualClock};
    use tokio_util::sync::CancellationToken;

    use super::{
        super::testing::{build, memory, mirrored, name, opened},
        *,
    };

    async fn registry(bucket: &Bucket) -> Vec<String> {
        let listed = bucket.list("_promotions/papers").await.unwrap().into_iter();
        let files = listed.map(|object| object.path);
        files.filter(|path| path.ends_with(".jsonl")).collect()
    }

    async fn spoil(bucket: &Bucket, with: &'static str) {
        for path in registry(bucket).await {
            bucket.put(&path, with.into()).await.unwrap();
        }
    }

    /// Spoils the promotions of an index, here and in their copies, and opens it.
    async fn spoilt(with: &'static str) -> (Bucket, Arc<LiveIndex>) {
        let (bucket, copies) = mirrored();
        build(&bucket, "first").await;
        for path in registry(&bucket).await {
            copies.put(&path, with.into()).await.unwrap();
        }
        spoil(&bucket, with).await;
        let indexes = opened(&[&bucket]).await;
        assert_eq!(indexes.broken(), []);
        (bucket, indexes.get(name().as_str()).unwrap())
    }

    #[tokio::test]
    async fn where_no_promotion_reads_the_first_configuration_serves_and_it_is_told() {
        for with in ["{", "", "{\"format\":\"boathouse/log\",\"form"] {
            let (bucket, index) = spoilt(with).await;
            let serving = index.serving();
            assert_eq!(serving.served, index.meta.first(), "{with:?}");
            let lost = index.lost();
            assert_eq!((lost.kept_aside.len(), &lost.unread), (1, &None));
            assert_eq!(bucket.get(&lost.kept_aside[0]).await.unwrap(), with);
            assert_eq!(index.lost_promotions(), 0);

            let again = opened(&[&bucket]).await;
            let again = again.get(name().as_str()).unwrap();
            assert_eq!(again.lost(), lost, "a restart does not make it good");
            let promotion = again.tuner.promotions().promote(Promote {
                trial: "t1".to_owned(),
                serving: IndexConfig::default().into(),
                by: None,
                reason: None,
                evidence: None,
                graph: None,
            });
            let promotion = promotion.await.unwrap();
            let cancel = CancellationToken::new();
            let ready = again.ready(promotion.served.clone(), &cancel).await;
            again.serve(ready.unwrap(), &promotion);
            assert_eq!(again.lost(), Lost::default(), "somebody has decided");
            let last = opened(&[&bucket]).await;
            let last = last.get(name().as_str()).unwrap();
            assert_eq!(
                (last.lost(), last.serving().served.trial.as_deref()),
                (Lost::default(), Some("t1"))
            );
        }
    }

    #[tokio::test]
    async fn while_rescue_does_not_answer_nothing_is_set_aside_and_it_serves_what_it_was_made_with()
    {
        let (home, rescue) = (memory("primary"), memory("rescue"));
        build(&home, "first").await;
        let copies = rescue.within("primary").unwrap();
        for path in registry(&home).await {
            let sound = home.get(&path).await.unwrap();
            copies.put(&path, sound).await.unwrap();
        }
        spoil(&home, "{\"format\":\"boathouse/log\",\"form").await;
        let store = FaultyStore::new(Arc::clone(rescue.store()), Plan::DOWN);
        let seen = rescue.with_store(Arc::new(store.clone()));
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let bucket = Mirror::new(seen, clock, MirrorScope::Recovery).over(&home);
        let before = registry(&home).await;
        let indexes = opened(&[&bucket]).await;
        let index = indexes.get(name().as_str()).unwrap();
        assert_eq!(index.serving().served, index.meta.first());
        assert!(index.lost().unread.is_some());
        index.look_at_promotions().await.unwrap();
        assert!(index.lost().unread.is_some(), "nothing has changed");
        assert_eq!(registry(&home).await, before);

        store.follow(Plan::Never);
        index.look_at_promotions().await.unwrap();
        assert_eq!(index.lost(), Lost::default());
        assert_eq!(index.serving().served.trial.as_deref(), Some("t2"));
    }
}
