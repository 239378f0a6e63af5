//! Restoring: what is said of what comes back and what does not.

use boathouse_storage::Manifest;
use serde_json::Value;

use super::*;

const ROWS: &str = "datasets/notes/data/a.parquet";

/// A configuration on a folder of its own.
fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.server.data = folder.to_owned();
    config
}

fn arguments(dry_run: bool) -> Arguments {
    Arguments {
        bucket: None,
        dry_run,
    }
}

/// What the mirror left of a primary bucket with a dataset, with its rows or without.
async fn copies(config: &Config, with_rows: bool) {
    let buckets = config.all_buckets();
    let rescue = opened(&buckets[1], &Environment::default()).expect("rescue");
    let copy = rescue.within("primary").expect("a folder");
    let value: Value = json!({
        "name": "notes", "bucket": "primary", "next_version": 2, "versions": [{
            "version": 1, "mode": "replace", "files": [{"path": ROWS, "rows": 1, "bytes": 4}],
            "rows": 1, "bytes": 4, "columns": [], "created_at": "2026-01-01T00:00:00Z",
            "detection": {"findings": [], "asked": [], "failures": []},
            "source": {"system": "file", "label": "notes.csv"}
        }]
    });
    let manifest = Manifest::<Value>::new(copy.clone(), "datasets/notes/manifest");
    manifest.commit(0, &value).await.expect("committed");
    if with_rows {
        copy.put(ROWS, "rows".into()).await.expect("copied");
    }
}

async fn restored(config: &Config, dry_run: bool) -> Result<(), CliError> {
    let output = Output::new(true);
    run(config, &Environment::default(), &output, arguments(dry_run)).await
}

#[tokio::test]
async fn what_was_copied_comes_back_and_what_was_not_is_told() {
    for with_rows in [true, false] {
        let folder = tempfile::tempdir().expect("folder");
        let config = config(folder.path());
        copies(&config, with_rows).await;
        let outcome = restored(&config, false).await;
        match with_rows {
            true => outcome.expect("whole"),
            false => assert!(matches!(outcome, Err(CliError::Incomplete)), "{outcome:?}"),
        }
        let back = folder.path().join("primary/datasets/notes/manifest");
        assert_eq!(std::fs::read_dir(back).expect("a folder").count(), 1);
        assert_eq!(folder.path().join("primary").join(ROWS).exists(), with_rows);
        assert!(!folder.path().join(RESTORING).exists());
    }
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_says_the_same() {
    let folder = tempfile::tempdir().expect("folder");
    let config = config(folder.path());
    copies(&config, false).await;
    let outcome = restored(&config, true).await;
    assert!(matches!(outcome, Err(CliError::Incomplete)), "{outcome:?}");
    assert!(!folder.path().join("primary").exists());
    assert!(!folder.path().join(RESTORING).exists());
}

#[tokio::test]
async fn without_copies_or_with_a_host_in_the_folder_nothing_is_done() {
    let folder = tempfile::tempdir().expect("folder");
    let config = config(folder.path());
    let error = restored(&config, true).await.expect_err("no copies");
    assert!(error.to_string().contains("no copies"), "{error}");
    let held = FolderLock::take(folder.path()).expect("held");
    let error = restored(&config, false).await.expect_err("in use");
    assert!(matches!(error, CliError::Start(_)), "{error}");
    drop(held);
    let unknown = Arguments {
        bucket: Some("nowhere".parse().expect("a name")),
        dry_run: true,
    };
    let output = Output::new(true);
    let error = run(&config, &Environment::default(), &output, unknown).await;
    assert!(matches!(error, Err(CliError::Usage(_))), "{error:?}");
}

#[tokio::test]
async fn copies_do_not_go_into_the_place_of_another_bucket() {
    let home = Bucket::memory(BucketName::primary());
    check_mark(&home).await.expect("an empty place");
    for (name, is_own) in [("primary", true), ("cold", false)] {
        let mark = json!({"format": "boathouse/bucket", "format_version": 1, "name": name});
        home.put(MARK, mark.to_string().into())
            .await
            .expect("written");
        let checked = check_mark(&home).await;
        assert_eq!(checked.is_ok(), is_own, "{checked:?}");
    }
}
