//! Where a model server is, as people write it: the way that Ollama itself reads `OLLAMA_HOST`.
//!
//! `gpu-box`, `gpu-box:8080`, `:8080`, `http://gpu-box/ollama` and `0.0.0.0` are all understood. Without a scheme the
//! port is 11434 where none is given; with one it is the scheme's own. An address to listen on (`0.0.0.0`, `::`) means
//! this machine. User and password may stand in it for a proxy in front; they are never shown.
//!
//! Facts from Ollama's `envconfig/config.go` (`Host`).

use std::fmt;

use reqwest::Url;

/// Where a model server listens when nobody says otherwise.
const DEFAULT_PORT: u16 = 11_434;

/// A text that is no address of a model server. The text may hold a password and is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the address of a model server is written `host`, `host:port` or `http(s)://host[:port][/path]` ({reason})"
)]
pub struct AddressError {
    reason: String,
}

/// The address of a model server.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerAddress {
    url: Url,
}

impl ServerAddress {
    /// Reads an address; an empty text means this machine.
    ///
    /// # Errors
    /// When the text is none, or its scheme is neither `http` nor `https`.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim().trim_matches(['"', '\'']).trim();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
            Some(_) => return Err(refused("the scheme is neither http nor https")),
            None => ("http", text),
        };
        let local = rest.is_empty() || rest.starts_with([':', '/']);
        let rest = if local {
            format!("127.0.0.1{rest}")
        } else {
            rest.to_owned()
        };
        let mut url = Url::parse(&format!("{scheme}://{rest}"))
            .map_err(|error| refused(&error.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused("it has a query or a fragment"));
        }
        if !text.contains("://") && !names_port(&rest) {
            // Only addresses without a host take no port, and this one has a host.
            let _ = url.set_port(Some(DEFAULT_PORT));
        }
        match url.host_str() {
            Some("0.0.0.0") => set_host(&mut url, "127.0.0.1")?,
            Some("[::]") => set_host(&mut url, "[::1]")?,
            Some(_) => {}
            None => return Err(refused("it names no host")),
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self { url })
    }

    /// The address with credentials, for the client.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether the server is on this machine: then no proxy is asked for it, and the GPUs here are its own.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.url
            .host_str()
            .is_some_and(|host| host == "localhost" || host == "[::1]" || host.starts_with("127."))
    }
}

impl Default for ServerAddress {
    /// The usual port on this machine.
    fn default() -> Self {
        #[expect(
            clippy::unwrap_used,
            reason = "a constant that the tests of this file read"
        )]
        Self::parse("").unwrap()
    }
}

/// Without credentials.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (self.url.scheme(), self.url.host_str().unwrap_or_default());
        write!(f, "{scheme}://{host}")?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.url.path().trim_end_matches('/'))
    }
}

impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerAddress({self})")
    }
}

fn refused(reason: &str) -> AddressError {
    AddressError {
        reason: reason.to_owned(),
    }
}

fn set_host(url: &mut Url, host: &str) -> Result<(), AddressError> {
    url.set_host(Some(host))
        .map_err(|error| refused(&error.to_string()))
}

/// Whether a port is written, also one that the scheme has anyway, which [`Url`] forgets.
fn names_port(rest: &str) -> bool {
    Url::parse(&format!("any://{rest}")).is_ok_and(|url| url.port().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let address = ServerAddress::parse(text).ok();
        let shown = address.map(|address| address.to_string());
        assert_eq!(shown.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn addresses_are_read_as_the_server_reads_them() {
        check("", Some("http://127.0.0.1:11434"));
        check(" 'gpu-box' ", Some("http://gpu-box:11434"));
        check("gpu-box:80", Some("http://gpu-box"));
        check("gpu-box:8080", Some("http://gpu-box:8080"));
        check(":8080", Some("http://127.0.0.1:8080"));
        check("0.0.0.0", Some("http://127.0.0.1:11434"));
        check("[::]:5000", Some("http://[::1]:5000"));
        check("http://gpu-box", Some("http://gpu-box"));
        check("https://gpu-box/ollama", Some("https://gpu-box/ollama"));
        check("gpu-box/ollama/", Some("http://gpu-box:11434/ollama"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["ftp://gpu-box", "gpu box", "gpu-box:none", "gpu-box?x=1"] {
            check(text, None);
        }
    }

    #[test]
    fn a_password_is_used_and_never_shown() {
        let address = ServerAddress::parse("https://me:open-sesame@gpu-box").unwrap();
        assert_eq!(address.url().password(), Some("open-sesame"));
        for shown in [address.to_string(), format!("{address:?}")] {
            assert!(
                shown.contains("gpu-box") && !shown.contains("sesame"),
                "{shown}"
            );
        }
        let error = ServerAddress::parse("http://me:open-sesame@/").unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("sesame"),
            "{error:?}"
        );
    }

    #[test]
    fn what_answers_on_this_machine_is_known() {
        let local = |text: &str| ServerAddress::parse(text).unwrap().is_local();
        assert!(local("") && local("localhost:1") && local("[::1]") && local("0.0.0.0"));
        assert!(!local("gpu-box") && !local("10.0.0.1"));
    }
}
