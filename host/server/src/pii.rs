//! `[ingest.pii]`: what happens to personal data in every dataset, and the key of hashed columns.
//!
//! The key is named, never written down: it is read once at start from a variable or a file. A host whose
//! configuration asks for hashes without a key does not start.

use std::{collections::BTreeMap, sync::Arc};

use boathouse_ingest::{Action, HashKey, IngestError, PiiRules};
use boathouse_storage::{SecretRef, StorageError};
use serde::{Deserialize, Serialize};

use crate::config::Environment;

/// `[ingest.pii]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PiiConfig {
    /// Where the key of hashed columns is: `env:NAME` or `file:/absolute/path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_key: Option<SecretRef>,
    /// Findings below it have no consequence, in 0..=1.
    pub min_confidence: f64,
    /// What happens to a kind of personal data where the dataset's own policy says nothing.
    pub kinds: BTreeMap<String, Action>,
}

/// The rules for personal data cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum PiiError {
    /// The key is not where the configuration says.
    #[error("the key of `ingest.pii.hash_key` cannot be read")]
    Key(#[from] StorageError),
    /// The key or the rules cannot be used.
    #[error("`[ingest.pii]` cannot be used")]
    Rules(#[from] IngestError),
}

impl Default for PiiConfig {
    fn default() -> Self {
        Self {
            hash_key: None,
            min_confidence: PiiRules::default().min_confidence,
            kinds: BTreeMap::new(),
        }
    }
}

impl PiiConfig {
    /// Whether the section makes sense, the key apart.
    ///
    /// # Errors
    /// [`IngestError::BadPolicy`].
    pub(crate) fn check(&self) -> Result<(), IngestError> {
        let mut rules = self.without_key();
        if self.hash_key.is_some() {
            // The key is looked at when the host starts; here it is enough that there will be one.
            rules.kinds.retain(|_, action| *action != Action::Hash);
        }
        rules.check()
    }

    /// The rules, with the key.
    ///
    /// # Errors
    /// [`PiiError`].
    pub(crate) fn rules(&self, environment: &Environment) -> Result<PiiRules, PiiError> {
        let mut rules = self.without_key();
        if let Some(reference) = &self.hash_key {
            let secret = reference.resolve(&|name| environment.get(name).cloned())?;
            rules.key = Some(Arc::new(HashKey::new(secret.as_bytes())?));
        }
        rules.check()?;
        Ok(rules)
    }

    fn without_key(&self) -> PiiRules {
        PiiRules {
            kinds: self.kinds.clone(),
            min_confidence: self.min_confidence,
            ..PiiRules::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<PiiConfig, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_section_reads_and_writes_itself() {
        let text = "hash_key = \"env:KEY\"\nmin_confidence = 0.7\n\n[kinds]\nemail = \"hash\"\nphone = \"mask:4\"\n";
        let section = config(text).expect("sound");
        section.check().expect("a key will be there");
        assert_eq!(toml::to_string(&section).expect("written"), text);
    }

    #[test]
    fn mistakes_are_refused() {
        for text in [
            "hash_key = \"0123456789abcdef\"",
            "[kinds]\nemail = \"masc\"",
            "kind = 1",
        ] {
            let error = config(text).expect_err(text);
            assert!(!error.contains("0123456789abcdef"), "{error}");
        }
        for text in [
            "[kinds]\nemail = \"hash\"",
            "[kinds]\nE-Mail = \"drop\"",
            "min_confidence = 2.0",
        ] {
            assert!(config(text).expect(text).check().is_err(), "{text}");
        }
    }

    #[test]
    fn the_key_comes_from_where_the_section_says() {
        let section = config("hash_key = \"env:KEY\"\n[kinds]\nemail = \"hash\"").expect("sound");
        let rules = |value: Option<&str>| {
            let variable = value.map(|value| ("KEY".to_owned(), value.to_owned()));
            section.rules(&variable.into_iter().collect())
        };
        let key = rules(Some("0123456789abcdef")).expect("a key").key;
        assert_eq!(key.expect("a key").id().len(), 8);
        assert!(matches!(rules(None), Err(PiiError::Key(_))));
        assert!(matches!(rules(Some("short")), Err(PiiError::Rules(_))));
    }
}
