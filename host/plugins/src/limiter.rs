//! Counts what an instance takes of memory and tables, and refuses more than it may have.
//!
//! Growth beyond the limit fails inside the guest, as it does on a machine without memory left; a
//! guest that copes goes on. The refusal is noted, so that a guest that crashes over it is reported
//! by the limit and not by its crash.

use wasmtime::ResourceLimiter;

use crate::Limits;

/// The limiter of one store.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_bytes: usize,
    table_elements: usize,
    memories: usize,
    tables: usize,
    instances: usize,
    used: usize,
    peak: usize,
    refused: Option<String>,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        Self {
            memory_bytes: usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX),
            table_elements: size(limits.table_elements),
            memories: size(limits.memories),
            tables: size(limits.tables),
            instances: size(limits.instances),
            used: 0,
            peak: 0,
            refused: None,
        }
    }

    /// Most linear memory that the store has held, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        u64::try_from(self.peak).unwrap_or(u64::MAX)
    }

    /// The limit that growth was refused by, if it ever was.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.used.saturating_add(desired.saturating_sub(current));
        if wanted > self.memory_bytes {
            self.refused = Some(format!("linear memory of {} bytes", self.memory_bytes));
            return Ok(false);
        }
        self.used = wanted;
        self.peak = self.peak.max(wanted);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.table_elements {
            self.refused = Some(format!("{} table elements", self.table_elements));
            return Ok(false);
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_share_one_limit() {
        let mut limiter = Limiter::new(&Limits {
            memory_bytes: 3 * 65_536,
            ..Limits::default()
        });
        let mut grow = |from: usize, to: usize| {
            limiter
                .memory_growing(from * 65_536, to * 65_536, None)
                .expect("no trap")
        };
        assert!(grow(0, 2));
        assert!(grow(0, 1));
        assert!(!grow(1, 2));
        assert_eq!(limiter.peak_memory(), 3 * 65_536);
        assert_eq!(limiter.refused(), Some("linear memory of 196608 bytes"));
    }
}
