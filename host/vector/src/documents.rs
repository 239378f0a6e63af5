//! Where vectors came from: the name of the document of each, its row in the dataset, and the part of its text.
//!
//! A document may have several vectors, one for each piece of its text. They follow one another and have the same name
//! and the same row, and no document beside them has that row: so what is one document is told by the rows alone.
//!
//! Names lie one behind the other in one text, with the place where each ends, and not as a string each: a
//! hundred thousand of them are two allocations, or none when they are lent by a mapped file. Both kinds of
//! list are cheap to clone: clones share what they hold.

use std::{
    fmt,
    ops::{Deref, Range},
    sync::Arc,
};

use crate::held::Held;

/// Names of documents, by the row of their vector.
#[derive(Clone, Default)]
pub struct DocIds(Arc<Names>);

/// Invariant: the ends ascend, lie on boundaries of characters, and the last is the length of the text.
#[derive(Clone, Default)]
struct Names {
    ends: Held<[u64]>,
    text: Held<str>,
}

impl DocIds {
    /// Names that lie one behind the other in a text; none when they do not end where that is said.
    pub(crate) fn of_parts(ends: Held<[u64]>, text: Held<str>) -> Option<Self> {
        let ascend = ends.is_sorted() && ends.last().map_or(0, |&end| end) == text.len() as u64;
        // Both fit: they are at most the length of the text.
        let cut = ascend && ends.iter().all(|&end| text.is_char_boundary(end as usize));
        cut.then(|| Self(Arc::new(Names { ends, text })))
    }

    /// Where each name ends, and the text.
    pub(crate) fn parts(&self) -> (&[u64], &str) {
        (&self.0.ends, &self.0.text)
    }

    /// Number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// The name of a row.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> &str {
        let start = row.checked_sub(1).map_or(0, |before| self.0.ends[before]);
        &self.0.text[start as usize..self.0.ends[row] as usize]
    }

    /// The names in the order of their rows.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        (0..self.len()).map(|row| self.get(row))
    }

    /// Adds a name for the next row. Clones keep what they have, for which all is copied if there are any.
    pub fn push(&mut self, name: &str) {
        let names = Arc::make_mut(&mut self.0);
        let text = names.text.to_mut();
        text.push_str(name);
        names.ends.to_mut().push(text.len() as u64);
    }

    /// Bytes of the names.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of_val::<[u64]>(&self.0.ends) + self.0.text.len()
    }
}

impl<Name: AsRef<str>> FromIterator<Name> for DocIds {
    fn from_iter<I: IntoIterator<Item = Name>>(names: I) -> Self {
        let mut ids = Self::default();
        ids.extend(names);
        ids
    }
}

impl<Name: AsRef<str>> Extend<Name> for DocIds {
    fn extend<I: IntoIterator<Item = Name>>(&mut self, names: I) {
        for name in names {
            self.push(name.as_ref());
        }
    }
}

impl PartialEq for DocIds {
    fn eq(&self, other: &Self) -> bool {
        *self.0.ends == *other.0.ends && *self.0.text == *other.0.text
    }
}

impl fmt::Debug for DocIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocIds({} names)", self.len())
    }
}

/// Rows of the dataset, by the row of the vector: a slice that is cheap to clone.
#[derive(Clone, Default)]
pub struct DocRows(Arc<Held<[u64]>>);

impl DocRows {
    pub(crate) fn of(rows: Held<[u64]>) -> Self {
        Self(Arc::new(rows))
    }

    /// Whether a vector is the first of its document.
    ///
    /// # Panics
    /// When there is no such vector.
    #[inline]
    #[must_use]
    pub fn begins(&self, at: usize) -> bool {
        begins(self, at)
    }

    /// Number of documents.
    #[must_use]
    pub fn documents(&self) -> usize {
        documents(self)
    }

    /// The vectors of the document that a vector is of.
    ///
    /// # Panics
    /// When there is no such vector.
    #[must_use]
    pub fn document_of(&self, at: usize) -> Range<usize> {
        let own = self[at];
        let before = self[..at].iter().rev();
        let before = before.take_while(|row| **row == own).count();
        let behind = self[at..].iter().take_while(|row| **row == own);
        at - before..at + behind.count()
    }
}

fn begins(rows: &[u64], at: usize) -> bool {
    at == 0 || rows[at - 1] != rows[at]
}

/// Number of documents whose vectors have these rows.
pub(crate) fn documents(rows: &[u64]) -> usize {
    (0..rows.len()).filter(|at| begins(rows, *at)).count()
}

/// The part of its text that a vector stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first character (Unicode scalar value), counted from 0.
    pub start: u32,
    /// The character behind its last one.
    pub end: u32,
}

/// Parts of texts, by the row of the vector: cheap to clone.
///
/// Invariant: there are as many starts as ends.
#[derive(Clone, Default)]
pub struct Spans(Arc<Held<[u32]>>);

impl Spans {
    /// Starts and ends in turn, two for each vector.
    pub(crate) fn of(bounds: Held<[u32]>) -> Self {
        Self(Arc::new(bounds))
    }

    /// Starts and ends in turn.
    pub(crate) fn bounds(&self) -> &[u32] {
        &self.0
    }

    /// The part that the vector of a row stands for.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> Span {
        Span {
            start: self.0[2 * row],
            end: self.0[2 * row + 1],
        }
    }

    /// Bytes of the numbers.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of_val::<[u32]>(&self.0)
    }
}

impl FromIterator<Span> for Spans {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let spans = spans.into_iter();
        let bounds = spans.flat_map(|span| [span.start, span.end]);
        Self::of(Held::Own(bounds.collect()))
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spans({} vectors)", self.0.len() / 2)
    }
}

impl From<Vec<u64>> for DocRows {
    fn from(rows: Vec<u64>) -> Self {
        Self::of(Held::Own(rows))
    }
}

impl Deref for DocRows {
    type Target = [u64];

    #[inline]
    fn deref(&self) -> &[u64] {
        &self.0
    }
}

impl fmt::Debug for DocRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocRows({} rows)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_by_row_whatever_they_are() {
        let names = ["", "a", "", "\u{1f6f6} \0\n", "b", ""];
        let ids: DocIds = names.iter().collect();
        assert_eq!(ids.len(), names.len());
        assert!(ids.iter().eq(names));
        assert_eq!(ids.get(3), names[3]);
        assert!(DocIds::default().is_empty() && DocIds::default().iter().next().is_none());
    }

    #[test]
    fn names_that_run_together_are_told_apart() {
        let split = |names: [&str; 2]| names.into_iter().collect::<DocIds>();
        assert_ne!(split(["ab", "c"]), split(["a", "bc"]));
        assert_eq!(split(["ab", "c"]), split(["ab", "c"]));
    }

    #[test]
    fn a_clone_keeps_what_it_has() {
        let mut ids: DocIds = ["a"].iter().collect();
        let before = ids.clone();
        ids.push("b");
        assert_eq!((before.len(), ids.len()), (1, 2));
    }

    #[test]
    fn vectors_that_follow_one_another_with_one_row_are_one_document() {
        let rows: DocRows = vec![4, 4, 4, 1, 9, 9].into();
        let begins: Vec<bool> = (0..6).map(|at| rows.begins(at)).collect();
        assert_eq!(begins, [true, false, false, true, true, false]);
        assert_eq!(rows.documents(), 3);
        let documents: Vec<_> = (0..6).map(|at| rows.document_of(at)).collect();
        assert_eq!(documents, [0..3, 0..3, 0..3, 3..4, 4..6, 4..6]);
        assert_eq!(DocRows::default().documents(), 0);
    }

    #[test]
    fn spans_come_back_by_row() {
        let all = [(0, 50), (40, 90), (7, 7)].map(|(start, end)| Span { start, end });
        let spans: Spans = all.into_iter().collect();
        assert_eq!([0, 1, 2].map(|row| spans.get(row)), all);
        assert_eq!(spans.memory_bytes(), 24);
    }

    #[test]
    #[should_panic(expected = "index out of bounds")]
    fn there_is_no_name_behind_the_last() {
        let ids: DocIds = ["a"].iter().collect();
        let _ = ids.get(1);
    }
}
