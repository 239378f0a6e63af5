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
use crate::kinds::{Country, Grade, Kind, Match};
use crate::tally::Tallies;
use crate::value::{Class, MASKED, Value};

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
    grade: Grade,
    /// Zeros that an integer column has lost in front.
    padding: usize,
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
                by_length[mask.len()].push(Row {
                    entity: first + at,
                    form,
                    mask,
                    grade: grade_of(mask),
                    padding: 0,
                });
            }
        }
        Self { by_length }
    }

    fn collect(&self, mask: &[u8], declared: Declared, rows: &mut Vec<Row>) {
        rows.clear();
        let of_length = |length: usize| self.by_length.get(length).into_iter().flatten();
        rows.extend(of_length(mask.len()).filter(|row| fits(row.mask, mask)));
        let digits = mask.iter().all(|&byte| byte == b'9');
        if declared == Declared::Integer && digits {
            let longer =
                of_length(mask.len() + 1).filter(|row| row.mask.bytes().all(|b| b == b'9'));
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

fn fits(pattern: &str, mask: &[u8]) -> bool {
    let mut pairs = pattern.bytes().zip(mask);
    let same = |(expected, &found): (u8, &u8)| {
        expected == found || (expected == b'X' && matches!(found, b'9' | b'A'))
    };
    pattern.len() == mask.len() && pairs.all(same)
}

/// Looks the values of one column up, remembering the rows of the mask seen last.
pub(crate) struct Reader<'a> {
    index: &'a Index,
    declared: Declared,
    mask: Vec<u8>,
    rows: Vec<Row>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(index: &'a Index, declared: Declared) -> Self {
        Self {
            index,
            declared,
            mask: Vec::with_capacity(MASKED),
            rows: Vec::new(),
        }
    }

    /// Counts a value, or a grouped number inside of it, for every form that it has.
    pub(crate) fn read(&mut self, value: &Value<'_>, tallies: &mut Tallies) {
        let mask = value.mask();
        if (3..=MASKED).contains(&mask.len()) && value.count(Class::High) == 0 {
            self.select(mask);
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
        let numbers = value.pieces().filter(|piece| {
            (9..=20).contains(&piece.len())
                && piece.bytes().filter(u8::is_ascii_digit).count() >= 7
                && piece.bytes().any(|byte| matches!(byte, b'-' | b'.' | b'/'))
        });
        for piece in numbers {
            let piece = piece.trim_end_matches(['.', ':', '!', '?']);
            let Some(inner) = Value::new(piece) else {
                continue;
            };
            self.select(inner.mask());
            self.rows.retain(|row| row.grade == Grade::Strong);
            self.mask.clear();
            self.judge(inner.text, tallies, Match::within);
        }
    }

    fn select(&mut self, mask: &[u8]) {
        if self.mask != mask {
            self.mask.clear();
            self.mask.extend_from_slice(mask);
            self.index.collect(mask, self.declared, &mut self.rows);
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
