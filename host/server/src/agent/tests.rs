//! The order in which indexes get their turn, and what becomes of what failed.

use boathouse_types::{BucketName, ManualClock};

use super::*;

fn agent() -> Agent {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(0));
    Agent::new(&Bucket::memory(BucketName::primary()), &clock)
}

fn name(text: &str) -> IndexName {
    IndexName::new(text).unwrap()
}

fn failure(code: &str) -> Result<(), Problem> {
    Err(Problem::conflict(code, "the bucket is full"))
}

/// The pause before an index is tried again.
fn pause_of(agent: &Agent, index: &IndexName) -> Duration {
    agent.errands().waiting[index]
        .due
        .duration_since(Instant::now())
}

#[tokio::test]
async fn who_waits_longest_is_next_and_what_is_done_is_gone() {
    let agent = agent();
    for index in ["b", "a", "b"] {
        agent.nudge(&name(index));
    }
    let (first, errand) = agent.next().unwrap();
    assert_eq!(first, name("a"), "b was nudged again later");
    assert_eq!(agent.state_of(&first), (true, None));
    agent.settle(&first, errand, Ok(()));
    let (second, errand) = agent.next().unwrap();
    agent.settle(&second, errand, Ok(()));
    assert_eq!(second, name("b"));
    assert!(agent.next().is_none() && agent.due().is_none());
    agent.hurry(&name("a"));
    assert!(agent.next().is_none(), "only what waits can be hurried");
}

#[tokio::test]
async fn what_failed_waits_longer_each_time_and_a_nudge_ends_the_wait() {
    let (agent, index) = (agent(), name("a"));
    agent.nudge(&index);
    let (_, mut errand) = agent.next().unwrap();
    assert_eq!(errand.pause, PAUSES.0);
    for _ in 0..12 {
        let pause = errand.pause;
        agent.settle(&index, errand, failure("storage_full"));
        assert!(agent.next().is_none(), "not yet");
        assert!(pause_of(&agent, &index) <= pause);
        errand = agent.errands().waiting.remove(&index).unwrap();
        assert_eq!(errand.pause, (pause * 2).min(PAUSES.1));
    }
    assert_eq!(errand.pause, PAUSES.1);
    agent.settle(&index, errand, failure("storage_full"));
    let (working, problem) = agent.state_of(&index);
    assert!(!working && problem.unwrap().contains("the bucket is full"));
    agent.hurry(&index);
    assert_eq!(agent.next().unwrap().0, index);
}

#[tokio::test]
async fn a_nudge_during_the_work_is_not_lost() {
    for outcome in [Ok(()), failure("storage_full")] {
        let (agent, index) = (agent(), name("a"));
        agent.nudge(&index);
        let (_, errand) = agent.next().unwrap();
        agent.nudge(&index);
        agent.settle(&index, errand, outcome);
        assert_eq!(agent.next().unwrap().0, index);
    }
}

#[tokio::test]
async fn who_cancels_is_left_alone_for_long() {
    let (agent, index) = (agent(), name("a"));
    agent.nudge(&index);
    let (_, errand) = agent.next().unwrap();
    agent.settle(&index, errand, failure("cancelled"));
    assert!(pause_of(&agent, &index) > PAUSES.1 / 2);
}
