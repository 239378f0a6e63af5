//! AVX2 and FMA.
//!
//! Floats: two accumulators of eight lanes a row, so four rows at a time keep eight chains of fused
//! multiply-adds busy. Codes: `maddubs` multiplies 32 unsigned by 32 signed bytes and adds neighbours into 16
//! bits, which cannot overflow as codes have seven bits; `madd` with ones widens the sums to 32 bits.

use std::arch::x86_64::{
    __m128, __m128i, __m256, __m256i, _mm_add_epi32, _mm_add_ps, _mm_storeu_ps, _mm_storeu_si128,
    _mm256_add_epi32, _mm256_add_ps, _mm256_castps256_ps128, _mm256_castsi256_si128,
    _mm256_extractf128_ps, _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_hadd_epi32,
    _mm256_hadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_set1_epi16, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_sub_ps,
};

use super::{CodeKernel, Form, Kernel, LANES, ROWS, Rows, chunked, four_of};

/// Bytes of a register.
const BYTES: usize = 32;

/// The implementation of a form, if this machine can run it.
pub(super) fn kernel(form: Form) -> Option<Kernel> {
    if !is_x86_feature_detected!("avx2") || !is_x86_feature_detected!("fma") {
        return None;
    }
    let instructions = "avx2+fma";
    Some(match form {
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
    })
}

/// The implementation for codes, if this machine can run it.
pub(super) fn code_kernel() -> Option<CodeKernel> {
    is_x86_feature_detected!("avx2").then(|| CodeKernel::new(codes_many, "avx2"))
}

float_kernel!("avx2,fma", dot_pair, dot_many, |x, y, sum| _mm256_fmadd_ps(
    x, y, sum
));
float_kernel!("avx2,fma", squared_l2_pair, squared_l2_many, |x, y, sum| {
    let difference = _mm256_sub_ps(x, y);
    _mm256_fmadd_ps(difference, difference, sum)
});

/// Eight partial sums of the query and each of `N` rows.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn float_sums<const N: usize>(
    query: &[f32],
    rows: [&[f32]; N],
    step: impl Fn(__m256, __m256, __m256) -> __m256,
) -> [__m256; N] {
    let (query, rows) = chunked::<f32, f32, LANES, N>(query, rows);
    let mut low = [_mm256_setzero_ps(); N];
    let mut high = [_mm256_setzero_ps(); N];
    for (line, part) in query.iter().enumerate() {
        let (x0, x1) = halves(part);
        for lane in 0..N {
            let (y0, y1) = halves(&rows[lane][line]);
            low[lane] = step(x0, y0, low[lane]);
            high[lane] = step(x1, y1, high[lane]);
        }
    }
    for lane in 0..N {
        low[lane] = _mm256_add_ps(low[lane], high[lane]);
    }
    low
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn halves(line: &[f32; LANES]) -> (__m256, __m256) {
    // SAFETY: the array holds the sixteen floats that are loaded.
    unsafe {
        (
            _mm256_loadu_ps(line.as_ptr()),
            _mm256_loadu_ps(line.as_ptr().add(LANES / 2)),
        )
    }
}

/// The sum of each register's lanes.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn float_totals([a, b, c, d]: [__m256; ROWS]) -> [f32; ROWS] {
    let pairs = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    let totals: __m128 = _mm_add_ps(
        _mm256_castps256_ps128(pairs),
        _mm256_extractf128_ps::<1>(pairs),
    );
    let mut out = [0.0; ROWS];
    // SAFETY: the array holds the four floats that are stored.
    unsafe { _mm_storeu_ps(out.as_mut_ptr(), totals) };
    out
}

code_kernel!("avx2", codes_many);

/// Eight partial sums of the query and each of `N` rows.
#[inline]
#[target_feature(enable = "avx2")]
fn code_sums<const N: usize>(query: &[i8], rows: [&[u8]; N]) -> [__m256i; N] {
    let (query, rows) = chunked::<i8, u8, BYTES, N>(query, rows);
    let ones = _mm256_set1_epi16(1);
    let mut sums = [_mm256_setzero_si256(); N];
    for (block, part) in query.iter().enumerate() {
        // SAFETY: the array holds the 32 bytes that are loaded.
        let weights = unsafe { _mm256_loadu_si256(part.as_ptr().cast()) };
        for lane in 0..N {
            // SAFETY: as above.
            let codes = unsafe { _mm256_loadu_si256(rows[lane][block].as_ptr().cast()) };
            let products = _mm256_maddubs_epi16(codes, weights);
            sums[lane] = _mm256_add_epi32(sums[lane], _mm256_madd_epi16(products, ones));
        }
    }
    sums
}

/// The sum of each register's lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn code_totals([a, b, c, d]: [__m256i; ROWS]) -> [i32; ROWS] {
    let pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let totals: __m128i = _mm_add_epi32(
        _mm256_castsi256_si128(pairs),
        _mm256_extracti128_si256::<1>(pairs),
    );
    let mut out = [0; ROWS];
    // SAFETY: the array holds the four numbers that are stored.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), totals) };
    out
}
