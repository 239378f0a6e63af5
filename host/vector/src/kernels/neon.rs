//! Kernels for 64-bit ARM, where NEON is part of the base instruction set: four accumulators of four
//! lanes and a scalar tail.

use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vaddvq_f32, vdupq_n_f32, vfmaq_f32, vld1q_f32, vsubq_f32,
};

use super::{Form, Kernel};

/// The implementations that this machine can run, fastest first.
pub(super) fn available(form: Form) -> Vec<Kernel> {
    vec![Kernel {
        function: match form {
            Form::Dot => dot,
            Form::SquaredL2 => squared_l2,
        },
        instructions: "neon",
    }]
}

#[target_feature(enable = "neon")]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |x, y, sum| vfmaq_f32(sum, x, y), |x, y| x * y)
}

#[target_feature(enable = "neon")]
fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    fold(
        a,
        b,
        |x, y, sum| {
            let difference = vsubq_f32(x, y);
            vfmaq_f32(sum, difference, difference)
        },
        |x, y| (x - y) * (x - y),
    )
}

#[inline]
#[target_feature(enable = "neon")]
fn fold(
    a: &[f32],
    b: &[f32],
    step: impl Fn(float32x4_t, float32x4_t, float32x4_t) -> float32x4_t,
    term: impl Fn(f32, f32) -> f32,
) -> f32 {
    let shared = a.len().min(b.len());
    let (blocks_a, rest_a) = a[..shared].as_chunks::<16>();
    let (blocks_b, rest_b) = b[..shared].as_chunks::<16>();
    let mut sums = [vdupq_n_f32(0.0); 4];
    for (block_a, block_b) in blocks_a.iter().zip(blocks_b) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `lane` is 0 to 3, so the four floats lie within the block of sixteen.
            let (x, y) = unsafe {
                (
                    vld1q_f32(block_a.as_ptr().add(4 * lane)),
                    vld1q_f32(block_b.as_ptr().add(4 * lane)),
                )
            };
            *sum = step(x, y, *sum);
        }
    }
    let [s0, s1, s2, s3] = sums;
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(&x, &y)| term(x, y)).sum();
    vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3))) + rest
}
