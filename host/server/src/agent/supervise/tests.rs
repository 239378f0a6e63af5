//! What happens to a half of the agent that panics, and when the host stops.

use std::sync::atomic::{AtomicU32, Ordering};

use boathouse_types::ManualClock;
use tokio::sync::Notify;

use super::*;
use crate::config::{Config, Environment};

#[tokio::test]
async fn a_half_that_panics_begins_anew_and_is_counted() {
    let folder = tempfile::tempdir().expect("folder");
    let mut config = Config::default();
    config.server.data = folder.path().to_owned();
    let clock = Arc::new(ManualClock::at(1_800_000_000_000));
    let app = App::open_with(config, &Environment::default(), clock).await;
    let app = app.expect("opened");
    let (runs, again) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
    let told = Arc::clone(&again);
    keep_running(&app, "testing", move |app| {
        let (run, told) = (runs.fetch_add(1, Ordering::SeqCst), Arc::clone(&told));
        async move {
            assert!(run > 0, "it panics once, on purpose");
            app.tasks.start("test", "x", |_| async { Ok(().into()) });
            told.notify_one();
            std::future::pending().await
        }
    });
    let patience = Duration::from_secs(60);
    let begun_anew = tokio::time::timeout(patience, again.notified()).await;
    assert!(begun_anew.is_ok(), "it began anew");
    let breaks = app.agent.supervision.breaks();
    assert_eq!((breaks.count, breaks.last_at), (1, Some(app.clock.now())));
    let told = app.agent.events_after(0, 10).events;
    let restarted = told.iter().find(|event| event.event == Happened::Restarted);
    assert!(
        restarted.is_some_and(|event| event.detail.contains("testing")),
        "{told:?}"
    );
    assert_eq!(app.tasks.list()[0].by, "agent");
    app.tasks.stop().await;
    assert_eq!(
        app.agent.follow_events(u64::MAX - 1, 10).await,
        None,
        "followers are let go"
    );
}
