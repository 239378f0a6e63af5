//! How the catalogue may change: every step of a version's life, as pure functions.
//!
//! An [`Edit`] takes a catalogue, changes it and notes what happened. [`Edit::finish`] gives the catalogue
//! to commit, with its events numbered, or nothing when nothing changed, so that a repeated request is no
//! change. A refused step leaves an edit that must be dropped.
//!
//! Places are of two sorts. *The host* always has a default proposer and a default scoring plugin: another
//! one may take over, none may leave; detectors are a set that may be entered and left. *An index or a
//! dataset* has plugins of its own only while somebody said so: the bottom of its history is "nothing",
//! and going back to that lets what serves everywhere serve here too.

use boathouse_types::{PluginKind, PluginRef, Timestamp};

use super::{
    catalogue::{Catalogue, Entry, Serving, Stamp, Suspension},
    events::{Event, Happened},
    name::{Place, PluginId},
};
use crate::problem::Problem;

/// Versions that a place remembers to go back to.
const HISTORY: usize = 32;

/// A change of the catalogue in the making.
pub(crate) struct Edit {
    catalogue: Catalogue,
    kind: PluginKind,
    by: String,
    at: Timestamp,
    news: Vec<Event>,
}

/// A place at which something else serves now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) place: Place,
    /// What served there; nothing when no plugin did that belongs to the place itself.
    pub(crate) from: Option<PluginRef>,
    /// What serves there.
    pub(crate) to: Option<PluginRef>,
}

impl Edit {
    pub(crate) fn new(catalogue: Catalogue, kind: PluginKind, by: &str, at: Timestamp) -> Self {
        Self {
            catalogue,
            kind,
            by: by.to_owned(),
            at,
            news: Vec::new(),
        }
    }

    /// The catalogue as changed so far.
    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The catalogue to commit; none when nothing changed.
    pub(crate) fn finish(self) -> Option<Catalogue> {
        let Self {
            mut catalogue,
            kind,
            mut news,
            ..
        } = self;
        if news.is_empty() {
            return None;
        }
        for event in &mut news {
            catalogue.last_event += 1;
            event.seq = catalogue.last_event;
        }
        *catalogue.revisions.entry(kind).or_default() += 1;
        catalogue.news = news;
        Some(catalogue)
    }

    /// Enters a version whose bytes are stored.
    pub(crate) fn add(&mut self, mut entry: Entry) {
        let (plugin, checks) = (entry.plugin(), entry.checks.clone());
        entry.uploaded = Some(Stamp {
            at: self.at,
            by: self.by.clone(),
        });
        self.catalogue.versions.push(entry);
        self.note(&plugin, Happened::Uploaded, None);
        if checks.is_some() {
            self.note(&plugin, Happened::Checked, checks);
        }
    }

    /// A version that was stored unchecked has passed the checks of this program.
    pub(crate) fn checked(&mut self, plugin: &PluginRef, program: &str, checks: String) {
        if let Some(entry) = self.entry(plugin) {
            entry.checked_by = Some(program.to_owned());
            entry.checks = Some(checks.clone());
            self.note(plugin, Happened::Checked, Some(checks));
        }
    }

    /// Lets a version serve at places; it no longer runs as a shadow, and a suspension is lifted. Returns
    /// the places at which something else served before.
    pub(crate) fn activate(&mut self, plugin: &PluginRef, places: &[Place]) -> Vec<Moved> {
        let moved: Vec<Moved> = places
            .iter()
            .filter_map(|place| self.place(plugin, place))
            .collect();
        if !moved.is_empty() {
            self.end_shadow(plugin);
            self.note(plugin, Happened::Activated, Some(told(&moved)));
        }
        self.reinstate(plugin);
        self.settle(&moved);
        moved
    }

    /// Everywhere that a plugin serves, lets serve what served before.
    ///
    /// # Errors
    /// 409 `no_previous` when there is nothing to go back to at any of these places.
    pub(crate) fn roll_back(&mut self, id: &PluginId) -> Result<Vec<Moved>, Problem> {
        let mut moved = Vec::new();
        for at in (0..self.catalogue.serving.len()).rev() {
            let serving = &self.catalogue.serving[at];
            if serving.kind != id.kind() || serving.plugin.name != id.name() {
                continue;
            }
            let Some(to) = self.previous(at) else {
                continue;
            };
            let serving = &mut self.catalogue.serving[at];
            let (place, from) = (serving.place.clone(), serving.plugin.clone());
            match &to {
                Some(plugin) => {
                    serving.plugin = plugin.clone();
                    serving.since = self.at;
                }
                None => drop(self.catalogue.serving.remove(at)),
            }
            moved.push(Moved {
                place,
                from: Some(from),
                to,
            });
        }
        if moved.is_empty() {
            return Err(Problem::conflict(
                "no_previous",
                format!(
                    "no other version served before {id} at any place where it serves; activate one, or deactivate this plugin"
                ),
            ));
        }
        moved.reverse();
        for to in distinct(moved.iter().filter_map(|moved| moved.to.clone())) {
            let here: Vec<Moved> = moved
                .iter()
                .filter(|moved| moved.to.as_ref() == Some(&to))
                .cloned()
                .collect();
            self.note(&to, Happened::RolledBack, Some(told(&here)));
            self.end_shadow(&to);
            self.reinstate(&to);
        }
        self.settle(&moved);
        Ok(moved)
    }

    /// Takes a plugin out of the set of detectors and of every index and dataset.
    ///
    /// # Errors
    /// 409 `is_default` for the default of its kind, `not_active` when it serves nowhere.
    pub(crate) fn deactivate(&mut self, id: &PluginId) -> Result<Vec<Moved>, Problem> {
        let own = |serving: &Serving| serving.kind == id.kind() && serving.plugin.name == id.name();
        let is_default = id.kind() != PluginKind::Pii
            && self
                .catalogue
                .serving
                .iter()
                .any(|serving| own(serving) && serving.place == Place::Host);
        if is_default {
            return Err(Problem::conflict(
                "is_default",
                format!(
                    "{id} is the default of its kind, which cannot be missing; activate another one instead"
                ),
            ));
        }
        let (left, stay) = std::mem::take(&mut self.catalogue.serving)
            .into_iter()
            .partition::<Vec<_>, _>(own);
        self.catalogue.serving = stay;
        if left.is_empty() {
            return Err(Problem::conflict(
                "not_active",
                format!("{id} serves nowhere"),
            ));
        }
        let moved: Vec<Moved> = left
            .into_iter()
            .map(|serving| Moved {
                place: serving.place,
                from: Some(serving.plugin),
                to: None,
            })
            .collect();
        self.settle(&moved);
        Ok(moved)
    }

    /// Runs a version beside what serves.
    ///
    /// # Errors
    /// 409 `version_in_use` when it serves itself.
    pub(crate) fn begin_shadow(&mut self, plugin: &PluginRef) -> Result<(), Problem> {
        if self.catalogue.places(self.kind, plugin).next().is_some() {
            return Err(Problem::conflict(
                "version_in_use",
                format!(
                    "`{plugin}` serves, so it cannot run beside what serves; upload another version"
                ),
            ));
        }
        let at = self.at;
        let fresh = self
            .entry(plugin)
            .is_some_and(|entry| entry.shadow_since.replace(at).is_none());
        if fresh {
            self.note(plugin, Happened::ShadowStarted, None);
        }
        self.reinstate(plugin);
        Ok(())
    }

    /// Lets a version no longer run beside what serves.
    pub(crate) fn end_shadow(&mut self, plugin: &PluginRef) {
        let was = self
            .entry(plugin)
            .is_some_and(|entry| entry.shadow_since.take().is_some());
        if was {
            self.note(plugin, Happened::ShadowStopped, None);
        }
    }

    /// Forgets a version, in the histories of places too.
    ///
    /// # Errors
    /// 409 `version_in_use` while it serves or runs as a shadow.
    pub(crate) fn delete(&mut self, plugin: &PluginRef) -> Result<(), Problem> {
        let serves = self.catalogue.places(self.kind, plugin).next().is_some();
        let entry = self.entry(plugin);
        if serves || entry.is_some_and(|entry| entry.shadow_since.is_some()) {
            let (what, cure) = if serves {
                (
                    "serves",
                    "activate another version, roll back or deactivate it first",
                )
            } else {
                ("runs as a shadow", "stop the shadow first")
            };
            return Err(Problem::conflict(
                "version_in_use",
                format!("`{plugin}` {what}; {cure}"),
            ));
        }
        let kind = self.kind;
        self.catalogue
            .versions
            .retain(|entry| !entry.is(kind, plugin));
        for serving in &mut self.catalogue.serving {
            if serving.kind == kind {
                serving
                    .before
                    .retain(|before| before.as_ref() != Some(plugin));
            }
        }
        self.note(plugin, Happened::Deleted, None);
        Ok(())
    }

    /// Has the bundled plugin answer in a version's place.
    pub(crate) fn suspend(&mut self, plugin: &PluginRef, reason: &str) {
        let suspension = Suspension {
            at: self.at,
            reason: reason.to_owned(),
        };
        let fresh = self
            .entry(plugin)
            .is_some_and(|entry| entry.suspended.replace(suspension).is_none());
        if fresh {
            self.note(plugin, Happened::Suspended, Some(reason.to_owned()));
        }
    }

    fn reinstate(&mut self, plugin: &PluginRef) {
        let was = self
            .entry(plugin)
            .is_some_and(|entry| entry.suspended.take().is_some());
        if was {
            self.note(plugin, Happened::Reinstated, None);
        }
    }

    /// Lets a version serve at a place; none when it does already.
    fn place(&mut self, plugin: &PluginRef, place: &Place) -> Option<Moved> {
        let (kind, at) = (self.kind, self.at);
        let holds = |serving: &&mut Serving| {
            serving.kind == kind
                && serving.place == *place
                && (kind != PluginKind::Pii || serving.plugin.name == plugin.name)
        };
        match self.catalogue.serving.iter_mut().find(holds) {
            Some(serving) if serving.plugin == *plugin => return None,
            Some(serving) => {
                let from = std::mem::replace(&mut serving.plugin, plugin.clone());
                serving.since = at;
                serving.before.push(Some(from.clone()));
                if serving.before.len() > HISTORY {
                    let bottom = usize::from(serving.before[0].is_none());
                    serving.before.remove(bottom);
                }
                return Some(Moved {
                    place: place.clone(),
                    from: Some(from),
                    to: Some(plugin.clone()),
                });
            }
            None => {}
        }
        let bottom = (*place != Place::Host).then_some(None);
        self.catalogue.serving.push(Serving {
            kind,
            place: place.clone(),
            plugin: plugin.clone(),
            since: at,
            before: bottom.into_iter().collect(),
        });
        Some(Moved {
            place: place.clone(),
            from: None,
            to: Some(plugin.clone()),
        })
    }

    /// Takes the latest version that is still there off the history of a place; none when there is none.
    fn previous(&mut self, at: usize) -> Option<Option<PluginRef>> {
        loop {
            let serving = &mut self.catalogue.serving[at];
            let (kind, before) = (serving.kind, serving.before.pop()?);
            match before {
                Some(plugin) if self.catalogue.find(kind, &plugin).is_none() => {}
                before => return Some(before),
            }
        }
    }

    /// Marks what serves as having served, and notes what no longer does.
    fn settle(&mut self, moved: &[Moved]) {
        for plugin in distinct(moved.iter().filter_map(|moved| moved.to.clone())) {
            if let Some(entry) = self.entry(&plugin) {
                entry.served = true;
            }
        }
        for plugin in distinct(moved.iter().filter_map(|moved| moved.from.clone())) {
            if self.catalogue.places(self.kind, &plugin).next().is_none() {
                self.note(&plugin, Happened::Retired, None);
            }
        }
    }

    fn entry(&mut self, plugin: &PluginRef) -> Option<&mut Entry> {
        let kind = self.kind;
        self.catalogue
            .versions
            .iter_mut()
            .find(|entry| entry.is(kind, plugin))
    }

    fn note(&mut self, plugin: &PluginRef, event: Happened, detail: Option<String>) {
        self.news.push(Event {
            seq: 0,
            at: self.at,
            by: self.by.clone(),
            kind: self.kind,
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            event,
            detail,
        });
    }
}

/// A plugin of the house enters the catalogue at start. It takes over from an older version of itself, and
/// serves where nothing of its kind ever did; a choice that somebody made stays.
pub(crate) fn takes_over(catalogue: &Catalogue, kind: PluginKind, name: &str) -> bool {
    let mut serving = catalogue
        .serving
        .iter()
        .filter(|serving| serving.kind == kind && serving.place == Place::Host)
        .peekable();
    if serving.peek().is_none() {
        return !catalogue
            .versions
            .iter()
            .any(|entry| entry.kind == kind && entry.served);
    }
    serving.any(|serving| serving.plugin.name == name)
}

/// For the log: where, and instead of what.
fn told(moved: &[Moved]) -> String {
    let one = |moved: &Moved| match &moved.from {
        Some(from) => format!("{} instead of {from}", moved.place),
        None => moved.place.to_string(),
    };
    let mut parts: Vec<String> = moved.iter().take(20).map(one).collect();
    if moved.len() > parts.len() {
        parts.push(format!("{} more", moved.len() - parts.len()));
    }
    format!("at {}", parts.join(", "))
}

fn distinct(plugins: impl Iterator<Item = PluginRef>) -> Vec<PluginRef> {
    let mut seen = Vec::new();
    for plugin in plugins {
        if !seen.contains(&plugin) {
            seen.push(plugin);
        }
    }
    seen
}

#[cfg(test)]
mod tests;
