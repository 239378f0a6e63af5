//! Word lists of names, and the headers that speak of names.
//!
//! The files hold one folded word a line, sorted by bytes, and are searched in place by bisection:
//! an instance serves one call, so nothing is built at start. The lists were written for this
//! plugin from what is commonly known of names in some twenty languages; they carry no frequencies.

/// Given names.
pub(crate) const GIVEN: &str = include_str!("../../../data/given_names.txt");
/// Family names.
pub(crate) const SURNAMES: &str = include_str!("../../../data/surnames.txt");
/// Names that are also places, colours, months, trades or other words.
pub(crate) const DOUBTFUL: &str = include_str!("../../../data/doubtful.txt");
/// Words of organisations and of prose, which no name of a person has.
pub(crate) const ORGANISATION: &str = include_str!("../../../data/organisation.txt");
/// Words between the parts of a name, such as `van` and `de`.
pub(crate) const PARTICLES: &str = include_str!("../../../data/particles.txt");
/// Words before or behind a name, such as `dr` and `jr`.
pub(crate) const TITLES: &str = include_str!("../../../data/titles.txt");

/// Most common family names of one character, Chinese and Korean.
pub(crate) const EAST_ASIAN_SURNAMES: &str = "王李张張刘劉陈陳杨楊黄黃赵趙吴吳周徐孙孫马馬朱胡郭何高林罗羅郑鄭梁谢謝宋唐许許韩韓冯馮邓鄧曹彭曾肖田董袁潘于蒋蔣蔡余杜叶葉程苏蘇魏吕呂丁任沈姚卢盧姜崔钟鍾谭譚陆陸김이박최정강조윤장임한오서신권황안송류홍";

/// What headers say of names of people.
pub(crate) const PHRASES: &[(&str, f64)] = &[
    ("first name", 1.0),
    ("firstname", 1.0),
    ("fname", 1.0),
    ("given name", 1.0),
    ("givenname", 1.0),
    ("forename", 1.0),
    ("middle name", 1.0),
    ("middlename", 1.0),
    ("last name", 1.0),
    ("lastname", 1.0),
    ("lname", 1.0),
    ("family name", 1.0),
    ("surname", 1.0),
    ("maiden name", 1.0),
    ("full name", 1.0),
    ("fullname", 1.0),
    ("person name", 1.0),
    ("person", 0.6),
    ("customer name", 0.9),
    ("client name", 0.6),
    ("contact name", 0.9),
    ("contact person", 0.9),
    ("employee name", 1.0),
    ("patient name", 1.0),
    ("student name", 1.0),
    ("teacher name", 1.0),
    ("member name", 0.9),
    ("passenger name", 1.0),
    ("guest name", 1.0),
    ("author name", 1.0),
    ("owner name", 0.8),
    ("manager name", 1.0),
    ("doctor name", 1.0),
    ("player name", 0.8),
    ("director name", 0.9),
    ("actor name", 0.9),
    ("sender name", 0.8),
    ("recipient name", 0.8),
    ("holder name", 0.9),
    ("account holder", 0.8),
    ("card holder", 0.9),
    ("cardholder", 0.9),
    ("cardholder name", 1.0),
    ("name on card", 1.0),
    ("emergency contact", 0.8),
    ("legal name", 0.6),
    ("display name", 0.4),
    ("author", 0.7),
    ("authors", 0.7),
    ("maintainer", 0.8),
    ("maintainers", 0.8),
    ("uploader", 0.7),
    ("uploaders", 0.7),
    ("contributor", 0.6),
    ("contact", 0.5),
    ("contacts", 0.5),
    ("customer", 0.5),
    ("employee", 0.6),
    ("patient", 0.6),
    ("passenger", 0.6),
    ("student", 0.5),
    ("teacher", 0.5),
    ("manager", 0.5),
    ("supervisor", 0.5),
    ("owner", 0.4),
    ("director", 0.5),
    ("actor", 0.5),
    ("player", 0.4),
    ("recipient", 0.5),
    ("sender", 0.5),
    ("assignee", 0.5),
    ("reviewer", 0.5),
    ("reporter", 0.4),
    ("created by", 0.4),
    ("updated by", 0.4),
    ("approved by", 0.5),
    ("signed by", 0.5),
    ("assigned to", 0.4),
    ("vorname", 1.0),
    ("nachname", 1.0),
    ("familienname", 1.0),
    ("ansprechpartner", 0.9),
    ("kunde", 0.4),
    ("mitarbeiter", 0.6),
    ("prenom", 1.0),
    ("nom de famille", 1.0),
    ("nom complet", 1.0),
    ("nom client", 0.8),
    ("nombre completo", 1.0),
    ("nombre cliente", 0.8),
    ("apellido", 1.0),
    ("apellidos", 1.0),
    ("primer apellido", 1.0),
    ("cognome", 1.0),
    ("nome completo", 1.0),
    ("sobrenome", 1.0),
    ("apelido", 0.8),
    ("voornaam", 1.0),
    ("achternaam", 1.0),
    ("imie", 1.0),
    ("nazwisko", 1.0),
    ("fornamn", 1.0),
    ("efternamn", 1.0),
    ("fornavn", 1.0),
    ("etternavn", 1.0),
    ("etunimi", 1.0),
    ("sukunimi", 1.0),
    ("имя", 0.7),
    ("фамилия", 1.0),
    ("фио", 1.0),
    ("姓名", 1.0),
    ("氏名", 1.0),
    ("user name", -0.4),
    ("username", -0.4),
    ("city", -1.0),
    ("country", -1.0),
    ("company", -1.0),
    ("organization", -1.0),
    ("organisation", -1.0),
    ("product", -1.0),
    ("brand", -1.0),
    ("title", -0.6),
    ("category", -1.0),
    ("color", -1.0),
    ("colour", -1.0),
    ("department", -1.0),
    ("team", -1.0),
    ("state", -0.8),
    ("region", -1.0),
    ("street", -1.0),
    ("month", -1.0),
];

/// Whether a word stands on a line of its own in a sorted list.
pub(crate) fn contains(list: &str, word: &[u8]) -> bool {
    let list = list.as_bytes();
    let is_end = |byte: &u8| *byte == b'\n';
    let (mut low, mut high) = (0, list.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let start = list[low..middle]
            .iter()
            .rposition(is_end)
            .map_or(low, |end| low + end + 1);
        let end = list[middle..high]
            .iter()
            .position(is_end)
            .map_or(high, |end| middle + end);
        match list[start..end].cmp(word) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::Word;

    const LISTS: [&str; 6] = [GIVEN, SURNAMES, DOUBTFUL, ORGANISATION, PARTICLES, TITLES];

    #[test]
    fn lists_are_sorted_folded_and_without_repeats() {
        for list in LISTS {
            let words: Vec<&str> = list.lines().collect();
            assert!(words.is_sorted_by(|a, b| a < b));
            for word in words {
                let folded = Word::fold(word).expect("fits");
                assert_eq!(folded.as_bytes(), word.as_bytes(), "{word}");
            }
        }
    }

    #[test]
    fn every_word_is_found_and_no_other() {
        for list in LISTS {
            assert!(list.lines().all(|word| contains(list, word.as_bytes())));
            for other in ["", "a a", "zzzz", "smithx", "smit\nh", "\u{10ffff}"] {
                assert!(!contains(list, other.as_bytes()), "{other}");
            }
        }
        assert!(!contains("", b"x"));
    }
}
