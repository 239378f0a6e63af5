//! Objects of vectors that are not those that the manifest names: nothing is made of them, but of a sound copy.

use boathouse_vector::table;
use bytes::Bytes;

use super::*;

/// Puts vectors that read well, and that nobody named, in the place of an object.
async fn alter(bucket: &Bucket, path: &str) {
    let other = table::write(&vectors(7..7 + TAIL)).unwrap();
    bucket.put(path, Bytes::from(other)).await.unwrap();
}

#[track_caller]
fn check_told(refused: &Problem, path: &str) {
    assert_eq!(refused.code, "damaged_object", "{refused:?}");
    for word in [
        path,
        "not those that the manifest names",
        "put a sound copy",
    ] {
        assert!(refused.detail.contains(word), "{word}: {refused:?}");
    }
}

#[tokio::test]
async fn a_merge_of_altered_vectors_is_refused_and_changes_nothing() {
    for object in 0..2 {
        let bucket = memory("primary");
        build(&bucket, "first").await;
        let indexes = opened(&[&bucket]).await;
        let index = only(&indexes);
        let (path, _) = index.meta.vector_objects().nth(object).unwrap();
        let before = named_and_stored(&bucket).await;
        alter(&bucket, path).await;
        check_told(&merged(indexes).await.unwrap_err(), path);
        assert_eq!(named_and_stored(&bucket).await, before);
        check_whole(&index, "it serves as before");
    }
}

#[tokio::test]
async fn altered_parts_of_a_tail_are_not_put_together() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = opened(&[&bucket]).await;
    let mut row = ROWS + TAIL;
    let mut next = || {
        row += 1;
        Added {
            table: vectors(row - 1..row),
            dataset_version: row.into(),
            rows: row.into(),
            skipped: 0,
            emptied: BTreeSet::new(),
        }
    };
    while only(&indexes).tail.parts().len() < MAX_PARTS {
        land(&indexes, &only(&indexes), next()).await.unwrap();
    }
    let index = only(&indexes);
    let path = &index.meta.segments()[1].path;
    let before = named_and_stored(&bucket).await;
    alter(&bucket, path).await;
    let refused = land(&indexes, &index, next()).await.map(drop);
    check_told(&refused.unwrap_err(), path);
    assert_eq!(named_and_stored(&bucket).await, before);
    assert_eq!(only(&indexes).meta, index.meta);
}

#[tokio::test]
async fn a_merge_reads_the_copy_of_altered_vectors_and_puts_it_back() {
    for object in 0..2 {
        let (bucket, copies) = mirrored();
        build(&bucket, "first").await;
        for stored in bucket.list("").await.unwrap() {
            let bytes = bucket.get(&stored.path).await.unwrap();
            copies.put(&stored.path, bytes).await.unwrap();
        }
        let indexes = opened(&[&bucket]).await;
        let index = only(&indexes);
        let (path, _) = index.meta.vector_objects().nth(object).unwrap();
        let sound = bucket.get(path).await.unwrap();
        alter(&bucket, path).await;
        merged(indexes).await.unwrap();
        assert_eq!(bucket.get(path).await.unwrap(), sound);
        let again = opened(&[&bucket]).await;
        assert!(only(&again).meta.segments().is_empty(), "it was merged");
        check_whole(&only(&again), "after the merge");
    }
}

#[tokio::test]
async fn an_index_is_opened_from_copies_of_what_is_damaged_deletions_too() {
    let (bucket, copies) = mirrored();
    build(&bucket, "first").await;
    let indexes = opened(&[&bucket]).await;
    let index = delete::land(&indexes, &only(&indexes), &["doc-7".to_owned()]).await;
    let index = index.unwrap();
    let expected = everything(&index);
    let named: Vec<String> = index
        .meta
        .objects()
        .map(|(path, _)| path.to_owned())
        .collect();
    assert_eq!(named.len(), 3);
    for path in &named {
        let bytes = bucket.get(path).await.unwrap();
        copies.put(path, bytes).await.unwrap();
        bucket.delete(path).await.unwrap();
    }
    let again = opened(&[&bucket]).await;
    assert_eq!(everything(&only(&again)), expected);
    for path in &named {
        assert!(bucket.exists(path).await.unwrap(), "{path} is back");
    }
}
