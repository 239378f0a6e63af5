//! The text of a key: `bh_{id}_{secret}`, both random, lower-case hex.
//!
//! The id (6 bytes) finds the record of a key and may be shown; the secret (32 bytes) is in no record.
//! What is kept is the SHA-256 of the whole text: a secret of 256 random bits needs no slow hash.
//! Hashes are compared in constant time.

use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

const PREFIX: &str = "bh_";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;
/// Id of the owner's token, which no key has: it is no hex.
const OWNER: &str = "owner";

/// The operating system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random bytes; a key cannot be made")]
pub struct NoEntropy;

/// The text of a key or of the owner's token. Neither shown nor logged but where it is handed over.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// SHA-256 of a token.
#[derive(Clone, Copy)]
pub(super) struct TokenHash([u8; 32]);

impl Token {
    /// A fresh key.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub(super) fn fresh() -> Result<Self, NoEntropy> {
        let id = hex(&random::<ID_BYTES>()?);
        Self::with_id(&id)
    }

    /// A fresh token of the owner.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub(super) fn fresh_owner() -> Result<Self, NoEntropy> {
        Self::with_id(OWNER)
    }

    fn with_id(id: &str) -> Result<Self, NoEntropy> {
        let secret = hex(&random::<SECRET_BYTES>()?);
        Ok(Self(format!("{PREFIX}{id}_{secret}")))
    }

    /// Reads a token; none when the text cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let id_ok = id == OWNER || is_hex(id, ID_BYTES);
        (id_ok && is_hex(secret, SECRET_BYTES)).then(|| Self(text.to_owned()))
    }

    /// The id in it.
    pub(super) fn id(&self) -> &str {
        let rest = self.0.strip_prefix(PREFIX).unwrap_or_default();
        rest.split_once('_').map_or("", |(id, _)| id)
    }

    pub(super) fn is_owner(&self) -> bool {
        self.id() == OWNER
    }

    /// The text itself, for a header or to hand it over.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({PREFIX}{}_***)", self.id())
    }
}

impl TokenHash {
    pub(super) fn to_hex(self) -> String {
        hex(&self.0)
    }

    /// Whether this is the hash that `text` gives in hex; takes the same time for every `text` of 64 bytes.
    pub(super) fn is(self, text: &str) -> bool {
        self.to_hex().as_bytes().ct_eq(text.as_bytes()).into()
    }
}

/// The text of a secret that is no key: 32 random bytes in hex.
///
/// # Errors
/// [`NoEntropy`].
pub(crate) fn secret() -> Result<String, NoEntropy> {
    Ok(hex(&random::<SECRET_BYTES>()?))
}

fn random<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| NoEntropy)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_hex(text: &str, bytes: usize) -> bool {
    text.len() == 2 * bytes
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_from_its_text_and_no_two_are_equal() {
        let (one, two) = (
            Token::fresh().expect("entropy"),
            Token::fresh().expect("entropy"),
        );
        assert_ne!(one, two);
        assert_eq!(Token::parse(one.reveal()), Some(one.clone()));
        assert!(one.hash().is(&one.hash().to_hex()));
        assert!(!one.hash().is(&two.hash().to_hex()));
        assert!(!one.hash().is(""));
        let owner = Token::fresh_owner().expect("entropy");
        assert!(owner.is_owner() && !one.is_owner());
        assert_eq!(Token::parse(owner.reveal()), Some(owner));
    }

    #[test]
    fn what_is_no_token_is_none() {
        let good = Token::fresh().expect("entropy");
        let good = good.reveal();
        for bad in [
            "",
            "bh_",
            "bh__",
            "bh_owner_",
            &good[1..],
            &good[..good.len() - 1],
            &good.to_uppercase(),
            &format!("{good} "),
            &good.replace("bh_", "bh_x"),
        ] {
            assert_eq!(Token::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn its_secret_is_not_printed() {
        let token = Token::fresh().expect("entropy");
        let shown = format!("{token:?}");
        assert!(shown.contains(token.id()) && shown.len() < 40, "{shown}");
    }
}
