//! The hash of the lexicon, shared with the build script that writes it.
//!
//! FNV-1a over the folded bytes (Fowler, Noll, Vo), then a multiply and two shifts, so that the upper
//! bits, which choose the slot, and the lower ones, which are the fingerprint, are both well mixed.

/// Bits of an entry that hold flags; the rest is the fingerprint.
pub(crate) const FLAG_BITS: u32 = 11;

/// A hash in the making.
#[derive(Clone, Copy)]
pub(crate) struct Hash(u64);

impl Hash {
    /// The hash of nothing.
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Takes in a byte.
    pub(crate) const fn push(&mut self, byte: u8) {
        self.0 = (self.0 ^ byte as u64).wrapping_mul(0x0100_0000_01b3);
    }

    /// The slot in a table of `2^log2` slots, and the fingerprint above the flags.
    pub(crate) const fn place(self, log2: u32) -> (usize, u32) {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = mixed ^ (mixed >> 29);
        let slot = (mixed >> (64 - log2)) as usize;
        (slot, (mixed as u32) << FLAG_BITS)
    }
}
