//! One configuration, read once at start.
//!
//! A flag wins over `BOATHOUSE__SECTION__KEY`, which wins over the file, which wins over the default.
//! Unknown keys are refused with the place they stand at. Nothing else of the process reads the
//! environment: it comes in as a map.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use boathouse_ingest::{OnDetectorFailure, Retention};
use boathouse_plugins::PluginHostConfig;
use boathouse_storage::{BackendConfig, BucketConfig, MirrorScope, SecretRef};
use boathouse_types::{BucketName, IndexConfig};
use serde::{Deserialize, Serialize};

use crate::{
    agent::AgentConfig,
    auth::{PublicKey, Team},
    lance::LanceConfig,
    lineage::LineageConfig,
    models::ModelsConfig,
    pii::PiiConfig,
    watcher::{self, WatchConfig},
};

/// The environment, as given to the process.
pub type Environment = BTreeMap<String, String>;

const PREFIX: &str = "BOATHOUSE__";

/// A configuration that cannot be used; the text names file and line, variable or flag, and the key.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration file {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key or value is wrong.
    #[error("{place}: {message}")]
    Invalid {
        /// File, variable or flag.
        place: String,
        /// What is wrong, with line and column where there are any.
        message: String,
    },
}

/// Everything that can be configured, by concern.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the host listens and keeps its data.
    pub server: ServerConfig,
    /// The two buckets that every host has.
    pub storage: StorageConfig,
    /// Further buckets.
    pub buckets: Vec<BucketConfig>,
    /// Taking tables in.
    pub ingest: IngestConfig,
    /// How long versions of datasets stay readable.
    pub datasets: DatasetsConfig,
    /// Indexes and their evaluation.
    pub vectors: VectorsConfig,
    /// Lance tables.
    pub lance: LanceConfig,
    /// What tunes indexes by itself.
    pub agent: AgentConfig,
    /// The model server.
    pub models: ModelsConfig,
    /// Plugins: limits and settings.
    pub plugins: PluginsConfig,
    /// Who may do what.
    pub auth: AuthConfig,
    /// Logging.
    pub telemetry: TelemetryConfig,
    /// Where lineage is posted.
    pub lineage: LineageConfig,
    /// Folders whose files become rows.
    pub watch: Vec<WatchConfig>,
}

/// `[server]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Folder for everything the host keeps; created when missing.
    pub data: PathBuf,
    /// Address to listen on; beyond loopback only with a key that has the scope `admin`.
    pub bind: IpAddr,
    /// Port; 0 picks a free one.
    pub port: u16,
    /// Certificate and key for encrypted connections; plain HTTP when left out.
    pub tls: Option<TlsConfig>,
    /// Largest upload in bytes.
    pub max_upload_bytes: u64,
    /// Largest JSON body in bytes.
    pub max_body_bytes: usize,
    /// Seconds a request that is no upload may take.
    pub request_timeout_secs: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("boathouse-data"),
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 7700,
            tls: None,
            max_upload_bytes: 64 << 30,
            max_body_bytes: 8 << 20,
            request_timeout_secs: 600,
        }
    }
}

/// `[server.tls]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate, those that lead to its root after it.
    pub cert: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// `[storage]`: where `primary` and `rescue` are; folders below `server.data` unless said otherwise.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// Holds everything without a bucket of its own.
    pub primary: Option<BackendConfig>,
    /// For the mirror of what recovery needs.
    pub rescue: Option<BackendConfig>,
    /// Folder for the buckets that profiles name and that are not there yet; `profiles` below `server.data` when
    /// left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_root: Option<PathBuf>,
    /// What is copied into `rescue`.
    pub mirror: MirrorConfig,
    /// How buckets are looked after.
    pub health: HealthConfig,
    /// Garbage collection.
    pub gc: GcConfig,
}

/// `[storage.gc]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GcConfig {
    /// Hours between two runs; 0: only when asked for.
    pub every_hours: u32,
    /// Hours for which objects that nobody refers to are left alone.
    pub grace_hours: u32,
    /// Files of a log that are left apart; a run merges more than these.
    pub compact_files: u64,
}

impl Default for GcConfig {
    fn default() -> Self {
        Self {
            every_hours: 24,
            grace_hours: 24,
            compact_files: 64,
        }
    }
}

/// `[datasets]`: when versions expire. With both keys a version expires when both allow it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatasetsConfig {
    /// Newest versions that stay readable; 0: all.
    pub keep_versions: u64,
    /// Days for which a version stays readable once a newer one stands; 0: for ever.
    pub expire_after_days: u32,
}

impl DatasetsConfig {
    /// The rule, with the hours that a newer version stands before anything expires.
    pub(crate) fn retention(&self, grace_hours: u32) -> Retention {
        const HOUR_MILLIS: i64 = 60 * 60 * 1_000;
        let days = self.expire_after_days;
        Retention {
            keep_versions: (self.keep_versions > 0).then_some(self.keep_versions),
            keep_millis: (days > 0).then(|| i64::from(days) * 24 * HOUR_MILLIS),
            grace_millis: i64::from(grace_hours) * HOUR_MILLIS,
        }
    }
}

/// `[storage.mirror]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MirrorConfig {
    /// What `rescue` gets copies of: what cannot be made again, or everything.
    pub keep: MirrorScope,
}

/// `[storage.health]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Seconds between two looks at a bucket.
    pub every_secs: u64,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { every_secs: 10 }
    }
}

/// `[ingest]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestConfig {
    /// What happens to an ingest when a personal-data detector fails; unset: it is refused where a policy
    /// depends on findings, and taken in with a remark elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_detector_failure: Option<OnDetectorFailure>,
    /// Folders of this machine from whose files rows may be taken by their path.
    pub folders: Vec<PathBuf>,
    /// Most bytes that may come out of a compressed file; unset: 256 GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_decompressed_bytes: Option<u64>,
    /// What happens to personal data.
    pub pii: PiiConfig,
    /// References to connection texts, `env:NAME` or `file:/absolute/path`, that every key with the scope
    /// `ingest` may read databases by.
    pub dsn_references: Vec<SecretRef>,
    /// Runs that bring rows of databases again and again.
    pub jobs: JobsConfig,
}

impl IngestConfig {
    /// Most bytes that may come out of a compressed file.
    pub(crate) fn max_decompressed_bytes(&self) -> u64 {
        self.max_decompressed_bytes.unwrap_or(256 << 30)
    }
}

/// `[ingest.jobs]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsConfig {
    /// Seconds for which a host that died keeps others from running its jobs.
    pub lease_secs: u32,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self { lease_secs: 60 }
    }
}

impl JobsConfig {
    /// How long a lease holds that is not renewed.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(u64::from(self.lease_secs))
    }
}

/// `[vectors]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VectorsConfig {
    /// Configuration of an index that names none.
    pub default_config: IndexConfig,
    /// Queries of an evaluation set that says nothing.
    pub eval_queries: usize,
    /// Threads for building graphs; 0 takes all cores.
    pub threads: usize,
    /// Most hits that a search may ask for.
    pub max_k: usize,
    /// Share of searches that are answered exactly afterwards, to know their recall; 0 for none.
    pub live_recall_share: f64,
    /// Most bytes that the vectors may take which one build, append or rebuild makes: 4 a component.
    pub max_build_bytes: u64,
}

impl Default for VectorsConfig {
    fn default() -> Self {
        Self {
            default_config: IndexConfig::default(),
            eval_queries: 1_000,
            threads: 0,
            max_k: 10_000,
            live_recall_share: 0.005,
            max_build_bytes: 16 << 30,
        }
    }
}

/// `[plugins]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginsConfig {
    /// Limits per kind and the number of calls at once.
    pub sandbox: PluginHostConfig,
    /// Settings that a plugin reads, by `team/name`.
    pub settings: BTreeMap<String, BTreeMap<String, String>>,
}

/// `[auth]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// Whether a key is asked for even on loopback and while there is none.
    pub required: bool,
    /// Whether plugins of every team must be signed, so that a team without a public key cannot upload.
    pub signatures_required: bool,
    /// What is known of a team that writes plugins, by its name.
    pub teams: BTreeMap<String, TeamConfig>,
}

/// `[auth.teams.NAME]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamConfig {
    /// Its ed25519 key: every upload of the team must be signed with the private half.
    pub public_key: PublicKey,
}

/// `[telemetry]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Filter of log lines, for example `info` or `boathouse_server=debug,warn`.
    pub log: String,
    /// Shape of log lines.
    pub format: LogFormat,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log: "warn".to_owned(),
            format: LogFormat::default(),
        }
    }
}

/// Shape of log lines, which go to standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Values from the command line, which win over everything else.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--bind`
    pub bind: Option<IpAddr>,
    /// `--port`
    pub port: Option<u16>,
}

impl Config {
    /// Reads the file when one is given, then lays variables and flags over it and checks the whole.
    ///
    /// # Errors
    /// [`ConfigError`], which names the place of what is wrong.
    pub fn load(
        file: Option<&Path>,
        environment: &Environment,
        flags: &Overrides,
    ) -> Result<Self, ConfigError> {
        let mut table = match file {
            Some(path) => read_file(path)?,
            None => toml::Table::new(),
        };
        let variables: Vec<_> = environment
            .iter()
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        for (name, text) in &variables {
            overlay(&mut table, name, text)?;
        }
        // The file is sound by itself, so what is wrong now stems from a variable.
        let mut config: Self = table.try_into().map_err(|error: toml::de::Error| {
            let names: Vec<_> = variables.iter().map(|(name, _)| name.as_str()).collect();
            invalid(&names.join(", "), error.message())
        })?;
        let server = &mut config.server;
        server.data = flags.data.clone().unwrap_or_else(|| server.data.clone());
        server.bind = flags.bind.unwrap_or(server.bind);
        server.port = flags.port.unwrap_or(server.port);
        config.check()?;
        config
            .models
            .address(environment)
            .map_err(|(place, error)| invalid(place, &error.to_string()))?;
        Ok(config)
    }

    /// The address to listen on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.server.bind, self.server.port)
    }

    /// Where the buckets of profiles are made, as an absolute path.
    #[must_use]
    pub fn profile_root(&self) -> PathBuf {
        let given = self.storage.profile_root.clone();
        let root = given.unwrap_or_else(|| self.server.data.join("profiles"));
        std::path::absolute(&root).unwrap_or(root)
    }

    /// All buckets with `primary` and `rescue` first.
    #[must_use]
    pub fn all_buckets(&self) -> Vec<BucketConfig> {
        let local = |name: &BucketName, given: &Option<BackendConfig>| BucketConfig {
            name: name.clone(),
            backend: given.clone().unwrap_or_else(|| BackendConfig::Local {
                root: self.server.data.join(name.as_str()),
            }),
        };
        let mut buckets = vec![
            local(&BucketName::primary(), &self.storage.primary),
            local(&BucketName::rescue(), &self.storage.rescue),
        ];
        buckets.extend(self.buckets.iter().cloned());
        buckets
    }

    fn check(&self) -> Result<(), ConfigError> {
        if let Some(team) = self
            .auth
            .teams
            .keys()
            .find(|name| Team::new(name).is_none())
        {
            return Err(invalid(
                "auth.teams",
                &format!(
                    "`{team}` is not a team's name: use lower-case letters, digits and hyphens"
                ),
            ));
        }
        self.plugins
            .sandbox
            .check()
            .map_err(|error| invalid("plugins.sandbox", &error.to_string()))?;
        self.agent
            .check()
            .map_err(|(key, must)| invalid(key, must))?;
        self.models
            .check()
            .map_err(|key| invalid(key, "must be at least 1"))?;
        boathouse_tuning::check_config(&self.vectors.default_config)
            .map_err(|error| invalid("vectors.default_config", &error.to_string()))?;
        self.lance
            .check()
            .map_err(|(key, must)| invalid(key, must))?;
        self.lineage
            .check()
            .map_err(|problem| invalid("lineage", &problem))?;
        watcher::check(&self.watch, &self.server.data)
            .map_err(|problem| invalid("watch", &problem))?;
        self.ingest
            .pii
            .check()
            .map_err(|error| invalid("ingest.pii", &error.to_string()))?;
        if self.ingest.jobs.lease_secs == 0 {
            return Err(invalid("ingest.jobs.lease_secs", "must be at least 1"));
        }
        if self.storage.health.every_secs == 0 {
            return Err(invalid("storage.health.every_secs", "must be at least 1"));
        }
        if self.vectors.eval_queries == 0 {
            return Err(invalid("vectors.eval_queries", "must be at least 1"));
        }
        if self.storage.gc.compact_files < 2 {
            return Err(invalid("storage.gc.compact_files", "must be at least 2"));
        }
        if self.vectors.max_k == 0 {
            return Err(invalid("vectors.max_k", "must be at least 1"));
        }
        if self.vectors.max_build_bytes == 0 {
            return Err(invalid("vectors.max_build_bytes", "must be at least 1"));
        }
        if !(0.0..=1.0).contains(&self.vectors.live_recall_share) {
            return Err(invalid(
                "vectors.live_recall_share",
                "must be a share, from 0 (none) to 1 (every search)",
            ));
        }
        let mut names: Vec<_> = self.all_buckets().into_iter().map(|b| b.name).collect();
        names.sort();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(invalid(
                "buckets",
                &format!("two buckets are named `{}`", pair[0]),
            ));
        }
        Ok(())
    }
}

fn invalid(place: &str, message: &str) -> ConfigError {
    ConfigError::Invalid {
        place: place.to_owned(),
        message: message.trim_end().to_owned(),
    }
}

/// Reads the file twice: once as a [`Config`], because only then an error has a line, and once as a
/// table to lay variables over.
fn read_file(path: &Path) -> Result<toml::Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let at = |error: toml::de::Error| {
        let line = error
            .span()
            .map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        invalid(&format!("{}:{line}", path.display()), error.message())
    };
    let _: Config = toml::from_str(&text).map_err(at)?;
    text.parse().map_err(at)
}

/// Puts the value of `BOATHOUSE__A__B` at `a.b`.
fn overlay(table: &mut toml::Table, name: &str, text: &str) -> Result<(), ConfigError> {
    let path = name[PREFIX.len()..].to_lowercase();
    let mut keys: Vec<&str> = path.split("__").collect();
    let last = keys.pop().filter(|key| !key.is_empty());
    let Some(last) = last else {
        return Err(invalid(name, "names no key; write BOATHOUSE__SECTION__KEY"));
    };
    let mut place = table;
    for key in keys {
        let entry = place
            .entry(key)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let toml::Value::Table(inner) = entry else {
            return Err(invalid(name, &format!("`{key}` is not a section")));
        };
        place = inner;
    }
    place.insert(last.to_owned(), value_of(text));
    Ok(())
}

/// A TOML literal when the text is one (`8`, `true`, `[1]`), else the text itself.
fn value_of(text: &str) -> toml::Value {
    format!("v = {text}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests;
