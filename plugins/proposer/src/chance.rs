//! SplitMix64, the generator of Steele, Lea and Flood, "Fast splittable pseudorandom number
//! generators" (OOPSLA 2014), with the constants of Stafford's variant 13 as in Vigna's reference
//! code. Any seed is a good one, also small consecutive ones. Not for secrets.

/// A generator of 64-bit numbers.
pub(crate) struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in 0..1, on multiples of 2^-53.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform below `bound`, which is at most 2^32; off uniform by less than `bound` / 2^32.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((self.next() >> 32) * bound) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First outputs of the reference code for seed 1234567.
    #[test]
    fn agrees_with_the_reference() {
        let mut chance = SplitMix64::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| chance.next()), expected);
    }

    #[test]
    fn draws_stay_within_their_bounds_and_reach_them() {
        let mut chance = SplitMix64::new(0);
        let mut seen = [false; 3];
        for _ in 0..200 {
            assert!((0.0..1.0).contains(&chance.unit()));
            seen[chance.below(3) as usize] = true;
            assert!(chance.below(1 << 32) < 1 << 32);
            assert_eq!(chance.below(1), 0);
        }
        assert_eq!(seen, [true; 3]);
    }
}
