//! What is garbage of an index: a question of whether it serves, was deleted or moved, or never came to be.

use std::{collections::BTreeSet, sync::Arc};

use boathouse_storage::Bucket;
use boathouse_tuning::{Journal, Promotions, build_id, build_id_of};
use boathouse_types::{Configuration, IndexName, Timestamp};

use super::{Found, Judge, Look, Undecided, manifest_of, retained};
use crate::{
    gc::places::{Class, logs_of},
    indexes::IndexMeta,
};

impl Judge<'_> {
    pub(super) async fn index(
        &self,
        name: &IndexName,
        look: &Look<'_>,
        old: Vec<Found>,
    ) -> Result<Vec<Found>, Undecided> {
        let meta = manifest_of(&self.root.bucket, name).await?;
        if let Some(live) = meta.as_ref().filter(|meta| !meta.deleted) {
            return self.live(live, look, old).await;
        }
        let elsewhere = self.elsewhere(name).await?;
        self.check_no_arrival(&elsewhere)?;
        if let Some(buried) = meta {
            return self.buried(&buried, &elsewhere, old).await;
        }
        let mut garbage = Vec::new();
        for prefix in logs_of(name) {
            garbage.extend(self.copies(&prefix, look, old.clone()).await?);
        }
        garbage.extend(retained(old, |found| {
            !matches!(
                found.class,
                Class::Vectors | Class::Tombstones | Class::Graphs | Class::Lance
            )
        }));
        Ok(garbage)
    }

    async fn live(
        &self,
        meta: &IndexMeta,
        look: &Look<'_>,
        old: Vec<Found>,
    ) -> Result<Vec<Found>, Undecided> {
        let mut garbage = Vec::new();
        for prefix in logs_of(&meta.name) {
            garbage.extend(self.copies(&prefix, look, old.clone()).await?);
        }
        let graphs = |id: &str| format!("indexes/{}/graphs/{id}.graph", meta.name);
        let mut named = BTreeSet::from([graphs(&build_id(&meta.data_version, &meta.config))]);
        let is_unnamed =
            |found: &Found| found.class == Class::Graphs && !named.contains(&found.object.path);
        if old.iter().any(is_unnamed) {
            let ids = self.graphs_in_use(meta).await?;
            named.extend(ids.iter().map(|id| graphs(id)));
        }
        let objects: BTreeSet<&str> = meta.objects().map(|(path, _)| path).collect();
        garbage.extend(retained(old, |found| match found.class {
            Class::Vectors | Class::Tombstones => objects.contains(found.object.path.as_str()),
            Class::Graphs => named.contains(&found.object.path),
            Class::Lance => is_of_table(&found.object.path, meta),
            Class::Logs => !self.is_of_earlier_index(found, meta),
            _ => true,
        }));
        garbage.sort_by(|a, b| a.object.path.cmp(&b.object.path));
        garbage.dedup();
        Ok(garbage)
    }

    /// Whether a file of a log was written before the index was made: by one that had its name. A bucket
    /// loses such files before the name is used again, but its copy does not learn of that.
    fn is_of_earlier_index(&self, found: &Found, meta: &IndexMeta) -> bool {
        let written = written_at(&found.object.path);
        self.root.home.is_some() && written.is_some_and(|written| written < meta.created_at)
    }

    /// Ids of the graphs of all promotions and of all trials on the vectors that serve. Older lines name no
    /// graph, but the configuration does.
    async fn graphs_in_use(&self, meta: &IndexMeta) -> Result<BTreeSet<String>, Undecided> {
        let (bucket, clock) = (&self.root.bucket, self.clock);
        let id_of = |config: &Configuration| build_id_of(&meta.data_version, config);
        let mut ids = BTreeSet::new();
        let promotions = Promotions::new(bucket, &meta.name, Arc::clone(clock));
        for promotion in promotions.history().await? {
            for served in [Some(promotion.served), promotion.replaced]
                .into_iter()
                .flatten()
            {
                ids.insert(id_of(&served.config));
                // Over vectors of before nothing can be served any more.
                let is_of_other = |version: &String| *version != meta.data_version;
                if !served.data_version.as_ref().is_some_and(is_of_other) {
                    ids.extend(served.build_id);
                }
            }
        }
        let journal = Journal::new(bucket, &meta.name, Arc::clone(clock));
        for trial in journal.read().await?.trials {
            let is_of_other = |version: &String| *version != meta.data_version;
            if !trial.data_version.as_ref().is_some_and(is_of_other) {
                ids.insert(id_of(&trial.config));
                ids.extend(trial.build_id);
            }
        }
        Ok(ids)
    }

    /// What a deleted or moved index leaves. Of one that lives on elsewhere the logs stay: records that it
    /// lacks may be among them. Nothing goes before it has its vectors there.
    async fn buried(
        &self,
        meta: &IndexMeta,
        elsewhere: &[(Bucket, IndexMeta)],
        old: Vec<Found>,
    ) -> Result<Vec<Found>, Undecided> {
        if self.root.home.is_some() {
            // The bucket itself no longer has what goes here, so the move is over.
            return Ok(old);
        }
        let later = |there: &IndexMeta| there.home_generation > meta.home_generation;
        let heirs = elsewhere.iter().filter(|(bucket, there)| {
            let lives_on = !there.deleted && there.is_same_index(meta);
            later(there) && (lives_on || meta.moved_to.as_ref() == Some(bucket.name()))
        });
        let mut has_heir = false;
        for (bucket, heir) in heirs {
            has_heir = true;
            let needed = heir.objects().filter(|_| !heir.deleted);
            for (path, _) in needed {
                if !bucket.exists(path).await? {
                    return Err(Undecided::new(format!(
                        "it was moved to bucket `{}`, which does not have its vectors",
                        bucket.name()
                    )));
                }
            }
        }
        match &meta.moved_to {
            Some(target) if !has_heir => Err(Undecided::new(format!(
                "it was moved to bucket `{target}`, which does not show it"
            ))),
            _ => Ok(retained(old, |found| {
                has_heir && found.class == Class::Logs
            })),
        }
    }

    /// What other buckets say of an index; of no interest for a copy.
    async fn elsewhere(&self, name: &IndexName) -> Result<Vec<(Bucket, IndexMeta)>, Undecided> {
        if self.root.home.is_some() {
            return Ok(Vec::new());
        }
        if let Some(missing) = self.homes.missing.first() {
            return Err(Undecided::new(format!(
                "bucket `{missing}` cannot be asked about it"
            )));
        }
        let here = self.root.bucket.name();
        let mut found = Vec::new();
        for home in self.homes.buckets.iter().filter(|home| home.name() != here) {
            // What was written for another bucket and came in a copy of it says nothing about this one.
            let meta = manifest_of(home, name).await?;
            let own = meta.filter(|meta| meta.bucket == *home.name());
            found.extend(own.map(|meta| (home.clone(), meta)));
        }
        Ok(found)
    }

    /// That no bucket has an index of this name on its way to this one.
    fn check_no_arrival(&self, elsewhere: &[(Bucket, IndexMeta)]) -> Result<(), Undecided> {
        let here = self.root.bucket.name();
        let comes = |meta: &IndexMeta| !meta.deleted && meta.moving_to.as_ref() == Some(here);
        match elsewhere.iter().find(|(_, meta)| comes(meta)) {
            Some((from, _)) => Err(Undecided::new(format!(
                "bucket `{}` is moving it here",
                from.name()
            ))),
            None => Ok(()),
        }
    }
}

/// Whether an object is one of the Lance table that an index has.
fn is_of_table(path: &str, meta: &IndexMeta) -> bool {
    let table = meta.lance.as_ref();
    let within = table.and_then(|table| path.strip_prefix(table.path.as_str()));
    within.is_some_and(|within| within.starts_with('/'))
}

/// When a file of a log was begun, by its name; older journals have other names.
fn written_at(path: &str) -> Option<Timestamp> {
    let id = path.rsplit('/').next()?.split('.').next()?;
    let (secs, nanos) = uuid::Uuid::try_parse(id).ok()?.get_timestamp()?.to_unix();
    let millis = i64::try_from(secs).ok()? * 1_000 + i64::from(nanos / 1_000_000);
    Some(Timestamp::from_millis(millis))
}
