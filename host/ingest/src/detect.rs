//! Personal data: detectors are asked about the sample of a table, their findings merged.
//!
//! A detector is foreign code, so its answer is checked before it is believed. That one failed is recorded
//! on the dataset version or refuses the ingest; it never reads as "no personal data".

use std::sync::Arc;

use async_trait::async_trait;
use boathouse_types::{Finding, Judged, JudgementCause, JudgementError, PluginRef, TableSample};
use futures::future::join_all;
use serde::{Deserialize, Serialize};

use crate::{IngestError, redact_dsn};

/// Longest text of a recorded failure, in bytes.
const MESSAGE_BYTES: usize = 500;

/// Someone who can tell which columns hold personal data.
#[async_trait]
pub trait PiiDetector: Send + Sync {
    /// Looks at the sample of a table.
    ///
    /// # Errors
    /// When no answer could be had; it names who was asked.
    async fn detect(&self, table: &TableSample) -> Result<Judged<Vec<Finding>>, JudgementError>;
}

/// What happens when a detector fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDetectorFailure {
    /// The ingest fails.
    Refuse,
    /// The ingest goes on; the version says who failed, so that its findings read as incomplete.
    #[default]
    TagUnknown,
}

/// What detectors found in one version of a dataset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Detection {
    /// Findings by column and kind.
    pub findings: Vec<ColumnFinding>,
    /// Everyone who was asked.
    pub asked: Vec<PluginRef>,
    /// Those who gave no answer. While there are any, the absence of a finding means nothing.
    pub failures: Vec<DetectorFailure>,
}

impl Detection {
    /// Whether somebody was asked and all answered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.is_unexamined() && self.failures.is_empty()
    }

    /// Whether nobody was asked, because no detector was active: that nothing was found means nothing.
    #[must_use]
    pub fn is_unexamined(&self) -> bool {
        self.asked.is_empty()
    }
}

/// Personal data of one kind in one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ColumnFinding {
    /// Name of the column.
    pub column: String,
    /// The finding of highest confidence.
    pub finding: Finding,
    /// Whose it is.
    pub detector: PluginRef,
    /// Every detector's own finding of this kind in this column, highest confidence first.
    pub sources: Vec<FindingSource>,
}

/// One detector's finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FindingSource {
    /// Whose it is.
    pub detector: PluginRef,
    /// What it says.
    pub finding: Finding,
}

/// A detector that gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DetectorFailure {
    /// Who.
    pub detector: PluginRef,
    /// Why.
    pub message: String,
}

/// Asks all detectors at once.
pub(crate) async fn ask(
    detectors: &[Arc<dyn PiiDetector>],
    on_failure: OnDetectorFailure,
    table: &TableSample,
) -> Result<Detection, IngestError> {
    let answers = detectors.iter().map(|detector| detector.detect(table));
    let mut detection = Detection::default();
    for answer in join_all(answers).await {
        let (detector, findings) = match answer {
            Ok(judged) => (judged.by.clone(), believe(judged, table)),
            Err(error) => (error.plugin.clone(), Err(error)),
        };
        detection.asked.push(detector.clone());
        match findings {
            Ok(findings) => merge(&mut detection.findings, findings, &detector, table),
            Err(error) if on_failure == OnDetectorFailure::Refuse => {
                return Err(IngestError::DetectorFailed(shortened(error)));
            }
            Err(error) => {
                let message = shortened(error).message;
                tracing::warn!(%detector, %message, "a personal-data detector failed");
                detection
                    .failures
                    .push(DetectorFailure { detector, message });
            }
        }
    }
    Ok(detection)
}

/// Refuses findings that cannot be about this table.
fn believe(
    judged: Judged<Vec<Finding>>,
    table: &TableSample,
) -> Result<Vec<Finding>, JudgementError> {
    let findings = judged.answer;
    let unsound = findings.iter().find_map(|finding| {
        if finding.column as usize >= table.columns.len() {
            return Some(format!(
                "column {} of {}",
                finding.column,
                table.columns.len()
            ));
        }
        let known_kind = !finding.kind.is_empty() && finding.kind.len() <= 64;
        let sound = known_kind && (0.0..=1.0).contains(&finding.confidence);
        (!sound).then(|| {
            format!(
                "kind or confidence out of bounds in column {}",
                finding.column
            )
        })
    });
    match unsound {
        None => Ok(findings),
        Some(what) => Err(JudgementError {
            plugin: judged.by,
            cause: JudgementCause::Failed,
            message: format!("it answered with an impossible finding: {what}"),
        }),
    }
}

fn merge(
    merged: &mut Vec<ColumnFinding>,
    findings: Vec<Finding>,
    detector: &PluginRef,
    table: &TableSample,
) {
    for finding in findings {
        let source = FindingSource {
            detector: detector.clone(),
            finding: finding.clone(),
        };
        let same = |known: &&mut ColumnFinding| {
            known.finding.column == finding.column && known.finding.kind == finding.kind
        };
        match merged.iter_mut().find(same) {
            Some(known) => {
                known.sources.push(source);
                known
                    .sources
                    .sort_by(|a, b| b.finding.confidence.total_cmp(&a.finding.confidence));
                known.finding = known.sources[0].finding.clone();
                known.detector = known.sources[0].detector.clone();
            }
            None => merged.push(ColumnFinding {
                column: table.columns[finding.column as usize].name.clone(),
                finding,
                detector: detector.clone(),
                sources: vec![source],
            }),
        }
    }
    merged.sort_by(|a, b| {
        (a.finding.column, &a.finding.kind).cmp(&(b.finding.column, &b.finding.kind))
    });
}

fn shortened(mut error: JudgementError) -> JudgementError {
    let mut message = redact_dsn(&error.message);
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
    error.message = message;
    error
}

#[cfg(test)]
pub(crate) mod tests {
    use boathouse_types::{ColumnSample, Evidence, Scope};

    use super::*;

    /// A detector with a fixed answer.
    pub(crate) struct Fixed(
        pub(crate) &'static str,
        pub(crate) Result<Vec<Finding>, String>,
    );

    #[async_trait]
    impl PiiDetector for Fixed {
        async fn detect(&self, _: &TableSample) -> Result<Judged<Vec<Finding>>, JudgementError> {
            let by = PluginRef {
                name: self.0.to_owned(),
                version: "1.0.0".to_owned(),
            };
            match self.1.clone() {
                Ok(answer) => Ok(Judged { by, answer }),
                Err(message) => Err(JudgementError {
                    plugin: by,
                    cause: JudgementCause::Failed,
                    message,
                }),
            }
        }
    }

    pub(crate) fn finding(column: u32, kind: &str, confidence: f64) -> Finding {
        Finding {
            column,
            kind: kind.to_owned(),
            country: None,
            scope: Scope::WholeColumn,
            confidence,
            evidence: Evidence {
                tested: 2,
                matched: 2,
                checksum_passed: 0,
                name_evidence: 0.5,
            },
        }
    }

    fn table() -> TableSample {
        let column = |name: &str| ColumnSample {
            name: name.to_owned(),
            ..ColumnSample::default()
        };
        TableSample {
            name: "t".to_owned(),
            columns: vec![column("a"), column("b")],
        }
    }

    async fn asked(
        detectors: Vec<Fixed>,
        policy: OnDetectorFailure,
    ) -> Result<Detection, IngestError> {
        let detectors: Vec<Arc<dyn PiiDetector>> = detectors
            .into_iter()
            .map(|d| Arc::new(d) as Arc<dyn PiiDetector>)
            .collect();
        ask(&detectors, policy, &table()).await
    }

    #[tokio::test]
    async fn the_highest_confidence_leads_and_all_sources_stay() {
        let detectors = vec![
            Fixed(
                "x/low",
                Ok(vec![finding(1, "email", 0.5), finding(0, "name", 0.4)]),
            ),
            Fixed("x/high", Ok(vec![finding(1, "email", 0.9)])),
        ];
        let found = asked(detectors, OnDetectorFailure::Refuse).await.unwrap();
        assert!(found.is_complete());
        let shown: Vec<_> = found
            .findings
            .iter()
            .map(|f| (f.column.as_str(), f.detector.name.as_str(), f.sources.len()))
            .collect();
        assert_eq!(shown, [("a", "x/low", 1), ("b", "x/high", 2)]);
    }

    #[tokio::test]
    async fn failures_are_never_silent() {
        let failing = || {
            vec![
                Fixed("x/bad", Err("no pg://u:p@h".to_owned())),
                Fixed("x/ok", Ok(vec![])),
            ]
        };
        let refused = asked(failing(), OnDetectorFailure::Refuse).await;
        assert!(
            matches!(refused, Err(IngestError::DetectorFailed(error)) if error.message == "no pg://***@h")
        );
        let tagged = asked(failing(), OnDetectorFailure::TagUnknown)
            .await
            .unwrap();
        assert!(!tagged.is_complete());
        assert_eq!((tagged.asked.len(), tagged.failures.len()), (2, 1));
        assert!(
            !asked(vec![], OnDetectorFailure::Refuse)
                .await
                .unwrap()
                .is_complete()
        );
    }

    #[tokio::test]
    async fn impossible_findings_count_as_failure() {
        for bad in [
            finding(2, "email", 0.5),
            finding(0, "email", f64::NAN),
            finding(0, "", 0.5),
        ] {
            let found = asked(
                vec![Fixed("x/odd", Ok(vec![bad]))],
                OnDetectorFailure::TagUnknown,
            )
            .await
            .unwrap();
            assert!(found.findings.is_empty() && found.failures.len() == 1);
        }
    }
}
