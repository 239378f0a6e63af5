//! `[models]`: where the model server is, and how long it may take.

use std::time::Duration;

use boathouse_models::{AddressError, ServerAddress, ServerLimits, SlotLimits};
use serde::{Deserialize, Serialize, Serializer};

use crate::config::Environment;

/// The variable by which Ollama and its clients know the server.
const OLLAMA_HOST: &str = "OLLAMA_HOST";

/// `[models]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelsConfig {
    /// Address of the model server; `OLLAMA_HOST` when left out, and without that the usual port of this machine.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "without_password"
    )]
    pub ollama_url: Option<String>,
    /// Seconds that loading a model may take, and the vectors of a batch of texts.
    pub load_timeout_secs: u64,
    /// Seconds that may pass between two pieces of an answer.
    pub answer_timeout_secs: u64,
    /// Seconds for which answers that are under way may go on before their model leaves memory.
    pub drain_secs: u64,
}

impl Default for ModelsConfig {
    fn default() -> Self {
        let (server, slot) = (ServerLimits::default(), SlotLimits::default());
        Self {
            ollama_url: None,
            load_timeout_secs: server.load.as_secs(),
            answer_timeout_secs: server.piece.as_secs(),
            drain_secs: slot.drain.as_secs(),
        }
    }
}

impl ModelsConfig {
    /// Where the model server is.
    ///
    /// # Errors
    /// The key or variable that holds no address, and why it is none.
    pub(crate) fn address(
        &self,
        environment: &Environment,
    ) -> Result<ServerAddress, (&'static str, AddressError)> {
        let (place, text) = match (&self.ollama_url, environment.get(OLLAMA_HOST)) {
            (Some(url), _) => ("models.ollama_url", url.as_str()),
            (None, Some(host)) => (OLLAMA_HOST, host.as_str()),
            (None, None) => return Ok(ServerAddress::default()),
        };
        ServerAddress::parse(text).map_err(|error| (place, error))
    }

    /// What must not be zero, with its key.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let durations = [
            ("models.load_timeout_secs", self.load_timeout_secs),
            ("models.answer_timeout_secs", self.answer_timeout_secs),
        ];
        match durations.into_iter().find(|(_, seconds)| *seconds == 0) {
            Some((key, _)) => Err(key),
            None => Ok(()),
        }
    }

    pub(super) fn server_limits(&self) -> ServerLimits {
        let load = Duration::from_secs(self.load_timeout_secs);
        ServerLimits {
            load,
            embed: load,
            piece: Duration::from_secs(self.answer_timeout_secs),
            ..ServerLimits::default()
        }
    }

    pub(super) fn slot_limits(&self) -> SlotLimits {
        SlotLimits {
            drain: Duration::from_secs(self.drain_secs),
            ..SlotLimits::default()
        }
    }
}

/// An address may hold the password of a proxy, which `boathouse config show` does not print.
fn without_password<S: Serializer>(url: &Option<String>, out: S) -> Result<S::Ok, S::Error> {
    let address = url.as_deref().map(ServerAddress::parse);
    match address {
        Some(Ok(address)) => out.collect_str(&address),
        _ => out.serialize_str(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: Option<&str>, host: Option<&str>) -> Result<String, String> {
        let config = ModelsConfig {
            ollama_url: url.map(str::to_owned),
            ..ModelsConfig::default()
        };
        let host = host.map(|host| (OLLAMA_HOST.to_owned(), host.to_owned()));
        let environment = host.into_iter().collect();
        let found = config.address(&environment);
        found
            .map(|address| address.to_string())
            .map_err(|(place, error)| format!("{place}: {error}"))
    }

    #[test]
    fn the_file_wins_over_the_variable_over_the_usual_port() {
        let check = |url, host, expected: &str| {
            assert_eq!(address(url, host), Ok(expected.to_owned()));
        };
        check(None, None, "http://127.0.0.1:11434");
        check(None, Some("gpu-box"), "http://gpu-box:11434");
        check(Some("far:1"), Some("gpu-box"), "http://far:1");
        for (url, host, place) in [
            (Some("ftp://x"), None, "models.ollama_url"),
            (None, Some("ftp://x"), OLLAMA_HOST),
        ] {
            let error = address(url, host).expect_err("no address");
            assert!(error.starts_with(place), "{error}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let config = ModelsConfig {
            ollama_url: Some("https://me:open-sesame@gpu-box".to_owned()),
            ..ModelsConfig::default()
        };
        let shown = serde_json::to_string(&config).expect("json");
        assert!(
            shown.contains("https://gpu-box") && !shown.contains("sesame"),
            "{shown}"
        );
    }

    #[test]
    fn durations_of_nothing_are_refused() {
        let config = ModelsConfig {
            answer_timeout_secs: 0,
            ..ModelsConfig::default()
        };
        assert_eq!(config.check(), Err("models.answer_timeout_secs"));
        assert_eq!(ModelsConfig::default().check(), Ok(()));
    }
}
