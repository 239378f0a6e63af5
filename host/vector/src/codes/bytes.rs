//! Codes as bytes behind frozen vectors, and back without a copy.
//!
//! ```text
//! sn  codes, a row of s bytes each, s the padded components rounded up to whole cache lines
//! 4n  squared length of each row (f32), under the squared Euclidean metric only
//! 4p  least value of each padded component (f32)
//! 4p  step of each
//! 4p  mean code of each
//!  4  sum of the variances of the codes (f32)
//! ```
//! All sizes follow from the vectors, so nothing but the numbers is written.

use std::{
    io::{self, Write},
    sync::Arc,
};

use boathouse_types::Metric;
use bytes::Bytes;

use super::{Codes, Scales};
use crate::{
    aligned::{Aligned, LINE},
    held::{Held, Number as _},
    kernels::{CodeKernel, Form, Kernel, Rows},
};

impl Codes {
    /// Writes the codes.
    ///
    /// # Errors
    /// What `out` says.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.values)?;
        self.scales.write_behind(&self.lengths, out)
    }

    /// The codes of so many rows of so many padded components at a place in some bytes, and where they end; none when
    /// the bytes end before.
    pub(crate) fn read(
        bytes: &Arc<Bytes>,
        start: usize,
        (components, rows): (usize, u32),
        metric: Metric,
    ) -> Option<(Self, usize)> {
        let (stride, rows) = (components.next_multiple_of(LINE), rows as usize);
        let count = stride.checked_mul(rows)?;
        let values = Aligned::numbers(bytes, start, count)?;
        let mut at = start + count;
        let mut floats = |count: usize| {
            let read = Held::<[f32]>::numbers(bytes, at, count)?;
            at += size_of::<f32>() * count;
            Some(read.to_vec())
        };
        let lengths = floats(if metric == Metric::L2 { rows } else { 0 })?;
        let (lowest, step, middle) = (
            floats(components)?,
            floats(components)?,
            floats(components)?,
        );
        let scales = Scales::with(lowest, step, middle, floats(1)?[0]);
        let codes = Self {
            metric,
            dot: Kernel::fastest(Form::Dot),
            squared_l2: Kernel::fastest(Form::SquaredL2),
            kernel: CodeKernel::fastest(),
            stride,
            values,
            scales,
            lengths,
        };
        Some((codes, at))
    }
}

impl Scales {
    /// Writes the codes of all rows as [`Codes::write`] does, without keeping them.
    ///
    /// # Errors
    /// What `out` says.
    pub(crate) fn write(
        &self,
        rows: Rows<'_, f32>,
        count: u32,
        metric: Metric,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let stride = rows.stride.next_multiple_of(LINE);
        let (mut codes, mut lengths) = (Vec::with_capacity(stride), Vec::new());
        for row in 0..count {
            codes.clear();
            self.encode(rows.get(row), stride, &mut codes);
            if metric == Metric::L2 {
                lengths.push(self.squared_length(&codes));
            }
            out.write_all(&codes)?;
        }
        self.write_behind(&lengths, out)
    }

    /// Writes what stands behind the codes.
    fn write_behind(&self, lengths: &[f32], out: &mut dyn Write) -> io::Result<()> {
        let Self {
            lowest,
            step,
            middle,
            spread,
            ..
        } = self;
        for numbers in [lengths, lowest, step, middle, &[*spread]] {
            out.write_all(&f32::encode(numbers))?;
        }
        Ok(())
    }
}
