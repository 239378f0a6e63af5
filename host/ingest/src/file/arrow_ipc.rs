//! Arrow IPC, as a file with a footer or as a stream: the rows are copied batch by batch, in plain types.
//!
//! A stream does not say how many rows it has and a file not before its batches are read, so both are counted as
//! they come. A stream that ends without its end mark is taken as whole, as the format allows. Buffers compressed
//! with LZ4 or zstd are read. What is not sound is the reader's to find, which checks what it decodes.

use std::{fs::File, io::BufReader};

use arrow::{
    array::RecordBatch,
    datatypes::SchemaRef,
    error::ArrowError,
    ipc::reader::{FileReader, StreamReader},
};

use super::{
    plain,
    source::{Read, Sink, Source, no_rows},
};
use crate::{IngestError, decoded, error::Place, watch::Watch};

/// The first bytes of a file with a footer, and of a stream.
const FILE_MAGIC: &[u8] = b"ARROW1";
const STREAM_MAGIC: &[u8] = &[0xFF; 4];

const READ_BUFFER: usize = 256 << 10;

/// Whether a file begins as Arrow IPC does.
pub(super) fn is_arrow(head: &[u8]) -> bool {
    head.starts_with(FILE_MAGIC) || head.starts_with(STREAM_MAGIC)
}

/// An Arrow file or stream whose schema was read.
pub(super) struct ArrowFile {
    file: File,
    has_footer: bool,
    watch: Watch,
    schema: SchemaRef,
    rows: u64,
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

impl ArrowFile {
    /// Reads the schema.
    pub(super) fn open(file: File, has_footer: bool, watch: &Watch) -> Result<Self, IngestError> {
        watch.check()?;
        let (_, own) = batches(&file, has_footer)?;
        let schema = plain::schema(&own)?;
        if schema.fields().is_empty() {
            return Err(no_rows("the file has no columns and"));
        }
        Ok(Self {
            file,
            has_footer,
            watch: watch.clone(),
            schema,
            rows: 0,
        })
    }

    /// Whether what begins so has a footer.
    pub(super) fn has_footer(head: &[u8]) -> bool {
        head.starts_with(FILE_MAGIC)
    }
}

impl Source for ArrowFile {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn read(
        &mut self,
        schema: Option<&SchemaRef>,
        sink: &mut Sink<'_>,
    ) -> Result<Read, IngestError> {
        let total = self.file.metadata().map_err(IngestError::Spool)?.len();
        let (batches, _) = batches(&self.file, self.has_footer)?;
        self.rows = 0;
        for batch in batches {
            self.watch.check()?;
            let batch = batch.map_err(|error| damaged(&error))?;
            self.rows += batch.num_rows() as u64;
            let Some(schema) = schema else {
                continue;
            };
            // Batches of a file may be of any size, and plain ones larger still.
            for piece in decoded::pieces(&batch) {
                sink(plain::batch(&piece, schema)?)?;
            }
        }
        self.watch.progress.add_bytes(total);
        match self.rows {
            0 => Err(no_rows("the file has")),
            _ => Ok(Read::All),
        }
    }
}

fn batches(file: &File, has_footer: bool) -> Result<(Batches, SchemaRef), IngestError> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = file.try_clone().map_err(IngestError::Spool)?;
    file.seek(SeekFrom::Start(0)).map_err(IngestError::Spool)?;
    let input = BufReader::with_capacity(READ_BUFFER, file);
    if has_footer {
        let reader = FileReader::try_new(input, None).map_err(|error| damaged(&error))?;
        let schema = reader.schema();
        return Ok((Box::new(reader), schema));
    }
    let reader = StreamReader::try_new(input, None).map_err(|error| damaged(&error))?;
    let schema = reader.schema();
    Ok((Box::new(reader), schema))
}

fn damaged(error: &ArrowError) -> IngestError {
    let problem = match error {
        // The only texts of the reader that speak of the file's build, never of its values.
        ArrowError::IpcError(text) => format!("the file is no sound Arrow IPC: {text}"),
        _ => "the file is no sound Arrow IPC, or was cut off".to_owned(),
    };
    IngestError::bad(Place::default(), problem, "write or copy the file again")
}

#[cfg(test)]
mod tests;
