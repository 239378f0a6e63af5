//! Figures of what comes in and of whether it is kept: watched folders, with the folder as label (they are few, and only
//! the configuration makes them), rows that wait to be searched, damaged objects of indexes, and the posting of lineage.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
    registry::Unit,
};

use super::{count, gauge};
use crate::{
    lineage::OutboxView,
    watcher::{WatchState, WatchView},
};

/// Writes them, as far as there are any.
pub(super) fn encode(
    lineage: Option<&OutboxView>,
    watched: &[WatchView],
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    folders(watched, encoder)?;
    lineage.map_or(Ok(()), |view| posting(view, encoder))
}

/// Writes by how many rows each index is behind its dataset.
pub(super) fn behind(
    indexes: &[(String, u64)],
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let help = "Rows of the dataset that are not in the index yet";
    let mut behind =
        encoder.encode_descriptor("index_behind_rows", help, None, MetricType::Gauge)?;
    for (index, rows) in indexes {
        gauge(&mut behind, &[("index", index.as_str())], *rows)?;
    }
    Ok(())
}

/// Writes how many objects of each index that serves are gone or damaged in its bucket.
pub(super) fn damaged(
    indexes: &[(String, u64)],
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let help = "Objects of an index that serves which are gone or damaged in its bucket";
    let mut damaged =
        encoder.encode_descriptor("index_damaged_objects", help, None, MetricType::Gauge)?;
    for (index, objects) in indexes {
        gauge(&mut damaged, &[("index", index.as_str())], *objects)?;
    }
    Ok(())
}

fn posting(view: &OutboxView, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let help = "Events of the lineage that wait to be posted";
    encoder
        .encode_descriptor("lineage_waiting_events", help, None, MetricType::Gauge)?
        .encode_gauge(&view.waiting)?;
    let help = "For how long the oldest event of the lineage waits to be posted";
    encoder
        .encode_descriptor("lineage_lag", help, Some(&Unit::Seconds), MetricType::Gauge)?
        .encode_gauge(&view.lag_secs)?;
    let counters = [
        (
            "lineage_posted_events",
            "Events of the lineage that the endpoint took",
            view.posted,
        ),
        (
            "lineage_refused_events",
            "Events of the lineage that were given up because the endpoint refused them",
            view.refused,
        ),
    ];
    for (name, help, value) in counters {
        let exemplar: Option<&Exemplar<NoLabelSet, u64>> = None;
        encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter(&value, exemplar)?;
    }
    Ok(())
}

fn folders(watched: &[WatchView], encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let help = "1 while a watched folder can be listed";
    let mut healthy = encoder.encode_descriptor("watch_healthy", help, None, MetricType::Gauge)?;
    for folder in watched {
        let is_healthy = folder.state != WatchState::Missing;
        gauge(&mut healthy, &labels(folder), u64::from(is_healthy))?;
    }
    let help = "Files of a watched folder that are not taken yet";
    let mut waiting =
        encoder.encode_descriptor("watch_waiting_files", help, None, MetricType::Gauge)?;
    for folder in watched {
        gauge(&mut waiting, &labels(folder), folder.waiting_files)?;
    }
    let help = "Files of a watched folder that were dealt with, by what became of them";
    let mut files = encoder.encode_descriptor("watch_files", help, None, MetricType::Counter)?;
    for folder in watched {
        let outcomes = [
            ("ingested", folder.ingested),
            ("duplicate", folder.duplicates),
            ("failed", folder.failed),
        ];
        for (outcome, number) in outcomes {
            let [of] = labels(folder);
            count(&mut files, &[of, ("outcome", outcome)], number)?;
        }
    }
    Ok(())
}

fn labels(folder: &WatchView) -> [(&str, &str); 1] {
    [("folder", &folder.folder)]
}
