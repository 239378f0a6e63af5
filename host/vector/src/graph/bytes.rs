//! A graph as bytes, and back.
//!
//! ```text
//! offset  size  field (little-endian)
//!      0     8  magic "BOATHNSW"
//!      8     4  format version, 1
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
//!     84     n  level of each row, then zeros up to a multiple of 4
//!      .  8mn   ground links (u32)
//!      .  4mu   upper links (u32)
//!      .     4  CRC-32 of everything before
//! ```
//! Reading checks, in this order: magic, version, length, checksum, and then that every number is in
//! range, so that no bytes whatsoever make a search panic. A newer version is refused by number.

use boathouse_types::{Dimension, Metric};

use super::{
    Audit, BuildOptions, Builder, HnswGraph,
    layers::{Layers, MAX_LEVEL, NONE},
};
use crate::{error::VectorError, set::MAX_ROWS};

const MAGIC: &[u8; 8] = b"BOATHNSW";
const VERSION: u32 = 1;
const HEADER: usize = 84;
const CHECKSUM: usize = 4;

impl HnswGraph {
    /// The graph in its stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let layers = &self.layers;
        let words = layers.ground.len() + layers.upper.len();
        let mut out = Vec::with_capacity(HEADER + layers.len() + 4 * words + 2 * CHECKSUM);
        self.write_header(&mut out);
        out.extend_from_slice(&layers.levels);
        out.resize(HEADER + layers.len().next_multiple_of(4), 0);
        for link in layers.ground.iter().chain(&layers.upper) {
            out.extend_from_slice(&link.to_le_bytes());
        }
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        out
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        let metric = match self.metric {
            Metric::Cosine => 0,
            Metric::L2 => 1,
            Metric::Dot => 2,
        };
        let upper_rows = (self.layers.upper.len() / self.m as usize) as u64;
        let audit = &self.audit;
        out.extend_from_slice(MAGIC);
        let before = [
            VERSION,
            self.dimension as u32,
            metric,
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
    }

    /// Reads a stored graph.
    ///
    /// # Errors
    /// When the bytes are no graph, of another format version, cut short, altered, or hold a number
    /// out of range; the message says which.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VectorError> {
        let header = Header::read(bytes)?;
        let (body, checksum) = bytes.split_at(bytes.len() - CHECKSUM);
        if crc32fast::hash(body).to_le_bytes() != checksum {
            return Err(broken("its checksum does not match: bytes were altered"));
        }
        let n = header.rows;
        let ground_start = HEADER + n.next_multiple_of(4);
        let ground_end = ground_start + 8 * header.m as usize * n;
        let levels = body[HEADER..HEADER + n].to_vec();
        check_levels(&levels, body[ground_end..].len() / (4 * header.m as usize))?;
        let layers = Layers::assemble(
            header.m as usize,
            header.entry,
            levels,
            words(&body[ground_start..ground_end]),
            words(&body[ground_end..]),
        );
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
    fn read(bytes: &[u8]) -> Result<Self, VectorError> {
        let mut fields = Fields(bytes);
        if fields.take::<8>() != Some(*MAGIC) {
            return Err(broken("it does not begin like a graph"));
        }
        let cut = || broken("it is cut short");
        match fields.word().ok_or_else(cut)? {
            VERSION => {}
            0 => return Err(broken("its format version is 0")),
            newer => {
                return Err(VectorError::NewerFormat {
                    what: "links of the graph",
                    found: newer.into(),
                    supported: VERSION.into(),
                });
            }
        }
        if bytes.len() < HEADER + CHECKSUM {
            return Err(cut());
        }
        Self::read_fields(&mut fields, bytes.len())
    }

    fn read_fields(fields: &mut Fields<'_>, length: usize) -> Result<Self, VectorError> {
        let cut = || broken("it is cut short");
        let mut word = || fields.word().ok_or_else(cut);
        let dimension = Dimension::new(word()?).map_err(|error| broken(error.to_string()))?;
        let metric = match word()? {
            0 => Metric::Cosine,
            1 => Metric::L2,
            2 => Metric::Dot,
            other => return Err(broken(format!("it names an unknown metric, {other}"))),
        };
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
        if Some(length as u128) != expected_length(m, rows, upper_rows) {
            return Err(broken(format!(
                "it has {length} bytes, which is not the length that its header announces"
            )));
        }
        let mut word = || fields.word().ok_or_else(cut);
        let audit = Audit {
            unreachable: word()?,
            dead_ends: word()?,
            links_added: word()?,
            links_dropped: word()?,
            sampled: word()?,
            self_recall: fields.take::<8>().map(f64::from_le_bytes).ok_or_else(cut)?,
        };
        Ok(Self {
            dimension,
            metric,
            m,
            ef_construction,
            entry,
            seed,
            // Fits: the length of the bytes confirmed it.
            rows: rows as usize,
            audit,
        })
    }
}

/// Bytes of a graph with so many rows, none when there are more than a set can hold.
fn expected_length(m: u32, rows: u64, upper_rows: u64) -> Option<u128> {
    if rows > u64::from(MAX_ROWS) || upper_rows > u64::from(u32::MAX) {
        return None;
    }
    let (m, rows, upper_rows) = (u128::from(m), u128::from(rows), u128::from(upper_rows));
    let links = 8 * m * rows + 4 * m * upper_rows;
    Some((HEADER + CHECKSUM) as u128 + rows.next_multiple_of(4) + links)
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
    for row in 0..layers.rows() {
        for layer in 0..=levels[row as usize] {
            let on_layer = |&link: &u32| levels.get(link as usize).is_some_and(|&l| l >= layer);
            if !layers.links(row, layer).iter().all(on_layer) {
                return Err(broken(format!("a link of row {row} is out of range")));
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

fn words(bytes: &[u8]) -> Vec<u32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|&word| u32::from_le_bytes(word)).collect()
}

fn broken(reason: impl Into<String>) -> VectorError {
    VectorError::BrokenGraph {
        reason: reason.into(),
    }
}
