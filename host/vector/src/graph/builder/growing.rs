//! A graph while it is built: like [`Layers`], but with spare slots on the ground.
//!
//! A row that is linked to by a later one keeps the link in a spare slot. Only when those run out are its links
//! chosen anew, once for many rows that came, and at the end once for all. Finishing closes the ranks within the
//! same memory.

use crate::{
    graph::{
        layers::{Layers, NONE, used},
        traverse::Links,
    },
    kernels,
};

/// Slots of a row on the ground for each of the `m` links of its upper layers.
const SLOTS: usize = 3;

/// Links of every row, with room for more.
pub(super) struct Growing {
    m: usize,
    entry: u32,
    levels: Vec<u8>,
    ground: Vec<u32>,
    upper: Vec<u32>,
    upper_starts: Vec<u32>,
    /// Guides that are linked already.
    guides: Vec<u32>,
}

impl Growing {
    /// Rows of the given levels without any link.
    pub(super) fn unlinked(m: usize, levels: Vec<u8>) -> Self {
        let top = levels.iter().copied().max().unwrap_or(0);
        let entry = levels.iter().position(|&level| level == top);
        let mut upper_rows = 0;
        let upper_starts = levels
            .iter()
            .map(|&level| {
                let start = upper_rows;
                upper_rows += u32::from(level);
                start
            })
            .collect();
        Self {
            m,
            entry: entry.map_or(NONE, |row| row as u32),
            ground: vec![NONE; levels.len() * SLOTS * m],
            upper: vec![NONE; upper_rows as usize * m],
            upper_starts,
            levels,
            guides: Vec::new(),
        }
    }

    /// From now on these rows, which are linked, lead searches.
    pub(super) fn lead_by(&mut self, guides: &[u32]) {
        self.guides = guides.to_vec();
    }

    /// Links that a row has in the end at most.
    pub(super) fn capacity(&self, layer: u8) -> usize {
        if layer == 0 { 2 * self.m } else { self.m }
    }

    /// Links that a row can have meanwhile.
    pub(super) fn room(&self, layer: u8) -> usize {
        if layer == 0 { SLOTS * self.m } else { self.m }
    }

    pub(super) fn set_links(&mut self, row: u32, layer: u8, links: &[u32]) {
        let slots = if layer == 0 {
            &mut self.ground[row as usize * SLOTS * self.m..][..SLOTS * self.m]
        } else {
            let offset = self.upper_offset(row, layer);
            &mut self.upper[offset..][..self.m]
        };
        let used = links.len().min(slots.len());
        slots[..used].copy_from_slice(&links[..used]);
        slots[used..].fill(NONE);
    }

    /// The finished links; of a row that has more than it may, the first ones.
    pub(super) fn finish(mut self) -> Layers {
        let (wide, narrow) = (SLOTS * self.m, 2 * self.m);
        for row in 0..self.levels.len() {
            let start = row * wide;
            self.ground.copy_within(start..start + narrow, row * narrow);
        }
        self.ground.truncate(self.levels.len() * narrow);
        self.ground.shrink_to_fit();
        Layers::assemble(self.m, self.entry, self.levels, self.ground, self.upper)
            .guided(self.guides)
    }

    fn ground_slots(&self, row: u32) -> &[u32] {
        &self.ground[row as usize * SLOTS * self.m..][..SLOTS * self.m]
    }

    fn upper_offset(&self, row: u32, layer: u8) -> usize {
        (self.upper_starts[row as usize] as usize + usize::from(layer) - 1) * self.m
    }
}

impl Links for Growing {
    fn len(&self) -> usize {
        self.levels.len()
    }
    fn entry(&self) -> u32 {
        self.entry
    }
    fn level(&self, row: u32) -> u8 {
        self.levels[row as usize]
    }
    #[inline]
    fn on_ground(&self, row: u32) -> &[u32] {
        used(self.ground_slots(row))
    }
    #[inline]
    fn links(&self, row: u32, layer: u8) -> &[u32] {
        if layer == 0 {
            return self.on_ground(row);
        }
        if layer > self.level(row) {
            return &[];
        }
        used(&self.upper[self.upper_offset(row, layer)..][..self.m])
    }
    fn guides(&self) -> &[u32] {
        &self.guides
    }
    #[inline]
    fn prefetch(&self, row: u32) {
        kernels::prefetch(self.ground_slots(row));
    }
}
