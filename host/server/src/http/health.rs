//! `/livez` and `/readyz`.

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;

use crate::{
    app::App,
    auth::{Caller, Scope},
    buckets::HealthState,
    http::AppState,
    indexes::LiveIndex,
    models,
    plugins::State as PluginState,
    watcher::WatchState,
};

/// Whether the process runs and whether its parts do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Readiness {
    /// All of `components` are ready.
    ready: bool,
    /// Version of this program.
    version: &'static str,
    /// Empty for who may not read everything.
    components: Vec<Component>,
}

/// One part of the host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Component {
    /// For example `bucket primary`.
    name: String,
    ready: bool,
    /// What is wrong, or a figure.
    detail: String,
}

/// The process runs.
#[utoipa::path(get, path = "/livez", responses((status = 204, description = "alive")))]
pub(crate) async fn live() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Whether each part of the host is ready.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(crate) async fn ready(State(app): AppState, caller: Caller) -> (StatusCode, Json<Readiness>) {
    let mut components = buckets(&app);
    components.extend(held(&app).await);
    components.extend(promotions(&app));
    components.push(Component {
        name: "plugins".to_owned(),
        ready: true,
        detail: plugins(&app),
    });
    components.extend(unexamined(&app));
    components.extend(lineage(&app));
    components.extend(unended(&app));
    components.extend(model_server(&app));
    components.extend(watched(&app));
    let ready = components.iter().all(|component| component.ready);
    if !caller.has(&Scope::Read) || caller.is_restricted() {
        // A probe without a key learns whether the host is ready, and neither names of data nor paths.
        components.clear();
    }
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(Readiness {
            ready,
            version: env!("CARGO_PKG_VERSION"),
            components,
        }),
    )
}

/// Datasets and indexes of which something is gone, that are not to be believed, or that cannot be opened.
async fn held(app: &App) -> Vec<Component> {
    let mut components = Vec::new();
    for (dataset, files) in app.bucket_table.gone_datasets(app).await {
        components.push(Component {
            name: format!("dataset {dataset}"),
            ready: false,
            detail: format!("{files} of its files are gone; ingest it anew or delete it"),
        });
    }
    for index in app.indexes.list() {
        if index.complaint().is_some() {
            // Somebody may have put them back. What a bucket that does not answer has is as it was found.
            let _ = index.look_at_objects().await;
        }
        components.extend(index.complaint().map(|detail| Component {
            name: format!("index {}", index.meta.name),
            ready: false,
            detail,
        }));
    }
    for (doubtful, why) in app.bucket_table.doubtful().await {
        components.push(Component {
            name: doubtful.to_string(),
            ready: false,
            detail: why,
        });
    }
    for (index, why) in app.indexes.broken() {
        components.push(Component {
            name: format!("index {index}"),
            ready: false,
            detail: why,
        });
    }
    components
}

/// How each bucket was at the last look, and how far its copy in `rescue` is behind. A copy that is behind
/// keeps nothing from serving.
fn buckets(app: &App) -> Vec<Component> {
    let mut components = Vec::new();
    for (bucket, health) in app.bucket_table.health() {
        let mut detail = health.detail.unwrap_or_else(|| "reachable".to_owned());
        let mirror = app.bucket_table.mirror_view(&bucket);
        if let Some(lag) = mirror.filter(|lag| lag.objects > 0) {
            detail = format!("{detail}; objects that wait to be copied: {}", lag.objects);
            if let Some(why) = lag.failing {
                detail = format!("{detail}: {why}");
            }
        }
        components.push(Component {
            name: format!("bucket {bucket}"),
            ready: health.state == HealthState::Healthy,
            detail,
        });
    }
    components
}

/// Indexes that may serve an earlier configuration than the one that was promoted last: they answer nevertheless.
fn promotions(app: &App) -> Vec<Component> {
    let indexes = app.indexes.list().into_iter();
    let lost = indexes.filter_map(|index| {
        let detail = lost_of(&index)?;
        Some(Component {
            name: format!("promotions of index {}", index.meta.name),
            ready: true,
            detail,
        })
    });
    lost.collect()
}

/// What is not known of the promotions of an index, in words; none when nothing is lost.
fn lost_of(index: &LiveIndex) -> Option<String> {
    let (lost, lines, name) = (index.lost(), index.lost_promotions(), &index.meta.name);
    let mut told = Vec::new();
    if let Some(why) = lost.unread {
        told.push(format!(
            "they do not read and `rescue` does not say what it has of them, so what the index was created with serves until it does: {why}"
        ));
    }
    if !lost.kept_aside.is_empty() {
        let files = lost.kept_aside.len();
        told.push(format!(
            "damaged files of them have no sound copy in `rescue` and are kept in `_promotions/{name}/damaged`: {files}; what reads of them decides, so an earlier configuration may serve; promote the one that is to serve"
        ));
    }
    if lines > 0 {
        told.push(format!(
            "{lines} of their lines do not read and have no sound copy in `rescue`, so an earlier configuration may serve; promote the one that is to serve"
        ));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

/// That nobody looks for personal data, where no detector is active: rows come in nevertheless.
fn unexamined(app: &App) -> Option<Component> {
    let why = app.plugins.unexamined()?;
    Some(Component {
        name: "personal data".to_owned(),
        ready: true,
        detail: format!("degraded: {why}"),
    })
}

/// Runs whose end is not in the lineage, because their bucket does not take it; being behind keeps nothing from
/// serving.
fn unended(app: &App) -> Option<Component> {
    let runs = app.lineage.unended();
    (runs > 0).then(|| Component {
        name: "ends of runs".to_owned(),
        ready: true,
        detail: format!(
            "degraded: runs whose end waits until their bucket takes it into the lineage: {runs}"
        ),
    })
}

/// How far posting of lineage is, where it is posted; being behind keeps nothing from serving.
fn lineage(app: &App) -> Option<Component> {
    let view = app.lineage.view(app.clock.as_ref())?;
    let mut detail = match view.waiting {
        0 => format!("all events are posted to {}", view.endpoint),
        waiting => format!(
            "events that wait to be posted to {}: {waiting}, the oldest for {:.0} s",
            view.endpoint, view.lag_secs
        ),
    };
    if let Some(why) = view.failing {
        detail = format!("{detail}: {why}");
    }
    Some(Component {
        name: "lineage".to_owned(),
        ready: true,
        detail,
    })
}

/// How the model server is, where a profile needs it. What does not ask it goes on without it.
fn model_server(app: &App) -> Option<Component> {
    let slot = models::active(app);
    let detail = match slot.slot.server_error {
        Some(why) => why,
        None => format!("{} is looked at every few seconds", slot.model_server),
    };
    (app.models.profiles.count() > 0).then(|| Component {
        name: "model server".to_owned(),
        ready: true,
        detail,
    })
}

/// How each watched folder is; one that cannot be listed may have files that nobody takes.
fn watched(app: &App) -> impl Iterator<Item = Component> {
    app.watcher.views().into_iter().map(|folder| {
        let why = folder.last_error.map(|error| error.message);
        let detail = match folder.state {
            WatchState::Missing | WatchState::Retrying => why.unwrap_or_default(),
            _ => format!("files that wait: {}", folder.waiting_files),
        };
        Component {
            name: format!("watched folder {}", folder.folder),
            ready: folder.state != WatchState::Missing,
            detail,
        }
    })
}

/// How many versions serve, whether one of them is suspended, and what is wrong with their settings: the host answers
/// nevertheless.
fn plugins(app: &App) -> String {
    let versions = app.plugins.versions();
    let active = versions
        .iter()
        .filter(|v| v.state == PluginState::Active)
        .count();
    let counts = match versions.iter().filter(|v| v.suspended.is_some()).count() {
        0 => format!("{active} active"),
        suspended => format!("{active} active, {suspended} suspended"),
    };
    let complaints = app.plugins.complaints();
    [vec![counts], complaints].concat().join("; ")
}
