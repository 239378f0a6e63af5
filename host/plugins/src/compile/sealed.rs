//! Machine code as it travels from the compiler's process to the host, and as it lies in the cache.
//!
//! ```text
//! magic              8 bytes   names this layout
//! compatibility      8 bytes   little-endian: of the engine that the code is for
//! component         32 bytes   SHA-256 of the component that was compiled
//! length             8 bytes   little-endian: bytes of code
//! code's digest     32 bytes   SHA-256 of the code
//! code
//! ```
//!
//! A [`Sealed`] was checked against all of it, so code that was torn, damaged, or made for another engine
//! or component is never loaded. The digest guards against accidents and not against forgery: what is
//! opened here comes from a process that this host started, or from a folder that only it can write.

use crate::digest::Digest;

const MAGIC: [u8; 8] = *b"bhcode\0\x01";
/// Bytes before the code.
pub(super) const HEADER: usize = 8 + 8 + 32 + 8 + 32;

/// What code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Purpose {
    /// The engine's compatibility hash.
    pub(super) compatibility: u64,
    /// The component.
    pub(super) component: Digest,
}

/// Checked header and code.
pub(super) struct Sealed(Vec<u8>);

/// Why something is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// Not this layout.
    #[error("it is of another version")]
    Layout,
    /// For another engine or component.
    #[error("it is for another engine or another component")]
    Purpose,
    /// Damaged or cut.
    #[error("it is torn or damaged")]
    Torn,
}

/// The header of some code.
pub(super) fn header(purpose: Purpose, code: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend(MAGIC);
    header.extend(purpose.compatibility.to_le_bytes());
    header.extend(purpose.component.0);
    header.extend((code.len() as u64).to_le_bytes());
    header.extend(Digest::of(code).0);
    header
}

impl Sealed {
    /// Checks bytes against what the code should be for.
    pub(super) fn open(bytes: Vec<u8>, purpose: Purpose) -> Result<Self, Broken> {
        let Some((found, code)) = bytes.split_at_checked(HEADER) else {
            return Err(Broken::Torn);
        };
        let expected = header(purpose, code);
        // Up to the purpose nothing depends on the code.
        let (layout, rest) = found.split_at(MAGIC.len());
        if layout != MAGIC {
            return Err(Broken::Layout);
        }
        if rest[..40] != expected[MAGIC.len()..][..40] {
            return Err(Broken::Purpose);
        }
        if found != expected {
            return Err(Broken::Torn);
        }
        Ok(Self(bytes))
    }

    /// The code.
    pub(super) fn code(&self) -> &[u8] {
        &self.0[HEADER..]
    }

    /// Header and code.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSE: Purpose = Purpose {
        compatibility: 7,
        component: Digest([3; 32]),
    };

    fn sealed() -> Vec<u8> {
        let mut bytes = header(PURPOSE, b"code");
        bytes.extend(b"code");
        bytes
    }

    #[test]
    fn code_comes_back_as_it_was_sealed() {
        let opened = Sealed::open(sealed(), PURPOSE).expect("whole");
        assert_eq!(opened.code(), b"code");
        assert_eq!(opened.bytes(), sealed());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let whole = sealed();
        for position in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[position] ^= 1;
            assert!(Sealed::open(damaged, PURPOSE).is_err(), "at {position}");
            let cut = whole[..position].to_vec();
            assert_eq!(Sealed::open(cut, PURPOSE).err(), Some(Broken::Torn));
        }
        let mut longer = whole;
        longer.push(0);
        assert_eq!(Sealed::open(longer, PURPOSE).err(), Some(Broken::Torn));
    }

    #[test]
    fn code_for_something_else_is_told_apart_from_damage() {
        let other_engine = Purpose {
            compatibility: 8,
            ..PURPOSE
        };
        let other_component = Purpose {
            component: Digest([4; 32]),
            ..PURPOSE
        };
        for purpose in [other_engine, other_component] {
            assert_eq!(Sealed::open(sealed(), purpose).err(), Some(Broken::Purpose));
        }
        let mut newer = sealed();
        newer[7] = 2;
        assert_eq!(Sealed::open(newer, PURPOSE).err(), Some(Broken::Layout));
    }
}
