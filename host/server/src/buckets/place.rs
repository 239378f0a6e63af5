//! Where a new bucket may lie.
//!
//! Two buckets whose places overlap would see each other's objects, and what one of them cleans up the
//! other would miss. So a place inside another bucket's, around it or equal to it is refused, and so are
//! the folders that the host itself works in. Folders are compared after their links are followed as far
//! as they exist; services are compared by endpoint, bucket and prefix as they are written. What looks
//! different and is the same nevertheless is found by the object that every bucket carries
//! (`admission.rs`).
//!
//! Through the API a folder is named by its absolute path: the folder that the host happens to run in is
//! nothing that a client should have to know.

use std::path::{Component, Path, PathBuf};

use boathouse_storage::{BackendConfig, BucketConfig, S3Config};

use crate::problem::Problem;

/// Longest path of a root, in bytes, as operating systems have it.
const MAX_ROOT: usize = 4_096;
/// Longest text of the other fields, in bytes.
const MAX_TEXT: usize = 1_024;

/// Where objects are, in a form in which the same place looks the same.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// In a folder.
    Folder(PathBuf),
    /// In a service: endpoint and bucket, and the segments of the prefix.
    Service(String, String, Vec<String>),
    /// Nowhere that another bucket could meet it.
    Apart,
}

impl Place {
    fn of(backend: &BackendConfig) -> Self {
        match backend {
            BackendConfig::Local { root } => Self::Folder(resolved(root)),
            BackendConfig::S3(s3) => Self::Service(
                endpoint(s3.endpoint.as_deref()),
                s3.bucket.clone(),
                segments(s3.prefix.as_deref()),
            ),
            BackendConfig::Memory => Self::Apart,
        }
    }

    /// Whether one of the two lies in the other.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Folder(a), Self::Folder(b)) => a.starts_with(b) || b.starts_with(a),
            (Self::Service(endpoint, bucket, a), Self::Service(other, in_bucket, b)) => {
                endpoint == other && bucket == in_bucket && (a.starts_with(b) || b.starts_with(a))
            }
            _ => false,
        }
    }
}

/// Whether two buckets would see each other's objects.
pub(super) fn overlap(a: &BackendConfig, b: &BackendConfig) -> bool {
    Place::of(a).meets(&Place::of(b))
}

/// That a client may ask for such a bucket at all; `data` is the data folder.
///
/// # Errors
/// 422, naming the field.
pub(super) fn check(config: &BucketConfig, data: &Path) -> Result<(), Problem> {
    match &config.backend {
        BackendConfig::Local { root } => check_root(root, data),
        BackendConfig::S3(s3) => check_texts(s3),
        BackendConfig::Memory => Err(bad(
            "backend",
            "what is in memory is gone when the host ends; use `local` or `s3`",
        )),
    }
}

fn check_root(root: &Path, data: &Path) -> Result<(), Problem> {
    if root.as_os_str().len() > MAX_ROOT {
        return Err(bad("root", "it is longer than 4096 bytes"));
    }
    if !root.is_absolute() {
        return Err(bad("root", "give the absolute path of a folder"));
    }
    let climbs = root.components().any(|part| part == Component::ParentDir);
    if climbs || root.to_string_lossy().contains('\0') {
        return Err(bad("root", "it must not hold `..` or a null character"));
    }
    let (root, data) = (resolved(root), resolved(data));
    let own = [data.join("spool"), data.join("cache")];
    if data.starts_with(&root) || own.iter().any(|folder| root.starts_with(folder)) {
        return Err(bad(
            "root",
            "the host works in that folder; choose one of its own for the bucket",
        ));
    }
    Ok(())
}

fn check_texts(s3: &S3Config) -> Result<(), Problem> {
    let texts = [
        ("endpoint", s3.endpoint.as_deref()),
        ("region", s3.region.as_deref()),
        ("bucket", Some(s3.bucket.as_str())),
        ("prefix", s3.prefix.as_deref()),
    ];
    for (field, text) in texts {
        if text.is_some_and(|text| text.len() > MAX_TEXT) {
            return Err(bad(field, "it is longer than 1024 bytes"));
        }
    }
    Ok(())
}

fn bad(field: &str, what: &str) -> Problem {
    Problem::field(field, "bad_bucket", what)
}

/// A path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = absolute.ancestors().find_map(|ancestor| {
        let real = ancestor.canonicalize().ok()?;
        Some(real.join(absolute.strip_prefix(ancestor).ok()?))
    });
    // Joining an empty rest leaves a `/` at the end, which `components` does not show.
    found.map_or(absolute, |path| path.components().collect())
}

/// An endpoint without what may be written in two ways.
fn endpoint(url: Option<&str>) -> String {
    let url = url.unwrap_or_default().to_ascii_lowercase();
    let url = url.trim_end_matches('/');
    let bare = match url.split_once("://") {
        Some(("http", host)) => host.strip_suffix(":80").unwrap_or(host),
        Some(("https", host)) => host.strip_suffix(":443").unwrap_or(host),
        _ => url,
    };
    bare.to_owned()
}

fn segments(prefix: Option<&str>) -> Vec<String> {
    let parts = prefix.unwrap_or_default().split('/');
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(root: impl Into<PathBuf>) -> BackendConfig {
        BackendConfig::Local { root: root.into() }
    }

    fn s3(endpoint: &str, bucket: &str, prefix: &str) -> BackendConfig {
        BackendConfig::S3(S3Config {
            endpoint: (!endpoint.is_empty()).then(|| endpoint.to_owned()),
            bucket: bucket.to_owned(),
            prefix: (!prefix.is_empty()).then(|| prefix.to_owned()),
            ..S3Config::default()
        })
    }

    #[track_caller]
    fn check_overlap(a: &BackendConfig, b: &BackendConfig, expected: bool) {
        assert_eq!(overlap(a, b), expected, "{a:?} {b:?}");
        assert_eq!(overlap(b, a), expected, "{b:?} {a:?}");
    }

    #[test]
    fn folders_overlap_when_one_is_in_the_other() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| local(folder.path().join(name));
        check_overlap(&at("a"), &at("a"), true);
        check_overlap(&at("a"), &at("a/"), true);
        check_overlap(&at("a"), &at("a/b/c"), true);
        check_overlap(&at("a"), &at("ab"), false);
        check_overlap(&at("a/b"), &at("a/c"), false);
        check_overlap(&local("/"), &at("a"), true);
        std::fs::create_dir(folder.path().join("real")).expect("folder");
        std::os::unix::fs::symlink(folder.path().join("real"), folder.path().join("link"))
            .expect("link");
        check_overlap(&at("real/x"), &at("link/x"), true);
        check_overlap(&at("real"), &BackendConfig::Memory, false);
    }

    #[test]
    fn services_overlap_by_endpoint_bucket_and_prefix() {
        let one = s3("http://host:8333", "b", "team/a");
        check_overlap(&one, &s3("http://HOST:8333/", "b", "/team/a/"), true);
        check_overlap(&one, &s3("http://host:8333", "b", ""), true);
        check_overlap(&one, &s3("http://host:8333", "b", "team"), true);
        check_overlap(&one, &s3("http://host:8333", "b", "team/ab"), false);
        check_overlap(&one, &s3("http://host:8333", "other", "team/a"), false);
        check_overlap(&one, &s3("http://else:8333", "b", "team/a"), false);
        check_overlap(&s3("", "b", ""), &s3("", "b", "x"), true);
        check_overlap(
            &s3("https://h", "b", ""),
            &s3("https://h:443", "b", ""),
            true,
        );
        check_overlap(&one, &local("/team"), false);
    }

    #[test]
    fn what_a_client_may_not_ask_for_is_named() {
        let data = tempfile::tempdir().expect("folder");
        let inside = |name: &str| local(data.path().join(name));
        let refused = |backend: BackendConfig| {
            let name = "new".parse().expect("a name");
            check(&BucketConfig { name, backend }, data.path()).err()
        };
        for bad in [
            local("relative/folder"),
            local(""),
            local(data.path().join("a/../b")),
            local(format!("/{}", "x".repeat(1 << 20))),
            local(data.path()),
            local(data.path().parent().expect("a parent")),
            inside("spool"),
            inside("spool/x"),
            inside("cache/plugins"),
            BackendConfig::Memory,
            s3("http://h", &"b".repeat(1 << 20), ""),
        ] {
            let problem = refused(bad).expect("refused");
            assert_eq!((problem.status, problem.code.as_str()), (422, "bad_bucket"));
            assert!(problem.detail.len() < 300 && problem.errors.len() == 1);
        }
        for good in [inside("archive"), local("/srv/boathouse"), s3("", "b", "p")] {
            assert_eq!(refused(good), None);
        }
    }
}
