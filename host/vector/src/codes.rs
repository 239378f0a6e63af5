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
//! steps are too coarse to tell its rows apart, because a few of them lie far out, or to tell them from their neighbours,
//! because they stand in clusters finer than a step, has no codes:
//! [`Scales::of`] gives none. What a code means is in [`scales`]; codes can be written without being kept
//! ([`Scales::write`]).

mod bytes;
mod scales;

use boathouse_types::Metric;

pub(crate) use scales::Scales;

use crate::{
    aligned::{Aligned, LINE},
    kernels::{CodeKernel, Form, Kernel, LANES, Rows},
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
        let scales = Scales::of(rows, count, metric, exact)?;
        Some(Self::encoded(scales, metric, rows, 0..count))
    }

    /// Codes of all rows, whether or not they tell them apart.
    #[cfg(test)]
    pub(crate) fn unjudged(rows: Rows<'_, f32>, count: u32, metric: Metric) -> Self {
        Self::encoded(Scales::unjudged(rows, count), metric, rows, 0..count)
    }

    /// Codes of some rows, in the order given.
    fn encoded(
        scales: Scales,
        metric: Metric,
        rows: Rows<'_, f32>,
        wanted: impl ExactSizeIterator<Item = u32>,
    ) -> Self {
        let stride = rows.stride.next_multiple_of(LINE);
        let count = wanted.len();
        let mut values = Vec::with_capacity(count * stride + LINE);
        for row in wanted {
            scales.encode(rows.get(row), stride, &mut values);
        }
        let lengths = match metric {
            Metric::L2 => values
                .chunks_exact(stride)
                .map(|codes| scales.squared_length(codes))
                .collect(),
            Metric::Cosine | Metric::Dot => Vec::new(),
        };
        Self {
            metric,
            dot: Kernel::fastest(Form::Dot),
            squared_l2: Kernel::fastest(Form::SquaredL2),
            kernel: CodeKernel::fastest(),
            stride,
            values: Aligned::seal(values),
            scales,
            lengths,
        }
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
