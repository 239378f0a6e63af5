//! A graph as bytes, and back.
//!
//! ```text
//! offset  size  field (little-endian)
//!      0     8  magic "BOATHNSW"
//!      8     4  format version: 3 with guides, 2 without
//!     12     4  dimension
//!     16     4  metric: 0 cosine, 1 squared Euclidean, 2 inner product
//!     20     4  m
//!     24     4  ef_construction
//!     28     4  entry row, 2^32 - 1 without rows
//!     32     8  seed
//!     40     8  rows n
//!     48     8  upper neighbour rows u, the sum of the levels
//!     56    20  audit: unreachable, dead ends, links added, links dropped, sampled (u32 each)
//!     76     8  audit: self-recall (f64)
//!     84     4  guides g, at most 1,024; 0 in version 2
//!     88    40  zeros
//!    128   8mn  ground links (u32)
//!      .   4mu  upper links (u32)
//!      .     n  level of each row, then zeros up to a multiple of 4
//!      .    4g  guides, ascending rows (u32)
//!      .     4  CRC-32 of everything before
//! ```
//! A graph without guides is written as version 2, which earlier programs read; one with guides is not what they would
//! take it for.
//!
//! The ground links begin on a cache line, so that bytes which do so, such as those of a mapped file, are
//! searched where they lie. Version 1 had the levels at 84, padded, then the links; it is read and not written.
//!
//! Reading checks, in this order: magic, version, length, checksum, and then that every number is in
//! range, so that no bytes whatsoever make a search panic. A newer version is refused by number.

use std::{ops::Range, sync::Arc};

use boathouse_types::{Dimension, Metric};
use bytes::Bytes;

use super::{
    Audit, BuildOptions, Builder, HnswGraph, guides,
    layers::{Layers, MAX_LEVEL, NONE},
};
use crate::{aligned::Aligned, error::VectorError, frozen, held::Held, set::MAX_ROWS};

const MAGIC: &[u8; 8] = b"BOATHNSW";
const VERSION: u32 = 3;
/// The version of a graph without guides.
const UNGUIDED: u32 = 2;
/// Bytes of the fields.
const FIELDS: usize = 84;
/// Bytes before the ground links.
const HEADER: usize = 128;
const CHECKSUM: usize = 4;

impl HnswGraph {
    /// The graph in its stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let layers = &self.layers;
        let words = layers.ground.len() + layers.upper.len() + layers.guides.len();
        let mut out = Vec::with_capacity(HEADER + layers.len() + 4 * words + 2 * CHECKSUM);
        self.write_header(&mut out);
        out.resize(HEADER, 0);
        for link in layers.ground.iter().chain(&*layers.upper) {
            out.extend_from_slice(&link.to_le_bytes());
        }
        out.extend_from_slice(&layers.levels);
        out.resize(out.len().next_multiple_of(4), 0);
        for guide in &layers.guides {
            out.extend_from_slice(&guide.to_le_bytes());
        }
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        out
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        let upper_rows = (self.layers.upper.len() / self.m as usize) as u64;
        let audit = &self.audit;
        out.extend_from_slice(MAGIC);
        let version = match self.layers.guides.is_empty() {
            true => UNGUIDED,
            false => VERSION,
        };
        let before = [
            version,
            self.dimension as u32,
            frozen::metric_code(self.metric),
            self.m,
            self.ef_construction,
            self.layers.entry,
        ];
        let after = [
            audit.unreachable,
            audit.dead_ends,
            audit.links_added,
            audit.links_dropped,
            audit.sampled,
        ];
        out.extend(before.iter().flat_map(|word| word.to_le_bytes()));
        for word in [self.seed, self.layers.len() as u64, upper_rows] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend(after.iter().flat_map(|word| word.to_le_bytes()));
        out.extend_from_slice(&audit.self_recall.to_le_bytes());
        out.extend_from_slice(&(self.layers.guides.len() as u32).to_le_bytes());
    }

    /// Reads a stored graph from bytes that the caller keeps: everything is copied.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VectorError> {
        let mut graph = Self::read(&Bytes::copy_from_slice(bytes))?;
        graph.layers.own();
        Ok(graph)
    }

    /// Reads a stored graph. Its links stay where they are in the bytes if these begin on a cache line.
    ///
    /// # Errors
    /// When the bytes are no graph, of another format version, cut short, altered, or hold a number
    /// out of range; the message says which.
    pub fn read(bytes: &Bytes) -> Result<Self, VectorError> {
        let (header, places) = Header::read(bytes)?;
        let (body, checksum) = bytes.split_at(bytes.len() - CHECKSUM);
        if crc32fast::hash(body).to_le_bytes() != checksum {
            return Err(broken("its checksum does not match: bytes were altered"));
        }
        let bytes = Arc::new(bytes.clone());
        let cut = || broken("it is cut short");
        let levels = Held::numbers(&bytes, places.levels, header.rows).ok_or_else(cut)?;
        check_levels(&levels, places.upper.len() / (4 * header.m as usize))?;
        let links = |range: &Range<usize>| (range.start, range.len() / 4);
        let (start, count) = links(&places.ground);
        let ground = Aligned::numbers(&bytes, start, count).ok_or_else(cut)?;
        let (start, count) = links(&places.upper);
        let upper = Held::numbers(&bytes, start, count).ok_or_else(cut)?;
        let (start, count) = links(&places.guides);
        let guides = Held::<[u32]>::numbers(&bytes, start, count).ok_or_else(cut)?;
        check_guides(&guides, header.rows)?;
        let layers = Layers::of_held(header.m as usize, header.entry, levels, ground, upper)
            .guided(guides.to_vec());
        check_layers(&layers)?;
        Ok(Self {
            dimension: header.dimension.get(),
            metric: header.metric,
            m: header.m,
            ef_construction: header.ef_construction,
            seed: header.seed,
            audit: header.audit,
            layers,
        })
    }
}

struct Header {
    dimension: Dimension,
    metric: Metric,
    m: u32,
    ef_construction: u32,
    entry: u32,
    seed: u64,
    rows: usize,
    audit: Audit,
}

impl Header {
    /// Checks everything that can be told without the checksum, the length above all.
    fn read(bytes: &[u8]) -> Result<(Self, Places), VectorError> {
        let mut fields = Fields(bytes);
        if fields.take::<8>() != Some(*MAGIC) {
            return Err(broken("it does not begin like a graph"));
        }
        let cut = || broken("it is cut short");
        let version = fields.word().ok_or_else(cut)?;
        match version {
            1..=VERSION => {}
            0 => return Err(broken("its format version is 0")),
            newer => {
                return Err(VectorError::NewerFormat {
                    what: "links of the graph",
                    found: newer.into(),
                    supported: VERSION.into(),
                });
            }
        }
        if bytes.len() < FIELDS + CHECKSUM {
            return Err(cut());
        }
        Self::read_fields(version, &mut fields, bytes.len())
    }

    fn read_fields(
        version: u32,
        fields: &mut Fields<'_>,
        length: usize,
    ) -> Result<(Self, Places), VectorError> {
        let cut = || broken("it is cut short");
        let mut word = || fields.word().ok_or_else(cut);
        let dimension = Dimension::new(word()?).map_err(|error| broken(error.to_string()))?;
        let metric = frozen::metric_of(word()?).map_err(broken)?;
        let (m, ef_construction, entry) = (word()?, word()?, word()?);
        let mut long = || fields.take::<8>().map(u64::from_le_bytes).ok_or_else(cut);
        let (seed, rows, upper_rows) = (long()?, long()?, long()?);
        let options = BuildOptions {
            m,
            ef_construction,
            seed,
            threads: 1,
            builder: Builder::default(),
        };
        options.check().map_err(|error| broken(error.to_string()))?;
        let mut word = || fields.word().ok_or_else(cut);
        let audit = Audit {
            unreachable: word()?,
            dead_ends: word()?,
            links_added: word()?,
            links_dropped: word()?,
            sampled: word()?,
            self_recall: fields.take::<8>().map(f64::from_le_bytes).ok_or_else(cut)?,
        };
        let guides = match version {
            VERSION => guide_count(fields.word().ok_or_else(cut)?)?,
            _ => 0,
        };
        let places = Places::of(version, m, (rows, upper_rows), guides);
        let places = places.filter(|places| places.end.checked_add(CHECKSUM) == Some(length));
        let places = places.ok_or_else(|| {
            broken(format!(
                "it has {length} bytes, which is not the length that its header announces"
            ))
        })?;
        let header = Self {
            dimension,
            metric,
            m,
            ef_construction,
            entry,
            seed,
            // Fits: the length of the bytes confirmed it.
            rows: rows as usize,
            audit,
        };
        Ok((header, places))
    }
}

/// Where the parts of a graph lie in its bytes.
struct Places {
    levels: usize,
    ground: Range<usize>,
    upper: Range<usize>,
    guides: Range<usize>,
    /// The checksum.
    end: usize,
}

impl Places {
    /// Of a graph with so many rows; none when there are more than a set, or the memory, can hold.
    fn of(version: u32, m: u32, (rows, upper_rows): (u64, u64), guides: usize) -> Option<Self> {
        if rows > u64::from(MAX_ROWS) || upper_rows > u64::from(u32::MAX) {
            return None;
        }
        let (rows, upper_rows) = (
            usize::try_from(rows).ok()?,
            usize::try_from(upper_rows).ok()?,
        );
        let padded = rows.next_multiple_of(4);
        let ground = (m as usize).checked_mul(8)?.checked_mul(rows)?;
        let upper = (m as usize).checked_mul(4)?.checked_mul(upper_rows)?;
        let start = match version {
            1 => FIELDS.checked_add(padded)?,
            _ => HEADER,
        };
        let ground = start..start.checked_add(ground)?;
        let upper = ground.end..ground.end.checked_add(upper)?;
        let (levels, before_guides) = match version {
            1 => (FIELDS, upper.end),
            _ => (upper.end, upper.end.checked_add(padded)?),
        };
        let end = guides.checked_mul(4)?.checked_add(before_guides)?;
        Some(Self {
            levels,
            ground,
            upper,
            guides: before_guides..end,
            end,
        })
    }
}

/// A number of guides that a graph which has some can have.
fn guide_count(count: u32) -> Result<usize, VectorError> {
    let within = usize::try_from(count)
        .ok()
        .filter(|count| (1..=guides::MOST).contains(count));
    within.ok_or_else(|| broken(format!("it has {count} guides")))
}

fn check_guides(guides: &[u32], rows: usize) -> Result<(), VectorError> {
    let ascending = guides.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || guides.last().is_some_and(|&last| last as usize >= rows) {
        return Err(broken("its guides are not rows in ascending order"));
    }
    Ok(())
}

fn check_levels(levels: &[u8], upper_rows: usize) -> Result<(), VectorError> {
    if levels.iter().any(|&level| level > MAX_LEVEL) {
        return Err(broken("a level is out of range"));
    }
    let announced: usize = levels.iter().map(|&level| usize::from(level)).sum();
    if announced != upper_rows {
        return Err(broken("its levels do not match its upper links"));
    }
    Ok(())
}

/// Checks the invariants of [`Layers`] on which a search's indexing rests.
fn check_layers(layers: &Layers) -> Result<(), VectorError> {
    let levels = &layers.levels;
    let top = levels.iter().copied().max();
    let entry_level = levels.get(layers.entry as usize).copied();
    if entry_level != top || (top.is_none() && layers.entry != NONE) {
        return Err(broken("its entry is not a row of the highest level"));
    }
    let beyond = |row| broken(format!("a link of row {row} is out of range"));
    let rows = layers.rows();
    // In one pass over all slots, which is what most of the bytes are.
    let wild = |&link: &u32| link >= rows && link != NONE;
    if let Some(at) = layers.ground.iter().position(wild) {
        return Err(beyond(at / layers.capacity(0)));
    }
    let on_upper_layers = levels.iter().enumerate().filter(|(_, level)| **level > 0);
    for (row, &level) in on_upper_layers {
        for layer in 1..=level {
            let on_layer = |&link: &u32| levels.get(link as usize).is_some_and(|&l| l >= layer);
            if !layers.links(row as u32, layer).iter().all(on_layer) {
                return Err(beyond(row));
            }
        }
    }
    Ok(())
}

/// The rest of the bytes, read from the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }

    fn word(&mut self) -> Option<u32> {
        self.take::<4>().map(u32::from_le_bytes)
    }
}

fn broken(reason: impl Into<String>) -> VectorError {
    VectorError::BrokenGraph {
        reason: reason.into(),
    }
}
