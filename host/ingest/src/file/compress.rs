//! Compressed files: told by their first bytes, read member by member.
//!
//! All four formats may stand behind themselves in one file, as `cat a.gz b.gz` makes it; the contents follow
//! each other. A file that ends within a member is cut off, and anything else behind one is trailing garbage:
//! both are errors, as is a checksum that does not fit. The bytes that come out are bounded, so that a small
//! file cannot fill the disk. Archives of several files, as zip and tar make them, are not read.

use std::{
    fs::File,
    io::{self, BufRead, Read, Seek, SeekFrom},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{IngestError, error::Place, spool, watch::Watch};

/// Bytes that are read from the file at a time.
const READ_BYTES: usize = 256 << 10;

/// Bytes by which a member is told.
const MAGIC_BYTES: usize = 4;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    #[serde(alias = "gz")]
    Gzip,
    /// RFC 8878.
    #[serde(alias = "zst")]
    Zstd,
    /// As of the program `bzip2`.
    #[serde(alias = "bz2")]
    Bzip2,
    /// The frame format of LZ4.
    Lz4,
}

impl Compression {
    /// All that are one.
    const ALL: [Self; 4] = [Self::Gzip, Self::Zstd, Self::Bzip2, Self::Lz4];

    /// What the first bytes of a file say.
    pub(super) fn of(head: &[u8]) -> Self {
        let told = Self::ALL.into_iter().find(|one| one.begins(head));
        told.unwrap_or(Self::None)
    }

    /// A file's name without the ending of its compression.
    pub(super) fn strip(name: &str) -> &str {
        let endings = [".gz", ".gzip", ".zst", ".zstd", ".bz2", ".lz4"];
        let cut = |ending: &&str| {
            let at = name.len().checked_sub(ending.len())?;
            let (stem, end) = (name.get(..at)?, name.get(at..)?);
            end.eq_ignore_ascii_case(ending).then_some(stem)
        };
        endings.iter().find_map(cut).unwrap_or(name)
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
        }
    }

    fn begins(self, head: &[u8]) -> bool {
        match (self, head) {
            (Self::Gzip, [0x1F, 0x8B, ..])
            | (Self::Zstd, [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..])
            | (Self::Lz4, [0x04, 0x22, 0x4D, 0x18, ..]) => true,
            (Self::Bzip2, [b'B', b'Z', b'h', level, ..]) => level.is_ascii_digit(),
            _ => false,
        }
    }
}

/// A file as it lies on the disk, and how its contents come out of it. Can be opened again and again, but
/// only one reader at a time moves on: all share the file's position.
#[derive(Debug)]
pub(super) struct Stored {
    file: File,
    compression: Compression,
    /// Most bytes that may come out of a compressed file.
    most: u64,
    watch: Watch,
}

impl Stored {
    /// A file whose compression is said or told by its first bytes.
    pub(super) fn new(
        file: File,
        said: Option<Compression>,
        most: u64,
        watch: &Watch,
    ) -> Result<Self, IngestError> {
        let mut stored = Self {
            file,
            compression: Compression::None,
            most,
            watch: watch.clone(),
        };
        let head = stored.head(MAGIC_BYTES)?;
        let told = Compression::of(&head);
        stored.compression = match said {
            Some(said) if said != Compression::None && said != told => {
                return Err(IngestError::bad(
                    Place::default(),
                    format!("the file is not compressed with {}", said.name()),
                    "leave the compression out, or name the real one",
                ));
            }
            Some(said) => said,
            None => told,
        };
        Ok(stored)
    }

    /// How it is compressed.
    pub(super) fn compression(&self) -> Compression {
        self.compression
    }

    /// Bytes on the disk.
    pub(super) fn size(&self) -> Result<u64, IngestError> {
        Ok(self.file.metadata().map_err(IngestError::Spool)?.len())
    }

    /// The contents from the start; their bytes on the disk count for the progress.
    pub(super) fn open(&self) -> Result<Contents, IngestError> {
        self.contents(true)
    }

    /// The same for a look that is no part of the work.
    pub(super) fn peek(&self) -> Result<Contents, IngestError> {
        self.contents(false)
    }

    /// The first bytes of the contents.
    pub(super) fn head(&self, bytes: usize) -> Result<Vec<u8>, IngestError> {
        let mut head = Vec::new();
        let contents = self.peek()?.take(bytes as u64);
        { contents }.read_to_end(&mut head).map_err(explain)?;
        Ok(head)
    }

    /// A file of the contents, for formats that are not read from start to end: itself, or one without a
    /// name in `folder`.
    pub(super) fn unpacked(&self, folder: Option<&Path>) -> Result<File, IngestError> {
        if self.compression == Compression::None {
            return self.file.try_clone().map_err(IngestError::Spool);
        }
        let mut plain = spool::nameless(folder)?;
        io::copy(&mut self.open()?, &mut plain).map_err(explain)?;
        Ok(plain)
    }

    fn contents(&self, counted: bool) -> Result<Contents, IngestError> {
        let mut file = self.file.try_clone().map_err(IngestError::Spool)?;
        file.seek(SeekFrom::Start(0)).map_err(IngestError::Spool)?;
        let feed = Feed {
            file,
            watch: self.watch.clone(),
            counted,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            position: 0,
            is_over: false,
        };
        Ok(Contents {
            compression: self.compression,
            member: Member::between(self.compression, feed),
            given: 0,
            most: self.most,
        })
    }
}

/// What an error of a reader of contents is about.
pub(super) fn explain(error: io::Error) -> IngestError {
    match error.downcast::<IngestError>() {
        Ok(error) => error,
        Err(error) => IngestError::Spool(error),
    }
}

/// The contents of a file, decompressed on the way. Its errors hold an [`IngestError`].
pub(super) struct Contents {
    compression: Compression,
    member: Member,
    given: u64,
    most: u64,
}

/// Where a reader stands.
enum Member {
    Plain(Feed),
    /// Before the first or behind a member.
    Between(Feed),
    Gzip(Box<flate2::bufread::GzDecoder<Feed>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Feed>>),
    Bzip2(Box<bzip2::bufread::BzDecoder<Feed>>),
    Lz4(Box<lz4_flex::frame::FrameDecoder<Feed>>),
    Over,
}

impl Read for Contents {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let read = match &mut self.member {
                Member::Plain(feed) => return feed.read(buffer),
                Member::Over => return Ok(0),
                Member::Between(_) => {
                    self.next_member()?;
                    continue;
                }
                Member::Gzip(member) => member.read(buffer),
                Member::Zstd(member) => member.read(buffer),
                Member::Bzip2(member) => member.read(buffer),
                // It takes the end of the file for the end of the frame, which a whole one does not reach.
                Member::Lz4(member) => match member.read(buffer) {
                    Ok(0) if member.get_ref().is_over => Err(io::ErrorKind::UnexpectedEof.into()),
                    read => read,
                },
            };
            match read {
                Ok(0) => self.end_member(),
                Ok(count) => return self.counted(count),
                Err(error) => return Err(self.damaged(error)),
            }
        }
    }
}

impl Contents {
    fn next_member(&mut self) -> io::Result<()> {
        let Member::Between(mut feed) = std::mem::replace(&mut self.member, Member::Over) else {
            return Ok(());
        };
        let magic = feed.peek(MAGIC_BYTES)?;
        if magic.is_empty() {
            return Ok(());
        }
        if !self.compression.begins(magic) {
            return Err(io::Error::other(IngestError::bad(
                at(feed.position),
                format!(
                    "something follows the end of the {} data",
                    self.compression.name()
                ),
                "cut the file off here, or compress it again",
            )));
        }
        self.member = Member::begin(self.compression, feed)?;
        Ok(())
    }

    fn end_member(&mut self) {
        let feed = match std::mem::replace(&mut self.member, Member::Over) {
            Member::Gzip(member) => member.into_inner(),
            Member::Zstd(member) => member.finish(),
            Member::Bzip2(member) => member.into_inner(),
            Member::Lz4(member) => member.into_inner(),
            Member::Plain(feed) | Member::Between(feed) => feed,
            Member::Over => return,
        };
        self.member = Member::Between(feed);
    }

    fn counted(&mut self, count: usize) -> io::Result<usize> {
        self.given += count as u64;
        if self.given <= self.most {
            return Ok(count);
        }
        Err(io::Error::other(IngestError::bad(
            Place::default(),
            format!("more than {} bytes come out of this file", self.most),
            "split it, or raise `ingest.max_decompressed_bytes` of the host",
        )))
    }

    /// What is wrong with the member, unless it is the disk or a cancelled run.
    fn damaged(&self, error: io::Error) -> io::Error {
        let error = match error.downcast::<IngestError>() {
            Ok(known) => return io::Error::other(known),
            Err(error) => error,
        };
        let name = self.compression.name();
        let position = match &self.member {
            Member::Gzip(member) => member.get_ref().position,
            Member::Zstd(member) => member.get_ref().position,
            Member::Bzip2(member) => member.get_ref().position,
            Member::Lz4(member) => member.get_ref().position,
            Member::Plain(feed) | Member::Between(feed) => feed.position,
            Member::Over => 0,
        };
        let cut_off = error.kind() == io::ErrorKind::UnexpectedEof;
        io::Error::other(match cut_off {
            true => IngestError::bad(
                at(position),
                format!("the file ends within its {name} data"),
                "copy or compress the file again; it was cut off",
            ),
            false => IngestError::bad(
                at(position),
                format!("the {name} data is damaged"),
                "copy or compress the file again",
            ),
        })
    }
}

impl Member {
    fn between(compression: Compression, feed: Feed) -> Self {
        match compression {
            Compression::None => Self::Plain(feed),
            _ => Self::Between(feed),
        }
    }

    fn begin(compression: Compression, feed: Feed) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(feed),
            Compression::Gzip => Self::Gzip(Box::new(flate2::bufread::GzDecoder::new(feed))),
            Compression::Zstd => {
                let member = zstd::stream::read::Decoder::with_buffer(feed)?;
                Self::Zstd(Box::new(member.single_frame()))
            }
            Compression::Bzip2 => Self::Bzip2(Box::new(bzip2::bufread::BzDecoder::new(feed))),
            Compression::Lz4 => Self::Lz4(Box::new(lz4_flex::frame::FrameDecoder::new(feed))),
        })
    }
}

fn at(byte: u64) -> Place {
    Place {
        byte: Some(byte),
        ..Place::default()
    }
}

/// The bytes of a file, with a look ahead.
struct Feed {
    file: File,
    watch: Watch,
    counted: bool,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes of the file that were taken.
    position: u64,
    /// Whether somebody has asked for bytes behind the end.
    is_over: bool,
}

impl Feed {
    /// The next bytes, fewer only at the end.
    fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.end - self.start < count && self.refill()? > 0 {}
        Ok(&self.buffer[self.start..self.end.min(self.start + count)])
    }

    fn refill(&mut self) -> io::Result<usize> {
        if self.watch.cancel.is_cancelled() {
            return Err(io::Error::other(IngestError::Cancelled));
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let read = self.file.read(&mut self.buffer[self.end..]);
        let count = read.map_err(|error| io::Error::other(IngestError::Spool(error)))?;
        self.end += count;
        if self.counted {
            self.watch.progress.add_bytes(count as u64);
        }
        Ok(count)
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.is_over |= self.refill()? == 0;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.position += count as u64;
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
