//! Postcodes.
//!
//! Those with letters or dashes in their places are telling; bare digits, which most countries use, say
//! next to nothing without a name or a city beside them.

use super::{ANY, Form, form};
use crate::check::Code;
use crate::kinds::Kind::PostalCode;

pub(super) const FORMS: &[Form] = &[
    form(
        PostalCode,
        "GB",
        &[
            "A9 9AA", "A99 9AA", "AA9 9AA", "AA99 9AA", "A9A 9AA", "AA9A 9AA", "AA99AA", "AA999AA",
            "A999AA",
        ],
        (british, 0.5),
        &[],
    ),
    form(
        PostalCode,
        "CA",
        &["A9A 9A9", "A9A9A9", "A9A-9A9"],
        (canadian, 0.3),
        &[],
    ),
    form(
        PostalCode,
        "NL",
        &["9999 AA", "9999AA"],
        (|code| code.digit(0) > 0, 0.9),
        &[],
    ),
    form(
        PostalCode,
        "IE",
        &["A99 XXXX", "A99XXXX"],
        ANY,
        &[("eircode", 1.0)],
    ),
    form(PostalCode, "PL", &["99-999"], ANY, &[("kod pocztowy", 1.0)]),
    form(
        PostalCode,
        "US",
        &["99999-9999"],
        ANY,
        &[
            ("zip", 1.0),
            ("zip code", 1.0),
            ("zipcode", 1.0),
            ("zip 4", 1.0),
        ],
    ),
    form(
        PostalCode,
        "BR",
        &["99999-999", "99999999"],
        ANY,
        &[("cep", 1.0)],
    ),
    form(PostalCode, "JP", &["999-9999"], ANY, &[]),
    form(PostalCode, "PT", &["9999-999"], ANY, &[]),
    form(PostalCode, "", &["999 99"], ANY, &[]),
    form(PostalCode, "", &["99999"], ANY, &[]),
    form(
        PostalCode,
        "",
        &["9999"],
        (|code| code.digit(0) > 0, 0.9),
        &[],
    ),
    form(
        PostalCode,
        "",
        &["999999"],
        (|code| code.digit(0) > 0, 0.9),
        &[],
    ),
];

/// First letters that name no area, and letters that the second half never has.
fn british(code: &Code) -> bool {
    let bytes = code.bytes();
    let (outward, inward) = bytes.split_at(bytes.len().saturating_sub(3));
    let second = inward
        .iter()
        .skip(1)
        .any(|letter| b"CIKMOV".contains(letter));
    !b"QVX".contains(&code.letter(0))
        && !second
        && !matches!(outward.get(1), Some(b'I' | b'J' | b'Z'))
}

fn canadian(code: &Code) -> bool {
    let never = |letter: u8| b"DFIOQU".contains(&letter);
    let letters = [code.letter(0), code.letter(2), code.letter(4)];
    !letters.into_iter().any(never) && !matches!(letters[0], b'W' | b'Z')
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, refuse};

    #[test]
    fn postcodes_with_letters() {
        check("SW1A 1AA", "postal_code GB");
        check("M1 1AE", "postal_code GB");
        refuse("QW1A 1AA", "postal_code GB");
        check("K1A 0B1", "postal_code CA");
        refuse("D1A 0B1", "postal_code CA");
        check("1012 JS", "postal_code NL");
        check("00-950", "postal_code PL");
        check("94103-1234", "postal_code US");
    }
}
