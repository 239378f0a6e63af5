//! Policies over whole runs: what is stored, what is refused before anything is read, and races.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    IngestError, IngestMode, OnDetectorFailure, PiiDetector,
    detect::tests::{Fixed, finding},
    testing::{World, dataset},
};

const CSV: &str = "id,mail\n1,ann@x.org\n2,bob@x.org\n";

/// A world that hashes what is called an email, and whose detector answers so.
fn hashing(answer: Result<Vec<boathouse_types::Finding>, String>) -> World {
    let mut world = World::new();
    world.context.on_detector_failure = None;
    world.context.detectors = vec![Arc::new(Fixed("x/pii", answer)) as Arc<dyn PiiDetector>];
    world.context.pii.kinds = [("email".to_owned(), Action::Hash)].into();
    world.context.pii.key = Some(Arc::new(HashKey::new(&[7; 32]).unwrap()));
    world
}

async fn mails(world: &World) -> Vec<String> {
    let opened = world.context.datasets.open(&dataset(), None).await.unwrap();
    let page = opened.rows(0, 100).await.unwrap();
    let text = |row: &serde_json::Value| row["mail"].as_str().unwrap_or_default().to_owned();
    page.rows.iter().map(text).collect()
}

#[tokio::test]
async fn a_column_is_hashed_in_one_version_and_in_those_that_follow() {
    let mut world = hashing(Ok(vec![finding(1, "email", 0.9)]));
    world
        .ingest(CSV, "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    // The detector finds nothing in the next rows, and their column reads as numbers.
    world.context.detectors = vec![Arc::new(Fixed("x/pii", Ok(vec![])))];
    let report = world
        .ingest("id,mail\n3,42\n", "b.csv", IngestMode::Append)
        .await
        .unwrap();
    let treatment = &report.version.treatments[0];
    assert_eq!(
        (treatment.action, treatment.decided_by),
        (Action::Hash, DecidedBy::EarlierVersion)
    );
    let key = HashKey::new(&[7; 32]).unwrap();
    let expected = ["ann@x.org", "bob@x.org", "42"].map(|text| key.hash(text));
    assert_eq!(mails(&world).await, expected);
}

#[tokio::test]
async fn a_column_that_was_left_out_stays_out_whether_it_comes_or_not() {
    let mut world = hashing(Ok(vec![finding(1, "email", 0.9)]));
    world.context.pii.kinds = [("email".to_owned(), Action::Drop)].into();
    world
        .ingest(CSV, "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    world.context.detectors = vec![Arc::new(Fixed("x/pii", Ok(vec![])))];
    for csv in [CSV, "id\n3\n", CSV] {
        let report = world
            .ingest(csv, "b.csv", IngestMode::Append)
            .await
            .unwrap();
        let columns: Vec<_> = report
            .version
            .columns
            .iter()
            .map(|c| c.name.as_str())
            .collect();
        assert_eq!(columns, ["id"], "{csv}");
        assert_eq!(report.version.treatments.len(), 1);
    }
    let other = world
        .ingest("id,other\n3,x\n", "b.csv", IngestMode::Append)
        .await;
    assert!(matches!(other, Err(IngestError::SchemaDiffers { .. })));
}

#[tokio::test]
async fn without_an_answer_nothing_comes_in_where_a_policy_depends_on_it() {
    let mut world = hashing(Err("out of order".to_owned()));
    let failed = world.ingest(CSV, "a.csv", IngestMode::Replace).await;
    assert!(matches!(failed, Err(IngestError::DetectorFailed(_))));
    world.context.detectors.clear();
    let missing = world.ingest(CSV, "a.csv", IngestMode::Replace).await;
    assert!(matches!(missing, Err(IngestError::NoDetector)));
    let counts = Arc::clone(&world.context.pii.counts);
    assert_eq!((counts.refused(), counts.unanswered()), (2, 1));
    assert!(world.paths("datasets").await.is_empty());
    // Said otherwise, or where nothing depends on it, rows come in and the version says so.
    world.context.on_detector_failure = Some(OnDetectorFailure::TagUnknown);
    let tagged = world
        .ingest(CSV, "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    assert!(!tagged.version.detection.is_complete());
    world.context.on_detector_failure = None;
    world.context.pii.kinds.clear();
    let tagged = world
        .ingest(CSV, "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    assert!(tagged.version.treatments.is_empty());
    assert!(tagged.version.detection.is_unexamined());
    assert_eq!((counts.unexamined(), counts.unanswered()), (2, 1));
    // Nor can anybody look again, which is no matter of a policy.
    let (datasets, name) = (&world.context.datasets, dataset());
    let scan = datasets.scan_pii(&world.context, &name, None, CancellationToken::new());
    let refused = scan.await.unwrap_err().to_string();
    assert!(
        refused.contains("no personal-data detector is active for dataset `people`"),
        "{refused}"
    );
}

#[tokio::test]
async fn rows_in_clear_that_meet_hashed_ones_at_their_commit_are_not_taken() {
    let mut world = hashing(Ok(vec![finding(1, "email", 0.9)]));
    world.context.pii.kinds.clear();
    let clear = world
        .ingest(CSV, "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    let home = world.context.datasets.home(&dataset(), None).await.unwrap();
    let mut late = clear.version.clone();
    late.mode = IngestMode::Append;
    late.files[0].path = "datasets/people/data/late.parquet".to_owned();
    world.context.pii.kinds = [("email".to_owned(), Action::Hash)].into();
    world
        .ingest(CSV, "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    let taken = world.context.datasets.commit(home, late).await;
    assert!(matches!(taken, Err(IngestError::Conflict(_))), "{taken:?}");
}

#[tokio::test]
async fn a_policy_holds_from_the_next_ingest_on_and_outlives_the_dataset() {
    let name = dataset();
    let mut world = hashing(Ok(vec![finding(1, "email", 0.9)]));
    world
        .ingest(CSV, "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    let datasets = world.context.datasets.clone();
    let policy: PiiPolicy =
        serde_json::from_str(r#"{"columns":{"mail":{"action":"drop"}}}"#).unwrap();
    let rules = world.context.pii.clone();
    let set = datasets.set_pii_policy(&name, policy.clone(), &rules, "me", Some(0));
    assert_eq!(set.await.unwrap().version, 1);
    let late = datasets
        .set_pii_policy(&name, policy, &rules, "me", Some(0))
        .await;
    assert!(matches!(
        late,
        Err(IngestError::PolicyChanged { found: 1, .. })
    ));
    datasets.delete(&name).await.unwrap();
    world.context.detectors = vec![Arc::new(Fixed("x/pii", Ok(vec![])))];
    let report = world
        .ingest(CSV, "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    assert_eq!(report.version.columns.len(), 1);
    assert_eq!(report.version.treatments[0].decided_by, DecidedBy::Column);
    // A policy that cannot be carried out any more refuses before anything is read.
    let policy = serde_json::from_str(r#"{"columns":{"mail":{"action":"hash"}}}"#).unwrap();
    let set = datasets.set_pii_policy(&name, policy, &rules, "me", None);
    set.await.unwrap();
    world.context.pii.key = None;
    world.context.pii.kinds.clear();
    let refused = world.ingest(CSV, "a.csv", IngestMode::Replace).await;
    assert!(matches!(refused, Err(IngestError::BadPolicy { .. })));
}

#[tokio::test]
async fn a_scan_is_kept_and_no_ingest_loses_against_it() {
    let name = dataset();
    let world = hashing(Ok(vec![finding(1, "email", 0.9)]));
    world
        .ingest(CSV, "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    let datasets = &world.context.datasets;
    for mode in [IngestMode::Append, IngestMode::Replace] {
        let home = datasets.home(&name, None).await.unwrap();
        let mut version = home.dataset().unwrap().latest().unwrap().clone();
        version.mode = mode;
        let scan = datasets.scan_pii(&world.context, &name, None, CancellationToken::new());
        let scan = scan.await.unwrap();
        assert_eq!(scan.scan.detection.findings.len(), 1);
        assert!(scan.wanting.is_empty(), "it was hashed: {:?}", scan.wanting);
        datasets.commit(home, version).await.unwrap();
        let manifest = datasets.get(&name).await.unwrap();
        let scanned = manifest.version(scan.version).unwrap();
        assert_eq!(scanned.scans.last(), Some(&scan.scan));
    }
}

#[tokio::test]
async fn only_the_newest_scans_of_a_version_are_kept() {
    let name = dataset();
    let world = hashing(Ok(vec![]));
    world
        .ingest(CSV, "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    let datasets = &world.context.datasets;
    for _ in 0..12 {
        world.clock.advance(1_000);
        let scan = datasets.scan_pii(&world.context, &name, Some(1), CancellationToken::new());
        scan.await.unwrap();
    }
    let manifest = datasets.get(&name).await.unwrap();
    let scans = &manifest.latest().unwrap().scans;
    assert_eq!(scans.len(), 10);
    assert!(scans.is_sorted_by_key(|scan| scan.at));
    let missing = datasets.scan_pii(&world.context, &name, Some(7), CancellationToken::new());
    assert!(matches!(
        missing.await,
        Err(IngestError::VersionNotFound { .. })
    ));
    let cancel = CancellationToken::new();
    cancel.cancel();
    let cancelled = datasets.scan_pii(&world.context, &name, None, cancel).await;
    assert!(
        matches!(cancelled, Err(IngestError::Cancelled)),
        "{cancelled:?}"
    );
}
