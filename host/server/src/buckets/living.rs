//! What lives in a bucket by its own word, for who is about to give it up.
//!
//! What the rooms show leaves out datasets that cannot be read, and what another host has made since this
//! one started. Here every manifest of the bucket itself is read, and one that cannot be read is a refusal.
//! Not counted is an index whose name is served from another bucket.

use boathouse_ingest::DatasetManifest;
use boathouse_storage::{Bucket, Manifest, StorageError};
use boathouse_types::{DatasetName, IndexName};
use serde::{Serialize, de::DeserializeOwned};

use super::view::Holds;
use crate::{app::App, indexes::IndexMeta, problem::Problem, problem::chain};

/// Looks at every manifest in a bucket.
///
/// # Errors
/// 409 `bucket_unreadable` for a manifest that is damaged or of a newer program; or the bucket fails.
pub(super) async fn look(app: &App, bucket: &Bucket) -> Result<Holds, Problem> {
    let mut holds = found(bucket).await.map_err(|error| match error {
        StorageError::Damaged { .. } | StorageError::NewerFormat { .. } => {
            unreadable(bucket, &error)
        }
        error => error.into(),
    })?;
    let elsewhere = |name: &IndexName| {
        let serving = app.indexes.get(name.as_str()).ok();
        serving.is_some_and(|index| index.meta.bucket != *bucket.name())
    };
    holds.indexes.retain(|name| !elsewhere(name));
    Ok(holds)
}

async fn found(bucket: &Bucket) -> Result<Holds, StorageError> {
    let mut holds = Holds::default();
    for child in bucket.children("datasets").await? {
        let Ok(name) = DatasetName::new(child) else {
            continue;
        };
        let manifest: Option<DatasetManifest> = newest(bucket, "datasets", name.as_str()).await?;
        let lives = |dataset: &DatasetManifest| {
            dataset.deleted_at.is_none() && dataset.bucket == *bucket.name()
        };
        holds.datasets.extend(manifest.filter(lives).map(|_| name));
    }
    for child in bucket.children("indexes").await? {
        let Ok(name) = IndexName::new(child) else {
            continue;
        };
        let manifest: Option<IndexMeta> = newest(bucket, "indexes", name.as_str()).await?;
        let lives = manifest.filter(|index| !index.deleted);
        holds.indexes.extend(lives.map(|_| name));
    }
    Ok(holds)
}

async fn newest<T: Serialize + DeserializeOwned>(
    bucket: &Bucket,
    folder: &str,
    name: &str,
) -> Result<Option<T>, StorageError> {
    let manifest = Manifest::new(bucket.clone(), format!("{folder}/{name}/manifest"));
    Ok(manifest.load().await?.map(|found| found.value))
}

fn unreadable(bucket: &Bucket, error: &StorageError) -> Problem {
    Problem::conflict(
        "bucket_unreadable",
        format!(
            "bucket `{}` cannot be removed, as it cannot be seen what lives there: {}",
            bucket.name(),
            chain(error)
        ),
    )
}

#[cfg(test)]
mod tests {
    use boathouse_types::BucketName;
    use serde_json::{Value, json};

    use super::*;

    async fn commit(bucket: &Bucket, prefix: &str, value: &Value) {
        let manifest = Manifest::<Value>::new(bucket.clone(), prefix);
        manifest.commit(0, value).await.expect("committed");
    }

    async fn dataset(bucket: &Bucket, name: &str, home: &str, deleted_at: Option<&str>) {
        let value = json!({
            "name": name, "bucket": home, "next_version": 2, "versions": [], "deleted_at": deleted_at
        });
        commit(bucket, &format!("datasets/{name}/manifest"), &value).await;
    }

    #[tokio::test]
    async fn what_lives_is_found_and_what_is_gone_or_only_copied_is_not() {
        let bucket = Bucket::memory(BucketName::new("archive").expect("a name"));
        assert!(found(&bucket).await.expect("looked").is_empty());
        dataset(&bucket, "here", "archive", None).await;
        dataset(&bucket, "copied", "primary", None).await;
        dataset(&bucket, "gone", "archive", Some("2026-01-01T00:00:00Z")).await;
        bucket
            .put("datasets/no name/x", "x".into())
            .await
            .expect("put");
        let holds = found(&bucket).await.expect("looked");
        assert_eq!(holds.to_string(), "the datasets here live there");
    }

    #[tokio::test]
    async fn a_manifest_that_cannot_be_read_hides_nothing() {
        let bucket = Bucket::memory(BucketName::new("archive").expect("a name"));
        let torn = "indexes/papers/manifest/00000000000000000001.json";
        bucket.put(torn, "{".into()).await.expect("torn");
        let error = found(&bucket).await.expect_err("torn");
        assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
        let told = unreadable(&bucket, &error).detail;
        assert!(told.contains(torn) && told.contains("archive"), "{told}");
    }
}
