//! Whatever a bucket does at whichever operation of a change: the dataset is wholly as before or wholly as
//! after, as after when the change was acknowledged, and the change can be made again.
//!
//! Every change is run once for each of its operations and each fault that the operation can meet. Then the
//! datasets are opened again over what lies in the bucket, and every version that is listed is read to its
//! last row.

use std::{collections::BTreeSet, sync::Arc};

use boathouse_faults::{FaultyStore, Last, Plan};
use boathouse_storage::{Bucket, BucketRegistry, Mirror, MirrorScope};
use boathouse_types::BucketName;
use futures::future::{Either, select};

use crate::{
    Datasets, IngestError, IngestMode, Lineage, Retention, RunEvent, RunState,
    testing::{World, dataset},
};

/// What can be done to a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Create,
    Append,
    Replace,
    Delete,
    Expire,
}

/// The readable versions, each with the ids of its rows; none where there is no dataset.
type State = Option<Vec<(u64, Vec<i64>)>>;

impl Change {
    const ALL: [Self; 5] = [
        Self::Create,
        Self::Append,
        Self::Replace,
        Self::Delete,
        Self::Expire,
    ];

    async fn run(self, world: &World) -> Result<(), IngestError> {
        let datasets = &world.context.datasets;
        match self {
            Self::Create | Self::Replace => ingest(world, &[4], IngestMode::Replace).await,
            Self::Append => ingest(world, &[4], IngestMode::Append).await,
            Self::Delete => datasets.delete(&dataset()).await,
            Self::Expire => {
                let retention = Retention {
                    keep_versions: Some(1),
                    keep_millis: None,
                    grace_millis: 0,
                };
                let in_use = BTreeSet::new();
                let expired = datasets.expire(&dataset(), &retention, &in_use).await;
                expired.map(drop)
            }
        }
    }

    fn before(self) -> State {
        (self != Self::Create).then(|| vec![(1, vec![1, 2]), (2, vec![1, 2, 3])])
    }

    fn after(self) -> State {
        let mut versions = self.before().unwrap_or_default();
        match self {
            Self::Create => versions.push((1, vec![4])),
            Self::Append => versions.push((3, vec![1, 2, 3, 4])),
            Self::Replace => versions.push((3, vec![4])),
            Self::Delete => return None,
            Self::Expire => drop(versions.remove(0)),
        }
        Some(versions)
    }

    /// A bucket in which it can be made.
    async fn ground(self) -> Bucket {
        let bucket = Bucket::memory(BucketName::primary());
        if self != Self::Create {
            let world = World::over(&bucket);
            ingest(&world, &[1, 2], IngestMode::Replace).await.unwrap();
            ingest(&world, &[3], IngestMode::Append).await.unwrap();
        }
        bucket
    }
}

async fn ingest(world: &World, ids: &[i64], mode: IngestMode) -> Result<(), IngestError> {
    let lines: Vec<_> = ids.iter().map(|id| format!("{id}\n")).collect();
    let csv = format!("id\n{}", lines.concat());
    world.ingest(csv, "a.csv", mode).await.map(drop)
}

/// What is there, read to the last row.
async fn state(world: &World) -> State {
    let datasets = &world.context.datasets;
    let listed = datasets.list().await.unwrap();
    let manifest = match datasets.get(&dataset()).await {
        Err(IngestError::DatasetNotFound(_)) => {
            assert!(listed.is_empty(), "listed and not found: {listed:?}");
            return None;
        }
        found => found.unwrap(),
    };
    assert_eq!(listed, std::slice::from_ref(&manifest));
    let mut versions = Vec::new();
    for version in manifest
        .versions
        .iter()
        .filter(|one| one.expired_at.is_none())
    {
        let open = datasets
            .open(&dataset(), Some(version.version))
            .await
            .unwrap();
        let page = open.rows(0, 100).await.unwrap();
        assert_eq!(
            (page.total, page.rows.len() as u64),
            (version.rows, version.rows)
        );
        let ids = page.rows.iter().map(|row| row["id"].as_i64().unwrap());
        versions.push((version.version, ids.collect()));
    }
    Some(versions)
}

/// Makes a change while the bucket follows a plan, and checks what is left of it.
/// Gives whether the plan was met.
async fn check(change: Change, plan: Plan) -> bool {
    let bucket = change.ground().await;
    let store = FaultyStore::new(Arc::clone(bucket.store()), Plan::Never);
    let world = World::over(&bucket.with_store(Arc::new(store.clone())));
    store.follow(plan);
    let is_acknowledged = if matches!(plan, Plan::Stall { .. }) {
        let run = Box::pin(change.run(&world));
        match select(run, Box::pin(store.reached())).await {
            Either::Left((outcome, _)) => outcome.is_ok(),
            Either::Right(_) => false,
        }
    } else {
        change.run(&world).await.is_ok()
    };
    let world = World::over(&bucket);
    let found = state(&world).await;
    let happened = found == change.after();
    assert!(
        happened || (!is_acknowledged && found == change.before()),
        "{change:?}, {plan:?}, acknowledged: {is_acknowledged}: {found:?}"
    );
    check_lineage(change, happened, &world.bucket).await;
    match change.run(&world).await {
        Err(IngestError::DatasetNotFound(_)) if happened && change == Change::Delete => {}
        again => again.unwrap_or_else(|error| panic!("{change:?}, {plan:?}: again: {error}")),
    }
    let now = state(&world).await;
    assert!(
        happened || now == change.after(),
        "{change:?}, {plan:?}: {now:?}"
    );
    store.stopped()
}

/// A run begins once and ends at most once; one that is complete made a version that is there, and one
/// that failed made none.
async fn check_lineage(change: Change, happened: bool, bucket: &Bucket) {
    let clock = World::new().clock;
    let events = Lineage::new(bucket.clone(), dataset(), clock)
        .read()
        .await
        .unwrap();
    let of = |state: RunState| -> Vec<&RunEvent> {
        let of_state = events.iter().filter(|event| event.event_type == state);
        of_state.collect()
    };
    let begun: BTreeSet<_> = of(RunState::Start)
        .iter()
        .map(|event| &event.run.run_id)
        .collect();
    assert_eq!(begun.len(), of(RunState::Start).len(), "{events:?}");
    let ended: Vec<_> = events
        .iter()
        .filter(|event| event.event_type != RunState::Start)
        .map(|event| &event.run.run_id)
        .collect();
    assert!(ended.iter().all(|run| begun.contains(run)), "{events:?}");
    assert_eq!(
        ended.iter().collect::<BTreeSet<_>>().len(),
        ended.len(),
        "{events:?}"
    );
    let before = change.before().map_or(0, |versions| versions.len());
    let makes = matches!(change, Change::Create | Change::Append | Change::Replace);
    let complete = of(RunState::Complete).len();
    assert!(
        complete <= before + usize::from(makes && happened),
        "{change:?}: {events:?}"
    );
    assert!(
        !(happened && makes) || of(RunState::Fail).is_empty(),
        "{change:?}: {events:?}"
    );
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
        for fault in faults {
            let mut at = 0;
            while check(change, fault(at)).await {
                at += 1;
            }
            assert!(at > 2, "{change:?} has {at} operations");
        }
    }
}

/// What must be there after the acknowledged changes of a history.
#[derive(Default)]
struct Model {
    next: u64,
    state: State,
}

impl Model {
    fn apply(&mut self, change: Change) {
        let mut ids = self
            .state
            .iter()
            .flatten()
            .last()
            .map_or(Vec::new(), |(_, ids)| ids.clone());
        match change {
            Change::Delete => return self.state = None,
            Change::Create | Change::Replace => ids = vec![4],
            Change::Append => ids.push(4),
            Change::Expire => unreachable!("no part of the history"),
        }
        self.next += 1;
        self.state.get_or_insert_default().push((self.next, ids));
    }
}

#[tokio::test]
async fn listings_that_lag_behind_lose_nothing_that_was_acknowledged() {
    use Change::{Append, Create, Delete, Replace};
    let history = [
        Create, Append, Append, Delete, Create, Append, Replace, Append, Append, Delete, Append,
    ];
    for behind in 1..=6 {
        let bucket = Bucket::memory(BucketName::primary());
        let store = FaultyStore::new(Arc::clone(bucket.store()), Plan::StaleListings { behind });
        let world = World::over(&bucket.with_store(Arc::new(store)));
        let mut model = Model::default();
        for change in history {
            match change.run(&world).await {
                Ok(()) => model.apply(change),
                Err(IngestError::Conflict(_) | IngestError::DatasetNotFound(_)) => {}
                Err(error) => panic!("{change:?} over listings {behind} behind: {error}"),
            }
            assert_eq!(
                state(&World::over(&bucket)).await,
                model.state,
                "{behind} behind"
            );
        }
        assert!(model.next > 0);
    }
}

/// Appends to a dataset of a mirrored bucket whose rescue is behind: the answer to operation `at` is lost,
/// and the operation after it fails. Gives what a restart finds, and whether the fault was met.
async fn append_over_an_older_copy(at: usize) -> (State, bool) {
    let home = Change::Append.ground().await;
    let rescue = Bucket::memory(BucketName::rescue());
    let copies = rescue.within("primary").unwrap();
    for object in home.list("").await.unwrap() {
        let bytes = home.get(&object.path).await.unwrap();
        copies.put(&object.path, bytes).await.unwrap();
    }
    let last = Last::Lost;
    let inner = FaultyStore::new(
        Arc::clone(home.store()),
        Plan::FailOnce { at: at + 1, last },
    );
    let last = Last::Done;
    let outer = FaultyStore::new(Arc::new(inner), Plan::FailOnce { at, last });
    let mut world = World::over(&home);
    let mirror = Mirror::new(rescue, world.clock.clone(), MirrorScope::Recovery);
    let buckets = Arc::new(BucketRegistry::new());
    let failing = home.with_store(Arc::new(outer.clone()));
    buckets.insert(mirror.over(&failing)).unwrap();
    world.context.datasets = Datasets::new(buckets, world.clock.clone());
    let acknowledged = Change::Append.run(&world).await.is_ok();
    let found = state(&World::over(&home)).await;
    let (before, after) = (Change::Append.before(), Change::Append.after());
    assert!(
        found == after || (!acknowledged && found == before),
        "{at}, acknowledged: {acknowledged}: {found:?}"
    );
    (found, outer.stopped())
}

#[tokio::test]
async fn an_older_copy_does_not_decide_what_becomes_of_a_commit() {
    let mut at = 0;
    let mut outcomes = Vec::new();
    loop {
        let (found, met) = append_over_an_older_copy(at).await;
        if !met {
            break;
        }
        outcomes.push(found == Change::Append.after());
        at += 1;
    }
    assert!(
        outcomes.contains(&true) && outcomes.contains(&false),
        "{outcomes:?}"
    );
}
