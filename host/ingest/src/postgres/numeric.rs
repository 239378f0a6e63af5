//! Numbers of any size, as the server sends them.
//!
//! A `numeric` comes as groups of four decimal digits: how many, the weight of the first as a power of 10,000,
//! a sign, how many digits to show after the point, the groups (`numeric_send` of PostgreSQL's
//! `src/backend/utils/adt/numeric.c`). Every digit is kept: a value becomes a whole number times a power of ten,
//! or the text that the server itself prints.

use arrow::datatypes::i256;

use super::column::Fault;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;

/// A `numeric`, with its groups still as they came.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numeric<'a> {
    /// A number.
    Finite(Finite<'a>),
    /// Not a number, or an infinity, in the server's word.
    Special(&'static str),
}

/// A number with an end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finite<'a> {
    negative: bool,
    /// Power of 10,000 of the first group.
    weight: i32,
    /// Digits after the point that the server shows.
    shown: usize,
    /// Two bytes each, every one below 10,000.
    groups: &'a [u8],
}

impl<'a> Numeric<'a> {
    /// Reads a cell.
    pub(super) fn parse(cell: &'a [u8]) -> Result<Self, Fault> {
        let Some(([count, weight, sign, shown], groups)) = head(cell) else {
            return Err(Fault::Damaged);
        };
        let negative = match sign {
            POSITIVE => false,
            NEGATIVE => true,
            NAN => return Ok(Self::Special("NaN")),
            INFINITY => return Ok(Self::Special("Infinity")),
            MINUS_INFINITY => return Ok(Self::Special("-Infinity")),
            _ => return Err(Fault::Damaged),
        };
        let sound = groups.len() == usize::from(count) * 2
            && groups.chunks_exact(2).all(|group| value(group) < 10_000);
        if !sound {
            return Err(Fault::Damaged);
        }
        Ok(Self::Finite(Finite {
            negative,
            weight: i32::from(weight.cast_signed()),
            shown: usize::from(shown),
            groups,
        }))
    }
}

fn head(cell: &[u8]) -> Option<([u16; 4], &[u8])> {
    let (head, rest) = cell.split_at_checked(8)?;
    let at = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    Some(([at(0), at(2), at(4), at(6)], rest))
}

fn value(group: &[u8]) -> u16 {
    u16::from_be_bytes([group[0], group[1]])
}

/// Whole numbers wide enough for a decimal of Arrow.
pub(super) trait Wide: Copy {
    /// This times a small number, plus another.
    fn fold(self, factor: u16, plus: u16) -> Option<Self>;
    /// Zero.
    const ZERO: Self;
    /// With the other sign.
    fn negated(self) -> Self;
}

impl Wide for i128 {
    const ZERO: Self = 0;

    fn fold(self, factor: u16, plus: u16) -> Option<Self> {
        self.checked_mul(factor.into())?.checked_add(plus.into())
    }

    fn negated(self) -> Self {
        -self
    }
}

impl Wide for i256 {
    const ZERO: Self = i256::ZERO;

    fn fold(self, factor: u16, plus: u16) -> Option<Self> {
        self.checked_mul(i256::from_i128(factor.into()))?
            .checked_add(i256::from_i128(plus.into()))
    }

    fn negated(self) -> Self {
        self.wrapping_neg()
    }
}

const POWERS: [u16; 5] = [1, 10, 100, 1_000, 10_000];

impl Finite<'_> {
    /// The number times ten to the power of `scale`; none if that is no whole number or too great.
    pub(super) fn scaled<N: Wide>(&self, scale: u8) -> Option<N> {
        let scale = i32::from(scale);
        let mut number = N::ZERO;
        let mut weight = self.weight;
        for group in self.groups.chunks_exact(2).map(value) {
            // Digits of this group that lie before the end of the scale.
            let digits = (weight * 4 + 4 + scale).clamp(0, 4);
            let kept = POWERS[usize::try_from(digits).ok()?];
            let cut = POWERS[usize::try_from(4 - digits).ok()?];
            if group % cut != 0 {
                return None;
            }
            number = number.fold(kept, group / cut)?;
            weight -= 1;
        }
        // Groups of zeros that were not sent.
        let missing = if self.groups.is_empty() {
            0
        } else {
            (weight * 4 + 4 + scale).max(0)
        };
        for _ in 0..missing / 4 {
            number = number.fold(10_000, 0)?;
        }
        number = number.fold(POWERS[usize::try_from(missing % 4).ok()?], 0)?;
        Some(if self.negative {
            number.negated()
        } else {
            number
        })
    }

    /// Writes what the server itself prints.
    pub(super) fn write(&self, out: &mut String) {
        if self.negative {
            out.push('-');
        }
        let groups = i32::try_from(self.groups.len() / 2).unwrap_or(i32::MAX);
        let group = |weight: i32| {
            let at = self.weight - weight;
            match usize::try_from(at) {
                Ok(at) if i32::try_from(at).is_ok_and(|at| at < groups) => {
                    value(&self.groups[2 * at..2 * at + 2])
                }
                _ => 0,
            }
        };
        let start = out.len();
        for weight in (0..=self.weight.max(0)).rev() {
            push_group(out, group(weight), if out.len() == start { 0 } else { 4 });
        }
        if out.len() == start {
            out.push('0');
        }
        if self.shown > 0 {
            out.push('.');
            let end = out.len() + self.shown;
            let mut weight = -1;
            while out.len() < end {
                push_group(out, group(weight), 4);
                weight -= 1;
            }
            out.truncate(end);
        }
    }
}

/// Writes a group in at least so many digits; a zero in none writes nothing.
fn push_group(out: &mut String, group: u16, digits: usize) {
    let mut text = [b'0'; 4];
    let mut rest = group;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    let leading = text.iter().take_while(|digit| **digit == b'0').count();
    let from = leading.min(4 - digits);
    out.extend(text[from..].iter().map(|digit| char::from(*digit)));
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a server sends for a number in text, which may be special.
    pub(crate) fn sent(text: &str) -> Vec<u8> {
        let special = match text {
            "NaN" => Some(NAN),
            "Infinity" => Some(INFINITY),
            "-Infinity" => Some(MINUS_INFINITY),
            _ => None,
        };
        if let Some(sign) = special {
            return [0, 0, sign, 0].map(u16::to_be_bytes).concat();
        }
        let negative = text.starts_with('-');
        let text = text.trim_start_matches('-');
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
        let padded = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
        let mut weight = i16::try_from(whole.len() / 4).unwrap() - 1;
        let digits = whole + &padded;
        let mut groups: Vec<u16> = digits
            .as_bytes()
            .chunks(4)
            .map(|group| std::str::from_utf8(group).unwrap().parse().unwrap())
            .collect();
        while groups.first() == Some(&0) {
            groups.remove(0);
            weight -= 1;
        }
        while groups.last() == Some(&0) {
            groups.pop();
        }
        if groups.is_empty() {
            weight = 0;
        }
        let sign = if negative && !groups.is_empty() {
            NEGATIVE
        } else {
            POSITIVE
        };
        let shown = u16::try_from(fraction.len()).unwrap();
        let count = u16::try_from(groups.len()).unwrap();
        let head = [count, weight.cast_unsigned(), sign, shown];
        head.into_iter()
            .chain(groups)
            .flat_map(u16::to_be_bytes)
            .collect()
    }

    fn finite(cell: &[u8]) -> Finite<'_> {
        match Numeric::parse(cell).unwrap() {
            Numeric::Finite(finite) => finite,
            Numeric::Special(word) => panic!("{word}"),
        }
    }

    fn text(number: &str) -> String {
        let mut out = String::new();
        finite(&sent(number)).write(&mut out);
        out
    }

    #[test]
    fn texts_are_the_servers() {
        for number in [
            "0",
            "0.0",
            "0.00",
            "1",
            "-1",
            "10000",
            "9999.9999",
            "123456789.987654321",
            "0.0001",
            "0.00001234",
            "-0.5",
            "100000000",
            "1.10",
            "12345678901234567890123456789012345678901234567890",
            "0.00000000000000000000000000001",
        ] {
            assert_eq!(text(number), number);
        }
    }

    #[test]
    fn decimals_keep_every_digit_or_say_no() {
        for (number, scale, expected) in [
            ("0", 2, Some(0)),
            ("1.5", 2, Some(150)),
            ("-1.05", 2, Some(-105)),
            ("12345.6789", 4, Some(123_456_789)),
            ("12345.6789", 6, Some(12_345_678_900)),
            ("10000", 0, Some(10_000)),
            ("100000000", 3, Some(100_000_000_000)),
            ("0.0001", 4, Some(1)),
            ("0.00001", 4, None),
            ("1.5", 0, None),
        ] {
            assert_eq!(
                finite(&sent(number)).scaled::<i128>(scale),
                expected,
                "{number}"
            );
            let wide = finite(&sent(number)).scaled::<i256>(scale);
            assert_eq!(wide, expected.map(i256::from_i128), "{number}");
        }
        let greatest = "9".repeat(38);
        let number = finite(&sent(&greatest)).scaled::<i128>(0);
        assert_eq!(number, greatest.parse().ok());
        assert_eq!(finite(&sent(&"9".repeat(40))).scaled::<i128>(0), None);
        let wide = "9".repeat(76);
        assert_eq!(
            finite(&sent(&wide)).scaled::<i256>(0),
            i256::from_string(&wide)
        );
        assert_eq!(finite(&sent("1")).scaled::<i256>(255), None);
    }

    #[test]
    fn special_words_are_no_numbers() {
        for word in ["NaN", "Infinity", "-Infinity"] {
            assert!(matches!(Numeric::parse(&sent(word)), Ok(Numeric::Special(w)) if w == word));
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let mut cell = sent("1.5");
        cell.pop();
        assert!(Numeric::parse(&cell).is_err());
        for damaged in [
            vec![],
            vec![0; 7],
            [1_u16, 0, 0, 0, 10_000].map(u16::to_be_bytes).concat(),
        ] {
            assert!(Numeric::parse(&damaged).is_err());
        }
        assert!(Numeric::parse(&[0_u16, 0, 1, 0].map(u16::to_be_bytes).concat()).is_err());
    }

    proptest! {
        #[test]
        fn numbers_come_back(whole in any::<i64>(), fraction in 0_u32..1_000_000) {
            let number = format!("{whole}.{fraction:06}");
            prop_assert_eq!(text(&number), number.as_str());
            let scaled = finite(&sent(&number)).scaled::<i128>(6);
            let sign = if whole < 0 { -1 } else { 1 };
            prop_assert_eq!(scaled, Some(i128::from(whole) * 1_000_000 + sign * i128::from(fraction)));
        }

        #[test]
        fn any_bytes_are_taken(cell in prop::collection::vec(any::<u8>(), 0..40), scale in any::<u8>()) {
            if let Ok(Numeric::Finite(finite)) = Numeric::parse(&cell) {
                let _ = (finite.scaled::<i128>(scale), finite.scaled::<i256>(scale));
                finite.write(&mut String::new());
            }
        }
    }
}
