//! A byte of a stored value that is altered in the bucket: an error that names the object, or the value as its copy
//! has it, never another value.

mod flips;

use std::fs;

use serde_json::{Value, json};

use crate::{
    buckets::found,
    support::{Host, check_problem},
};

/// A text that stands in its file as it is: nothing in it repeats.
const TEXT: &str = "qvxkzjwpyhgfbdmcrtlnsaeiou0182736459";
/// What is said of an altered file.
const SAID: [&str; 2] = ["not those that were written", "ingest the dataset anew"];

async fn ingest(host: &Host) {
    host.ingest("notes", format!("id,text\n1,{TEXT}\n")).await;
    host.ingest("others", "id,text\n1,a harbour\n").await;
}

/// Flips a bit of the text in the only file of `notes`; gives the file's path in its bucket.
fn alter(host: &Host) -> String {
    let folder = "datasets/notes/data";
    let bucket = host.data.join("primary");
    let mut entries = fs::read_dir(bucket.join(folder)).expect("a folder");
    let file = entries.next().expect("a file").expect("an entry");
    let mut bytes = fs::read(file.path()).expect("rows");
    let is_text = |window: &[u8]| window == TEXT.as_bytes();
    let at = bytes.windows(TEXT.len()).position(is_text);
    let at = at.expect("the text stands in the file");
    let last = bytes.windows(TEXT.len()).rposition(is_text);
    assert!(
        last > Some(at),
        "the first is the value, then come statistics"
    );
    bytes[at + 5] ^= 1;
    fs::write(file.path(), bytes).expect("written");
    let name = file.file_name();
    format!("{folder}/{}", name.to_str().expect("text"))
}

/// Whatever needs rows of `notes` says what is wrong, and the rest answers.
async fn check_refused(host: &Host, path: &str) {
    let words = [&SAID[..], &[path]].concat();
    let rows = host.get("/datasets/notes/rows").await;
    check_problem(rows, 500, "damaged_object", &words);
    let wish = json!({"text": "a harbour", "k": 1, "with": ["text"]});
    let hits = host.post("/vectors/indexes/notes/search", &wish).await;
    check_problem(hits, 500, "damaged_object", &words);
    let page = host.read("/datasets/others/rows").await;
    assert_eq!(page["rows"][0]["text"], "a harbour", "{page}");
}

/// Whether everything in `primary` has its copy.
fn is_copied(list: &Value) -> bool {
    let mirror = &found(list, "primary")["mirror"];
    mirror["objects"] == 0 && mirror["comparing"] == false
}

#[tokio::test]
async fn an_altered_value_is_an_error_that_names_its_object() {
    let host = Host::fresh();
    ingest(&host).await;
    host.index("notes", "notes", "text").await;
    let path = alter(&host);
    check_refused(&host, &path).await;
}

#[tokio::test]
async fn an_altered_value_is_read_from_the_copy_where_there_is_one() {
    let host = Host::configured("[storage.mirror]\nkeep = \"everything\"\n");
    ingest(&host).await;
    host.until("/storage/buckets", is_copied).await;
    let path = alter(&host);
    let page = host.read("/datasets/notes/rows").await;
    assert_eq!(page["rows"][0]["text"], TEXT, "{page}");
    fs::remove_file(host.data.join("rescue/primary").join(&path)).expect("the copy");
    let rows = host.get("/datasets/notes/rows").await;
    check_problem(rows, 500, "damaged_object", &[&path, SAID[1]]);
}
