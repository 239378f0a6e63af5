//! Vectors that are there already, by the text that they are of.
//!
//! The same model makes the same vector of the same text, so a text whose digest is known need not be embedded again.
//! Known are the vectors of the index that is made anew (`append/merge.rs`) and those that an earlier attempt has left on
//! this machine (`parts.rs`). Digests are cut to 128 bits: of a trillion texts two have the same one with a probability
//! of about 10^-15, unless somebody tries; who writes texts of a dataset may spoil his own vectors only.
//!
//! Absent here: whether vectors are of the model at hand, which whoever adds them has to know.

use std::collections::HashMap;

use boathouse_types::Dimension;
use boathouse_vector::table::{TextDigest, VectorTable};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How the vectors of a base came to be when its dataset was read the last time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Embeddings {
    /// Vectors that the embedder made.
    pub embedded: u64,
    /// Vectors of texts that had not changed, which were there already.
    pub reused: u64,
}

/// Vectors of one model by the digests of their texts.
#[derive(Debug)]
pub(in crate::indexes) struct Known {
    dimension: Dimension,
    tables: Vec<VectorTable>,
    /// The table and the row of each.
    places: HashMap<TextDigest, (usize, usize)>,
}

impl Known {
    /// None of a model whose vectors have so many components.
    pub(in crate::indexes) fn new(dimension: Dimension) -> Self {
        Self {
            dimension,
            tables: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// Components of each vector.
    pub(super) fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// Adds those vectors of a table whose texts are told. One with vectors of another length is passed over.
    pub(in crate::indexes) fn add(&mut self, table: VectorTable) {
        if table.dimension() != self.dimension {
            return;
        }
        let number = self.tables.len();
        let before = self.places.len();
        let digests = table.origins().map(|origin| origin.text_digest);
        for (row, digest) in digests.enumerate() {
            if let Some(digest) = digest {
                self.places.entry(digest).or_insert((number, row));
            }
        }
        if self.places.len() > before {
            self.tables.push(table);
        }
    }

    /// The vector of a text.
    pub(super) fn get(&self, digest: &TextDigest) -> Option<&[f32]> {
        let (table, row) = self.places.get(digest)?;
        Some(self.tables.get(*table)?.vector(*row))
    }
}

/// What a text is known by.
pub(super) fn digest_of(text: &str) -> TextDigest {
    let digest = Sha256::digest(text.as_bytes());
    let mut first = TextDigest::default();
    first.copy_from_slice(&digest[..size_of::<TextDigest>()]);
    first
}

#[cfg(test)]
mod tests {
    use boathouse_vector::table::Origin;

    use super::*;

    /// Vectors of texts, told by numbers; those of empty texts have no digest.
    fn table(texts: &[(&str, f32)]) -> VectorTable {
        let mut table = VectorTable::new(Dimension::new(2).unwrap());
        for (row, (text, number)) in (0..).zip(texts) {
            let origin = Origin {
                doc_id: "a",
                row,
                span: None,
                text_digest: (!text.is_empty()).then(|| digest_of(text)),
            };
            table.push_from(&origin, &[*number, 0.0]).unwrap();
        }
        table
    }

    #[test]
    fn a_text_is_found_by_its_digest_and_the_first_vector_of_it_counts() {
        let mut known = Known::new(Dimension::new(2).unwrap());
        known.add(table(&[("bread", 1.0), ("", 2.0), ("ships", 3.0)]));
        known.add(table(&[("ships", 9.0), ("oven", 4.0)]));
        known.add(table(&[("", 5.0)]));
        let found = |text| known.get(&digest_of(text)).map(|vector| vector[0]);
        let texts = ["bread", "ships", "oven", "", "Bread"];
        let expected = [Some(1.0), Some(3.0), Some(4.0), None, None];
        assert_eq!(texts.map(found), expected);
        assert_eq!(known.tables.len(), 2, "one without digests is not kept");
    }

    #[test]
    fn vectors_of_another_length_are_passed_over() {
        let mut known = Known::new(Dimension::new(3).unwrap());
        known.add(table(&[("bread", 1.0)]));
        assert!(known.get(&digest_of("bread")).is_none());
    }

    #[test]
    fn a_digest_is_the_beginning_of_sha_256() {
        let abc = [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea];
        assert_eq!(digest_of("abc")[..8], abc);
    }
}
