//! What a check of a component found, check by check.
//!
//! A report lists every check in the order of [`CheckName::ALL`], whatever was run: one that could not be
//! run says after which failures it was left out.

use std::time::{Duration, Instant};

use boathouse_types::PluginKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{PluginDescription, error::Complaint};

/// The outcome of all checks of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckReport {
    /// The kind that it was checked as.
    pub kind: PluginKind,
    /// `team/name`, when it told a valid one.
    pub name: Option<String>,
    /// Semantic version, when it told a valid one.
    pub version: Option<String>,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// No check failed.
    pub passed: bool,
    /// Every check, in a fixed order.
    pub checks: Vec<Check>,
    /// What it says of itself, when it said anything valid.
    pub description: Option<PluginDescription>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// Which one.
    pub name: CheckName,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// What was found; for a failure always, else where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What its author can do about a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// What is checked.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// It is not too large.
    Size,
    /// It begins as a component does.
    Preamble,
    /// It is whole and valid WebAssembly.
    Parse,
    /// It imports nothing that no guest gets, and what it imports has the host's types.
    Imports,
    /// It exports the functions of its world with their types.
    Exports,
    /// It compiles within time and memory, and starts within the limits of its kind.
    Compile,
    /// It describes itself truthfully: its kind, and the name and version that it was handed in under.
    Describe,
    /// It answers the golden questions by the rules of the contract.
    Answer,
    /// It answers each of them within its deadline.
    Deadline,
    /// It gives bit-equal answers to equal questions.
    Determinism,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// Nothing is wrong.
    Passed,
    /// Something is wrong.
    Failed,
    /// It was not run, or not to its end, because of other failures.
    Skipped,
}

impl CheckName {
    /// All checks, in the order in which they are run.
    pub const ALL: [Self; 10] = [
        Self::Size,
        Self::Preamble,
        Self::Parse,
        Self::Imports,
        Self::Exports,
        Self::Compile,
        Self::Describe,
        Self::Answer,
        Self::Deadline,
        Self::Determinism,
    ];

    /// The name used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Preamble => "preamble",
            Self::Parse => "parse",
            Self::Imports => "imports",
            Self::Exports => "exports",
            Self::Compile => "compile",
            Self::Describe => "describe",
            Self::Answer => "answer",
            Self::Deadline => "deadline",
            Self::Determinism => "determinism",
        }
    }
}

impl std::fmt::Display for CheckName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl CheckReport {
    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        let failed = |check: &&Check| check.outcome == CheckOutcome::Failed;
        self.checks.iter().filter(failed)
    }
}

/// The checks that were run so far.
#[derive(Debug, Default)]
pub(super) struct Progress(Vec<Check>);

impl Progress {
    /// Runs a check and gives what it found.
    pub(super) fn run<T>(
        &mut self,
        name: CheckName,
        check: impl FnOnce() -> Result<T, Complaint>,
    ) -> Option<T> {
        let started = Instant::now();
        match check() {
            Ok(found) => {
                self.pass(name, None, started.elapsed());
                Some(found)
            }
            Err(complaint) => {
                self.fail(name, complaint, started.elapsed());
                None
            }
        }
    }

    /// Notes a check that passed.
    pub(super) fn pass(&mut self, name: CheckName, detail: Option<String>, took: Duration) {
        self.note(name, CheckOutcome::Passed, detail, None, took);
    }

    /// Notes a check that failed, even though its first part had passed.
    pub(super) fn fail(&mut self, name: CheckName, complaint: Complaint, took: Duration) {
        let Complaint { what, cure } = complaint;
        self.note(name, CheckOutcome::Failed, Some(what), Some(cure), took);
    }

    fn note(
        &mut self,
        name: CheckName,
        outcome: CheckOutcome,
        detail: Option<String>,
        cure: Option<String>,
        took: Duration,
    ) {
        self.0.retain(|check| check.name != name);
        self.0.push(Check {
            name,
            outcome,
            detail,
            cure,
            ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
    }

    /// All checks in order; those that were not run say why.
    pub(super) fn finish(mut self) -> Vec<Check> {
        let failed: Vec<String> = CheckName::ALL
            .into_iter()
            .filter(|name| self.has_failed(*name))
            .map(|name| format!("`{name}`"))
            .collect();
        let why = format!("left out after {} failed", failed.join(", "));
        for name in CheckName::ALL {
            if !self.0.iter().any(|check| check.name == name) {
                let detail = Some(why.clone());
                self.note(name, CheckOutcome::Skipped, detail, None, Duration::ZERO);
            }
        }
        self.0.sort_by_key(|check| check.name);
        self.0
    }

    fn has_failed(&self, name: CheckName) -> bool {
        let failed = |check: &Check| check.name == name && check.outcome == CheckOutcome::Failed;
        self.0.iter().any(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_every_check_in_order() {
        let mut progress = Progress::default();
        progress.fail(
            CheckName::Imports,
            Complaint::new("a", "b"),
            Duration::from_millis(3),
        );
        progress.pass(CheckName::Size, None, Duration::ZERO);
        progress.run(CheckName::Exports, || {
            Err::<(), _>(Complaint::new("c", "d"))
        });
        assert_eq!(progress.run(CheckName::Parse, || Ok(5)), Some(5));
        let checks = progress.finish();
        let names: Vec<_> = checks.iter().map(|check| check.name).collect();
        assert_eq!(names, CheckName::ALL);
        assert_eq!(checks[3].ms, 3);
        assert_eq!(checks[3].cure.as_deref(), Some("b"));
        assert_eq!(checks[5].outcome, CheckOutcome::Skipped);
        assert_eq!(
            checks[5].detail.as_deref(),
            Some("left out after `imports`, `exports` failed")
        );
    }

    #[test]
    fn a_later_failure_takes_the_place_of_a_pass() {
        let mut progress = Progress::default();
        progress.pass(CheckName::Imports, None, Duration::ZERO);
        progress.fail(
            CheckName::Imports,
            Complaint::new("type", "c"),
            Duration::ZERO,
        );
        let checks = progress.finish();
        assert_eq!(checks.len(), CheckName::ALL.len());
        assert_eq!(checks[3].outcome, CheckOutcome::Failed);
    }

    #[test]
    fn names_read_as_they_are_written() {
        for name in CheckName::ALL {
            let json = serde_json::to_value(name).expect("json");
            assert_eq!(json, name.as_str());
        }
    }
}
