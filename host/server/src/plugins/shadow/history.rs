//! A shadow and what serves, asked the same about everything the host remembers.
//!
//! Scoring plugins see the journal of every index; proposers see prefixes of it, each as it was when a
//! trial was really proposed, and the whole of it; detectors see a sample of every dataset, drawn from the
//! stored rows as ingest draws it. Questions are put one at a time, first to what serves, then to the
//! shadow. The whole is bounded in number and in time, and says what it left out; one index or dataset
//! that cannot be read costs only itself.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use boathouse_ingest::DatasetManifest;
use boathouse_plugins::{
    Plugin, PluginError, compare_findings, compare_proposals, compare_verdicts,
};
use boathouse_tuning::{Replay, champion_position, settings_of};
use boathouse_types::{
    DatasetName, Finding, PluginKind, ProposalContext, TableSample, Trial, VectorBackend,
};
use tokio_util::sync::CancellationToken;

use super::report::{
    Compared, DetectedTable, Difference, History, ProposedTrial, ScoredIndex, Tally, Unanswered,
};
use crate::{app::App, indexes::LiveIndex, plugins::Place, problem::Problem, tune::Space};

/// Time after which no further question is put.
const TIME: Duration = Duration::from_secs(60);
/// Trials of one index that proposers are asked about again, the newest ones.
const QUESTIONS: usize = 20;
/// Rows of a dataset that its sample is drawn from; ingest looks at all.
const ROWS: u64 = 200_000;

/// Compares a shadow with what serves. Nothing is cached: equal histories give equal reports but for the
/// times.
///
/// # Errors
/// When nothing serves, or the primary bucket cannot be read.
pub(crate) async fn compare(
    app: &App,
    shadow: &Plugin,
    stop: &CancellationToken,
) -> Result<History, Problem> {
    let mut run = Run {
        app,
        shadow,
        stop,
        began: Instant::now(),
        active_calls: Tally::default(),
        shadow_calls: Tally::default(),
        unanswered: Vec::new(),
        left_out: Vec::new(),
        compared: 0,
        equal: 0,
    };
    let differences = match shadow.kind() {
        PluginKind::Scoring => Compared::Scoring(run.scorings().await?),
        PluginKind::Proposer => Compared::Proposer(run.proposals().await?),
        PluginKind::Pii => Compared::Pii(run.detections().await?),
    };
    Ok(History {
        compared: run.compared,
        equal: run.equal,
        differences,
        active: run.active_calls.side(),
        shadow: run.shadow_calls.side(),
        unanswered: run.unanswered,
        left_out: run.left_out,
        took_ms: u64::try_from(run.began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// A comparison under way.
struct Run<'a> {
    app: &'a App,
    shadow: &'a Plugin,
    stop: &'a CancellationToken,
    began: Instant,
    active_calls: Tally,
    shadow_calls: Tally,
    unanswered: Vec<Unanswered>,
    left_out: Vec<String>,
    compared: u64,
    equal: u64,
}

impl Run<'_> {
    async fn scorings(&mut self) -> Result<Vec<ScoredIndex>, Problem> {
        let indexes = self.app.indexes.list();
        let mut rows = Vec::new();
        for (done, index) in indexes.iter().enumerate() {
            if self.over(done, indexes.len(), "indexes")? {
                break;
            }
            let active = self.serving(index);
            let mut trials = self.journal(index).await;
            // Graphs and tables do not compare; what serves is what is scored.
            trials.retain(|trial| trial.config.backend() == index.meta.vector_backend);
            if !trials.is_empty() {
                rows.extend(self.scoring(index, &active, &trials).await);
            }
        }
        Ok(rows)
    }

    async fn scoring(
        &mut self,
        index: &LiveIndex,
        active: &Plugin,
        trials: &[Trial],
    ) -> Option<ScoredIndex> {
        let (name, objective) = (&index.meta.name, &index.meta.objective);
        let shadow = self.shadow;
        let verdicts = self
            .answer(name.as_str(), active, active.evaluate(trials, objective))
            .await;
        let others = self
            .answer(name.as_str(), shadow, shadow.evaluate(trials, objective))
            .await;
        let difference = compare_verdicts(trials, &verdicts?, &others?);
        self.count(Difference::Scoring(difference.clone()).is_equal());
        let id = |at: Option<u32>| Some(trials.get(at? as usize)?.id.clone());
        Some(ScoredIndex {
            index: name.clone(),
            active: active.identity().clone(),
            winner_active: id(difference.winner_active),
            winner_shadow: id(difference.winner_shadow),
            difference,
        })
    }

    async fn proposals(&mut self) -> Result<Vec<ProposedTrial>, Problem> {
        let indexes = self.app.indexes.list();
        let mut rows = Vec::new();
        for (done, index) in indexes.iter().enumerate() {
            if self.over(done, indexes.len(), "indexes")? {
                break;
            }
            let active = self.serving(index);
            let mut trials = self.journal(index).await;
            // Graphs and tables do not compare; what serves is what is scored.
            trials.retain(|trial| trial.config.backend() == index.meta.vector_backend);
            let replay = tokio::task::spawn_blocking(|| Replay::of(trials));
            let replay = replay.await.map_err(|error| Problem::internal(&error))?;
            rows.extend(self.proposals_of(index, &active, &replay).await?);
        }
        Ok(rows)
    }

    async fn proposals_of(
        &mut self,
        index: &LiveIndex,
        active: &Plugin,
        replay: &Replay,
    ) -> Result<Vec<ProposedTrial>, Problem> {
        let questions = questions(index, replay);
        let proposed = replay.proposed().count();
        if proposed > QUESTIONS {
            self.left_out.push(format!(
                "index `{}`: the {} oldest of {proposed} proposed trials",
                index.meta.name,
                proposed - QUESTIONS
            ));
        }
        let mut rows = Vec::new();
        let (what, all) = (
            format!("questions of index `{}`", index.meta.name),
            questions.len(),
        );
        for (done, question) in questions.into_iter().enumerate() {
            if self.over(done, all, &what)? {
                break;
            }
            rows.extend(self.proposal(index, active, replay, question).await);
        }
        Ok(rows)
    }

    async fn proposal(
        &mut self,
        index: &LiveIndex,
        active: &Plugin,
        replay: &Replay,
        question: Asking,
    ) -> Option<ProposedTrial> {
        let (name, shadow) = (&index.meta.name, self.shadow);
        let Asking {
            at,
            context,
            assumed,
        } = question;
        let ours = self
            .answer(name.as_str(), active, active.propose(&context))
            .await;
        let theirs = self
            .answer(name.as_str(), shadow, shadow.propose(&context))
            .await;
        let difference = compare_proposals(&ours?, &theirs?);
        self.count(difference.equal);
        let trial = at.map(|at| &replay.trials()[at]);
        let recorded = trial.and_then(|trial| settings_of(&trial.config, &context));
        Some(ProposedTrial {
            index: name.clone(),
            active: active.identity().clone(),
            after: context.trials.len() as u64,
            trial: trial.map(|trial| trial.id.clone()),
            shadow_as_recorded: recorded
                .as_ref()
                .map(|recorded| difference.shadow.settings() == Some(recorded.as_slice())),
            recorded,
            assumed,
            difference,
        })
    }

    async fn detections(&mut self) -> Result<Vec<DetectedTable>, Problem> {
        let datasets = self.app.datasets.list().await?;
        let mut rows = Vec::new();
        for (done, manifest) in datasets.iter().enumerate() {
            if self.over(done, datasets.len(), "datasets")? {
                break;
            }
            match self.sample(manifest).await {
                Ok((version, table)) => {
                    rows.extend(self.detection(&manifest.name, version, &table).await);
                }
                Err(problem) => self.left_out.push(format!(
                    "dataset `{}`, which cannot be read: {}",
                    manifest.name, problem.detail
                )),
            }
        }
        Ok(rows)
    }

    async fn sample(&mut self, manifest: &DatasetManifest) -> Result<(u64, TableSample), Problem> {
        let dataset = self.app.datasets.open(&manifest.name, None).await?;
        let table = dataset.sample(ROWS).await?;
        let (read, all) = (
            table.columns.first().map_or(0, |column| column.rows),
            dataset.version().rows,
        );
        if read < all {
            self.left_out.push(format!(
                "dataset `{}`: the sample is drawn from the first {read} of {all} rows",
                manifest.name
            ));
        }
        Ok((dataset.version().version, table))
    }

    async fn detection(
        &mut self,
        name: &DatasetName,
        version: u64,
        table: &TableSample,
    ) -> Option<DetectedTable> {
        let shadow = self.shadow;
        let detectors = self.detectors(name);
        let mut answers = Vec::new();
        for detector in &detectors {
            let found = self.answer(name.as_str(), detector, detector.detect(table));
            answers.push(found.await);
        }
        let theirs = self
            .answer(name.as_str(), shadow, shadow.detect(table))
            .await;
        let ours: Option<Vec<_>> = answers.into_iter().collect();
        let difference = compare_findings(table, &highest(ours?), &theirs?);
        self.count(difference.is_equal());
        Some(DetectedTable {
            dataset: name.clone(),
            version,
            rows: table.columns.first().map_or(0, |column| column.rows),
            active: detectors.iter().map(|d| d.identity().clone()).collect(),
            difference,
        })
    }

    /// What answers for an index.
    fn serving(&self, index: &LiveIndex) -> Plugin {
        let place = Place::Index(index.meta.name.clone());
        self.app.plugins.serving(self.shadow.kind(), &place)
    }

    /// What looks at a dataset: of several detectors the version of the shadow's own name, if that is one
    /// of them, because the others stay when the shadow takes its place.
    fn detectors(&self, dataset: &DatasetName) -> Vec<Plugin> {
        let mut all = self.app.plugins.serving_detectors(dataset);
        let name = &self.shadow.identity().name;
        let namesake = |detector: &Plugin| detector.identity().name == *name;
        if all.iter().any(namesake) {
            all.retain(namesake);
        }
        all
    }

    /// The trials of an index; none, with a word about it, when they cannot be read.
    async fn journal(&mut self, index: &LiveIndex) -> Vec<Trial> {
        match index.tuner.journal().read().await {
            Ok(contents) => contents.trials,
            Err(error) => {
                self.left_out.push(format!(
                    "index `{}`, whose journal cannot be read: {error}",
                    index.meta.name
                ));
                Vec::new()
            }
        }
    }

    /// Waits for an answer and counts it; none when there is none.
    async fn answer<T>(
        &mut self,
        about: &str,
        plugin: &Plugin,
        asked: impl Future<Output = Result<T, PluginError>>,
    ) -> Option<T> {
        let began = Instant::now();
        let answer = asked.await;
        let calls = if plugin.identity() == self.shadow.identity() {
            &mut self.shadow_calls
        } else {
            &mut self.active_calls
        };
        match answer {
            Ok(answer) => {
                calls.answered(began.elapsed());
                Some(answer)
            }
            Err(error) => {
                calls.failed(&error);
                self.unanswered.push(Unanswered {
                    about: about.to_owned(),
                    plugin: plugin.identity().clone(),
                    cause: error.cause(),
                });
                None
            }
        }
    }

    fn count(&mut self, equal: bool) {
        self.compared += 1;
        self.equal += u64::from(equal);
    }

    /// Whether the time is over; says what is left out then.
    fn over(&mut self, done: usize, all: usize, what: &str) -> Result<bool, Problem> {
        if self.stop.is_cancelled() {
            return Err(Problem::cancelled());
        }
        let over = self.began.elapsed() > TIME;
        if over {
            let seconds = TIME.as_secs();
            self.left_out.push(format!(
                "{} of {all} {what}: a comparison takes {seconds} s at most",
                all - done
            ));
        }
        Ok(over)
    }
}

/// A question to proposers.
struct Asking {
    /// Position of the trial that was really made then; none for the next one.
    at: Option<usize>,
    context: ProposalContext,
    assumed: bool,
}

/// What would be tried next, and what was tried before, newest first.
fn questions(index: &LiveIndex, replay: &Replay) -> Vec<Asking> {
    let (space, objective) = (Space::of(index, None), &index.meta.objective);
    let facts = match &space {
        Ok(space) => space.data.facts(),
        Err(_) => index.data.facts(),
    };
    let assumed = |length: usize, champion: Option<usize>| {
        replay.assumed(length, facts.clone(), objective.clone(), champion)
    };
    let served = &index.serving().served;
    let champion = match &space {
        Ok(space) if space.serving.backend() == VectorBackend::Lance => {
            champion_position(replay.trials(), None, &space.serving)
        }
        _ => champion_position(replay.trials(), Some(served), &served.config),
    };
    let next = Asking {
        at: None,
        context: assumed(replay.trials().len(), champion),
        assumed: true,
    };
    let past = replay.proposed().take(QUESTIONS).map(|at| {
        let question = replay.question(at);
        Asking {
            at: Some(at),
            assumed: question.is_none(),
            context: question.map_or_else(|| assumed(at, None), |question| question.context),
        }
    });
    std::iter::once(next).chain(past).collect()
}

/// Of several detectors' findings in one column of one kind, the one of highest confidence.
fn highest(answers: Vec<Vec<Finding>>) -> Vec<Finding> {
    let mut best: BTreeMap<(u32, String), Finding> = BTreeMap::new();
    for finding in answers.into_iter().flatten() {
        let known = best.get(&(finding.column, finding.kind.clone()));
        if known.is_none_or(|known| known.confidence < finding.confidence) {
            best.insert((finding.column, finding.kind.clone()), finding);
        }
    }
    best.into_values().collect()
}

#[cfg(test)]
mod tests {
    use boathouse_types::{Evidence, Scope};

    use super::*;

    fn finding(column: u32, kind: &str, confidence: f64) -> Finding {
        Finding {
            column,
            kind: kind.to_owned(),
            country: None,
            scope: Scope::WholeColumn,
            confidence,
            evidence: Evidence {
                tested: 1,
                matched: 1,
                checksum_passed: 0,
                name_evidence: 0.0,
            },
        }
    }

    #[test]
    fn of_several_detectors_the_surest_counts_for_each_column_and_kind() {
        let answers = vec![
            vec![finding(1, "email", 0.5), finding(0, "iban", 0.9)],
            vec![finding(1, "email", 0.8), finding(1, "phone", 0.1)],
            vec![finding(1, "email", 0.7)],
        ];
        let expected = [
            finding(0, "iban", 0.9),
            finding(1, "email", 0.8),
            finding(1, "phone", 0.1),
        ];
        assert_eq!(highest(answers), expected);
        assert!(highest(Vec::new()).is_empty());
    }
}
