//! Names of people.
//!
//! A name is two to four capitalised words, or one word in a column of given names or surnames. Two
//! word lists (given names and surnames of some twenty languages, folded) say how well it is known:
//! a given name and a surname together are strong, one known word is fair, capitals alone are weak.
//! Words of organisations argue against. Names beside an email address (`Name <mail>`) and lists of
//! names are found too; names in running text are not looked for.

mod lists;

use super::{Grade, Kind, Match};
use crate::column::Declared;
use crate::fold::Word;
use crate::fusion;
use crate::header::Terms;
use crate::value::{Class, Value};

pub(crate) static PERSON_NAME: Kind = Kind {
    name: "person_name",
    types: &[Declared::Text],
    terms: &Terms {
        phrases: lists::PHRASES,
        alone: &[
            ("name", 0.35),
            ("names", 0.35),
            ("nom", 0.35),
            ("nome", 0.35),
            ("nombre", 0.35),
        ],
    },
    inspect: person_name,
    calibration: &fusion::PERSON_NAME,
    of_people: true,
};

/// Longest value that is looked at; more is prose.
const LONGEST: usize = 200;

/// Most words of one name, titles and particles left out.
const MOST_WORDS: u32 = 4;

fn person_name(value: &Value<'_>) -> Option<Match> {
    if value.letters() < 2 || value.text.len() > LONGEST {
        return None;
    }
    if value.count(Class::At) > 0 {
        return beside_email(value.text).map(Match::within);
    }
    if value.digits() > 0 || value.count(Class::Slash) + value.count(Class::Colon) > 0 {
        return None;
    }
    if !value.text.contains([',', ';', '&', '|']) {
        return name(value.text).map(Match::whole);
    }
    if let Some((last, first)) = value.text.split_once(',')
        && let Some(grade) = turned_name(last.trim(), first.trim())
    {
        return Some(Match::whole(grade));
    }
    list_of_names(value.text).map(Match::whole)
}

/// The name in `Name <mail>`, or the best of several.
fn beside_email(text: &str) -> Option<Grade> {
    let mut rest = text;
    let mut best = None;
    while let Some((before, after)) = rest.split_once('<') {
        let candidate = before.trim_matches(|c: char| c.is_whitespace() || ",;\"'".contains(c));
        best = best.max(full_name(candidate));
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    best
}

/// `Surname, Given`, known by its second half.
fn turned_name(last: &str, first: &str) -> Option<Grade> {
    if first.is_empty() || first.contains(',') || (first.contains(' ') && last.contains(' ')) {
        return None;
    }
    let given = first
        .split(' ')
        .next()
        .is_some_and(|word| known(word).given);
    let surname = name(last)?;
    match (given, surname) {
        (true, Grade::Fair | Grade::Strong) => Some(Grade::Strong),
        (true, Grade::Weak) => Some(Grade::Fair),
        (false, _) => None,
    }
}

/// A list whose every member is a full name; its grade is the middling one.
fn list_of_names(text: &str) -> Option<Grade> {
    let members = text
        .split([',', ';', '&', '|'])
        .map(str::trim)
        .filter(|member| !member.is_empty());
    let mut best = None;
    for member in members {
        best = best.max(Some(full_name(member)?));
    }
    best.map(|grade| grade.min(Grade::Fair))
}

/// A name of at least two words.
fn full_name(text: &str) -> Option<Grade> {
    text.trim().contains(' ').then(|| name(text)).flatten()
}

/// What was seen while reading the words of a name.
#[derive(Default)]
struct Words {
    count: u32,
    given: u32,
    surnames: u32,
    /// Words that are known only as names that mean something else too, such as `Rose` or `Austin`.
    doubtful: u32,
    lower: bool,
}

fn name(text: &str) -> Option<Grade> {
    let mut words = Words::default();
    for word in text.split([' ', '\u{a0}']).filter(|word| !word.is_empty()) {
        words.read(word)?;
    }
    words.grade(text)
}

impl Words {
    /// Takes in a word; `None` when it has no place in a name.
    fn read(&mut self, word: &str) -> Option<()> {
        let word = word.trim_end_matches('.');
        let initial = word.chars().next()?;
        if !is_name_like(word) {
            return None;
        }
        let folded = Word::fold(word)?;
        if lists::contains(lists::ORGANISATION, folded.as_bytes()) {
            return None;
        }
        let particle = lists::contains(lists::PARTICLES, folded.as_bytes());
        let title = lists::contains(lists::TITLES, folded.as_bytes());
        if particle || title {
            return Some(());
        }
        self.count += 1;
        if self.count > MOST_WORDS {
            return None;
        }
        self.lower |= initial.is_lowercase();
        if word.chars().nth(1).is_none() {
            return Some(());
        }
        let known = known(word);
        // A word on both lists counts for the half that is still missing.
        if known.given && (self.given == 0 || !known.surname) {
            self.given += 1;
        } else if known.surname {
            self.surnames += 1;
        }
        self.doubtful += u32::from(known.doubtful);
        Some(())
    }

    fn grade(&self, text: &str) -> Option<Grade> {
        if self.count == 0 {
            return None;
        }
        let hits = self.given + self.surnames;
        let clear = hits.saturating_sub(self.doubtful);
        let grade = match (self.count, hits) {
            (1, _) if text.chars().nth(1).is_none() => return None,
            (1, _) if clear > 0 => Grade::Fair,
            (1, _) => east_asian(text).unwrap_or(Grade::Weak),
            (_, 2..) if clear > 0 => Grade::Strong,
            (_, 1..) if clear > 0 => Grade::Fair,
            _ => Grade::Weak,
        };
        // Without capitals only names that are known through and through count.
        match (self.lower, grade) {
            (true, Grade::Strong) => Some(Grade::Fair),
            (true, _) if clear > 0 && self.count == 1 => Some(Grade::Weak),
            (true, _) => None,
            (false, grade) => Some(grade),
        }
    }
}

/// Letters, with apostrophes and hyphens inside.
fn is_name_like(word: &str) -> bool {
    word.chars()
        .all(|c| c.is_alphabetic() || matches!(c, '\'' | '-' | '’' | '.'))
        && word.chars().next().is_some_and(char::is_alphabetic)
}

/// What the lists know of a word.
struct Known {
    given: bool,
    surname: bool,
    doubtful: bool,
}

/// Looks a word up; of a hyphenated one each half, and `O'Brien` without its apostrophe.
fn known(word: &str) -> Known {
    let mut known = Known {
        given: false,
        surname: false,
        doubtful: false,
    };
    for part in word.split('-') {
        let joined = part.strip_prefix("O'").or_else(|| part.strip_prefix("O’"));
        let Some(folded) = Word::fold(joined.unwrap_or(part)) else {
            continue;
        };
        let folded = folded.as_bytes();
        known.given |= lists::contains(lists::GIVEN, folded);
        known.surname |= joined.is_some() || lists::contains(lists::SURNAMES, folded);
        known.doubtful |= lists::contains(lists::DOUBTFUL, folded);
    }
    known.doubtful &= known.given || known.surname;
    known
}

/// Two to four Han characters, or three Hangul syllables, that begin with a common surname.
fn east_asian(text: &str) -> Option<Grade> {
    let mut characters = text.chars();
    let first = characters.next()?;
    let rest = characters.clone().count();
    let script = |c: char| matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
    let fits = (1..=3).contains(&rest) && script(first) && characters.all(script);
    (fits && lists::EAST_ASIAN_SURNAMES.contains(first)).then_some(Grade::Fair)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Extent;

    fn check(text: &str, expected: Option<Grade>) {
        let found = person_name(&Value::new(text).expect("has text"));
        assert_eq!(found.map(|found| found.grade), expected, "{text}");
    }

    #[test]
    fn known_names_are_graded() {
        for strong in [
            "Maria Garcia",
            "JOHN SMITH",
            "Dr. Jürgen Müller",
            "Smith, John",
            "Ludwig van Becker",
            "Anne-Marie O'Brien",
            "Анна Иванова",
            "Martin Lewis",
        ] {
            check(strong, Some(Grade::Strong));
        }
        for fair in [
            "Maria",
            "García",
            "Matthias Xyzzy",
            "J. Smith",
            "john smith",
            "李明",
            "김민수",
        ] {
            check(fair, Some(Grade::Fair));
        }
        check("John Smith, Maria Garcia", Some(Grade::Fair));
        for weak in ["Red Apple", "Berlin", "Brown", "Austin", "maria"] {
            check(weak, Some(Grade::Weak));
        }
    }

    #[test]
    fn organisations_and_prose_are_none() {
        for other in [
            "Debian Python Team",
            "Smith Ltd",
            "Garcia Group",
            "Pride and Prejudice",
            "a library that does things",
            "John Smith 42",
            "https://smith.example",
            "One Two Three Four Five",
            "X",
            "ok",
            "user_name",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn names_beside_email() {
        let found = |text: &str| person_name(&Value::new(text).expect("has text"));
        let expected = Match::within(Grade::Strong);
        assert_eq!(found("Matthias Klose <doko@debian.org>"), Some(expected));
        assert_eq!(
            found("Debian Python Team <team+python@tracker.debian.org>"),
            None
        );
        assert_eq!(
            found("X Team <a@b.co>, \"Maria Garcia\" <c@d.co>").map(|found| found.extent),
            Some(Extent::Within)
        );
        assert_eq!(found("maria.garcia@example.com"), None);
        assert_eq!(found("<a@b.co>"), None);
        assert_eq!(found("Maria <a@b.co"), None);
    }
}
