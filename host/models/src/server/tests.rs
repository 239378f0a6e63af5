//! The client against the double: every status, every way in which an answer can fail, over the network too.

use std::time::Duration;

use boathouse_model_server::{Double, Fault, Kind, Model, Route, Server, Settings};
use futures::TryStreamExt as _;
use tokio::time::Instant;

use super::*;
use crate::testing::{name, over};

fn double() -> Double {
    Double::new(Settings {
        models: vec![
            Model::new("a:latest", Kind::Answers, 8_000),
            Model::new("e:latest", Kind::Embeds(8), 1_000),
        ],
        ..Settings::default()
    })
}

fn prompt() -> Prompt {
    Prompt {
        model: name("a"),
        text: "a question".to_owned(),
        system: Some("be short".to_owned()),
        options: RunOptions::default(),
        keep_alive: None,
    }
}

const KEEP: KeepAlive = KeepAlive(Duration::from_secs(300));

async fn load(server: &ModelServer, model: &str) -> Result<(), ServerError> {
    server
        .load(&name(model), &RunOptions::default(), KEEP)
        .await
}

/// All pieces of an answer.
async fn answer(server: &ModelServer) -> Result<Vec<Piece>, ServerError> {
    server.ask(&prompt()).await?.try_collect().await
}

#[tokio::test(start_paused = true)]
async fn models_are_found_loaded_listed_and_unloaded() {
    let double = double();
    let server = over(&double);
    assert_eq!(server.version().await, Ok("0.0.0-double".to_owned()));
    assert_eq!(server.find(&name("a")).await.unwrap().answers(), Some(true));
    assert_eq!(server.resident().await, Ok(Vec::new()));
    load(&server, "a").await.unwrap();
    // One that only embeds refuses to generate, and is loaded all the same.
    load(&server, "e").await.unwrap();
    let resident = server.resident().await.unwrap();
    assert!(resident[0].is(&name("a")) && resident[1].is(&name("e")));
    assert_eq!(resident[0].wholly_on_gpu(), Some(true));
    server.unload(&name("a")).await.unwrap();
    server.unload(&name("e")).await.unwrap();
    time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.resident().await, Ok(Vec::new()));
    // The answer is the same when there is nothing to unload.
    assert_eq!(server.unload(&name("a")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_word_by_word_to_its_end() {
    let pieces = answer(&over(&double())).await.unwrap();
    assert_eq!(pieces.len(), 6);
    assert_eq!(pieces[1], Piece::Text("word1 ".to_owned()));
    let end = AnswerEnd {
        reason: Some("stop".to_owned()),
        prompt_tokens: Some(3),
        answer_tokens: Some(5),
        load_ms: None,
        total_ms: Some(2),
    };
    assert_eq!(pieces[5], Piece::Done(end));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_fails_is_not_taken_for_one_that_ended() {
    let double = double();
    let server = over(&double);
    double.fail_next(Route::Generate, Fault::CutAfter(2));
    assert_eq!(answer(&server).await, Err(ServerError::Cut));
    double.fail_next(Route::Generate, Fault::ErrorAfter(2));
    let failed = ServerError::Failed {
        status: 200,
        message: "an error in the middle".to_owned(),
    };
    assert_eq!(answer(&server).await, Err(failed));
    double.fail_next(Route::Generate, Fault::Garbage);
    assert!(matches!(
        answer(&server).await,
        Err(ServerError::Garbled { .. })
    ));
    double.set(|settings| settings.word = Duration::from_secs(600));
    assert!(matches!(
        answer(&server).await,
        Err(ServerError::Slow { .. })
    ));
    // Whoever stops reading ends the answer at the server.
    assert_eq!(double.holds()[0].busy, 0);
}

#[tokio::test(start_paused = true)]
async fn words_that_come_with_the_end_are_not_lost() {
    let last =
        Bytes::from_static(b"{\"response\":\"end\",\"done\":true,\"done_reason\":\"length\"}");
    let (text, end) = read_line(&last).unwrap();
    assert_eq!(
        (text.as_str(), end.and_then(|end| end.reason).as_deref()),
        ("end", Some("length"))
    );
    let mut reading = Reading {
        lines: futures::stream::iter([Ok(last)]).boxed(),
        limit: Duration::from_secs(1),
        end: None,
        over: false,
    };
    assert_eq!(
        reading.next().await,
        Some(Ok(Piece::Text("end".to_owned())))
    );
    assert!(matches!(reading.next().await, Some(Ok(Piece::Done(_)))));
    assert_eq!(reading.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn statuses_say_what_to_do() {
    let double = double();
    let server = over(&double);
    let missing = ServerError::MissingModel {
        model: name("none"),
    };
    assert_eq!(load(&server, "none").await, Err(missing.clone()));
    assert_eq!(server.find(&name("none")).await, Err(missing));
    let embeds_not = server.embed(&name("a"), &["x"]).await;
    assert!(
        matches!(embeds_not, Err(ServerError::Refused { status: 400, .. })),
        "{embeds_not:?}"
    );
    double.fail_next(
        Route::Generate,
        Fault::Status(500, "out of memory".to_owned()),
    );
    let failed = ServerError::Failed {
        status: 500,
        message: "out of memory".to_owned(),
    };
    assert_eq!(load(&server, "a").await, Err(failed));
    double.fail_next(Route::Models, Fault::Garbage);
    assert!(matches!(
        server.models().await,
        Err(ServerError::Garbled { .. })
    ));
    double.fail_next(Route::Models, Fault::Status(302, String::new()));
    assert!(matches!(
        server.models().await,
        Err(ServerError::Garbled { .. })
    ));
    double.go_away();
    let away = server.models().await.unwrap_err();
    assert!(
        away.retry_after().is_some() && away.to_string().contains("http://double"),
        "{away}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_that_hangs_is_given_up_soon_and_a_load_is_not() {
    let double = double();
    double.set(|settings| settings.load = Duration::from_secs(60));
    let server = over(&double);
    let loading = load(&server, "a");
    let looking = async {
        time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        let looked = server.resident().await;
        (looked, began.elapsed())
    };
    let (loaded, (looked, took)) = tokio::join!(loading, looking);
    assert_eq!(loaded, Ok(()));
    assert!(
        matches!(looked, Err(ServerError::Slow { .. })),
        "{looked:?}"
    );
    assert_eq!(took, server.limits().resident);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_says_is_repeated_in_short() {
    let double = double();
    let server = over(&double);
    double.fail_next(
        Route::Models,
        Fault::Status(500, format!("so\nmuch {}", "x".repeat(1_000))),
    );
    let Err(ServerError::Failed { message, .. }) = server.models().await else {
        panic!("it fails");
    };
    assert!(
        message.starts_with("so much x") && message.len() == MAX_MESSAGE,
        "{message}"
    );
}

#[tokio::test]
async fn the_same_over_the_network() {
    let double = double();
    double.set(|settings| {
        settings.load = Duration::from_millis(1);
        settings.word = Duration::from_millis(1);
    });
    let served = Server::start(double.clone()).await.unwrap();
    let address = ServerAddress::parse(&served.url()).unwrap();
    let server = ModelServer::at(address, ServerLimits::default()).unwrap();
    load(&server, "a").await.unwrap();
    assert!(server.resident().await.unwrap()[0].is(&name("a")));
    assert_eq!(answer(&server).await.unwrap().len(), 6);
    assert_eq!(
        server.embed(&name("e"), &["x", "y"]).await.unwrap().len(),
        2
    );
    double.fail_next(Route::Generate, Fault::CutAfter(1));
    assert_eq!(answer(&server).await, Err(ServerError::Cut));
    let missing = load(&server, "none").await;
    assert_eq!(
        missing,
        Err(ServerError::MissingModel {
            model: name("none")
        })
    );
    drop(served);
    let away = server.version().await.unwrap_err();
    assert!(
        matches!(away, ServerError::Away { .. } | ServerError::Cut),
        "{away:?}"
    );
}
