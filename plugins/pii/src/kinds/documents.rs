//! Numbers that have hardly any form of their own: passports, licences and accounts.
//!
//! Some letters and five digits or more fit nearly every article number, so these kinds are reported
//! under a header that names them and never otherwise. What is looked at is only that the values can be
//! such numbers at all: dates, decimals and prose under such a header are none.

use super::{Grade, Match};
use crate::value::{Class, Value};

/// Letters and digits of a code, when it has nothing but spaces and dashes beside them.
struct Plain {
    letters: usize,
    digits: usize,
}

fn plain(value: &Value<'_>) -> Option<Plain> {
    let separators = value.count(Class::Space) + value.count(Class::Dash);
    let letters = value.count(Class::Upper) + value.count(Class::Lower);
    let other = value.text.len() - separators - letters - value.digits();
    (other == 0 && value.count(Class::Lower) <= value.count(Class::Upper) && !is_date(value))
        .then_some(Plain {
            letters,
            digits: value.digits(),
        })
}

fn is_date(value: &Value<'_>) -> bool {
    let dashes: usize = match value.text.len() {
        10 if value.digits() == 8 => 2,
        _ => return false,
    };
    let places = value.digits_at();
    value.count(Class::Dash) == dashes && matches!(places, 0b11_0110_1111 | 0b11_1101_1011)
}

/// Six to nine characters (ICAO Doc 9303), two of them digits.
pub(crate) fn passport(value: &Value<'_>) -> Option<Match> {
    let Plain { letters, digits } = plain(value)?;
    let fits = (6..=10).contains(&(letters + digits)) && digits >= 2 && letters <= 6;
    fits.then_some(Match::whole(if letters > 0 {
        Grade::Fair
    } else {
        Grade::Weak
    }))
}

/// What the licences of states and provinces have in common.
pub(crate) fn driver_license(value: &Value<'_>) -> Option<Match> {
    let Plain { letters, digits } = plain(value)?;
    let fits = (5..=18).contains(&(letters + digits)) && digits >= 4 && letters <= 10;
    fits.then_some(Match::whole(Grade::Weak))
}

/// Digits, perhaps behind letters of a bank.
pub(crate) fn bank_account(value: &Value<'_>) -> Option<Match> {
    let Plain { letters, digits } = plain(value)?;
    let fits = (6..=24).contains(&digits) && letters <= 6;
    fits.then_some(Match::whole(Grade::Weak))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_a_document() {
        let check =
            |inspect: fn(&Value<'_>) -> Option<Match>, text: &str, expected: Option<Grade>| {
                let found = inspect(&Value::new(text).expect("has text"));
                assert_eq!(found.map(|found| found.grade), expected, "{text}");
            };
        check(passport, "C01X00T47", Some(Grade::Fair));
        check(passport, "123456789", Some(Grade::Weak));
        check(driver_license, "D123-4567-8901", Some(Grade::Weak));
        check(bank_account, "0532013000", Some(Grade::Weak));
        check(bank_account, "12-34-56 12345678", Some(Grade::Weak));
        for other in [
            "2024-01-15",
            "12.5",
            "hello",
            "1234",
            "a/b12345",
            "Passport 1234567",
        ] {
            check(passport, other, None);
            check(bank_account, other, None);
        }
    }
}
