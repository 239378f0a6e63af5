//! How a version comes in: checked, stored, entered. The plugins of the house take the same way.
//!
//! Nothing is stored before every check has passed. Then the bytes go first and the catalogue second, so a
//! process that ends in between leaves an object that nobody refers to, and the same upload succeeds later.
//! After the catalogue the bytes are stored once more, which writes nothing as a rule: a collection of garbage,
//! here or on another host, that found older ones unnamed may have deleted them just before.
//! A version is immutable: the same bytes again change nothing, other bytes are refused.

use std::sync::Arc;

use boathouse_bundle::Bundled;
use boathouse_plugins::{CheckReport, Checked, Expected, Plugin};
use boathouse_types::PluginKind;
use bytes::Bytes;

use super::{
    PluginsError, Registry,
    catalogue::{Catalogue, Entry, HOUSE},
    edit::{Edit, takes_over},
    kind_of,
    name::{Place, PluginId},
    shadow::locked,
    store::{digest_of, hex},
    view::{CheckedVersion, check_failed, in_a_line},
};
use crate::problem::Problem;

/// The program whose checks a version passes here. A version that passed those of another one is checked
/// again before it serves.
const PROGRAM: &str = concat!("boathouse ", env!("CARGO_PKG_VERSION"));

/// A component that somebody wants to bring in.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The plugin that it should be.
    pub id: PluginId,
    /// The version that it should be; what it says of itself when left out.
    pub version: Option<String>,
    /// The component.
    pub bytes: Bytes,
    /// SHA-256 of it.
    pub digest: [u8; 32],
    /// The team's signature over the digest, verified.
    pub signature: Option<String>,
    /// Who brings it, for the audit log.
    pub by: String,
}

/// What an upload came to.
#[derive(Debug, Clone)]
pub enum Uploaded {
    /// It is stored.
    New(Box<CheckedVersion>),
    /// It was there already, byte for byte.
    Known(Box<CheckedVersion>),
}

impl Upload {
    /// A component for a plugin; computes its digest.
    pub async fn new(id: PluginId, version: Option<String>, bytes: Bytes, by: &str) -> Self {
        Self {
            id,
            version,
            digest: digest_of(&bytes).await,
            bytes,
            signature: None,
            by: by.to_owned(),
        }
    }
}

impl Registry {
    /// Checks a component and stores it as a version.
    ///
    /// # Errors
    /// 422 `check_failed` with the report: nothing is stored. 409 `version_exists` for other bytes under a
    /// version that is there.
    pub async fn upload(self: &Arc<Self>, upload: Upload) -> Result<Uploaded, Problem> {
        let registry = Arc::clone(self);
        let work = async move { registry.upload_now(upload).await };
        self.background.settle(work).await
    }

    async fn upload_now(&self, upload: Upload) -> Result<Uploaded, Problem> {
        let digest = hex(&upload.digest);
        if let Some(known) = self.known(&upload, &digest).await? {
            return Ok(known);
        }
        let expected = Expected {
            name: Some(upload.id.name().to_owned()),
            version: upload.version.clone(),
        };
        let (report, plugin) = self
            .passed(upload.id.kind(), upload.bytes.clone(), &expected)
            .await?;
        let version = plugin.identity().version.clone();
        let told = Upload {
            version: Some(version.clone()),
            ..upload.clone()
        };
        let _comings = self.comings.lock().await;
        // Somebody else may have been first.
        if let Some(known) = self.known_now(&told, &digest).await? {
            return Ok(known);
        }
        self.store
            .put(&digest, &upload.bytes, Some(&report))
            .await?;
        let mut entry = new_entry(&plugin, upload.bytes.len());
        entry.signature.clone_from(&upload.signature);
        entry.checked_by = Some(PROGRAM.to_owned());
        entry.checks = Some(in_a_line(&report));
        let step = |edit: &mut Edit| {
            // Another host on the same bucket may have been first.
            if same_bytes(edit.catalogue(), &told, &digest)?.is_none() {
                edit.add(entry.clone());
            }
            Ok(())
        };
        self.change(upload.id.kind(), &upload.by, None, step)
            .await?;
        // Until now nobody named these bytes, so garbage collection may have taken older ones away.
        self.store
            .put(&digest, &upload.bytes, Some(&report))
            .await?;
        self.keep(plugin);
        Ok(Uploaded::New(Box::new(CheckedVersion {
            version: self.version(&upload.id, &version)?,
            report: Some(report),
        })))
    }

    /// What is listed with exactly these bytes; none when they are new.
    async fn known(&self, upload: &Upload, digest: &str) -> Result<Option<Uploaded>, Problem> {
        let _comings = self.comings.lock().await;
        self.known_now(upload, digest).await
    }

    /// The same for who has the right to bring versions in.
    async fn known_now(&self, upload: &Upload, digest: &str) -> Result<Option<Uploaded>, Problem> {
        let Some(known) = same_bytes(&self.catalogue(), upload, digest)? else {
            return Ok(None);
        };
        // The bytes at hand are sound; those in the buckets may no longer be.
        self.store.put(digest, &upload.bytes, None).await?;
        let known = self.checked(&upload.id, &known).await?;
        Ok(Some(Uploaded::Known(Box::new(known))))
    }

    /// Checks a stored version that this program has not checked yet.
    ///
    /// # Errors
    /// 404 for an unknown version, 422 `check_failed` with the report.
    pub(super) async fn check_stored(&self, id: &PluginId, version: &str) -> Result<(), Problem> {
        let catalogue = self.catalogue();
        let entry = catalogue.named(id, version)?;
        if entry.checked_by.as_deref() == Some(PROGRAM) {
            return Ok(());
        }
        let (plugin, digest) = (entry.plugin(), entry.digest.clone());
        let bytes = self.store.get(&digest).await?;
        let expected = Expected {
            name: Some(plugin.name.clone()),
            version: Some(plugin.version.clone()),
        };
        let (report, checked) = self.passed(id.kind(), bytes.clone(), &expected).await?;
        self.store.put(&digest, &bytes, Some(&report)).await?;
        self.keep(checked);
        let checks = in_a_line(&report);
        let step = |edit: &mut Edit| {
            edit.checked(&plugin, PROGRAM, checks.clone());
            Ok(())
        };
        self.change(id.kind(), HOUSE, None, step).await.map(drop)
    }

    /// The report and the plugin of a component that passes every check.
    async fn passed(
        &self,
        kind: PluginKind,
        bytes: Bytes,
        expected: &Expected,
    ) -> Result<(CheckReport, Plugin), Problem> {
        let Checked { report, plugin } = self.host.check(kind, bytes, expected).await?;
        match plugin {
            Some(plugin) if report.passed => Ok((report, plugin)),
            _ => Err(check_failed(&report)),
        }
    }

    /// Enters the plugins that come with the binary and that the catalogue does not list. Those of the house
    /// serve where nothing else was chosen.
    pub(super) async fn bring_in(&self, bundled: &[Bundled]) -> Result<(), PluginsError> {
        for kind in PluginKind::ALL {
            self.keep(self.house(kind).clone());
        }
        self.refresh().await?;
        for component in bundled {
            let kind = kind_of(component)?;
            let house = self.house(kind);
            let plugin = if house.identity().name == component.name {
                Some(house.clone())
            } else {
                self.alternative(kind, component).await
            };
            let Some(plugin) = plugin else {
                continue;
            };
            let catalogue = self.catalogue();
            match catalogue.find(kind, plugin.identity()) {
                None => {
                    self.bring(&plugin, Bytes::from_static(component.bytes))
                        .await?
                }
                Some(known) if known.digest == plugin.digest() => {}
                Some(_) => tracing::info!(
                    plugin = %plugin.identity(),
                    "this binary brings other bytes for a version that is stored; those that are stored serve"
                ),
            }
        }
        Ok(())
    }

    /// A plugin that comes with the binary beside the one of the house; none when it is listed already. One
    /// that does not load under the limits that are set is left out: nothing depends on it.
    async fn alternative(&self, kind: PluginKind, component: &Bundled) -> Option<Plugin> {
        let digest = hex(&digest_of(&Bytes::from_static(component.bytes)).await);
        let catalogue = self.catalogue();
        if catalogue
            .versions
            .iter()
            .any(|entry| entry.digest == digest)
        {
            return None;
        }
        match self.host.load(kind, component.bytes).await {
            Ok(plugin) => Some(plugin),
            Err(error) => {
                tracing::error!(plugin = component.name, %error, "a bundled plugin does not load and is left out");
                None
            }
        }
    }

    async fn bring(&self, plugin: &Plugin, bytes: Bytes) -> Result<(), Problem> {
        let kind = plugin.kind();
        let expected = Expected {
            name: Some(plugin.identity().name.clone()),
            version: Some(plugin.identity().version.clone()),
        };
        let mut entry = new_entry(plugin, bytes.len());
        let report = match self.passed(kind, bytes.clone(), &expected).await {
            Ok((report, _)) => {
                entry.checked_by = Some(PROGRAM.to_owned());
                Some(report)
            }
            Err(problem) => {
                // It loads, so it can serve; a host without it could not start at all.
                tracing::error!(plugin = %plugin.identity(), %problem, "a plugin of the house fails its checks under the limits that are set");
                None
            }
        };
        self.store
            .put(plugin.digest(), &bytes, report.as_ref())
            .await?;
        entry.checks = report.as_ref().map(in_a_line);
        let step = |edit: &mut Edit| {
            // Another host that starts on the same bucket may have been first.
            if edit.catalogue().find(kind, plugin.identity()).is_some() {
                return Ok(());
            }
            let serves = takes_over(edit.catalogue(), kind, &plugin.identity().name);
            edit.add(entry.clone());
            if serves {
                edit.activate(plugin.identity(), &[Place::Host]);
            }
            Ok(())
        };
        self.change(kind, HOUSE, None, step).await?;
        // As at an upload.
        let stored = self.store.put(plugin.digest(), &bytes, report.as_ref());
        Ok(stored.await?)
    }

    /// Drops a component that no version refers to any more. The caller has the right to delete.
    pub(super) async fn forget(&self, digest: &str) {
        let catalogue = self.catalogue();
        if catalogue
            .versions
            .iter()
            .any(|entry| entry.digest == digest)
        {
            return;
        }
        locked(&self.loaded).remove(digest);
        self.store.remove(digest).await;
    }
}

/// The version under which exactly these bytes are listed; none when they are new.
///
/// # Errors
/// 409 `version_exists` when the version has other bytes.
fn same_bytes(
    catalogue: &Catalogue,
    upload: &Upload,
    digest: &str,
) -> Result<Option<String>, Problem> {
    let mut versions = catalogue
        .versions
        .iter()
        .filter(|entry| entry.is_of(&upload.id));
    let Some(version) = &upload.version else {
        let same = versions.find(|entry| entry.digest == digest);
        return Ok(same.map(|entry| entry.version.clone()));
    };
    match versions.find(|entry| entry.version == *version) {
        None => Ok(None),
        Some(entry) if entry.digest == digest => Ok(Some(version.clone())),
        Some(_) => Err(Problem::conflict(
            "version_exists",
            format!(
                "version `{version}` of {} is there with other bytes, and a version never changes; raise the version and upload again",
                upload.id
            ),
        )),
    }
}

fn new_entry(plugin: &Plugin, bytes: usize) -> Entry {
    let mut entry = Entry::new(
        plugin.kind(),
        plugin.identity().clone(),
        plugin.digest().to_owned(),
        bytes as u64,
    );
    entry.description = Some(plugin.description());
    entry
}
