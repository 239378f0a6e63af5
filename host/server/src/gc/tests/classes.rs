//! Each class of garbage: what goes, what stays, and what is left out when it cannot be decided.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use boathouse_faults::{FaultyStore, Last, Plan};
use boathouse_ingest::IngestMode;
use boathouse_storage::{BackendConfig, Bucket, BucketConfig, Manifest, Mirror, MirrorScope};
use boathouse_tuning::{Journal, Promote, Promotions};

use super::{
    super::{Busy, Class, GcReport, report::BucketReport},
    world::*,
};
use bytes::Bytes;
use serde_json::{Value, json};

/// Numbers by class, of all buckets and copies together.
#[track_caller]
fn check(report: &GcReport, expected: &[(Class, u64)]) {
    let found: Vec<_> = report
        .by_class()
        .into_iter()
        .map(|(class, (objects, _))| (class, objects))
        .collect();
    assert_eq!(found, expected, "{report:#?}");
}

#[track_caller]
fn check_left(report: &BucketReport, what: &str, why: &str) {
    let found = |left: &super::super::LeftOut| left.what.contains(what) && left.why.contains(why);
    assert!(
        report.left_out.iter().any(found),
        "`{what}`, `{why}`: {report:#?}"
    );
}

#[tokio::test]
async fn rows_that_no_version_shows_go() {
    let world = World::new();
    let bucket = world.primary();
    world.ingest("kept", IngestMode::Replace, 1).await;
    world.ingest("kept", IngestMode::Append, 2).await;
    world.ingest("gone", IngestMode::Replace, 1).await;
    world
        .datasets
        .delete(&dataset_name("gone"))
        .await
        .expect("deleted");
    for dataset in ["kept", "gone", "never"] {
        put(bucket, &fresh(&format!("datasets/{dataset}/data"))).await;
    }
    let before = world.readable().await;
    check(&world.collect().await, &[(Class::Rows, 3)]);
    assert_eq!(world.readable().await, before);
    assert_eq!(paths(bucket, "datasets/kept/data").await.len(), 2);
    check(&world.collect().await, &[]);
}

#[tokio::test]
async fn an_index_keeps_its_vectors_and_the_graphs_that_anything_names() {
    let world = World::new();
    let bucket = world.primary();
    let meta = meta("i", bucket, "d", 1);
    put_index(bucket, &meta).await;
    let journal = Journal::new(bucket, &meta.name, Arc::clone(&world.clock));
    let promotions = Promotions::new(bucket, &meta.name, Arc::clone(&world.clock));
    let mut old = trial("t0", &meta, config(20));
    old.build_id = None;
    old.data_version = None;
    let mut other = trial("t1", &meta, config(30));
    other.data_version = Some("0123456789abcdef".to_owned());
    for trial in [&old, &other, &trial("t2", &meta, config(40))] {
        journal.append(trial).await.expect("appended");
    }
    let wish = Promote {
        trial: "t2".to_owned(),
        serving: config(50).into(),
        by: None,
        reason: None,
        evidence: None,
        graph: None,
    };
    promotions.promote(wish).await.expect("promoted");
    for named in [20, 40, 50] {
        put_graph(bucket, &meta, &config(named)).await;
    }
    let unnamed = put_graph(bucket, &meta, &config(60)).await;
    let foreign = put_graph(bucket, &meta, &config(30)).await;
    let vectors = fresh("indexes/i/vectors");
    put(bucket, &vectors).await;
    let before = world.readable().await;
    check(
        &world.collect().await,
        &[(Class::Vectors, 1), (Class::Graphs, 2)],
    );
    for gone in [&unnamed, &foreign, &vectors] {
        assert!(!bucket.exists(gone).await.expect("asked"), "{gone}");
    }
    let mut after = world.readable().await;
    // The only thing that was readable by its path alone: the graph of a trial on other vectors.
    after.insert(
        format!("primary: {foreign}"),
        before[&format!("primary: {foreign}")].clone(),
    );
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_deleted_index_leaves_its_manifest_and_one_without_a_manifest_its_history() {
    let world = World::new();
    let bucket = world.primary();
    let mut deleted = meta("deleted", bucket, "d", 1);
    for (name, deleted) in [("deleted", Some(&mut deleted)), ("headless", None)] {
        put(bucket, &fresh(&format!("indexes/{name}/vectors"))).await;
        put(
            bucket,
            &format!("indexes/{name}/graphs/0123456789abcdef.graph"),
        )
        .await;
        put(bucket, &format!("_evalsets/{name}/default.json")).await;
        for folder in ["_hnsw_trials", "_promotions"] {
            let log = log(bucket, &format!("{folder}/{name}"), &world.clock);
            log.append(json!(1)).await.expect("appended");
        }
        if let Some(meta) = deleted {
            meta.deleted = true;
            commit(bucket, meta).await;
        }
    }
    check(
        &world.collect().await,
        &[
            (Class::Vectors, 2),
            (Class::Graphs, 2),
            (Class::EvaluationSets, 1),
            (Class::Logs, 2),
        ],
    );
    let left = paths(bucket, "").await;
    let manifest = "indexes/deleted/manifest/00000000000000000001.json";
    assert!(left.contains(&manifest.to_owned()), "{left:?}");
    assert_eq!(left.len(), 4, "{left:?}");
}

#[tokio::test]
async fn a_moved_index_leaves_its_logs_to_the_move_and_nothing_goes_before_it_arrived() {
    let world = World::new();
    let (old_home, new_home) = (&world.buckets[0], &world.buckets[1]);
    let mut there = meta("i", new_home, "d", 1);
    let mut here = there.clone();
    here.bucket = old_home.name().clone();
    put_index(old_home, &here).await;
    log(old_home, "_hnsw_trials/i", &world.clock)
        .append(json!(1))
        .await
        .expect("appended");
    (here.deleted, here.moved_to) = (true, Some(new_home.name().clone()));
    (here.home_generation, there.home_generation) = (1, 2);
    commit(old_home, &here).await;
    let report = world.collect().await;
    check(&report, &[]);
    check_left(&report.buckets[0], "index `i`", "does not show it");
    put_index(new_home, &there).await;
    let vectors = new_home.get(&there.vectors_path).await.expect("read");
    new_home.delete(&there.vectors_path).await.expect("lost");
    let report = world.collect().await;
    check(&report, &[]);
    check_left(&report.buckets[0], "index `i`", "does not have its vectors");
    new_home
        .put(&there.vectors_path, vectors)
        .await
        .expect("found again");
    check(
        &world.collect().await,
        &[
            (Class::Vectors, 1),
            (Class::Graphs, 1),
            (Class::EvaluationSets, 1),
        ],
    );
    assert_eq!(paths(old_home, "_hnsw_trials/i").await.len(), 1);
    assert!(new_home.exists(&there.vectors_path).await.expect("asked"));
}

#[tokio::test]
async fn what_is_on_its_way_to_a_bucket_stays_there() {
    let world = World::new();
    let (from, to) = (&world.buckets[0], &world.buckets[1]);
    let mut meta = meta("i", from, "d", 1);
    meta.moving_to = Some(to.name().clone());
    put_index(from, &meta).await;
    put(to, &meta.vectors_path).await;
    put_graph(to, &meta, &meta.config).await;
    let report = world.collect().await;
    check(&report, &[]);
    check_left(&report.buckets[1], "index `i`", "is moving it here");
    let mut run = world.run();
    run.missing.push(bucket_name("lost"));
    meta.moving_to = None;
    commit(from, &meta).await;
    let report = run.go().await;
    check(&report, &[]);
    check_left(
        &report.buckets[1],
        "index `i`",
        "`lost` cannot be asked about it",
    );
    check(
        &world.collect().await,
        &[(Class::Vectors, 1), (Class::Graphs, 1)],
    );
}

#[tokio::test]
async fn copies_of_what_a_compacted_file_holds_go_and_the_log_reads_the_same() {
    let world = World::new();
    let bucket = world.primary();
    let log = log(bucket, "audit/log", &world.clock);
    for record in 0..3 {
        log.append(json!(record)).await.expect("appended");
    }
    let mut files = Vec::new();
    for path in paths(bucket, "audit/log").await {
        files.push((path.clone(), bucket.get(&path).await.expect("read")));
    }
    log.compact().await.expect("merged");
    for (path, bytes) in files {
        bucket.put(&path, bytes).await.expect("put back");
    }
    log.append(json!(3)).await.expect("appended");
    let before = log.read_all().await.expect("read");
    check(&world.collect().await, &[(Class::Logs, 3)]);
    assert_eq!(log.read_all().await.expect("read"), before);
    check(&world.collect().await, &[]);
}

#[tokio::test]
async fn many_files_of_a_log_become_one() {
    let world = World::new();
    let bucket = world.primary();
    let many = log(bucket, "_lineage/d", &world.clock);
    let few = log(bucket, "_lineage/e", &world.clock);
    for record in 0..5 {
        many.append(json!(record)).await.expect("appended");
    }
    few.append(json!(1)).await.expect("appended");
    let before = many.read_all().await.expect("read");
    let mut dry = world.run();
    dry.dry_run = true;
    let expected = [super::super::CompactedLog {
        log: "_lineage/d".to_owned(),
        files: 5,
    }];
    assert_eq!(dry.go().await.buckets[0].compacted, expected);
    assert_eq!(paths(bucket, "_lineage/d").await.len(), 5);
    assert_eq!(world.collect().await.buckets[0].compacted, expected);
    assert_eq!(paths(bucket, "_lineage/d").await.len(), 1);
    assert_eq!(paths(bucket, "_lineage/e").await.len(), 1);
    assert_eq!(many.read_all().await.expect("read"), before);
}

#[tokio::test]
async fn of_every_manifest_the_newest_eight_stay() {
    let world = World::new();
    let bucket = world.primary();
    for prefix in [
        "auth/keys",
        "plugins/manifest",
        "storage/manifest",
        "indexes/i/manifest",
    ] {
        let manifest = Manifest::<Value>::new(bucket.clone(), prefix);
        for version in 0..10 {
            manifest
                .commit(version, &json!({"plugins": [], "version": version}))
                .await
                .expect("committed");
        }
    }
    check(&world.collect().await, &[(Class::Manifests, 8)]);
    let manifest = Manifest::<Value>::new(bucket.clone(), "auth/keys");
    let found = manifest.load().await.expect("loaded").expect("there");
    assert_eq!((found.version, &found.value["version"]), (10, &json!(9)));
    assert_eq!(paths(bucket, "auth/keys").await.len(), 8);
}

#[tokio::test]
async fn plugins_that_the_catalogue_does_not_list_go_where_there_is_a_catalogue() {
    let world = World::new();
    let bucket = world.primary();
    let (kept, gone) = (put_plugin(bucket, 1).await, put_plugin(bucket, 2).await);
    check(&world.collect().await, &[]);
    commit_catalogue(bucket, std::slice::from_ref(&kept)).await;
    check(&world.collect().await, &[(Class::Plugins, 2)]);
    let left = paths(bucket, "plugins/blobs").await;
    assert!(left[0].contains(&kept) && left.len() == 1, "{left:?}");
    let again = paths(bucket, "plugins/reports").await;
    assert!(!again.iter().any(|path| path.contains(&gone)), "{again:?}");
}

/// The catalogue cannot be asked again after a component was deleted: somebody may have listed it.
#[tokio::test]
async fn a_component_comes_back_when_it_is_open_whether_it_is_listed() {
    let inner = World::new();
    let digest = put_plugin(inner.primary(), 2).await;
    commit_catalogue(inner.primary(), &[]).await;
    let blob = format!("plugins/blobs/{digest}.wasm");
    let bytes = inner.primary().get(&blob).await.expect("read");
    let mut put_back = 0;
    for at in 0.. {
        inner
            .primary()
            .put(&blob, bytes.clone())
            .await
            .expect("put");
        let faulty = FaultyStore::new(
            Arc::clone(inner.primary().store()),
            Plan::FailOnce {
                at,
                last: Last::Lost,
            },
        );
        let seen = inner.primary().with_store(Arc::new(faulty.clone()));
        let world = World::over([seen, inner.buckets[1].clone(), inner.buckets[2].clone()]);
        let report = world.collect().await;
        if !faulty.stopped() {
            break;
        }
        let gone = !inner.primary().exists(&blob).await.expect("asked");
        let told = report.by_class().contains_key(&Class::Plugins);
        assert!(told || !gone, "{at}: {report:#?}");
        put_back += u64::from(!gone);
    }
    assert!(put_back > 5, "{put_back}");
}

#[tokio::test]
async fn probes_go_and_what_is_nobodys_is_counted_and_stays() {
    let world = World::new();
    let bucket = world.primary();
    put(bucket, ".boathouse-probe/x/race-0").await;
    put(bucket, "notes/about.txt").await;
    put(bucket, "datasets/d/data/mine.parquet").await;
    let report = world.collect().await;
    check(&report, &[(Class::Probes, 1)]);
    let unknown = &report.buckets[0].unknown;
    assert_eq!(unknown.objects, 2);
    assert!(unknown.examples.contains(&"notes/about.txt".to_owned()));
    assert_eq!(paths(bucket, "").await.len(), 2);
}

#[tokio::test]
async fn a_copy_in_rescue_loses_what_its_bucket_no_longer_has_and_its_own_documents_do_not_name() {
    let world = World::new();
    let (home, rescue) = (world.primary(), world.rescue());
    let live = meta("live", home, "d", 1);
    let mut dead = meta("dead", home, "d", 1);
    put_index(home, &live).await;
    put_index(home, &dead).await;
    let journal = log(home, "_hnsw_trials/dead", &world.clock);
    journal.append(json!(1)).await.expect("appended");
    dead.deleted = true;
    commit(home, &dead).await;
    let old = put_plugin(home, 1).await;
    commit_catalogue(home, &[]).await;
    put(rescue, "unregistered/notes.txt").await;
    world.mirror().await;
    // The home keeps the component for now: the copy stays with it.
    let run = world.run();
    run.cancel.cancel();
    check(&run.go().await, &[]);
    home.delete(&format!("plugins/reports/{old}.json"))
        .await
        .expect("deleted");
    let report = world.collect().await;
    let copy = |report: &GcReport| {
        let found = report.buckets.iter().find(|bucket| bucket.copy);
        found.expect("a copy").clone()
    };
    let classes: Vec<_> = copy(&report).classes.into_keys().collect();
    assert_eq!(
        classes,
        [Class::EvaluationSets, Class::Logs, Class::Plugins]
    );
    let rescued = report.buckets.iter().find(|b| b.bucket == *rescue.name());
    assert_eq!(rescued.expect("rescue").unknown.objects, 1);
    let left = paths(rescue, "primary/_evalsets").await;
    assert_eq!(left, ["primary/_evalsets/live/default.json"]);
    check(&world.collect().await, &[]);
    // A home that cannot be read says nothing about its copy.
    put(rescue, "primary/_evalsets/dead/default.json").await;
    let faulty = FaultyStore::new(Arc::clone(home.store()), Plan::DOWN);
    let down = home.with_store(Arc::new(faulty));
    let world = World::over([down, world.buckets[1].clone(), rescue.clone()]);
    let report = world.collect().await;
    check(&report, &[]);
    check_left(&copy(&report), "the bucket", "bucket `primary` failed");
}

#[tokio::test]
async fn a_copy_forgets_the_trials_of_an_earlier_index_of_the_name() {
    let world = World::new();
    let home = world.primary();
    let mut meta = meta("i", home, "d", 1);
    let before = "_hnsw_trials/i/0199aa00-0000-7000-8000-000000000001.jsonl";
    let line = Bytes::from("\"of the one before\"\n");
    home.put(before, line).await.expect("written");
    put(home, "_hnsw_trials/i/older.jsonl").await;
    world.mirror().await;
    for path in paths(home, "_hnsw_trials/i").await {
        home.delete(&path).await.expect("deleted");
    }
    meta.created_at = world.clock.now();
    put_index(home, &meta).await;
    let journal = log(home, "_hnsw_trials/i", &world.clock);
    journal.append(json!("its own")).await.expect("appended");
    world.mirror().await;
    journal.compact().await.expect("merged");
    check(&world.collect().await, &[(Class::Logs, 1)]);
    let copy = world.rescue().within("primary").expect("a view");
    let left = log(&copy, "_hnsw_trials/i", &world.clock);
    let left = left.read_all().await.expect("read");
    assert_eq!((left.records, left.malformed), (vec![json!("its own")], 1));
}

#[tokio::test]
async fn a_bucket_that_rescue_answers_for_is_left_out() {
    let world = World::new();
    let home = world.primary();
    put_index(home, &meta("i", home, "d", 1)).await;
    world.mirror().await;
    put(home, &fresh("datasets/d/data")).await;
    let mirror = Mirror::new(
        world.rescue().clone(),
        Arc::clone(&world.clock),
        MirrorScope::default(),
    );
    let faulty = FaultyStore::new(Arc::clone(home.store()), Plan::DOWN);
    let mirrored = mirror.over(&home.with_store(Arc::new(faulty)));
    assert!(
        !mirrored
            .list("indexes")
            .await
            .expect("rescue answers")
            .is_empty()
    );
    let before = world.bytes().await;
    let other = World::over([mirrored, world.rescue().clone()]);
    let report = other.collect().await;
    check(&report, &[]);
    check_left(&report.buckets[0], "the bucket", "failed");
    assert_eq!(world.bytes().await, before);
}

#[tokio::test]
async fn what_cannot_be_read_leaves_its_group_alone_and_is_told() {
    let world = World::new();
    let bucket = world.primary();
    let meta = meta("i", bucket, "d", 1);
    put_index(bucket, &meta).await;
    put_graph(bucket, &meta, &config(60)).await;
    put(bucket, &fresh("datasets/d/data")).await;
    put(bucket, &fresh("datasets/fine/data")).await;
    let newer = Bytes::from("{\"format\":\"boathouse/log\",\"format_version\":9}\n1\n");
    bucket
        .put("_promotions/i/x.jsonl", newer)
        .await
        .expect("written");
    let damaged = Bytes::from("{\"format\":\"boathouse/mani");
    let manifest = "datasets/d/manifest/00000000000000000001.json";
    bucket.put(manifest, damaged).await.expect("written");
    let report = world.collect().await;
    check(&report, &[(Class::Rows, 1)]);
    check_left(&report.buckets[0], "dataset `d`", "damaged");
    check_left(&report.buckets[0], "index `i`", "update it");
}

#[tokio::test]
async fn what_this_host_works_on_is_left_alone_also_when_it_begins_between_two_looks() {
    let world = World::new();
    put(world.primary(), &fresh("datasets/d/data")).await;
    put(world.primary(), &fresh("indexes/i/vectors")).await;
    for begins in 0..2 {
        let mut run = world.run();
        let asked = Mutex::new(0);
        run.busy = Box::new(move || {
            let mut asked = asked.lock().expect("unpoisoned");
            *asked += 1;
            let works = |name: &str| [name.to_owned()].into();
            match *asked > begins {
                true => Busy {
                    datasets: works("d"),
                    indexes: works("i"),
                },
                false => Busy::default(),
            }
        });
        let report = run.go().await;
        check(&report, &[]);
        check_left(&report.buckets[0], "dataset `d`", "a task of this host");
        check_left(&report.buckets[0], "index `i`", "a task of this host");
    }
    check(
        &world.collect().await,
        &[(Class::Rows, 1), (Class::Vectors, 1)],
    );
}

/// A local bucket, whose files' times can be set.
fn local(root: &Path) -> Bucket {
    let backend = BackendConfig::Local {
        root: root.to_owned(),
    };
    let name = bucket_name("primary");
    Bucket::open(&BucketConfig { name, backend }, &|_| None).expect("opened")
}

/// Makes a file look as if it had been written so many hours earlier than it was.
fn age(file: &Path, hours: u64) {
    let opened = std::fs::File::options()
        .write(true)
        .open(file)
        .expect("a file");
    let written: SystemTime = opened
        .metadata()
        .expect("metadata")
        .modified()
        .expect("a time");
    let then = written - Duration::from_secs(hours * 3_600);
    opened.set_modified(then).expect("set");
}

#[tokio::test]
async fn only_what_is_older_than_the_grace_period_goes_and_a_dry_run_touches_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let bucket = local(folder.path());
    let world = World::over([bucket.clone(), Bucket::memory(bucket_name("rescue"))]);
    let (old, young) = (fresh("datasets/d/data"), fresh("datasets/d/data"));
    put(&bucket, &old).await;
    put(&bucket, &young).await;
    for (name, hours) in [("datasets/torn#1", 25), ("datasets/torn#2", 23)] {
        std::fs::write(folder.path().join(name), "torn").expect("written");
        age(&folder.path().join(name), hours);
    }
    age(&folder.path().join(&old), 25);
    age(&folder.path().join(&young), 23);
    let mut run = world.run();
    (run.grace_hours, run.dry_run) = (24, true);
    let before = world.bytes().await;
    let expected = [(Class::Rows, 1), (Class::Staged, 1)];
    let told = run.go().await;
    check(&told, &expected);
    assert_eq!(
        told.buckets[0].classes[&Class::Rows].examples,
        std::slice::from_ref(&old)
    );
    assert_eq!(world.bytes().await, before);
    assert!(folder.path().join("datasets/torn#1").exists());
    run.dry_run = false;
    check(&run.go().await, &expected);
    assert_eq!(paths(&bucket, "").await, [young]);
    assert!(!folder.path().join("datasets/torn#1").exists());
    assert!(folder.path().join("datasets/torn#2").exists());
}

/// Who opened a version reads it to the end, though it expires meanwhile.
#[tokio::test]
async fn rows_of_an_expired_version_stay_for_the_grace_period() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::over([local(folder.path()), Bucket::memory(bucket_name("rescue"))]);
    world.ingest("d", IngestMode::Replace, 1).await;
    world.ingest("d", IngestMode::Replace, 2).await;
    let rows = paths(world.primary(), "datasets/d/data").await;
    rows.iter()
        .for_each(|path| age(&folder.path().join(path), 30));
    let mut run = world.run();
    run.retention.keep_versions = Some(1);
    run.grace_hours = 24;
    let report = run.go().await;
    assert_eq!(report.expired[0].versions, [1]);
    check(&report, &[]);
    let manifests = paths(world.primary(), "datasets/d/manifest").await;
    manifests
        .iter()
        .for_each(|path| age(&folder.path().join(path), 25));
    check(&run.go().await, &[(Class::Rows, 1)]);
    assert_eq!(paths(world.primary(), "datasets/d/data").await.len(), 1);
}

#[tokio::test]
async fn versions_that_an_index_was_built_on_do_not_expire() {
    let world = World::new();
    for row in 0..4 {
        world.ingest("d", IngestMode::Replace, row).await;
    }
    let meta = meta("i", &world.buckets[1], "d", 2);
    commit(&world.buckets[1], &meta).await;
    let expiring = || {
        let mut run = world.run();
        run.retention.keep_versions = Some(1);
        run
    };
    let mut run = expiring();
    run.building = Box::new(|_| true);
    let report = run.go().await;
    assert!(report.expired.is_empty() && report.left_out[0].why.contains("being built"));
    let mut run = expiring();
    run.missing.push(bucket_name("lost"));
    let report = run.go().await;
    assert!(report.expired.is_empty(), "{report:#?}");
    let mut run = expiring();
    run.dry_run = true;
    assert_eq!(run.go().await.expired[0].versions, [1, 3]);
    assert_eq!(expiring().go().await.expired[0].versions, [1, 3]);
    let left = world.datasets.get(&dataset_name("d")).await.expect("there");
    let readable: Vec<_> = left.readable().map(|version| version.version).collect();
    assert_eq!(readable, [2, 4]);
    assert!(expiring().go().await.expired.is_empty());
}
