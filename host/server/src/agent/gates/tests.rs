//! Each gate by what it knows, and the order in which indexes get their turn.

use boathouse_storage::Bucket;
use boathouse_types::{BucketName, Clock, ManualClock};

use super::{super::memory::Memory, *};

const START: i64 = 1_800_000_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(START + seconds * 1_000)
}

fn config() -> AgentConfig {
    AgentConfig {
        enabled: true,
        max_trials_per_hour: 2,
        pause_above_qps: 10.0,
        pause_above_in_flight: 2,
        pause_above_p95_us: Some(1_000.0),
        ..AgentConfig::default()
    }
}

fn searching(in_flight: u32, qps: f64, p95_us: Option<f64>) -> LoadNow {
    LoadNow {
        in_flight,
        qps,
        p95_us,
    }
}

fn quiet() -> LoadNow {
    searching(0, 0.0, None)
}

fn signals<'a>(config: &'a AgentConfig, memory: &'a Document) -> Signals<'a> {
    Signals {
        now: at(0),
        config,
        memory,
        load: quiet(),
        slot_held_by: None,
        lane_is_free: true,
    }
}

fn closed(gates: &[Gate]) -> Vec<GateName> {
    let closed = gates.iter().filter(|gate| !gate.open);
    closed.map(|gate| gate.gate).collect()
}

fn candidate(index: &str, reason: Reason, since: i64) -> Candidate {
    Candidate {
        index: IndexName::new(index).expect("a name"),
        reason,
        since: at(since),
        cools_until: None,
        obstacle: None,
        is_concluding: false,
    }
}

fn attend(index: &str) -> Next {
    Next::Attend(IndexName::new(index).expect("a name"))
}

#[test]
fn on_a_quiet_host_that_is_switched_on_everything_is_open() {
    let (config, memory) = (config(), Document::default());
    let mut signals = signals(&config, &memory);
    let gates = of_host(&mut LoadGate::default(), &signals);
    assert_eq!(closed(&gates), []);
    signals.slot_held_by = Some("model `x`".to_owned());
    signals.lane_is_free = false;
    let gates = of_host(&mut LoadGate::default(), &signals);
    assert_eq!(closed(&gates), [GateName::Slot, GateName::Lane]);
    assert!(gates[3].detail.contains("model `x`"), "{gates:?}");
}

#[tokio::test]
async fn who_switched_it_off_is_named() {
    let off = AgentConfig {
        enabled: false,
        ..config()
    };
    let document = Document::default();
    let gates = of_host(&mut LoadGate::default(), &signals(&off, &document));
    assert_eq!(closed(&gates), [GateName::Enabled]);
    assert!(
        gates[0].detail.contains("`[agent] enabled` is false"),
        "{gates:?}"
    );
    let clock: std::sync::Arc<dyn Clock> = std::sync::Arc::new(ManualClock::at(START));
    let memory = Memory::new(&Bucket::memory(BucketName::primary()), &clock);
    memory.switch(false, true, "ada").await.expect("stored");
    let (on, known) = (config(), memory.known());
    let gates = of_host(&mut LoadGate::default(), &signals(&on, &known));
    assert!(gates[0].detail.contains("stopped by ada"), "{gates:?}");
}

#[tokio::test]
async fn a_full_hour_says_when_it_has_room() {
    let clock = std::sync::Arc::new(ManualClock::at(START));
    let shared: std::sync::Arc<dyn Clock> = clock.clone();
    let memory = Memory::new(&Bucket::memory(BucketName::primary()), &shared);
    for _ in 0..2 {
        memory
            .begin_trial(2, true)
            .await
            .expect("stored")
            .expect("room");
        clock.advance(1_000);
    }
    let (config, known) = (config(), memory.known());
    let signals = Signals {
        now: at(2),
        ..signals(&config, &known)
    };
    let gate = rate(&signals);
    assert!(
        !gate.open && gate.detail.contains("2 of 2 trials"),
        "{gate:?}"
    );
    assert_eq!(
        gate.opens_at,
        Some(Timestamp::from_millis(START + 3_600_001))
    );
    let waiting = candidate("a", Reason::Asked, 0);
    let host = [gate];
    let next = decide(&host, std::slice::from_ref(&waiting), at(2), at(9_999));
    assert_eq!(next, Next::Wait(Timestamp::from_millis(START + 3_600_001)));
    let concluding = Candidate {
        is_concluding: true,
        ..waiting
    };
    let next = decide(&host, &[concluding], at(2), at(9_999));
    assert_eq!(next, attend("a"), "to judge what was tried is no trial");
}

#[test]
fn load_closes_at_once_and_opens_after_it_was_low_for_a_while() {
    let config = config();
    let mut gate = LoadGate::default();
    let mut check = |second: i64, load: LoadNow, open: bool, said: &str| {
        let found = gate.look(&load, &config, at(second));
        assert_eq!(found.open, open, "{second}: {found:?}");
        assert!(found.detail.contains(said), "{second}: {found:?}");
        found.opens_at
    };
    check(
        0,
        searching(2, 10.0, Some(1_000.0)),
        true,
        "10 searches a second of 10",
    );
    check(
        1,
        searching(3, 0.0, None),
        false,
        "3 searches under way, more than 2",
    );
    check(2, searching(2, 0.0, None), false, "still");
    for second in 3..8 {
        let opens_at = check(second, quiet(), false, "quiet again");
        assert_eq!(opens_at, Some(at(13)));
    }
    check(
        8,
        searching(0, 9.0, None),
        false,
        "still 9 searches a second, more than 8",
    );
    for second in 9..19 {
        check(second, quiet(), false, "quiet again");
    }
    check(19, quiet(), true, "0 searches a second");
    check(
        20,
        searching(0, 11.0, None),
        false,
        "11 searches a second, more than 10",
    );
    check(21, searching(0, 0.0, Some(1_001.0)), false, "up to 1001 us");
    check(22, quiet(), false, "quiet again");
    let opens_at = check(-50, quiet(), false, "quiet again");
    assert_eq!(opens_at, Some(at(-40)), "a clock that was set back");
}

#[test]
fn what_nobody_has_seen_is_not_taken_for_quiet() {
    let config = config();
    let mut gate = LoadGate::default();
    gate.look(&searching(9, 0.0, None), &config, at(0));
    let first = gate.look(&quiet(), &config, at(1));
    assert_eq!(first.opens_at, Some(at(11)));
    // Who sleeps until then has seen nothing of a burst in between, and begins anew.
    let slept = gate.look(&quiet(), &config, at(11));
    assert!(!slept.open, "{slept:?}");
    assert_eq!(slept.opens_at, Some(at(21)));
    let waiting = candidate("a", Reason::Asked, 0);
    let next = decide(&[slept], std::slice::from_ref(&waiting), at(11), at(99));
    assert_eq!(next, Next::Wait(at(12)), "so it is looked at all the time");
    let full = Gate::closed(GateName::Rate, "full", at(60));
    let closed = Gate::closed(GateName::Load, "load", at(21));
    let next = decide(&[full, closed], &[waiting], at(11), at(99));
    assert_eq!(next, Next::Wait(at(12)), "whatever else it waits for");
}

#[test]
fn the_strongest_reason_comes_first_and_of_equal_ones_who_waits_longest() {
    let late = candidate("a", Reason::Appended, 5);
    let early = candidate("b", Reason::Appended, 3);
    let period = candidate("c", Reason::Period, 0);
    let recall = candidate("d", Reason::Recall, 9);
    let all = [late.clone(), early.clone(), period, recall];
    assert_eq!(decide(&[], &all, at(10), at(99)), attend("d"));
    assert_eq!(decide(&[], &all[..3], at(10), at(99)), attend("b"));
    let busy = Candidate {
        obstacle: Some("it is being moved".to_owned()),
        ..early
    };
    assert_eq!(decide(&[], &[late, busy], at(10), at(99)), attend("a"));
}

#[test]
fn who_waits_says_when_to_look_again() {
    let cooling = Candidate {
        cools_until: Some(at(40)),
        ..candidate("a", Reason::Asked, 0)
    };
    assert_eq!(
        decide(&[], std::slice::from_ref(&cooling), at(10), at(99)),
        Next::Wait(at(40))
    );
    assert_eq!(
        decide(&[], std::slice::from_ref(&cooling), at(10), at(20)),
        Next::Wait(at(20))
    );
    assert_eq!(
        decide(&[], std::slice::from_ref(&cooling), at(40), at(99)),
        attend("a")
    );
    let busy = Candidate {
        obstacle: Some("it is being tuned".to_owned()),
        cools_until: None,
        ..cooling.clone()
    };
    assert_eq!(
        decide(&[], &[cooling.clone(), busy], at(10), at(99)),
        Next::Wait(at(11))
    );
    let off = [Gate::closed(GateName::Enabled, "off", None)];
    assert_eq!(decide(&off, &[cooling], at(10), at(99)), Next::Wait(at(99)));
    assert_eq!(decide(&[], &[], at(10), at(99)), Next::Wait(at(99)));
}
