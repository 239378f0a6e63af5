//! Which problem the errors of models become: of embedders, of the model server, of the GPU slot.

use axum::http::StatusCode;
use boathouse_models::{EmbedError, ServerError, SlotError};

use super::Problem;

impl From<EmbedError> for Problem {
    fn from(error: EmbedError) -> Self {
        match error {
            EmbedError::Server(inner) => inner.into(),
            EmbedError::ModelChanged { .. } => Self::conflict("model_changed", error.to_string()),
            EmbedError::NoEmbeddings { .. } => {
                Self::field("embedder", "no_embeddings", error.to_string())
            }
            EmbedError::WrongDimension { .. } => {
                Self::new(StatusCode::BAD_GATEWAY, "model_failed", error.to_string())
            }
            EmbedError::EmptyText { .. }
            | EmbedError::Rejected { .. }
            | EmbedError::DamagedModel { .. } => {
                Self::unprocessable("cannot_embed", error.to_string())
            }
        }
    }
}

impl From<ServerError> for Problem {
    fn from(error: ServerError) -> Self {
        let (status, code) = match &error {
            ServerError::Away { .. } => (StatusCode::SERVICE_UNAVAILABLE, "model_server_away"),
            ServerError::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "model_server_busy"),
            ServerError::Slow { .. } => (StatusCode::SERVICE_UNAVAILABLE, "model_server_slow"),
            ServerError::MissingModel { .. } => (StatusCode::NOT_FOUND, "unknown_model"),
            ServerError::Refused { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "model_refused"),
            ServerError::Failed { .. } => (StatusCode::BAD_GATEWAY, "model_failed"),
            ServerError::Cut => (StatusCode::BAD_GATEWAY, "answer_cut"),
            ServerError::Garbled { .. } => (StatusCode::BAD_GATEWAY, "model_server_garbled"),
        };
        let told = match cure(&error) {
            None => error.to_string(),
            Some(cure) => format!("{error}; {cure}"),
        };
        Self::new(status, code, told).after(error.retry_after())
    }
}

/// What to do about a failure of the model server, where its words do not say.
fn cure(error: &ServerError) -> Option<&'static str> {
    match error {
        ServerError::Away { .. } => Some(
            "start it (`ollama serve`), or say where it is in `[models] ollama_url` or `OLLAMA_HOST`",
        ),
        ServerError::Garbled { .. } => {
            Some("is it Ollama that answers at `[models] ollama_url` or `OLLAMA_HOST`?")
        }
        ServerError::Busy { .. } => Some("try again when it has less to do"),
        ServerError::Slow { .. } => Some("try again, and start it anew if it stays so"),
        ServerError::Cut => Some("try again"),
        ServerError::Failed { .. } => Some("its own log says more"),
        ServerError::MissingModel { .. } | ServerError::Refused { .. } => None,
    }
}

impl From<SlotError> for Problem {
    fn from(error: SlotError) -> Self {
        let told = error.to_string();
        let conflict = |code: &str, cure: &str| Self::conflict(code, format!("{told}; {cure}"));
        match error {
            SlotError::Server(inner) => inner.into(),
            SlotError::QueueFull { .. } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "slot_queue_full",
                format!("{told}; try again when some of them are done"),
            )
            .after(Some(std::time::Duration::from_secs(5))),
            SlotError::HeldByOther { .. } => conflict(
                "slot_held",
                "only that one can be deactivated (`boathouse profile active` shows it)",
            ),
            SlotError::NotActive { .. } => conflict("profile_not_active", "activate it first"),
            SlotError::Changing => conflict("slot_changing", "try again when that is done"),
            SlotError::InUse { .. } => conflict(
                "model_in_use",
                "it stays until that profile is deactivated, or no index has its vectors from it any more",
            ),
            SlotError::Occupied { .. } => conflict(
                "slot_occupied",
                "deactivate the profile that holds it first (`boathouse profile active` shows which)",
            ),
            SlotError::Cancelled => Self::cancelled(),
            SlotError::Lost { .. } => conflict("model_lost", "activate the profile again"),
            SlotError::NotUnloaded { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "model_not_unloaded",
                format!(
                    "{told}; somebody else uses it: try again when that has ended, `GET /admin/vram` (`boathouse profile vram`) shows what is loaded"
                ),
            ),
            SlotError::PushedOut { .. } => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "model_pushed_out",
                format!(
                    "{told}; take a smaller model or `num_ctx`, or unload others (`GET /admin/vram`, `boathouse profile vram`)"
                ),
            ),
            SlotError::Record { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable", told)
            }
            SlotError::Closed => Self::new(StatusCode::SERVICE_UNAVAILABLE, "host_stops", told),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use boathouse_models::ModelName;

    use super::*;

    fn seconds(problem: Problem) -> Option<String> {
        let response = problem.into_response();
        let header = response.headers().get("retry-after")?;
        Some(header.to_str().expect("text").to_owned())
    }

    #[test]
    fn who_should_try_again_is_told_when() {
        let away = ServerError::Away {
            address: "http://me:open-sesame@gpu-box".to_owned(),
            reason: "refused".to_owned(),
        };
        let problem = Problem::from(SlotError::Server(away));
        assert_eq!((problem.status, &*problem.code), (503, "model_server_away"));
        assert!(!problem.detail.contains("sesame"), "{problem}");
        for word in ["ollama serve", "[models] ollama_url", "OLLAMA_HOST"] {
            assert!(problem.detail.contains(word), "{problem}");
        }
        assert_eq!(seconds(problem).as_deref(), Some("10"));
        let full = Problem::from(SlotError::QueueFull { limit: 8 });
        assert_eq!(full.status, 429);
        assert_eq!(seconds(full).as_deref(), Some("5"));
        let model = ModelName::new("llama3").expect("a name");
        let missing = Problem::from(ServerError::MissingModel { model });
        assert!(
            missing.detail.contains("ollama pull llama3:latest"),
            "{missing}"
        );
        assert_eq!((missing.status, seconds(missing)), (404, None));
        let other = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "busy");
        assert_eq!(seconds(other).as_deref(), Some("1"));
    }
}
