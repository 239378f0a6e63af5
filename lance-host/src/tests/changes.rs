//! Deleting, tagging, cleaning up, going back, writing at once, and buckets that fail.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    IVF_PQ, at, documents, filled, found, lance,
    memory::{Memory, Shared},
    nearest, places, thorough, vector,
};
use crate::{At, Error, Fold, Metric, Retention, Rows};

/// Everything but the current version and tagged ones.
fn all_but_the_last() -> Retention {
    Retention {
        keep: NonZeroUsize::MIN,
        since: SystemTime::UNIX_EPOCH + Duration::from_secs(100 * 365 * 86_400),
    }
}

#[tokio::test]
async fn deleted_documents_are_found_no_more_and_their_rows_go_with_compaction() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = filled(&lance, &place, 400).await;
        table.index(IVF_PQ).await.expect("index");
        let before = table.now();
        let gone: Vec<String> = (0..100).map(|number| format!("d{number}")).collect();
        assert_eq!(table.delete(&gone).await.expect("deleted"), 100);
        assert_eq!(table.delete(&gone).await.expect("deleted"), 0);
        assert_eq!(table.delete(&[]).await.expect("deleted"), 0);
        let expected = nearest(Metric::Cosine, 7, 100..400);
        assert_eq!(found(&table, thorough(7)).await, expected);
        assert!(table.now().document("d7").await.expect("read").is_empty());
        let stats = table.now().stats().await.expect("stats");
        assert_eq!((stats.rows, stats.deleted_rows), (300, 100));
        table.compact().await.expect("compacted");
        let stats = table.now().stats().await.expect("stats");
        assert_eq!((stats.rows, stats.deleted_rows), (300, 0));
        assert_eq!(found(&table, thorough(7)).await, expected);
        // A snapshot from before does not change.
        assert_eq!(before.rows().await.expect("rows"), 400);
        let hits = before.search(thorough(7)).await.expect("search").hits;
        assert_eq!(hits[0].doc_id, "d7");
    }
}

#[tokio::test]
async fn documents_are_found_by_the_b_tree_through_all_changes() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = filled(&lance, &place, 300).await;
        table.index(IVF_PQ).await.expect("index");
        let rows_of = async |id: &str| {
            let there = table.now().document(id).await.expect("read");
            there.iter().map(|one| one.row).collect::<Vec<_>>()
        };
        assert_eq!(rows_of("d42").await, [42]);
        table.delete(&["d42".to_owned()]).await.expect("delete");
        assert!(rows_of("d42").await.is_empty());
        assert_eq!(rows_of("d43").await, [43]);
        // The new ones are beside the B-tree, then a part of their own of it, and in the end all is one.
        let mut again = Rows::default();
        again.push("d42", 900, None, &vector(1));
        again.push("d42", 901, None, &vector(2));
        table.append(again).await.expect("append");
        assert_eq!(rows_of("d42").await, [900, 901]);
        for fold in [Fold::Append, Fold::Merge] {
            table.fold(fold).await.expect("fold");
            assert_eq!(rows_of("d42").await, [900, 901], "{fold:?}");
            assert_eq!(rows_of("d299").await, [299], "{fold:?}");
        }
        table.compact().await.expect("compact");
        table.fold(Fold::Merge).await.expect("fold");
        assert_eq!(rows_of("d42").await, [900, 901]);
        assert_eq!(rows_of("d43").await, [43]);
    }
}

#[tokio::test]
async fn many_small_files_become_few() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = filled(&lance, &place, 300).await;
        table.index(IVF_PQ).await.expect("index");
        for number in 300..310 {
            let one = documents(number, number + 1);
            table.append(one).await.expect("append");
        }
        let stats = table.now().stats().await.expect("stats");
        assert_eq!((stats.fragments, stats.rows), (11, 310));
        let digest = table.now().digest().await.expect("digest");
        table.compact().await.expect("compacted");
        let stats = table.now().stats().await.expect("stats");
        assert!(stats.fragments <= 2, "{stats:?}");
        assert_eq!(table.now().digest().await.expect("digest"), digest);
        assert_eq!(found(&table, thorough(305)).await[0], 305);
    }
}

#[tokio::test]
async fn a_tagged_version_outlives_a_cleanup_and_can_be_restored() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = filled(&lance, &place, 20).await;
        let served = table.now().version();
        table.tag("serving", served).await.expect("tagged");
        for number in 20..24 {
            let one = documents(number, number + 1);
            table.append(one).await.expect("append");
        }
        let removed = table.clean_up(all_but_the_last()).await.expect("cleaned");
        assert_eq!(removed.versions, 4);
        let left = table.versions().await.expect("versions");
        let left: Vec<_> = left
            .iter()
            .map(|version| (version.number, version.tags.join(" ")))
            .collect();
        let now = table.now().version();
        assert_eq!(left, [(served, "serving".to_owned()), (now, String::new())]);
        let served = At::Tag("serving".to_owned());
        let snapshot = table.now().at(served.clone()).await.expect("the tagged");
        assert_eq!(snapshot.rows().await.expect("rows"), 20);
        let restored = table.restore(snapshot.version()).await.expect("restored");
        assert_eq!(table.now().version(), restored);
        assert_eq!(table.now().rows().await.expect("rows"), 20);
        // The tag moves; then its old version goes.
        table.tag("serving", restored).await.expect("tagged");
        table.clean_up(all_but_the_last()).await.expect("cleaned");
        assert_eq!(table.versions().await.expect("versions").len(), 1);
        table.untag("serving").await.expect("untagged");
        assert!(matches!(table.untag("serving").await, Err(Error::NoTag)));
        assert!(matches!(
            table.tag("serving", 999).await,
            Err(Error::NoVersion)
        ));
        assert!(matches!(
            table.tag("a/b", restored).await,
            Err(Error::Refused(_))
        ));
        assert!(matches!(table.restore(999).await, Err(Error::NoVersion)));
    }
}

#[tokio::test]
async fn young_versions_and_the_last_ones_stay() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = filled(&lance, &place, 20).await;
        table.append(documents(20, 21)).await.expect("append");
        table.append(documents(21, 22)).await.expect("append");
        let young = Retention {
            since: SystemTime::UNIX_EPOCH,
            ..all_but_the_last()
        };
        assert_eq!(table.clean_up(young).await.expect("cleaned").versions, 0);
        let three = Retention {
            keep: NonZeroUsize::MIN.saturating_add(2),
            ..all_but_the_last()
        };
        assert_eq!(table.clean_up(three).await.expect("cleaned").versions, 1);
        assert_eq!(table.now().stats().await.expect("stats").versions, 3);
    }
}

#[tokio::test]
async fn appends_at_once_all_stay() {
    let memory = Memory::new();
    let folder = tempfile::tempdir().expect("folder");
    for in_folder in [true, false] {
        // Two hosts, as two processes would have.
        let tables = [lance(), lance()].map(|lance| {
            let place = if in_folder {
                lance.folder(folder.path()).expect("folder")
            } else {
                lance.bucket(Arc::new(Shared(Arc::clone(&memory))))
            };
            (lance, place)
        });
        let first = filled(&tables[0].0, &tables[0].1, 300).await;
        first.index(IVF_PQ).await.expect("index");
        let second = tables[1].0.open(&at(&tables[1].1)).await.expect("opened");
        let mut appends = Vec::new();
        for number in 0..4 {
            for (table, from) in [(&first, 1000), (&second, 2000)] {
                appends.push(table.append(documents(from + number, from + number + 1)));
            }
        }
        for appended in futures::future::join_all(appends).await {
            appended.expect("appended");
        }
        for table in [&first, &second] {
            table.refresh().await.expect("refreshed");
            assert_eq!(table.now().rows().await.expect("rows"), 308);
            for number in [1000, 1003, 2000, 2003] {
                assert_eq!(found(table, thorough(number)).await[0], number);
            }
        }
    }
}

#[tokio::test]
async fn a_bucket_that_fails_changes_nothing_and_is_named() {
    let lance = lance();
    let memory = Memory::new();
    let place = lance.bucket(Arc::new(Shared(Arc::clone(&memory))));
    let table = filled(&lance, &place, 50).await;
    let version = table.now().version();
    memory.fail(true);
    let failed = table.append(documents(50, 60)).await;
    assert!(matches!(failed, Err(Error::Storage(_))), "{failed:?}");
    let failed = lance.open(&at(&place)).await.map(|_| ());
    assert!(matches!(failed, Err(Error::Storage(_))), "{failed:?}");
    memory.fail(false);
    assert_eq!(table.now().version(), version);
    assert_eq!(table.now().rows().await.expect("rows"), 50);
    table.append(documents(50, 60)).await.expect("append");
    assert_eq!(table.now().rows().await.expect("rows"), 60);
}

#[tokio::test]
async fn rows_of_another_shape_are_refused_and_none_are_no_version() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = filled(&lance, &place, 5).await;
        let version = table.now().version();
        let mut short = Rows::default();
        short.push("short", 0, None, &[1.0, 2.0]);
        assert!(matches!(table.append(short).await, Err(Error::Invalid(_))));
        let nothing = table.append(Rows::default()).await;
        assert_eq!(nothing.expect("nothing to do"), version);
        assert_eq!(table.now().version(), version);
    }
}
