//! Whole runs with native judgements, over a bucket in memory.

mod strategies;
mod tables;

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use boathouse_storage::Bucket;
use boathouse_types::{
    IndexConfig, Judged, JudgementCause, JudgementError, ManualClock, Objective, Proposal,
    ProposalContext, VectorBackend, Verdict,
};

use super::*;
use crate::{
    BuildOrigin, EvalSet, EvalSetName, EvalSource, EvalSpec, IndexData, MeasurePlan, Promote,
    Proposer, Replay, Scorer, TrialRequest, TuneBounds, TunerOptions, settings_of,
    testing::{
        DRAWING, DrawingProposer, LINEAR, LinearScorer, clock, clustered, index_name,
        memory_bucket, plugin,
    },
};

struct Room {
    bucket: Bucket,
    clock: Arc<ManualClock>,
    tuner: Tuner,
    evaluation: Arc<Evaluation>,
    cancel: CancellationToken,
}

fn open(bucket: &Bucket, clock: &Arc<ManualClock>) -> Tuner {
    let options = TunerOptions {
        build_threads: 1,
        plan: MeasurePlan {
            rounds: 1,
            warm_up: 5,
            noisy_spread: f64::INFINITY,
            noisy_share: f64::INFINITY,
        },
        ..TunerOptions::new(clock.clone())
    };
    Tuner::open(bucket, &index_name(), options)
}

async fn room(rows: usize) -> Room {
    room_over(clustered(rows), 100).await
}

async fn room_over(data: IndexData, queries: usize) -> Room {
    let (bucket, clock, cancel) = (memory_bucket(), clock(), CancellationToken::new());
    Room {
        tuner: open(&bucket, &clock),
        evaluation: evaluated(data, queries, &cancel).await,
        bucket,
        clock,
        cancel,
    }
}

async fn evaluated(data: IndexData, queries: usize, cancel: &CancellationToken) -> Arc<Evaluation> {
    let spec = EvalSpec {
        source: EvalSource::Drawn { queries },
        ..EvalSpec::default()
    };
    let name = EvalSetName::new("drawn").unwrap();
    let set = EvalSet::make(name, &data, spec, cancel).await.unwrap();
    Evaluation::prepare(&data, set, cancel).await.unwrap()
}

fn request(strategy: Strategy, max_trials: u32) -> AutotuneRequest {
    AutotuneRequest {
        step: StepRequest {
            strategy,
            scorer: Arc::new(LinearScorer),
            objective: Objective {
                recall_floor: 0.9,
                ..Objective::default()
            },
            bounds: TuneBounds::default().into(),
            serving: IndexConfig {
                m: 8,
                ef_construction: 20,
                ef_search: 10,
                seed: 3,
            }
            .into(),
            note: Some("run".to_owned()),
            only_useful: false,
        },
        max_trials,
        max_seconds: None,
        within: None,
    }
}

fn drawing() -> Strategy {
    Strategy::Proposer(Arc::new(DrawingProposer))
}

impl Room {
    async fn run(&self, request: AutotuneRequest) -> (AutotuneReport, Vec<AutotuneEvent>) {
        let events = Mutex::new(Vec::new());
        let report = self
            .tuner
            .autotune(&self.evaluation, request, &self.cancel, &|event| {
                events.lock().unwrap().push(event);
            })
            .await
            .unwrap();
        (report, events.into_inner().unwrap())
    }

    async fn journal(&self) -> Vec<Trial> {
        self.tuner.journal().read().await.unwrap().trials
    }
}

/// A failure for which the proposer is suspended.
const SUSPENDING: &str = "once too often";

/// Answers from a list, over and over, and counts how often it was asked.
struct Scripted {
    answers: Vec<Result<Vec<u32>, String>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn strategy(answers: &[Result<&[u32], &str>]) -> Strategy {
        let own = |answer: &Result<&[u32], &str>| match answer {
            Ok(settings) => Ok(settings.to_vec()),
            Err(message) => Err((*message).to_owned()),
        };
        Strategy::Proposer(Arc::new(Self {
            answers: answers.iter().map(own).collect(),
            asked: AtomicUsize::new(0),
        }))
    }
}

#[async_trait]
impl Proposer for Scripted {
    async fn propose(&self, _: ProposalContext) -> Result<Judged<Proposal>, JudgementError> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst) % self.answers.len();
        match self.answers[turn].clone() {
            Ok(settings) => Ok(Judged {
                by: plugin("tests/scripted"),
                answer: Proposal::Configuration {
                    settings,
                    reason: "scripted".to_owned(),
                },
            }),
            Err(message) => Err(JudgementError {
                plugin: plugin("tests/scripted"),
                cause: match message.as_str() {
                    SUSPENDING => JudgementCause::Suspended,
                    _ => JudgementCause::Failed,
                },
                message,
            }),
        }
    }
}

/// Fails always.
struct Silent;

#[async_trait]
impl Scorer for Silent {
    async fn evaluate(
        &self,
        _: &[Trial],
        _: &Objective,
    ) -> Result<Judged<Vec<Verdict>>, JudgementError> {
        Err(JudgementError {
            plugin: plugin("tests/silent"),
            cause: JudgementCause::Failed,
            message: "no word".to_owned(),
        })
    }
}

#[tokio::test]
async fn a_run_tries_remembers_and_recommends() {
    let room = room(1_500).await;
    let (report, events) = room.run(request(drawing(), 6)).await;
    assert_eq!(
        (report.trials.len(), &report.ended, report.refused),
        (6, &Ended::Trials, 0)
    );
    assert_eq!(room.journal().await, report.trials);
    let (baseline, proposed) = report.trials.split_first().unwrap();
    assert_eq!(
        (
            baseline.config.graph().unwrap().ef_search,
            &baseline.proposed_by
        ),
        (10, &None)
    );
    for trial in proposed {
        assert_eq!(trial.proposed_by, Some(plugin(DRAWING)));
        assert_eq!(trial.scored_by, Some(plugin(LINEAR)));
        assert_eq!(
            (trial.config.seed(), trial.note.as_deref()),
            (3, Some("run"))
        );
    }
    let count = |wanted: fn(&AutotuneEvent) -> bool| events.iter().filter(|e| wanted(e)).count();
    assert_eq!(
        count(|event| matches!(event, AutotuneEvent::Proposed { .. })),
        6
    );
    assert_eq!(
        count(|event| matches!(
            event,
            AutotuneEvent::Trial {
                verdict: Some(_),
                ..
            }
        )),
        6
    );
    assert!(matches!(events.last(), Some(AutotuneEvent::Done { report: told }) if *told == report));
    if let Recommendation::Promote { trial, .. } = &report.recommendation {
        let ask = Promote {
            trial: trial.id.clone(),
            serving: request(drawing(), 1).step.serving,
            by: None,
            reason: Some(report.recommendation.reason().to_owned()),
            evidence: None,
            graph: None,
        };
        room.tuner.promotions().promote(ask).await.unwrap();
    }
}

#[tokio::test]
async fn equal_journals_give_equal_proposals() {
    let configs = |trials: &[Trial]| trials.iter().map(|t| t.config).collect::<Vec<_>>();
    let (first, second) = (room(400).await, room(400).await);
    let whole = first.run(request(drawing(), 5)).await.0;
    second.run(request(drawing(), 2)).await;
    // A restart in between: everything that decides is in the bucket.
    let resumed = Room {
        tuner: open(&second.bucket, &second.clock),
        ..second
    };
    resumed.run(request(drawing(), 3)).await;
    assert_eq!(configs(&resumed.journal().await), configs(&whole.trials));
    assert_ne!(proposal_seed(0), proposal_seed(1));
}

#[tokio::test]
async fn every_proposal_can_be_asked_for_again_after_a_restart() {
    let room = room(400).await;
    room.run(request(drawing(), 5)).await;
    let journal = open(&room.bucket, &room.clock).journal().read().await;
    let replay = Replay::of(journal.unwrap().trials);
    assert_eq!(replay.proposed().count(), 4, "all but the baseline");
    for at in replay.proposed() {
        let question = replay.question(at).unwrap();
        assert!(question.same_journal);
        assert_eq!(question.context.index, room.evaluation.data().facts());
        let recorded = settings_of(&replay.trials()[at].config, &question.context).unwrap();
        let again = DrawingProposer.propose(question.context).await.unwrap();
        let Proposal::Configuration { settings, .. } = again.answer else {
            panic!("exhausted")
        };
        assert_eq!(settings, recorded);
    }
}

#[tokio::test]
async fn a_restart_finds_journal_promotion_and_graphs() {
    let room = room(400).await;
    let (report, _) = room.run(request(drawing(), 3)).await;
    let chosen = &report.trials[2];
    let ask = Promote {
        trial: chosen.id.clone(),
        serving: request(drawing(), 1).step.serving,
        by: None,
        reason: None,
        evidence: None,
        graph: None,
    };
    room.tuner.promotions().promote(ask).await.unwrap();
    let reopened = open(&room.bucket, &room.clock);
    assert_eq!(
        reopened.journal().read().await.unwrap().trials,
        report.trials
    );
    let current = reopened
        .promotions()
        .current(VectorBackend::Parquet)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (&current.trial, current.config),
        (&Some(chosen.id.clone()), chosen.config)
    );
    let data = room.evaluation.data();
    for trial in &report.trials {
        let built = reopened
            .builds()
            .obtain(data, trial.config.graph().unwrap(), &room.cancel)
            .await
            .unwrap();
        assert!(
            !matches!(built.origin, BuildOrigin::Built { .. }),
            "{:?}",
            trial.config
        );
        assert_eq!(Some(built.build_id), trial.build_id);
    }
}

#[tokio::test]
async fn three_bad_proposals_end_the_run_and_none_is_run() {
    for (answers, said) in [
        (&[Ok(&[16, 80, 31][..])][..], "`ef_search` 31"),
        (&[Ok(&[16, 80])], "not 2"),
        (&[Err("trapped")], "tests/scripted@1.0.0: trapped"),
        (&[Err("trapped"), Ok(&[4_000, 80, 30]), Ok(&[])], "not 0"),
    ] {
        let room = room(60).await;
        let (report, events) = room.run(request(Scripted::strategy(answers), 9)).await;
        assert_eq!(
            (report.trials.len(), report.refused),
            (1, 3),
            "the baseline only"
        );
        let Ended::ProposerFailed { message } = &report.ended else {
            panic!("{:?}", report.ended)
        };
        assert!(message.contains(said), "{message}");
        let refused = |event: &&AutotuneEvent| matches!(event, AutotuneEvent::Refused { .. });
        assert_eq!(events.iter().filter(refused).count(), 3);
    }
}

#[tokio::test]
async fn a_proposer_that_is_suspended_does_not_end_the_run() {
    let answers = [
        Err("a"),
        Err("b"),
        Err(SUSPENDING),
        Err("c"),
        Ok(&[8, 20, 40][..]),
    ];
    let room = room(60).await;
    let (report, events) = room.run(request(Scripted::strategy(&answers), 2)).await;
    assert_eq!(
        (&report.ended, report.refused, report.trials.len()),
        (&Ended::Trials, 4, 2)
    );
    assert_eq!(
        report.last_refusal.as_deref(),
        Some("tests/scripted@1.0.0: c")
    );
    assert_eq!(report.suspended, Some(plugin("tests/scripted")));
    let told = events.iter().filter_map(|event| match event {
        AutotuneEvent::Refused { suspended, .. } => Some(suspended.is_some()),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [false, false, true, false]);
}

#[tokio::test]
async fn a_good_proposal_forgives_the_bad_ones_before() {
    let answers = [Err("a"), Err("b"), Ok(&[8, 20, 40][..])];
    let room = room(60).await;
    let (report, _) = room.run(request(Scripted::strategy(&answers), 4)).await;
    assert_eq!(
        (report.ended, report.refused, report.trials.len()),
        (Ended::Trials, 6, 4)
    );
}

#[tokio::test]
async fn a_scorer_that_fails_costs_the_verdict_only() {
    let room = room(200).await;
    let mut silent = request(drawing(), 2);
    silent.step.scorer = Arc::new(Silent);
    let (report, events) = room.run(silent).await;
    assert_eq!(report.trials.len(), 2);
    assert!(report.trials.iter().all(|trial| trial.scored_by.is_none()));
    let told = |event: &AutotuneEvent| matches!(event, AutotuneEvent::Trial { unscored: Some(why), .. } if why.contains("no word"));
    assert!(events.iter().any(told));
    assert!(report.recommendation.reason().contains("tests/silent"));
}

#[tokio::test]
async fn the_grid_is_resumed_and_ends() {
    let room = room(60).await;
    let mut grid = request(Strategy::Grid, 4);
    let mut bounds = TuneBounds::default();
    (bounds.m.max, bounds.ef_construction.max) = (8, 20);
    grid.step.bounds = bounds.into();
    assert_eq!(room.run(grid.clone()).await.0.ended, Ended::Trials);
    grid.max_trials = 99;
    let (report, _) = room.run(grid.clone()).await;
    assert!(matches!(report.ended, Ended::Exhausted { .. }));
    let journal = room.journal().await;
    assert_eq!(
        journal.len(),
        5,
        "the serving configuration is a point of this grid"
    );
    assert_eq!(
        journal
            .iter()
            .filter(|t| t.metrics.build_time_secs > 0.0)
            .count(),
        1
    );
    assert!(journal.iter().all(|trial| trial.proposed_by.is_none()));
    assert!(room.run(grid).await.0.trials.is_empty());
}

#[tokio::test]
async fn time_and_cancellation_end_a_run_between_trials() {
    let room = room(100).await;
    let timed = AutotuneRequest {
        max_seconds: Some(60),
        ..request(drawing(), 50)
    };
    let ended = |event: &AutotuneEvent| matches!(event, AutotuneEvent::Trial { .. });
    let report = room
        .tuner
        .autotune(&room.evaluation, timed, &room.cancel, &|event| {
            if ended(&event) {
                room.clock.advance(31_000);
            }
        })
        .await
        .unwrap();
    assert_eq!((report.ended, report.trials.len()), (Ended::Time, 2));
    let report = room
        .tuner
        .autotune(
            &room.evaluation,
            request(drawing(), 50),
            &room.cancel,
            &|event| {
                if ended(&event) {
                    room.cancel.cancel();
                }
            },
        )
        .await
        .unwrap();
    assert_eq!((report.ended, report.trials.len()), (Ended::Cancelled, 1));
    assert_eq!(room.journal().await.len(), 3);
}

#[tokio::test]
async fn cancelling_within_a_trial_leaves_no_line() {
    let room = room(400).await;
    let report = room
        .tuner
        .autotune(
            &room.evaluation,
            request(drawing(), 5),
            &room.cancel,
            &|event| {
                if matches!(event, AutotuneEvent::Building { .. }) {
                    room.cancel.cancel();
                }
            },
        )
        .await
        .unwrap();
    assert_eq!((report.ended, report.trials.len()), (Ended::Cancelled, 0));
    assert!(room.journal().await.is_empty());
    assert!(room.bucket.list("indexes").await.unwrap().is_empty());
}

#[tokio::test]
async fn impossible_bounds_are_refused_at_once() {
    let room = room(60).await;
    let mut bad = request(Strategy::Grid, 5);
    let mut bounds = TuneBounds::default();
    bounds.ef_search.step = 0;
    bad.step.bounds = bounds.into();
    let refused = room
        .tuner
        .autotune(&room.evaluation, bad, &room.cancel, &|_| {})
        .await;
    assert!(matches!(refused, Err(TuningError::InvalidInput(_))));
}

/// Servers run these on many threads: the futures must be `Send` without a known lifetime.
#[test]
fn runs_can_move_between_threads() {
    fn sendable<F: Future + Send + 'static>(_: fn(Room, AutotuneRequest) -> F) {}
    sendable(|room, request| async move {
        let on_event = |_: AutotuneEvent| {};
        let ran = room
            .tuner
            .autotune(&room.evaluation, request, &room.cancel, &on_event)
            .await;
        let tried = room
            .tuner
            .trial(&room.evaluation, TrialRequest::default(), &room.cancel)
            .await;
        (ran.is_ok(), tried.is_ok())
    });
}
