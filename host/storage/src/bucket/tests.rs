//! What a bucket promises, over every backend that needs no server.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, PutMultipartOptions,
    PutOptions, PutResult,
};
use tempfile::TempDir;

use super::*;
use crate::{S3Config, SecretRef};

fn no_environment(_: &str) -> Option<String> {
    None
}

fn open(backend: BackendConfig) -> Result<Bucket, StorageError> {
    let name = BucketName::primary();
    Bucket::open(&BucketConfig { name, backend }, &no_environment)
}

fn local(folder: &TempDir) -> Bucket {
    let root = folder.path().join("made/here");
    open(BackendConfig::Local { root }).unwrap()
}

async fn check_promises(bucket: &Bucket) {
    let bytes = Bytes::from_static(b"1");
    bucket.put("a/b/c.json", bytes.clone()).await.unwrap();
    bucket.put("a/b/c.json", bytes.clone()).await.unwrap();
    assert_eq!(bucket.get("a/b/c.json").await.unwrap(), bytes);
    assert!(bucket.exists("a/b/c.json").await.unwrap());
    assert!(!bucket.exists("a/b").await.unwrap_or(false));

    let again = bucket.put_new("a/b/c.json", bytes.clone()).await;
    assert!(
        matches!(again, Err(StorageError::Exists { .. })),
        "{again:?}"
    );
    bucket.put_new("a/d", bytes.clone()).await.unwrap();
    let missing = bucket.get("a/x").await;
    assert!(
        matches!(missing, Err(StorageError::NotFound { .. })),
        "{missing:?}"
    );

    let paths = async |folder| {
        let objects = bucket.list(folder).await.unwrap();
        objects.into_iter().map(|o| o.path).collect::<Vec<_>>()
    };
    assert_eq!(paths("").await, ["a/b/c.json", "a/d"]);
    assert_eq!(paths("a/b/").await, ["a/b/c.json"]);
    assert!(paths("a/").await.len() == 2 && paths("nowhere").await.is_empty());
    assert_eq!(bucket.children("a").await.unwrap(), ["b"]);
    assert!(bucket.children("nowhere").await.unwrap().is_empty());

    bucket.delete("a/b/c.json").await.unwrap();
    bucket.delete("a/b/c.json").await.unwrap();
    assert!(bucket.children("a").await.unwrap().is_empty());
    bucket.probe().await.unwrap();
    assert_eq!(paths("").await, ["a/d"]);
}

#[tokio::test]
async fn a_folder_keeps_the_promises() {
    let folder = tempfile::tempdir().unwrap();
    check_promises(&local(&folder)).await;
}

#[tokio::test]
async fn a_probe_leaves_no_folders_of_its_own_and_removes_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let probes = folder.path().join("made/here/.boathouse-probe");
    std::fs::create_dir_all(probes.join("of-another")).unwrap();
    let bucket = local(&folder);
    for _ in 0..2 {
        bucket.probe().await.unwrap();
    }
    let left = std::fs::read_dir(&probes).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["of-another"]);
}

#[tokio::test]
async fn memory_keeps_the_promises() {
    check_promises(&Bucket::memory(BucketName::primary())).await;
}

#[tokio::test]
async fn no_operation_leaves_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = local(&folder);
    std::fs::write(folder.path().join("made/secret"), "x").unwrap();
    for path in ["../secret", "/etc/passwd", "a/../../secret", "a\\..\\b", ""] {
        let invalid = |result: Result<(), StorageError>| {
            assert!(
                matches!(result, Err(StorageError::InvalidPath { .. })),
                "{path:?}: {result:?}"
            );
        };
        invalid(bucket.get(path).await.map(drop));
        invalid(bucket.put(path, Bytes::new()).await);
        invalid(bucket.put_new(path, Bytes::new()).await);
        invalid(bucket.delete(path).await);
        invalid(bucket.exists(path).await.map(drop));
        if !path.is_empty() {
            invalid(bucket.list(path).await.map(drop));
            invalid(bucket.children(path).await.map(drop));
        }
    }
}

#[tokio::test]
async fn objects_survive_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    local(&folder)
        .put("a", Bytes::from_static(b"1"))
        .await
        .unwrap();
    assert_eq!(local(&folder).get("a").await.unwrap(), "1");
}

#[test]
fn an_unusable_root_names_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for (root, cure) in [
        (file.clone(), "is a file"),
        (file.join("below"), "cannot be created"),
    ] {
        let error = open(BackendConfig::Local { root }).unwrap_err();
        assert!(matches!(error, StorageError::UnusableRoot { .. }));
        assert!(error.to_string().contains(cure), "{error}");
    }
}

#[test]
fn s3_opens_from_its_configuration_without_a_network() {
    let environment = |name: &str| (name == "KEY").then(|| "s3cret".to_owned());
    let open = |change: fn(&mut S3Config)| {
        let mut s3 = S3Config {
            endpoint: Some("http://127.0.0.1:1".into()),
            bucket: "b".into(),
            prefix: Some("team/a".into()),
            access_key_id: Some(SecretRef::Env("KEY".into())),
            secret_access_key: Some(SecretRef::Env("KEY".into())),
            allow_http: true,
            ..S3Config::default()
        };
        change(&mut s3);
        let name = BucketName::primary();
        let backend = BackendConfig::S3(s3);
        Bucket::open(&BucketConfig { name, backend }, &environment)
    };
    let bucket = open(|_| {}).unwrap();
    assert!(!format!("{bucket:?}").contains("s3cret"));

    type Change = fn(&mut S3Config);
    let refused: [(Change, &str); 6] = [
        (|s3| s3.allow_http = false, "allow_http"),
        (
            |s3| s3.endpoint = Some("http://u:p@host".into()),
            "credentials",
        ),
        (|s3| s3.endpoint = Some("host:80".into()), "https://"),
        (|s3| s3.access_key_id = None, "go together"),
        (
            |s3| s3.access_key_id = Some(SecretRef::Env("NO".into())),
            "NO",
        ),
        (|s3| s3.prefix = Some("../x".into()), "`..`"),
    ];
    for (change, told) in refused {
        let error = open(change).unwrap_err().to_string();
        assert!(error.contains(told) && !error.contains("s3cret"), "{error}");
    }
}

/// A store as some S3-compatible servers are: conditional creates are checked, but not atomically.
#[derive(Debug, Default)]
struct TwoWinners {
    inner: InMemory,
    raced: AtomicBool,
}

impl fmt::Display for TwoWinners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TwoWinners")
    }
}

#[async_trait]
impl ObjectStore for TwoWinners {
    async fn put_opts(
        &self,
        at: &Path,
        bytes: PutPayload,
        how: PutOptions,
    ) -> object_store::Result<PutResult> {
        if how.mode == PutMode::Create {
            self.raced.store(true, Ordering::SeqCst);
        }
        self.inner
            .put_opts(at, bytes, PutMode::Overwrite.into())
            .await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, how).await
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> object_store::Result<GetResult> {
        self.inner.get_opts(at, how).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        how: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, how).await
    }
}

#[tokio::test]
async fn a_store_in_which_both_racers_win_is_refused() {
    let store = Arc::new(TwoWinners::default());
    let bucket = Bucket::memory(BucketName::primary()).with_store(store.clone());
    let error = bucket.probe().await.unwrap_err();
    assert!(matches!(error, StorageError::Unfit { .. }), "{error}");
    assert!(store.raced.load(Ordering::SeqCst));
    assert!(bucket.list("").await.unwrap().is_empty());
}
