//! One hostile plugin for every kind of question: it passes for honest until it is told to attack.
//!
//! An order travels in a question, so that a component that was uploaded, checked and activated attacks
//! later, when it serves. Scoring plugins and proposers read it from the memory cap of the objective,
//! whose bytes spell a word of at most seven letters (no honest cap does, and no honest plugin minds);
//! detectors read it from a column that is named `attack_` and the word. An order can also be written
//! into the component itself, in place of the dots of [`AT_ONCE`]: such a component attacks whenever it
//! is asked anything, from its upload on.
//!
//! Which orders there are stands in [`attack`] for all kinds, and in each kind's module for attacks on
//! its own sort of answer. What needs bytes that no compiler emits (text that is no UTF-8, a table that
//! grows) is not here; tests write that in WebAssembly text.

mod attack;
#[cfg(feature = "pii")]
mod pii;
#[cfg(feature = "proposer")]
mod proposer;
#[cfg(feature = "scoring")]
mod scoring;

use std::hint::black_box;

use boathouse_sdk::Description;

/// An order written over the dots takes effect at once and always.
static AT_ONCE: [u8; 23] = *b"attack at once: .......";

/// The plugin.
#[derive(Debug, Clone, Copy)]
pub struct Evil;

/// What it says of itself: the truth, unless it has an order about that.
fn description(kind: &str) -> Description {
    let order = at_once();
    let version = if order.is_empty() { "1.0.0" } else { "2.0.0" };
    let mut said = Description::new(
        &format!("evil/{kind}"),
        version,
        "Harmless until it is told otherwise.",
    );
    match order.as_str() {
        "d-loop" => attack::spin(),
        "d-trap" => attack::trap(),
        "d-name" => said.name = "../../etc/passwd".to_owned(),
        "d-huge" => said.summary = "vast ".repeat(1_000),
        "d-reads" => said.reads = vec!["everything".to_owned(); 200_000],
        _ => {}
    }
    said
}

/// The order for this call; empty for none.
#[cfg(any(feature = "proposer", feature = "scoring"))]
fn order(objective: &boathouse_sdk::Objective) -> String {
    let at_once = at_once();
    if !at_once.is_empty() {
        return at_once;
    }
    let bytes = objective.memory_cap_bytes.unwrap_or(0).to_be_bytes();
    let word = String::from_utf8_lossy(&bytes);
    word.trim_start_matches('\0').to_owned()
}

/// The order that was written into the component; empty for none.
fn at_once() -> String {
    // By reference, so that the bytes stay together in the component and can be found there.
    let order = black_box(&AT_ONCE)[16..].split(|byte| *byte == b'.').next();
    String::from_utf8_lossy(order.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use boathouse_sdk::Objective;

    use super::*;

    #[test]
    fn orders_are_spelt_by_the_memory_cap() {
        let capped = |memory_cap_bytes| Objective {
            memory_cap_bytes,
            ..Objective::default()
        };
        assert_eq!(order(&capped(Some(0x7472_6170))), "trap");
        assert_eq!(order(&capped(None)), "");
    }

    #[test]
    fn without_an_order_every_kind_is_honest() {
        use boathouse_sdk::pii::{Column, Table};
        use boathouse_sdk::{Pii as _, Scoring as _, Trial, Trials};

        let mut trials = Trials::new([]);
        trials.push(Trial::default());
        let verdicts = Evil::evaluate(&trials, &Objective::default()).expect("verdicts");
        assert_eq!((verdicts.len(), verdicts[0].score), (1, 1.0));
        let table = Table {
            columns: vec![Column::new("id", "Int64")],
            ..Table::default()
        };
        assert_eq!(Evil::detect(&table), Ok(Vec::new()));
    }
}
