//! Vectors with their documents in the form in which they serve, as bytes that are searched where they lie.
//!
//! ```text
//! offset  size  field (little-endian)
//!      0     8  magic "BOATROWS"
//!      8     4  format version, 2
//!     12     4  dimension
//!     16     4  metric, as in a graph
//!     20     4  bytes of the data version v, at most 64
//!     24     8  rows n
//!     32     8  bytes of the names t
//!     40    64  data version, then zeros
//!    104     4  codes: 0 the vectors have none, 1 they follow
//!    108     4  spans: 0 vectors are of whole texts, 1 they are of pieces and these follow
//!    112     .  zeros
//!   4096  4sn   vectors (f32), s the dimension rounded up to whole cache lines, filled up with zeros
//!      .   8n   where the name of each document ends in the names (u64)
//!      .   8n   row of the dataset of each (u64)
//!      .   8n   spans, if any: first character of each piece, and the one behind its last (u32, u32)
//!      .    t   names, one behind the other (UTF-8), then zeros up to a cache line if codes follow
//!      .    .   codes of the vectors (`codes/bytes.rs`)
//! ```
//! The vectors were checked when they entered the set that was frozen, and are unit vectors already where the
//! metric is the cosine; they are not looked at again. That the bytes are those that were written is for the
//! caller to prove, by a checksum. What is checked here is what they are of, and that nothing in them leads
//! out of them.
//!
//! Nothing is copied where the bytes begin on a cache line on a machine with the least significant byte first.

use std::{
    io::{self, Write},
    sync::Arc,
};

use boathouse_types::{Dimension, Metric};
use bytes::Bytes;

use crate::{
    aligned::{Aligned, LINE},
    codes::Codes,
    documents::{DocIds, DocRows, Spans},
    error::VectorError,
    held::{Held, Number as _},
    set::{MAX_ROWS, VectorSet, stride_of},
    table::{Origin, VectorTable},
};

const MAGIC: &[u8; 8] = b"BOATROWS";
const VERSION: u32 = 2;
/// Bytes of the fields.
const FIELDS: usize = 112;
/// Where the last two fields begin, which say what there is.
const FLAGS: usize = FIELDS - 2 * size_of::<u32>();
/// Numbers of 64 bits for each vector before the names, spans apart.
const NUMBERS: usize = 2;
/// Bytes before the vectors: a page, so that each page of vectors holds nothing else.
const HEADER: usize = 4096;
/// Longest data version.
const LONGEST: usize = 64;

/// Vectors that serve, and where each came from.
#[derive(Debug, Clone)]
pub struct Frozen {
    /// The vectors.
    pub vectors: Arc<VectorSet>,
    /// The document of each.
    pub doc_ids: DocIds,
    /// The row of the dataset of each.
    pub rows: DocRows,
    /// The piece of a text that each stands for; none when they are of whole texts.
    pub spans: Option<Spans>,
}

/// What frozen vectors must be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance<'a> {
    /// Version of the vectors: the digest of the object that they were read from.
    pub data_version: &'a str,
    /// Components of each.
    pub dimension: Dimension,
    /// What orders neighbours.
    pub metric: Metric,
    /// Number of vectors.
    pub rows: u64,
}

impl Frozen {
    /// The vectors of a table as they are searched.
    ///
    /// # Errors
    /// As [`crate::VectorSetBuilder::push`].
    pub fn of(table: &VectorTable, metric: Metric) -> Result<Self, VectorError> {
        Ok(Self {
            vectors: Arc::new(table.to_set(metric)?),
            doc_ids: table.doc_ids().clone(),
            rows: table.rows().to_vec().into(),
            spans: match table.spans() {
                [] => None,
                spans => Some(spans.iter().copied().collect()),
            },
        })
    }

    /// The vectors as a table, in the form in which they serve, so that they are unit vectors where the metric is the
    /// cosine. Of which texts they are is not known here.
    ///
    /// # Errors
    /// None that can happen.
    pub fn to_table(&self) -> Result<VectorTable, VectorError> {
        let mut table = VectorTable::new(self.vectors.dimension());
        for row in 0..self.vectors.rows() {
            let at = row as usize;
            let origin = Origin {
                doc_id: self.doc_ids.get(at),
                row: self.rows[at],
                span: self.spans.as_ref().map(|spans| spans.get(at)),
                text_digest: None,
            };
            table.push_from(&origin, self.vectors.row(row))?;
        }
        Ok(table)
    }

    /// Writes the vectors of a version, which [`Self::read`] asks for again, and their codes, so that who reads them
    /// need not make any ([`VectorSet::encode`]). Codes that are not there yet are made on the way and not kept.
    ///
    /// # Errors
    /// What `out` says; [`io::ErrorKind::InvalidInput`] when the version has more than 64 bytes.
    pub fn write(&self, data_version: &str, out: &mut dyn Write) -> io::Result<()> {
        let (codes, (ends, names)) = (self.vectors.coding(), self.doc_ids.parts());
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        for word in [
            VERSION,
            self.vectors.dimension().into(),
            metric_code(self.vectors.metric()),
            // Checked below.
            data_version.len() as u32,
        ] {
            header.extend_from_slice(&word.to_le_bytes());
        }
        for long in [self.vectors.len() as u64, names.len() as u64] {
            header.extend_from_slice(&long.to_le_bytes());
        }
        header.extend_from_slice(data_version.as_bytes());
        if data_version.len() > LONGEST {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        header.resize(FLAGS, 0);
        for flag in [codes.is_some(), self.spans.is_some()] {
            header.extend_from_slice(&u32::from(flag).to_le_bytes());
        }
        header.resize(HEADER, 0);
        out.write_all(&header)?;
        out.write_all(&f32::encode(self.vectors.values()))?;
        out.write_all(&u64::encode(ends))?;
        out.write_all(&u64::encode(&self.rows))?;
        let mut numbers = NUMBERS;
        if let Some(spans) = &self.spans {
            out.write_all(&u32::encode(spans.bounds()))?;
            numbers += 1;
        }
        out.write_all(names.as_bytes())?;
        let Some(codes) = codes else {
            return Ok(());
        };
        let padding = names_padding(numbers * self.vectors.len(), names.len());
        out.write_all(&[0; LINE][..padding])?;
        codes.write(out)
    }

    /// The vectors in some bytes, which stay there.
    ///
    /// # Errors
    /// When the bytes are of something else, of another format version, cut short, or lead out of themselves; the
    /// message says which.
    pub fn read(bytes: Bytes, of: &Provenance<'_>) -> Result<Self, VectorError> {
        let Announced {
            names,
            codes,
            spans,
        } = check_header(&bytes, of)?;
        let cut = || broken("it is cut short");
        let rows = u32::try_from(of.rows).ok().filter(|rows| *rows <= MAX_ROWS);
        let rows = rows.ok_or_else(|| broken("it has more rows than a set can hold"))?;
        let (count, bytes) = (rows as usize, Arc::new(bytes));
        let floats = stride_of(of.dimension).checked_mul(count);
        let floats = floats.ok_or_else(cut)?;
        let values = Aligned::numbers(&bytes, HEADER, floats).ok_or_else(cut)?;
        let ends_at = HEADER + size_of::<f32>() * floats;
        let ends = Held::numbers(&bytes, ends_at, count).ok_or_else(cut)?;
        let rows_at = ends_at + size_of::<u64>() * count;
        let doc_rows = Held::numbers(&bytes, rows_at, count).ok_or_else(cut)?;
        let spans_at = rows_at + size_of::<u64>() * count;
        let (spans, names_at, numbers) = match spans {
            false => (None, spans_at, NUMBERS),
            true => {
                let bounds = Held::numbers(&bytes, spans_at, 2 * count).ok_or_else(cut)?;
                let names_at = spans_at + size_of::<u64>() * count;
                (Some(Spans::of(bounds)), names_at, NUMBERS + 1)
            }
        };
        let text =
            Held::text(&bytes, names_at, names).ok_or_else(|| broken("its names are damaged"))?;
        let doc_ids = DocIds::of_parts(ends, text);
        let vectors = VectorSet::of_values(of.dimension, of.metric, rows, values);
        let (codes, end) = match codes {
            false => (None, names_at + names),
            true => {
                let at = names_at + names + names_padding(numbers * count, names);
                let read = Codes::read(&bytes, at, (stride_of(of.dimension), rows), of.metric);
                let (codes, end) = read.ok_or_else(cut)?;
                (Some(codes), end)
            }
        };
        if bytes.len() != end {
            return Err(broken("its length is not what its header announces"));
        }
        vectors.set_codes(codes);
        Ok(Self {
            vectors: Arc::new(vectors),
            doc_ids: doc_ids.ok_or_else(|| broken("its names are damaged"))?,
            rows: DocRows::of(doc_rows),
            spans,
        })
    }

    /// Bytes of vectors, names and rows, wherever they are.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let rows = size_of_val::<[u64]>(&self.rows);
        let spans = self.spans.as_ref().map_or(0, Spans::memory_bytes);
        self.vectors.memory_bytes() + self.doc_ids.memory_bytes() + rows + spans
    }

    /// Whether it is used where it lies in the bytes that it was read from.
    #[must_use]
    pub fn is_lent(&self) -> bool {
        self.vectors.is_lent()
    }
}

/// The number of a metric in files.
pub(crate) fn metric_code(metric: Metric) -> u32 {
    match metric {
        Metric::Cosine => 0,
        Metric::L2 => 1,
        Metric::Dot => 2,
    }
}

/// The metric of a number in a file; otherwise what is wrong with it.
pub(crate) fn metric_of(code: u32) -> Result<Metric, String> {
    match code {
        0 => Ok(Metric::Cosine),
        1 => Ok(Metric::L2),
        2 => Ok(Metric::Dot),
        other => Err(format!("it names an unknown metric, {other}")),
    }
}

/// Bytes between the names, before which there are so many numbers, and the codes, which begin on a cache line as the
/// vectors do.
fn names_padding(numbers: usize, names: usize) -> usize {
    let numbers = size_of::<u64>() * (numbers % LINE);
    let end = numbers + names % LINE;
    end.next_multiple_of(LINE) - end
}

/// What a header says of what follows.
struct Announced {
    /// Bytes of the names.
    names: usize,
    /// Whether there are codes.
    codes: bool,
    /// Whether there are spans.
    spans: bool,
}

/// Checks that the bytes say they are of `of`.
fn check_header(bytes: &[u8], of: &Provenance<'_>) -> Result<Announced, VectorError> {
    if !bytes.starts_with(MAGIC) {
        return Err(broken("it does not begin like frozen vectors"));
    }
    let cut = || broken("it is cut short");
    let fields = bytes.get(..FIELDS).ok_or_else(cut)?;
    let word = |at: usize| {
        fields[at..]
            .first_chunk()
            .map_or(0, |b| u32::from_le_bytes(*b))
    };
    let long = |at: usize| {
        fields[at..]
            .first_chunk()
            .map_or(0, |b| u64::from_le_bytes(*b))
    };
    match word(8) {
        VERSION => {}
        0 => return Err(broken("its format version is 0")),
        1..VERSION => return Err(broken("it is of an older format")),
        newer => {
            return Err(VectorError::NewerFormat {
                what: "frozen vectors",
                found: newer.into(),
                supported: VERSION.into(),
            });
        }
    }
    let metric = metric_of(word(16)).map_err(broken)?;
    let version = fields[40..].get(..word(20) as usize).unwrap_or_default();
    for (what, differs) in [
        ("dimension", word(12) != u32::from(of.dimension)),
        ("metric", metric != of.metric),
        ("number of rows", long(24) != of.rows),
        ("version", version != of.data_version.as_bytes()),
    ] {
        if differs {
            return Err(broken(format!(
                "it is of other vectors: their {what} differs"
            )));
        }
    }
    let flag = |at: usize, what: &str| match word(at) {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(broken(format!("it has {what} of an unknown kind"))),
    };
    Ok(Announced {
        names: usize::try_from(long(32)).map_err(|_| cut())?,
        codes: flag(FLAGS, "codes")?,
        spans: flag(FLAGS + size_of::<u32>(), "spans")?,
    })
}

fn broken(reason: impl Into<String>) -> VectorError {
    VectorError::BrokenFrozen {
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests;
