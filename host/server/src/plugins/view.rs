//! Plugins as clients see them: the catalogue, together with what calls have come to since the start.

use boathouse_plugins::{CheckOutcome, CheckReport, PluginStats};
use boathouse_types::{PluginKind, PluginRef, Timestamp};
use serde::Serialize;

use super::{
    Registry,
    catalogue::{Catalogue, Entry, State, Suspension},
    health::TOLERATED,
    name::{Place, PluginId},
};
use crate::{
    metrics::PluginFigures,
    plugins::shadow::LiveView,
    problem::{FieldProblem, Problem},
};

/// A plugin with all its versions.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PluginView {
    /// What it decides.
    pub kind: PluginKind,
    /// `team/name`.
    pub name: String,
    /// For `If-Match`: changes whenever a plugin of this kind does.
    pub etag: String,
    /// Its versions, oldest upload first.
    pub versions: Vec<VersionView>,
}

/// One version of a plugin.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct VersionView {
    /// What it decides.
    pub kind: PluginKind,
    /// `team/name`.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// How far it has come.
    pub state: State,
    /// Why it does not answer although it is active; the plugin of the house does in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Suspension>,
    /// Where it serves.
    pub places: Vec<PlaceView>,
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
    /// Size of its component.
    pub bytes: u64,
    /// Whether it came with a signature of its team.
    pub signed: bool,
    /// Who uploaded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploaded_by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploaded_at: Option<Timestamp>,
    /// The program whose checks it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_by: Option<String>,
    /// How these went, in a line; the report is at the version's own route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<String>,
    /// Since when it runs beside what serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_since: Option<Timestamp>,
    /// Calls since it was loaded.
    pub stats: PluginStats,
}

/// Where a version serves.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PlaceView {
    /// The place.
    pub place: Place,
    /// Since when.
    pub since: Timestamp,
    /// What a rollback would let serve there; nothing when no plugin belonged to the place before.
    pub previous: Option<PluginRef>,
}

/// A version with the report of its checks.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CheckedVersion {
    /// The version.
    pub version: VersionView,
    /// What was checked when it came in; nothing for versions of older releases.
    pub report: Option<CheckReport>,
}

impl Registry {
    /// All versions of all plugins, oldest upload first.
    #[must_use]
    pub fn versions(&self) -> Vec<VersionView> {
        let catalogue = self.catalogue();
        let view = |entry| self.version_of(&catalogue, entry);
        catalogue.versions.iter().map(view).collect()
    }

    /// A plugin with its versions.
    ///
    /// # Errors
    /// 404 `unknown_plugin`.
    pub fn view(&self, id: &PluginId) -> Result<PluginView, Problem> {
        let catalogue = self.catalogue();
        let versions = catalogue.of(id)?;
        Ok(PluginView {
            kind: id.kind(),
            name: id.name().to_owned(),
            etag: etag(catalogue.revision(id.kind())),
            versions: versions
                .map(|entry| self.version_of(&catalogue, entry))
                .collect(),
        })
    }

    /// One version.
    ///
    /// # Errors
    /// 404 `unknown_plugin` or `unknown_version`.
    pub fn version(&self, id: &PluginId, version: &str) -> Result<VersionView, Problem> {
        let catalogue = self.catalogue();
        let entry = catalogue.named(id, version)?;
        Ok(self.version_of(&catalogue, entry))
    }

    /// One version with the report of its checks.
    ///
    /// # Errors
    /// 404; the bucket's failure.
    pub async fn checked(&self, id: &PluginId, version: &str) -> Result<CheckedVersion, Problem> {
        let version = self.version(id, version)?;
        Ok(CheckedVersion {
            report: self.store.report(&version.digest).await?,
            version,
        })
    }

    /// For `If-Match`: changes whenever a plugin of the kind does.
    #[must_use]
    pub fn etag(&self, kind: PluginKind) -> String {
        etag(self.catalogue().revision(kind))
    }

    /// What `/metrics` shows of each version.
    pub(crate) fn figures(&self) -> Vec<PluginFigures> {
        let figures = |version: VersionView| PluginFigures {
            live: self.live(&version),
            kind: version.kind,
            name: version.name,
            version: version.version,
            state: version.state.as_str().to_owned(),
            digest: version.digest,
            suspended: version.suspended.is_some(),
            stats: version.stats,
        };
        self.versions().into_iter().map(figures).collect()
    }

    fn live(&self, version: &VersionView) -> Option<LiveView> {
        let plugin = PluginRef {
            name: version.name.clone(),
            version: version.version.clone(),
        };
        self.shadows.live(version.kind, &plugin)
    }

    fn version_of(&self, catalogue: &Catalogue, entry: &Entry) -> VersionView {
        let plugin = entry.plugin();
        let loaded = self.if_loaded(&entry.digest);
        let described = entry
            .description
            .clone()
            .or_else(|| loaded.as_ref().map(boathouse_plugins::Plugin::description));
        let places = catalogue
            .places(entry.kind, &plugin)
            .map(|serving| PlaceView {
                place: serving.place.clone(),
                since: serving.since,
                previous: serving.before.last().cloned().flatten(),
            });
        VersionView {
            kind: entry.kind,
            state: catalogue.state(entry),
            suspended: self.suspension(entry),
            places: places.collect(),
            summary: described
                .as_ref()
                .map_or_else(String::new, |d| d.summary.clone()),
            reads: described
                .as_ref()
                .map_or_else(Vec::new, |d| d.reads.clone()),
            deterministic: described.is_some_and(|d| d.deterministic),
            short_digest: entry.digest.chars().take(12).collect(),
            digest: entry.digest.clone(),
            bytes: entry.bytes,
            signed: entry.signature.is_some(),
            uploaded_by: entry.uploaded.as_ref().map(|stamp| stamp.by.clone()),
            uploaded_at: entry.uploaded.as_ref().map(|stamp| stamp.at),
            checked_by: entry.checked_by.clone(),
            checks: entry.checks.clone(),
            shadow_since: entry.shadow_since,
            stats: loaded.map_or_else(PluginStats::default, |plugin| plugin.stats()),
            name: plugin.name,
            version: plugin.version,
        }
    }

    /// A suspension is in force before it is on record.
    fn suspension(&self, entry: &Entry) -> Option<Suspension> {
        let in_force = self.health(entry.kind, &entry.plugin()).is_suspended();
        entry.suspended.clone().or_else(|| {
            in_force.then(|| Suspension {
                at: self.now(),
                reason: format!("{TOLERATED} failures in a row, just now"),
            })
        })
    }
}

impl State {
    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uploaded => "uploaded",
            Self::Checked => "checked",
            Self::Shadow => "shadow",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// A revision as an entity tag (RFC 9110).
pub(super) fn etag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// 422 that names every check that failed, each with its cure, and carries the report.
pub(super) fn check_failed(report: &CheckReport) -> Problem {
    let failed: Vec<FieldProblem> = report
        .checks
        .iter()
        .filter(|check| check.outcome == CheckOutcome::Failed)
        .map(|check| FieldProblem {
            field: check.name.to_string(),
            detail: [check.detail.as_deref(), check.cure.as_deref()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("; "),
        })
        .collect();
    let first = failed.first().map_or_else(
        || "no check passed".to_owned(),
        |check| format!("{}: {}", check.field, check.detail),
    );
    let more = match failed.len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more, see `errors`)", n - 1),
    };
    let mut problem = Problem::unprocessable(
        "check_failed",
        format!("the component was refused and nothing was stored: {first}{more}"),
    );
    problem.errors = failed;
    problem.report = serde_json::to_value(report).ok().map(Box::new);
    problem
}

/// The report in a line, for the audit log.
pub(super) fn in_a_line(report: &CheckReport) -> String {
    let passed = report
        .checks
        .iter()
        .filter(|check| check.outcome == CheckOutcome::Passed)
        .count();
    let ms: u64 = report.checks.iter().map(|check| check.ms).sum();
    format!("{passed} of {} checks in {ms} ms", report.checks.len())
}
