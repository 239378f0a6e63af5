//! Numbers of things that belong to one person: phones, SIM cards and cars.

use super::{Form, form};
use crate::check::{Code, luhn};
use crate::kinds::Kind::{Imei, Vin};

pub(super) const FORMS: &[Form] = &[
    form(
        Imei,
        "",
        &[
            "999999999999999",
            "99-999999-999999-9",
            "99 999999 999999 9",
        ],
        (imei, 0.06),
        &[],
    ),
    form(Vin, "", &["XXXXXXXXXXXXXXXXX"], (vin, 0.012), &[]),
];

/// Luhn; the first two digits name one of the bodies that allocate numbers.
fn imei(code: &Code) -> bool {
    let body = code.number(0, 2);
    let known = matches!(
        body,
        Some(0..=2 | 10 | 30..=35 | 44..=54 | 86 | 91 | 97..=99)
    );
    known && luhn(code.bytes()) && !code.is_monotone()
}

/// The check character at the ninth place (49 CFR 565); vehicles of other markets may fail it.
fn vin(code: &Code) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let value = |byte: u8| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'A'..=b'H' => Some(u32::from(byte - b'A') + 1),
        b'J'..=b'N' | b'P' | b'R' => Some(u32::from(byte - b'J') + 1),
        b'S'..=b'Z' => Some(u32::from(byte - b'S') + 2),
        _ => None,
    };
    let mut sum = 0;
    for (&byte, weight) in code.bytes().iter().zip(WEIGHTS) {
        let Some(value) = value(byte) else {
            return false;
        };
        sum += value * weight;
    }
    let expected = match sum % 11 {
        10 => b'X',
        rest => b"0123456789"[rest as usize],
    };
    let letters = code.bytes().iter().filter(|byte| byte.is_ascii_uppercase());
    code.bytes().get(8) == Some(&expected) && letters.count() >= 2
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, refuse};

    #[test]
    fn phones_and_cars() {
        check("490154203237518", "imei ");
        check("35-209900-176148-1", "imei ");
        refuse("490154203237519", "imei ");
        check("1M8GDM9AXKP042788", "vin ");
        check("1HGCM82633A004352", "vin ");
        refuse("1HGCM82643A004352", "vin ");
        refuse("11111111111111111", "vin ");
    }
}
