//! Detached signatures over the bytes of a plugin: ed25519 (RFC 8032) over the 32 bytes of their SHA-256.
//!
//! A team's public key stands in the configuration; from then on the team's uploads must carry a
//! signature that fits, in base64, in the header [`HEADER`]. Private keys never come to the host: the
//! command line makes and uses them. They are PKCS #8 in PEM, as `openssl genpkey -algorithm ed25519`
//! writes them too.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use axum::http::{HeaderMap, HeaderName, StatusCode};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

/// Header that carries a signature.
pub const HEADER: HeaderName = HeaderName::from_static("x-boathouse-signature");

const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
/// What stands before the 32 bytes of a key in a SubjectPublicKeyInfo of RFC 8410.
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// A team's public key; as text, base64 of its 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; KEY_BYTES]);

/// A key or a signature that cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// A text is no public key.
    #[error(
        "not an ed25519 public key: write the base64 text that `boathouse key generate-signing` prints"
    )]
    NotPublic,
    /// A file is no private key.
    #[error(
        "{path} holds no ed25519 private key: it must be PKCS #8 in PEM, as `boathouse key generate-signing` writes it"
    )]
    NotPrivate {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} {path}")]
    File {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operating system has no randomness to give.
    #[error("the operating system gives no random bytes; a key cannot be made")]
    NoEntropy,
}

impl PublicKey {
    /// Reads base64 of the 32 bytes, or of the 44 bytes that OpenSSL writes.
    ///
    /// # Errors
    /// [`SignatureError::NotPublic`].
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let bytes = STANDARD
            .decode(text.trim())
            .map_err(|_| SignatureError::NotPublic)?;
        let raw = bytes.strip_prefix(&SPKI).unwrap_or(&bytes);
        raw.try_into()
            .map(Self)
            .map_err(|_| SignatureError::NotPublic)
    }

    /// Whether a signature, in base64, is this key's over a digest.
    #[must_use]
    pub fn verifies(&self, digest: &[u8; 32], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature.trim()) else {
            return false;
        };
        signature.len() == SIGNATURE_BYTES
            && UnparsedPublicKey::new(&ED25519, &self.0)
                .verify(digest, &signature)
                .is_ok()
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl TryFrom<String> for PublicKey {
    type Error = SignatureError;

    fn try_from(text: String) -> Result<Self, SignatureError> {
        Self::parse(&text)
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// Whose signatures are asked for.
#[derive(Debug, Clone, Default)]
pub struct Signatures {
    teams: BTreeMap<String, PublicKey>,
    all_teams: bool,
}

impl Signatures {
    /// Keys by team; with `all_teams` a team without a key cannot upload.
    #[must_use]
    pub fn new(teams: BTreeMap<String, PublicKey>, all_teams: bool) -> Self {
        Self { teams, all_teams }
    }

    /// Checks the signature of an upload of a team over the SHA-256 of its bytes, and returns it as it
    /// should be stored: none when this team need not sign.
    ///
    /// # Errors
    /// 403 `signature_missing` or `signature_wrong`.
    pub fn verify(
        &self,
        team: &str,
        digest: &[u8; 32],
        headers: &HeaderMap,
    ) -> Result<Option<String>, Problem> {
        let refuse = |code, detail| Err(Problem::new(StatusCode::FORBIDDEN, code, detail));
        let Some(key) = self.teams.get(team) else {
            if self.all_teams {
                return refuse(
                    "signature_missing",
                    format!(
                        "uploads must be signed here, and team `{}` has no public key; add one under auth.teams",
                        team.chars().take(80).collect::<String>().escape_debug()
                    ),
                );
            }
            return Ok(None);
        };
        let Some(signature) = headers.get(HEADER) else {
            return refuse(
                "signature_missing",
                format!(
                    "uploads of team `{team}` must be signed; send `{HEADER}` with what `boathouse key sign` prints"
                ),
            );
        };
        match signature.to_str() {
            Ok(text) if key.verifies(digest, text) => Ok(Some(text.trim().to_owned())),
            _ => refuse(
                "signature_wrong",
                format!(
                    "`{HEADER}` is no signature of team `{team}` over these bytes; sign exactly this file with the private half of the team's key {key}"
                ),
            ),
        }
    }
}

/// Makes a pair, writes the private half to a new file that only its owner reads, and returns the public
/// half.
///
/// # Errors
/// [`SignatureError::File`], also when the file is there already; [`SignatureError::NoEntropy`].
pub fn generate(file: &Path) -> Result<PublicKey, SignatureError> {
    let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new())
        .map_err(|_| SignatureError::NoEntropy)?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| not_private(file))?;
    let public = public_of(&pair).ok_or_else(|| not_private(file))?;
    let text = STANDARD.encode(document.as_ref());
    let mut pem = format!("{PEM_BEGIN}\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(PEM_END);
    pem.push('\n');
    super::owner::write_private(file, &pem).map_err(|source| SignatureError::File {
        what: "write",
        path: file.to_owned(),
        source,
    })?;
    Ok(public)
}

/// The signature over the bytes of a file, as the header wants it.
///
/// # Errors
/// [`SignatureError::File`], [`SignatureError::NotPrivate`].
pub fn sign_file(file: &Path, key: &Path) -> Result<String, SignatureError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| SignatureError::File {
            what: "read",
            path: path.to_owned(),
            source,
        })
    };
    let pem = read(key)?;
    let pair = parse_private(&pem).ok_or_else(|| not_private(key))?;
    let digest = Sha256::digest(read(file)?);
    Ok(STANDARD.encode(pair.sign(&digest)))
}

fn parse_private(pem: &[u8]) -> Option<Ed25519KeyPair> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once(PEM_BEGIN)?;
    let (body, _) = rest.split_once(PEM_END)?;
    let packed: String = body.split_whitespace().collect();
    let der = STANDARD.decode(packed).ok()?;
    // OpenSSL leaves the public half out; the check that it fits is made where it is there.
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok()
}

fn public_of(pair: &Ed25519KeyPair) -> Option<PublicKey> {
    pair.public_key().as_ref().try_into().ok().map(PublicKey)
}

fn not_private(path: &Path) -> SignatureError {
    SignatureError::NotPrivate {
        path: path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Signed {
        key: PublicKey,
        digest: [u8; 32],
        signature: String,
    }

    fn signed() -> Signed {
        let folder = tempfile::tempdir().expect("folder");
        let (file, private) = (folder.path().join("a.wasm"), folder.path().join("key.pem"));
        std::fs::write(&file, b"some bytes").expect("written");
        let key = generate(&private).expect("a pair");
        Signed {
            key,
            digest: Sha256::digest(b"some bytes").into(),
            signature: sign_file(&file, &private).expect("signed"),
        }
    }

    fn headers(signature: &str) -> HeaderMap {
        let value = signature.parse().expect("a header");
        HeaderMap::from_iter([(HEADER, value)])
    }

    fn check(of: &Signatures, digest: &[u8; 32], headers: &HeaderMap, expected: &str) {
        let refused = of.verify("acme", digest, headers).expect_err("refused");
        assert_eq!((refused.status, &*refused.code), (403, expected));
    }

    #[test]
    fn a_team_with_a_key_must_sign_these_very_bytes() {
        let good = signed();
        let signatures = Signatures::new([("acme".to_owned(), good.key)].into(), false);
        let stored = signatures.verify("acme", &good.digest, &headers(&good.signature));
        assert_eq!(stored.expect("it fits"), Some(good.signature.clone()));
        let other: [u8; 32] = Sha256::digest(b"other bytes").into();
        let wrong = "signature_wrong";
        check(&signatures, &other, &headers(&good.signature), wrong);
        check(
            &signatures,
            &good.digest,
            &headers(&signed().signature),
            wrong,
        );
        for text in ["", "AAAA", "not base64!", &"A".repeat(100_000)] {
            check(&signatures, &good.digest, &headers(text), wrong);
        }
        check(
            &signatures,
            &good.digest,
            &HeaderMap::new(),
            "signature_missing",
        );
    }

    #[test]
    fn a_team_without_a_key_need_not_sign_unless_all_must() {
        let good = signed();
        let free = Signatures::default().verify("acme", &good.digest, &headers(&good.signature));
        assert_eq!(free.expect("free"), None, "an unchecked signature is none");
        let strict = Signatures::new(BTreeMap::new(), true);
        check(
            &strict,
            &good.digest,
            &headers(&good.signature),
            "signature_missing",
        );
    }

    #[test]
    fn public_keys_are_read_as_we_and_as_openssl_write_them() {
        let key = signed().key;
        assert_eq!(PublicKey::parse(&key.to_string()).expect("ours"), key);
        let der = STANDARD.encode([SPKI.as_slice(), &key.0].concat());
        assert_eq!(PublicKey::parse(&der).expect("theirs"), key);
        for bad in ["", "AAAA", "?", &STANDARD.encode([0; 33])] {
            assert!(PublicKey::parse(bad).is_err(), "{bad:?}");
        }
    }

    /// The pair of RFC 8410, section 10.3, without its public half.
    #[test]
    fn a_private_key_of_openssl_signs() {
        let pem = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let pair = parse_private(pem).expect("a key");
        let public = public_of(&pair).expect("32 bytes");
        let digest = [7; 32];
        assert!(public.verifies(&digest, &STANDARD.encode(pair.sign(&digest))));
    }

    #[test]
    fn a_private_key_is_not_written_over_and_not_for_others_to_read() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("key.pem");
        generate(&file).expect("a pair");
        let before = std::fs::read(&file).expect("read");
        let mode = std::fs::metadata(&file)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(generate(&file), Err(SignatureError::File { .. })));
        assert_eq!(std::fs::read(&file).expect("read"), before);
        let junk = folder.path().join("junk");
        std::fs::write(&junk, "junk").expect("written");
        assert!(matches!(
            sign_file(&file, &junk),
            Err(SignatureError::NotPrivate { .. })
        ));
    }
}
