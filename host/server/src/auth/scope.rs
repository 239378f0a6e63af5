//! What a key allows: a closed list of scopes, each a short text.
//!
//! Scopes do not contain one another, except that `admin` contains all: a key that ingests and follows
//! what it started has `ingest` and nothing else. Which scope a route asks for is told by
//! [`policy`](super::policy), not here.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// One right of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// `read`: look at everything but keys and the audit log.
    Read,
    /// `search`: search indexes.
    Search,
    /// `ingest`: take data in, delete datasets.
    Ingest,
    /// `tune`: make and delete indexes, run trials, promote.
    Tune,
    /// `models`: change what runs on the models' hardware.
    Models,
    /// `storage`: change buckets.
    Storage,
    /// `plugins:write:{team}`: upload, activate and roll back this team's plugins.
    PluginsWrite(Team),
    /// `admin`: everything, keys and the audit log among it.
    Admin,
}

/// Scopes whose text is all there is to them.
const PLAIN: [(&str, Scope); 7] = [
    ("read", Scope::Read),
    ("search", Scope::Search),
    ("ingest", Scope::Ingest),
    ("tune", Scope::Tune),
    ("models", Scope::Models),
    ("storage", Scope::Storage),
    ("admin", Scope::Admin),
];
const PLUGINS_WRITE: &str = "plugins:write:";

impl Scope {
    /// The right to change the plugins of a team; none when the text is no team's name.
    #[must_use]
    pub fn plugins_of(team: &str) -> Option<Self> {
        Team::new(team).map(Self::PluginsWrite)
    }

    /// Whether what it allows is bounded by the datasets and indexes that it touches.
    #[must_use]
    pub fn is_about_data(&self) -> bool {
        matches!(self, Self::Read | Self::Search | Self::Ingest | Self::Tune)
    }
}

/// The first part of a plugin's name, `[a-z0-9][a-z0-9-]*`, 63 characters at most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Team(String);

impl Team {
    /// Parses a name.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let first = text.bytes().next()?;
        let rest_ok = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        (first != b'-' && rest_ok && text.len() <= 63).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no scope: use read, search, ingest, tune, models, storage, plugins:write:TEAM or admin"
)]
pub struct ScopeError(String);

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PluginsWrite(team) => write!(f, "{PLUGINS_WRITE}{}", team.as_str()),
            plain => {
                let found = PLAIN.iter().find(|(_, scope)| scope == plain);
                f.write_str(found.map_or("", |(text, _)| *text))
            }
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let plain = PLAIN.iter().find(|(name, _)| *name == text);
        plain
            .map(|(_, scope)| scope.clone())
            .or_else(|| Self::plugins_of(text.strip_prefix(PLUGINS_WRITE)?))
            .ok_or_else(|| {
                let shown = text.chars().take(80).flat_map(char::escape_debug);
                ScopeError(shown.collect())
            })
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_read_back_from_its_text() {
        let mut texts: Vec<&str> = PLAIN.iter().map(|(text, _)| *text).collect();
        texts.push("plugins:write:team-1");
        for text in texts {
            let scope: Scope = text.parse().expect(text);
            assert_eq!(scope.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_scope_is_refused_in_few_words() {
        let long = "x\n".repeat(10_000);
        for bad in [
            "",
            "Read",
            "read ",
            "write",
            "plugins:write",
            "plugins:write:",
            "plugins:write:*",
            "plugins:write:A",
            "plugins:write:-a",
            "plugins:write:a/b",
            &long,
        ] {
            let error = bad.parse::<Scope>().expect_err(bad).to_string();
            assert!(error.len() < 400 && !error.contains('\n'), "{error}");
        }
    }
}
