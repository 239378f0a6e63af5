//! `[lineage]`: where run events are posted.

use boathouse_storage::SecretRef;
use serde::{Deserialize, Serialize};

/// `[lineage]`; without an endpoint nothing is posted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LineageConfig {
    /// URL that takes OpenLineage events, for example `https://lineage.example.org/api/v1/lineage`.
    pub endpoint: Option<String>,
    /// Where the key is that goes along as `Authorization: Bearer`; read again at every attempt.
    pub api_key: Option<SecretRef>,
    /// Seconds that the endpoint may take to answer.
    pub timeout_secs: u64,
}

impl Default for LineageConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            api_key: None,
            timeout_secs: 10,
        }
    }
}

impl LineageConfig {
    /// What is wrong with it and what to do, as an error's text. Never quotes the endpoint, which may hold what
    /// does not belong there.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.timeout_secs == 0 {
            return Err("timeout_secs must be at least 1".to_owned());
        }
        let Some(endpoint) = &self.endpoint else {
            return match &self.api_key {
                Some(_) => Err("there is an api_key and no endpoint that gets it".to_owned()),
                None => Ok(()),
            };
        };
        let url: reqwest::Url = endpoint
            .parse()
            .map_err(|error| format!("endpoint is not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("endpoint must begin with http:// or https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "endpoint must hold no credentials; name the place of a key with api_key"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let config: LineageConfig = toml::from_str(text).expect("a section");
        let told = config.check().err().unwrap_or_default();
        assert!(told.contains(expected), "`{expected}` in `{told}`");
        assert_eq!(told.is_empty(), expected.is_empty(), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn an_endpoint_is_a_plain_url() {
        check("", "");
        check(
            "endpoint = \"https://x/api/v1/lineage\"\napi_key = \"env:KEY\"",
            "",
        );
        check("endpoint = \"nonsense\"", "not a URL");
        check("endpoint = \"ftp://x/\"", "http://");
        check("endpoint = \"https://me:hunter2@x/\"", "no credentials");
        check("api_key = \"env:KEY\"", "no endpoint");
        check("timeout_secs = 0", "at least 1");
        let plain = toml::from_str::<LineageConfig>("api_key = \"hunter2\"");
        let told = plain.expect_err("a key in the file").to_string();
        assert!(told.contains("env:"), "{told}");
    }
}
