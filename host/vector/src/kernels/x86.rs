//! Kernels for x86-64 with AVX2 and FMA: four accumulators of eight lanes, enough to keep the fused
//! multiply-add units busy, and a scalar tail. There is none for AVX-512, as no gain was measured yet.

use std::arch::x86_64::{
    __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehl_ps, _mm_shuffle_ps, _mm256_add_ps,
    _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_setzero_ps, _mm256_sub_ps,
};

use super::{Form, Kernel};

/// The implementations that this machine can run, fastest first.
pub(super) fn available(form: Form) -> Vec<Kernel> {
    if !is_x86_feature_detected!("avx2") || !is_x86_feature_detected!("fma") {
        return Vec::new();
    }
    vec![Kernel {
        function: match form {
            Form::Dot => dot_avx2,
            Form::SquaredL2 => squared_l2_avx2,
        },
        instructions: "avx2+fma",
    }]
}

/// Defines a kernel over 8-lane registers; `$step` adds the terms of two registers to a sum.
macro_rules! avx2_kernel {
    ($name:ident, $step:expr, $term:expr) => {
        #[target_feature(enable = "avx2,fma")]
        fn $name(a: &[f32], b: &[f32]) -> f32 {
            let shared = a.len().min(b.len());
            let (blocks_a, _) = a[..shared].as_chunks::<32>();
            let (blocks_b, _) = b[..shared].as_chunks::<32>();
            let mut sums = [_mm256_setzero_ps(); 4];
            for (block_a, block_b) in blocks_a.iter().zip(blocks_b) {
                for (lane, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: `lane` is 0 to 3, so the eight floats lie within the block of 32.
                    let (x, y) = unsafe {
                        (
                            _mm256_loadu_ps(block_a.as_ptr().add(8 * lane)),
                            _mm256_loadu_ps(block_b.as_ptr().add(8 * lane)),
                        )
                    };
                    *sum = $step(x, y, *sum);
                }
            }
            let done = blocks_a.len() * 32;
            let (eights_a, rest_a) = a[done..shared].as_chunks::<8>();
            let (eights_b, rest_b) = b[done..shared].as_chunks::<8>();
            for ((eight_a, eight_b), sum) in eights_a.iter().zip(eights_b).zip(&mut sums) {
                // SAFETY: each array holds exactly the eight floats that are loaded.
                let (x, y) = unsafe {
                    (
                        _mm256_loadu_ps(eight_a.as_ptr()),
                        _mm256_loadu_ps(eight_b.as_ptr()),
                    )
                };
                *sum = $step(x, y, *sum);
            }
            let [s0, s1, s2, s3] = sums;
            let total = sum_of_lanes(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
            let rest: f32 = rest_a.iter().zip(rest_b).map(|(&x, &y)| $term(x, y)).sum();
            total + rest
        }
    };
}

avx2_kernel!(
    dot_avx2,
    |x, y, sum| _mm256_fmadd_ps(x, y, sum),
    |x: f32, y: f32| x * y
);
avx2_kernel!(
    squared_l2_avx2,
    |x, y, sum| {
        let difference = _mm256_sub_ps(x, y);
        _mm256_fmadd_ps(difference, difference, sum)
    },
    |x: f32, y: f32| (x - y) * (x - y)
);

#[target_feature(enable = "avx2,fma")]
fn sum_of_lanes(lanes: __m256) -> f32 {
    let four = _mm_add_ps(
        _mm256_castps256_ps128(lanes),
        _mm256_extractf128_ps::<1>(lanes),
    );
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}
