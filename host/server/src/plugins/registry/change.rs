//! How the registry changes: step, load, commit, follow.
//!
//! One change at a time, under one lock that no call takes. What is to serve is loaded before the commit, so
//! a version that does not load changes nothing; what was committed is followed to the end. After a commit of
//! unknown outcome the catalogue is read, so that what serves now is what would serve after a restart; where
//! that fails too, the next change reads it anew.

use std::sync::Arc;

use boathouse_plugins::Drain;
use boathouse_storage::{Manifest, StorageError};
use boathouse_types::{PluginKind, PluginRef};

use super::{CATALOGUES, Registry, SPARE};
use crate::{
    plugins::{
        PluginsError,
        catalogue::{Catalogue, Entry, HOUSE},
        edit::Edit,
        shadow::locked,
        table::{Filling, Spot},
    },
    problem::Problem,
};

/// What a change came to.
pub(crate) struct Changed<T> {
    pub(crate) outcome: T,
    /// The revision of the kind after it.
    pub(crate) revision: u64,
    /// Calls that began before it.
    pub(crate) drains: Vec<Drain>,
}

/// A version that the catalogue lists and that cannot be asked.
struct Fault {
    kind: PluginKind,
    plugin: PluginRef,
    problem: Problem,
}

impl Registry {
    /// Changes the catalogue in one step and has everything follow it. `step` may run more than once.
    ///
    /// # Errors
    /// The step's own; 412 `changed_meanwhile` when the kind is not at the revision that was expected; what
    /// keeps a version that is to serve from loading. Nothing has changed then. Where the bucket fails, it
    /// is open whether anything has.
    pub(crate) async fn change<T>(
        &self,
        kind: PluginKind,
        by: &str,
        expected: Option<u64>,
        step: impl Fn(&mut Edit) -> Result<T, Problem>,
    ) -> Result<Changed<T>, Problem> {
        let mut turn = self.turn.lock().await;
        loop {
            let version = match *turn {
                Some(version) => version,
                // A copy may be older, and what serves now would give way to what served then.
                None => *turn.insert(self.reload(&self.manifest.without_rescue()).await?),
            };
            let before = self.catalogue();
            self.events.append(&before.news).await?;
            check_revision(&before, kind, expected)?;
            let mut start = Catalogue::clone(&before);
            // A catalogue that was put back from a copy may know less than the log.
            start.last_event = start.last_event.max(self.events.newest());
            let mut edit = Edit::new(start, kind, by, self.now());
            let outcome = step(&mut edit)?;
            let Some(after) = edit.finish() else {
                return Ok(Changed {
                    outcome,
                    revision: before.revision(kind),
                    drains: Vec::new(),
                });
            };
            let fillings = self.fillings(&before, &after).await?;
            *turn = None;
            let version = match self.manifest.commit(version, &after).await {
                Ok(version) => version,
                Err(StorageError::Conflict { .. }) => continue,
                Err(error) => self.committed_as(&after).await.ok_or(error)?,
            };
            *turn = Some(version);
            let revision = after.revision(kind);
            let drains = self.follow(&before, after, fillings).await;
            self.tidy_up(version).await;
            return Ok(Changed {
                outcome,
                revision,
                drains,
            });
        }
    }

    /// The version of the catalogue, if it is this one: a commit whose answer was lost has happened.
    async fn committed_as(&self, catalogue: &Catalogue) -> Option<u64> {
        let own = self.manifest.without_rescue();
        let found = own.load().await.ok().flatten()?;
        (found.value == *catalogue).then_some(found.version)
    }

    /// Takes over what was committed: table, healths, shadows, audit log.
    async fn follow(
        &self,
        before: &Catalogue,
        after: Catalogue,
        fillings: Vec<Filling>,
    ) -> Vec<Drain> {
        for entry in &after.versions {
            self.follow_version(before.find(entry.kind, &entry.plugin()), entry);
        }
        let drains = self.table.follow(fillings);
        let news = after.news.clone();
        self.catalogue.store(Arc::new(after));
        if let Err(error) = self.events.append(&news).await {
            tracing::error!(%error, "the audit log of plugins lags behind; the next change brings it up");
        }
        drains
    }

    /// Suspends, reinstates, begins and ends to be a shadow, as the catalogue says now.
    fn follow_version(&self, was: Option<&Entry>, entry: &Entry) {
        let health = self.health(entry.kind, &entry.plugin());
        if entry.suspended.is_some() {
            health.suspend();
        } else if was.is_some_and(|was| was.suspended.is_some()) {
            health.reinstate();
        }
        let was_shadow = was.is_some_and(|was| was.shadow_since.is_some());
        match (entry.shadow_since.is_some(), was_shadow) {
            (false, true) => self.shadows.end(entry.kind, &entry.plugin()),
            (true, false) => {
                // At a start it is not loaded yet, and begins once it is.
                if let Some(plugin) = self.if_loaded(&entry.digest) {
                    self.shadows.begin(plugin, self.beside(entry));
                }
            }
            _ => {}
        }
    }

    /// Reads the catalogue, unless it is known.
    pub(crate) async fn refresh(&self) -> Result<(), Problem> {
        let mut turn = self.turn.lock().await;
        if turn.is_none() {
            *turn = Some(self.reload(&self.manifest).await?);
        }
        drop(turn);
        Ok(())
    }

    /// Reads the catalogue anew, after a start or a commit of unknown outcome, and follows it. What serves
    /// and does not load is suspended, here and not on record.
    async fn reload(&self, manifest: &Manifest<Catalogue>) -> Result<u64, Problem> {
        let found = manifest.load().await?;
        let (version, catalogue) = found.map_or_else(
            || (0, Catalogue::default()),
            |found| (found.version, found.value.migrated(self.now())),
        );
        let before = self.catalogue();
        let (fillings, faults) = self.seats_of(&catalogue).await;
        drop(self.follow(&before, catalogue, fillings).await);
        for Fault {
            kind,
            plugin,
            problem,
        } in faults
        {
            tracing::error!(%plugin, %problem, "suspended: it does not load");
            self.health(kind, &plugin).suspend();
        }
        Ok(version)
    }

    /// Puts the suspension of what does not load on record.
    pub(super) async fn record_faults(&self) -> Result<(), PluginsError> {
        for Fault {
            kind,
            plugin,
            problem,
        } in self.seats_of(&self.catalogue()).await.1
        {
            let reason = format!("it does not load: {}", problem.detail);
            let step = |edit: &mut Edit| {
                edit.suspend(&plugin, &reason);
                Ok(())
            };
            self.change(kind, HOUSE, None, step).await?;
        }
        Ok(())
    }

    /// What is to sit where.
    ///
    /// # Errors
    /// Why a version does not load that did not serve before; another change does not fail over it.
    async fn fillings(
        &self,
        before: &Catalogue,
        after: &Catalogue,
    ) -> Result<Vec<Filling>, Problem> {
        let (fillings, faults) = self.seats_of(after).await;
        let served = |fault: &Fault| before.places(fault.kind, &fault.plugin).next().is_some();
        match faults.into_iter().find(|fault| !served(fault)) {
            Some(fault) => Err(fault.problem),
            None => Ok(fillings),
        }
    }

    /// What sits at each place, the plugin of the house where a version cannot be asked. One that is known
    /// to be suspended is not tried again before somebody activates it.
    async fn seats_of(&self, catalogue: &Catalogue) -> (Vec<Filling>, Vec<Fault>) {
        let (mut fillings, mut faults) = (Vec::new(), Vec::new());
        for serving in &catalogue.serving {
            let (kind, plugin) = (serving.kind, &serving.plugin);
            let house = || self.house(kind).clone();
            let answers = match catalogue.find(kind, plugin) {
                Some(entry) if entry.suspended.is_some() => {
                    Ok(self.if_loaded(&entry.digest).unwrap_or_else(house))
                }
                Some(entry) => self.load(kind, plugin, &entry.digest).await,
                None => Err(Problem::not_found(
                    "unknown_version",
                    format!("the catalogue lists no `{plugin}`"),
                )),
            };
            let answers = answers.unwrap_or_else(|problem| {
                faults.push(Fault {
                    kind,
                    plugin: plugin.clone(),
                    problem,
                });
                house()
            });
            fillings.push(Filling {
                spot: Spot::new(kind, serving.place.clone(), &plugin.name),
                plugin: plugin.clone(),
                health: self.health(kind, plugin),
                answers,
            });
        }
        (fillings, faults)
    }

    /// Forgets what nobody needs: loaded versions, old catalogues.
    async fn tidy_up(&self, version: u64) {
        let catalogue = self.catalogue();
        let in_use = |digest: &str| {
            let of = |entry: &&Entry| entry.digest == digest;
            catalogue.versions.iter().find(of).is_some_and(|entry| {
                entry.shadow_since.is_some()
                    || catalogue
                        .places(entry.kind, &entry.plugin())
                        .next()
                        .is_some()
            })
        };
        {
            let mut loaded = locked(&self.loaded);
            let mut spare = 0;
            loaded.retain(|digest, _| {
                in_use(digest) || {
                    spare += 1;
                    spare <= SPARE
                }
            });
            let known = |kind, plugin: &PluginRef| catalogue.find(kind, plugin).is_some();
            locked(&self.healths).retain(|(kind, plugin), _| known(*kind, plugin));
        }
        if version.is_multiple_of(CATALOGUES as u64)
            && let Err(error) = self.manifest.prune(CATALOGUES).await
        {
            tracing::warn!(%error, "old catalogues of plugins are left over");
        }
    }
}

fn check_revision(
    catalogue: &Catalogue,
    kind: PluginKind,
    expected: Option<u64>,
) -> Result<(), Problem> {
    let found = catalogue.revision(kind);
    match expected {
        Some(expected) if expected != found => Err(Problem::new(
            axum::http::StatusCode::PRECONDITION_FAILED,
            "changed_meanwhile",
            format!(
                "the {kind} plugins have changed since: they are at \"{found}\"; look at them and send `If-Match` with that"
            ),
        )),
        _ => Ok(()),
    }
}
