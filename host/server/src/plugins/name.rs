//! How plugins and their versions are named in paths, and which of them one is.
//!
//! Names are parsed once, at the edge, so that what reaches the catalogue can stand in a path and in a
//! message as it is. What serves is decided per place ([`Place`]).

use std::fmt;

use boathouse_types::{DatasetName, IndexName, PluginKind, PluginRef};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// Longest part of a name, in bytes.
const PART_BYTES: usize = 63;
/// Longest version, in bytes.
const VERSION_BYTES: usize = 64;

/// A plugin, whatever its version: its kind and `team/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PluginId {
    kind: PluginKind,
    name: String,
}

impl PluginId {
    /// Parses the parts of a path.
    ///
    /// # Errors
    /// 422 `bad_name` when a part is no name.
    pub fn new(kind: PluginKind, team: &str, name: &str) -> Result<Self, Problem> {
        for (what, part) in [("team", team), ("plugin", name)] {
            if !is_part(part) {
                return Err(Problem::unprocessable(
                    "bad_name",
                    format!(
                        "`{}` is not a {what} name: use 1 to {PART_BYTES} lower-case letters, digits and hyphens",
                        shown(part)
                    ),
                ));
            }
        }
        Ok(Self {
            kind,
            name: format!("{team}/{name}"),
        })
    }

    /// What it decides.
    #[must_use]
    pub fn kind(&self) -> PluginKind {
        self.kind
    }

    /// `team/name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose it is.
    #[must_use]
    pub fn team(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// This plugin at a version.
    #[must_use]
    pub fn at(&self, version: &str) -> PluginRef {
        PluginRef {
            name: self.name.clone(),
            version: version.to_owned(),
        }
    }

    /// The path of its routes.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/plugins/{}/{}", self.kind, self.name)
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} plugin `{}`", self.kind, self.name)
    }
}

/// A version out of a path or a query string, as it was written.
///
/// # Errors
/// 422 `bad_version` when it is not a semantic version.
pub fn parse_version(text: &str) -> Result<String, Problem> {
    let parsed = (text.len() <= VERSION_BYTES).then(|| semver::Version::parse(text));
    match parsed {
        Some(Ok(_)) => Ok(text.to_owned()),
        _ => Err(Problem::field(
            "version",
            "bad_version",
            format!("`{}` is not a semantic version such as 1.2.0", shown(text)),
        )),
    }
}

/// Where a plugin serves.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Everywhere that no other place overrides: the default of a kind; of detectors, the set that looks at
    /// every dataset.
    Host,
    /// One index, instead of the default.
    Index(IndexName),
    /// One dataset: a detector beside the set, or instead of its own other version in the set.
    Dataset(DatasetName),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("the host"),
            Self::Index(name) => write!(f, "index `{name}`"),
            Self::Dataset(name) => write!(f, "dataset `{name}`"),
        }
    }
}

fn is_part(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=PART_BYTES).contains(&part.len()) && !part.starts_with('-') && part.bytes().all(plain)
}

/// Foreign text for a message: bounded and escaped.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_path() {
        let kind = PluginKind::Scoring;
        let id = PluginId::new(kind, "acme", "best-1").expect("name");
        assert_eq!((id.team(), id.name()), ("acme", "acme/best-1"));
        assert_eq!(id.path(), "/plugins/scoring/acme/best-1");
        for bad in [
            "",
            "..",
            "a/b",
            "A",
            "é",
            "a b",
            "a\n",
            "-a",
            &"a".repeat(64),
        ] {
            for (team, name) in [(bad, "x"), ("x", bad)] {
                let problem = PluginId::new(kind, team, name).expect_err(bad);
                assert_eq!((problem.status, problem.code.as_str()), (422, "bad_name"));
                assert!(!problem.detail.contains('\n'));
            }
        }
    }

    #[test]
    fn versions_are_semantic() {
        for good in ["0.1.0", "1.2.3-rc.1", "1.0.0+build.7"] {
            assert_eq!(parse_version(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "1",
            "1.2",
            "v1.2.3",
            "latest",
            "1.2.3 ",
            &"1".repeat(500),
        ] {
            let problem = parse_version(bad).expect_err(bad);
            assert_eq!(
                (problem.status, problem.code.as_str()),
                (422, "bad_version")
            );
        }
    }

    #[test]
    fn places_have_a_short_form() {
        let index = Place::Index(IndexName::new("papers").expect("name"));
        for (place, text) in [(Place::Host, "\"host\""), (index, "{\"index\":\"papers\"}")] {
            assert_eq!(serde_json::to_string(&place).expect("json"), text);
            assert_eq!(serde_json::from_str::<Place>(text).expect("place"), place);
        }
    }
}
