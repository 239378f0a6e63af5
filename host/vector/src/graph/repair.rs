//! Proves that every row can be found, and makes it so.
//!
//! Builders leave rows that no path leads to, and rows from which no path leads on. After
//! [`audit_and_repair`] the ground layer is strongly connected: from whichever row a search starts, it
//! can reach every other.
//!
//! How: rows are reached from the entry, breadth first; the link through which a row was first reached
//! is its tree link. An unreached row is linked from the nearest reached row that has a free slot or a
//! link that is no tree link, the farthest of which makes way, so nothing reached is ever lost. Such a
//! row exists, since a tree of r rows has r - 1 links and the r rows have 2 m slots each. Then the same
//! in reverse for rows that do not lead back to the entry, deepest of the tree first: when such a row
//! is full of tree links, those lead to rows that were mended before it, and so does it.
//!
//! Rows are compared by their codes where the set has them, so that vectors in a mapped file stay there.
//!
//! Whoever builds may stop this too: it is asked before every row that needs a search, and every few thousand rows
//! that need none.

use std::ops::ControlFlow;

use super::{
    BuildOptions,
    diversify::Incoming,
    layers::{Layers, NONE},
    traverse::{Scratch, nearest_to_row, nearest_to_row_from},
};
use crate::{error::VectorError, gauge::Gauge, set::VectorSet};

/// What the audit of a build found.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Audit {
    /// Rows that could not be reached from the entry before the repair.
    pub unreachable: u32,
    /// Rows that did not lead back to the entry before the repair.
    pub dead_ends: u32,
    /// Links that the repair added.
    pub links_added: u32,
    /// Links that made way for them.
    pub links_dropped: u32,
    /// Rows that were searched for by their own vector.
    pub sampled: u32,
    /// Share of them for which a row at least as near as themselves was found, in 0..=1; 1 without a
    /// sample.
    pub self_recall: f64,
}

/// Rows whose own vector is searched for.
const SAMPLE: usize = 512;

/// Candidates looked at in that search, whatever the configuration, so that audits compare.
const SAMPLE_EF: usize = 64;

/// Rows that are passed between two looks at whether to go on.
const BETWEEN_LOOKS: usize = 8_192;

/// Makes the ground layer strongly connected and measures the self-recall of evenly spread rows. `progress` is told
/// that all rows are linked, and may stop it.
///
/// # Errors
/// [`VectorError::Cancelled`] when `progress` broke; the layers are of no use then.
pub(super) fn audit_and_repair(
    layers: &mut Layers,
    set: &VectorSet,
    options: &BuildOptions,
    progress: &dyn Fn(usize) -> ControlFlow<()>,
) -> Result<Audit, VectorError> {
    if layers.len() == 0 {
        return Ok(Audit {
            self_recall: 1.0,
            ..Audit::default()
        });
    }
    let mut repair = Repair {
        ef: options.ef_construction.max(options.m * 2) as usize,
        parents: vec![NONE; layers.len()],
        reached: Vec::with_capacity(layers.len()),
        leads_back: vec![false; layers.len()],
        scratch: Scratch::default(),
        audit: Audit::default(),
        layers,
        set,
        progress,
    };
    repair.reach_every_row()?;
    repair.lead_every_row_back()?;
    repair.go_on()?;
    let mut audit = repair.audit;
    (audit.sampled, audit.self_recall) = self_recall(layers, set);
    Ok(audit)
}

struct Repair<'a> {
    layers: &'a mut Layers,
    set: &'a VectorSet,
    ef: usize,
    /// The row through whose link each row was first reached; the entry is its own.
    parents: Vec<u32>,
    /// Reached rows; each comes after its parent.
    reached: Vec<u32>,
    leads_back: Vec<bool>,
    scratch: Scratch,
    audit: Audit,
    progress: &'a dyn Fn(usize) -> ControlFlow<()>,
}

impl Repair<'_> {
    /// An error once somebody asked to stop.
    fn go_on(&self) -> Result<(), VectorError> {
        match (self.progress)(self.layers.len()) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(VectorError::Cancelled),
        }
    }

    fn reach_every_row(&mut self) -> Result<(), VectorError> {
        let entry = self.layers.entry;
        self.spread_from(entry, entry)?;
        self.audit.unreachable = self.layers.rows() - self.reached.len() as u32;
        for row in 0..self.layers.rows() {
            if self.parents[row as usize] == NONE {
                self.go_on()?;
                let parent = self.adopt(row);
                self.spread_from(parent, row)?;
                if self.has_free_slot(row) && !self.layers.on_ground(row).contains(&parent) {
                    self.link(row, parent);
                }
            }
        }
        Ok(())
    }

    /// Marks everything that `row` leads to, `row` itself having been reached from `parent`.
    fn spread_from(&mut self, parent: u32, row: u32) -> Result<(), VectorError> {
        self.parents[row as usize] = parent;
        let mut next = self.reached.len();
        self.reached.push(row);
        while let Some(&row) = self.reached.get(next) {
            next += 1;
            if next.is_multiple_of(BETWEEN_LOOKS) {
                self.go_on()?;
            }
            for &link in self.layers.on_ground(row) {
                if self.parents[link as usize] == NONE {
                    self.parents[link as usize] = row;
                    self.reached.push(link);
                }
            }
        }
        Ok(())
    }

    /// Links an unreached row from a reached one, the nearest that can, and returns that.
    fn adopt(&mut self, row: u32) -> u32 {
        for candidate in self.near(row) {
            if self.link(candidate, row) {
                return candidate;
            }
        }
        for index in 0..self.reached.len() {
            let candidate = self.reached[index];
            if self.link(candidate, row) {
                return candidate;
            }
        }
        // Not met: some reached row always has a slot that holds no tree link.
        self.layers.entry
    }

    fn lead_every_row_back(&mut self) -> Result<(), VectorError> {
        let mut open = self.without_link_back()?;
        open.sort_unstable();
        let incoming = Incoming::from(self.layers, &open);
        for &row in &open {
            if self.links_back(row) {
                self.mark_leading_to(row, &incoming)?;
            }
        }
        let dead_ends = self.leads_back.iter().filter(|&&leads| !leads).count();
        self.audit.dead_ends = dead_ends as u32;
        if dead_ends == 0 {
            return Ok(());
        }
        for index in (0..self.reached.len()).rev() {
            let row = self.reached[index];
            if self.leads_back[row as usize] {
                continue;
            }
            self.go_on()?;
            let near = self.near(row).into_iter();
            let target = near
                .chain([self.layers.entry])
                .find(|&to| self.leads_back[to as usize]);
            if let Some(target) = target {
                self.link(row, target);
                self.mark_leading_to(row, &incoming)?;
            }
        }
        Ok(())
    }

    /// Marks the rows that link to one that leads back, in the order in which they were reached; returns those that
    /// may lead back all the same.
    ///
    /// Nearly all rows link to one that was reached before them. So few are left, of whose links a list in reverse
    /// is small; that of all links would be as large as the graph.
    fn without_link_back(&mut self) -> Result<Vec<u32>, VectorError> {
        self.leads_back[self.layers.entry as usize] = true;
        let mut open = Vec::new();
        for index in 0..self.reached.len() {
            if index.is_multiple_of(BETWEEN_LOOKS) {
                self.go_on()?;
            }
            let row = self.reached[index];
            if self.leads_back[row as usize] || self.links_back(row) {
                self.leads_back[row as usize] = true;
            } else {
                open.push(row);
            }
        }
        Ok(open)
    }

    /// Whether a row links to one that is marked.
    fn links_back(&self, row: u32) -> bool {
        let mut links = self.layers.on_ground(row).iter();
        links.any(|&link| self.leads_back[link as usize])
    }

    /// Marks everything from which a path leads to `row`. `incoming` has the links of all rows that are not marked;
    /// links made or dropped since it was taken start at rows that are.
    fn mark_leading_to(&mut self, row: u32, incoming: &Incoming) -> Result<(), VectorError> {
        self.leads_back[row as usize] = true;
        let (mut pending, mut passed) = (vec![row], 0_usize);
        while let Some(row) = pending.pop() {
            passed += 1;
            if passed.is_multiple_of(BETWEEN_LOOKS) {
                self.go_on()?;
            }
            for &source in incoming.to(row) {
                if !self.leads_back[source as usize] {
                    self.leads_back[source as usize] = true;
                    pending.push(source);
                }
            }
        }
        Ok(())
    }

    /// Rows near a row, nearest first, among those that can be reached; not the row itself.
    fn near(&mut self, row: u32) -> Vec<u32> {
        let reached = |&guide: &u32| self.parents[guide as usize] != NONE;
        let guides = self.layers.guides.iter().copied().filter(reached);
        let guides: Vec<u32> = guides.collect();
        nearest_to_row_from(
            &*self.layers,
            self.set,
            row,
            (self.layers.entry, &guides),
            self.ef,
            &mut self.scratch,
        );
        let found = self.scratch.neighbors(self.ef).into_iter();
        found
            .map(|neighbor| neighbor.row)
            .filter(|&near| near != row)
            .collect()
    }

    fn has_free_slot(&self, row: u32) -> bool {
        self.layers.on_ground(row).len() < self.layers.capacity(0)
    }

    /// Adds a link, in place of the farthest that is no tree link if all slots are taken; false if
    /// every slot holds a tree link.
    fn link(&mut self, from: u32, to: u32) -> bool {
        let mut links = self.layers.on_ground(from).to_vec();
        if !self.has_free_slot(from) {
            let mut distances = Vec::with_capacity(links.len());
            Gauge::of_row(self.set, from).distances(&links, &mut distances);
            let spare = (0..links.len())
                .filter(|&slot| self.parents[links[slot] as usize] != from)
                .max_by(|&a, &b| distances[a].total_cmp(&distances[b]));
            let Some(spare) = spare else {
                return false;
            };
            links.swap_remove(spare);
            self.audit.links_dropped += 1;
        }
        links.push(to);
        self.layers.set_links(from, 0, links);
        self.audit.links_added += 1;
        true
    }
}

/// Searches for evenly spread rows by their own vectors: how many, and the share that found a row at
/// least as near as itself.
fn self_recall(layers: &Layers, set: &VectorSet) -> (u32, f64) {
    let step = layers.len().div_ceil(SAMPLE).max(1);
    let mut scratch = Scratch::default();
    let (mut sampled, mut found) = (0_u32, 0_u32);
    for row in (0..layers.rows()).step_by(step) {
        sampled += 1;
        found += u32::from(finds_itself(layers, set, row, &mut scratch));
    }
    (sampled, f64::from(found) / f64::from(sampled.max(1)))
}

/// Whether a search for a row finds it, or one at least as near. A build over a mapped file has read the vectors by
/// now and needs only codes: vectors are compared where codes leave it open, so that the file is not brought into
/// memory by its audit.
fn finds_itself(layers: &Layers, set: &VectorSet, row: u32, scratch: &mut Scratch) -> bool {
    let (own, margin) = nearest_to_row(layers, set, row, SAMPLE_EF, scratch);
    let found = scratch.neighbors(SAMPLE_EF);
    if found.iter().any(|near| near.row == row) {
        return true;
    }
    let Some(best) = found.first() else {
        return false;
    };
    let open = (best.distance - own).abs() <= margin;
    if open {
        set.between(row, best.row) <= set.between(row, row)
    } else {
        best.distance < own
    }
}
