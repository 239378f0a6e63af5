//! Numbers of European states outside the Nordic ones.
//!
//! Rules are those that the issuing offices publish; where a number tells a date of birth, the date is
//! part of the rule. Weights are given in the order of the digits.

use super::{Form, form};
use crate::check::{Code, iso_11_10, luhn};
use crate::kinds::Kind::{DriverLicense, HealthId, NationalId, TaxId};

pub(super) const FORMS: &[Form] = &[
    form(
        NationalId,
        "GB",
        &["AA999999A", "AA 99 99 99 A"],
        (nino, 0.077),
        &[
            ("nino", 1.0),
            ("national insurance", 1.0),
            ("national insurance number", 1.0),
            ("ni number", 1.0),
            ("ni no", 1.0),
        ],
    ),
    form(
        HealthId,
        "GB",
        &["999 999 9999", "999-999-9999", "9999999999"],
        (nhs, 0.091),
        &[("nhs", 1.0), ("nhs number", 1.0), ("nhs no", 1.0)],
    ),
    form(
        TaxId,
        "GB",
        &["9999999999", "99999 99999"],
        (utr, 0.1),
        &[("utr", 1.0), ("unique taxpayer reference", 1.0)],
    ),
    form(
        DriverLicense,
        "GB",
        &["AXXXX999999AXXAA", "AXXXX 999999 AXXAA"],
        (british_licence, 0.02),
        &[],
    ),
    form(
        NationalId,
        "ES",
        &[
            "99999999A",
            "99999999-A",
            "99.999.999-A",
            "99999999 A",
            "A9999999A",
            "A-9999999-A",
        ],
        (dni, 0.03),
        &[
            ("dni", 1.0),
            ("nie", 1.0),
            ("nif", 1.0),
            ("dni nie", 1.0),
            ("documento nacional", 1.0),
        ],
    ),
    form(
        NationalId,
        "IT",
        &["AAAAAA99A99A999A"],
        (codice_fiscale, 0.006),
        &[
            ("codice fiscale", 1.0),
            ("cod fiscale", 1.0),
            ("cf", 0.6),
            ("codicefiscale", 1.0),
        ],
    ),
    form(
        NationalId,
        "FR",
        &[
            "999999999999999",
            "9 99 99 99 999 999 99",
            "999999A99999999",
            "9999999999999 99",
        ],
        (nir, 0.002),
        &[
            ("nir", 1.0),
            ("insee", 0.8),
            ("numero insee", 1.0),
            ("securite sociale", 1.0),
            ("numero securite sociale", 1.0),
            ("num secu", 1.0),
            ("no secu", 1.0),
        ],
    ),
    form(
        TaxId,
        "DE",
        &["99999999999", "99 999 999 999"],
        (steuer_id, 0.0045),
        &[
            ("steuer id", 1.0),
            ("steueridnr", 1.0),
            ("steuer identifikationsnummer", 1.0),
            ("steueridentifikationsnummer", 1.0),
            ("idnr", 0.7),
            ("steuernummer", 0.9),
        ],
    ),
    form(
        NationalId,
        "DE",
        &["99999999A999", "99 999999 A 999"],
        (rentenversicherung, 0.03),
        &[
            ("sozialversicherungsnummer", 1.0),
            ("rentenversicherungsnummer", 1.0),
            ("sv nummer", 1.0),
            ("svnr", 1.0),
            ("rvnr", 1.0),
        ],
    ),
    form(
        NationalId,
        "PL",
        &["99999999999"],
        (pesel, 0.019),
        &[("pesel", 1.0), ("nr pesel", 1.0)],
    ),
    form(
        TaxId,
        "PL",
        &["9999999999", "999-999-99-99", "999-99-99-999"],
        (nip, 0.091),
        &[("nip", 1.0), ("nr nip", 1.0)],
    ),
    form(
        NationalId,
        "CZ",
        &["999999/9999", "9999999999"],
        (rodne_cislo, 0.015),
        &[
            ("rodne cislo", 1.0),
            ("rodnecislo", 1.0),
            ("rc", 0.5),
            ("birth number", 0.9),
        ],
    ),
    form(
        NationalId,
        "RO",
        &["9999999999999"],
        (cnp, 0.003),
        &[("cnp", 1.0), ("cod numeric personal", 1.0)],
    ),
    form(
        NationalId,
        "BG",
        &["9999999999"],
        (egn, 0.011),
        &[("egn", 1.0), ("егн", 1.0)],
    ),
    form(
        NationalId,
        "HR",
        &["99999999999"],
        (|code| iso_11_10(code.bytes()), 0.1),
        &[("oib", 1.0)],
    ),
    form(
        TaxId,
        "PT",
        &["999999999", "999 999 999"],
        (nif, 0.08),
        &[
            ("nif", 1.0),
            ("contribuinte", 1.0),
            ("numero contribuinte", 1.0),
            ("numero de contribuinte", 1.0),
        ],
    ),
    form(
        TaxId,
        "GR",
        &["999999999"],
        (afm, 0.1),
        &[("afm", 1.0), ("αφμ", 1.0)],
    ),
    form(
        NationalId,
        "GR",
        &["99999999999"],
        (amka, 0.0037),
        &[("amka", 1.0), ("αμκα", 1.0)],
    ),
    form(
        NationalId,
        "IE",
        &["9999999A", "9999999AA"],
        (pps, 0.038),
        &[
            ("pps", 1.0),
            ("ppsn", 1.0),
            ("pps number", 1.0),
            ("pps no", 1.0),
        ],
    ),
    form(
        NationalId,
        "CH",
        &["999.9999.9999.99", "9999999999999"],
        (ahv, 0.0001),
        &[
            ("ahv", 1.0),
            ("ahv nummer", 1.0),
            ("ahv nr", 1.0),
            ("avs", 1.0),
            ("no avs", 1.0),
            ("numero avs", 1.0),
            ("ahvn", 1.0),
        ],
    ),
    form(
        NationalId,
        "AT",
        &["9999999999", "9999 999999"],
        (austrian, 0.0035),
        &[
            ("svnr", 1.0),
            ("sozialversicherungsnummer", 1.0),
            ("sv nummer", 1.0),
        ],
    ),
    form(
        NationalId,
        "BE",
        &[
            "99.99.99-999.99",
            "99999999999",
            "99.99.99.999.99",
            "999999-999-99",
        ],
        (belgian, 0.0075),
        &[
            ("rijksregisternummer", 1.0),
            ("rijksregister", 1.0),
            ("registre national", 1.0),
            ("niss", 1.0),
            ("insz", 1.0),
            ("numero national", 0.8),
        ],
    ),
    form(
        NationalId,
        "NL",
        &["999999999", "9999.99.999", "9999 99 999"],
        (bsn, 0.09),
        &[
            ("bsn", 1.0),
            ("burgerservicenummer", 1.0),
            ("sofinummer", 1.0),
            ("sofi nummer", 1.0),
        ],
    ),
    form(
        HealthId,
        "HU",
        &["999999999", "999 999 999", "999-999-999"],
        (taj, 0.1),
        &[("taj", 1.0), ("taj szam", 1.0)],
    ),
    form(
        TaxId,
        "HU",
        &["9999999999"],
        (hungarian_tax, 0.01),
        &[("adoazonosito", 1.0), ("adoazonosito jel", 1.0)],
    ),
    form(
        NationalId,
        "TR",
        &["99999999999"],
        (kimlik, 0.009),
        &[
            ("tckn", 1.0),
            ("tc kimlik", 1.0),
            ("tc kimlik no", 1.0),
            ("kimlik no", 0.9),
            ("tc no", 1.0),
        ],
    ),
    form(
        TaxId,
        "RU",
        &["999999999999", "9999999999"],
        (inn, 0.015),
        &[("inn", 1.0), ("инн", 1.0)],
    ),
    form(
        NationalId,
        "RU",
        &["999-999-999 99", "99999999999", "999-999-999-99"],
        (snils, 0.01),
        &[("snils", 1.0), ("снилс", 1.0)],
    ),
    form(
        TaxId,
        "UA",
        &["9999999999"],
        (rnokpp, 0.1),
        &[
            ("rnokpp", 1.0),
            ("ipn", 0.7),
            ("рнокпп", 1.0),
            ("ідентифікаційний код", 0.8),
        ],
    ),
];

/// Prefixes that are not issued, and suffixes A to D (HMRC manual NIM39110).
fn nino(code: &Code) -> bool {
    let pair = [code.letter(0), code.letter(1)];
    let reserved = [b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&&pair);
    !b"DFIQUV".contains(&pair[0])
        && !b"DFIQUVO".contains(&pair[1])
        && !reserved
        && matches!(code.letter(8), b'A'..=b'D')
}

fn nhs(code: &Code) -> bool {
    let rest = code.weighted(&[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    (11 - rest) % 11 == code.digit(9) && !code.is_monotone()
}

fn utr(code: &Code) -> bool {
    let rest = code.weighted(&[0, 6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11;
    [2, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1][rest as usize] == code.digit(0)
}

/// Five of the surname, a decade, a month (plus 50 for women), a day, a year, initials, three more.
fn british_licence(code: &Code) -> bool {
    let surname = &code.bytes()[..5];
    let filled = surname.iter().position(u8::is_ascii_digit).unwrap_or(5);
    surname[filled..].iter().all(|&byte| byte == b'9')
        && code.is_date([5, 6, 8], &[50], &[])
        && code.digit(13) < 10
}

fn dni(code: &Code) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let number = match code.letter(0) {
        0 => code.number(0, 8),
        first @ b'X'..=b'Z' => {
            let lead = u64::from(first - b'X') * 10_000_000;
            code.number(1, 8).map(|rest| lead + rest)
        }
        _ => None,
    };
    number.is_some_and(|number| LETTERS[(number % 23) as usize] == code.letter(8))
}

fn codice_fiscale(code: &Code) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let bytes = code.bytes();
    let value = |byte: u8| match byte {
        b'0'..=b'9' => usize::from(byte - b'0'),
        _ => usize::from(byte.wrapping_sub(b'A') % 26),
    };
    let sum: u32 = bytes[..15]
        .iter()
        .enumerate()
        .map(|(at, &byte)| match at % 2 {
            0 => ODD[value(byte)],
            _ => value(byte) as u32,
        })
        .sum();
    let day = code.number(9, 11).unwrap_or(0) % 40;
    b"ABCDEHLMPRST".contains(&code.letter(8))
        && (1..=31).contains(&day)
        && u32::from(code.letter(15).wrapping_sub(b'A')) == sum % 26
}

/// 97 less the remainder of the first thirteen; Corsica's departments count as 19 and 18.
fn nir(code: &Code) -> bool {
    let bytes = code.bytes();
    let island = match bytes[6] {
        b'A' => 1_000_000,
        b'B' => 2_000_000,
        _ => 0,
    };
    let digit = |byte: u8| {
        if byte.is_ascii_digit() {
            byte - b'0'
        } else {
            0
        }
    };
    let number = bytes[..13]
        .iter()
        .fold(0, |number, &byte| number * 10 + u64::from(digit(byte)));
    let month = code.number(3, 5).unwrap_or(0);
    let born =
        matches!(month, 1..=12 | 20 | 30..=42 | 50..=99) && matches!(code.digit(0), 1..=4 | 7 | 8);
    born && code.number(13, 15) == Some(97 - (number - island) % 97)
}

/// Among the first ten digits exactly one occurs twice or three times.
fn steuer_id(code: &Code) -> bool {
    let bytes = code.bytes();
    let mut counts = [0; 10];
    for byte in &bytes[..10] {
        counts[usize::from(byte - b'0') % 10] += 1;
    }
    let repeated = counts.iter().filter(|&&count| count > 1).count();
    bytes[0] != b'0' && repeated == 1 && counts.iter().all(|&count| count < 4) && iso_11_10(bytes)
}

fn rentenversicherung(code: &Code) -> bool {
    const WEIGHTS: [u32; 12] = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    let letter = u32::from(code.letter(8).wrapping_sub(b'A')) + 1;
    let digits = (0..8).map(|at| code.digit(at));
    let digits = digits.chain([letter / 10, letter % 10, code.digit(9), code.digit(10)]);
    let products = digits.zip(WEIGHTS).map(|(digit, weight)| digit * weight);
    let sum: u32 = products.map(|product| product / 10 + product % 10).sum();
    code.is_date([6, 4, 2], &[], &[50]) && sum % 10 == code.digit(11)
}

fn pesel(code: &Code) -> bool {
    code.is_date([0, 2, 4], &[20, 40, 60, 80], &[])
        && code
            .weighted(&[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1])
            .is_multiple_of(10)
}

fn nip(code: &Code) -> bool {
    code.weighted(&[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == code.digit(9) && !code.is_monotone()
}

fn rodne_cislo(code: &Code) -> bool {
    let divisible = code.number(0, 10).is_some_and(|number| number % 11 == 0);
    divisible && code.is_date([0, 2, 4], &[20, 50, 70], &[])
}

fn cnp(code: &Code) -> bool {
    let rest = code.weighted(&[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    let rest = if rest == 10 { 1 } else { rest };
    code.digit(0) > 0 && code.is_date([1, 3, 5], &[], &[]) && rest == code.digit(12)
}

fn egn(code: &Code) -> bool {
    let rest = code.weighted(&[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
    code.is_date([0, 2, 4], &[20, 40], &[]) && rest == code.digit(9)
}

fn nif(code: &Code) -> bool {
    let rest = code.weighted(&[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let expected = if rest < 2 { 0 } else { 11 - rest };
    !matches!(code.digit(0), 0 | 4) && expected == code.digit(8)
}

fn afm(code: &Code) -> bool {
    let rest = code.weighted(&[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10;
    rest == code.digit(8) && !code.is_monotone()
}

fn amka(code: &Code) -> bool {
    code.is_date([4, 2, 0], &[], &[]) && luhn(code.bytes())
}

fn pps(code: &Code) -> bool {
    const LETTERS: &[u8; 23] = b"WABCDEFGHIJKLMNOPQRSTUV";
    let second = match code.letter(8) {
        b'W' | 0 => 0,
        letter => u32::from(letter - b'A') + 1,
    };
    let sum = code.weighted(&[8, 7, 6, 5, 4, 3, 2]) + second * 9;
    LETTERS[(sum % 23) as usize] == code.letter(7)
}

fn ahv(code: &Code) -> bool {
    code.number(0, 3) == Some(756) && crate::check::ean(code.bytes())
}

fn austrian(code: &Code) -> bool {
    let sum = code.weighted(&[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]);
    code.digit(0) > 0 && code.is_date([8, 6, 4], &[], &[]) && sum % 11 == code.digit(3)
}

/// The first nine digits, behind a 2 for those born since 2000, against the last two.
fn belgian(code: &Code) -> bool {
    let (Some(number), Some(key)) = (code.number(0, 9), code.number(9, 11)) else {
        return false;
    };
    let holds = |number: u64| 97 - number % 97 == key;
    code.is_date([0, 2, 4], &[20, 40], &[]) && (holds(number) || holds(2_000_000_000 + number))
}

fn bsn(code: &Code) -> bool {
    let last = code.digit(8);
    let sum = code.weighted(&[9, 8, 7, 6, 5, 4, 3, 2]);
    sum >= last && (sum - last).is_multiple_of(11) && !code.is_monotone()
}

fn taj(code: &Code) -> bool {
    code.weighted(&[3, 7, 3, 7, 3, 7, 3, 7]) % 10 == code.digit(8)
}

fn hungarian_tax(code: &Code) -> bool {
    code.digit(0) == 8 && code.weighted(&[1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11 == code.digit(9)
}

fn kimlik(code: &Code) -> bool {
    let digit = |at| code.digit(at);
    let odd = digit(0) + digit(2) + digit(4) + digit(6) + digit(8);
    let even = digit(1) + digit(3) + digit(5) + digit(7);
    let tenth = (odd * 7 + 100 - even) % 10;
    digit(0) > 0 && tenth == digit(9) && (odd + even + digit(9)) % 10 == digit(10)
}

fn inn(code: &Code) -> bool {
    let check = |weights: &[u32], at| code.weighted(weights) % 11 % 10 == code.digit(at);
    match code.bytes().len() {
        10 => check(&[2, 4, 10, 3, 5, 9, 4, 6, 8], 9),
        _ => {
            check(&[7, 2, 4, 10, 3, 5, 9, 4, 6, 8], 10)
                && check(&[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8], 11)
        }
    }
}

fn snils(code: &Code) -> bool {
    let sum = code.weighted(&[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101 % 100;
    code.number(9, 11) == Some(u64::from(sum)) && !code.is_monotone()
}

fn rnokpp(code: &Code) -> bool {
    let sum = code.weighted(&[0, 5, 7, 9, 4, 6, 10, 5, 7]) + 110 - code.digit(0);
    sum % 11 % 10 == code.digit(9)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, refuse};

    #[test]
    fn numbers_of_the_west() {
        check("AB123456C", "national_id GB");
        refuse("QQ123456C", "national_id GB");
        check("943 476 5919", "health_id GB");
        refuse("943 476 5918", "health_id GB");
        check("12345678Z", "national_id ES");
        check("X1234567L", "national_id ES");
        refuse("12345678A", "national_id ES");
        check("RSSMRA85T10A562S", "national_id IT");
        refuse("RSSMRA85T10A562T", "national_id IT");
        check("2 55 08 14 168 025 38", "national_id FR");
        check("36574261809", "tax_id DE");
        check("15070649C103", "national_id DE");
        check("756.9217.0769.85", "national_id CH");
        check("1237 010180", "national_id AT");
        check("85.07.30-033.28", "national_id BE");
        check("111222333", "national_id NL");
        check("1234567T", "national_id IE");
        check("501442600", "tax_id PT");
    }

    #[test]
    fn numbers_of_the_east() {
        check("44051401359", "national_id PL");
        check("856-734-62-15", "tax_id PL");
        check("710319/2745", "national_id CZ");
        check("1630615123457", "national_id RO");
        check("7523169263", "national_id BG");
        check("33392005961", "national_id HR");
        check("10000000146", "national_id TR");
        check("500100732259", "tax_id RU");
        check("112-233-445 95", "national_id RU");
        check("1759013776", "tax_id UA");
        check("094259216", "tax_id GR");
        check("01013099997", "national_id GR");
        refuse("01013099996", "national_id GR");
    }
}
