//! The name that somebody may have meant who wrote another one.
//!
//! Names count as near by the letters that have to be put in, taken out or replaced (Levenshtein, "Binary codes capable
//! of correcting deletions, insertions, and reversals", 1966), small and great letters alike. A name that shares little
//! with any is no slip, and nothing is proposed.

/// Letters of a name that are looked at: names of columns have at most 64, and a caller may send anything.
const LETTERS: usize = 64;

/// Of several names the nearest one, if it is near.
pub(crate) fn nearest<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let wanted = letters(wanted);
    let most = wanted.len().div_ceil(3);
    let distances = known
        .into_iter()
        .map(|name| (distance(&wanted, &letters(name)), name));
    let (_, name) = distances
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)?;
    Some(name.to_owned())
}

fn letters(name: &str) -> Vec<char> {
    name.chars()
        .flat_map(char::to_lowercase)
        .take(LETTERS)
        .collect()
}

/// Letters to put in, take out or replace, so that one becomes the other.
fn distance(one: &[char], other: &[char]) -> usize {
    // Of the letters of `one` so far, to each beginning of `other`.
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.iter().enumerate() {
        let mut before = at;
        row[0] = at + 1;
        for (place, theirs) in other.iter().enumerate() {
            let replaced = before + usize::from(letter != theirs);
            before = row[place + 1];
            row[place + 1] = replaced.min(before + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_definition() {
        let check = |one: &str, other: &str, expected| {
            assert_eq!(
                distance(&letters(one), &letters(other)),
                expected,
                "{one} {other}"
            );
            assert_eq!(
                distance(&letters(other), &letters(one)),
                expected,
                "{other} {one}"
            );
        };
        check("", "", 0);
        check("abc", "", 3);
        check("kitten", "sitting", 3);
        check("nmae", "name", 2);
        check("Changed", "changed", 0);
    }

    #[test]
    fn what_is_near_is_proposed_and_nothing_else() {
        let known = ["id", "name", "updated_at", "created_at"];
        let check = |wanted: &str, expected: Option<&str>| {
            assert_eq!(nearest(wanted, known).as_deref(), expected, "{wanted}");
        };
        check("Updated_At", Some("updated_at"));
        check("updatet_at", Some("updated_at"));
        check("nmae", Some("name"));
        check("nosuch", None);
        check("", None);
        check(&"x".repeat(10_000), None);
        assert_eq!(nearest("a", []), None);
    }
}
