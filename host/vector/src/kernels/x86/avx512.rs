//! AVX-512 with VNNI: a cache line is one register, of sixteen floats or of 64 codes.
//!
//! Codes: `dpbusd` multiplies 64 unsigned by 64 signed bytes and adds each four neighbours to a sum of 32 bits, in
//! one instruction where AVX2 takes three for half as many. Both kinds ask for VNNI: processors that have AVX-512
//! without it slow their clock for its wide registers (Intel, "64 and IA-32 Architectures Optimization Reference
//! Manual", on Skylake's licence levels).

use std::arch::x86_64::{
    __m512, __m512i, _mm_add_epi32, _mm_add_ps, _mm_storeu_ps, _mm_storeu_si128, _mm256_add_epi32,
    _mm256_add_ps, _mm256_castpd_ps, _mm256_castps256_ps128, _mm256_castsi256_si128,
    _mm256_extractf128_ps, _mm256_extracti128_si256, _mm512_add_epi32, _mm512_add_ps,
    _mm512_castpd_ps, _mm512_castpd512_pd256, _mm512_castps_pd, _mm512_castsi512_si256,
    _mm512_dpbusd_epi32, _mm512_extractf64x4_pd, _mm512_extracti64x4_epi64, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_loadu_si512, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_sub_ps,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpackhi_pd, _mm512_unpackhi_ps,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use super::{CodeKernel, Form, Kernel, LANES, ROWS, Rows, chunked, four_of};

/// Bytes of a register.
const BYTES: usize = 64;

/// The implementation of a form, if this machine can run it.
pub(super) fn kernel(form: Form) -> Option<Kernel> {
    let instructions = "avx512+vnni";
    is_here().then_some(match form {
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
    is_here().then(|| CodeKernel::new(codes_many, "avx512+vnni"))
}

/// AVX-512 contains AVX2 and FMA, as the processor manuals and the compiler have it.
fn is_here() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
}

float_kernel!("avx512f", dot_pair, dot_many, |x, y, sum| _mm512_fmadd_ps(
    x, y, sum
));
float_kernel!("avx512f", squared_l2_pair, squared_l2_many, |x, y, sum| {
    let difference = _mm512_sub_ps(x, y);
    _mm512_fmadd_ps(difference, difference, sum)
});

/// Sixteen partial sums of the query and each of `N` rows.
#[inline]
#[target_feature(enable = "avx512f")]
fn float_sums<const N: usize>(
    query: &[f32],
    rows: [&[f32]; N],
    step: impl Fn(__m512, __m512, __m512) -> __m512,
) -> [__m512; N] {
    let (query, rows) = chunked::<f32, f32, LANES, N>(query, rows);
    let mut sums = [_mm512_setzero_ps(); N];
    for (line, part) in query.iter().enumerate() {
        // SAFETY: the array holds the sixteen floats that are loaded.
        let x = unsafe { _mm512_loadu_ps(part.as_ptr()) };
        for lane in 0..N {
            // SAFETY: as above.
            let y = unsafe { _mm512_loadu_ps(rows[lane][line].as_ptr()) };
            sums[lane] = step(x, y, sums[lane]);
        }
    }
    sums
}

/// The sum of each register's lanes: rows become columns pair by pair, then the quarters are added.
#[inline]
#[target_feature(enable = "avx512f")]
fn float_totals([a, b, c, d]: [__m512; ROWS]) -> [f32; ROWS] {
    let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    let columns = _mm512_add_ps(
        _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)),
        _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)),
    );
    let quarters = _mm512_castps_pd(columns);
    let halves = _mm256_add_ps(
        _mm256_castpd_ps(_mm512_castpd512_pd256(quarters)),
        _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(quarters)),
    );
    let totals = _mm_add_ps(
        _mm256_castps256_ps128(halves),
        _mm256_extractf128_ps::<1>(halves),
    );
    let mut out = [0.0; ROWS];
    // SAFETY: the array holds the four floats that are stored.
    unsafe { _mm_storeu_ps(out.as_mut_ptr(), totals) };
    out
}

code_kernel!("avx512f,avx512vnni", codes_many);

/// Sixteen partial sums of the query and each of `N` rows.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn code_sums<const N: usize>(query: &[i8], rows: [&[u8]; N]) -> [__m512i; N] {
    let (query, rows) = chunked::<i8, u8, BYTES, N>(query, rows);
    let mut sums = [_mm512_setzero_si512(); N];
    for (line, part) in query.iter().enumerate() {
        // SAFETY: the array holds the 64 bytes that are loaded.
        let weights = unsafe { _mm512_loadu_si512(part.as_ptr().cast()) };
        for lane in 0..N {
            // SAFETY: as above.
            let codes = unsafe { _mm512_loadu_si512(rows[lane][line].as_ptr().cast()) };
            sums[lane] = _mm512_dpbusd_epi32(sums[lane], codes, weights);
        }
    }
    sums
}

/// The sum of each register's lanes, as of floats.
#[inline]
#[target_feature(enable = "avx512f")]
fn code_totals([a, b, c, d]: [__m512i; ROWS]) -> [i32; ROWS] {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let columns = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let halves = _mm256_add_epi32(
        _mm512_castsi512_si256(columns),
        _mm512_extracti64x4_epi64::<1>(columns),
    );
    let totals = _mm_add_epi32(
        _mm256_castsi256_si128(halves),
        _mm256_extracti128_si256::<1>(halves),
    );
    let mut out = [0; ROWS];
    // SAFETY: the array holds the four numbers that are stored.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), totals) };
    out
}
