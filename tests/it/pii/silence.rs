//! No planted value anywhere: not in a file of the data folder, the log among them, nor in an answer, after
//! runs that succeed, are refused, fail and are killed.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    KINDS, append, folder,
    planted::{csv, files, in_files, in_text, json_lines, policy},
    rows, set_policy, treatments,
};
use crate::{
    guests::EVIL_PII,
    support::{Host, check_failed, db},
};

/// What a host tells about a dataset, all in one text.
async fn told(host: &Host, dataset: &str) -> String {
    let mut all = String::new();
    let dataset_paths = ["", "/rows?limit=1000", "/pii/policy"];
    let of_dataset = dataset_paths.map(|path| format!("/datasets/{dataset}{path}"));
    let others = ["/tasks", "/metrics", "/audit"].map(str::to_owned);
    let lineage = [format!("/lineage/{dataset}")];
    for path in of_dataset.into_iter().chain(others).chain(lineage) {
        let (_, body) = host.get(&path).await;
        all += &body.to_string();
    }
    all
}

#[track_caller]
fn check_silent(folder: &Path) {
    assert_eq!(in_files(folder), [""; 0]);
}

async fn check_all_silent(host: &Host, dataset: &str) {
    let told = told(host, dataset).await;
    assert_eq!(in_text(&told), [""; 0], "{told}");
    check_silent(&host.data);
}

/// Rows in clear, so that the search below is known to find what is there; and their Parquet file.
async fn in_clear() -> Vec<u8> {
    let folder = folder("");
    let host = Host::on(folder.path());
    host.ingest("clear", csv(500)).await;
    let found = in_files(folder.path());
    for column in ["mail", "phone", "note", "code", "number", "born"] {
        let is_column = |line: &&String| line.ends_with(&format!(".parquet: {column}"));
        assert!(
            found.iter().any(|line| is_column(&line)),
            "{column}: {found:?}"
        );
    }
    assert!(in_text(&told(&host, "clear").await).len() >= 6);
    let parquet = files(folder.path());
    let is_parquet = |path: &&std::path::PathBuf| path.extension().is_some_and(|e| e == "parquet");
    std::fs::read(parquet.iter().find(is_parquet).expect("rows")).expect("read")
}

#[tokio::test]
async fn after_ingests_that_succeed() {
    let parquet = in_clear().await;
    let folder = folder(KINDS);
    let host = Host::on(folder.path());
    let uploads: [(&str, Vec<u8>); 3] = [
        ("csv", csv(500).into_bytes()),
        ("jsonl", json_lines(500).into_bytes()),
        ("parquet", parquet),
    ];
    let mut seen = Vec::new();
    for (format, bytes) in uploads {
        set_policy(&host, format, &policy()).await;
        for mode in ["replace", "append"] {
            let parameters = format!("dataset={format}&format={format}&mode={mode}");
            let ended = host.upload(&parameters, bytes.clone()).await;
            assert_eq!(ended["state"], "succeeded", "{ended}");
        }
        let view = host.read(&format!("/datasets/{format}")).await;
        assert_eq!(
            treatments(&view).len(),
            6,
            "all but the id: {:?}",
            treatments(&view)
        );
        let all = rows(&host, format).await;
        assert_eq!(all.len(), 1_000);
        let first = &all[0];
        assert_eq!(first["phone"], "**********0000", "{first}");
        assert_eq!(first["code"], "*****************", "{first}");
        assert_eq!(first["mail"].as_str().map(str::len), Some(64), "{first}");
        assert!(first.get("note").is_none() && first.get("born").is_none());
        assert_eq!(
            all[500]["mail"], first["mail"],
            "an append hashes as before"
        );
        seen.push((first["mail"].clone(), first["number"].clone()));
        check_all_silent(&host, format).await;
    }
    assert!(
        seen.iter().all(|one| *one == seen[0]),
        "joins across tables: {seen:?}"
    );
}

#[tokio::test]
async fn after_ingests_that_are_refused_or_fail() {
    let folder = folder("email = \"refuse\"\n");
    let host = Host::on(folder.path());
    let refused = host.upload("dataset=d&format=csv", csv(300)).await;
    check_failed(&refused, "personal_data", &["`mail`", "email"]);
    let mut broken = csv(300);
    broken += "1,\"vexil4@quorum-planted.example,+49151700000,Thistlewort\n";
    let failed = host.upload("dataset=d&format=csv", broken).await;
    check_failed(&failed, "bad_file", &["line"]);
    let mut broken = json_lines(300);
    broken += "{\"mail\": \"vexil1@quorum-planted.example\", \"note\": Thistlewort}\n";
    let failed = host.upload("dataset=d&format=jsonl", broken).await;
    check_failed(&failed, "bad_file", &["line 301"]);
    // Columns that do not fit: of another type, missing, unknown.
    host.ingest("d", "id,n\n1,2\n".to_owned()).await;
    let other = "id,n\nvexil5@quorum-planted.example,KXPLANT\n".to_owned();
    let failed = host.upload("dataset=d&format=csv&mode=append", other).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    let damaged = [b"PAR1".to_vec(), csv(50).into_bytes(), b"PAR1".to_vec()].concat();
    let failed = host.upload("dataset=d&format=parquet", damaged).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    check_all_silent(&host, "d").await;
}

#[tokio::test]
async fn after_a_host_that_is_killed_in_the_middle() {
    let folder = folder(KINDS);
    let mut host = Host::on(folder.path());
    let body = csv(20_000);
    for stage in ["reading", "converting", "storing"] {
        set_policy(&host, "d", &policy()).await;
        let (status, task) = host
            .post_raw("/ingest/file?dataset=d&format=csv", body.clone())
            .await;
        assert_eq!(status, 202, "{task}");
        let path = format!("/tasks/{}", task["id"].as_str().expect("an id"));
        let there = |view: &Value| view["state"] != "running" || view["progress"]["stage"] == stage;
        host.until(&path, there).await;
        host = host.kill_and(|folder| check_silent(folder));
        check_all_silent(&host, "d").await;
    }
    host.ingest("d", body).await;
    check_all_silent(&host, "d").await;
}

/// A detector sees values, so its words could hold them: none is repeated, whatever happens to it.
#[tokio::test]
async fn of_the_words_of_a_detector() {
    let folder = folder(KINDS);
    let host = Host::on(folder.path());
    let (status, body) = host
        .post_raw("/plugins/pii/evil/pii/versions", EVIL_PII)
        .await;
    assert_eq!(status, 201, "{body}");
    let path = "/plugins/pii/evil/pii/versions/1.0.0/activate";
    let at = json!({"datasets": ["orders", "plain"]});
    let (status, body) = host.post(path, &at).await;
    assert_eq!(status, 200, "{body}");
    let table = "email,attack_panic\na@example.org,1\nb@example.org,2\n".to_owned();
    let failed = host
        .upload("dataset=orders&format=csv", table.clone())
        .await;
    check_failed(&failed, "plugin_failed", &["evil/pii", "crashed"]);
    // Without a policy that depends on it the rows come in, and say that nobody knows.
    let keep = json!({"kinds": {"email": "tag", "phone": "tag"}});
    set_policy(&host, "plain", &keep).await;
    let report = host.ingest("plain", table).await;
    assert_eq!(
        report["detector_failures"].as_array().map(Vec::len),
        Some(1)
    );
    let view = host.read("/datasets/plain").await;
    assert_eq!(view["findings_complete"], false);
    assert_eq!(view["detector_failures"], report["detector_failures"]);
    let metrics = host.read("/metrics").await.to_string();
    for figure in [
        "pii_unanswered_questions_total 2",
        "pii_refused_ingests_total 1",
    ] {
        assert!(metrics.contains(figure), "{metrics}");
    }
    let log = std::fs::read_to_string(folder.path().join(super::LOG)).expect("the log");
    assert!(log.contains("evil/pii"), "the failure is logged");
    assert!(!log.contains("lost its head"), "and not the guest's words");
    let told = told(&host, "plain").await;
    assert!(!told.contains("lost its head"), "{told}");
}

#[tokio::test]
async fn after_a_table_of_a_database() {
    let mut sql = "CREATE TABLE people (id bigint, mail text, phone text, note text, code text, number bigint, born date);\n".to_owned();
    let lines = csv(200);
    for line in lines.lines().skip(1) {
        let values: Vec<_> = line.split(',').map(|value| format!("'{value}'")).collect();
        sql += &format!("INSERT INTO people VALUES ({});\n", values.join(","));
    }
    let Some(database) = db::postgres_with(&sql).await else {
        return;
    };
    let folder = folder(KINDS);
    let host = Host::on(folder.path());
    set_policy(&host, "people", &policy()).await;
    let body = json!({"dsn": database.dsn(), "table": "people", "dataset": "people"});
    host.done("/ingest/db", &body).await;
    host.done(
        "/ingest/db",
        &json!({"dsn": database.dsn(), "table": "people", "dataset": "people", "mode": "append"}),
    )
    .await;
    assert_eq!(rows(&host, "people").await.len(), 400);
    // A query that fails at a value, which the server would quote.
    let query = "SELECT id, mail, (note || '')::int AS n FROM people";
    let body = json!({"dsn": database.dsn(), "query": query, "dataset": "broken"});
    let (status, task) = host.post("/ingest/db", &body).await;
    if status == 202 {
        let ended = host.ended(&task).await;
        assert_eq!(ended["state"], "failed", "{ended}");
    }
    check_all_silent(&host, "people").await;
    check_all_silent(&host, "broken").await;
    // The same values hash equally in a file.
    set_policy(&host, "file", &policy()).await;
    append(&host, "file", csv(200)).await;
    let by_id = |mut rows: Vec<Value>| {
        rows.sort_by_key(|row| row["id"].as_i64());
        rows
    };
    let (table, file) = (rows(&host, "people").await, rows(&host, "file").await);
    let (table, file) = (by_id(table), by_id(file));
    assert_eq!(table[0]["number"], file[0]["number"]);
    assert_eq!(table[0]["mail"], file[0]["mail"]);
}
