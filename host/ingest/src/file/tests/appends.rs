//! Texts that continue a dataset whose types no text would get by itself.

use serde_json::{Value, json};

use super::*;
use crate::file::options::OptionWords;

/// Types of all kinds that are said of the first file, and its rows.
const SAID: &str = "n:int16,f:float32,t:timestamp[s],l:large_utf8,i:uuid,j:json,d:decimal(50,2)";
const FIRST: &str = "n,f,t,l,i,j,d\n1,2.5,2024-02-29 10:00,x,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,\"{\"\"a\"\":1}\",1.50\n";

/// Ingests a text of some options.
async fn ingest(
    world: &World,
    text: &str,
    label: &str,
    mode: IngestMode,
    schema: Option<&str>,
) -> Result<IngestReport, IngestError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let words = OptionWords {
        schema: schema.map(str::to_owned),
        ..OptionWords::default()
    };
    let request = IngestRequest {
        dataset: dataset(),
        bucket: None,
        input: FileInput::Path(file.path().to_owned()),
        label: label.to_owned(),
        format: None,
        mode,
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

async fn begun() -> World {
    let world = World::new();
    let begun = ingest(&world, FIRST, "1.csv", IngestMode::Replace, Some(SAID)).await;
    begun.unwrap();
    world
}

async fn rows(world: &World) -> Vec<Value> {
    let open = world.context.datasets.open(&dataset(), None).await.unwrap();
    open.rows(0, 10).await.unwrap().rows
}

#[tokio::test]
async fn a_text_is_read_in_the_types_that_the_dataset_has() {
    let world = begun().await;
    // A whole number for a float, digits for a text, a UUID without hyphens.
    let csv = "j,d,n,f,t,l,i\n[1],3,-7,4,2024-03-01,007,{A0EEBC999C0B4EF8BB6D6BB9BD380A12}\n";
    let report = ingest(&world, csv, "2.csv", IngestMode::Append, None).await;
    let ReadReport::File(read) = report.unwrap().read else {
        panic!("a file");
    };
    assert!(read.columns.iter().all(|column| column.said));
    let lines = "{\"n\": 8, \"f\": 5, \"l\": 12, \"j\": \"s\", \"d\": 0.1}\n";
    let json = ingest(&world, lines, "3.jsonl", IngestMode::Append, None).await;
    json.unwrap();
    let expected = [
        json!({"n": 1, "f": 2.5, "t": "2024-02-29T10:00:00", "l": "x",
            "i": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "j": {"a": 1}, "d": "1.50"}),
        json!({"n": -7, "f": 4.0, "t": "2024-03-01T00:00:00", "l": "007",
            "i": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12", "j": [1], "d": "3.00"}),
        json!({"n": 8, "f": 5.0, "t": null, "l": "12", "i": null, "j": "s", "d": "0.10"}),
    ];
    assert_eq!(rows(&world).await, expected);
}

#[tokio::test]
async fn a_value_that_the_dataset_cannot_hold_is_named_by_its_line() {
    let world = begun().await;
    let row = "-7,4,2024-03-01,x,a0eebc999c0b4ef8bb6d6bb9bd380a12,[1],3";
    for (good, bad, expected) in [
        (
            "-7,4",
            "40000,4",
            "line 3, column 1: the value of `n` is no Int16, as the dataset has it",
        ),
        (
            "-7,4",
            "-7,x",
            "line 3, column 2: the value of `f` is no Float32",
        ),
        (
            "2024-03-01",
            "2024-03-01 10:00:00.5",
            "line 3, column 3: the value of `t`",
        ),
        (
            "6bb9bd380a12",
            "x",
            "line 3, column 5: the value of `i` is no UUID",
        ),
        ("[1]", "[1", "line 3, column 6: the value of `j` is no JSON"),
        (
            ",3",
            ",0.001",
            "line 3, column 7: the value of `d` is no Decimal256(50, 2)",
        ),
    ] {
        let text = format!("n,f,t,l,i,j,d\n{row}\n{}\n", row.replacen(good, bad, 1));
        let refused = ingest(&world, &text, "2.csv", IngestMode::Append, None).await;
        let told = refused.unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
        assert!(told.contains("mode `replace`"), "{told}");
    }
    assert_eq!(rows(&world).await.len(), 1);
}

#[tokio::test]
async fn what_a_caller_says_stands_before_what_the_dataset_has() {
    let world = begun().await;
    let text = FIRST.replace("\n1,", "\n2,");
    let refused = ingest(&world, &text, "2.csv", IngestMode::Append, Some("n:int64")).await;
    let told = refused.unwrap_err().to_string();
    assert!(
        told.contains("column `n` is Int16 in the dataset and Int64 in the file"),
        "{told}"
    );
    let same = ingest(&world, &text, "2.csv", IngestMode::Append, Some("n:int16")).await;
    assert_eq!(same.unwrap().version.rows, 2);
}
