//! A host that is killed around the commit of a watched file, and a bucket that fails.

use std::{fs, path::Path};

use super::{Watched, rows};

/// Puts a file back where it lay before it was moved, as a kill between commit and move leaves it.
fn unmove(folder: &Path, name: &str) {
    fs::rename(folder.join("done").join(name), folder.join(name)).expect("moved back");
}

#[tokio::test]
async fn a_kill_between_commit_and_move_doubles_nothing() {
    let world = Watched::new("");
    world.put("a.csv", "id\n1\n");
    world.put("b.csv", "id\n2\n");
    let folder = world.folder();
    let are_moved = || ["a.csv", "b.csv"].map(|name| folder.join("done").join(name).exists());
    world
        .until(|folder| folder["ingested"] == 2 && are_moved() == [true; 2])
        .await;
    let host = world.host.kill_and(|_| {
        unmove(&folder, "a.csv");
        unmove(&folder, "b.csv");
    });
    host.until("/ingest/watch", |list| {
        list["folders"][0]["duplicates"] == 2
    })
    .await;
    assert_eq!(rows(&host, "notes").await, [1, 2]);
    assert!(folder.join("done/a.csv").exists() && folder.join("done/b.csv").exists());
    assert_eq!(
        host.read("/tasks").await["tasks"].as_array().map(Vec::len),
        Some(0)
    );
}

/// Kills at many moments of an ingest: whenever it was, in the end each row is there once.
#[tokio::test]
async fn a_kill_at_any_moment_loses_and_doubles_nothing() {
    let mut world = Watched::new("");
    let mut expected = Vec::new();
    for turn in 0..6_i64 {
        expected.push(turn);
        world.put(&format!("f{turn}.csv"), &format!("id\n{turn}\n"));
        // Of a different length each time, and never waited for to the end.
        for _ in 0..turn * 40 {
            world.host.read("/ingest/watch").await;
        }
        world = world.kill_and_restart();
    }
    let done = world.folder().join("done");
    let all_done =
        |_: &serde_json::Value| (0..6).all(|turn| done.join(format!("f{turn}.csv")).exists());
    world.until(all_done).await;
    let mut found = world.rows().await;
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_bucket_that_fails_is_no_fault_of_the_file() {
    let world = Watched::new(
        "bucket = \"far\"\n[[buckets]]\nname = \"far\"\nbackend = \"local\"\nroot = \"WORLD/far\"\n[storage.health]\nevery_secs = 1\n",
    );
    let (far, away) = (
        world.folder().with_file_name("far"),
        world.folder().with_file_name("away"),
    );
    fs::rename(&far, &away).expect("unmounted");
    world.put("a.csv", "id\n1\n");
    let view = world.until(|folder| folder["state"] == "retrying").await;
    assert_eq!(view["last_error"]["file"], "a.csv", "{view}");
    assert!(world.folder().join("a.csv").exists());
    assert!(!world.folder().join("failed").exists());
    fs::rename(&away, &far).expect("mounted again");
    world.until(|folder| folder["ingested"] == 1).await;
    assert_eq!(world.rows().await, [1]);
}
