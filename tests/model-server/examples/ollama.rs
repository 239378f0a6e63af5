//! The double behind Ollama's usual port, or the port that is given: for trying profiles, the slot and embedders of a model
//! server on a machine that has none.
//!
//! `cargo run -p boathouse-model-server --example ollama [PORT]`. It has the models `llama3.2:3b` and `phi3:mini`, which
//! answer in counted words, and `nomic-embed-text`, whose vectors are digests: equal texts are near, others are not. Loads
//! and unloads take about as long as those of small models.

use std::error::Error;

use boathouse_model_server::{Double, Kind, Model, Server, Settings};

/// Where Ollama listens.
const PORT: u16 = 11_434;

fn models() -> Vec<Model> {
    let model = |name: &str, kind, megabytes: u64| Model::new(name, kind, megabytes << 20);
    vec![
        model("llama3.2:3b", Kind::Answers, 3_000),
        model("phi3:mini", Kind::Answers, 3_600),
        model("nomic-embed-text:latest", Kind::Embeds(768), 600),
    ]
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = match std::env::args().nth(1) {
        Some(port) => port.parse()?,
        None => PORT,
    };
    let double = Double::new(Settings {
        models: models(),
        words: 12,
        gpu_bytes: 8 << 30,
        ..Settings::default()
    });
    let server = Server::start_at(double, port).await?;
    println!("a double of Ollama listens on {}", server.url());
    for model in models() {
        println!("  {}", model.name);
    }
    // Until somebody ends it.
    std::future::pending().await
}
