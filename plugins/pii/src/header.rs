//! What the name of a column says about what it holds.
//!
//! A name is cut into tokens (`billingEmail-Address2` is `billing email address 2`), folded, and
//! compared by whole tokens, so that `scenario` never contains `cena` and `customer` never `us`. A token
//! that nobody knows is cut further when known words cover it without a rest (`emailaddress`,
//! `kundentelefon`), which `creatinine` never is.
//!
//! The head of an English compound comes last: `email_verified` is a flag, `card_type` a type. So the
//! rightmost phrase that anything is called by is taken, the longest if several end there, and it speaks for
//! its kinds and against all others. Words for harmless things take part: what ends in one is harmless.
//! Behind the phrase, numbering and qualifiers leave it the head; anything unknown halves it. A word in
//! front that makes a flag or a count (`is`, `num`) makes it harmless.

mod terms;
mod words;

use crate::fold::fold_char;
use crate::forms;
use crate::kinds::KINDS;
use crate::lexicon::Known;
use terms::{ALONE, TERMS};
use words::{HARMLESS, NUMBERED, OWNERS, QUALIFIERS, RANDOM, TURNING_HEADS};

/// What remains of a phrase that is followed by a word nobody knows.
const UNKNOWN_TAIL: f64 = 0.5;

/// What a bare `name` says to a name of people when it stands beside a word for people.
const OWNED: f64 = 0.9;

/// What makes a count of the phrase that it stands in front of.
const COUNTED: [&str; 4] = ["number of", "num of", "no of", "nr of"];

/// Longest phrase, in bytes.
const LONGEST_PHRASE: usize = 64;

/// Most tokens of a phrase.
const MOST_TOKENS: usize = 5;

/// Longest token that is cut into known words, in bytes, and the shortest word it is cut into.
const GLUED: usize = 40;
const SHORTEST_PART: usize = 3;

/// Every phrase by its length in bytes, with what it names.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    by_length: Vec<Vec<(&'static str, Named, f64)>>,
}

impl Vocabulary {
    pub(crate) fn new() -> Self {
        let mut by_length = vec![Vec::new(); LONGEST_PHRASE + 1];
        let mut add = |phrase: &'static str, named, strength| {
            if let Some(list) = by_length.get_mut(phrase.len()) {
                list.push((phrase, named, strength));
            }
        };
        for (kind, phrases) in TERMS {
            for (phrase, strength) in *phrases {
                add(phrase, Named::Entity(*kind as usize), *strength);
            }
        }
        for (at, form) in forms::all().enumerate() {
            for (phrase, strength) in form.terms {
                add(phrase, Named::Entity(KINDS + at), *strength);
            }
        }
        let things = [
            (HARMLESS, Thing::Plain),
            (NUMBERED, Thing::Numbered),
            (RANDOM, Thing::Random),
        ];
        for (phrases, thing) in things {
            for phrase in phrases {
                add(phrase, Named::Thing(thing), 1.0);
            }
        }
        Self { by_length }
    }

    /// Everything that is called by a phrase.
    fn named_by(&self, phrase: &str) -> Vec<(Named, f64)> {
        let alike = self.by_length.get(phrase.len()).into_iter().flatten();
        let alike = alike.filter(|(known, ..)| *known == phrase);
        alike
            .map(|&(_, named, strength)| (named, strength))
            .collect()
    }
}

/// Cuts a token into known words that cover it; `None` when they do not.
fn cut(token: &str) -> Option<Vec<&str>> {
    let known = |word: &str| Known::of(word).is(Known::OF_HEADERS);
    if token.len() < 2 * SHORTEST_PART || token.len() > GLUED || known(token) {
        return None;
    }
    let mut starts: Vec<Option<usize>> = vec![None; token.len() + 1];
    starts[0] = Some(0);
    for end in SHORTEST_PART..=token.len() {
        starts[end] = (0..=end - SHORTEST_PART).find(|&start| {
            let part = token.get(start..end).filter(|_| starts[start].is_some());
            part.is_some_and(known)
        });
    }
    let mut parts = Vec::new();
    let mut end = token.len();
    while end > 0 {
        let start = starts[end]?;
        parts.push(&token[start..end]);
        end = start;
    }
    parts.reverse();
    Some(parts)
}

/// The folded tokens of a column's name, with single spaces between them.
#[derive(Debug)]
pub(crate) struct Header {
    text: String,
    /// Where each token begins and ends.
    tokens: Vec<(usize, usize)>,
}

impl Header {
    /// Cuts a name at everything that is no letter or digit, between lower and upper case, before
    /// the last capital of a run (`IPAddress`), and between letters and digits.
    pub(crate) fn parse(name: &str) -> Self {
        let characters: Vec<char> = name.chars().take(256).collect();
        let mut words = vec![String::new()];
        for (index, &c) in characters.iter().enumerate() {
            let before = index.checked_sub(1).map(|before| characters[before]);
            let after = characters.get(index + 1).copied();
            if !is_part(c) || before.is_some_and(|before| starts_token(before, c, after)) {
                words.push(String::new());
            }
            if let (true, Some(word)) = (is_part(c), words.last_mut()) {
                fold_char(c, |folded| word.push(folded));
            }
        }
        let mut header = Self {
            text: String::new(),
            tokens: Vec::new(),
        };
        for word in words.iter().filter(|word| !word.is_empty()) {
            match cut(word) {
                Some(parts) => parts.into_iter().for_each(|part| header.push(part)),
                None => header.push(word),
            }
        }
        header
    }

    fn push(&mut self, token: &str) {
        if !self.tokens.is_empty() {
            self.text.push(' ');
        }
        let start = self.text.len();
        self.text.push_str(token);
        self.tokens.push((start, self.text.len()));
    }

    fn token(&self, at: usize) -> &str {
        self.span(at, at + 1)
    }

    /// The tokens from `start` to before `end`.
    fn span(&self, start: usize, end: usize) -> &str {
        match (
            self.tokens.get(start),
            end.checked_sub(1).and_then(|end| self.tokens.get(end)),
        ) {
            (Some((start, _)), Some((_, end))) => &self.text[*start..*end],
            _ => "",
        }
    }

    /// What the name says to every entity.
    pub(crate) fn naming(&self, vocabulary: &Vocabulary) -> Naming {
        for end in (1..=self.tokens.len()).rev() {
            for start in end.saturating_sub(MOST_TOKENS)..end {
                let named = vocabulary.named_by(self.span(start, end));
                if !named.is_empty() {
                    return self.in_context(start, end, named);
                }
            }
            if ALONE.contains(&self.token(end - 1)) {
                return self.bare_name(end - 1);
            }
        }
        Naming::default()
    }

    /// The word of a phrase, seen between what stands before and behind it.
    fn in_context(&self, start: usize, end: usize, mut named: Vec<(Named, f64)>) -> Naming {
        let mut before = (0..start).map(|at| self.token(at));
        let counted = COUNTED
            .iter()
            .any(|count| self.span(0, start).ends_with(count));
        if counted || before.any(|token| TURNING_HEADS.contains(&token)) {
            return Naming::harmless();
        }
        let mut behind = (end..self.tokens.len()).map(|at| self.token(at));
        if !behind.all(is_qualifier) {
            for (_, strength) in &mut named {
                *strength *= UNKNOWN_TAIL;
            }
        }
        Naming { named }
    }

    /// A bare `name` is one of people when it stands alone or beside a word for people, and otherwise that
    /// of a thing.
    fn bare_name(&self, at: usize) -> Naming {
        let mut beside = (0..self.tokens.len()).filter(|&other| other != at);
        let person = Named::Entity(crate::kinds::Kind::PersonName as usize);
        if beside
            .clone()
            .any(|other| OWNERS.contains(&self.token(other)))
        {
            return Naming {
                named: vec![(person, OWNED)],
            };
        }
        if beside.all(|other| is_qualifier(self.token(other))) {
            return Naming {
                named: vec![(person, 0.35)],
            };
        }
        Naming::harmless()
    }
}

/// What a phrase names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// An entity by its number: a kind, or a form behind the kinds.
    Entity(usize),
    Thing(Thing),
}

/// Something that is no personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thing {
    Plain,
    /// Its numbers have a form of their own.
    Numbered,
    /// Its values are random strings.
    Random,
}

/// What a header says.
#[derive(Debug, Default)]
pub(crate) struct Naming {
    named: Vec<(Named, f64)>,
}

impl Naming {
    fn harmless() -> Self {
        Self {
            named: vec![(Named::Thing(Thing::Plain), 1.0)],
        }
    }

    /// How strongly it names an entity, in 0..=1. What names a kind names all of its forms; what names a
    /// form names its kind as well, and half as much the other forms.
    pub(crate) fn of(&self, entity: usize) -> f64 {
        let kind_of = |entity: usize| match entity.checked_sub(KINDS) {
            None => Some(entity),
            Some(at) => forms::all().nth(at).map(|form| form.kind as usize),
        };
        let strengths = self
            .named
            .iter()
            .filter_map(|(named, strength)| match *named {
                Named::Thing(_) => None,
                Named::Entity(named) if named == entity => Some(*strength),
                Named::Entity(named) if kind_of(named) != kind_of(entity) => None,
                Named::Entity(named) if named < KINDS || entity < KINDS => Some(*strength),
                Named::Entity(_) => Some(*strength * 0.5),
            });
        strengths.fold(0.0, f64::max)
    }

    /// How strongly it names something else than what it names with `strength`.
    pub(crate) fn otherwise(&self, strength: f64) -> f64 {
        if strength > 0.0 {
            return 0.0;
        }
        let others = self
            .named
            .iter()
            .filter(|(named, _)| matches!(named, Named::Entity(_)));
        others.map(|(_, strength)| *strength).fold(0.0, f64::max)
    }

    /// The thing that it names, when that is no personal data and it names nothing else.
    pub(crate) fn thing(&self) -> Option<Thing> {
        let mut named = self.named.iter().map(|(named, _)| named);
        let only_things = named.all(|named| matches!(named, Named::Thing(_)));
        match self.named.first() {
            Some((Named::Thing(thing), _)) if only_things => Some(*thing),
            _ => None,
        }
    }
}

/// A letter or digit, or a mark that belongs to one (of Hebrew, Arabic, and the scripts of India and Thailand).
fn is_part(c: char) -> bool {
    let mark = matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{65f}' | '\u{900}'..='\u{e4e}');
    c.is_alphanumeric() || mark
}

fn starts_token(before: char, c: char, after: Option<char>) -> bool {
    let climbs = before.is_lowercase() && c.is_uppercase();
    let last_capital =
        before.is_uppercase() && c.is_uppercase() && after.is_some_and(char::is_lowercase);
    let changes = before.is_alphanumeric() && before.is_numeric() != c.is_numeric();
    climbs || last_capital || changes
}

fn is_qualifier(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_digit()) || QUALIFIERS.contains(&token)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::kinds::Kind;

    fn parse(name: &str) -> Header {
        Header::parse(name)
    }

    #[test]
    fn the_lexicon_has_the_words_of_all_phrases() {
        let of_kinds = TERMS.iter().flat_map(|(_, phrases)| phrases.iter());
        let of_forms = forms::all().flat_map(|form| form.terms.iter());
        let phrases = of_kinds.chain(of_forms).map(|(phrase, _)| *phrase);
        let things = [HARMLESS, NUMBERED, RANDOM];
        let lists = things
            .into_iter()
            .chain([OWNERS, QUALIFIERS, TURNING_HEADS, ALONE]);
        let phrases = phrases.chain(lists.flatten().copied());
        let words: BTreeSet<&str> = phrases.flat_map(|phrase| phrase.split(' ')).collect();
        let listed = include_str!("../data/header_words.txt").lines();
        assert!(
            words.into_iter().eq(listed),
            "data/header_words.txt lists other words"
        );
    }

    fn naming(name: &str) -> Naming {
        parse(name).naming(&Vocabulary::new())
    }

    #[test]
    fn no_phrase_is_too_long() {
        let of_kinds = TERMS.iter().flat_map(|(_, phrases)| phrases.iter());
        let of_forms = forms::all().flat_map(|form| form.terms.iter());
        for (phrase, strength) in of_kinds.chain(of_forms) {
            assert!(phrase.len() <= LONGEST_PHRASE, "{phrase}");
            assert!(*strength > 0.0 && *strength <= 1.0, "{phrase}");
            assert_eq!(parse(phrase).text, *phrase, "is folded");
        }
    }

    #[test]
    fn names_fall_into_tokens() {
        let check = |name: &str, expected: &str| {
            assert_eq!(parse(name).text, expected, "{name}");
        };
        check("billingEmail-Address2", "billing email address 2");
        check("IPAddress", "ip address");
        check("customerID", "customer id");
        check("Téléphone portable", "telephone portable");
        check("__c7__", "c 7");
        check("PHONE", "phone");
        check("emailaddress", "email address");
        check("homephonenumber", "home phone number");
        check("emailverified", "email verified");
        check("creatinine", "creatinine");
        check("scenario", "scenario");
        check("出生日期", "出生日期");
        check("", "");
        check("!?", "");
    }

    #[test]
    fn the_head_decides() {
        let check = |name: &str, kind: Kind, expected: f64| {
            let naming = naming(name);
            let found = naming.of(kind as usize);
            assert!(
                (found - expected).abs() < 1e-12,
                "{name}: {found} for {expected}"
            );
        };
        for name in [
            "email",
            "customer_email",
            "email_2",
            "primaryEmailValue",
            "emailaddress",
            "e-mail",
            "correo_electronico",
        ] {
            check(name, Kind::Email, 1.0);
        }
        check("last_login_ip", Kind::IpAddress, 1.0);
        check("last_name", Kind::PersonName, 1.0);
        check("email_foo", Kind::Email, 0.5);
        check("ip_address", Kind::PostalAddress, 0.0);
        check("ip_address", Kind::IpAddress, 1.0);
        check("street_address", Kind::PostalAddress, 1.0);
        check("customer_name", Kind::PersonName, 0.9);
        check("name_1", Kind::PersonName, 0.35);
        check("product_name", Kind::PersonName, 0.0);
        check("birth_date", Kind::DateOfBirth, 1.0);
        check("national_id", Kind::NationalId, 0.8);
        check("cpf", Kind::NationalId, 1.0);
        check("credit_card_number", Kind::CreditCard, 1.0);
        check("postal_code", Kind::PostalCode, 1.0);
        check("numero_de_telefono", Kind::Phone, 1.0);
        check("Telefonnummer", Kind::Phone, 1.0);
        check("c7", Kind::Email, 0.0);
        check("", Kind::Email, 0.0);
    }

    #[test]
    fn a_property_of_a_thing_is_not_the_thing() {
        for name in [
            "email_verified",
            "email_count",
            "is_email",
            "has_phone",
            "email_hash",
            "phone_model",
            "card_type",
            "name_length",
            "created_by_ip_count",
            "product_name",
            "iban_country",
            "address_type",
            "birth_year",
            "order_id",
            "number_of_emails",
            "emailverified",
            "preferred_contact_method",
            "password_changed_at",
        ] {
            assert!(naming(name).thing().is_some(), "{name}: {:?}", naming(name));
        }
        for name in ["c7", "tin_can_x", "creatinine", "foo"] {
            assert!(naming(name).thing().is_none(), "{name}");
        }
    }

    #[test]
    fn things_with_numbers_and_random_ones() {
        let check = |name: &str, expected: Option<Thing>| {
            assert_eq!(naming(name).thing(), expected, "{name}");
        };
        check("isbn13", Some(Thing::Numbered));
        check("parcel_no", Some(Thing::Numbered));
        check("trackId", Some(Thing::Random));
        check("file_sha256", Some(Thing::Random));
        check("price", Some(Thing::Plain));
        check("national_id", None);
        check("c7", None);
    }

    #[test]
    fn what_names_one_speaks_against_others() {
        let said = naming("email");
        assert!((said.otherwise(0.0) - 1.0).abs() < 1e-12);
        assert!(said.otherwise(1.0).abs() < 1e-12);
        assert!(said.thing().is_none());
        let said = naming("pesel");
        let others: Vec<f64> = forms::all()
            .enumerate()
            .filter(|(_, form)| form.kind == Kind::NationalId)
            .map(|(at, _)| said.of(KINDS + at))
            .collect();
        assert_eq!(others.iter().filter(|&&strength| strength > 0.9).count(), 1);
        assert!(others.iter().all(|&strength| strength >= 0.5));
    }

    #[test]
    fn long_names_are_cut_quickly() {
        let long = "email".repeat(100);
        assert_eq!(parse(&long).tokens.len(), 1, "beyond what is cut");
        parse(&"é".repeat(300));
    }
}
