//! Builds the bundled plugins into components, which `lib.rs` includes.

use boathouse_guest_build::{Guest, build};

/// Package of each plugin, and the file name of its component.
const PLUGINS: [(&str, &str); 3] = [
    ("boathouse-proposer", "epsilon-greedy.wasm"),
    ("boathouse-scoring", "pareto.wasm"),
    ("boathouse-pii", "pii.wasm"),
];

fn main() -> anyhow::Result<()> {
    build(
        "../..",
        &PLUGINS.map(|(package, file)| Guest {
            package,
            features: &[],
            file,
        }),
    )
}
