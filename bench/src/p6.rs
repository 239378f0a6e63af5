//! P6: the start of a fresh instance and the load of a compiled component from the cache, against Extism.
//!
//! A start is the least call that there is: scoring an empty journal on a fresh instance, all in. A load
//! begins with the component's bytes and an empty process memory and ends with a plugin that can be
//! called; compiled code lies in a cache on disk on both sides, from a load before. Extism's guest is the
//! same function as a core module, smaller by what the component model adds.

use anyhow::Result;
use serde_json::json;

use crate::{
    Options,
    compare::{Bar, Comparison, Row, round, rounds},
    ours::{
        Took,
        score::{Ask, Component, Loaded},
    },
    p5::{self, AskPeer},
    process::Process,
};

const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn run(options: Options) -> Result<()> {
    let mut ours = Process::ours("score")?;
    let mut peer = Process::built("extism-peer")?;
    p5::prepare(&mut ours, &mut peer, 0)?;
    start(options, &mut ours, &mut peer)?;
    load(options, &mut ours, &mut peer)
}

fn start(options: Options, ours: &mut Process, peer: &mut Process) -> Result<()> {
    let calls = if options.quick { 200 } else { 2_000 };
    let micros = |took: Took| took.seconds * 1e6 / f64::from(calls);
    let timed = rounds(
        options.rounds(),
        || Ok(micros(ours.ask(&Ask::Run { calls })?)),
        || Ok(micros(peer.ask(&AskPeer::Run { calls, fresh: true })?)),
    )?;
    let mut measured = Comparison::default();
    for (ours, peer) in timed {
        measured.push(ours, peer);
    }
    Row {
        id: "P6",
        work: "start of a fresh instance and its least call".to_owned(),
        peer: peer.name(),
        unit: "us a call",
        measured: &measured,
        bar: Bar::AtMost(0.2),
        detail: json!({ "calls_a_round": calls }),
    }
    .print();
    Ok(())
}

fn load(options: Options, ours: &mut Process, peer: &mut Process) -> Result<()> {
    let loads = if options.quick { 3 } else { 20 };
    let millis = |seconds: f64| seconds * 1e3 / f64::from(loads);
    let large: Loaded = ours.ask(&Ask::Load {
        component: Component::Pii,
        loads,
    })?;
    let component = Component::Scoring;
    let mut bytes = 0;
    let timed = rounds(
        options.rounds(),
        || {
            let loaded: Loaded = ours.ask(&Ask::Load { component, loads })?;
            bytes = loaded.component_bytes;
            Ok(millis(loaded.seconds))
        },
        || {
            let took: Took = peer.ask(&AskPeer::Load { loads })?;
            Ok(millis(took.seconds))
        },
    )?;
    let mut measured = Comparison::default();
    for (ours, peer) in timed {
        measured.push(ours, peer);
    }
    let a_mib = |ms: f64, bytes: u32| round(ms / (f64::from(bytes) / MIB));
    Row {
        id: "P6",
        work: "load of a compiled component from the cache".to_owned(),
        peer: peer.name(),
        unit: "ms a load",
        measured: &measured,
        bar: Bar::AtMost(0.2),
        detail: json!({
            "loads_a_round": loads,
            "component_bytes": bytes,
            "ours_ms_a_mib": a_mib(measured.ours(), bytes),
            "large_component_bytes": large.component_bytes,
            "large_ms_a_mib": a_mib(millis(large.seconds), large.component_bytes),
            "bar_ms_a_mib": 5.0,
        }),
    }
    .print();
    Ok(())
}
