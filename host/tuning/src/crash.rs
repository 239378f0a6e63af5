//! Whatever a bucket does at whichever operation: what was acknowledged of an index is there once and whole,
//! what was not is there once or not at all, and it can be done again.
//!
//! Every change is run once for each of its operations and each fault that the operation can meet; then
//! everything is opened again over what lies in the bucket.

use std::sync::Arc;

use boathouse_faults::{FaultyStore, Last, Plan};
use boathouse_storage::Bucket;
use boathouse_types::{IndexConfig, Trial, VectorBackend};
use boathouse_vector::HnswGraph;
use bytes::Bytes;
use futures::future::{Either, select};
use tokio_util::sync::CancellationToken;

use crate::{
    Builds, EvalSet, EvalSetName, EvalSets, EvalSource, EvalSpec, Journal, Promote, Promotion,
    Promotions, TuningError,
    testing::{clock, clustered, index_name, memory_bucket, trial},
};

/// What can be done to the tuning state of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Trial,
    Promote,
    RollBack,
    EvalSet,
    Graph,
}

/// All of it.
#[derive(Debug, PartialEq)]
struct State {
    trials: Vec<Trial>,
    promotions: Vec<Promotion>,
    set: EvalSet,
    graphs: Vec<(String, Bytes)>,
}

impl Change {
    const ALL: [Self; 5] = [
        Self::Trial,
        Self::Promote,
        Self::RollBack,
        Self::EvalSet,
        Self::Graph,
    ];

    async fn run(self, bucket: &Bucket) -> Result<(), TuningError> {
        let (index, promotions) = (index_name(), promotions(bucket));
        match self {
            Self::Trial => journal(bucket).append(&trial("t3", 0.97, 90.0)).await,
            Self::Promote => promotions.promote(promote("t2")).await.map(drop),
            Self::RollBack => {
                let previous = promotions.previous(VectorBackend::Parquet).await?;
                promotions.rollback(&previous, None, None).await.map(drop)
            }
            Self::EvalSet => EvalSets::new(bucket, &index).save(&set(2).await).await,
            Self::Graph => {
                let config = IndexConfig {
                    m: 4,
                    ef_construction: 20,
                    ..IndexConfig::default()
                };
                let builds = Builds::new(bucket, &index, 1);
                let cancel = CancellationToken::new();
                builds
                    .obtain(&clustered(60), &config, &cancel)
                    .await
                    .map(drop)
            }
        }
    }

    /// Whether doing it again says that it is done.
    fn is_done(self, error: &TuningError) -> bool {
        match self {
            Self::Promote => matches!(error, TuningError::AlreadyServes { .. }),
            Self::RollBack => matches!(error, TuningError::NoPrevious(_)),
            Self::Trial | Self::EvalSet | Self::Graph => false,
        }
    }
}

fn journal(bucket: &Bucket) -> Journal {
    Journal::new(bucket, &index_name(), clock())
}

fn promotions(bucket: &Bucket) -> Promotions {
    Promotions::new(bucket, &index_name(), clock())
}

fn promote(trial: &str) -> Promote {
    Promote {
        trial: trial.to_owned(),
        serving: IndexConfig::default().into(),
        by: None,
        reason: None,
        evidence: None,
        graph: None,
    }
}

async fn set(seed: u64) -> EvalSet {
    let spec = EvalSpec {
        k: 3,
        seed,
        source: EvalSource::Drawn { queries: 5 },
    };
    let name = EvalSetName::new("drawn").unwrap();
    let cancel = CancellationToken::new();
    EvalSet::make(name, &clustered(60), spec, &cancel)
        .await
        .unwrap()
}

/// Two trials, of which one serves, and an evaluation set.
async fn ground() -> Bucket {
    let bucket = memory_bucket();
    for id in ["t1", "t2"] {
        journal(&bucket)
            .append(&trial(id, 0.96, 100.0))
            .await
            .unwrap();
    }
    promotions(&bucket).promote(promote("t1")).await.unwrap();
    let sets = EvalSets::new(&bucket, &index_name());
    sets.save(&set(1).await).await.unwrap();
    bucket
}

/// Everything, checked where it is read.
async fn state(bucket: &Bucket) -> State {
    let contents = journal(bucket).read().await.unwrap();
    assert_eq!(contents.malformed, 0);
    let sets = EvalSets::new(bucket, &index_name());
    let names = sets.list().await.unwrap();
    assert_eq!(names.len(), 1);
    let mut graphs = Vec::new();
    for object in bucket.list("indexes").await.unwrap() {
        let bytes = bucket.get(&object.path).await.unwrap();
        HnswGraph::from_bytes(&bytes).unwrap();
        graphs.push((object.path, bytes));
    }
    State {
        trials: contents.trials,
        promotions: promotions(bucket).history().await.unwrap(),
        set: sets.load(&names[0]).await.unwrap(),
        graphs,
    }
}

/// Makes a change while the bucket follows a plan, and checks what is left of it.
/// Gives whether the plan was met.
async fn check(change: Change, before: &State, after: &State, plan: Plan) -> bool {
    let bucket = ground().await;
    let store = FaultyStore::new(Arc::clone(bucket.store()), plan);
    let faulty = bucket.with_store(Arc::new(store.clone()));
    let is_acknowledged = if matches!(plan, Plan::Stall { .. }) {
        match select(Box::pin(change.run(&faulty)), Box::pin(store.reached())).await {
            Either::Left((outcome, _)) => outcome.is_ok(),
            Either::Right(_) => false,
        }
    } else {
        change.run(&faulty).await.is_ok()
    };
    let found = state(&bucket).await;
    let happened = found == *after;
    assert!(
        happened || (!is_acknowledged && found == *before),
        "{change:?}, {plan:?}, acknowledged: {is_acknowledged}: {found:?}"
    );
    let can_tell = matches!(plan, Plan::FailOnce { .. })
        && matches!(change, Change::Promote | Change::RollBack);
    assert!(
        !can_tell || happened == is_acknowledged,
        "{change:?}, {plan:?}: who was told of a failure serves another configuration than the next start"
    );
    match change.run(&bucket).await {
        Err(error) if happened && change.is_done(&error) => {}
        again => again.unwrap_or_else(|error| panic!("{change:?}, {plan:?}: again: {error}")),
    }
    let now = state(&bucket).await;
    assert!(
        happened || now == *after,
        "{change:?}, {plan:?}: again: {now:?}"
    );
    store.stopped()
}

#[tokio::test]
async fn a_change_that_meets_any_fault_has_happened_whole_or_not_at_all() {
    let faults: [fn(usize) -> Plan; 5] = [
        |at| Plan::Stop {
            at,
            last: Last::Lost,
        },
        |at| Plan::Stop {
            at,
            last: Last::Done,
        },
        |at| Plan::FailOnce {
            at,
            last: Last::Lost,
        },
        |at| Plan::FailOnce {
            at,
            last: Last::Done,
        },
        |at| Plan::Stall { at },
    ];
    for change in Change::ALL {
        let bucket = ground().await;
        let before = state(&bucket).await;
        change.run(&bucket).await.unwrap();
        let after = state(&bucket).await;
        assert_ne!(before, after);
        for fault in faults {
            let mut at = 0;
            while check(change, &before, &after, fault(at)).await {
                at += 1;
            }
            assert!(at > 0, "{change:?} has no operation");
        }
    }
}

#[tokio::test]
async fn a_journal_goes_on_after_a_caller_that_was_cut_off() {
    let bucket = memory_bucket();
    let store = FaultyStore::new(Arc::clone(bucket.store()), Plan::Stall { at: 0 });
    let journal = journal(&bucket.with_store(Arc::new(store.clone())));
    let (first, second) = (trial("t1", 0.9, 100.0), trial("t2", 0.95, 90.0));
    let cut = select(Box::pin(journal.append(&first)), Box::pin(store.reached())).await;
    assert!(matches!(cut, Either::Right(_)), "it hangs");
    drop(cut);
    journal.append(&second).await.unwrap();
    let contents = self::journal(&bucket).read().await.unwrap();
    assert_eq!(contents.trials, [first, second]);
}

#[tokio::test]
async fn listings_that_lag_behind_cost_no_acknowledged_promotion() {
    for behind in 1..=4 {
        let bucket = ground().await;
        let store = FaultyStore::new(Arc::clone(bucket.store()), Plan::StaleListings { behind });
        let faulty = bucket.with_store(Arc::new(store));
        let (mut acknowledged, clock) = (1, clock());
        for at in 0..6 {
            let trial = ["t2", "t1"][at % 2];
            // Two of a moment that are alike in everything would count as one.
            clock.advance(1);
            let registry = Promotions::new(&faulty, &index_name(), clock.clone());
            acknowledged += usize::from(registry.promote(promote(trial)).await.is_ok());
            let history = promotions(&bucket).history().await.unwrap();
            assert_eq!(history.len(), acknowledged, "{behind} behind");
        }
        assert!(acknowledged > 1);
    }
}
