//! What a lineage says of runs that ended and of runs that were killed.

use boathouse_storage::Bucket;
use boathouse_types::{BucketName, ManualClock};
use tokio::sync::mpsc;

use super::*;
use crate::{
    IngestMode,
    testing::{World, dataset},
};

fn origin(process: &str) -> Origin {
    Origin {
        host: "the folder".to_owned(),
        process: process.to_owned(),
    }
}

fn written(world: &World, process: &str) -> Lineage {
    Lineage::new(world.bucket.clone(), dataset(), world.clock.clone())
        .written_by(&LineageWriter::new(origin(process), None))
}

async fn ended_as(world: &World, process: &str) -> Vec<RunState> {
    let lineage = written(world, process);
    let datasets = &world.context.datasets;
    let ended = lineage.end_killed_runs(&origin(process), datasets).await;
    let events = lineage.read().await.unwrap();
    let states: Vec<_> = events.iter().map(|event| event.event_type).collect();
    assert!(states.iter().filter(|s| s.is_end()).count() >= ended.unwrap());
    states
}

#[tokio::test]
async fn a_killed_run_gets_its_end_at_the_next_start_and_only_then() {
    use RunState::{Fail, Start};
    let world = World::new();
    let source = SourceInfo::new("file", "a.csv");
    let lineage = written(&world, "first");
    let run = lineage.start(&source).await.unwrap();
    let id = run.id().to_owned();
    drop(run);
    assert_eq!(
        ended_as(&world, "first").await,
        [Start],
        "it may be running"
    );
    assert_eq!(ended_as(&world, "second").await, [Start, Fail]);
    assert_eq!(ended_as(&world, "third").await, [Start, Fail], "once");
    let events = lineage.read().await.unwrap();
    assert_eq!(events[1].run.run_id, id);
    let error = events[1].run.facets.error_message.as_ref().unwrap();
    assert!(error.content.message.contains("nothing of it is visible"));
}

#[tokio::test]
async fn a_run_of_another_host_or_of_nobody_is_left_alone() {
    let world = World::new();
    let source = SourceInfo::new("file", "a.csv");
    let elsewhere = Origin {
        host: "another folder".to_owned(),
        process: "first".to_owned(),
    };
    for writer in [
        LineageWriter::new(elsewhere, None),
        LineageWriter::default(),
    ] {
        let lineage = written(&world, "first").written_by(&writer);
        lineage.start(&source).await.unwrap();
    }
    assert_eq!(ended_as(&world, "second").await, [RunState::Start; 2]);
}

/// A run that was killed between its commit and its last event did take place.
#[tokio::test]
async fn a_run_that_was_killed_after_its_commit_is_complete() {
    let mut world = World::new();
    world.context.lineage = LineageWriter::new(origin("first"), None);
    let bytes = "id\n1\n2\n";
    world
        .ingest(bytes, "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    let lineage = written(&world, "first");
    let events = lineage.read().await.unwrap();
    // Only the START survives.
    for path in world.paths("_lineage").await {
        world.bucket.delete(&path).await.unwrap();
    }
    lineage.append(events[0].clone()).await.unwrap();
    assert_eq!(
        ended_as(&world, "second").await,
        [RunState::Start, RunState::Complete]
    );
    let again = lineage.read().await.unwrap();
    let (ours, theirs) = (&again[1].outputs[0], &events[1].outputs[0]);
    assert_eq!(ours.output_facets, theirs.output_facets);
    assert_eq!(again[1].run.facets.ingest, events[1].run.facets.ingest);
}

/// A world whose bucket takes so many writes, and what it hears of the runs that want more.
fn owing(writes: i64) -> (World, mpsc::UnboundedReceiver<Unended>) {
    let mut world = World::new();
    let (owed, hears) = mpsc::unbounded_channel();
    world.context.lineage = LineageWriter::new(origin("first"), None).owing(owed);
    world.faults.allow_writes(writes);
    (world, hears)
}

async fn states(lineage: &Lineage) -> Vec<RunState> {
    let events = lineage.read().await.unwrap();
    events.iter().map(|event| event.event_type).collect()
}

/// Also where the bucket was away before the run had begun.
#[tokio::test]
async fn what_a_bucket_does_not_take_of_a_run_is_written_once_it_is_back() {
    for writes in [1, 0] {
        let (world, mut hears) = owing(writes);
        let failed = world.ingest("id\n1\n", "a.csv", IngestMode::Replace);
        let why = failed.await.unwrap_err().to_string();
        let run = hears.try_recv().unwrap();
        let lineage = written(&world, "first");
        let datasets = &world.context.datasets;
        lineage.end_run(&run, datasets).await.unwrap_err();
        world.faults.allow_writes(i64::MAX);
        for _ in 0..2 {
            lineage.end_run(&run, datasets).await.unwrap();
        }
        assert_eq!(states(&lineage).await, [RunState::Start, RunState::Fail]);
        let events = lineage.read().await.unwrap();
        let told = events[1].run.facets.error_message.as_ref().unwrap();
        assert_eq!(told.content.message, why);
        assert_eq!(events[0].run.run_id, events[1].run.run_id);
        assert!(hears.try_recv().is_err(), "one run");
    }
}

/// A commit whose answer was lost took place nevertheless.
#[tokio::test]
async fn a_run_that_believes_it_failed_and_whose_version_is_there_is_complete() {
    let (world, mut hears) = owing(i64::MAX);
    world
        .ingest("id\n1\n", "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    assert!(hears.try_recv().is_err(), "the bucket took everything");
    let lineage = written(&world, "first");
    let start = lineage.read().await.unwrap().remove(0);
    for path in world.paths("_lineage").await {
        world.bucket.delete(&path).await.unwrap();
    }
    let run = Unended {
        bucket: BucketName::primary(),
        dataset: dataset(),
        end: start.clone().failed(start.event_time, "no answer"),
        start,
    };
    let ended = lineage.end_run(&run, &world.context.datasets).await;
    ended.unwrap();
    assert_eq!(
        states(&lineage).await,
        [RunState::Start, RunState::Complete]
    );
}

#[tokio::test]
async fn who_listens_is_told_of_every_event_and_nobody_waits_for_who_left() {
    let (told, mut hears) = mpsc::unbounded_channel();
    let bucket = Bucket::memory(BucketName::primary());
    let clock = Arc::new(ManualClock::at(5));
    let lineage = Lineage::new(bucket, dataset(), clock)
        .written_by(&LineageWriter::new(origin("first"), Some(told)));
    let source = SourceInfo::new("file", "a.csv");
    let run = lineage.start(&source).await.unwrap();
    run.end(Err(&IngestError::Cancelled)).await;
    for _ in 0..2 {
        let heard = hears.recv().await.unwrap();
        assert_eq!((heard.dataset, heard.at.millis()), (dataset(), 5));
    }
    drop(hears);
    lineage.start(&source).await.unwrap();
    assert_eq!(lineage.read().await.unwrap().len(), 3);
    let known = Lineage::datasets(&lineage.bucket).await.unwrap();
    assert_eq!(known, [dataset()]);
}

/// Fields that the model of OpenLineage 2-0-2 requires, in every event and facet.
#[tokio::test]
async fn every_event_has_what_the_model_requires() {
    let world = World::new();
    world
        .ingest("id\n1\n", "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    world
        .ingest("", "b.csv", IngestMode::Append)
        .await
        .unwrap_err();
    let lineage = written(&world, "first");
    let events = lineage.read().await.unwrap();
    assert_eq!(events.len(), 4);
    for event in events {
        let json = serde_json::to_value(&event).unwrap();
        let id = json["run"]["runId"].as_str().unwrap();
        assert!(id.len() == 36 && id.matches('-').count() == 4, "{id}");
        for field in ["eventType", "eventTime", "producer", "schemaURL"] {
            assert!(json[field].is_string(), "{field}: {json}");
        }
        for (owner, name) in [("job", "name"), ("job", "namespace")] {
            assert!(json[owner][name].is_string(), "{json}");
        }
        let mut owners = vec![&json["run"]["facets"], &json["job"]["facets"]];
        let sides = json["inputs"]
            .as_array()
            .into_iter()
            .chain(json["outputs"].as_array());
        for side in sides.flatten() {
            assert!(
                side["namespace"].is_string() && side["name"].is_string(),
                "{json}"
            );
            owners.extend([&side["facets"], &side["outputFacets"]]);
        }
        for facet in owners
            .iter()
            .filter_map(|owner| owner.as_object())
            .flatten()
        {
            let url = facet.1["_schemaURL"].as_str().unwrap();
            assert!(url.starts_with("https://"), "{url}");
            assert!(facet.1["_producer"].is_string(), "{json}");
        }
    }
}
