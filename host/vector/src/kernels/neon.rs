//! Kernels for 64-bit ARM, where NEON is part of the base instruction set.
//!
//! Floats: four accumulators of four lanes a row. Codes have seven bits, so they multiply as signed bytes: two
//! products of at most 127 x 127 fit the 16 bits they are added in, and are then added in pairs into 32.

use std::arch::aarch64::{
    float32x4_t, int32x4_t, vaddq_f32, vaddvq_f32, vaddvq_s32, vdupq_n_f32, vdupq_n_s32, vfmaq_f32,
    vget_low_s8, vld1q_f32, vld1q_s8, vld1q_u8, vmlal_high_s8, vmull_s8, vpadalq_s16,
    vreinterpretq_s8_u8, vsubq_f32,
};

use super::{CodeKernel, Form, Kernel, LANES, Rows};

/// Rows compared at a time.
const ROWS: usize = 4;

/// Bytes of a register.
const BYTES: usize = 16;

/// The implementations that this machine can run, fastest first.
pub(super) fn available(form: Form) -> Vec<Kernel> {
    let instructions = "neon";
    vec![match form {
        Form::Dot => Kernel {
            pair: dot_pair,
            many: dot_many,
            instructions,
        },
        Form::SquaredL2 => Kernel {
            pair: squared_l2_pair,
            many: squared_l2_many,
            instructions,
        },
    }]
}

/// The implementations for codes that this machine can run, fastest first.
pub(super) fn available_for_codes() -> Vec<CodeKernel> {
    vec![CodeKernel::new(codes_many, "neon")]
}

/// Defines both shapes of a kernel; `$step` adds the terms of two registers to a sum.
macro_rules! float_kernel {
    ($pair:ident, $many:ident, $step:expr) => {
        #[target_feature(enable = "neon")]
        fn $pair(a: &[f32], b: &[f32]) -> f32 {
            let [total] = float_totals(a, [b], $step);
            total
        }

        #[target_feature(enable = "neon")]
        fn $many(query: &[f32], rows: Rows<'_, f32>, list: &[u32], out: &mut Vec<f32>) {
            let (fours, rest) = list.as_chunks::<ROWS>();
            for four in fours {
                let totals = float_totals(query, four.map(|row| rows.get(row)), $step);
                out.extend_from_slice(&totals);
            }
            for &row in rest {
                out.push($pair(query, rows.get(row)));
            }
        }
    };
}

float_kernel!(dot_pair, dot_many, |x, y, sum| vfmaq_f32(sum, x, y));
float_kernel!(squared_l2_pair, squared_l2_many, |x, y, sum| {
    let difference = vsubq_f32(x, y);
    vfmaq_f32(sum, difference, difference)
});

#[inline]
#[target_feature(enable = "neon")]
fn float_totals<const N: usize>(
    query: &[f32],
    rows: [&[f32]; N],
    step: impl Fn(float32x4_t, float32x4_t, float32x4_t) -> float32x4_t,
) -> [f32; N] {
    let query = query.as_chunks::<LANES>().0;
    let rows = rows.map(|row| row.as_chunks::<LANES>().0);
    let shared = rows.iter().fold(query.len(), |len, row| len.min(row.len()));
    let query = &query[..shared];
    let rows = rows.map(|row| &row[..shared]);
    let mut sums = [[vdupq_n_f32(0.0); 4]; N];
    for (line, part) in query.iter().enumerate() {
        for quarter in 0..4 {
            // SAFETY: `quarter` is 0 to 3, so the four floats lie within the line of sixteen.
            let x = unsafe { vld1q_f32(part.as_ptr().add(4 * quarter)) };
            for lane in 0..N {
                // SAFETY: as above.
                let y = unsafe { vld1q_f32(rows[lane][line].as_ptr().add(4 * quarter)) };
                sums[lane][quarter] = step(x, y, sums[lane][quarter]);
            }
        }
    }
    sums.map(|[a, b, c, d]| vaddvq_f32(vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d))))
}

#[target_feature(enable = "neon")]
fn codes_many(query: &[i8], rows: Rows<'_, u8>, list: &[u32], out: &mut Vec<i32>) {
    let (fours, rest) = list.as_chunks::<ROWS>();
    for four in fours {
        let sums = code_sums(query, four.map(|row| rows.get(row)));
        out.extend(sums.map(|sum| vaddvq_s32(sum)));
    }
    for &row in rest {
        let [sum] = code_sums(query, [rows.get(row)]);
        out.push(vaddvq_s32(sum));
    }
}

/// Four partial sums of the query and each of `N` rows.
#[inline]
#[target_feature(enable = "neon")]
fn code_sums<const N: usize>(query: &[i8], rows: [&[u8]; N]) -> [int32x4_t; N] {
    let query = query.as_chunks::<BYTES>().0;
    let rows = rows.map(|row| row.as_chunks::<BYTES>().0);
    let shared = rows.iter().fold(query.len(), |len, row| len.min(row.len()));
    let query = &query[..shared];
    let rows = rows.map(|row| &row[..shared]);
    let mut sums = [vdupq_n_s32(0); N];
    for (block, part) in query.iter().enumerate() {
        // SAFETY: the array holds the sixteen bytes that are loaded.
        let weights = unsafe { vld1q_s8(part.as_ptr()) };
        for lane in 0..N {
            // SAFETY: as above.
            let codes = unsafe { vreinterpretq_s8_u8(vld1q_u8(rows[lane][block].as_ptr())) };
            let products = vmull_s8(vget_low_s8(codes), vget_low_s8(weights));
            let products = vmlal_high_s8(products, codes, weights);
            sums[lane] = vpadalq_s16(sums[lane], products);
        }
    }
    sums
}
