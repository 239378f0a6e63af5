//! Checksums in a file of rows: what is read is what was written, or an error.
//!
//! Pages of Parquet carry none here, and a page in which a bit has flipped often still decodes, to other values.
//! So each file says what its bytes were:
//!
//! ```text
//! offset  size  what
//!      0     c  content: what Parquet begins with and the pages of all row groups
//!      c   4.k  CRC-32 of each block of 64 KiB of the content, little-endian; the last block may be shorter
//!      .     .  page indexes and footer
//! ```
//! Readers of Parquet follow the offsets in the footer and pass over the checksums. `c` and a CRC-32 of everything
//! behind the content are a [`FileSeal`], which stands with the file in the dataset's manifest: no byte is outside a
//! checksum, and whoever reads a part of the content compares only the blocks that hold it.
//!
//! A CRC finds every flipped bit and every burst of errors of up to 32 bits, and misses one of four billion other
//! accidents. It is no protection against intent. Files of earlier releases have no seal and are read as they are.

use std::{
    fs::File,
    io::{self, Write},
    ops::Range,
};

use bytes::Bytes;
use crc32fast::Hasher;
use parquet::{errors::ParquetError, file::writer::SerializedFileWriter};
use serde::{Deserialize, Serialize};

use crate::IngestError;

/// Bytes of a block: the least that is read of a content, and 16,384 times the bytes of its checksum.
const BLOCK: u64 = 64 << 10;
/// Bytes of a checksum.
const SUM: usize = size_of::<u32>();

/// What a file of rows was when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FileSeal {
    /// Its bytes before the checksums of their blocks of 64 KiB.
    pub content: u64,
    /// CRC-32 of the bytes behind those: the checksums, the page indexes and the footer.
    pub crc32: u32,
}

/// What is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Altered {
    /// A part of the file.
    #[error(
        "its bytes {} to {} are not those that were written; put the object back from a backup, or ingest the dataset anew",
        .0.start, .0.end
    )]
    Bytes(Range<u64>),
    /// Its length.
    #[error(
        "it has {found} bytes and was written with {written}; put the object back from a backup, or ingest the dataset anew"
    )]
    Length {
        /// Bytes that there are.
        found: u64,
        /// Bytes that there were.
        written: u64,
    },
}

/// A file that sums up what is written to it; [`finish`] seals it.
pub(crate) struct Sealing {
    file: File,
    /// Bytes of the content so far.
    content: u64,
    /// Whether the content is complete.
    is_whole: bool,
    /// Of the block that is not full yet, then of what is behind the content.
    sum: Hasher,
    /// Of the full blocks.
    sums: Vec<u8>,
}

/// Writes checksums, page indexes and footer.
pub(crate) fn finish(mut writer: SerializedFileWriter<Sealing>) -> Result<FileSeal, IngestError> {
    // What the writer holds back is content.
    writer.flush().map_err(IngestError::Spool)?;
    let sums = writer.inner_mut().end_content();
    writer.write_all(&sums).map_err(IngestError::Spool)?;
    writer.finish().map_err(IngestError::spool)?;
    Ok(writer.inner().seal())
}

impl Sealing {
    /// An empty file.
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            content: 0,
            is_whole: false,
            sum: Hasher::new(),
            sums: Vec::new(),
        }
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while !self.is_whole && !bytes.is_empty() {
            // At most a block.
            let room = (BLOCK - self.content % BLOCK) as usize;
            let (here, rest) = bytes.split_at(room.min(bytes.len()));
            self.sum.update(here);
            self.content += here.len() as u64;
            if here.len() == room {
                self.end_block();
            }
            bytes = rest;
        }
        self.sum.update(bytes);
    }

    fn end_block(&mut self) {
        let sum = std::mem::take(&mut self.sum).finalize();
        self.sums.extend_from_slice(&sum.to_le_bytes());
    }

    /// Ends the content and gives the checksums of its blocks.
    fn end_content(&mut self) -> Vec<u8> {
        if !self.content.is_multiple_of(BLOCK) {
            self.end_block();
        }
        self.is_whole = true;
        std::mem::take(&mut self.sums)
    }

    fn seal(&self) -> FileSeal {
        FileSeal {
            content: self.content,
            crc32: self.sum.clone().finalize(),
        }
    }
}

impl Write for Sealing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.add(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The checksums of a file's content.
#[derive(Debug)]
pub(crate) struct Sums {
    content: u64,
    /// Of each block.
    blocks: Vec<u32>,
}

impl Sums {
    /// The checksums in the bytes behind a content, once these are what they were; with those bytes.
    pub(crate) fn of(seal: FileSeal, behind: Bytes) -> Result<(Self, Bytes), Altered> {
        let altered = || Altered::Bytes(seal.content..seal.content + behind.len() as u64);
        if crc32fast::hash(&behind) != seal.crc32 {
            return Err(altered());
        }
        let blocks = usize::try_from(seal.content.div_ceil(BLOCK)).ok();
        let sums = blocks.and_then(|blocks| behind.get(..blocks.checked_mul(SUM)?));
        let (sums, _) = sums.ok_or_else(altered)?.as_chunks();
        let sums = Self {
            content: seal.content,
            blocks: sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect(),
        };
        Ok((sums, behind))
    }

    /// The blocks that hold ranges, ascending, those that touch each other as one range.
    pub(crate) fn around(&self, ranges: &[Range<u64>]) -> Result<Vec<Range<u64>>, Altered> {
        let blocks = ranges.iter().map(|range| {
            if range.is_empty() || range.end > self.content {
                return Err(Altered::Bytes(range.clone()));
            }
            let end = range.end.next_multiple_of(BLOCK).min(self.content);
            Ok(range.start - range.start % BLOCK..end)
        });
        let mut blocks = blocks.collect::<Result<Vec<_>, _>>()?;
        blocks.sort_unstable_by_key(|range| range.start);
        blocks.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
        Ok(blocks)
    }

    /// The bytes of whole blocks, if they are what they were.
    pub(crate) fn compare(&self, range: &Range<u64>, bytes: Bytes) -> Result<Bytes, Altered> {
        // Fits: a block for each checksum, which are in memory.
        let blocks = (range.start / BLOCK) as usize..range.end.div_ceil(BLOCK) as usize;
        let sums = self.blocks.get(blocks);
        let whole = bytes.len() as u64 == range.end - range.start;
        let sums = sums.filter(|_| whole);
        let sums = sums.ok_or_else(|| Altered::Bytes(range.clone()))?;
        let mut at = range.start;
        for (block, sum) in bytes.chunks(BLOCK as usize).zip(sums) {
            let end = at + block.len() as u64;
            if crc32fast::hash(block) != *sum {
                return Err(Altered::Bytes(at..end));
            }
            at = end;
        }
        Ok(bytes)
    }
}

impl From<Altered> for ParquetError {
    fn from(altered: Altered) -> Self {
        Self::External(Box::new(altered))
    }
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "lists of ranges may have one"
)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use super::*;

    /// A content, sealed: the file, its seal, and what is behind the content.
    fn sealed(content: &[u8], step: usize) -> (Vec<u8>, FileSeal, Bytes) {
        let mut file = tempfile::tempfile().unwrap();
        let mut sealing = Sealing::new(file.try_clone().unwrap());
        for part in content.chunks(step) {
            sealing.write_all(part).unwrap();
        }
        let sums = sealing.end_content();
        sealing.write_all(&sums).unwrap();
        sealing.write_all(b"footer").unwrap();
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        let behind = Bytes::copy_from_slice(&bytes[content.len()..]);
        (bytes, sealing.seal(), behind)
    }

    fn content(length: u64) -> Vec<u8> {
        (0..length).map(|at| (at * 31 % 251) as u8).collect()
    }

    #[test]
    fn a_seal_does_not_depend_on_how_the_bytes_came() {
        for length in [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            let content = content(length);
            let (bytes, seal, behind) = sealed(&content, 1 << 20);
            assert_eq!(bytes[..content.len()], content);
            let blocks = length.div_ceil(BLOCK);
            assert_eq!(behind.len() as u64, 4 * blocks + 6);
            for step in [7, 8 << 10, BLOCK as usize, (BLOCK + 1) as usize] {
                assert_eq!(
                    sealed(&content, step),
                    (bytes.clone(), seal, behind.clone())
                );
            }
            let (sums, _) = Sums::of(seal, behind).unwrap();
            let all = sums.around(std::slice::from_ref(&(0..length))).unwrap();
            assert_eq!(all, [0..length]);
            assert_eq!(
                sums.compare(&all[0], content.clone().into()).unwrap(),
                content
            );
        }
    }

    #[test]
    fn ranges_become_whole_blocks_each_read_once() {
        let (_, seal, behind) = sealed(&content(5 * BLOCK + 9), 999);
        let (sums, _) = Sums::of(seal, behind).unwrap();
        let around = |ranges: &[Range<u64>]| sums.around(ranges).unwrap();
        let single = around(&[BLOCK + 1..BLOCK + 2]);
        assert_eq!(single, [BLOCK..2 * BLOCK]);
        assert_eq!(around(&[BLOCK - 1..BLOCK + 1]), [0..2 * BLOCK]);
        let mixed = around(&[4 * BLOCK + 1..5 * BLOCK + 2, 5..6, 7..9, BLOCK..BLOCK + 1]);
        assert_eq!(mixed, [0..2 * BLOCK, 4 * BLOCK..5 * BLOCK + 9]);
        assert!(around(&[]).is_empty());
        for outside in [0..5 * BLOCK + 10, 7 * BLOCK..8 * BLOCK, 3..3] {
            let refused = sums.around(std::slice::from_ref(&outside));
            assert_eq!(refused.unwrap_err(), Altered::Bytes(outside));
        }
    }

    #[test]
    fn what_is_not_as_it_was_is_named_by_its_block() {
        let content = content(2 * BLOCK + 100);
        let (_, seal, behind) = sealed(&content, 4096);
        let (sums, _) = Sums::of(seal, behind.clone()).unwrap();
        let tail = BLOCK..2 * BLOCK + 100;
        for (flipped, block) in [(0, BLOCK..2 * BLOCK), (BLOCK, 2 * BLOCK..2 * BLOCK + 100)] {
            let mut bytes = content[BLOCK as usize..].to_vec();
            bytes[flipped as usize] ^= 0x10;
            let refused = sums.compare(&tail, bytes.into()).unwrap_err();
            assert_eq!(refused, Altered::Bytes(block));
        }
        let short = Bytes::copy_from_slice(&content[BLOCK as usize..2 * BLOCK as usize]);
        let refused = sums.compare(&tail, short).unwrap_err();
        assert_eq!(refused, Altered::Bytes(tail));
        for at in 0..behind.len() {
            let mut bytes = behind.to_vec();
            bytes[at] ^= 1;
            assert!(Sums::of(seal, bytes.into()).is_err(), "byte {at}");
        }
        assert!(Sums::of(seal, behind.slice(1..)).is_err());
        let empty = FileSeal { crc32: 0, ..seal };
        assert!(Sums::of(empty, Bytes::new()).is_err(), "no checksums");
    }
}
