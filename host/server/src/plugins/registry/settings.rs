//! Whether plugins take the settings that the configuration gives them, tried once at the start; and a fingerprint of
//! them, so that it can be told later whether an answer was given under the same ones.
//!
//! A plugin reads its settings in its calls only, so a wrong one would show at the first question, perhaps
//! hours later. Here each plugin that has settings gets one ordinary golden question. What it has against
//! them goes to the log and stands in `GET /readyz`, in its own words; it serves all the same, because a plugin never
//! keeps a host from starting, and declines its questions with that text until the configuration is mended. A version
//! that is to be activated is tried first, and does not begin to serve when it declines them. Settings for a plugin that
//! is not here are named too: it may be misspelt.

use boathouse_plugins::{Plugin, PluginError, golden};
use boathouse_types::PluginKind;
use sha2::{Digest as _, Sha256};

use super::Registry;
use crate::{
    plugins::{State, shadow::locked},
    problem::Problem,
};

/// Digits of a fingerprint of settings; accidents do not hit 64 bits.
const KEPT: usize = 16;

impl Registry {
    /// Fingerprint of the settings of a plugin, in hex; that of none has one too.
    pub(crate) fn settings_digest(&self, name: &str) -> String {
        let mut digest = Sha256::new();
        for (key, value) in self.settings.get(name).into_iter().flatten() {
            for text in [key, value] {
                digest.update((text.len() as u64).to_le_bytes());
                digest.update(text);
            }
        }
        let digits = format!("{:x}", digest.finalize());
        digits.chars().take(KEPT).collect()
    }

    /// Tries the settings of everything that is loaded.
    pub(super) async fn try_settings(&self) {
        for plugin in self.strangers() {
            tracing::warn!(
                plugin,
                "[plugins.settings] of the configuration names a plugin that is not here"
            );
        }
        let is_set = |plugin: &&Plugin| self.settings.contains_key(&plugin.identity().name);
        let set: Vec<Plugin> = locked(&self.loaded)
            .values()
            .filter(is_set)
            .cloned()
            .collect();
        for plugin in set {
            if let Some(why) = refusal(&plugin).await {
                tracing::error!(plugin = %plugin.identity(), why, "the plugin declines an ordinary question under its settings: look at [plugins.settings] of the configuration");
                locked(&self.refusals).insert(plugin.identity().to_string(), why);
            }
        }
    }

    /// That a version takes the settings that there are for it, before it begins to serve.
    ///
    /// # Errors
    /// 422 `settings_declined`.
    pub(crate) async fn check_settings(&self, plugin: &Plugin) -> Result<(), Problem> {
        let (label, name) = (plugin.identity(), &plugin.identity().name);
        if !self.settings.contains_key(name) {
            return Ok(());
        }
        match refusal(plugin).await {
            None => Ok(()),
            Some(why) => Err(Problem::unprocessable(
                "settings_declined",
                format!(
                    "`{label}` declines its settings, `[plugins.settings.\"{name}\"]` of the configuration: {why}; correct them and restart the host"
                ),
            )),
        }
    }

    /// What is wrong with the settings of the configuration: versions that serve and decline theirs, and names of plugins
    /// that are not here.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let refusals = locked(&self.refusals).clone();
        let active = self.versions().into_iter();
        let active = active.filter(|version| version.state == State::Active);
        let declined = active.filter_map(|version| {
            let plugin = format!("{}@{}", version.name, version.version);
            let why = refusals.get(&plugin)?;
            Some(format!("{plugin} declines its settings: {why}"))
        });
        let strangers = self.strangers().into_iter();
        let strangers =
            strangers.map(|name| format!("[plugins.settings] names {name}, which is not here"));
        declined.chain(strangers).collect()
    }

    /// Names that there are settings for and no version of.
    fn strangers(&self) -> Vec<String> {
        let catalogue = self.catalogue();
        let is_here = |name: &&String| catalogue.versions.iter().any(|entry| entry.name == **name);
        let names = self.settings.keys().filter(|name| !is_here(name));
        names.cloned().collect()
    }
}

/// Why a plugin declines an ordinary question; none when it answers, or fails for another reason.
pub(crate) async fn refusal(plugin: &Plugin) -> Option<String> {
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
