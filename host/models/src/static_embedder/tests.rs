//! What the built-in model must get right: meaning on hand-written triples, and the embedder's invariants.

use super::*;

fn embedder() -> StaticEmbedder {
    StaticEmbedder::bundled().unwrap()
}

fn embed(text: &str) -> Vec<f32> {
    embedder().embed(&[text]).unwrap().remove(0)
}

fn similarity(a: &str, b: &str) -> f32 {
    embed(a).iter().zip(embed(b)).map(|(x, y)| x * y).sum()
}

/// The query is nearer to what means the same than to what does not, by a clear margin.
fn check_nearer(query: &str, near: &str, far: &str) {
    let (near_score, far_score) = (similarity(query, near), similarity(query, far));
    assert!(
        near_score > far_score + 0.1,
        "{query:?}: {near:?} scores {near_score:.3}, {far:?} scores {far_score:.3}"
    );
}

#[test]
fn what_means_the_same_is_nearer_than_what_does_not() {
    check_nearer("a web server", "HTTP daemon", "chess game");
    check_nearer("edit photos", "image manipulation program", "mail server");
    check_nearer("play music", "audio player", "partition a disk");
    check_nearer(
        "the dog chased a cat",
        "a puppy ran after a kitten",
        "interest rates rose again",
    );
    check_nearer(
        "relational database",
        "SQL storage engine",
        "bitmap font collection",
    );
    check_nearer("heart attack", "cardiac arrest", "siege of a castle");
    check_nearer(
        "cheap flights",
        "low-cost airline tickets",
        "flight of stairs made of oak",
    );
    check_nearer(
        "broken screen",
        "the display is cracked",
        "a movie about love",
    );
    check_nearer(
        "doctor",
        "physician who treats patients",
        "software package for plotting",
    );
    check_nearer(
        "spreadsheet",
        "table calculation with rows and columns",
        "river bank",
    );
    check_nearer(
        "encrypt files",
        "cryptography tool to protect data",
        "video game emulator",
    );
    check_nearer(
        "lawyer",
        "attorney in a court of law",
        "recipe for apple pie",
    );
}

#[test]
fn a_text_nearest_to_itself_whatever_its_case_and_spacing() {
    assert_eq!(embed("A Web   Server"), embed("a web server"));
    assert_eq!(embed("café"), embed("CAFE"));
    assert!((similarity("terminal emulator", "terminal emulator") - 1.0).abs() < 1e-5);
}

#[test]
fn vectors_have_the_dimension_and_length_one() {
    let embedder = embedder();
    assert_eq!(embedder.dimension().get(), 256);
    let texts = [
        "x",
        "a web server",
        "Große Häuser",
        "日本語のテキスト",
        "emoji 🎉 party",
        "3.14159",
    ];
    for (text, vector) in texts.iter().zip(embedder.embed(&texts).unwrap()) {
        let length: f32 = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert_eq!(vector.len(), 256, "{text:?}");
        assert!((length - 1.0).abs() < 1e-5, "{text:?} has length {length}");
    }
}

#[test]
fn the_same_text_gives_the_same_bits_in_any_batch_and_on_any_number_of_threads() {
    let texts: Vec<String> = (0..500)
        .map(|i| {
            format!(
                "record {i} of a {} in the archive",
                ["ship", "sail", "harbour"][i % 3]
            )
        })
        .collect();
    let together = embedder().embed(&texts).unwrap();
    let one_thread = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let sequential = one_thread.install(|| embedder().embed(&texts).unwrap());
    assert_eq!(together, sequential);
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(&embed(text), vector);
    }
}

#[test]
fn texts_without_a_known_word_are_named_by_position() {
    let unknown_letters = "\u{10330}\u{10331}";
    for empty in ["", "   \t\n", "\u{0}\u{7}", unknown_letters] {
        let texts = ["a web server", empty, ""];
        assert_eq!(
            embedder().embed(&texts),
            Err(EmbedError::EmptyText { position: 1 }),
            "{empty:?}"
        );
    }
    let each = embedder().embed_each(&["", "a web server", unknown_letters]);
    assert_eq!(each[0], None);
    assert_eq!(each[1], Some(embed("a web server")));
    assert_eq!(each[2], None);
}

#[test]
fn unknown_letters_beside_known_words_change_nothing() {
    assert_eq!(embed("a web server \u{10330}"), embed("a web server"));
}

#[test]
fn an_empty_batch_is_fine() {
    assert_eq!(embedder().embed::<&str>(&[]), Ok(Vec::new()));
}

#[test]
fn what_comes_after_the_token_limit_does_not_count() {
    let long = "harbour ".repeat(MAX_TOKENS);
    assert_eq!(embed(&format!("{long} chess game")), embed(&long));
    let huge = "a word after a word after ".repeat(100_000);
    assert_eq!(embed(&huge).len(), 256);
    // One word of a million letters is no known word, and must not take a second to find out.
    assert_eq!(
        embedder().embed(&["x".repeat(1_000_000)]),
        Err(EmbedError::EmptyText { position: 0 })
    );
}

#[test]
fn placeholders_of_the_tokenizer_are_ordinary_text() {
    assert!(embedder().embed(&["[CLS] [SEP] [MASK]"]).is_ok());
    assert!(similarity("[UNK]", "unk") > 0.5);
}

#[test]
fn the_digest_is_stable_and_the_data_stays_under_its_limit() {
    let digest = embedder().model_digest().to_owned();
    assert_eq!(digest.len(), 64);
    assert!(
        digest
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
    assert!(TOKENIZER.len() + TABLE.len() + CONFIG.len() <= 8_000_000);
}

#[test]
fn damaged_data_is_an_error_not_a_panic() {
    for table in [&TABLE[..1000], &TABLE[..TABLE.len() - 1], &[][..]] {
        let loaded = StaticEmbedder::from_data(TOKENIZER, table, CONFIG);
        assert!(matches!(loaded, Err(EmbedError::DamagedModel { .. })));
    }
    let loaded = StaticEmbedder::from_data(b"{}", TABLE, CONFIG);
    assert!(matches!(loaded, Err(EmbedError::DamagedModel { .. })));
}

#[test]
fn the_digest_tells_models_apart() {
    let other = [CONFIG, b"\n"].concat();
    let other = StaticEmbedder::from_data(TOKENIZER, TABLE, &other).unwrap();
    assert_ne!(other.model_digest(), embedder().model_digest());
}
