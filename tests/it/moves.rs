//! Indexes that move from bucket to bucket: under searches, cancelled, refused, and killed on their way.
//!
//! The index is made large by its journal: so many files of one trial each that a test can look at a move
//! while it is under way.

mod behind;
mod older;

use std::{fmt::Write as _, fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Host, check_failed, check_problem, ids, run, sentences};

/// Files of the journal.
const FILES: usize = 1_200;

/// What is asked before, during and after a move.
fn query() -> Value {
    json!({"text": "ships in the harbour", "k": 5})
}

/// A host with two buckets besides `primary`, in folders of their own.
struct World {
    host: Host,
    roots: TempDir,
}

impl World {
    fn new() -> Self {
        let roots = tempfile::tempdir().expect("folder");
        let mut config = "[storage.health]\nevery_secs = 1\n".to_owned();
        for name in ["cold", "warm"] {
            let root = roots.path().join(name);
            writeln!(
                config,
                "[[buckets]]\nname = \"{name}\"\nbackend = \"local\"\nroot = {root:?}"
            )
            .expect("written");
        }
        Self {
            host: Host::configured(&config),
            roots,
        }
    }

    /// A host with an index whose journal takes a while to move.
    async fn with_large_index() -> Self {
        let world = Self::new();
        world.host.ingest("notes", sentences()).await;
        world.host.index("notes", "notes", "text").await;
        let trial = world
            .host
            .done("/vectors/trials/notes", &json!({"ef_search": 50}))
            .await["trial"]
            .clone();
        let wish = json!({"trial": trial["id"], "force": true});
        let (status, promoted) = world.host.post("/vectors/promote/notes", &wish).await;
        assert_eq!(status, 200, "{promoted}");
        let host = world.host.kill_and(|data| {
            let folder = data.join("primary/_hnsw_trials/notes");
            for number in 0..FILES {
                let mut line = trial.clone();
                line["id"] = format!("m{number:04}").into();
                let line = format!("{line}\n");
                fs::write(folder.join(format!("many-{number:04}.jsonl")), line).expect("written");
            }
        });
        Self { host, ..world }
    }

    async fn show(&self) -> Value {
        self.host.read("/vectors/indexes/notes").await
    }

    /// What the index remembers and answers.
    async fn impression(&self) -> Value {
        let journal = self.host.read("/vectors/trials/notes?limit=1").await;
        json!({
            "trials": journal["total"], "malformed": journal["malformed"],
            "promotions": self.host.read("/vectors/promotions/notes").await["promotions"],
            "evalsets": self.host.read("/vectors/evalsets?index=notes").await["evalsets"],
            "config": self.show().await["serving"]["config"],
            "hits": ids(&self.host.search("notes", &query()).await),
        })
    }

    /// Files of the index in a bucket, besides its manifest.
    fn files(&self, bucket: &str) -> usize {
        let root = match bucket {
            "primary" => self.host.data.join("primary"),
            other => self.roots.path().join(other),
        };
        let folders = [
            "indexes/notes/vectors",
            "indexes/notes/graphs",
            "_hnsw_trials/notes",
            "_promotions/notes",
            "_evalsets/notes",
        ];
        folders.iter().map(|folder| count(&root.join(folder))).sum()
    }

    /// Waits until no move is under way and says in which bucket the index is.
    async fn at_rest(&self) -> String {
        self.host
            .until("/vectors/indexes/notes", |index| {
                index["moving_to"].is_null()
            })
            .await;
        let at_rest = |tasks: &Value| {
            let tasks = tasks["tasks"].as_array().expect("tasks");
            let mut moves = tasks.iter().filter(|task| task["kind"] == "move");
            moves.all(|task| task["state"] != "running")
        };
        self.host.until("/tasks", at_rest).await;
        self.show().await["bucket"]
            .as_str()
            .expect("a bucket")
            .to_owned()
    }
}

/// Files in a folder that are whole.
fn count(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let names = entries.map(|entry| entry.expect("entry").file_name());
    names
        .filter(|name| !name.to_string_lossy().contains('#'))
        .count()
}

/// Asks for a move.
async fn patch(host: &Host, index: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/vectors/indexes/{index}", host.url);
    let request = reqwest::Client::new().patch(url).json(body);
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.expect("json"))
}

/// Starts a move that must be accepted.
async fn begin(host: &Host, bucket: &str) -> Value {
    let (status, task) = patch(host, "notes", &json!({"bucket": bucket})).await;
    assert_eq!(status, 202, "{task}");
    assert_eq!(
        (&task["kind"], &task["subject"]),
        (&json!("move"), &json!("notes"))
    );
    task
}

fn path_of(task: &Value) -> String {
    format!("/tasks/{}", task["id"].as_str().expect("id"))
}

#[tokio::test]
async fn an_index_moves_while_it_is_searched() {
    let world = World::with_large_index().await;
    let before = world.impression().await;
    let task = begin(&world.host, "cold").await;
    let searches = async {
        let mut answered = 0;
        while world.host.read(&path_of(&task)).await["state"] == "running" {
            let answer = world.host.search("notes", &query()).await;
            assert_eq!(json!(ids(&answer)), before["hits"]);
            answered += 1;
        }
        answered
    };
    let others = async {
        assert_eq!(world.show().await["moving_to"], "cold");
        let host = &world.host;
        let busy = |answer| check_problem(answer, 409, "index_busy", &["moved to bucket `cold`"]);
        busy(host.post("/vectors/trials/notes", &json!({})).await);
        busy(host.post("/vectors/autotune/notes", &json!({})).await);
        busy(
            host.post("/vectors/evalsets", &json!({"index": "notes", "name": "x"}))
                .await,
        );
        busy(
            host.post(
                "/vectors/promote/notes",
                &json!({"trial": "m0001", "force": true}),
            )
            .await,
        );
        busy(host.post("/vectors/rollback/notes", &json!({})).await);
        busy(host.delete("/vectors/indexes/notes").await);
        busy(patch(host, "notes", &json!({"bucket": "warm"})).await);
    };
    let (answered, ()) = futures::join!(searches, others);
    assert!(answered > 0);

    let ended = world.host.ended(&task).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let report = &ended["result"]["move"];
    assert_eq!(
        (&report["from"], &report["to"]),
        (&json!("primary"), &json!("cold"))
    );
    assert_eq!(report["left_behind"], false, "{report}");
    assert!(report["objects"].as_u64() > Some(FILES as u64), "{report}");
    assert_eq!(world.impression().await, before);
    assert_eq!(
        (world.files("primary"), world.show().await["bucket"].clone()),
        (0, json!("cold"))
    );
    let promotions = world.host.read("/vectors/promotions").await;
    assert_eq!(promotions["promotions"][0]["bucket"], "cold");

    let files = world.files("cold");
    world
        .host
        .done("/vectors/trials/notes", &json!({"ef_search": 70}))
        .await;
    assert!(world.files("cold") > files && world.files("primary") == 0);
    let after = world.impression().await;
    let world = World {
        host: world.host.kill_and_restart(),
        ..world
    };
    assert_eq!(world.impression().await, after);
    assert_eq!(world.show().await["bucket"], "cold");
}

#[tokio::test]
async fn of_two_moves_at_once_one_wins() {
    let world = World::with_large_index().await;
    let (cold, warm) = (json!({"bucket": "cold"}), json!({"bucket": "warm"}));
    let (one, other) = futures::join!(
        patch(&world.host, "notes", &cold),
        patch(&world.host, "notes", &warm)
    );
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409], "{one:?} {other:?}");
    let (winner, bucket) = if one.0 == 202 {
        (one.1, "cold")
    } else {
        (other.1, "warm")
    };
    assert_eq!(world.host.ended(&winner).await["state"], "succeeded");
    assert_eq!(world.at_rest().await, bucket);
}

#[tokio::test]
async fn what_cannot_be_moved_is_told_and_nothing_changes() {
    let world = World::new();
    let host = &world.host;
    let to = |bucket: &str| json!({"bucket": bucket});
    check_problem(
        patch(host, "notes", &to("cold")).await,
        404,
        "unknown_index",
        &["notes"],
    );
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    for (body, code, word) in [
        (to("primary"), "same_bucket", "primary"),
        (to("nowhere"), "unknown_bucket", "nowhere"),
        (to("rescue"), "not_a_home", "rescue"),
        (to("../cold"), "bad_body", "bucket name"),
        (to("Cold"), "bad_body", "bucket name"),
        (to(&"x".repeat(1_000_000)), "bad_body", "bucket name"),
        (
            json!({"bucket": "cold", "name": "other"}),
            "bad_body",
            "name",
        ),
        (json!({}), "one_change", "bucket"),
        (json!({"bucket": 7}), "bad_body", "string"),
    ] {
        check_problem(patch(host, "notes", &body).await, 422, code, &[word]);
    }
    let run = host
        .post(
            "/vectors/trials/notes",
            &json!({"m": 48, "ef_construction": 400}),
        )
        .await
        .1;
    let refused = patch(host, "notes", &to("cold")).await;
    if host.read(&path_of(&run)).await["state"] == "running" {
        check_problem(refused, 409, "index_busy", &["a trial"]);
    }
    host.ended(&run).await;
    world.at_rest().await;

    let root = world.roots.path().join("warm");
    fs::remove_dir_all(&root).expect("removed");
    let refused = patch(host, "notes", &to("warm")).await;
    check_problem(
        refused,
        503,
        "bucket_unhealthy",
        &["`warm`", "nothing was changed"],
    );
    assert!(world.show().await["moving_to"].is_null());
    host.search("notes", &query()).await;
}

#[tokio::test]
async fn a_cancelled_move_leaves_the_index_where_it_was() {
    let world = World::with_large_index().await;
    let before = world.impression().await;
    let task = begin(&world.host, "cold").await;
    world
        .host
        .until(&path_of(&task), |task| {
            task["progress"]["done"].as_u64() > Some(20_000) || task["state"] != "running"
        })
        .await;
    let cancel = format!("{}/cancel", path_of(&task));
    assert_eq!(world.host.post(&cancel, &json!({})).await.0, 202);
    let ended = world.host.ended(&task).await;
    assert_eq!(ended["state"], "cancelled", "{ended}");
    assert_eq!(world.impression().await, before);
    assert_eq!(
        (world.files("cold"), world.at_rest().await.as_str()),
        (0, "primary")
    );
    world.host.done("/vectors/trials/notes", &json!({})).await;
    let task = begin(&world.host, "cold").await;
    assert_eq!(world.host.ended(&task).await["state"], "succeeded");
    assert_eq!(world.files("primary"), 0);
}

#[tokio::test]
async fn a_target_that_fails_on_the_way_gets_nothing() {
    let world = World::with_large_index().await;
    let before = world.impression().await;
    let task = begin(&world.host, "cold").await;
    world
        .host
        .until(&path_of(&task), |task| {
            task["progress"]["done"].as_u64() > Some(20_000) || task["state"] != "running"
        })
        .await;
    let (root, aside) = (
        world.roots.path().join("cold"),
        world.roots.path().join("aside"),
    );
    fs::rename(&root, &aside).expect("moved away");
    let ended = world.host.ended(&task).await;
    check_failed(&ended, "storage_unavailable", &[]);
    assert_eq!(world.impression().await, before);
    // When it is back, the copies go.
    fs::rename(&aside, &root).expect("moved back");
    let world = World {
        host: world.host.kill_and_restart(),
        ..world
    };
    world
        .host
        .until("/vectors/indexes/notes", |_| world.files("cold") == 0)
        .await;
    assert_eq!(world.impression().await, before);
}

/// Kills the host in the middle of a move and checks what the next one makes of it. Gives the bucket in
/// which the index is then, and whether the move was gone on with.
async fn killed(world: World, to: &str, when: impl Fn(&Value) -> bool) -> (World, String, bool) {
    let before = world.impression().await;
    let from = world.show().await["bucket"]
        .as_str()
        .expect("bucket")
        .to_owned();
    let task = begin(&world.host, to).await;
    let seen = world
        .host
        .until(&path_of(&task), |task| {
            when(task) || task["state"] != "running"
        })
        .await;
    let world = World {
        host: world.host.kill_and_restart(),
        ..world
    };
    let context = format!("killed at {}", seen["progress"]);
    assert_eq!(world.impression().await, before, "{context}");
    let home = world.at_rest().await;
    let other = if home == to { from.as_str() } else { to };
    world
        .host
        .until("/vectors/indexes/notes", |_| world.files(other) == 0)
        .await;
    assert_eq!(world.impression().await, before, "{context}");
    let list = world.host.read("/vectors/indexes").await;
    assert_eq!(
        list["indexes"].as_array().map(Vec::len),
        Some(1),
        "{context}"
    );
    assert_eq!(world.host.read("/readyz").await["ready"], true, "{context}");
    let tasks = world.host.read("/tasks").await;
    let mut tasks = tasks["tasks"].as_array().expect("tasks").iter();
    let resumed = tasks.any(|task| task["kind"] == "move");
    (world, home, resumed)
}

#[tokio::test]
async fn a_kill_at_any_moment_of_a_move_leaves_the_index_whole_and_once() {
    let mut world = World::with_large_index().await;
    let done = |task: &Value, share: u64| {
        let progress = &task["progress"];
        let total = progress["total"].as_u64().unwrap_or(u64::MAX);
        progress["done"].as_u64().unwrap_or(0).saturating_mul(10) >= total.saturating_mul(share)
    };
    let mut home = "primary".to_owned();
    let moments: [&dyn Fn(&Value) -> bool; 5] = [
        &|_| true,
        &|task| done(task, 1),
        &|task| done(task, 5),
        &|task| done(task, 10),
        &|task| task["progress"]["stage"] == "tidying up",
    ];
    let mut times_resumed = 0;
    for moment in moments {
        let to = if home == "cold" { "warm" } else { "cold" };
        let resumed;
        (world, home, resumed) = killed(world, to, moment).await;
        times_resumed += u32::from(resumed);
    }
    // The first kill comes as soon as the move has begun, long before a thousand files are copied.
    assert!(times_resumed > 0, "no kill came in the middle of a move");
    world.host.done("/vectors/trials/notes", &json!({})).await;
}

/// A host that was killed in the middle of a move to `cold` and starts without that bucket.
async fn without_target() -> (World, Value) {
    let world = World::with_large_index().await;
    let before = world.impression().await;
    let task = begin(&world.host, "cold").await;
    world
        .host
        .until(&path_of(&task), |task| {
            task["progress"]["done"].as_u64() > Some(20_000)
        })
        .await;
    let (root, aside) = (
        world.roots.path().join("cold"),
        world.roots.path().join("aside"),
    );
    let host = world
        .host
        .kill_and(|_| fs::rename(root, aside).expect("moved away"));
    let world = World { host, ..world };
    assert_eq!(world.impression().await, before);
    let index = world.show().await;
    assert_eq!(
        (&index["bucket"], &index["moving_to"]),
        (&json!("primary"), &json!("cold"))
    );
    let tasks = world.host.read("/tasks").await;
    let tasks = tasks["tasks"].as_array().expect("tasks");
    let task = tasks
        .iter()
        .find(|task| task["kind"] == "move")
        .expect("the move")
        .clone();
    world
        .host
        .until(&path_of(&task), |task| {
            let stage = task["progress"]["stage"].as_str().unwrap_or_default();
            stage.starts_with("waiting") && stage.contains("cold")
        })
        .await;
    (world, task)
}

fn bring_back(world: &World) {
    let (root, aside) = (
        world.roots.path().join("cold"),
        world.roots.path().join("aside"),
    );
    // The host may have made a new folder.
    let _ = fs::remove_dir_all(&root);
    fs::rename(aside, root).expect("moved back");
}

#[tokio::test]
async fn a_move_waits_for_its_target_and_goes_on_when_that_is_back() {
    let (world, task) = without_target().await;
    let before = world.impression().await;
    bring_back(&world);
    let ended = world.host.ended(&task).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(world.impression().await, before);
    assert_eq!(
        (world.files("primary"), world.at_rest().await.as_str()),
        (0, "cold")
    );
}

#[tokio::test]
async fn a_move_that_is_cancelled_without_its_target_leaves_nothing_there_in_the_end() {
    let (world, task) = without_target().await;
    let before = world.impression().await;
    let cancel = format!("{}/cancel", path_of(&task));
    assert_eq!(world.host.post(&cancel, &json!({})).await.0, 202);
    assert_eq!(world.host.ended(&task).await["state"], "cancelled");
    assert_eq!(world.at_rest().await, "primary");
    bring_back(&world);
    world
        .host
        .until("/vectors/indexes/notes", |_| world.files("cold") == 0)
        .await;
    assert_eq!(world.impression().await, before);
}

#[tokio::test]
async fn the_command_line_moves_an_index() {
    let world = World::new();
    world.host.ingest("notes", sentences()).await;
    world.host.index("notes", "notes", "text").await;
    let url = ["--url", world.host.url.as_str()];
    let moved = run(&[&["index", "move", "notes", "--to", "cold"][..], &url].concat());
    let text = String::from_utf8_lossy(&moved.stdout).into_owned();
    assert!(moved.status.success() && text.contains("cold"), "{moved:?}");
    let again = run(&[&["index", "move", "notes", "--to", "cold"][..], &url].concat());
    let text = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        !again.status.success() && text.contains("lives in bucket `cold` already"),
        "{text}"
    );
}
