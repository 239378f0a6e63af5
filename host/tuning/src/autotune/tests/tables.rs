//! Runs over a table whose engine is a model: a vector lies in the partition of its row's number, and a search looks into
//! the first partitions only. So recall is the share of partitions that are looked into, whatever else is chosen.

use boathouse_types::{HouseStrategy, TableConfig};
use boathouse_vector::exact_top_k;

use super::*;
use crate::{
    Bounds, BuiltTable, TableBounds, TableBuilds, TableSearch, duel::Ruling, testing::table_config,
};

/// The engine; counts builds.
#[derive(Debug, Default)]
struct Engine {
    built: Mutex<Vec<(u32, u32)>>,
    fails: bool,
}

#[derive(Debug)]
struct Modelled(IndexData);

impl TableSearch for Modelled {
    fn search(
        &self,
        vector: &[f32],
        k: usize,
        config: &TableConfig,
    ) -> Result<Vec<u32>, TuningError> {
        let query = self.0.vectors.prepare_query(vector)?;
        let is_seen = |row: u32| row % config.partitions < config.nprobes;
        let found = exact_top_k(&self.0.vectors, &query, k, is_seen);
        Ok(found.iter().map(|one| one.row).collect())
    }

    fn memory_bytes(&self) -> u64 {
        77
    }
}

#[async_trait]
impl TableBuilds for Engine {
    async fn obtain(
        &self,
        data: &IndexData,
        config: &TableConfig,
        _: &CancellationToken,
    ) -> Result<BuiltTable, TuningError> {
        if self.fails {
            return Err(TuningError::Engine("no room".into()));
        }
        let is_there = self.has(data, config);
        let key = (config.partitions, config.sub_vectors);
        self.built.lock().unwrap().push(key);
        Ok(BuiltTable {
            table: Arc::new(Modelled(data.clone())),
            origin: match is_there {
                true => BuildOrigin::Memory,
                false => BuildOrigin::Built {
                    secs: 2.0,
                    replaces: None,
                },
            },
        })
    }

    fn has(&self, _: &IndexData, config: &TableConfig) -> bool {
        let key = (config.partitions, config.sub_vectors);
        self.built.lock().unwrap().contains(&key)
    }

    fn forget(&self, _: &boathouse_types::IndexName) {}
}

/// An index of 480 vectors that serves by its table.
struct OfTable {
    tuner: Tuner,
    evaluation: Arc<Evaluation>,
}

async fn of_table(engine: Engine) -> OfTable {
    let data = IndexData {
        backend: VectorBackend::Lance,
        ..clustered(480)
    };
    let spec = EvalSpec {
        source: EvalSource::Drawn { queries: 60 },
        ..EvalSpec::default()
    };
    let cancel = CancellationToken::new();
    let set = EvalSet::make(EvalSetName::new("e").unwrap(), &data, spec, &cancel).await;
    let options = TunerOptions {
        host: "test machine x1".to_owned(),
        plan: MeasurePlan {
            rounds: 1,
            warm_up: 1,
            ..MeasurePlan::default()
        },
        tables: Some(Arc::new(engine)),
        ..TunerOptions::new(clock())
    };
    OfTable {
        tuner: Tuner::open(&memory_bucket(), &index_name(), options),
        evaluation: Evaluation::prepare(&data, set.unwrap(), &cancel)
            .await
            .unwrap(),
    }
}

impl OfTable {
    fn request(&self, strategy: Strategy, max_trials: u32) -> AutotuneRequest {
        let data = self.evaluation.data();
        AutotuneRequest {
            step: StepRequest {
                strategy,
                scorer: Arc::new(LinearScorer),
                objective: Objective {
                    recall_floor: 0.9,
                    ..Objective::default()
                },
                bounds: Bounds::for_index(&data.facts()),
                serving: table_config().into(),
                note: None,
                only_useful: false,
            },
            max_trials,
            max_seconds: None,
            within: None,
        }
    }

    async fn run(&self, strategy: Strategy, max_trials: u32) -> AutotuneReport {
        let request = self.request(strategy, max_trials);
        let cancel = CancellationToken::new();
        let run = self
            .tuner
            .autotune(&self.evaluation, request, &cancel, &|_| {});
        run.await.unwrap()
    }

    async fn trial(&self, config: TableConfig) -> crate::TrialReport {
        let request = TrialRequest {
            config: config.into(),
            ..TrialRequest::default()
        };
        let cancel = CancellationToken::new();
        self.tuner
            .trial(&self.evaluation, request, &cancel)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_trial_of_a_table_is_measured_like_any_other() {
    let room = of_table(Engine::default()).await;
    let half = TableConfig {
        partitions: 4,
        nprobes: 2,
        ..table_config()
    };
    let report = room.trial(half).await;
    let (trial, metrics) = (&report.trial, &report.trial.metrics);
    assert_eq!(trial.backend, VectorBackend::Lance);
    assert!((0.3..0.7).contains(&metrics.recall_at_k), "{metrics:?}");
    assert!(metrics.recall_interval.unwrap().low < metrics.recall_at_k);
    assert_eq!(
        (metrics.distances_per_query, metrics.memory_bytes),
        (None, 77)
    );
    assert!((metrics.build_time_secs - 2.0).abs() < 1e-9);
    let all = room.trial(TableConfig { nprobes: 4, ..half }).await.trial;
    assert!((all.metrics.recall_at_k - 1.0).abs() < 1e-9, "{all:?}");
    assert!(
        all.metrics.build_time_secs.abs() < 1e-9,
        "one build serves both"
    );
    assert_eq!(all.build_id, trial.build_id);
    let shorter = TableConfig {
        sub_vectors: 1,
        ..half
    };
    assert_ne!(room.trial(shorter).await.trial.build_id, all.build_id);
    let line = serde_json::to_value(&all).unwrap();
    assert_eq!(line["backend"], "lance");
    assert_eq!(room.tuner.journal().find(&all.id).await.unwrap(), all);
}

#[tokio::test]
async fn what_cannot_be_built_leaves_no_line() {
    let room = of_table(Engine {
        fails: true,
        ..Engine::default()
    })
    .await;
    for (config, said) in [
        (table_config(), "engine"),
        (
            TableConfig {
                sub_vectors: 3,
                ..table_config()
            },
            "16 components",
        ),
    ] {
        let request = TrialRequest {
            config: config.into(),
            ..TrialRequest::default()
        };
        let cancel = CancellationToken::new();
        let failed = room.tuner.trial(&room.evaluation, request, &cancel);
        let error = failed.await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(room.tuner.journal().read().await.unwrap().trials.is_empty());
}

#[tokio::test]
async fn the_grid_and_a_proposer_try_tables_and_can_be_asked_again() {
    let room = of_table(Engine::default()).await;
    let by_grid = room.run(Strategy::Grid, 4).await;
    assert_eq!((by_grid.trials.len(), by_grid.refused), (4, 0));
    let proposed = room.run(drawing(), 3).await;
    assert_eq!(
        (proposed.trials.len(), proposed.refused),
        (3, 0),
        "{proposed:?}"
    );
    let replay = Replay::of(room.tuner.journal().read().await.unwrap().trials);
    let mut of_house = 0;
    for at in replay.chosen() {
        match replay.house(at) {
            Some(house) => {
                assert_eq!(house.strategy, HouseStrategy::Grid);
                assert!(house.equal && house.same_journal);
                of_house += 1;
            }
            None => {
                let question = replay.question(at).unwrap();
                assert!(question.same_journal);
                assert_eq!(question.context.index.backend, VectorBackend::Lance);
                let names = question.context.knobs.iter().map(|knob| &*knob.name);
                let names: Vec<_> = names.collect();
                assert_eq!(
                    names,
                    ["partitions", "sub_vectors", "nprobes", "refine_factor"]
                );
                let again = DrawingProposer.propose(question.context.clone()).await;
                let Proposal::Configuration { settings, .. } = again.unwrap().answer else {
                    panic!("nothing is proposed");
                };
                let recorded = settings_of(&replay.trials()[at].config, &question.context);
                assert_eq!(Some(settings), recorded);
            }
        }
    }
    // The baseline is nobody's choice.
    assert_eq!((of_house, replay.chosen().count()), (3, 6));
}

#[tokio::test]
async fn a_run_sees_the_trials_of_its_own_kind_only() {
    let room = of_table(Engine::default()).await;
    let (graphs, cancel) = (clustered(480), CancellationToken::new());
    let evaluation = evaluated(graphs, 60, &cancel).await;
    let of_graphs = request(drawing(), 2);
    let run = room
        .tuner
        .autotune(&evaluation, of_graphs, &cancel, &|_| {});
    assert_eq!(run.await.unwrap().trials.len(), 2);
    let report = room.run(drawing(), 2).await;
    let proposed = report.trials[1].asked.as_ref().unwrap();
    assert_eq!(proposed.journal_length, 3, "all lines count for the seed");
    let replay = Replay::of(room.tuner.journal().read().await.unwrap().trials);
    let shown = replay.question(3).unwrap().context;
    assert_eq!(shown.trials.len(), 1, "but its own are shown");
    assert_eq!(shown.champion, Some(0));
    if let Recommendation::Promote { trial, .. } = &report.recommendation {
        assert_eq!(trial.backend, VectorBackend::Lance);
    }
}

#[tokio::test]
async fn halving_and_foreign_bounds_are_refused() {
    let room = of_table(Engine::default()).await;
    let mut foreign = room.request(Strategy::Grid, 1);
    foreign.step.bounds = TuneBounds::default().into();
    for (request, said) in [
        (room.request(Strategy::Halving, 1), "halving is for graphs"),
        (foreign, "another engine"),
    ] {
        let cancel = CancellationToken::new();
        let run = room
            .tuner
            .autotune(&room.evaluation, request, &cancel, &|_| {});
        let error = run.await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn tables_meet_in_a_duel_by_their_times() {
    let room = of_table(Engine::default()).await;
    let fighter = |nprobes| {
        let config = TableConfig {
            nprobes,
            ..table_config()
        };
        crate::Fighter {
            contender: crate::Contender::Table {
                table: Arc::new(Modelled(room.evaluation.data().clone())),
                config,
            },
            build_id: "b".to_owned(),
            config: config.into(),
            trial: Some(format!("t{nprobes}")),
        }
    };
    let objective = Objective {
        recall_floor: 0.9,
        ..Objective::default()
    };
    let duel = crate::Duel {
        evaluation: &room.evaluation,
        live_queries: 0,
        champion: fighter(2),
        challenger: fighter(4),
        objective: &objective,
        scorer: &LinearScorer,
    };
    let pause = || -> futures::future::BoxFuture<'_, ()> { Box::pin(async {}) };
    let cancel = CancellationToken::new();
    let (evidence, ruling) = room.tuner.duel(duel, &pause, &cancel).await.unwrap();
    assert_eq!(evidence.compared_by, crate::ComparedBy::Time);
    assert_eq!(evidence.champion.metrics.distances_per_query, None);
    assert!(matches!(ruling, Ruling::Promote { .. }), "{ruling:?}");
    let bounds = TableBounds::for_vectors(480, room.evaluation.data().vectors.dimension());
    assert_eq!(
        Bounds::Table(bounds),
        Bounds::for_index(&room.evaluation.data().facts())
    );
}
