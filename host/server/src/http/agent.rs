//! `/vectors/agent`.

use axum::extract::State;

use crate::{
    agent::{self, AgentView, QueueEntry},
    auth::Caller,
    extract::Path,
    http::AppState,
    problem::Problem,
};

/// Show what waits for the agent, and what it does.
#[utoipa::path(get, path = "/vectors/agent", responses((status = 200, body = AgentView), (status = 503, body = Problem)))]
pub(crate) async fn show(
    State(app): AppState,
    caller: Caller,
) -> Result<axum::Json<AgentView>, Problem> {
    agent::view(&app, &caller).await.map(axum::Json)
}

/// Put an index into the agent's queue. Rows that were appended are looked for at once when its policy is `auto`.
#[utoipa::path(
    post, path = "/vectors/agent/enqueue/{idx}", params(("idx" = String, Path)),
    responses((status = 200, body = QueueEntry), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn enqueue(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<axum::Json<QueueEntry>, Problem> {
    let index = app.indexes.get(&name)?;
    app.agent.ask(&index).await?;
    agent::entry(&app, &index.meta.name).await.map(axum::Json)
}
