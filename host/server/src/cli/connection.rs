//! How a command reaches a host, and what it shows for itself.
//!
//! A key never stands on the command line, where other users of the machine could read it: it comes from
//! a file or a variable. On the machine of the host none is needed by who may read its data folder.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use crate::{
    auth::{Token, read_owner_token},
    cli::CliError,
    client::Client,
    config::{Config, Environment},
    host::{Host, holder},
};

/// The variable that holds a key.
const VARIABLE: &str = "BOATHOUSE_KEY";

/// Where a command goes and with which key.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Target {
    /// Talk to the host at this URL.
    #[arg(long, global = true, value_name = "URL", conflicts_with = "data", value_parser = url)]
    pub(crate) url: Option<String>,
    /// Read the key from this file; otherwise from the variable BOATHOUSE_KEY.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

/// A client, and the host that was started for it, if any.
pub(crate) struct Connection {
    client: Client,
    host: Option<Host>,
}

impl Connection {
    /// The host at the URL, else the one that holds the data folder, else one in this process, which is
    /// said on standard error: whoever meant a host elsewhere should not take this one for it.
    pub(crate) async fn open(
        target: &Target,
        mut config: Config,
        environment: &Environment,
    ) -> Result<Self, CliError> {
        let key = target.key_file.as_deref().map(key_in).transpose()?;
        let folder = config.server.data.clone();
        if let Some(url) = &target.url {
            return Ok(Self::with(url, key.or(key_of(environment)?)));
        }
        if let Some(url) = holder(&folder) {
            let key = match key.or_else(|| read_owner_token(&folder)) {
                Some(key) => Some(key),
                None => key_of(environment)?,
            };
            return Ok(Self::with(&url, key));
        }
        // For this command only, so nobody else need reach it.
        config.server.bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
        config.server.port = 0;
        config.server.tls = None;
        let host = Host::start(config, environment).await?;
        eprintln!(
            "no host holds {}; started one for this command (--url talks to another)",
            folder.display()
        );
        let client = match key {
            Some(key) => Client::new(&host.url()).with_token(key),
            None => host.client(),
        };
        Ok(Self {
            client,
            host: Some(host),
        })
    }

    fn with(url: &str, key: Option<Token>) -> Self {
        let client = Client::new(url);
        Self {
            client: match key {
                Some(key) => client.with_token(key),
                None => client,
            },
            host: None,
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the host was started for this command and stops with it.
    pub(crate) fn has_own_host(&self) -> bool {
        self.host.is_some()
    }

    pub(crate) async fn close(self) {
        if let Some(host) = self.host {
            host.stop().await;
        }
    }
}

/// The URL of a host.
fn url(text: &str) -> Result<String, String> {
    match reqwest::Url::parse(text) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => {
            Ok(text.to_owned())
        }
        _ => {
            Err("write it with scheme, host and port, for example http://127.0.0.1:7700".to_owned())
        }
    }
}

/// The key in a file, blanks around it left out.
fn key_in(file: &Path) -> Result<Token, CliError> {
    let text = std::fs::read_to_string(file).map_err(|source| CliError::Io {
        what: format!("read the key in {}", file.display()),
        source,
    })?;
    Token::parse(text.trim()).ok_or_else(|| {
        CliError::Usage(format!(
            "{} holds no key; it must hold one line `bh_...`",
            file.display()
        ))
    })
}

/// The key in the environment, if there is one.
fn key_of(environment: &Environment) -> Result<Option<Token>, CliError> {
    let text = environment.get(VARIABLE).map(|text| text.trim());
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match Token::parse(text) {
        Some(key) => Ok(Some(key)),
        None => Err(CliError::Usage(format!(
            "the variable {VARIABLE} holds no key; it must be `bh_...`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_and_a_host() {
        for good in [
            "http://127.0.0.1:7700",
            "https://data.example/",
            "http://[::1]:1",
        ] {
            assert_eq!(url(good).as_deref(), Ok(good));
        }
        for bad in [
            "127.0.0.1:7791",
            "localhost:7700",
            "data.example",
            "file:///x",
            "",
        ] {
            assert!(url(bad).expect_err(bad).contains("http://"), "{bad}");
        }
    }

    #[test]
    fn a_key_is_read_from_a_file_or_a_variable_and_nothing_else_is_taken_for_one() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("key");
        let text = format!("bh_{}_{}", "0".repeat(12), "a".repeat(64));
        std::fs::write(&file, format!("{text}\n")).expect("written");
        assert_eq!(key_in(&file).expect("a key").reveal(), text);
        std::fs::write(&file, "secret").expect("written");
        let error = key_in(&file).expect_err("no key").to_string();
        assert!(
            error.contains("bh_") && !error.contains("secret"),
            "{error}"
        );
        let set = |text: &str| Environment::from([(VARIABLE.to_owned(), text.to_owned())]);
        assert_eq!(key_of(&set(" ")).expect("none"), None);
        assert!(key_of(&set(&text)).expect("a key").is_some());
        let error = key_of(&set("secret")).expect_err("no key").to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
