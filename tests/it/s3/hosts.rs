//! Two hosts on one bucket: whoever comes second in a race is told or tries again, and nothing is lost.
//!
//! Each host is a process with a data folder of its own; they share `primary` and `rescue` on S3. What a host
//! learns of the other only when it starts anew is in docs/storage.md, and asserted here.

use std::{collections::BTreeSet, thread};

use futures::future::{join, join_all};
use serde_json::{Value, json};

use crate::{
    guests::{MARKED_1, MARKED_2},
    support::{Host, check_failed, s3::Space, sentences},
};

const MARKED: &str = "/plugins/scoring/test/marked";

/// Two hosts that start at the same time.
fn started_at_once(space: &Space) -> (Host, Host) {
    thread::scope(|scope| {
        let (one, two) = (scope.spawn(|| space.host()), scope.spawn(|| space.host()));
        (one.join().expect("a host"), two.join().expect("a host"))
    })
}

/// Texts below a key of every element of a list.
fn texts<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    let list = list.as_array().expect("a list");
    list.iter()
        .map(|element| element[key].as_str().expect("a text"))
        .collect()
}

/// A host that finds an index with two trials.
async fn tuned(host: &Host, index: &str) -> Vec<String> {
    host.ingest("notes", sentences()).await;
    host.index(index, "notes", "text").await;
    for ef_search in [10, 20] {
        let path = format!("/vectors/trials/{index}");
        host.done(&path, &json!({"ef_search": ef_search})).await;
    }
    trials(host, index).await
}

/// The trials of a journal.
async fn trials(host: &Host, index: &str) -> Vec<String> {
    let journal = host.read(&format!("/vectors/trials/{index}")).await;
    assert_eq!(journal["malformed"], 0);
    let ids = texts(&journal["trials"], "id");
    ids.into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn two_hosts_start_at_once_on_an_empty_bucket_and_agree() {
    let Some(space) = Space::shared().await else {
        return;
    };
    let (one, two) = started_at_once(&space);
    assert_eq!(one.read("/readyz").await["ready"], true);
    assert_eq!(two.read("/readyz").await["ready"], true);
    let (one, two) = (one.kill_and_restart(), two.kill_and_restart());
    for plugins in [one.read("/plugins").await, two.read("/plugins").await] {
        let names = texts(&plugins["plugins"], "name");
        let unique: BTreeSet<_> = names.iter().collect();
        assert_eq!((names.len(), unique.len()), (4, 4), "{plugins}");
    }
}

#[tokio::test]
async fn ingests_of_two_hosts_into_one_dataset_are_all_there() {
    const APPENDS: usize = 4;
    let Some(space) = Space::shared().await else {
        return;
    };
    let (one, two) = (space.host(), space.host());
    one.ingest("log", "number,by\n0,start\n").await;
    let append = async |host: &Host, by: &str| {
        for number in 0..APPENDS {
            let csv = format!("number,by\n{number},{by}\n");
            let ended = host.upload("dataset=log&format=csv&mode=append", csv).await;
            assert_eq!(ended["state"], "succeeded", "{ended}");
        }
    };
    join(append(&one, "one"), append(&two, "two")).await;
    for host in [&one, &two] {
        let found = host.read("/datasets/log/rows?limit=100").await;
        let rows = found["rows"].as_array().expect("rows");
        for by in ["one", "two"] {
            let of = rows.iter().filter(|row| row["by"] == by);
            let numbers: Vec<_> = of.map(|row| row["number"].as_u64()).collect();
            let all: Vec<_> = (0..APPENDS as u64).map(Some).collect();
            assert_eq!(numbers, all, "of {by}: {found}");
        }
        assert_eq!(rows.len(), 2 * APPENDS + 1);
        let lineage = host.read("/lineage/log").await;
        let events = texts(&lineage["events"], "eventType");
        let complete = events.iter().filter(|event| **event == "COMPLETE");
        assert_eq!(complete.count(), 2 * APPENDS + 1);
    }
}

#[tokio::test]
async fn of_replacements_at_once_one_is_what_everybody_reads() {
    let Some(space) = Space::shared().await else {
        return;
    };
    let (one, two) = (space.host(), space.host());
    let replace = async |host: &Host, by: &str| {
        let csv = format!("by\n{by}\n");
        host.upload("dataset=table&format=csv&mode=replace", csv)
            .await
    };
    for round in 0..3 {
        let (of_one, of_two) = join(replace(&one, "one"), replace(&two, "two")).await;
        let mut winners = Vec::new();
        for (ended, by) in [(&of_one, "one"), (&of_two, "two")] {
            if ended["state"] == "succeeded" {
                winners.push(by);
            } else {
                assert_eq!(ended["error"]["code"], "changed_meanwhile", "{ended}");
            }
        }
        assert!(!winners.is_empty(), "{round}: {of_one} {of_two}");
        let (found, same) = (
            one.read("/datasets/table/rows").await,
            two.read("/datasets/table/rows").await,
        );
        assert_eq!(found["rows"], same["rows"]);
        let by = found["rows"][0]["by"].as_str().expect("a row");
        assert!(winners.contains(&by), "{by} lost and is read: {winners:?}");
    }
}

#[tokio::test]
async fn trials_and_promotions_of_two_hosts_are_all_on_record() {
    let Some(space) = Space::shared().await else {
        return;
    };
    let one = space.host();
    let first = tuned(&one, "notes").await;
    let two = space.host();
    let run = async |host: &Host, from: u32| {
        for ef_search in from..from + 3 {
            host.done("/vectors/trials/notes", &json!({"ef_search": ef_search}))
                .await;
        }
    };
    join(run(&one, 30), run(&two, 40)).await;
    let all = trials(&one, "notes").await;
    assert_eq!(all, trials(&two, "notes").await);
    let unique: BTreeSet<_> = all.iter().collect();
    assert_eq!((all.len(), unique.len()), (8, 8), "{all:?}");
    assert_eq!(all[..2], first);

    let promote = async |host: &Host, trials: &[String]| {
        let mut promoted = Vec::new();
        for trial in trials {
            let (status, body) = host
                .post(
                    "/vectors/promote/notes",
                    &json!({"trial": trial, "force": true}),
                )
                .await;
            assert!(status == 200 || status == 409, "{status} {body}");
            if status == 200 {
                promoted.push(trial.clone());
            }
        }
        promoted
    };
    let (by_one, by_two) = join(promote(&one, &all[..4]), promote(&two, &all[4..])).await;
    assert_eq!((by_one.len(), by_two.len()), (4, 4));
    let history = two.read("/vectors/promotions/notes").await;
    assert_eq!(history, one.read("/vectors/promotions/notes").await);
    let on_record: Vec<_> = history["promotions"].as_array().expect("a list").clone();
    let served = |line: &Value| {
        line["served"]["trial"]
            .as_str()
            .expect("a trial")
            .to_owned()
    };
    let on_record: Vec<String> = on_record.iter().map(served).collect();
    for (promoted, of) in [(&by_one, &all[..4]), (&by_two, &all[4..])] {
        let in_order: Vec<_> = on_record.iter().filter(|id| of.contains(id)).collect();
        assert_eq!(in_order, promoted.iter().collect::<Vec<_>>());
    }
    check_serving(&one, &by_one[3]).await;
    check_serving(&two, &by_two[3]).await;
    for host in [one.kill_and_restart(), two.kill_and_restart()] {
        check_serving(&host, &on_record[7]).await;
    }
}

/// That a trial's configuration serves.
async fn check_serving(host: &Host, trial: &str) {
    let index = host.read("/vectors/indexes/notes").await;
    assert_eq!(index["serving"]["trial"], trial, "{index}");
}

#[tokio::test]
async fn a_host_learns_of_datasets_at_once_and_of_indexes_when_it_starts() {
    let Some(space) = Space::shared().await else {
        return;
    };
    let (one, two) = (space.host(), space.host());
    tuned(&one, "notes").await;
    assert_eq!(two.read("/datasets/notes").await["rows"], 30);
    assert_eq!(two.get("/vectors/indexes/notes").await.0, 404);
    // It does not know that the name is taken, and must not take it.
    let body = json!({"name": "notes", "dataset": "notes", "text_column": "text"});
    let task = two.start("/vectors/indexes", &body).await;
    let ended = two.ended(&task).await;
    check_failed(&ended, "index_exists", &["another host", "`primary`"]);
    let two = two.kill_and_restart();
    assert_eq!(trials(&two, "notes").await.len(), 2);
    two.search("notes", &json!({"text": "bread"})).await;
}

#[tokio::test]
async fn of_two_hosts_that_build_an_index_of_one_name_one_has_it() {
    let Some(space) = Space::shared().await else {
        return;
    };
    let (one, two) = (space.host(), space.host());
    one.ingest("notes", sentences()).await;
    let body = json!({"name": "notes", "dataset": "notes", "text_column": "text"});
    let build = async |host: &Host| {
        let task = host.start("/vectors/indexes", &body).await;
        host.ended(&task).await
    };
    let (of_one, of_two) = join(build(&one), build(&two)).await;
    let (won, lost) = match of_one["state"].as_str() {
        Some("succeeded") => (of_one, of_two),
        _ => (of_two, of_one),
    };
    assert_eq!(won["state"], "succeeded", "{won} {lost}");
    assert_eq!(lost["state"], "failed", "{lost}");
    let code = lost["error"]["code"].as_str().expect("a code");
    assert!(
        ["changed_meanwhile", "index_exists"].contains(&code),
        "{lost}"
    );
    for host in [one.kill_and_restart(), two.kill_and_restart()] {
        let index = host.read("/vectors/indexes/notes").await;
        assert_eq!(index["created_at"], won["result"]["created_at"]);
        host.search("notes", &json!({"text": "bread"})).await;
    }
}

#[tokio::test]
async fn uploads_and_activations_of_two_hosts_lose_no_plugin() {
    let Some(space) = Space::shared().await else {
        return;
    };
    let (one, two) = (space.host(), space.host());
    let upload = |host: &Host, component: &[u8]| {
        let component = component.to_vec();
        let path = format!("{MARKED}/versions");
        let (url, http) = (format!("{}{path}", host.url), reqwest::Client::new());
        async move {
            let answer = http.post(url).body(component).send().await;
            answer.expect("an answer").status().as_u16()
        }
    };
    let stored = join(upload(&one, MARKED_1), upload(&two, MARKED_2)).await;
    assert_eq!(stored, (201, 201));
    // One host does not know yet what the other has stored; the catalogue does.
    let again = join_all([upload(&one, MARKED_2), upload(&two, MARKED_2)]).await;
    assert!(again.contains(&200), "{again:?}");
    assert!(again.iter().all(|status| [200, 201].contains(status)));

    let activate = async |host: &Host, version: &str| {
        let path = format!("{MARKED}/versions/{version}/activate");
        let (status, body) = host.post(&path, &json!({})).await;
        assert_eq!(status, 200, "{body}");
    };
    join(activate(&one, "1.0.0"), activate(&two, "2.0.0")).await;
    let (one, two) = (one.kill_and_restart(), two.kill_and_restart());
    let view = one.read(MARKED).await;
    assert_eq!(texts(&view["versions"], "version").len(), 2, "{view}");
    let other = two.read(MARKED).await;
    let states = |view: &Value| {
        let states = texts(&view["versions"], "state");
        states.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(states(&view), states(&other));
    assert_eq!(states(&view).iter().filter(|it| *it == "active").count(), 1);
    let events = one.read(&format!("{MARKED}/events?limit=100")).await;
    let events = texts(&events["events"], "event");
    let count = |name: &str| events.iter().filter(|event| **event == name).count();
    assert_eq!(
        (count("uploaded"), count("activated")),
        (2, 2),
        "{events:?}"
    );
}
