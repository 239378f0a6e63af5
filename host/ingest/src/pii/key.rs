//! The key of hashed columns.
//!
//! A hash is HMAC-SHA-256 (RFC 2104, FIPS 180-4) of a value's canonical text, in lower-case hexadecimal: 64
//! characters. Under one key equal texts hash equally, whatever table they are in, so that joins work;
//! without the key nobody can try texts out. Versions remember the key by a short id that tells two keys
//! apart and nothing else about them.

use std::fmt;

use ring::{digest, hmac};

use crate::IngestError;

/// Fewest bytes of a key; a shorter one could be found by trying.
pub const MIN_KEY_BYTES: usize = 16;

/// What is hashed before a key for its id, so that an id is the hash of nothing else.
const ID_LABEL: &[u8] = b"boathouse/pii/key-id/1\0";
/// Characters of an id.
const ID_CHARS: usize = 8;

/// A key that hashes values.
pub struct HashKey {
    key: hmac::Key,
    id: String,
}

impl HashKey {
    /// The key with these bytes.
    ///
    /// # Errors
    /// [`IngestError::BadPolicy`] when it has fewer than [`MIN_KEY_BYTES`].
    pub fn new(secret: &[u8]) -> Result<Self, IngestError> {
        if secret.len() < MIN_KEY_BYTES {
            return Err(IngestError::BadPolicy {
                problem: format!("the hash key has fewer than {MIN_KEY_BYTES} bytes"),
                cure: "take a random one, for example of `openssl rand -hex 32`".to_owned(),
            });
        }
        let mut id = digest::Context::new(&digest::SHA256);
        id.update(ID_LABEL);
        id.update(secret);
        let mut id = hex(id.finish().as_ref());
        id.truncate(ID_CHARS);
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            id,
        })
    }

    /// What versions know the key by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The hash of a text.
    pub(crate) fn hash(&self, text: &str) -> String {
        hex(hmac::sign(&self.key, text.as_bytes()).as_ref())
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashKey({})", self.id)
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 6: a key of 131 bytes 0xaa.
    #[test]
    fn the_hash_is_hmac_sha_256() {
        let key = HashKey::new(&[0xaa; 131]).unwrap();
        assert_eq!(
            key.hash("Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn a_key_is_known_by_a_short_id_and_shows_nothing_else() {
        let one = HashKey::new(b"0123456789abcdef").unwrap();
        let other = HashKey::new(b"0123456789abcdeg").unwrap();
        assert_eq!(one.id().len(), 8);
        assert_ne!(one.id(), other.id());
        assert_eq!(format!("{one:?}"), format!("HashKey({})", one.id()));
    }

    #[test]
    fn a_short_key_is_refused_and_not_shown() {
        let error = HashKey::new(b"hunter2").unwrap_err().to_string();
        assert!(
            error.contains("16 bytes") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
