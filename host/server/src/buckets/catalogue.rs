//! The buckets that were added while a host ran, as the primary bucket keeps them.
//!
//! They are one manifest at `storage/manifest`: a list of configurations, in which secrets are references.
//! It is committed at the first start too, empty. So a primary bucket without it, while the rescue bucket
//! holds a copy of it, is no new one: it has lost everything, and a host that started on it would begin
//! from nothing beside the copies of what was there.

use boathouse_storage::{Bucket, BucketConfig, Manifest, StorageError};
use boathouse_types::BucketName;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// Where the manifest lies.
pub(crate) const PREFIX: &str = "storage/manifest";
/// How often a change is tried when other hosts change the catalogue too.
const ATTEMPTS: usize = 16;
/// Old versions that are kept, and how many commits lie between two prunings.
const KEPT: usize = 64;

/// All buckets that were added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Catalogue {
    pub(crate) buckets: Vec<BucketConfig>,
}

impl Catalogue {
    fn position(&self, name: &BucketName) -> Option<usize> {
        self.buckets.iter().position(|known| known.name == *name)
    }

    /// Enters a bucket.
    ///
    /// # Errors
    /// 409 when another host was first.
    pub(super) fn add(&mut self, config: &BucketConfig) -> Result<(), Problem> {
        if self.position(&config.name).is_some() {
            return Err(exists(&config.name));
        }
        self.buckets.push(config.clone());
        Ok(())
    }

    /// Strikes a bucket out; one that another host has struck out already is fine.
    pub(super) fn remove(&mut self, name: &BucketName) {
        self.buckets.retain(|known| known.name != *name);
    }
}

/// 409: the name is taken.
pub(super) fn exists(name: &BucketName) -> Problem {
    StorageError::BucketExists { name: name.clone() }.into()
}

/// What is in the catalogue; none when there never was one.
///
/// # Errors
/// The bucket fails, or the catalogue is damaged or of a newer program.
pub(crate) async fn load(primary: &Bucket) -> Result<Option<Catalogue>, StorageError> {
    let found = manifest(primary).load().await?;
    Ok(found.map(|found| found.value))
}

/// Begins the catalogue, unless another host just did.
///
/// # Errors
/// The bucket fails.
pub(super) async fn begin(primary: &Bucket) -> Result<(), StorageError> {
    match manifest(primary).commit(0, &Catalogue::default()).await {
        Ok(_) | Err(StorageError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Changes the catalogue by a step that is applied to what is there now.
///
/// # Errors
/// The step's own problem, 409 when others change it all the time, or the bucket fails.
pub(super) async fn change(
    primary: &Bucket,
    step: impl Fn(&mut Catalogue) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let manifest = manifest(primary);
    let mut attempt = 0;
    loop {
        let found = manifest.load().await?;
        let version = found.as_ref().map_or(0, |found| found.version);
        let mut wanted = found.map(|found| found.value).unwrap_or_default();
        step(&mut wanted)?;
        attempt += 1;
        match manifest.commit(version, &wanted).await {
            Ok(version) => {
                prune(&manifest, version).await;
                return Ok(());
            }
            Err(StorageError::Conflict { .. }) if attempt < ATTEMPTS => {}
            Err(error) => return settle(&manifest, version, &wanted, error).await,
        }
    }
}

/// A commit that failed may have happened nevertheless.
async fn settle(
    manifest: &Manifest<Catalogue>,
    version: u64,
    wanted: &Catalogue,
    error: StorageError,
) -> Result<(), Problem> {
    match manifest.load().await {
        Ok(Some(found)) if found.version == version + 1 && found.value == *wanted => Ok(()),
        _ => Err(error.into()),
    }
}

async fn prune(manifest: &Manifest<Catalogue>, version: u64) {
    if !version.is_multiple_of(KEPT as u64) {
        return;
    }
    if let Err(error) = manifest.prune(KEPT).await {
        tracing::warn!(%error, "old catalogues of buckets are left over");
    }
}

fn manifest(primary: &Bucket) -> Manifest<Catalogue> {
    Manifest::new(primary.clone(), PREFIX)
}

#[cfg(test)]
mod tests {
    use boathouse_storage::BackendConfig;

    use super::*;

    fn config(name: &str) -> BucketConfig {
        BucketConfig {
            name: name.parse().expect("a name"),
            backend: BackendConfig::Local {
                root: format!("/srv/{name}").into(),
            },
        }
    }

    #[tokio::test]
    async fn changes_last_and_are_applied_to_what_others_left() {
        let primary = Bucket::memory(BucketName::primary());
        assert_eq!(load(&primary).await.expect("read"), None);
        begin(&primary).await.expect("begun");
        begin(&primary).await.expect("begun by another host");
        for name in ["one", "two"] {
            let entry = config(name);
            change(&primary, |all| all.add(&entry))
                .await
                .expect("added");
        }
        let again = change(&primary, |all| all.add(&config("one"))).await;
        assert_eq!(again.expect_err("taken").code, "bucket_exists");
        let gone = config("one").name;
        for _ in 0..2 {
            change(&primary, |all| {
                all.remove(&gone);
                Ok(())
            })
            .await
            .expect("removed");
        }
        let found = load(&primary).await.expect("read").expect("a catalogue");
        assert_eq!(found.buckets, [config("two")]);
    }

    #[tokio::test]
    async fn of_hosts_that_change_it_at_once_none_is_lost() {
        let primary = Bucket::memory(BucketName::primary());
        let changes = (0..12).map(|n| {
            let (primary, entry) = (primary.clone(), config(&format!("b{n}")));
            async move { change(&primary, |all| all.add(&entry)).await }
        });
        for done in futures::future::join_all(changes).await {
            done.expect("added");
        }
        let found = load(&primary).await.expect("read").expect("a catalogue");
        assert_eq!(found.buckets.len(), 12);
    }

    #[tokio::test]
    async fn a_catalogue_holds_references_and_no_secrets() {
        let primary = Bucket::memory(BucketName::primary());
        let text = r#"{"name":"far","backend":"s3","bucket":"b","access_key_id":"env:ID","secret_access_key":"file:/run/key"}"#;
        let entry: BucketConfig = serde_json::from_str(text).expect("a configuration");
        change(&primary, |all| all.add(&entry))
            .await
            .expect("added");
        let stored = primary.list(PREFIX).await.expect("listed");
        let bytes = primary.get(&stored[0].path).await.expect("read");
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        assert!(
            text.contains("env:ID") && text.contains("file:/run/key"),
            "{text}"
        );
    }
}
