//! Reading by name, by number, and what cannot be read; and the catalogue around it.

use boathouse_storage::BucketRegistry;
use boathouse_types::{BucketName, ManualClock};
use futures::TryStreamExt;
use serde_json::json;

use super::*;
use crate::{
    Datasets, IngestMode,
    testing::{World, dataset},
};

async fn world() -> World {
    let world = World::new();
    let lines = "{\"a\": \"x\", \"n\": 1, \"j\": {\"k\": [1]}}\n{\"a\": null, \"n\": 2}\n";
    world
        .ingest(lines, "1.jsonl", IngestMode::Replace)
        .await
        .unwrap();
    world
        .ingest(
            "{\"n\": 3}\n{\"a\": \"y\"}\n",
            "2.jsonl",
            IngestMode::Append,
        )
        .await
        .unwrap();
    world
}

async fn open(world: &World) -> Dataset {
    world.context.datasets.open(&dataset(), None).await.unwrap()
}

#[tokio::test]
async fn rows_are_found_across_files_in_any_order() {
    let open = open(&world().await).await;
    let taken = open.take(&[3, 0, 3, 2], &["n", "a"]).await.unwrap();
    let y = json!({"a": "y", "n": null});
    assert_eq!(
        taken,
        [
            y.clone(),
            json!({"a": "x", "n": 1}),
            y,
            json!({"a": null, "n": 3})
        ]
    );
    assert_eq!(open.take(&[], &[]).await.unwrap(), [json!(null); 0]);
    let first = open.take(&[0], &["j"]).await.unwrap();
    assert_eq!(first, [json!({"j": {"k": [1]}})]);
}

#[tokio::test]
async fn pages_end_where_the_rows_end() {
    let open = open(&world().await).await;
    let page = open.rows(3, 10).await.unwrap();
    assert_eq!((page.total, page.rows.len(), page.version), (4, 1, 2));
    assert!(open.rows(u64::MAX, 10).await.unwrap().rows.is_empty());
    assert!(open.rows(0, 0).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn scans_keep_order_names_and_nulls() {
    let open = open(&world().await).await;
    let batches: Vec<_> = open.scan(&["n", "a"]).unwrap().try_collect().await.unwrap();
    assert_eq!(batches[0].schema().field(0).name(), "n");
    let texts: Vec<StringArray> = open.scan_text("a").unwrap().try_collect().await.unwrap();
    let texts: Vec<_> = texts
        .iter()
        .flatten()
        .map(|text| text.map(str::to_owned))
        .collect();
    assert_eq!(
        texts,
        [Some("x".to_owned()), None, None, Some("y".to_owned())]
    );
    assert_eq!(open.schema().await.unwrap().fields().len(), 3);
}

#[tokio::test]
async fn a_scan_begins_where_an_appended_version_begins() {
    let open = open(&world().await).await;
    let rows = |first| {
        let scan = open.scan_from(first, &["n"]);
        async move {
            let batches: Vec<_> = scan?.try_collect().await?;
            Ok::<usize, IngestError>(batches.iter().map(RecordBatch::num_rows).sum())
        }
    };
    assert_eq!(rows(0).await.unwrap(), 4);
    assert_eq!(rows(2).await.unwrap(), 2);
    assert_eq!(rows(4).await.unwrap(), 0);
    for row in [1, 5] {
        let refused = rows(row).await.unwrap_err();
        assert!(matches!(refused, IngestError::RowOutOfRange { .. }));
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let open = open(&world().await).await;
    let error = open.scan(&["b"]).err().unwrap().to_string();
    assert_eq!(
        error,
        "dataset `people` has no column `b`; it has `a`, `n`, `j`"
    );
    let error = open.scan_text("n").err().unwrap().to_string();
    assert_eq!(error, "column `n` of dataset `people` is Int64, not text");
    let error = open.take(&[4], &[]).await.unwrap_err().to_string();
    assert_eq!(error, "row 4 is out of range: dataset `people` has 4 rows");
}

#[tokio::test]
async fn a_lost_or_damaged_file_is_an_error() {
    let world = world().await;
    let open = open(&world).await;
    let damaged = &open.files()[0];
    let zeros = vec![0; usize::try_from(damaged.bytes).unwrap()];
    world.bucket.put(&damaged.path, zeros.into()).await.unwrap();
    assert!(matches!(
        open.take(&[0], &[]).await,
        Err(IngestError::Damaged { .. })
    ));
    world.bucket.delete(&open.files()[1].path).await.unwrap();
    assert!(open.take(&[3], &[]).await.is_err());
}

#[tokio::test]
async fn a_deleted_dataset_is_gone_and_its_numbers_stay_used() {
    let world = world().await;
    let datasets = &world.context.datasets;
    assert_eq!(datasets.list().await.unwrap().len(), 1);
    datasets.delete(&dataset()).await.unwrap();
    assert!(datasets.list().await.unwrap().is_empty());
    assert!(matches!(
        datasets.get(&dataset()).await,
        Err(IngestError::DatasetNotFound(_))
    ));
    assert!(matches!(
        datasets.delete(&dataset()).await,
        Err(IngestError::DatasetNotFound(_))
    ));
    assert!(world.paths("datasets/people/data").await.is_empty());
    let again = world
        .ingest("a\n1\n", "3.csv", IngestMode::Append)
        .await
        .unwrap();
    assert_eq!((again.version.version, again.version.rows), (3, 1));
}

#[tokio::test]
async fn a_dataset_has_one_home() {
    let other = Bucket::memory(BucketName::new("other").unwrap());
    let mirror = Bucket::memory(BucketName::rescue());
    let buckets = Arc::new(BucketRegistry::new());
    for bucket in [
        Bucket::memory(BucketName::primary()),
        other.clone(),
        mirror.clone(),
    ] {
        buckets.insert(bucket).unwrap();
    }
    let datasets = Datasets::new(buckets, Arc::new(ManualClock::default()));
    let mut world = World::new();
    world.context.datasets = datasets.clone();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"a\n1\n").unwrap();
    let mut request = crate::IngestRequest {
        dataset: dataset(),
        bucket: Some(other.name().clone()),
        input: crate::FileInput::Path(file.path().to_owned()),
        label: "a.csv".to_owned(),
        format: None,
        mode: IngestMode::Replace,
        system: "file",
        digest: None,
        options: crate::FileOptions::default(),
    };
    let run =
        |request| crate::ingest_file(&world.context, request, Arc::default(), Default::default());
    assert_eq!(run(request.clone()).await.unwrap().bucket, *other.name());
    request.bucket = None;
    assert_eq!(run(request.clone()).await.unwrap().version.version, 2);
    request.bucket = Some(BucketName::primary());
    assert!(matches!(
        run(request).await,
        Err(IngestError::LivesElsewhere { .. })
    ));
    // A mirrored manifest is no second dataset.
    for object in other.list("datasets").await.unwrap() {
        mirror
            .put(&object.path, other.get(&object.path).await.unwrap())
            .await
            .unwrap();
    }
    datasets.delete(&dataset()).await.unwrap();
    assert!(datasets.list().await.unwrap().is_empty());
    assert!(datasets.get(&dataset()).await.is_err());
}

#[tokio::test]
async fn stored_rows_are_sampled_as_far_as_told() {
    let open = open(&world().await).await;
    let sample = open.sample(u64::MAX).await.unwrap();
    assert_eq!(sample.name, "people");
    let a = sample.columns.iter().find(|column| column.name == "a");
    let a = a.unwrap();
    assert_eq!((a.rows, a.nulls), (4, 2));
    assert_eq!(a.values, [("x".to_owned(), 1), ("y".to_owned(), 1)]);
    let start = open.sample(1).await.unwrap();
    assert_eq!(start.columns[0].rows, 2, "the batch is read to its end");
    assert_eq!(open.sample(0).await.unwrap().columns[0].rows, 0);
}

#[tokio::test]
async fn rows_whose_file_is_gone_are_told_with_a_cure() {
    let open = open(&world().await).await;
    for object in open.bucket().list("datasets").await.unwrap() {
        if object.path.ends_with(".parquet") {
            open.bucket().delete(&object.path).await.unwrap();
        }
    }
    let error = open.take(&[0], &["a"]).await.unwrap_err();
    assert!(matches!(error, IngestError::Damaged { .. }), "{error}");
    let told = error.to_string();
    assert!(told.contains("ingest the dataset anew"), "{told}");
}
