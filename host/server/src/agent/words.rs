//! Times and numbers as people say them.

use boathouse_types::Timestamp;

/// A length of time in its greatest unit, rounded to the nearest: `12 minutes`.
pub(super) fn span(millis: i64) -> String {
    const SECOND: i64 = 1_000;
    const UNITS: [(i64, &str, &str); 4] = [
        (24 * 60 * 60 * SECOND, "day", "days"),
        (60 * 60 * SECOND, "hour", "hours"),
        (60 * SECOND, "minute", "minutes"),
        (SECOND, "second", "seconds"),
    ];
    let millis = millis.max(0);
    // From twice a unit on: 90 minutes say more than 2 hours.
    let unit = UNITS.iter().find(|(unit, ..)| millis >= 2 * unit);
    let (unit, one, many) = unit.unwrap_or(&UNITS[3]);
    let number = (millis + unit / 2) / unit;
    counted(number.unsigned_abs(), one, many)
}

/// The time from one moment to another; none when that is not later.
pub(super) fn until(now: Timestamp, then: Timestamp) -> String {
    span(then.millis().saturating_sub(now.millis()))
}

/// A number with its noun.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_said_in_the_unit_that_says_most() {
        for (millis, said) in [
            (-5, "0 seconds"),
            (400, "0 seconds"),
            (1_000, "1 second"),
            (90_000, "90 seconds"),
            (12 * 60_000 + 10_000, "12 minutes"),
            (90 * 60_000, "90 minutes"),
            (5 * 3_600_000, "5 hours"),
            (49 * 3_600_000, "2 days"),
        ] {
            assert_eq!(span(millis), said);
        }
        let (now, then) = (
            Timestamp::from_millis(5_000),
            Timestamp::from_millis(65_000),
        );
        assert_eq!(until(now, then), "60 seconds");
        assert_eq!(until(then, now), "0 seconds");
        assert_eq!(counted(1, "trial", "trials"), "1 trial");
    }
}
