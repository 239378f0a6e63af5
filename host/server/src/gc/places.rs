//! What an object is, by its path alone.
//!
//! The patterns are those of docs/design.md, taken strictly: an object that fits none of them is nobody's,
//! and what is nobody's is never touched. A class says what an object is; a group is what is decided about
//! at once, because one set of documents says what of it is in use.

use std::fmt;

use boathouse_types::{DatasetName, IndexName, JobName};
use serde::{Deserialize, Serialize};

/// Where objects of the probe are, and those that tell a store's time.
pub(super) const PROBES: &str = ".boathouse-probe";
/// Where the catalogue of plugins is.
pub(super) const CATALOGUE: &str = "plugins/manifest";
/// Logs that belong to an index, by their folders.
const INDEX_LOGS: [&str; 2] = ["_hnsw_trials", "_promotions"];

/// What an object is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Rows of a dataset that no version shows.
    Rows,
    /// Vectors that no index serves.
    Vectors,
    /// Lists of deleted documents that no index names.
    Tombstones,
    /// Graphs that nothing names.
    Graphs,
    /// Lance tables that no index names, as a whole; what is inside of one that is named is Lance's affair.
    Lance,
    /// Evaluation sets of deleted indexes.
    EvaluationSets,
    /// Files of logs: copies of what a compacted file holds, and logs of deleted indexes.
    Logs,
    /// Old versions of manifests.
    Manifests,
    /// Components of plugins, and reports of their checks, that the catalogue does not list.
    Plugins,
    /// What a check of the bucket left.
    Probes,
    /// Files under construction on a local disk.
    Staged,
}

impl Class {
    /// The name in reports and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Vectors => "vectors",
            Self::Tombstones => "tombstones",
            Self::Graphs => "graphs",
            Self::Lance => "lance",
            Self::EvaluationSets => "evaluation_sets",
            Self::Logs => "logs",
            Self::Manifests => "manifests",
            Self::Plugins => "plugins",
            Self::Probes => "probes",
            Self::Staged => "staged",
        }
    }
}

/// What is decided about at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// The versions of the manifest under a prefix.
    Manifest(String),
    /// The rows of a dataset.
    Dataset(DatasetName),
    /// Everything of an index but its manifest.
    Index(IndexName),
    /// The log under a prefix that belongs to no index.
    Log(String),
    /// Components and reports.
    Plugins,
    /// What probes left.
    Probes,
}

impl Group {
    /// The folders in which its objects are.
    pub(super) fn folders(&self) -> Vec<String> {
        match self {
            Self::Manifest(prefix) | Self::Log(prefix) => vec![prefix.clone()],
            Self::Dataset(name) => vec![format!("datasets/{name}/data")],
            Self::Index(name) => {
                let mut folders = vec![
                    format!("indexes/{name}/vectors"),
                    format!("indexes/{name}/tombstones"),
                    format!("indexes/{name}/graphs"),
                    format!("indexes/{name}/lance"),
                    format!("_evalsets/{name}"),
                ];
                folders.extend(logs_of(name));
                folders
            }
            Self::Plugins => vec!["plugins/blobs".to_owned(), "plugins/reports".to_owned()],
            Self::Probes => vec![PROBES.to_owned()],
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(prefix) => write!(f, "manifest `{prefix}`"),
            Self::Dataset(name) => write!(f, "dataset `{name}`"),
            Self::Index(name) => write!(f, "index `{name}`"),
            Self::Log(prefix) => write!(f, "log `{prefix}`"),
            Self::Plugins => f.write_str("plugins"),
            Self::Probes => f.write_str("probes"),
        }
    }
}

/// The logs of an index.
pub(super) fn logs_of(index: &IndexName) -> [String; 2] {
    INDEX_LOGS.map(|folder| format!("{folder}/{index}"))
}

/// The log that a file is of, and the index that this belongs to; none for what is no log's file.
pub(super) fn log_of(path: &str) -> Option<(String, Option<IndexName>)> {
    let (group, class) = place(path)?;
    let (prefix, _) = path.rsplit_once('/')?;
    match (class, group) {
        (Class::Logs, Group::Index(name)) => Some((prefix.to_owned(), Some(name))),
        (Class::Logs, _) => Some((prefix.to_owned(), None)),
        _ => None,
    }
}

/// What an object is and what it is decided with; none for one that is nobody's.
pub(super) fn place(path: &str) -> Option<(Group, Class)> {
    let parts: Vec<&str> = path.split('/').collect();
    match *parts.as_slice() {
        [PROBES, ..] => Some((Group::Probes, Class::Probes)),
        ["datasets", name, "data", file] if is_id(file, ".parquet") => {
            Some((Group::Dataset(dataset(name)?), Class::Rows))
        }
        ["datasets", name, "manifest", file] if is_version(file) => {
            manifest(path, dataset(name).is_some())
        }
        ["indexes", name, "vectors", file] if is_id(file, ".parquet") => {
            Some((Group::Index(index(name)?), Class::Vectors))
        }
        ["indexes", name, "tombstones", file] if is_id(file, ".json") => {
            Some((Group::Index(index(name)?), Class::Tombstones))
        }
        ["indexes", name, "graphs", file] if is_hex(file, 16, ".graph") => {
            Some((Group::Index(index(name)?), Class::Graphs))
        }
        ["indexes", name, "lance", table, _, ..] if uuid::Uuid::try_parse(table).is_ok() => {
            Some((Group::Index(index(name)?), Class::Lance))
        }
        ["indexes", name, "manifest", file] if is_version(file) => {
            manifest(path, index(name).is_some())
        }
        ["_evalsets", name, file] if file.ends_with(".json") => {
            Some((Group::Index(index(name)?), Class::EvaluationSets))
        }
        [folder, name, file] if INDEX_LOGS.contains(&folder) && is_log_file(file) => {
            Some((Group::Index(index(name)?), Class::Logs))
        }
        ["_lineage", name, file] if is_log_file(file) => log(path, dataset(name).is_some()),
        ["audit", "log", file] | ["plugins", "events", file] if is_log_file(file) => {
            log(path, true)
        }
        ["pii", "policies", name, file] if is_version(file) => {
            manifest(path, dataset(name).is_some())
        }
        ["ingest", "jobs", name, job, file] if is_version(file) => {
            manifest(path, dataset(name).is_some() && JobName::new(job).is_ok())
        }
        ["plugins" | "storage", "manifest", file]
        | ["auth", "keys", file]
        | ["agent", "queue" | "state", file]
        | ["models", "profiles" | "slot", file]
            if is_version(file) =>
        {
            manifest(path, true)
        }
        ["plugins", "blobs", file] if is_hex(file, 64, ".wasm") => {
            Some((Group::Plugins, Class::Plugins))
        }
        ["plugins", "reports", file] if is_hex(file, 64, ".json") => {
            Some((Group::Plugins, Class::Plugins))
        }
        _ => None,
    }
}

/// The digest in the name of a component or a report.
pub(super) fn digest_in(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.split('.').next()
}

fn manifest(path: &str, is_ours: bool) -> Option<(Group, Class)> {
    let (prefix, _) = path.rsplit_once('/').filter(|_| is_ours)?;
    Some((Group::Manifest(prefix.to_owned()), Class::Manifests))
}

fn log(path: &str, is_ours: bool) -> Option<(Group, Class)> {
    let (prefix, _) = path.rsplit_once('/').filter(|_| is_ours)?;
    Some((Group::Log(prefix.to_owned()), Class::Logs))
}

fn dataset(name: &str) -> Option<DatasetName> {
    DatasetName::new(name).ok()
}

fn index(name: &str) -> Option<IndexName> {
    IndexName::new(name).ok()
}

fn is_log_file(file: &str) -> bool {
    file.ends_with(".jsonl")
}

/// Whether a file is named by 20 digits, as versions of manifests are.
fn is_version(file: &str) -> bool {
    let digits = file.strip_suffix(".json");
    digits.is_some_and(|d| d.len() == 20 && d.bytes().all(|b| b.is_ascii_digit()))
}

fn is_id(file: &str, suffix: &str) -> bool {
    let id = file.strip_suffix(suffix);
    id.is_some_and(|id| uuid::Uuid::try_parse(id).is_ok())
}

fn is_hex(file: &str, digits: usize, suffix: &str) -> bool {
    let hex = file.strip_suffix(suffix);
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    hex.is_some_and(|hex| hex.len() == digits && hex.bytes().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0199aa00-0000-7000-8000-000000000001";

    #[track_caller]
    fn check(path: &str, group: &str, class: Class) {
        let (found, is) = place(path).unwrap_or_else(|| panic!("{path} is nobody's"));
        assert_eq!((found.to_string().as_str(), is), (group, class), "{path}");
        let inside = |folder: &String| path.starts_with(&format!("{folder}/"));
        assert!(found.folders().iter().any(inside), "{path}");
    }

    /// Paths, with `ID`, `VERSION` and `DIGEST` for what a host would write there.
    #[rustfmt::skip]
    const PLACES: [(&str, &str, Class); 27] = [
        ("datasets/d/data/ID.parquet", "dataset `d`", Class::Rows),
        ("datasets/d/manifest/VERSION.json", "manifest `datasets/d/manifest`", Class::Manifests),
        ("_lineage/d/ID.jsonl", "log `_lineage/d`", Class::Logs),
        ("indexes/i/vectors/ID.parquet", "index `i`", Class::Vectors),
        ("indexes/i/tombstones/ID.json", "index `i`", Class::Tombstones),
        ("indexes/i/graphs/0123456789abcdef.graph", "index `i`", Class::Graphs),
        ("indexes/i/lance/ID/_versions/1.manifest", "index `i`", Class::Lance),
        ("indexes/i/lance/ID/_indices/a/b.idx", "index `i`", Class::Lance),
        ("indexes/i/manifest/VERSION.json", "manifest `indexes/i/manifest`", Class::Manifests),
        ("_hnsw_trials/i/ID.compact.jsonl", "index `i`", Class::Logs),
        ("_hnsw_trials/i/journal.jsonl", "index `i`", Class::Logs),
        ("_promotions/i/ID.jsonl", "index `i`", Class::Logs),
        ("_evalsets/i/default.json", "index `i`", Class::EvaluationSets),
        ("plugins/manifest/VERSION.json", "manifest `plugins/manifest`", Class::Manifests),
        ("plugins/blobs/DIGEST.wasm", "plugins", Class::Plugins),
        ("plugins/reports/DIGEST.json", "plugins", Class::Plugins),
        ("plugins/events/ID.jsonl", "log `plugins/events`", Class::Logs),
        ("pii/policies/d/VERSION.json", "manifest `pii/policies/d`", Class::Manifests),
        ("auth/keys/VERSION.json", "manifest `auth/keys`", Class::Manifests),
        ("audit/log/ID.jsonl", "log `audit/log`", Class::Logs),
        ("ingest/jobs/d/j/VERSION.json", "manifest `ingest/jobs/d/j`", Class::Manifests),
        ("agent/queue/VERSION.json", "manifest `agent/queue`", Class::Manifests),
        ("agent/state/VERSION.json", "manifest `agent/state`", Class::Manifests),
        ("models/profiles/VERSION.json", "manifest `models/profiles`", Class::Manifests),
        ("models/slot/VERSION.json", "manifest `models/slot`", Class::Manifests),
        ("storage/manifest/VERSION.json", "manifest `storage/manifest`", Class::Manifests),
        (".boathouse-probe/x/race-1", "probes", Class::Probes),
    ];

    #[test]
    fn every_object_of_the_design_has_its_place() {
        let simple = ID.replace('-', "");
        for id in [ID, &simple] {
            for (path, group, class) in PLACES {
                let path = path
                    .replace("ID", id)
                    .replace("VERSION", "00000000000000000007")
                    .replace("DIGEST", &"a1".repeat(32));
                check(&path, group, class);
            }
        }
    }

    #[test]
    fn what_fits_no_pattern_is_nobodys() {
        for path in [
            "notes.txt",
            "datasets/d/data/mine.parquet",
            "datasets/d/data/deep/0199aa00-0000-7000-8000-000000000001.parquet",
            "datasets/D/data/0199aa00-0000-7000-8000-000000000001.parquet",
            "datasets/d/manifest/7.json",
            "indexes/i/vectors/mine.parquet",
            "indexes/i/tombstones/mine.json",
            "indexes/i/graphs/0123456789ABCDEF.graph",
            "indexes/i/graphs/0123.graph",
            "indexes/i/notes/x.json",
            "indexes/i/lance/mine/_versions/1.manifest",
            "indexes/i/lance/0199aa00-0000-7000-8000-000000000001",
            "plugins/blobs/readme.wasm",
            "plugins/manifest/x.json",
            "pii/policies/d/x.json",
            "_hnsw_trials/x.jsonl",
            "_evalsets/i/default.txt",
            "primary/datasets/d/data/0199aa00-0000-7000-8000-000000000001.parquet",
        ] {
            assert_eq!(place(path), None, "{path}");
        }
    }

    #[test]
    fn a_file_of_a_log_names_its_log_and_index() {
        let (prefix, index) = log_of("_promotions/i/a.jsonl").expect("a log");
        assert_eq!(
            (prefix.as_str(), index.as_ref().map(IndexName::as_str)),
            ("_promotions/i", Some("i"))
        );
        assert_eq!(
            log_of("audit/log/a.jsonl"),
            Some(("audit/log".to_owned(), None))
        );
        assert_eq!(log_of("_evalsets/i/default.json"), None);
    }
}
