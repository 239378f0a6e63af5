//! The plugins of a running host: who is asked, and what is kept loaded for that.
//!
//! A change (`registry/change.rs`) takes four steps, in this order: what it needs is loaded; the catalogue is
//! committed; the [`Table`] follows; the audit log is told. A process that ends between two of them leaves a state that
//! [`Registry::open`] completes: bytes that nobody refers to, a catalogue whose last events are appended at
//! the next start. Changes take turns; calls never wait for them.
//!
//! A plugin never keeps the host from starting or answering. A version that does not load or fails three
//! times in a row is suspended, and the plugin of the house of its kind, which comes with the binary,
//! answers in its place.

mod change;
mod settings;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use boathouse_bundle::Bundled;
use boathouse_plugins::{Plugin, PluginHost};
use boathouse_storage::{Bucket, Manifest};
use boathouse_types::{Clock, DatasetName, PluginKind, PluginRef, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    PluginsError,
    catalogue::{Catalogue, Entry, HOUSE, Serving},
    edit::Edit,
    events::EventLog,
    health::Health,
    name::{Place, PluginId},
    shadow::{Beside, Shadows, locked},
    store::Store,
    table::{Spot, Table, Turn},
};
use crate::{adapters::Judge, problem::Problem, tasks::Background};

pub(crate) use settings::refusal;

/// Loaded versions that nothing uses and that are kept for the next swap.
const SPARE: usize = 32;
/// Old versions of the catalogue that are kept.
const CATALOGUES: usize = 64;
/// Uploads at once; each may hold a component in memory.
const UPLOADS: usize = 16;

/// What a registry is opened with.
pub struct RegistryParts {
    /// The sandbox.
    pub host: PluginHost,
    /// Where everything is kept.
    pub primary: Bucket,
    /// Where a copy of the bytes is kept.
    pub rescue: Bucket,
    /// Settings that a plugin reads, by `team/name`.
    pub settings: BTreeMap<String, BTreeMap<String, String>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For work that no client waits for.
    pub background: Background,
}

/// All plugins of a host.
pub struct Registry {
    pub(super) host: PluginHost,
    pub(super) store: Store,
    manifest: Manifest<Catalogue>,
    /// The right to change the catalogue, with its version; none when that has to be read anew.
    turn: tokio::sync::Mutex<Option<u64>>,
    /// The right to bring versions in or to delete them, bytes and catalogue together. Taken before `turn`.
    pub(super) comings: tokio::sync::Mutex<()>,
    catalogue: ArcSwap<Catalogue>,
    table: Table,
    /// By digest.
    pub(super) loaded: Mutex<HashMap<String, Plugin>>,
    healths: Mutex<HashMap<(PluginKind, PluginRef), Arc<Health>>>,
    /// The plugins that come with the binary.
    house: BTreeMap<PluginKind, Plugin>,
    settings: BTreeMap<String, BTreeMap<String, String>>,
    /// What versions had against their settings when these were tried, by `team/name@version`.
    refusals: Mutex<BTreeMap<String, String>>,
    clock: Arc<dyn Clock>,
    pub(super) background: Background,
    /// Components that may be on their way in at once.
    uploads: Arc<Semaphore>,
    /// What happened.
    pub events: EventLog,
    /// Versions that run beside those that serve.
    pub shadows: Shadows,
}

impl Registry {
    /// Brings the plugins of the house in, loads what serves and what runs beside it.
    ///
    /// # Errors
    /// When the bucket fails, or a plugin of the house does not load.
    pub async fn open(
        parts: RegistryParts,
        bundled: &[Bundled],
    ) -> Result<Arc<Self>, PluginsError> {
        let house = load_house(&parts, bundled).await?;
        Self::over(parts, bundled, house, HashMap::new()).await
    }

    /// As [`Self::open`], with the plugins of the house at hand, and others by their digests.
    async fn over(
        parts: RegistryParts,
        bundled: &[Bundled],
        house: BTreeMap<PluginKind, Plugin>,
        loaded: HashMap<String, Plugin>,
    ) -> Result<Arc<Self>, PluginsError> {
        let manifest = Manifest::new(parts.primary.clone(), "plugins/manifest");
        let registry = Arc::new(Self {
            house,
            events: EventLog::open(&parts.primary, Arc::clone(&parts.clock)).await?,
            store: Store::new(parts.primary, parts.rescue),
            host: parts.host,
            manifest,
            turn: tokio::sync::Mutex::default(),
            comings: tokio::sync::Mutex::default(),
            catalogue: ArcSwap::default(),
            table: Table::default(),
            loaded: Mutex::new(loaded),
            healths: Mutex::default(),
            settings: parts.settings,
            refusals: Mutex::default(),
            clock: parts.clock,
            background: parts.background,
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            shadows: Shadows::default(),
        });
        registry.bring_in(bundled).await?;
        registry.record_faults().await?;
        registry.try_settings().await;
        registry.begin_shadows().await;
        let (shadows, stop) = (registry.shadows.clone(), registry.background.stopping());
        registry.background.spawn(shadows.work(stop));
        Ok(registry)
    }

    /// Who is asked for a judgement of a kind at a place. What serves there is found anew at every call.
    #[must_use]
    pub fn judge(self: &Arc<Self>, kind: PluginKind, place: Place) -> Judge {
        let name = &self.house(kind).identity().name;
        Judge::new(Arc::clone(self), Spot::new(kind, place, name))
    }

    /// Who looks at a dataset for personal data. Where every detector is suspended, the one of the house
    /// looks too.
    #[must_use]
    pub fn detectors(self: &Arc<Self>, dataset: &DatasetName) -> Vec<Judge> {
        let mut names = self.table.detectors(dataset);
        let house = &self.house(PluginKind::Pii).identity().name;
        let all_suspended = !names.is_empty() && names.iter().all(|(_, suspended)| *suspended);
        if all_suspended && names.iter().all(|(name, _)| name != house) {
            names.push((house.clone(), false));
        }
        let place = Place::Dataset(dataset.clone());
        let judge = |(name, _): &(String, bool)| {
            let spot = Spot::new(PluginKind::Pii, place.clone(), name);
            Judge::new(Arc::clone(self), spot)
        };
        names.iter().map(judge).collect()
    }

    /// Which datasets nobody looks at for personal data, as a sentence with its cure; none while a detector looks
    /// at all of them.
    pub(crate) fn unexamined(&self) -> Option<String> {
        let places = self.table.detector_places();
        if places.contains(&Place::Host) {
            return None;
        }
        let but_for = match places.len() {
            0 => String::new(),
            _ => {
                let places: Vec<_> = places.iter().map(Place::to_string).collect();
                format!(" but for {}", places.join(", "))
            }
        };
        Some(format!(
            "no detector is active{but_for}, so rows come in without anybody looking for personal data; {}",
            self.detector_cure()
        ))
    }

    /// What to do where no detector looks.
    pub(crate) fn detector_cure(&self) -> String {
        let PluginRef { name, version } = self.house(PluginKind::Pii).identity();
        format!("activate one, for example with `boathouse plugin activate {name} {version}`")
    }

    /// What answers at a place at present; none when no detector of this name is active.
    #[must_use]
    pub fn serving(&self, kind: PluginKind, place: &Place) -> Plugin {
        let name = &self.house(kind).identity().name;
        self.answering(&Spot::new(kind, place.clone(), name))
            .unwrap_or_else(|| self.house(kind).clone())
    }

    /// The detectors that look at a dataset at present and can be asked.
    #[must_use]
    pub fn serving_detectors(&self, dataset: &DatasetName) -> Vec<Plugin> {
        let place = Place::Dataset(dataset.clone());
        let names = self.table.detectors(dataset);
        let spots = names
            .iter()
            .map(|(name, _)| Spot::new(PluginKind::Pii, place.clone(), name));
        let mut found: Vec<Plugin> = spots.filter_map(|spot| self.answering(&spot)).collect();
        if found.is_empty() && !names.is_empty() {
            found.push(self.house(PluginKind::Pii).clone());
        }
        found
    }

    fn answering(&self, spot: &Spot) -> Option<Plugin> {
        let turn = self.table.turn(spot)?;
        (!turn.health.is_suspended()).then(|| Plugin::clone(&turn.lease))
    }

    /// A stored version, loaded.
    ///
    /// # Errors
    /// 404 for an unknown plugin or version; why it cannot be loaded.
    pub async fn loaded(&self, id: &PluginId, version: &str) -> Result<Plugin, Problem> {
        let catalogue = self.catalogue();
        let entry = catalogue.named(id, version)?;
        let plugin = entry.plugin();
        let digest = entry.digest.clone();
        self.load(id.kind(), &plugin, &digest).await
    }

    /// A place for a component that is on its way in, kept until it is stored or refused.
    ///
    /// # Errors
    /// 503 `overloaded` when too many are.
    pub fn room_for_upload(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.uploads).try_acquire_owned();
        place.map_err(|_| {
            Problem::new(
                axum::http::StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                format!("{UPLOADS} components are being uploaded; try again later"),
            )
        })
    }

    /// The plugin that comes with the binary, for a kind.
    #[must_use]
    pub fn house(&self, kind: PluginKind) -> &Plugin {
        &self.house[&kind]
    }

    /// The catalogue as committed last.
    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.load_full()
    }

    /// The turn of a call; none when nothing serves there.
    pub(crate) fn turn(&self, spot: &Spot) -> Option<Turn> {
        self.table.turn(spot)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A version if it is loaded, for its counts.
    pub(super) fn if_loaded(&self, digest: &str) -> Option<Plugin> {
        locked(&self.loaded).get(digest).cloned()
    }

    /// Lets followers of the events go, so that the host can stop.
    pub fn close(&self) {
        self.events.close();
    }

    /// Records that a version brought its suspension upon itself. It is in force already.
    pub(crate) fn suspend(self: &Arc<Self>, kind: PluginKind, plugin: PluginRef, reason: String) {
        tracing::error!(%plugin, reason, "suspended: the plugin of the house answers in its place");
        let registry = Arc::clone(self);
        self.background.spawn(async move {
            let health = registry.health(kind, &plugin);
            // Somebody may have activated it again in between.
            if !health.is_suspended() {
                return;
            }
            let step = |edit: &mut Edit| {
                edit.suspend(&plugin, &reason);
                Ok(())
            };
            if let Err(problem) = registry.change(kind, HOUSE, None, step).await {
                tracing::error!(%plugin, %problem, "the suspension is not on record");
            }
        });
    }

    async fn begin_shadows(&self) {
        let catalogue = self.catalogue();
        for entry in &catalogue.versions {
            if entry.shadow_since.is_none() {
                continue;
            }
            let plugin = entry.plugin();
            match self.load(entry.kind, &plugin, &entry.digest).await {
                Ok(plugin) => self.shadows.begin(plugin, self.beside(entry)),
                Err(problem) => tracing::error!(%plugin, %problem, "the shadow does not load"),
            }
        }
    }

    /// What a shadow is held against live: a new version of a detector that is active against the old one,
    /// because the others stay when it takes over; everything else against all that serve.
    fn beside(&self, entry: &Entry) -> Beside {
        let namesake = |serving: &Serving| {
            serving.kind == PluginKind::Pii
                && entry.kind == PluginKind::Pii
                && serving.plugin.name == entry.name
        };
        if self.catalogue().serving.iter().any(namesake) {
            Beside::Namesake
        } else {
            Beside::All
        }
    }

    async fn load(
        &self,
        kind: PluginKind,
        plugin: &PluginRef,
        digest: &str,
    ) -> Result<Plugin, Problem> {
        if let Some(ready) = self.if_loaded(digest) {
            return Ok(ready);
        }
        let bytes = self.store.get(digest).await?;
        let loaded = self.host.load(kind, &bytes).await?;
        if loaded.identity() != plugin {
            return Err(Problem::unprocessable(
                "plugin_refused",
                format!(
                    "the bytes of `{plugin}` call themselves `{}`",
                    loaded.identity()
                ),
            ));
        }
        Ok(self.keep(loaded))
    }

    /// Keeps a version loaded, with its settings; of two, the first one stays, for its counts.
    pub(super) fn keep(&self, plugin: Plugin) -> Plugin {
        let digest = plugin.digest().to_owned();
        let plugin = with_settings(plugin, &self.settings);
        let mut loaded = locked(&self.loaded);
        loaded.entry(digest).or_insert(plugin).clone()
    }

    /// How the calls of a version go.
    pub(super) fn health(&self, kind: PluginKind, plugin: &PluginRef) -> Arc<Health> {
        let mut healths = locked(&self.healths);
        Arc::clone(healths.entry((kind, plugin.clone())).or_default())
    }
}

async fn load_house(
    parts: &RegistryParts,
    bundled: &[Bundled],
) -> Result<BTreeMap<PluginKind, Plugin>, PluginsError> {
    let mut house = BTreeMap::new();
    for component in bundled {
        let kind = super::kind_of(component)?;
        // The first of a kind; further ones are brought in, and are no stand-ins.
        if house.contains_key(&kind) {
            continue;
        }
        let plugin = parts.host.load(kind, component.bytes).await?;
        house.insert(kind, with_settings(plugin, &parts.settings));
    }
    match PluginKind::ALL
        .into_iter()
        .find(|kind| !house.contains_key(kind))
    {
        Some(missing) => Err(PluginsError::Missing(missing)),
        None => Ok(house),
    }
}

fn with_settings(plugin: Plugin, settings: &BTreeMap<String, BTreeMap<String, String>>) -> Plugin {
    let given = settings.get(&plugin.identity().name).into_iter().flatten();
    let given = given
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    plugin.with_settings(given)
}

#[cfg(test)]
mod tests;
