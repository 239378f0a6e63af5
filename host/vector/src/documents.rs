//! Where vectors came from: the name of the document of each, and its row in the dataset.
//!
//! Names lie one behind the other in one text, with the place where each ends, and not as a string each: a
//! hundred thousand of them are two allocations, or none when they are lent by a mapped file. Both kinds of
//! list are cheap to clone: clones share what they hold.

use std::{fmt, ops::Deref, sync::Arc};

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
    #[should_panic(expected = "index out of bounds")]
    fn there_is_no_name_behind_the_last() {
        let ids: DocIds = ["a"].iter().collect();
        let _ = ids.get(1);
    }
}
