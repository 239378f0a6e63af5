//! Which indexes and tasks a restricted key reaches: questions that need the host to answer them.

use crate::{
    app::App,
    auth::{Caller, Reach, Scope, caller::scope_missing},
    http::pii::SCAN,
    models::ACTIVATE,
    problem::Problem,
    tasks::TaskView,
};

/// That an index is within reach, by its own name or by the dataset that it is on.
///
/// # Errors
/// 403 `forbidden`, whether or not there is such an index.
pub(crate) fn may_use_index(app: &App, caller: &Caller, name: &str) -> Result<(), Problem> {
    let on = match caller.reach() {
        Reach::All => return Ok(()),
        Reach::Only { datasets, .. } => datasets.iter().find(|dataset| {
            let indexes = app.indexes.on(dataset);
            indexes.iter().any(|index| index.as_str() == name)
        }),
    };
    caller.may_use_index(name, on)
}

/// Whether a task may be seen: a restricted key sees those that it started.
pub(crate) fn sees_task(caller: &Caller, task: &TaskView) -> bool {
    !caller.is_restricted() || task.by == caller.name()
}

/// That a task may be seen.
///
/// # Errors
/// 403 `forbidden`.
pub(crate) fn may_see_task(caller: &Caller, task: &TaskView) -> Result<(), Problem> {
    if sees_task(caller, task) {
        return Ok(());
    }
    Err(Problem::new(
        axum::http::StatusCode::FORBIDDEN,
        "forbidden",
        "this key reaches some datasets and indexes only, and of tasks those that it started",
    ))
}

/// That a task may be stopped: ingests and scans by who may ingest, activations by who may change models, the rest by who
/// may tune, all by who began them.
///
/// # Errors
/// 403 `forbidden` or `scope_missing`.
pub(crate) fn may_stop_task(caller: &Caller, task: &TaskView) -> Result<(), Problem> {
    may_see_task(caller, task)?;
    let scope = if ["ingest", SCAN].contains(&task.kind.as_str()) {
        Scope::Ingest
    } else if task.kind == ACTIVATE {
        Scope::Models
    } else {
        Scope::Tune
    };
    if caller.has(&scope) || task.by == caller.name() {
        return Ok(());
    }
    Err(scope_missing(&[scope]))
}
