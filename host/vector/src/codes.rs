//! Vectors in seven bits a component: a quarter of the memory, for finding candidates whose exact distances are
//! looked at afterwards.
//!
//! Each component is a whole number of steps above the least value that it has in the set,
//! `x = lowest + step * code` with codes of 0 to 127, so every set has the steps that it needs and no row is
//! clamped. A query is turned into one signed byte a component, `(query * step)` in units of its own largest one.
//! The inner product of the two, in integers, is then that of the vectors but for rounding, a unit and an offset:
//!
//! ```text
//! <q, x> = <q, centre> + <q * step, code - mean code>  ~  constant of the query + unit * <weights, code>
//! ```
//!
//! Distances follow from it. Squared Euclidean ones are taken of vectors about the centre, with the squared length
//! of each row kept beside its code. How far rounding takes a distance is known for each query: errors of the
//! components are uniform and independent, which gives [`CodedQuery::margin`].
//!
//! Invariants: no code exceeds [`MAX_CODE`]; rows start on cache lines and are followed by zeros; the same set
//! gives the same codes, and a distance by codes has the same bits on every machine of one rounding. A set whose
//! steps are too coarse to tell its rows apart, because a few of them lie far out, has no codes:
//! [`Codes::of`] gives none.

mod bytes;

use boathouse_types::Metric;

use crate::{
    aligned::{Aligned, LINE},
    kernels::{CodeKernel, Form, Kernel, LANES, MAX_CODE, Rows},
};

/// The rows of a set in codes.
#[derive(Debug)]
pub(crate) struct Codes {
    metric: Metric,
    dot: Kernel,
    squared_l2: Kernel,
    kernel: CodeKernel,
    stride: usize,
    values: Aligned<u8>,
    scales: Scales,
    /// Squared distance of each row to the centre, under [`Metric::L2`] only.
    lengths: Vec<f32>,
}

/// What a code means, component by component.
#[derive(Debug)]
struct Scales {
    lowest: Vec<f32>,
    step: Vec<f32>,
    /// Mean of the codes.
    middle: Vec<f32>,
    /// Their value.
    centre: Vec<f32>,
    /// Sum of the variances of the codes.
    spread: f32,
}

/// A query, or a row in the place of one, in codes.
#[derive(Debug, Clone, Default)]
pub(crate) struct CodedQuery {
    weights: Vec<i8>,
    /// Padded components on their way to the weights.
    work: Vec<f32>,
    /// Distance of a row that has an inner product of zero and no length.
    base: f32,
    /// What one unit of the inner product takes from a distance.
    unit: f32,
    margin: f32,
}

impl CodedQuery {
    /// Two rows whose distances by codes differ by more than this stand in the order of their exact distances, but
    /// for one pair in some ten thousand.
    pub(crate) fn margin(&self) -> f32 {
        self.margin
    }
}

impl Codes {
    /// Codes of all rows; none when there are no rows, or when they would not tell the rows apart. `exact` is the
    /// distance between two rows.
    pub(crate) fn of(
        rows: Rows<'_, f32>,
        count: u32,
        metric: Metric,
        exact: impl Fn(u32, u32) -> f32,
    ) -> Option<Self> {
        if count == 0 {
            return None;
        }
        let stride = rows.stride.next_multiple_of(LINE);
        let scales = Scales::ranges(rows, count);
        let values = scales.encode(rows, count, stride);
        let mut codes = Self {
            metric,
            dot: Kernel::fastest(Form::Dot),
            squared_l2: Kernel::fastest(Form::SquaredL2),
            kernel: CodeKernel::fastest(),
            stride,
            values: Aligned::seal(values),
            scales,
            lengths: Vec::new(),
        };
        codes.measure_moments(count);
        if metric == Metric::L2 {
            codes.lengths = (0..count).map(|row| codes.squared_length(row)).collect();
        }
        codes.tell_apart(rows, count, exact).then_some(codes)
    }

    /// Bytes in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        let components = 4 * self.scales.step.len();
        self.values.memory_bytes() + (components + self.lengths.capacity()) * size_of::<f32>()
    }

    /// Brings a prepared and padded query into codes.
    pub(crate) fn query(&self, vector: &[f32]) -> CodedQuery {
        let mut query = CodedQuery::default();
        query.work.extend_from_slice(vector);
        self.finish(&mut query);
        query
    }

    /// Makes `query` one of a row, as near as its codes tell it: the vector itself is not read.
    pub(crate) fn aim(&self, query: &mut CodedQuery, row: u32) {
        let codes = self.rows().get(row).iter();
        let scales = self.scales.lowest.iter().zip(&self.scales.step);
        query.work.clear();
        query.work.extend(
            codes
                .zip(scales)
                .map(|(&code, (lowest, step))| lowest + step * f32::from(code)),
        );
        self.finish(query);
    }

    /// Appends the distance of each listed row to the query.
    #[inline]
    pub(crate) fn distances(
        &self,
        query: &CodedQuery,
        list: &[u32],
        products: &mut Vec<i32>,
        out: &mut Vec<f32>,
    ) {
        products.clear();
        self.kernel
            .of_many(&query.weights, self.rows(), list, products);
        let without_length = |&product: &i32| query.base - query.unit * product as f32;
        if self.metric == Metric::L2 {
            let lengths = list.iter().map(|&row| self.lengths[row as usize]);
            out.extend(
                products
                    .iter()
                    .map(without_length)
                    .zip(lengths)
                    .map(|(a, b)| a + b),
            );
        } else {
            out.extend(products.iter().map(without_length));
        }
    }

    #[inline]
    pub(crate) fn prefetch(&self, row: u32) {
        self.rows().prefetch(row);
    }

    #[inline]
    fn rows(&self) -> Rows<'_, u8> {
        Rows {
            values: &self.values,
            stride: self.stride,
        }
    }

    /// From the vector in the query's work to everything else of it.
    fn finish(&self, query: &mut CodedQuery) {
        let (scales, work) = (&self.scales, &mut query.work);
        let times = match self.metric {
            Metric::L2 => {
                query.base = self.squared_l2.of(work, &scales.centre);
                for (x, centre) in work.iter_mut().zip(&scales.centre) {
                    *x -= centre;
                }
                2.0
            }
            Metric::Cosine | Metric::Dot => {
                query.base = 1.0 - self.dot.of(work, &scales.centre);
                1.0
            }
        };
        for (x, step) in work.iter_mut().zip(&scales.step) {
            *x *= step;
        }
        let unit = largest(work).max(f32::MIN_POSITIVE) / 127.0;
        let variance = (self.dot.of(work, work) + unit * unit * scales.spread) / 12.0;
        let inverse = 1.0 / unit;
        for x in work.iter_mut() {
            *x = *x * inverse + SHIFT;
        }
        query.weights.clear();
        // The whole number stands in the lowest byte, as two's complement.
        let bytes = work.iter().map(|x| x.to_bits() as u8 as i8);
        query.weights.extend(bytes);
        query.weights.resize(self.stride, 0);
        for x in work.iter_mut() {
            *x -= SHIFT;
        }
        query.unit = times * unit;
        query.base += query.unit * self.dot.of(work, &scales.middle);
        // The difference of two errors, four standard deviations of it.
        query.margin = times * 4.0 * (2.0 * variance).sqrt();
    }

    /// Mean and variance of each component's codes, of evenly spread rows: any mean does, a near one does best.
    fn measure_moments(&mut self, count: u32) {
        const SAMPLE: u32 = 4_096;
        let mut sums = vec![(0_u64, 0_u64); self.scales.step.len()];
        let sample = evenly(count, SAMPLE);
        let sampled = sample.clone().count() as f64;
        for row in sample {
            for ((sum, squares), &code) in sums.iter_mut().zip(self.rows().get(row)) {
                *sum += u64::from(code);
                *squares += u64::from(code) * u64::from(code);
            }
        }
        let mean = |sum: u64| sum as f64 / sampled;
        self.scales.middle = sums.iter().map(|&(sum, _)| mean(sum) as f32).collect();
        let variance = |&(sum, squares): &(u64, u64)| mean(squares) - mean(sum) * mean(sum);
        self.scales.spread = sums.iter().map(variance).sum::<f64>() as f32;
        self.scales.centre = self.scales.centres();
    }

    fn squared_length(&self, row: u32) -> f32 {
        let scales = &self.scales;
        let codes = self.rows().get(row).iter();
        codes
            .zip(scales.middle.iter().zip(&scales.step))
            .map(|(&code, (middle, step))| step * (f32::from(code) - middle))
            .map(|x| x * x)
            .sum()
    }

    /// Whether distances by codes are near enough to tell rows apart: evenly spread rows are taken as queries, and
    /// what rounding does to a distance is compared with the range in which the middle half of the distances lies.
    fn tell_apart(&self, rows: Rows<'_, f32>, count: u32, exact: impl Fn(u32, u32) -> f32) -> bool {
        const QUERIES: u32 = 16;
        const OTHERS: u32 = 128;
        /// Of that range, what rounding may take.
        const SHARE: f32 = 1.0 / 8.0;
        let others: Vec<u32> = evenly(count, OTHERS).collect();
        let middle = |values: &mut Vec<f32>, quarter: usize| {
            values.sort_by(f32::total_cmp);
            values[(values.len() - 1) * quarter / 4]
        };
        let good = evenly(count, QUERIES).filter(|&row| {
            let query = self.query(rows.get(row));
            let (mut products, mut coded) = (Vec::new(), Vec::new());
            self.distances(&query, &others, &mut products, &mut coded);
            let mut exact_ones: Vec<f32> = others.iter().map(|&other| exact(row, other)).collect();
            let errors = coded.iter().zip(&exact_ones);
            let mut errors: Vec<f32> = errors.map(|(a, b)| (a - b).abs()).collect();
            let range = middle(&mut exact_ones, 3) - middle(&mut exact_ones, 1);
            middle(&mut errors, 2) <= SHARE * range
        });
        good.count() * 4 >= evenly(count, QUERIES).count() * 3
    }
}

impl Scales {
    /// Least value and step of each component.
    fn ranges(rows: Rows<'_, f32>, count: u32) -> Self {
        let mut lowest = rows.get(0).to_vec();
        let mut highest = lowest.clone();
        for row in 1..count {
            for ((low, high), &x) in lowest.iter_mut().zip(&mut highest).zip(rows.get(row)) {
                *low = low.min(x);
                *high = high.max(x);
            }
        }
        let ranges = lowest.iter().zip(highest);
        let step = ranges
            .map(|(low, high)| (high - low) / f32::from(MAX_CODE))
            .collect();
        Self {
            lowest,
            step,
            middle: Vec::new(),
            centre: Vec::new(),
            spread: 0.0,
        }
    }

    fn encode(&self, rows: Rows<'_, f32>, count: u32, stride: usize) -> Vec<u8> {
        // A component that all rows share has no step and the code 0.
        let inverse = self.step.iter();
        let inverse: Vec<f32> = inverse
            .map(|&step| if step > 0.0 { 1.0 / step } else { 0.0 })
            .collect();
        let mut values = Vec::with_capacity(count as usize * stride + LINE);
        for row in 0..count {
            let end = values.len() + stride;
            let components = rows.get(row).iter().zip(self.lowest.iter().zip(&inverse));
            values.extend(components.map(|(x, (lowest, inverse))| {
                let code = (x - lowest) * inverse;
                // The conversion cuts off and keeps within the type.
                ((code + 0.5) as u8).min(MAX_CODE)
            }));
            values.resize(end, 0);
        }
        values
    }

    /// The values of the mean codes.
    fn centres(&self) -> Vec<f32> {
        let components = self.lowest.iter().zip(&self.step).zip(&self.middle);
        components
            .map(|((lowest, step), middle)| lowest + step * middle)
            .collect()
    }
}

/// Up to `wanted` rows, evenly spread.
fn evenly(count: u32, wanted: u32) -> impl Iterator<Item = u32> + Clone {
    (0..count).step_by(count.div_ceil(wanted).max(1) as usize)
}

/// One and a half times 2^23: added to a small number it leaves no bits for the fraction.
const SHIFT: f32 = 12_582_912.0;

/// The largest absolute value, in whole lines.
fn largest(values: &[f32]) -> f32 {
    let mut most = [0.0_f32; LANES];
    for line in values.as_chunks::<LANES>().0 {
        for (most, x) in most.iter_mut().zip(line) {
            let x = x.abs();
            *most = if x > *most { x } else { *most };
        }
    }
    most.into_iter().fold(0.0, f32::max)
}

#[cfg(test)]
mod tests;
