//! One value, its bytes counted by class and its mask, taken in one pass.
//!
//! Kinds look at the counts first and leave at once when the value cannot be theirs; only then do
//! they parse. The mask of a short value (`99-A9` for `12-B3`) finds every number form that it could
//! be with one comparison. Nothing is allocated. Of a long value only the first [`LOOK`] bytes are read.

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

/// Counters in a packed set: eight lanes of a byte each.
const LANES: usize = 8;

/// Most bytes that are counted before a lane could overflow.
const CHUNK: usize = 255;

/// One in the lane of a byte's class: classes up to the eighth in the first word.
const ONE_OF: [[u64; 2]; 256] = {
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < table.len() {
        #[expect(clippy::cast_possible_truncation, reason = "the index stays below 256")]
        let class = class_of(byte as u8) as usize;
        table[byte][class / LANES] = 1 << (8 * (class % LANES));
        byte += 1;
    }
    table
};

/// What stands for a byte in a mask.
const MASK_OF: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        #[expect(clippy::cast_possible_truncation, reason = "the index stays below 256")]
        let itself = byte as u8;
        table[byte] = match itself {
            b'0'..=b'9' => b'9',
            b'A'..=b'Z' | b'a'..=b'z' => b'A',
            _ => itself,
        };
        byte += 1;
    }
    table
};

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

const fn class_of(byte: u8) -> Class {
    match byte {
        b'0'..=b'9' => Class::Digit,
        b'A'..=b'Z' => Class::Upper,
        b'a'..=b'z' => Class::Lower,
        0x80.. => Class::High,
        b' ' | b'\t' | b'\n' | b'\r' => Class::Space,
        b'@' => Class::At,
        b'.' => Class::Dot,
        b':' => Class::Colon,
        b'-' => Class::Dash,
        b'/' => Class::Slash,
        b'+' => Class::Plus,
        _ => Class::Other,
    }
}

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
    counts: [u16; 2 * LANES],
    mask: [u8; MASKED],
}

impl<'a> Value<'a> {
    /// Reads a value; `None` when it is blank or stands for a missing one.
    pub(crate) fn new(raw: &'a str) -> Option<Self> {
        let text = raw[..raw.floor_char_boundary(LOOK)].trim();
        let missing = |word: &&str| text.eq_ignore_ascii_case(word);
        if text.is_empty() || (text.len() <= 9 && PLACEHOLDERS.iter().any(missing)) {
            return None;
        }
        let mut value = Self {
            text,
            counts: [0; 2 * LANES],
            mask: [0; MASKED],
        };
        for chunk in text.as_bytes().chunks(CHUNK) {
            value.count_in(chunk);
        }
        if text.len() <= MASKED {
            for (place, &byte) in value.mask.iter_mut().zip(text.as_bytes()) {
                *place = MASK_OF[usize::from(byte)];
            }
        }
        Some(value)
    }

    fn count_in(&mut self, chunk: &[u8]) {
        let mut sums = [0_u64; 2];
        for &byte in chunk {
            let [first, second] = ONE_OF[usize::from(byte)];
            sums[0] += first;
            sums[1] += second;
        }
        let lanes = sums.iter().flat_map(|sum| sum.to_le_bytes());
        for (count, lane) in self.counts.iter_mut().zip(lanes) {
            *count += u16::from(lane);
        }
    }

    /// The value with `9` for every digit and `A` for every letter of ASCII; empty when it is long.
    pub(crate) fn mask(&self) -> &[u8] {
        let length = self.text.len();
        self.mask.get(..length).unwrap_or_default()
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

    /// Pieces between white space, brackets, quotes and list separators of ASCII.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self.text;
        std::iter::from_fn(move || {
            let edge = |byte: &u8| EDGES[usize::from(*byte)];
            let start = rest.bytes().position(|byte| !edge(&byte))?;
            let inner = &rest[start..];
            let end = inner.as_bytes().iter().position(edge);
            let end = end.unwrap_or(inner.len());
            rest = &inner[end..];
            Some(&inner[..end])
        })
    }
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
        assert_eq!((value.digits(), value.mask()), (LOOK, &b""[..]));
    }

    #[test]
    fn a_mask_keeps_separators() {
        let mask = |text: &str| Value::new(text).map(|value| value.mask().to_vec());
        assert_eq!(mask("12-b3.Z").as_deref(), Some(&b"99-A9.A"[..]));
        assert_eq!(mask(" 1 ").as_deref(), Some(&b"9"[..]));
        assert_eq!(mask(&"1".repeat(40)).map(|mask| mask.len()), Some(40));
        assert_eq!(mask(&"1".repeat(41)).map(|mask| mask.len()), Some(0));
    }

    #[test]
    fn pieces_stand_between_edges() {
        let value = Value::new("to <é@b.c>, (x=1); \"y\"").expect("has text");
        let pieces: Vec<&str> = value.pieces().collect();
        assert_eq!(pieces, ["to", "é@b.c", "x", "1", "y"]);
        let bare = Value::new("[()]").expect("has text");
        assert_eq!(bare.pieces().count(), 0);
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
