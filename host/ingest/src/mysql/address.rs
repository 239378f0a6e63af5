//! Where a MySQL or MariaDB server is: the connection text, read once, and how a connection is opened.
//!
//! `mysql://` and `mariadb://` mean the same. The driver reads the rest, except `ssl-ca`, a file of
//! certificates that `verify-full` trusts beside the public ones. Nothing said here quotes the text, since
//! any part of a wrong one may be the password.

use std::{path::PathBuf, time::Duration};

use mysql_async::{Conn, DriverError, Error, Opts, OptsBuilder, SslOpts, UrlError};

use super::fault::fault;
use crate::{Dsn, IngestError, TlsMode, redact_dsn};

/// Most bytes of one row. The driver gives up on a longer one before it holds it.
pub(super) const MAX_ROW_BYTES: usize = 64 << 20;

const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Seconds without a word after which the server may hang up: the driver only has to be told some.
const IDLE_SECONDS: usize = 28_800;

const FORM: &str = "write it as mysql://user:password@host:3306/database, with `%40` for `@`, `%3A` for `:`, \
                    `%2F` for `/`, `%3F` for `?` and `%23` for `#` inside user and password";
const PARAMETERS: &str =
    "known are `socket`, `ssl-ca`, `compression`, `require_ssl`, `verify_ca` and `verify_identity`";

/// A server and how to get in.
pub(super) struct Address {
    opts: Opts,
    /// Without TLS, where it is only preferred.
    plain: Option<Opts>,
    /// For a person.
    host: String,
}

impl Address {
    /// Reads a connection text.
    pub(super) fn parse(dsn: &Dsn, tls: TlsMode) -> Result<Self, IngestError> {
        let (url, roots) = split(dsn.expose())?;
        let opts = Opts::from_url(&url).map_err(|error| bad_url(&error))?;
        let host = match opts.socket() {
            Some(socket) => socket.to_owned(),
            None => format!("{}:{}", opts.ip_or_hostname(), opts.tcp_port()),
        };
        let builder = OptsBuilder::from_opts(opts.clone())
            .prefer_socket(Some(false))
            .tcp_keepalive(Some(KEEPALIVE))
            .wait_timeout(Some(IDLE_SECONDS))
            .max_allowed_packet(Some(MAX_ROW_BYTES));
        let plain = Opts::from(builder.clone().ssl_opts(None));
        let secured = |ssl: SslOpts| {
            let roots = roots.iter().cloned().map(Into::into).collect();
            Opts::from(builder.clone().ssl_opts(Some(ssl.with_root_certs(roots))))
        };
        let blind = || {
            SslOpts::default()
                .with_danger_accept_invalid_certs(true)
                .with_danger_skip_domain_validation(true)
        };
        let (opts, plain) = match (tls, opts.socket().is_some()) {
            (TlsMode::Require | TlsMode::VerifyFull, true) => {
                return Err(bad(
                    "TLS is not spoken over a Unix socket",
                    "give host and port, or no `tls`",
                ));
            }
            (TlsMode::Disable, _) | (TlsMode::Prefer, true) => (plain, None),
            (TlsMode::Prefer, false) => match opts.ssl_opts().cloned() {
                Some(asked) => (secured(asked), None),
                None => (secured(blind()), Some(plain)),
            },
            (TlsMode::Require, false) => (secured(blind()), None),
            (TlsMode::VerifyFull, false) => (secured(SslOpts::default()), None),
        };
        Ok(Self { opts, plain, host })
    }

    /// Whether a connection text names a Unix socket or a file of certificates.
    pub(super) fn uses_this_machine(dsn: &Dsn) -> bool {
        split(dsn.expose()).is_ok_and(|(url, roots)| {
            let is_socket = Opts::from_url(&url).is_ok_and(|opts| opts.socket().is_some());
            is_socket || !roots.is_empty()
        })
    }

    /// Opens a connection.
    pub(super) async fn open(&self) -> Result<Conn, IngestError> {
        match self.attempt(&self.opts).await {
            Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) => match &self.plain {
                Some(plain) => self.attempt(plain).await,
                None => return Err(IngestError::no_tls()),
            },
            other => other,
        }
        .map_err(|error| self.refused(error))
    }

    async fn attempt(&self, opts: &Opts) -> Result<Conn, Error> {
        match tokio::time::timeout(CONNECT_PATIENCE, Conn::new(opts.clone())).await {
            Ok(opened) => opened,
            Err(_) => {
                let late = format!("no answer within {} seconds", CONNECT_PATIENCE.as_secs());
                Err(Error::from(std::io::Error::other(late)))
            }
        }
    }

    fn refused(&self, error: Error) -> IngestError {
        match fault(error) {
            IngestError::Source { reason } | IngestError::BadQuery { reason } => {
                self.unreachable(&reason)
            }
            // The database of the connection text is not there: nothing was asked of it yet.
            IngestError::NoSuchTable { what } => IngestError::Denied {
                reason: format!("there is no {what}"),
            },
            other => other,
        }
    }

    fn unreachable(&self, reason: &str) -> IngestError {
        IngestError::Connect {
            host: self.host.clone(),
            reason: redact_dsn(reason),
        }
    }
}

/// The text as the driver takes it, and the files of `ssl-ca`.
fn split(text: &str) -> Result<(String, Vec<PathBuf>), IngestError> {
    let rest = ["mysql://", "mariadb://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .ok_or_else(|| {
            bad(
                "it begins neither with `mysql://` nor with `mariadb://`",
                FORM,
            )
        })?;
    let (address, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    // Read on, a part of the password would be taken for the host, and named in errors.
    if address.matches('@').count() > 1 || parameters.contains('@') || rest.contains('#') {
        return Err(bad(
            "it holds more than one `@`, or a `#`",
            "percent-encode user and password: `@` is %40, `#` is %23, `?` is %3F, `/` is %2F",
        ));
    }
    let (roots, others): (Vec<&str>, Vec<&str>) = parameters
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .partition(|parameter| parameter.starts_with("ssl-ca="));
    let roots = roots
        .iter()
        .filter_map(|root| root.split_once('='))
        .map(|(_, path)| PathBuf::from(path))
        .collect();
    Ok((format!("mysql://{address}?{}", others.join("&")), roots))
}

fn bad_url(error: &UrlError) -> IngestError {
    match error {
        UrlError::UnknownParameter { .. } => {
            bad("it has a parameter that is not known", PARAMETERS)
        }
        UrlError::InvalidParamValue { .. } => {
            bad("a parameter of it has a value that cannot be", PARAMETERS)
        }
        _ => bad("it is not an address", FORM),
    }
}

fn bad(problem: &str, cure: &str) -> IngestError {
    IngestError::BadDsn {
        problem: problem.to_owned(),
        cure: cure.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let said = match Address::parse(&Dsn::new(text), TlsMode::Prefer) {
            Ok(address) => address.host.clone(),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(expected), "{text}: {said}");
        assert!(!said.contains("hunter"), "{said}");
    }

    #[test]
    fn both_schemes_name_a_server_and_wrong_texts_say_the_cure_but_not_the_secret() {
        check("mysql://me:hunter2@db:3307/shop", "db:3307");
        check("mariadb://me:hunter%402@db/shop", "db:3306");
        for password in [
            "hunter@2/x",
            "hunter@2",
            "hunter2#x",
            "x@hunter/p:w",
            "x#hunter/p",
            "x?@hunter",
        ] {
            check(&format!("mysql://me:{password}@db/shop"), "percent-encode");
        }
        check("mysql://me@db/shop?socket=%2Frun%2Fmy.sock", "/run/my.sock");
        check("mysql://me@db/shop?ssl-ca=/etc/ca.pem", "db:3306");
        check("me:hunter2@db/shop", "begins neither");
        check("postgres://me:hunter2@db/shop", "begins neither");
        check("mysql://me:hunter2", "not an address");
        check("mysql://me:hunter2@[db/shop", "not an address");
        check("mysql://me:1?hunter2@db/shop", "percent-encode");
        check(
            "mysql://db/shop?compression=hunter2",
            "value that cannot be",
        );
        check("", "mysql://user:password@host");
    }

    #[test]
    fn a_socket_has_no_tls_to_require() {
        let dsn = Dsn::new("mysql://me@db/shop?socket=/run/my.sock");
        for (tls, works) in [
            (TlsMode::Disable, true),
            (TlsMode::Prefer, true),
            (TlsMode::Require, false),
            (TlsMode::VerifyFull, false),
        ] {
            assert_eq!(Address::parse(&dsn, tls).is_ok(), works, "{tls:?}");
        }
    }

    #[test]
    fn certificates_go_unchecked_only_where_that_was_asked_for() {
        let dsn = Dsn::new("mysql://me@db/shop?ssl-ca=/etc/ca.pem");
        let blind = |tls| {
            let address = Address::parse(&dsn, tls).unwrap();
            let ssl = address.opts.ssl_opts().cloned();
            let roots = ssl.as_ref().map(|ssl| ssl.root_certs().len());
            (
                ssl.map(|ssl| ssl.accept_invalid_certs()),
                roots,
                address.plain.is_some(),
            )
        };
        assert_eq!(blind(TlsMode::Disable), (None, None, false));
        assert_eq!(blind(TlsMode::Prefer), (Some(true), Some(1), true));
        assert_eq!(blind(TlsMode::Require), (Some(true), Some(1), false));
        assert_eq!(blind(TlsMode::VerifyFull), (Some(false), Some(1), false));
    }
}
