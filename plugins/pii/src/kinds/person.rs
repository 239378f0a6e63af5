//! Names of people.
//!
//! A name is two to four capitalised words, or one word in a column of given names or surnames. Two
//! word lists (given names and family names, `crate::lexicon`) say how well it is known:
//! a given name and a surname together are strong, one known word is fair, capitals alone are weak.
//! Words of organisations argue against. Names beside an email address (`Name <mail>`) and lists of
//! names are found too; names in running text are not looked for.

use super::{Grade, Match};
use crate::fold::LastBytes;
use crate::lexicon::Known;
use crate::value::{Class, Value};

/// Longest value that is looked at; more is prose.
const LONGEST: usize = 200;

/// Most words of one name, titles and particles left out.
const MOST_WORDS: u32 = 4;

pub(crate) fn person_name(value: &Value<'_>) -> Option<Match> {
    if value.letters() < 2 || value.text.len() > LONGEST {
        return None;
    }
    if value.count(Class::At) > 0 {
        return beside_email(value.text).map(Match::within);
    }
    if value.digits() > 0 || value.count(Class::Slash) + value.count(Class::Colon) > 0 {
        return None;
    }
    if value.count(Class::Other) == 0 || !value.text.contains([',', ';', '&', '|']) {
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

/// `Surname, Given`, known by its second half; without that it is weak.
fn turned_name(last: &str, first: &str) -> Option<Grade> {
    if first.is_empty() || first.contains(',') || (first.contains(' ') && last.contains(' ')) {
        return None;
    }
    let given = first
        .split(' ')
        .next()
        .is_some_and(|word| known(word).is(Known::GIVEN));
    let surname = name(last)?;
    if !given {
        let proper = surname == Grade::Weak && name(first) == Some(Grade::Weak);
        return (proper || surname > Grade::Weak).then_some(Grade::Weak);
    }
    let listed = surname > Grade::Weak || known(last).is(Known::SURNAME);
    Some(if listed { Grade::Strong } else { Grade::Fair })
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
    /// Words that are no names and known as something else.
    other: u32,
    initials: u32,
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
        let known = known(word);
        if known.is(Known::ORGANISATION) {
            return None;
        }
        if known.is(Known::PARTICLE.or(Known::TITLE)) {
            return Some(());
        }
        self.count += 1;
        if self.count > MOST_WORDS {
            return None;
        }
        self.lower |= initial.is_lowercase();
        if word.chars().nth(1).is_none() {
            self.initials += 1;
            return Some(());
        }
        let (given, surname) = (known.is(Known::GIVEN), known.is(Known::SURNAME));
        // A word on both lists counts for the half that is still missing.
        if given && (self.given == 0 || !surname) {
            self.given += 1;
        } else if surname {
            self.surnames += 1;
        } else {
            self.other += u32::from(known.is(Known::ORDINARY.or(Known::CITY)));
        }
        self.doubtful += u32::from((given || surname) && known.is(Known::DOUBTFUL));
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
            (1, _) if self.other > 0 => return None,
            (1, _) => east_asian(text).unwrap_or(Grade::Weak),
            (_, 2..) if clear > 0 => Grade::Strong,
            (_, 1..) if clear + self.initials > 0 && self.other == 0 => Grade::Fair,
            _ if self.other > 0 => return None,
            _ => east_asian(text).unwrap_or(Grade::Weak),
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

/// Looks a word up; of a hyphenated one each half, and `O'Brien` without its apostrophe. A word that no
/// list has may still end as family names do.
fn known(word: &str) -> Known {
    let found = Known::of(word);
    if found.is(Known::ANY_WORD) {
        return found;
    }
    let irish = ["O'", "O’", "D'", "D’"]
        .iter()
        .find_map(|prefix| word.strip_prefix(prefix));
    if irish.is_some_and(|rest| rest.len() > 2) {
        return Known::SURNAME;
    }
    if let Some((first, second)) = word.split_once('-') {
        return Known::of(first).or(Known::of(second));
    }
    if ends_as_surname(word) {
        return Known::SURNAME;
    }
    found
}

/// The last bytes of these.
const LAST: LastBytes = LastBytes::of(&ENDINGS);

/// Ends of family names that hardly any other word has.
const ENDINGS: [&str; 50] = [
    "sson",
    "dottir",
    "dóttir",
    "ovich",
    "evich",
    "ović",
    "ević",
    "ovic",
    "evic",
    "enko",
    "chuk",
    "shvili",
    "adze",
    "wicz",
    "owski",
    "owska",
    "ewski",
    "ewska",
    "poulos",
    "poulou",
    "idis",
    "akis",
    "akos",
    "escu",
    "oglu",
    "oğlu",
    "ovna",
    "evna",
    "kova",
    "ková",
    "ovsky",
    "sdottir",
    "ович",
    "евич",
    "овна",
    "евна",
    "енко",
    "ский",
    "ская",
    "ова",
    "ева",
    "ский",
    "όπουλος",
    "οπούλου",
    "άκης",
    "άκη",
    "ίδου",
    "ιάδης",
    "άδης",
    "ίδης",
];

fn ends_as_surname(word: &str) -> bool {
    let ends = |end: &&str| word.len() > end.len() + 1 && word.ends_with(*end);
    word.len() > 5
        && LAST.have(word)
        && word.starts_with(char::is_uppercase)
        && ENDINGS.iter().any(ends)
}

/// Most common family names of one character, Chinese and Korean.
const EAST_ASIAN_SURNAMES: &str = "王李张張刘劉陈陳杨楊黄黃赵趙吴吳周徐孙孫马馬朱胡郭何高林罗羅郑鄭梁谢謝宋唐许許韩韓冯馮邓鄧曹彭曾肖田董袁潘于蒋蔣蔡余杜叶葉程苏蘇魏吕呂丁任沈姚卢盧姜崔钟鍾谭譚陆陸김이박최정강조윤장임한오서신권황안송류홍전고문손양배백허남심노하곽성차주우구민진지엄채원천방공현함변염여추도소석선설마길연위표명기반왕금옥육인맹제모";

/// Two to four Han characters, or three Hangul syllables, that begin with a common family name; of
/// Japanese ones the first two characters are looked up.
fn east_asian(text: &str) -> Option<Grade> {
    let first = text.chars().next()?;
    let script = |c: char| matches!(c, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | ' ' | '\u{3000}');
    if first.is_ascii() || !text.chars().all(script) {
        return None;
    }
    let length = text.chars().filter(|c| !c.is_whitespace()).count();
    let two = text.char_indices().nth(2).map_or(text.len(), |(at, _)| at);
    let japanese = (3..=6).contains(&length) && Known::of(&text[..two]).is(Known::SURNAME);
    if japanese {
        return Some(Grade::Strong);
    }
    let single = (2..=4).contains(&length) && EAST_ASIAN_SURNAMES.contains(first);
    single.then_some(Grade::Fair)
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
        check("山田 太郎", Some(Grade::Strong));
        check("Ragnar Sigurbjörnsson", Some(Grade::Strong));
        for weak in ["Brown", "Austin", "maria", "Red Apple"] {
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
            "Quick Answer",
            "Reykjavik",
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
