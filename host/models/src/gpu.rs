//! What the GPUs of this machine say of their memory, and who is asked: NVIDIA's management library (NVML).
//!
//! The driver's library is loaded at run time. Without a driver there are no GPUs, which is no error; a figure that a
//! GPU does not tell (a partition of one, a laptop's without power readings) is none, and so is one that fails today.
//! The library is opened once and kept.
//!
//! Reading blocks for milliseconds: an async caller uses [`read`]. Not here: GPUs of other makers.

pub(crate) mod history;

use std::{fmt, sync::Arc};

use nvml_wrapper::{
    Device, Nvml, enum_wrappers::device::TemperatureSensor, enums::device::UsedGpuMemory,
    error::NvmlError,
};
use serde::Serialize;

/// Longest name of a process that is read, in bytes.
const MAX_PROCESS_NAME: usize = 256;

/// One GPU at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Gpu {
    /// Its number, from 0; may differ after a restart of the machine.
    pub index: u32,
    /// What it is called for good.
    pub uuid: Option<String>,
    /// Its product's name.
    pub name: Option<String>,
    /// All of its memory, in bytes.
    pub total_bytes: Option<u64>,
    /// Memory that is taken, in bytes; the driver keeps a little for itself.
    pub used_bytes: Option<u64>,
    /// Memory that is left, in bytes.
    pub free_bytes: Option<u64>,
    /// Share of the last moments in which it computed, in percent.
    pub utilization_percent: Option<u32>,
    /// Degrees Celsius.
    pub temperature_celsius: Option<u32>,
    /// Power, in milliwatts.
    pub power_milliwatts: Option<u32>,
    /// Who computes on it; none where the driver does not tell, empty where nobody does.
    pub processes: Option<Vec<GpuProcess>>,
}

/// A process that computes on a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GpuProcess {
    /// Its number, as the driver sees it: not this host's in a container.
    pub pid: u32,
    /// Its program.
    pub name: Option<String>,
    /// Memory that it takes there, in bytes.
    pub used_bytes: Option<u64>,
}

/// Who tells about GPUs.
pub trait GpuReader: fmt::Debug + Send + Sync {
    /// All GPUs of this machine, by number. Blocks.
    fn read(&self) -> Vec<Gpu>;
}

/// Reads away from the async threads; nothing when the reader panics.
pub(crate) async fn read(reader: &Arc<dyn GpuReader>) -> Vec<Gpu> {
    let reader = Arc::clone(reader);
    let gpus = tokio::task::spawn_blocking(move || reader.read()).await;
    gpus.unwrap_or_default()
}

/// Memory that is taken on all GPUs, in bytes; none when no GPU tells.
pub(crate) fn used_bytes(gpus: &[Gpu]) -> Option<u64> {
    let told = gpus.iter().filter_map(|gpu| gpu.used_bytes);
    told.reduce(u64::saturating_add)
}

/// The GPUs of NVIDIA's driver.
pub struct NvmlGpus {
    /// None without a driver.
    library: Option<Nvml>,
}

impl fmt::Debug for NvmlGpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let driver = if self.library.is_some() {
            "driver"
        } else {
            "no driver"
        };
        write!(f, "NvmlGpus({driver})")
    }
}

impl NvmlGpus {
    /// Opens the driver's library, if there is one. Blocks, for some hundred milliseconds where GPUs sleep.
    #[must_use]
    pub fn open() -> Self {
        let library = Nvml::init()
            .inspect_err(|error| tracing::info!(%error, "no NVIDIA driver: no GPU is shown"))
            .ok();
        Self { library }
    }

    /// Whether there is a driver.
    #[must_use]
    pub fn has_driver(&self) -> bool {
        self.library.is_some()
    }
}

impl GpuReader for NvmlGpus {
    fn read(&self) -> Vec<Gpu> {
        let Some(library) = &self.library else {
            return Vec::new();
        };
        let count = told("count", library.device_count()).unwrap_or_default();
        (0..count)
            .map(|index| {
                told("device", library.device_by_index(index)).map_or_else(
                    || Gpu {
                        index,
                        ..Gpu::default()
                    },
                    |device| look(library, index, &device),
                )
            })
            .collect()
    }
}

fn look(library: &Nvml, index: u32, device: &Device<'_>) -> Gpu {
    let memory = told("memory", device.memory_info());
    let processes = told("processes", device.running_compute_processes());
    let temperature = device.temperature(TemperatureSensor::Gpu);
    Gpu {
        index,
        uuid: told("uuid", device.uuid()),
        name: told("name", device.name()),
        total_bytes: memory.as_ref().map(|memory| memory.total),
        used_bytes: memory.as_ref().map(|memory| memory.used),
        free_bytes: memory.as_ref().map(|memory| memory.free),
        utilization_percent: told("utilization", device.utilization_rates()).map(|rates| rates.gpu),
        temperature_celsius: told("temperature", temperature),
        power_milliwatts: told("power", device.power_usage()),
        processes: processes.map(|all| {
            let shown = all.into_iter().map(|one| GpuProcess {
                pid: one.pid,
                name: told(
                    "process name",
                    library.sys_process_name(one.pid, MAX_PROCESS_NAME),
                ),
                used_bytes: match one.used_gpu_memory {
                    UsedGpuMemory::Used(bytes) => Some(bytes),
                    UsedGpuMemory::Unavailable => None,
                },
            });
            shown.collect()
        }),
    }
}

/// What a query tells; one that this GPU does not support, or that fails, tells nothing.
fn told<T>(what: &'static str, answer: Result<T, NvmlError>) -> Option<T> {
    answer
        .inspect_err(|error| tracing::debug!(what, %error, "a GPU does not tell"))
        .ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn without_a_driver_there_are_no_gpus_and_no_error() {
        let gpus = NvmlGpus { library: None };
        assert_eq!(gpus.read(), []);
        assert!(!gpus.has_driver());
    }

    #[test]
    fn the_driver_of_this_machine_tells_consistent_figures() {
        let gpus = NvmlGpus::open();
        let seen = gpus.read();
        if seen.is_empty() {
            // Not `eprintln!`, which the test harness swallows when the test passes.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED figures of GPUs: this machine has none"
            );
            return;
        }
        for (gpu, index) in seen.iter().zip(0..) {
            assert_eq!(gpu.index, index);
            if let (Some(total), Some(used), Some(free)) =
                (gpu.total_bytes, gpu.used_bytes, gpu.free_bytes)
            {
                assert!(total > 0 && used <= total && free <= total, "{gpu:?}");
            }
        }
        assert!(used_bytes(&seen).is_none_or(|used| used > 0), "{seen:?}");
    }

    #[test]
    fn memory_is_summed_over_the_gpus_that_tell() {
        let gpu = |used_bytes| Gpu {
            used_bytes,
            ..Gpu::default()
        };
        assert_eq!(used_bytes(&[]), None);
        assert_eq!(used_bytes(&[gpu(None)]), None);
        assert_eq!(
            used_bytes(&[gpu(Some(2)), gpu(None), gpu(Some(3))]),
            Some(5)
        );
    }
}
