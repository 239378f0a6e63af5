//! Figures of searches and of the agent. Gates and outcomes are closed sets, so they may be labels.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
    registry::Unit,
};

use super::{count, gauge};
use crate::{agent::AgentFigures, load::SearchFigures};

/// Writes them.
pub(super) fn encode(
    searches: &SearchFigures,
    agent: &AgentFigures,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    self::searches(searches, encoder)?;
    let help = "Indexes that wait for the agent";
    encoder
        .encode_descriptor("agent_queue_indexes", help, None, MetricType::Gauge)?
        .encode_gauge(&agent.queue)?;
    let help = "1 while a gate of the agent is open";
    let mut gates = encoder.encode_descriptor("agent_gate_open", help, None, MetricType::Gauge)?;
    for (name, open) in &agent.gates {
        gauge(&mut gates, &[("gate", *name)], u64::from(*open))?;
    }
    let help = "Trials and looks of the agent, by what became of them";
    let mut outcomes =
        encoder.encode_descriptor("agent_outcomes", help, None, MetricType::Counter)?;
    for (name, number) in &agent.outcomes {
        count(&mut outcomes, &[("outcome", *name)], *number)?;
    }
    let help = "How often the agent broke off and began anew";
    total("agent_breaks", help, agent.breaks, encoder)
}

fn searches(
    searches: &SearchFigures,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let help = "Searches that are being answered";
    encoder
        .encode_descriptor("searches_in_flight", help, None, MetricType::Gauge)?
        .encode_gauge(&searches.in_flight)?;
    total("searches", "Searches that began", searches.begun, encoder)?;
    let help = "Time that searches of clients took, columns included";
    let unit = Some(&Unit::Seconds);
    let answered = searches.answers.iter().map(|(_, number)| number).sum();
    encoder
        .encode_descriptor("search_duration", help, unit, MetricType::Histogram)?
        .encode_histogram::<NoLabelSet>(searches.answers_secs, answered, &searches.answers, None)
}

fn total(
    name: &str,
    help: &str,
    number: u64,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let exemplar: Option<&Exemplar<NoLabelSet, u64>> = None;
    encoder
        .encode_descriptor(name, help, None, MetricType::Counter)?
        .encode_counter(&number, exemplar)
}
