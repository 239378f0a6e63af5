//! Hosts and S3 servers that are killed under writes: what was acknowledged is there, once.

use std::{
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use boathouse_storage::{AppendLog, Bucket, LogContents};
use boathouse_types::ManualClock;
use futures::future::{join, join_all};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{
    Host, ids,
    s3::{self, Space},
    sentences,
};

/// How long a server that was started again may take until it gives back everything.
const PATIENCE: Duration = Duration::from_secs(60);
const INDEXES: [&str; 3] = ["a", "b", "c"];

/// Indexes with two trials each.
async fn tuned(host: &Host) -> Vec<[String; 2]> {
    host.ingest("notes", sentences()).await;
    let mut all = Vec::new();
    for index in INDEXES {
        host.index(index, "notes", "text").await;
        let path = format!("/vectors/trials/{index}");
        let mut trials = Vec::new();
        for ef_search in [10, 20] {
            let report = host.done(&path, &json!({"ef_search": ef_search})).await;
            trials.push(report["trial"]["id"].as_str().expect("an id").to_owned());
        }
        all.push(trials.try_into().expect("two trials"));
    }
    all
}

/// Promotes two trials in turn until the host is gone; trials in the order of their acknowledgements.
async fn promote(url: &str, index: &str, trials: &[String; 2], told: &dyn Fn()) -> Vec<String> {
    let http = reqwest::Client::new();
    let mut promoted = Vec::new();
    for trial in trials.iter().cycle() {
        let request = http.post(format!("{url}/vectors/promote/{index}"));
        let Ok(answer) = request
            .json(&json!({"trial": trial, "force": true}))
            .send()
            .await
        else {
            break;
        };
        let status = answer.status();
        // An answer that was cut off is no acknowledgement.
        let Ok(body) = answer.json::<Value>().await else {
            break;
        };
        assert_eq!(status, 200, "{body}");
        promoted.push(trial.clone());
        told();
    }
    promoted
}

#[tokio::test]
async fn a_host_killed_under_writes_has_what_it_acknowledged() {
    const BEFORE_THE_KILL: usize = 24;
    let Some(space) = Space::shared().await else {
        return;
    };
    let host = space.host();
    let trials = tuned(&host).await;
    let (pid, done) = (host.pid().to_string(), AtomicUsize::new(0));
    let told = || {
        if done.fetch_add(1, Ordering::Relaxed) + 1 == BEFORE_THE_KILL {
            let killed = Command::new("kill").args(["-9", &pid]).status();
            assert!(killed.expect("kill runs").success());
        }
    };
    let clients = INDEXES.iter().zip(&trials);
    let clients = clients.map(|(index, trials)| promote(&host.url, index, trials, &told));
    let acknowledged = join_all(clients).await;

    let host = host.kill_and_restart();
    for (index, acknowledged) in INDEXES.iter().zip(acknowledged) {
        let history = host.read(&format!("/vectors/promotions/{index}")).await;
        let lines = history["promotions"].as_array().expect("promotions");
        let served = |line: &Value| line["served"]["trial"].as_str().map(str::to_owned);
        let found: Vec<_> = lines.iter().filter_map(served).collect();
        let surplus = found.strip_prefix(&*acknowledged);
        let surplus = surplus.unwrap_or_else(|| panic!("{found:?} for {acknowledged:?}"));
        assert!(surplus.len() <= 1, "written twice: {surplus:?}");
        let view = host.read(&format!("/vectors/indexes/{index}")).await;
        assert_eq!(
            view["serving"]["trial"].as_str(),
            found.last().map(|it| &**it)
        );
    }
}

/// Writers that count what was acknowledged, on one log, until the server is gone.
async fn append(bucket: &Bucket, writer: usize, kept: &Mutex<Vec<(usize, usize)>>, told: &Notify) {
    let log = AppendLog::new(bucket.clone(), "log", Arc::new(ManualClock::at(1)));
    for number in 0.. {
        if log.append((writer, number)).await.is_err() {
            break;
        }
        let mut kept = kept.lock().expect("no panic");
        kept.push((writer, number));
        if kept.len() == 80 {
            told.notify_one();
        }
    }
}

/// Reads a log from a server that has just started: parts of it take moments to know each other.
async fn read(log: &AppendLog<(usize, usize)>) -> LogContents<(usize, usize)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match log.read_all().await {
            Ok(contents) => return contents,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_killed_under_appends_has_what_it_acknowledged() {
    const WRITERS: usize = 8;
    let Some(mut server) = s3::server().await else {
        return;
    };
    let bucket = Space::on(&server).bucket("log");
    let (kept, told) = (Mutex::default(), Notify::new());
    let writers = (0..WRITERS).map(|writer| append(&bucket, writer, &kept, &told));
    let kill = async {
        told.notified().await;
        server.kill();
    };
    join(join_all(writers), kill).await;
    server.restart().await.expect("it starts again");

    let log: AppendLog<(usize, usize)> =
        AppendLog::new(bucket.clone(), "log", Arc::new(ManualClock::at(1)));
    let mut kept = kept.into_inner().expect("no panic");
    for compacted in [false, true] {
        let contents = read(&log).await;
        let mut found = contents.records;
        found.sort_unstable();
        let all = found.len();
        found.dedup();
        assert_eq!((found.len(), contents.malformed), (all, 0), "{compacted}");
        kept.sort_unstable();
        let lost = kept
            .iter()
            .filter(|record| found.binary_search(record).is_err());
        assert_eq!(lost.count(), 0, "acknowledged and gone");
        assert!(
            all <= kept.len() + WRITERS,
            "written though never asked for"
        );
        log.compact().await.expect("compacted");
    }
}

#[tokio::test]
async fn a_host_outlives_its_server_and_goes_on_when_it_is_back() {
    let Some(mut server) = s3::server().await else {
        return;
    };
    let looks = "[storage.health]\nevery_secs = 1\n";
    let host = Host::configured(&(Space::on(&server).storage() + looks));
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    // Columns are read from the dataset, vectors and graph are in memory.
    let query = json!({"text": "bread", "k": 3, "with": []});
    let before = host.search("notes", &query).await;

    server.kill();
    let without = host.search("notes", &query).await;
    assert_eq!(ids(&without), ids(&before));
    let (status, problem) = host.post("/vectors/trials/notes", &json!({})).await;
    assert_eq!(status, 202, "{problem}");
    let ended = host.ended(&problem).await;
    assert_eq!(ended["state"], "failed", "{ended}");
    let (status, problem) = host.get("/datasets/notes").await;
    assert!(
        status == 503 && !problem.to_string().contains("owner"),
        "{status} {problem}"
    );

    server.restart().await.expect("it starts again");
    host.until("/storage/buckets", |list| {
        let buckets = list["buckets"].as_array().expect("buckets");
        let healthy = |bucket: &Value| bucket["health"]["state"] == "healthy";
        buckets.iter().all(healthy)
    })
    .await;
    host.done("/vectors/trials/notes", &json!({})).await;
    host.ingest("others", sentences()).await;
    assert_eq!(
        host.read("/datasets").await["datasets"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}
