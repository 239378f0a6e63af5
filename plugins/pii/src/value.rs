//! One value, its bytes counted by class and its mask, taken in one pass.
//!
//! Kinds look at the counts first and leave at once when the value cannot be theirs; only then do
//! they parse. The mask of a short value (`99-A9` for `12-B3`) finds every number form that it could
//! be with one comparison. Nothing is allocated. Of a long value only the first [`LOOK`] bytes are read.
//!
//! The pass goes over eight bytes at a time ([`crate::eight`]), which tells digits, letters and bytes beyond
//! ASCII from the rest; only that rest, a few marks in most values, is looked at byte by byte. Inside
//! WebAssembly, where every turn of a loop also looks at the host's clock, this is worth more than half.

use crate::eight::{self, Sorted};

/// Most bytes of a value that are looked at; free text says what it is well before that.
pub(crate) const LOOK: usize = 1024;

/// Longest value that has a mask, in bytes.
pub(crate) const MASKED: usize = 40;

/// Class of a byte. Bytes of characters beyond ASCII are `High`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Digit,
    Upper,
    Lower,
    High,
    Space,
    At,
    Dot,
    Colon,
    Dash,
    Slash,
    Plus,
    Other,
}

/// Bytes that end a piece.
const EDGES: [bool; 256] = {
    let edges = b" \t\n\r<>()[]{},;\"'|=";
    let mut table = [false; 256];
    let mut at = 0;
    while at < edges.len() {
        table[edges[at] as usize] = true;
        at += 1;
    }
    table
};

/// Class of every byte that is neither digit nor letter nor beyond ASCII.
const MARKS: [Class; 128] = {
    let mut table = [Class::Other; 128];
    let marks = [
        (b' ', Class::Space),
        (b'\t', Class::Space),
        (b'\n', Class::Space),
        (b'\r', Class::Space),
        (b'@', Class::At),
        (b'.', Class::Dot),
        (b':', Class::Colon),
        (b'-', Class::Dash),
        (b'/', Class::Slash),
        (b'+', Class::Plus),
    ];
    let mut at = 0;
    while at < marks.len() {
        table[marks[at].0 as usize] = marks[at].1;
        at += 1;
    }
    table
};

/// Number of classes.
const CLASSES: usize = Class::Other as usize + 1;

/// Words that stand for a missing value.
const PLACEHOLDERS: [&str; 14] = [
    "-",
    "--",
    "?",
    ".",
    "n/a",
    "na",
    "nan",
    "nat",
    "nil",
    "none",
    "null",
    "unknown",
    "missing",
    "undefined",
];

/// A trimmed value with its counts and its mask.
#[derive(Debug)]
pub(crate) struct Value<'a> {
    /// The first [`LOOK`] bytes, cut on a character boundary, without surrounding white space.
    pub(crate) text: &'a str,
    counts: [u16; CLASSES],
    mask: Mask,
    digits_at: u64,
    marks_at: u64,
    longest_piece: usize,
}

/// A mask, eight bytes a word, padded with zeros.
pub(crate) type Mask = [u64; MASKED / 8];

impl<'a> Value<'a> {
    /// Reads a value; `None` when it is blank or stands for a missing one.
    pub(crate) fn new(raw: &'a str) -> Option<Self> {
        let text = trimmed(&raw[..raw.floor_char_boundary(LOOK)]);
        if text.is_empty() || is_placeholder(text) {
            return None;
        }
        let mut value = Self {
            text,
            counts: [0; CLASSES],
            mask: [0; MASKED / 8],
            digits_at: 0,
            marks_at: 0,
            longest_piece: 0,
        };
        value.read();
        Some(value)
    }

    fn read(&mut self) {
        let bytes = self.text.as_bytes();
        let mut piece = 0;
        for (at, part) in bytes.chunks(64).enumerate() {
            let [mut digits, mut upper, mut lower, mut high] = [0_u64; 4];
            for at in 0..part.len().div_ceil(8) {
                let sorted = Sorted::of(eight::load(part, 8 * at));
                digits |= eight::places(sorted.digits) << (8 * at);
                upper |= eight::places(sorted.upper) << (8 * at);
                lower |= eight::places(sorted.lower) << (8 * at);
                high |= eight::places(sorted.high) << (8 * at);
                if let Some(word) = self.mask.get_mut(at).filter(|_| bytes.len() <= MASKED) {
                    *word = sorted.mask();
                }
            }
            let classes = [
                (Class::Digit, digits),
                (Class::Upper, upper),
                (Class::Lower, lower),
                (Class::High, high),
            ];
            for (class, places) in classes {
                self.add(class, places.count_ones());
            }
            let all = u64::MAX >> (64 - part.len());
            let marks = all & !(digits | upper | lower | high);
            if at == 0 {
                (self.digits_at, self.marks_at) = (digits, marks);
            }
            piece = self.marks(64 * at, marks, piece);
        }
        self.longest_piece = self.longest_piece.max(bytes.len() - piece);
    }

    /// Counts the marks at some places from `base` on; gives where the piece behind the last edge begins.
    fn marks(&mut self, base: usize, mut places: u64, mut piece: usize) -> usize {
        let bytes = self.text.as_bytes();
        while places != 0 {
            let at = base + places.trailing_zeros() as usize;
            places &= places - 1;
            let byte = usize::from(bytes[at]);
            self.add(MARKS[byte % MARKS.len()], 1);
            if EDGES[byte] {
                self.longest_piece = self.longest_piece.max(at - piece);
                piece = at + 1;
            }
        }
        piece
    }

    fn add(&mut self, class: Class, count: u32) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a value has 1024 bytes at most"
        )]
        let count = count as u16;
        self.counts[class as usize] += count;
    }

    /// The value with `9` for every digit and `A` for every letter of ASCII; zeros when it is long.
    pub(crate) fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Whether so many digits may stand together, with one mark at most between any two; always, when the
    /// value is long.
    pub(crate) fn may_have_run(&self, digits: u32) -> bool {
        let between = self.digits_at << 1 & self.digits_at >> 1 & self.marks_at;
        let mut run = self.digits_at | between;
        for _ in 1..digits {
            run &= run >> 1;
        }
        run != 0 || self.text.len() > 64
    }

    /// Which of the first 64 bytes are digits, the first byte in the lowest bit.
    pub(crate) fn digits_at(&self) -> u64 {
        self.digits_at
    }

    /// Number of bytes of a class.
    pub(crate) fn count(&self, class: Class) -> usize {
        usize::from(self.counts[class as usize])
    }

    /// Number of bytes of letters, counting every byte beyond ASCII as one.
    pub(crate) fn letters(&self) -> usize {
        self.count(Class::Upper) + self.count(Class::Lower) + self.count(Class::High)
    }

    /// Number of digits.
    pub(crate) fn digits(&self) -> usize {
        self.count(Class::Digit)
    }

    /// Pieces of so many bytes or more, at least one, between white space, brackets, quotes and list
    /// separators of ASCII.
    pub(crate) fn pieces(&self, least: usize) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = if self.longest_piece < least {
            ""
        } else {
            self.text
        };
        let pieces = std::iter::from_fn(move || {
            let edge = |byte: &u8| EDGES[usize::from(*byte)];
            let start = rest.bytes().position(|byte| !edge(&byte))?;
            let inner = &rest[start..];
            let end = inner.as_bytes().iter().position(edge);
            let end = end.unwrap_or(inner.len());
            rest = &inner[end..];
            Some(&inner[..end])
        });
        pieces.filter(move |piece| piece.len() >= least)
    }
}

/// Without white space at its ends, which most values do not have.
fn trimmed(text: &str) -> &str {
    let ends = [text.as_bytes().first(), text.as_bytes().last()];
    if ends.iter().flatten().all(|byte| byte.is_ascii_graphic()) {
        text
    } else {
        text.trim()
    }
}

fn is_placeholder(text: &str) -> bool {
    let first = text.as_bytes().first();
    let possible = first.is_some_and(|first| b"-?.nNuUmM".contains(first));
    possible
        && text.len() <= 9
        && PLACEHOLDERS
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_by_class() {
        let value = Value::new(" Zoë+1 @x.y:/-_ ").expect("has text");
        assert_eq!(value.text, "Zoë+1 @x.y:/-_");
        let counts = [
            (Class::Digit, 1),
            (Class::Upper, 1),
            (Class::Lower, 3),
            (Class::High, 2),
            (Class::Space, 1),
            (Class::At, 1),
            (Class::Dot, 1),
            (Class::Colon, 1),
            (Class::Dash, 1),
            (Class::Slash, 1),
            (Class::Plus, 1),
            (Class::Other, 1),
        ];
        for (class, count) in counts {
            assert_eq!(value.count(class), count, "{class:?}");
        }
        assert_eq!(value.letters(), 6);
    }

    #[test]
    fn long_values_are_counted_without_overflow_and_have_no_mask() {
        let value = "7".repeat(LOOK);
        let value = Value::new(&value).expect("has text");
        assert_eq!((value.digits(), value.mask()), (LOOK, &Mask::default()));
    }

    #[test]
    fn a_mask_keeps_separators() {
        let mask = |text: &str| {
            let value = Value::new(text).expect("has text");
            let bytes = value.mask().iter().flat_map(|word| word.to_le_bytes());
            bytes.take_while(|byte| *byte != 0).collect::<Vec<u8>>()
        };
        assert_eq!(mask("12-b3.Z"), b"99-A9.A");
        assert_eq!(mask(" 1 "), b"9");
        assert_eq!(mask("a2345678:é"), "A9999999:é".as_bytes());
        assert_eq!(mask(&"1".repeat(40)).len(), 40);
        assert_eq!(mask(&"1".repeat(41)).len(), 0);
    }

    #[test]
    fn one_pass_finds_what_a_look_at_every_byte_finds() {
        let soup = "aZ09é \t-./:@+,;()[]{}<>|&'\"=#_\0\u{7f}";
        let letters: Vec<char> = soup.chars().collect();
        for length in 1..200_usize {
            let place = |at: usize| letters[(at * at + 7 * length + at / 3) % letters.len()];
            let text: String = (0..length).map(place).collect();
            let Some(value) = Value::new(&text) else {
                continue;
            };
            let bytes = value.text.as_bytes();
            let count = |is: fn(&u8) -> bool| bytes.iter().filter(|byte| is(byte)).count();
            assert_eq!(value.digits(), count(u8::is_ascii_digit), "{text}");
            assert_eq!(value.count(Class::Upper), count(u8::is_ascii_uppercase));
            assert_eq!(value.count(Class::Lower), count(u8::is_ascii_lowercase));
            assert_eq!(value.count(Class::High), count(|byte| *byte >= 128));
            assert_eq!(value.count(Class::Dash), count(|byte| *byte == b'-'));
            let spaces = count(|byte| b" \t\n\r".contains(byte));
            assert_eq!(value.count(Class::Space), spaces, "{text}");
            let total: u16 = value.counts.iter().sum();
            assert_eq!(usize::from(total), bytes.len(), "{text}");
            let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
            assert!((0..64).all(|at| digit(at) == (value.digits_at() >> at & 1 == 1)));
            let longest = value.pieces(1).map(str::len).max().unwrap_or(0);
            assert_eq!(value.longest_piece, longest, "{text}");
        }
    }

    #[test]
    fn runs_of_digits_are_seen() {
        let run = |text: &str| Value::new(text).expect("has text").may_have_run(12);
        assert!(run("4111 1111-1111x"));
        assert!(run("at 123456789012"));
        assert!(run(&format!("{}1", "a".repeat(64))), "too long to tell");
        assert!(run(&format!("{}123456789012", "a".repeat(52))));
        assert!(!run("12345678901"));
        assert!(!run("123456a789012"));
        assert!(!run("123456  789012"));
    }

    #[test]
    fn pieces_stand_between_edges() {
        let value = Value::new("to <é@b.c>, (x=1); \"y\"").expect("has text");
        let pieces: Vec<&str> = value.pieces(1).collect();
        assert_eq!(pieces, ["to", "é@b.c", "x", "1", "y"]);
        assert_eq!(value.pieces(2).collect::<Vec<_>>(), ["to", "é@b.c"]);
        assert_eq!(value.pieces(7).count(), 0);
        let bare = Value::new("[()]").expect("has text");
        assert_eq!(bare.pieces(1).count(), 0);
    }

    #[test]
    fn missing_values_are_not_values() {
        for missing in ["", "  \t", "N/A", "null", "-", "Unknown"] {
            assert!(Value::new(missing).is_none(), "{missing:?}");
        }
        assert!(Value::new("Nanna").is_some());
    }

    #[test]
    fn a_long_value_is_cut_on_a_character() {
        let long = "é".repeat(1 << 19) + "x";
        let value = Value::new(&long).expect("has text");
        assert_eq!(value.text.len(), LOOK);
        let odd = "x".to_owned() + &long;
        assert_eq!(Value::new(&odd).expect("has text").text.len(), LOOK - 1);
    }
}
