//! 64 clients who ask two profiles in turn, each as soon as it has its answer, half of them beginning with the other half's
//! second. Only one of the two models fits on the GPU.
//!
//! The longest wait for a first word is held against what follows from the rule of the slot (each different change that
//! waited before has one turn): the change that is under way, the other profile's that came before, and the own one, so
//! three turns; a turn is the answers that are under way, an unload and a load as the server is told to take them, and
//! what a change may add. The second row counts changes: each turn may load one model. The model server asked directly by
//! the same clients stands beside it.

use std::{cell::Cell, time::Instant};

use anyhow::Result;
use boathouse_models::{ServerLimits, SlotLimits};
use futures::future::try_join_all;
use serde_json::json;
use tokio::runtime::Runtime;

use super::{SWAP_ADDED_MS, World};
use crate::{
    Options,
    compare::{Bar, Comparison, Row, median, round},
    ours::model_server::Times,
};

const CLIENTS: usize = 64;
/// Questions of a client in a round.
const QUESTIONS: usize = 6;
const TIMES: Times = Times {
    load_ms: 200,
    unload_ms: 50,
    word_ms: 5,
    words: 20,
};
/// Turns until a client has its answer, at most.
const TURNS: f64 = 3.0;

/// What a round has shown.
struct Shown {
    longest_ms: f64,
    seconds: f64,
    loads: usize,
    turns: usize,
}

pub(super) fn run(world: &mut World, runtime: &Runtime, options: Options) -> Result<()> {
    world.be(TIMES)?;
    let answer = TIMES.word_ms * (TIMES.words as u64 + 1);
    let turn = (answer + TIMES.unload_ms + TIMES.load_ms) as f64 + SWAP_ADDED_MS;
    let (mut waits, mut changes) = (Comparison::default(), Comparison::default());
    let (mut direct_waits, mut direct_loads, mut ours_s, mut direct_s) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // One that does not count.
    through(world, runtime)?;
    for _ in 0..options.rounds() {
        let ours = through(world, runtime)?;
        waits.push(ours.longest_ms, TURNS * turn);
        changes.push(ours.loads as f64, ours.turns as f64);
        ours_s.push(ours.seconds);
        let peer = direct(world, runtime)?;
        direct_waits.push(peer.longest_ms);
        direct_loads.push(peer.loads as f64);
        direct_s.push(peer.seconds);
    }
    let limits = ServerLimits::default();
    let bound = SlotLimits::default().longest_wait(limits.load, limits.short);
    Row {
        id: "turns",
        work: format!("{CLIENTS} clients ask two profiles in turn: longest wait for a first word"),
        peer: "three turns",
        unit: "ms",
        measured: &waits,
        bar: Bar::AtMost(1.0),
        detail: json!({
            "questions": CLIENTS * QUESTIONS, "seconds": round(median(&ours_s)),
            "direct_longest_ms": round(median(&direct_waits)), "direct_seconds": round(median(&direct_s)),
            "longest_wait_of_default_limits_s": bound.as_secs(),
        }),
    }
    .print();
    Row {
        id: "turns",
        work: "the same: models that were loaded".to_owned(),
        peer: "turns of the slot",
        unit: "loads",
        measured: &changes,
        bar: Bar::AtMost(1.0),
        detail: json!({
            "questions_a_load": round((CLIENTS * QUESTIONS) as f64 / changes.ours()),
            "direct_loads": round(median(&direct_loads)),
        }),
    }
    .print();
    Ok(())
}

/// A round over the host.
fn through(world: &mut World, runtime: &Runtime) -> Result<Shown> {
    let before = world.counts()?;
    let (longest_ms, seconds) = runtime.block_on(clients(async |id, number| {
        let question = &world.queries[number];
        let heard = world.through().ask(id, question, true).await?;
        Ok(heard.first_ms)
    }))?;
    let after = world.counts()?;
    Ok(Shown {
        longest_ms,
        seconds,
        loads: after.loads - before.loads,
        turns: after.asked_to_load - before.asked_to_load,
    })
}

/// A round over the model server itself, with prompts of the host's length.
fn direct(world: &mut World, runtime: &Runtime) -> Result<Shown> {
    let before = world.counts()?;
    let (longest_ms, seconds) = runtime.block_on(clients(async |model, _| {
        let heard = world.direct().ask(model, &before.prompt).await?;
        Ok(heard.first_ms)
    }))?;
    Ok(Shown {
        longest_ms,
        seconds,
        loads: world.counts()?.loads - before.loads,
        turns: 0,
    })
}

/// All clients, each with its questions one after the other: the longest wait in milliseconds, and the seconds of all.
async fn clients(ask: impl AsyncFn(&str, usize) -> Result<f64>) -> Result<(f64, f64)> {
    let (start, longest) = (Instant::now(), Cell::new(0.0_f64));
    let client = async |number: usize| {
        for question in 0..QUESTIONS {
            let id = ["a", "b"][(number + question) % 2];
            let waited = ask(id, number * QUESTIONS + question).await?;
            longest.set(longest.get().max(waited));
        }
        anyhow::Ok(())
    };
    try_join_all((0..CLIENTS).map(client)).await?;
    Ok((longest.get(), start.elapsed().as_secs_f64()))
}
