//! P5: a call of the bundled scoring component, against the same function as an Extism guest.
//!
//! Ours is a call through the plugin host, all in, on a fresh instance. The peer's is a call on a fresh
//! instance of a guest that was compiled before, with JSON in and out, plus what that JSON costs a host
//! in Rust. Both give the same verdicts, which is checked first. Beside that stand the peer's call
//! alone and its call on an instance that is kept, which no longer isolates one call from the next.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use boathouse_types::Verdict;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Options,
    compare::{Bar, Comparison, Row, round, rounds},
    ours::{
        Took,
        score::{Ask, Prepared},
    },
    process::{self, Process},
};

/// What the peer can be asked.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum AskPeer<'a> {
    Prepare {
        guest: &'a Path,
        cache: &'a Path,
        question: &'a str,
    },
    Run {
        calls: u32,
        fresh: bool,
    },
    Load {
        loads: u32,
    },
}

#[derive(Debug, Deserialize)]
struct PeerPrepared {
    verdicts: Vec<Verdict>,
}

pub(crate) fn run(options: Options) -> Result<()> {
    let mut ours = Process::ours("score")?;
    let mut peer = Process::built("extism-peer")?;
    for (trials, calls) in [(10, 2_000), (1_000, 200)] {
        let calls = if options.quick { calls / 10 } else { calls };
        prepare(&mut ours, &mut peer, trials)?;
        measure(options, &mut ours, &mut peer, trials, calls)?;
    }
    Ok(())
}

/// Gives both sides the same journal, and makes sure that they judge it alike.
pub(crate) fn prepare(ours: &mut Process, peer: &mut Process, trials: u32) -> Result<()> {
    let guest = process::data("scoring.wasm")?;
    let prepared: Prepared = ours.ask(&Ask::Prepare { trials })?;
    let theirs: PeerPrepared = peer.ask(&AskPeer::Prepare {
        cache: &guest.with_file_name("extism-cache"),
        guest: &guest,
        question: &prepared.question,
    })?;
    agree(&prepared.verdicts, &theirs.verdicts)
        .with_context(|| format!("the sides differ on {trials} trials"))
}

/// Whether both sides judged alike. Scores may differ in the last digits, as numbers went through text.
fn agree(ours: &[Verdict], theirs: &[Verdict]) -> Result<()> {
    ensure!(ours.len() == theirs.len(), "in the number of verdicts");
    for (row, (our, their)) in ours.iter().zip(theirs).enumerate() {
        let same = (our.feasible, our.front, &our.reason)
            == (their.feasible, their.front, &their.reason)
            && (our.score - their.score).abs() < 1e-12;
        ensure!(same, "in trial {row}: {our:?}, {their:?}");
    }
    Ok(())
}

/// Microseconds a call.
struct Round {
    call: f64,
    json: f64,
    kept: f64,
}

fn measure(
    options: Options,
    ours: &mut Process,
    peer: &mut Process,
    trials: u32,
    calls: u32,
) -> Result<()> {
    let micros = |took: Took| took.seconds * 1e6 / f64::from(calls);
    let timed = rounds(
        options.rounds(),
        || {
            Ok(Round {
                call: micros(ours.ask(&Ask::Run { calls })?),
                json: micros(ours.ask(&Ask::Json { calls })?),
                kept: f64::NAN,
            })
        },
        || {
            let mut ask =
                |fresh| Ok::<_, anyhow::Error>(micros(peer.ask(&AskPeer::Run { calls, fresh })?));
            Ok(Round {
                call: ask(true)?,
                json: 0.0,
                kept: ask(false)?,
            })
        },
    )?;
    let compare = |theirs: &dyn Fn(&Round, &Round) -> f64| {
        let mut measured = Comparison::default();
        for (our, their) in &timed {
            measured.push(our.call, theirs(our, their));
        }
        measured
    };
    let all_in = compare(&|our, their| their.call + our.json);
    let call_alone = compare(&|_, their| their.call);
    let kept = compare(&|our, their| their.kept + our.json);
    let middle = |figure: &dyn Fn(&(Round, Round)) -> f64| {
        round(crate::compare::median(
            &timed.iter().map(figure).collect::<Vec<_>>(),
        ))
    };
    Row {
        id: "P5",
        work: format!("scoring {trials} trials, fresh instance, all in"),
        peer: peer.name(),
        unit: "us a call",
        measured: &all_in,
        bar: Bar::AtMost(0.2),
        detail: json!({
            "calls_a_round": calls,
            "peer_call_alone_us": middle(&|(_, their)| their.call),
            "ratio_to_call_alone": round(call_alone.ratio()),
            "peer_host_json_us": middle(&|(our, _)| our.json),
            "peer_kept_instance_us": middle(&|(our, their)| their.kept + our.json),
            "ratio_to_kept_instance": round(kept.ratio()),
        }),
    }
    .print();
    Ok(())
}
