//! Keeps the GPU slot running until the host stops: what breaks off begins anew, and takes over what its record tells.
//!
//! Beside it, every few seconds: models that indexes embed with are kept in memory, and every minute profiles are read
//! again, which another host may have changed.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::{app::App, auth};

/// In whose name it works.
const NAME: &str = "slot";
/// Time between two looks at which models indexes embed with.
const LOOK: Duration = Duration::from_secs(5);
/// Looks between two readings of the profiles.
const LOOKS_A_READING: u64 = 12;
/// Pause before a slot that broke off begins anew.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs the slot until the host stops.
pub(crate) fn start(app: &Arc<App>) {
    let background = app.tasks.background();
    let (app, stop) = (Arc::clone(app), background.stopping());
    background.spawn(auth::in_the_name_of(NAME, async move {
        again_and_again(&app, &stop).await;
    }));
}

async fn again_and_again(app: &App, stop: &CancellationToken) {
    let mut next = app.models.take_actor();
    while let Some(actor) = next {
        app.models.protect(&app.indexes);
        let running = async {
            tokio::select! {
                () = actor.run(stop.clone()) => {}
                () = look_around(app) => {}
            }
        };
        // A slot that has panicked is thrown away, with all that it held in memory.
        let ended = AssertUnwindSafe(running).catch_unwind().await;
        if stop.is_cancelled() {
            return;
        }
        if ended.is_err() {
            tracing::error!("the GPU slot broke off; it begins anew");
        }
        let pause = stop.run_until_cancelled(time::sleep(PAUSE)).await;
        next = pause.map(|()| app.models.renew_slot());
    }
}

/// Looks, for ever.
async fn look_around(app: &App) {
    let mut ticks = time::interval(LOOK);
    for look in 0_u64.. {
        ticks.tick().await;
        app.models.protect(&app.indexes);
        if look.is_multiple_of(LOOKS_A_READING)
            && let Err(error) = app.models.profiles.list().await
        {
            tracing::info!(%error, "profiles are as they were read before");
        }
    }
}
