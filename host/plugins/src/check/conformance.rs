//! Golden questions, each put twice to fresh instances, and what the answers prove.
//!
//! Three things are judged apart, so that a report names each: that answers keep to the contract, that
//! they come in time, and that equal questions get bit-equal answers (floats are compared by their bits).
//! After a deadline was missed nothing more is asked, because every further question could cost as much.

use std::{fmt::Write as _, time::Duration};

use boathouse_types::{Finding, Proposal, Verdict};

use super::report::{CheckName, Progress};
use crate::{
    Cause, Limits, PluginError,
    call::Call,
    component::Guest,
    error::Complaint,
    golden,
    inquiry::{Detecting, Evaluating, Inquiry, Proposing},
    question::Unfit,
};

/// Questions that a complaint names; more help nobody.
const NAMED: usize = 3;

/// What came of one golden question.
struct Asked {
    name: &'static str,
    ordinary: bool,
    /// Answers in a form in which equal means bit-equal; the second is missing after a missed deadline.
    answers: [Option<Result<String, PluginError>>; 2],
    slowest: Duration,
}

/// Puts every golden question of the guest's kind. Nothing that a guest does makes this fail.
pub(super) fn run(guest: &Guest, call: &Call<'_>, deterministic: bool, progress: &mut Progress) {
    let asked = match guest {
        Guest::Proposer(pre) => ask_all(call, golden::contexts(), |context| {
            Proposing::new(pre, context)
        }),
        Guest::Scoring(pre) => ask_all(call, golden::journals(), |journal| {
            Evaluating::new(pre, &journal.trials, &journal.objective)
        }),
        Guest::Pii(pre) => ask_all(call, golden::tables(), |table| Detecting::new(pre, table)),
    };
    judge(&asked, deterministic, call.limits, progress);
}

fn ask_all<Q, I>(
    call: &Call<'_>,
    golden: Vec<golden::Golden<Q>>,
    inquire: impl Fn(&Q) -> Result<I, Unfit>,
) -> Vec<Asked>
where
    I: Inquiry,
    I::Answer: Exact,
{
    let mut all = Vec::new();
    for one in golden {
        // A test holds fast that every golden question can be put.
        let Ok(inquiry) = inquire(&one.question) else {
            continue;
        };
        let mut asked = Asked {
            name: one.name,
            ordinary: one.ordinary,
            answers: [None, None],
            slowest: Duration::ZERO,
        };
        for answer in &mut asked.answers {
            let ended = call.run(&inquiry);
            asked.slowest = asked.slowest.max(ended.took);
            let late = matches!(ended.answer, Err(PluginError::Deadline { .. }));
            *answer = Some(ended.answer.map(|answer| answer.exact()));
            if late {
                all.push(asked);
                return all;
            }
        }
        all.push(asked);
    }
    all
}

/// Turns what came of the questions into the three checks.
fn judge(asked: &[Asked], deterministic: bool, limits: &Limits, progress: &mut Progress) {
    let took = |asked: &[Asked]| asked.iter().map(|one| one.slowest).sum::<Duration>();
    let late = asked.iter().find_map(Asked::late);
    let slowest = asked
        .iter()
        .map(|one| one.slowest)
        .max()
        .unwrap_or_default();

    let wrong: Vec<(&str, &PluginError)> = asked.iter().filter_map(Asked::wrong).collect();
    if let Some((_, first)) = wrong.first() {
        let complaint = Complaint::new(listed(&wrong), cure(first));
        progress.fail(CheckName::Answer, complaint, took(asked));
    } else if late.is_none() {
        progress.pass(CheckName::Answer, None, took(asked));
    }
    match &late {
        Some(late) => progress.fail(
            CheckName::Deadline,
            Complaint::new(listed(&[*late]), cure(late.1)),
            slowest,
        ),
        None => {
            let most = limits.deadline_ms;
            let detail = format!("the slowest took {} of {most} ms", slowest.as_millis());
            progress.pass(CheckName::Deadline, Some(detail), slowest);
        }
    }
    let differ: Vec<&str> = asked
        .iter()
        .filter(|one| one.differs())
        .map(|one| one.name)
        .collect();
    let first = differ.first().filter(|_| deterministic);
    if let Some(first) = first {
        let complaint = Complaint::new(
            format!("two answers to the same question differ, on {first}"),
            "take chance from the question's seed only and keep nothing between calls, or describe it as not deterministic",
        );
        progress.fail(CheckName::Determinism, complaint, took(asked));
    } else if !deterministic {
        let detail = Some("it does not claim to be deterministic".to_owned());
        progress.pass(CheckName::Determinism, detail, took(asked));
    } else if late.is_none() {
        progress.pass(CheckName::Determinism, None, took(asked));
    }
}

impl Asked {
    fn errors(&self) -> impl Iterator<Item = &PluginError> {
        let answers = self.answers.iter().flatten();
        answers.filter_map(|answer| answer.as_ref().err())
    }

    /// The first error that breaks the contract, other than being late.
    fn wrong(&self) -> Option<(&str, &PluginError)> {
        let mut errors = self.errors();
        let breaks = |error: &&PluginError| match error.cause() {
            Cause::Deadline => false,
            Cause::Declined => self.ordinary,
            _ => true,
        };
        Some((self.name, errors.find(breaks)?))
    }

    fn late(&self) -> Option<(&str, &PluginError)> {
        let mut errors = self.errors();
        let error = errors.find(|error| error.cause() == Cause::Deadline)?;
        Some((self.name, error))
    }

    /// Whether both answers were given and are not the same.
    fn differs(&self) -> bool {
        match &self.answers {
            [Some(first), Some(second)] if self.late().is_none() => first != second,
            _ => false,
        }
    }
}

/// The first few failures, each with the question that it came with.
fn listed(wrong: &[(&str, &PluginError)]) -> String {
    let named = wrong.iter().take(NAMED);
    let mut text = named
        .map(|(name, error)| format!("on {name}: {}", error.reason()))
        .collect::<Vec<_>>()
        .join("; ");
    if wrong.len() > NAMED {
        let _never_fails = write!(text, "; and on {} more", wrong.len() - NAMED);
    }
    text
}

fn cure(error: &PluginError) -> &'static str {
    match error.cause() {
        Cause::Declined => {
            "answer ordinary questions; declining is for those that contradict the contract"
        }
        Cause::Deadline => {
            "do less in one call, by the time that the host's deadline-ms tells, or raise deadline_ms of its kind"
        }
        Cause::Limit => "take less of it, or raise the limits of its kind",
        Cause::BadAnswer => {
            "give exactly one entry a row, every number in its range and none NaN, as the contract's comments say"
        }
        _ => "let its own tests ask this: every question needs an answer or a declared error",
    }
}

/// An answer as text that is equal exactly for bit-equal answers.
trait Exact {
    fn exact(&self) -> String;
}

impl Exact for Proposal {
    fn exact(&self) -> String {
        format!("{self:?}")
    }
}

impl Exact for Vec<Verdict> {
    fn exact(&self) -> String {
        let rows = self.iter().map(|verdict| {
            let bits = verdict.score.to_bits();
            format!("{bits:x} {verdict:?}")
        });
        rows.collect::<Vec<_>>().join("\n")
    }
}

impl Exact for Vec<Finding> {
    fn exact(&self) -> String {
        let rows = self.iter().map(|finding| {
            let confidence = finding.confidence.to_bits();
            let name = finding.evidence.name_evidence.to_bits();
            format!("{confidence:x} {name:x} {finding:?}")
        });
        rows.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::report::{Check, CheckOutcome},
        *,
    };

    type Answer = Result<String, PluginError>;

    fn answer(text: &str) -> Answer {
        Ok(text.to_owned())
    }

    fn bad() -> Answer {
        Err(PluginError::BadAnswer {
            plugin: "t/p@1.0.0".to_owned(),
            what: "the score of trial 1 is NaN".to_owned(),
        })
    }

    fn late() -> Answer {
        Err(PluginError::Deadline {
            plugin: "t/p@1.0.0".to_owned(),
            deadline_ms: 7,
            log: crate::LogTail::default(),
        })
    }

    fn declined() -> Answer {
        Err(PluginError::Declined {
            plugin: "t/p@1.0.0".to_owned(),
            why: crate::Declined::Unsupported,
            text: "too few".to_owned(),
        })
    }

    fn asked(ordinary: bool, first: Answer, second: Option<Answer>) -> Asked {
        Asked {
            name: "a question",
            ordinary,
            answers: [Some(first), second],
            slowest: Duration::from_millis(2),
        }
    }

    /// Outcomes of answer, deadline and determinism, and the report.
    fn judged(asked: &[Asked], deterministic: bool) -> ([CheckOutcome; 3], Vec<Check>) {
        let mut progress = Progress::default();
        judge(asked, deterministic, &Limits::default(), &mut progress);
        let checks = progress.finish().split_off(7);
        ([0, 1, 2].map(|i: usize| checks[i].outcome), checks)
    }

    use CheckOutcome::{Failed, Passed, Skipped};

    #[test]
    fn equal_answers_in_time_pass() {
        let (outcomes, checks) = judged(&[asked(true, answer("a"), Some(answer("a")))], true);
        assert_eq!(outcomes, [Passed; 3]);
        assert_eq!(
            checks[1].detail.as_deref(),
            Some("the slowest took 2 of 2000 ms")
        );
    }

    #[test]
    fn a_bad_answer_and_an_unsteady_one_are_both_named() {
        let (outcomes, checks) = judged(
            &[
                asked(true, bad(), Some(bad())),
                asked(true, answer("a"), Some(answer("b"))),
            ],
            true,
        );
        assert_eq!(outcomes, [Failed, Passed, Failed]);
        assert_eq!(
            checks[0].detail.as_deref(),
            Some("on a question: the score of trial 1 is NaN")
        );
        assert!(
            checks
                .iter()
                .all(|c| c.cure.is_some() == (c.outcome == Failed))
        );
        let (outcomes, _) = judged(&[asked(true, bad(), Some(answer("a")))], true);
        assert_eq!(outcomes, [Failed, Passed, Failed], "once bad, once not");
    }

    #[test]
    fn what_is_not_claimed_is_not_demanded() {
        let unsteady = [asked(true, answer("a"), Some(answer("b")))];
        let (outcomes, checks) = judged(&unsteady, false);
        assert_eq!(outcomes, [Passed; 3]);
        assert!(
            checks[2]
                .detail
                .as_deref()
                .is_some_and(|d| d.contains("does not claim"))
        );
    }

    #[test]
    fn declining_is_fine_for_odd_questions_only() {
        let (outcomes, _) = judged(&[asked(false, declined(), Some(declined()))], true);
        assert_eq!(outcomes, [Passed; 3]);
        let (outcomes, checks) = judged(&[asked(true, declined(), Some(declined()))], true);
        assert_eq!(outcomes, [Failed, Passed, Passed]);
        assert_eq!(
            checks[0].detail.as_deref(),
            Some("on a question: it declined: unsupported: too few")
        );
    }

    #[test]
    fn after_a_missed_deadline_the_rest_is_open() {
        let (outcomes, checks) = judged(&[asked(true, late(), None)], true);
        assert_eq!(outcomes, [Skipped, Failed, Skipped]);
        assert_eq!(
            checks[1].detail.as_deref(),
            Some("on a question: it was stopped at its deadline of 7 ms")
        );
        let (outcomes, _) = judged(
            &[
                asked(true, bad(), Some(bad())),
                asked(true, answer("a"), Some(late())),
            ],
            true,
        );
        assert_eq!(outcomes, [Failed, Failed, Skipped]);
    }

    #[test]
    fn many_failures_are_summed_up() {
        let many: Vec<Asked> = (0..5).map(|_| asked(true, bad(), Some(bad()))).collect();
        let (_, checks) = judged(&many, true);
        let detail = checks[0].detail.as_deref().expect("a detail");
        assert_eq!(detail.matches("NaN").count(), 3);
        assert!(detail.ends_with("; and on 2 more"), "{detail}");
    }

    #[test]
    fn zeroes_of_either_sign_are_not_bit_equal() {
        let verdicts = |score| {
            vec![Verdict {
                feasible: true,
                front: 0,
                score,
                reason: None,
            }]
        };
        assert_eq!(verdicts(0.5).exact(), verdicts(0.5).exact());
        assert_ne!(verdicts(0.0).exact(), verdicts(-0.0).exact());
    }
}
