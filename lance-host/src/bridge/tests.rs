//! A bucket behind the bridge is a store as Lance expects one.

use object_store::{ObjectStoreExt, integration};

use super::*;
use crate::tests::memory::{Memory, Shared};

fn bridge() -> (Arc<Memory>, Bridge) {
    let memory = Memory::new();
    let objects = Shared(Arc::clone(&memory));
    (memory, Bridge::over(Arc::new(objects)))
}

#[tokio::test]
async fn it_passes_the_conformance_suite_of_stores() {
    let (_, store) = bridge();
    integration::put_get_delete_list(&store).await;
    integration::get_opts(&store).await;
    integration::put_opts(&store, false).await;
    integration::list_uses_directories_correctly(&store).await;
    integration::list_with_delimiter(&store).await;
    integration::list_with_offset_exclusivity(&store).await;
    integration::rename_and_copy(&store).await;
    integration::copy_if_not_exists(&store).await;
    integration::copy_rename_nonexistent_object(&store).await;
    integration::stream_get(&store).await;
}

#[tokio::test]
async fn listings_are_in_order_whatever_order_the_bucket_has() {
    let (_, store) = bridge();
    for name in ["v/3", "v/1", "v/20", "v/a/1", "w/1"] {
        let put = store.put(&Path::from(name), "x".into()).await;
        put.expect("put");
    }
    let folder = Path::from("v");
    let listed: Vec<ObjectMeta> = store.list(Some(&folder)).try_collect().await.expect("list");
    let names: Vec<_> = listed.iter().map(|meta| meta.location.as_ref()).collect();
    assert_eq!(names, ["v/1", "v/20", "v/3", "v/a/1"]);
    let children = store
        .list_with_delimiter(Some(&folder))
        .await
        .expect("list");
    let names: Vec<_> = children
        .objects
        .iter()
        .map(|meta| meta.location.as_ref())
        .collect();
    assert_eq!(names, ["v/1", "v/20", "v/3"]);
}

#[tokio::test]
async fn a_bucket_that_fails_is_said_with_its_own_error() {
    let (memory, store) = bridge();
    memory.fail(true);
    let path = Path::from("v/1");
    let failed = store.put(&path, "x".into()).await.expect_err("it fails");
    let source = std::error::Error::source(&failed).expect("a source");
    assert!(source.is::<ObjectError>(), "{source}");
    memory.fail(false);
    assert!(matches!(
        store.head(&path).await,
        Err(Error::NotFound { .. })
    ));
}

#[tokio::test]
async fn an_upload_ends_once() {
    let (_, store) = bridge();
    let path = Path::from("large");
    let options = PutMultipartOptions::default();
    let mut upload = store
        .put_multipart_opts(&path, options)
        .await
        .expect("begun");
    upload.put_part("ab".into()).await.expect("a part");
    upload.put_part("cd".into()).await.expect("a part");
    assert!(store.head(&path).await.is_err(), "not before its end");
    upload.complete().await.expect("complete");
    let bytes = store.get(&path).await.expect("there").bytes().await;
    assert_eq!(bytes.expect("bytes"), "abcd");
    assert!(upload.put_part("ef".into()).await.is_err());
    assert!(upload.complete().await.is_err());
    assert!(upload.abort().await.is_err());
}
