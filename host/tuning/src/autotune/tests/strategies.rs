//! Steps one by one: trials that end early, graphs that are cut down, rounds on samples, and what a question shows.

use boathouse_types::{HouseStrategy, PluginRef};

use super::*;
use crate::BuildOrigin;

/// A room whose index has more queries than a trial asks before it looks whether to go on.
async fn asking(rows: usize, queries: usize) -> Room {
    let data = clustered(rows);
    room_over(data, queries).await
}

impl Room {
    async fn step(&self, request: &StepRequest) -> Stepped {
        let on_event = |_: AutotuneEvent| {};
        let stepped = self
            .tuner
            .step(&self.evaluation, request, &self.cancel, &on_event);
        stepped.await.unwrap()
    }

    async fn recommended(&self, request: &StepRequest) -> Recommendation {
        let recommended = self.tuner.recommend(
            &self.evaluation.data().data_version,
            request.scorer.as_ref(),
            &request.objective,
            &request.serving,
            &[],
            None,
        );
        recommended.await.unwrap()
    }
}

#[tokio::test]
async fn steps_come_to_what_a_run_comes_to() {
    let (one, other) = (room(300).await, room(300).await);
    let request = request(drawing(), 4);
    let (report, _) = one.run(request.clone()).await;
    let mut configs = Vec::new();
    for _ in 0..4 {
        let Stepped::Tried { report, verdict } = other.step(&request.step).await else {
            panic!("nothing was tried")
        };
        assert!(verdict.is_some());
        configs.push(report.trial.config);
    }
    let of_run: Vec<_> = report.trials.iter().map(|trial| trial.config).collect();
    assert_eq!(configs, of_run);
}

#[tokio::test]
async fn a_trial_that_cannot_become_useful_ends_early_and_is_never_recommended() {
    let room = asking(1_500, 600).await;
    let mut request = request(
        Scripted::strategy(&[Ok(&[8, 20, 10]), Ok(&[8, 20, 200])]),
        9,
    )
    .step;
    request.serving.graph_mut().unwrap().ef_search = 150;
    request.objective.recall_floor = 0.999;
    let Stepped::Tried {
        report: baseline, ..
    } = room.step(&request).await
    else {
        panic!("the baseline was not tried")
    };
    assert_eq!(
        baseline.trial.stopped_early, None,
        "what serves is measured whole"
    );
    let Stepped::Tried { report, verdict } = room.step(&request).await else {
        panic!("nothing was tried")
    };
    let trial = &report.trial;
    let why = trial.stopped_early.as_deref().unwrap();
    assert!(why.contains("below the floor of 0.999"), "{why}");
    assert!(
        (100..600).contains(&trial.metrics.eval_queries),
        "{trial:?}"
    );
    assert_eq!((trial.latency_spread, report.comparison), (None, None));
    assert!(verdict.is_some(), "the scorer hears of it");
    assert!(!trial.is_whole());
    assert_eq!(room.journal().await[1], *trial);
    request.objective.recall_floor = 0.0;
    request.serving.graph_mut().unwrap().ef_search = 77;
    let Recommendation::Promote { trial, .. } = room.recommended(&request).await else {
        panic!("the baseline serves no more and is feasible")
    };
    assert_eq!(trial.id, baseline.trial.id);
}

#[tokio::test]
async fn a_smaller_m_is_measured_on_what_is_cut_from_a_larger_build() {
    let room = room(400).await;
    let proposals = [Ok(&[32, 20, 40][..]), Ok(&[12, 20, 40]), Ok(&[12, 20, 60])];
    let request = request(Scripted::strategy(&proposals), 4).step;
    let mut reports = Vec::new();
    for _ in 0..4 {
        let Stepped::Tried { report, .. } = room.step(&request).await else {
            panic!("nothing was tried")
        };
        reports.push(report);
    }
    let derived = |at: usize| reports[at].trial.derived_from.clone();
    assert_eq!((derived(0), derived(1)), (None, None));
    assert_eq!(derived(2), reports[1].trial.build_id, "from m 32");
    assert!(matches!(reports[2].build, BuildOrigin::Derived { .. }));
    assert!(reports[2].trial.metrics.build_time_secs > 0.0);
    assert_eq!(
        (derived(3), &reports[3].build),
        (derived(2), &BuildOrigin::Memory)
    );
    assert_eq!(room.bucket.list("indexes").await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_serves_is_measured_on_its_own_graph() {
    let room = room(400).await;
    let proposals = [Ok(&[32, 20, 40][..]), Ok(&[12, 20, 40])];
    let mut request = request(Scripted::strategy(&proposals), 3).step;
    for _ in 0..3 {
        room.step(&request).await;
    }
    let cut_down = room.journal().await.pop().unwrap();
    assert!(cut_down.derived_from.is_some());
    // It is put in service, built for real, and nothing was measured on that graph yet.
    request.serving = cut_down.config;
    request.objective.recall_floor = 0.0;
    let before = room.recommended(&request).await;
    assert!(before.reason().contains("was not measured"), "{before:?}");
    let Stepped::Tried { report, .. } = room.step(&request).await else {
        panic!("the baseline was not tried")
    };
    assert_eq!(
        (report.trial.config, &report.trial.derived_from),
        (cut_down.config, &None)
    );
    assert_ne!(report.trial.build_id, cut_down.build_id);
    let after = room.recommended(&request).await;
    assert!(!after.reason().contains("was not measured"), "{after:?}");
}

#[tokio::test]
async fn a_renewed_evaluation_set_begins_with_a_baseline_and_is_not_mixed_with_the_old_one() {
    let room = room(400).await;
    let mut request = request(drawing(), 3);
    request.step.objective.recall_floor = 0.0;
    let first = room.run(request.clone()).await.0;
    let data = room.evaluation.data().clone();
    let renewed = Room {
        evaluation: evaluated(data, 60, &room.cancel).await,
        ..room
    };
    let own = Some(renewed.evaluation.evalset().to_owned());
    assert_ne!(first.trials[0].evalset, own);
    for (line, is_baseline) in [(3, true), (4, false)] {
        let Stepped::Tried { report, .. } = renewed.step(&request.step).await else {
            panic!("nothing was tried")
        };
        let trial = &report.trial;
        assert_eq!(trial.config == request.step.serving, is_baseline);
        assert_eq!(trial.evalset, own, "line {line}");
    }
    let replay = Replay::of(renewed.journal().await);
    let shown = replay.question(4).unwrap().context.trials;
    assert_eq!(shown, replay.trials()[3..4], "the new baseline alone");
    // What was measured with the old queries only is not known any more.
    request.step.serving = first.trials[1].config;
    let recommended = renewed.recommended(&request.step).await;
    assert!(
        recommended.reason().contains("was not measured"),
        "{recommended:?}"
    );
}

#[tokio::test]
async fn halving_narrows_down_on_samples_and_ends_on_all_vectors() {
    let room = asking(4_000, 150).await;
    let request = request(Strategy::Halving, 60);
    let (report, _) = room.run(request.clone()).await;
    assert!(
        matches!(report.ended, Ended::Exhausted { .. }),
        "{report:?}"
    );
    let (samples, whole): (Vec<&Trial>, Vec<&Trial>) = report
        .trials
        .iter()
        .partition(|trial| trial.sample.is_some());
    assert_eq!(samples.len(), 9, "a tenth would be too few vectors");
    for trial in samples {
        assert_eq!((trial.sample, trial.metrics.vectors), (Some(0.3), 1_200));
        assert_eq!(trial.data_version.as_deref(), Some("v1/0.3-3"));
        assert!(trial.metrics.build_time_secs > 0.0 && trial.derived_from.is_none());
    }
    assert!(whole.iter().all(|trial| trial.metrics.vectors == 4_000));
    let graphs = room.bucket.list("indexes").await.unwrap().len();
    let mut builds: Vec<_> = whole.iter().map(|trial| trial.build_id.clone()).collect();
    builds.sort();
    builds.dedup();
    assert_eq!(graphs, builds.len(), "no graph over a sample is stored");
    if let Recommendation::Promote { trial, .. } = &report.recommendation {
        assert!(trial.is_whole());
    }
    let again = room.run(request).await.0;
    assert!(
        again.trials.is_empty(),
        "nothing is left after a restart either"
    );
    let replay = Replay::of(room.journal().await);
    assert_eq!(replay.proposed().count(), 0);
    for at in 1..replay.trials().len() {
        let house = replay.house(at).unwrap();
        assert_eq!(house.strategy, HouseStrategy::Halving);
        assert!(house.equal && house.same_journal, "line {at}");
        assert!(replay.question(at).is_none(), "nobody was asked");
    }
    assert!(replay.house(0).is_none(), "a baseline follows from nothing");
}

#[tokio::test]
async fn choices_of_the_grid_can_be_made_again_and_changed_lines_show() {
    let room = room(60).await;
    room.run(request(Strategy::Grid, 4)).await;
    let mut journal = room.journal().await;
    let house = |journal: &[Trial], at| Replay::of(journal.to_vec()).house(at).unwrap();
    assert!((1..4).all(|at| house(&journal, at).equal));
    journal[1].config.graph_mut().unwrap().ef_search = 11;
    assert!(house(&journal, 1).same_journal && !house(&journal, 1).equal);
    assert!(!house(&journal, 2).same_journal);
}

#[tokio::test]
async fn cancelling_within_a_round_leaves_no_line_and_no_graph() {
    let room = asking(4_000, 150).await;
    let mut request = request(Strategy::Halving, 60);
    let first = room
        .run(AutotuneRequest {
            max_trials: 2,
            ..request.clone()
        })
        .await
        .0;
    assert_eq!(first.trials[1].sample, Some(0.3));
    let before = room.bucket.list("indexes").await.unwrap().len();
    request.step.note = Some("second".to_owned());
    let stop_at_a_sample = |event| {
        if matches!(
            event,
            AutotuneEvent::Proposed {
                sample: Some(_),
                ..
            }
        ) {
            room.cancel.cancel();
        }
    };
    let cancelled = room
        .tuner
        .autotune(&room.evaluation, request, &room.cancel, &stop_at_a_sample);
    let report = cancelled.await.unwrap();
    assert_eq!((report.ended, report.trials.len()), (Ended::Cancelled, 0));
    assert_eq!(room.journal().await, first.trials);
    assert_eq!(room.bucket.list("indexes").await.unwrap().len(), before);
}

/// Notes what it is shown.
struct Curious(Mutex<Vec<ProposalContext>>);

#[async_trait]
impl Proposer for Curious {
    async fn propose(&self, context: ProposalContext) -> Result<Judged<Proposal>, JudgementError> {
        self.0.lock().unwrap().push(context.clone());
        DrawingProposer.propose(context).await
    }

    fn settings_digest(&self, by: &PluginRef) -> Option<String> {
        Some(format!("settings of {}", by.name))
    }
}

#[tokio::test]
async fn a_proposer_is_shown_what_was_measured_on_these_vectors() {
    let room = room(300).await;
    room.run(request(drawing(), 3)).await;
    let mut data = room.evaluation.data().clone();
    data.data_version = "v2".to_owned();
    let moved = Room {
        evaluation: evaluated(data, 100, &room.cancel).await,
        ..room
    };
    let curious = Arc::new(Curious(Mutex::default()));
    let strategy = Strategy::Proposer(curious.clone());
    moved.run(request(strategy, 3)).await;
    let shown = curious.0.lock().unwrap().clone();
    let journal = moved.journal().await;
    assert_eq!((shown.len(), journal.len()), (2, 6));
    assert_eq!(
        (&shown[0].trials[..], shown[0].champion),
        (&journal[3..4], Some(0))
    );
    assert_eq!(shown[1].trials, journal[3..5]);
    assert_eq!(
        shown[1].seed,
        proposal_seed(5),
        "the length is that of the journal"
    );
    let asked = journal[5].asked.clone().unwrap();
    assert_eq!((asked.journal_length, asked.champion), (5, Some(3)));
    let replay = Replay::of(journal);
    let question = replay.question(5).unwrap();
    assert!(question.same_journal);
    let settings = format!("settings of {DRAWING}");
    assert_eq!(
        question.settings,
        Some(settings),
        "those of whoever answered"
    );
    let (context, shown) = (question.context, &shown[1]);
    assert_eq!(
        (context.trials, context.champion, context.seed),
        (shown.trials.clone(), shown.champion, shown.seed)
    );
}

#[tokio::test]
async fn where_the_queries_are_too_few_for_the_floor_only_what_serves_is_tried() {
    let room = asking(300, 40).await;
    let mut request = request(drawing(), 9).step;
    request.objective.recall_floor = 0.999;
    request.only_useful = true;
    let Stepped::Tried { report, .. } = room.step(&request).await else {
        panic!("what serves was not tried")
    };
    assert_eq!(report.trial.config, request.serving);
    let Stepped::Exhausted { reason } = room.step(&request).await else {
        panic!("a trial was run that could not meet the objective")
    };
    assert!(reason.contains("40 queries can show"), "{reason}");
    let recommended = room.recommended(&request).await;
    assert!(
        recommended.reason().contains("40 queries can show"),
        "{recommended:?}"
    );
    // A person who wants to know more is not kept from it.
    request.only_useful = false;
    assert!(matches!(room.step(&request).await, Stepped::Tried { .. }));
}

/// Declines every weight.
struct Weightless;

#[async_trait]
impl Scorer for Weightless {
    async fn evaluate(
        &self,
        trials: &[Trial],
        objective: &Objective,
    ) -> Result<Judged<Vec<Verdict>>, JudgementError> {
        match objective.weights.first() {
            None => LinearScorer.evaluate(trials, objective).await,
            Some((name, _)) => Err(JudgementError {
                plugin: plugin(LINEAR),
                cause: JudgementCause::Declined,
                message: format!("unknown weight `{name}`"),
            }),
        }
    }
}

#[tokio::test]
async fn where_the_scorer_declines_the_objective_only_what_serves_is_tried() {
    let room = asking(300, 100).await;
    let mut request = request(drawing(), 9).step;
    request.scorer = Arc::new(Weightless);
    request.objective.weights = vec![("speed".to_owned(), 1.0)];
    request.only_useful = true;
    assert!(matches!(
        room.step(&request).await,
        Stepped::Tried { verdict: None, .. }
    ));
    let Stepped::Exhausted { reason } = room.step(&request).await else {
        panic!("a trial was run that nobody could judge")
    };
    assert!(reason.contains("unknown weight `speed`"), "{reason}");
    let recommended = room.recommended(&request).await;
    assert!(
        recommended.reason().contains("no verdict"),
        "{recommended:?}"
    );
    request.objective.weights.clear();
    assert!(matches!(room.step(&request).await, Stepped::Tried { .. }));
}

#[tokio::test]
async fn a_run_within_bounds_recommends_what_lies_within_them() {
    let room = asking(300, 100).await;
    let mut first = request(Scripted::strategy(&[Ok(&[16, 80, 60])]), 2);
    first.step.objective.recall_floor = 0.0;
    first.step.serving.graph_mut().unwrap().ef_search = 1;
    let (report, _) = room.run(first.clone()).await;
    assert_eq!(report.trials.len(), 2, "{report:?}");
    let mut bounds = TuneBounds::default();
    (bounds.ef_search.min, bounds.ef_search.max) = (10, 20);
    let mut second = first;
    second.step.strategy = Scripted::strategy(&[Ok(&[8, 20, 20])]);
    second.step.bounds = bounds.clone().into();
    second.within = Some(bounds.into());
    let (report, _) = room.run(second).await;
    // Whether it is better than what serves is a matter of times; that it is within the bounds is not.
    if let Recommendation::Promote { trial, .. } = &report.recommendation {
        assert_eq!(trial.config.graph().unwrap().ef_search, 20, "{report:?}");
    }
}
