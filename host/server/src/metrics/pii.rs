//! Figures of personal data: what policies did, and what detectors failed to answer.

use std::fmt;

use boathouse_ingest::PiiCounts;
use prometheus_client::{
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
};

use super::count;

/// Writes the figures of policies for personal data.
pub(super) fn encode(
    counts: &PiiCounts,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let help = "Columns of ingested tables that a policy for personal data changed or left out";
    let mut columns = encoder.encode_descriptor("pii_columns", help, None, MetricType::Counter)?;
    for (action, number) in counts.columns() {
        count(&mut columns, &[("action", action)], number)?;
    }
    let totals = [
        (
            "pii_refused_ingests",
            "Ingests refused over personal data, or because nobody could say whether there is any",
            counts.refused(),
        ),
        (
            "pii_unanswered_questions",
            "Tables about which a personal-data detector gave no answer",
            counts.unanswered(),
        ),
        (
            "pii_unexamined_tables",
            "Tables taken in while no personal-data detector was active",
            counts.unexamined(),
        ),
    ];
    for (name, help, number) in totals {
        let exemplar: Option<&Exemplar<NoLabelSet, u64>> = None;
        encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter(&number, exemplar)?;
    }
    Ok(())
}
