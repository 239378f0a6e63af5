//! Rows of several MiB: few of them are in memory at once, whatever reads and writes them.

use arrow::{
    array::{ArrayRef, StringArray},
    datatypes::{DataType, Field, Schema},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::table::{fit::Fit, pipeline::Plan};

/// Rows of texts of `bytes`.
fn texts(bytes: usize, rows: usize) -> RecordBatch {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(bytes); rows]));
    RecordBatch::try_from_iter([("t", texts)]).unwrap()
}

#[tokio::test]
async fn a_batch_of_long_rows_counts_as_often_as_the_encoder_holds_it() {
    let progress = Arc::default();
    let crew = pipeline::testing::sender(Arc::new(Table::well(&[&[1]])), progress);
    let (mut sender, mut writer) = crew;
    sender.write(texts(5 << 20, 1)).await.unwrap();
    let mut next = Box::pin(sender.write(texts(5 << 20, 1)));
    assert!(futures::poll!(&mut next).is_pending(), "one is all");
    drop(writer.recv().await);
    next.await.unwrap();
    drop(writer.recv().await);
    // As many bytes in short rows count once.
    for _ in 0..3 {
        let short = Box::pin(sender.write(texts(1 << 10, 2 << 10)));
        assert!(futures::poll!(short).is_ready());
    }
}

/// One part of batches, each of so many rows of so many bytes.
struct Texts(Vec<(usize, usize)>);

#[async_trait]
impl Connector for Texts {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8, true)]))
    }

    fn parts(&self) -> usize {
        1
    }

    fn estimated_rows(&self) -> Option<u64> {
        None
    }

    async fn read(&self, _: usize, rows: &mut dyn PartSink) -> Result<(), IngestError> {
        for (count, bytes) in &self.0 {
            rows.write(texts(*bytes, *count)).await?;
        }
        Ok(())
    }

    async fn finish(&self) -> Result<(TableReport, Option<Position>), IngestError> {
        Ok((TableReport::default(), None))
    }
}

#[tokio::test]
async fn a_row_group_ends_behind_a_long_row_and_keeps_nothing_of_it() {
    let source = Texts(vec![(3, 9), (2, 9), (1, 2 << 20), (1, 2 << 20), (4, 9)]);
    let plan = Plan {
        fit: Fit::of(&source.schema(), None, &dataset()).unwrap(),
        connector: Arc::new(source),
        parallel: 1,
        folder: None,
        name: "t".to_owned(),
    };
    let mut tables = pipeline::spool(plan, &Watch::default()).await.unwrap();
    let file = tables.pop().unwrap().file;
    let read = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let groups = read.metadata().row_groups().iter();
    let rows: Vec<i64> = groups.map(|group| group.num_rows()).collect();
    assert_eq!(rows, [6, 1, 4]);
}
