//! A reader that counts for the progress, stops on cancel, and refuses records without an end.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use crate::{IngestError, error::Place, watch::Watch};

/// Longest record of a text file, in bytes. It bounds the memory that one record may take; nearly always
/// a longer one is a quote or bracket that was never closed.
pub(super) const MAX_RECORD: u64 = 64 << 20;

/// Most columns of a text file.
pub(super) const MAX_COLUMNS: usize = 4_096;

/// The byte order mark of UTF-8.
pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// A file under watch.
pub(super) struct Metered {
    file: File,
    watch: Watch,
    in_record: u64,
    too_long: bool,
}

impl Metered {
    /// Reads from byte `start` on.
    pub(super) fn new(mut file: File, start: u64, watch: &Watch) -> io::Result<Self> {
        file.seek(SeekFrom::Start(start))?;
        Ok(Self {
            file,
            watch: watch.clone(),
            in_record: 0,
            too_long: false,
        })
    }

    /// Begins the count for the next record's length.
    pub(super) fn begin_record(&mut self) {
        self.in_record = 0;
    }

    /// Puts a failed read into words; `line` is where the record in question begins.
    pub(super) fn explain(&self, error: io::Error, line: u64) -> IngestError {
        if self.too_long {
            return IngestError::bad(
                Place::line(line),
                format!(
                    "the record that begins here is longer than {} MiB",
                    MAX_RECORD >> 20
                ),
                "close the quote or bracket that was left open, or split the record",
            );
        }
        match self.watch.check() {
            Err(cancelled) => cancelled,
            Ok(()) => IngestError::Spool(error),
        }
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.watch.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        if self.in_record > MAX_RECORD {
            self.too_long = true;
            return Err(io::Error::other("record too long"));
        }
        let count = self.file.read(buffer)?;
        self.in_record += count as u64;
        self.watch.progress.add_bytes(count as u64);
        Ok(count)
    }
}

/// Reads up to `limit` bytes from byte `start` on and leaves the file's position, which clones of a file
/// share, where it was.
pub(super) fn read_range(file: &File, start: u64, limit: u64) -> io::Result<Vec<u8>> {
    let mut file = file;
    let position = file.stream_position()?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    let read = file.take(limit).read_to_end(&mut bytes);
    file.seek(SeekFrom::Start(position))?;
    read.map(|_| bytes)
}

/// The error for bytes that are not UTF-8. `raw` begins at `byte` of the file and at `line`.
pub(super) fn not_utf8(raw: &[u8], byte: u64, line: u64, column: Option<u64>) -> IngestError {
    let valid = std::str::from_utf8(raw).map_or_else(|error| error.valid_up_to(), str::len);
    let breaks = raw[..valid].iter().filter(|b| **b == b'\n').count();
    let place = Place {
        line: Some(line + breaks as u64),
        column,
        byte: Some(byte + valid as u64),
    };
    IngestError::bad(place, "the text is not valid UTF-8", UTF8_CURE)
}

/// What to do about a wrong encoding.
pub(super) const UTF8_CURE: &str =
    "convert the file to UTF-8, for example with `iconv -f WINDOWS-1252 -t UTF-8`";
