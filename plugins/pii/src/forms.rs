//! Numbers with a fixed form: what states, banks, makers and post offices give out.
//!
//! A form is a row of a table: the kind and country, the masks under which the number is written
//! (`9` a digit, `A` a letter, `X` either, anything else itself), a rule over its letters and digits,
//! and the share of random strings of the mask that obey the rule. That share is what makes a rule
//! worth something: a column is of the kind when its values pass more often than chance, so ten-digit
//! phone numbers, of which one in eleven passes as a health number, are none.
//!
//! Values of a column mostly share one mask, so the rows for the mask seen last are kept at hand.

mod americas;
mod asia;
mod devices;
mod europe;
mod nordic;
mod post;

use crate::check::Code;
use crate::column::Declared;
use crate::eight;
use crate::kinds::{Country, Grade, Kind, Match};
use crate::tally::Tallies;
use crate::value::{Class, MASKED, Mask, Value};

/// One way in which a number is written, with its rule.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) kind: Kind,
    /// ISO 3166-1 alpha-2, or empty when countries share the form.
    country: &'static str,
    masks: &'static [&'static str],
    /// Share of random strings of the masks that pass the rule.
    pub(crate) chance: f64,
    rule: fn(&Code) -> bool,
    /// Where the date begins, for a rule that asks for a date and nothing else.
    pub(crate) dated: Option<usize>,
    /// What headers call it, beside what they call the kind.
    pub(crate) terms: &'static [(&'static str, f64)],
}

impl Form {
    /// The country, where the form belongs to one.
    pub(crate) fn country(&self) -> Option<Country> {
        Country::new(self.country)
    }

    /// The same with a rule that asks only for the date that begins at a place. Numbers given out one after
    /// another, and clocks, keep their first digits, and pass together or fail together.
    const fn dated(mut self, at: usize) -> Self {
        self.dated = Some(at);
        self
    }

    /// The first two digits of the date of a dated form: values that share them are one witness.
    fn witness(&self, code: &Code) -> u8 {
        let leading = self.dated.and_then(|at| code.number(at, at + 2));
        leading
            .and_then(|pair| u8::try_from(pair).ok())
            .unwrap_or(0)
    }
}

const fn form(
    kind: Kind,
    country: &'static str,
    masks: &'static [&'static str],
    (rule, chance): (fn(&Code) -> bool, f64),
    terms: &'static [(&'static str, f64)],
) -> Form {
    Form {
        kind,
        country,
        masks,
        chance,
        rule,
        dated: None,
        terms,
    }
}

/// All rows; their order is that of the entities behind the kinds.
const TABLES: [&[Form]; 6] = [
    europe::FORMS,
    nordic::FORMS,
    americas::FORMS,
    asia::FORMS,
    devices::FORMS,
    post::FORMS,
];

/// Every form, in order.
pub(crate) fn all() -> impl Iterator<Item = &'static Form> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// A form under one of its masks.
#[derive(Debug, Clone, Copy)]
struct Row {
    entity: usize,
    form: &'static Form,
    mask: &'static str,
    /// The first eight bytes of the mask, and which bits of them have to be those of a value's mask.
    beginning: u64,
    cared_for: u64,
    grade: Grade,
    /// Zeros that an integer column has lost in front.
    padding: usize,
}

impl Row {
    fn new(entity: usize, form: &'static Form, mask: &'static str) -> Self {
        let beginning = eight::load(mask.as_bytes(), 0);
        let fixed = mask.as_bytes().iter().take(8).enumerate();
        let fixed = fixed.filter(|(_, byte)| **byte != b'X');
        Self {
            entity,
            form,
            mask,
            beginning,
            cared_for: fixed.fold(0, |bits, (at, _)| bits | 0xff << (8 * at)),
            grade: grade_of(mask),
            padding: 0,
        }
    }

    /// Whether a value's mask of the same length is one of the row's.
    fn fits(&self, mask: &Mask) -> bool {
        if (self.beginning ^ mask[0]) & self.cared_for != 0 {
            return false;
        }
        let mut pairs = self
            .mask
            .bytes()
            .zip(mask.iter().flat_map(|word| word.to_le_bytes()));
        pairs.all(|(expected, found)| {
            expected == found || (expected == b'X' && matches!(found, b'9' | b'A'))
        })
    }
}

/// The forms by the length of their masks.
pub(crate) struct Index {
    by_length: Vec<Vec<Row>>,
}

impl Index {
    /// Builds the index; forms are entities from `first` on.
    pub(crate) fn new(first: usize) -> Self {
        let mut by_length = vec![Vec::new(); MASKED + 1];
        for (at, form) in all().enumerate() {
            for &mask in form.masks {
                by_length[mask.len()].push(Row::new(first + at, form, mask));
            }
        }
        Self { by_length }
    }

    /// The rows for a value; those with its mask, and for a bare number in a column of integers those of
    /// bare digits that are one longer.
    fn collect(&self, value: &Value<'_>, declared: Declared, rows: &mut Vec<Row>) {
        rows.clear();
        let length = value.text.len();
        let of_length = |length: usize| self.by_length.get(length).into_iter().flatten();
        rows.extend(of_length(length).filter(|row| row.fits(value.mask())));
        if declared == Declared::Integer && value.digits() == length {
            let longer = of_length(length + 1).filter(|row| row.mask.bytes().all(|b| b == b'9'));
            rows.extend(longer.map(|row| Row { padding: 1, ..*row }));
        }
    }
}

/// How telling a mask is: bare digits may be anything, letters and separators in their places hardly.
fn grade_of(mask: &str) -> Grade {
    let letters = mask.bytes().filter(u8::is_ascii_uppercase).count();
    let marks = mask.bytes().filter(|byte| !byte.is_ascii_alphanumeric());
    let marks = marks
        .map(|byte| if byte == b' ' { 1 } else { 2 })
        .sum::<usize>();
    match letters.min(3) + marks {
        0 => Grade::Weak,
        1..=3 => Grade::Fair,
        _ => Grade::Strong,
    }
}

/// Looks the values of one column up, remembering the rows of the mask seen last.
pub(crate) struct Reader<'a> {
    index: &'a Index,
    declared: Declared,
    /// Mask and length that the rows are for.
    seen: Option<(Mask, usize)>,
    rows: Vec<Row>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(index: &'a Index, declared: Declared) -> Self {
        Self {
            index,
            declared,
            seen: None,
            rows: Vec::new(),
        }
    }

    /// Counts a value, or a grouped number inside of it, for every form that it has.
    pub(crate) fn read(&mut self, value: &Value<'_>, tallies: &mut Tallies) {
        if (3..=MASKED).contains(&value.text.len()) && value.count(Class::High) == 0 {
            self.select(value);
            if !self.rows.is_empty() {
                self.judge(value.text, tallies, Match::whole);
                return;
            }
        }
        let prose = value.count(Class::Space) > 0 && value.letters() > 4 && value.digits() > 7;
        if prose {
            self.read_pieces(value, tallies);
        }
    }

    /// Inside text only strong masks count: a bare number there may be anything.
    fn read_pieces(&mut self, value: &Value<'_>, tallies: &mut Tallies) {
        let numbers = value.pieces(9).filter(|piece| {
            piece.len() <= 20
                && piece.bytes().filter(u8::is_ascii_digit).count() >= 7
                && piece.bytes().any(|byte| matches!(byte, b'-' | b'.' | b'/'))
        });
        for piece in numbers {
            let piece = piece.trim_end_matches(['.', ':', '!', '?']);
            let Some(inner) = Value::new(piece) else {
                continue;
            };
            self.select(&inner);
            self.rows.retain(|row| row.grade == Grade::Strong);
            self.seen = None;
            self.judge(inner.text, tallies, Match::within);
        }
    }

    fn select(&mut self, value: &Value<'_>) {
        let (mask, length) = (value.mask(), value.text.len());
        let seen = self.seen.as_ref().is_some_and(|(seen, of)| {
            let differs = seen.iter().zip(mask).fold(0, |bits, (a, b)| bits | (a ^ b));
            differs == 0 && *of == length
        });
        if !seen {
            self.seen = Some((*mask, length));
            self.index.collect(value, self.declared, &mut self.rows);
        }
    }

    fn judge(&self, text: &str, tallies: &mut Tallies, extent: fn(Grade) -> Match) {
        let Some(code) = Code::of(text) else {
            return;
        };
        let pads = self.rows.iter().any(|row| row.padding > 0);
        let padded = pads.then(|| Code::padded(text)).flatten();
        for row in &self.rows {
            let code = match (row.padding, &padded) {
                (0, _) => &code,
                (_, Some(padded)) => padded,
                (_, None) => continue,
            };
            let passed = (row.form.rule)(code);
            let found = extent(row.grade).checked(passed);
            tallies.add(row.entity, found.in_bucket(row.form.witness(code)));
        }
    }
}

/// A rule that asks nothing.
const ANY: (fn(&Code) -> bool, f64) = (|_| true, 0.999);

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds and countries whose rule a number passes under one of their masks.
    pub(super) fn passes(text: &str) -> Vec<String> {
        let index = Index::new(0);
        let mut reader = Reader::new(&index, Declared::Text);
        let mut tallies = Tallies::new(all().count());
        let value = Value::new(text).expect("has text");
        reader.read(&value, &mut tallies);
        let rows = all().enumerate();
        let passed = rows.filter(|(at, _)| tallies.of(*at).passed > 0);
        passed
            .map(|(_, form)| format!("{} {}", form.kind.facts().name, form.country))
            .collect()
    }

    /// A number passes as `expected`, and no longer when its last check character is another.
    pub(super) fn check(number: &str, expected: &str) {
        let found = passes(number);
        assert!(
            found.iter().any(|found| found == expected),
            "{number} is {expected}, not {found:?}"
        );
    }

    pub(super) fn refuse(number: &str, kind: &str) {
        let found = passes(number);
        assert!(
            !found.iter().any(|found| found == kind),
            "{number} is no {kind}"
        );
    }

    #[test]
    fn masks_are_well_formed_and_chances_are_shares() {
        for form in all() {
            assert!(form.chance > 0.0 && form.chance < 1.0, "{form:?}");
            assert!(
                form.country.is_empty() || form.country().is_some(),
                "{form:?}"
            );
            for mask in form.masks {
                assert!((3..=MASKED).contains(&mask.len()), "{mask}");
                let letters = mask.bytes().filter(u8::is_ascii_alphabetic);
                assert!(letters.clone().all(|byte| b"AX".contains(&byte)), "{mask}");
                let digits = mask.bytes().filter(u8::is_ascii_digit);
                assert!(digits.clone().all(|byte| byte == b'9'), "{mask}");
            }
        }
    }

    #[test]
    fn chances_are_those_of_random_strings() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |range: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) % range
        };
        for form in all().filter(|form| form.chance > 0.02 && form.chance < 0.99) {
            let mask = form.masks[0];
            let mut random = || -> String {
                let place = |byte| match byte {
                    b'9' => char::from(b'0' + next(10) as u8),
                    b'A' => char::from(b'A' + next(26) as u8),
                    b'X' => char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[next(36) as usize]),
                    other => char::from(other),
                };
                mask.bytes().map(place).collect()
            };
            let passes =
                (0..2_000).filter(|_| Code::of(&random()).is_some_and(|code| (form.rule)(&code)));
            let share = passes.count() as f64 / 2_000.0;
            let near = share > form.chance * 0.5 - 0.01 && share < form.chance * 1.6 + 0.01;
            assert!(
                near,
                "{:?} {}: {share} for {}",
                form.kind, form.country, form.chance
            );
        }
    }

    #[test]
    fn rules_stand_the_extremes() {
        for form in all() {
            for mask in form.masks {
                for (digit, letter) in [('0', 'A'), ('9', 'Z'), ('1', 'X'), ('0', 'Z')] {
                    let fill = |c| match c {
                        '9' => digit,
                        'A' => letter,
                        'X' => [digit, letter][mask.len() % 2],
                        other => other,
                    };
                    let text: String = mask.chars().map(fill).collect();
                    passes(&text);
                }
            }
        }
    }

    #[test]
    fn integers_may_have_lost_a_zero() {
        let index = Index::new(0);
        let mut tallies = Tallies::new(all().count());
        let mut reader = Reader::new(&index, Declared::Integer);
        reader.read(&Value::new("21000021").expect("has text"), &mut tallies);
        let routing = all().position(|form| form.kind == Kind::BankRouting);
        assert_eq!(tallies.of(routing.expect("has a row")).passed, 1);
    }

    #[test]
    fn text_holds_grouped_numbers() {
        check("please check 536-22-8726 again", "us_ssn US");
        refuse("please check 536228726 again", "us_ssn US");
    }
}
