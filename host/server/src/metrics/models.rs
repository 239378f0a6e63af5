//! Figures of models: the slot, the model server, answers, and the memory of GPUs. States of the slot are a closed set, and
//! GPUs are few, so both may be labels; names of models and profiles are none.

use std::fmt;

use boathouse_models::SlotState;
use prometheus_client::{encoding::DescriptorEncoder, metrics::MetricType, registry::Unit};

use super::{count, gauge};
use crate::models::ModelFigures;

/// All states of the slot with their names.
const STATES: [(SlotState, &str); 6] = [
    (SlotState::Empty, "empty"),
    (SlotState::Loading, "loading"),
    (SlotState::Ready, "ready"),
    (SlotState::Draining, "draining"),
    (SlotState::Unloading, "unloading"),
    (SlotState::Failed, "failed"),
];

/// Writes them.
pub(super) fn encode(
    models: &ModelFigures,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let help = "1 for the state that the GPU slot is in";
    let mut states = encoder.encode_descriptor("slot_state", help, None, MetricType::Gauge)?;
    for (state, name) in STATES {
        gauge(
            &mut states,
            &[("state", name)],
            u64::from(models.state == state),
        )?;
    }
    let gauges = [
        ("profiles", "Model profiles", Some(models.profiles)),
        (
            "slot_answers",
            "Answers of the model in the GPU slot that are under way",
            Some(models.answers),
        ),
        (
            "slot_waiting",
            "Changes of the GPU slot that wait for their turn",
            Some(models.waiting),
        ),
        (
            "model_server_up",
            "1 while the model server answers",
            models.server_up.map(u64::from),
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            encoder
                .encode_descriptor(name, help, None, MetricType::Gauge)?
                .encode_gauge(&value)?;
        }
    }
    counts(models, encoder)?;
    memory(models, encoder)
}

fn counts(models: &ModelFigures, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let help = "Changes of the GPU slot that clients asked for, by what became of them";
    let mut swaps = encoder.encode_descriptor("slot_changes", help, None, MetricType::Counter)?;
    count(&mut swaps, &[("outcome", "done")], models.swaps)?;
    count(&mut swaps, &[("outcome", "failed")], models.failed_swaps)?;
    let help = "Questions to profiles, and those that were answered to the end";
    let mut asked = encoder.encode_descriptor("questions", help, None, MetricType::Counter)?;
    count(&mut asked, &[("stage", "asked")], models.asked)?;
    count(&mut asked, &[("stage", "answered")], models.answered)
}

fn memory(models: &ModelFigures, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let unit = Some(&Unit::Bytes);
    let help = "Memory that models take at the model server, and the part of it on GPUs";
    let mut resident =
        encoder.encode_descriptor("models_resident", help, unit, MetricType::Gauge)?;
    let (all, on_gpu) = models.resident_bytes;
    gauge(&mut resident, &[("where", "anywhere")], all)?;
    gauge(&mut resident, &[("where", "gpu")], on_gpu)?;
    let help = "Memory of a GPU that is taken, as its driver says";
    let mut used = encoder.encode_descriptor("gpu_memory_used", help, unit, MetricType::Gauge)?;
    for gpu in &models.gpus {
        if let Some(bytes) = gpu.used_bytes {
            gauge(&mut used, &[("gpu", gpu.index.to_string().as_str())], bytes)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use boathouse_models::GpuFigures;

    use super::*;
    use crate::metrics::{Figures, encode};

    #[test]
    fn the_slot_and_the_gpus_have_figures() {
        let models = ModelFigures {
            state: SlotState::Ready,
            answers: 2,
            server_up: Some(true),
            resident_bytes: (10, 7),
            failed_swaps: 3,
            gpus: vec![GpuFigures {
                index: 1,
                used_bytes: Some(4_096),
                utilization_percent: None,
            }],
            ..ModelFigures::default()
        };
        let text = encode(Figures {
            models,
            ..Figures::default()
        });
        let text = text.expect("text");
        for line in [
            r#"boathouse_slot_state{state="ready"} 1"#,
            r#"boathouse_slot_state{state="empty"} 0"#,
            "boathouse_slot_answers 2",
            "boathouse_model_server_up 1",
            r#"boathouse_models_resident_bytes{where="gpu"} 7"#,
            r#"boathouse_slot_changes_total{outcome="failed"} 3"#,
            r#"boathouse_gpu_memory_used_bytes{gpu="1"} 4096"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
