//! Names that models and profiles go by.
//!
//! A model has several spellings that the model server takes for the same: `llama3`, `llama3:latest` and
//! `registry.ollama.ai/library/llama3:latest`. [`ModelName`] keeps the one that the server itself shows (default
//! registry and namespace left out, the tag always there), so that two names are equal exactly when they mean the
//! same model. A [`ProfileId`] is a name of ours; `active` is reserved, since it stands in paths where ids do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest name of a model, in bytes.
const MAX_MODEL: usize = 200;
/// Longest id of a profile, in bytes.
const MAX_PROFILE: usize = 63;
/// What the server leaves out when it shows a name.
const DEFAULT_REGISTRY: &str = "registry.ollama.ai/";
/// As [`DEFAULT_REGISTRY`].
const DEFAULT_NAMESPACE: &str = "library/";
/// The tag that a name without one means.
const DEFAULT_TAG: &str = "latest";
/// Stands in paths where ids of profiles do.
const RESERVED: &str = "active";

/// A text that is no name; says what one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not {wanted}")]
pub struct NameError {
    wanted: &'static str,
    shown: String,
}

impl NameError {
    fn new(text: &str, wanted: &'static str) -> Self {
        let shown = text.chars().take(80).flat_map(char::escape_debug);
        Self {
            wanted,
            shown: shown.collect(),
        }
    }
}

/// The name of a model as the model server shows it, tag included.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "llama3.2:3b")]
pub struct ModelName(String);

impl ModelName {
    /// Parses `[registry/][namespace/]model[:tag]`; each part holds letters, digits, `.`, `_` and `-`.
    ///
    /// # Errors
    /// When the text is something else, or longer than 200 bytes.
    pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
        let text = text.as_ref();
        let refused = || {
            NameError::new(
                text,
                "the name of a model: write `model`, `model:tag` or `namespace/model:tag`",
            )
        };
        let shown = text.strip_prefix(DEFAULT_REGISTRY).unwrap_or(text);
        let shown = shown.strip_prefix(DEFAULT_NAMESPACE).unwrap_or(shown);
        let start = shown.rfind('/').map_or(0, |slash| slash + 1);
        let (path, tag) = match shown[start..].find(':') {
            Some(colon) => (&shown[..start + colon], &shown[start + colon + 1..]),
            None => (shown, DEFAULT_TAG),
        };
        let parts: Vec<&str> = path.split('/').collect();
        let (last, before) = parts.split_last().ok_or_else(refused)?;
        // A registry may have a port, and is there only before a namespace.
        let (registry, namespace) = match before {
            [] => (None, None),
            [namespace] => (None, Some(*namespace)),
            [registry, namespace] => (Some(*registry), Some(*namespace)),
            _ => return Err(refused()),
        };
        let registry_ok = registry.is_none_or(|registry| registry.split(':').all(is_part));
        let rest_ok = namespace.is_none_or(is_part) && is_part(last) && is_part(tag);
        if text.len() > MAX_MODEL || !registry_ok || !rest_ok {
            return Err(refused());
        }
        Ok(Self(format!("{path}:{tag}")))
    }

    /// The name as text, tag included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_part(part: &str) -> bool {
    let starts = part.bytes().next();
    starts.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The id of a model profile.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "lawyers")]
pub struct ProfileId(String);

impl ProfileId {
    /// Parses `[a-z0-9][a-z0-9_-]{0,62}` that is not `active`.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let starts = text.bytes().next().is_some_and(letter);
        let rest = text
            .bytes()
            .all(|byte| letter(byte) || matches!(byte, b'_' | b'-'));
        if starts && rest && text.len() <= MAX_PROFILE && text != RESERVED {
            return Ok(Self(text));
        }
        Err(NameError::new(
            &text,
            "the id of a profile: use 1 to 63 lower-case letters, digits, hyphens and underscores, starting with a letter or digit; `active` is reserved",
        ))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

as_text!(ModelName);
as_text!(ProfileId);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let name = ModelName::new(text).ok();
        assert_eq!(name.as_ref().map(ModelName::as_str), expected, "{text:?}");
    }

    #[test]
    fn spellings_of_one_model_are_one_name() {
        check("llama3", Some("llama3:latest"));
        check("llama3:latest", Some("llama3:latest"));
        check("library/llama3", Some("llama3:latest"));
        check("registry.ollama.ai/library/llama3:8b", Some("llama3:8b"));
        check("mine/llama3", Some("mine/llama3:latest"));
        check("hf.co:443/a/b:Q4_K_M", Some("hf.co:443/a/b:Q4_K_M"));
        check("nomic-embed-text:v1.5", Some("nomic-embed-text:v1.5"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "", ":", "a:", ":a", "a b", "a/../b", "../a", "a//b", "a/b/c/d", "a:b:c", "-a", "ä",
            "a\nb",
        ] {
            check(text, None);
        }
        check(&"a".repeat(201), None);
    }

    #[test]
    fn a_name_reads_back_from_its_own_text() {
        let name = ModelName::new("a/b").unwrap();
        assert_eq!(ModelName::new(name.as_str()), Ok(name));
    }

    #[test]
    fn profiles_have_plain_ids_and_active_is_none() {
        for text in ["a", "lawyers-2", "0_x"] {
            assert_eq!(ProfileId::new(text).unwrap().as_str(), text);
        }
        for text in ["", "active", "-a", "A", "a b", "a/b", "ä"] {
            assert!(ProfileId::new(text).is_err(), "{text:?}");
        }
        assert!(ProfileId::new("a".repeat(64)).is_err());
    }
}
