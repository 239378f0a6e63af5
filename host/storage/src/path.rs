//! Paths of objects, checked where they come in.
//!
//! A path is relative, `/`-separated, and has no empty segment, `.`, `..`, back slash, `#` or control
//! character; so it means the same object in every backend and cannot leave its root. `#` is kept free
//! because local files under construction carry it in their names.

use object_store::path::Path;

use crate::StorageError;

/// Longest path; S3 takes 1,024 bytes with the bucket's own prefix.
const MAX_PATH: usize = 800;
/// Longest segment; file systems take 255 bytes, some of which go to the suffix of staged files.
const MAX_SEGMENT: usize = 200;

/// Parses the path of an object.
pub(crate) fn object_path(text: &str) -> Result<Path, StorageError> {
    match check(text) {
        Ok(()) => Path::parse(text).map_err(|_| invalid(text, "the store cannot hold such a name")),
        Err(reason) => Err(invalid(text, reason)),
    }
}

/// Parses the path of a folder; the empty text is the root and one `/` may end it.
pub(crate) fn folder_path(text: &str) -> Result<Path, StorageError> {
    if text.is_empty() {
        return Ok(Path::default());
    }
    object_path(text.strip_suffix('/').unwrap_or(text))
}

/// A prefix without the `/` that may end it.
pub(crate) fn trimmed(prefix: &str) -> String {
    prefix.strip_suffix('/').unwrap_or(prefix).to_owned()
}

fn check(text: &str) -> Result<(), &'static str> {
    if text.len() > MAX_PATH {
        return Err("it is longer than 800 bytes");
    }
    if text.starts_with('/') {
        return Err("it must be relative, without `/` at the start");
    }
    if text.contains(|c: char| c.is_control() || c == '\\' || c == '#') {
        return Err("it must not hold back slashes, `#` or control characters");
    }
    text.split('/').try_for_each(|segment| match segment {
        "" => Err("it has an empty segment"),
        "." | ".." => Err("it must not hold `.` or `..`"),
        _ if segment.len() > MAX_SEGMENT => Err("a segment is longer than 200 bytes"),
        _ => Ok(()),
    })
}

fn invalid(text: &str, reason: &'static str) -> StorageError {
    StorageError::InvalidPath {
        path: text.chars().take(80).flat_map(char::escape_debug).collect(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_leave_the_root() {
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "a/../b",
            "../a",
            "a/..",
            "./a",
            "a//b",
            "a/",
            "a\\b",
            "a\0b",
            "a\nb",
            "a#1",
            &"a".repeat(201),
            &"a/".repeat(500),
        ] {
            assert!(object_path(bad).is_err(), "{bad:?} was taken");
        }
        for good in [
            "a",
            "a/b.json",
            "_hnsw_trials/x",
            "päth/ñ",
            "a%2e/b",
            "...",
            ".a",
        ] {
            assert_eq!(object_path(good).unwrap().as_ref(), good);
        }
    }

    #[test]
    fn folders_may_be_the_root_or_end_with_a_slash() {
        assert!(folder_path("").unwrap().is_root());
        assert_eq!(folder_path("a/b/").unwrap(), folder_path("a/b").unwrap());
        for bad in ["/", "a//", "../", "a/../"] {
            assert!(folder_path(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_long_path_makes_a_short_message() {
        let error = object_path(&"x\n".repeat(1_000_000))
            .unwrap_err()
            .to_string();
        assert!(error.len() < 300 && !error.contains('\n'), "{error}");
    }
}
