//! Elements whose first lies on a 64-byte boundary: a buffer of our own, or a part of a mapped file.
//!
//! A vector row or a neighbour row that starts on a cache line touches the fewest lines. The buffer is
//! an ordinary `Vec` that skips the few elements before the first boundary, so that no `unsafe` is
//! needed: sealing fixes the allocation, which never moves afterwards. A part of a file is used where it
//! lies if it begins on a boundary, and copied into a buffer otherwise.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use crate::held::{Held, Number};

/// Bytes of a cache line.
pub(crate) const LINE: usize = 64;

/// Elements from a 64-byte boundary on; immutable in length.
pub(crate) struct Aligned<T: Clone + 'static> {
    elements: Held<[T]>,
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
            elements: Held::Own(elements),
            skip,
        }
    }

    /// The numbers in a part of some bytes; none when the bytes end before it.
    pub(crate) fn numbers(bytes: &Arc<Bytes>, start: usize, count: usize) -> Option<Self>
    where
        T: Number,
    {
        let elements = Held::<[T]>::numbers(bytes, start, count)?;
        let in_line = elements.as_ptr().align_offset(LINE) == 0;
        Some(match elements {
            Held::Own(own) => Self::seal(own),
            Held::Lent(_) if !in_line => Self::seal(elements.to_vec()),
            Held::Lent(_) => Self { elements, skip: 0 },
        })
    }

    /// Bytes held, slack included.
    pub(crate) fn memory_bytes(&self) -> usize {
        match &self.elements {
            Held::Own(own) => own.capacity() * size_of::<T>(),
            Held::Lent(_) => size_of_val::<[T]>(self),
        }
    }

    /// Whether the elements lie in bytes of somebody else.
    pub(crate) fn is_lent(&self) -> bool {
        self.elements.is_lent()
    }
}

impl<T: Clone> std::ops::Deref for Aligned<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        &self.elements[self.skip..]
    }
}

impl<T: Copy + Default> std::ops::DerefMut for Aligned<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        if self.is_lent() {
            *self = self.clone();
        }
        &mut self.elements.to_mut()[self.skip..]
    }
}

/// A clone is a buffer of its own.
impl<T: Copy + Default> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        Self::seal(self.to_vec())
    }
}

impl<T: Clone> fmt::Debug for Aligned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aligned({} elements)", self.len())
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

    #[test]
    fn elements_of_a_file_lie_on_a_line_wherever_they_begin() {
        let numbers: Vec<u32> = (0..1_000).collect();
        let plain: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        for shift in 0..2 * LINE {
            let shifted = [&vec![0; shift], plain.as_slice()].concat();
            let bytes = Arc::new(Bytes::from(shifted));
            let mut elements = Aligned::<u32>::numbers(&bytes, shift, 1_000).expect("all there");
            assert_eq!(elements.as_ptr().align_offset(LINE), 0);
            assert_eq!(*elements, *numbers);
            let on_line = bytes[shift..].as_ptr().align_offset(LINE) == 0;
            assert_eq!(
                elements.is_lent(),
                on_line && cfg!(target_endian = "little")
            );
            elements[7] = 700;
            assert_eq!((elements[6], elements[7]), (6, 700));
            assert!(!elements.is_lent() && elements.as_ptr().align_offset(LINE) == 0);
        }
    }
}
