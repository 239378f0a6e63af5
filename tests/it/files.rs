//! Files as tables over HTTP and by the command line: what is said about them, and where they may be.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{Host, check_failed, check_problem, program, run};

/// A host that takes files below `in` of its folder's neighbour, and that folder.
fn host() -> (Host, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let allowed = folder.path().join("in");
    fs::create_dir_all(&allowed).expect("made");
    let config = format!(
        "[ingest]\nfolders = [{:?}]\nmax_decompressed_bytes = 100000\n",
        allowed.display().to_string()
    );
    (Host::configured(&config), folder)
}

async fn rows(host: &Host, dataset: &str) -> Value {
    host.read(&format!("/datasets/{dataset}/rows")).await["rows"].clone()
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, text).expect("written");
}

#[tokio::test]
async fn the_command_line_sends_what_comes_through_a_pipe() {
    let host = Host::fresh();
    for name in ["-", "/dev/stdin"] {
        let mut child = Command::new(program())
            .args(["--url", &host.url, "ingest", name, "--dataset", "piped"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut input = child.stdin.take().expect("standard input");
        // More than a pipe holds at once.
        let text = "n,t\n".to_owned() + &"1,some words that take their room\n".repeat(10_000);
        input.write_all(text.as_bytes()).expect("written");
        drop(input);
        let ended = child.wait_with_output().expect("it ends");
        let told = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success(), "{told}");
        assert!(told.contains("10000 rows"), "{told}");
    }
    let page = host.read("/datasets/piped/rows?limit=1").await;
    assert_eq!(page["total"], 10_000, "{page}");
}

#[tokio::test]
async fn what_is_said_of_a_file_counts_and_what_was_found_is_told() {
    let host = Host::fresh();
    let said = "dataset=t&delimiter=%3B&header=no&null=NA&schema=a:int8,b:decimal(5,1),c:utf8";
    let ended = host.upload(said, "1;2.5;x\nNA;3;NA\n").await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let expected = json!([{"a": 1, "b": "2.5", "c": "x"}, {"a": null, "b": "3.0", "c": null}]);
    assert_eq!(rows(&host, "t").await, expected);
    let columns = &ended["result"]["file"]["columns"];
    assert_eq!(
        columns[0]["nulls"],
        json!([{"spelling": "NA", "values": 1}])
    );

    let ended = host.upload("dataset=t", "n\n1\nNULL\n").await;
    let file = &ended["result"]["file"];
    assert_eq!(file["dialect"]["header"], true, "{file}");
    let reason = json!({"line": 3, "expected": "numbers", "null_like": "NULL"});
    assert_eq!(file["columns"][0]["text_because"], reason);

    let ended = host.upload("dataset=t&schema=n:int8", "n\n1\n200\n").await;
    check_failed(&ended, "bad_file", &["line 3, column 1", "`n` is no Int8"]);
    let ended = host.upload("dataset=t&schema=m:int8", "n\n1\n").await;
    check_failed(&ended, "bad_option", &["no column `m`"]);
    for (query, word) in [
        ("schema=n:int9", "int9"),
        ("compression=rar", "compression"),
        ("delimiter=ab", "delimiter"),
    ] {
        let path = format!("/ingest/file?dataset=t&{query}");
        check_problem(
            host.post_raw(&path, "n\n1\n").await,
            422,
            "bad_option",
            &[word],
        );
    }
}

#[tokio::test]
async fn objects_of_a_bucket_are_taken_but_none_of_our_own() {
    let (host, _folder) = host();
    let bucket = host.data.join("primary");
    put(&bucket.join("in/b.csv"), "a\n2.5\n");
    put(&bucket.join("in/a.csv"), "a\n1\n");
    put(&bucket.join("in/deeper/c.csv"), "a\n9\n");
    let from = |from: &str| format!("/ingest/file?dataset=t&from={from}");
    let taken = host
        .done(&from("bucket:primary/in/*.csv"), &Value::Null)
        .await;
    assert_eq!(taken["file"]["files"], 2);
    assert_eq!(rows(&host, "t").await, json!([{"a": 1.0}, {"a": 2.5}]));
    let taken = host
        .done(&from("bucket:primary/in/deeper/c.csv"), &Value::Null)
        .await;
    assert_eq!(taken["rows"], 1);

    let own = taken_object(&bucket);
    for from_ in [
        format!("primary/{own}"),
        "rescue/x.csv".to_owned(),
        "primary/auth/keys/1.json".to_owned(),
    ] {
        let answer = host
            .post(&from(&format!("bucket:{from_}")), &Value::Null)
            .await;
        check_problem(answer, 403, "origin_not_allowed", &["Boathouse itself"]);
    }
    for from_ in [
        format!("primary//{own}"),
        format!("primary/{own}/"),
        "primary//auth/keys/1.json".to_owned(),
        "primary/in//a.csv".to_owned(),
        "primary/in/../auth/x".to_owned(),
    ] {
        let answer = host
            .post(&from(&format!("bucket:{from_}")), &Value::Null)
            .await;
        check_problem(answer, 422, "bad_origin", &["as the bucket lists it"]);
    }
    let none = host
        .post(&from("bucket:primary/datasets/t/data/*"), &Value::Null)
        .await;
    check_problem(none, 422, "missing_file", &["no object"]);
    let nowhere = host.post(&from("bucket:nowhere/x.csv"), &Value::Null).await;
    check_problem(nowhere, 404, "unknown_bucket", &["nowhere"]);
    let odd = host.post(&from("ftp://x/y"), &Value::Null).await;
    check_problem(odd, 422, "bad_origin", &["bucket:"]);
    let task = host
        .start(&from("bucket:primary/in/none.csv"), &Value::Null)
        .await;
    check_failed(&host.ended(&task).await, "missing_file", &["in/none.csv"]);
}

/// The path of the rows of dataset `t` in its bucket.
fn taken_object(bucket: &Path) -> String {
    let data = bucket.join("datasets/t/data");
    let mut files = fs::read_dir(data).expect("data");
    let file = files.next().expect("a file").expect("a name").file_name();
    format!("datasets/t/data/{}", file.to_string_lossy())
}

#[tokio::test]
async fn files_of_the_host_are_taken_below_its_folders_only() {
    let (host, folder) = host();
    let [inside, outside] = ["in/a.csv", "out/a.csv"].map(|path| folder.path().join(path));
    put(&inside, "a\n1\n");
    put(&outside, "a\n1\n");
    let from = |path: &Path| format!("/ingest/file?dataset=t&from=file:{}", path.display());
    let taken = host.done(&from(&inside), &Value::Null).await;
    assert_eq!(taken["rows"], 1);
    for path in [
        outside,
        folder.path().join("out/none.csv"),
        host.data.join("host.token"),
    ] {
        let answer = host.post(&from(&path), &Value::Null).await;
        check_problem(answer, 403, "origin_not_allowed", &["ingest.folders"]);
    }
    let bounded = json!({"name": "mine", "scopes": ["ingest", "read"], "datasets": ["t"]});
    let owner = host.owner_token();
    let host = host.with_key(&owner);
    let (status, key) = host.post("/auth/keys", &bounded).await;
    assert_eq!(status, 201, "{key}");
    let host = host.with_key(key["key"].as_str().expect("a key"));
    let answer = host.post(&from(&inside), &Value::Null).await;
    check_problem(answer, 403, "origin_not_allowed", &["some datasets only"]);
}

#[tokio::test]
async fn the_command_line_says_all_of_it() {
    let (host, folder) = host();
    let local = folder.path().join("local.txt");
    put(&local, "# made by hand\n1|'x|y'\n2|NA\n");
    put(&folder.path().join("in/there.jsonl"), "{\"a\": 1}\n");
    let data = host.data.display().to_string();
    let ingest = |arguments: &[&str]| {
        let ended = run(&[&["--data", &data, "ingest", "--dataset", "t"], arguments].concat());
        let shown = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.status.success(), "{ended:?}");
        shown
    };
    let local = local.display().to_string();
    let said = [
        "--delimiter",
        "|",
        "--quote",
        "'",
        "--comment",
        "#",
        "--null",
        "NA",
        "--header",
        "no",
    ];
    let shown = ingest(&[&[local.as_str()], &said[..]].concat());
    assert!(shown.contains("without a header"), "{shown}");
    let expected = json!([{"column_1": 1, "column_2": "x|y"}, {"column_1": 2, "column_2": null}]);
    assert_eq!(rows(&host, "t").await, expected);
    let there = format!("file:{}", folder.path().join("in/there.jsonl").display());
    ingest(&[&there]);
    assert_eq!(rows(&host, "t").await, json!([{"a": 1}]));
}

#[tokio::test]
async fn a_form_holds_one_file_and_none_is_lost_in_silence() {
    let (host, _folder) = host();
    let (one, other) = (("a.csv", "id\n1\n"), ("b.csv", "id\n2\n"));
    let (status, task) = host.post_form("/ingest/file?dataset=one", &[one]).await;
    assert_eq!(status, 202, "{task}");
    let ended = host.ended(&task).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(rows(&host, "one").await, json!([{"id": 1}]));
    let answer = host
        .post_form("/ingest/file?dataset=two", &[one, other])
        .await;
    check_problem(answer, 422, "two_files", &["each"]);
    let answer = host.post_form("/ingest/file?dataset=none", &[]).await;
    check_problem(answer, 422, "no_file", &["file name"]);
    let (status, _) = host.get("/datasets/two").await;
    assert_eq!(status, 404);
}
