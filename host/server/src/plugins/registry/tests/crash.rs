//! Whatever the primary bucket does at whichever operation of a change: at the next start the catalogue is
//! as before or as after, as after when the change was acknowledged; every version that it lists has its
//! bytes and its report, what should serve answers, and each event is told once.
//!
//! Every change is run once for each of its operations and each fault that the operation can meet. The
//! plugins of the house are loaded once for all of them.

use boathouse_faults::{FaultyStore, Last, Plan};
use futures::future::{Either, select};

use super::*;

/// What can be done to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Upload,
    Activate,
    RollBack,
    Delete,
}

/// What a start finds.
#[derive(Debug, PartialEq)]
struct Found {
    versions: Vec<(String, State)>,
    scorer: String,
    events: Vec<String>,
}

/// What all starts share.
struct Ground {
    host: PluginHost,
    house: BTreeMap<PluginKind, Plugin>,
    /// What a start need not load again to be looked at.
    loaded: HashMap<String, Plugin>,
    /// The objects before each change.
    objects: Vec<(String, Bytes)>,
}

impl Ground {
    /// A host that has started once and in which a change can be made.
    async fn of(change: Change) -> Self {
        let world = World::new();
        let registry = world.open().await;
        if change != Change::Upload {
            uploaded(&registry, &PARETO, "1.0.0").await;
        }
        if change == Change::RollBack {
            activated(&registry, "pareto", "1.0.0", vec![Place::Host]).await;
        }
        let loaded = locked(&registry.loaded).clone();
        let mut objects = Vec::new();
        for object in world.primary.list("").await.expect("listed") {
            let bytes = world.primary.get(&object.path).await.expect("read");
            objects.push((object.path, bytes));
        }
        Self {
            host: registry.host.clone(),
            house: registry.house.clone(),
            loaded,
            objects,
        }
    }

    async fn bucket(&self) -> Bucket {
        let bucket = Bucket::memory(BucketName::primary());
        for (path, bytes) in &self.objects {
            bucket.put(path, bytes.clone()).await.expect("written");
        }
        bucket
    }

    /// The host under test, which loads what it needs.
    async fn begin(&self, primary: &Bucket) -> Arc<Registry> {
        self.open(primary, HashMap::new()).await
    }

    /// The next start, which has what it needs.
    async fn next(&self, primary: &Bucket) -> Arc<Registry> {
        self.open(primary, self.loaded.clone()).await
    }

    async fn open(&self, primary: &Bucket, loaded: HashMap<String, Plugin>) -> Arc<Registry> {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(1_800_000_000_000));
        let parts = RegistryParts {
            host: self.host.clone(),
            primary: primary.clone(),
            rescue: Bucket::memory(BucketName::rescue()),
            settings: BTreeMap::new(),
            clock: Arc::clone(&clock),
            background: Tasks::new(clock).background(),
        };
        let opened = Registry::over(parts, &ALL, self.house.clone(), loaded).await;
        opened.expect("opened")
    }
}

impl Change {
    async fn run(self, registry: &Arc<Registry>) -> Result<(), Problem> {
        let (pareto, version) = (id(SCORING, "pareto"), "1.0.0".to_owned());
        match self {
            Self::Upload => {
                let bytes = variant(&PARETO, "acme-team", "1.0.0");
                let upload = Upload::new(pareto, Some(version), bytes, "tests").await;
                registry.upload(upload).await.map(drop)
            }
            Self::Activate => {
                let places = vec![Place::Host];
                let switched = registry.activate(pareto, version, places, wish(None));
                switched.await.map(drop)
            }
            Self::RollBack => registry.roll_back(pareto, wish(None)).await.map(drop),
            Self::Delete => registry.delete(pareto, version, wish(None)).await,
        }
    }

    /// The code that says, when it is done again, that it is done.
    fn done(self) -> Option<&'static str> {
        match self {
            Self::Upload | Self::Activate => None,
            Self::RollBack => Some("no_previous"),
            Self::Delete => Some("unknown_plugin"),
        }
    }
}

/// What a start finds in a bucket, checked.
async fn found(registry: &Arc<Registry>, bucket: &Bucket) -> Found {
    let catalogue = registry.catalogue();
    let mut versions = Vec::new();
    for entry in &catalogue.versions {
        registry.store.get(&entry.digest).await.expect("its bytes");
        let report = registry.store.report(&entry.digest).await.expect("read");
        assert!(report.is_some_and(|report| report.passed), "{entry:?}");
        assert!(entry.suspended.is_none(), "{entry:?}");
        versions.push((entry.plugin().to_string(), catalogue.state(entry)));
    }
    let clock = Arc::new(ManualClock::at(0));
    let log = EventLog::open(bucket, clock).await.expect("opened");
    let events = log.after(None, 0, 1_000).await.expect("read");
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    let expected: Vec<u64> = (1..=catalogue.last_event).collect();
    assert_eq!(numbers, expected, "each event is told once");
    Found {
        versions,
        scorer: scorer(registry, "a").await,
        events: names(&events),
    }
}

/// Makes a change while the bucket follows a plan, and checks what is left of it.
/// Gives whether the plan was met.
async fn check(ground: &Ground, change: Change, after: &Found, plan: Plan) -> bool {
    let bucket = ground.bucket().await;
    let store = FaultyStore::new(Arc::clone(bucket.store()), Plan::Never);
    let registry = ground
        .begin(&bucket.with_store(Arc::new(store.clone())))
        .await;
    let before = found(&registry, &bucket).await;
    store.follow(plan);
    let is_acknowledged = if matches!(plan, Plan::Stall { .. }) {
        let run = Box::pin(change.run(&registry));
        match select(run, Box::pin(store.reached())).await {
            Either::Left((outcome, _)) => outcome.is_ok(),
            Either::Right(_) => false,
        }
    } else {
        change.run(&registry).await.is_ok()
    };
    let is_met = store.stopped();
    if matches!(plan, Plan::FailOnce { .. }) && change != Change::Upload {
        // The host lives on, and serves what the next start will serve.
        let serves = scorer(&registry, "a").await;
        let next = ground.next(&bucket).await;
        assert_eq!(serves, scorer(&next, "a").await, "{change:?}, {plan:?}");
    }
    let registry = ground.next(&bucket).await;
    let now = found(&registry, &bucket).await;
    let happened = now == *after;
    assert!(
        happened || (!is_acknowledged && now == before),
        "{change:?}, {plan:?}, acknowledged: {is_acknowledged}: {now:?}"
    );
    match change.run(&registry).await {
        Err(problem) if happened && change.done() == Some(problem.code.as_str()) => {}
        again => again.unwrap_or_else(|problem| panic!("{change:?}, {plan:?}: again: {problem}")),
    }
    assert_eq!(
        found(&registry, &bucket).await,
        *after,
        "{change:?}, {plan:?}: again"
    );
    is_met
}

async fn check_all(change: Change) {
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
    let ground = Ground::of(change).await;
    let bucket = ground.bucket().await;
    let registry = ground.next(&bucket).await;
    change.run(&registry).await.expect("without faults");
    let after = found(&registry, &bucket).await;
    for fault in faults {
        let mut at = 0;
        while check(&ground, change, &after, fault(at)).await {
            at += 1;
        }
        assert!(at > 2, "{change:?} has {at} operations");
    }
}

#[tokio::test]
async fn an_upload_that_meets_any_fault_is_whole_or_not_there() {
    check_all(Change::Upload).await;
}

#[tokio::test]
async fn an_activation_that_meets_any_fault_serves_now_as_after_a_restart() {
    check_all(Change::Activate).await;
}

#[tokio::test]
async fn a_rollback_that_meets_any_fault_serves_now_as_after_a_restart() {
    check_all(Change::RollBack).await;
}

#[tokio::test]
async fn a_deletion_that_meets_any_fault_leaves_no_version_without_its_bytes() {
    check_all(Change::Delete).await;
}
