//! Finding where a stretch of plain text ends, eight bytes at a time.
//!
//! Fields of tables are short, so what counts is that nothing is called and little is asked; no byte is looked at
//! alone but the last few. The tests for a zero byte and for a lesser byte in a word are those of S. E. Anderson,
//! "Bit Twiddling Hacks". They may mark bytes above one that is truly there, never below it, and the lowest mark
//! is the one that is taken.

/// A word of eight bytes of one.
const ONES: u64 = u64::MAX / 255;
/// The highest bit of each byte.
const HIGH: u64 = ONES << 7;

/// Bytes at which a stretch ends: some, and all below a bound of at most 128.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stops<const N: usize> {
    bytes: [u8; N],
    below: u8,
}

impl<const N: usize> Stops<N> {
    /// These bytes, and all below `below`.
    pub(super) const fn new(bytes: [u8; N], below: u8) -> Self {
        Self { bytes, below }
    }

    /// How many bytes stand before the first stop, or all that there are.
    #[inline]
    pub(super) fn before(&self, text: &[u8]) -> usize {
        let (words, rest) = text.as_chunks::<8>();
        for (at, word) in words.iter().enumerate() {
            let marks = self.marks(u64::from_le_bytes(*word));
            if marks != 0 {
                return at * 8 + marks.trailing_zeros() as usize / 8;
            }
        }
        let is_stop = |byte: &u8| *byte < self.below || self.bytes.contains(byte);
        let found = rest.iter().position(is_stop);
        text.len() - rest.len() + found.unwrap_or(rest.len())
    }

    /// The highest bit of bytes that are stops; the lowest of them is right.
    #[inline]
    fn marks(&self, word: u64) -> u64 {
        let lesser = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
        let same = |byte: &u8| lesser(word ^ (ONES * u64::from(*byte)), 1);
        let equal = self.bytes.iter().fold(0, |marks, byte| marks | same(byte));
        (equal | lesser(word, self.below)) & HIGH
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<const N: usize>(stops: Stops<N>, text: &[u8]) {
        let is_stop = |byte: &u8| *byte < stops.below || stops.bytes.contains(byte);
        let expected = text.iter().position(is_stop).unwrap_or(text.len());
        assert_eq!(stops.before(text), expected, "{text:?}");
    }

    proptest! {
        #[test]
        fn the_first_stop_is_found(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            check(Stops::new([b'"', b'\\'], 0x20), &text);
            check(Stops::new([b',', b'\r', b'\n'], 0), &text);
            check(Stops::new([0, 0x80, 0xFF], 0x80), &text);
        }

        #[test]
        fn also_among_bytes_that_differ_by_one(text in proptest::collection::vec(0x1E_u8..0x24, 0..40)) {
            check(Stops::new([b'"', b'\\'], 0x20), &text);
            check(Stops::new([0x21], 0), &text);
        }
    }
}
