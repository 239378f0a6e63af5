//! Names that end up in object paths and URLs.
//!
//! All names share one grammar, `[a-z0-9][a-z0-9_-]{0,62}` (buckets without the underscore), so that
//! none can hold a separator, climb with `..`, or differ from another only by case.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest name, in bytes.
const MAX_LEN: usize = 63;

/// A text that is not a name; says what the grammar wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{shown}` is not {what} name: use 1 to 63 lower-case letters, digits and hyphens{also}, starting with a letter or digit"
)]
pub struct NameError {
    /// With its article.
    what: &'static str,
    also: &'static str,
    shown: String,
}

fn check(text: &str, what: &'static str, underscore: bool) -> Result<(), NameError> {
    let first_ok = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest_ok = text.bytes().all(|b| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || (underscore && b == b'_')
    });
    if first_ok && rest_ok && text.len() <= MAX_LEN {
        return Ok(());
    }
    Err(NameError {
        what,
        also: if underscore { " or underscores" } else { "" },
        shown: text.chars().take(80).flat_map(char::escape_debug).collect(),
    })
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, underscore: $underscore:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String)]
        pub struct $name(String);

        impl $name {
            /// Parses a name.
            ///
            /// # Errors
            /// When the text does not follow the grammar of this module.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check(&text, $what, $underscore)?;
                Ok(Self(text))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

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

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// Name of a bucket.
    BucketName, "a bucket", underscore: false
);
name!(
    /// Name of a dataset.
    DatasetName, "a dataset", underscore: true
);
name!(
    /// Name of a vector index.
    IndexName, "an index", underscore: true
);
name!(
    /// Name of a job that brings the rows of a source again and again.
    JobName, "a job", underscore: true
);

impl BucketName {
    /// The bucket that holds everything without a bucket of its own.
    #[must_use]
    pub fn primary() -> Self {
        Self("primary".to_owned())
    }

    /// The bucket that mirrors what recovery needs.
    #[must_use]
    pub fn rescue() -> Self {
        Self("rescue".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_folder() {
        for bad in [
            "",
            "..",
            "../x",
            "a/b",
            "A",
            "é",
            "-a",
            "_a",
            "a.b",
            "a\0",
            &"a".repeat(64),
        ] {
            assert!(DatasetName::new(bad).is_err(), "{bad:?} was taken");
            assert!(BucketName::new(bad).is_err(), "{bad:?} was taken");
        }
        assert!(DatasetName::new("union_2-speeches").is_ok());
        assert!(BucketName::new("under_score").is_err());
        assert!(IndexName::new("a".repeat(63)).is_ok());
    }

    #[test]
    fn errors_show_a_bounded_escaped_text() {
        let shown = DatasetName::new("x\n".repeat(1_000_000)).map_err(|e| e.to_string());
        assert!(shown.is_err_and(|text| text.len() < 400 && !text.contains('\n')));
    }

    #[test]
    fn errors_say_what_is_no_name_of_what() {
        let index = IndexName::new("E5").map_err(|error| error.to_string());
        assert!(index.is_err_and(|text| text.starts_with("`E5` is not an index name: ")));
        let job = JobName::new("E5").map_err(|error| error.to_string());
        assert!(job.is_err_and(|text| text.starts_with("`E5` is not a job name: ")));
    }

    #[test]
    fn serde_checks_names_too() {
        assert!(serde_json::from_str::<IndexName>("\"../x\"").is_err());
        assert_eq!(
            serde_json::from_str::<IndexName>("\"x\"").ok(),
            IndexName::new("x").ok()
        );
    }
}
