//! `/metrics`.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};

use crate::{
    agent,
    app::App,
    http::AppState,
    live,
    metrics::{self, Figures, LiveFigures},
    models,
    problem::Problem,
    tasks::TaskState,
};

/// How long a scrape waits for a bucket.
const PATIENCE: Duration = Duration::from_secs(2);

/// Figures of this host for Prometheus.
#[utoipa::path(
    get, path = "/metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"))
)]
pub(crate) async fn show(State(app): AppState) -> Result<Response, Problem> {
    let text = metrics::encode(figures(&app).await).map_err(|error| Problem::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response())
}

async fn figures(app: &App) -> Figures {
    let tasks = app.tasks.list();
    let running = tasks.iter().filter(|task| task.state == TaskState::Running);
    Figures {
        tasks_running: running.count() as u64,
        indexes: app.indexes.list().len() as u64,
        indexes_broken: app.indexes.broken().len() as u64,
        datasets: datasets(app).await,
        collected: app.gc.collected(),
        buckets: app.bucket_table.figures(),
        plugins: app.plugins.figures(),
        pii: Arc::clone(&app.pii.counts),
        lineage: app.lineage.view(app.clock.as_ref()),
        watched: app.watcher.views(),
        behind: behind(app),
        damaged: damaged(app),
        searches: app.load.figures(),
        agent: agent::figures(app),
        live: live(app),
        models: models::figures(app),
    }
}

fn behind(app: &App) -> Vec<(String, u64)> {
    let indexes = app.indexes.list();
    let rows = indexes.iter().map(|index| {
        let rows = index.behind().map_or(0, |behind| behind.rows);
        (index.meta.name.to_string(), rows)
    });
    rows.collect()
}

fn damaged(app: &App) -> Vec<(String, u64)> {
    let indexes = app.indexes.list();
    let objects = indexes.iter().map(|index| {
        let objects = index.faults().len() as u64;
        (index.meta.name.to_string(), objects)
    });
    objects.collect()
}

fn live(app: &App) -> Vec<LiveFigures> {
    let indexes = app.indexes.list();
    let figures = indexes.iter().map(|index| LiveFigures {
        index: index.meta.name.to_string(),
        recall: live::recall_of(index),
        counts: live::counts(index),
    });
    figures.collect()
}

/// How many datasets there are; none when the buckets do not say so soon.
async fn datasets(app: &App) -> Option<u64> {
    let listed = tokio::time::timeout(PATIENCE, app.datasets.list()).await;
    listed.ok()?.ok().map(|all| all.len() as u64)
}
