//! Numbers of states in Asia, Africa and Oceania.

use super::{Form, form};
use crate::check::{Code, iso_11_2, luhn, verhoeff};
use crate::kinds::Kind::{HealthId, NationalId, TaxId};

pub(super) const FORMS: &[Form] = &[
    form(
        NationalId,
        "IN",
        &["9999 9999 9999", "9999-9999-9999", "999999999999"],
        (aadhaar, 0.08),
        &[
            ("aadhaar", 1.0),
            ("aadhar", 1.0),
            ("aadhaar number", 1.0),
            ("uidai", 1.0),
            ("uid", 0.4),
            ("आधार", 1.0),
        ],
    ),
    form(
        TaxId,
        "IN",
        &["AAAAA9999A"],
        (|code| b"ABCFGHJLPTK".contains(&code.letter(3)), 0.42),
        &[
            ("pan", 0.8),
            ("pan card", 1.0),
            ("pan number", 1.0),
            ("pan no", 1.0),
            ("permanent account number", 1.0),
        ],
    ),
    form(
        NationalId,
        "CN",
        &["999999999999999999", "99999999999999999A"],
        (chinese, 0.0004),
        &[
            ("身份证", 1.0),
            ("身份证号", 1.0),
            ("身份证号码", 1.0),
            ("shenfenzheng", 1.0),
            ("resident id", 1.0),
            ("sfz", 0.9),
        ],
    ),
    form(
        NationalId,
        "JP",
        &["9999 9999 9999", "9999-9999-9999", "999999999999"],
        (my_number, 0.1),
        &[
            ("my number", 1.0),
            ("mynumber", 1.0),
            ("individual number", 1.0),
            ("マイナンバー", 1.0),
            ("個人番号", 1.0),
        ],
    ),
    form(
        NationalId,
        "KR",
        &["999999-9999999", "9999999999999"],
        (korean, 0.003),
        &[
            ("rrn", 1.0),
            ("jumin", 1.0),
            ("주민등록번호", 1.0),
            ("주민번호", 1.0),
        ],
    ),
    form(
        NationalId,
        "TW",
        &["A999999999"],
        (taiwanese, 0.03),
        &[("身分證", 1.0), ("身分證字號", 1.0)],
    ),
    form(
        NationalId,
        "HK",
        &["A999999(X)", "A999999X", "A9999999"],
        (hong_kong, 0.05),
        &[("hkid", 1.0), ("hkid number", 1.0)],
    ),
    form(
        NationalId,
        "SG",
        &["A9999999A"],
        (singaporean, 0.0075),
        &[
            ("nric", 1.0),
            ("fin", 0.5),
            ("nric fin", 1.0),
            ("nric number", 1.0),
        ],
    ),
    form(
        NationalId,
        "MY",
        &["999999-99-9999", "999999999999"],
        (|code| code.is_date([0, 2, 4], &[], &[]), 0.037),
        &[
            ("mykad", 1.0),
            ("nric", 1.0),
            ("ic number", 0.9),
            ("ic no", 0.9),
            ("no kp", 1.0),
        ],
    )
    .dated(0),
    form(
        NationalId,
        "TH",
        &["9-9999-99999-99-9", "9999999999999"],
        (thai, 0.08),
        &[
            ("thai id", 1.0),
            ("เลขประจำตัวประชาชน", 1.0),
            ("บัตรประชาชน", 1.0),
        ],
    ),
    form(
        NationalId,
        "ID",
        &["9999999999999999"],
        (indonesian, 0.04),
        &[
            ("nik", 1.0),
            ("ktp", 1.0),
            ("no ktp", 1.0),
            ("nomor induk kependudukan", 1.0),
        ],
    ),
    form(
        NationalId,
        "PK",
        &["99999-9999999-9", "9999999999999"],
        (|code| (1..=7).contains(&code.digit(0)), 0.7),
        &[("cnic", 1.0), ("nicop", 1.0), ("cnic number", 1.0)],
    ),
    form(
        NationalId,
        "KZ",
        &["999999999999"],
        (kazakh, 0.0037),
        &[("iin", 1.0), ("иин", 1.0)],
    ),
    form(
        NationalId,
        "IL",
        &["999999999"],
        (|code| luhn(code.bytes()) && !code.is_monotone(), 0.1),
        &[
            ("teudat zehut", 1.0),
            ("tz", 0.4),
            ("תעודת זהות", 1.0),
            ("מספר זהות", 1.0),
        ],
    ),
    form(
        NationalId,
        "ZA",
        &["9999999999999", "999999 9999 99 9", "999999 9999 999"],
        (south_african, 0.0015),
        &[
            ("sa id", 1.0),
            ("rsa id", 1.0),
            ("said", 0.5),
            ("sa id number", 1.0),
        ],
    ),
    form(
        TaxId,
        "AU",
        &["999 999 999", "999-999-999", "999999999"],
        (tfn, 0.09),
        &[("tfn", 1.0), ("tax file number", 1.0)],
    ),
    form(
        TaxId,
        "AU",
        &["99 999 999 999", "99999999999"],
        (abn, 0.011),
        &[("abn", 1.0), ("australian business number", 1.0)],
    ),
    form(
        HealthId,
        "AU",
        &["9999 99999 9", "9999999999", "9999-99999-9"],
        (medicare, 0.05),
        &[
            ("medicare", 1.0),
            ("medicare number", 1.0),
            ("medicare no", 1.0),
            ("medicare card", 1.0),
        ],
    ),
    form(
        TaxId,
        "NZ",
        &["999-999-999", "99-999-999", "999999999", "99999999"],
        (ird, 0.013),
        &[("ird", 1.0), ("ird number", 1.0), ("ird no", 1.0)],
    ),
];

fn aadhaar(code: &Code) -> bool {
    code.digit(0) > 1 && verhoeff(code.bytes())
}

/// Region, date of birth with four digits of the year, serial, check character.
fn chinese(code: &Code) -> bool {
    let century = code.number(6, 8).unwrap_or(0);
    let region = code.number(0, 2).unwrap_or(0);
    (11..=82).contains(&region)
        && matches!(century, 18..=20)
        && code.is_date([8, 10, 12], &[], &[])
        && iso_11_2(code.bytes())
}

fn my_number(code: &Code) -> bool {
    let rest = code.weighted(&[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let expected = if rest < 2 { 0 } else { 11 - rest };
    expected == code.digit(11) && !code.is_monotone()
}

fn korean(code: &Code) -> bool {
    let sum = code.weighted(&[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    let expected = (11 - sum % 11) % 10;
    code.is_date([0, 2, 4], &[], &[])
        && (1..=8).contains(&code.digit(6))
        && expected == code.digit(12)
}

/// The letter stands for a number of two digits; weights 1, 9, 8, ... 1, 1.
fn taiwanese(code: &Code) -> bool {
    const ORDER: &[u8; 26] = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let place = ORDER.iter().position(|&letter| letter == code.letter(0));
    let Some(place) = place.and_then(|place| u32::try_from(place + 10).ok()) else {
        return false;
    };
    let sum = place / 10 + place % 10 * 9 + code.weighted(&[0, 8, 7, 6, 5, 4, 3, 2, 1, 1]);
    matches!(code.digit(1), 1 | 2 | 8 | 9) && sum.is_multiple_of(10)
}

fn hong_kong(code: &Code) -> bool {
    let letter = u32::from(code.letter(0).wrapping_sub(b'A')) + 10;
    let last = match code.letter(7) {
        b'A' => 10,
        0 => code.digit(7),
        _ => return false,
    };
    let sum = 36 * 9 + letter * 8 + code.weighted(&[0, 7, 6, 5, 4, 3, 2]) + last;
    sum.is_multiple_of(11)
}

fn singaporean(code: &Code) -> bool {
    let sum = code.weighted(&[0, 2, 7, 6, 5, 4, 3, 2]);
    let (shift, letters): (u32, &[u8; 11]) = match code.letter(0) {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return false,
    };
    letters[((sum + shift) % 11) as usize] == code.letter(8)
}

fn thai(code: &Code) -> bool {
    let sum = code.weighted(&[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    (1..=8).contains(&code.digit(0)) && (11 - sum % 11) % 10 == code.digit(12)
}

/// Province, regency, district, date (the day of women is raised by 40), serial.
fn indonesian(code: &Code) -> bool {
    let province = code.number(0, 2).unwrap_or(0);
    let serial = code.number(12, 16).unwrap_or(0);
    (11..=97).contains(&province) && code.is_date([10, 8, 6], &[], &[40]) && serial > 0
}

fn kazakh(code: &Code) -> bool {
    let first = code.weighted(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) % 11;
    let second = code.weighted(&[3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2]) % 11;
    let expected = if first < 10 { first } else { second };
    code.is_date([0, 2, 4], &[], &[])
        && (1..=6).contains(&code.digit(6))
        && expected == code.digit(11)
}

fn south_african(code: &Code) -> bool {
    code.is_date([0, 2, 4], &[], &[]) && code.digit(10) < 3 && luhn(code.bytes())
}

fn tfn(code: &Code) -> bool {
    code.weighted(&[1, 4, 3, 7, 5, 8, 6, 9, 10])
        .is_multiple_of(11)
        && !code.is_monotone()
}

fn abn(code: &Code) -> bool {
    let sum = code.weighted(&[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    code.digit(0) > 0 && (sum - 10).is_multiple_of(89)
}

fn medicare(code: &Code) -> bool {
    let sum = code.weighted(&[1, 3, 7, 9, 1, 3, 7, 9]);
    (2..=6).contains(&code.digit(0)) && sum % 10 == code.digit(8)
}

fn ird(code: &Code) -> bool {
    let length = code.bytes().len();
    let number = code.number(0, length).unwrap_or(0);
    let shift = 9 - length.min(9);
    let check = |weights: &[u32; 8]| (11 - code.weighted(&weights[shift..]) % 11) % 11;
    let first = check(&[3, 2, 7, 6, 5, 4, 3, 2]);
    let expected = if first == 10 {
        check(&[7, 4, 3, 2, 5, 2, 7, 6])
    } else {
        first
    };
    (10_000_000..150_000_000).contains(&number) && expected == code.digit(length - 1)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, refuse};

    #[test]
    fn asia() {
        check("2341 2341 2346", "national_id IN");
        refuse("2341 2341 2347", "national_id IN");
        check("ABCPE1234F", "tax_id IN");
        check("11010519491231002X", "national_id CN");
        refuse("110105194912310021", "national_id CN");
        check("1234-5678-9018", "national_id JP");
        check("A123456789", "national_id TW");
        check("A123456(3)", "national_id HK");
        check("S1234567D", "national_id SG");
        refuse("S1234567E", "national_id SG");
        check("880101-14-5678", "national_id MY");
        check("1-2345-67890-12-1", "national_id TH");
        check("3171235612900001", "national_id ID");
        check("35202-1234567-1", "national_id PK");
    }

    #[test]
    fn africa_and_oceania() {
        check("8001015009087", "national_id ZA");
        refuse("8001015009088", "national_id ZA");
        check("123456782", "tax_id AU");
        check("51 824 753 556", "tax_id AU");
        check("2123 45670 1", "health_id AU");
        check("49-091-850", "tax_id NZ");
    }
}
