//! Appends and merges that end at any operation, and what the next start makes of them.

use std::sync::atomic::{AtomicBool, Ordering};

use boathouse_faults::{Last, Plan};
use boathouse_storage::Bucket;
use boathouse_tuning::EvalSetName;
use boathouse_types::ManualClock;
use futures::FutureExt as _;
use serde_json::json;

use super::{
    super::testing::{
        Quiet, ROWS, TAIL, build, copy_of, faulty, hits, memory, meta, mirrored, name, objects_in,
        opened, vectors,
    },
    *,
};
use crate::tasks::Tasks;

mod damage;
mod heal;
mod model;

/// Rows that an append adds.
const MORE: u16 = 3;

fn only(indexes: &Indexes) -> Arc<LiveIndex> {
    let list = indexes.list();
    assert_eq!(list.len(), 1, "{:?}", indexes.broken());
    list[0].clone()
}

/// What version 3 of the dataset adds.
fn added() -> Added {
    let first = ROWS + TAIL;
    Added {
        table: vectors(first..first + MORE),
        dataset_version: 3,
        rows: (first + MORE + 1).into(),
        skipped: 1,
        emptied: BTreeSet::new(),
    }
}

/// The same, where the row without text has the id of a document.
fn emptying(ids: &[&str]) -> Added {
    Added {
        emptied: ids.iter().map(|id| (*id).to_owned()).collect(),
        ..added()
    }
}

/// Runs work that is part of a task.
async fn as_task<W>(work: impl FnOnce(TaskContext) -> W) -> Result<(), Problem>
where
    W: Future<Output = Result<Value, Problem>> + Send + 'static,
{
    let tasks = Tasks::new(Arc::new(ManualClock::at(1_800_000_000_000)));
    tasks.run("merge", "papers", work).await.map(drop)
}

async fn merged(indexes: Indexes) -> Result<(), Problem> {
    as_task(|task| async move {
        let index = indexes.in_step(&name()).await?;
        merge::merge(&indexes, &index, &task).await
    })
    .await
}

/// Ids of everything that is searched, sorted.
fn everything(index: &LiveIndex) -> Vec<String> {
    let base = index.doc_ids.iter().enumerate();
    let base = base
        .filter(|(row, _)| !index.tail.hides(*row))
        .map(|(_, id)| id.to_owned());
    let parts = index.tail.parts().iter().enumerate();
    let parts = parts.flat_map(|(at, part)| {
        let rows = part.doc_ids.iter().enumerate();
        rows.filter(move |(row, _)| !index.tail.hides_in(at, *row))
            .map(|(_, id)| id.to_owned())
    });
    let mut all: Vec<String> = base.chain(parts).collect();
    all.sort();
    all
}

fn documents(rows: u16) -> Vec<String> {
    let mut all: Vec<String> = (0..rows).map(|row| format!("doc-{row}")).collect();
    all.sort();
    all
}

/// Checks that an index holds each row of the version that it says to cover once, and none else.
fn check_whole(index: &LiveIndex, when: &str) {
    let rows = match index.meta.covered_version() {
        2 => ROWS + TAIL,
        3 => ROWS + TAIL + MORE,
        other => panic!("version {other} {when}"),
    };
    assert_eq!(everything(index), documents(rows), "{when}");
    assert_eq!(index.vectors(), usize::from(rows), "{when}");
}

/// The objects of vectors that the manifest names, and those that lie there.
async fn named_and_stored(bucket: &Bucket) -> (Vec<String>, Vec<String>) {
    let found = Found::confirm(bucket, &name()).await.unwrap().unwrap();
    let mut named: Vec<String> = found
        .meta
        .vector_objects()
        .map(|(path, _)| path.to_owned())
        .collect();
    named.sort();
    let mut stored = objects_in(bucket).await;
    stored.retain(|path| path.contains("/vectors/"));
    stored.sort();
    (named, stored)
}

fn plans(at: usize) -> [Plan; 4] {
    let [lost, done] = Last::BOTH;
    [
        Plan::Stop { at, last: lost },
        Plan::Stop { at, last: done },
        Plan::FailOnce { at, last: lost },
        Plan::FailOnce { at, last: done },
    ]
}

#[tokio::test]
async fn an_append_is_searched_at_once_and_after_a_start() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = opened(&[&bucket]).await;
    let before = only(&indexes);
    let after = land(&indexes, &before, added()).await.unwrap();
    check_whole(&after, "at once");
    check_whole(&before, "who began before finds what was there");
    assert!(Arc::ptr_eq(&before.serving(), &after.serving()));
    assert_eq!(after.meta.covered_rows(), u64::from(ROWS + TAIL + MORE + 1));
    let view = after.view();
    assert_eq!(
        (view.tail_vectors, view.skipped_rows),
        (u64::from(TAIL + MORE), 1)
    );
    let reopened = only(&opened(&[&bucket]).await);
    check_whole(&reopened, "after a start");
    assert_eq!(hits(&reopened), hits(&after));
}

#[tokio::test]
async fn an_append_without_text_covers_its_version_and_stores_nothing() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = opened(&[&bucket]).await;
    let before = objects_in(&bucket).await.len();
    let added = Added {
        table: vectors(0..0),
        dataset_version: 7,
        rows: 90,
        skipped: 26,
        emptied: BTreeSet::new(),
    };
    let after = land(&indexes, &only(&indexes), added).await.unwrap();
    assert_eq!(
        (after.meta.covered_version(), after.meta.covered_rows()),
        (7, 90)
    );
    assert_eq!(objects_in(&bucket).await.len(), before);
}

/// Documents of version 3 without some.
fn documents_without(gone: &[&str]) -> Vec<String> {
    let mut all = documents(ROWS + TAIL + MORE);
    all.retain(|id| !gone.contains(&id.as_str()));
    all
}

#[tokio::test]
async fn a_row_without_text_takes_its_document_away_for_good() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = opened(&[&bucket]).await;
    let version = async || {
        let found = Found::confirm(&bucket, &name()).await.unwrap();
        found.unwrap().version
    };
    let before = version().await;
    let added = emptying(&["doc-5", "doc-61", "nobody"]);
    let after = land(&indexes, &only(&indexes), added).await.unwrap();
    assert_eq!(
        version().await,
        before + 1,
        "rows and tombstones are one commit"
    );
    let expected = documents_without(&["doc-5", "doc-61"]);
    assert_eq!(everything(&after), expected);
    let view = after.view();
    assert_eq!((view.vectors as usize, view.deleted), (expected.len(), 2));
    let reopened = opened(&[&bucket]).await;
    assert_eq!(everything(&only(&reopened)), expected, "after a start");
    merged(reopened).await.unwrap();
    let indexes = opened(&[&bucket]).await;
    assert_eq!(everything(&only(&indexes)), expected, "merged");
    assert_eq!(only(&indexes).tail.rows(), 0);

    // A row with text brings it back.
    let mut again = Added {
        table: vectors(0..0),
        dataset_version: 4,
        rows: u64::from(ROWS + TAIL + MORE) + 2,
        skipped: 0,
        emptied: BTreeSet::new(),
    };
    let (vector, row) = (vectors(5..6), again.rows - 1);
    let vector = vector.vectors().next().unwrap();
    again.table.push("doc-5", row, vector).unwrap();
    let back = land(&indexes, &only(&indexes), again).await.unwrap();
    assert_eq!(everything(&back), documents_without(&["doc-61"]));
    assert_eq!(back.view().deleted, 1);
}

#[tokio::test]
async fn an_append_with_tombstones_is_there_whole_or_not_at_all() {
    let origin = memory("primary");
    build(&origin, "first").await;
    let gone = ["doc-5", "doc-61"];
    let (none, whole) = (documents(ROWS + TAIL), documents_without(&gone));
    let mut at = 0;
    loop {
        let mut met = false;
        for plan in plans(at) {
            let bucket = copy_of(&origin, "primary").await;
            let (view, store) = faulty(&bucket, Plan::Never);
            let indexes = opened(&[&view]).await;
            store.follow(plan);
            let landed = land(&indexes, &only(&indexes), emptying(&gone)).await;
            met |= store.stopped();
            let when = format!("{plan:?}: {:?}", landed.as_ref().err());
            let found = everything(&only(&opened(&[&bucket]).await));
            assert!(found == whole || landed.is_err() && found == none, "{when}");
        }
        if !met {
            break;
        }
        at += 1;
    }
    assert!(at > 4, "{at} operations");
}

#[tokio::test]
async fn a_deletion_while_rows_are_embedded_and_their_tombstones_are_both_kept() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = opened(&[&bucket]).await;
    let before = only(&indexes);
    delete::land(&indexes, &before, &["doc-1".to_owned()])
        .await
        .unwrap();
    // Which knows of no deletion.
    let after = land(&indexes, &before, emptying(&["doc-5"])).await.unwrap();
    let expected = documents_without(&["doc-1", "doc-5"]);
    assert_eq!(everything(&after), expected);
    assert_eq!(everything(&only(&opened(&[&bucket]).await)), expected);
}

#[tokio::test]
async fn a_rebuild_begins_with_what_a_merge_has_left() {
    let host = Quiet::open().await;
    let rows = "id,text\n1,ships in the harbour\n2,baking bread\n";
    host.ingest("notes", "replace", rows).await;
    let old = host.index("notes").await;
    let app = Arc::clone(&host.app);
    let index = delete::land(&app.indexes, &old, &["1".to_owned()])
        .await
        .unwrap();
    let worker = Arc::clone(&app);
    as_task(|task| async move { merge::merge(&worker.indexes, &index, &task).await })
        .await
        .unwrap();
    assert_ne!(
        app.indexes.get("notes").unwrap().data.data_version,
        old.data.data_version
    );
    // It was asked for while the merge was under way.
    let worker = Arc::clone(&app);
    let rebuilt = as_task(|task| async move {
        let rebuilt = merge::rebuild(&worker, &old, &task).await;
        rebuilt.map(|()| Value::Null)
    });
    rebuilt.await.unwrap();
    let index = app.indexes.get("notes").unwrap();
    assert_eq!(everything(&index), ["2"]);
    assert_eq!(index.view().deleted, 1);
}

#[tokio::test]
async fn of_two_appends_of_one_version_one_counts() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let (here, there) = (opened(&[&bucket]).await, opened(&[&bucket]).await);
    let (ours, theirs) = (only(&here), only(&there));
    let (one, other) = tokio::join!(land(&here, &ours, added()), land(&there, &theirs, added()));
    let refused =
        [&one, &other].map(|landed| landed.as_ref().err().map(|problem| problem.code.clone()));
    let expected = Some("changed_meanwhile".to_owned());
    assert!(
        refused == [None, expected.clone()] || refused == [expected, None],
        "{refused:?}"
    );
    let (named, stored) = named_and_stored(&bucket).await;
    assert_eq!(named, stored, "what lost the race is not left behind");
    for indexes in [&here, &there] {
        let index = indexes.in_step(&name()).await.unwrap();
        check_whole(&index, "in step");
        assert_eq!(index.meta.covered_version(), 3);
    }
}

#[tokio::test]
async fn an_append_that_ends_at_any_operation_loses_and_doubles_nothing() {
    let origin = memory("primary");
    build(&origin, "first").await;
    let mut at = 0;
    loop {
        let mut met = false;
        for plan in plans(at) {
            let bucket = copy_of(&origin, "primary").await;
            let (view, store) = faulty(&bucket, Plan::Never);
            let indexes = opened(&[&view]).await;
            let index = only(&indexes);
            store.follow(plan);
            let landed = land(&indexes, &index, added()).await;
            met |= store.stopped();
            let when = format!("{plan:?}: {:?}", landed.as_ref().err());
            assert!(
                landed.is_err() || only(&indexes).meta.covered_version() == 3,
                "{when}"
            );
            check_whole(&only(&indexes), &when);
            // The host goes on, or another one starts.
            store.follow(Plan::Never);
            let reopened = opened(&[&bucket]).await;
            check_whole(&only(&reopened), &when);
            for indexes in [&indexes, &reopened] {
                let index = indexes.in_step(&name()).await.unwrap();
                if index.meta.covered_version() == 2 {
                    land(indexes, &index, added()).await.unwrap();
                }
                let index = only(indexes);
                check_whole(&index, &when);
                assert_eq!(index.meta.covered_version(), 3, "{when}");
            }
            check_whole(&only(&opened(&[&bucket]).await), &when);
        }
        if !met {
            break;
        }
        at += 1;
    }
    assert!(at > 3, "{at} operations");
}

#[tokio::test]
async fn a_merge_makes_a_base_of_everything_and_keeps_what_serves() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = opened(&[&bucket]).await;
    land(&indexes, &only(&indexes), added()).await.unwrap();
    let before = only(&indexes);
    merged(indexes).await.unwrap();
    let indexes = opened(&[&bucket]).await;
    let after = only(&indexes);
    assert_eq!(after.tail.rows(), 0);
    assert_eq!(after.data.len(), usize::from(ROWS + TAIL + MORE));
    check_whole(&after, "merged");
    assert_eq!(hits(&before), hits(&after));
    assert_ne!(before.data.data_version, after.data.data_version);
    assert!(after.meta.is_same_index(&before.meta));
    assert_eq!(after.serving().served.trial, before.serving().served.trial);
    assert_eq!(after.meta.covered_rows(), before.meta.covered_rows());
    assert_eq!(after.view().skipped_rows, 1);
}

#[tokio::test]
async fn a_merge_that_ends_at_any_operation_loses_and_doubles_nothing() {
    let origin = memory("primary");
    build(&origin, "first").await;
    let mut at = 0;
    loop {
        let mut met = false;
        for plan in plans(at) {
            let bucket = copy_of(&origin, "primary").await;
            let (view, store) = faulty(&bucket, Plan::Never);
            let indexes = opened(&[&view]).await;
            store.follow(plan);
            let outcome = merged(indexes).await;
            met |= store.stopped();
            let when = format!("{plan:?}: {outcome:?}");
            store.follow(Plan::Never);
            let reopened = opened(&[&bucket]).await;
            check_whole(&only(&reopened), &when);
            merged(reopened).await.unwrap();
            let again = opened(&[&bucket]).await;
            check_whole(&only(&again), &when);
            assert_eq!(only(&again).tail.rows(), 0, "{when}");
        }
        if !met {
            break;
        }
        at += 1;
    }
    assert!(at > 5, "{at} operations");
}

#[tokio::test]
async fn rows_that_come_during_a_merge_stay_behind_it() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = Arc::new(opened(&[&bucket]).await);
    let index = only(&indexes);
    // The merge cannot take over before the turn is free.
    let turn = index.take_turn().unwrap();
    let (worker, growing) = (Arc::clone(&indexes), Arc::clone(&index));
    let merging = as_task(|task| async move { merge::merge(&worker, &growing, &task).await });
    let append = async {
        let after = land(&indexes, &index, added()).await.unwrap();
        drop(turn);
        after
    };
    let (outcome, during) = tokio::join!(merging, append);
    outcome.unwrap();
    check_whole(&during, "during the merge");
    let after = only(&indexes);
    check_whole(&after, "after the merge");
    assert_eq!(after.tail.rows(), usize::from(MORE));
    assert_eq!(after.data.len(), usize::from(ROWS + TAIL));
    assert_eq!(after.meta.grown.as_ref().unwrap().skipped_rows, 1);
    check_whole(&only(&opened(&[&bucket]).await), "after a start");
    assert_eq!(index.take_turn().unwrap_err().code, "index_busy");
    drop(after.take_turn().unwrap());
}

#[tokio::test]
async fn evaluation_sets_have_followed_when_the_new_base_serves() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = Arc::new(opened(&[&bucket]).await);
    let (before, set) = (only(&indexes), EvalSetName::new("default").unwrap());
    let queries = before
        .tuner
        .eval_sets()
        .load(&set)
        .await
        .unwrap()
        .identity();
    let (worker, growing) = (Arc::clone(&indexes), Arc::clone(&before));
    let is_over = AtomicBool::new(false);
    let merging = async {
        let merged = as_task(|task| async move { merge::merge(&worker, &growing, &task).await });
        let outcome = merged.await;
        is_over.store(true, Ordering::SeqCst);
        outcome
    };
    let watching = async {
        loop {
            let over = is_over.load(Ordering::SeqCst);
            let index = only(&indexes);
            if index.data.data_version != before.data.data_version {
                let found = index.tuner.eval_sets().load(&set).await.unwrap();
                return (found, index);
            }
            assert!(!over, "there is no new base");
            tokio::task::yield_now().await;
        }
    };
    let (outcome, (found, after)) = tokio::join!(merging, watching);
    outcome.unwrap();
    assert_eq!(found.data_version, after.data.data_version);
    assert_eq!(found.identity(), queries, "the queries are the same");
}

#[tokio::test]
async fn many_appends_are_put_together() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = opened(&[&bucket]).await;
    for version in 3..30_u16 {
        let row = ROWS + TAIL + version - 3;
        let added = Added {
            table: vectors(row..row + 1),
            dataset_version: version.into(),
            rows: u64::from(row) + 1,
            skipped: 0,
            emptied: BTreeSet::new(),
        };
        land(&indexes, &only(&indexes), added).await.unwrap();
    }
    let index = only(&indexes);
    assert!(
        index.tail.parts().len() <= MAX_PARTS,
        "{}",
        index.tail.parts().len()
    );
    assert_eq!(everything(&index), documents(ROWS + TAIL + 27));
    let reopened = only(&opened(&[&bucket]).await);
    assert_eq!(everything(&reopened), everything(&index));
}

#[tokio::test]
async fn who_waits_while_an_index_gets_another_seat_gets_it_from_there() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = opened(&[&bucket]).await;
    let (index, name) = (only(&indexes), name());
    let writing = index.writing().await;
    let mut waiting = std::pin::pin!(indexes.in_step(&name));
    assert!(waiting.as_mut().now_or_never().is_none());
    let found = Found::confirm(&bucket, &name).await.unwrap().unwrap();
    let options = index.tuner.options().clone();
    let next = LiveIndex::open(&found, options).await.unwrap();
    indexes.succeed(&index, next).unwrap();
    drop(writing);
    let got = waiting.await.unwrap();
    assert!(!got.shares_seat(&index) && got.shares_seat(&only(&indexes)));
}

#[tokio::test]
async fn an_index_that_was_deleted_takes_no_rows() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = opened(&[&bucket]).await;
    let index = only(&indexes);
    indexes.delete("papers").await.unwrap();
    let refused = land(&indexes, &index, added()).await.map(drop).unwrap_err();
    assert_eq!(refused.code, "changed_meanwhile");
    assert!(indexes.list().is_empty());
    assert_eq!(objects_in(&bucket).await, [""; 0]);
}

fn dataset(versions: &[(u64, &str, u64)]) -> DatasetManifest {
    let versions = versions.iter().map(|(version, mode, rows)| {
        json!({
            "version": version, "mode": mode, "files": [], "rows": rows, "bytes": 0, "columns": [],
            "detection": {"findings": [], "asked": [], "failures": []},
            "source": {"system": "file", "label": ""}, "created_at": "2026-01-01T00:00:00Z"
        })
    });
    let document = json!({
        "name": "papers", "bucket": "primary", "next_version": 9,
        "versions": versions.collect::<Vec<_>>(),
    });
    serde_json::from_value(document).unwrap()
}

#[test]
fn an_index_is_behind_by_what_came_after_the_version_that_it_covers() {
    let check = |versions: &[(u64, &str, u64)], expected: Option<(u64, u64, bool)>| {
        let behind = Behind::of(&dataset(versions), &meta(&memory("primary"), "first"));
        let behind = behind.map(|behind| (behind.versions, behind.rows, behind.replaced));
        assert_eq!(behind, expected, "{versions:?}");
    };
    let rows = u64::from(ROWS);
    check(&[], None);
    check(&[(1, "replace", rows)], None);
    check(
        &[(1, "replace", rows), (2, "append", rows + 5)],
        Some((1, 5, false)),
    );
    let more = [
        (1, "replace", rows),
        (2, "append", rows + 5),
        (4, "append", rows + 6),
    ];
    check(&more, Some((2, 6, false)));
    check(
        &[(1, "replace", rows), (2, "replace", 9)],
        Some((1, 9, true)),
    );
    let again = [(1, "replace", rows), (2, "replace", 9), (3, "append", 10)];
    check(&again, Some((2, 10, true)));
    // Deleted and made anew, with whatever mode.
    check(&[(3, "append", rows + 5)], Some((1, rows + 5, true)));
    // A version of that number with other rows is not what was covered.
    check(
        &[(1, "replace", rows - 1), (2, "append", rows)],
        Some((1, rows, true)),
    );
}
