//! What codes mean, component by component, and whether they are good enough.

use boathouse_types::Metric;

use super::Codes;
use crate::{
    exact::key,
    kernels::{MAX_CODE, Rows},
};

/// What a code means, component by component.
#[derive(Debug, Clone)]
pub(crate) struct Scales {
    /// Least value.
    pub(super) lowest: Vec<f32>,
    /// Distance between two neighbouring codes.
    pub(super) step: Vec<f32>,
    /// One over it; 0 for a component that all rows share.
    pub(super) inverse: Vec<f32>,
    /// Mean of the codes.
    pub(super) middle: Vec<f32>,
    /// Their value.
    pub(super) centre: Vec<f32>,
    /// Sum of the variances of the codes.
    pub(super) spread: f32,
}

impl Scales {
    /// Scales for the codes of all rows; none when there are no rows, or when codes would not tell them apart, as a whole
    /// or each from its neighbours. `exact` is the distance between two rows.
    pub(crate) fn of(
        rows: Rows<'_, f32>,
        count: u32,
        metric: Metric,
        exact: impl Fn(u32, u32) -> f32,
    ) -> Option<Self> {
        if count == 0 {
            return None;
        }
        let scales = Self::unjudged(rows, count);
        let are_good = scales.tell_apart(rows, count, metric, &exact)
            && scales.find_neighbours(rows, count, metric, &exact);
        are_good.then_some(scales)
    }

    /// Scales for the codes of all rows, whether or not these tell them apart. There must be rows.
    pub(super) fn unjudged(rows: Rows<'_, f32>, count: u32) -> Self {
        let (lowest, step) = ranges(rows, count);
        let mut scales = Self::with(lowest, step, Vec::new(), 0.0);
        scales.measure_moments(rows, count);
        scales
    }

    /// Scales of which everything is known that does not follow from the rest.
    pub(super) fn with(lowest: Vec<f32>, step: Vec<f32>, middle: Vec<f32>, spread: f32) -> Self {
        let inverse = step
            .iter()
            .map(|&step| if step > 0.0 { 1.0 / step } else { 0.0 });
        let components = lowest.iter().zip(&step).zip(&middle);
        Self {
            inverse: inverse.collect(),
            centre: components
                .map(|((lowest, step), middle)| lowest + step * middle)
                .collect(),
            lowest,
            step,
            middle,
            spread,
        }
    }

    /// Appends the codes of a row, filled up with zeros to `stride`.
    pub(super) fn encode(&self, row: &[f32], stride: usize, values: &mut Vec<u8>) {
        let end = values.len() + stride;
        let components = row.iter().zip(self.lowest.iter().zip(&self.inverse));
        values.extend(components.map(|(x, (lowest, inverse))| {
            let code = (x - lowest) * inverse;
            // The conversion cuts off and keeps within the type.
            ((code + 0.5) as u8).min(MAX_CODE)
        }));
        values.resize(end, 0);
    }

    /// Squared distance to the centre of a row with these codes.
    pub(super) fn squared_length(&self, codes: &[u8]) -> f32 {
        codes
            .iter()
            .zip(self.middle.iter().zip(&self.step))
            .map(|(&code, (middle, step))| step * (f32::from(code) - middle))
            .map(|x| x * x)
            .sum()
    }

    /// Mean and variance of each component's codes, of evenly spread rows: any mean does, a near one does best.
    fn measure_moments(&mut self, rows: Rows<'_, f32>, count: u32) {
        const SAMPLE: u32 = 4_096;
        let mut sums = vec![(0_u64, 0_u64); self.step.len()];
        let sample = evenly(count, SAMPLE);
        let sampled = sample.len() as f64;
        let mut codes = Vec::new();
        for row in sample {
            codes.clear();
            self.encode(rows.get(row), sums.len(), &mut codes);
            for ((sum, squares), &code) in sums.iter_mut().zip(&codes) {
                *sum += u64::from(code);
                *squares += u64::from(code) * u64::from(code);
            }
        }
        let mean = |sum: u64| sum as f64 / sampled;
        let middle = sums.iter().map(|&(sum, _)| mean(sum) as f32).collect();
        let variance = |&(sum, squares): &(u64, u64)| mean(squares) - mean(sum) * mean(sum);
        let spread = sums.iter().map(variance).sum::<f64>() as f32;
        let (lowest, step) = (
            std::mem::take(&mut self.lowest),
            std::mem::take(&mut self.step),
        );
        *self = Self::with(lowest, step, middle, spread);
    }

    /// Whether distances by codes are near enough to tell rows apart: evenly spread rows are taken as queries, and
    /// what rounding does to a distance is compared with the range in which the middle half of the distances lies.
    fn tell_apart(
        &self,
        rows: Rows<'_, f32>,
        count: u32,
        metric: Metric,
        exact: impl Fn(u32, u32) -> f32,
    ) -> bool {
        const QUERIES: u32 = 16;
        const OTHERS: u32 = 128;
        /// Of that range, what rounding may take.
        const SHARE: f32 = 1.0 / 8.0;
        let others = evenly(count, OTHERS);
        let codes = Codes::encoded(self.clone(), metric, rows, others.clone());
        let list: Vec<u32> = (0..others.len() as u32).collect();
        let middle = |values: &mut Vec<f32>, quarter: usize| {
            values.sort_by(f32::total_cmp);
            values[(values.len() - 1) * quarter / 4]
        };
        let good = evenly(count, QUERIES).filter(|&row| {
            let query = codes.query(rows.get(row));
            let (mut products, mut coded) = (Vec::new(), Vec::new());
            codes.distances(&query, &list, &mut products, &mut coded);
            let exact_ones = others.clone().map(|other| exact(row, other));
            let mut exact_ones: Vec<f32> = exact_ones.collect();
            let errors = coded.iter().zip(&exact_ones);
            let mut errors: Vec<f32> = errors.map(|(a, b)| (a - b).abs()).collect();
            let range = middle(&mut exact_ones, 3) - middle(&mut exact_ones, 1);
            middle(&mut errors, 2) <= SHARE * range
        });
        good.count() * 4 >= evenly(count, QUERIES).len() * 3
    }

    /// Whether who looks at the candidates that are nearest by codes finds the nearest rows among them. Where rows stand
    /// in clusters that are finer than a step, all rows of a cluster have about the same code, and which of them become
    /// candidates is chance. [`Self::tell_apart`] does not notice: between the clusters codes tell well enough.
    ///
    /// Evenly spread rows are taken as queries and compared with all others, both ways. Of a large set with some only,
    /// evenly spread as well, among which as many fewer candidates and neighbours are looked for.
    fn find_neighbours(
        &self,
        rows: Rows<'_, f32>,
        count: u32,
        metric: Metric,
        exact: impl Fn(u32, u32) -> f32,
    ) -> bool {
        const QUERIES: u32 = 16;
        const OTHERS: u32 = 65_536;
        /// Candidates among which neighbours are looked for, of all rows and at least.
        const CANDIDATES: (usize, usize) = (64, 4);
        const NEIGHBOURS: usize = 10;
        /// Of the neighbours, what must be found.
        const SHARE: f64 = 0.95;
        let others = evenly(count, OTHERS);
        let part = |of: usize| of * others.len() / count as usize;
        let candidates = part(CANDIDATES.0).max(CANDIDATES.1);
        let neighbours = part(NEIGHBOURS).max(1);
        if others.len() <= candidates + 1 {
            return true;
        }
        let codes = Codes::encoded(self.clone(), metric, rows, others.clone());
        let list: Vec<u32> = (0..others.len() as u32).collect();
        let (mut products, mut coded) = (Vec::new(), Vec::new());
        let (mut found, mut wanted) = (0, 0);
        for row in evenly(count, QUERIES) {
            let query = codes.query(rows.get(row));
            coded.clear();
            codes.distances(&query, &list, &mut products, &mut coded);
            // In the order in which a walk would keep them: ties by row.
            let mut near: Vec<(u64, f32)> = others
                .clone()
                .zip(&coded)
                .filter(|(other, _)| *other != row)
                .map(|(other, &distance)| (key(distance, other), exact(row, other)))
                .collect();
            near.select_nth_unstable_by_key(candidates - 1, |(key, _)| *key);
            let mut looked_at: Vec<f32> = near[..candidates].iter().map(|near| near.1).collect();
            near.select_nth_unstable_by(neighbours - 1, |a, b| a.1.total_cmp(&b.1));
            let radius = near[neighbours - 1].1;
            looked_at.retain(|distance| *distance <= radius);
            found += looked_at.len().min(neighbours);
            wanted += neighbours;
        }
        found as f64 >= SHARE * wanted as f64
    }
}

/// Least value and step of each component.
fn ranges(rows: Rows<'_, f32>, count: u32) -> (Vec<f32>, Vec<f32>) {
    let mut lowest = rows.get(0).to_vec();
    let mut highest = lowest.clone();
    for row in 1..count {
        for ((low, high), &x) in lowest.iter_mut().zip(&mut highest).zip(rows.get(row)) {
            *low = low.min(x);
            *high = high.max(x);
        }
    }
    let step = lowest.iter().zip(highest);
    let step = step
        .map(|(low, high)| (high - low) / f32::from(MAX_CODE))
        .collect();
    (lowest, step)
}

/// Up to `wanted` rows, evenly spread.
fn evenly(count: u32, wanted: u32) -> impl ExactSizeIterator<Item = u32> + Clone {
    (0..count).step_by(count.div_ceil(wanted).max(1) as usize)
}
