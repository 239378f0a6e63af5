//! What is remembered over restarts, for how long, and between hosts.

use boathouse_types::{BucketName, IndexConfig, ManualClock};

use super::*;

const START: i64 = 1_800_000_000_000;
const MINUTE: i64 = 60_000;

fn bucket() -> Bucket {
    Bucket::memory(BucketName::primary())
}

fn memory(bucket: &Bucket) -> (Memory, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(START));
    let shared: Arc<dyn Clock> = clock.clone();
    (Memory::new(bucket, &shared), clock)
}

#[tokio::test]
async fn an_hour_has_room_for_so_many_trials_also_after_a_restart() {
    let bucket = bucket();
    let (first, clock) = memory(&bucket);
    for _ in 0..3 {
        assert!(first.begin_trial(3, true).await.unwrap().is_some());
        clock.advance(MINUTE);
    }
    let (again, clock) = memory(&bucket);
    clock.advance(3 * MINUTE);
    assert_eq!(
        again.begin_trial(3, true).await.unwrap(),
        None,
        "the fourth"
    );
    let full_until = again.known().room_at(3, clock.now()).unwrap();
    assert_eq!(full_until.millis(), START + HOUR + 1);
    clock.advance(HOUR - 3 * MINUTE);
    assert_eq!(again.known().trials_in_hour(clock.now()), 3);
    assert_eq!(
        again.begin_trial(3, true).await.unwrap(),
        None,
        "to the millisecond"
    );
    clock.advance(1);
    assert_eq!(again.known().trials_in_hour(clock.now()), 2);
    assert!(again.begin_trial(3, true).await.unwrap().is_some());
}

#[tokio::test]
async fn two_hosts_share_an_hour() {
    let bucket = bucket();
    let ((one, _), (other, _)) = (memory(&bucket), memory(&bucket));
    let mut begun = 0;
    for _ in 0..5 {
        let (first, second) = tokio::join!(one.begin_trial(4, true), other.begin_trial(4, true));
        begun += usize::from(first.unwrap().is_some());
        begun += usize::from(second.unwrap().is_some());
    }
    assert_eq!(begun, 4);
}

#[tokio::test]
async fn what_did_not_begin_does_not_count_and_a_wrong_clock_does_not_bind_for_ever() {
    let bucket = bucket();
    let (memory, clock) = memory(&bucket);
    clock.advance(24 * HOUR);
    let begun = memory.begin_trial(1, true).await.unwrap().unwrap();
    clock.advance(-24 * HOUR);
    assert_eq!(memory.begin_trial(1, true).await.unwrap(), None);
    clock.advance(HOUR + 1);
    assert!(memory.begin_trial(1, true).await.unwrap().is_some());
    memory.not_begun(begun).await.unwrap();
    let begun = clock.now();
    memory.not_begun(begun).await.unwrap();
    assert!(memory.begin_trial(1, true).await.unwrap().is_some());
}

#[tokio::test]
async fn the_last_word_holds_whoever_said_it() {
    let bucket = bucket();
    let (first, _) = memory(&bucket);
    assert!(first.load().await.unwrap().is_enabled(true));
    first.switch(false, true, "ada").await.unwrap();
    let again = memory(&bucket).0.load().await.unwrap();
    assert!(!again.is_enabled(true), "a stop survives a restart");
    assert_eq!(again.switch(true).unwrap().by, "ada");
    assert!(!again.is_enabled(false));
    assert!(
        again.switch(false).is_none(),
        "the configuration says so itself"
    );
    let (other, _) = memory(&bucket);
    other.switch(true, false, "bea").await.unwrap();
    let both = other.known();
    assert!(both.is_enabled(false) && both.is_enabled(true));
}

#[tokio::test]
async fn the_newest_looks_are_remembered() {
    let bucket = bucket();
    let (memory, clock) = memory(&bucket);
    let index = IndexName::new("a").unwrap();
    for trials in 0..15 {
        let look = Look {
            at: clock.now(),
            reasons: vec![Reason::Asked],
            trials,
            data_version: "v".to_owned(),
            outcome: Outcome::Kept,
            detail: "nothing is better".to_owned(),
        };
        memory.looked(&index, &look).await.unwrap();
    }
    let again = self::memory(&bucket).0.load().await.unwrap();
    assert_eq!(again.looks(&index).len(), LOOKS);
    assert_eq!(again.last_look(&index).unwrap().trials, 14);
    memory.forget(&index).await.unwrap();
    assert!(memory.known().last_look(&index).is_none());
}

fn terms(ef_search: u32, data_version: &str) -> Terms {
    Terms {
        champion: IndexConfig {
            ef_search,
            ..IndexConfig::default()
        }
        .into(),
        data_version: data_version.to_owned(),
        objective: Objective {
            p95_budget_us: Some(250.5),
            ..Objective::default()
        },
    }
}

#[tokio::test]
async fn who_lost_is_remembered_over_a_restart_and_on_the_same_terms_only() {
    let bucket = bucket();
    let (memory, clock) = memory(&bucket);
    let (a, b) = (IndexName::new("a").unwrap(), IndexName::new("b").unwrap());
    memory.lost(&a, &terms(30, "v1"), "t1").await.unwrap();
    clock.advance(MINUTE);
    memory.lost(&a, &terms(30, "v1"), "t2").await.unwrap();
    memory.lost(&b, &terms(30, "v1"), "t9").await.unwrap();
    let again = self::memory(&bucket).0;
    let known = again.load().await.unwrap();
    assert_eq!(known.lost(&a, &terms(30, "v1"), None), ["t1", "t2"]);
    let alarm = Some(Timestamp::from_millis(START + MINUTE));
    assert_eq!(known.lost(&a, &terms(30, "v1"), alarm), ["t2"]);
    let stricter = Terms {
        objective: Objective::default(),
        ..terms(30, "v1")
    };
    for other in [terms(31, "v1"), terms(30, "v2"), stricter] {
        assert!(known.lost(&a, &other, None).is_empty(), "{other:?}");
    }
    again.lost(&a, &terms(31, "v1"), "t3").await.unwrap();
    let known = again.known();
    assert_eq!(known.lost(&a, &terms(31, "v1"), None), ["t3"]);
    assert!(known.lost(&a, &terms(30, "v1"), None).is_empty());
    assert_eq!(known.lost(&b, &terms(30, "v1"), None), ["t9"]);
    assert_eq!(known.indexes().collect::<Vec<_>>(), [&a, &b]);
    again.forget(&b).await.unwrap();
    assert_eq!(again.known().indexes().count(), 1);
}

#[tokio::test]
async fn not_everybody_who_ever_lost_is_remembered() {
    let (bucket, index) = (bucket(), IndexName::new("a").unwrap());
    let memory = memory(&bucket).0;
    for trial in 0..=LOST {
        let trial = format!("t{trial}");
        memory.lost(&index, &terms(30, "v"), &trial).await.unwrap();
    }
    memory.lost(&index, &terms(30, "v"), "t7").await.unwrap();
    let lost = memory.known().lost(&index, &terms(30, "v"), None);
    assert_eq!(lost.len(), LOST);
    assert_eq!((lost[0].as_str(), lost[LOST - 1].as_str()), ("t1", "t7"));
}

#[tokio::test]
async fn a_stop_does_not_come_back_with_the_configuration() {
    let bucket = bucket();
    let first = memory(&bucket).0;
    first.switch(false, true, "ada").await.unwrap();
    let same = memory(&bucket).0;
    same.wake_up(true).await.unwrap();
    assert!(!same.known().is_enabled(true), "nothing has changed");
    // Started once with `enabled = false`, and then as before.
    let changed = memory(&bucket).0;
    changed.wake_up(false).await.unwrap();
    assert!(!changed.known().is_enabled(false));
    let back = memory(&bucket).0;
    back.wake_up(true).await.unwrap();
    assert!(back.known().is_enabled(true), "the configuration says so");
}

#[tokio::test]
async fn no_trial_begins_once_another_host_was_told_to_stop() {
    let bucket = bucket();
    let ((one, _), (other, _)) = (memory(&bucket), memory(&bucket));
    one.load().await.unwrap();
    other.switch(false, true, "ada").await.unwrap();
    assert!(one.known().is_enabled(true), "it has not read that");
    assert_eq!(one.begin_trial(4, true).await.unwrap(), None);
    assert!(!one.known().is_enabled(true));
}

#[tokio::test]
async fn times_that_lie_ahead_are_taken_for_now() {
    let bucket = bucket();
    let ((memory, clock), index) = (memory(&bucket), IndexName::new("a").unwrap());
    clock.advance(24 * HOUR);
    memory.begin_trial(1, true).await.unwrap().unwrap();
    let look = Look {
        at: clock.now(),
        reasons: vec![Reason::Asked],
        trials: 1,
        data_version: "v".to_owned(),
        outcome: Outcome::Kept,
        detail: "nothing is better".to_owned(),
    };
    memory.looked(&index, &look).await.unwrap();
    memory.mend().await.unwrap();
    assert_eq!(memory.known().last_look(&index), Some(&look));
    clock.advance(-24 * HOUR);
    let full_until = |memory: &Memory| memory.known().room_at(1, clock.now()).unwrap();
    assert!(full_until(&memory).millis() > START + 24 * HOUR);
    memory.mend().await.unwrap();
    assert_eq!(full_until(&memory).millis(), START + HOUR + 1);
    let known = memory.known();
    assert_eq!(known.last_look(&index).unwrap().at.millis(), START);
    assert!(!known.is_ahead(clock.now()));
}

#[test]
fn a_memory_of_an_earlier_release_reads() {
    let document: Document = serde_json::from_str(
        r#"{"starts": ["2026-01-01T00:00:00Z"], "looks": {"a": [{"at": "2026-01-01T00:00:00Z",
            "reasons": ["asked"], "trials": 2, "data_version": "v", "outcome": "kept", "detail": "so"}]}}"#,
    )
    .unwrap();
    let a = IndexName::new("a").unwrap();
    assert_eq!(document.last_look(&a).unwrap().trials, 2);
    assert!(document.lost(&a, &terms(30, "v"), None).is_empty());
}
