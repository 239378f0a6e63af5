//! From a bucket's configuration to its object store.
//!
//! Mistakes that can be seen without a network are found here, each error with its cure: a root that is
//! a file or not writable, half a pair of credentials, an endpoint that needs `allow_http`.

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::Arc,
    time::Duration,
};

use boathouse_types::BucketName;
use object_store::{
    ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, S3ConditionalPut},
    memory::InMemory,
    prefix::PrefixStore,
};

use crate::{
    BackendConfig, BucketConfig, S3Config, SecretRef, StorageError, id, local::DurableFileSystem,
    path::folder_path, s3::S3Store,
};

/// How often and how long a request to S3 is retried before it counts as failed.
const S3_RETRIES: usize = 5;
const S3_RETRY_TIMEOUT: Duration = Duration::from_secs(30);
/// What compatible stores take when no region is configured.
const S3_REGION: &str = "us-east-1";

/// Opens the store of a bucket.
pub(super) fn store(
    config: &BucketConfig,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Arc<dyn ObjectStore>, StorageError> {
    match &config.backend {
        BackendConfig::Local { root } => local(&config.name, root),
        BackendConfig::Memory => Ok(Arc::new(InMemory::new())),
        BackendConfig::S3(s3) => open_s3(&config.name, s3, environment),
    }
}

fn local(bucket: &BucketName, root: &Path) -> Result<Arc<dyn ObjectStore>, StorageError> {
    let unusable = |cure, source| StorageError::UnusableRoot {
        bucket: bucket.clone(),
        root: root.display().to_string(),
        cure,
        source: Arc::new(source),
    };
    if root.exists() && !root.is_dir() {
        let cure = "it is a file; choose a folder as `root`";
        return Err(unusable(cure, io::ErrorKind::NotADirectory.into()));
    }
    fs::create_dir_all(root).map_err(|error| {
        let cure = "it cannot be created; create it or choose another `root`";
        unusable(cure, error)
    })?;
    try_writing(root).map_err(|error| {
        let cure = "it cannot be written; let this user write there, free some space, or choose another `root`";
        unusable(cure, error)
    })?;
    let store = DurableFileSystem::open(root).map_err(|error| {
        let cure = "it cannot be opened; choose another `root`";
        unusable(cure, io::Error::other(error))
    })?;
    Ok(Arc::new(store))
}

fn try_writing(root: &Path) -> io::Result<()> {
    let file = root.join(format!(".boathouse#{}", id::nonce().as_u128()));
    File::create_new(&file)?;
    fs::remove_file(&file)
}

fn open_s3(
    bucket: &BucketName,
    config: &S3Config,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Arc<dyn ObjectStore>, StorageError> {
    let misconfigured = |reason: String| StorageError::Misconfigured {
        bucket: bucket.clone(),
        reason,
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&config.bucket)
        .with_region(config.region.as_deref().unwrap_or(S3_REGION))
        .with_allow_http(config.allow_http)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig {
            max_retries: S3_RETRIES,
            retry_timeout: S3_RETRY_TIMEOUT,
            ..RetryConfig::default()
        });
    if config.bucket.is_empty() {
        return Err(misconfigured("`bucket` is empty".to_owned()));
    }
    if let Some(endpoint) = &config.endpoint {
        check_endpoint(endpoint, config.allow_http).map_err(misconfigured)?;
        builder = builder.with_endpoint(endpoint);
    }
    if let Some((id, secret)) = key_pair(config).map_err(misconfigured)? {
        builder = builder
            .with_access_key_id(id.resolve(environment)?)
            .with_secret_access_key(secret.resolve(environment)?);
    }
    let store = builder.build().map_err(|e| misconfigured(e.to_string()))?;
    let store = S3Store::new(store);
    match config.prefix.as_deref() {
        None | Some("") => Ok(Arc::new(store)),
        Some(prefix) => Ok(Arc::new(PrefixStore::new(store, folder_path(prefix)?))),
    }
}

fn check_endpoint(endpoint: &str, allow_http: bool) -> Result<(), String> {
    if endpoint.contains('@') {
        return Err("`endpoint` must not hold credentials; refer to them in `access_key_id` and `secret_access_key`".to_owned());
    }
    if endpoint.starts_with("http://") && !allow_http {
        return Err("`endpoint` is not encrypted; use https or set `allow_http = true`".to_owned());
    }
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err("`endpoint` must start with https:// or http://".to_owned());
    }
    Ok(())
}

fn key_pair(config: &S3Config) -> Result<Option<(&SecretRef, &SecretRef)>, String> {
    match (&config.access_key_id, &config.secret_access_key) {
        (Some(id), Some(secret)) => Ok(Some((id, secret))),
        (None, None) => Ok(None),
        _ => {
            Err("`access_key_id` and `secret_access_key` go together; give both or none".to_owned())
        }
    }
}
