//! ISO 8601 dates and times of day, as far as they stand in tables: `2024-02-29`, `2024-02-29T10:00:00.5+02:00`.
//!
//! A blank may stand for the `T`, seconds may be missing, a zone is `Z`, `±HH`, `±HHMM` or `±HH:MM`. Fractions are
//! exact down to nanoseconds; finer digits must be zeros. Leap seconds and hour 24 are not read.

/// Units a second.
pub(super) const MICROS: i64 = 1_000_000;

/// Nanoseconds a second.
const NANOS: i64 = 1_000_000_000;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A date, or a time on a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Days since 1970-01-01.
    Date(i32),
    /// A time without a zone.
    Naive(Instant),
    /// A time in UTC.
    Zoned(Instant),
}

/// Seconds since 1970-01-01, and nanoseconds of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instant {
    seconds: i64,
    nanos: i64,
}

impl Instant {
    /// Units since 1970-01-01, `a_second` of them a second, if that is exact and fits.
    pub(super) fn exactly(self, a_second: i64) -> Option<i64> {
        let nanos_a_unit = NANOS / a_second;
        if self.nanos % nanos_a_unit != 0 {
            return None;
        }
        self.seconds
            .checked_mul(a_second)?
            .checked_add(self.nanos / nanos_a_unit)
    }
}

/// Reads a date, or a date and a time.
pub(super) fn read(text: &[u8]) -> Option<Moment> {
    let days = date(text.get(..10)?)?;
    if text.len() == 10 {
        return i32::try_from(days).ok().map(Moment::Date);
    }
    if !matches!(text[10], b'T' | b't' | b' ') {
        return None;
    }
    let (time, zone) = time(&text[11..])?;
    let local = Instant {
        seconds: days * DAY_SECONDS + time.seconds,
        nanos: time.nanos,
    };
    match zone {
        [] => Some(Moment::Naive(local)),
        _ => Some(Moment::Zoned(Instant {
            seconds: local.seconds - offset_seconds(zone)?,
            ..local
        })),
    }
}

/// Reads a time of day, with nothing behind it.
pub(super) fn time_of_day(text: &[u8]) -> Option<Instant> {
    time(text)
        .filter(|(_, rest)| rest.is_empty())
        .map(|(time, _)| time)
}

/// Days since 1970-01-01 of `YYYY-MM-DD` (proleptic Gregorian; H. Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `days_from_civil`).
fn date(text: &[u8]) -> Option<i64> {
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let year = i64::from(fixed(&text[..4])?);
    let (month, day) = (fixed(&text[5..7])?, fixed(&text[8..10])?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = i64::from((month + 9) % 12);
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Reads `HH:MM[:SS[.fraction]]`; what follows is the zone.
fn time(text: &[u8]) -> Option<(Instant, &[u8])> {
    let hour = fixed(text.get(..2)?)?;
    let minute = fixed(text.get(2..)?.strip_prefix(b":")?.get(..2)?)?;
    let mut rest = &text[5..];
    let (mut second, mut nanos) = (0, 0);
    if let Some(tail) = rest.strip_prefix(b":") {
        second = fixed(tail.get(..2)?)?;
        rest = &tail[2..];
        if let Some(tail) = rest.strip_prefix(b".") {
            let count = tail.iter().take_while(|b| b.is_ascii_digit()).count();
            nanos = nanos_of(&tail[..count])?;
            rest = &tail[count..];
        }
    }
    let is_time = hour < 24 && minute < 60 && second < 60;
    is_time.then(|| {
        let seconds = i64::from(hour * 3_600 + minute * 60 + second);
        (Instant { seconds, nanos }, rest)
    })
}

/// A fraction of a second in nanoseconds, when it is no finer.
fn nanos_of(digits: &[u8]) -> Option<i64> {
    let (kept, finer) = digits.split_at(digits.len().min(9));
    if kept.is_empty() || finer.iter().any(|b| *b != b'0') {
        return None;
    }
    let scale = 10_i64.pow(9 - u32::try_from(kept.len()).ok()?);
    Some(i64::from(fixed(kept)?) * scale)
}

/// Reads `Z`, `±HH`, `±HHMM` or `±HH:MM`.
fn offset_seconds(zone: &[u8]) -> Option<i64> {
    let (sign, digits) = match zone {
        [b'Z' | b'z'] => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [_, _] => (fixed(digits)?, 0),
        [_, _, b':', _, _] => (fixed(&digits[..2])?, fixed(&digits[3..])?),
        [_, _, _, _] => (fixed(&digits[..2])?, fixed(&digits[2..])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3_600 + minutes * 60))
}

/// A number of exactly these digits, nine at most.
fn fixed(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        use chrono::{Datelike, NaiveDate};
        let first = NaiveDate::from_ymd_opt(1, 1, 1).unwrap();
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        for days in (0..3_652_059).step_by(97) {
            let day = first + chrono::Days::new(days);
            let text = format!("{:04}-{:02}-{:02}", day.year(), day.month(), day.day());
            let expected = (day - epoch).num_days();
            assert_eq!(
                read(text.as_bytes()),
                Some(Moment::Date(expected as i32)),
                "{text}"
            );
        }
        for text in [
            "2023-02-29",
            "1900-02-29",
            "2024-00-01",
            "2024-13-01",
            "2024-04-31",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert!(read(b"2000-02-29").is_some() && read(b"0000-02-29").is_some());
    }

    #[test]
    fn an_instant_is_exact_or_nothing() {
        let Some(Moment::Naive(time)) = read(b"1969-12-31 23:59:59.123456789") else {
            panic!("a time");
        };
        assert_eq!(time.exactly(NANOS), Some(-876_543_211));
        assert_eq!(time.exactly(MICROS), None);
        let Some(Moment::Zoned(time)) = read(b"9999-12-31T23:59:59+23:59") else {
            panic!("a time");
        };
        assert_eq!(time.exactly(1), Some(253_402_300_799 - 86_340));
        assert_eq!(time.exactly(NANOS), None, "it does not fit");
        assert_eq!(
            time_of_day(b"23:59:59.5").and_then(|t| t.exactly(1_000)),
            Some(86_399_500)
        );
        assert_eq!(time_of_day(b"10:00Z"), None);
    }
}
