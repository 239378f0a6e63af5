//! Builds the bundled plugins into components, which `lib.rs` includes.

use boathouse_guest_build::{Guest, build};

/// A small stack, at the bottom of memory: then all that an ordinary call touches lies in the pages that
/// the host keeps mapped between calls, and a fresh instance costs no page faults.
const STACK: &str = "-zstack-size=131072";
/// Memory enough for an ordinary question, so that a call need not grow it.
const MEMORY: &str = "--initial-memory=262144";

/// Package of each plugin, the file name of its component, and how it is linked.
const PLUGINS: [(&str, &str, &[&str]); 4] = [
    (
        "boathouse-proposer",
        "epsilon-greedy.wasm",
        &[STACK, MEMORY],
    ),
    ("boathouse-surrogate", "surrogate.wasm", &[STACK, MEMORY]),
    ("boathouse-scoring", "pareto.wasm", &[STACK, MEMORY]),
    ("boathouse-pii", "pii.wasm", &[STACK]),
];

fn main() -> anyhow::Result<()> {
    build(
        "../..",
        &PLUGINS.map(|(package, file, link)| Guest {
            package,
            features: &[],
            file,
            link,
        }),
    )
}
