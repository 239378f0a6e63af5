//! Answers: from what, in which words, citing what, and how they end.

use std::time::Duration;

use boathouse_model_server::{Fault, Route, Settings};
use serde_json::{Value, json};

use crate::support::{
    check_problem,
    models::{Answering, World, names, settings, words},
};

const QUESTION: &str = "a boat on the river carries timber?";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_comes_word_by_word_and_cites_documents() {
    let says = ["Timber ", "goes by ", "river [1] ", "and [2, 9]."];
    let saying = Settings {
        says: says.map(str::to_owned).to_vec(),
        ..settings()
    };
    let world = World::with_indexes(saying, "").await;
    let body = json!({"id": "sailors", "ollama_name": "a", "datasets": ["ships", "bread"],
        "system_prompt": "You are a sailor.", "options": {"num_ctx": 2048}});
    world.profile(&body).await;
    let asked = json!({"question": QUESTION, "k": 3});
    let ask = "/vectors/profile/sailors/ask";
    let refused = world.host.post(ask, &asked).await;
    let words_of = &["sailors", "\"activate\": true"];
    check_problem(refused, 409, "profile_not_active", words_of);
    let asked = json!({"question": QUESTION, "k": 3, "activate": true});
    let events = world.ask("sailors", &asked).await;
    let expected = ["sources", "token", "token", "token", "token", "end"];
    assert_eq!(names(&events), expected);
    assert_eq!(words(&events), says.concat());
    let (sources, end) = (&events[0].1, &events[5].1);
    assert_eq!(sources["model"], "a:latest");
    assert_eq!(sources["sources"].as_array().map(Vec::len), Some(3));
    let first = &sources["sources"][0];
    let place = (&first["number"], &first["index"], &first["id"]);
    assert_eq!(place, (&json!(1), &json!("ships"), &json!("s2")));
    assert_eq!(first["text"], "a boat on the river carries timber");
    assert_eq!(
        (&end["reason"], &end["answer_tokens"]),
        (&json!("stop"), &json!(4))
    );
    check_citations(&world, end).await;
    check_request(&world);
    let metrics = world.host.read("/metrics").await;
    let line = r#"boathouse_questions_total{stage="answered"} 1"#;
    assert!(metrics.as_str().expect("text").contains(line), "{metrics}");
}

/// What is cited are sources, and each leads to its document.
async fn check_citations(world: &World, end: &Value) {
    let cited = end["citations"].as_array().expect("a list");
    let numbers: Vec<&Value> = cited.iter().map(|one| &one["number"]).collect();
    assert_eq!(numbers, [1, 2], "there is no ninth");
    for one in cited {
        let part = |name: &str| one[name].as_str().expect("a text").to_owned();
        let (index, id) = (part("index"), part("id"));
        let place = format!("/vectors/profile/sailors/doc/{index}/{id}");
        assert_eq!(world.host.read(&place).await["row"], one["row"]);
    }
}

/// The model was asked once, with the sources, and always as it was loaded.
fn check_request(world: &World) {
    let calls = world.double().calls();
    let asked: Vec<_> = calls
        .iter()
        .filter(|call| !call.prompt.is_empty())
        .collect();
    assert_eq!(asked.len(), 1);
    let (source, question) = (
        "[1] a boat on the river carries timber",
        format!("Question: {QUESTION}"),
    );
    for words in [source, &question] {
        assert!(asked[0].prompt.contains(words), "{}", asked[0].prompt);
    }
    assert_eq!(asked[0].system, "You are a sailor.");
    let options = json!({"num_ctx": 2048});
    for call in calls.iter().filter(|call| call.model == "a:latest") {
        assert!(call.unloads || call.options == options, "{call:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_ends_the_answer() {
    let endless = Settings {
        words: usize::MAX,
        ..settings()
    };
    let world = World::with_indexes(endless, "").await;
    world.profiles().await;
    world.activate("sailors").await;
    let body = json!({"question": "what ship?"});
    let mut answer = Answering::begin(&world.host, "sailors", &body).await;
    for _ in 0..5 {
        answer.next().await.expect("an event");
    }
    assert_eq!(
        world.host.read("/vectors/profile/active").await["answers"],
        1
    );
    let busy =
        |double: &boathouse_model_server::Double| double.holds().iter().any(|one| one.busy > 0);
    assert!(busy(world.double()), "the model is at it");
    drop(answer);
    world.slot(|slot| slot["answers"] == 0).await;
    world
        .until("the model goes on", |double| !busy(double))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_in_the_middle_is_told_and_harms_nobody() {
    let world = World::with_indexes(
        settings(),
        "load_timeout_secs = 1\nanswer_timeout_secs = 1\n",
    )
    .await;
    world.profiles().await;
    world.activate("sailors").await;
    let (host, double) = (&world.host, world.double());
    let body = json!({"question": "what ship?"});
    for (fault, code) in [
        (Fault::CutAfter(2), "answer_cut"),
        (Fault::ErrorAfter(2), "model_failed"),
    ] {
        double.fail_next(Route::Generate, fault);
        let events = world.ask("sailors", &body).await;
        assert_eq!(
            names(&events),
            ["sources", "token", "token", "error"],
            "{code}"
        );
        assert_eq!(words(&events), "word0 word1 ");
        let problem = &events[3].1;
        assert_eq!(problem["code"], code, "{problem}");
        world.slot(|slot| slot["answers"] == 0).await;
    }
    // Before it begins it is an ordinary refusal.
    for (fault, status, code) in [
        (
            Fault::Status(503, "full".to_owned()),
            503,
            "model_server_busy",
        ),
        (Fault::Status(500, "broken".to_owned()), 502, "model_failed"),
        (
            Fault::Status(418, "teapot".to_owned()),
            422,
            "model_refused",
        ),
        (
            Fault::Hangs(Duration::from_secs(600)),
            503,
            "model_server_slow",
        ),
    ] {
        double.fail_next(Route::Generate, fault);
        let refused = host.post("/vectors/profile/sailors/ask", &body).await;
        check_problem(refused, status, code, &[]);
    }
    double.fail_next(Route::Generate, Fault::Garbage);
    let events = world.ask("sailors", &body).await;
    assert_eq!(names(&events), ["sources", "error"]);
    assert_eq!(events[1].1["code"], "model_server_garbled", "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_anew_ends_the_answer_and_the_slot_goes_on() {
    let endless = Settings {
        words: usize::MAX,
        ..settings()
    };
    let world = World::with_indexes(endless, "").await;
    world.profiles().await;
    world.activate("sailors").await;
    let (host, double) = (&world.host, world.double());
    let body = json!({"question": "what ship?"});
    let mut answer = Answering::begin(host, "sailors", &body).await;
    answer.next().await.expect("sources");
    double.restart();
    let last = loop {
        match answer.next().await.expect("an end") {
            (name, _) if name == "token" => {}
            last => break last,
        }
    };
    assert_eq!(
        (last.0.as_str(), &last.1["code"]),
        ("error", &json!("answer_cut")),
        "{last:?}"
    );
    // None of it has left an answer behind, so the slot can change hands.
    double.set(|settings| settings.words = 2);
    world.activate("bakers").await;
    let events = world
        .ask("bakers", &json!({"question": "what bread?"}))
        .await;
    assert_eq!(words(&events), "word0 word1 ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_asks_within_its_rights() {
    let world = World::with_indexes(settings(), "").await;
    world.profiles().await;
    let both = json!({"id": "both", "ollama_name": "a", "datasets": ["ships", "bread"]});
    world.profile(&both).await;
    let boss = Visitor::with_key(&world, json!({"name": "boss", "scopes": ["admin"]})).await;
    let asks = Visitor::with_key(&world, json!({"name": "asks", "scopes": ["search"]})).await;
    let kept = json!({"name": "ships", "scopes": ["search", "read"], "indexes": ["ships"]});
    let ships = Visitor::with_key(&world, kept).await;
    let models = Visitor::with_key(&world, json!({"name": "models", "scopes": ["models"]})).await;
    let question = json!({"question": "what ship?", "activate": true});
    let (ask, activate) = (
        "/vectors/profile/sailors/ask",
        "/vectors/profile/sailors/activate",
    );
    let refused = asks.post(ask, &question).await;
    check_problem(refused, 403, "scope_missing", &["models"]);
    let refused = asks.post(activate, &json!({})).await;
    check_problem(refused, 403, "scope_missing", &["models"]);
    let (status, told) = models.post(activate, &json!({})).await;
    assert_eq!(status, 200, "{told}");
    let (status, told) = asks.post(ask, &question).await;
    assert_eq!(status, 200, "it is active now: {told}");
    let refused = models.post(ask, &question).await;
    check_problem(refused, 403, "scope_missing", &["search"]);
    // A key that is kept to an index reaches what it may through any profile.
    let body = json!({"text": "a ship"});
    let (status, told) = ships.post("/vectors/profile/sailors/search", &body).await;
    assert_eq!(status, 200, "{told}");
    let both = "/vectors/profile/both/search";
    for path in ["/vectors/profile/bakers/search", both] {
        let refused = ships.post(path, &body).await;
        check_problem(refused, 403, "forbidden", &["bread"]);
    }
    let (status, told) = boss.post(both, &body).await;
    assert_eq!(status, 200, "{told}");
}

/// Somebody with a key.
struct Visitor {
    url: String,
    key: String,
}

impl Visitor {
    /// With a key that whoever may read the data folder makes.
    async fn with_key(world: &World, spec: Value) -> Self {
        let owner = Self {
            url: world.host.url.clone(),
            key: world.host.owner_token(),
        };
        let (status, made) = owner.post("/auth/keys", &spec).await;
        assert_eq!(status, 201, "{made}");
        Self {
            key: made["key"].as_str().expect("a key").to_owned(),
            ..owner
        }
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = reqwest::Client::new().post(format!("{}{path}", self.url));
        let request = request.bearer_auth(&self.key).json(body);
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }
}
