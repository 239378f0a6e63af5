//! Postal addresses: a house number beside a word for a street, in a dozen languages.
//!
//! Strong words are hardly used for anything else (`Avenue`, `Straße`, `rue`); fair ones have other
//! uses or are short (`St`, `Way`, `Via`). Germanic and Nordic languages glue the word to the name
//! of the street, hence endings. A street without a number is weak. Cities and postcodes are not
//! looked for.

use super::{Grade, Kind, Match};
use crate::column::Declared;
use crate::fold::Word;
use crate::fusion;
use crate::header::Terms;
use crate::value::{Class, Value};

pub(crate) static POSTAL_ADDRESS: Kind = Kind {
    name: "postal_address",
    types: &[Declared::Text],
    terms: &Terms {
        phrases: &[
            ("address", 0.8),
            ("addresses", 0.8),
            ("addr", 0.7),
            ("address line", 1.0),
            ("addressline", 1.0),
            ("street", 1.0),
            ("street address", 1.0),
            ("street name", 0.7),
            ("streetaddress", 1.0),
            ("postal address", 1.0),
            ("mailing address", 1.0),
            ("home address", 1.0),
            ("billing address", 1.0),
            ("shipping address", 1.0),
            ("residence", 0.6),
            ("adresse", 0.8),
            ("anschrift", 1.0),
            ("strasse", 1.0),
            ("hausnummer", 0.4),
            ("adresse postale", 1.0),
            ("rue", 0.9),
            ("direccion", 0.8),
            ("domicilio", 0.9),
            ("calle", 0.9),
            ("indirizzo", 0.8),
            ("endereco", 0.8),
            ("morada", 0.8),
            ("adres", 0.8),
            ("adress", 0.8),
            ("ulica", 0.9),
            ("osoite", 0.9),
            ("адрес", 0.8),
            ("住所", 1.0),
            ("地址", 1.0),
            ("email address", -1.0),
            ("mail address", -1.0),
            ("ip address", -1.0),
            ("ip addr", -1.0),
            ("adresse ip", -1.0),
            ("adresse mail", -1.0),
            ("adresse email", -1.0),
            ("mac address", -1.0),
            ("mac addr", -1.0),
            ("web address", -1.0),
            ("url address", -1.0),
            ("memory address", -1.0),
            ("wallet address", -1.0),
            ("contract address", -1.0),
            ("host address", -1.0),
            ("remote addr", -1.0),
        ],
        alone: &[],
    },
    inspect: postal_address,
    calibration: &fusion::POSTAL_ADDRESS,
    of_people: false,
};

/// Words for a street that mean little else, folded and sorted.
const STRONG_WORDS: [&str; 43] = [
    "alameda",
    "allee",
    "apartment",
    "avda",
    "ave",
    "avenida",
    "avenue",
    "bld",
    "blvd",
    "boulevard",
    "bulvar",
    "caddesi",
    "calle",
    "camino",
    "carrera",
    "chemin",
    "crescent",
    "highway",
    "hwy",
    "impasse",
    "lane",
    "mahallesi",
    "namesti",
    "parkway",
    "paseo",
    "piazza",
    "piazzale",
    "pkwy",
    "plaza",
    "quai",
    "rd",
    "road",
    "rua",
    "rue",
    "sokak",
    "strada",
    "strasse",
    "street",
    "travessa",
    "ulica",
    "ulice",
    "viale",
    "улица",
];

/// Words for a street that have other uses, folded and sorted.
const FAIR_WORDS: [&str; 39] = [
    "al",
    "apt",
    "cad",
    "circle",
    "close",
    "corso",
    "cours",
    "court",
    "cove",
    "ct",
    "dr",
    "drive",
    "estate",
    "estrada",
    "gardens",
    "grove",
    "hill",
    "largo",
    "ln",
    "loop",
    "mews",
    "os",
    "pl",
    "plac",
    "place",
    "praca",
    "route",
    "sok",
    "sq",
    "square",
    "st",
    "str",
    "terrace",
    "trail",
    "ul",
    "via",
    "way",
    "проспект",
    "ул",
];

/// Ends of street names written in one word, folded.
const ENDINGS: [&str; 24] = [
    "strasse", "allee", "gasse", "platz", "damm", "ufer", "chaussee", "straat", "laan", "plein",
    "gracht", "kade", "dijk", "singel", "gatan", "vagen", "gata", "veien", "vegen", "gade", "vej",
    "katu", "kuja", "utca",
];

/// Ends of street names that also end other words, folded.
const FAIR_ENDINGS: [&str; 5] = ["str", "weg", "ring", "steig", "tie"];

/// Most spaces of a street that comes without a number.
const MOST_SPACES: usize = 5;

/// Longest value that is still an address.
const LONGEST: usize = 200;

fn postal_address(value: &Value<'_>) -> Option<Match> {
    if value.letters() < 3 || value.text.len() > LONGEST || value.count(Class::At) > 0 {
        return None;
    }
    if value.count(Class::Space) == 0 && value.count(Class::High) == 0 {
        return None;
    }
    if value.digits() == 0 && value.count(Class::Space) > MOST_SPACES {
        return None;
    }
    if is_east_asian(value) {
        return Some(Match::whole(Grade::Strong));
    }
    let split = |c: char| c.is_whitespace() || matches!(c, ',' | ';');
    let mut number = false;
    let mut street = None;
    let words = value.text.split(split).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 24 {
            return None;
        }
        number |= is_house_number(word);
        street = street.max(street_word(word));
    }
    match (street?, number) {
        (grade, true) => Some(Match::whole(grade)),
        (_, false) => Some(Match::whole(Grade::Weak)),
    }
}

/// One to five digits with at most a letter or a second number behind them, as `12`, `12b`, `12-14`.
fn is_house_number(word: &str) -> bool {
    let word = word.trim_matches(['#', '.', '(', ')']);
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &word[digits..];
    let range = |c: char| matches!(c, '-' | '/');
    let second = rest.trim_start_matches(range).bytes();
    let single = rest.len() == 1 && rest.bytes().all(|byte| byte.is_ascii_alphabetic());
    let pair = rest.starts_with(range) && second.take(7).all(|byte| byte.is_ascii_alphanumeric());
    (1..=5).contains(&digits) && (rest.is_empty() || single || (pair && rest.len() <= 6))
}

fn street_word(word: &str) -> Option<Grade> {
    let word = word.trim_matches(['.', '(', ')']);
    if !word.chars().next()?.is_alphabetic() {
        return None;
    }
    let word = Word::fold(word)?;
    let word = word.as_bytes();
    let ends = |endings: &[&str]| {
        endings
            .iter()
            .any(|end| word.len() > end.len() + 1 && word.ends_with(end.as_bytes()))
    };
    let listed = |words: &[&str]| {
        words
            .binary_search_by(|known| known.as_bytes().cmp(word))
            .is_ok()
    };
    if listed(&STRONG_WORDS) || ends(&ENDINGS) {
        Some(Grade::Strong)
    } else if listed(&FAIR_WORDS) || ends(&FAIR_ENDINGS) {
        Some(Grade::Fair)
    } else {
        None
    }
}

/// Block and number of a Japanese, Chinese or Korean address.
fn is_east_asian(value: &Value<'_>) -> bool {
    let text = value.text;
    let marks = ["丁目", "番地", "路", "街", "号", "號", "로", "길"];
    value.count(Class::High) >= 9
        && text.chars().any(char::is_numeric)
        && marks.iter().filter(|mark| text.contains(**mark)).count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sorted() {
        assert!(STRONG_WORDS.is_sorted());
        assert!(FAIR_WORDS.is_sorted());
    }

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
