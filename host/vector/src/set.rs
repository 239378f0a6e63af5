//! Vectors in memory: checked at the door, padded to whole cache lines, immutable.
//!
//! Invariants: every component is finite; no squared norm or distance overflows; under
//! [`Metric::Cosine`] every row is a unit vector, so that the inner product is the cosine; each row
//! starts on a 64-byte boundary and is followed by zeros up to the next one, which change neither an
//! inner product nor a distance. Rows are named by `u32` and there are fewer than 2^31 of them.
//!
//! Nothing here appends to a finished set or deletes from one: a caller keeps a second set beside it,
//! or a predicate.

use std::{
    fmt,
    io::{self, Write},
    sync::OnceLock,
};

use boathouse_types::{Dimension, Metric};

use crate::{
    aligned::{Aligned, LINE},
    codes::{Codes, Scales},
    error::{Place, VectorError},
    kernels::{Form, Kernel, Rows},
};

/// Rows that a set can hold; the remaining bit of a `u32` is a mark of the search.
pub(crate) const MAX_ROWS: u32 = (1 << 31) - 1;

/// Squared norms up to this keep every squared distance and every inner product finite in `f32`.
const MAX_SQUARED_NORM: f64 = f32::MAX as f64 / 16.0;

/// An immutable set of vectors of one dimension under one metric.
pub struct VectorSet {
    dimension: Dimension,
    metric: Metric,
    kernel: Kernel,
    stride: usize,
    rows: u32,
    values: Aligned<f32>,
    codes: OnceLock<Option<Codes>>,
}

impl VectorSet {
    /// Starts an empty set.
    #[must_use]
    pub fn builder(dimension: Dimension, metric: Metric) -> VectorSetBuilder {
        VectorSetBuilder {
            dimension,
            metric,
            stride: stride_of(dimension),
            rows: 0,
            values: Vec::new(),
        }
    }

    /// Number of vectors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows as usize
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Components of each vector.
    #[must_use]
    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// What orders neighbours.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The components of a row; a unit vector under [`Metric::Cosine`].
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, row: u32) -> &[f32] {
        &self.padded(row)[..self.dimension.get()]
    }

    /// Bytes of the vectors in memory, padding and codes included.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.values.memory_bytes() + self.codes().map_or(0, Codes::memory_bytes)
    }

    /// Makes codes of the rows, a quarter of their size, unless that was done or they would not tell the rows
    /// apart. From then on graphs over this set are walked by codes, and only what may belong to the answer is
    /// compared exactly. Building a graph does it; who reads a stored one does it when it suits.
    pub fn encode(&self) {
        self.codes.get_or_init(|| {
            let between = |a, b| self.between(a, b);
            Codes::of(self.table(), self.rows, self.metric, between)
        });
    }

    /// Makes codes of the rows even if they do not tell them apart.
    #[cfg(test)]
    pub(crate) fn encode_unjudged(&self) {
        let codes = Codes::unjudged(self.table(), self.rows, self.metric);
        self.set_codes(Some(codes));
    }

    /// Whether the vectors are used where they lie in the bytes that they were read from, and take no memory of
    /// their own.
    #[must_use]
    pub fn is_lent(&self) -> bool {
        self.values.is_lent()
    }

    /// Name of the instruction set that computes distances here.
    #[must_use]
    pub fn instructions(&self) -> &'static str {
        self.kernel.instructions
    }

    /// Checks a query and brings it into the form of the rows.
    ///
    /// # Errors
    /// As for a row: another dimension, a component that is not finite, a zero vector under
    /// [`Metric::Cosine`], or one too long.
    pub fn prepare_query(&self, vector: &[f32]) -> Result<Query, VectorError> {
        let mut values = Vec::with_capacity(self.stride + LINE);
        append_checked(
            &mut values,
            vector,
            self.dimension,
            self.metric,
            Place::Query,
        )?;
        Ok(Query {
            values: Aligned::seal(values),
        })
    }

    /// The components of a query that this set prepared, in the form of its rows.
    #[must_use]
    pub fn components<'a>(&self, query: &'a Query) -> &'a [f32] {
        &query.values[..self.dimension.get()]
    }

    /// A stored row as a query.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row_query(&self, row: u32) -> Query {
        Query {
            values: Aligned::seal(self.padded(row).to_vec()),
        }
    }

    /// Distance of a row to a query that a set of the same dimension and metric prepared.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn distance(&self, query: &Query, row: u32) -> f32 {
        self.distance_to(&query.values, row)
    }

    #[inline]
    pub(crate) fn distance_to(&self, query: &[f32], row: u32) -> f32 {
        self.as_distance(self.kernel.of(query, self.padded(row)))
    }

    /// Appends the distance of each listed row.
    #[inline]
    pub(crate) fn distances_to(&self, query: &[f32], list: &[u32], out: &mut Vec<f32>) {
        let first = out.len();
        self.kernel.of_many(query, self.table(), list, out);
        for value in &mut out[first..] {
            *value = self.as_distance(*value);
        }
    }

    /// What a kernel's value means under the metric.
    #[inline]
    fn as_distance(&self, value: f32) -> f32 {
        match self.metric {
            // Rounding takes the inner product of unit vectors a little beyond 1.
            Metric::Cosine => (1.0 - value).clamp(0.0, 2.0),
            Metric::L2 => value,
            Metric::Dot => 1.0 - value,
        }
    }

    /// Codes that were made of these rows before, or that there are none.
    pub(crate) fn set_codes(&self, codes: Option<Codes>) {
        // Who was first made the same.
        let _ = self.codes.set(codes);
    }

    /// What [`Self::encode`] would make or has made, to be written without being kept; none when codes would not tell
    /// the rows apart.
    pub(crate) fn coding(&self) -> Option<Coding<'_>> {
        match self.codes.get() {
            Some(made) => made.as_ref().map(Coding::Made),
            None => {
                let between = |a, b| self.between(a, b);
                let scales = Scales::of(self.table(), self.rows, self.metric, between)?;
                Some(Coding::Planned(self, Box::new(scales)))
            }
        }
    }

    /// The codes, if [`Self::encode`] made any.
    #[inline]
    pub(crate) fn codes(&self) -> Option<&Codes> {
        self.codes.get()?.as_ref()
    }

    #[inline]
    fn table(&self) -> Rows<'_, f32> {
        Rows {
            values: &self.values,
            stride: self.stride,
        }
    }

    /// A set of values that were checked, in rows of [`stride_of`].
    pub(crate) fn of_values(
        dimension: Dimension,
        metric: Metric,
        rows: u32,
        values: Aligned<f32>,
    ) -> Self {
        Self {
            dimension,
            metric,
            kernel: Kernel::fastest(match metric {
                Metric::Cosine | Metric::Dot => Form::Dot,
                Metric::L2 => Form::SquaredL2,
            }),
            stride: stride_of(dimension),
            rows,
            values,
            codes: OnceLock::new(),
        }
    }

    /// All rows with their padding, one behind the other.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    /// [`Self::len`] in the type of a row.
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Bytes from one row to the next.
    pub(crate) fn row_bytes(&self) -> usize {
        self.stride * size_of::<f32>()
    }

    #[inline]
    pub(crate) fn between(&self, a: u32, b: u32) -> f32 {
        self.distance_to(self.padded(a), b)
    }

    /// The row with its padding.
    #[inline]
    pub(crate) fn padded(&self, row: u32) -> &[f32] {
        self.table().get(row)
    }

    #[inline]
    pub(crate) fn prefetch(&self, row: u32) {
        self.table().prefetch(row);
    }
}

/// Codes that are there, or could be made.
pub(crate) enum Coding<'a> {
    Made(&'a Codes),
    Planned(&'a VectorSet, Box<Scales>),
}

impl Coding<'_> {
    /// Writes the codes, the same bytes either way.
    ///
    /// # Errors
    /// What `out` says.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Made(codes) => codes.write(out),
            Self::Planned(set, scales) => scales.write(set.table(), set.rows, set.metric, out),
        }
    }
}

impl fmt::Debug for VectorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VectorSet")
            .field("rows", &self.rows)
            .field("dimension", &self.dimension.get())
            .field("metric", &self.metric)
            .field("instructions", &self.kernel.instructions)
            .finish_non_exhaustive()
    }
}

/// A set that is being filled, row by row.
#[derive(Debug)]
pub struct VectorSetBuilder {
    dimension: Dimension,
    metric: Metric,
    stride: usize,
    rows: u32,
    values: Vec<f32>,
}

impl VectorSetBuilder {
    /// Makes room for so many further rows at once.
    #[must_use]
    pub fn with_capacity(mut self, rows: usize) -> Self {
        self.values
            .reserve_exact(rows.saturating_mul(self.stride).saturating_add(LINE));
        self
    }

    /// Adds a vector as the next row; a refused one leaves the set as it was.
    ///
    /// # Errors
    /// When it has another dimension, a component that is not finite, no direction under
    /// [`Metric::Cosine`], or a norm too large; the error names the row. When the set is full.
    pub fn push(&mut self, vector: &[f32]) -> Result<(), VectorError> {
        if self.rows == MAX_ROWS {
            return Err(VectorError::SetFull { limit: MAX_ROWS });
        }
        let place = Place::Row(u64::from(self.rows));
        append_checked(&mut self.values, vector, self.dimension, self.metric, place)?;
        self.rows += 1;
        Ok(())
    }

    /// Rows pushed so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows as usize
    }

    /// Whether no row was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Closes the set.
    #[must_use]
    pub fn finish(self) -> VectorSet {
        let values = Aligned::seal(self.values);
        VectorSet::of_values(self.dimension, self.metric, self.rows, values)
    }
}

/// A checked query: padded, and of unit length under [`Metric::Cosine`].
#[derive(Debug, Clone)]
pub struct Query {
    pub(crate) values: Aligned<f32>,
}

/// Floats from one row to the next: the dimension rounded up to whole cache lines.
pub(crate) fn stride_of(dimension: Dimension) -> usize {
    dimension.get().next_multiple_of(LINE / size_of::<f32>())
}

fn append_checked(
    values: &mut Vec<f32>,
    vector: &[f32],
    dimension: Dimension,
    metric: Metric,
    at: Place,
) -> Result<(), VectorError> {
    if vector.len() != dimension.get() {
        return Err(VectorError::WrongDimension {
            at,
            expected: dimension.get(),
            found: vector.len(),
        });
    }
    if let Some(component) = vector.iter().position(|value| !value.is_finite()) {
        return Err(VectorError::NotFinite { at, component });
    }
    let end = values.len() + stride_of(dimension);
    let squared_norm: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    match metric {
        Metric::Cosine if squared_norm == 0.0 => return Err(VectorError::ZeroVector { at }),
        Metric::Cosine => {
            let norm = squared_norm.sqrt();
            values.extend(vector.iter().map(|&x| (f64::from(x) / norm) as f32));
        }
        Metric::L2 | Metric::Dot if squared_norm > MAX_SQUARED_NORM => {
            return Err(VectorError::TooLong { at });
        }
        Metric::L2 | Metric::Dot => values.extend_from_slice(vector),
    }
    values.resize(end, 0.0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(metric: Metric) -> VectorSetBuilder {
        VectorSet::builder(Dimension::new(3).expect("valid"), metric)
    }

    fn refused(metric: Metric, vector: &[f32]) -> String {
        let mut builder = builder(metric);
        builder.push(&[1.0, 2.0, 2.0]).expect("good row");
        let message = builder.push(vector).expect_err("bad row").to_string();
        assert_eq!(builder.len(), 1, "a refused row leaves the set as it was");
        assert_eq!(builder.finish().memory_bytes() % 4, 0);
        message
    }

    #[test]
    fn bad_rows_are_refused_by_number() {
        for metric in [Metric::Cosine, Metric::L2, Metric::Dot] {
            assert_eq!(
                refused(metric, &[1.0, 2.0]),
                "row 1 has 2 components where 3 are expected"
            );
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                assert_eq!(
                    refused(metric, &[1.0, bad, 2.0]),
                    "component 1 of row 1 is not a finite number"
                );
            }
        }
        assert_eq!(
            refused(Metric::Cosine, &[0.0, -0.0, 0.0]),
            "row 1 is a zero vector, which has no cosine distance"
        );
        assert!(refused(Metric::L2, &[f32::MAX, 0.0, 0.0]).starts_with("row 1 is too long"));
    }

    #[test]
    fn queries_pass_the_same_door() {
        let mut builder = builder(Metric::Cosine);
        builder.push(&[0.0, 3.0, 4.0]).expect("good row");
        let set = builder.finish();
        assert!(set.prepare_query(&[0.0; 3]).is_err());
        assert!(set.prepare_query(&[1.0; 4]).is_err());
        let query = set
            .prepare_query(&[0.0, 30.0, 40.0])
            .expect("same direction");
        assert_eq!(set.distance(&query, 0), 0.0);
        assert_eq!(set.row(0), [0.0, 0.6, 0.8]);
    }

    #[test]
    fn distances_follow_the_metric() {
        let check = |metric, expected: f32| {
            let mut builder = builder(metric).with_capacity(1);
            builder.push(&[1.0, 2.0, 2.0]).expect("good row");
            let set = builder.finish();
            let query = set.prepare_query(&[2.0, 0.0, 0.0]).expect("good query");
            assert!(
                (set.distance(&query, 0) - expected).abs() < 1e-6,
                "{metric:?}"
            );
        };
        check(Metric::Cosine, 1.0 - 1.0 / 3.0);
        check(Metric::L2, 9.0);
        check(Metric::Dot, -1.0);
    }

    #[test]
    fn tiny_and_huge_vectors_have_a_direction() {
        let mut builder = builder(Metric::Cosine);
        builder.push(&[1e-42, 0.0, 0.0]).expect("subnormal");
        builder.push(&[f32::MAX, f32::MAX, 0.0]).expect("huge");
        let set = builder.finish();
        assert!((set.between(0, 1) - (1.0 - 0.5_f32.sqrt())).abs() < 1e-6);
    }

    #[test]
    fn rows_start_on_cache_lines() {
        let mut builder = builder(Metric::L2);
        for i in 0..100_u8 {
            builder.push(&[f32::from(i), 0.0, 0.0]).expect("good row");
        }
        let set = builder.finish();
        assert!((0..100).all(|row| set.row(row).as_ptr().align_offset(LINE) == 0));
    }
}
