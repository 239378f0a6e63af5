//! Asking a proposer again what it was asked before.
//!
//! The journal holds what is needed: each trial that a proposer made keeps its [`Asked`], the lines before
//! it are the trials that it was asked about, and the seed follows from their number. So a journal proves
//! that its proposals follow from it: the same plugin, asked again, has to propose the same.
//!
//! A fingerprint of the lines before tells a proposer that answers differently from a journal that was
//! changed. It is a chain (SHA-256 of the fingerprint so far and the next line), so all prefixes of a
//! journal are fingerprinted in one pass. It protects against accidents, not against somebody who writes
//! the whole journal anew.
//!
//! What the strategies of the host chose follows from the same lines, so [`Replay::house`] makes their choices
//! again. A baseline and a person's trial follow from nothing; they have no question.
//!
//! Nothing here calls a proposer or reads a bucket. The operator's settings of a plugin are not part of
//! the question: they are those of today, and a fingerprint tells whether they are those of then.

use boathouse_types::{
    Asked, Configuration, HouseStrategy, IndexFacts, Knob, Objective, ProposalContext, Trial,
};
use sha2::{Digest as _, Sha256};

use crate::{
    Bounds,
    autotune::proposal_seed,
    basis::Basis,
    house::{Choice, Situation},
    journal::hex,
};

/// Bytes of a fingerprint that a journal line keeps; accidents do not hit 64 bits.
const KEPT: usize = 8;

/// A journal whose questions can be put again.
pub struct Replay {
    trials: Vec<Trial>,
    /// The fingerprint of each prefix: one more than there are trials.
    digests: Vec<String>,
}

/// A question of a journal, whole.
#[derive(Debug, Clone)]
pub struct Question {
    /// What to ask.
    pub context: ProposalContext,
    /// The lines before are those of then. When false, another answer is no surprise.
    pub same_journal: bool,
    /// Fingerprint of the settings that the proposer had; none when the journal does not say.
    pub settings: Option<String>,
}

impl Replay {
    /// The questions of a journal, oldest trial first. Costs a pass over all lines.
    #[must_use]
    pub fn of(trials: Vec<Trial>) -> Self {
        let mut chain = Chain::default();
        let mut digests = vec![chain.kept()];
        for trial in &trials {
            chain.add(trial);
            digests.push(chain.kept());
        }
        Self { trials, digests }
    }

    /// The trials, oldest first.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// Positions of the trials that a proposer made, newest first.
    pub fn proposed(&self) -> impl Iterator<Item = usize> {
        let proposed = |at: &usize| self.trials[*at].proposed_by.is_some();
        (0..self.trials.len()).rev().filter(proposed)
    }

    /// Positions of the trials that a proposer or a strategy of the host made, newest first.
    pub fn chosen(&self) -> impl Iterator<Item = usize> {
        let is_chosen = |at: &usize| {
            let trial = &self.trials[*at];
            let by_house = |asked: &Asked| asked.strategy.is_some();
            trial.proposed_by.is_some() || trial.asked.as_ref().is_some_and(by_house)
        };
        (0..self.trials.len()).rev().filter(is_chosen)
    }

    /// The question that the trial at a position answers; none when the journal does not say what was
    /// asked, no proposer was, or it says something that cannot have been.
    #[must_use]
    pub fn question(&self, at: usize) -> Option<Question> {
        let asked = self.asked(at).filter(|asked| asked.strategy.is_none())?;
        let before = self.before(asked);
        let shown = Shown::of(before, Basis::asked(asked));
        let champion = match asked.champion {
            Some(line) => Some(shown.position(line as usize)?),
            None => None,
        };
        Some(Question {
            same_journal: self.is_unchanged(asked),
            settings: asked.settings.clone(),
            context: ProposalContext {
                index: asked.index.clone(),
                knobs: asked.knobs.clone(),
                objective: asked.objective.clone(),
                champion,
                seed: proposal_seed(before.len()),
                trials: shown.trials(),
            },
        })
    }

    /// What a strategy of the host chose, and what it chooses now, for the trial at a position; none when no such
    /// strategy was followed.
    #[must_use]
    pub fn house(&self, at: usize) -> Option<HouseReplay> {
        let asked = self.asked(at)?;
        let (strategy, trial) = (asked.strategy?, &self.trials[at]);
        let situation = Situation {
            bounds: Bounds::of(&asked.knobs, &asked.index)?,
            floor: asked.objective.recall_floor,
            seed: trial.config.seed(),
            data_version: asked.data_version.as_deref()?,
            evalset: asked.evalset.as_deref(),
            vectors: asked.index.vectors,
            journal: self.before(asked),
        };
        let equal = match situation.choice(strategy) {
            Choice::Try { settings, .. } => {
                let tried = trial.config.settings().into_iter();
                settings == tried.map(|(_, value)| value).collect::<Vec<_>>()
            }
            // The least `ef_search` was looked for on the sample, so it is none of the choice.
            Choice::Sample { build, share, .. } => {
                let tried = trial.config.graph();
                trial.sample == Some(share)
                    && tried.is_some_and(|tried| build == (tried.m, tried.ef_construction))
            }
            Choice::Exhausted(_) => false,
        };
        Some(HouseReplay {
            strategy,
            equal,
            same_journal: self.is_unchanged(asked),
        })
    }

    /// What the journal says of the question that the trial at a position answers, when that can have been.
    fn asked(&self, at: usize) -> Option<&Asked> {
        let asked = self.trials.get(at)?.asked.as_ref()?;
        let length = usize::try_from(asked.journal_length).ok()?;
        let champion_is_before = asked
            .champion
            .is_none_or(|champion| champion < asked.journal_length);
        (length <= at && champion_is_before).then_some(asked)
    }

    /// The lines that a question is about.
    fn before(&self, asked: &Asked) -> &[Trial] {
        let length = usize::try_from(asked.journal_length).unwrap_or(usize::MAX);
        &self.trials[..length.min(self.trials.len())]
    }

    fn is_unchanged(&self, asked: &Asked) -> bool {
        self.digests[self.before(asked).len()] == asked.journal_digest
    }

    /// The question that a run with default bounds puts after so many lines: for lines that do not say
    /// what was asked, and, after the last, for what would be proposed now. It shows the trials on the vectors
    /// and with the queries that were measured last. `champion` is a line.
    #[must_use]
    pub fn assumed(
        &self,
        length: usize,
        index: IndexFacts,
        objective: Objective,
        champion: Option<usize>,
    ) -> ProposalContext {
        let length = length.min(self.trials.len());
        let before = &self.trials[..length];
        let is_of =
            |trial: &&Trial| trial.sample.is_none() && trial.config.backend() == index.backend;
        let last = before.iter().rfind(is_of);
        let any = || Basis::any(index.backend);
        let shown = Shown::of(before, last.map_or_else(any, Basis::of));
        ProposalContext {
            knobs: Bounds::for_index(&index).knobs(),
            index,
            objective,
            champion: champion.and_then(|line| shown.position(line)),
            seed: proposal_seed(length),
            trials: shown.trials(),
        }
    }
}

/// A choice of the host made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HouseReplay {
    /// Whose choice.
    pub strategy: HouseStrategy,
    /// It came out as recorded.
    pub equal: bool,
    /// The lines before are those of then. When false, another choice is no surprise.
    pub same_journal: bool,
}

/// The lines of a journal that a question shows.
pub(crate) struct Shown<'a>(Vec<(usize, &'a Trial)>);

impl<'a> Shown<'a> {
    /// The lines that rest on the same.
    pub(crate) fn of(journal: &'a [Trial], basis: Basis<'_>) -> Self {
        let lines = journal.iter().enumerate();
        Self(lines.filter(|(_, trial)| basis.holds(trial)).collect())
    }

    pub(crate) fn trials(&self) -> Vec<Trial> {
        self.0.iter().map(|(_, trial)| (*trial).clone()).collect()
    }

    pub(crate) fn into_lines(self) -> Vec<&'a Trial> {
        self.0.into_iter().map(|(_, trial)| trial).collect()
    }

    /// Position among what is shown of a line of the journal.
    fn position(&self, line: usize) -> Option<u32> {
        let at = self.0.iter().position(|(shown, _)| *shown == line)?;
        u32::try_from(at).ok()
    }

    /// Line of the journal at a position among what is shown.
    pub(crate) fn line(&self, at: usize) -> Option<u32> {
        u32::try_from(self.0.get(at)?.0).ok()
    }
}

/// A configuration as a proposal for these knobs would give it; none when one of them is no setting of
/// it.
#[must_use]
pub fn settings_of(config: &Configuration, context: &ProposalContext) -> Option<Vec<u32>> {
    let knobs = context.knobs.iter();
    knobs.map(|knob| config.setting(&knob.name)).collect()
}

/// What a journal keeps of a question: all of it, but for the trials.
pub(crate) struct Put<'a> {
    pub(crate) journal: &'a [Trial],
    pub(crate) index: IndexFacts,
    pub(crate) knobs: Vec<Knob>,
    pub(crate) objective: Objective,
    pub(crate) data_version: String,
    pub(crate) evalset: Option<String>,
    /// Line of what serves.
    pub(crate) champion: Option<u32>,
    pub(crate) strategy: Option<HouseStrategy>,
}

impl Put<'_> {
    /// Costs a pass over all lines. Who answers, and under which settings, is not known yet.
    pub(crate) fn asked(self) -> Asked {
        let mut chain = Chain::default();
        for trial in self.journal {
            chain.add(trial);
        }
        Asked {
            journal_length: u32::try_from(self.journal.len()).unwrap_or(u32::MAX),
            journal_digest: chain.kept(),
            champion: self.champion,
            index: self.index,
            knobs: self.knobs,
            objective: self.objective,
            data_version: Some(self.data_version),
            evalset: self.evalset,
            settings: None,
            strategy: self.strategy,
        }
    }
}

/// The fingerprint of the lines so far.
#[derive(Default)]
struct Chain([u8; 32]);

impl Chain {
    fn add(&mut self, trial: &Trial) {
        // Through a value, whose keys are sorted: the text does not depend on the order of fields. A
        // trial that was read can always be written; if not, it counts as an empty line.
        let line = serde_json::to_value(trial).map_or_else(|_| String::new(), |v| v.to_string());
        let hashed = Sha256::new().chain_update(self.0).chain_update(line);
        self.0 = hashed.finalize().into();
    }

    fn kept(&self) -> String {
        hex(&self.0[..KEPT])
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::{Metric, PluginRef, VectorBackend};

    use super::*;
    use crate::testing::{plugin, trial};

    fn facts() -> IndexFacts {
        IndexFacts {
            name: "papers".to_owned(),
            backend: VectorBackend::Parquet,
            vectors: 100,
            dimension: 16,
            metric: Metric::Cosine,
        }
    }

    /// Three trials: a baseline, and two that a proposer made.
    fn journal() -> Vec<Trial> {
        let mut trials = vec![trial("a", 0.9, 100.0)];
        trials[0].data_version = Some("v1".to_owned());
        for (id, ef_search) in [("b", 40), ("c", 50)] {
            let known = Replay::of(trials.clone());
            let context = known.assumed(trials.len(), facts(), Objective::default(), Some(0));
            let put = Put {
                journal: &trials,
                index: context.index,
                knobs: context.knobs,
                objective: context.objective,
                data_version: "v1".to_owned(),
                evalset: None,
                champion: Some(0),
                strategy: None,
            };
            let mut next = trial(id, 0.95, 120.0);
            next.config.graph_mut().unwrap().ef_search = ef_search;
            next.proposed_by = Some(plugin("tests/drawing"));
            next.data_version = Some("v1".to_owned());
            next.asked = Some(put.asked());
            trials.push(next);
        }
        trials
    }

    #[test]
    fn a_question_comes_back_as_it_was_put() {
        let replay = Replay::of(journal());
        assert_eq!(replay.proposed().collect::<Vec<_>>(), [2, 1]);
        assert!(
            replay.question(0).is_none(),
            "nobody was asked for the baseline"
        );
        let question = replay.question(2).unwrap();
        assert!(question.same_journal);
        let context = question.context;
        assert_eq!(context.trials, replay.trials()[..2]);
        assert_eq!(
            (context.seed, context.champion),
            (proposal_seed(2), Some(0))
        );
        assert_eq!(
            settings_of(&replay.trials()[2].config, &context),
            Some(vec![16, 80, 50])
        );
    }

    #[test]
    fn questions_survive_being_written_and_read() {
        let lines: Vec<String> = journal()
            .iter()
            .map(|trial| serde_json::to_string(trial).unwrap())
            .collect();
        let read = lines.iter().map(|line| serde_json::from_str(line).unwrap());
        let replay = Replay::of(read.collect());
        assert!(
            [1, 2]
                .iter()
                .all(|&at| replay.question(at).unwrap().same_journal)
        );
    }

    #[test]
    fn any_change_of_an_earlier_line_is_noticed_by_all_later_ones() {
        let changes: [fn(&mut Trial); 3] = [
            |trial| trial.metrics.search_latency_p95_us += 1.0,
            |trial| trial.config.graph_mut().unwrap().seed = 9,
            |trial| trial.note = Some("kind words".to_owned()),
        ];
        for change in changes {
            let mut trials = journal();
            change(&mut trials[1]);
            let replay = Replay::of(trials);
            assert!(
                replay.question(1).unwrap().same_journal,
                "its own question stands before it"
            );
            assert!(!replay.question(2).unwrap().same_journal);
        }
    }

    #[test]
    fn what_cannot_have_been_asked_is_no_question() {
        let mut trials = journal();
        if let Some(asked) = &mut trials[1].asked {
            asked.journal_length = 2;
        }
        if let Some(asked) = &mut trials[2].asked {
            asked.champion = Some(2);
        }
        let replay = Replay::of(trials);
        assert!(replay.question(1).is_none(), "it would have seen itself");
        assert!(
            replay.question(2).is_none(),
            "the champion is not among the trials"
        );
        assert!(replay.question(99).is_none());
    }

    #[test]
    fn a_journal_of_an_older_host_has_no_questions() {
        let mut old = trial("old", 0.9, 1.0);
        old.proposed_by = Some(PluginRef {
            name: "boathouse/epsilon-greedy".to_owned(),
            version: "0.1.0".to_owned(),
        });
        let replay = Replay::of(vec![old]);
        assert_eq!(replay.proposed().count(), 1);
        assert!(replay.question(0).is_none());
    }
}
