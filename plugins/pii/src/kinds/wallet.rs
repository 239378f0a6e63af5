//! Addresses of crypto currencies.
//!
//! Bitcoin and its kin end in four bytes of a double SHA-256 (base58check) or in six characters of a BCH
//! code (bech32, BIP 173, and bech32m, BIP 350). Ethereum hides its check in the case of the letters
//! (EIP-55, Keccak-256); an address in one case has none.

mod digest;

use super::{Grade, Match};
use crate::value::{Class, Value};
use digest::{keccak_256, sha_256};

pub(crate) fn crypto_wallet(value: &Value<'_>) -> Option<Match> {
    let text = value.text;
    if text.len() < 26 || value.digits() == 0 {
        return None;
    }
    if value.count(Class::Space) == 0 {
        return address(text).map(|(grade, passed)| graded(Match::whole(grade), passed));
    }
    let mut pieces = value.pieces(26).filter(|piece| piece.len() <= 90);
    let (grade, passed) = pieces.find_map(|piece| address(piece.trim_end_matches(['.', ':'])))?;
    Some(graded(Match::within(grade), passed))
}

fn graded(found: Match, passed: Option<bool>) -> Match {
    passed.map_or(found, |passed| found.checked(passed))
}

/// The grade of an address and whether its check holds, where it has one.
fn address(text: &str) -> Option<(Grade, Option<bool>)> {
    if let Some(hex) = text.strip_prefix("0x") {
        return ethereum(hex);
    }
    let lower = text.as_bytes();
    if matches!(lower.first(), Some(b'b' | b't' | b'l' | b'c' | b'a'))
        && let Some(at) = lower.iter().rposition(|&byte| byte == b'1')
        && matches!(&text[..at], "bc" | "tb" | "ltc" | "bnb" | "cosmos" | "addr")
    {
        return bech32(&lower[..at], &lower[at + 1..]).map(|passed| (Grade::Strong, Some(passed)));
    }
    // Versions of Bitcoin, Litecoin, Dogecoin, Dash, Tron and Ripple.
    let first = matches!(
        lower.first(),
        Some(b'1' | b'3' | b'L' | b'M' | b'D' | b'X' | b'T' | b'm' | b'n' | b'2')
    );
    if !first || !(26..=35).contains(&lower.len()) {
        return None;
    }
    base58(lower).map(|passed| (Grade::Fair, Some(passed)))
}

/// Whether the check of a base58 text holds; `None` when it is none of 25 bytes.
fn base58(text: &[u8]) -> Option<bool> {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0_u8; 25];
    for byte in text {
        let mut carry = ALPHABET.iter().position(|known| known == byte)? as u32;
        for place in bytes.iter_mut().rev() {
            carry += u32::from(*place) * 58;
            *place = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry > 0 {
            return None;
        }
    }
    let (payload, check) = bytes.split_at(21);
    Some(sha_256(&sha_256(payload))[..4] == *check)
}

/// Whether the checksum of a bech32 text holds; `None` for a character outside its alphabet.
fn bech32(prefix: &[u8], data: &[u8]) -> Option<bool> {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    /// What remains for bech32 and for bech32m.
    const REMAINDERS: [u32; 2] = [1, 0x2bc8_30a3];
    let high = prefix.iter().map(|byte| u32::from(byte >> 5));
    let low = prefix.iter().map(|byte| u32::from(byte & 31));
    let mut sum = high.chain([0]).chain(low).fold(1, polymod);
    for byte in data {
        let value = ALPHABET.iter().position(|known| known == byte)?;
        sum = polymod(sum, value as u32);
    }
    Some(REMAINDERS.contains(&sum))
}

fn polymod(sum: u32, value: u32) -> u32 {
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let top = sum >> 25;
    let mut next = (sum & 0x01ff_ffff) << 5 ^ value;
    for (bit, generator) in GENERATOR.iter().enumerate() {
        if top >> bit & 1 == 1 {
            next ^= generator;
        }
    }
    next
}

fn ethereum(hex: &str) -> Option<(Grade, Option<bool>)> {
    let bytes = hex.as_bytes();
    if bytes.len() != 40 || !bytes.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let has = |case: fn(&u8) -> bool| bytes.iter().any(case);
    if !has(u8::is_ascii_lowercase) || !has(u8::is_ascii_uppercase) {
        return Some((Grade::Fair, None));
    }
    let digest = keccak_256(hex.to_ascii_lowercase().as_bytes());
    let holds = bytes.iter().enumerate().all(|(at, byte)| {
        let nibble = digest[at / 2] >> (4 * (1 - at % 2)) & 15;
        byte.is_ascii_digit() || byte.is_ascii_uppercase() == (nibble > 7)
    });
    Some((Grade::Strong, Some(holds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Checksum;

    #[test]
    fn addresses_with_their_checks() {
        let check = |text: &str, expected: Option<Checksum>| {
            let found = crypto_wallet(&Value::new(text).expect("has text"));
            assert_eq!(found.map(|found| found.checksum), expected, "{text}");
        };
        check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", Some(Checksum::Passed));
        check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", Some(Checksum::Failed));
        check("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", Some(Checksum::Passed));
        check(
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            Some(Checksum::Passed),
        );
        check(
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            Some(Checksum::Passed),
        );
        check(
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            Some(Checksum::Failed),
        );
        check(
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            Some(Checksum::Passed),
        );
        check(
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
            Some(Checksum::Failed),
        );
        check(
            "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
            Some(Checksum::Absent),
        );
        check(
            "send it to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa please",
            Some(Checksum::Passed),
        );
        for other in [
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "1234567890123456789012345678901234567890",
            "550e8400-e29b-41d4-a716-446655440000",
            "0x1234",
        ] {
            check(other, None);
        }
    }
}
