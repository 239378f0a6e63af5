//! A file with checksums at its end, compared before it is mapped.
//!
//! ```text
//! offset  size  field (little-endian)
//!      0     b  content
//!      .   4.k  CRC-32 of each block of 1 MiB of the content, the last may be shorter
//!      .     8  magic "BOATSEAL"
//!      .     4  version of the seal, 1
//!      .     8  bytes of the content b
//!      .     4  CRC-32 of the checksums and the fields before
//! ```
//! The content comes first, so that it begins on a page. No byte is outside a checksum, so a file that was cut
//! short, lengthened or altered is refused. Blocks are compared on several threads: hashing keeps up with the
//! memory only so. What is compared and what is mapped is one file, opened once: whatever its name stands for
//! meanwhile is none of it.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    thread,
};

use bytes::Bytes;
use memmap2::Mmap;

const MAGIC: &[u8; 8] = b"BOATSEAL";
const VERSION: u32 = 1;
/// Bytes of a block.
const BLOCK: usize = 1 << 20;
/// Bytes behind the checksums of blocks.
const END: usize = 24;
/// Most threads that compare blocks, and blocks for which one more is worth its start.
const THREADS: (usize, usize) = (4, 8);

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("it is not sealed: it was cut short or is something else")]
    Unsealed,
    #[error("its seal has version {0} and this program reads version {VERSION}")]
    Version(u32),
    #[error("its length is not what its seal says")]
    Length,
    #[error("its seal was altered")]
    Seal,
    #[error("its content was altered in the block at byte {0}")]
    Block(u64),
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Writes a file with what `write` gives, seals and syncs it.
pub(super) fn write(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut sealing = Sealing {
        file: File::create_new(path)?,
        content: 0,
        block: crc32fast::Hasher::new(),
        sums: Vec::new(),
    };
    write(&mut sealing)?;
    let file = sealing.finish()?;
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(true);
    file.set_permissions(permissions)?;
    file.sync_all()
}

/// The content of a sealed file, mapped; none when there is no file.
pub(super) fn open(path: &Path) -> Result<Option<Bytes>, Refused> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => content(&opened?).map(Some),
    }
}

/// The content of an open sealed file, mapped.
pub(super) fn content(file: &File) -> Result<Bytes, Refused> {
    let seal = Seal::read(file)?;
    seal.compare(file)?;
    let mapped = map(file)?;
    if (mapped.len() as u64) < seal.content {
        return Err(Refused::Length);
    }
    // Fits: that much is mapped.
    Ok(Bytes::from_owner(mapped).slice(..seal.content as usize))
}

/// Fills a buffer from a place of a file, whatever else is read from it at the same time.
#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}

/// Fills a buffer from a place of a file, whatever else is read from it at the same time.
#[cfg(windows)]
fn read_at(file: &File, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                at += read as u64;
            }
        }
    }
    Ok(())
}

/// A view of a file's bytes.
#[expect(
    unsafe_code,
    reason = "a file can be changed by others, which no check can exclude"
)]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the bytes must not change while they are mapped. The file lies in the data folder, which one host
    // owns by its lock; it is read-only, and this module, the only one that writes there, never opens a file again
    // to write: it creates, renames and unlinks. Who changes it behind the host's back can change what searches
    // answer, as he could with any file of the folder; whoever reads the bytes has checked all that he follows.
    unsafe { Mmap::map(file) }
}

/// A file that is being written.
struct Sealing {
    file: File,
    content: u64,
    /// Of the block that is not full yet.
    block: crc32fast::Hasher,
    sums: Vec<u8>,
}

impl Write for Sealing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK - (self.content % BLOCK as u64) as usize;
        let written = self.file.write(&bytes[..bytes.len().min(room)])?;
        self.block.update(&bytes[..written]);
        self.content += written as u64;
        if written == room {
            self.end_block();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sealing {
    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.sums.extend_from_slice(&block.finalize().to_le_bytes());
    }

    fn finish(mut self) -> io::Result<File> {
        if !self.content.is_multiple_of(BLOCK as u64) {
            self.end_block();
        }
        let mut end = self.sums;
        end.extend_from_slice(MAGIC);
        end.extend_from_slice(&VERSION.to_le_bytes());
        end.extend_from_slice(&self.content.to_le_bytes());
        end.extend_from_slice(&crc32fast::hash(&end).to_le_bytes());
        self.file.write_all(&end)?;
        Ok(self.file)
    }
}

/// What the end of a file says.
struct Seal {
    content: u64,
    /// Of each block.
    sums: Vec<u32>,
}

impl Seal {
    fn read(file: &File) -> Result<Self, Refused> {
        let length = file.metadata()?.len();
        let before_end = length.checked_sub(END as u64).ok_or(Refused::Unsealed)?;
        let mut end = [0; END];
        read_at(file, &mut end, before_end)?;
        if !end.starts_with(MAGIC) {
            return Err(Refused::Unsealed);
        }
        let version = end[8..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        if version != VERSION {
            return Err(Refused::Version(version));
        }
        let content = end[12..]
            .first_chunk()
            .map_or(0, |b| u64::from_le_bytes(*b));
        let blocks = content.div_ceil(BLOCK as u64);
        let sealed = blocks
            .checked_mul(4)
            .and_then(|sums| sums.checked_add(content));
        if sealed != Some(before_end) {
            return Err(Refused::Length);
        }
        // Fits: it is less than the file has bytes; and so few that they are taken at once.
        let mut sums = vec![0; (before_end - content) as usize];
        read_at(file, &mut sums, content)?;
        let mut sum = crc32fast::Hasher::new();
        sum.update(&sums);
        sum.update(&end[..END - 4]);
        if sum.finalize().to_le_bytes() != end[END - 4..] {
            return Err(Refused::Seal);
        }
        let (sums, _) = sums.as_chunks();
        Ok(Self {
            content,
            sums: sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect(),
        })
    }

    /// Compares all blocks with their checksums.
    fn compare(&self, file: &File) -> Result<(), Refused> {
        let (most, worth) = THREADS;
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = cores.min(most).min(self.sums.len() / worth).max(1);
        let each = self.sums.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let parts = self.sums.chunks(each).enumerate();
            let mut working = Vec::new();
            for (part, sums) in parts.skip(1) {
                let work = move || self.compare_from(file, part * each, sums);
                working.push(thread::Builder::new().spawn_scoped(scope, work)?);
            }
            let first = self
                .sums
                .get(..each.min(self.sums.len()))
                .unwrap_or_default();
            let mut compared = self.compare_from(file, 0, first);
            for worker in working {
                let died = |_| Err(io::Error::other("a thread died").into());
                compared = compared.and(worker.join().unwrap_or_else(died));
            }
            compared
        })
    }

    fn compare_from(&self, file: &File, first: usize, sums: &[u32]) -> Result<(), Refused> {
        let mut at = (first * BLOCK) as u64;
        let mut buffer = vec![0; BLOCK];
        for &sum in sums {
            // At most a block.
            let length = (self.content - at).min(BLOCK as u64) as usize;
            let block = &mut buffer[..length];
            read_at(file, block, at)?;
            if crc32fast::hash(block) != sum {
                return Err(Refused::Block(at));
            }
            at += length as u64;
        }
        Ok(())
    }
}
