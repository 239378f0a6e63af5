//! What is kept on this machine of builds that were cut off: it goes once nobody has gone on with them for a week, and
//! neither earlier nor while somebody builds.

use std::{
    fs::File,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use boathouse_types::IndexName;
use serde_json::Value;

use super::super::{GcSpec, start};
use crate::{app::App, indexes::testing::Quiet, tasks::TaskState};

const WEEK: i64 = 7 * 24 * 3_600_000;

fn index(name: &str) -> IndexName {
    IndexName::new(name).expect("a name")
}

/// Keeps a file of a build that was written so many milliseconds ago.
fn keep(app: &App, name: &str, file: &str, age: i64) {
    let files = app.embedding.of_index(&index(name));
    assert!(files.put(file, |out| out.write_all(b"vectors")));
    let path = app.config.server.data.join("cache/embedding");
    let written = u64::try_from(app.clock.now().millis() - age).expect("a time");
    let written = UNIX_EPOCH + Duration::from_millis(written);
    let file = File::open(path.join(name).join(file)).expect("the file");
    file.set_modified(written).expect("its time");
}

/// How many files each of some indexes has.
fn left<const N: usize>(app: &App, names: [&str; N]) -> [usize; N] {
    names.map(|name| app.embedding.of_index(&index(name)).names().len())
}

async fn collect(app: &Arc<App>, dry_run: bool) {
    let spec = GcSpec {
        dry_run,
        ..GcSpec::default()
    };
    let task = start(app, spec).expect("nobody else collects");
    let ended = app.tasks.wait(&task.id).await.expect("a task");
    assert_eq!(ended.state, TaskState::Succeeded, "{ended:?}");
}

#[tokio::test]
async fn what_is_done_of_a_build_goes_a_week_after_somebody_went_on_with_it() {
    let host = Quiet::open().await;
    let app = &host.app;
    keep(app, "recent", "a", WEEK);
    keep(app, "idle", "a", WEEK + 1);
    keep(app, "resumed", "a", WEEK + 1);
    keep(app, "resumed", "b", 0);
    let names = ["recent", "idle", "resumed"];
    collect(app, true).await;
    assert_eq!(left(app, names), [1, 1, 2], "a dry run changes nothing");
    collect(app, false).await;
    assert_eq!(left(app, names), [1, 0, 2]);
}

#[tokio::test]
async fn nothing_is_taken_from_a_build_that_is_going_on() {
    let host = Quiet::open().await;
    let app = &host.app;
    let names = ["built", "appended", "idle"];
    for name in names {
        keep(app, name, "a", WEEK + 1);
    }
    let (end, ended) = tokio::sync::watch::channel(false);
    let going_on = |kind: &str, name: &str| {
        let mut ended = ended.clone();
        app.tasks.start(kind, name, |_| async move {
            let _ = ended.wait_for(|ended| *ended).await;
            Ok(Value::Null)
        })
    };
    let tasks = [going_on("index", "built"), going_on("append", "appended")];
    collect(app, false).await;
    assert_eq!(left(app, names), [1, 1, 0]);
    end.send(true).expect("they wait");
    for task in tasks {
        app.tasks.wait(&task.id).await.expect("a task");
    }
    collect(app, false).await;
    assert_eq!(left(app, names), [0, 0, 0]);
}
