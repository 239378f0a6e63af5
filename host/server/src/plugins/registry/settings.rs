//! Whether plugins take the settings that the configuration gives them, tried once at the start.
//!
//! A plugin reads its settings in its calls only, so a wrong one would show at the first question, perhaps
//! hours later. Here each plugin that has settings gets one ordinary golden question. What it has against
//! them goes to the log, in its own words; it serves all the same, because a plugin never keeps a host from
//! starting, and declines its questions with that text until the configuration is mended. Versions that are
//! activated later are not tried.

use boathouse_plugins::{Plugin, PluginError, golden};
use boathouse_types::PluginKind;

use super::Registry;
use crate::plugins::shadow::locked;

impl Registry {
    /// Tries the settings of everything that is loaded.
    pub(super) async fn try_settings(&self) {
        let is_set = |plugin: &&Plugin| self.settings.contains_key(&plugin.identity().name);
        let set: Vec<Plugin> = locked(&self.loaded)
            .values()
            .filter(is_set)
            .cloned()
            .collect();
        for plugin in set {
            if let Some(why) = refusal(&plugin).await {
                tracing::error!(plugin = %plugin.identity(), why, "the plugin declines an ordinary question under its settings: look at [plugins.settings] of the configuration");
            }
        }
    }
}

/// Why a plugin declines an ordinary question; none when it answers, or fails for another reason.
async fn refusal(plugin: &Plugin) -> Option<String> {
    let answer = match plugin.kind() {
        PluginKind::Proposer => {
            let asked = golden::contexts()
                .into_iter()
                .find(|golden| golden.ordinary)?;
            plugin.propose(&asked.question).await.map(drop)
        }
        PluginKind::Scoring => {
            let asked = golden::journals()
                .into_iter()
                .find(|golden| golden.ordinary)?;
            let golden::Journal { trials, objective } = asked.question;
            plugin.evaluate(&trials, &objective).await.map(drop)
        }
        PluginKind::Pii => {
            let asked = golden::tables()
                .into_iter()
                .find(|golden| golden.ordinary)?;
            plugin.detect(&asked.question).await.map(drop)
        }
    };
    match answer {
        Err(error @ PluginError::Declined { .. }) => Some(error.reason()),
        Ok(()) | Err(_) => None,
    }
}
