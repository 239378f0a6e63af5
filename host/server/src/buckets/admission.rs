//! Whether a bucket may be used: it opens, it answers, commits in it are safe, and it is what it says.
//!
//! Every bucket but `rescue` carries one object of ours, its mark, `storage/bucket.json`:
//!
//! ```text
//! {"format":"boathouse/bucket","format_version":1,"name":"archive","created_at":"2026-01-01T00:00:00Z"}
//! ```
//!
//! A bucket without its mark, while the rescue bucket holds a copy of that mark, has lost its objects: a
//! disk that is not mounted, a folder that was emptied. It is not used, so that nothing new begins in the
//! place of what was there. A bucket that carries another name's mark is another bucket under a second
//! name, or one of another host. A bucket in memory carries none: it is meant to be empty.

use std::{sync::Arc, time::Duration};

use boathouse_storage::{BackendConfig, Bucket, BucketConfig, S3Config, SecretRef, StorageError};
use boathouse_types::{BucketName, Timestamp};
use serde::{Deserialize, Serialize};

use super::catalogue;
use crate::{config::Environment, problem::chain};

/// The mark's path.
pub(crate) const MARK: &str = "storage/bucket.json";
const FORMAT: &str = "boathouse/bucket";
const FORMAT_VERSION: u64 = 1;
/// Longest text about a store, in characters: it goes to clients.
const SHOWN: usize = 600;
/// Where AWS tells a machine of its role; no other service has such addresses.
const MACHINE_ROLE: &str = "http://169.254.";

/// Why a bucket may not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) cause: Cause,
    /// What is wrong and what to do, without secrets.
    pub(super) why: String,
}

/// What can be done about a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Correct its configuration, or use another store.
    Wrong,
    /// Wait, or make the store answer.
    Unreachable,
    /// Bring its objects back.
    Lost,
    /// Register it under its own name.
    AnotherName,
}

impl Fault {
    pub(super) fn new(cause: Cause, why: impl Into<String>) -> Self {
        Self {
            cause,
            why: why.into(),
        }
    }

    /// An error of the store of a bucket, in words that hold none of its secrets.
    pub(super) fn of(
        error: &StorageError,
        config: &BucketConfig,
        environment: &Environment,
    ) -> Self {
        let cause = match error {
            StorageError::Misconfigured { .. }
            | StorageError::InvalidPath { .. }
            | StorageError::InvalidSecretRef
            | StorageError::UnresolvedSecret { .. }
            | StorageError::NewerFormat { .. }
            | StorageError::Unfit { .. } => Cause::Wrong,
            _ => Cause::Unreachable,
        };
        let mut why = chain(error);
        for secret in secrets(config, environment) {
            why = why.replace(&secret, "***");
        }
        Self::new(cause, readable(&why, config))
    }
}

/// What a store says, on one line, short, and without the name of the bucket, which stands before it.
fn readable(said: &str, config: &BucketConfig) -> String {
    let said: Vec<&str> = said.split_whitespace().collect();
    let mut text = said.join(" ");
    if let Some(rest) = text.strip_prefix(&format!("bucket `{}` ", config.name)) {
        text = format!("it {rest}");
    }
    if let BackendConfig::S3(s3) = &config.backend
        && s3.access_key_id.is_none()
        && text.contains(MACHINE_ROLE)
    {
        text = format!(
            "no keys are given, so the role of this machine was asked for and not found; give `access_key_id` and `secret_access_key`: {text}"
        );
    }
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The values behind the references of a bucket.
fn secrets(config: &BucketConfig, environment: &Environment) -> Vec<String> {
    let BackendConfig::S3(S3Config {
        access_key_id,
        secret_access_key,
        ..
    }) = &config.backend
    else {
        return Vec::new();
    };
    let value = |reference: &SecretRef| {
        reference
            .resolve(&|name| environment.get(name).cloned())
            .ok()
    };
    let references = [access_key_id, secret_access_key];
    references.into_iter().flatten().filter_map(value).collect()
}

/// What becomes of a root folder that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// It is made.
    Make,
    /// The bucket was there before, so its folder is gone: a disk is not mounted.
    Expect,
}

/// Opens a bucket; reaches no network.
pub(super) async fn open(
    config: &BucketConfig,
    expected: Root,
    environment: &Arc<Environment>,
) -> Result<Bucket, Fault> {
    if let (Root::Expect, BackendConfig::Local { root }) = (expected, &config.backend)
        && !root.exists()
    {
        let why = format!(
            "its folder {} is gone: mount it or put it back; with an empty folder in its place `boathouse restore` brings back what `rescue` holds",
            root.display()
        );
        return Err(Fault::new(Cause::Lost, why));
    }
    let (wanted, variables) = (config.clone(), Arc::clone(environment));
    let opening = move || Bucket::open(&wanted, &|name| variables.get(name).cloned());
    match tokio::task::spawn_blocking(opening).await {
        Ok(opened) => opened.map_err(|error| Fault::of(&error, config, environment)),
        Err(_) => Err(Fault::new(Cause::Unreachable, "opening it was cut off")),
    }
}

/// Ends an attempt that takes too long.
pub(super) async fn within<T>(
    limit: Duration,
    attempt: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(limit, attempt).await {
        Ok(result) => result,
        Err(_) => {
            let why = format!("it did not answer within {} s", limit.as_secs());
            Err(Fault::new(Cause::Unreachable, why))
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Mark {
    format: String,
    format_version: u64,
    name: BucketName,
    created_at: Timestamp,
}

/// Whether a bucket carries its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marked {
    Yes,
    No,
    /// It carries none and needs none.
    Never,
}

/// Looks for the mark of an open bucket.
pub(super) async fn marked(
    bucket: &Bucket,
    config: &BucketConfig,
    environment: &Environment,
) -> Result<Marked, Fault> {
    if config.backend == BackendConfig::Memory {
        return Ok(Marked::Never);
    }
    let bytes = match bucket.get(MARK).await {
        Ok(bytes) => bytes,
        Err(StorageError::NotFound { .. }) => return Ok(Marked::No),
        Err(error) => return Err(Fault::of(&error, config, environment)),
    };
    let mark: Mark = serde_json::from_slice(&bytes)
        .ok()
        .filter(|mark: &Mark| mark.format == FORMAT)
        .ok_or_else(|| {
            let cure = match config.backend {
                // A web server answers every path with a page.
                BackendConfig::S3(_) => {
                    "see that `endpoint` is an S3 service; if it is, delete that object"
                }
                _ => "delete that object",
            };
            let why = format!("its object `{MARK}` is no mark of a bucket; {cure}");
            Fault::new(Cause::Wrong, why)
        })?;
    if mark.format_version > FORMAT_VERSION {
        let why = format!("its object `{MARK}` is of a newer version of this program; update it");
        return Err(Fault::new(Cause::Wrong, why));
    }
    if mark.name != config.name {
        let why = format!(
            "what lies there is the bucket `{}`; register it under that name, or choose another place",
            mark.name
        );
        return Err(Fault::new(Cause::AnotherName, why));
    }
    Ok(Marked::Yes)
}

/// Gives a bucket its mark. Of two hosts that do, one is enough.
pub(super) async fn mark(bucket: &Bucket, now: Timestamp) -> Result<(), StorageError> {
    let mark = Mark {
        format: FORMAT.to_owned(),
        format_version: FORMAT_VERSION,
        name: bucket.name().clone(),
        created_at: now,
    };
    match bucket
        .put_new(MARK, serde_json::to_vec(&mark)?.into())
        .await
    {
        Err(StorageError::Exists { .. }) => Ok(()),
        other => other,
    }
}

/// Whether the rescue bucket holds a copy of the mark of a bucket or, of `primary`, of its catalogue.
pub(super) async fn has_copies(rescue: &Bucket, name: &BucketName) -> Result<bool, StorageError> {
    if *name == BucketName::primary() {
        let listed = rescue
            .list(&format!("{name}/{}", catalogue::PREFIX))
            .await?;
        return Ok(!listed.is_empty());
    }
    rescue.exists(&format!("{name}/{MARK}")).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment::from([("KEY".to_owned(), "hunter2".to_owned())])
    }

    fn s3() -> BucketConfig {
        let text = r#"{"name":"far","backend":"s3","bucket":"b","access_key_id":"env:KEY","secret_access_key":"env:KEY"}"#;
        serde_json::from_str(text).expect("a configuration")
    }

    #[test]
    fn what_a_store_says_is_told_without_secrets_and_short() {
        let said = format!("no such key hunter2, {}", "x".repeat(5_000));
        let error = StorageError::Unavailable {
            bucket: s3().name,
            path: "a".to_owned(),
            source: Arc::new(object_store::Error::Generic {
                store: "S3",
                source: said.into(),
            }),
        };
        let fault = Fault::of(&error, &s3(), &environment());
        assert_eq!(fault.cause, Cause::Unreachable);
        assert!(fault.why.contains("no such key ***"), "{}", fault.why);
        assert!(!fault.why.contains("hunter2") && fault.why.chars().count() == SHOWN + 1);
        assert!(fault.why.ends_with('…'), "{}", fault.why);
    }

    #[test]
    fn what_a_store_says_is_one_line_that_names_no_bucket_twice() {
        let said = "bucket `far` failed at `a`: <?xml?>\n<Error>\n  <Code>Slow</Code>\n</Error>\n";
        let expected = "it failed at `a`: <?xml?> <Error> <Code>Slow</Code> </Error>";
        assert_eq!(readable(said, &s3()), expected);
    }

    #[test]
    fn without_keys_the_role_of_the_machine_is_what_failed() {
        let text = r#"{"name":"far","backend":"s3","bucket":"b"}"#;
        let keyless: BucketConfig = serde_json::from_str(text).expect("a configuration");
        let said = "failed: error performing PUT http://169.254.169.254/latest/api/token";
        assert!(readable(said, &keyless).starts_with("no keys are given"));
        assert_eq!(readable(said, &s3()), said);
        assert_eq!(readable("failed: refused", &keyless), "failed: refused");
    }

    #[tokio::test]
    async fn a_mark_names_its_bucket_and_no_other() {
        let folder = tempfile::tempdir().expect("folder");
        let config = |name: &str| BucketConfig {
            name: name.parse().expect("a name"),
            backend: BackendConfig::Local {
                root: folder.path().to_owned(),
            },
        };
        let environment = Arc::new(Environment::default());
        let bucket = open(&config("one"), Root::Expect, &environment)
            .await
            .expect("open");
        let look = async |name: &str| marked(&bucket, &config(name), &environment).await;
        assert_eq!(look("one").await, Ok(Marked::No));
        for _ in 0..2 {
            mark(&bucket, Timestamp::from_millis(0))
                .await
                .expect("marked");
        }
        assert_eq!(look("one").await, Ok(Marked::Yes));
        let fault = look("two").await.expect_err("another name");
        assert_eq!(fault.cause, Cause::AnotherName);
        assert!(fault.why.contains("`one`"), "{}", fault.why);
        bucket.put(MARK, "{}".into()).await.expect("damaged");
        assert_eq!(look("one").await.expect_err("damaged").cause, Cause::Wrong);
    }

    #[tokio::test]
    async fn the_folder_of_a_bucket_that_was_there_before_is_not_made_anew() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path().join("gone");
        let config = BucketConfig {
            name: "one".parse().expect("a name"),
            backend: BackendConfig::Local { root: root.clone() },
        };
        let environment = Arc::new(Environment::default());
        let fault = open(&config, Root::Expect, &environment).await;
        assert_eq!(fault.expect_err("gone").cause, Cause::Lost);
        assert!(!root.exists());
        assert!(open(&config, Root::Make, &environment).await.is_ok());
    }
}
