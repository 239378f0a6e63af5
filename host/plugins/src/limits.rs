//! Every bound that the host puts on a guest, as one documented value.
//!
//! Nothing that a guest sends, takes or spends is unbounded: what is not listed here is not reachable
//! for a guest. The values protect the host; they are not goals. They are read from configuration, so
//! [`PluginHostConfig::check`] refuses a set that no engine could be built from.

use std::time::Duration;

use boathouse_types::PluginKind;
use serde::{Deserialize, Serialize};

use crate::PluginError;

/// Bytes of a page of linear memory.
const PAGE: u64 = 65_536;
/// Most calls at once that a pool is laid out for.
const MOST_CALLS: u32 = 1024;
/// A blocking thread has 2 MiB of stack; the host's own frames need the other half.
const MOST_STACK: usize = 1 << 20;
/// Longest of all deadlines, in milliseconds: an hour.
const MOST_MS: u32 = 3_600_000;

/// Bounds on one plugin and on one call of it.
///
/// A call that breaks a bound ends with [`PluginError::Limit`], [`PluginError::Deadline`] or
/// [`PluginError::BadAnswer`]; a component that cannot keep within them is refused at load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Size of the component, in bytes.
    pub component_bytes: u64,
    /// Linear memory of one call, all memories together, in bytes; whole pages of 64 KiB count.
    pub memory_bytes: u64,
    /// Linear memories of one component.
    pub memories: u32,
    /// Elements of one table.
    pub table_elements: u32,
    /// Tables of one component.
    pub tables: u32,
    /// Core module instances of one component. A Rust guest has three, an interpreter about thirty.
    pub instances: u32,
    /// Wall-clock time of one call in milliseconds, kept to the engine's tick of 10 ms. Generous,
    /// because it stops guests that hang: a host that is built without optimisation, on a machine that
    /// is busy, must not trip it.
    pub deadline_ms: u32,
    /// Bytes that a guest may hand to the host in one host call or as one result; wasmtime calls it
    /// hostcall fuel.
    pub hostcall_bytes: u64,
    /// Handles to host resources (streams, pollables) that a guest may hold.
    pub resource_handles: u32,
    /// Bytes of log per call, `log`, stdout and stderr together; the rest is dropped.
    pub log_bytes: u32,
    /// Entries of one result.
    pub result_items: u32,
    /// Inputs that a description may say the plugin reads.
    pub reads_items: u32,
    /// Bytes of a text for people: a reason, a summary, the text of a declared error.
    pub text_bytes: u32,
    /// Bytes of a name: of a plugin, an entity kind, an input that it reads.
    pub name_bytes: u32,
}

impl Default for Limits {
    /// 64 MiB of memory, 2 seconds, 32 MiB of component; see the fields in the source for the rest.
    fn default() -> Self {
        Self {
            component_bytes: 32 << 20,
            memory_bytes: 64 << 20,
            memories: 2,
            table_elements: 65_536,
            tables: 8,
            instances: 48,
            deadline_ms: 2_000,
            hostcall_bytes: 16 << 20,
            resource_handles: 1_024,
            log_bytes: 64 << 10,
            result_items: 100_000,
            reads_items: 64,
            text_bytes: 2_048,
            name_bytes: 128,
        }
    }
}

impl Limits {
    /// The wall-clock deadline of a call.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(u64::from(self.deadline_ms))
    }

    fn check(&self, kind: PluginKind) -> Result<(), PluginError> {
        let wrong = |what: &str| {
            Err(PluginError::Config {
                what: format!("limits of {kind}: {what}"),
            })
        };
        if !(1..=1 << 30).contains(&self.component_bytes) {
            return wrong("component_bytes must be from 1 to 1073741824 (1 GiB)");
        }
        if !(PAGE..=1 << 32).contains(&self.memory_bytes) {
            return wrong("memory_bytes must be from 65536 (64 KiB) to 4294967296 (4 GiB)");
        }
        if !(1..=MOST_MS).contains(&self.deadline_ms) {
            return wrong("deadline_ms must be from 1 to 3600000 (an hour)");
        }
        if self.table_elements > 10_000_000 {
            return wrong("table_elements must be at most 10000000");
        }
        if !(1_024..=1 << 32).contains(&self.hostcall_bytes) {
            return wrong("hostcall_bytes must be from 1024 (1 KiB) to 4294967296 (4 GiB)");
        }
        if self.result_items == 0 || self.text_bytes == 0 || self.name_bytes == 0 {
            return wrong("result_items, text_bytes and name_bytes must be at least 1");
        }
        if self.memories == 0 || self.tables == 0 || self.instances == 0 {
            return wrong("memories, tables and instances must be at least 1");
        }
        if self.memories > 64 || self.tables > 256 || self.instances > 1_024 {
            return wrong("at most 64 memories, 256 tables and 1024 instances");
        }
        Ok(())
    }
}

/// The limits of each kind of plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KindLimits {
    /// Limits of proposers.
    pub proposer: Limits,
    /// Limits of scoring plugins.
    pub scoring: Limits,
    /// Limits of personal-data detectors.
    pub pii: Limits,
}

impl KindLimits {
    /// The limits of one kind.
    #[must_use]
    pub fn of(&self, kind: PluginKind) -> &Limits {
        match kind {
            PluginKind::Proposer => &self.proposer,
            PluginKind::Scoring => &self.scoring,
            PluginKind::Pii => &self.pii,
        }
    }

    /// The greatest value of one limit over the kinds: the pool is laid out for it.
    pub(crate) fn greatest<T: Ord>(&self, limit: impl Fn(&Limits) -> T) -> T {
        limit(&self.proposer)
            .max(limit(&self.scoring))
            .max(limit(&self.pii))
    }
}

/// Bounds on compiling one component, which runs in a process of its own.
///
/// The engine's makers promise nothing about how long or how much memory it takes to compile a hostile
/// component, so that is bounded from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompileLimits {
    /// Address space that compiling may take beyond what the program itself takes, in bytes. Kept where
    /// the platform can bound a process (Linux).
    pub memory_bytes: u64,
    /// Wall-clock time of compiling one component, in milliseconds. Generous, because a host that is
    /// built without optimisation, on a machine that is busy, must not trip it.
    pub deadline_ms: u32,
    /// Components that are compiled at once; others wait for their turn.
    pub at_once: u32,
}

impl Default for CompileLimits {
    /// 2 GiB, 2 minutes, two at once.
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            deadline_ms: 120_000,
            at_once: 2,
        }
    }
}

impl CompileLimits {
    /// The wall-clock deadline of compiling one component.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(u64::from(self.deadline_ms))
    }

    fn check(&self) -> Result<(), PluginError> {
        let wrong = |what: &str| {
            Err(PluginError::Config {
                what: format!("compile: {what}"),
            })
        };
        if !(64 << 20..=1 << 40).contains(&self.memory_bytes) {
            return wrong("memory_bytes must be from 67108864 (64 MiB) to 1099511627776 (1 TiB)");
        }
        if !(1..=MOST_MS).contains(&self.deadline_ms) {
            return wrong("deadline_ms must be from 1 to 3600000 (an hour)");
        }
        if !(1..=64).contains(&self.at_once) {
            return wrong("at_once must be from 1 to 64");
        }
        Ok(())
    }
}

/// Everything that an operator can set about plugins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PluginHostConfig {
    /// Limits per kind.
    pub limits: KindLimits,
    /// Calls that run at once, each on a thread of the blocking pool.
    pub max_concurrent_calls: u32,
    /// Calls that may wait for one of them to end; a call beyond is refused as overloaded at once.
    pub queued_calls: u32,
    /// Longest time that a call waits for its turn, in milliseconds; then it is refused as overloaded.
    pub queue_ms: u32,
    /// Stack of a guest in bytes; one value, because it belongs to the engine.
    pub stack_bytes: usize,
    /// Bounds on compiling a component.
    pub compile: CompileLimits,
}

impl Default for PluginHostConfig {
    /// As many calls as there are processors (2 to 16), 256 waiting up to 10 seconds, 512 KiB of stack.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 16));
        Self {
            limits: KindLimits::default(),
            max_concurrent_calls: u32::try_from(processors).unwrap_or(2),
            queued_calls: 256,
            queue_ms: 10_000,
            stack_bytes: 512 << 10,
            compile: CompileLimits::default(),
        }
    }
}

impl PluginHostConfig {
    /// Checks that an engine can be built from these values.
    ///
    /// # Errors
    /// [`PluginError::Config`], naming the value and its range.
    pub fn check(&self) -> Result<(), PluginError> {
        for kind in PluginKind::ALL {
            self.limits.of(kind).check(kind)?;
        }
        let wrong = |what: &str| {
            Err(PluginError::Config {
                what: what.to_owned(),
            })
        };
        if !(1..=MOST_CALLS).contains(&self.max_concurrent_calls) {
            return wrong("max_concurrent_calls must be from 1 to 1024");
        }
        if self.queued_calls > 1 << 20 {
            return wrong("queued_calls must be at most 1048576");
        }
        if !(1..=MOST_MS).contains(&self.queue_ms) {
            return wrong("queue_ms must be from 1 to 3600000 (an hour)");
        }
        if !(64 << 10..=MOST_STACK).contains(&self.stack_bytes) {
            return wrong("stack_bytes must be from 65536 (64 KiB) to 1048576 (1 MiB)");
        }
        self.compile.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_accepted() {
        assert!(PluginHostConfig::default().check().is_ok());
    }

    #[test]
    fn one_value_can_be_set_and_the_others_keep_their_default() {
        let config: PluginHostConfig =
            serde_json::from_str(r#"{"limits":{"pii":{"deadline_ms":7}}}"#).expect("partial");
        assert_eq!(config.limits.pii.deadline_ms, 7);
        assert_eq!(
            config.limits.pii.memory_bytes,
            Limits::default().memory_bytes
        );
        assert_eq!(config.limits.scoring, Limits::default());
    }

    #[test]
    fn a_misspelt_limit_is_refused() {
        assert!(serde_json::from_str::<Limits>(r#"{"deadlines_ms":7}"#).is_err());
    }

    #[test]
    fn impossible_values_are_named() {
        let mut config = PluginHostConfig::default();
        config.limits.scoring.memory_bytes = 1;
        let text = config.check().map_err(|e| e.to_string());
        assert!(text.is_err_and(|t| t.contains("limits of scoring: memory_bytes")));
        for broken in [
            PluginHostConfig {
                max_concurrent_calls: 0,
                ..PluginHostConfig::default()
            },
            PluginHostConfig {
                stack_bytes: 1 << 30,
                ..PluginHostConfig::default()
            },
            PluginHostConfig {
                queue_ms: 0,
                ..PluginHostConfig::default()
            },
            PluginHostConfig {
                compile: CompileLimits {
                    memory_bytes: 1 << 20,
                    ..CompileLimits::default()
                },
                ..PluginHostConfig::default()
            },
        ] {
            assert!(broken.check().is_err());
        }
    }
}
