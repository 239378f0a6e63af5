//! P7: cells a second and core of the bundled detector of personal data, inside WebAssembly.
//!
//! Peers are the same detector natively, Presidio's structured analyzer and datafog-core, on the same
//! columns. Presidio sees the first values of each only, since it would take an hour; the figure is a rate.

use std::path::Path;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Options,
    compare::{Bar, Comparison, Row, rounds},
    ours::{
        Took,
        pii::{Ask, Prepared},
    },
    process::{self, Process},
};

/// What a peer in Python can be asked.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum AskPeer<'a> {
    Prepare { columns: &'a Path, values: u32 },
    Run,
}

#[derive(Debug, Deserialize)]
struct PeerPrepared {
    cells: u64,
}

pub(crate) fn run(options: Options) -> Result<()> {
    let columns = process::data("pii-columns.jsonl")?;
    let mut ours = Process::ours("pii")?;
    let prepared: Prepared = ours.ask(&Ask::Prepare {
        columns: columns.clone(),
    })?;
    ensure!(
        prepared.component == prepared.native,
        "component and native detector differ: {prepared:?}"
    );
    let passes = if options.quick { 2 } else { 10 };
    native(options, &mut ours, &prepared, passes)?;
    for (script, values, bar) in [
        ("datafog_peer.py", 1_000, 1.0),
        ("presidio_peer.py", 5, 1.0),
    ] {
        let mut peer = Process::peer(script)?;
        let theirs: PeerPrepared = peer.ask(&AskPeer::Prepare {
            columns: &columns,
            values,
        })?;
        let rate = |cells: u64, took: &Took| cells as f64 / took.seconds;
        let timed = rounds(
            5,
            || {
                let took: Took = ours.ask(&Ask::Run {
                    passes,
                    native: false,
                })?;
                Ok(rate(prepared.cells * u64::from(passes), &took))
            },
            || Ok(rate(theirs.cells, &peer.ask(&AskPeer::Run)?)),
        )?;
        print(&timed, peer.name(), Bar::AtLeast(bar), &prepared);
    }
    Ok(())
}

fn native(options: Options, ours: &mut Process, prepared: &Prepared, passes: u32) -> Result<()> {
    let cells = (prepared.cells * u64::from(passes)) as f64;
    let mut timed = Vec::new();
    for round in 0..=options.rounds() {
        let mut ask = |native| {
            let took: Took = ours.ask(&Ask::Run { passes, native })?;
            anyhow::Ok(cells / took.seconds)
        };
        let pair = (ask(false)?, ask(true)?);
        // The first round does not count.
        if round > 0 {
            timed.push(pair);
        }
    }
    print(
        &timed,
        "the same detector, native",
        Bar::AtLeast(0.5),
        prepared,
    );
    Ok(())
}

fn print(timed: &[(f64, f64)], peer: &str, bar: Bar, prepared: &Prepared) {
    let mut measured = Comparison::default();
    for &(ours, peer) in timed {
        measured.push(ours, peer);
    }
    Row {
        id: "P7",
        work: "detection of personal data, every kind on".to_owned(),
        peer,
        unit: "cells/s",
        measured: &measured,
        bar,
        detail: json!({
            "cells": prepared.cells, "findings": prepared.component, "bar_cells_a_second": 1e6,
        }),
    }
    .print();
}
