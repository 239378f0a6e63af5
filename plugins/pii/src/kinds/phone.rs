//! Phone numbers.
//!
//! A number with a plus sign, a known calling code (ITU E.164) and a possible length is strong, as is
//! a North American number with its area in brackets. National groupings are fair. Bare digits are
//! weak: ids, times and prices look the same, so the column's name must speak. Lengths are those of
//! national numbers in the numbering plans, generously.

mod codes;

use super::{Country, Grade, Match};
use crate::value::{Class, Value};

/// Most digits of an international number with its prefix.
const MOST_DIGITS: usize = 17;

pub(crate) fn phone(value: &Value<'_>) -> Option<Match> {
    if !(7..=40).contains(&value.digits()) {
        return None;
    }
    let letters = value.letters();
    if letters <= 9 && value.digits() <= MOST_DIGITS + 6 && value.text.len() <= 36 {
        let number = if letters == 0 && value.count(Class::Other) == 0 {
            Some(value.text)
        } else {
            without_extension(value.text.strip_prefix("tel:").unwrap_or(value.text))
        };
        if let Some(found) = number
            .and_then(Dialled::parse)
            .and_then(|number| number.judge())
        {
            return Some(found);
        }
    }
    if value.count(Class::Plus) == 0 || value.count(Class::Space) == 0 {
        return None;
    }
    let mut starts = value
        .text
        .match_indices('+')
        .map(|(at, _)| &value.text[at..]);
    let found = starts.find_map(|text| {
        let dialled =
            |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')' | '.');
        let end = text.find(|c| !dialled(c)).unwrap_or(text.len());
        let alone = end == value.text.len();
        let mut numbers = shortened(&text[..end]).take(if alone { 1 } else { 3 });
        numbers.find_map(|number| Dialled::parse(number)?.judge())
    })?;
    Some(Match {
        extent: Match::within(found.grade).extent,
        ..found
    })
}

/// What was found, and the same without its last group, and so on: they may not belong to it.
fn shortened(text: &str) -> impl Iterator<Item = &str> {
    let trim = |text: &'_ str| -> usize { text.trim_end_matches([' ', '-', '(', ')', '.']).len() };
    let whole = &text[..trim(text)];
    let lengths = std::iter::successors(Some(whole.len()), move |&length| {
        let space = whole[..length].rfind(' ')?;
        Some(trim(&whole[..space]))
    });
    lengths.map(move |length| &whole[..length])
}

/// Cuts off `x123`, `ext. 123` and the like; `None` when other letters are in the number.
fn without_extension(text: &str) -> Option<&str> {
    let Some(at) = text.find(|c: char| c.is_ascii_alphabetic() || c == '#') else {
        return Some(text);
    };
    let (number, tail) = text.split_at(at);
    let digits = tail.trim_start_matches(|c: char| c.is_ascii_alphabetic() || " .:#".contains(c));
    let word = tail[..tail.len() - digits.len()].trim_end_matches([' ', '.', ':', '#']);
    let known = ["", "x", "ext", "extn", "extension", "app"];
    let known = known.iter().any(|known| word.eq_ignore_ascii_case(known));
    let extension =
        (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    (known && extension).then(|| number.trim_end())
}

/// The digits of a number and how they are grouped.
struct Dialled {
    digits: [u8; MOST_DIGITS],
    length: usize,
    /// Lengths of the groups of digits.
    groups: [usize; 8],
    group_count: usize,
    plus: bool,
    brackets: bool,
    dots_only: bool,
}

impl Dialled {
    fn parse(text: &str) -> Option<Self> {
        let mut number = Self {
            digits: [0; MOST_DIGITS],
            length: 0,
            groups: [0; 8],
            group_count: 0,
            plus: text.starts_with('+'),
            brackets: false,
            dots_only: true,
        };
        let text = text.strip_prefix('+').unwrap_or(text);
        let trunk = if number.plus { text.find("(0)") } else { None };
        let (text, trunk) = match trunk {
            Some(at) => (&text[..at], &text[at + 3..]),
            None => (text, ""),
        };
        number.read(text)?;
        number.read(trunk)?;
        Some(number)
    }

    fn read(&mut self, text: &str) -> Option<()> {
        let mut separators = 2;
        for c in text.chars() {
            if let Some(digit) = c.to_digit(10) {
                if separators > 0 {
                    self.group_count += 1;
                }
                separators = 0;
                *self.groups.get_mut(self.group_count - 1)? += 1;
                *self.digits.get_mut(self.length)? = u8::try_from(digit).ok()?;
                self.length += 1;
                continue;
            }
            separators += 1;
            self.brackets |= c == '(';
            self.dots_only &= c == '.';
            if separators > 3
                || !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}' | '\u{2011}')
            {
                return None;
            }
        }
        Some(())
    }

    fn judge(&self) -> Option<Match> {
        let digits = &self.digits[..self.length];
        let groups = &self.groups[..self.group_count];
        if self.plus {
            return international(digits, Grade::Strong);
        }
        if let [0, 0, rest @ ..] = digits
            && let Some(found) = international(rest, self.grouped(Grade::Fair))
        {
            return Some(found);
        }
        if is_date_or_address(groups, self.dots_only) {
            return None;
        }
        if is_north_american(digits) {
            let usual = matches!(groups, [3, 3, 4] | [1, 3, 3, 4]);
            return Some(Match::whole(match (usual, self.brackets) {
                (true, true) => Grade::Strong,
                (true, false) => Grade::Fair,
                _ => Grade::Weak,
            }));
        }
        if matches!((digits, groups), ([1..=9, ..], [3, 3, 4])) {
            return None;
        }
        let trunk = matches!(digits, [0, 1..=9, ..]) && (9..=12).contains(&digits.len());
        let edges = groups.first() >= Some(&2) && groups.last() >= Some(&2);
        if trunk && edges {
            return Some(Match::whole(self.grouped(Grade::Fair)));
        }
        let least = if groups.len() > 1 { 7 } else { 9 };
        let plain = edges && (least..=13).contains(&digits.len());
        plain.then_some(Match::whole(Grade::Weak))
    }

    /// The grade, or weak when the digits stand in one block.
    fn grouped(&self, grade: Grade) -> Grade {
        if self.group_count > 1 {
            grade
        } else {
            Grade::Weak
        }
    }
}

/// A number that begins with a calling code and has a length of that country.
fn international(digits: &[u8], grade: Grade) -> Option<Match> {
    let code = (1..=3).find_map(|width| {
        let prefix = digits.get(..width)?;
        let prefix = prefix
            .iter()
            .fold(0, |prefix, &digit| prefix * 10 + u16::from(digit));
        let at = codes::CALLING
            .binary_search_by_key(&prefix, |code| code.prefix)
            .ok()?;
        Some((width, &codes::CALLING[at]))
    });
    let (width, code) = code?;
    let national = digits.len() - width;
    if !(code.shortest..=code.longest).contains(&national) {
        return None;
    }
    let found = Match::whole(grade);
    Some(Country::new(code.country).map_or(found, |country| found.in_country(country)))
}

/// Area and exchange begin with 2 to 9 (North American Numbering Plan).
fn is_north_american(digits: &[u8]) -> bool {
    let national = match digits {
        [1, rest @ ..] if rest.len() == 10 => rest,
        _ => digits,
    };
    national.len() == 10 && national[0] >= 2 && national[3] >= 2
}

fn is_date_or_address(groups: &[usize], dots_only: bool) -> bool {
    let date = matches!(
        groups,
        [4, 1..=2, 1..=2] | [1..=2, 1..=2, 4] | [4, 2, 2, ..]
    );
    let address = dots_only && groups.len() == 4 && groups.iter().all(|&group| group <= 3);
    let decimal = dots_only && groups.len() == 2;
    date || address || decimal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Extent;

    fn check(text: &str, expected: Option<(Grade, &str)>) {
        let found = phone(&Value::new(text).expect("has text"));
        let country = |found: &Match| found.country.map(|country| country.to_string());
        let found = found.map(|found| (found.grade, country(&found).unwrap_or_default()));
        assert_eq!(
            found,
            expected.map(|(grade, country)| (grade, country.to_owned())),
            "{text}"
        );
    }

    #[test]
    fn international_numbers_are_strong() {
        check("+49 30 1234567", Some((Grade::Strong, "DE")));
        check("+49(0)30 1234567", Some((Grade::Strong, "DE")));
        check("+33 1 23 45 67 89", Some((Grade::Strong, "FR")));
        check("+442079460958", Some((Grade::Strong, "GB")));
        check("+1-415-555-2671x123", Some((Grade::Strong, "")));
        check("tel:+81-3-1234-5678", Some((Grade::Strong, "JP")));
        check("0049 30 1234567", Some((Grade::Fair, "DE")));
        check("+999 30 1234567", None);
        check("+49 3", None);
        check("+33 1 23 45 67 89 01 23", None);
    }

    #[test]
    fn national_numbers_by_their_grouping() {
        check("(415) 555-2671", Some((Grade::Strong, "")));
        check("415-555-2671", Some((Grade::Fair, "")));
        check("415.555.2671 ext. 99", Some((Grade::Fair, "")));
        check("1-415-555-2671", Some((Grade::Fair, "")));
        check("020 7946 0958", Some((Grade::Fair, "")));
        check("01 23 45 67 89", Some((Grade::Fair, "")));
        check("030/1234567", Some((Grade::Fair, "")));
        check("4155552671", Some((Grade::Weak, "")));
        check("612 345 678", Some((Grade::Weak, "")));
    }

    #[test]
    fn other_numbers_are_none() {
        for other in [
            "2024-01-15",
            "15.01.2024",
            "2024-01-15 103000",
            "2024-01-15 10:30:00",
            "2024-01-15T10:30:00+00:00",
            "192.168.100.100",
            "0.123456789",
            "1234567.89",
            "12345",
            "4111 1111 1111 1111",
            "0-306-40615-2",
            "940-085-7072",
            "978-3-16-148410-0",
            "550e8400-e29b-41d4-a716-446655440000",
            "abc 1234567",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn numbers_inside_text() {
        for text in [
            "call me at +49 30 1234567 (evenings) please",
            "from +61-7-6608-0448 (12)",
        ] {
            let found = phone(&Value::new(text).expect("text"));
            assert_eq!(
                found.map(|found| found.extent),
                Some(Extent::Within),
                "{text}"
            );
        }
        assert_eq!(
            phone(&Value::new("the total of 4155552671 items was found").expect("text")),
            None
        );
    }
}
