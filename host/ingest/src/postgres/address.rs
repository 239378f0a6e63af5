//! What a connection text says: hosts, user, database, and how the connection is to be protected.
//!
//! Both forms of libpq are taken, URL and `key=value`. `sslmode` and `sslrootcert` are read here, because they
//! have more values there than the client library knows; the rest is the library's. A request that names a
//! protection wins over the text; one that leaves it at `prefer` takes what the text says. Errors never quote
//! the text, not even the word at fault: in a text that is cut up wrongly that word may be half a password.
//! Environment variables and password files of libpq are not looked at.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use crate::{Dsn, IngestError, TlsMode};

const PORT: u16 = 5432;

/// How long a host may take to answer and to let us in, unless the text says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

const FORM: &str = "write postgres://user:password@host:5432/database with special characters percent-encoded, \
                    or host=… user=… password=… dbname=… with blanks inside single quotes";

/// Where a database is and how to get in.
pub(super) struct Address {
    /// User, password, database and options, for the library. Its own protection is off: ours lies below.
    pub(super) login: Config,
    /// Where the server may be, in the order to try.
    pub(super) endpoints: Vec<Endpoint>,
    /// How the connection is protected.
    pub(super) tls: TlsMode,
    /// A file of certificates to trust in place of the system's.
    pub(super) root_cert: Option<PathBuf>,
    /// How long one endpoint may take.
    pub(super) timeout: Duration,
}

/// One place where the server may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// A host; the name is what its certificate must say.
    Tcp {
        /// Its name, or its address in text.
        name: String,
        /// Its address, where the text gives one beside the name.
        address: Option<IpAddr>,
        /// Its port.
        port: u16,
    },
    /// A socket in a folder of this machine.
    Unix(PathBuf),
}

impl Endpoint {
    /// For messages: host and port.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Tcp { name, port, .. } if name.contains(':') => format!("[{name}]:{port}"),
            Self::Tcp { name, port, .. } => format!("{name}:{port}"),
            Self::Unix(path) => path.display().to_string(),
        }
    }
}

impl Address {
    /// Reads a connection text; `asked` is the protection that the request names.
    pub(super) fn parse(dsn: &Dsn, asked: TlsMode) -> Result<Self, IngestError> {
        let text = dsn.expose();
        let (rest, own) = match is_url(text)? {
            true => split_url(text)?,
            false => split_pairs(text)?,
        };
        let mut login: Config = rest.parse().map_err(|_| {
            bad(
                "it is not understood, or an option in it is unknown or has no such value",
                FORM,
            )
        })?;
        if login.get_user().is_none_or(str::is_empty) {
            return Err(bad("it names no user", FORM));
        }
        if login.get_application_name().is_none() {
            login.application_name("boathouse");
        }
        login.ssl_mode(SslMode::Disable);
        Ok(Self {
            endpoints: endpoints(&login)?,
            tls: own.tls(asked)?,
            // `system` is libpq's word for the roots of the system, which are used anyway.
            root_cert: own
                .root_cert
                .filter(|file| file != "system")
                .map(PathBuf::from),
            timeout: login
                .get_connect_timeout()
                .copied()
                .unwrap_or(CONNECT_TIMEOUT),
            login,
        })
    }
}

/// What is read here and not by the library.
#[derive(Default)]
struct Own {
    mode: Option<String>,
    root_cert: Option<String>,
}

impl Own {
    /// Takes an option that is ours.
    fn take(&mut self, key: &str, value: &str) -> bool {
        match key {
            "sslmode" => self.mode = Some(value.to_owned()),
            "sslrootcert" => self.root_cert = Some(value.to_owned()),
            _ => return false,
        }
        true
    }

    fn tls(&self, asked: TlsMode) -> Result<TlsMode, IngestError> {
        let said = match self.mode.as_deref() {
            None => TlsMode::Prefer,
            Some("disable") => TlsMode::Disable,
            Some("allow" | "prefer") => TlsMode::Prefer,
            Some("require") => TlsMode::Require,
            // The stricter one: a certificate that is checked at all is checked for its host too.
            Some("verify-ca" | "verify-full") => TlsMode::VerifyFull,
            Some(_) => {
                return Err(bad(
                    "its `sslmode` is none of disable, prefer, require and verify-full",
                    "correct it",
                ));
            }
        };
        Ok(if asked == TlsMode::Prefer {
            said
        } else {
            asked
        })
    }
}

fn bad(problem: &str, cure: &str) -> IngestError {
    IngestError::BadDsn {
        problem: problem.to_owned(),
        cure: cure.to_owned(),
    }
}

fn is_url(text: &str) -> Result<bool, IngestError> {
    if text.is_empty() {
        return Err(bad("it is empty", FORM));
    }
    if text.contains('\0') {
        return Err(bad("it holds a zero byte", FORM));
    }
    if ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
    {
        return Ok(true);
    }
    let scheme = text.split("://").next().unwrap_or_default();
    if scheme.len() < text.len()
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '+')
    {
        return Err(bad("it is the address of another kind of server", FORM));
    }
    if !text.contains('=') {
        return Err(bad("it is neither a URL nor a list of key=value", FORM));
    }
    Ok(false)
}

/// Takes our options out of a URL.
fn split_url(text: &str) -> Result<(String, Own), IngestError> {
    let (base, query) = text.split_once('?').unwrap_or((text, ""));
    if base.matches('@').count() > 1 || query.contains('@') {
        return Err(bad(
            "it holds more than one `@`",
            "percent-encode user and password: `@` is %40, `?` is %3F, `/` is %2F",
        ));
    }
    let mut own = Own::default();
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !own.take(key, &percent_decoded(value)?) {
            kept.push(pair);
        }
    }
    let rest = match kept.is_empty() {
        true => base.to_owned(),
        false => format!("{base}?{}", kept.join("&")),
    };
    Ok((rest, own))
}

fn percent_decoded(text: &str) -> Result<String, IngestError> {
    let wrong = || {
        bad(
            "a `%` in it is not followed by two digits of hexadecimal",
            FORM,
        )
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|d| char::from(d).to_digit(16));
        let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// Takes our options out of a list of key=value, where values may stand in single quotes and a backslash
/// keeps the next character.
fn split_pairs(text: &str) -> Result<(String, Own), IngestError> {
    let mut own = Own::default();
    let mut kept = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest
            .split_once('=')
            .ok_or_else(|| bad("a word in it is no key=value", FORM))?;
        let (value, after) = pair_value(after.trim_start())
            .ok_or_else(|| bad("a quote in it is not closed", FORM))?;
        if !own.take(key.trim_end(), &value) {
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            kept.push(format!("{}='{value}'", key.trim_end()));
        }
        rest = after.trim_start();
    }
    Ok((kept.join(" "), own))
}

/// The value at the start of a text, and what follows it.
fn pair_value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            c if c.is_whitespace() && !quoted => return Some((value, &text[at..])),
            c => value.push(c),
        }
    }
    (!quoted).then_some((value, ""))
}

fn endpoints(login: &Config) -> Result<Vec<Endpoint>, IngestError> {
    let (hosts, addresses, ports) = (login.get_hosts(), login.get_hostaddrs(), login.get_ports());
    let count = hosts.len().max(addresses.len());
    if count == 0 {
        return Err(bad("it names no host", FORM));
    }
    let matches = |length: usize| length == 0 || length == count;
    if !matches(hosts.len())
        || !matches(addresses.len())
        || ports.len() > 1 && !matches(ports.len())
    {
        return Err(bad(
            "it names different numbers of hosts, addresses and ports",
            "give each host its port, or all the same one",
        ));
    }
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
    let endpoint = |at: usize| {
        let address = addresses.get(at).copied();
        match (hosts.get(at), address) {
            (Some(Host::Unix(folder)), _) => socket_in(folder, port(at)),
            (Some(Host::Tcp(name)), _) => Endpoint::Tcp {
                name: name.clone(),
                address,
                port: port(at),
            },
            (None, address) => Endpoint::Tcp {
                name: address
                    .map(|address| address.to_string())
                    .unwrap_or_default(),
                address,
                port: port(at),
            },
        }
    };
    Ok((0..count).map(endpoint).collect())
}

fn socket_in(folder: &Path, port: u16) -> Endpoint {
    Endpoint::Unix(folder.join(format!(".s.PGSQL.{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, IngestError> {
        Address::parse(&Dsn::new(text), TlsMode::Prefer)
    }

    fn shown(text: &str) -> Vec<String> {
        let address = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        address.endpoints.iter().map(Endpoint::shown).collect()
    }

    #[test]
    fn both_forms_name_hosts_in_order() {
        assert_eq!(shown("postgres://u@h/d"), ["h:5432"]);
        assert_eq!(shown("postgresql://u:p@h:1,i:2/d"), ["h:1", "i:2"]);
        assert_eq!(shown("postgres://u@[::1]:7/d"), ["[::1]:7"]);
        assert_eq!(shown("host=a,b user=u port=9"), ["a:9", "b:9"]);
        assert_eq!(shown("host=/run/pg user=u"), ["/run/pg/.s.PGSQL.5432"]);
        assert_eq!(
            shown("postgres://u@%2Frun%2Fpg/d"),
            ["/run/pg/.s.PGSQL.5432"]
        );
        assert_eq!(shown("hostaddr=10.0.0.1 user=u"), ["10.0.0.1:5432"]);
    }

    #[test]
    fn odd_passwords_arrive_whole() {
        for (text, password) in [
            ("postgres://u:p%40s%3Aw%2F%25@h/d", "p@s:w/%"),
            ("postgres://u:p:q@h/d", "p:q"),
            ("host=h user=u password='it\\'s a \\\\ b'", "it's a \\ b"),
            ("host=h user=u password=a\\ b dbname = d", "a b"),
            ("host=h user=u password=''", ""),
        ] {
            let address = parse(text).unwrap();
            assert_eq!(
                address.login.get_password(),
                Some(password.as_bytes()),
                "{text}"
            );
        }
    }

    #[test]
    fn protection_is_the_texts_unless_the_request_names_one() {
        for (text, asked, expected) in [
            ("postgres://u@h/d", TlsMode::Prefer, TlsMode::Prefer),
            (
                "postgres://u@h/d?sslmode=require",
                TlsMode::Prefer,
                TlsMode::Require,
            ),
            (
                "postgres://u@h/d?sslmode=require",
                TlsMode::Disable,
                TlsMode::Disable,
            ),
            (
                "host=h user=u sslmode=verify-full",
                TlsMode::Prefer,
                TlsMode::VerifyFull,
            ),
            (
                "host=h user=u sslmode='verify-ca'",
                TlsMode::Prefer,
                TlsMode::VerifyFull,
            ),
            (
                "host=h user=u sslmode=disable",
                TlsMode::Require,
                TlsMode::Require,
            ),
        ] {
            let address = Address::parse(&Dsn::new(text), asked).unwrap();
            assert_eq!(address.tls, expected, "{text}");
        }
        let text =
            "postgres://u@h/d?sslrootcert=%2Fa%20b.pem&connect_timeout=3&sslmode=verify-full";
        let address = parse(text).unwrap();
        assert_eq!(address.root_cert, Some(PathBuf::from("/a b.pem")));
        assert_eq!(address.timeout, Duration::from_secs(3));
    }

    #[test]
    fn wrong_forms_are_told_without_the_secret() {
        for text in [
            "",
            "hunter2",
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@@h/d",
            "postgres://u:hunt@er2@h/d",
            "postgres://u:hunter2@h:port/d",
            "postgres://u:hunter2@h/d?hunter2=1",
            "postgres://u:hunter2@h/d?sslmode=hunter2",
            "postgres://u:hunter2@h/d?sslrootcert=%zz",
            "postgres:///d",
            "postgres://h/d",
            "host=h user=u password=my hunter2",
            "host=h user=u password='hunter2",
            "host=h user=u password=a hunter2=b",
            "user=u password=hunter2",
            "host=h password=hunter2",
            "host=a,b,c user=u port=1,2 password=hunter2",
            "host=h user=u port=hunter2",
        ] {
            let Err(error) = parse(text) else {
                panic!("{text} was taken");
            };
            assert!(matches!(error, IngestError::BadDsn { .. }), "{error:?}");
            assert!(
                !format!("{error} {error:?}").contains("hunter2"),
                "{error:?}"
            );
        }
    }
}
