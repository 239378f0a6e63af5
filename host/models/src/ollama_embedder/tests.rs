//! What must hold of vectors from a model server: which texts get one, what stops everything, and how often is asked.

use std::time::Duration;

use boathouse_model_server::{Double, Fault, Kind, Model, Route, Server, Settings};
use tokio::time;

use super::*;
use crate::{
    ServerAddress, ServerLimits,
    testing::{name, over},
};

fn double() -> Double {
    Double::new(Settings {
        models: vec![
            Model::new("e:latest", Kind::Embeds(8), 1_000),
            Model::new("a:latest", Kind::Answers, 8_000),
        ],
        refused: vec![
            ("too-long".to_owned(), 400),
            ("not-a-number".to_owned(), 500),
        ],
        ..Settings::default()
    })
}

async fn open(double: &Double) -> Result<OllamaEmbedder, EmbedError> {
    OllamaEmbedder::open(over(double), name("e")).await
}

/// How many requests for vectors a double had, those without texts left out.
fn requests(double: &Double) -> usize {
    let calls = double.calls();
    calls
        .iter()
        .filter(|call| call.route == Route::Embed && call.texts > 0)
        .count()
}

#[tokio::test(start_paused = true)]
async fn an_embedder_knows_its_model() {
    let embedder = open(&double()).await.unwrap();
    assert_eq!(embedder.dimension().get(), 8);
    assert_eq!(Embedder::name(&embedder), "ollama:e:latest");
    assert_eq!(embedder.model_digest(), "sha256:e:latest");
    assert_eq!(OllamaEmbedder::model_of("ollama:e"), Some(name("e")));
    assert_eq!(OllamaEmbedder::model_of("static"), None);
    assert_eq!(OllamaEmbedder::model_of("ollama:"), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_embedder_is_not_opened() {
    let double = double();
    let open = async |model| {
        OllamaEmbedder::open(over(&double), name(model))
            .await
            .unwrap_err()
    };
    let missing = open("none").await;
    assert!(
        missing.to_string().contains("ollama pull none:latest"),
        "{missing}"
    );
    assert_eq!(
        open("a").await,
        EmbedError::NoEmbeddings { model: name("a") }
    );
    double.go_away();
    let away = open("e").await;
    let EmbedError::Server(error @ ServerError::Away { .. }) = away else {
        panic!("{away:?}");
    };
    assert!(error.retry_after().is_some());
}

#[tokio::test(start_paused = true)]
async fn every_text_has_its_own_vector_whatever_the_batches() {
    let embedder = open(&double()).await.unwrap();
    let texts: Vec<String> = (0..100).map(|at| format!("text {at}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = embedder.vectors(&texts).await.unwrap();
    for (text, vector) in texts.iter().zip(&together) {
        let alone = embedder.vectors(&[*text]).await.unwrap();
        assert_eq!(&alone[0], vector, "{text}");
        let length: f32 = vector.as_ref().unwrap().iter().map(|one| one * one).sum();
        assert!((length - 1.0).abs() < 1e-5, "{text} has length {length}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_text_costs_its_own_vector_only() {
    for (bad, rest) in [("too-long", 99), ("not-a-number", 0), ("too-long", 41)] {
        let double = double();
        let embedder = open(&double).await.unwrap();
        let texts: Vec<String> = (0..100)
            .map(|at| {
                if at == rest {
                    bad.to_owned()
                } else {
                    format!("text {at}")
                }
            })
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let before = requests(&double);
        let vectors = embedder.vectors(&texts).await.unwrap();
        for (at, vector) in vectors.iter().enumerate() {
            let rejected = matches!(vector, Err(NoVector::Rejected(_)));
            assert_eq!(rejected, at == rest, "{bad} at {rest}: {at}");
        }
        // Four batches, and two requests a halving of 32.
        assert!(
            requests(&double) - before <= 4 + 2 * 5,
            "{}",
            requests(&double)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn texts_without_anything_in_them_are_not_sent() {
    let double = double();
    let embedder = open(&double).await.unwrap();
    let before = requests(&double);
    let vectors = embedder.vectors(&["", " \n", "\t"]).await.unwrap();
    assert_eq!(vectors, [const { Err(NoVector::Empty) }; 3]);
    assert_eq!(requests(&double), before);
    let vectors = embedder.vectors(&["", "word", " "]).await.unwrap();
    assert!(vectors[1].is_ok() && vectors[0].is_err() && vectors[2].is_err());
    assert_eq!(embedder.vectors(&[]).await, Ok(Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn when_no_text_goes_it_is_not_the_texts() {
    let double = double();
    let embedder = open(&double).await.unwrap();
    double.set(|settings| settings.refused = vec![("text".to_owned(), 500)]);
    let all = embedder.vectors(&["text 1", "text 2", "text 3"]).await;
    assert!(
        matches!(
            all,
            Err(EmbedError::Server(ServerError::Failed { status: 500, .. }))
        ),
        "{all:?}"
    );
    // Alone it may well be the text.
    let alone = embedder.vectors(&["text 1"]).await.unwrap();
    assert!(matches!(&alone[0], Err(NoVector::Rejected(_))));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_does_not_load_is_not_halved_over() {
    let double = double();
    let embedder = open(&double).await.unwrap();
    double.restart();
    double.set(|settings| settings.broken.push("e:latest".to_owned()));
    let before = requests(&double);
    let failed = embedder.vectors(&["a", "b", "c", "d"]).await;
    assert!(
        matches!(failed, Err(EmbedError::Server(ServerError::Failed { .. }))),
        "{failed:?}"
    );
    assert_eq!(requests(&double) - before, 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_waited_for_and_not_for_ever() {
    let double = double();
    let embedder = open(&double).await.unwrap();
    for _ in 0..3 {
        double.fail_next(Route::Embed, Fault::Status(503, "busy".to_owned()));
    }
    assert!(embedder.vectors(&["word"]).await.unwrap()[0].is_ok());
    double.set(|settings| settings.queue = 0);
    let began = time::Instant::now();
    let full = embedder.vectors(&["word"]).await;
    assert!(
        matches!(full, Err(EmbedError::Server(ServerError::Busy { .. }))),
        "{full:?}"
    );
    let limit = ServerLimits::default().queue;
    assert!(began.elapsed() > limit / 2 && began.elapsed() <= limit);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_was_pulled_anew_is_noticed() {
    let double = double();
    let embedder = open(&double).await.unwrap();
    double.set(|settings| settings.models[0].digest = "sha256:other".to_owned());
    assert!(
        embedder.vectors(&["word"]).await.is_ok(),
        "looked too often"
    );
    assert!(embedder.check_model().await.is_err());
    time::advance(RECHECK).await;
    let changed = embedder.vectors(&["word"]).await;
    assert_eq!(changed, Err(EmbedError::ModelChanged { model: name("e") }));
}

#[tokio::test(start_paused = true)]
async fn vectors_of_another_length_are_an_error() {
    let double = double();
    let embedder = open(&double).await.unwrap();
    double.set(|settings| settings.models[0].kind = Kind::Embeds(9));
    let wrong = embedder.vectors(&["word"]).await;
    let expected = EmbedError::WrongDimension {
        model: name("e"),
        expected: 8,
        found: 9,
    };
    assert_eq!(wrong, Err(expected));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_away_is_an_error_with_a_time_to_come_back() {
    let double = double();
    let embedder = open(&double).await.unwrap();
    double.go_away();
    let Err(EmbedError::Server(error)) = embedder.vectors(&["word"]).await else {
        panic!("there is nobody to embed");
    };
    assert!(error.retry_after().is_some(), "{error}");
    double.come_back();
    assert!(embedder.vectors(&["word"]).await.is_ok());
}

#[test]
fn a_huge_text_is_cut_between_letters() {
    let text = "ä".repeat(MAX_TEXT);
    assert_eq!(start_of(&text).len(), MAX_TEXT);
    let text = format!("x{text}");
    assert_eq!(start_of(&text).len(), MAX_TEXT - 1);
    assert_eq!(start_of("short"), "short");
}

/// What the trait promises to callers on blocking threads, over HTTP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_embedders_keep_one_promise() {
    let double = double();
    double.set(|settings| settings.load = Duration::from_millis(1));
    let served = Server::start(double).await.unwrap();
    let address = ServerAddress::parse(&served.url()).unwrap();
    let server = ModelServer::at(address, ServerLimits::default()).unwrap();
    let ollama = OllamaEmbedder::open(server, name("e")).await.unwrap();
    let bundled = crate::StaticEmbedder::bundled().unwrap();
    let embedders: [Box<dyn Embedder>; 2] = [Box::new(ollama), Box::new(bundled)];
    let checked = tokio::task::spawn_blocking(move || {
        for embedder in embedders {
            check_promise(&*embedder);
        }
    });
    checked.await.unwrap();
}

fn check_promise(embedder: &dyn Embedder) {
    let texts = ["a web server", "", "a chess game"];
    let each = embedder.embed_each(&texts).unwrap();
    assert_eq!(each.len(), 3);
    assert_eq!(each[1], Err(NoVector::Empty));
    let alone = embedder.embed(&["a chess game"]).unwrap();
    assert_eq!(each[2].as_ref(), Ok(&alone[0]));
    assert_ne!(each[0], each[2]);
    assert_eq!(alone[0].len(), embedder.dimension().get());
    let length: f32 = alone[0].iter().map(|one| one * one).sum();
    assert!((length - 1.0).abs() < 1e-5);
    let refused = embedder.embed(&texts);
    assert_eq!(refused, Err(EmbedError::EmptyText { position: 1 }));
    assert_eq!(embedder.embed(&[]), Ok(Vec::new()));
    assert!(!embedder.name().is_empty() && !embedder.model_digest().is_empty());
}
