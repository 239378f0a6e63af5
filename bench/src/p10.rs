//! P10: texts per second of the built-in embedder on one thread, against model2vec in Python.
//!
//! Both sides load the same files, `host/models/data`, and their vectors are compared before anything
//! is timed. Two lengths of text: passages of some sixty words and their first eight words.

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::json;

use crate::{
    Options,
    compare::{Bar, Comparison, Row, round, rounds},
    ours::{
        Took,
        embed::{Ask, Prepared},
    },
    process::{self, Process},
};

/// Most by which the sides' products may differ: the peer rounds its table to other floats.
const AGREEMENT: f64 = 1e-3;

#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum AskPeer<'a> {
    Prepare {
        model: &'a std::path::Path,
        texts: &'a std::path::Path,
    },
    Run,
}

pub(crate) fn run(options: Options) -> Result<()> {
    let mut ours = Process::ours("embed")?;
    let mut peer = Process::peer("model2vec_peer.py")?;
    let model = process::folder().join("../host/models/data");
    for (kind, file) in [("passages", "passages.txt"), ("openings", "openings.txt")] {
        let texts = process::data(file)?;
        let mine: Prepared = ours.ask(&Ask::Prepare {
            texts: texts.clone(),
        })?;
        let theirs: Prepared = peer.ask(&AskPeer::Prepare {
            model: &model,
            texts: &texts,
        })?;
        ensure!(
            mine.texts == theirs.texts && (mine.product - theirs.product).abs() < AGREEMENT,
            "the sides disagree on {file}: {mine:?}, {theirs:?}"
        );
        let per_second = |took: Took| mine.texts as f64 / took.seconds;
        let timed = rounds(
            options.rounds(),
            || Ok(per_second(ours.ask(&Ask::Run)?)),
            || Ok(per_second(peer.ask(&AskPeer::Run)?)),
        )?;
        let mut measured = Comparison::default();
        for (our, their) in timed {
            measured.push(our, their);
        }
        let bytes = std::fs::metadata(&texts)?.len();
        Row {
            id: "P10",
            work: format!("static embedder, one thread, {} {kind}", mine.texts),
            peer: peer.name(),
            unit: "texts/s",
            measured: &measured,
            bar: Bar::AtLeast(1.0),
            detail: json!({
                "bytes_a_text": round(bytes as f64 / mine.texts as f64),
                "product": [round(mine.product), round(theirs.product)],
            }),
        }
        .print();
    }
    Ok(())
}
