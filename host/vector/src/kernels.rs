//! The inner loops of the room: inner product and squared Euclidean distance of `f32` vectors, and the inner
//! product of 8-bit codes.
//!
//! Each exists for AVX-512, for AVX2, for NEON and in portable Rust, and in two shapes: of two vectors, and of one
//! query with many rows of a table. The second takes rows four at a time, so that a part of the query is loaded once for
//! four rows and their sums are folded together. The machine is asked once, when a set of vectors or
//! its codes are created; from then on a list of rows is one call through a function pointer.
//!
//! Rows are padded with zeros to whole cache lines of [`LANES`] floats or codes, so no loop has a tail: what
//! follows the last whole line of the shorter argument is not read.
//!
//! Measured on GloVe (100,000 rows of 50 components, AVX2, one thread) as searches a second at equal answers:
//! four rows at a time gained 12 % over one at a time, codes in place of floats another 50 to 60 %. AVX-512 with
//! VNNI compares codes in 0.87 of AVX2's time while rows are cached (64 to 768 codes a row, Zen 5) and floats of 384
//! components in 0.90; where rows come from memory the two differ by less than the noise.
//!
//! Tests run each kernel that the machine has. NEON's pass under `qemu-aarch64`: `cargo test -p boathouse-vector --lib
//! --target aarch64-unknown-linux-gnu -- kernels`, with a linker and a runner for that target.
//!
//! Invariants: a [`Kernel`] or a [`CodeKernel`] is only ever made of functions whose instructions this machine
//! has. Both shapes of one kernel give the same bits. Two kernels of floats may differ in the last bits, as they
//! sum in another order; kernels of codes compute with integers and all agree.
#![expect(
    unsafe_code,
    reason = "vector instructions, each block with its bounds argument and a test against `portable`"
)]

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::aligned::LINE;

/// Floats of a cache line; vectors are padded to a multiple.
pub(crate) const LANES: usize = LINE / size_of::<f32>();

/// Largest code of a row. Products of two neighbouring components then fit 16 bits together: 2 x 127 x 127.
pub(crate) const MAX_CODE: u8 = 127;

/// Rows of one length in one array.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    /// All rows, one after the other.
    pub(crate) values: &'a [T],
    /// Elements from one row to the next.
    pub(crate) stride: usize,
}

impl<'a, T> Rows<'a, T> {
    /// A row with its padding.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub(crate) fn get(self, row: u32) -> &'a [T] {
        &self.values[row as usize * self.stride..][..self.stride]
    }

    /// Asks the processor to bring the row into its nearest cache.
    #[inline]
    pub(crate) fn prefetch(self, row: u32) {
        prefetch(self.get(row));
    }
}

/// Functions over vectors whose length is a multiple of [`LANES`]; calling them needs the instructions they were
/// compiled for.
type PairFn = unsafe fn(&[f32], &[f32]) -> f32;
type ManyFn = unsafe fn(&[f32], Rows<'_, f32>, &[u32], &mut Vec<f32>);
type CodeFn = unsafe fn(&[i8], Rows<'_, u8>, &[u32], &mut Vec<i32>);

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
    pair: PairFn,
    many: ManyFn,
    /// Name of the instruction set.
    pub(crate) instructions: &'static str,
}

impl Kernel {
    /// The fastest implementation that this machine can run.
    pub(crate) fn fastest(form: Form) -> Self {
        let vectorised = Self::with_instructions(form).into_iter().next();
        vectorised.unwrap_or_else(|| portable::kernel(form))
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

    /// The value of two vectors.
    #[inline]
    pub(crate) fn of(self, a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: a kernel is made only by this module and its children, after the machine was found
        // to have the instructions; the functions check their own bounds.
        unsafe { (self.pair)(a, b) }
    }

    /// Appends the value of the query and each listed row.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub(crate) fn of_many(
        self,
        query: &[f32],
        rows: Rows<'_, f32>,
        list: &[u32],
        out: &mut Vec<f32>,
    ) {
        // SAFETY: as in `of`.
        unsafe { (self.many)(query, rows, list, out) }
    }
}

/// One implementation of the inner product of codes that this machine can run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CodeKernel {
    many: CodeFn,
    #[cfg(test)]
    instructions: &'static str,
}

impl CodeKernel {
    /// The fastest implementation that this machine can run.
    pub(crate) fn fastest() -> Self {
        let vectorised = Self::with_instructions().into_iter().next();
        vectorised.unwrap_or_else(portable::code_kernel)
    }

    fn with_instructions() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let found = x86::available_for_codes();
        #[cfg(target_arch = "aarch64")]
        let found = neon::available_for_codes();
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let found = Vec::new();
        found
    }

    fn new(many: CodeFn, instructions: &'static str) -> Self {
        #[cfg(not(test))]
        let _ = instructions;
        Self {
            many,
            #[cfg(test)]
            instructions,
        }
    }

    /// Appends the inner product of the query and each listed row. Rows hold codes up to [`MAX_CODE`], the query
    /// numbers from -127 to 127; lengths are multiples of a cache line.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub(crate) fn of_many(
        self,
        query: &[i8],
        rows: Rows<'_, u8>,
        list: &[u32],
        out: &mut Vec<i32>,
    ) {
        // SAFETY: as in `Kernel::of`.
        unsafe { (self.many)(query, rows, list, out) }
    }
}

/// Asks the processor to bring a slice into its nearest cache, line by line.
#[inline]
pub(crate) fn prefetch<T>(slice: &[T]) {
    for line in slice.chunks((LINE / size_of::<T>()).max(1)) {
        prefetch_line(line.as_ptr());
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch_line<T>(line: *const T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch is a hint that faults on no address; SSE is part of every x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
}

#[cfg(target_arch = "aarch64")]
#[inline]
fn prefetch_line<T>(line: *const T) {
    // SAFETY: a prefetch is a hint that faults on no address and changes no register or memory.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{line}]",
            line = in(reg) line,
            options(nostack, preserves_flags, readonly)
        );
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline]
fn prefetch_line<T>(_line: *const T) {}

#[cfg(test)]
mod tests;
