//! The whole way from a file to a visible version, and what is left when it fails.

mod appends;

use std::{fmt::Write as _, io::Write as _};

use arrow::array::AsArray;
use futures::TryStreamExt;
use serde_json::json;

use super::*;
use crate::{
    RunState,
    detect::tests::{Fixed, finding},
    testing::{World, dataset},
};

const CSV: &str = "id,name,zip\n1,Ada,007\n2,Bo,\n";

async fn refused(world: &World, bytes: impl AsRef<[u8]>, label: &str, expected: &str) {
    let error = world
        .ingest(bytes, label, IngestMode::Replace)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(
        world.paths("datasets").await,
        [""; 0],
        "something stayed behind: {error}"
    );
}

fn kind(report: &IngestReport) -> (FileFormat, Option<char>) {
    let ReadReport::File(file) = &report.read else {
        panic!("{:?}", report.read);
    };
    (file.format, file.delimiter)
}

#[tokio::test]
async fn a_file_becomes_a_version() {
    let world = World::new();
    let report = world
        .ingest(CSV, "people.csv", IngestMode::Replace)
        .await
        .unwrap();
    assert_eq!((report.version.version, report.added_rows), (1, 2));
    assert_eq!(kind(&report), (FileFormat::Csv, Some(',')));
    let columns: Vec<_> = report
        .version
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.data_type.as_str()))
        .collect();
    assert_eq!(
        columns,
        [("id", "Int64"), ("name", "Utf8"), ("zip", "Utf8")]
    );
    let page = world
        .context
        .datasets
        .open(&dataset(), None)
        .await
        .unwrap()
        .rows(0, 10)
        .await
        .unwrap();
    let expected = [
        json!({"id": 1, "name": "Ada", "zip": "007"}),
        json!({"id": 2, "name": "Bo", "zip": null}),
    ];
    assert_eq!(page.rows, expected);
}

#[tokio::test]
async fn all_formats_give_the_same_rows() {
    let world = World::new();
    let array = r#"[{"id": 1, "name": "Ada", "tags": ["x"]}, {"id": 2, "name": "Bo"}]"#;
    let lines =
        "{\"id\": 1, \"name\": \"Ada\", \"tags\": [\"x\"]}\n{\"id\": 2, \"name\": \"Bo\"}\n";
    let expected = [
        json!({"id": 1, "name": "Ada", "tags": ["x"]}),
        json!({"id": 2, "name": "Bo", "tags": null}),
    ];
    for (bytes, label) in [(array, "a.json"), (lines, "a.jsonl")] {
        world
            .ingest(bytes, label, IngestMode::Replace)
            .await
            .unwrap();
        let open = world.context.datasets.open(&dataset(), None).await.unwrap();
        assert_eq!(open.rows(0, 10).await.unwrap().rows, expected);
    }
    // What was stored is itself a Parquet file that can be ingested.
    let open = world.context.datasets.open(&dataset(), None).await.unwrap();
    let stored = world.bucket.get(&open.files()[0].path).await.unwrap();
    let report = world
        .ingest(&stored, "a.parquet", IngestMode::Append)
        .await
        .unwrap();
    assert_eq!(
        (kind(&report).0, report.version.rows),
        (FileFormat::Parquet, 4)
    );
    let open = world.context.datasets.open(&dataset(), None).await.unwrap();
    assert_eq!(open.rows(2, 10).await.unwrap().rows, expected);
}

#[tokio::test]
async fn bad_files_leave_nothing() {
    let world = World::new();
    refused(&world, "", "e.csv", "`e.csv`: the file is empty").await;
    refused(
        &world,
        "a,b\n1\n",
        "b.csv",
        "`b.csv`: line 2, column 2: the record has 1 fields",
    )
    .await;
    refused(
        &world,
        b"a\n\xE9\n",
        "l.csv",
        "`l.csv`: line 2, column 1, byte 2: the text is not valid UTF-8",
    )
    .await;
    refused(
        &world,
        "a,a\n1,2\n",
        "d.csv",
        "`d.csv`: line 1, column 2: column `a` appears twice",
    )
    .await;
    refused(
        &world,
        "a\n",
        "n.csv",
        "`n.csv`: the file has a header but no rows",
    )
    .await;
    refused(
        &world,
        "{\"a\":}",
        "j.jsonl",
        "`j.jsonl`: line 1, column 6: this is no JSON object",
    )
    .await;
    refused(
        &world,
        "PAR1 and no more PAR1",
        "p.parquet",
        "`p.parquet`: the file is no sound Parquet file",
    )
    .await;
}

#[tokio::test]
async fn a_missing_file_or_bucket_is_named() {
    let world = World::new();
    let mut request = IngestRequest {
        dataset: dataset(),
        bucket: None,
        input: FileInput::Path("/nonexistent/file.csv".into()),
        label: "postgres://u:geheim@h/file.csv".to_owned(),
        format: None,
        mode: IngestMode::Replace,
        system: "file",
        digest: None,
        options: FileOptions::default(),
    };
    let missing = ingest_file(
        &world.context,
        request.clone(),
        Arc::default(),
        CancellationToken::new(),
    )
    .await;
    let missing = missing.unwrap_err();
    assert!(matches!(missing, IngestError::MissingFile { .. }));
    assert_eq!(
        missing.to_string(),
        "there is no file `postgres://***@h/file.csv`: check the path"
    );
    request.bucket = Some(BucketName::new("elsewhere").unwrap());
    let error = ingest_file(
        &world.context,
        request,
        Arc::default(),
        CancellationToken::new(),
    )
    .await;
    assert!(matches!(error, Err(IngestError::Storage(_))));
}

#[tokio::test]
async fn a_damaged_parquet_file_is_refused() {
    let world = World::new();
    let rows: String = (0..20_000).fold("n,t\n".to_owned(), |mut text, n| {
        let _ = writeln!(text, "{n},{}", n * 7_919 % 1_000_003);
        text
    });
    world
        .ingest(rows, "n.csv", IngestMode::Replace)
        .await
        .unwrap();
    let path = world
        .context
        .datasets
        .open(&dataset(), None)
        .await
        .unwrap()
        .files()[0]
        .path
        .clone();
    let sound = world.bucket.get(&path).await.unwrap();
    world.context.datasets.delete(&dataset()).await.unwrap();
    let manifests = world.paths("datasets").await;
    for spoil in [
        |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2),
        |bytes: &mut Vec<u8>| bytes[4..40].fill(0xFF),
    ] {
        let mut bytes = sound.to_vec();
        spoil(&mut bytes);
        let error = world
            .ingest(&bytes, "n.parquet", IngestMode::Replace)
            .await
            .unwrap_err();
        assert!(matches!(error, IngestError::BadFile(_)), "{error}");
        assert_eq!(world.paths("datasets").await, manifests);
    }
}

#[tokio::test]
async fn versions_follow_each_other() {
    let world = World::new();
    world
        .ingest(CSV, "1.csv", IngestMode::Append)
        .await
        .unwrap();
    let second = world
        .ingest("zip,id,name\n5,3,Cy\n", "2.csv", IngestMode::Append)
        .await
        .unwrap();
    assert_eq!((second.version.rows, second.added_rows), (3, 1));
    world
        .ingest("x\n1\n", "3.csv", IngestMode::Replace)
        .await
        .unwrap();
    let datasets = &world.context.datasets;
    let rows = |version| async move {
        datasets
            .open(&dataset(), version)
            .await
            .unwrap()
            .rows(0, 9)
            .await
            .unwrap()
            .rows
    };
    assert_eq!(rows(Some(1)).await.len(), 2);
    assert_eq!(
        rows(Some(2)).await[2],
        json!({"id": 3, "name": "Cy", "zip": "5"})
    );
    assert_eq!(rows(None).await, [json!({"x": 1})]);
    assert!(matches!(
        datasets.open(&dataset(), Some(9)).await,
        Err(IngestError::VersionNotFound { .. })
    ));
}

#[tokio::test]
async fn appends_at_once_all_arrive() {
    let world = World::new();
    world
        .ingest("n\n0\n", "0.csv", IngestMode::Replace)
        .await
        .unwrap();
    let appends = (1..=6).map(|n| {
        let world = &world;
        async move {
            world
                .ingest(format!("n\n{n}\n"), "n.csv", IngestMode::Append)
                .await
        }
    });
    let reports = futures::future::join_all(appends).await;
    assert!(reports.iter().all(Result::is_ok), "{reports:?}");
    let open = world.context.datasets.open(&dataset(), None).await.unwrap();
    let rows = open.rows(0, 10).await.unwrap().rows;
    let mut numbers: Vec<_> = rows.iter().filter_map(|row| row["n"].as_i64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!((open.version().version, open.version().rows), (7, 7));
}

#[tokio::test]
async fn of_two_replacements_at_once_the_second_is_told() {
    let world = World::new();
    let (a, b) = tokio::join!(
        world.ingest("n\n1\n", "1.csv", IngestMode::Replace),
        world.ingest("n\n2\n", "2.csv", IngestMode::Replace),
    );
    let lost = [&a, &b]
        .into_iter()
        .filter(|r| matches!(r, Err(IngestError::Conflict(_))))
        .count();
    let files = world.paths("datasets/people/data").await.len();
    // They may also have come one after the other.
    assert_eq!(lost + files, 2, "{a:?} {b:?}");
}

#[tokio::test]
async fn an_append_with_another_schema_shows_the_difference() {
    let world = World::new();
    world
        .ingest(CSV, "1.csv", IngestMode::Replace)
        .await
        .unwrap();
    let before = world.paths("datasets").await;
    let error = world
        .ingest("id,name,extra\nx,y,z\n", "2.csv", IngestMode::Append)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the file does not fit dataset `people`: column `id` is Int64 in the dataset and Utf8 in the file, \
         the file has no column `zip`, the dataset has no column `extra`; correct the file or ingest with mode `replace`"
    );
    assert_eq!(world.paths("datasets").await, before);
}

#[tokio::test]
async fn a_bucket_that_fails_at_any_write_leaves_the_old_state() {
    let mut writes = 0;
    loop {
        let world = World::new();
        world
            .ingest(CSV, "1.csv", IngestMode::Replace)
            .await
            .unwrap();
        let before = world.paths("datasets").await;
        world.faults.allow_writes(writes);
        let outcome = world
            .ingest("id\n1\n2\n3\n", "2.csv", IngestMode::Replace)
            .await;
        world.faults.allow_writes(i64::MAX);
        let open = world.context.datasets.open(&dataset(), None).await.unwrap();
        if outcome.is_ok() {
            assert_eq!(open.version().rows, 3);
            break;
        }
        assert!(matches!(outcome, Err(IngestError::Storage(_))));
        let after = world.paths("datasets").await;
        assert!(before.iter().all(|path| after.contains(path)), "{after:?}");
        // A commit without an answer may still come: its file is left to the garbage collection.
        let left = usize::from(writes == 2);
        assert_eq!(after.len(), before.len() + left, "after {writes} writes");
        assert_eq!(open.rows(0, 9).await.unwrap().rows.len(), 2);
        writes += 1;
    }
    // The start of the run, the data file, the manifest.
    assert_eq!(writes, 3);
}

#[tokio::test]
async fn a_cancelled_ingest_leaves_nothing() {
    let world = World::new();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(CSV.as_bytes()).unwrap();
    let request = IngestRequest {
        dataset: dataset(),
        bucket: None,
        input: FileInput::Path(file.path().to_owned()),
        label: "c.csv".to_owned(),
        format: None,
        mode: IngestMode::Replace,
        system: "file",
        digest: None,
        options: FileOptions::default(),
    };
    let cancel = CancellationToken::new();
    cancel.cancel();
    let outcome = ingest_file(&world.context, request, Arc::default(), cancel).await;
    assert!(matches!(outcome, Err(IngestError::Cancelled)));
    assert_eq!(world.paths("datasets").await, [""; 0]);
    let events = events(&world).await;
    assert_eq!(
        events.iter().map(|e| e.event_type).collect::<Vec<_>>(),
        [RunState::Start, RunState::Abort]
    );
}

#[tokio::test]
async fn detectors_are_asked_before_anything_is_stored() {
    let mut world = World::new();
    world.context.detectors = vec![
        Arc::new(Fixed("x/names", Ok(vec![finding(1, "person_name", 0.8)]))),
        Arc::new(Fixed("x/broken", Err("trap".to_owned()))),
    ];
    let refused = world.ingest(CSV, "1.csv", IngestMode::Replace).await;
    assert!(matches!(refused, Err(IngestError::DetectorFailed(_))));
    assert_eq!(world.paths("datasets").await, [""; 0]);
    world.context.on_detector_failure = Some(OnDetectorFailure::TagUnknown);
    world
        .ingest(CSV, "1.csv", IngestMode::Replace)
        .await
        .unwrap();
    let manifest = world.context.datasets.get(&dataset()).await.unwrap();
    let detection = &manifest.latest().unwrap().detection;
    assert_eq!(detection.findings[0].column, "name");
    assert_eq!(detection.failures[0].message, "trap");
    assert!(!detection.is_complete());
}

async fn events(world: &World) -> Vec<crate::RunEvent> {
    let clock = Arc::clone(&world.context.clock);
    crate::Lineage::new(world.bucket.clone(), dataset(), clock)
        .read()
        .await
        .unwrap()
}

#[tokio::test]
async fn lineage_tells_every_run_without_credentials() {
    let world = World::new();
    world
        .ingest(CSV, "ftp://u:geheim@h/1.csv", IngestMode::Replace)
        .await
        .unwrap();
    let _ = world
        .ingest("a,b\n1\n", "ftp://u:geheim@h/2.csv", IngestMode::Replace)
        .await;
    let events = events(&world).await;
    let states: Vec<_> = events.iter().map(|event| event.event_type).collect();
    assert_eq!(
        states,
        [
            RunState::Start,
            RunState::Complete,
            RunState::Start,
            RunState::Fail
        ]
    );
    assert_eq!(events[0].run.run_id, events[1].run.run_id);
    let text = serde_json::to_string(&events).unwrap();
    assert!(!text.contains("geheim"), "{text}");
    let complete = serde_json::to_value(&events[1]).unwrap();
    assert_eq!(complete["eventType"], "COMPLETE");
    assert_eq!(complete["inputs"][0]["name"], "ftp://***@h/1.csv");
    assert_eq!(
        complete["outputs"][0]["facets"]["schema"]["fields"][0],
        json!({"name": "id", "type": "Int64"})
    );
    let statistics = &complete["outputs"][0]["outputFacets"]["outputStatistics"];
    assert_eq!(
        (&statistics["rowCount"], &statistics["fileCount"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        complete["run"]["facets"]["boathouse_ingest"]["source_system"],
        "file"
    );
    let failed = serde_json::to_value(&events[3]).unwrap();
    let message = failed["run"]["facets"]["errorMessage"]["message"]
        .as_str()
        .unwrap();
    assert!(message.contains("line 2, column 2"), "{message}");
}

#[tokio::test]
async fn two_hundred_thousand_rows_arrive() {
    let world = World::new();
    let mut text = "id,price,word,when\n".to_owned();
    for n in 0..200_000 {
        let _ = writeln!(
            text,
            "{n},{}.{:02},\"word, {}\",2024-01-01T00:00:{:02}Z",
            n / 100,
            n % 100,
            n % 997,
            n % 60
        );
    }
    let report = world
        .ingest(&text, "big.csv", IngestMode::Replace)
        .await
        .unwrap();
    assert_eq!(report.version.rows, 200_000);
    let open = world.context.datasets.open(&dataset(), None).await.unwrap();
    let texts: Vec<_> = open.scan_text("word").unwrap().try_collect().await.unwrap();
    assert_eq!(
        texts.iter().map(arrow::array::Array::len).sum::<usize>(),
        200_000
    );
    let batches: Vec<_> = open.scan(&["id"]).unwrap().try_collect().await.unwrap();
    let sum: i64 = batches
        .iter()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_primitive::<arrow::datatypes::Int64Type>()
                .values()
                .to_vec()
        })
        .sum();
    assert_eq!(sum, 199_999 * 100_000);
    let taken = open
        .take(&[199_999, 0, 123_456], &["price", "id", "when"])
        .await
        .unwrap();
    let expected = [
        json!({"id": 199_999, "price": "1999.99", "when": "2024-01-01T00:00:19Z"}),
        json!({"id": 0, "price": "0.00", "when": "2024-01-01T00:00:00Z"}),
        json!({"id": 123_456, "price": "1234.56", "when": "2024-01-01T00:00:36Z"}),
    ];
    assert_eq!(taken, expected);
}

#[tokio::test]
async fn a_damaged_manifest_hides_no_other_dataset() {
    let world = World::new();
    let ingested = world.ingest(CSV, "people.csv", IngestMode::Replace).await;
    ingested.unwrap();
    let torn = "datasets/other/manifest/00000000000000000001.json";
    world.bucket.put(torn, "{".into()).await.unwrap();
    let listed = world.context.datasets.list().await.unwrap();
    let names: Vec<_> = listed.iter().map(|one| &one.name).collect();
    assert_eq!(names, [&dataset()]);
    let other = "other".parse().unwrap();
    let error = world.context.datasets.get(&other).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

/// An ingest of an input with options, into the dataset of the tests.
async fn take(
    world: &World,
    input: FileInput,
    label: &str,
    words: OptionWords,
) -> Result<IngestReport, IngestError> {
    let request = IngestRequest {
        dataset: dataset(),
        bucket: None,
        input,
        label: label.to_owned(),
        format: None,
        mode: IngestMode::Replace,
        system: "file",
        digest: None,
        options: FileOptions::parse(&words)?,
    };
    ingest_file(
        &world.context,
        request,
        Arc::default(),
        CancellationToken::new(),
    )
    .await
}

fn upload(bytes: &[u8]) -> FileInput {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    FileInput::File(Arc::new(file))
}

async fn rows(world: &World) -> Vec<serde_json::Value> {
    let open = world.context.datasets.open(&dataset(), None).await.unwrap();
    open.rows(0, 100).await.unwrap().rows
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn compressed_twins_are_the_same_table() {
    let world = World::new();
    let lines = "{\"id\": 1, \"name\": \"Ada\", \"zip\": \"007\"}\n{\"id\": 2, \"name\": \"Bo\"}\n";
    world
        .ingest(CSV, "p.csv", IngestMode::Replace)
        .await
        .unwrap();
    let expected = rows(&world).await;
    let open = world.context.datasets.open(&dataset(), None).await.unwrap();
    let parquet = world.bucket.get(&open.files()[0].path).await.unwrap();
    for (plain, label) in [
        (CSV.as_bytes(), "p.csv.gz"),
        (lines.as_bytes(), "p.jsonl"),
        (&parquet, "p"),
    ] {
        for packed in [gzip(plain), zstd::encode_all(plain, 1).unwrap()] {
            let report = take(&world, upload(&packed), label, OptionWords::default()).await;
            let ReadReport::File(file) = report.unwrap().read else {
                panic!("a file");
            };
            assert!(file.compression.is_some());
            assert_eq!(rows(&world).await, expected, "{label}");
        }
    }
    let cut = &gzip(CSV.as_bytes())[..20];
    let error = take(&world, upload(cut), "p.csv.gz", OptionWords::default()).await;
    let message = error.unwrap_err().to_string();
    assert!(
        message.starts_with("`p.csv.gz`: byte 20: the file ends within its gzip data"),
        "{message}"
    );
}

#[tokio::test]
async fn a_bomb_is_stopped_at_the_bound() {
    let mut world = World::new();
    world.context.max_decompressed_bytes = 1_000;
    let bomb = gzip(format!("a\n{}", "1\n".repeat(100_000)).as_bytes());
    let error = take(&world, upload(&bomb), "a.csv", OptionWords::default()).await;
    let message = error.unwrap_err().to_string();
    assert!(
        message.contains("more than 1000 bytes come out"),
        "{message}"
    );
    assert_eq!(world.paths("datasets").await, [""; 0]);
}

#[tokio::test]
async fn objects_of_a_bucket_become_one_table() {
    let world = World::new();
    for (path, text) in [
        ("in/1.csv", "a,b\n1,x\n"),
        ("in/2.csv", "b,a\ny,2.5\n"),
        ("in/bad.csv", "a,b\n1\n"),
    ] {
        world.bucket.put(path, text.into()).await.unwrap();
    }
    let object = |path: &str| FileInput::Object {
        bucket: world.bucket.clone(),
        path: path.to_owned(),
    };
    let words = OptionWords::default;
    take(&world, object("in/1.csv"), "one", words())
        .await
        .unwrap();
    assert_eq!(rows(&world).await, [json!({"a": 1, "b": "x"})]);
    let both = FileInput::Several(vec![object("in/1.csv"), object("in/2.csv")]);
    let report = take(&world, both, "both", words()).await.unwrap();
    let ReadReport::File(file) = report.read else {
        panic!("a file");
    };
    assert_eq!((file.files, report.added_rows), (Some(2), 2));
    assert_eq!(
        rows(&world).await,
        [json!({"a": 1.0, "b": "x"}), json!({"a": 2.5, "b": "y"})]
    );
    for (inputs, expected) in [
        (
            vec!["in/1.csv", "in/bad.csv"],
            "`in/bad.csv`: line 2, column 2: the record has 1",
        ),
        (
            vec!["in/1.csv", "in/none.csv"],
            "there is no file `in/none.csv`",
        ),
    ] {
        let inputs = FileInput::Several(inputs.into_iter().map(object).collect());
        let message = take(&world, inputs, "several", words())
            .await
            .unwrap_err()
            .to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    let missing = take(&world, object("in/none.csv"), "bucket:x", words()).await;
    assert_eq!(
        missing.unwrap_err().to_string(),
        "there is no file `bucket:x`: check the path"
    );
    assert_eq!(rows(&world).await.len(), 2, "what failed changed nothing");
}

#[tokio::test]
async fn a_guess_that_fails_gives_the_types_of_the_whole() {
    let world = World::new();
    let mut text = "n,late\n".to_owned();
    for n in 0..30_000 {
        let _ = writeln!(text, "{n},");
    }
    text.push_str("1.5,2024-01-01\n");
    let report = world
        .ingest(&text, "a.csv", IngestMode::Replace)
        .await
        .unwrap();
    let types: Vec<_> = report
        .version
        .columns
        .iter()
        .map(|c| c.data_type.as_str())
        .collect();
    assert_eq!(
        (types, report.version.rows),
        (vec!["Float64", "Date32"], 30_001)
    );
    // Appended rows follow the types that are there, also where their own start suggests others.
    let more = world
        .ingest("n,late\n1,\n2,\n", "b.csv", IngestMode::Append)
        .await
        .unwrap();
    assert_eq!(more.version.rows, 30_003);
    let other = world
        .ingest("n,late\n1,\nx,\n", "c.csv", IngestMode::Append)
        .await;
    assert!(matches!(other, Err(IngestError::SchemaDiffers { .. })));
}

mod round_trip {
    //! Values written in random dialects come back as they were.

    use proptest::prelude::*;

    use super::*;

    /// A number, a text, and a decimal as its whole part and hundredths.
    type Row = (Option<i64>, Option<String>, Option<(i32, u8)>);

    #[derive(Debug, Clone)]
    struct Table {
        rows: Vec<Row>,
        delimiter: u8,
        quote: u8,
        line_end: &'static str,
        quote_all: bool,
        utf16: bool,
        has_header: bool,
    }

    fn tables() -> impl Strategy<Value = Table> {
        let text = "[a-z\"',;|\t\\\\ \n\ré€😀#]{0,12}";
        let row = (
            any::<Option<i64>>(),
            proptest::option::of(text),
            proptest::option::of((-999_999..999_999_i32, 0..100_u8)),
        );
        (
            proptest::collection::vec(row, 1..40),
            proptest::sample::select(b",;\t|".to_vec()),
            proptest::sample::select(b"\"'".to_vec()),
            proptest::sample::select(vec!["\n", "\r\n"]),
            any::<[bool; 3]>(),
        )
            .prop_map(
                |(rows, delimiter, quote, line_end, [quote_all, utf16, has_header])| Table {
                    rows,
                    delimiter,
                    quote,
                    line_end,
                    quote_all,
                    utf16,
                    has_header,
                },
            )
    }

    impl Table {
        fn decimal((whole, hundredths): (i32, u8)) -> String {
            format!("{whole}.{hundredths:02}")
        }

        fn field(&self, value: Option<&str>) -> String {
            let (quote, value) = (char::from(self.quote), value.unwrap_or("\\N"));
            let odd = [char::from(self.delimiter), quote, '\n', '\r'];
            match self.quote_all || value.contains(odd) || value.is_empty() {
                true => {
                    let doubled = value.replace(quote, &format!("{quote}{quote}"));
                    format!("{quote}{doubled}{quote}")
                }
                false => value.to_owned(),
            }
        }

        fn bytes(&self) -> Vec<u8> {
            let delimiter = char::from(self.delimiter).to_string();
            let mut text = String::new();
            if self.has_header {
                text = ["n", "t", "d"].join(&delimiter) + self.line_end;
            }
            for (n, t, d) in &self.rows {
                let (n, d) = (n.map(|n| n.to_string()), d.map(Self::decimal));
                let fields = [n.as_deref(), t.as_deref(), d.as_deref()];
                let fields: Vec<_> = fields.iter().map(|value| self.field(*value)).collect();
                text += &fields.join(&delimiter);
                text += self.line_end;
            }
            match self.utf16 {
                true => format!("\u{feff}{text}")
                    .encode_utf16()
                    .flat_map(u16::to_le_bytes)
                    .collect(),
                false => text.into_bytes(),
            }
        }

        fn words(&self) -> OptionWords {
            OptionWords {
                delimiter: Some(char::from(self.delimiter).to_string()),
                quote: Some(char::from(self.quote).to_string()),
                escape: Some("none".to_owned()),
                header: Some(if self.has_header { "yes" } else { "no" }.to_owned()),
                null: Some("\\N".to_owned()),
                schema: Some("n:int64,t:utf8,d:decimal(10,2)".to_owned()),
                ..OptionWords::default()
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn values_survive_every_dialect(table in tables()) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let found = runtime.block_on(async {
                let world = World::new();
                take(&world, upload(&table.bytes()), "t.csv", table.words()).await.unwrap();
                rows(&world).await
            });
            let expected: Vec<_> = table
                .rows
                .iter()
                .map(|(n, t, d)| json!({"n": n, "t": t, "d": d.map(Table::decimal)}))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
