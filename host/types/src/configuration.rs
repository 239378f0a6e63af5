//! Configurations of an index, whatever searches it: a graph or a table.
//!
//! Each engine has a space of knobs of its own. Who tunes knows knobs by their names only; who builds and searches knows
//! the kind.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{IndexConfig, VectorBackend};

/// A configuration of a Lance table with an `IVF_PQ` index: `partitions` and `sub_vectors` are built, the others are how a
/// search asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TableConfig {
    /// Parts that the vectors are divided into.
    pub partitions: u32,
    /// Codes of a vector, of a byte each; a divisor of its components.
    pub sub_vectors: u32,
    /// Partitions that a search looks into.
    pub nprobes: u32,
    /// So many times k candidates are compared by their exact vectors.
    pub refine_factor: u32,
}

impl TableConfig {
    /// Whether both are served by the same index: they differ in how it is searched at most.
    #[must_use]
    pub fn same_build(&self, other: &Self) -> bool {
        (self.partitions, self.sub_vectors) == (other.partitions, other.sub_vectors)
    }
}

/// A configuration of an index; which of the two it is, its fields tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Configuration {
    /// Of its graph.
    Graph(IndexConfig),
    /// Of its Lance table.
    Table(TableConfig),
}

impl Configuration {
    /// What it is a configuration of.
    #[must_use]
    pub fn backend(&self) -> VectorBackend {
        match self {
            Self::Graph(_) => VectorBackend::Parquet,
            Self::Table(_) => VectorBackend::Lance,
        }
    }

    /// That of a graph; none of a table.
    #[must_use]
    pub fn graph(&self) -> Option<&IndexConfig> {
        match self {
            Self::Graph(config) => Some(config),
            Self::Table(_) => None,
        }
    }

    /// That of a graph, to be changed; none of a table.
    #[must_use]
    pub fn graph_mut(&mut self) -> Option<&mut IndexConfig> {
        match self {
            Self::Graph(config) => Some(config),
            Self::Table(_) => None,
        }
    }

    /// That of a table; none of a graph.
    #[must_use]
    pub fn table(&self) -> Option<&TableConfig> {
        match self {
            Self::Graph(_) => None,
            Self::Table(config) => Some(config),
        }
    }

    /// Seed of its build; a table has none, and counts as 0.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.graph().map_or(0, |config| config.seed)
    }

    /// Its knobs in the order in which they are shown.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, u32)> {
        match self {
            Self::Graph(config) => vec![
                ("m", config.m),
                ("ef_construction", config.ef_construction),
                ("ef_search", config.ef_search),
            ],
            Self::Table(config) => vec![
                ("partitions", config.partitions),
                ("sub_vectors", config.sub_vectors),
                ("nprobes", config.nprobes),
                ("refine_factor", config.refine_factor),
            ],
        }
    }

    /// The value of a knob; none where it has no such knob.
    #[must_use]
    pub fn setting(&self, knob: &str) -> Option<u32> {
        let settings = self.settings();
        let found = settings.into_iter().find(|(name, _)| *name == knob);
        found.map(|(_, value)| value)
    }
}

impl From<IndexConfig> for Configuration {
    fn from(config: IndexConfig) -> Self {
        Self::Graph(config)
    }
}

impl From<TableConfig> for Configuration {
    fn from(config: TableConfig) -> Self {
        Self::Table(config)
    }
}

impl PartialEq<IndexConfig> for Configuration {
    fn eq(&self, other: &IndexConfig) -> bool {
        self.graph() == Some(other)
    }
}

impl Default for Configuration {
    fn default() -> Self {
        Self::Graph(IndexConfig::default())
    }
}

/// As people write it: `m=16, ef_construction=80, ef_search=30`.
impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.settings().into_iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, backend: VectorBackend, said: &str) {
        let config: Configuration = serde_json::from_str(text).expect("a configuration");
        assert_eq!((config.backend(), &*config.to_string()), (backend, said));
        let again = serde_json::to_string(&config).expect("text");
        assert_eq!(
            serde_json::from_str::<Configuration>(&again).expect("again"),
            config
        );
    }

    #[test]
    fn the_fields_tell_what_is_configured() {
        check(
            r#"{"m":8,"ef_construction":40,"ef_search":20,"seed":3}"#,
            VectorBackend::Parquet,
            "m=8, ef_construction=40, ef_search=20",
        );
        // As journals had it at first.
        check(
            r#"{"ef_construction":40,"ef_search":20}"#,
            VectorBackend::Parquet,
            "m=16, ef_construction=40, ef_search=20",
        );
        check(
            r#"{"partitions":12,"sub_vectors":48,"nprobes":20,"refine_factor":10}"#,
            VectorBackend::Lance,
            "partitions=12, sub_vectors=48, nprobes=20, refine_factor=10",
        );
        for neither in [
            r#"{"partitions":12,"sub_vectors":48,"nprobes":20}"#,
            r#"{"m":8}"#,
        ] {
            assert!(serde_json::from_str::<Configuration>(neither).is_err());
        }
    }

    #[test]
    fn a_knob_has_a_value_where_it_is_one() {
        let graph = Configuration::default();
        assert_eq!(graph.setting("ef_search"), Some(30));
        assert_eq!(graph.setting("nprobes"), None);
        let table = TableConfig {
            partitions: 1,
            sub_vectors: 2,
            nprobes: 3,
            refine_factor: 4,
        };
        let wider = TableConfig {
            nprobes: 9,
            refine_factor: 9,
            ..table
        };
        assert!(table.same_build(&wider));
        assert!(!table.same_build(&TableConfig {
            partitions: 2,
            ..table
        }));
        assert_eq!(Configuration::from(table).setting("refine_factor"), Some(4));
    }
}
