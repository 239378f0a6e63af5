//! What is known of a word: one look answers for every list.
//!
//! The lists under `data/` (given names, family names, places, ordinary words and so on) are melted
//! into one hash table by the build script: a word becomes a bucket, a 21-bit fingerprint and a flag a
//! list, so that a word costs one memory access mostly and the component carries no text. A word
//! that is on no list is mistaken for one that is about once in ten million. An instance serves one
//! call, so nothing is built at start.

mod hash;

use crate::eight::{self, Sorted};
use crate::fold::Word;
use hash::{BUCKET, FLAG_BITS, Hash};

include!(concat!(env!("OUT_DIR"), "/lexicon.rs"));

/// The buckets one after another.
static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/lexicon.bin"));

/// The lists that a word stands on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Known(u32);

impl Known {
    /// A given name.
    pub(crate) const GIVEN: Self = Self(1);
    /// A family name.
    pub(crate) const SURNAME: Self = Self(1 << 1);
    /// A name that is also a place, colour, month, trade or other word.
    pub(crate) const DOUBTFUL: Self = Self(1 << 2);
    /// A word of organisations and of prose, which no name of a person has.
    pub(crate) const ORGANISATION: Self = Self(1 << 3);
    /// A word between the parts of a name, such as `van`.
    pub(crate) const PARTICLE: Self = Self(1 << 4);
    /// A word before or behind a name, such as `dr`.
    pub(crate) const TITLE: Self = Self(1 << 5);
    /// A city or town.
    pub(crate) const CITY: Self = Self(1 << 6);
    /// An ordinary English word.
    pub(crate) const ORDINARY: Self = Self(1 << 7);
    /// A word for a street that means little else.
    pub(crate) const STREET: Self = Self(1 << 8);
    /// Anything but a word for a street or in a header.
    pub(crate) const ANY_WORD: Self = Self((1 << 8) - 1);
    /// A word that occurs in names of columns.
    pub(crate) const OF_HEADERS: Self = Self(1 << 10);
    /// A word for a street that has other uses.
    pub(crate) const STREET_TOO: Self = Self(1 << 9);

    /// Looks a word, or several with single spaces between them, up without case and diacritics.
    pub(crate) fn of(text: &str) -> Self {
        let mut hash = Hash::new(text.len());
        for at in (0..text.len()).step_by(8) {
            let sorted = Sorted::of(eight::load(text.as_bytes(), at));
            if sorted.high != 0 {
                return Self::of_folded(text);
            }
            hash.push(sorted.lowered());
        }
        Self::at(hash)
    }

    /// The same of text that has more than ASCII. What is longer than any word is none.
    fn of_folded(text: &str) -> Self {
        let Some(word) = Word::fold(text) else {
            return Self::default();
        };
        let bytes = word.as_bytes();
        let mut hash = Hash::new(bytes.len());
        for at in (0..bytes.len()).step_by(8) {
            hash.push(eight::load(bytes, at));
        }
        Self::at(hash)
    }

    fn at(hash: Hash) -> Self {
        let (mut bucket, fingerprint) = hash.place(BUCKETS);
        loop {
            let entries = entries(bucket);
            let alike = |entry: &&u32| **entry >> FLAG_BITS == fingerprint >> FLAG_BITS;
            if let Some(entry) = entries.iter().find(alike) {
                return Self(entry & ((1 << FLAG_BITS) - 1));
            }
            // Places are taken in order.
            if entries[BUCKET - 1] == 0 {
                return Self(0);
            }
            bucket = if bucket + 1 < BUCKETS { bucket + 1 } else { 0 };
        }
    }

    /// Whether the word stands on any of the lists.
    pub(crate) const fn is(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    /// The lists of both.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The entries of a bucket, zeros at their end when it is not full.
fn entries(bucket: usize) -> [u32; BUCKET] {
    let start = bucket * BUCKET * 4;
    let bytes = TABLE.get(start..).and_then(<[u8]>::first_chunk);
    let bytes: [u8; BUCKET * 4] = bytes.copied().unwrap_or_default();
    std::array::from_fn(|at| {
        let entry = &bytes[4 * at..];
        entry
            .first_chunk()
            .map_or(0, |entry| u32::from_le_bytes(*entry))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::fold_char;

    #[test]
    fn words_are_known_without_case_and_marks() {
        assert!(Known::of("Maria").is(Known::GIVEN));
        assert!(Known::of("MÜLLER").is(Known::SURNAME));
        assert!(Known::of("иванов").is(Known::SURNAME));
        assert!(Known::of("New York").is(Known::CITY));
        assert!(Known::of("van").is(Known::PARTICLE));
        assert!(Known::of("brown").is(Known::DOUBTFUL));
        assert!(Known::of("Ltd").is(Known::ORGANISATION));
        assert!(Known::of("apple").is(Known::ORDINARY));
        for unknown in ["", "qxzzw", "maria ", "smith1", "\u{10ffff}", "💧"] {
            assert_eq!(Known::of(unknown), Known::default(), "{unknown}");
        }
    }

    #[test]
    fn strangers_are_seldom_mistaken() {
        let mistaken = (0..20_000).filter(|n| Known::of(&format!("qq{n}zx")) != Known::default());
        assert!(mistaken.count() <= 1);
    }

    #[test]
    fn lists_are_sorted_folded_and_without_repeats() {
        for (file, list) in LISTS {
            let words: Vec<&str> = list.lines().collect();
            assert!(words.is_sorted_by(|a, b| a < b), "{file}");
            for word in words {
                let mut folded = String::new();
                word.chars().for_each(|c| fold_char(c, |c| folded.push(c)));
                assert_eq!(folded, word, "{file}");
                assert!(Word::fold(word).is_some(), "{word} is too long for a look");
            }
        }
    }

    /// The lists themselves; the component carries the table only.
    const LISTS: [(&str, &str); 14] = [
        ("header_words", include_str!("../data/header_words.txt")),
        ("streets", include_str!("../data/streets.txt")),
        ("streets_fair", include_str!("../data/streets_fair.txt")),
        ("given_names", include_str!("../data/given_names.txt")),
        ("surnames", include_str!("../data/surnames.txt")),
        ("us_given_names", include_str!("../data/us_given_names.txt")),
        ("us_surnames", include_str!("../data/us_surnames.txt")),
        ("doubtful", include_str!("../data/doubtful.txt")),
        ("organisation", include_str!("../data/organisation.txt")),
        ("particles", include_str!("../data/particles.txt")),
        ("titles", include_str!("../data/titles.txt")),
        ("cities", include_str!("../data/cities.txt")),
        ("words", include_str!("../data/words.txt")),
        ("more_names", include_str!("../data/more_names.txt")),
    ];
}
