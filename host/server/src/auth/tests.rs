//! What must hold of who is let in.

use std::collections::{BTreeMap, BTreeSet};

use boathouse_types::{BucketName, DatasetName, ManualClock};

use super::*;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;

struct House {
    auth: Auth,
    clock: Arc<ManualClock>,
}

async fn house(bind: &str, required: bool) -> House {
    opened(bind, required, false).await
}

/// A house that reads its keys from copies of the primary bucket, or from that itself.
async fn opened(bind: &str, required: bool, stands_in: bool) -> House {
    let clock = Arc::new(ManualClock::at(1_800_000_000_000));
    let server = ServerConfig {
        bind: bind.parse().expect("an address"),
        ..ServerConfig::default()
    };
    let config = AuthConfig {
        required,
        signatures_required: false,
        teams: BTreeMap::new(),
    };
    let primary = Bucket::memory(BucketName::primary());
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let auth = Auth::open(&primary, &server, &config, &shared, stands_in)
        .await
        .expect("opened");
    House { auth, clock }
}

fn spec(scopes: &[&str]) -> KeySpec {
    KeySpec {
        name: "test".to_owned(),
        scopes: scopes
            .iter()
            .map(|text| text.parse().expect("scope"))
            .collect(),
        expires_in_days: None,
        datasets: None,
        indexes: None,
    }
}

async fn key(auth: &Auth, spec: KeySpec) -> String {
    let made = auth.create_key(spec, &Caller::owner()).await;
    made.expect("made").key
}

fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
    let pair = |(name, value): &(header::HeaderName, &str)| {
        (name.clone(), value.parse().expect("a value"))
    };
    pairs.iter().map(pair).collect()
}

fn who(auth: &Auth, pairs: &[(header::HeaderName, &str)]) -> Result<String, String> {
    let found = auth.identify(&headers(pairs), &Uri::from_static("/x"));
    found
        .map(|caller| caller.name().to_owned())
        .map_err(|(_, problem)| problem.code)
}

fn bearer(auth: &Auth, token: &str) -> Result<String, String> {
    who(auth, &[(header::AUTHORIZATION, &format!("Bearer {token}"))])
}

#[tokio::test]
async fn everybody_may_enter_until_there_is_a_key() {
    let auth = house("127.0.0.1", false).await.auth;
    assert_eq!(who(&auth, &[]), Ok("anonymous".to_owned()));
    let key = key(&auth, spec(&["read"])).await;
    assert_eq!(who(&auth, &[]), Err("key_needed".to_owned()));
    assert!(bearer(&auth, &key).is_ok_and(|name| name.starts_with("test (")));
    let id = key.split('_').nth(1).expect("id");
    auth.revoke_key(id)
        .await
        .expect("the last one, on loopback");
    assert_eq!(bearer(&auth, &key), Err("key_unknown".to_owned()));
    assert_eq!(who(&auth, &[]), Ok("anonymous".to_owned()));
}

#[tokio::test]
async fn nobody_locks_himself_out_with_the_first_key() {
    let auth = house("127.0.0.1", false).await.auth;
    let anybody = Caller::anonymous();
    let refused = auth.create_key(spec(&["search"]), &anybody).await;
    let refused = refused.expect_err("it could make no other key");
    assert_eq!((refused.status, &*refused.code), (409, "first_key"));
    assert!(refused.detail.contains("key create boss --admin"));
    assert_eq!(who(&auth, &[]), Ok("anonymous".to_owned()), "none was made");

    let made = auth.create_key(spec(&["admin"]), &anybody).await;
    assert!(made.expect("made").first);
    let made = auth.create_key(spec(&["search"]), &Caller::owner()).await;
    assert!(!made.expect("made").first);
    let refused = auth.identify(&HeaderMap::new(), &Uri::from_static("/x"));
    let (_, problem) = refused.expect_err("a key is needed");
    assert!(problem.detail.contains("--data DIR"), "{problem}");
}

#[tokio::test]
async fn the_owner_of_the_folder_may_begin_with_any_key() {
    let auth = house("127.0.0.1", false).await.auth;
    let made = auth.create_key(spec(&["search"]), &Caller::owner()).await;
    assert!(made.expect("made").first);
}

#[tokio::test]
async fn nobody_enters_without_a_key_where_it_is_said_or_where_the_network_reaches() {
    for (bind, required) in [("127.0.0.1", true), ("0.0.0.0", false), ("::", false)] {
        let auth = house(bind, required).await.auth;
        assert_eq!(who(&auth, &[]), Err("key_needed".to_owned()), "{bind}");
        let owner = auth.owner_token().reveal().to_owned();
        assert_eq!(bearer(&auth, &owner), Ok("owner".to_owned()));
    }
}

#[tokio::test]
async fn a_wrong_key_is_refused_even_where_none_is_asked_for() {
    let auth = house("127.0.0.1", false).await.auth;
    let other = house("127.0.0.1", false).await.auth;
    for wrong in ["x", "bh_owner_x", other.owner_token().reveal()] {
        assert_eq!(
            bearer(&auth, wrong),
            Err("key_unknown".to_owned()),
            "{wrong}"
        );
    }
    let basic = [(header::AUTHORIZATION, "Basic YTpi")];
    assert_eq!(who(&auth, &basic), Err("key_unknown".to_owned()));
    let lower = format!("bearer  {}", auth.owner_token().reveal());
    assert_eq!(
        who(&auth, &[(header::AUTHORIZATION, &lower)]),
        Ok("owner".to_owned())
    );
}

#[tokio::test]
async fn an_expired_key_says_so() {
    let house = house("127.0.0.1", false).await;
    let mut wanted = spec(&["admin"]);
    wanted.expires_in_days = Some(1);
    let key = key(&house.auth, wanted).await;
    house.clock.advance(DAY_MILLIS);
    assert_eq!(bearer(&house.auth, &key), Err("key_expired".to_owned()));
    assert_eq!(who(&house.auth, &[]), Err("key_needed".to_owned()));
}

#[tokio::test]
async fn without_copies_of_keys_nobody_gets_in_before_the_bucket_is_asked() {
    let house = opened("127.0.0.1", false, true).await;
    assert!(!house.auth.is_open());
    house.auth.refresh().await.expect("read");
    assert!(house.auth.is_open());
}

#[tokio::test]
async fn a_page_of_another_origin_may_not_use_an_open_host() {
    let auth = house("127.0.0.1", false).await.auth;
    let (host, origin) = (header::HOST, header::ORIGIN);
    let own = "127.0.0.1:7700";
    for good in [
        &[(host.clone(), own)][..],
        &[(host.clone(), "localhost:7700")],
        &[(host.clone(), "[::1]:7700")],
        &[
            (host.clone(), own),
            (origin.clone(), "http://127.0.0.1:7700"),
        ],
    ] {
        assert_eq!(who(&auth, good), Ok("anonymous".to_owned()), "{good:?}");
    }
    for bad in [
        &[
            (host.clone(), own),
            (origin.clone(), "https://evil.example"),
        ][..],
        &[
            (host.clone(), own),
            (origin.clone(), "http://127.0.0.1:8000"),
        ],
        &[(host.clone(), own), (origin.clone(), "null")],
        &[(host.clone(), "evil.example:7700")],
        &[(host.clone(), "127.0.0.1.evil.example")],
        &[(host.clone(), "")],
        &[(origin.clone(), "null")],
    ] {
        assert_eq!(who(&auth, bad), Err("foreign_origin".to_owned()), "{bad:?}");
    }
    let key = key(&auth, spec(&["read"])).await;
    let shown = format!("Bearer {key}");
    let with_key = [
        (header::AUTHORIZATION, shown.as_str()),
        (host, "data.example"),
    ];
    assert!(who(&auth, &with_key).is_ok(), "a key is no browser's habit");
}

#[tokio::test]
async fn the_last_key_that_makes_others_stays_where_the_network_reaches() {
    let auth = house("0.0.0.0", false).await.auth;
    let admin = key(&auth, spec(&["admin"])).await;
    let reader = key(&auth, spec(&["read"])).await;
    let id = |key: &str| key.split('_').nth(1).expect("id").to_owned();
    let refused = auth.revoke_key(&id(&admin)).await.expect_err("the last");
    assert_eq!((refused.status, &*refused.code), (409, "last_admin_key"));
    auth.revoke_key(&id(&reader)).await.expect("no admin");
    let refused = auth.revoke_key(&id(&reader)).await.expect_err("gone");
    assert_eq!((refused.status, &*refused.code), (404, "unknown_key"));
}

#[tokio::test]
async fn keys_that_make_no_sense_are_refused_with_the_field_named() {
    let auth = house("127.0.0.1", false).await.auth;
    let dataset: BTreeSet<DatasetName> = [DatasetName::new("notes").expect("name")].into();
    let good = spec(&["read"]);
    let named = |name: &str| KeySpec {
        name: name.to_owned(),
        ..good.clone()
    };
    let days = |days| KeySpec {
        expires_in_days: Some(days),
        ..good.clone()
    };
    let bad = [
        (named(""), "name"),
        (named(" "), "name"),
        (named("a\nb"), "name"),
        (named(&"x".repeat(81)), "name"),
        (spec(&[]), "scopes"),
        (days(0), "expires_in_days"),
        (days(3_651), "expires_in_days"),
        (
            KeySpec {
                datasets: Some(BTreeSet::new()),
                ..good.clone()
            },
            "datasets",
        ),
        (
            KeySpec {
                datasets: Some(dataset.clone()),
                ..spec(&["read", "admin"])
            },
            "scopes",
        ),
        (
            KeySpec {
                datasets: Some(dataset),
                ..spec(&["plugins:write:acme"])
            },
            "scopes",
        ),
    ];
    for (spec, field) in bad {
        let refused = auth
            .create_key(spec, &Caller::owner())
            .await
            .expect_err(field);
        assert_eq!((refused.status, &*refused.code), (422, "bad_key"));
        assert_eq!(refused.errors[0].field, field);
    }
    assert_eq!(who(&auth, &[]), Ok("anonymous".to_owned()), "none was made");
}
