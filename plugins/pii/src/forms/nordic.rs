//! Numbers of the Nordic and Baltic states, all of which tell a date of birth.

use super::{Form, form};
use crate::check::{Code, luhn};
use crate::kinds::Kind::NationalId;

pub(super) const FORMS: &[Form] = &[
    form(
        NationalId,
        "SE",
        &[
            "999999-9999",
            "99999999-9999",
            "9999999999",
            "999999999999",
            "999999+9999",
        ],
        (swedish, 0.0055),
        &[
            ("personnummer", 1.0),
            ("personnr", 1.0),
            ("pnr", 0.8),
            ("person nummer", 1.0),
        ],
    ),
    form(
        NationalId,
        "NO",
        &["99999999999", "999999 99999"],
        (norwegian, 0.0006),
        &[("fodselsnummer", 1.0), ("fnr", 0.9), ("personnummer", 1.0)],
    ),
    form(
        NationalId,
        "DK",
        &["999999-9999", "9999999999"],
        (|code| code.is_date([4, 2, 0], &[], &[]), 0.037),
        &[
            ("cpr", 1.0),
            ("cpr nummer", 1.0),
            ("cpr nr", 1.0),
            ("cprnr", 1.0),
            ("personnummer", 0.9),
        ],
    )
    .dated(0),
    form(
        NationalId,
        "FI",
        &[
            "999999-999A",
            "999999-9999",
            "999999A999A",
            "999999A9999",
            "999999+999A",
        ],
        (finnish, 0.0014),
        &[("hetu", 1.0), ("henkilotunnus", 1.0), ("sotu", 0.9)],
    ),
    form(
        NationalId,
        "IS",
        &["999999-9999", "9999999999"],
        (icelandic, 0.0034),
        &[("kennitala", 1.0), ("kt", 0.6)],
    ),
    form(
        NationalId,
        "",
        &["99999999999"],
        (baltic, 0.003),
        &[("isikukood", 1.0), ("asmens kodas", 1.0), ("ak", 0.4)],
    ),
    form(
        NationalId,
        "LV",
        &["999999-99999"],
        (latvian, 0.0037),
        &[("personas kods", 1.0)],
    ),
];

/// Luhn over the last ten digits; the day of a coordination number is raised by 60.
fn swedish(code: &Code) -> bool {
    let bytes = code.bytes();
    let century = bytes.len().saturating_sub(10);
    let known = century == 0 || matches!(code.number(0, 2), Some(18..=20));
    let date = code.is_date([century, century + 2, century + 4], &[], &[60]);
    known && date && bytes.get(century..).is_some_and(luhn)
}

fn norwegian(code: &Code) -> bool {
    let check = |weights: &[u32], at| {
        let rest = code.weighted(weights) % 11;
        (11 - rest) % 11 == code.digit(at)
    };
    code.is_date([4, 2, 0], &[40, 80], &[40])
        && check(&[3, 7, 6, 1, 8, 9, 4, 5, 2], 9)
        && check(&[5, 4, 3, 2, 7, 6, 5, 4, 3, 2], 10)
}

fn finnish(code: &Code) -> bool {
    const CHARACTERS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let bytes = code.bytes();
    // The sign of the century is a letter for some, which then stands at the seventh place.
    let serial = if bytes.len() == 11 { 7 } else { 6 };
    let (Some(date), Some(number)) = (code.number(0, 6), code.number(serial, serial + 3)) else {
        return false;
    };
    let expected = CHARACTERS[((date * 1000 + number) % 31) as usize];
    code.is_date([4, 2, 0], &[], &[]) && bytes.last() == Some(&expected)
}

fn icelandic(code: &Code) -> bool {
    let rest = code.weighted(&[3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    code.is_date([4, 2, 0], &[], &[40])
        && (11 - rest) % 11 == code.digit(8)
        && matches!(code.digit(9), 0 | 8 | 9)
}

/// Estonia and Lithuania share the form and the check.
fn baltic(code: &Code) -> bool {
    let first = code.weighted(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let second = code.weighted(&[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10;
    let expected = if first < 10 { first } else { second };
    (1..=8).contains(&code.digit(0))
        && code.is_date([1, 3, 5], &[], &[])
        && expected == code.digit(10)
}

fn latvian(code: &Code) -> bool {
    let sum = code.weighted(&[1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    code.is_date([4, 2, 0], &[], &[]) && (1101 - sum) % 11 % 10 == code.digit(10)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, refuse};

    #[test]
    fn numbers_of_the_north() {
        check("811218-9876", "national_id SE");
        check("19811218-9876", "national_id SE");
        refuse("811218-9875", "national_id SE");
        check("15108695088", "national_id NO");
        refuse("15108695077", "national_id NO");
        check("211062-5629", "national_id DK");
        check("131052-308T", "national_id FI");
        refuse("131052-308U", "national_id FI");
        check("120174-3399", "national_id IS");
        check("37605030299", "national_id ");
        check("161175-19997", "national_id LV");
    }
}
