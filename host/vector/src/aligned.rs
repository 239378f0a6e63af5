//! A growable buffer whose first element lies on a 64-byte boundary once it is sealed.
//!
//! A vector row or a neighbour row that starts on a cache line touches the fewest lines. The buffer is
//! an ordinary `Vec` that skips the few elements before the first boundary, so that no `unsafe` is
//! needed: sealing fixes the allocation, which never moves afterwards.

use std::fmt;

/// Bytes of a cache line.
pub(crate) const LINE: usize = 64;

/// Elements from a 64-byte boundary on; immutable in length.
pub(crate) struct Aligned<T> {
    allocation: Vec<T>,
    skip: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// Takes over the elements, shifting them within their allocation to the next boundary.
    pub(crate) fn seal(mut elements: Vec<T>) -> Self {
        let len = elements.len();
        let slack = LINE / size_of::<T>();
        elements.shrink_to(len + slack);
        elements.reserve_exact(slack);
        let skip = elements.as_ptr().align_offset(LINE).min(slack);
        elements.resize(len + skip, T::default());
        elements.copy_within(0..len, skip);
        Self {
            allocation: elements,
            skip,
        }
    }

    /// Bytes held, slack included.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.allocation.capacity() * size_of::<T>()
    }
}

impl<T> std::ops::Deref for Aligned<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        &self.allocation[self.skip..]
    }
}

impl<T> std::ops::DerefMut for Aligned<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.allocation[self.skip..]
    }
}

impl<T: Copy + Default> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        Self::seal(self.to_vec())
    }
}

impl<T> fmt::Debug for Aligned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aligned({} elements)", self.allocation.len() - self.skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_elements_lie_on_a_line_and_keep_their_order() {
        for len in [0_u32, 1, 15, 16, 17, 1_000, 100_000] {
            let sealed = Aligned::seal((0..len).collect::<Vec<_>>());
            assert_eq!(sealed.as_ptr().align_offset(LINE), 0);
            assert!(sealed.iter().copied().eq(0..len));
            assert_eq!(sealed.clone().as_ptr().align_offset(LINE), 0);
        }
    }
}
