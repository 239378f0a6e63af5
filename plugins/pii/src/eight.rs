//! Eight bytes of a text at a time, in one word, the first byte lowest.
//!
//! What is asked of each byte is answered in the top bit of its lane, by one addition for all eight: the
//! low seven bits plus `128 - c` carry into the top bit exactly when they are `c` or more. Lanes never carry
//! into each other. Nothing here depends on the processor.

/// A one in every lane.
const ONES: u64 = 0x0101_0101_0101_0101;

/// The top bit of every lane.
pub(crate) const TOPS: u64 = 0x80 * ONES;

/// The eight bytes from a place on, zeros behind the end.
pub(crate) fn load(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(whole) => u64::from_le_bytes(*whole),
        None => few(rest),
    }
}

/// Fewer than eight bytes. Halves may overlap, since equal bits meet.
fn few(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let last = u64::from(u32::from_le_bytes(*last));
        return u64::from(u32::from_le_bytes(*first)) | last << (8 * (bytes.len() - 4));
    }
    let one = |byte: u8, at: u32| u64::from(byte) << (8 * at);
    match *bytes {
        [a] => one(a, 0),
        [a, b] => one(a, 0) | one(b, 1),
        [a, b, c] => one(a, 0) | one(b, 1) | one(c, 2),
        _ => 0,
    }
}

/// Lanes whose low seven bits are `least` or more.
const fn from(low: u64, least: u8) -> u64 {
    low + ONES * (0x80 - least as u64)
}

/// The lanes of eight bytes by what is in them, in their top bits.
pub(crate) struct Sorted {
    word: u64,
    pub(crate) digits: u64,
    pub(crate) upper: u64,
    pub(crate) lower: u64,
    /// Bytes of characters beyond ASCII.
    pub(crate) high: u64,
}

impl Sorted {
    pub(crate) const fn of(word: u64) -> Self {
        let (low, plain) = (word & !TOPS, !word & TOPS);
        Self {
            word,
            digits: from(low, b'0') & !from(low, b'9' + 1) & plain,
            upper: from(low, b'A') & !from(low, b'Z' + 1) & plain,
            lower: from(low, b'a') & !from(low, b'z' + 1) & plain,
            high: word & TOPS,
        }
    }

    /// `9` for digits, `A` for letters, the rest itself.
    pub(crate) const fn mask(&self) -> u64 {
        let digits = whole(self.digits);
        let letters = whole(self.upper | self.lower);
        let rest = self.word & !(digits | letters);
        rest | (digits & (ONES * b'9' as u64)) | (letters & (ONES * b'A' as u64))
    }

    /// Capitals of ASCII made small.
    pub(crate) const fn lowered(&self) -> u64 {
        self.word | self.upper >> 2
    }
}

/// All bits of the lanes whose top bit is set.
const fn whole(tops: u64) -> u64 {
    (tops >> 7) * 0xff
}

/// The top bits side by side, the first lane in the lowest bit.
pub(crate) const fn places(tops: u64) -> u64 {
    // Each lane's bit meets its own factor at the bit where it belongs, and no two meet at one.
    (tops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_loaded_up_to_the_end() {
        let text: Vec<u8> = (1..=20).collect();
        for length in 0..=text.len() {
            for at in 0..=length + 1 {
                let mut expected = [0; 8];
                let rest = text[..length].get(at..).unwrap_or_default();
                for (place, byte) in expected.iter_mut().zip(rest) {
                    *place = *byte;
                }
                let loaded = load(&text[..length], at);
                assert_eq!(loaded.to_le_bytes(), expected, "{at} of {length}");
            }
        }
    }

    #[test]
    fn every_byte_is_sorted_in_every_lane() {
        for byte in 0..=u8::MAX {
            for lane in 0..8_u32 {
                // A neighbour that would carry, if lanes did.
                let others = !(0xff << (8 * lane));
                for around in [0, others, others & TOPS, others & (ONES * u64::from(b'Z'))] {
                    let word = around | u64::from(byte) << (8 * lane);
                    let sorted = Sorted::of(word);
                    let at = |tops: u64| places(tops) >> lane & 1 == 1;
                    assert_eq!(at(sorted.digits), byte.is_ascii_digit(), "{byte}");
                    assert_eq!(at(sorted.upper), byte.is_ascii_uppercase(), "{byte}");
                    assert_eq!(at(sorted.lower), byte.is_ascii_lowercase(), "{byte}");
                    assert_eq!(at(sorted.high), !byte.is_ascii(), "{byte}");
                    let masked = match byte {
                        b'0'..=b'9' => b'9',
                        b'a'..=b'z' | b'A'..=b'Z' => b'A',
                        other => other,
                    };
                    let lane = lane as usize;
                    assert_eq!(sorted.mask().to_le_bytes()[lane], masked);
                    let lowered = sorted.lowered().to_le_bytes()[lane];
                    assert_eq!(lowered, byte.to_ascii_lowercase());
                }
            }
        }
    }
}
