//! `/vectors/agent/replay`.

use axum::{Json, extract::State};
use serde::Deserialize;

use crate::{
    extract::{Path, Query},
    http::AppState,
    problem::Problem,
    replay::{self, ReplayReport},
};

/// Most trials of one report.
const MAX_TRIALS: usize = 1_000;

/// How far back.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayQuery {
    /// Most trials to ask about again, newest first: 1 to 1,000, 100 when left out.
    #[serde(default = "hundred")]
    limit: usize,
}

fn hundred() -> usize {
    100
}

/// Ask proposers again what they were asked, and compare with the journal.
#[utoipa::path(
    get, path = "/vectors/agent/replay/{idx}", params(("idx" = String, Path), ReplayQuery),
    responses((status = 200, body = ReplayReport), (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn show(
    State(app): AppState,
    Path(name): Path<String>,
    Query(query): Query<ReplayQuery>,
) -> Result<Json<ReplayReport>, Problem> {
    let index = app.indexes.get(&name)?;
    let limit = query.limit;
    if !(1..=MAX_TRIALS).contains(&limit) {
        let must = format!("is {limit} and must be 1 to 1,000");
        return Err(Problem::field("limit", "bad_query", must));
    }
    replay::replay(&app, &index, limit).await.map(Json)
}
