//! The plugins of this host: which versions there are, which one serves, and their bytes.
//!
//! Bytes lie in the primary bucket by their digest, the list beside them in a manifest. The plugins
//! that come with the binary are put there at start like any other; what the manifest calls active is
//! what is loaded, so a restart serves with the versions that served before.

use std::collections::BTreeMap;

use boathouse_bundle::Bundled;
use boathouse_plugins::{Plugin, PluginHost, PluginStats};
use boathouse_storage::{Bucket, Manifest, StorageError};
use boathouse_types::PluginKind;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// Versions and what serves, as kept in the primary bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Catalogue {
    plugins: Vec<Entry>,
}

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    kind: PluginKind,
    name: String,
    version: String,
    digest: String,
    active: bool,
}

/// A plugin as clients see it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PluginView {
    /// What it decides.
    pub kind: PluginKind,
    /// `team/name`.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// `active`: the default of its kind.
    pub state: &'static str,
    /// One sentence of its own.
    pub summary: String,
    /// What it reads of its input.
    pub reads: Vec<String>,
    /// Whether it claims to be deterministic.
    pub deterministic: bool,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
    /// The first twelve digits of it.
    pub short_digest: String,
    /// Calls since the host started.
    pub stats: PluginStats,
}

/// The plugins that serve, one per kind.
pub struct Plugins {
    active: Vec<Plugin>,
}

impl Plugins {
    /// Brings the bundled plugins into the bucket and loads what is active.
    ///
    /// # Errors
    /// When the bucket fails or a plugin that is active does not load.
    pub async fn open(
        host: &PluginHost,
        primary: &Bucket,
        bundled: &[Bundled],
        settings: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<Self, PluginsError> {
        let mut loaded = Vec::new();
        for component in bundled {
            loaded.push(host.load(kind_of(component)?, component.bytes).await?);
        }
        let catalogue = record(primary, &loaded, bundled).await?;
        let mut active = Vec::new();
        for entry in catalogue.plugins.iter().filter(|entry| entry.active) {
            let ready = loaded.iter().find(|plugin| plugin.digest() == entry.digest);
            let plugin = match ready {
                Some(plugin) => plugin.clone(),
                None => {
                    host.load(entry.kind, &primary.get(&blob(&entry.digest)).await?)
                        .await?
                }
            };
            let given = settings.get(&entry.name).into_iter().flatten();
            let given = given
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            active.push(plugin.with_settings(given));
        }
        Ok(Self { active })
    }

    /// The plugin that serves for a kind.
    ///
    /// # Errors
    /// 503 when none does.
    pub fn of(&self, kind: PluginKind) -> Result<&Plugin, Problem> {
        self.active
            .iter()
            .find(|plugin| plugin.kind() == kind)
            .ok_or_else(|| {
                Problem::new(
                    axum::http::StatusCode::SERVICE_UNAVAILABLE,
                    "no_plugin",
                    format!("no {kind} plugin is active"),
                )
            })
    }

    /// All of them.
    #[must_use]
    pub fn list(&self) -> Vec<PluginView> {
        self.active.iter().map(view).collect()
    }
}

/// The plugins cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum PluginsError {
    /// The bucket failed.
    #[error("plugins cannot be read from or written to the primary bucket")]
    Storage(#[from] StorageError),
    /// A plugin does not load.
    #[error(transparent)]
    Plugin(#[from] boathouse_plugins::PluginError),
    /// The binary carries a component of a kind that it does not know.
    #[error("bundled component `{0}` is of an unknown kind")]
    Kind(String),
}

fn kind_of(component: &Bundled) -> Result<PluginKind, PluginsError> {
    PluginKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == component.kind)
        .ok_or_else(|| PluginsError::Kind(component.name.to_owned()))
}

fn blob(digest: &str) -> String {
    format!("plugins/blobs/{digest}.wasm")
}

/// Puts bytes that are not there yet and enters versions that are not listed yet. A bundled plugin
/// takes over from an older bundled version of itself, and serves where nothing else does.
async fn record(
    primary: &Bucket,
    loaded: &[Plugin],
    bundled: &[Bundled],
) -> Result<Catalogue, StorageError> {
    let manifest: Manifest<Catalogue> = Manifest::new(primary.clone(), "plugins/manifest");
    for (plugin, component) in loaded.iter().zip(bundled) {
        match primary
            .put_new(&blob(plugin.digest()), Bytes::from_static(component.bytes))
            .await
        {
            Ok(()) | Err(StorageError::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    loop {
        let found = manifest.load().await?;
        let (version, before) = found.map_or_else(
            || (0, Catalogue::default()),
            |found| (found.version, found.value),
        );
        let after = with_bundled(before.clone(), loaded);
        if after == before {
            return Ok(after);
        }
        match manifest.commit(version, &after).await {
            Ok(_) => return Ok(after),
            Err(StorageError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

fn with_bundled(mut catalogue: Catalogue, loaded: &[Plugin]) -> Catalogue {
    for plugin in loaded {
        let known = catalogue
            .plugins
            .iter()
            .any(|entry| entry.digest == plugin.digest());
        if known {
            continue;
        }
        let name = &plugin.identity().name;
        let serving = catalogue
            .plugins
            .iter_mut()
            .find(|entry| entry.kind == plugin.kind() && entry.active);
        let takes_over = match serving {
            Some(entry) if entry.name == *name => {
                entry.active = false;
                true
            }
            Some(_) => false,
            None => true,
        };
        catalogue.plugins.push(Entry {
            kind: plugin.kind(),
            name: name.clone(),
            version: plugin.identity().version.clone(),
            digest: plugin.digest().to_owned(),
            active: takes_over,
        });
    }
    catalogue
}

fn view(plugin: &Plugin) -> PluginView {
    let description = plugin.description();
    PluginView {
        kind: plugin.kind(),
        name: plugin.identity().name.clone(),
        version: plugin.identity().version.clone(),
        state: "active",
        summary: description.summary,
        reads: description.reads,
        deterministic: description.deterministic,
        digest: plugin.digest().to_owned(),
        short_digest: plugin.digest().chars().take(12).collect(),
        stats: plugin.stats(),
    }
}
