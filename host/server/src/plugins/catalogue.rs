//! What is kept of plugins between two starts: versions, where each serves, and what served there before.
//!
//! The catalogue is one small document, a manifest in the primary bucket. It is changed by conditional
//! commits only, and each commit carries the events that it makes true, so that the audit log can be
//! brought up to it after a crash. Nothing here touches a bucket, loads a plugin or knows the time; how
//! the document may change is in `edit.rs`.
//!
//! States are read off it: *active* serves somewhere, *shadow* runs beside what serves, *retired* has
//! served, *checked* has passed the checks of this host, *uploaded* has not. *Suspended* is no state but a
//! flag: such a version keeps its places, and the bundled plugin answers there.

use std::collections::BTreeMap;

use boathouse_plugins::PluginDescription;
use boathouse_types::{PluginKind, PluginRef, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    events::Event,
    name::{Place, PluginId},
};
use crate::problem::Problem;

/// The name of the host itself in the audit log.
pub(crate) const HOUSE: &str = "boathouse";

/// All versions and what serves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Catalogue {
    /// Versions in the order of their uploads.
    #[serde(rename = "plugins")]
    pub(crate) versions: Vec<Entry>,
    /// What serves where.
    #[serde(default)]
    pub(crate) serving: Vec<Serving>,
    /// How often the plugins of a kind have changed.
    #[serde(default)]
    pub(crate) revisions: BTreeMap<PluginKind, u64>,
    /// Number of the newest event.
    #[serde(default)]
    pub(crate) last_event: u64,
    /// Events of the last change.
    #[serde(default)]
    pub(crate) news: Vec<Event>,
}

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) kind: PluginKind,
    pub(crate) name: String,
    pub(crate) version: String,
    /// SHA-256 of its bytes, in hex.
    pub(crate) digest: String,
    /// In catalogues of the first release: it serves for its kind.
    #[serde(default, rename = "active", skip_serializing)]
    was_default: bool,
    /// Size of its component.
    #[serde(default)]
    pub(crate) bytes: u64,
    /// Who uploaded it, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uploaded: Option<Stamp>,
    /// The program whose checks it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checked_by: Option<String>,
    /// How these went, in a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checks: Option<String>,
    /// What it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<PluginDescription>,
    /// The detached signature that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signature: Option<String>,
    /// It has served.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) served: bool,
    /// It runs beside what serves, since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shadow_since: Option<Timestamp>,
    /// The bundled plugin answers in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) suspended: Option<Suspension>,
}

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) at: Timestamp,
    pub(crate) by: String,
}

/// Why a version does not answer although it is active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Suspension {
    /// Since when.
    pub at: Timestamp,
    /// What it did.
    pub reason: String,
}

/// What serves at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Serving {
    pub(crate) kind: PluginKind,
    pub(crate) place: Place,
    pub(crate) plugin: PluginRef,
    /// Since when.
    pub(crate) since: Timestamp,
    /// What served here before, latest last; nothing stands for what serves where no place overrides it.
    #[serde(default)]
    pub(crate) before: Vec<Option<PluginRef>>,
}

/// How far a version has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its bytes are stored; this host has not checked them.
    Uploaded,
    /// It passed the checks.
    Checked,
    /// It runs beside what serves.
    Shadow,
    /// It serves.
    Active,
    /// It has served.
    Retired,
}

impl Entry {
    /// A version whose bytes are about to be stored, before any check.
    pub(crate) fn new(kind: PluginKind, plugin: PluginRef, digest: String, bytes: u64) -> Self {
        Self {
            kind,
            name: plugin.name,
            version: plugin.version,
            digest,
            was_default: false,
            bytes,
            uploaded: None,
            checked_by: None,
            checks: None,
            description: None,
            signature: None,
            served: false,
            shadow_since: None,
            suspended: None,
        }
    }

    /// Its name and version.
    pub(crate) fn plugin(&self) -> PluginRef {
        PluginRef {
            name: self.name.clone(),
            version: self.version.clone(),
        }
    }

    pub(crate) fn is(&self, kind: PluginKind, plugin: &PluginRef) -> bool {
        self.kind == kind && self.name == plugin.name && self.version == plugin.version
    }

    pub(crate) fn is_of(&self, id: &PluginId) -> bool {
        self.kind == id.kind() && self.name == id.name()
    }
}

impl Catalogue {
    /// The catalogue in its present shape. The first release listed three versions and which of them
    /// serve, and nothing else.
    pub(crate) fn migrated(mut self, now: Timestamp) -> Self {
        for entry in &mut self.versions {
            if !std::mem::take(&mut entry.was_default) {
                continue;
            }
            entry.served = true;
            let serving = Serving {
                kind: entry.kind,
                place: Place::Host,
                plugin: entry.plugin(),
                since: now,
                before: Vec::new(),
            };
            self.serving.push(serving);
        }
        self
    }

    /// A version.
    pub(crate) fn find(&self, kind: PluginKind, plugin: &PluginRef) -> Option<&Entry> {
        self.versions.iter().find(|entry| entry.is(kind, plugin))
    }

    /// A version that a client names.
    ///
    /// # Errors
    /// 404 `unknown_plugin` or `unknown_version`.
    pub(crate) fn named<'a>(&'a self, id: &PluginId, version: &str) -> Result<&'a Entry, Problem> {
        let mut versions = self.of(id)?;
        versions
            .find(|entry| entry.version == version)
            .ok_or_else(|| {
                Problem::not_found(
                    "unknown_version",
                    format!(
                        "there is no version `{version}` of {id}; `GET {}` lists them",
                        id.path()
                    ),
                )
            })
    }

    /// All versions of a plugin, oldest upload first.
    ///
    /// # Errors
    /// 404 `unknown_plugin` when there is none.
    pub(crate) fn of<'a, 'b>(
        &'a self,
        id: &'b PluginId,
    ) -> Result<impl Iterator<Item = &'a Entry> + use<'a, 'b>, Problem> {
        let mut versions = self
            .versions
            .iter()
            .filter(|entry| entry.is_of(id))
            .peekable();
        if versions.peek().is_none() {
            return Err(Problem::not_found(
                "unknown_plugin",
                format!("there is no {id}; `GET /plugins` lists those there are"),
            ));
        }
        Ok(versions)
    }

    /// Where a version serves.
    pub(crate) fn places(
        &self,
        kind: PluginKind,
        plugin: &PluginRef,
    ) -> impl Iterator<Item = &Serving> {
        self.serving
            .iter()
            .filter(move |serving| serving.kind == kind && serving.plugin == *plugin)
    }

    /// How far a version has come.
    pub(crate) fn state(&self, entry: &Entry) -> State {
        if self.places(entry.kind, &entry.plugin()).next().is_some() {
            State::Active
        } else if entry.shadow_since.is_some() {
            State::Shadow
        } else if entry.served {
            State::Retired
        } else if entry.checked_by.is_some() {
            State::Checked
        } else {
            State::Uploaded
        }
    }

    /// How often the plugins of a kind have changed: what `ETag` carries and `If-Match` compares.
    pub(crate) fn revision(&self, kind: PluginKind) -> u64 {
        self.revisions.get(&kind).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_of_the_first_release_is_understood_and_its_choice_kept() {
        let text = r#"{"plugins":[
            {"kind":"scoring","name":"boathouse/pareto","version":"0.1.0","digest":"aa","active":true},
            {"kind":"scoring","name":"boathouse/pareto","version":"0.0.9","digest":"bb","active":false},
            {"kind":"pii","name":"boathouse/pii","version":"0.1.0","digest":"cc","active":true}]}"#;
        let old: Catalogue = serde_json::from_str(text).expect("older shape");
        let catalogue = old.migrated(Timestamp::from_millis(5));
        let states: Vec<_> = catalogue
            .versions
            .iter()
            .map(|entry| catalogue.state(entry))
            .collect();
        assert_eq!(states, [State::Active, State::Uploaded, State::Active]);
        assert!(
            catalogue
                .serving
                .iter()
                .all(|serving| serving.place == Place::Host)
        );
        let again: Catalogue =
            serde_json::from_str(&serde_json::to_string(&catalogue).expect("json")).expect("json");
        assert_eq!(again.clone().migrated(Timestamp::from_millis(9)), catalogue);
        assert_eq!(again.revision(PluginKind::Scoring), 0);
    }

    #[test]
    fn what_is_unknown_is_named() {
        let catalogue = Catalogue {
            versions: vec![Entry::new(
                PluginKind::Pii,
                PluginRef {
                    name: "a/x".to_owned(),
                    version: "1.0.0".to_owned(),
                },
                "aa".to_owned(),
                1,
            )],
            ..Catalogue::default()
        };
        let check = |kind, name, version, code: &str| {
            let id = PluginId::new(kind, "a", name).expect("name");
            let problem = catalogue.named(&id, version).expect_err("unknown");
            assert_eq!((problem.status, problem.code.as_str()), (404, code));
        };
        check(PluginKind::Pii, "x", "2.0.0", "unknown_version");
        check(PluginKind::Pii, "y", "1.0.0", "unknown_plugin");
        check(PluginKind::Scoring, "x", "1.0.0", "unknown_plugin");
    }
}
