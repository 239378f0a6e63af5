//! Figures of live recall, with the index as label: an operator has to know which one answers badly.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeGaugeValue},
    metrics::MetricType,
};

use super::count;
use crate::live::{Counts, LiveRecall};

/// The live recall of one index.
#[derive(Debug)]
pub(crate) struct LiveFigures {
    pub(crate) index: String,
    /// None until a search of what serves was judged.
    pub(crate) recall: Option<LiveRecall>,
    pub(crate) counts: Counts,
}

/// Writes the figures of live recall.
pub(super) fn encode(
    indexes: &[LiveFigures],
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let help = "Mean recall of sampled searches of what serves, by exact answers to them";
    gauges(encoder, ("live_recall", help), indexes, |live| {
        live.estimate.recall
    })?;
    let help = "Lower bound of the 95 % interval of the live recall";
    gauges(encoder, ("live_recall_low", help), indexes, |live| {
        live.estimate.interval.low
    })?;
    let help = "Upper bound of the 95 % interval of the live recall";
    gauges(encoder, ("live_recall_high", help), indexes, |live| {
        live.estimate.interval.high
    })?;
    let help = "1 while the live recall is surely below the floor of the index";
    gauges(encoder, ("live_recall_alarm", help), indexes, |live| {
        u64::from(live.alarm.is_some())
    })?;
    let help = "Searches that were answered exactly afterwards";
    counters(encoder, ("live_recall_samples", help), indexes, |counts| {
        counts.judged
    })?;
    let help = "Searches that were to be answered exactly afterwards and were not";
    counters(encoder, ("live_recall_dropped", help), indexes, |counts| {
        counts.dropped
    })?;
    let help = "How often the live recall fell below the floor of the index";
    counters(encoder, ("live_recall_breaches", help), indexes, |counts| {
        counts.breaches
    })
}

/// One gauge for every index of which the recall is known.
fn gauges<N: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    indexes: &[LiveFigures],
    value: impl Fn(&LiveRecall) -> N,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for one in indexes {
        if let Some(live) = &one.recall {
            family
                .encode_family(&[("index", one.index.as_str())])?
                .encode_gauge(&value(live))?;
        }
    }
    Ok(())
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    indexes: &[LiveFigures],
    value: fn(&Counts) -> u64,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for one in indexes {
        count(
            &mut family,
            &[("index", one.index.as_str())],
            value(&one.counts),
        )?;
    }
    Ok(())
}
