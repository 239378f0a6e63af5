//! Profiles take the GPU slot and give it back.
//!
//! Before a profile is activated its bucket is made, if it names one that is not there; afterwards its indexes are warmed,
//! so that the first question meets neither a cold file nor a model that still has to load. Both may fail without the
//! slot being any the worse: a bucket that cannot be made is told before anything is unloaded, and an index that cannot be
//! warmed beside the report.
//!
//! Who activates waits with its own future: dropping it takes the wish back, and the last who leaves cancels the change.

use std::sync::Arc;

use boathouse_models::{Activation, ModelName, ProfileId, SlotError, SwapReport};
use boathouse_storage::{BackendConfig, BucketConfig};
use boathouse_types::{BucketName, IndexName};
use serde::Serialize;

use super::{one_more, profile::Profile, search::own};
use crate::{app::App, indexes, problem::Problem};

/// Kind of the task of an activation.
pub(crate) const ACTIVATE: &str = "activate";

/// What activating a profile did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Activated {
    /// The profile.
    pub profile: ProfileId,
    /// What became of the models and of the memory.
    #[serde(flatten)]
    pub swap: SwapReport,
    /// The bucket that was made for the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_made: Option<BucketName>,
    /// Its indexes, warmed.
    pub warmed: Vec<Warmed>,
}

/// An index that was warmed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Warmed {
    /// The index.
    pub index: IndexName,
    /// Milliseconds that it took.
    pub took_ms: u64,
    /// Why it could not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Gives the slot to a profile, or keeps its models there for as long again.
///
/// # Errors
/// 404 for a profile or a model that is not there; 429 when as many changes wait as may; 503 when the model server does
/// not answer; what keeps a model from being loaded.
pub(crate) async fn activate(app: &Arc<App>, id: &ProfileId) -> Result<Activated, Problem> {
    let (_activating, profile) = (app.models.begin(id), app.models.profiles.read(id).await?);
    let (activation, bucket_made) = occupy(app, &profile).await?;
    let swap = activation.report;
    // Nothing is to wait for what follows.
    drop(activation.lease);
    Ok(Activated {
        profile: profile.id.clone(),
        swap,
        bucket_made,
        warmed: warm(app, &profile).await,
    })
}

/// Brings a profile into the slot; who gets this keeps it there until the lease is dropped.
pub(super) async fn occupy(
    app: &Arc<App>,
    profile: &Profile,
) -> Result<(Activation, Option<BucketName>), Problem> {
    let models = &app.models;
    let made = provision(app, profile).await?;
    models.protect(&app.indexes);
    let activation = models.slot().activate(profile.occupant()).await;
    note(app, activation.as_ref().err());
    Ok((activation?, made))
}

/// Takes the slot from a profile: its models leave memory.
///
/// # Errors
/// 404 when there is no such profile; 409 `slot_held` when another one holds the slot; when a model does not leave.
pub(crate) async fn deactivate(app: &App, id: &ProfileId) -> Result<SwapReport, Problem> {
    let slot = app.models.slot();
    let holds = |holder: &boathouse_models::Occupant| holder.profile == *id;
    // Also of one that another host has deleted.
    if !slot.view().holder.as_ref().is_some_and(holds) {
        app.models.profiles.read(id).await?;
    }
    let report = slot.deactivate(id.clone()).await;
    note(app, report.as_ref().err());
    Ok(report?)
}

/// Brings a model into memory by its name.
///
/// # Errors
/// 404 for a model that is not there; 409 when the slot holds another one that answers; 503.
pub(crate) async fn preload(app: &App, model: ModelName) -> Result<SwapReport, Problem> {
    app.models.protect(&app.indexes);
    let report = app.models.slot().preload(model).await;
    note(app, report.as_ref().err());
    Ok(report?)
}

/// Takes a model out of memory by its name, whoever brought it there.
///
/// # Errors
/// 409 `model_in_use` for one that a profile or an index embeds with; when it does not leave; 503.
pub(crate) async fn unload(app: &App, model: ModelName) -> Result<SwapReport, Problem> {
    app.models.protect(&app.indexes);
    let report = app.models.slot().unload(model).await;
    note(app, report.as_ref().err());
    Ok(report?)
}

/// Counts a change of the slot.
fn note(app: &App, error: Option<&SlotError>) {
    let counts = &app.models.counts;
    one_more(match error {
        None => &counts.swaps,
        Some(_) => &counts.failed_swaps,
    });
}

/// Makes the bucket that a profile names, if it is not there: a folder of its name below `[storage] profile_root`. Tells
/// which was made.
///
/// # Errors
/// As when a bucket is added by hand.
pub(super) async fn provision(
    app: &Arc<App>,
    profile: &Profile,
) -> Result<Option<BucketName>, Problem> {
    let Some(name) = &profile.bucket else {
        return Ok(None);
    };
    let is_there = || {
        let known = app.bucket_table.health();
        known.iter().any(|(known, _)| known == name)
    };
    if is_there() {
        return Ok(None);
    }
    let config = BucketConfig {
        name: name.clone(),
        backend: BackendConfig::Local {
            root: app.config.profile_root().join(name.as_str()),
        },
    };
    let worker = Arc::clone(app);
    let adding = async move { worker.bucket_table.add(&worker, config).await };
    match app.tasks.background().settle(adding).await {
        Ok(()) => Ok(Some(name.clone())),
        // Somebody else made it at the same time.
        Err(problem) if problem.code == "bucket_exists" && is_there() => Ok(None),
        Err(problem) => Err(problem.about("bucket")),
    }
}

/// Warms the indexes of a profile, one after the other.
async fn warm(app: &App, profile: &Profile) -> Vec<Warmed> {
    let own = own(app, profile);
    let mut warmed = Vec::new();
    for index in own.indexes {
        let began = std::time::Instant::now();
        let done = indexes::warm(app, &index).await;
        warmed.push(Warmed {
            index: index.meta.name.clone(),
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            problem: done.err().map(|problem| problem.detail),
        });
    }
    let missing = own.missing.into_iter().map(|index| Warmed {
        problem: Some(format!("there is no index `{index}` any more")),
        took_ms: 0,
        index,
    });
    warmed.extend(missing);
    warmed
}
