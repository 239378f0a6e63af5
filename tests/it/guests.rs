//! Plugins for tests: components that `build.rs` makes from `tests/guests`, and hand-made ones.
//!
//! What a component does is written where it is made; here are its bytes, and the small surgery that
//! turns one into another without building it again.

pub(crate) mod bomb;
pub(crate) mod raw;

/// A hostile detector, `evil/pii` 1.0.0.
pub(crate) const EVIL_PII: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/evil-pii.wasm"));
/// A hostile proposer, `evil/proposer` 1.0.0.
pub(crate) const EVIL_PROPOSER: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/evil-proposer.wasm"));
/// A hostile scoring plugin, `evil/scoring` 1.0.0.
pub(crate) const EVIL_SCORING: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/evil-scoring.wasm"));
/// `test/floats` 1.0.0, which leans on everything that makes programs differ from run to run.
pub(crate) const FLOATS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/floats.wasm"));
/// `test/marked` 1.0.0, whose answers name their version.
pub(crate) const MARKED_1: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/marked-1.wasm"));
/// `test/marked` 2.0.0.
pub(crate) const MARKED_2: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/marked-2.wasm"));
/// A scoring plugin that was built when the contract was 1.0.0.
pub(crate) const BUILT_AGAINST_1_0_0: &[u8] =
    include_bytes!("../fixtures/pareto-contract-1.0.0.wasm");

/// Longest order that a hostile plugin takes.
const ORDER_BYTES: usize = 7;

/// The memory cap of an objective that orders a hostile plugin to attack: its bytes spell the order.
pub(crate) fn order(word: &str) -> u64 {
    assert!(word.len() <= ORDER_BYTES, "`{word}` is too long an order");
    word.bytes().fold(0, |cap, byte| cap << 8 | u64::from(byte))
}

/// A hostile plugin, 2.0.0, that obeys one order from the start.
pub(crate) fn at_once(component: &[u8], word: &str) -> Vec<u8> {
    assert!(word.len() <= ORDER_BYTES, "`{word}` is too long an order");
    let written = format!("attack at once: {word:.<ORDER_BYTES$}");
    replaced(component, "attack at once: .......", &written)
}

/// The component with one text in place of another of the same length, wherever it stands.
pub(crate) fn replaced(component: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "nothing may move");
    let mut bytes = component.to_vec();
    let places: Vec<usize> = (0..bytes.len())
        .filter(|&at| bytes[at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "the component does not say `{from}`");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[test]
fn an_order_is_a_number_that_spells_a_word() {
    assert_eq!(order("trap"), 0x7472_6170);
    assert!(
        order("sockets") < 1 << 60,
        "fits a number of JSON everywhere"
    );
}

#[test]
fn surgery_moves_nothing() {
    let changed = at_once(EVIL_SCORING, "loop");
    assert_eq!(changed.len(), EVIL_SCORING.len());
    let differing = changed.iter().zip(EVIL_SCORING).filter(|(a, b)| a != b);
    assert_eq!(differing.count(), "loop".len());
}
