//! What a duel promises: the better one wins, doubt keeps what serves, and nobody talks a bad one in.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use boathouse_types::{
    IndexConfig, Judged, JudgementCause, JudgementError, PluginRef, Trial, Verdict,
};
use futures::FutureExt as _;

use super::*;
use crate::{
    Contender, EvalSet, EvalSetName, EvalSource, EvalSpec, IndexData, TunerOptions,
    testing::{clock, clustered, index_name, memory_bucket, plugin},
};

/// Scores by what a function makes of the figures; `feasible` unless told otherwise.
pub(super) struct By {
    score: fn(&Trial) -> f64,
    feasible: bool,
    /// Calls after which another version answers.
    swapped_after: usize,
    calls: AtomicUsize,
}

impl By {
    fn new(score: fn(&Trial) -> f64) -> Self {
        Self {
            score,
            feasible: true,
            swapped_after: usize::MAX,
            calls: AtomicUsize::new(0),
        }
    }

    pub(super) fn recall() -> Self {
        Self::new(|trial| trial.metrics.recall_at_k)
    }
}

#[async_trait]
impl Scorer for By {
    async fn evaluate(
        &self,
        trials: &[Trial],
        _: &Objective,
    ) -> Result<Judged<Vec<Verdict>>, JudgementError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let verdict = |trial: &Trial| Verdict {
            feasible: self.feasible,
            front: 0,
            score: (self.score)(trial),
            reason: (!self.feasible).then(|| "wrong colour".to_owned()),
        };
        let version = if call < self.swapped_after {
            "1.0.0"
        } else {
            "2.0.0"
        };
        Ok(Judged {
            by: PluginRef {
                version: version.to_owned(),
                ..plugin("tests/by")
            },
            answer: trials.iter().map(verdict).collect(),
        })
    }
}

/// Gives no answer at all.
struct Mute;

#[async_trait]
impl Scorer for Mute {
    async fn evaluate(
        &self,
        _: &[Trial],
        _: &Objective,
    ) -> Result<Judged<Vec<Verdict>>, JudgementError> {
        Err(JudgementError {
            plugin: plugin("tests/mute"),
            cause: JudgementCause::Failed,
            message: "no".to_owned(),
        })
    }
}

/// A tuner with an index of 1,200 vectors and queries on it.
pub(super) struct Ring {
    tuner: Tuner,
    data: IndexData,
    pub(super) evaluation: Arc<Evaluation>,
}

impl Ring {
    async fn new(queries: usize) -> Self {
        Self::noisy_above(queries, 1e9).await
    }

    /// Times count up to this spread.
    pub(super) async fn noisy_above(queries: usize, noisy_spread: f64) -> Self {
        let mut options = TunerOptions {
            build_threads: 1,
            host: "test machine x1".to_owned(),
            ..TunerOptions::new(clock())
        };
        options.plan.noisy_spread = noisy_spread;
        let data = clustered(1_200);
        let (cancel, name) = (CancellationToken::new(), EvalSetName::new("e").unwrap());
        let spec = EvalSpec {
            source: EvalSource::Drawn { queries },
            ..EvalSpec::default()
        };
        let set = EvalSet::make(name, &data, spec, &cancel).await.unwrap();
        Self {
            tuner: Tuner::open(&memory_bucket(), &index_name(), options),
            evaluation: Evaluation::prepare(&data, set, &cancel).await.unwrap(),
            data,
        }
    }

    pub(super) async fn fighter(&self, ef_search: u32) -> Fighter {
        let config = IndexConfig {
            m: 4,
            ef_construction: 20,
            ef_search,
            seed: 1,
        };
        let cancel = CancellationToken::new();
        let built = self.tuner.builds().obtain(&self.data, &config, &cancel);
        let built = built.await.unwrap();
        Fighter {
            contender: Contender::Graph {
                graph: built.graph,
                ef_search,
            },
            build_id: built.build_id,
            config: config.into(),
            trial: Some(format!("t{ef_search}")),
        }
    }

    /// The challenger with one `ef_search` meets the champion with another.
    async fn duel(&self, efs: [u32; 2], floor: f64, scorer: &dyn Scorer) -> (Evidence, Ruling) {
        let cancel = CancellationToken::new();
        let held = self.held(efs, floor, scorer, &cancel, &|| {}).await;
        held.unwrap()
    }

    async fn held(
        &self,
        [champion, challenger]: [u32; 2],
        recall_floor: f64,
        scorer: &dyn Scorer,
        cancel: &CancellationToken,
        paused: &(dyn Fn() + Send + Sync),
    ) -> Result<(Evidence, Ruling), TuningError> {
        let objective = Objective {
            recall_floor,
            ..Objective::default()
        };
        let duel = Duel {
            evaluation: &self.evaluation,
            live_queries: 7,
            champion: self.fighter(champion).await,
            challenger: self.fighter(challenger).await,
            objective: &objective,
            scorer,
        };
        let pause = || {
            paused();
            async {}.boxed()
        };
        self.tuner.duel(duel, &pause, cancel).await
    }
}

#[track_caller]
fn refused(ruling: &Ruling, said: &str) {
    match ruling {
        Ruling::Refuse { reasons } => assert!(reasons[0].contains(said), "{reasons:?}"),
        Ruling::Promote { reason } => panic!("promoted: {reason}"),
    }
}

#[track_caller]
fn promoted(ruling: &Ruling, said: &str) {
    match ruling {
        Ruling::Promote { reason } => assert!(reason.contains(said), "{reason}"),
        Ruling::Refuse { reasons } => panic!("refused: {reasons:?}"),
    }
}

#[tokio::test]
async fn a_clear_win_is_found_and_everything_behind_it_is_told() {
    let ring = Ring::new(100).await;
    let (evidence, ruling) = ring.duel([11, 200], 0.1, &By::recall()).await;
    promoted(&ruling, "tests/by@1.0.0 is higher by");
    assert_eq!(
        (evidence.queries, evidence.live_queries, evidence.k),
        (100, 7, 10)
    );
    let (champion, challenger) = (&evidence.champion, &evidence.challenger);
    assert_eq!(
        (champion.trial.as_deref(), challenger.trial.as_deref()),
        (Some("t11"), Some("t200"))
    );
    assert!(challenger.metrics.recall_at_k > champion.metrics.recall_at_k);
    assert!(challenger.metrics.distances_per_query > champion.metrics.distances_per_query);
    assert!(challenger.metrics.memory_bytes > 1_200 * 16 * 4);
    assert!(champion.metrics.search_latency_p95_us > 0.0);
    let comparison = evidence.comparison.unwrap();
    assert!(comparison.recall_gain_interval.low > 0.0, "{comparison:?}");
    let score = evidence.score.unwrap();
    assert!(
        score.interval.low > 0.0 && score.interval.low <= score.gain,
        "{score:?}"
    );
    assert!(
        score.gain <= score.interval.high && score.resamples == 200,
        "{score:?}"
    );
    assert!((score.gain - comparison.recall_gain).abs() < 1e-6);
}

#[tokio::test]
async fn equal_configurations_are_not_surely_better() {
    let ring = Ring::new(60).await;
    let (evidence, ruling) = ring.duel([40, 40], 0.1, &By::recall()).await;
    refused(&ruling, "not surely better");
    assert_eq!(evidence.score.unwrap().gain, 0.0);
    // The other way round it is worse.
    let (_, ruling) = ring.duel([200, 11], 0.1, &By::recall()).await;
    refused(&ruling, "not surely better");
}

#[tokio::test]
async fn a_restless_machine_is_judged_by_distances() {
    let ring = Ring::noisy_above(60, -1.0).await;
    let fast = By::new(|trial| -trial.metrics.search_latency_p95_us);
    let (evidence, ruling) = ring.duel([40, 40], 0.1, &fast).await;
    assert_eq!(evidence.compared_by, ComparedBy::Distances);
    assert_eq!(evidence.score.unwrap().gain, 0.0, "the same distances");
    refused(&ruling, "not surely better");
    let (evidence, ruling) = ring.duel([200, 11], 0.1, &fast).await;
    promoted(&ruling, "higher");
    assert!(evidence.comparison.unwrap().latency_ratio_interval.high < 1.0);
}

#[tokio::test]
async fn a_scorer_that_lies_cannot_put_one_below_the_floor_in_service() {
    let ring = Ring::new(60).await;
    let liar = By::new(|trial| -trial.metrics.recall_at_k);
    let (evidence, ruling) = ring.duel([200, 11], 0.99, &liar).await;
    refused(&ruling, "below the floor of 0.99");
    assert!(evidence.challenger.shortfall.is_some());
    assert_eq!(liar.calls.into_inner(), 0, "nobody asked");
}

#[tokio::test]
async fn a_champion_that_surely_misses_the_objective_is_replaced_whatever_its_score() {
    let ring = Ring::new(200).await;
    let worse = || By::new(|trial| -trial.metrics.recall_at_k);
    let (evidence, ruling) = ring.duel([11, 400], 0.97, &worse()).await;
    promoted(&ruling, "what serves does not: recall");
    assert!(evidence.score.unwrap().interval.high < 0.0);
    // But not by one that the scorer finds infeasible, or has no word on.
    let strict = By {
        feasible: false,
        ..worse()
    };
    let (_, ruling) = ring.duel([11, 400], 0.97, &strict).await;
    refused(&ruling, "infeasible: wrong colour");
    let error = ring
        .held([11, 400], 0.97, &Mute, &CancellationToken::new(), &|| {})
        .await
        .unwrap_err();
    assert!(matches!(error, TuningError::Judgement(_)), "{error}");
}

#[tokio::test]
async fn a_hair_s_breadth_at_the_floor_decides_nothing() {
    let ring = Ring::new(60).await;
    let low = |side: &Side| side.metrics.recall_interval.unwrap().low;
    let mut close = None;
    for ef in 15..80 {
        let efs = [ef, ef + 1];
        let (found, _) = ring.duel(efs, 0.1, &By::recall()).await;
        let (own, their) = (low(&found.challenger), low(&found.champion));
        let is_sure = found.comparison.unwrap().recall_gain_interval.low > 0.0;
        if own > their && !is_sure {
            close = Some((efs, f64::midpoint(own, their)));
            break;
        }
    }
    let (efs, floor) = close.expect("two that are close to each other");
    let (evidence, ruling) = ring.duel(efs, floor, &By::recall()).await;
    let missed = |side: &Side| side.shortfall.is_some();
    assert!(missed(&evidence.champion) && !missed(&evidence.challenger));
    assert_eq!(evidence.sure_shortfall, None);
    refused(&ruling, "not surely better");
}

#[tokio::test]
async fn what_the_scorer_finds_infeasible_is_refused_in_its_words() {
    let ring = Ring::new(60).await;
    let strict = By {
        feasible: false,
        ..By::recall()
    };
    let (_, ruling) = ring.duel([11, 200], 0.1, &strict).await;
    refused(&ruling, "infeasible: wrong colour");
}

#[tokio::test]
async fn a_scorer_that_changes_half_way_decides_nothing() {
    let ring = Ring::new(60).await;
    let swapped = By {
        swapped_after: 50,
        ..By::recall()
    };
    let (evidence, ruling) = ring.duel([11, 200], 0.1, &swapped).await;
    refused(&ruling, "ask again");
    assert_eq!(evidence.score, None);
}

#[tokio::test]
async fn few_queries_tell_nothing() {
    for queries in [1, 29] {
        let ring = Ring::new(queries).await;
        let (evidence, ruling) = ring.duel([11, 200], 0.0, &By::recall()).await;
        refused(&ruling, "at least 30");
        assert_eq!(evidence.comparison.is_some(), queries > 1);
        reads_back(&evidence);
    }
}

#[tokio::test]
async fn equal_duels_give_equal_intervals() {
    let ring = Ring::new(60).await;
    let mut intervals = Vec::new();
    for _ in 0..2 {
        let (evidence, _) = ring.duel([20, 40], 0.1, &By::recall()).await;
        intervals.push(evidence.score.unwrap().interval);
    }
    assert_eq!(intervals[0], intervals[1]);
}

#[tokio::test]
async fn evidence_reads_back_whatever_a_scorer_says() {
    let ring = Ring::new(60).await;
    let extreme = By::new(|trial| match trial.config.graph().unwrap().ef_search {
        200 => f64::MAX,
        _ => f64::MIN,
    });
    let (evidence, ruling) = ring.duel([11, 200], 0.1, &extreme).await;
    promoted(&ruling, "higher");
    reads_back(&evidence);
}

#[track_caller]
fn reads_back(evidence: &Evidence) {
    let text = serde_json::to_string(evidence).unwrap();
    let read: Evidence = serde_json::from_str(&text).unwrap();
    assert_eq!(read, *evidence, "{text}");
}

#[tokio::test]
async fn a_duel_makes_way_before_every_block_and_stops_when_told() {
    let ring = Ring::new(100).await;
    let pauses = AtomicUsize::new(0);
    let count = || {
        pauses.fetch_add(1, Ordering::SeqCst);
    };
    let (cancel, scorer) = (CancellationToken::new(), By::recall());
    let held = ring.held([11, 200], 0.1, &scorer, &cancel, &count);
    held.await.unwrap();
    assert_eq!(pauses.load(Ordering::SeqCst), 4, "100 queries by 32");
    let stop = || cancel.cancel();
    let held = ring.held([11, 200], 0.1, &scorer, &cancel, &stop);
    let error = held.await.unwrap_err();
    assert!(matches!(error, TuningError::Cancelled), "{error}");
}
