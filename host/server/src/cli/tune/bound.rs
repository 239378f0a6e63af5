//! What a run may try of a knob, as an option of the command line.
//!
//! `m=8..32:4` is 8, 12 and so on up to 32, `m=8..32` each of the numbers between, `m=16` this one alone. Which knobs there
//! are and how far they go is for the host to say.

use serde::Serialize;

/// A knob with the values that it may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Bound {
    name: String,
    min: u32,
    max: u32,
    step: u32,
}

/// Reads a bound. The names of knobs may be written as those of options are.
pub(super) fn bound(text: &str) -> Result<Bound, String> {
    let how = "write it as KNOB=MIN..MAX:STEP, KNOB=MIN..MAX or KNOB=VALUE";
    let (name, values) = text.split_once('=').ok_or(how)?;
    let (range, step) = values.split_once(':').unwrap_or((values, "1"));
    let (min, max) = range.split_once("..").unwrap_or((range, range));
    let bound = Bound {
        name: name.replace('-', "_"),
        min: number(min, how)?,
        max: number(max, how)?,
        step: number(step, how)?,
    };
    if bound.min > bound.max {
        return Err(format!("{min} lies above {max}"));
    }
    match bound.step {
        0 => Err("the step must be at least 1".to_owned()),
        _ => Ok(bound),
    }
}

fn number(text: &str, how: &str) -> Result<u32, String> {
    let number = text.trim().parse();
    number.map_err(|_| format!("`{text}` is not a whole number; {how}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: (&str, u32, u32, u32)) {
        let (name, min, max, step) = expected;
        let name = name.to_owned();
        let expected = Bound {
            name,
            min,
            max,
            step,
        };
        assert_eq!(bound(text), Ok(expected), "{text}");
    }

    #[test]
    fn a_bound_is_a_range_a_range_with_a_step_or_a_value() {
        check("m=8..32:4", ("m", 8, 32, 4));
        check("ef_search=10..40", ("ef_search", 10, 40, 1));
        check("ef-construction=80", ("ef_construction", 80, 80, 1));
        check("m=8 .. 32", ("m", 8, 32, 1));
    }

    #[test]
    fn what_is_no_bound_is_refused_in_words() {
        for (text, word) in [
            ("m", "KNOB=VALUE"),
            ("m=", "`` is not a whole number"),
            ("m=8..", "`` is not a whole number"),
            ("m=8..=32", "`=32` is not a whole number"),
            ("m=-8..32", "`-8` is not a whole number"),
            ("m=8..32:x", "`x` is not a whole number"),
            ("m=4294967296", "is not a whole number"),
            ("m=32..8", "32 lies above 8"),
            ("m=8..32:0", "at least 1"),
        ] {
            let told = bound(text).unwrap_err();
            assert!(told.contains(word), "{text}: {told}");
        }
    }
}
