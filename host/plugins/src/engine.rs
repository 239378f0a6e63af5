//! The one engine of the process, and the clock that interrupts its guests.
//!
//! Every setting that decides what a guest computes stands in [`settings`]: components compiled by two
//! engines of this module are interchangeable, and equal inputs give bit-equal outputs. How memory is
//! laid out is separate: [`build`] takes the fastest layout that the address space allows.
//!
//! There is one engine a process because types are numbered per engine; two would invite mixing them.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::{PluginError, PluginHostConfig};

/// Length of an epoch. Deadlines are kept to this precision.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Bytes from the bottom of each memory, and of each table, that stay mapped between calls. They are set
/// back by writing, which for so few pages costs a fraction of handing them to the system and faulting
/// them in again; what lies above is handed back. Scanning for the pages that a call wrote would serve every
/// guest, but would miss pages that were swapped out meanwhile, and so show them to the next call.
const MEMORY_KEPT: usize = 256 << 10;
const TABLE_KEPT: usize = 16 << 10;

/// How the engine lays out guest memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allocation {
    /// A pool of 4 GiB slots: memory accesses need no bounds check.
    WidePool,
    /// A pool of slots just as large as the memory limit, for machines with little address space.
    TightPool,
    /// No pool: each call maps its own memory.
    OnDemand,
}

impl Allocation {
    /// From the fastest to the one that always works.
    pub(crate) const BEST_FIRST: [Self; 3] = [Self::WidePool, Self::TightPool, Self::OnDemand];
}

/// Builds the engine with the best layout that this machine has the address space for.
///
/// Building a pool reserves its whole address space, so trying is measuring.
pub(crate) fn build(config: &PluginHostConfig) -> Result<(Engine, Allocation), PluginError> {
    let mut reasons = Vec::new();
    for allocation in Allocation::BEST_FIRST {
        match with(config, allocation) {
            Ok(engine) => {
                tracing::debug!(?allocation, "plugin engine is built");
                return Ok((engine, allocation));
            }
            Err(error) => reasons.push(format!("{allocation:?}: {error:#}")),
        }
    }
    Err(PluginError::host(format!(
        "no engine can be built: {}",
        reasons.join("; ")
    )))
}

/// Builds the engine with a given layout.
pub(crate) fn with(config: &PluginHostConfig, allocation: Allocation) -> wasmtime::Result<Engine> {
    Engine::new(&settings(config, allocation))
}

/// Builds an engine that compiles for the one with this layout and reserves no pool: where instances come
/// from is no part of the code.
pub(crate) fn compiler(
    config: &PluginHostConfig,
    allocation: Allocation,
) -> wasmtime::Result<Engine> {
    let mut settings = settings(config, allocation);
    settings.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&settings)
}

/// Equal for engines that can load each other's code, also between processes of one program.
pub(crate) fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// All settings of the engine.
fn settings(limits: &PluginHostConfig, allocation: Allocation) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_memory64(false)
        .concurrency_support(false)
        .max_wasm_stack(limits.stack_bytes)
        .epoch_interruption(true)
        // Determinism: NaN bits and relaxed SIMD are the two places where processors differ.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    let memory = limits.limits.greatest(|l| l.memory_bytes);
    match allocation {
        Allocation::WidePool => {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
        }
        Allocation::TightPool => {
            config
                .memory_reservation(memory)
                .memory_guard_size(65_536)
                .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
        }
        Allocation::OnDemand => {
            config
                .memory_reservation(memory)
                .memory_reservation_for_growth(1 << 20)
                .memory_guard_size(65_536)
                .allocation_strategy(InstanceAllocationStrategy::OnDemand);
        }
    }
    config
}

/// A pool for as many calls as may run, one load beside them, each as large as any kind allows.
///
/// A full pool is an error and not a wait; the gate in front keeps it from ever being full.
fn pool(limits: &PluginHostConfig) -> PoolingAllocationConfig {
    let calls = limits.max_concurrent_calls + 1;
    let kinds = &limits.limits;
    let (memories, tables, instances) = (
        kinds.greatest(|l| l.memories),
        kinds.greatest(|l| l.tables),
        kinds.greatest(|l| l.instances),
    );
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(instances))
        .total_memories(calls.saturating_mul(memories))
        .total_tables(calls.saturating_mul(tables))
        .total_stacks(0)
        .linear_memory_keep_resident(MEMORY_KEPT)
        .table_keep_resident(TABLE_KEPT)
        .max_core_instances_per_component(instances)
        .max_memories_per_component(memories)
        .max_tables_per_component(tables)
        .max_memories_per_module(memories)
        .max_tables_per_module(tables)
        .table_elements(usize::try_from(kinds.greatest(|l| l.table_elements)).unwrap_or(usize::MAX))
        .max_memory_size(usize::try_from(kinds.greatest(|l| l.memory_bytes)).unwrap_or(usize::MAX));
    pool
}

/// Number of epochs after which a guest has outrun its deadline.
///
/// One more than the deadline has ticks, because the first may be about to end. Never near
/// `u64::MAX`: the store adds it to the current epoch.
pub(crate) fn ticks(deadline: Duration) -> u64 {
    let ticks = deadline.as_millis().div_ceil(TICK.as_millis());
    u64::try_from(ticks).unwrap_or(u64::MAX / 4) + 1
}

/// Starts the thread that advances the epoch; it ends when the returned [`Ticker`] is dropped.
///
/// A thread and not a task, since a task can be starved by the very guests that it should stop; and
/// it holds the engine weakly, so that it keeps nothing alive.
pub(crate) fn start_ticker(engine: &Engine) -> Result<Ticker, PluginError> {
    let (stop, stopped) = mpsc::channel::<()>();
    let engine = engine.weak();
    thread::Builder::new()
        .name("plugin-epoch".to_owned())
        .spawn(move || {
            while stopped.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                engine.increment_epoch();
            }
        })
        .map_err(|error| PluginError::Host {
            what: format!("the epoch thread does not start: {error}"),
        })?;
    Ok(Ticker { _stop: stop })
}

/// Keeps the epoch thread running.
#[derive(Debug)]
pub(crate) struct Ticker {
    _stop: mpsc::Sender<()>,
}

#[cfg(test)]
mod tests {
    use wasmtime::{Instance, Module, Store};

    use super::*;

    #[test]
    fn two_engines_are_interchangeable() {
        let config = PluginHostConfig::default();
        let (first, allocation) = build(&config).expect("engine");
        let (second, _) = build(&config).expect("engine");
        assert_eq!(compatibility(&first), compatibility(&second));

        let mut other = settings(&config, allocation);
        other.cranelift_nan_canonicalization(false);
        let other = Engine::new(&other).expect("engine");
        assert_ne!(compatibility(&first), compatibility(&other));
    }

    #[test]
    fn code_of_the_compiler_fits_the_engine_of_every_layout() {
        let config = PluginHostConfig::default();
        let mut seen = Vec::new();
        for allocation in Allocation::BEST_FIRST {
            let engine = with(&config, allocation).expect("engine");
            let compiler = compiler(&config, allocation).expect("engine");
            assert_eq!(compatibility(&engine), compatibility(&compiler));
            seen.push(compatibility(&engine));
        }
        assert_ne!(seen[0], seen[1], "the layout is part of the code");
    }

    #[test]
    fn every_layout_computes_by_the_same_rules() {
        let config = PluginHostConfig::default();
        for allocation in Allocation::BEST_FIRST {
            let engine = with(&config, allocation);
            let engine = engine.expect("each layout works on this machine");
            for (a, b) in [(0.0, 0.0), (-0.0, 0.0), (f64::INFINITY, f64::NEG_INFINITY)] {
                assert_eq!(quotient_bits(&engine, a, b), 0x7ff8_0000_0000_0000);
            }
        }
    }

    /// Bits of `a / b` as a guest computes it.
    fn quotient_bits(engine: &Engine, a: f64, b: f64) -> i64 {
        let text = r#"(module (func (export "quotient") (param f64 f64) (result i64)
            (i64.reinterpret_f64 (f64.div (local.get 0) (local.get 1)))))"#;
        let bytes = wat::parse_str(text).expect("text");
        let module = Module::new(engine, bytes).expect("module");
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(1_000);
        let instance = Instance::new(&mut store, &module, &[]).expect("instance");
        instance
            .get_typed_func::<(f64, f64), i64>(&mut store, "quotient")
            .expect("export")
            .call(&mut store, (a, b))
            .expect("call")
    }

    #[test]
    fn too_little_address_space_falls_back() {
        // 1024 calls of 64 memories of 4 GiB each are 2^48 bytes: more than a process has.
        let mut config = PluginHostConfig {
            max_concurrent_calls: 1024,
            ..PluginHostConfig::default()
        };
        config.limits.scoring.memories = 64;
        config.limits.scoring.instances = 1;
        let (_, allocation) = build(&config).expect("engine");
        assert_ne!(allocation, Allocation::WidePool);
    }

    #[test]
    fn deadlines_round_up_and_cannot_overflow() {
        assert_eq!(ticks(Duration::from_millis(1)), 2);
        assert_eq!(ticks(Duration::from_millis(250)), 26);
        assert!(ticks(Duration::MAX).checked_mul(2).is_some());
    }
}
