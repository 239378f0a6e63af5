//! The endpoint, and what its answers mean.
//!
//! A redirection is not followed: it would take the key somewhere that nobody named. What an answer says beyond
//! its status is not read.

use std::time::Duration;

use boathouse_ingest::{RunEvent, redact_dsn};
use boathouse_storage::SecretRef;
use reqwest::{Client, StatusCode, Url, redirect::Policy};

use super::{LineageConfig, LineageError};
use crate::config::Environment;

/// Where events go.
pub(super) struct Endpoint {
    url: Url,
    api_key: Option<SecretRef>,
    environment: Environment,
    http: Client,
}

/// What became of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The endpoint has it.
    Taken,
    /// The endpoint does not want it.
    Refused(String),
    /// It may be taken later.
    Away(String),
}

impl Endpoint {
    /// The endpoint that is configured, if one is.
    pub(super) fn open(
        config: &LineageConfig,
        environment: &Environment,
    ) -> Result<Option<Self>, LineageError> {
        let Some(url) = &config.endpoint else {
            return Ok(None);
        };
        let wrong = |problem: &dyn std::fmt::Display| LineageError::Endpoint(problem.to_string());
        config.check().map_err(|problem| wrong(&problem))?;
        let client = Client::builder()
            .timeout(Duration::from_secs(config.timeout_secs))
            .redirect(Policy::none());
        Ok(Some(Self {
            url: url.parse().map_err(|error| wrong(&error))?,
            api_key: config.api_key.clone(),
            environment: environment.clone(),
            http: client.build().map_err(|error| wrong(&error))?,
        }))
    }

    /// The URL without what may be a secret in it.
    pub(super) fn shown(&self) -> String {
        redact_dsn(self.url.as_str())
    }

    /// Posts one event; never fails, and never takes longer than the time limit.
    pub(super) async fn post(&self, event: &RunEvent) -> Answer {
        let mut request = self.http.post(self.url.clone()).json(event);
        if let Some(reference) = &self.api_key {
            let environment = |name: &str| self.environment.get(name).cloned();
            match reference.resolve(&environment) {
                Ok(key) => request = request.bearer_auth(key),
                Err(error) => return Answer::Away(error.to_string()),
            }
        }
        match request.send().await {
            Ok(response) => meaning(response.status()),
            Err(error) => Answer::Away(redact_dsn(&crate::problem::chain(&error.without_url()))),
        }
    }
}

fn meaning(status: StatusCode) -> Answer {
    let told = format!("the endpoint answered {status}");
    match status {
        _ if status.is_success() => Answer::Taken,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Answer::Away(told),
        _ if status.is_client_error() => Answer::Refused(told),
        _ => Answer::Away(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_by_its_status() {
        for (status, taken, refused) in [
            (200, true, false),
            (201, true, false),
            (204, true, false),
            (307, false, false),
            (400, false, true),
            (401, false, true),
            (408, false, false),
            (422, false, true),
            (429, false, false),
            (500, false, false),
            (503, false, false),
        ] {
            let answer = meaning(StatusCode::from_u16(status).expect("a status"));
            assert_eq!(answer == Answer::Taken, taken, "{status}");
            assert_eq!(matches!(answer, Answer::Refused(_)), refused, "{status}");
        }
    }
}
