//! Which indexes follow by themselves, and what those that do not say and do.

use super::*;

#[tokio::test]
async fn of_two_indexes_on_a_dataset_the_manual_one_waits() {
    let host = world().await;
    build(&host, "slow", "manual").await;
    let version = append(
        &host,
        &[
            ("new-1", "beekeeping on roofs"),
            ("new-2", "honey from the city"),
        ],
    )
    .await;
    covers(&host, "notes", version).await;
    let slow = host.read("/vectors/indexes/slow").await;
    let behind = json!({"newest": version, "versions": 1, "rows": 2, "replaced": false});
    assert_eq!((&slow["behind"], &slow["vectors"]), (&behind, &json!(30)));
    let entry = queued(&host, "slow").await;
    assert_eq!(entry["appends"]["state"], "manual", "{entry}");
    let reason = &entry["reasons"][0];
    assert_eq!(
        (
            &reason["reason"],
            &reason["count"],
            &reason["dataset_version"]
        ),
        (&json!("appended"), &json!(1), &json!(version))
    );
    assert_eq!(queued(&host, "notes").await["appends"]["state"], "done");

    let host = host.kill_and_restart();
    let slow = host.read("/vectors/indexes/slow").await;
    let told = (&slow["behind"], &slow["appends"]);
    assert_eq!(told, (&behind, &json!("manual")), "by the first answer");
    let refreshed = host.done("/vectors/indexes/slow/refresh", &json!({})).await;
    assert_eq!(
        (&refreshed["appended"], &refreshed["behind"]),
        (&json!(2), &Value::Null)
    );
    assert_eq!(
        everything(&host, "slow").await,
        everything(&host, "notes").await
    );
    let idle = host.done("/vectors/indexes/slow/refresh", &json!({})).await;
    assert_eq!(idle["appended"], 0);

    let version = append(&host, &[("new-3", "wasps and hornets")]).await;
    let (status, view) = patch(&host, "slow", &json!({"appends": "auto"})).await;
    assert_eq!((status, &view["appends"]), (200, &json!("auto")));
    covers(&host, "slow", version).await;
    let host = host.kill_and_restart();
    assert_eq!(host.read("/vectors/indexes/slow").await["appends"], "auto");
    assert_eq!(queued(&host, "slow").await["reasons"][0]["count"], 2);
}

#[tokio::test]
async fn a_host_that_was_killed_says_at_once_which_rows_are_not_searched() {
    let host = world().await;
    let version = append(&host, &[("new-1", "beekeeping on roofs")]).await;
    let host = host.kill_and_restart();
    let first = host.read("/vectors/indexes/notes").await;
    let is_level = first["dataset_version"] == json!(version);
    assert_eq!(first["behind"].is_null(), is_level, "{first}");
    covers(&host, "notes", version).await;
}

#[tokio::test]
async fn a_replaced_dataset_waits_for_a_refresh_which_rebuilds() {
    let host = world().await;
    append(&host, &[("s0-0", "a row that comes again")]).await;
    covers(&host, "notes", 2).await;
    let before = everything(&host, "notes").await;
    host.ingest(
        "notes",
        "id,text\na,mushrooms in the forest\nb,berries in the forest\n",
    )
    .await;
    append(&host, &[("a", "poisonous mushrooms")]).await;
    let view = host
        .until("/vectors/indexes/notes", |view| {
            view["behind"]["versions"] == 2
        })
        .await;
    assert_eq!(
        view["behind"],
        json!({"newest": 4, "versions": 2, "rows": 3, "replaced": true})
    );
    assert_eq!(
        everything(&host, "notes").await,
        before,
        "it serves what it has"
    );
    let entry = queued(&host, "notes").await;
    assert_eq!(entry["appends"]["state"], "replaced", "{entry}");
    assert_eq!(entry["reasons"][1]["reason"], "replaced", "{entry}");

    let refreshed = host
        .done("/vectors/indexes/notes/refresh", &json!({}))
        .await;
    assert_eq!(
        (&refreshed["dataset_version"], &refreshed["vectors"]),
        (&json!(4), &json!(2))
    );
    check_as_from_scratch(&host, "notes").await;
    let version = append(&host, &[("c", "chestnuts")]).await;
    covers(&host, "notes", version).await;
    let host = host.kill_and_restart();
    check_as_from_scratch(&host, "notes").await;
}

#[tokio::test]
async fn an_index_that_is_built_while_rows_come_gets_them() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    let spec =
        json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id"});
    let task = host.start("/vectors/indexes", &spec).await;
    let version = append(&host, &[("new-1", "late for the train")]).await;
    assert_eq!(host.ended(&task).await["state"], "succeeded");
    covers(&host, "notes", version).await;
    check_as_from_scratch(&host, "notes").await;
}

#[tokio::test]
async fn a_dataset_that_is_made_anew_has_nothing_of_the_one_before() {
    let host = world().await;
    append(&host, &[("new-1", "old row")]).await;
    covers(&host, "notes", 2).await;
    check_problem(
        host.delete("/datasets/notes").await,
        409,
        "dataset_in_use",
        &["notes"],
    );
    assert_eq!(host.delete("/vectors/indexes/notes").await.0, 204);
    assert_eq!(
        queued(&host, "notes").await,
        Value::Null,
        "it goes from the queue"
    );
    assert_eq!(host.delete("/datasets/notes").await.0, 204);
    let version = append(&host, &[("one", "a fresh start")]).await;
    build(&host, "notes", "auto").await;
    assert_eq!(everything(&host, "notes").await.len(), 1);
    let version = version.max(append(&host, &[("two", "a second row")]).await);
    let view = covers(&host, "notes", version).await;
    assert_eq!((&view["vectors"], &view["rows"]), (&json!(2), &json!(2)));
}

#[tokio::test]
async fn what_is_asked_for_is_noted_and_what_makes_no_sense_refused() {
    let host = world().await;
    let (status, entry) = host.post("/vectors/agent/enqueue/notes", &json!({})).await;
    assert_eq!(
        (status, &entry["reasons"][0]["reason"]),
        (200, &json!("asked")),
        "{entry}"
    );
    assert_eq!(entry["appends"]["state"], "done");
    let host = host.kill_and_restart();
    let agent = host.read("/vectors/agent").await;
    assert_eq!(
        (&agent["tuning"], &agent["queue"][0]["index"]),
        (&json!(false), &json!("notes"))
    );

    let missing = host.post("/vectors/agent/enqueue/nobody", &json!({})).await;
    check_problem(missing, 404, "unknown_index", &["nobody"]);
    let missing = host
        .post("/vectors/indexes/nobody/refresh", &json!({}))
        .await;
    check_problem(missing, 404, "unknown_index", &["nobody"]);
    for body in [json!({}), json!({"bucket": "primary", "appends": "auto"})] {
        check_problem(
            patch(&host, "notes", &body).await,
            422,
            "one_change",
            &["appends"],
        );
    }
    let odd = patch(&host, "notes", &json!({"appends": "sometimes"})).await;
    check_problem(odd, 422, "bad_body", &["sometimes"]);
}
