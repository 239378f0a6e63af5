//! The hash of the lexicon, shared with the build script that writes it.
//!
//! Eight folded bytes at a time: a multiply by an odd constant and a shift, so that every bit reaches the
//! lower ones; at the end the same once more, so that the upper bits, which choose the bucket, and the lower
//! ones, which are the fingerprint, are both well mixed. The length goes in first, for the last word is
//! filled up with zeros.

/// Bits of an entry that hold flags; the rest is the fingerprint.
pub(crate) const FLAG_BITS: u32 = 11;

/// Entries of a bucket.
pub(crate) const BUCKET: usize = 4;

/// A hash in the making.
#[derive(Clone, Copy)]
pub(crate) struct Hash(u64);

impl Hash {
    /// The hash of a word of so many bytes, none of which it has seen yet.
    pub(crate) const fn new(length: usize) -> Self {
        Self(0xcbf2_9ce4_8422_2325 ^ length as u64)
    }

    /// Takes in eight bytes, the first lowest.
    pub(crate) const fn push(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.0 = mixed ^ (mixed >> 32);
    }

    /// The bucket, one of so many, and the fingerprint above the flags.
    pub(crate) const fn place(self, buckets: usize) -> (usize, u32) {
        let mixed = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = mixed ^ (mixed >> 29);
        let bucket = ((mixed >> 32) * buckets as u64) >> 32;
        (bucket as usize, (mixed as u32) << FLAG_BITS)
    }
}
