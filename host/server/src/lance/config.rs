//! `[lance]`: what Lance tables may take of the machine, and which of their versions are kept.

use serde::{Deserialize, Serialize};

/// `[lance]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LanceConfig {
    /// Threads that wait for tables. What is computed has threads of its own, one for each core.
    pub threads: usize,
    /// MiB of indexes of tables that are kept in memory.
    pub index_cache_mb: usize,
    /// MiB of manifests and footers of tables that are kept in memory.
    pub metadata_cache_mb: usize,
    /// Newest versions of a table that a cleanup leaves, whatever their age.
    pub keep_versions: usize,
    /// Hours for which a cleanup leaves every version.
    pub keep_hours: u32,
}

impl Default for LanceConfig {
    fn default() -> Self {
        Self {
            threads: 2,
            index_cache_mb: 256,
            metadata_cache_mb: 64,
            keep_versions: 10,
            keep_hours: 24,
        }
    }
}

impl LanceConfig {
    /// That it can be kept to: the key that cannot, and what it must be.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let threads = 1..=64;
        let mebibytes = 1..=1 << 20;
        if !threads.contains(&self.threads) {
            return Err(("lance.threads", "must be 1 to 64"));
        }
        if !mebibytes.contains(&self.index_cache_mb) {
            return Err(("lance.index_cache_mb", "must be 1 to 1048576"));
        }
        if !mebibytes.contains(&self.metadata_cache_mb) {
            return Err(("lance.metadata_cache_mb", "must be 1 to 1048576"));
        }
        if self.keep_versions == 0 {
            return Err(("lance.keep_versions", "must be at least 1"));
        }
        // A host that shares the bucket may still read a version that was replaced a moment ago.
        if self.keep_hours == 0 {
            return Err(("lance.keep_hours", "must be at least 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_to_is_named() {
        assert_eq!(LanceConfig::default().check(), Ok(()));
        type Change = fn(&mut LanceConfig);
        let wrong: [(&str, Change); 6] = [
            ("lance.threads", |c| c.threads = 0),
            ("lance.threads", |c| c.threads = 65),
            ("lance.index_cache_mb", |c| c.index_cache_mb = 0),
            ("lance.metadata_cache_mb", |c| c.metadata_cache_mb = 0),
            ("lance.keep_versions", |c| c.keep_versions = 0),
            ("lance.keep_hours", |c| c.keep_hours = 0),
        ];
        for (key, change) in wrong {
            let mut config = LanceConfig::default();
            change(&mut config);
            assert_eq!(config.check().unwrap_err().0, key);
        }
    }
}
