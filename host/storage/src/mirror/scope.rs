//! Which objects of a bucket are mirrored, told from their paths.

use object_store::path::Path;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::log::is_log_file;

/// The folder whose objects have names that users gave them.
const NAMED_BY_OTHERS: &str = "_evalsets";
/// The folder of the probe, which nobody needs back.
const PROBE: &str = ".boathouse-probe";
/// What can be large and can be made again: rows come from their sources, vectors from rows, graphs from
/// vectors and so do Lance tables. Each is the first segment of a path and the third.
const REMADE: [(&str, &str); 4] = [
    ("datasets", "data"),
    ("indexes", "vectors"),
    ("indexes", "graphs"),
    ("indexes", "lance"),
];

/// What is mirrored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MirrorScope {
    /// What cannot be made again: all but rows, vectors, graphs and Lance tables.
    #[default]
    Recovery,
    /// Everything, so that the rescue is a whole second copy.
    Everything,
}

impl MirrorScope {
    /// Whether an object, or everything below a folder, is mirrored.
    pub(super) fn covers(self, path: &Path) -> bool {
        let mut segments = path.as_ref().split('/');
        let (first, third) = (segments.next(), segments.nth(1));
        if first == Some(PROBE) {
            return false;
        }
        let remade = REMADE
            .iter()
            .any(|(folder, part)| first == Some(folder) && third == Some(part));
        self == Self::Everything || !remade
    }
}

/// Whether an object of that name is written once and never replaced: it is a version, its name starts with a UUID, as
/// those of logs' files, rows, vectors and deletions do, or with the digest of its bytes, as those of components.
/// Evaluation sets have whatever names they were given.
pub(super) fn is_write_once(path: &Path) -> bool {
    let is_named_by_us = path.as_ref().split('/').next() != Some(NAMED_BY_OTHERS);
    let name = path.filename().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    is_version(name)
        || is_digest_of_bytes(name)
        || (is_named_by_us && Uuid::try_parse(stem).is_ok())
}

/// Whether the bytes of an object that is written once tell whether they are sound, or sounder than others: then a copy
/// that is damaged can be told from an original that is.
pub(super) fn is_told_by_bytes(path: &Path) -> bool {
    is_version(path.as_ref()) || is_log_file(path.as_ref())
}

/// Whether an object is a version of a manifest.
pub(super) fn is_version(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let number = name.strip_suffix(".json").unwrap_or_default();
    number.len() == 20 && number.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a name is the digest of an object's bytes, as a component's is.
fn is_digest_of_bytes(name: &str) -> bool {
    let digest = name.strip_suffix(".wasm").unwrap_or_default();
    digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_made_again_is_left_out() {
        let check = |path: &str, recovery: bool, everything: bool| {
            let path = Path::from(path);
            assert_eq!(MirrorScope::Recovery.covers(&path), recovery, "{path}");
            assert_eq!(MirrorScope::Everything.covers(&path), everything, "{path}");
        };
        check("datasets/d/manifest/00000000000000000001.json", true, true);
        check("datasets/d/data/x.parquet", false, true);
        check("datasets/d/data", false, true);
        check("datasets/data/manifest/x.json", true, true);
        check("indexes/i/vectors/x.parquet", false, true);
        check("indexes/i/graphs/x.graph", false, true);
        check("indexes/i/lance/x/data/y.lance", false, true);
        check("indexes/i", true, true);
        check("indexes", true, true);
        check("_hnsw_trials/i/x.jsonl", true, true);
        check("plugins/blobs/x.wasm", true, true);
        check(".boathouse-probe/x/race-0", false, false);
    }

    #[test]
    fn names_tell_what_is_never_replaced() {
        let component = format!("plugins/blobs/{}.wasm", "0a".repeat(32));
        for (once, told_by_bytes) in [
            ("datasets/d/manifest/00000000000000000001.json", true),
            (
                "_promotions/i/0199c5a2-0000-7000-8000-000000000000.jsonl",
                true,
            ),
            (
                "_promotions/i/0199c5a2-0000-7000-8000-000000000000.compact.jsonl",
                true,
            ),
            (
                "datasets/d/data/0199c5a2-0000-7000-8000-000000000000.parquet",
                false,
            ),
            (
                "indexes/i/tombstones/0199c5a200007000800000000000abcd.json",
                false,
            ),
            (
                "indexes/i/vectors/0199c5a200007000800000000000abcd.parquet",
                false,
            ),
            (component.as_str(), false),
        ] {
            let path = Path::from(once);
            assert!(is_write_once(&path), "{once}");
            assert_eq!(is_told_by_bytes(&path), told_by_bytes, "{once}");
        }
        let report = format!("plugins/reports/{}.json", "0a".repeat(32));
        for often in [
            "_evalsets/i/default.json",
            "_evalsets/i/0199c5a2-0000-7000-8000-000000000000.json",
            "a/7.json",
            report.as_str(),
        ] {
            assert!(!is_write_once(&Path::from(often)), "{often}");
        }
    }
}
