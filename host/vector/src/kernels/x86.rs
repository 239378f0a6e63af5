//! Kernels for x86-64: which of them this machine can run, and what they share.

/// Defines both shapes of a kernel with the `float_sums` and `float_totals` of where it stands; `$step` adds the terms
/// of two registers to a sum.
macro_rules! float_kernel {
    ($features:literal, $pair:ident, $many:ident, $step:expr) => {
        #[target_feature(enable = $features)]
        fn $pair(a: &[f32], b: &[f32]) -> f32 {
            let [sums] = float_sums(a, [b], $step);
            float_totals([sums; ROWS])[0]
        }

        #[target_feature(enable = $features)]
        fn $many(query: &[f32], rows: Rows<'_, f32>, list: &[u32], out: &mut Vec<f32>) {
            let (fours, rest) = list.as_chunks::<ROWS>();
            for four in fours {
                let sums = float_sums(query, four_of(rows, four), $step);
                out.extend_from_slice(&float_totals(sums));
            }
            for &row in rest {
                out.push($pair(query, rows.get(row)));
            }
        }
    };
}

/// Defines a kernel of codes with the `code_sums` and `code_totals` of where it stands.
macro_rules! code_kernel {
    ($features:literal, $many:ident) => {
        #[target_feature(enable = $features)]
        fn $many(query: &[i8], rows: Rows<'_, u8>, list: &[u32], out: &mut Vec<i32>) {
            let (fours, rest) = list.as_chunks::<ROWS>();
            for four in fours {
                let sums = code_sums(query, four_of(rows, four));
                out.extend_from_slice(&code_totals(sums));
            }
            for &row in rest {
                let [sums] = code_sums(query, [rows.get(row)]);
                out.push(code_totals([sums; ROWS])[0]);
            }
        }
    };
}

mod avx2;
mod avx512;

use super::{CodeKernel, Form, Kernel, LANES, Rows};

/// Rows compared at a time.
const ROWS: usize = 4;

/// The implementations that this machine can run, fastest first.
pub(super) fn available(form: Form) -> Vec<Kernel> {
    let found = [avx512::kernel(form), avx2::kernel(form)];
    found.into_iter().flatten().collect()
}

/// The implementations for codes that this machine can run, fastest first.
pub(super) fn available_for_codes() -> Vec<CodeKernel> {
    let found = [avx512::code_kernel(), avx2::code_kernel()];
    found.into_iter().flatten().collect()
}

/// Four rows; a `map` over the array would not be compiled into the loop that needs its instructions.
#[inline]
fn four_of<'a, T: Copy>(rows: Rows<'a, T>, list: &[u32; ROWS]) -> [&'a [T]; ROWS] {
    [
        rows.get(list[0]),
        rows.get(list[1]),
        rows.get(list[2]),
        rows.get(list[3]),
    ]
}

/// The query and the rows in chunks, as many as the shortest has.
#[inline]
fn chunked<'a, Q, R, const SIZE: usize, const N: usize>(
    query: &'a [Q],
    rows: [&'a [R]; N],
) -> (&'a [[Q; SIZE]], [&'a [[R; SIZE]]; N]) {
    let query = query.as_chunks::<SIZE>().0;
    let mut chunks: [&[[R; SIZE]]; N] = [&[]; N];
    let mut shared = query.len();
    for (chunks, row) in chunks.iter_mut().zip(rows) {
        *chunks = row.as_chunks::<SIZE>().0;
        shared = shared.min(chunks.len());
    }
    for chunks in &mut chunks {
        *chunks = &chunks[..shared];
    }
    (&query[..shared], chunks)
}
