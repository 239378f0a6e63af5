//! What a host adds to a model server: to an answer, to the vector of a search, to a change of models; and how it deals
//! with many who want two models in turn.
//!
//! The model server is the double of `tests/model-server` in a process of its own, so its loads, unloads and words take
//! what they are told to take. The peer is that server asked directly by the same client, in turn with the host, which has
//! the demo's table in an index of the built-in embedder and in one of the server's.

mod calls;
mod turns;

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::{
    Options,
    compare::{Bar, Comparison, Row, median, round, rounds},
    demo::{Demo, openings},
    ours::model_server::{Counts, Question, Times},
    process::Process,
};
use calls::{Direct, Heard, Through};

/// The index whose vectors come from the model server.
const SERVED: &str = "served";
/// Most that a host may add to an answer or to a vector, in milliseconds.
const ADDED_MS: f64 = 2.0;
/// Most that a host may add to an unload and a load, in milliseconds.
const SWAP_ADDED_MS: f64 = 100.0;
/// Questions of a side in a round.
const ASKED: usize = 40;
/// Texts of a side in a round.
const TEXTS: usize = 200;
/// Changes of a side in a round.
const SWAPS: usize = 4;

/// A model server, and a host that uses it.
struct World {
    server: Process,
    port: u16,
    demo: Demo,
    http: reqwest::Client,
    queries: Vec<String>,
}

pub(crate) fn run(options: Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut world = World::start(&runtime)?;
    asks(&mut world, &runtime, options)?;
    embeds(&mut world, &runtime, options)?;
    swaps(&mut world, &runtime, options)?;
    turns::run(&mut world, &runtime, options)
}

impl World {
    fn start(runtime: &Runtime) -> Result<Self> {
        let mut server = Process::ours("model-server")?;
        let answer: serde_json::Value = server.ask(&Question::Port)?;
        let port = serde_json::from_value(answer["port"].clone())?;
        let address = format!("127.0.0.1:{port}");
        let mut world = Self {
            demo: Demo::beside(runtime, "models", &address)?,
            port,
            http: reqwest::Client::builder().no_proxy().build()?,
            queries: openings()?,
            server,
        };
        world.be(Times {
            load_ms: 20,
            unload_ms: 5,
            word_ms: 2,
            words: 20,
        })?;
        runtime.block_on(world.fill())?;
        Ok(world)
    }

    /// An index of the model server, and two profiles with a model each.
    async fn fill(&self) -> Result<()> {
        let host = self.demo.host();
        let index = json!({
            "name": SERVED, "dataset": "requests", "text_column": "passage", "embedder": "ollama:e",
        });
        host.task(host.post("/vectors/indexes").json(&index))
            .await?;
        for id in ["a", "b"] {
            let profile = json!({"id": id, "ollama_name": id, "indexes": [crate::demo::INDEX]});
            host.answer(host.post("/vectors/profile").json(&profile))
                .await?;
        }
        Ok(())
    }

    fn be(&mut self, times: Times) -> Result<()> {
        self.server
            .ask(&Question::Be(times))
            .map(|_: serde_json::Value| ())
    }

    fn counts(&mut self) -> Result<Counts> {
        self.server.ask(&Question::Counts)
    }

    fn through(&self) -> Through<'_> {
        Through(self.demo.host())
    }

    fn direct(&self) -> Direct<'_> {
        Direct {
            http: &self.http,
            port: self.port,
        }
    }
}

/// A row of milliseconds, in which what is added is judged.
fn added(id: &str, work: String, measured: &Comparison, most: f64, bound: &str) {
    let added = measured.ours() - median(&measured.peers());
    Row {
        id,
        work,
        peer: "the model server directly",
        unit: "ms",
        measured,
        // The bar is one of milliseconds; as a ratio it depends on what the server took.
        bar: Bar::AtMost(1.0 + most / median(&measured.peers())),
        detail: json!({ "added_ms": round(added), bound: most, "met_added": added <= most }),
    }
    .print();
}

/// Answers: until their first word, and until their end.
fn asks(world: &mut World, runtime: &Runtime, options: Options) -> Result<()> {
    runtime.block_on(world.through().activate("a"))?;
    runtime.block_on(world.through().ask("a", &world.queries[0], false))?;
    // The peer is asked what the host asks: sources and question.
    let prompt = world.counts()?.prompt;
    ensure!(prompt.contains("Question:"), "no question has arrived");
    let queries: Vec<&String> = world.queries.iter().take(ASKED).collect();
    let ours = || {
        runtime.block_on(async {
            let mut heard = Vec::with_capacity(ASKED);
            for query in &queries {
                heard.push(world.through().ask("a", query, false).await?);
            }
            anyhow::Ok(middle(&heard))
        })
    };
    let peer = || {
        runtime.block_on(async {
            let mut heard = Vec::with_capacity(ASKED);
            for _ in 0..ASKED {
                heard.push(world.direct().ask("a", &prompt).await?);
            }
            anyhow::Ok(middle(&heard))
        })
    };
    let (mut first, mut end) = (Comparison::default(), Comparison::default());
    for (ours, peer) in rounds(options.rounds(), ours, peer)? {
        first.push(ours.first_ms, peer.first_ms);
        end.push(ours.end_ms, peer.end_ms);
    }
    for (until, measured) in [("first word", &first), ("end", &end)] {
        let work = format!("an answer from five passages until its {until}: p50");
        added("ask", work, measured, ADDED_MS, "bar_added_ms");
    }
    Ok(())
}

/// The medians of answers.
fn middle(heard: &[Heard]) -> Heard {
    let of = |part: fn(&Heard) -> f64| median(&heard.iter().map(part).collect::<Vec<_>>());
    Heard {
        first_ms: of(|one| one.first_ms),
        end_ms: of(|one| one.end_ms),
    }
}

/// Searches by text, whose vector the model server makes.
fn embeds(world: &mut World, runtime: &Runtime, options: Options) -> Result<()> {
    let queries: Vec<&String> = world.queries.iter().take(TEXTS).collect();
    let ours = || {
        runtime.block_on(async {
            let mut took = Vec::with_capacity(TEXTS);
            for query in &queries {
                took.push(world.through().search(SERVED, query).await?);
            }
            anyhow::Ok(median(&took))
        })
    };
    let peer = || {
        runtime.block_on(async {
            let mut took = Vec::with_capacity(TEXTS);
            for query in &queries {
                took.push(world.direct().embed("e", query).await?);
            }
            anyhow::Ok(median(&took))
        })
    };
    let mut measured = Comparison::default();
    for (ours, peer) in rounds(options.rounds(), ours, peer)? {
        measured.push(ours, peer);
    }
    let work = "a search by text with a vector of the model server: p50".to_owned();
    added("embed", work, &measured, ADDED_MS, "bar_added_ms");
    Ok(())
}

/// Changes of models, nobody else there.
fn swaps(world: &mut World, runtime: &Runtime, options: Options) -> Result<()> {
    world.be(Times {
        load_ms: 300,
        unload_ms: 120,
        word_ms: 2,
        words: 20,
    })?;
    let ours = || {
        runtime.block_on(async {
            let mut took = Vec::with_capacity(SWAPS);
            // Each side leaves `a` in memory and the slot to `a`.
            for id in ["b", "a"].into_iter().cycle().take(SWAPS) {
                took.push(world.through().activate(id).await?);
            }
            anyhow::Ok(median(&took))
        })
    };
    let peer = || {
        runtime.block_on(async {
            let mut took = Vec::with_capacity(SWAPS);
            for (out, id) in [("a", "b"), ("b", "a")].into_iter().cycle().take(SWAPS) {
                took.push(world.direct().swap(out, id).await?);
            }
            anyhow::Ok(median(&took))
        })
    };
    let mut measured = Comparison::default();
    for (ours, peer) in rounds(options.rounds(), ours, peer)? {
        measured.push(ours, peer);
    }
    let work = "a change of models that load in 300 ms and leave in 120 ms".to_owned();
    added("swap", work, &measured, SWAP_ADDED_MS, "bar_added_ms");
    Ok(())
}
