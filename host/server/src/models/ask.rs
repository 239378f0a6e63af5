//! A profile's model answers a question from the profile's own indexes.
//!
//! What is wrong with a request is told before anything is done for it; then the profile's model is leased, passages are
//! found, and the model is asked. From there on the answer is told piece by piece: the sources first, then words, at the end
//! which sources the words cite. The lease is held until the answer is over, however that comes about: the model's end, a
//! failure in the middle, a client that goes away, a change of the slot that has waited long enough, the host's stop. As
//! long as it is held the slot does not change hands, and the agent begins no trial.

use std::{sync::Arc, time::Instant};

use axum::http::StatusCode;
use boathouse_models::{
    Answer, AnswerEnd, Lease, ModelName, Piece, ProfileId, Prompt, RunOptions, SlotError,
};
use futures::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    activate::occupy,
    one_more,
    profile::Profile,
    prompt::{self, Passage, Room, Source},
    search::{self, Own, ProfileSearch},
};
use crate::{
    app::App,
    auth::{Caller, Scope},
    problem::Problem,
};

/// Passages that may be looked for.
const MOST_PASSAGES: usize = 50;

/// A question to a profile.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskRequest {
    /// What is asked.
    pub question: String,
    /// One of the profile's indexes to look into; all of them when left out.
    pub index: Option<String>,
    /// How many passages to answer from, 1 to 50; fewer where they do not fit into the context of the model.
    #[serde(default = "five")]
    pub k: usize,
    /// A condition in SQL over the columns of the datasets.
    pub filter: Option<String>,
    /// Activate the profile first when it is not active, which needs the scope `models`.
    #[serde(default)]
    pub activate: bool,
}

fn five() -> usize {
    5
}

/// A source that an answer cites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Citation {
    /// The number by which the answer cites it.
    pub number: usize,
    /// The index.
    pub index: boathouse_types::IndexName,
    /// The document.
    pub id: String,
    /// Row of the dataset.
    pub row: u64,
}

/// A piece of what is told of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Told {
    /// The first: what the model is to answer from.
    Sources {
        /// The profile.
        profile: ProfileId,
        /// The model that answers.
        model: ModelName,
        /// Passages by their numbers.
        sources: Vec<Source>,
    },
    /// Some more words.
    Token {
        /// The words.
        text: String,
    },
    /// The last, when all went well.
    End {
        /// Sources that the answer cites, in the order in which it does.
        citations: Vec<Citation>,
        /// Why it ended: `stop`, or `length` when it was cut off.
        reason: Option<String>,
        /// Tokens of the question, sources among them.
        prompt_tokens: Option<u64>,
        /// Tokens of the answer.
        answer_tokens: Option<u64>,
        /// Milliseconds since the question came.
        took_ms: u64,
    },
    /// The last, when something went wrong.
    Error(Box<Problem>),
}

impl Told {
    /// The name of its event.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sources { .. } => "sources",
            Self::Token { .. } => "token",
            Self::End { .. } => "end",
            Self::Error(_) => "error",
        }
    }
}

/// An answer that is being told.
struct Telling {
    app: Arc<App>,
    lease: Lease,
    answer: Answer,
    sources: Vec<Source>,
    /// The words so far.
    words: String,
    began: Instant,
    stage: Stage,
}

/// What comes next.
enum Stage {
    Sources,
    Words,
    Nothing,
}

/// Asks the model of a profile. What is told then ends with [`Told::End`] or [`Told::Error`]; dropping it ends the answer.
///
/// # Errors
/// 404 for an unknown profile; 403 for an index that is not its own; 409 `profile_not_active` unless it is to be activated,
/// and then as activating; 422 for a question that cannot be asked; 503 when the model server does not answer.
pub(crate) async fn ask(
    app: &Arc<App>,
    caller: &Caller,
    id: &ProfileId,
    request: AskRequest,
) -> Result<impl Stream<Item = Told> + Send + use<>, Problem> {
    let began = Instant::now();
    one_more(&app.models.counts.asked);
    check(&request)?;
    let profile = app.models.profiles.get(id).await?;
    let own = search::within(app, caller, &profile, request.index.as_deref())?;
    let lease = lease(app, caller, &profile, request.activate).await?;
    let passages = passages(app, &profile, &own, &request).await?;
    let room = room(app, &profile, lease.occupant().model.as_str());
    let question = prompt::question(request.question.trim(), passages, room)?;
    let prompt = Prompt {
        model: lease.occupant().model.clone(),
        text: question.text,
        system: profile.system_prompt.clone(),
        options: lease.occupant().options.clone(),
        // As it was loaded.
        keep_alive: None,
    };
    let stopped = lease.stopped();
    let begun = tokio::select! {
        begun = app.models.server.ask(&prompt) => begun?,
        () = stopped.cancelled() => return Err(given_away()),
    };
    let telling = Telling {
        app: Arc::clone(app),
        lease,
        answer: begun,
        sources: question.sources,
        words: String::new(),
        began,
        stage: Stage::Sources,
    };
    Ok(stream::unfold(telling, |telling| telling.next()))
}

fn check(request: &AskRequest) -> Result<(), Problem> {
    if request.question.trim().is_empty() {
        return Err(Problem::field("question", "empty_question", "is empty"));
    }
    if request.k == 0 || request.k > MOST_PASSAGES {
        return Err(Problem::field(
            "k",
            "k_out_of_range",
            format!("is {} and must be 1 to {MOST_PASSAGES}", request.k),
        ));
    }
    Ok(())
}

/// The profile's model, kept in memory for an answer.
async fn lease(
    app: &Arc<App>,
    caller: &Caller,
    profile: &Profile,
    activate: bool,
) -> Result<Lease, Problem> {
    let leased = app.models.slot().lease(profile.id.clone()).await;
    match leased {
        Ok(lease) => Ok(lease),
        Err(SlotError::NotActive { .. } | SlotError::Changing) if activate => {
            if !caller.has(&Scope::Models) {
                return Err(Problem::new(
                    StatusCode::FORBIDDEN,
                    "scope_missing",
                    "activating a profile needs the scope `models`; ask when it is active, or use a key that has it",
                ));
            }
            let _activating = app.models.begin(&profile.id);
            let (activation, _) = occupy(app, profile).await?;
            Ok(activation.lease)
        }
        // It is on its way already.
        Err(SlotError::NotActive { profile }) if app.models.is_coming(&profile) => {
            Err(SlotError::Changing.into())
        }
        Err(SlotError::NotActive { profile }) => Err(Problem::conflict(
            "profile_not_active",
            format!(
                "profile `{profile}` is not active; `POST /vectors/profile/{profile}/activate` (`boathouse profile activate {profile}`) first, or ask with `\"activate\": true` (`--activate`)"
            ),
        )),
        Err(error) => Err(error.into()),
    }
}

/// What the model is to answer from, best first.
async fn passages(
    app: &App,
    profile: &Profile,
    own: &Own,
    request: &AskRequest,
) -> Result<Vec<Passage>, Problem> {
    let wanted = ProfileSearch {
        index: None,
        text: Some(request.question.clone()),
        vector: None,
        k: request.k,
        ef_search: None,
        with: None,
        filter: request.filter.clone(),
    };
    let found = search::passages(app, profile, own, &wanted).await;
    let found = found.map_err(|problem| match problem.code.as_str() {
        "no_known_word" | "cannot_embed" => problem.renamed("text", "question"),
        _ => problem,
    })?;
    let column = |index: &boathouse_types::IndexName| {
        let found = own.indexes.iter().find(|one| one.meta.name == *index);
        found.map_or("", |index| index.meta.text_column.as_str())
    };
    Ok(found
        .into_iter()
        .map(|hit| {
            let column = column(&hit.index);
            Passage::of(hit, column)
        })
        .collect())
}

/// What fits into the context of a model: what its profile asks for, else what the server has loaded it with.
fn room(app: &App, profile: &Profile, model: &str) -> Room {
    let loaded = || {
        let resident = app.models.slot().view().resident;
        let model = resident.into_iter().find(|one| one.name == model)?;
        model.context_length
    };
    Room {
        context: number(&profile.options, "num_ctx").or_else(loaded),
        answer: number(&profile.options, "num_predict"),
        system: profile.system_prompt.as_deref().map_or(0, str::len),
    }
}

/// A positive number among the options.
fn number(options: &RunOptions, name: &str) -> Option<u64> {
    let number = options.0.get(name)?.as_u64();
    number.filter(|number| *number > 0)
}

impl Telling {
    /// What is told next, and what is left then.
    async fn next(mut self) -> Option<(Told, Self)> {
        let told = match self.stage {
            Stage::Nothing => return None,
            Stage::Sources => {
                self.stage = Stage::Words;
                let occupant = self.lease.occupant();
                Told::Sources {
                    profile: occupant.profile.clone(),
                    model: occupant.model.clone(),
                    sources: self.sources.clone(),
                }
            }
            Stage::Words => self.words().await,
        };
        if matches!(told, Told::End { .. } | Told::Error(_)) {
            self.stage = Stage::Nothing;
        }
        Some((told, self))
    }

    async fn words(&mut self) -> Told {
        let stopped: CancellationToken = self.lease.stopped();
        let stopping = self.app.tasks.background().stopping();
        let piece = tokio::select! {
            biased;
            () = stopped.cancelled() => return Told::Error(Box::new(given_away())),
            () = stopping.cancelled() => {
                return Told::Error(Box::new(SlotError::Closed.into()));
            }
            piece = self.answer.next() => piece,
        };
        match piece {
            Some(Ok(Piece::Text(text))) => {
                self.words += &text;
                Told::Token { text }
            }
            Some(Ok(Piece::Done(end))) => self.end(end),
            Some(Err(error)) => Told::Error(Box::new(error.into())),
            None => Told::Error(Box::new(boathouse_models::ServerError::Cut.into())),
        }
    }

    fn end(&self, end: AnswerEnd) -> Told {
        one_more(&self.app.models.counts.answered);
        let cited = prompt::cited(&self.words, self.sources.len());
        let citations = cited.into_iter().map(|number| {
            let source = &self.sources[number - 1];
            Citation {
                number,
                index: source.index.clone(),
                id: source.id.clone(),
                row: source.row,
            }
        });
        Told::End {
            citations: citations.collect(),
            reason: end.reason,
            prompt_tokens: end.prompt_tokens,
            answer_tokens: end.answer_tokens,
            took_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The slot is given to somebody else, and has waited for the answer as long as it may.
fn given_away() -> Problem {
    Problem::conflict(
        "answer_stopped",
        "the GPU slot is given to another profile, which has waited for this answer as long as it may (`[models] drain_secs`); ask again",
    )
}
