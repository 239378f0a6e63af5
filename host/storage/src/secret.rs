//! References to secrets: where a credential is, never the credential.
//!
//! A reference is safe to store, log and return from the API. The value behind it is read when a bucket
//! is opened and goes straight into the store's client. The environment comes in by parameter.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::StorageError;

/// Where a secret is found; as text `env:NAME` or `file:/absolute/path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file whose content, without white space around it, is the secret.
    File(PathBuf),
}

impl SecretRef {
    /// Reads the secret; `environment` answers for environment variables.
    ///
    /// # Errors
    /// [`StorageError::UnresolvedSecret`] when the variable or the file is missing, unreadable or empty.
    pub fn resolve(
        &self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, StorageError> {
        let value = match self {
            Self::Env(name) => environment(name)
                .ok_or_else(|| self.unresolved(format!("set the environment variable {name}")))?,
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|error| self.unresolved(format!("make the file readable ({error})")))?,
        };
        let value = value.trim();
        if value.is_empty() {
            return Err(self.unresolved("it is empty".to_owned()));
        }
        Ok(value.to_owned())
    }

    fn unresolved(&self, cure: String) -> StorageError {
        StorageError::UnresolvedSecret {
            reference: self.clone(),
            cure,
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl FromStr for SecretRef {
    type Err = StorageError;

    fn from_str(text: &str) -> Result<Self, StorageError> {
        match text.split_once(':') {
            Some(("env", name)) if is_variable(name) => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if path.starts_with('/') => Ok(Self::File(path.into())),
            _ => Err(StorageError::InvalidSecretRef),
        }
    }
}

impl TryFrom<String> for SecretRef {
    type Error = StorageError;

    fn try_from(text: String) -> Result<Self, StorageError> {
        text.parse()
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> Self {
        reference.to_string()
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_keep_their_text() {
        for text in ["env:AWS_SECRET", "file:/run/secrets/key"] {
            let reference: SecretRef = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn a_secret_in_place_of_a_reference_is_refused_and_not_repeated() {
        for text in [
            "hunter2",
            "env:",
            "env:A B",
            "env:1A",
            "file:relative",
            "vault:x",
        ] {
            let error = text.parse::<SecretRef>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn values_come_from_the_environment_or_a_file() {
        let environment = |name: &str| (name == "KEY").then(|| "abc".to_owned());
        assert_eq!(
            SecretRef::Env("KEY".into()).resolve(&environment).unwrap(),
            "abc"
        );
        let missing = SecretRef::Env("NO".into())
            .resolve(&environment)
            .unwrap_err();
        assert!(missing.to_string().contains("env:NO"), "{missing}");

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "s3cret\n").unwrap();
        let reference = SecretRef::File(file.clone());
        assert_eq!(reference.resolve(&environment).unwrap(), "s3cret");
        std::fs::write(&file, " \n").unwrap();
        assert!(reference.resolve(&environment).is_err());
    }
}
