//! How a command reaches a host.

use crate::{
    cli::CliError,
    client::Client,
    config::{Config, Environment},
    host::{Host, holder},
};

/// A client, and the host that was started for it, if any.
pub(crate) struct Connection {
    client: Client,
    host: Option<Host>,
}

impl Connection {
    /// The host at `url`, else the one that holds the data folder, else one in this process.
    pub(crate) async fn open(
        url: Option<&str>,
        mut config: Config,
        environment: &Environment,
    ) -> Result<Self, CliError> {
        let running = url
            .map(str::to_owned)
            .or_else(|| holder(&config.server.data));
        if let Some(url) = running {
            return Ok(Self {
                client: Client::new(&url),
                host: None,
            });
        }
        config.server.port = 0;
        let host = Host::start(config, environment).await?;
        Ok(Self {
            client: Client::new(&host.url()),
            host: Some(host),
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn close(self) {
        if let Some(host) = self.host {
            host.stop().await;
        }
    }
}
