//! A table comes in whole and once, however it is cut into parts; what fails or is cancelled leaves nothing;
//! jobs bring what is new and nothing twice.

mod long;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arrow::{
    array::{ArrayRef, Int64Array, StringArray},
    datatypes::{DataType, Field, Schema},
};
use boathouse_types::JobName;
use futures::future::pending;
use tokio::sync::Notify;

use super::*;
use crate::testing::{World, dataset};

/// What a part does once its rows are given.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Well,
    Fails,
    Panics,
    Hangs,
}

/// A table in memory: ids by part, and how each part ends.
struct Table {
    schema: SchemaRef,
    parts: Vec<(Vec<i64>, End)>,
    reads: Vec<AtomicUsize>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    dropped: AtomicBool,
    hanging: Notify,
    window: Option<Window>,
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
    ]))
}

fn batch(schema: &SchemaRef, ids: &[i64]) -> RecordBatch {
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.data_type() {
            DataType::Int64 => Arc::new(Int64Array::from(ids.to_vec())),
            _ => {
                let names = ids.iter().map(|id| (id % 3 > 0).then(|| format!("n{id}")));
                Arc::new(names.collect::<StringArray>())
            }
        }
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).unwrap()
}

impl Table {
    fn new(parts: Vec<(Vec<i64>, End)>) -> Self {
        Self {
            schema: schema(),
            reads: parts.iter().map(|_| AtomicUsize::new(0)).collect(),
            parts,
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            dropped: AtomicBool::new(false),
            hanging: Notify::new(),
            window: None,
        }
    }

    fn well(parts: &[&[i64]]) -> Self {
        Self::new(parts.iter().map(|ids| (ids.to_vec(), End::Well)).collect())
    }

    /// The rows of one part that a window asks for.
    fn of(ids: &[i64], window: Option<&Window>) -> Self {
        let position = |window: &Window| window.after.clone();
        let after = window.and_then(position);
        let after = after.map_or(i64::MIN, |at| at.column.parse().unwrap());
        let ids: Vec<i64> = ids.iter().copied().filter(|id| *id > after).collect();
        Self {
            window: window.cloned(),
            ..Self::well(&[&ids])
        }
    }
}

/// Tells that a read was given up.
struct Reading<'a>(&'a Table);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
        self.0.dropped.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Connector for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn parts(&self) -> usize {
        self.parts.len()
    }

    fn estimated_rows(&self) -> Option<u64> {
        Some(self.parts.iter().map(|(ids, _)| ids.len() as u64).sum())
    }

    async fn read(&self, part: usize, rows: &mut dyn PartSink) -> Result<(), IngestError> {
        self.reads[part].fetch_add(1, Ordering::SeqCst);
        let at_once = 1 + self.at_once.fetch_add(1, Ordering::SeqCst);
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let _reading = Reading(self);
        let (ids, end) = &self.parts[part];
        for ids in ids.chunks(10) {
            rows.received(8 * ids.len() as u64);
            rows.write(batch(&self.schema, ids)).await?;
        }
        match end {
            End::Well => Ok(()),
            End::Fails => Err(IngestError::Source {
                reason: "the connection was cut".to_owned(),
            }),
            End::Panics => panic!("a defect"),
            End::Hangs => {
                self.hanging.notify_one();
                pending().await
            }
        }
    }

    async fn finish(&self) -> Result<(TableReport, Option<Position>), IngestError> {
        let last = self.parts.iter().flat_map(|(ids, _)| ids).max();
        let position = last.filter(|_| self.window.is_some()).map(|last| Position {
            column: last.to_string(),
            key: None,
        });
        let connections = self.most_at_once.load(Ordering::SeqCst);
        Ok((
            TableReport {
                connections,
                ..TableReport::default()
            },
            position,
        ))
    }
}

/// A source that gives tables as they are, or follows a window over ids.
enum Tables {
    Fixed(Arc<Table>),
    Growing(Mutex<Vec<i64>>),
}

#[async_trait]
impl Source for Tables {
    fn info(&self, _: &TableSource) -> SourceInfo {
        SourceInfo::new("postgres", "db:5432/shop: t")
    }

    fn subject(&self, _: &TableSource) -> String {
        "t".to_owned()
    }

    async fn open(&self, read: &TableRead, _: &Watch) -> Result<Arc<dyn Connector>, IngestError> {
        Ok(match self {
            Self::Fixed(table) => Arc::clone(table) as _,
            Self::Growing(ids) => {
                let ids = ids.lock().unwrap();
                Arc::new(Table::of(&ids, read.window.as_ref()))
            }
        })
    }
}

fn request(mode: IngestMode, parallel: usize) -> TableRequest {
    TableRequest {
        dataset: dataset(),
        bucket: None,
        mode,
        read: TableRead {
            source: TableSource::Table("t".to_owned()),
            types: TypeMode::Exact,
            out_of_range: ValuePolicy::Error,
            parallel: NonZeroUsize::new(parallel).unwrap(),
            tls: TlsMode::Disable,
            window: None,
        },
        job: None,
    }
}

async fn ingest(
    world: &World,
    table: &Arc<Table>,
    mode: IngestMode,
    parallel: usize,
) -> Result<IngestReport, IngestError> {
    let source = Tables::Fixed(Arc::clone(table));
    ingest_from(
        &world.context,
        &source,
        request(mode, parallel),
        Watch::default(),
    )
    .await
}

/// All ids of the dataset, in order.
async fn ids(world: &World) -> Vec<i64> {
    let open = world.context.datasets.open(&dataset(), None).await.unwrap();
    let mut ids = Vec::new();
    while (ids.len() as u64) < open.version().rows {
        let page = open.rows(ids.len() as u64, 1_000).await.unwrap();
        ids.extend(page.rows.iter().map(|row| row["id"].as_i64().unwrap()));
    }
    ids.sort_unstable();
    ids
}

async fn is_untouched(world: &World) -> bool {
    let none = matches!(
        world.context.datasets.get(&dataset()).await,
        Err(IngestError::DatasetNotFound(_))
    );
    none && world.paths("datasets").await.is_empty()
}

#[tokio::test]
async fn every_part_comes_once_whatever_the_number_of_workers() {
    let parts: Vec<Vec<i64>> = (0..9)
        .map(|p| (p * 100..p * 100 + 37 * p % 90).collect())
        .collect();
    let expected: Vec<i64> = parts.concat();
    for parallel in [1, 4, 16] {
        let world = World::new();
        let parts: Vec<&[i64]> = parts.iter().map(Vec::as_slice).collect();
        let table = Arc::new(Table::well(&parts));
        let watch = Watch::default();
        let source = Tables::Fixed(Arc::clone(&table));
        let wanted = request(IngestMode::Replace, parallel);
        let report = ingest_from(&world.context, &source, wanted, watch.clone())
            .await
            .unwrap();
        assert_eq!(ids(&world).await, expected, "{parallel} workers");
        assert!(
            table
                .reads
                .iter()
                .all(|reads| reads.load(Ordering::SeqCst) == 1)
        );
        assert!(table.most_at_once.load(Ordering::SeqCst) <= parallel);
        let files = &report.version.files;
        assert!(files.len() <= parallel && files.iter().all(|file| file.rows > 0));
        let now = watch.progress.snapshot();
        let rows = expected.len() as u64;
        assert_eq!(
            (now.rows, now.expected_rows, now.bytes),
            (rows, rows, 8 * rows)
        );
        assert_eq!((now.parts, now.parts_done), (9, 9));
        assert_eq!(report.version.source.system, "postgres");
    }
}

#[tokio::test]
async fn a_table_without_rows_is_a_version_with_columns() {
    let world = World::new();
    let table = Arc::new(Table::well(&[&[], &[], &[]]));
    let report = ingest(&world, &table, IngestMode::Replace, 4)
        .await
        .unwrap();
    assert_eq!((report.added_rows, report.version.files.len()), (0, 1));
    let names: Vec<_> = report
        .version
        .columns
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(names, ["id", "name"]);
    assert!(ids(&world).await.is_empty());
}

#[tokio::test]
async fn a_worker_that_fails_stops_the_others_and_nothing_is_visible() {
    let check = async |end: End, expected: fn(&IngestError) -> bool| {
        let world = World::new();
        let parts = [End::Hangs, End::Hangs, end].map(|end| ((0..25).collect(), end));
        let table = Arc::new(Table::new(parts.to_vec()));
        let error = ingest(&world, &table, IngestMode::Replace, 3)
            .await
            .unwrap_err();
        assert!(expected(&error), "{end:?}: {error}");
        assert!(is_untouched(&world).await, "{end:?}");
        assert_eq!(table.at_once.load(Ordering::SeqCst), 0, "a read goes on");
    };
    check(End::Fails, |error| {
        matches!(error, IngestError::Source { .. })
    })
    .await;
    check(End::Panics, |error| matches!(error, IngestError::Worker(_))).await;
}

#[tokio::test]
async fn a_full_disk_and_a_failing_bucket_leave_nothing() {
    let mut world = World::new();
    let table = Arc::new(Table::well(&[&[1], &[2]]));
    world.context.spool_folder = Some("/nonexistent/spool".into());
    let error = ingest(&world, &table, IngestMode::Replace, 2)
        .await
        .unwrap_err();
    assert!(matches!(error, IngestError::Spool(_)), "{error}");
    assert!(is_untouched(&world).await);
    world.context.spool_folder = None;
    let mut failures = 0;
    loop {
        world.faults.allow_writes(failures);
        match ingest(&world, &table, IngestMode::Replace, 2).await {
            Ok(_) => break,
            Err(IngestError::Storage(_)) => failures += 1,
            Err(error) => panic!("after {failures} writes: {error}"),
        }
        let found = world.context.datasets.get(&dataset()).await;
        assert!(
            matches!(found, Err(IngestError::DatasetNotFound(_))),
            "{found:?}"
        );
    }
    assert!(failures > 2, "two files and a manifest are written");
    assert_eq!(ids(&world).await, [1, 2]);
}

#[tokio::test]
async fn a_cancellation_ends_a_read_that_waits_at_the_server() {
    let world = World::new();
    let table = Arc::new(Table::new(vec![(vec![1, 2], End::Hangs)]));
    let source = Tables::Fixed(Arc::clone(&table));
    let watch = Watch::default();
    let wanted = request(IngestMode::Replace, 1);
    let run = ingest_from(&world.context, &source, wanted, watch.clone());
    let cancel = async {
        table.hanging.notified().await;
        watch.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(run, cancel);
    assert!(matches!(outcome, Err(IngestError::Cancelled)));
    assert!(table.dropped.load(Ordering::SeqCst) && is_untouched(&world).await);
}

#[tokio::test]
async fn rows_that_follow_take_the_order_of_the_dataset() {
    let world = World::new();
    let table = Arc::new(Table::well(&[&[1, 2]]));
    ingest(&world, &table, IngestMode::Replace, 1)
        .await
        .unwrap();
    let fields: Vec<_> = schema().fields().iter().rev().cloned().collect();
    let turned = Table {
        schema: Arc::new(Schema::new(fields)),
        ..Table::well(&[&[3]])
    };
    let report = ingest(&world, &Arc::new(turned), IngestMode::Append, 1)
        .await
        .unwrap();
    assert_eq!(report.version.columns[0].name, "id");
    assert_eq!(ids(&world).await, [1, 2, 3]);
    let other = Table {
        schema: Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, true)])),
        ..Table::well(&[&[4]])
    };
    let error = ingest(&world, &Arc::new(other), IngestMode::Append, 1)
        .await
        .unwrap_err();
    assert!(
        matches!(error, IngestError::SchemaDiffers { .. }),
        "{error}"
    );
    assert_eq!(ids(&world).await, [1, 2, 3]);
}

#[tokio::test]
async fn batches_in_flight_are_bounded_and_a_larger_one_passes_alone() {
    let progress = Arc::default();
    let crew = pipeline::testing::sender(Arc::new(Table::well(&[&[1]])), progress);
    let (mut sender, mut writer) = crew;
    let large = |bytes: usize| {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(bytes)]));
        RecordBatch::try_from_iter([("t", text)]).unwrap()
    };
    sender.write(large(200 << 20)).await.unwrap();
    let mut next = Box::pin(sender.write(large(1)));
    assert!(
        futures::poll!(&mut next).is_pending(),
        "the budget is spent"
    );
    drop(writer.recv().await);
    next.await.unwrap();
}

fn spec() -> JobSpec {
    JobSpec {
        name: JobName::new("nightly").unwrap(),
        column: "id".to_owned(),
        key: None,
        lag: 0,
    }
}

async fn step(
    world: &World,
    source: &Tables,
    mode: IngestMode,
) -> Result<IngestReport, IngestError> {
    let spec = Some(spec());
    land(
        &world.context,
        source,
        request(mode, 2),
        spec,
        Watch::default(),
    )
    .await
}

#[tokio::test]
async fn a_job_brings_what_is_new_and_moves_with_the_commit_only() {
    let world = World::new();
    let source = Tables::Growing(Mutex::new(vec![1, 2]));
    let add = |id| match &source {
        Tables::Growing(ids) => ids.lock().unwrap().push(id),
        Tables::Fixed(_) => unreachable!("it grows"),
    };
    let first = step(&world, &source, IngestMode::Append).await.unwrap();
    assert_eq!((first.added_rows, first.is_up_to_date()), (2, false));
    let same = step(&world, &source, IngestMode::Append).await.unwrap();
    assert_eq!((same.added_rows, same.version.version), (0, 1));
    assert!(same.is_up_to_date());
    add(3);
    // The lineage, the file, and no manifest.
    world.faults.allow_writes(2);
    step(&world, &source, IngestMode::Append).await.unwrap_err();
    world.faults.allow_writes(i64::MAX);
    assert_eq!(ids(&world).await, [1, 2]);
    add(4);
    let next = step(&world, &source, IngestMode::Append).await.unwrap();
    assert_eq!((next.added_rows, next.version.version), (2, 2));
    assert_eq!(ids(&world).await, [1, 2, 3, 4]);
    let anew = step(&world, &source, IngestMode::Replace).await.unwrap();
    assert_eq!((anew.added_rows, anew.version.version), (4, 3));
    assert_eq!(anew.version.job.unwrap().after, None);
}

#[tokio::test]
async fn two_runs_from_one_position_cannot_both_bring_their_rows() {
    let world = World::new();
    let source = Tables::Growing(Mutex::new(vec![1]));
    step(&world, &source, IngestMode::Append).await.unwrap();
    let slow = Slow {
        table: Arc::new(Table::well(&[&[2, 3]])),
        arrived: Arc::default(),
        go: Arc::default(),
    };
    let wanted = request(IngestMode::Append, 1);
    let late = land(
        &world.context,
        &slow,
        wanted,
        Some(spec()),
        Watch::default(),
    );
    let fast = Tables::Growing(Mutex::new(vec![1, 2, 3]));
    let other = async {
        slow.arrived.notified().await;
        let done = step(&world, &fast, IngestMode::Append).await;
        slow.go.notify_one();
        done
    };
    let (late, other) = tokio::join!(late, other);
    assert_eq!(other.unwrap().added_rows, 2);
    assert!(matches!(late, Err(IngestError::Conflict(_))), "{late:?}");
    assert_eq!(ids(&world).await, [1, 2, 3]);
}

/// A table that says when its rows are read, and ends when it is told to.
#[derive(Clone)]
struct Slow {
    table: Arc<Table>,
    arrived: Arc<Notify>,
    go: Arc<Notify>,
}

#[async_trait]
impl Source for Slow {
    fn info(&self, _: &TableSource) -> SourceInfo {
        SourceInfo::new("postgres", "t")
    }

    fn subject(&self, _: &TableSource) -> String {
        "t".to_owned()
    }

    async fn open(&self, _: &TableRead, _: &Watch) -> Result<Arc<dyn Connector>, IngestError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Connector for Slow {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn parts(&self) -> usize {
        1
    }

    fn estimated_rows(&self) -> Option<u64> {
        None
    }

    async fn read(&self, part: usize, rows: &mut dyn PartSink) -> Result<(), IngestError> {
        self.table.read(part, rows).await?;
        self.arrived.notify_one();
        self.go.notified().await;
        Ok(())
    }

    async fn finish(&self) -> Result<(TableReport, Option<Position>), IngestError> {
        self.table.finish().await
    }
}

#[tokio::test]
async fn a_job_keeps_its_cursor_and_one_that_is_treated_is_refused() {
    let world = World::new();
    let source = Tables::Growing(Mutex::new(vec![1]));
    step(&world, &source, IngestMode::Append).await.unwrap();
    let known = world.context.datasets.get(&dataset()).await.unwrap();
    let other = JobSpec {
        column: "name".to_owned(),
        ..spec()
    };
    for (spec, reads, expected) in [
        (&other, "t", "follows column `id`"),
        (&spec(), "u", "reads `t` so far"),
    ] {
        let refused = Step::next(spec, reads, Some(&known)).map(|_| ());
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
    Step::next(&spec(), "t", Some(&known)).unwrap();
    Step::next(&spec(), "u", None).unwrap();
    let (_, mark) = known.job(&spec().name).unwrap();
    assert_eq!(mark.position.as_ref().unwrap().column, "1");
    let jobs = Jobs::new(
        world.bucket.clone(),
        world.clock.clone(),
        Duration::from_secs(60),
    );
    let listed = jobs.list(std::slice::from_ref(&known)).await.unwrap();
    assert_eq!((listed.len(), listed[0].last_version), (1, Some(1)));
    let shown = serde_json::to_value(&listed).unwrap().to_string();
    let by_name: BTreeMap<String, serde_json::Value> =
        serde_json::from_value(serde_json::to_value(&listed[0]).unwrap()).unwrap();
    assert!(!by_name.contains_key("position"), "{shown}");
}
