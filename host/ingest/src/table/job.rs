//! Jobs: runs that each bring only what is new since the one before.
//!
//! Where a job got to is a [`JobMark`] of the very version that its run commits, so it moves exactly when rows
//! become visible and with them. A mark names the version that its run began after; the catalogue takes it
//! only while that is still the newest one of the job, so two runs cannot both bring the same rows, whatever
//! became of the lease (`lease.rs`) that keeps them apart in the first place.
//!
//! A version that replaces all rows begins every job anew.

use std::iter;

use boathouse_types::{DatasetName, JobName, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Position, Window};
use crate::{DatasetManifest, IngestError, Treatment};

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// Its name; a dataset may have several jobs.
    pub name: JobName,
    /// The column that grows, for example `updated_at` or a number from a sequence. `cursor` is the same.
    #[serde(alias = "cursor")]
    pub column: String,
    /// A column that tells rows apart which are equal in `column`, for example the primary key.
    #[serde(default)]
    pub key: Option<String>,
    /// Rows stay out until a later run whose `column` is too young: for times and dates less than so many seconds
    /// before the server's clock at the start of the run, for numbers less than this below the greatest. It has to
    /// be longer than the slowest transaction.
    #[serde(default)]
    pub lag: u64,
}

/// Where a job got to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobMark {
    /// The job.
    pub job: JobName,
    /// The column that it follows.
    pub column: String,
    /// The column that tells equal rows apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The table or query that it reads, without constants; none in versions of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<String>,
    /// The last row that was brought; none while there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The version in which the run found the position that it began after; none: it began at the first row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// What is known of a job. Where it got to is not shown, because that is a value of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobInfo {
    /// The job.
    pub job: JobName,
    /// The dataset that it fills.
    pub dataset: DatasetName,
    /// The column that it follows; none before its first run has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The newest version that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_version: Option<u64>,
    /// When it made that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<Timestamp>,
    /// When the run began that is under way, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_since: Option<Timestamp>,
}

/// A run of a job: where it begins.
#[derive(Debug, Clone)]
pub(super) struct Step {
    spec: JobSpec,
    reads: String,
    begins: Option<(u64, JobMark)>,
}

impl Step {
    /// The step after where a job got to; the first one where there is no dataset, or it is to be replaced.
    /// `reads` is the table or query.
    pub(super) fn next(
        spec: &JobSpec,
        reads: &str,
        known: Option<&DatasetManifest>,
    ) -> Result<Self, IngestError> {
        let begins = known.and_then(|manifest| manifest.job(&spec.name));
        if let Some((_, mark)) = begins
            && let Some(other) = mark.reads.as_deref().filter(|other| *other != reads)
        {
            return Err(IngestError::BadJob {
                problem: format!(
                    "`{}` reads `{other}` so far; keep to that, give the job another name, or begin anew with mode `replace`",
                    spec.name
                ),
            });
        }
        if let Some((_, mark)) = begins
            && (&mark.column, &mark.key) != (&spec.column, &spec.key)
        {
            let key = mark.key.as_ref();
            let key = key.map_or("no key".to_owned(), |key| format!("key `{key}`"));
            return Err(IngestError::BadJob {
                problem: format!(
                    "`{}` follows column `{}` with {key} so far; keep to that, give the job another name, or begin anew with mode `replace`",
                    spec.name, mark.column
                ),
            });
        }
        Ok(Self {
            spec: spec.clone(),
            reads: reads.to_owned(),
            begins: begins.map(|(version, mark)| (version, mark.clone())),
        })
    }

    /// The rows that the step is to bring.
    pub(super) fn window(&self) -> Window {
        Window {
            column: self.spec.column.clone(),
            key: self.spec.key.clone(),
            after: self.position().cloned(),
            lag: self.spec.lag,
        }
    }

    /// Where the job is after a step that ended at a position, or brought no row.
    pub(super) fn mark(&self, reached: Option<Position>) -> JobMark {
        JobMark {
            job: self.spec.name.clone(),
            column: self.spec.column.clone(),
            key: self.spec.key.clone(),
            reads: Some(self.reads.clone()),
            position: reached.or_else(|| self.position().cloned()),
            after: self.begins.as_ref().map(|(version, _)| *version),
        }
    }

    fn position(&self) -> Option<&Position> {
        self.begins.as_ref()?.1.position.as_ref()
    }
}

impl JobMark {
    /// Refuses a cursor whose values a policy changes or leaves out, because one of them would stand in the
    /// manifest as it is.
    pub(crate) fn check_treatments(&self, treatments: &[Treatment]) -> Result<(), IngestError> {
        let follows = |name: &str| {
            let mut columns = iter::once(&self.column).chain(&self.key);
            columns.any(|column| column.eq_ignore_ascii_case(name))
        };
        let mut changed = treatments.iter().filter(|one| one.action.transforms());
        match changed.find(|one| follows(&one.column)) {
            None => Ok(()),
            Some(treatment) => Err(IngestError::BadJob {
                problem: format!(
                    "`{}` follows column `{}`, which the policy for personal data does not leave as it is; choose another column, or keep this one by the dataset's policy",
                    self.job, treatment.column
                ),
            }),
        }
    }

    /// Whether the job stands in a dataset where the run found it.
    pub(crate) fn continues(&self, manifest: &DatasetManifest) -> bool {
        manifest.job(&self.job).map(|(version, _)| version) == self.after
    }
}
