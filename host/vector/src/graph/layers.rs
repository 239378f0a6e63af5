//! The flat form of a graph: neighbour rows of fixed stride in one array a kind of layer.
//!
//! ```text
//! ground  [row 0: 2m links][row 1: 2m links] ...          64-byte aligned
//! upper   [first row of level >= 1: layer 1: m links][its layer 2: m links] ... [next such row] ...
//! levels  [row 0][row 1] ...                              top layer of each row
//! ```
//! Links are row numbers; the unused end of a neighbour row is filled with [`NONE`]. Where a row's
//! upper links start follows from the levels and is kept as a running sum.
//!
//! Invariants: a link on layer l leads to a row whose level is at least l; the entry is a row of the
//! highest level; without rows the entry is [`NONE`].
//!
//! Guides (`guides.rs`) are rows in ascending order that every search looks at before it begins; mostly there are none.
//!
//! Links and levels may lie in a mapped file; whoever changes some gets a copy of the kind that he changes.

use crate::{aligned::Aligned, held::Held};

/// No row: the end of a neighbour row.
pub(super) const NONE: u32 = u32::MAX;

/// Layers above the ground that a graph can have.
pub(super) const MAX_LEVEL: u8 = 15;

/// Links of every row on every layer.
#[derive(Debug)]
pub(super) struct Layers {
    m: usize,
    pub(super) entry: u32,
    pub(super) levels: Held<[u8]>,
    pub(super) ground: Aligned<u32>,
    pub(super) upper: Held<[u32]>,
    upper_starts: Vec<u32>,
    /// Ascending; empty unless clusters lie far apart.
    pub(super) guides: Vec<u32>,
}

impl Layers {
    /// Rows of the given levels without any link; the entry is the first of the highest level.
    pub(super) fn unlinked(m: usize, levels: Vec<u8>) -> Self {
        let top = levels.iter().copied().max().unwrap_or(0);
        let entry = levels.iter().position(|&level| level == top);
        let upper_rows: usize = levels.iter().map(|&level| usize::from(level)).sum();
        let ground = vec![NONE; levels.len() * 2 * m];
        let upper = vec![NONE; upper_rows * m];
        let entry = entry.map_or(NONE, |row| row as u32);
        Self::assemble(m, entry, levels, ground, upper)
    }

    /// From parts of the right lengths.
    pub(super) fn assemble(
        m: usize,
        entry: u32,
        levels: Vec<u8>,
        ground: Vec<u32>,
        upper: Vec<u32>,
    ) -> Self {
        let (levels, upper) = (Held::Own(levels), Held::Own(upper));
        Self::of_held(m, entry, levels, Aligned::seal(ground), upper)
    }

    /// From parts of the right lengths, wherever they lie.
    pub(super) fn of_held(
        m: usize,
        entry: u32,
        levels: Held<[u8]>,
        ground: Aligned<u32>,
        upper: Held<[u32]>,
    ) -> Self {
        let upper_starts = levels
            .iter()
            .scan(0_u32, |next, &level| {
                let start = *next;
                *next += u32::from(level);
                Some(start)
            })
            .collect();
        Self {
            m,
            entry,
            levels,
            ground,
            upper,
            upper_starts,
            guides: Vec::new(),
        }
    }

    /// The same with guides, which must be rows in ascending order.
    pub(super) fn guided(self, guides: Vec<u32>) -> Self {
        Self { guides, ..self }
    }

    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }

    /// [`Self::len`] in the type of a row; a set has fewer than 2^31.
    pub(super) fn rows(&self) -> u32 {
        self.levels.len() as u32
    }

    /// Links that a row can have on a layer.
    pub(super) fn capacity(&self, layer: u8) -> usize {
        if layer == 0 { 2 * self.m } else { self.m }
    }

    /// Links of a row on the ground layer.
    #[inline]
    pub(super) fn on_ground(&self, row: u32) -> &[u32] {
        used(self.ground_slots(row))
    }

    /// The slots of a row's links on the ground layer.
    #[inline]
    pub(super) fn ground_slots(&self, row: u32) -> &[u32] {
        let stride = 2 * self.m;
        &self.ground[row as usize * stride..][..stride]
    }

    /// Links of a row on a layer, none above its level.
    #[inline]
    pub(super) fn links(&self, row: u32, layer: u8) -> &[u32] {
        if layer == 0 {
            return self.on_ground(row);
        }
        if layer > self.levels[row as usize] {
            return &[];
        }
        used(&self.upper[self.upper_offset(row, layer)..][..self.m])
    }

    /// Replaces the links of a row on a layer; those beyond the capacity are left out.
    pub(super) fn set_links(&mut self, row: u32, layer: u8, links: impl IntoIterator<Item = u32>) {
        let slots = if layer == 0 {
            let stride = 2 * self.m;
            &mut self.ground[row as usize * stride..][..stride]
        } else {
            let offset = self.upper_offset(row, layer);
            &mut self.upper.to_mut()[offset..][..self.m]
        };
        slots.fill(NONE);
        for (slot, link) in slots.iter_mut().zip(links) {
            *slot = link;
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.ground.memory_bytes()
            + (self.upper.len() + self.upper_starts.len() + self.guides.len()) * size_of::<u32>()
            + self.levels.len()
    }

    /// Takes what is lent into memory of its own.
    pub(super) fn own(&mut self) {
        self.levels.to_mut();
        self.upper.to_mut();
        if self.ground.is_lent() {
            self.ground = self.ground.clone();
        }
    }

    /// Whether the links lie in bytes of somebody else.
    pub(super) fn are_lent(&self) -> bool {
        self.ground.is_lent()
    }

    fn upper_offset(&self, row: u32, layer: u8) -> usize {
        (self.upper_starts[row as usize] as usize + usize::from(layer) - 1) * self.m
    }
}

/// The links before the first unused slot.
#[inline]
pub(super) fn used(slots: &[u32]) -> &[u32] {
    let end = slots.iter().position(|&link| link == NONE);
    &slots[..end.unwrap_or(slots.len())]
}
