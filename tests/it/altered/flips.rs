//! Bits flipped all over files of rows: pages of each column, page indexes, checksums and footer. Whoever reads rows
//! gets those that were written or an error that names the file, before a restart and after it; with a sound copy he
//! gets the rows.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use super::{SAID, is_copied};
use crate::support::{Host, check_failed, check_problem};

/// Rows of each dataset.
const ROWS: usize = 200;
/// Datasets, in each of which a bit is flipped at another place.
const FLIPS: usize = 8;

/// A word of so many characters that do not compress well, another one for each number.
fn word(number: usize, characters: usize) -> String {
    let mut state = number as u64 + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + ((state >> 33) % 26) as u8)
    };
    (0..characters).map(|_| next()).collect()
}

/// A row: a number, a text in the words of the language, and so many letters that its file has several blocks.
fn row(number: usize) -> Value {
    let subjects = [
        "bread in the oven",
        "ships in the harbour",
        "an old bicycle",
    ];
    let text = format!("{} and {}", subjects[number % 3], word(number, 12));
    json!({"id": number, "text": text, "noise": word(number + ROWS, 1_500)})
}

fn csv() -> String {
    let rows = (0..ROWS).map(row).map(|row| {
        let text = |column: &str| row[column].as_str().expect("text").to_owned();
        format!("{},{},{}\n", row["id"], text("text"), text("noise"))
    });
    "id,text,noise\n".to_owned() + &rows.collect::<String>()
}

fn dataset(number: usize) -> String {
    format!("notes-{number}")
}

/// Datasets of equal rows, each with an index.
async fn ingest(host: &Host) {
    for number in 0..FLIPS {
        let name = dataset(number);
        host.ingest(&name, csv()).await;
        host.index(&name, &name, "text").await;
    }
}

/// The only file of a dataset: its path in its bucket, and where that is.
fn file(host: &Host, number: usize) -> (String, PathBuf) {
    let folder = format!("datasets/{}/data", dataset(number));
    let mut entries = fs::read_dir(host.data.join("primary").join(&folder)).expect("a folder");
    let entry = entries.next().expect("a file").expect("an entry");
    let name = entry.file_name();
    let path = format!("{folder}/{}", name.to_str().expect("text"));
    (path, entry.path())
}

/// Flips a bit in the file of each dataset, spread over it, the last one in the footer; gives their paths.
fn flip(host: &Host) -> Vec<String> {
    let flipped = (0..FLIPS).map(|number| {
        let (path, place) = file(host, number);
        let mut bytes = fs::read(&place).expect("rows");
        assert!(bytes.len() > 2 << 16, "it has several blocks of checksums");
        let at = (bytes.len() - 20) * number / (FLIPS - 1);
        bytes[at] ^= 1 << number;
        fs::write(&place, bytes).expect("written");
        path
    });
    flipped.collect()
}

/// What one who reads got: whether it was refused. Answers are checked by the caller.
fn is_refused((status, body): &(u16, Value), path: &str) -> bool {
    if *status == 200 {
        return false;
    }
    check_problem(
        (*status, body.clone()),
        500,
        "damaged_object",
        &[SAID[0], path],
    );
    true
}

/// That a search answers with all rows, each with these columns as they were written; or that it is refused.
async fn is_search_refused(host: &Host, (index, path): (&str, &str), columns: &[&str]) -> bool {
    let wish = json!({"text": "bread", "k": ROWS, "ef_search": 1_000, "with": columns});
    let search = format!("/vectors/indexes/{index}/search");
    let answer = host.post(&search, &wish).await;
    if is_refused(&answer, path) {
        return true;
    }
    let hits = answer.1["hits"].as_array().expect("hits").clone();
    assert_eq!(hits.len(), ROWS);
    for hit in hits {
        let written = row(hit["row"].as_u64().expect("a row") as usize);
        let expected: serde_json::Map<String, Value> = columns
            .iter()
            .map(|column| ((*column).to_owned(), written[*column].clone()))
            .collect();
        assert_eq!(hit["columns"], Value::Object(expected), "{index}");
    }
    false
}

/// The same of a page of rows.
async fn are_rows_refused(host: &Host, number: usize, path: &str) -> bool {
    let rows = format!("/datasets/{}/rows?limit={ROWS}", dataset(number));
    let answer = host.get(&rows).await;
    if is_refused(&answer, path) {
        return true;
    }
    let written: Vec<Value> = (0..ROWS).map(row).collect();
    assert_eq!(answer.1["rows"], json!(written), "{}", dataset(number));
    false
}

/// The same of a build: what it finds are the rows that were written, and its distances those of the sound index.
async fn is_build_refused(host: &Host, number: usize, path: &str, name: &str) -> bool {
    let wish = json!({"name": name, "dataset": dataset(number), "text_column": "text"});
    let task = host.start("/vectors/indexes", &wish).await;
    let ended = host.ended(&task).await;
    if ended["state"] == "failed" {
        check_failed(&ended, "damaged_object", &[SAID[0], path]);
        let (status, _) = host.get(&format!("/vectors/indexes/{name}")).await;
        assert_eq!(status, 404, "nothing of a build that failed serves");
        return true;
    }
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let wish = json!({"text": "bread", "k": ROWS, "ef_search": 1_000, "with": []});
    let found = host.search(name, &wish).await;
    let sound = host.search(&dataset(number), &wish).await;
    assert_eq!(found["hits"], sound["hits"], "{name}");
    false
}

/// Looks at everything that reads rows; gives how often rows of each dataset were refused where all were asked for, and
/// how often a part of them was answered.
async fn look(host: &Host, paths: &[String], when: &str) -> (usize, usize) {
    let (mut refused, mut answered) = (0, 0);
    for (number, path) in paths.iter().enumerate() {
        let name = dataset(number);
        let index = (name.as_str(), path.as_str());
        assert!(
            !is_search_refused(host, index, &[]).await,
            "no rows are read"
        );
        for column in ["id", "text", "noise"] {
            answered += usize::from(!is_search_refused(host, index, &[column]).await);
        }
        let all = is_search_refused(host, index, &["id", "text", "noise"]).await;
        assert_eq!(all, are_rows_refused(host, number, path).await, "{name}");
        refused += usize::from(all);
        let built = format!("{when}-{number}");
        answered += usize::from(!is_build_refused(host, number, path, &built).await);
    }
    (refused, answered)
}

#[tokio::test]
async fn bits_flipped_anywhere_are_never_read_as_other_rows() {
    let host = Host::fresh();
    ingest(&host).await;
    let paths = flip(&host);
    // What stands in a footer that was read before is kept.
    let (refused, answered) = look(&host, &paths, "before").await;
    assert!(refused >= FLIPS - 1, "{refused} of {FLIPS}");
    assert!(answered > 0, "blocks that are sound are read");
    let host = host.kill_and_restart();
    let (refused, _) = look(&host, &paths, "after").await;
    assert_eq!(refused, FLIPS, "every byte of a file counts");
}

#[tokio::test]
async fn bits_flipped_anywhere_cost_nothing_where_there_is_a_copy() {
    let host = Host::configured("[storage.mirror]\nkeep = \"everything\"\n");
    ingest(&host).await;
    host.until("/storage/buckets", is_copied).await;
    let paths = flip(&host);
    let reads = FLIPS * 4;
    assert_eq!(look(&host, &paths, "before").await, (0, reads));
    let host = host.kill_and_restart();
    assert_eq!(look(&host, &paths, "after").await, (0, reads));
}
