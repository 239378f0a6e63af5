//! What must hold of the keys of a host.

use boathouse_faults::{FaultyStore, Plan};
use boathouse_storage::{Mirror, MirrorScope};
use boathouse_types::{BucketName, ManualClock};

use super::*;

const START: i64 = 1_800_000_000_000;

struct House {
    primary: Bucket,
    clock: Arc<ManualClock>,
}

impl House {
    fn new() -> Self {
        Self {
            primary: Bucket::memory(BucketName::primary()),
            clock: Arc::new(ManualClock::at(START)),
        }
    }

    /// The keys as a host finds them that starts now.
    async fn keys(&self) -> Keys {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let keys = Keys::new(&self.primary, clock);
        keys.read().await.expect("read");
        keys
    }
}

fn spec(name: &str, scopes: &[Scope]) -> KeySpec {
    KeySpec {
        name: name.to_owned(),
        scopes: scopes.iter().cloned().collect(),
        expires_in_days: None,
        datasets: None,
        indexes: None,
    }
}

async fn add(keys: &Keys, spec: KeySpec) -> Token {
    let token = Token::fresh().expect("entropy");
    keys.add(spec, &token, "test").await.expect("added");
    token
}

fn name_of(found: Found) -> Option<String> {
    match found {
        Found::Caller(caller) => Some(caller.name().to_owned()),
        Found::Expired { .. } | Found::Unknown => None,
    }
}

#[tokio::test]
async fn a_key_opens_until_it_is_revoked_and_after_a_restart() {
    let house = House::new();
    let keys = house.keys().await;
    assert!(keys.is_empty() && !keys.has_admin());
    let admin = add(&keys, spec("boss", &[Scope::Admin])).await;
    let reader = add(&keys, spec("reader", &[Scope::Read])).await;
    assert_eq!(
        name_of(keys.find(&reader)),
        Some(format!("reader ({})", reader.id()))
    );
    let again = house.keys().await;
    assert!(again.has_admin());
    assert!(name_of(again.find(&admin)).is_some());
    again.revoke(reader.id(), true).await.expect("revoked");
    assert!(name_of(again.find(&reader)).is_none());
    assert!(name_of(house.keys().await.find(&reader)).is_none());
    assert!(matches!(
        again.revoke(reader.id(), true).await,
        Err(KeysError::Unknown)
    ));
}

#[tokio::test]
async fn another_secret_under_a_known_id_opens_nothing() {
    let keys = House::new().keys().await;
    let token = add(&keys, spec("k", &[Scope::Admin])).await;
    let other = Token::fresh().expect("entropy");
    let (_, secret) = other.reveal().rsplit_once('_').expect("parts");
    let forged = Token::parse(&format!("bh_{}_{secret}", token.id())).expect("a token");
    assert!(matches!(keys.find(&forged), Found::Unknown));
    assert!(matches!(keys.find(&other), Found::Unknown));
}

#[tokio::test]
async fn a_key_expires_at_its_time_and_does_not_open_the_door_for_others() {
    let house = House::new();
    let keys = house.keys().await;
    let mut wanted = spec("k", &[Scope::Admin]);
    wanted.expires_in_days = Some(2);
    let token = add(&keys, wanted).await;
    house.clock.advance(2 * DAY_MILLIS - 1);
    assert!(name_of(keys.find(&token)).is_some() && keys.has_admin());
    house.clock.advance(1);
    assert!(
        matches!(keys.find(&token), Found::Expired { end, .. } if end.millis() == START + 2 * DAY_MILLIS)
    );
    assert!(!keys.has_admin() && !keys.is_empty());
    assert!(keys.list()[0].expired);
}

#[tokio::test]
async fn the_last_admin_key_that_holds_stays_when_asked() {
    let house = House::new();
    let keys = house.keys().await;
    let mut brief = spec("brief", &[Scope::Admin]);
    brief.expires_in_days = Some(1);
    let brief = add(&keys, brief).await;
    let lasting = add(&keys, spec("lasting", &[Scope::Admin])).await;
    house.clock.advance(DAY_MILLIS);
    assert!(matches!(
        keys.revoke(lasting.id(), true).await,
        Err(KeysError::LastAdmin)
    ));
    assert!(name_of(keys.find(&lasting)).is_some(), "it was refused");
    keys.revoke(brief.id(), true).await.expect("expired anyway");
    keys.revoke(lasting.id(), false).await.expect("allowed");
    assert!(keys.is_empty());
}

#[tokio::test]
async fn hosts_that_share_a_bucket_lose_no_key_of_each_other() {
    let house = House::new();
    let (one, two) = (house.keys().await, house.keys().await);
    let first = add(&one, spec("first", &[Scope::Read])).await;
    let second = add(&two, spec("second", &[Scope::Read])).await;
    assert!(
        name_of(two.find(&first)).is_some(),
        "learnt with its own change"
    );
    one.revoke(second.id(), true).await.expect("found there");
    assert_eq!(house.keys().await.list().len(), 1);
}

#[tokio::test]
async fn a_restricted_key_reaches_what_it_names() {
    let keys = House::new().keys().await;
    let dataset = DatasetName::new("notes").expect("name");
    let mut wanted = spec("k", &[Scope::Search]);
    wanted.datasets = Some([dataset.clone()].into());
    let token = add(&keys, wanted).await;
    let Found::Caller(caller) = keys.find(&token) else {
        panic!("it holds");
    };
    assert!(caller.is_restricted() && caller.reaches_dataset("notes"));
    assert!(!caller.reaches_dataset("other"));
    assert!(caller.reaches_index("any", Some(&dataset)));
}

#[tokio::test]
async fn nothing_that_is_stored_holds_a_secret() {
    let house = House::new();
    let keys = house.keys().await;
    let token = add(&keys, spec("k", &[Scope::Admin])).await;
    let (_, secret) = token.reveal().rsplit_once('_').expect("parts");
    for object in house.primary.list("auth").await.expect("listed") {
        let bytes = house.primary.get(&object.path).await.expect("read");
        assert!(!String::from_utf8_lossy(&bytes).contains(secret));
    }
    let shown = serde_json::to_string(&keys.list()).expect("json");
    assert!(
        !shown.contains(secret) && !shown.contains("sha256"),
        "{shown}"
    );
}

#[tokio::test]
async fn the_last_use_is_told_by_the_minute() {
    let house = House::new();
    let keys = house.keys().await;
    let token = add(&keys, spec("k", &[Scope::Admin])).await;
    assert_eq!(keys.list()[0].last_used_at, None);
    house.clock.advance(61_500);
    let _found = keys.find(&token);
    let used = keys.list()[0].last_used_at.expect("used");
    assert_eq!(used.millis() % MINUTE_MILLIS, 0);
    assert!(used.millis() <= START + 61_500);
}

#[tokio::test]
async fn a_key_that_was_revoked_does_not_come_back_with_an_older_copy() {
    let house = House::new();
    let before = house.keys().await;
    let lost = add(&before, spec("lost", &[Scope::Admin])).await;
    let rescue = Bucket::memory(BucketName::rescue());
    let copies = rescue.within("primary").expect("a folder");
    for object in house.primary.list("").await.expect("listed") {
        let bytes = house.primary.get(&object.path).await.expect("read");
        copies.put(&object.path, bytes).await.expect("copied");
    }
    before.revoke(lost.id(), false).await.expect("revoked");

    let store = FaultyStore::new(Arc::clone(house.primary.store()), Plan::Never);
    let clock: Arc<dyn Clock> = Arc::clone(&house.clock) as _;
    let mirror = Mirror::new(rescue, Arc::clone(&clock), MirrorScope::Recovery);
    let home = house.primary.with_store(Arc::new(store.clone()));
    let keys = Keys::new(&mirror.over(&home), clock);
    keys.read().await.expect("read");
    store.follow(Plan::DOWN);
    keys.read()
        .await
        .expect_err("only the bucket itself counts");
    assert_eq!(name_of(keys.find(&lost)), None);
    keys.read_copy().await.expect("the copy stands in");
    assert!(name_of(keys.find(&lost)).is_some());
    store.follow(Plan::Never);
    keys.read().await.expect("back");
    assert_eq!(name_of(keys.find(&lost)), None);
}
