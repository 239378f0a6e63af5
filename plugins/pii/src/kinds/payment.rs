//! Payment cards and international bank accounts.
//!
//! A card number has 12 to 19 digits, begins like one of a network's ranges (ISO/IEC 7812) and ends
//! in a Luhn digit. An IBAN (ISO 13616) has a country, that country's length and two check digits
//! (ISO 7064, mod 97-10). Form and checksum are reported apart: the checksum is weighed elsewhere.

use super::{Country, Grade, Match};
use crate::check::{luhn, mod_97};
use crate::value::Value;

/// First and last prefix of a range, its number of digits, and the lengths of its cards.
const CARD_RANGES: [(u32, u32, u32, std::ops::RangeInclusive<usize>); 17] = [
    (4, 4, 1, 13..=19),
    (51, 55, 2, 16..=16),
    (2221, 2720, 4, 16..=16),
    (34, 34, 2, 15..=15),
    (37, 37, 2, 15..=15),
    (6011, 6011, 4, 16..=19),
    (644, 649, 3, 16..=19),
    (65, 65, 2, 16..=19),
    (3528, 3589, 4, 16..=19),
    (300, 305, 3, 14..=19),
    (36, 36, 2, 14..=19),
    (38, 39, 2, 14..=19),
    (62, 62, 2, 16..=19),
    (5018, 5020, 4, 12..=19),
    (5038, 5038, 4, 12..=19),
    (6759, 6763, 4, 12..=19),
    (2200, 2204, 4, 16..=19),
];

/// Countries with the length of their IBANs.
const IBAN_LENGTHS: [(&str, usize); 87] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
];

/// Longest IBAN that the standard allows.
const IBAN_LONGEST: usize = 34;

pub(crate) fn credit_card(value: &Value<'_>) -> Option<Match> {
    if value.digits() < 12 || !value.may_have_run(12) {
        return None;
    }
    let bytes = value.text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let run = DigitRun::read(&bytes[at..]);
        let after = bytes.get(at + run.bytes).copied();
        let before = at.checked_sub(1).map(|before| bytes[before]);
        let apart = |edge: Option<u8>| {
            !edge.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        if let (Some(passed), true) = (run.card(), apart(before) && apart(after)) {
            let whole = run.bytes == bytes.len();
            return Some(if whole {
                Match::whole(Grade::Fair).checked(passed)
            } else {
                Match::within(Grade::Fair).checked(passed)
            });
        }
        at += run.bytes.max(1);
    }
    None
}

/// Digits that stand together, with single spaces or dashes between groups.
struct DigitRun {
    digits: [u8; 19],
    /// Number of digits; may pass the room for them, then it is no card.
    length: usize,
    /// Bytes that the run takes.
    bytes: usize,
}

impl DigitRun {
    fn read(bytes: &[u8]) -> Self {
        let mut run = Self {
            digits: [0; 19],
            length: 0,
            bytes: 0,
        };
        let mut separator = None;
        for (at, &byte) in bytes.iter().enumerate() {
            if byte.is_ascii_digit() {
                if let Some(place) = run.digits.get_mut(run.length) {
                    *place = byte;
                }
                run.length += 1;
                run.bytes = at + 1;
            } else if !matches!(byte, b' ' | b'-')
                || run.bytes < at
                || separator.is_some_and(|known| known != byte)
            {
                break;
            } else {
                separator = Some(byte);
            }
        }
        run
    }

    /// Whether Luhn holds, when the digits have the form of a card.
    fn card(&self) -> Option<bool> {
        let digits = self
            .digits
            .get(..self.length)
            .filter(|digits| digits.len() >= 12)?;
        let varied = digits.iter().any(|&digit| digit != digits[0]);
        let known = CARD_RANGES.iter().any(|(low, high, width, lengths)| {
            let prefix = digits.iter().take(*width as usize);
            let prefix = prefix.fold(0, |prefix, &digit| prefix * 10 + u32::from(digit - b'0'));
            (*low..=*high).contains(&prefix) && lengths.contains(&digits.len())
        });
        (known && varied).then(|| luhn(digits))
    }
}

pub(crate) fn iban(value: &Value<'_>) -> Option<Match> {
    if value.digits() < 10 || value.letters() < 2 {
        return None;
    }
    if value.text.len() <= IBAN_LONGEST + 9
        && let Some((country, passed)) = account(value.text)
    {
        return Some(
            Match::whole(Grade::Strong)
                .checked(passed)
                .in_country(country),
        );
    }
    let mut pieces = value.pieces(15).peekable();
    pieces.peek()?;
    // A value of one piece has been looked at.
    value.pieces(1).nth(1)?;
    let (country, passed) = pieces.find_map(account)?;
    Some(
        Match::within(Grade::Strong)
            .checked(passed)
            .in_country(country),
    )
}

/// The country of an account number and whether its check digits are right; `None` when the form is
/// not that of an IBAN.
fn account(text: &str) -> Option<(Country, bool)> {
    let mut first = text.bytes().filter(|byte| !matches!(byte, b' ' | b'-'));
    let country = [first.next()?, first.next()?];
    let check = [first.next()?, first.next()?];
    if !country.iter().all(u8::is_ascii_alphabetic) || !check.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut characters = [0; IBAN_LONGEST];
    let mut length = 0;
    for byte in text.bytes().filter(|byte| !matches!(byte, b' ' | b'-')) {
        if !byte.is_ascii_alphanumeric() {
            return None;
        }
        *characters.get_mut(length)? = byte.to_ascii_uppercase();
        length += 1;
    }
    let characters = &characters[..length];
    let (country, rest) = characters.split_at_checked(2)?;
    let country = std::str::from_utf8(country).ok()?;
    let bank = rest.get(2..)?;
    let at = IBAN_LENGTHS.binary_search_by_key(&country, |(known, _)| known);
    let (_, expected) = IBAN_LENGTHS[at.ok()?];
    if length != expected {
        return None;
    }
    let moved = bank.iter().chain(&characters[..4]);
    Some((Country::new(country)?, mod_97(moved) == 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Checksum, Extent};

    #[test]
    fn cards() {
        let check = |text: &str, expected: Option<(Extent, Checksum)>| {
            let value = Value::new(text).expect("has text");
            let found = credit_card(&value).map(|found| (found.extent, found.checksum));
            assert_eq!(found, expected, "{text}");
        };
        let whole = Some((Extent::Whole, Checksum::Passed));
        check("4111111111111111", whole);
        check("4111 1111 1111 1111", whole);
        check("5500-0000-0000-0004", whole);
        check("378282246310005", whole);
        check("30569309025904", whole);
        check("6011111111111117", whole);
        check("4111111111111112", Some((Extent::Whole, Checksum::Failed)));
        check(
            "paid with 4111-1111-1111-1111 today",
            Some((Extent::Within, Checksum::Passed)),
        );
        for other in [
            "1234567890123456",
            "411111111111",
            "41111111111111111111",
            "4444444444444444",
            "4111.1111.1111.1111",
            "x4111111111111111",
            "550e8400-e29b-41d4-a716-446655440000",
            "4111  1111 1111 1111",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn accounts() {
        let check = |text: &str, expected: Option<(&str, bool)>| {
            let value = Value::new(text).expect("has text");
            let found = iban(&value);
            let found = found.and_then(|found| {
                Some((
                    found.country?.to_string(),
                    found.checksum == Checksum::Passed,
                ))
            });
            assert_eq!(
                found,
                expected.map(|(country, passed)| (country.to_owned(), passed)),
                "{text}"
            );
        };
        check("DE89370400440532013000", Some(("DE", true)));
        check("GB82 WEST 1234 5698 7654 32", Some(("GB", true)));
        check("fr1420041010050500013m02606", Some(("FR", true)));
        check("DE88370400440532013000", Some(("DE", false)));
        check("pay to NL91ABNA0417164300, thanks", Some(("NL", true)));
        check("DE8937040044053201300", None);
        check("ZZ89370400440532013000", None);
        check("DEAB370400440532013000", None);
        check("da39a3ee5e6b4b0d3255bfef95601890afd80709", None);
        check("1234567890", None);
    }

    #[test]
    fn the_table_of_countries_is_sorted() {
        assert!(IBAN_LENGTHS.is_sorted());
    }
}
