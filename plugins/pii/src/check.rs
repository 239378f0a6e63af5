//! Check digits: one routine a family of formulas, driven by the tables of the numbers that use them.
//!
//! A number is read once into a [`Code`]: its letters and digits, upper-cased, without separators. The
//! routines answer for well-formed input and are total: what is too short, or has a letter where a
//! digit belongs, fails. Sources are ISO/IEC 7812-1 (Luhn), ISO/IEC 7064 (mod 97-10, mod 11-2,
//! mod 11,10) and J. Verhoeff, *Error Detecting Decimal Codes* (1969); the weights of single numbers
//! stand beside their forms.

/// Most letters and digits of a code.
pub(crate) const LONGEST: usize = 40;

/// Letters and digits of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Code {
    /// Collects the ASCII letters and digits of a text; `None` when there are too many.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let mut code = Self {
            bytes: [0; LONGEST],
            length: 0,
        };
        for byte in text.bytes().filter(u8::is_ascii_alphanumeric) {
            *code.bytes.get_mut(code.length)? = byte.to_ascii_uppercase();
            code.length += 1;
        }
        Some(code)
    }

    /// The same behind a zero, which integers lose.
    pub(crate) fn padded(text: &str) -> Option<Self> {
        let rest = Self::of(text)?;
        let mut code = Self {
            bytes: [0; LONGEST],
            length: rest.length + 1,
        };
        code.bytes[0] = b'0';
        let room = code.bytes.get_mut(1..code.length)?;
        room.copy_from_slice(rest.bytes());
        Some(code)
    }

    /// The characters.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Value of the digit at a position; 99 for a letter or beyond the end, which no rule accepts.
    pub(crate) fn digit(&self, at: usize) -> u32 {
        match self.bytes().get(at) {
            Some(byte @ b'0'..=b'9') => u32::from(byte - b'0'),
            _ => 99,
        }
    }

    /// The letter at a position; 0 for a digit or beyond the end.
    pub(crate) fn letter(&self, at: usize) -> u8 {
        let letter = self.bytes().get(at).copied();
        letter.filter(u8::is_ascii_uppercase).unwrap_or(0)
    }

    /// The number written in `from..to`; `None` when it has a letter.
    pub(crate) fn number(&self, from: usize, to: usize) -> Option<u64> {
        let mut number = 0_u64;
        for byte in self.bytes().get(from..to)? {
            if !byte.is_ascii_digit() {
                return None;
            }
            number = number
                .checked_mul(10)?
                .checked_add(u64::from(byte - b'0'))?;
        }
        Some(number)
    }

    /// Sum of the first digits times their weights.
    pub(crate) fn weighted(&self, weights: &[u32]) -> u32 {
        let terms = weights.iter().enumerate();
        terms.map(|(at, weight)| self.digit(at) * weight).sum()
    }

    /// Whether all characters are the same.
    pub(crate) fn is_monotone(&self) -> bool {
        self.bytes().windows(2).all(|pair| pair[0] == pair[1])
    }

    /// Year (two digits), month and day at three positions make a day of a calendar. `months` are
    /// added to the month of some centuries or genders, `days` to the day.
    pub(crate) fn is_date(&self, at: [usize; 3], months: &[u64], days: &[u64]) -> bool {
        let two = |at: usize| self.number(at, at + 2);
        let (Some(_), Some(month), Some(day)) = (two(at[0]), two(at[1]), two(at[2])) else {
            return false;
        };
        let within = |value: u64, shifts: &[u64], most: u64| {
            let mut shifts = shifts.iter().chain(&[0]);
            shifts.any(|shift| (1..=most).contains(&value.wrapping_sub(*shift)))
        };
        within(month, months, 12) && within(day, days, 31)
    }
}

/// Doubles every second digit from the right; the sum of all digits is a multiple of ten.
pub(crate) fn luhn(bytes: &[u8]) -> bool {
    let mut sum = 0;
    for (index, byte) in bytes.iter().rev().enumerate() {
        let digit = match byte {
            b'0'..=b'9' => u32::from(byte - b'0'),
            _ => return false,
        };
        sum += match (index % 2, digit) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        };
    }
    sum.is_multiple_of(10)
}

/// Remainder by 97 of the number that arises when `A` is written as 10, `B` as 11 and so on.
pub(crate) fn mod_97<'a>(characters: impl Iterator<Item = &'a u8>) -> u32 {
    characters.fold(0, |remainder, &byte| {
        if byte.is_ascii_digit() {
            (remainder * 10 + u32::from(byte - b'0')) % 97
        } else {
            (remainder * 100 + u32::from(byte.wrapping_sub(b'A')) + 10) % 97
        }
    })
}

/// ISO 7064 mod 11,10: the hybrid system, whose check digit is a digit.
pub(crate) fn iso_11_10(bytes: &[u8]) -> bool {
    let Some((last, rest)) = bytes.split_last() else {
        return false;
    };
    let product = rest.iter().fold(10, |product, byte| {
        let sum = (u32::from(byte.wrapping_sub(b'0')) + product) % 10;
        let sum = if sum == 0 { 10 } else { sum };
        sum * 2 % 11
    });
    (product + u32::from(last.wrapping_sub(b'0'))) % 10 == 1
}

/// ISO 7064 mod 11-2: the pure system, whose check character may be `X` for ten.
pub(crate) fn iso_11_2(bytes: &[u8]) -> bool {
    let Some((last, rest)) = bytes.split_last() else {
        return false;
    };
    let sum = rest.iter().fold(0, |sum, byte| {
        (sum + u32::from(byte.wrapping_sub(b'0'))) * 2 % 11
    });
    let expected = (12 - sum) % 11;
    let last = if *last == b'X' {
        10
    } else {
        u32::from(last.wrapping_sub(b'0'))
    };
    expected == last
}

/// The multiplication of the dihedral group of ten elements, as Verhoeff uses it.
fn dihedral(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + (b - 5)) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a - 5 + 5 - (b - 5)) % 5,
    }
}

/// Verhoeff's check over all digits.
pub(crate) fn verhoeff(bytes: &[u8]) -> bool {
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let mut sum = 0;
    for (index, byte) in bytes.iter().rev().enumerate() {
        let mut digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return false;
        }
        for _ in 0..index % 8 {
            digit = PERMUTATION[usize::from(digit)];
        }
        sum = dihedral(sum, digit);
    }
    sum == 0
}

/// Weights 3 and 1 from the right, the last digit completing a multiple of ten (EAN, GS1).
pub(crate) fn ean(bytes: &[u8]) -> bool {
    let sum: u32 = bytes
        .iter()
        .rev()
        .enumerate()
        .map(|(index, byte)| {
            u32::from(byte.wrapping_sub(b'0')) * if index % 2 == 1 { 3 } else { 1 }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_accept_and_refuse() {
        let check = |family: fn(&[u8]) -> bool, good: &str| {
            assert!(family(good.as_bytes()), "{good}");
            let (rest, last) = good.split_at(good.len() - 1);
            for other in "0123456789"
                .chars()
                .filter(|other| !last.starts_with(*other))
            {
                assert!(
                    !family(format!("{rest}{other}").as_bytes()),
                    "{rest}{other}"
                );
            }
        };
        check(luhn, "4111111111111111");
        check(luhn, "79927398713");
        check(iso_11_10, "94577403194");
        check(iso_11_2, "440524188001010014");
        check(verhoeff, "2363");
        check(verhoeff, "123451");
        check(ean, "7569217076985");
        assert!(iso_11_2(b"11010519491231002X"));
    }

    #[test]
    fn a_transposition_is_noticed() {
        assert!(!verhoeff(b"3263"));
        assert!(!luhn(b"4111111111111171"));
    }

    #[test]
    fn strange_input_fails_quietly() {
        for family in [iso_11_10, iso_11_2] {
            assert!(!family(b""));
        }
        assert!(!luhn(b"41a1"));
        assert!(!verhoeff(b"x"));
        let code = Code::of("ab-1 2").expect("fits");
        assert_eq!(code.bytes(), b"AB12");
        assert_eq!((code.digit(0), code.digit(2), code.digit(9)), (99, 1, 99));
        assert_eq!((code.letter(0), code.letter(2)), (b'A', 0));
        assert_eq!((code.number(2, 4), code.number(0, 2)), (Some(12), None));
        assert!(Code::of(&"9".repeat(41)).is_none());
    }

    #[test]
    fn dates_inside_numbers() {
        let date = |text: &str, months: &[u64], days: &[u64]| {
            let code = Code::of(text).expect("fits");
            code.is_date([0, 2, 4], months, days)
        };
        assert!(date("851231", &[], &[]));
        assert!(!date("851331", &[], &[]));
        assert!(!date("850031", &[], &[]));
        assert!(date("853231", &[20], &[]));
        assert!(date("851271", &[], &[40]));
        assert!(!date("85123", &[], &[]));
    }
}
