//! What is known of a word: one look answers for every list.
//!
//! The lists under `data/` (given names, family names, places, ordinary words and so on) are melted
//! into one hash table by the build script: a word becomes a slot, a 21-bit fingerprint and a flag a
//! list, so that a word costs one or two memory accesses and the component carries no text. A word
//! that is on no list is mistaken for one that is about once in ten million. An instance serves one
//! call, so nothing is built at start.

mod hash;

use crate::fold::fold_char;
use hash::{FLAG_BITS, Hash};

include!(concat!(env!("OUT_DIR"), "/lexicon.rs"));

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
        let mut hash = Hash::new();
        for c in text.chars() {
            if c.is_ascii() {
                hash.push(c.to_ascii_lowercase() as u8);
                continue;
            }
            fold_char(c, |folded| {
                let mut encoded = [0; 4];
                for byte in folded.encode_utf8(&mut encoded).bytes() {
                    hash.push(byte);
                }
            });
        }
        Self::at(hash)
    }

    fn at(hash: Hash) -> Self {
        let (mut slot, fingerprint) = hash.place(SLOTS_LOG2);
        loop {
            let entry = TABLE.get(slot * 4..slot * 4 + 4);
            let entry = entry.and_then(|bytes| bytes.try_into().ok());
            let entry = entry.map_or(0, u32::from_le_bytes);
            if entry == 0 {
                return Self(0);
            }
            if entry >> FLAG_BITS == fingerprint >> FLAG_BITS {
                return Self(entry & ((1 << FLAG_BITS) - 1));
            }
            slot = (slot + 1) & ((1 << SLOTS_LOG2) - 1);
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

#[cfg(test)]
mod tests {
    use super::*;

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
