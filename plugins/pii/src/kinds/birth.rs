//! Dates of birth.
//!
//! Any date may be one, so a value says little: the form is that of a date without a time of day,
//! the year is one in which people of today were born, and years spread over a lifetime. The name,
//! or people in neighbouring columns, must do the rest; a column of recent timestamps never gets here.

use super::{Grade, Match};
use crate::value::{Class, Value};

/// First letters of the months in English.
const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

pub(crate) fn date_of_birth(value: &Value<'_>) -> Option<Match> {
    if !(3..=16).contains(&value.digits()) || value.text.len() > 32 {
        return None;
    }
    // Day, month and year have four digits each at most, and two marks between them.
    let marks = [
        Class::Dash,
        Class::Slash,
        Class::Dot,
        Class::Space,
        Class::Other,
    ];
    let marks: usize = marks.iter().map(|class| value.count(*class)).sum();
    let dated = match value.digits() {
        8 if value.text.len() == 8 => true,
        digits => digits <= 12 && marks >= 2,
    };
    if value.count(Class::Colon) == 0 && !dated {
        return None;
    }
    let (year, full) = year_of(value.text)?;
    let grade = match year {
        1925..=2007 if full => Grade::Strong,
        1900..=2027 => Grade::Weak,
        _ => return None,
    };
    let bucket = u8::try_from(year - 1900).ok()?;
    Some(Match::whole(grade).in_bucket(bucket))
}

/// The year of a date and whether it was written in full; `None` for what is no date or has a time of
/// day other than midnight.
fn year_of(text: &str) -> Option<(u32, bool)> {
    let date = without_midnight(text)?;
    if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: u32 = date.parse().ok()?;
        let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
        return is_day(month, day).then_some((year, true));
    }
    let mut parts = date
        .split(['-', '/', '.', ' ', ','])
        .filter(|part| !part.is_empty());
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (a, b) = (Part::parse(first)?, Part::parse(second)?);
    if first.len() == 4 {
        let valid = match (b, Part::parse(third)?) {
            (Part::Number(month), Part::Number(day)) => is_day(month, day),
            (b, c) => day_and_month(b, c),
        };
        return valid.then_some((number(first)?, true));
    }
    let year = number(third)?;
    let (year, full) = match third.len() {
        4 => (year, true),
        2 => (if year <= 27 { 2000 + year } else { 1900 + year }, false),
        _ => return None,
    };
    day_and_month(a, b).then_some((year, full))
}

/// Cuts off midnight; `None` when another time of day follows.
fn without_midnight(text: &str) -> Option<&str> {
    let Some(at) = text.find(':') else {
        return Some(text);
    };
    let start = text[..at].rfind(['T', ' '])?;
    let midnight = text[start + 1..]
        .bytes()
        .all(|byte| matches!(byte, b'0' | b':' | b'.' | b'Z' | b'+'));
    midnight.then(|| text[..start].trim_end())
}

/// A day or a month.
#[derive(Clone, Copy)]
enum Part {
    Number(u32),
    Month,
}

impl Part {
    fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.first()?.is_ascii_digit() {
            return number(text).map(Self::Number);
        }
        let head = bytes.get(..3)?;
        let known = MONTHS.iter().any(|month| head.eq_ignore_ascii_case(month));
        (known && bytes.len() <= 9).then_some(Self::Month)
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Whether two parts are a month and a day in either order.
fn day_and_month(a: Part, b: Part) -> bool {
    match (a, b) {
        (Part::Number(a), Part::Number(b)) => is_day(a, b) || is_day(b, a),
        (Part::Number(day), Part::Month) | (Part::Month, Part::Number(day)) => is_day(1, day),
        (Part::Month, Part::Month) => false,
    }
}

fn is_day(month: u32, day: u32) -> bool {
    let days = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_without_a_time() {
        let check = |text: &str, expected: Option<(u32, bool)>| {
            assert_eq!(year_of(text), expected, "{text}");
        };
        check("1985-03-12", Some((1985, true)));
        check("1985/3/2", Some((1985, true)));
        check("12.03.1985", Some((1985, true)));
        check("12/31/1985", Some((1985, true)));
        check("31/12/1985", Some((1985, true)));
        check("19850312", Some((1985, true)));
        check("March 12, 1985", Some((1985, true)));
        check("12 Mar 1985", Some((1985, true)));
        check("12-Mar-85", Some((1985, false)));
        check("1985-03-12T00:00:00Z", Some((1985, true)));
        check("1985-03-12 00:00:00.000", Some((1985, true)));
        for other in [
            "1985-03-12 10:30:00",
            "1985-13-12",
            "31/31/1985",
            "30.02.1985",
            "1985-03",
            "1985",
            "1.2.3",
            "1-2-3-4",
            "12345678",
            "Mar Mar 1985",
            "10:30",
            "été 12 1985",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn years_of_the_living() {
        let grade = |text: &str| date_of_birth(&Value::new(text)?).map(|found| found.grade);
        assert_eq!(grade("1985-03-12"), Some(Grade::Strong));
        assert_eq!(grade("2024-03-12"), Some(Grade::Weak));
        assert_eq!(grade("12/03/85"), Some(Grade::Weak));
        assert_eq!(grade("1785-03-12"), None);
        assert_eq!(grade("2085-03-12"), None);
    }
}
