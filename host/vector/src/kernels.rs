//! The two inner loops of the room: inner product and squared Euclidean distance of two `f32` slices.
//!
//! Each exists for AVX2 with FMA, for NEON and in portable Rust. The machine is asked once, when
//! a set of vectors is created; from then on a distance is one call through a function pointer.
//!
//! Invariants: a [`Kernel`] is only ever made of functions whose instructions this machine has, and
//! every function reads at most the shorter slice's length of either argument. Sums are taken in
//! several accumulators, so two kernels may differ in the last bits; one kernel never differs from
//! itself.
#![expect(
    unsafe_code,
    reason = "vector instructions, each block with its bounds argument and a test against `portable`"
)]

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

/// A function over two slices of equal length; calling it needs the instructions it was compiled for.
pub(crate) type PairFn = unsafe fn(&[f32], &[f32]) -> f32;

/// What a kernel computes of two vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The inner product.
    Dot,
    /// The squared Euclidean distance.
    SquaredL2,
}

/// One implementation of a form that this machine can run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel {
    function: PairFn,
    /// Name of the instruction set.
    pub(crate) instructions: &'static str,
}

impl Kernel {
    /// The fastest implementation that this machine can run.
    pub(crate) fn fastest(form: Form) -> Self {
        let fallback = Self {
            function: match form {
                Form::Dot => portable::dot,
                Form::SquaredL2 => portable::squared_l2,
            },
            instructions: "portable",
        };
        Self::with_instructions(form)
            .into_iter()
            .next()
            .unwrap_or(fallback)
    }

    /// Implementations with vector instructions that this machine has, fastest first.
    fn with_instructions(form: Form) -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let found = x86::available(form);
        #[cfg(target_arch = "aarch64")]
        let found = neon::available(form);
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let found = {
            let _ = form;
            Vec::new()
        };
        found
    }

    /// Applies the kernel; the longer slice counts up to the length of the shorter.
    #[inline]
    pub(crate) fn of(self, a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: a kernel is made only by this module and its children, after the machine was found
        // to have the instructions; the functions check their own bounds.
        unsafe { (self.function)(a, b) }
    }
}

/// Asks the processor to bring the first lines of a vector into its nearest cache.
#[inline]
pub(crate) fn prefetch(vector: &[f32]) {
    /// Lines fetched ahead; the hardware follows a stream by itself after those.
    const LINES: usize = 4;
    for line in vector
        .chunks(crate::aligned::LINE / size_of::<f32>())
        .take(LINES)
    {
        prefetch_line(line);
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch_line(line: &[f32]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch is a hint that faults on no address; SSE is part of every x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
}

#[cfg(target_arch = "aarch64")]
#[inline]
fn prefetch_line(line: &[f32]) {
    // SAFETY: a prefetch is a hint that faults on no address and changes no register or memory.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{line}]",
            line = in(reg) line.as_ptr(),
            options(nostack, preserves_flags, readonly)
        );
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline]
fn prefetch_line(_line: &[f32]) {}

/// Plain Rust in sixteen accumulators, which the compiler turns into whatever the target has.
mod portable {
    const LANES: usize = 16;

    pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
        fold(a, b, |x, y| x * y)
    }

    pub(super) fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
        fold(a, b, |x, y| (x - y) * (x - y))
    }

    #[inline]
    fn fold(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
        let shared = a.len().min(b.len());
        let (a, a_rest) = a[..shared].as_chunks::<LANES>();
        let (b, b_rest) = b[..shared].as_chunks::<LANES>();
        let mut sums = [0.0_f32; LANES];
        for (a, b) in a.iter().zip(b) {
            for (sum, (&x, &y)) in sums.iter_mut().zip(a.iter().zip(b)) {
                *sum += term(x, y);
            }
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(&x, &y)| term(x, y)).sum();
        sums.iter().sum::<f32>() + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize, salt: u32) -> Vec<f32> {
        (0..len as u32)
            .map(|i| {
                let mixed = (i + 1).wrapping_mul(2_654_435_761).wrapping_add(salt * 97);
                f64::from(mixed) as f32 / u32::MAX as f32 - 0.5
            })
            .collect()
    }

    fn check(form: Form, a: &[f32], b: &[f32]) {
        let expected: f64 = a
            .iter()
            .zip(b)
            .map(|(&x, &y)| (f64::from(x), f64::from(y)))
            .map(|(x, y)| match form {
                Form::Dot => x * y,
                Form::SquaredL2 => (x - y) * (x - y),
            })
            .sum();
        let portable = Kernel {
            function: match form {
                Form::Dot => portable::dot,
                Form::SquaredL2 => portable::squared_l2,
            },
            instructions: "portable",
        };
        let slack = 1e-6 * (a.len() as f64 + 1.0);
        for kernel in Kernel::with_instructions(form)
            .into_iter()
            .chain([portable])
        {
            let found = f64::from(kernel.of(a, b));
            assert!(
                (found - expected).abs() <= slack,
                "{form:?} over {} components by {}: {found} against {expected}",
                a.len(),
                kernel.instructions
            );
        }
    }

    #[test]
    fn every_kernel_agrees_with_arithmetic_in_f64_at_every_length() {
        for len in 0..=130 {
            let (a, b) = (numbers(len, 1), numbers(len, 2));
            for form in [Form::Dot, Form::SquaredL2] {
                check(form, &a, &b);
                // Off the cache line, as a caller's slice may be.
                check(form, &a[len.min(1)..], &b[len.min(1)..]);
            }
        }
    }

    #[test]
    fn slices_of_unequal_length_are_read_up_to_the_shorter() {
        let (a, b) = (numbers(130, 3), numbers(130, 4));
        for form in [Form::Dot, Form::SquaredL2] {
            for kernel in Kernel::with_instructions(form) {
                for len in 0..130 {
                    assert_eq!(kernel.of(&a[..len], &b), kernel.of(&a[..len], &b[..len]));
                    assert_eq!(kernel.of(&a, &b[..len]), kernel.of(&a[..len], &b[..len]));
                }
            }
        }
    }

    #[test]
    fn prefetching_takes_any_slice() {
        prefetch(&[]);
        prefetch(&numbers(1, 5));
        prefetch(&numbers(1_000, 5));
    }
}
