//! Numbers of American states, of their health systems and of US banks.

use super::{ANY, Form, form};
use crate::check::{Code, luhn};
use crate::kinds::Kind::{
    BankRouting, DriverLicense, HealthId, MedicalProviderId, NationalId, TaxId, UsSsn,
};

pub(super) const FORMS: &[Form] = &[
    form(
        UsSsn,
        "US",
        &["999-99-9999", "999 99 9999", "999999999"],
        (ssn, 0.88),
        &[],
    ),
    form(
        TaxId,
        "US",
        &["999-99-9999", "999 99 9999", "999999999"],
        (itin, 0.044),
        &[
            ("itin", 1.0),
            ("us itin", 1.0),
            ("individual taxpayer", 1.0),
        ],
    ),
    form(
        BankRouting,
        "US",
        &["999999999", "9999-9999-9", "9999 9999 9"],
        (routing, 0.038),
        &[
            ("aba", 1.0),
            ("aba number", 1.0),
            ("aba routing", 1.0),
            ("rtn", 0.8),
        ],
    ),
    form(
        MedicalProviderId,
        "US",
        &["9999999999"],
        (npi, 0.02),
        &[
            ("npi", 1.0),
            ("npi number", 1.0),
            ("national provider identifier", 1.0),
        ],
    ),
    form(
        MedicalProviderId,
        "US",
        &["AA9999999"],
        (dea, 0.06),
        &[
            ("dea", 1.0),
            ("dea number", 1.0),
            ("dea no", 1.0),
            ("dea license", 1.0),
        ],
    ),
    form(
        HealthId,
        "US",
        &["9AX9AX9AA99", "9AX9-AX9-AA99"],
        (mbi, 0.2),
        &[("mbi", 1.0), ("medicare beneficiary", 1.0), ("hicn", 0.8)],
    ),
    form(
        NationalId,
        "CA",
        &["999 999 999", "999-999-999", "999999999"],
        (sin, 0.08),
        &[
            ("sin", 0.9),
            ("sin number", 1.0),
            ("social insurance number", 1.0),
            ("social insurance", 1.0),
        ],
    ),
    form(
        NationalId,
        "MX",
        &["AAAA999999AAAAAAX9"],
        (curp, 0.001),
        &[("curp", 1.0)],
    ),
    form(
        TaxId,
        "MX",
        &["AAAA999999XXX", "AAAA-999999-XXX"],
        (|code| code.is_date([4, 6, 8], &[], &[]), 0.037),
        &[("rfc", 0.9)],
    )
    .dated(4),
    form(
        NationalId,
        "BR",
        &["999.999.999-99", "99999999999"],
        (cpf, 0.01),
        &[
            ("cpf", 1.0),
            ("nr cpf", 1.0),
            ("num cpf", 1.0),
            ("cpf cnpj", 1.0),
            ("cpf cliente", 1.0),
        ],
    ),
    form(
        TaxId,
        "BR",
        &["99.999.999/9999-99", "99999999999999"],
        (cnpj, 0.01),
        &[("cnpj", 1.0), ("nr cnpj", 1.0)],
    ),
    form(
        TaxId,
        "AR",
        &["99-99999999-9", "99999999999"],
        (cuit, 0.007),
        &[("cuit", 1.0), ("cuil", 1.0), ("cuit cuil", 1.0)],
    ),
    form(
        NationalId,
        "AR",
        &["99.999.999"],
        ANY,
        &[("dni", 1.0), ("documento", 0.8)],
    ),
    form(
        NationalId,
        "CL",
        &["99.999.999-X", "9.999.999-X", "99999999-X", "9999999-X"],
        (rut, 0.045),
        &[("rut", 1.0), ("run", 0.5), ("rut cliente", 1.0)],
    ),
    form(
        NationalId,
        "EC",
        &["9999999999"],
        (cedula, 0.016),
        &[("cedula", 1.0), ("cedula identidad", 1.0)],
    ),
    form(
        DriverLicense,
        "US",
        &[
            "A9999999",
            "A999-9999-9999",
            "A9999-99999-99999",
            "A99999999",
            "A999999999999",
            "A99999999999999",
        ],
        ANY,
        &[],
    ),
];

/// Areas, groups and serials that were issued (Social Security Administration), less three numbers
/// that were printed in advertisements.
fn ssn(code: &Code) -> bool {
    let Some(number) = code.number(0, 9) else {
        return false;
    };
    let (area, group, serial) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
    let advertised = [78_051_120, 219_099_999, 457_555_462].contains(&number);
    !matches!(area, 0 | 666 | 900..) && group > 0 && serial > 0 && !advertised
}

fn itin(code: &Code) -> bool {
    let group = code.number(3, 5).unwrap_or(0);
    code.digit(0) == 9 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

fn routing(code: &Code) -> bool {
    let district = code.number(0, 2).unwrap_or(99);
    let sum = code.weighted(&[3, 7, 1, 3, 7, 1, 3, 7, 1]);
    matches!(district, 0..=12 | 21..=32 | 61..=72 | 80) && sum.is_multiple_of(10) && sum > 0
}

/// Luhn behind the prefix 80840, which adds 24 to the sum.
fn npi(code: &Code) -> bool {
    let mut card = *b"80840..........";
    let digits = code.bytes();
    if digits.len() != 10 {
        return false;
    }
    card[5..].copy_from_slice(digits);
    matches!(code.digit(0), 1 | 2) && luhn(&card)
}

fn dea(code: &Code) -> bool {
    let digit = |at| code.digit(at);
    let sum = digit(2) + digit(4) + digit(6) + 2 * (digit(3) + digit(5) + digit(7));
    b"ABCDEFGHJKLMPRSTUX".contains(&code.letter(0)) && sum % 10 == digit(8)
}

/// No letter that looks like a digit; the first digit is not 0.
fn mbi(code: &Code) -> bool {
    let mistakable = |byte: &u8| b"SLOIBZ".contains(byte);
    code.digit(0) > 0 && !code.bytes().iter().any(mistakable)
}

fn sin(code: &Code) -> bool {
    !matches!(code.digit(0), 0 | 8) && luhn(code.bytes())
}

fn curp(code: &Code) -> bool {
    let value = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        // `Ñ` has its place behind `N`.
        b'O'..=b'Z' => u32::from(byte - b'A') + 11,
        _ => u32::from(byte.wrapping_sub(b'A')) + 10,
    };
    let bytes = code.bytes();
    let terms = bytes[..17].iter().zip((2..=18).rev());
    let sum: u32 = terms.map(|(&byte, weight)| value(byte) * weight).sum();
    code.is_date([4, 6, 8], &[], &[])
        && matches!(code.letter(10), b'H' | b'M' | b'X')
        && (10 - sum % 10) % 10 == code.digit(17)
}

/// What Brazil calls modulus 11: eleven less the remainder, 0 for ten and eleven.
fn brazilian(code: &Code, weights: &[u32], at: usize) -> bool {
    let rest = code.weighted(weights) % 11;
    let expected = if rest < 2 { 0 } else { 11 - rest };
    expected == code.digit(at)
}

fn cpf(code: &Code) -> bool {
    brazilian(code, &[10, 9, 8, 7, 6, 5, 4, 3, 2], 9)
        && brazilian(code, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2], 10)
        && !code.is_monotone()
}

fn cnpj(code: &Code) -> bool {
    brazilian(code, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2], 12)
        && brazilian(code, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2], 13)
        && !code.is_monotone()
}

fn cuit(code: &Code) -> bool {
    let rest = (11 - code.weighted(&[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    let kind = code.number(0, 2);
    matches!(kind, Some(20 | 23 | 24 | 27 | 30 | 33 | 34)) && rest == code.digit(10)
}

/// Weights 2 to 7 from the right, and again; `K` stands for ten.
fn rut(code: &Code) -> bool {
    let Some((last, digits)) = code.bytes().split_last() else {
        return false;
    };
    let weights = (2..=7).cycle();
    let terms = digits.iter().rev().zip(weights);
    let sum: u32 = terms
        .map(|(byte, weight)| u32::from(byte.wrapping_sub(b'0')) * weight)
        .sum();
    match 11 - sum % 11 {
        10 => *last == b'K',
        11 => *last == b'0',
        expected => u32::from(last.wrapping_sub(b'0')) == expected,
    }
}

fn cedula(code: &Code) -> bool {
    let province = code.number(0, 2).unwrap_or(0);
    matches!(province, 1..=24 | 30) && code.digit(2) < 6 && luhn(code.bytes())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, passes, refuse};

    #[test]
    fn social_security_numbers_that_can_be_issued() {
        for good in ["536-22-8726", "536 22 8726", "536228726"] {
            check(good, "us_ssn US");
        }
        for bad in [
            "000-22-8726",
            "666-22-8726",
            "900-22-8726",
            "536-00-8726",
            "536-22-0000",
            "078-05-1120",
        ] {
            refuse(bad, "us_ssn US");
        }
        for other in ["536-228-726", "53622872", "536-22-872x"] {
            refuse(other, "us_ssn US");
        }
        check("900-70-0000", "tax_id US");
        refuse("900-69-0000", "tax_id US");
    }

    #[test]
    fn banks_and_health() {
        check("021000021", "bank_routing US");
        refuse("021000022", "bank_routing US");
        check("1234567893", "medical_provider_id US");
        refuse("1234567890", "medical_provider_id US");
        check("AB1234563", "medical_provider_id US");
        check("1EG4-TE5-MK73", "health_id US");
        refuse("1EG4-TS5-MK73", "health_id US");
    }

    #[test]
    fn the_continent() {
        check("130 692 544", "national_id CA");
        refuse("130 692 545", "national_id CA");
        check("HEGG560427MVZRRL04", "national_id MX");
        check("GODE561231GR8", "tax_id MX");
        check("111.444.777-35", "national_id BR");
        refuse("111.111.111-11", "national_id BR");
        check("11.222.333/0001-81", "tax_id BR");
        check("20-12345678-6", "tax_id AR");
        check("12.345.678-5", "national_id CL");
        check("1710034065", "national_id EC");
        assert!(passes("hello").is_empty());
    }
}
