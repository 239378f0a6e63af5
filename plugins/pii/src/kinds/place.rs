//! Cities and coordinates.
//!
//! A city is one that GeoNames lists with fifteen thousand people or more; names that are family names
//! or ordinary words as well are weaker, and other proper nouns weak. Coordinates are decimals with a fraction fine enough for a
//! house, or a pair of them.

use super::{Grade, Match};
use crate::lexicon::Known;
use crate::value::{Class, Value};

/// Longest name of a city that is looked at.
const LONGEST: usize = 48;

pub(crate) fn city(value: &Value<'_>) -> Option<Match> {
    let marks =
        value.text.len() - value.letters() - value.count(Class::Space) - value.count(Class::Dash);
    if value.letters() < 2 || value.text.len() > LONGEST || marks > 3 || value.digits() > 0 {
        return None;
    }
    // `Springfield, IL`: the city stands before the comma.
    let name = if value.count(Class::Other) == 0 {
        value.text
    } else {
        value.text.split(',').next().unwrap_or_default().trim()
    };
    let known = Known::of(name);
    let other = Known::GIVEN.or(Known::SURNAME).or(Known::ORDINARY);
    let grade = match (known.is(Known::CITY), known.is(other)) {
        (true, false) => Grade::Strong,
        (true, true) => Grade::Fair,
        // Most towns are on no list: any proper noun may be one where the header says so.
        (false, _) if is_proper(name) => Grade::Weak,
        (false, _) => return None,
    };
    Some(Match::whole(grade))
}

/// One to four words, the first with a capital, or a script that has none.
fn is_proper(name: &str) -> bool {
    let capital = name
        .chars()
        .next()
        .is_some_and(|first| !first.is_lowercase());
    let words = name.split([' ', '-']).filter(|word| !word.is_empty());
    capital && name.chars().nth(1).is_some() && words.count() <= 4
}

/// Range of a longitude; latitudes have half of it.
const MOST_DEGREES: f64 = 180.0;

pub(crate) fn coordinates(value: &Value<'_>) -> Option<Match> {
    if value.count(Class::Dot) == 0 || value.letters() > 5 || value.text.len() > 64 {
        return None;
    }
    // Digits around one point, perhaps behind a sign.
    let number = value.count(Class::Dot) == 1
        && value.digits() + 1 + value.count(Class::Dash) == value.text.len();
    if number && let Some(fraction) = degrees(value.text) {
        let grade = if fraction >= 4 {
            Grade::Fair
        } else {
            Grade::Weak
        };
        return (fraction >= 2).then_some(Match::whole(grade));
    }
    if value.count(Class::Space) + value.count(Class::Other) == 0 {
        return None;
    }
    let bare = value.text.trim_start_matches("POINT").trim();
    let bare = bare.trim_matches(['(', ')', '[', ']']);
    let (first, second) = bare.split_once([',', ';', ' '])?;
    let fractions = [degrees(first.trim())?, degrees(second.trim())?];
    let fine = fractions.iter().all(|&fraction| fraction >= 3);
    fine.then_some(Match::whole(Grade::Strong))
}

/// Digits behind the point of a number of degrees.
fn degrees(text: &str) -> Option<usize> {
    let (whole, fraction) = text.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    if whole.is_empty() || whole.len() > 3 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    (number.abs() <= MOST_DEGREES).then_some(fraction.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grade(inspect: fn(&Value<'_>) -> Option<Match>, text: &str) -> Option<Grade> {
        inspect(&Value::new(text)?).map(|found| found.grade)
    }

    #[test]
    fn cities() {
        for text in ["Wuppertal", "São Paulo", "new york", "Minneapolis, MN"] {
            assert_eq!(grade(city, text), Some(Grade::Strong), "{text}");
        }
        assert_eq!(grade(city, "Lincoln"), Some(Grade::Fair));
        assert_eq!(grade(city, "Xyzzyburg"), Some(Grade::Weak));
        for text in [
            "",
            "xyzzyburg",
            "Berlin 12",
            "One two three four five",
            "http://berlin",
        ] {
            assert_eq!(grade(city, text), None, "{text}");
        }
    }

    #[test]
    fn degrees_with_a_fraction() {
        assert_eq!(grade(coordinates, "52.5200066"), Some(Grade::Fair));
        assert_eq!(grade(coordinates, "-0.12"), Some(Grade::Weak));
        assert_eq!(
            grade(coordinates, "(52.5200, 13.4049)"),
            Some(Grade::Strong)
        );
        assert_eq!(
            grade(coordinates, "POINT(13.4049 52.5200)"),
            Some(Grade::Strong)
        );
        for text in [
            "181.5",
            "1.5",
            "52",
            "1.2.3",
            "52.52N",
            "1,5",
            ".5",
            "3.10.2, 4.1.1",
        ] {
            assert_eq!(grade(coordinates, text), None, "{text}");
        }
    }
}
