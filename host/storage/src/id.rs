//! Unique names that sort by the time they were given.
//!
//! Ids are UUIDs of version 7 (RFC 9562, section 5.7): milliseconds, a counter, random bits. Within a
//! process each is greater than the one before, even when the clock stands still or goes back; across
//! processes and hosts they sort by the clock's millisecond and do not collide.

use std::sync::Mutex;

use boathouse_types::Clock;
use uuid::{ContextV7, Timestamp, Uuid};

/// One counter for the process, so that two logs on one prefix keep the order of their appends.
static COUNTER: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// A new unique name: 36 characters that sort in the order in which they were given.
#[must_use]
pub fn time_ordered_id(clock: &dyn Clock) -> String {
    let millis = u64::try_from(clock.now().millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
    let time = Timestamp::from_unix(&COUNTER, millis / 1000, nanos);
    Uuid::new_v7(time).hyphenated().to_string()
}

/// A name that nobody else has; its order means nothing.
pub(crate) fn nonce() -> Uuid {
    Uuid::now_v7()
}

#[cfg(test)]
mod tests {
    use boathouse_types::ManualClock;

    use super::*;

    #[test]
    fn ids_ascend_whatever_the_clock_does() {
        let clock = ManualClock::at(1_800_000_000_000);
        let mut last = time_ordered_id(&clock);
        for step in [0, 0, 5, -3_000, 0, 1, 100_000] {
            clock.advance(step);
            for _ in 0..100 {
                let next = time_ordered_id(&clock);
                assert!(next > last, "{next} after {last}");
                last = next;
            }
        }
    }
}
