//! The hours in which clients ask for something else than before: for two words, where rows have seven, and just for
//! those that what serves finds worst. The evaluation set, which is drawn from rows, shows nothing of it.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Router, body::Body, http::Request};
use boathouse_tuning::EvalSetName;
use serde_json::json;
use tower::ServiceExt as _;

use super::{
    super::queue::Reason,
    judges::Mode,
    world::{Day, FLOOR, WORDS, ends},
};
use crate::{http, live};

/// Questions that clients ask: more than the evaluation set has, so that they can take its place.
const QUESTIONS: usize = 120;
/// Questions at once: as many as find room while they wait to be judged.
const AT_ONCE: usize = 30;
/// Looks after which clients get again what the owner wants.
const LOOKS: usize = 3;

/// A question with its vector.
pub(super) type Question = (String, Vec<f32>);

/// The agent notices, tunes with what they ask, and they get what the owner wants, also after later looks.
pub(super) async fn clients_ask_for_something_else(day: &mut Day) -> Vec<Question> {
    day.without_peaks();
    day.end_peak().await;
    day.until_idle().await;
    let asked = hard_questions(day);
    let before = recall(day, &asked);
    assert!(before < FLOOR, "what serves is good enough: {before}");
    let sets = live_sets(day).await;
    assert!(
        sets.is_empty(),
        "nobody has asked anything so far: {sets:?}"
    );
    ask(day, &asked).await;
    assert!(live::has_drifted(&day.index()), "nobody notices");

    let looks = day.looks();
    day.until_looked(looks).await;
    let memory = day.app.agent.memory.known();
    let look = memory.last_look(&day.name()).expect("a look");
    assert!(look.reasons.contains(&Reason::Drift), "{look:?}");
    check_sets(day).await;
    for _ in 1..LOOKS {
        if recall(day, &asked) < FLOOR {
            let looks = day.looks();
            day.until_looked(looks).await;
        }
    }
    let after = recall(day, &asked);
    assert!(after >= FLOOR, "from {before} to {after}");
    check_duel(day).await;

    // As long as it lasts nobody goes back to what is good for the evaluation set: by what was tried, as nobody proposes
    // anything.
    day.set(Mode::Fails);
    let looks = day.looks();
    day.until_looked(looks).await;
    day.set(Mode::Good);
    day.with_peaks();
    asked
}

/// Mean recall of what serves over questions.
pub(super) fn recall(day: &Day, asked: &[Question]) -> f64 {
    day.recall_of(asked.iter().map(|(_, vector)| vector.as_slice()))
}

/// Identities of what trials were asked that clients have asked.
async fn live_sets(day: &Day) -> BTreeSet<String> {
    let trials = day.trials().await.into_iter();
    let sets = trials.filter_map(|trial| trial.evalset);
    sets.filter(|set| set.starts_with("live@")).collect()
}

/// The trials of a look were asked one draw of what clients ask, and nothing of it is stored.
async fn check_sets(day: &Day) {
    let sets = live_sets(day).await;
    assert_eq!(sets.len(), 1, "{sets:?}");
    let stored = day.index().tuner.eval_sets().list().await;
    let default = EvalSetName::new("default").expect("a name");
    assert_eq!(stored.expect("sets"), [default]);
}

/// What serves has won by what clients ask, and by nothing else.
async fn check_duel(day: &Day) {
    let history = day.index().tuner.promotions().history().await;
    let newest = history.expect("promotions").pop().expect("a promotion");
    let evidence = newest.evidence.expect("a duel");
    let asked = (evidence.live_queries, evidence.queries);
    assert_eq!(asked, (QUESTIONS as u64, QUESTIONS as u64));
}

/// Of all questions of two words those that what serves answers worst.
fn hard_questions(day: &Day) -> Vec<Question> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let pairs = (0..words.len()).flat_map(|at| {
        let (first, others) = (words[at], &words[at + 1..]);
        others.iter().map(move |second| format!("{first} {second}"))
    });
    let texts: Vec<String> = pairs.collect();
    let embedder = day.app.models.embedders.built_in();
    let vectors = embedder.embed(&texts).expect("vectors");
    let mut questions: Vec<_> = texts.into_iter().zip(vectors).collect();
    questions.sort_by_cached_key(|(_, vector)| (day.recall_for(vector) * 10.0).round() as u32);
    questions.truncate(QUESTIONS);
    questions
}

/// Clients ask, and what they got is judged.
async fn ask(day: &Day, questions: &[Question]) {
    live::start(&day.app);
    let router = http::router(Arc::clone(&day.app));
    for some in questions.chunks(AT_ONCE) {
        let judged = || live::counts(&day.index()).judged;
        let all = judged() + some.len() as u64;
        for (text, _) in some {
            search(router.clone(), text).await;
        }
        let are_judged = async {
            while judged() < all {
                tokio::task::yield_now().await;
            }
        };
        ends(are_judged).await;
    }
}

async fn search(router: Router, text: &str) {
    let body = json!({"text": text, "k": 10, "with": []}).to_string();
    let request = Request::post("/vectors/indexes/notes/search")
        .header("content-type", "application/json")
        .body(Body::from(body));
    let answer = router.oneshot(request.expect("a request")).await;
    let status = answer.expect("an answer").status();
    assert!(status.is_success(), "{text}: {status}");
}
