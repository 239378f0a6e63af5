//! Which manifest decides, and that nothing is touched that is none of the index's past.

use super::{
    super::{
        delete,
        testing::{
            bucket_name, build, copy_of, hits, memory, meta, name, objects_in, opened,
            opened_alone, options, promote,
        },
    },
    *,
};

/// A manifest in a bucket of that name, made by changing that of a new index.
fn found(bucket: &str, change: impl FnOnce(&mut IndexMeta)) -> Found {
    let bucket = memory(bucket);
    let mut meta = meta(&bucket, "first");
    change(&mut meta);
    Found::new(&bucket, 1, meta)
}

fn winner(all: &[Found]) -> Option<&str> {
    decides(all).map(|found| found.bucket.name().as_str())
}

#[test]
fn the_greatest_generation_of_an_index_decides_also_as_a_tombstone() {
    let old = || found("primary", |meta| meta.moving_to = Some(bucket_name("cold")));
    let new = |deleted| {
        found("cold", |meta| {
            meta.home_generation = 1;
            meta.deleted = deleted;
        })
    };
    assert_eq!(winner(&[old()]), Some("primary"));
    assert_eq!(winner(&[old(), new(false)]), Some("cold"));
    let dead = [old(), new(true)];
    assert_eq!(winner(&dead), Some("cold"));
    assert!(!decides(&dead).unwrap().is_alive(&dead));
    assert_eq!(winner(&[]), None);
}

#[test]
fn of_equal_generations_the_living_then_primary_then_the_name_decide() {
    let at = |bucket: &str, vectors: &str, deleted| {
        found(bucket, |meta| {
            meta.vectors_path = vectors.to_owned();
            meta.deleted = deleted;
        })
    };
    assert_eq!(
        winner(&[at("a", "1", true), at("b", "2", false)]),
        Some("b")
    );
    assert_eq!(
        winner(&[at("a", "1", false), at("primary", "2", false)]),
        Some("primary")
    );
    assert_eq!(
        winner(&[at("b", "1", false), at("a", "2", false)]),
        Some("a")
    );
}

#[test]
fn a_tombstone_of_another_index_hides_nothing() {
    let tombstone = found("cold", |meta| {
        meta.vectors_path = "other".to_owned();
        meta.home_generation = 7;
        meta.deleted = true;
    });
    assert_eq!(
        winner(&[found("primary", |_| ()), tombstone]),
        Some("primary")
    );
}

#[test]
fn what_moved_to_a_bucket_that_has_another_one_since_is_not_served_again() {
    let left = || found("primary", |meta| meta.moving_to = Some(bucket_name("cold")));
    let since = |deleted| {
        found("cold", |meta| {
            meta.vectors_path = "other".to_owned();
            meta.home_generation = 2;
            meta.deleted = deleted;
        })
    };
    assert_eq!(winner(&[left(), since(false)]), Some("cold"));
    let dead = [left(), since(true)];
    assert!(!decides(&dead).unwrap().is_alive(&dead));
}

#[test]
fn a_copy_of_a_whole_bucket_says_nothing_of_moves() {
    let all = [
        found("backup", |meta| {
            meta.bucket = bucket_name("primary");
            meta.moving_to = Some(bucket_name("cold"));
        }),
        found("cold", |meta| meta.home_generation = 1),
    ];
    assert_eq!(winner(&all), Some("cold"));
    assert!(all[0].is_alive(&all));
    assert!(matches!(all[0].fate(&all), Fate::Keep));
}

/// Everything in a bucket, with its bytes.
async fn content(bucket: &Bucket) -> Vec<(String, bytes::Bytes)> {
    let mut all = Vec::new();
    for object in bucket.list("").await.unwrap() {
        let bytes = bucket.get(&object.path).await.unwrap();
        all.push((object.path, bytes));
    }
    all
}

#[tokio::test]
async fn strangers_are_reported_and_left_as_they_are() {
    let primary = memory("primary");
    build(&primary, "first").await;
    let backup = copy_of(&primary, "backup").await;
    let foreign = memory("foreign");
    build(&foreign, "second").await;
    let before = [content(&backup).await, content(&foreign).await];
    let buckets = [primary.clone(), backup.clone(), foreign.clone()];
    settle(&buckets, &name()).await.unwrap();
    assert!(is_settled(&buckets, &name()).await.unwrap());
    assert_eq!([content(&backup).await, content(&foreign).await], before);

    let indexes = opened(&[&primary, &backup, &foreign]).await;
    assert_eq!(indexes.list()[0].meta.bucket, *primary.name());
    let reported = indexes.broken();
    assert_eq!(reported.len(), 2, "{reported:?}");
    assert!(reported[0].1.contains("`backup`"), "{reported:?}");
    assert_eq!(indexes.in_bucket(backup.name()), []);
    indexes.buckets.remove(backup.name()).unwrap();
    indexes.close_bucket(backup.name(), &options()).await;
    assert_eq!((indexes.broken().len(), indexes.list().len()), (1, 1));
    indexes.buckets.remove(primary.name()).unwrap();
    indexes.close_bucket(primary.name(), &options()).await;
    assert_eq!(indexes.list()[0].meta.bucket, *foreign.name());
    assert_eq!(indexes.broken(), []);
    indexes.buckets.remove(foreign.name()).unwrap();
    indexes.close_bucket(foreign.name(), &options()).await;
    assert!(indexes.list().is_empty() && indexes.broken().is_empty());
}

#[tokio::test]
async fn a_deleted_index_stays_deleted_whatever_turns_up() {
    let (primary, cold) = (memory("primary"), memory("cold"));
    build(&primary, "first").await;
    let old = Found::confirm(&primary, &name()).await.unwrap().unwrap();
    let moving = IndexMeta {
        moving_to: Some(cold.name().clone()),
        ..old.meta.clone()
    };
    old.replace(&moving).await.unwrap();
    let arrived = copy_of(&primary, "cold").await;
    for version in arrived.list("indexes/papers/manifest").await.unwrap() {
        arrived.delete(&version.path).await.unwrap();
    }
    let there = IndexMeta {
        bucket: cold.name().clone(),
        home_generation: 1,
        moving_to: None,
        ..moving
    };
    manifest(&arrived, &name()).commit(0, &there).await.unwrap();

    // `primary` does not answer at first; the index is deleted where it is.
    let indexes = opened(&[&arrived]).await;
    indexes.delete("papers").await.unwrap();
    assert_eq!(objects_in(&arrived).await, [""; 0]);
    indexes.open_bucket(&primary, &options()).await;
    assert!(indexes.list().is_empty() && indexes.broken().is_empty());
    settle(&[primary.clone(), arrived.clone()], &name())
        .await
        .unwrap();
    assert_eq!(objects_in(&primary).await, [""; 0]);
    assert!(opened(&[&primary, &arrived]).await.list().is_empty());
    let next = next_generation(&[primary, arrived], &name()).await;
    assert_eq!(next, 2);
}

#[tokio::test]
async fn an_index_in_service_follows_what_a_bucket_says_that_is_back() {
    let (primary, cold) = (memory("primary"), memory("cold"));
    build(&primary, "first").await;
    let indexes = opened(&[&primary]).await;
    let before = indexes.list().remove(0);
    let arrived = copy_of(&primary, "cold").await;
    let there = IndexMeta {
        bucket: cold.name().clone(),
        home_generation: 1,
        ..before.meta.clone()
    };
    manifest(&arrived, &name()).commit(1, &there).await.unwrap();
    indexes.open_bucket(&arrived, &options()).await;
    let after = indexes.list().remove(0);
    assert_eq!(after.meta.bucket, *cold.name());
    assert_eq!(hits(&after), hits(&before));
    assert!(std::ptr::eq(&*before.data.vectors, &*after.data.vectors));
}

#[tokio::test]
async fn an_index_whose_bucket_does_not_answer_is_missed_and_not_forgotten() {
    let (primary, cold) = (memory("primary"), memory("cold"));
    build(&primary, "first").await;
    let old = Found::confirm(&primary, &name()).await.unwrap().unwrap();
    old.bury(Some(cold.name().clone())).await.unwrap();
    let before = objects_in(&primary).await;
    settle(std::slice::from_ref(&primary), &name())
        .await
        .unwrap();
    assert_eq!(
        objects_in(&primary).await,
        before,
        "its new home may lack them"
    );
    let indexes = opened(&[&primary]).await;
    assert!(indexes.list().is_empty());
    assert!(indexes.broken()[0].1.contains("`cold`"));
    assert_eq!(indexes.in_bucket(cold.name()), [name()]);
    let refused = indexes.delete("papers").await.unwrap_err();
    assert_eq!(refused.code, "bucket_unhealthy");
}

#[tokio::test]
async fn an_index_that_went_where_no_bucket_is_can_be_given_up() {
    let (primary, away) = (memory("primary"), bucket_name("away"));
    build(&primary, "first").await;
    let old = Found::confirm(&primary, &name()).await.unwrap().unwrap();
    old.bury(Some(away.clone())).await.unwrap();
    let indexes = opened_alone(&[&primary]).await;
    let why = indexes.get("papers").err().unwrap().detail;
    assert!(
        why.contains("`away`, which is not registered") && why.contains("delete"),
        "{why}"
    );
    indexes.delete("papers").await.unwrap();
    assert_eq!(indexes.broken(), []);
    assert_eq!(indexes.in_bucket(&away), []);
    let mark = Found::confirm(&primary, &name()).await.unwrap().unwrap();
    assert!(mark.meta.deleted && mark.meta.moved_to.is_none());
    assert!(indexes.settle(&name()).await);
    assert_eq!(objects_in(&primary).await, [""; 0]);
    assert_eq!(opened_alone(&[&primary]).await.broken(), []);

    // Where it is after all, it decides over what was given up.
    let elsewhere = memory("elsewhere");
    let there = IndexMeta {
        bucket: elsewhere.name().clone(),
        home_generation: 2,
        ..old.meta
    };
    let all = [Found::new(&elsewhere, 1, there), mark];
    assert_eq!(winner(&all), Some("elsewhere"));
}

#[tokio::test]
async fn an_index_whose_objects_come_late_serves_when_it_is_tried_again() {
    let (primary, cold) = (memory("primary"), memory("cold"));
    build(&primary, "first").await;
    let mark = Found::confirm(&primary, &name()).await.unwrap().unwrap();
    let vectors = primary.get(&mark.meta.vectors_path).await.unwrap();
    primary.delete(&mark.meta.vectors_path).await.unwrap();
    let indexes = opened(&[&primary]).await;
    indexes.try_again(&options()).await;
    assert_eq!((indexes.list().len(), indexes.broken().len()), (0, 1));
    primary.put(&mark.meta.vectors_path, vectors).await.unwrap();
    indexes.try_again(&options()).await;
    assert_eq!((indexes.list().len(), indexes.broken().len()), (1, 0));

    // The same where not even a manifest was there.
    let arrived = copy_of(&primary, "cold").await;
    mark.bury(Some(cold.name().clone())).await.unwrap();
    let indexes = opened(&[&primary, &cold]).await;
    assert_eq!((indexes.list().len(), indexes.broken().len()), (0, 1));
    for object in arrived.list("").await.unwrap() {
        let bytes = arrived.get(&object.path).await.unwrap();
        cold.put(&object.path, bytes).await.unwrap();
    }
    let there = IndexMeta {
        bucket: cold.name().clone(),
        home_generation: 1,
        ..mark.meta
    };
    manifest(&cold, &name()).commit(1, &there).await.unwrap();
    indexes.try_again(&options()).await;
    assert_eq!(indexes.list()[0].meta.bucket, *cold.name());
    assert_eq!(indexes.broken(), []);
}

#[tokio::test]
async fn who_finds_an_index_busy_is_told_what_may_be_going_on() {
    let primary = memory("primary");
    build(&primary, "first").await;
    let index = opened(&[&primary]).await.list().remove(0);
    let _turn = index.take_turn().unwrap();
    let busy = index.take_turn().unwrap_err();
    for word in ["merge or a move", "agent", "boathouse task list"] {
        assert!(busy.detail.contains(word), "{}", busy.detail);
    }
}

#[tokio::test]
async fn an_index_that_was_opened_from_older_copies_catches_up_with_its_home() {
    let primary = memory("primary");
    build(&primary, "first").await;
    let indexes = opened(&[&primary]).await;
    let before = indexes.list().remove(0);
    let gone = "doc-7".to_owned();
    assert!(hits(&before).contains(&gone));
    // What the copies lacked.
    let elsewhere = opened(&[&primary]).await;
    let there = elsewhere.list().remove(0);
    let deleted = delete::land(&elsewhere, &there, std::slice::from_ref(&gone)).await;
    deleted.unwrap();
    promote(&there.tuner, "t1").await;

    indexes.open_bucket(&primary, &options()).await;
    let after = indexes.list().remove(0);
    assert!(!hits(&after).contains(&gone));
    assert_eq!(after.serving().served.trial.as_deref(), Some("t1"));
    assert!(std::ptr::eq(&*before.data.vectors, &*after.data.vectors));
    // A moment when nothing has happened changes nothing.
    indexes.open_bucket(&primary, &options()).await;
    let again = indexes.list().remove(0);
    assert!(std::sync::Arc::ptr_eq(&again, &after));
}
