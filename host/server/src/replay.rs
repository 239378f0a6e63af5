//! Proposals of a journal asked again: does the journal follow from the plugins that it names?
//!
//! Each trial that a proposer made is put to the very version that made it, with the question that the
//! journal keeps, and the two proposals stand side by side. A proposal that comes out otherwise has one of
//! three causes, which the report tells apart: the lines before are not those of then, the operator has given the plugin
//! other settings since, or the plugin does not keep its promise that equal questions get equal answers.
//!
//! What a strategy of the host chose (grid, halving) follows from the lines before as well and is chosen again; such a
//! trial is shown as made by `host/grid` or `host/halving`. A baseline and a person's trial follow from nothing.
//!
//! Nothing is changed by looking; the newest trials come first, as many and as long as the bounds allow.

use std::time::{Duration, Instant};

use boathouse_plugins::{Plugin, Proposed};
use boathouse_tuning::{HouseReplay, Question, Replay, settings_of};
use boathouse_types::{HouseStrategy, IndexName, PluginKind, PluginRef, Trial};
use serde::{Deserialize, Serialize};

use crate::{app::App, indexes::LiveIndex, plugins::PluginId, problem::Problem};

/// Time after which no further question is put.
const TIME: Duration = Duration::from_secs(60);

/// The proposals of a journal, asked again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReplayReport {
    /// The index.
    pub index: IndexName,
    /// Trials of its journal that a proposer or a strategy of the host made.
    pub proposed: u64,
    /// Trials that were asked about again and gave the recorded proposal.
    pub equal: u64,
    /// Trials that were asked about again and gave another.
    pub different: u64,
    /// Trials that could not be asked about: no question recorded, the plugin gone, or no answer.
    pub not_asked: u64,
    /// Trials that are not in this report: the oldest, beyond its bounds in number or time.
    pub left_out: u64,
    /// One entry a trial, newest first.
    pub trials: Vec<ReplayedTrial>,
}

/// One trial, asked about again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReplayedTrial {
    /// Its id.
    pub trial: String,
    /// Its line in the journal, counted from 0.
    pub line: u64,
    /// Who proposed it, and was asked again; `host/grid` or `host/halving` for the host itself.
    pub proposed_by: PluginRef,
    /// What came of it.
    pub outcome: ReplayOutcome,
    /// Whether the proposal came out as recorded; none when it was not asked for.
    pub equal: Option<bool>,
    /// The lines before are those of then; none when the journal does not say what was asked.
    pub same_journal: Option<bool>,
    /// The recorded proposal: one value per knob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Vec<u32>>,
    /// What is proposed now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<Proposed>,
    /// Why there is no proposal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What asking again can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplayOutcome {
    /// The recorded proposal.
    Equal,
    /// Another proposal, though the question was the same: the plugin is not deterministic.
    Different,
    /// Another proposal, and the operator has given the plugin other settings since.
    SettingsChanged,
    /// Another proposal, and another journal before it.
    JournalChanged,
    /// The journal does not say what was asked; older hosts did not write it down.
    NotRecorded,
    /// This version of the plugin is not stored any more.
    PluginGone,
    /// The plugin did not answer.
    Failed,
}

/// Asks again about the newest `limit` proposals of an index.
///
/// # Errors
/// When the journal cannot be read.
pub async fn replay(app: &App, index: &LiveIndex, limit: usize) -> Result<ReplayReport, Problem> {
    let trials = index.tuner.journal().read().await?.trials;
    let replay = tokio::task::spawn_blocking(|| Replay::of(trials)).await;
    let replay = replay.map_err(|error| Problem::internal(&error))?;
    let proposed: Vec<usize> = replay.chosen().collect();
    let began = Instant::now();
    let mut rows = Vec::new();
    for &at in proposed.iter().take(limit) {
        if began.elapsed() > TIME {
            break;
        }
        rows.extend(ask_again(app, &replay, at).await?);
    }
    let count = |equal: Option<bool>| rows.iter().filter(|row| row.equal == equal).count() as u64;
    Ok(ReplayReport {
        index: index.meta.name.clone(),
        proposed: proposed.len() as u64,
        equal: count(Some(true)),
        different: count(Some(false)),
        not_asked: count(None),
        left_out: (proposed.len() - rows.len()) as u64,
        trials: rows,
    })
}

/// None for a trial that nobody proposed or chose.
async fn ask_again(
    app: &App,
    replay: &Replay,
    at: usize,
) -> Result<Option<ReplayedTrial>, Problem> {
    let trial = &replay.trials()[at];
    let Some(by) = &trial.proposed_by else {
        let house = replay.house(at);
        return Ok(house.map(|house| chosen_again(trial, at, house)));
    };
    let Some(question) = replay.question(at) else {
        let row = unasked(trial, at, by, ReplayOutcome::NotRecorded);
        return Ok(Some(row));
    };
    let row = match stored(app, by).await {
        Ok(plugin) => {
            let settings = app.plugins.settings_digest(&by.name);
            asked(trial, at, &plugin, question, &settings).await
        }
        Err(gone) if gone.status == 404 || gone.code == "bad_name" => ReplayedTrial {
            same_journal: Some(question.same_journal),
            ..unasked(trial, at, by, ReplayOutcome::PluginGone)
        },
        Err(problem) => ReplayedTrial {
            same_journal: Some(question.same_journal),
            detail: Some(problem.detail),
            ..unasked(trial, at, by, ReplayOutcome::Failed)
        },
    };
    Ok(Some(row))
}

/// What a strategy of the host chooses now.
fn chosen_again(trial: &Trial, at: usize, house: HouseReplay) -> ReplayedTrial {
    let by = PluginRef {
        name: match house.strategy {
            HouseStrategy::Grid => "host/grid",
            HouseStrategy::Halving => "host/halving",
        }
        .to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let outcome = outcome(house.equal, house.same_journal, true);
    ReplayedTrial {
        equal: Some(house.equal),
        same_journal: Some(house.same_journal),
        ..unasked(trial, at, &by, outcome)
    }
}

fn outcome(equal: bool, same_journal: bool, same_settings: bool) -> ReplayOutcome {
    match (equal, same_journal, same_settings) {
        (true, _, _) => ReplayOutcome::Equal,
        (false, false, _) => ReplayOutcome::JournalChanged,
        (false, true, false) => ReplayOutcome::SettingsChanged,
        (false, true, true) => ReplayOutcome::Different,
    }
}

/// The version that made a proposal.
async fn stored(app: &App, by: &PluginRef) -> Result<Plugin, Problem> {
    let (team, name) = by.name.split_once('/').unwrap_or_default();
    let id = PluginId::new(PluginKind::Proposer, team, name)?;
    app.plugins.loaded(&id, &by.version).await
}

/// Asks a plugin whose settings have this fingerprint today.
async fn asked(
    trial: &Trial,
    at: usize,
    plugin: &Plugin,
    question: Question,
    settings: &str,
) -> ReplayedTrial {
    // Older hosts did not write down which they were; then they are taken to be the same.
    let same_settings = question.settings.is_none_or(|of_then| of_then == settings);
    let recorded = settings_of(&trial.config, &question.context);
    let same_journal = question.same_journal;
    let row = unasked(trial, at, plugin.identity(), ReplayOutcome::Failed);
    match plugin.propose(&question.context).await {
        Ok(proposal) => {
            let proposed = Proposed::from(&proposal);
            let equal = recorded.is_some() && proposed.settings() == recorded.as_deref();
            ReplayedTrial {
                outcome: outcome(equal, same_journal, same_settings),
                equal: Some(equal),
                same_journal: Some(same_journal),
                recorded,
                proposed: Some(proposed),
                ..row
            }
        }
        Err(error) => ReplayedTrial {
            same_journal: Some(same_journal),
            recorded,
            detail: Some(error.to_string()),
            ..row
        },
    }
}

fn unasked(trial: &Trial, at: usize, by: &PluginRef, outcome: ReplayOutcome) -> ReplayedTrial {
    ReplayedTrial {
        trial: trial.id.clone(),
        line: at as u64,
        proposed_by: by.clone(),
        outcome,
        equal: None,
        same_journal: None,
        recorded: None,
        proposed: None,
        detail: None,
    }
}
