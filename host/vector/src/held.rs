//! A slice or a text that is this program's own, or lies in bytes that somebody lends: a mapped file.
//!
//! What is lent is looked at where it lies, for as long as anybody holds it, and costs no memory of its
//! own. It is never written to: who wants to change it gets a copy, as with [`std::borrow::Cow`].
//!
//! Numbers are lent only where the bytes are numbers as they lie there: on a boundary of their type, on a
//! machine with the least significant byte first. Elsewhere [`Held::numbers`] reads them into memory, so
//! whoever holds them does not notice.

use std::{
    borrow::{Borrow, Cow},
    fmt,
    ops::Deref,
    sync::Arc,
};

use bytes::Bytes;
use yoke::Yoke;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Own or lent.
pub(crate) enum Held<T: ?Sized + ToOwned + 'static> {
    /// In memory of its own.
    Own(T::Owned),
    /// In bytes that are kept for as long.
    Lent(Yoke<&'static T, Arc<Bytes>>),
}

/// A number that lies in a file with its least significant byte first.
pub(crate) trait Number: FromBytes + IntoBytes + Immutable + Copy + 'static {
    /// The numbers in bytes whose count is a multiple of the number's.
    fn decode(bytes: &[u8]) -> Vec<Self>;

    /// The bytes of the numbers.
    fn encode(numbers: &[Self]) -> Cow<'_, [u8]>;
}

impl<T: Number> Held<[T]> {
    /// The numbers in a part of some bytes; none when the bytes end before it, or within a number.
    pub(crate) fn numbers(bytes: &Arc<Bytes>, start: usize, count: usize) -> Option<Self> {
        let end = count.checked_mul(size_of::<T>())?.checked_add(start)?;
        let part = bytes.get(start..end)?;
        let in_place = cfg!(target_endian = "little") && <[T]>::ref_from_bytes(part).is_ok();
        if !in_place {
            return Some(Self::Own(T::decode(part)));
        }
        let lent = Yoke::try_attach_to_cart(Arc::clone(bytes), |bytes: &Bytes| {
            let part = bytes.get(start..end).unwrap_or_default();
            <[T]>::ref_from_bytes(part).map_err(drop)
        });
        lent.ok().map(Self::Lent)
    }
}

impl Held<str> {
    /// The text in a part of some bytes; none when the bytes end before it or it is no UTF-8.
    pub(crate) fn text(bytes: &Arc<Bytes>, start: usize, len: usize) -> Option<Self> {
        let end = start.checked_add(len)?;
        let lent = Yoke::try_attach_to_cart(Arc::clone(bytes), |bytes: &Bytes| {
            std::str::from_utf8(bytes.get(start..end).ok_or(())?).map_err(drop)
        });
        lent.ok().map(Self::Lent)
    }
}

impl<T: ?Sized + ToOwned> Held<T> {
    /// Whether it lies in bytes of somebody else.
    pub(crate) fn is_lent(&self) -> bool {
        matches!(self, Self::Lent(_))
    }

    /// It as something to change: a copy if it was lent.
    pub(crate) fn to_mut(&mut self) -> &mut T::Owned {
        if self.is_lent() {
            *self = Self::Own((**self).to_owned());
        }
        match self {
            Self::Own(own) => own,
            Self::Lent(_) => unreachable!("it was copied just now"),
        }
    }
}

impl<T: ?Sized + ToOwned> Deref for Held<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Self::Own(own) => own.borrow(),
            Self::Lent(lent) => lent.get(),
        }
    }
}

impl<T: ?Sized + ToOwned<Owned: Clone>> Clone for Held<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Own(own) => Self::Own(own.clone()),
            Self::Lent(lent) => Self::Lent(lent.clone()),
        }
    }
}

impl<T: ?Sized + ToOwned> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_lent() { "Lent" } else { "Own" })
    }
}

impl<T: ?Sized + ToOwned<Owned: Default>> Default for Held<T> {
    fn default() -> Self {
        Self::Own(T::Owned::default())
    }
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn decode(bytes: &[u8]) -> Vec<Self> {
                let (words, _) = bytes.as_chunks();
                words.iter().map(|&word| Self::from_le_bytes(word)).collect()
            }

            fn encode(numbers: &[Self]) -> Cow<'_, [u8]> {
                match cfg!(target_endian = "little") {
                    true => Cow::Borrowed(numbers.as_bytes()),
                    false => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
                }
            }
        }
    )*};
}

number!(f32, u8, u32, u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(from: &[u8]) -> Arc<Bytes> {
        Arc::new(Bytes::copy_from_slice(from))
    }

    #[test]
    fn numbers_are_the_same_lent_and_copied() {
        let numbers: Vec<u32> = (0..100).map(|i| i * 0x0101_0101).collect();
        let plain: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let mut lent = 0;
        for shift in 0..8 {
            let shifted = bytes(&[&vec![0; shift], plain.as_slice()].concat());
            let held = Held::<[u32]>::numbers(&shifted, shift, 100).expect("all are there");
            assert_eq!(*held, *numbers);
            lent += u32::from(held.is_lent());
        }
        assert_eq!(lent, 2, "two of eight places are multiples of four");
        assert_eq!(*u32::encode(&numbers), *plain);
    }

    #[test]
    fn what_the_bytes_do_not_hold_is_not_lent() {
        let short = bytes(&[0xff; 16]);
        for (start, count) in [(0, 5), (4, 4), (17, 0), (usize::MAX, 1), (0, usize::MAX)] {
            assert!(
                Held::<[u32]>::numbers(&short, start, count).is_none(),
                "{count} from {start}"
            );
        }
        assert!(Held::text(&short, 0, 1).is_none(), "no UTF-8");
        assert!(Held::text(&short, 16, 1).is_none(), "beyond the end");
        assert!(Held::text(&short, usize::MAX, 2).is_none());
        assert_eq!(&*Held::text(&short, 16, 0).expect("empty"), "");
    }

    #[test]
    fn a_change_leaves_what_is_lent_as_it_is() {
        let lender = bytes(b"boat");
        let held = Held::text(&lender, 0, 4).expect("text");
        let mut changed = held.clone();
        changed.to_mut().push_str("house");
        assert_eq!((&*held, &*changed), ("boat", "boathouse"));
        assert!(held.is_lent() && !changed.is_lent());
        drop(lender);
        assert_eq!(&*held, "boat", "what is lent is kept");
    }
}
