//! Each plan does what it says and nothing else; without a fault the store is a faithful one.

use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, future};
use object_store::{ObjectStore, ObjectStoreExt, integration, memory::InMemory, path::Path};

use crate::{FaultyStore, Last, Plan};

fn faulty(plan: Plan) -> (Arc<InMemory>, FaultyStore) {
    let inner = Arc::new(InMemory::new());
    let store = FaultyStore::new(inner.clone(), plan);
    (inner, store)
}

async fn names(store: &dyn ObjectStore) -> Vec<String> {
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut names: Vec<_> = listed
        .into_iter()
        .map(|meta| meta.location.to_string())
        .collect();
    names.sort();
    names
}

async fn put(store: &dyn ObjectStore, path: &str) -> bool {
    store.put(&Path::from(path), "1".into()).await.is_ok()
}

#[tokio::test]
async fn without_a_fault_it_passes_the_conformance_suite_of_object_store() {
    for plan in [Plan::Never, Plan::StaleListings { behind: 0 }] {
        let (_, store) = faulty(plan);
        integration::put_get_delete_list(&store).await;
        integration::get_opts(&store).await;
        integration::put_opts(&store, true).await;
        integration::list_uses_directories_correctly(&store).await;
        integration::list_with_delimiter(&store).await;
        integration::rename_and_copy(&store).await;
        integration::copy_if_not_exists(&store).await;
        integration::copy_rename_nonexistent_object(&store).await;
        integration::stream_get(&store).await;
        integration::multipart_race_condition(&store, true).await;
        integration::multipart_out_of_order(&store).await;
        assert!(!store.stopped());
    }
}

#[tokio::test]
async fn it_stops_at_the_operation_and_stays_so() {
    for last in Last::BOTH {
        let (inner, store) = faulty(Plan::Stop { at: 1, last });
        assert!(put(&store, "a").await && !store.stopped());
        assert!(!put(&store, "b").await && store.stopped());
        assert!(!put(&store, "c").await);
        assert!(store.delete(&Path::from("a")).await.is_err());
        assert!(store.list(None).try_next().await.is_err());
        let expected: &[&str] = match last {
            Last::Lost => &["a"],
            Last::Done => &["a", "b"],
        };
        assert_eq!(names(&*inner).await, expected);
        assert_eq!(store.begun(), 5);
    }
}

#[tokio::test]
async fn a_single_failure_is_a_single_one() {
    for last in Last::BOTH {
        let (inner, store) = faulty(Plan::FailOnce { at: 1, last });
        let done = [
            put(&store, "a").await,
            put(&store, "b").await,
            put(&store, "c").await,
        ];
        assert_eq!(done, [true, false, true]);
        assert_eq!(
            names(&*inner).await.len(),
            if last == Last::Done { 3 } else { 2 }
        );
    }
}

#[tokio::test]
async fn a_read_that_is_cut_off_gives_half_an_answer() {
    let (inner, store) = faulty(Plan::Stop {
        at: 0,
        last: Last::Done,
    });
    for path in ["a", "b"] {
        inner.put(&Path::from(path), "1234".into()).await.unwrap();
    }
    let listed: Vec<_> = store.list(None).collect().await;
    assert_eq!(
        listed.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, true, false]
    );
    store.follow(Plan::Stop {
        at: 0,
        last: Last::Done,
    });
    let mut body = store.get(&Path::from("a")).await.unwrap().into_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), "12");
    assert!(body.next().await.unwrap().is_err());
}

#[tokio::test]
async fn a_store_can_be_switched_off_and_on() {
    let (_, store) = faulty(Plan::Never);
    for (plan, works) in [
        (Plan::DOWN, false),
        (Plan::Never, true),
        (Plan::DOWN, false),
    ] {
        store.follow(plan);
        assert_eq!(put(&store, "a").await, works);
        assert_eq!(store.begun(), 1);
    }
}

#[tokio::test]
async fn every_step_of_an_upload_counts() {
    for at in 0..4 {
        let (inner, store) = faulty(Plan::Stop {
            at,
            last: Last::Lost,
        });
        let upload = async {
            let mut upload = store.put_multipart(&Path::from("a")).await?;
            for part in ["1", "2"] {
                upload.put_part(Bytes::from(part).into()).await?;
            }
            upload.complete().await
        };
        assert!(upload.await.is_err() && store.stopped(), "{at}");
        assert!(names(&*inner).await.is_empty());
    }
}

#[tokio::test]
async fn a_stalled_operation_hangs_alone() {
    let (inner, store) = faulty(Plan::Stall { at: 1 });
    assert!(put(&store, "a").await);
    let hangs = Box::pin(put(&store, "b"));
    let future::Either::Right(((), hangs)) = future::select(hangs, Box::pin(store.reached())).await
    else {
        panic!("it answered");
    };
    assert!(put(&store, "c").await);
    assert!(hangs.now_or_never().is_none());
    assert_eq!(names(&*inner).await, ["a", "c"]);
}

#[tokio::test]
async fn stale_listings_show_what_was() {
    let (_, store) = faulty(Plan::StaleListings { behind: 2 });
    for path in ["x/a", "x/b", "x/c"] {
        assert!(put(&store, path).await);
    }
    assert_eq!(names(&store).await, ["x/a"]);
    store.delete(&Path::from("x/a")).await.unwrap();
    // Undone: the deletion of `a` and the creation of `c`.
    assert_eq!(names(&store).await, ["x/a", "x/b"]);
    assert!(store.get(&Path::from("x/a")).await.is_err());
    assert!(store.get(&Path::from("x/c")).await.is_ok());
    let level = store.list_with_delimiter(None).await.unwrap();
    assert_eq!(level.common_prefixes, [Path::from("x")]);
    let level = store
        .list_with_delimiter(Some(&Path::from("x")))
        .await
        .unwrap();
    assert_eq!(level.objects.len(), 2);
}
