//! Email addresses, URLs, and addresses of machines.
//!
//! The grammar of an email address is that of everyday use (RFC 5322 without comments, quoting and
//! literals; letters beyond ASCII allowed on both sides, RFC 6531). Addresses inside URLs and
//! `user@host:path` of version control are not email. A URL needs a known scheme or `www.`; a bare
//! host name is none. IP addresses are parsed by the standard library; masks of networks and eight pairs with colons
//! (EUI-64, names in a fibre channel) are none. A MAC address is six pairs of hexadecimal
//! digits with one kind of separator.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Grade, Match};
use crate::value::{Class, Value};

/// Last labels of a domain that are file types, as in `icon@2x.png`.
const FILE_TYPES: [&str; 16] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "json", "html", "htm", "txt", "pdf",
    "xml", "csv", "exe",
];

/// Schemes of URLs that name a place.
const SCHEMES: [&str; 13] = [
    "http", "https", "ftp", "ftps", "sftp", "ssh", "git", "svn", "ws", "wss", "rsync", "irc",
    "ldap",
];

pub(crate) fn email(value: &Value<'_>) -> Option<Match> {
    if value.count(Class::At) == 0 || value.count(Class::Dot) == 0 {
        return None;
    }
    let bytes = value.text.as_bytes();
    let signs = bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'@');
    let mut spans = signs.filter_map(|(at, _)| email_around(bytes, at));
    let (start, end) = spans.next()?;
    let before = value.text[..start].trim_end_matches('<');
    let whole = end + (start - before.len()) >= bytes.len()
        && (before.is_empty() || before.eq_ignore_ascii_case("mailto:"));
    Some(if whole {
        Match::whole(Grade::Strong)
    } else {
        Match::within(Grade::Strong)
    })
}

/// Where the address around an `@` begins and ends.
fn email_around(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let local = bytes[..at]
        .iter()
        .rev()
        .take_while(|&&byte| is_local(byte))
        .count();
    let mut end = at + 1;
    end += bytes[end..]
        .iter()
        .take_while(|&&byte| is_domain(byte))
        .count();
    end -= bytes[at + 1..end]
        .iter()
        .rev()
        .take_while(|&&byte| matches!(byte, b'.' | b'-'))
        .count();
    let mut start = at - local;
    start += bytes[start..at]
        .iter()
        .take_while(|&&byte| matches!(byte, b'.' | b'-' | b'\''))
        .count();
    if !(1..=64).contains(&(at - start)) || bytes[at - 1] == b'.' || !is_host(&bytes[at + 1..end]) {
        return None;
    }
    let follows = |offset: usize| bytes.get(end + offset).copied();
    let continues = match follows(0) {
        Some(b'@' | b'/') => true,
        Some(b':') => follows(1).is_some_and(|byte| !byte.is_ascii_whitespace()),
        _ => false,
    };
    (!continues && !in_url(&bytes[..start])).then_some((start, end))
}

/// Whether what stands before an address belongs to a URL.
fn in_url(before: &[u8]) -> bool {
    let word = before
        .iter()
        .rposition(u8::is_ascii_whitespace)
        .map_or(0, |space| space + 1);
    before.ends_with(b"/") || before[word..].windows(3).any(|window| window == b"://")
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"._%+-'!#$&*~".contains(&byte)
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'.' | b'-')
}

/// At least two labels, the last of letters and no type of file.
fn is_host(host: &[u8]) -> bool {
    let label = |label: &[u8]| {
        (1..=63).contains(&label.len()) && !label.starts_with(b"-") && !label.ends_with(b"-")
    };
    let mut labels = host.rsplit(|&byte| byte == b'.');
    let Some(last) = labels.next() else {
        return false;
    };
    let letters = last
        .iter()
        .all(|&byte| byte.is_ascii_alphabetic() || byte >= 0x80);
    let named = letters && last.len() >= 2 || last.starts_with(b"xn--");
    let file = FILE_TYPES
        .iter()
        .any(|kind| last.eq_ignore_ascii_case(kind.as_bytes()));
    let rest = labels.try_fold(0, |count, part| label(part).then_some(count + 1));
    named && !file && label(last) && rest.is_some_and(|count: u32| count > 0)
}

pub(crate) fn url(value: &Value<'_>) -> Option<Match> {
    if value.count(Class::Dot) == 0 {
        return None;
    }
    let text = value.text;
    let spaced = value.count(Class::Space) > 0;
    let start = if value.count(Class::Colon) > 0 && value.count(Class::Slash) > 1 {
        text.match_indices(':')
            .filter(|(at, _)| text[*at..].starts_with("://"))
            .find_map(|(at, _)| scheme_before(text, at))
    } else {
        None
    };
    let web = |piece: &str| {
        let host = piece
            .strip_prefix("www.")
            .and_then(|rest| rest.split(['/', '?', ':']).next());
        host.is_some_and(|host| is_host(host.as_bytes()))
    };
    match start {
        Some(0) if !spaced => Some(Match::whole(Grade::Strong)),
        Some(_) => Some(Match::within(Grade::Strong)),
        None if web(text) && !spaced => Some(Match::whole(Grade::Strong)),
        None => None,
    }
}

/// Where the scheme before `://` begins, if it is known and a host follows.
fn scheme_before(text: &str, at: usize) -> Option<usize> {
    let letters = text.as_bytes()[..at].iter().rev();
    let length = letters
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'+')
        .count();
    let scheme = &text[at - length..at];
    let transport = scheme.rsplit('+').next().unwrap_or(scheme);
    let known = SCHEMES
        .iter()
        .any(|known| transport.eq_ignore_ascii_case(known));
    let host = text.as_bytes().get(at + 3).copied();
    let host =
        host.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'[');
    (known && host).then_some(at - length)
}

pub(crate) fn ip_address(value: &Value<'_>) -> Option<Match> {
    let (dots, colons) = (value.count(Class::Dot), value.count(Class::Colon));
    if dots < 3 && colons < 2 {
        return None;
    }
    if value.count(Class::Space) == 0
        && let Some(grade) = address_in(value.text)
    {
        return Some(Match::whole(grade));
    }
    let mut pieces = value.pieces(7);
    pieces
        .find_map(|piece| address_in(piece.trim_end_matches(['.', ':'])))
        .map(Match::within)
}

/// The grade of an address with an optional port, prefix length or zone.
fn address_in(text: &str) -> Option<Grade> {
    let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
    if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let bracketed = address
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    let address = bracketed.map_or(address, |(inside, _)| inside);
    let address = address.split('%').next().unwrap_or(address);
    let host = match address.split_once(':') {
        Some((host, port)) if !port.contains(':') && port.parse::<u16>().is_ok() => host,
        _ => address,
    };
    match host.parse().ok()? {
        IpAddr::V4(address) if address.octets()[0] == 255 => None,
        IpAddr::V4(address) => Some(grade_v4(address)),
        IpAddr::V6(_) if host.split(':').all(|group| group.len() == 2) => None,
        IpAddr::V6(address) => Some(grade_v6(address, host)),
    }
}

/// Four small numbers may be a version; a private range or two larger ones hardly.
fn grade_v4(address: Ipv4Addr) -> Grade {
    let octets = address.octets();
    let large = octets.iter().filter(|&&octet| octet >= 32).count();
    let local = address.is_private() || address.is_loopback();
    match large {
        _ if octets[0] == 0 => Grade::Weak,
        2.. => Grade::Strong,
        1 => Grade::Fair,
        _ if local => Grade::Fair,
        _ => Grade::Weak,
    }
}

/// `a::b` may be a name in a program; three groups or more are an address.
fn grade_v6(address: Ipv6Addr, text: &str) -> Grade {
    let groups = text.split(':').filter(|group| !group.is_empty()).count();
    if groups >= 3 || address.is_loopback() {
        Grade::Strong
    } else {
        Grade::Weak
    }
}

/// Six pairs with one separator, or three groups of four with dots.
pub(crate) fn mac_address(value: &Value<'_>) -> Option<Match> {
    let bytes = value.text.as_bytes();
    if !matches!(bytes.len(), 14 | 17) {
        return None;
    }
    let (width, separators): (usize, &[u8]) = if bytes.len() == 14 {
        (4, b".")
    } else {
        (2, b":-")
    };
    let separator = bytes[width];
    let fits = bytes.iter().enumerate().all(|(at, byte)| {
        if at % (width + 1) == width {
            *byte == separator
        } else {
            byte.is_ascii_hexdigit()
        }
    });
    (fits && separators.contains(&separator)).then_some(Match::whole(Grade::Strong))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Extent::{self, Whole, Within};

    fn extent(inspect: fn(&Value<'_>) -> Option<Match>, text: &str) -> Option<Extent> {
        Some(inspect(&Value::new(text)?)?.extent)
    }

    #[test]
    fn emails() {
        let check = |text: &str, expected: Option<Extent>| {
            assert_eq!(extent(email, text), expected, "{text}");
        };
        for whole in [
            "a@b.co",
            "team+python@tracker.debian.org",
            "o'neil_x@sub.example.museum",
            "<doko@debian.org>",
            "mailto:x@example.com",
            "jörg@müller.de",
            "用户@例子.中国",
            "x@xn--80ak6aa92e.com",
            "x@example.xn--p1ai",
        ] {
            check(whole, Some(Whole));
        }
        for within in [
            "Matthias Klose <doko@debian.org>",
            "write to bob@example.com.",
            "a@b.co, c@d.org",
            "Email: bob@example.com",
            "bob@example.com: hello",
        ] {
            check(within, Some(Within));
        }
        for other in [
            "@types/node.js",
            "foo@1.2.3",
            "foo@latest",
            "icon@2x.png",
            "git@github.com:org/repo.git",
            "https://user@example.com/x",
            "https://u:pw@example.com",
            "x@localhost",
            "a@b..com",
            "a.@b.com",
            "@.",
            "x@-a.com",
            "a b@c d.e",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn urls() {
        let check = |text: &str, expected: Option<Extent>| {
            assert_eq!(extent(url, text), expected, "{text}");
        };
        check("https://example.com/a?b=c#d", Some(Whole));
        check("HTTP://EXAMPLE.COM", Some(Whole));
        check("git+https://example.com/x.git", Some(Whole));
        check("www.example.com/x", Some(Whole));
        check("http://[2001:db8::1]/x.y", Some(Whole));
        check("see https://example.com.", Some(Within));
        check("(http://a.b)", Some(Within));
        check("example.com", None);
        check("foo://bar.baz", None);
        check("http://", None);
        check("https:// .", None);
        check("12:30 1.5 // x", None);
    }

    #[test]
    fn addresses_of_machines() {
        let check = |text: &str, expected: Option<Match>| {
            let value = Value::new(text).expect("has text");
            assert_eq!(ip_address(&value), expected, "{text}");
        };
        check("203.0.113.95", Some(Match::whole(Grade::Strong)));
        check("192.168.1.1:8080", Some(Match::whole(Grade::Strong)));
        check("10.0.0.1", Some(Match::whole(Grade::Fair)));
        check("198.51.100.0/24", Some(Match::whole(Grade::Strong)));
        check("1.2.3.4", Some(Match::whole(Grade::Weak)));
        check("2001:db8::8a2e:370:7334", Some(Match::whole(Grade::Strong)));
        check("[fe80::1:2%eth0]:443", Some(Match::whole(Grade::Strong)));
        check("::1", Some(Match::whole(Grade::Strong)));
        check(
            "from 203.0.113.95 port 22",
            Some(Match::within(Grade::Strong)),
        );
        for other in [
            "256.1.1.1",
            "1.2.3",
            "1.2.3.4.5",
            "115.0.5790.110",
            "01.02.03.04",
            "12:30:45",
            "00:1B:44:11:3A:B7",
            "50:01:43:80:ab:cd:ef:01",
            "255.255.255.0",
            "255.255.255.255",
            "std::vector::x",
            "1.2.3.4-5",
            "1.2.3.4/x",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn cards_of_networks() {
        let fits = |text: &str| mac_address(&Value::new(text).expect("has text")).is_some();
        for text in ["00:1B:44:11:3A:B7", "00-1b-44-11-3a-b7", "001b.4411.3ab7"] {
            assert!(fits(text), "{text}");
        }
        for text in [
            "00:1B:44:11:3A",
            "00:1B-44:11:3A:B7",
            "00:1B:44:11:3A:G7",
            "12:30:45:00:00:00:0",
        ] {
            assert!(!fits(text), "{text}");
        }
    }
}
