//! Postal addresses: a house number beside a word for a street, in a dozen languages.
//!
//! Strong words are hardly used for anything else (`Avenue`, `Straße`, `rue`); fair ones have other
//! uses or are short (`St`, `Way`, `Via`). Germanic and Nordic languages glue the word to the name
//! of the street, hence endings. A street without a number is weak. Cities and postcodes are not
//! looked for.

use super::{Grade, Match};
use crate::fold::{LastBytes, Word};
use crate::lexicon::Known;
use crate::value::{Class, Value};

/// Ends of street names written in one word, folded.
const ENDINGS: [&str; 24] = [
    "strasse", "allee", "gasse", "platz", "damm", "ufer", "chaussee", "straat", "laan", "plein",
    "gracht", "kade", "dijk", "singel", "gatan", "vagen", "gata", "veien", "vegen", "gade", "vej",
    "katu", "kuja", "utca",
];

/// Ends of street names that also end other words, folded.
const FAIR_ENDINGS: [&str; 9] = [
    "str", "weg", "ring", "steig", "tie", "dreef", "pad", "hof", "stien",
];

/// The last bytes of both.
const LAST: LastBytes = LastBytes::of(&ENDINGS);
const FAIR_LAST: LastBytes = LastBytes::of(&FAIR_ENDINGS);

/// Most words of an address; more is prose.
const MOST_WORDS: usize = 18;

/// Most spaces of a street that comes without a number.
const MOST_SPACES: usize = 5;

/// Most words in lower case beside those for streets.
const MOST_PROSE: u32 = 3;

/// Longest value that is still an address.
const LONGEST: usize = 200;

/// Longest word whose end is looked at.
const LONGEST_WORD: usize = 48;

pub(crate) fn postal_address(value: &Value<'_>) -> Option<Match> {
    if value.letters() < 3 || value.text.len() > LONGEST || value.count(Class::At) > 0 {
        return None;
    }
    if value.count(Class::Space) == 0 && value.count(Class::High) == 0 {
        return None;
    }
    let spaces = value.count(Class::Space);
    if spaces > MOST_WORDS || (value.digits() == 0 && spaces > MOST_SPACES) {
        return None;
    }
    if is_east_asian(value) {
        return Some(Match::whole(Grade::Strong));
    }
    let split = |c: char| c.is_whitespace() || matches!(c, ',' | ';');
    let numbered = value.digits() > 0;
    let mut number = false;
    let mut street = None;
    let (mut names, mut prose, mut postcodes) = (0, 0, 0);
    let words = value.text.split(split).filter(|word| !word.is_empty());
    for word in words {
        let found = street_word(word, numbered);
        street = street.max(found);
        prose += u32::from(found.is_none() && word.starts_with(char::is_lowercase));
        // Without digits there is no house number, and nothing else matters then.
        if numbered {
            number |= is_house_number(word);
            postcodes += u32::from(is_postcode(word));
            names += u32::from(word.len() > 3 && word.starts_with(char::is_uppercase));
        }
    }
    if prose > MOST_PROSE {
        return None;
    }
    match (street, number) {
        (Some(Grade::Fair), true) if names == 0 => None,
        (Some(grade), true) => Some(Match::whole(grade)),
        (Some(_), false) => Some(Match::whole(Grade::Weak)),
        // House number, postcode and two names or more: a street in a language without a word for it.
        (None, true) if names > 1 && postcodes > 0 && value.text.contains(',') => {
            Some(Match::whole(Grade::Fair))
        }
        // A name beside a number may be a street where the header says so.
        (None, true) if names > 0 => Some(Match::whole(Grade::Weak)),
        (None, _) => None,
    }
}

fn is_postcode(word: &str) -> bool {
    (4..=6).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// One to five digits with at most a letter or a second number behind them, as `12`, `12b`, `12-14`.
fn is_house_number(word: &str) -> bool {
    let word = word.trim_matches(['#', '.', '(', ')']);
    if !word.starts_with(|first: char| first.is_ascii_digit()) {
        return false;
    }
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &word[digits..];
    let range = |c: char| matches!(c, '-' | '/');
    let second = rest.trim_start_matches(range).bytes();
    let single = rest.len() == 1 && rest.bytes().all(|byte| byte.is_ascii_alphabetic());
    let pair = rest.starts_with(range) && second.take(7).all(|byte| byte.is_ascii_alphanumeric());
    (1..=5).contains(&digits) && (rest.is_empty() || single || (pair && rest.len() <= 6))
}

/// How surely a word is one for a street; `endings` says whether to look at its end as well.
fn street_word(word: &str, endings: bool) -> Option<Grade> {
    let word = word.trim_matches(['.', '(', ')']);
    if !word.chars().next()?.is_alphabetic() {
        return None;
    }
    let known = Known::of(word);
    if known.is(Known::STREET) {
        return Some(Grade::Strong);
    }
    if known.is(Known::STREET_TOO) {
        return Some(Grade::Fair);
    }
    if !endings {
        return None;
    }
    // An ending makes a street of a long word only.
    let word = Some(word)
        .filter(|word| word.len() > 4)
        .and_then(Word::fold)?;
    let word = Some(word.as_bytes()).filter(|word| word.len() <= LONGEST_WORD)?;
    let ends = |endings: &[&str]| {
        let mut endings = endings.iter().map(|end| end.as_bytes());
        endings.any(|end| word.len() > end.len() + 1 && word.ends_with(end))
    };
    if LAST.have(word) && ends(&ENDINGS) {
        Some(Grade::Strong)
    } else if FAIR_LAST.have(word) && ends(&FAIR_ENDINGS) {
        Some(Grade::Fair)
    } else {
        None
    }
}

/// Block and number of a Japanese, Chinese or Korean address.
fn is_east_asian(value: &Value<'_>) -> bool {
    let text = value.text;
    let marks = [
        "丁目", "番地", "路", "街", "号", "號", "省", "市", "区", "區", "县", "縣", "県", "町",
        "村", "로 ", "길 ", "거리", "시 ", "도 ", "구 ", "군 ",
    ];
    value.count(Class::High) >= 9
        && text.chars().any(char::is_numeric)
        && marks.iter().filter(|mark| text.contains(**mark)).count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_street() {
        let check = |text: &str, expected: Option<Grade>| {
            let found = postal_address(&Value::new(text).expect("has text"));
            assert_eq!(found.map(|found| found.grade), expected, "{text}");
        };
        for strong in [
            "221B Baker Street, London",
            "1600 Pennsylvania Ave NW",
            "Hauptstraße 12, 10115 Berlin",
            "12 rue de la Paix, 75002 Paris",
            "Calle de Alcalá 45",
            "Keizersgracht 123-2",
            "Storgatan 5",
            "Mannerheimintie 12, katu x Helsinginkatu 5",
            "ulica Długa 5",
            "東京都千代田区千代田1丁目1番地",
        ] {
            check(strong, Some(Grade::Strong));
        }
        check("12 Main St.", Some(Grade::Fair));
        check("Via Roma 5", Some(Grade::Fair));
        check("Fleet Street", Some(Grade::Weak));
        check("Jl. Siliwangi No. 539", Some(Grade::Strong));
        check("ул. Ленина, д. 5 кв. 7", Some(Grade::Strong));
        check("Sunnmøre 12", Some(Grade::Weak));
        check("Vukovarska 89, 33394 Osijek", Some(Grade::Fair));
        check("서울특별시 종로구 세종대로 209", Some(Grade::Strong));
        for other in [
            "Berlin",
            "12 monkeys",
            "https://street.example/12",
            "bob at 12 street <a@b.co>",
            "12345678 items",
            "2024-01-15 10:30",
        ] {
            check(other, None);
        }
        check(&"word street 12 ".repeat(12), None);
    }
}
