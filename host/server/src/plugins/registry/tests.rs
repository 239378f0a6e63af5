//! The life of versions over buckets in memory, with the bundled plugins under other names and versions.

mod crash;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use boathouse_bundle::{ALL, PARETO, PII};
use boathouse_plugins::{Compiling, PluginHostConfig};
use boathouse_tuning::Scorer as _;
use boathouse_types::{BucketName, IndexName, ManualClock, Objective};
use bytes::Bytes;
use futures::future::join_all;

use super::*;
use crate::{
    plugins::{
        Event, Happened, State, Upload, Uploaded, VersionView, Wish,
        health::Says,
        store::{digest_of, hex},
    },
    tasks::Tasks,
};

const SCORING: PluginKind = PluginKind::Scoring;

/// Buckets that outlive a host.
struct World {
    primary: Bucket,
    rescue: Bucket,
}

impl World {
    fn new() -> Self {
        Self {
            primary: Bucket::memory(BucketName::primary()),
            rescue: Bucket::memory(BucketName::rescue()),
        }
    }

    async fn open(&self) -> Arc<Registry> {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(1_800_000_000_000));
        let host = PluginHost::new(PluginHostConfig::default(), Compiling::InProcess);
        let parts = RegistryParts {
            host: host.expect("a sandbox"),
            primary: self.primary.clone(),
            rescue: self.rescue.clone(),
            settings: BTreeMap::new(),
            clock: Arc::clone(&clock),
            background: Tasks::new(clock).background(),
        };
        Registry::open(parts, &ALL).await.expect("opened")
    }

    /// Copies an object into `rescue`, as the mirror does; where it lies there.
    async fn copied(&self, path: &str) -> String {
        let bytes = self.primary.get(path).await.expect("stored");
        let copy = format!("primary/{path}");
        self.rescue.put(&copy, bytes).await.expect("copied");
        copy
    }
}

/// A bundled component under another name of equal length and another version.
fn variant(component: &Bundled, team: &str, version: &str) -> Bytes {
    assert_eq!(
        (team.len(), version.len()),
        ("boathouse".len(), "0.1.0".len())
    );
    let name = component.name.replace("boathouse", team);
    let plain = format!("{}0.1.0", component.name);
    let other = format!("{name}{version}");
    let at = component
        .bytes
        .windows(plain.len())
        .position(|window| window == plain.as_bytes())
        .expect("name and version stand together");
    let mut bytes = component.bytes.to_vec();
    bytes[at..at + plain.len()].copy_from_slice(other.as_bytes());
    bytes.into()
}

fn id(kind: PluginKind, name: &str) -> PluginId {
    PluginId::new(kind, "acme-team", name).expect("name")
}

fn wish(expected: Option<u64>) -> Wish {
    Wish {
        by: "tests".to_owned(),
        expected,
    }
}

async fn uploaded(registry: &Arc<Registry>, component: &Bundled, version: &str) -> VersionView {
    let kind = super::super::kind_of(component).expect("kind");
    let name = component.name.split('/').nth(1).expect("name");
    let bytes = variant(component, "acme-team", version);
    let upload = Upload::new(id(kind, name), Some(version.to_owned()), bytes, "tests").await;
    match registry.upload(upload).await.expect("uploaded") {
        Uploaded::New(stored) => stored.version,
        Uploaded::Known(stored) => panic!("known: {stored:?}"),
    }
}

async fn activated(registry: &Arc<Registry>, name: &str, version: &str, places: Vec<Place>) -> u64 {
    let kind = if name == "pii" {
        PluginKind::Pii
    } else {
        SCORING
    };
    let switched = registry
        .activate(id(kind, name), version.to_owned(), places, wish(None))
        .await
        .expect("activated");
    switched.etag.trim_matches('"').parse().expect("a number")
}

/// Who scores for an index, by its own word.
async fn scorer(registry: &Arc<Registry>, index: &str) -> String {
    let place = Place::Index(IndexName::new(index).expect("name"));
    let (judge, objective) = (registry.judge(SCORING, place), Objective::default());
    let judged = judge.evaluate(&[], &objective).await;
    judged.expect("verdicts").by.to_string()
}

async fn told(registry: &Registry, after: u64) -> Vec<Event> {
    registry
        .events
        .after(None, after, 1_000)
        .await
        .expect("events")
}

fn names(events: &[Event]) -> Vec<String> {
    let name = |event: &Event| format!("{} {}@{}", event.event.as_str(), event.name, event.version);
    events.iter().map(name).collect()
}

#[tokio::test]
async fn the_house_comes_in_once_and_serves_again_after_a_restart() {
    let world = World::new();
    let registry = world.open().await;
    let versions = registry.versions();
    assert_eq!(versions.len(), ALL.len());
    for version in &versions {
        let state = match version.name.as_str() {
            "boathouse/surrogate" => State::Checked,
            _ => State::Active,
        };
        assert_eq!((version.state, version.suspended.is_some()), (state, false));
        assert!(
            version.checked_by.is_some() && version.bytes > 0,
            "{version:?}"
        );
    }
    let events = told(&registry, 0).await;
    assert_eq!(
        names(&events)[..3],
        [
            "uploaded boathouse/epsilon-greedy@0.1.0",
            "checked boathouse/epsilon-greedy@0.1.0",
            "activated boathouse/epsilon-greedy@0.1.0"
        ]
    );
    assert!(events.iter().all(|event| event.by == HOUSE));
    let registry = world.open().await;
    assert_eq!(told(&registry, 0).await, events);
}

#[tokio::test]
async fn an_upload_is_checked_stored_and_idempotent() {
    let world = World::new();
    let registry = world.open().await;
    let version = uploaded(&registry, &PARETO, "1.0.0").await;
    assert_eq!(
        (version.state, version.uploaded_by.as_deref()),
        (State::Checked, Some("tests"))
    );
    let bytes = variant(&PARETO, "acme-team", "1.0.0");
    let pareto = id(SCORING, "pareto");
    for given in [None, Some("1.0.0".to_owned())] {
        let again = Upload::new(pareto.clone(), given, bytes.clone(), "tests").await;
        let again = registry.upload(again).await.expect("known");
        assert!(
            matches!(again, Uploaded::Known(ref stored) if stored.report.is_some()),
            "{again:?}"
        );
    }
    let path = format!("plugins/blobs/{}.wasm", version.digest);
    assert_eq!(world.primary.get(&path).await.expect("bytes"), bytes);

    let mut other = bytes.to_vec();
    let at = other
        .windows(11)
        .position(|text| text == b"Recall less")
        .expect("summary");
    other[at] = b'r';
    let other = Upload::new(
        pareto.clone(),
        Some("1.0.0".to_owned()),
        other.into(),
        "tests",
    )
    .await;
    let unnamed = Upload {
        version: None,
        ..other.clone()
    };
    for upload in [other, unnamed] {
        let refused = registry.upload(upload).await.expect_err("other bytes");
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (409, "version_exists")
        );
    }
    let wrong = Upload::new(pareto, Some("2.0.0".to_owned()), bytes, "tests").await;
    let refused = registry.upload(wrong).await.expect_err("another version");
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (422, "check_failed")
    );
    assert_eq!(refused.errors[0].field, "describe", "{refused:?}");
    assert!(refused.report.is_some());
    assert_eq!(registry.versions().len(), ALL.len() + 1);
}

#[tokio::test]
async fn a_refused_upload_stores_nothing() {
    let world = World::new();
    let registry = world.open().await;
    let before = world.primary.list("").await.expect("listed").len();
    for bytes in [
        &b""[..],
        b"\0asm\x01\0\0\0",
        b"no wasm",
        &PARETO.bytes[..5_000],
        PII.bytes,
    ] {
        let bytes = Bytes::from_static(bytes);
        let upload = Upload::new(id(SCORING, "pareto"), None, bytes, "tests").await;
        let refused = registry.upload(upload).await.expect_err("refused");
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (422, "check_failed")
        );
        assert!(!refused.errors.is_empty(), "{refused:?}");
    }
    assert_eq!(world.primary.list("").await.expect("listed").len(), before);
    assert_eq!(registry.versions().len(), ALL.len());
}

#[tokio::test]
async fn what_is_activated_answers_and_goes_back_and_survives_a_restart() {
    let world = World::new();
    let registry = world.open().await;
    uploaded(&registry, &PARETO, "1.0.0").await;
    uploaded(&registry, &PARETO, "2.0.0").await;
    assert_eq!(scorer(&registry, "a").await, "boathouse/pareto@0.1.0");
    activated(&registry, "pareto", "1.0.0", vec![Place::Host]).await;
    let second = activated(&registry, "pareto", "2.0.0", vec![Place::Host]).await;
    assert_eq!(scorer(&registry, "a").await, "acme-team/pareto@2.0.0");
    let same = activated(&registry, "pareto", "2.0.0", vec![Place::Host]).await;
    assert_eq!(same, second, "nothing changed");

    let registry = world.open().await;
    assert_eq!(scorer(&registry, "a").await, "acme-team/pareto@2.0.0");
    for expected in ["acme-team/pareto@1.0.0", "boathouse/pareto@0.1.0"] {
        let back = registry.roll_back(id(SCORING, "pareto"), wish(None)).await;
        assert_eq!(
            back.expect("back")
                .active
                .map(|by| by.to_string())
                .as_deref(),
            Some(expected)
        );
        assert_eq!(scorer(&registry, "a").await, expected);
    }
    let refused = registry.roll_back(id(SCORING, "pareto"), wish(None)).await;
    assert_eq!(refused.expect_err("nothing left").code, "no_previous");
    assert_eq!(
        registry
            .version(&id(SCORING, "pareto"), "2.0.0")
            .expect("listed")
            .state,
        State::Retired
    );
}

#[tokio::test]
async fn an_override_serves_its_index_only_and_may_outlive_it() {
    let world = World::new();
    let registry = world.open().await;
    uploaded(&registry, &PARETO, "1.0.0").await;
    let index = Place::Index(IndexName::new("a").expect("name"));
    activated(&registry, "pareto", "1.0.0", vec![index]).await;
    let registry = world.open().await;
    assert_eq!(scorer(&registry, "a").await, "acme-team/pareto@1.0.0");
    assert_eq!(scorer(&registry, "b").await, "boathouse/pareto@0.1.0");
    registry
        .deactivate(id(SCORING, "pareto"), wish(None))
        .await
        .expect("left");
    assert_eq!(scorer(&registry, "a").await, "boathouse/pareto@0.1.0");
}

#[tokio::test]
async fn a_swap_answers_when_the_calls_that_began_before_have_ended() {
    let registry = World::new().open().await;
    uploaded(&registry, &PARETO, "1.0.0").await;
    let index = Place::Index(IndexName::new("a").expect("name"));
    let house = PARETO.name;
    for place in [Place::Host, index.clone()] {
        // A call for the index runs on what serves everywhere.
        let turn = registry
            .turn(&Spot::new(SCORING, index.clone(), house))
            .expect("a turn");
        let swap = registry.activate(
            id(SCORING, "pareto"),
            "1.0.0".to_owned(),
            vec![place.clone()],
            wish(None),
        );
        let mut swap = std::pin::pin!(swap);
        let probe = async {
            while scorer(&registry, "a").await != "acme-team/pareto@1.0.0" {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            _ = &mut swap => panic!("{place}: a call still runs"),
            () = probe => {}
        }
        assert!(futures::poll!(&mut swap).is_pending(), "{place}");
        drop(turn);
        let switched = swap.await.expect("drained");
        assert_eq!(switched.places.len(), 1);
        registry
            .roll_back(id(SCORING, "pareto"), wish(None))
            .await
            .expect("back");
    }
}

#[tokio::test]
async fn concurrent_changes_take_turns_and_a_stale_one_is_refused() {
    let registry = World::new().open().await;
    uploaded(&registry, &PARETO, "1.0.0").await;
    let before = uploaded(&registry, &PARETO, "2.0.0").await;
    let revision = registry.catalogue().revision(SCORING);
    let wishes = (0..20).map(|n| {
        let version = if n % 2 == 0 { "1.0.0" } else { "2.0.0" };
        let places = vec![Place::Host];
        registry.activate(
            id(SCORING, "pareto"),
            version.to_owned(),
            places,
            wish(None),
        )
    });
    let switched: Vec<_> = join_all(wishes).await;
    let etags: BTreeSet<String> = switched
        .into_iter()
        .map(|switched| switched.expect("no race is lost without `If-Match`").etag)
        .collect();
    assert!(etags.len() > 1, "{etags:?}");
    let active = registry
        .versions()
        .into_iter()
        .filter(|v| v.state == State::Active && v.kind == SCORING);
    assert_eq!(active.count(), 1);
    let events = told(&registry, 0).await;
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());

    let guarded = |expected| {
        let version = before.version.clone();
        registry.activate(
            id(SCORING, "pareto"),
            version,
            vec![Place::Host],
            wish(Some(expected)),
        )
    };
    let stale = guarded(revision).await.expect_err("stale");
    assert_eq!(
        (stale.status, stale.code.as_str()),
        (412, "changed_meanwhile")
    );
    guarded(registry.catalogue().revision(SCORING))
        .await
        .expect("fresh");
}

#[tokio::test]
async fn three_failures_in_a_row_let_the_house_answer_until_it_is_activated_again() {
    let world = World::new();
    let registry = world.open().await;
    uploaded(&registry, &PARETO, "1.0.0").await;
    activated(&registry, "pareto", "1.0.0", vec![Place::Host]).await;
    let plugin = id(SCORING, "pareto").at("1.0.0");
    let health = registry.health(SCORING, &plugin);
    assert!(!health.note(Says::Failing) && !health.note(Says::Failing));
    assert_eq!(
        scorer(&registry, "a").await,
        "acme-team/pareto@1.0.0",
        "an answer in between"
    );
    assert!(
        !health.note(Says::Failing) && !health.note(Says::Failing) && health.note(Says::Failing)
    );
    registry.suspend(SCORING, plugin, "trap".to_owned());
    assert_eq!(scorer(&registry, "a").await, "boathouse/pareto@0.1.0");
    let pareto = id(SCORING, "pareto");
    let view = registry.version(&pareto, "1.0.0").expect("listed");
    assert!(view.state == State::Active && view.suspended.is_some());
    let deadline = Instant::now() + Duration::from_secs(60);
    while registry
        .catalogue()
        .named(&pareto, "1.0.0")
        .expect("listed")
        .suspended
        .is_none()
    {
        assert!(Instant::now() < deadline, "never on record");
        tokio::task::yield_now().await;
    }
    let last = told(&registry, 0).await.pop().expect("events");
    assert_eq!(
        (last.event, last.detail.as_deref()),
        (Happened::Suspended, Some("trap"))
    );

    let registry = world.open().await;
    assert_eq!(scorer(&registry, "a").await, "boathouse/pareto@0.1.0");
    activated(&registry, "pareto", "1.0.0", vec![Place::Host]).await;
    assert_eq!(scorer(&registry, "a").await, "acme-team/pareto@1.0.0");
    let last = told(&registry, 0).await.pop().expect("events");
    assert_eq!(last.event, Happened::Reinstated);
}

#[tokio::test]
async fn damaged_bytes_come_from_the_copy_and_without_one_the_house_answers() {
    let world = World::new();
    let registry = world.open().await;
    let digest = uploaded(&registry, &PARETO, "1.0.0").await.digest;
    activated(&registry, "pareto", "1.0.0", vec![Place::Host]).await;
    let path = format!("plugins/blobs/{digest}.wasm");
    let copy = world.copied(&path).await;
    let torn = || Bytes::from_static(b"torn");
    world.primary.put(&path, torn()).await.expect("torn");
    let registry = world.open().await;
    assert_eq!(scorer(&registry, "a").await, "acme-team/pareto@1.0.0");
    for (bucket, path) in [(&world.primary, &path), (&world.rescue, &copy)] {
        bucket.put(path, torn()).await.expect("torn");
    }
    let registry = world.open().await;
    assert_eq!(scorer(&registry, "a").await, "boathouse/pareto@0.1.0");
    let last = told(&registry, 0).await.pop().expect("events");
    assert_eq!((last.event, last.by.as_str()), (Happened::Suspended, HOUSE));
    assert!(last.detail.is_some_and(|why| why.contains("does not load")));
    let version = registry.activate(
        id(SCORING, "pareto"),
        "1.0.0".to_owned(),
        vec![Place::Host],
        wish(None),
    );
    assert_eq!(
        version.await.expect_err("still damaged").code,
        "damaged_object"
    );
    // The same upload mends it.
    let bytes = variant(&PARETO, "acme-team", "1.0.0");
    registry
        .upload(Upload::new(id(SCORING, "pareto"), None, bytes, "tests").await)
        .await
        .expect("mended");
    activated(&registry, "pareto", "1.0.0", vec![Place::Host]).await;
    assert_eq!(scorer(&registry, "a").await, "acme-team/pareto@1.0.0");
}

#[tokio::test]
async fn nothing_goes_back_to_a_version_that_does_not_load() {
    let world = World::new();
    let registry = world.open().await;
    let digest = uploaded(&registry, &PARETO, "1.0.0").await.digest;
    uploaded(&registry, &PARETO, "2.0.0").await;
    activated(&registry, "pareto", "1.0.0", vec![Place::Host]).await;
    activated(&registry, "pareto", "2.0.0", vec![Place::Host]).await;
    let path = format!("plugins/blobs/{digest}.wasm");
    let torn = Bytes::from_static(b"torn");
    world.primary.put(&path, torn).await.expect("torn");
    let registry = world.open().await;
    let refused = registry.roll_back(id(SCORING, "pareto"), wish(None)).await;
    assert_eq!(refused.expect_err("damaged").code, "damaged_object");
    assert_eq!(scorer(&registry, "a").await, "acme-team/pareto@2.0.0");
    let registry = world.open().await;
    assert_eq!(scorer(&registry, "a").await, "acme-team/pareto@2.0.0");
}

#[tokio::test]
async fn a_catalogue_of_the_first_release_serves_on() {
    let world = World::new();
    let bytes = Bytes::from_static(PARETO.bytes);
    let digest = hex(&digest_of(&bytes).await);
    let path = format!("plugins/blobs/{digest}.wasm");
    world.primary.put(&path, bytes).await.expect("stored");
    let old = serde_json::json!({"plugins": [{
        "kind": "scoring", "name": PARETO.name, "version": "0.1.0", "digest": digest, "active": true,
    }]});
    let manifest = Manifest::new(world.primary.clone(), "plugins/manifest");
    manifest.commit(0, &old).await.expect("committed");
    for _ in 0..2 {
        let registry = world.open().await;
        assert_eq!(scorer(&registry, "a").await, "boathouse/pareto@0.1.0");
        let active = registry
            .versions()
            .into_iter()
            .filter(|v| v.state == State::Active);
        assert_eq!(active.count(), 3);
        uploaded_once(&registry).await;
    }
}

/// Uploads a version, at whichever of several starts comes first.
async fn uploaded_once(registry: &Arc<Registry>) {
    let bytes = variant(&PARETO, "acme-team", "1.0.0");
    let upload = Upload::new(id(SCORING, "pareto"), None, bytes, "tests").await;
    registry.upload(upload).await.expect("new or known");
}

#[tokio::test]
async fn events_of_a_commit_that_were_never_told_are_told_at_the_next_start() {
    let world = World::new();
    let registry = world.open().await;
    uploaded(&registry, &PARETO, "1.0.0").await;
    let before: BTreeSet<String> = paths(&world).await;
    activated(&registry, "pareto", "1.0.0", vec![Place::Host]).await;
    let events = told(&registry, 0).await;
    let lost: Vec<String> = paths(&world).await.difference(&before).cloned().collect();
    assert_eq!(lost.len(), 1, "one change, one file: {lost:?}");
    world.primary.delete(&lost[0]).await.expect("deleted");
    let registry = world.open().await;
    assert_eq!(told(&registry, 0).await, events);
    assert_eq!(paths(&world).await.difference(&before).count(), 1);
}

async fn paths(world: &World) -> BTreeSet<String> {
    let objects = world.primary.list("plugins/events").await.expect("listed");
    objects.into_iter().map(|object| object.path).collect()
}

#[tokio::test]
async fn a_deleted_version_takes_its_bytes_along_and_a_used_one_stays() {
    let world = World::new();
    let registry = world.open().await;
    let digest = uploaded(&registry, &PARETO, "1.0.0").await.digest;
    let pareto = id(SCORING, "pareto");
    let delete = || registry.delete(pareto.clone(), "1.0.0".to_owned(), wish(None));
    registry
        .begin_shadow(pareto.clone(), "1.0.0".to_owned(), wish(None))
        .await
        .expect("shadow");
    assert_eq!(delete().await.expect_err("shadow").code, "version_in_use");
    let registry_again = world.open().await;
    let plugin = pareto.at("1.0.0");
    assert!(
        registry_again.shadows.live(SCORING, &plugin).is_some(),
        "a shadow survives a restart"
    );
    registry
        .end_shadow(pareto.clone(), "1.0.0".to_owned(), wish(None))
        .await
        .expect("ended");
    assert!(registry.shadows.live(SCORING, &plugin).is_none());
    let again = registry
        .end_shadow(pareto.clone(), "1.0.0".to_owned(), wish(None))
        .await;
    assert_eq!(again.expect_err("none").code, "no_shadow");
    let path = format!("plugins/blobs/{digest}.wasm");
    let copy = world.copied(&path).await;
    delete().await.expect("deleted");
    assert_eq!(delete().await.expect_err("gone").code, "unknown_plugin");
    for (bucket, path) in [(&world.primary, &path), (&world.rescue, &copy)] {
        assert!(!bucket.exists(path).await.expect("asked"), "{path}");
    }
    assert_eq!(
        hex(&digest_of(&variant(&PARETO, "acme-team", "1.0.0")).await),
        digest
    );
}

#[tokio::test]
async fn detectors_are_those_of_the_host_and_of_the_dataset() {
    let registry = World::new().open().await;
    uploaded(&registry, &PII, "1.0.0").await;
    uploaded(&registry, &PII, "2.0.0").await;
    let people = DatasetName::new("people").expect("name");
    let other = DatasetName::new("other").expect("name");
    let shown = |dataset: &DatasetName| -> Vec<String> {
        let detectors = registry.serving_detectors(dataset);
        assert_eq!(detectors.len(), registry.detectors(dataset).len());
        detectors
            .iter()
            .map(|detector| detector.identity().to_string())
            .collect()
    };
    activated(&registry, "pii", "1.0.0", vec![Place::Host]).await;
    activated(
        &registry,
        "pii",
        "2.0.0",
        vec![Place::Dataset(people.clone())],
    )
    .await;
    assert_eq!(
        shown(&people),
        ["acme-team/pii@2.0.0", "boathouse/pii@0.1.0"]
    );
    assert_eq!(
        shown(&other),
        ["acme-team/pii@1.0.0", "boathouse/pii@0.1.0"]
    );
    registry
        .deactivate(id(PluginKind::Pii, "pii"), wish(None))
        .await
        .expect("left");
    let house = PluginId::new(PluginKind::Pii, "boathouse", "pii").expect("name");
    registry.deactivate(house, wish(None)).await.expect("left");
    assert!(
        registry.detectors(&people).is_empty(),
        "nobody looks, and ingest says so"
    );
}
