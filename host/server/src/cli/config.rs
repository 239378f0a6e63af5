//! `boathouse config check`: whether a host would start with a configuration, and whether the settings in it are taken.
//!
//! The text was read and checked before any command runs. What remains are the settings of plugins, which only the plugins
//! know: those that come with the program are asked one ordinary question each. Whether others are there, and take
//! theirs, only a host can tell, which says so in its log and in `GET /readyz`.

use boathouse_bundle::{ALL, Bundled};
use boathouse_types::PluginKind;

use crate::{
    cli::{CliError, plugin},
    config::Config,
    plugins::PluginId,
};

/// Prints whether the configuration is fine.
pub(super) async fn check(config: &Config) -> Result<(), CliError> {
    for name in config.plugins.settings.keys() {
        let bundled = ALL.iter().find(|bundled| bundled.name == name.as_str());
        match bundled {
            Some(bundled) => check_settings(config, bundled).await?,
            None => check_name(name)?,
        }
    }
    println!("the configuration is fine");
    Ok(())
}

/// That a bundled plugin takes its settings.
async fn check_settings(config: &Config, bundled: &Bundled) -> Result<(), CliError> {
    match plugin::refusal(config, bundled).await? {
        None => Ok(()),
        Some(why) => Err(CliError::Failed(format!(
            "plugins.settings.\"{}\": {why}",
            bundled.name
        ))),
    }
}

/// That there may be a plugin of that name: of the program's own team there are the bundled ones.
fn check_name(name: &str) -> Result<(), CliError> {
    let (team, plugin) = name.split_once('/').unwrap_or((name, ""));
    let bundled: Vec<_> = ALL.iter().map(|bundled| bundled.name).collect();
    if Some(team) == bundled.first().and_then(|name| name.split('/').next()) {
        return Err(CliError::Failed(format!(
            "plugins.settings.\"{name}\": there is no such plugin; with this program come {}",
            bundled.join(", ")
        )));
    }
    if let Err(problem) = PluginId::new(PluginKind::Scoring, team, plugin) {
        return Err(CliError::Failed(format!(
            "plugins.settings.\"{name}\": settings are for a plugin `team/name`; {}",
            problem.detail
        )));
    }
    println!(
        "settings for {name}, which does not come with this program: `GET /readyz` of a host says whether it is there and takes them"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_plugin_can_have_is_refused_with_those_that_there_are() {
        for (name, word) in [
            ("boathouse/parreto", "boathouse/pareto"),
            ("pareto", "team/name"),
            ("Acme/x", "team/name"),
        ] {
            let told = check_name(name).expect_err(name).to_string();
            assert!(told.contains(name) && told.contains(word), "{told}");
        }
        assert!(check_name("acme/scorer").is_ok());
    }
}
