//! A component on this machine: read, recognised, and run in this process.

use std::path::Path;

use boathouse_bundle::Bundled;
use boathouse_plugins::{Compiling, Plugin, PluginHost, kind_of};
use boathouse_types::PluginKind;
use bytes::Bytes;
use tempfile::TempDir;

use crate::{cli::CliError, config::Config, plugins, system::this_program};

/// What every component begins with.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// A kind as an argument.
pub(super) fn kind(text: &str) -> Result<PluginKind, String> {
    PluginKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| "must be proposer, scoring or pii".to_owned())
}

/// A component's bytes and its kind.
pub(super) struct Component {
    pub(super) bytes: Bytes,
    pub(super) kind: PluginKind,
}

impl Component {
    /// Reads a file and finds out its kind by its exports, unless it is given.
    pub(super) async fn read(file: &Path, kind: Option<PluginKind>) -> Result<Self, CliError> {
        let read = tokio::fs::read(file).await;
        let bytes = Bytes::from(read.map_err(|source| CliError::Io {
            what: format!("read {}", file.display()),
            source,
        })?);
        // What is no component fails the checks of every kind, and before those in which kinds differ.
        let any = (!bytes.starts_with(COMPONENT)).then_some(PluginKind::Scoring);
        let kind = kind.or_else(|| kind_of(&bytes)).or(any).ok_or_else(|| {
            CliError::Failed(format!(
                "{} exports none of propose, evaluate and detect; name its kind with --kind to see what it lacks",
                file.display()
            ))
        })?;
        Ok(Self { bytes, kind })
    }

    /// Loads it into a sandbox of its own.
    pub(super) async fn load(&self, config: &Config) -> Result<Plugin, CliError> {
        let plugin = Sandbox::new(config)?
            .host
            .load(self.kind, &self.bytes)
            .await?;
        let settings = config.plugins.settings.get(&plugin.identity().name);
        let settings = settings.into_iter().flatten();
        let settings = settings.map(|(key, value)| (key.clone(), value.clone()));
        let settings = settings.collect();
        Ok(plugin.with_settings(settings))
    }
}

/// Why a bundled plugin declines an ordinary question under the settings that the configuration gives it; none when it
/// answers.
pub(in crate::cli) async fn refusal(
    config: &Config,
    bundled: &Bundled,
) -> Result<Option<String>, CliError> {
    let component = Component {
        bytes: Bytes::from_static(bundled.bytes),
        kind: kind(bundled.kind).map_err(CliError::Failed)?,
    };
    let plugin = component.load(config).await?;
    Ok(plugins::refusal(&plugin).await)
}

/// A sandbox in this process with the limits of the configuration, those of compiling included.
pub(super) struct Sandbox {
    pub(super) host: PluginHost,
    /// Machine code lies here as long as the sandbox is used.
    _cache: TempDir,
}

impl Sandbox {
    pub(super) fn new(config: &Config) -> Result<Self, CliError> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |source| CliError::Io { what, source }
        };
        let cache = TempDir::new().map_err(failed("make a folder for machine code"))?;
        let compiling = Compiling::Child {
            program: this_program().map_err(failed("find this program"))?,
            cache: cache.path().to_owned(),
        };
        Ok(Self {
            host: PluginHost::new(config.plugins.sandbox.clone(), compiling)?,
            _cache: cache,
        })
    }
}
