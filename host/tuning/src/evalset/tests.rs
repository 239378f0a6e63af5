//! What evaluation sets promise: exact truth without the own row, the same set for the same seed, and
//! nothing believed that was not written.

use boathouse_storage::StorageError;
use boathouse_types::Metric;
use bytes::Bytes;

use super::*;
use crate::testing::{clustered, data_of, in_pieces, index_name, memory_bucket};
use boathouse_vector::exact_top_k;

fn name() -> EvalSetName {
    EvalSetName::new("drawn").unwrap()
}

fn drawn_spec(queries: usize, k: u32) -> EvalSpec {
    EvalSpec {
        k,
        seed: 5,
        source: EvalSource::Drawn { queries },
    }
}

async fn make(data: &IndexData, spec: EvalSpec) -> Result<EvalSet, TuningError> {
    EvalSet::make(name(), data, spec, &CancellationToken::new()).await
}

#[tokio::test]
async fn truth_is_exact_and_leaves_out_the_own_row() {
    let data = clustered(300);
    let set = make(&data, drawn_spec(60, 10)).await.unwrap();
    assert_eq!(set.queries.len(), 60);
    let mut perturbed = 0;
    for query in &set.queries {
        let own = query.held_out.unwrap();
        let prepared = prepare(&data.vectors, &query.vector).unwrap();
        let exact = exact_top_k(&data.vectors, &prepared, 10, |row| row != own);
        let exact: Vec<u32> = exact.into_iter().map(|neighbor| neighbor.row).collect();
        assert_eq!(query.truth, exact);
        perturbed += usize::from(query.vector != data.vectors.row(own));
    }
    assert_eq!(perturbed, 30);
}

#[tokio::test]
async fn truth_leaves_out_every_vector_of_the_own_document() {
    let data = in_pieces(clustered(300), 7);
    let set = make(&data, drawn_spec(60, 10)).await.unwrap();
    for query in &set.queries {
        let own = query.held_out.unwrap() / 7;
        let prepared = prepare(&data.vectors, &query.vector).unwrap();
        let exact = exact_top_k(&data.vectors, &prepared, 10, |row| row / 7 != own);
        let exact: Vec<u32> = exact.into_iter().map(|neighbor| neighbor.row).collect();
        assert_eq!(query.truth, exact);
    }
    let alone = in_pieces(clustered(7), 7);
    let error = make(&alone, drawn_spec(5, 3)).await.unwrap_err();
    assert!(
        error.to_string().contains("at least 2 documents"),
        "{error}"
    );
}

#[tokio::test]
async fn the_seed_decides_everything() {
    let data = clustered(200);
    let first = make(&data, drawn_spec(40, 5)).await.unwrap();
    assert_eq!(make(&data, drawn_spec(40, 5)).await.unwrap(), first);
    let other = EvalSpec {
        seed: 6,
        ..drawn_spec(40, 5)
    };
    assert_ne!(make(&data, other).await.unwrap().queries, first.queries);
}

#[tokio::test]
async fn a_set_is_made_again_for_other_vectors_with_its_own_queries() {
    let (few, many) = (clustered(60), clustered(90));
    let drawn = make(&few, drawn_spec(40, 5)).await.unwrap();
    let again = make(&many, drawn.spec()).await.unwrap();
    assert_eq!(again, make(&many, drawn_spec(40, 5)).await.unwrap());
    let source = EvalSource::Given(vec![vec![0.5; 16], vec![-1.0; 16]]);
    let given = EvalSpec {
        source,
        ..drawn_spec(2, 3)
    };
    let set = make(&few, given.clone()).await.unwrap();
    assert_eq!(set.spec(), given);
    let again = make(&many, set.spec()).await.unwrap();
    assert_eq!(again.vectors, 90);
    assert_eq!(again.queries[1].vector, set.queries[1].vector);
}

#[tokio::test]
async fn a_small_index_gives_fewer_queries_and_shorter_answers() {
    let set = make(&clustered(4), EvalSpec::default()).await.unwrap();
    assert_eq!(set.queries.len(), 4);
    assert!(set.queries.iter().all(|query| query.truth.len() == 3));
}

#[tokio::test]
async fn impossible_specifications_are_refused() {
    let data = clustered(10);
    let given = |vectors| EvalSpec {
        source: EvalSource::Given(vectors),
        ..EvalSpec::default()
    };
    for (spec, said) in [
        (drawn_spec(10, 0), "k must be"),
        (drawn_spec(10, 1_001), "k must be"),
        (drawn_spec(0, 10), "queries"),
        (given(vec![]), "queries"),
        (given(vec![vec![1.0; 16], vec![1.0; 3]]), "query 1: "),
        (given(vec![vec![f32::NAN; 16]]), "query 0: "),
        (given(vec![vec![1.0; 16], vec![0.0; 16]]), "zero vector"),
        (given(vec![vec![f32::INFINITY; 16]]), "not a finite number"),
    ] {
        let checked = spec.check(&data).unwrap_err().to_string();
        let error = make(&data, spec).await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert_eq!(checked, error, "it is known before anything is made");
    }
    assert!(drawn_spec(100_000, 10).check(&data).is_ok());
    let one = data_of(&[vec![1.0, 0.0]], Metric::Cosine);
    let error = make(&one, EvalSpec::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("at least 2 vectors"), "{error}");
}

#[tokio::test]
async fn given_queries_may_find_every_row() {
    let data = data_of(&[vec![1.0, 0.0], vec![0.0, 1.0]], Metric::L2);
    let spec = EvalSpec {
        source: EvalSource::Given(vec![vec![0.0, 0.9]]),
        ..EvalSpec::default()
    };
    let set = make(&data, spec).await.unwrap();
    assert_eq!(set.queries[0].truth, [1, 0]);
    assert_eq!(set.queries[0].held_out, None);
}

#[tokio::test]
async fn a_stored_set_comes_back_bit_for_bit() {
    let bucket = memory_bucket();
    let sets = EvalSets::new(&bucket, &index_name());
    let set = make(&clustered(100), drawn_spec(20, 10)).await.unwrap();
    sets.save(&set).await.unwrap();
    assert_eq!(sets.load(&name()).await.unwrap(), set);
    let text = bucket.get("_evalsets/papers/drawn.json").await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(!text.contains("embedder"), "as older hosts wrote it");
    let told = EvalSet {
        embedder_digest: Some("model".to_owned()),
        ..set
    };
    sets.save(&told).await.unwrap();
    assert_eq!(sets.load(&name()).await.unwrap(), told);
    assert_eq!(sets.list().await.unwrap(), [name()]);
    sets.delete(&name()).await.unwrap();
    assert!(matches!(
        sets.load(&name()).await,
        Err(TuningError::NotFound { .. })
    ));
    assert!(sets.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_changed_object_is_refused_by_name() {
    let bucket = memory_bucket();
    let sets = EvalSets::new(&bucket, &index_name());
    let set = make(&clustered(50), drawn_spec(5, 3)).await.unwrap();
    sets.save(&set).await.unwrap();
    let path = "_evalsets/papers/drawn.json";
    let text = String::from_utf8(bucket.get(path).await.unwrap().to_vec()).unwrap();
    let answer = format!("\"truth\":[{}", set.queries[0].truth[0]);
    for (broken, said) in [
        (
            text.replacen("\"version\":1", "\"version\":0", 1),
            "version 0",
        ),
        (text.replacen(&answer, "\"truth\":[49", 1), "digest"),
        (text.replacen("\"seed\":5", "\"seed\":6", 1), "digest"),
        (text[..text.len() / 2].to_owned(), "EOF"),
        (String::new(), "EOF"),
    ] {
        assert_ne!(broken, text);
        bucket.put(path, Bytes::from(broken)).await.unwrap();
        let error = sets.load(&name()).await.unwrap_err().to_string();
        assert!(error.contains(path) && error.contains(said), "{error}");
    }
    let newer = text.replacen("\"version\":1", "\"version\":2", 1);
    bucket.put(path, Bytes::from(newer)).await.unwrap();
    let error = sets.load(&name()).await.unwrap_err();
    let TuningError::Storage(StorageError::NewerFormat {
        path: named, found, ..
    }) = error
    else {
        panic!("{error}");
    };
    assert_eq!((named.as_str(), found), (path, 2));
    let elsewhere = "_evalsets/papers/other.json";
    bucket.put(elsewhere, Bytes::from(text)).await.unwrap();
    let error = sets
        .load(&EvalSetName::new("other").unwrap())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("another set"), "{error}");
}

#[tokio::test]
async fn cancelling_gives_no_set() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let made = EvalSet::make(name(), &clustered(50), EvalSpec::default(), &cancel).await;
    assert!(matches!(made, Err(TuningError::Cancelled)));
}
