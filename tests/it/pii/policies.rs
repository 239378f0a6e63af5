//! Policies over HTTP and the command line: kept, told, changed, refused, and followed by appends; and scans.

use serde_json::json;

use super::{KINDS, OTHER_KEY, append, folder, holds, rows, set_key, set_policy, treatments};
use crate::support::{Host, check_failed, check_problem, run};

const PEOPLE: &str = "mail,phone,n\nann@example.org,+4915123456789,1\nbob@example.org,+4915198765432,2\ncy@example.org,+4915155555555,3\n";

#[tokio::test]
async fn a_policy_is_kept_and_changed_by_one_at_a_time() {
    let folder = folder(KINDS);
    let host = Host::on(folder.path());
    let path = "/datasets/people/pii/policy";
    let none = host.read(path).await;
    assert_eq!(
        (&none["generation"], &none["inherited"]["email"]),
        (&json!(0), &json!("hash"))
    );
    let kinds = json!({"email": "drop", "e_mail": "drop"});
    let policy = json!({"kinds": kinds, "columns": {"mial": {"action": "keep"}}, "generation": 0});
    let set = set_policy(&host, "people", &policy).await;
    assert_eq!(set["generation"], 1);
    let late = host.put(path, &policy).await;
    check_problem(late, 409, "changed_meanwhile", &["generation 1"]);
    let host = host.kill_and_restart();
    let kept = host.read(path).await;
    assert_eq!(kept["kinds"], kinds);
    assert_eq!(
        kept["unknown_columns"],
        json!([]),
        "there is no dataset yet"
    );
    let report = host.ingest("people", PEOPLE.to_owned()).await;
    assert_eq!(treatments(&report)[0], "mail drop dataset", "{report}");
    for told in [report, host.read(path).await] {
        assert_eq!(told["unknown_columns"], json!(["mial"]), "{told}");
        assert_eq!(told["unused_kinds"], json!(["e_mail"]), "{told}");
    }
    // It outlives the dataset.
    assert_eq!(host.delete("/datasets/people").await.0, 204);
    assert_eq!(host.read(path).await["generation"], 1);
}

#[tokio::test]
async fn what_cannot_be_carried_out_is_refused_at_once() {
    let host = Host::fresh();
    let path = "/datasets/people/pii/policy";
    let bad = [
        (json!({"kinds": {"email": "hash"}}), "hash_key"),
        (json!({"columns": {"a": {"action": "hash"}}}), "hash_key"),
        (json!({"kinds": {"E-Mail": "drop"}}), "snake_case"),
    ];
    for (policy, word) in bad {
        check_problem(
            host.put(path, &policy).await,
            422,
            "bad_pii_policy",
            &[word],
        );
    }
    let odd = [
        json!({"kinds": {"email": "masc"}}),
        json!({"columns": {"a": {"action": "drop", "kind": "email"}}}),
        json!({"colums": {}}),
    ];
    for policy in odd {
        let (status, body) = host.put(path, &policy).await;
        assert!((400..=422).contains(&status), "{policy}: {body}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("boathouse.toml");
    std::fs::write(&config, "[ingest.pii.kinds]\nemail = \"hash\"\n").expect("written");
    let checked = run(&[
        "config",
        "check",
        "--config",
        config.to_str().expect("a path"),
    ]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(
        said.contains("ingest.pii") && said.contains("hash_key"),
        "{said}"
    );
}

#[tokio::test]
async fn a_person_overrules_findings_and_an_append_follows_what_was_done() {
    let folder = folder(KINDS);
    let host = Host::on(folder.path());
    let policy = json!({"columns": {"phone": holds("none"), "n": {"action": "mask"}}});
    set_policy(&host, "people", &policy).await;
    let report = host.ingest("people", PEOPLE.to_owned()).await;
    assert_eq!(
        treatments(&report),
        ["mail hash config", "phone tag column", "n mask column"]
    );
    let first = rows(&host, "people").await;
    assert_eq!(first[0]["n"], "*");
    // The person changes their mind; the rows that follow are as those before them.
    set_policy(
        &host,
        "people",
        &json!({"columns": {"mail": {"action": "keep"}}}),
    )
    .await;
    let report = append(&host, "people", PEOPLE.replace(",1\n", ",one\n")).await;
    assert_eq!(
        treatments(&report)[0],
        "mail hash earlier_version",
        "{report}"
    );
    let note = report["treatments"][0]["note"].as_str().unwrap_or_default();
    assert!(note.contains("replace"), "{report}");
    let all = rows(&host, "people").await;
    assert_eq!(all[3]["mail"], first[0]["mail"]);
    assert_eq!(
        all[3]["n"], "***",
        "a column that became text takes any type"
    );
    // The same text hashed elsewhere joins.
    let other = host
        .ingest("other", "email,x\nbob@example.org,1\n".to_owned())
        .await;
    assert_eq!(treatments(&other), ["email hash config"], "{other}");
    assert_eq!(rows(&host, "other").await[0]["email"], first[1]["mail"]);
}

#[tokio::test]
async fn another_key_and_rows_in_clear_are_not_continued() {
    let folder = folder("email = \"hash\"\n");
    let host = Host::on(folder.path());
    host.ingest("people", PEOPLE.to_owned()).await;
    let host = host.kill_and(|folder| set_key(folder, OTHER_KEY));
    let parameters = "dataset=people&format=csv&mode=append";
    let failed = host.upload(parameters, PEOPLE).await;
    check_failed(&failed, "hash_key_differs", &["`mail`", "replace"]);
    host.ingest("people", PEOPLE.to_owned()).await;
    append(&host, "people", PEOPLE.to_owned()).await;
    // A number in clear cannot become text for some rows only; a text can, and it is told.
    let policy = json!({"columns": {"n": {"action": "mask"}}});
    set_policy(&host, "people", &policy).await;
    let failed = host.upload(parameters, PEOPLE).await;
    check_failed(&failed, "rows_in_clear", &["`n`", "Int64"]);
    host.ingest("notes", "id,note\n1,hello there\n".to_owned())
        .await;
    let policy = json!({"columns": {"note": {"action": "mask"}}});
    set_policy(&host, "notes", &policy).await;
    append(&host, "notes", "id,note\n2,good bye\n".to_owned()).await;
    let view = host.read("/datasets/notes").await;
    assert_eq!(
        view["treatments"][0]["earlier_rows_in_clear"], true,
        "{view}"
    );
    let all = rows(&host, "notes").await;
    assert_eq!(
        (&all[0]["note"], &all[1]["note"]),
        (&json!("hello there"), &json!("********"))
    );
}

#[tokio::test]
async fn a_scan_looks_again_and_changes_no_row() {
    let folder = folder("");
    let host = Host::on(folder.path());
    host.ingest("people", PEOPLE.to_owned()).await;
    append(&host, "people", PEOPLE.to_owned()).await;
    let before = host.read("/datasets/people").await;
    assert!(before.get("findings_scanned_at").is_none());
    set_policy(&host, "people", &json!({"kinds": {"email": "hash"}})).await;
    let scan = host.done("/datasets/people/pii/scan", &json!({})).await;
    assert_eq!(
        (&scan["version"], &scan["findings_complete"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(scan["would_treat"][0]["column"], "mail", "{scan}");
    assert_eq!(scan["would_treat"][0]["action"], "hash", "{scan}");
    host.done("/datasets/people/pii/scan", &json!({"version": 1}))
        .await;
    let after = host.read("/datasets/people").await;
    assert_eq!(
        (&after["rows"], &after["version"]),
        (&before["rows"], &before["version"])
    );
    assert!(after["findings_scanned_at"].is_string(), "{after}");
    for version in after["versions"].as_array().expect("versions") {
        assert_eq!(
            version["scans"].as_array().map(Vec::len),
            Some(1),
            "{version}"
        );
    }
    assert_eq!(rows(&host, "people").await[0]["mail"], "ann@example.org");
    let missing = host
        .post("/datasets/people/pii/scan", &json!({"version": 9}))
        .await;
    check_problem(missing, 404, "unknown_version", &["9"]);
    let missing = host.post("/datasets/nobody/pii/scan", &json!({})).await;
    check_problem(missing, 404, "unknown_dataset", &["nobody"]);
}

#[tokio::test]
async fn the_command_line_sets_shows_and_scans() {
    let folder = folder(KINDS);
    let host = Host::on(folder.path());
    let ask = |arguments: &[&str]| {
        let mut all = vec!["--url", host.url.as_str(), "pii"];
        all.extend(arguments);
        let done = run(&all);
        let said = String::from_utf8_lossy(&done.stdout).into_owned()
            + &String::from_utf8_lossy(&done.stderr);
        (done.status.code(), said)
    };
    let set = [
        "policy",
        "set",
        "people",
        "--kind",
        "email=drop",
        "--column",
        "n=kind:none",
    ];
    let (code, said) = ask(&set);
    assert_eq!(code, Some(0), "{said}");
    for words in [
        "email: drop",
        "column n: no personal data",
        "phone: mask:4 (configuration)",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let (_, said) = ask(&["policy", "set", "people", "--column", "n="]);
    assert!(
        said.contains("email: drop") && !said.contains("column n"),
        "{said}"
    );
    host.ingest("people", PEOPLE.to_owned()).await;
    let (code, said) = ask(&["scan", "people"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = ask(&["policy", "set", "people", "--kind", "email"]);
    assert_eq!(code, Some(2), "{said}");
}

/// Whether or not it may read the policy, it is told of the scope that changing one takes.
#[tokio::test]
async fn a_key_that_may_not_change_a_policy_is_told_so_at_once() {
    let folder = folder(KINDS);
    let host = Host::on(folder.path());
    let body = json!({"name": "boss", "scopes": ["admin"]});
    let (status, boss) = host.post("/auth/keys", &body).await;
    assert_eq!(status, 201, "{boss}");
    let boss = host.with_key(boss["key"].as_str().expect("a key"));
    for scope in ["ingest", "read"] {
        let body = json!({"name": scope, "scopes": [scope]});
        let (status, made) = boss.post("/auth/keys", &body).await;
        assert_eq!(status, 201, "{made}");
        let file = folder.path().join(scope);
        std::fs::write(&file, made["key"].as_str().expect("a key")).expect("written");
        let file = file.to_str().expect("a path");
        let client = ["--url", &boss.url, "--key-file", file];
        let wanted = ["pii", "policy", "set", "people", "--kind", "email=drop"];
        let refused = run(&[&client[..], &wanted[..]].concat());
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(
            said.contains("`admin`") && !said.contains("`read`"),
            "{said}"
        );
    }
}
