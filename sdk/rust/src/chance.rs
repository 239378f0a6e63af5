//! Chance for proposers, drawn from the seed that the host gives.
//!
//! A plugin has no entropy of its own: equal seeds give equal draws, which is what makes a proposal
//! repeatable. The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
//! number generators", OOPSLA 2014). Any seed is a good one, also small consecutive ones. It is not
//! for secrets.

/// A generator of numbers; equal seeds give equal numbers, on every machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// A generator with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in 0..1, uniform on the multiples of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number below `bound`, uniform up to a share of `bound` in 2^64; 0 when the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let scaled = u128::from(self.bits()) * u128::from(bound);
        (scaled >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First outputs of the generator's reference code for seed 1234567.
    #[test]
    fn agrees_with_the_reference() {
        let mut chance = Chance::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| chance.bits()), expected);
    }

    #[test]
    fn draws_stay_within_their_bounds_and_reach_them() {
        let mut chance = Chance::new(0);
        let mut seen = [false; 3];
        for _ in 0..200 {
            assert!((0.0..1.0).contains(&chance.unit()));
            seen[chance.below(3) as usize] = true;
            assert!(chance.below(u64::MAX) < u64::MAX);
            assert_eq!((chance.below(0), chance.below(1)), (0, 0));
        }
        assert_eq!(seen, [true; 3]);
    }
}
