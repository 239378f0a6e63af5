//! Answers: from what, in which words, citing what, and how they end.

use std::time::Duration;

use boathouse_model_server::{Fault, Route, Settings};
use serde_json::{Value, json};

use crate::support::{
    check_problem,
    models::{Answering, World, names, settings, words},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_comes_word_by_word_and_cites_documents() {
    let saying = Settings {
        says: ["Timber ", "goes by ", "river [1] ", "and [2, 9]."]
            .map(str::to_owned)
            .to_vec(),
        ..settings()
    };
    let world = World::with_indexes(saying, "").await;
    let body = json!({"id": "sailors", "ollama_name": "a", "datasets": ["ships", "bread"],
        "system_prompt": "You are a sailor.", "options": {"num_ctx": 2048}});
    world.profile(&body).await;
    let question = json!({"question": "a boat on the river carries timber?", "k": 3});
    check_problem(
        world
            .host
            .post("/vectors/profile/sailors/ask", &question)
            .await,
        409,
        "profile_not_active",
        &["sailors", "\"activate\": true"],
    );
    let asked =
        json!({"question": "a boat on the river carries timber?", "k": 3, "activate": true});
    let events = world.ask("sailors", &asked).await;
    assert_eq!(
        names(&events),
        ["sources", "token", "token", "token", "token", "end"]
    );
    assert_eq!(words(&events), "Timber goes by river [1] and [2, 9].");
    let (sources, end) = (&events[0].1, &events[5].1);
    assert_eq!(sources["model"], "a:latest");
    let found = sources["sources"].as_array().expect("a list");
    assert_eq!(found.len(), 3, "{sources}");
    let first = &found[0];
    assert_eq!(
        (&first["number"], &first["index"], &first["id"]),
        (&json!(1), &json!("ships"), &json!("s2"))
    );
    assert_eq!(first["text"], "a boat on the river carries timber");
    let cited: Vec<&Value> = end["citations"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    let numbers: Vec<&Value> = cited.iter().map(|one| &one["number"]).collect();
    assert_eq!(numbers, [1, 2], "there is no ninth");
    assert_eq!(end["reason"], "stop");
    assert_eq!(end["answer_tokens"], 4);
    // Each leads to its document.
    for one in cited {
        let place = format!(
            "{}/{}",
            one["index"].as_str().expect("x"),
            one["id"].as_str().expect("x")
        );
        let place = format!("/vectors/profile/sailors/doc/{}", place);
        assert_eq!(world.host.read(&place).await["row"], one["row"]);
    }
    // The model was asked once, with the sources, and as it was loaded.
    let calls = world.double().calls();
    let asked: Vec<_> = calls
        .iter()
        .filter(|call| !call.prompt.is_empty())
        .collect();
    assert_eq!(asked.len(), 1);
    for words in [
        "[1] a boat on the river carries timber",
        "Question: a boat on the river carries timber?",
    ] {
        assert!(asked[0].prompt.contains(words), "{}", asked[0].prompt);
    }
    assert_eq!(asked[0].system, "You are a sailor.");
    let of_model = calls
        .iter()
        .filter(|call| call.model == "a:latest" && !call.unloads);
    assert!(
        of_model
            .into_iter()
            .all(|call| call.options == json!({"num_ctx": 2048}))
    );
    let metrics = world.host.read("/metrics").await;
    let line = r#"boathouse_questions_total{stage="answered"} 1"#;
    assert!(metrics.as_str().expect("text").contains(line), "{metrics}");
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
    // A server that starts anew in the middle of an answer.
    double.set(|settings| settings.words = usize::MAX);
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
    let mut keys = Vec::new();
    for body in [
        json!({"name": "boss", "scopes": ["admin"]}),
        json!({"name": "asks", "scopes": ["search"]}),
        json!({"name": "ships", "scopes": ["search", "read"], "indexes": ["ships"]}),
        json!({"name": "models", "scopes": ["models"]}),
    ] {
        let request = reqwest::Client::new()
            .post(format!("{}/auth/keys", world.host.url))
            .json(&body);
        let request = request.bearer_auth(world.host.owner_token());
        let made: Value = request
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("json");
        keys.push(
            made["key"]
                .as_str()
                .unwrap_or_else(|| panic!("{made}"))
                .to_owned(),
        );
    }
    let call = async |key: usize, path: &str, body: Value| {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", world.host.url))
            .json(&body);
        let answer = request
            .bearer_auth(&keys[key])
            .send()
            .await
            .expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (
            status,
            serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text)),
        )
    };
    let (boss, asks, ships, models) = (0, 1, 2, 3);
    let question = json!({"question": "what ship?", "activate": true});
    let ask = "/vectors/profile/sailors/ask";
    check_problem(
        call(asks, ask, question.clone()).await,
        403,
        "scope_missing",
        &["models"],
    );
    let activate = "/vectors/profile/sailors/activate";
    check_problem(
        call(asks, activate, json!({})).await,
        403,
        "scope_missing",
        &["models"],
    );
    let (status, told) = call(models, activate, json!({})).await;
    assert_eq!(status, 200, "{told}");
    let (status, told) = call(asks, ask, question.clone()).await;
    assert_eq!(status, 200, "it is active now: {told}");
    check_problem(
        call(models, ask, question.clone()).await,
        403,
        "scope_missing",
        &["search"],
    );
    // A key that is kept to an index reaches what it may through any profile.
    let body = json!({"text": "a ship"});
    let (status, told) = call(ships, "/vectors/profile/sailors/search", body.clone()).await;
    assert_eq!(status, 200, "{told}");
    for path in [
        "/vectors/profile/bakers/search",
        "/vectors/profile/both/search",
    ] {
        check_problem(
            call(ships, path, body.clone()).await,
            403,
            "forbidden",
            &["bread"],
        );
    }
    let (status, told) = call(boss, "/vectors/profile/both/search", body).await;
    assert_eq!(status, 200, "{told}");
}
