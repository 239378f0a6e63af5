//! Names of evaluation sets. They end up in object paths, so they share the grammar of all names:
//! `[a-z0-9][a-z0-9_-]{0,62}`.

use std::{fmt, str::FromStr};

use boathouse_types::IndexName;
use serde::{Deserialize, Serialize};

use crate::TuningError;

/// Name of an evaluation set, unique within its index.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String)]
pub struct EvalSetName(String);

impl EvalSetName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] when the text does not follow the grammar of this module.
    pub fn new(text: impl Into<String>) -> Result<Self, TuningError> {
        let text = text.into();
        // The grammar is that of index names; the message is our own.
        if IndexName::new(text.as_str()).is_err() {
            let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
            return Err(TuningError::InvalidInput(format!(
                "`{shown}` is not a name for an evaluation set: use 1 to 63 lower-case letters, digits, \
                 hyphens or underscores, starting with a letter or digit"
            )));
        }
        Ok(Self(text))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EvalSetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EvalSetName {
    type Err = TuningError;
    fn from_str(text: &str) -> Result<Self, TuningError> {
        Self::new(text)
    }
}

impl TryFrom<String> for EvalSetName {
    type Error = TuningError;
    fn try_from(text: String) -> Result<Self, TuningError> {
        Self::new(text)
    }
}

impl From<EvalSetName> for String {
    fn from(name: EvalSetName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_folder() {
        for bad in ["", "..", "a/b", "A", "x.json", &"a".repeat(64)] {
            let error = EvalSetName::new(bad).unwrap_err();
            assert!(error.to_string().contains("evaluation set"), "{error}");
        }
        assert_eq!(
            EvalSetName::new("drawn-1000").unwrap().as_str(),
            "drawn-1000"
        );
        assert!(serde_json::from_str::<EvalSetName>("\"../x\"").is_err());
    }
}
