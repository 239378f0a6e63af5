//! The bounded blocking pool, with a stop: dropping or cancelling the caller stops the computation.

use tokio_util::sync::CancellationToken;

use crate::TuningError;

/// Runs `work` on the blocking pool. Its token is cancelled when `cancel` is, and also when the returned
/// future is dropped, so that nothing goes on computing for a caller who has left.
pub(crate) async fn blocking<T: Send + 'static>(
    cancel: &CancellationToken,
    work: impl FnOnce(&CancellationToken) -> Result<T, TuningError> + Send + 'static,
) -> Result<T, TuningError> {
    let stop = cancel.child_token();
    let _stops_on_drop = stop.clone().drop_guard();
    let task = tokio::task::spawn_blocking(move || {
        alive(&stop)?;
        work(&stop)
    });
    task.await
        .unwrap_or_else(|died| Err(TuningError::Worker(died.to_string())))
}

/// An error once somebody asked to stop.
pub(crate) fn alive(cancel: &CancellationToken) -> Result<(), TuningError> {
    if cancel.is_cancelled() {
        return Err(TuningError::Cancelled);
    }
    Ok(())
}

/// Waits for `work` unless somebody asks to stop first.
pub(crate) async fn unless_cancelled<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, TuningError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(TuningError::Cancelled),
        done = work => Ok(done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cancelled_token_runs_nothing() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let ran = blocking(&cancel, |_| Ok(())).await;
        assert!(matches!(ran, Err(TuningError::Cancelled)));
        let waited = unless_cancelled(&cancel, std::future::pending::<()>()).await;
        assert!(matches!(waited, Err(TuningError::Cancelled)));
    }

    #[tokio::test]
    async fn dropping_the_caller_stops_the_work() {
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (stopped, has_stopped) = tokio::sync::oneshot::channel();
        let cancel = CancellationToken::new();
        let caller = blocking(&cancel, move |stop| {
            started.send(()).ok();
            while !stop.is_cancelled() {
                std::thread::yield_now();
            }
            stopped.send(()).ok();
            Ok(())
        });
        tokio::select! {
            _ = caller => panic!("the work ended by itself"),
            _ = has_started => {}
        }
        has_stopped.await.unwrap();
        assert!(
            !cancel.is_cancelled(),
            "the caller's own token is left alone"
        );
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let ran = blocking::<()>(&CancellationToken::new(), |_| panic!("boom")).await;
        assert!(matches!(ran, Err(TuningError::Worker(_))));
    }
}
