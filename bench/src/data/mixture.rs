//! An invented set that has what makes real embeddings hard and easy: clusters, few directions in each, near
//! duplicates, and queries that lie where no row does.
//!
//! A row is the centre of its cluster plus a random mix of that cluster's own 24 directions plus a little noise; one
//! in ten is a near copy of an earlier row. A quarter of the queries lie halfway between two clusters, with more
//! noise than any row. Whatever is measured on it says so: it stands in for embeddings of 768 components, of
//! which no collection of this size could be had.

/// Components of a vector.
pub(super) const DIMENSION: u32 = 768;

const COMPONENTS: usize = DIMENSION as usize;
const CLUSTERS: usize = 400;
const DIRECTIONS: usize = 24;

/// Share of a direction in a row, and of noise in a row, a near copy and a far query.
const STEP: f32 = 0.45;
const NOISE: f32 = 0.15;
const COPY_NOISE: f32 = 0.03;
const FAR_NOISE: f32 = 0.4;

/// Rows and queries; the same numbers of them give the same ones.
pub(super) fn vectors(rows: usize, queries: usize) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let mut chance = Chance(1);
    let clusters: Vec<Cluster> = (0..CLUSTERS).map(|_| Cluster::new(&mut chance)).collect();
    let mut base: Vec<Vec<f32>> = Vec::with_capacity(rows);
    for index in 0..rows {
        let row = if index % 10 == 9 {
            near(&base[chance.below(index)], COPY_NOISE, &mut chance)
        } else {
            clusters[chance.below(CLUSTERS)].member(&mut chance)
        };
        base.push(row);
    }
    let asked = (0..queries).map(|index| {
        let own = clusters[chance.below(CLUSTERS)].member(&mut chance);
        if index % 4 != 3 {
            return own;
        }
        let other = clusters[chance.below(CLUSTERS)].member(&mut chance);
        let between: Vec<f32> = own.iter().zip(&other).map(|(a, b)| (a + b) / 2.0).collect();
        near(&between, FAR_NOISE, &mut chance)
    });
    let asked = asked.collect();
    (base, asked)
}

struct Cluster {
    centre: Vec<f32>,
    directions: Vec<Vec<f32>>,
}

impl Cluster {
    fn new(chance: &mut Chance) -> Self {
        let mut vector = || (0..COMPONENTS).map(|_| chance.normal()).collect();
        Self {
            centre: vector(),
            directions: (0..DIRECTIONS).map(|_| vector()).collect(),
        }
    }

    fn member(&self, chance: &mut Chance) -> Vec<f32> {
        let mut member = near(&self.centre, NOISE, chance);
        for direction in &self.directions {
            let weight = STEP * chance.normal();
            for (value, step) in member.iter_mut().zip(direction) {
                *value += weight * step;
            }
        }
        member
    }
}

fn near(vector: &[f32], noise: f32, chance: &mut Chance) -> Vec<f32> {
    vector.iter().map(|x| x + noise * chance.normal()).collect()
}

/// Random numbers by SplitMix64 (G. Steele et al., OOPSLA 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Nearly normal with variance 1: the sum of four uniform numbers of 16 bits.
    fn normal(&mut self) -> f32 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        // The sum has mean 2 x 65,535 and variance 65,536^2 / 3.
        (sum as f32 - 131_070.0) * (1.732_050_8 / 65_536.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_give_the_same_vectors_and_copies_are_near() {
        let (base, asked) = vectors(60, 8);
        assert_eq!((base.len(), asked.len()), (60, 8));
        assert_eq!(vectors(60, 8).0, base);
        let distance =
            |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum() };
        let nearest = |row: usize| {
            let others = (0..60).filter(|&other| other != row);
            others
                .map(|other| distance(&base[row], &base[other]))
                .fold(f32::INFINITY, f32::min)
        };
        assert!(nearest(9) < 2.0 * COPY_NOISE * COPY_NOISE * COMPONENTS as f32);
        let own: f32 = base[0].iter().map(|x| x * x).sum::<f32>() / COMPONENTS as f32;
        assert!((2.0..12.0).contains(&own), "{own}");
    }
}
