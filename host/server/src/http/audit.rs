//! `/audit`: who changed what, and who was refused.

use axum::{Json, extract::State};
use serde::Deserialize;

use crate::{auth::AuditPage, extract::Query, http::AppState, problem::Problem};

/// Which part of the log.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// Lines that follow this one: `next` of the page before. The newest when left out; empty for the
    /// beginning.
    after: Option<String>,
    /// How many, 100 when left out, 1 to 1,000.
    #[serde(default = "hundred")]
    limit: usize,
}

fn hundred() -> usize {
    100
}

/// Read the audit log.
#[utoipa::path(get, path = "/audit", params(AuditQuery), responses((status = 200, body = AuditPage), (status = 403, body = Problem)))]
pub(crate) async fn read(
    State(app): AppState,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    let limit = query.limit.clamp(1, 1_000);
    let page = app.auth.audit.read(query.after.as_deref(), limit).await?;
    Ok(Json(page))
}
