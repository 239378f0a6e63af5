//! A view below a folder is a bucket like any other, and sees nothing beside it.

use boathouse_types::BucketName;
use bytes::Bytes;
use object_store::integration;

use super::*;
use crate::{BackendConfig, BucketConfig};

fn bucket() -> Bucket {
    Bucket::memory(BucketName::primary())
}

async fn paths(bucket: &Bucket, folder: &str) -> Vec<String> {
    let objects = bucket.list(folder).await.unwrap();
    objects.into_iter().map(|object| object.path).collect()
}

#[tokio::test]
async fn it_sees_its_folder_and_nothing_beside_it() {
    let bucket = bucket();
    let view = bucket.within("a").unwrap();
    for path in ["a/x/1", "a/2", "ab/3", "4"] {
        bucket.put(path, Bytes::from_static(b"1")).await.unwrap();
    }
    assert_eq!(paths(&view, "").await, ["2", "x/1"]);
    assert_eq!(paths(&view, "x").await, ["x/1"]);
    assert_eq!(view.children("").await.unwrap(), ["x"]);
    view.put_new("5", Bytes::new()).await.unwrap();
    assert!(view.put_new("2", Bytes::new()).await.is_err());
    view.delete("x/1").await.unwrap();
    assert_eq!(paths(&bucket, "").await, ["4", "a/2", "a/5", "ab/3"]);
    assert_eq!(paths(&bucket.within("").unwrap(), "").await.len(), 4);
    view.probe().await.unwrap();
    for folder in ["..", "/a", "a/../b", "a//b"] {
        assert!(bucket.within(folder).is_err(), "{folder}");
    }
}

#[tokio::test]
async fn a_folder_on_disk_that_was_emptied_is_no_child() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let backend = BackendConfig::Local { root };
    let name = BucketName::primary();
    let bucket = Bucket::open(&BucketConfig { name, backend }, &|_| None).unwrap();
    let view = bucket.within("a").unwrap();
    view.put("x/1", Bytes::new()).await.unwrap();
    assert_eq!(view.children("").await.unwrap(), ["x"]);
    view.delete("x/1").await.unwrap();
    assert!(view.children("").await.unwrap().is_empty());
    assert!(bucket.children("").await.unwrap().is_empty());
}

#[tokio::test]
async fn it_passes_the_conformance_suite_of_object_store() {
    let view = bucket().within("deep/down").unwrap();
    let store = view.store();
    integration::put_get_delete_list(store).await;
    integration::get_opts(store).await;
    integration::put_opts(store, true).await;
    integration::list_uses_directories_correctly(store).await;
    integration::list_with_delimiter(store).await;
    integration::rename_and_copy(store).await;
    integration::copy_if_not_exists(store).await;
    integration::copy_rename_nonexistent_object(store).await;
    integration::stream_get(store).await;
    integration::multipart_race_condition(store, true).await;
    integration::multipart_out_of_order(store).await;
}
