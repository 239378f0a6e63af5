//! What a bucket is made of, as it stands in the configuration file and in the catalogue.
//!
//! `backend = "local" | "memory" | "s3"` selects the fields; unknown fields are refused, so that a
//! misspelt one cannot be silently ignored. Nothing here is secret: credentials are [`SecretRef`]s.

use std::path::PathBuf;

use boathouse_types::BucketName;
use serde::{Deserialize, Serialize};

use crate::SecretRef;

/// A bucket: its name and where its objects are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketConfig {
    /// The name it is registered under.
    pub name: BucketName,
    /// Where its objects are.
    #[serde(flatten)]
    pub backend: BackendConfig,
}

/// Where the objects of a bucket are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Fields", into = "Fields")]
pub enum BackendConfig {
    /// In a folder of this machine, created when missing.
    Local {
        /// The folder.
        root: PathBuf,
    },
    /// In memory, gone when the process ends; for tests.
    Memory,
    /// In a bucket of S3 or a compatible store.
    S3(S3Config),
}

/// A bucket of S3 or a compatible store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// URL of the service; none: AWS itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Region; none: `us-east-1`, which most compatible stores take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The store's name of the bucket.
    pub bucket: String,
    /// Folder inside it that becomes the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Access key; none together with the secret key: the machine's own role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<SecretRef>,
    /// Secret key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<SecretRef>,
    /// Allows an `http://` endpoint.
    #[serde(default)]
    pub allow_http: bool,
}

impl BackendConfig {
    /// The name of the kind: `local`, `memory` or `s3`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Local { .. } => "local",
            Self::Memory => "memory",
            Self::S3(_) => "s3",
        }
    }
}

/// The written form. `Memory` has braces here because serde lets a unit variant pass unknown fields.
#[derive(Serialize, Deserialize)]
#[serde(tag = "backend", rename_all = "lowercase", deny_unknown_fields)]
enum Fields {
    Local { root: PathBuf },
    Memory {},
    S3(S3Config),
}

impl From<Fields> for BackendConfig {
    fn from(fields: Fields) -> Self {
        match fields {
            Fields::Local { root } => Self::Local { root },
            Fields::Memory {} => Self::Memory,
            Fields::S3(config) => Self::S3(config),
        }
    }
}

impl From<BackendConfig> for Fields {
    fn from(config: BackendConfig) -> Self {
        match config {
            BackendConfig::Local { root } => Self::Local { root },
            BackendConfig::Memory => Self::Memory {},
            BackendConfig::S3(config) => Self::S3(config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S3: &str = r#"
        name = "archive"
        backend = "s3"
        endpoint = "http://127.0.0.1:8333"
        bucket = "boathouse"
        prefix = "team/a"
        access_key_id = "env:KEY"
        secret_access_key = "file:/run/secrets/s3"
        allow_http = true
    "#;

    #[test]
    fn every_backend_reads_and_writes_itself() {
        for text in [
            "name = \"primary\"\nbackend = \"local\"\nroot = \"/data\"",
            "name = \"scratch\"\nbackend = \"memory\"",
            S3,
        ] {
            let config: BucketConfig = toml::from_str(text).unwrap();
            let json = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<BucketConfig>(&json).unwrap(), config);
        }
    }

    #[test]
    fn s3_fields_land_where_they_belong() {
        let config: BucketConfig = toml::from_str(S3).unwrap();
        let BackendConfig::S3(s3) = config.backend else {
            panic!("not s3");
        };
        assert_eq!(s3.prefix.as_deref(), Some("team/a"));
        assert_eq!(s3.access_key_id, Some(SecretRef::Env("KEY".into())));
        assert_eq!(s3.region, None);
        assert!(s3.allow_http);
    }

    #[test]
    fn mistakes_are_refused() {
        for text in [
            "name = \"x\"\nbackend = \"local\"\nroot = \"/d\"\nrot = \"/e\"",
            "name = \"x\"\nbackend = \"memory\"\nroot = \"/d\"",
            "name = \"x\"\nbackend = \"s3\"\nbucket = \"b\"\nregoin = \"eu\"",
            "name = \"x\"\nbackend = \"s3\"\nbucket = \"b\"\nsecret_access_key = \"hunter2\"",
            "name = \"x\"\nbackend = \"ftp\"",
            "name = \"../x\"\nbackend = \"memory\"",
            "name = \"x\"",
        ] {
            let error = toml::from_str::<BucketConfig>(text)
                .unwrap_err()
                .message()
                .to_owned();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
