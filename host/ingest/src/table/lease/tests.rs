//! One run at a time; whoever ends, fails, is cancelled or dies leaves the turn to the next.

use super::*;
use crate::testing::{World, dataset};

const LEASE: Duration = Duration::from_millis(60);

fn spec(name: &str) -> JobSpec {
    JobSpec {
        name: JobName::new(name).unwrap(),
        column: "id".to_owned(),
        key: None,
        lag: 0,
    }
}

fn jobs(world: &World) -> Jobs {
    Jobs::new(world.bucket.clone(), world.clock.clone(), LEASE)
}

async fn is_free(jobs: &Jobs) -> bool {
    match jobs.begin(&dataset(), spec("nightly")).await {
        Ok(turn) => {
            turn.give_back().await;
            true
        }
        Err(IngestError::JobRunning { job, .. }) if job == "nightly" => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_job_runs_once_at_a_time_and_jobs_do_not_hinder_each_other() {
    let world = World::new();
    let (here, there) = (jobs(&world), jobs(&world));
    let turn = here.begin(&dataset(), spec("nightly")).await.unwrap();
    let refused = there.begin(&dataset(), spec("nightly")).await.unwrap_err();
    let since = world.clock.now();
    assert!(matches!(&refused, IngestError::JobRunning { since: at, .. } if *at == since));
    assert!(refused.to_string().contains("nightly"), "{refused}");
    there.begin(&dataset(), spec("hourly")).await.unwrap();
    let other = DatasetName::new("other").unwrap();
    there.begin(&other, spec("nightly")).await.unwrap();
    turn.give_back().await;
    assert!(is_free(&there).await);
}

#[tokio::test]
async fn racing_runs_have_one_winner() {
    let world = World::new();
    let jobs = jobs(&world);
    for _ in 0..8 {
        let dataset = dataset();
        let racers = (0..4).map(|_| jobs.begin(&dataset, spec("nightly")));
        let outcomes = futures::future::join_all(racers).await;
        let mut won: Vec<_> = outcomes.into_iter().filter_map(Result::ok).collect();
        assert_eq!(won.len(), 1);
        won.remove(0).give_back().await;
    }
}

#[tokio::test]
async fn the_turn_is_given_back_however_the_run_ends() {
    let world = World::new();
    let jobs = jobs(&world);
    for outcome in [Ok(()), Err(IngestError::Cancelled)] {
        let turn = jobs.begin(&dataset(), spec("nightly")).await.unwrap();
        let is_ok = outcome.is_ok();
        let token = CancellationToken::new();
        let ended = turn.keep(&token, |_| async { outcome }).await;
        assert_eq!(ended.is_ok(), is_ok);
        assert!(is_free(&jobs).await);
    }
}

#[tokio::test]
async fn a_host_that_died_holds_its_turn_for_the_time_of_a_lease() {
    let world = World::new();
    let jobs = jobs(&world);
    drop(jobs.begin(&dataset(), spec("nightly")).await.unwrap());
    assert!(!is_free(&jobs).await);
    let listed = jobs.list(&[]).await.unwrap();
    assert_eq!(listed[0].running_since, Some(world.clock.now()));
    world.clock.advance(LEASE.as_millis() as i64);
    assert!(is_free(&jobs).await);
    assert!(jobs.list(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_run_keeps_its_turn_while_it_goes_on() {
    let world = World::new();
    let jobs = jobs(&world);
    let turn = jobs.begin(&dataset(), spec("nightly")).await.unwrap();
    let token = CancellationToken::new();
    let until = |found: Option<Versioned<Lease>>| found.unwrap().value.until;
    let lease = jobs.lease(&dataset(), &spec("nightly").name);
    let work = |_| async {
        for _ in 0..3 {
            world.clock.advance(LEASE.as_millis() as i64 / 2);
            let least =
                Timestamp::from_millis(world.clock.now().millis() + LEASE.as_millis() as i64);
            while until(lease.load().await.unwrap()) < least {
                tokio::task::yield_now().await;
            }
            assert!(!is_free(&jobs).await);
        }
        Ok(())
    };
    turn.keep(&token, work).await.unwrap();
}

#[tokio::test]
async fn a_run_whose_turn_another_one_took_stops() {
    let world = World::new();
    let jobs = jobs(&world);
    let turn = jobs.begin(&dataset(), spec("nightly")).await.unwrap();
    world.clock.advance(LEASE.as_millis() as i64);
    let other = jobs.begin(&dataset(), spec("nightly")).await.unwrap();
    let token = CancellationToken::new();
    let work = |stop: CancellationToken| async move {
        stop.cancelled().await;
        Err::<(), _>(IngestError::Cancelled)
    };
    let error = turn.keep(&token, work).await.unwrap_err();
    assert!(matches!(error, IngestError::BadJob { .. }), "{error}");
    assert!(!is_free(&jobs).await, "the other run still has its turn");
    other.give_back().await;
    assert!(is_free(&jobs).await);
}
