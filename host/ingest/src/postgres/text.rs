//! Types that become text: how each is sent, and the text that the server itself prints for it.

use std::fmt::Write as _;

use super::{column::Fault, numeric::Numeric};

/// How a text, or what becomes one, is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As its characters in UTF-8.
    Plain,
    /// The same, and it is JSON.
    Json,
    /// `jsonb`: a version, then its characters.
    Jsonb,
    /// `"char"`: one byte.
    Char,
    /// `numeric`.
    Numeric,
    /// `timetz`: microseconds of the day, then seconds west of Greenwich.
    TimeTz,
    /// `bit` and `varbit`: how many, then the bits.
    Bits,
    /// `inet` and `cidr`.
    Network,
    /// `macaddr` and `macaddr8`.
    Mac,
}

impl Form {
    /// The text of a cell; `scratch` is room to write it in.
    pub(super) fn text<'a>(
        self,
        cell: &'a [u8],
        scratch: &'a mut String,
    ) -> Result<&'a str, Fault> {
        let characters = match (self, cell) {
            (Self::Plain | Self::Json, characters) => characters,
            (Self::Jsonb, [1, characters @ ..]) => characters,
            (Self::Jsonb, _) => return Err(Fault::Damaged),
            _ => {
                scratch.clear();
                self.write(cell, scratch).ok_or(Fault::Damaged)?;
                return Ok(scratch);
            }
        };
        std::str::from_utf8(characters).map_err(|_| Fault::NotUtf8)
    }

    fn write(self, cell: &[u8], out: &mut String) -> Option<()> {
        match self {
            Self::Plain | Self::Json | Self::Jsonb => None,
            Self::Char => write_char(cell, out),
            Self::Numeric => {
                match Numeric::parse(cell).ok()? {
                    Numeric::Finite(number) => number.write(out),
                    Numeric::Special(word) => out.push_str(word),
                }
                Some(())
            }
            Self::TimeTz => write_time_tz(cell, out),
            Self::Bits => write_bits(cell, out),
            Self::Network => write_network(cell, out),
            Self::Mac => write_mac(cell, out),
        }
    }
}

/// A byte that is no ASCII is shown in octal.
fn write_char(cell: &[u8], out: &mut String) -> Option<()> {
    let [byte] = *cell else { return None };
    match byte {
        0 => {}
        byte if byte.is_ascii() => out.push(char::from(byte)),
        byte => write!(out, "\\{byte:03o}").ok()?,
    }
    Some(())
}

fn write_time_tz(cell: &[u8], out: &mut String) -> Option<()> {
    let (micros, west) = cell.split_at_checked(8)?;
    let micros = u64::try_from(i64::from_be_bytes(micros.try_into().ok()?)).ok()?;
    let west = i32::from_be_bytes(west.try_into().ok()?);
    if micros > 86_400_000_000 || west.unsigned_abs() >= 86_400 {
        return None;
    }
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    write_clock(seconds, out);
    if fraction > 0 {
        let digits = format!("{fraction:06}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
    out.push(if west <= 0 { '+' } else { '-' });
    let start = out.len();
    write_clock(west.unsigned_abs().into(), out);
    for shorter in [6, 3] {
        if out[start..].len() == shorter + 2 && out.ends_with(":00") {
            out.truncate(start + shorter - 1);
        }
    }
    Some(())
}

fn write_clock(seconds: u64, out: &mut String) {
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    // Writing to a string does not fail.
    let _ = write!(out, "{hours:02}:{minutes:02}:{seconds:02}");
}

fn write_bits(cell: &[u8], out: &mut String) -> Option<()> {
    let (count, bytes) = bits(cell)?;
    let bit = |at: usize| (bytes[at / 8] >> (7 - at % 8)) & 1 == 1;
    out.extend((0..count).map(|at| if bit(at) { '1' } else { '0' }));
    Some(())
}

/// How many bits a cell has, and the bytes that hold them.
pub(super) fn bits(cell: &[u8]) -> Option<(usize, &[u8])> {
    let (count, bytes) = cell.split_at_checked(4)?;
    let count = usize::try_from(i32::from_be_bytes(count.try_into().ok()?)).ok()?;
    (bytes.len() == count.div_ceil(8)).then_some((count, bytes))
}

/// Families of addresses in the protocol.
const IPV4: u8 = 2;
const IPV6: u8 = 3;

fn write_network(cell: &[u8], out: &mut String) -> Option<()> {
    let [family, prefix, is_cidr, length, address @ ..] = cell else {
        return None;
    };
    let whole = match (*family, address.len(), *length) {
        (IPV4, 4, 4) => {
            write_ipv4(address, out);
            32
        }
        (IPV6, 16, 16) => {
            write_ipv6(address, out);
            128
        }
        _ => return None,
    };
    if *prefix > whole {
        return None;
    }
    if *prefix < whole || *is_cidr == 1 {
        write!(out, "/{prefix}").ok()?;
    }
    Some(())
}

fn write_ipv4(address: &[u8], out: &mut String) {
    let parts: Vec<String> = address.iter().map(u8::to_string).collect();
    out.push_str(&parts.join("."));
}

/// As the server does it, which is not in all cases as the standard library does: the first of the longest runs
/// of zeros is left out, and an address of the old kind inside is shown in its own way.
fn write_ipv6(address: &[u8], out: &mut String) {
    let words: Vec<u16> = address
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect();
    let run = |at: usize| words[at..].iter().take_while(|word| **word == 0).count();
    let longest = (0..8)
        .rev()
        .max_by_key(|at| run(*at))
        .filter(|at| run(*at) > 1);
    let (from, to) = longest.map_or((8, 8), |at| (at, at + run(at)));
    let old = from == 0 && (to == 6 || to == 5 && words[5] == 0xffff);
    for (at, word) in words.iter().enumerate() {
        if (from..to).contains(&at) {
            if at == from {
                out.push(':');
            }
            continue;
        }
        if at > 0 {
            out.push(':');
        }
        if at == 6 && old {
            return write_ipv4(&address[12..], out);
        }
        let _ = write!(out, "{word:x}");
    }
    if longest.is_some() && to == 8 {
        out.push(':');
    }
}

fn write_mac(cell: &[u8], out: &mut String) -> Option<()> {
    if !matches!(cell.len(), 6 | 8) {
        return None;
    }
    for (at, byte) in cell.iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        write!(out, "{byte:02x}").ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(form: Form, cell: &[u8], expected: &str) {
        let mut scratch = String::new();
        assert_eq!(
            form.text(cell, &mut scratch),
            Ok(expected),
            "{form:?} {cell:?}"
        );
    }

    fn time_tz(micros: i64, west: i32) -> Vec<u8> {
        [&micros.to_be_bytes()[..], &west.to_be_bytes()].concat()
    }

    fn ipv6(prefix: u8, is_cidr: u8, words: [u16; 8]) -> Vec<u8> {
        let mut cell = vec![IPV6, prefix, is_cidr, 16];
        cell.extend(words.into_iter().flat_map(u16::to_be_bytes));
        cell
    }

    #[test]
    fn texts_are_the_servers() {
        check(Form::Plain, "é".as_bytes(), "é");
        check(Form::Jsonb, b"\x01{}", "{}");
        check(Form::Char, b"a", "a");
        check(Form::Char, b"\0", "");
        check(Form::Char, b"\xff", "\\377");
        check(Form::TimeTz, &time_tz(0, 0), "00:00:00+00");
        check(
            Form::TimeTz,
            &time_tz(86_400_000_000, -3_600),
            "24:00:00+01",
        );
        check(
            Form::TimeTz,
            &time_tz(3_723_000_100, 12_600),
            "01:02:03.0001-03:30",
        );
        check(
            Form::TimeTz,
            &time_tz(1, -45_296),
            "00:00:00.000001+12:34:56",
        );
        check(Form::Bits, &[0, 0, 0, 0], "");
        check(
            Form::Bits,
            &[0, 0, 0, 10, 0b1010_0000, 0b0100_0000],
            "1010000001",
        );
        check(Form::Mac, &[8, 0, 43, 1, 2, 255], "08:00:2b:01:02:ff");
    }

    #[test]
    fn addresses_are_the_servers() {
        check(Form::Network, &[IPV4, 32, 0, 4, 10, 0, 0, 1], "10.0.0.1");
        check(Form::Network, &[IPV4, 8, 0, 4, 10, 0, 0, 1], "10.0.0.1/8");
        check(Form::Network, &[IPV4, 32, 1, 4, 10, 0, 0, 1], "10.0.0.1/32");
        for (words, expected) in [
            ([0; 8], "::"),
            ([0, 0, 0, 0, 0, 0, 0, 1], "::1"),
            ([0, 0, 0, 0, 0, 0, 0x102, 0x304], "::1.2.3.4"),
            ([0, 0, 0, 0, 0, 0xffff, 0x102, 0x304], "::ffff:1.2.3.4"),
            ([0x2001, 0xdb8, 0, 0, 1, 0, 0, 1], "2001:db8::1:0:0:1"),
            ([0x2001, 0xdb8, 0, 1, 0, 0, 0, 0], "2001:db8:0:1::"),
            ([1, 2, 3, 4, 5, 6, 0, 8], "1:2:3:4:5:6:0:8"),
        ] {
            check(Form::Network, &ipv6(128, 0, words), expected);
        }
        check(
            Form::Network,
            &ipv6(32, 1, [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]),
            "2001:db8::/32",
        );
    }

    #[test]
    fn damage_is_told() {
        let mut scratch = String::new();
        for (form, cell) in [
            (Form::Jsonb, &b""[..]),
            (Form::Jsonb, b"\x02{}"),
            (Form::Char, b"ab"),
            (Form::TimeTz, &[0; 11]),
            (Form::TimeTz, &[0xff; 12]),
            (Form::Bits, &[0, 0, 0, 9, 0]),
            (Form::Bits, &[0xff; 5]),
            (Form::Network, &[IPV4, 33, 0, 4, 1, 2, 3, 4]),
            (Form::Network, &[IPV6, 0, 0, 4, 1, 2, 3, 4]),
            (Form::Mac, &[0; 7]),
        ] {
            assert_eq!(
                form.text(cell, &mut scratch),
                Err(Fault::Damaged),
                "{form:?}"
            );
        }
        assert_eq!(Form::Plain.text(&[0xff], &mut scratch), Err(Fault::NotUtf8));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(cell in prop::collection::vec(any::<u8>(), 0..24)) {
            for form in [Form::Plain, Form::Jsonb, Form::Char, Form::Numeric, Form::TimeTz, Form::Bits,
                Form::Network, Form::Mac] {
                let _ = form.text(&cell, &mut String::new());
            }
        }
    }
}
