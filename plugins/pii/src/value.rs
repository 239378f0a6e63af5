//! One value and the count of its bytes by class, taken in one pass.
//!
//! Kinds look at the counts first and leave at once when the value cannot be theirs; only then do
//! they parse. Nothing is allocated. Of a long value only the first [`LOOK`] bytes are read.

/// Most bytes of a value that are looked at; free text says what it is well before that.
pub(crate) const LOOK: usize = 1024;

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

const CLASSES: usize = Class::Other as usize + 1;

/// Class of every byte, as an index into the counts.
const CLASS_OF: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        #[expect(clippy::cast_possible_truncation, reason = "the index stays below 256")]
        let class = class_of(byte as u8);
        table[byte] = class as u8;
        byte += 1;
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

/// A trimmed value with its counts.
#[derive(Debug)]
pub(crate) struct Value<'a> {
    /// The first [`LOOK`] bytes, cut on a character boundary, without surrounding white space.
    pub(crate) text: &'a str,
    counts: [u16; CLASSES],
}

impl<'a> Value<'a> {
    /// Reads a value; `None` when it is blank or stands for a missing one.
    pub(crate) fn new(raw: &'a str) -> Option<Self> {
        let text = raw[..raw.floor_char_boundary(LOOK)].trim();
        let missing = |word: &&str| text.eq_ignore_ascii_case(word);
        if text.is_empty() || (text.len() <= 9 && PLACEHOLDERS.iter().any(missing)) {
            return None;
        }
        let mut counts = [0; CLASSES];
        for &byte in text.as_bytes() {
            counts[usize::from(CLASS_OF[usize::from(byte)])] += 1;
        }
        Some(Self { text, counts })
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

    /// Pieces between white space, brackets, quotes and list separators.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let edge = |c: char| {
            c.is_whitespace()
                || matches!(
                    c,
                    '<' | '>'
                        | '('
                        | ')'
                        | '['
                        | ']'
                        | '{'
                        | '}'
                        | ','
                        | ';'
                        | '"'
                        | '\''
                        | '|'
                        | '='
                )
        };
        self.text.split(edge).filter(|piece| !piece.is_empty())
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
