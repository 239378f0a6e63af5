//! Numbers that states give to people. Today: the US social security number.
//!
//! It has no checksum, only rules of what was never issued (Social Security Administration: area not
//! 000, 666 or 900-999, group not 00, serial not 0000), which nine in ten random numbers obey. Digits
//! in the grouping 3-2-4 are fair, bare digits weak.

use super::{Country, Grade, Kind, Match};
use crate::column::Declared;
use crate::fusion;
use crate::header::Terms;
use crate::value::{Class, Value};

pub(crate) static US_SSN: Kind = Kind {
    name: "us_ssn",
    types: &[Declared::Text, Declared::Integer],
    terms: &Terms {
        phrases: &[
            ("ssn", 1.0),
            ("us ssn", 1.0),
            ("ssns", 1.0),
            ("ss number", 0.8),
            ("ss no", 0.6),
            ("social security", 1.0),
            ("social security number", 1.0),
            ("socialsecuritynumber", 1.0),
            ("social insurance number", -0.6),
            ("tax id", 0.5),
            ("taxpayer id", 0.5),
            ("national id", 0.4),
        ],
        alone: &[("social", 0.5)],
    },
    inspect: us_ssn,
    calibration: &fusion::US_SSN,
    of_people: true,
};

/// Numbers that were printed in advertisements and are nobody's.
const ADVERTISED: [u32; 3] = [78_051_120, 219_099_999, 457_555_462];

fn us_ssn(value: &Value<'_>) -> Option<Match> {
    if value.digits() < 9 {
        return None;
    }
    let country = Country::new("US")?;
    let whole = grade(value.text).map(Match::whole);
    let within = || {
        let grouped = value.count(Class::Dash) >= 2 && value.count(Class::Space) > 0;
        let mut pieces = value.pieces().filter(|piece| grouped && piece.len() == 11);
        pieces.find_map(grade).map(Match::within)
    };
    Some(whole.or_else(within)?.in_country(country))
}

fn grade(text: &str) -> Option<Grade> {
    let bytes = text.as_bytes();
    let grouped = match bytes.len() {
        11 if bytes[3] == bytes[6] && matches!(bytes[3], b'-' | b' ') => true,
        9 => false,
        _ => return None,
    };
    let mut number = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if grouped && matches!(index, 3 | 6) {
            continue;
        }
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u32::from(byte - b'0');
    }
    let grade = if grouped { Grade::Fair } else { Grade::Weak };
    was_issued(number).then_some(grade)
}

/// Whether the number can have been issued.
fn was_issued(number: u32) -> bool {
    let (area, group, serial) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
    let area = !matches!(area, 0 | 666 | 900..);
    area && group > 0 && serial > 0 && !ADVERTISED.contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_that_can_be_issued() {
        let check = |text: &str, expected: Option<Match>| {
            let us = Country::new("US").expect("a country");
            let found = us_ssn(&Value::new(text).expect("has text"));
            assert_eq!(found, expected.map(|found| found.in_country(us)), "{text}");
        };
        check("536-22-8726", Some(Match::whole(Grade::Fair)));
        check("536 22 8726", Some(Match::whole(Grade::Fair)));
        check("536228726", Some(Match::whole(Grade::Weak)));
        check("his number is 536-22-8726.", None);
        check("number 536-22-8726 given", Some(Match::within(Grade::Fair)));
        for other in [
            "000-22-8726",
            "666-22-8726",
            "900-22-8726",
            "536-00-8726",
            "536-22-0000",
            "078-05-1120",
            "536-228-726",
            "536-22 8726",
            "53622872",
            "5362287261",
            "536-22-872x",
        ] {
            check(other, None);
        }
    }
}
