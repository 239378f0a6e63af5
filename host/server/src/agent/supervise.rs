//! Keeps the two halves of the agent running: what panics is logged and begun anew, after a pause that grows.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use boathouse_types::Timestamp;
use futures::FutureExt as _;
use serde::Serialize;
use tokio::time::Instant;

use super::{events::Happened, tuning::NOTHING, words::counted};
use crate::{app::App, auth};

/// In whose name its tasks run.
const NAME: &str = "agent";
/// First and longest pause before a half begins anew.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Who ran for so long begins with the first pause again.
const SOUND: Duration = Duration::from_secs(3_600);

/// How often the agent broke off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Breaks {
    /// Since the start of the host.
    pub count: u64,
    /// When it did last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
}

/// The breaks of a host's agent.
#[derive(Default)]
pub(super) struct Supervision(Mutex<Breaks>);

impl Supervision {
    pub(super) fn breaks(&self) -> Breaks {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, now: Timestamp) {
        let mut breaks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        breaks.count += 1;
        breaks.last_at = Some(now);
    }
}

/// Runs work that never ends until the host stops, in the name of the agent.
pub(super) fn keep_running<F>(
    app: &Arc<App>,
    what: &'static str,
    work: impl Fn(Arc<App>) -> F + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let background = app.tasks.background();
    let (app, stop) = (Arc::clone(app), background.stopping());
    background.spawn(async move {
        let work = auth::in_the_name_of(NAME, again_and_again(&app, what, work));
        stop.run_until_cancelled(work).await;
        app.agent.events.close();
    });
}

async fn again_and_again<F: Future<Output = ()>>(
    app: &Arc<App>,
    what: &str,
    work: impl Fn(Arc<App>) -> F,
) {
    let mut pause = PAUSES.0;
    loop {
        let began = Instant::now();
        // What a panic leaves behind is behind locks that are whole, and is asked of buckets anew.
        let run = AssertUnwindSafe(async { work(Arc::clone(app)).await });
        let _panic_is_in_the_log = run.catch_unwind().await;
        if began.elapsed() > SOUND {
            pause = PAUSES.0;
        }
        app.agent.supervision.note(app.clock.now());
        let seconds = counted(pause.as_secs(), "second", "seconds");
        tracing::error!(what, "the agent broke off; it begins anew in {seconds}");
        let detail = format!("{what} broke off and begins anew in {seconds}");
        app.agent
            .events
            .tell(Happened::Restarted, None, detail, NOTHING);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

#[cfg(test)]
mod tests;
