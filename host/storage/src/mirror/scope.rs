//! Which objects of a bucket are mirrored, told from their paths.

use object_store::path::Path;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The folder of the probe, which nobody needs back.
const PROBE: &str = ".boathouse-probe";
/// What can be large and can be made again: rows come from their sources, vectors from rows, graphs from
/// vectors. Each is the first segment of a path and the third.
const REMADE: [(&str, &str); 3] = [
    ("datasets", "data"),
    ("indexes", "vectors"),
    ("indexes", "graphs"),
];

/// What is mirrored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MirrorScope {
    /// What cannot be made again: all but rows, vectors and graphs.
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

/// Whether an object of that name is written once and never replaced: its name starts with a UUID or a
/// version of 20 digits.
pub(super) fn is_write_once(path: &Path) -> bool {
    let name = path.filename().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let is_version = stem.len() == 20 && stem.bytes().all(|b| b.is_ascii_digit());
    is_version || Uuid::try_parse(stem).is_ok()
}

/// Whether an object's name is the digest of its bytes, as a component's is: what is there under such a name is
/// right, or damaged at its home, which must not damage the copy.
pub(super) fn is_named_by_content(path: &Path) -> bool {
    let name = path.filename().unwrap_or_default();
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
        check("indexes/i", true, true);
        check("indexes", true, true);
        check("_hnsw_trials/i/x.jsonl", true, true);
        check("plugins/blobs/x.wasm", true, true);
        check(".boathouse-probe/x/race-0", false, false);
    }

    #[test]
    fn names_tell_what_is_never_replaced() {
        for once in [
            "datasets/d/manifest/00000000000000000001.json",
            "_promotions/i/0199c5a2-0000-7000-8000-000000000000.jsonl",
            "_promotions/i/0199c5a2-0000-7000-8000-000000000000.compact.jsonl",
        ] {
            assert!(is_write_once(&Path::from(once)), "{once}");
        }
        for often in [
            "_evalsets/i/default.json",
            "a/7.json",
            "plugins/reports/abc.json",
        ] {
            assert!(!is_write_once(&Path::from(often)), "{often}");
        }
    }
}
