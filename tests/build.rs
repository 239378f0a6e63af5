//! Builds the plugins that tests send to a host; `it/guests.rs` includes them.

use boathouse_guest_build::{Guest, build};

/// Package, features and component of each.
const GUESTS: [(&str, &[&str], &str); 6] = [
    ("boathouse-test-evil", &["pii"], "evil-pii.wasm"),
    ("boathouse-test-evil", &["proposer"], "evil-proposer.wasm"),
    ("boathouse-test-evil", &["scoring"], "evil-scoring.wasm"),
    ("boathouse-test-floats", &[], "floats.wasm"),
    ("boathouse-test-marked", &[], "marked-1.wasm"),
    ("boathouse-test-marked", &["second"], "marked-2.wasm"),
];

fn main() -> anyhow::Result<()> {
    build(
        "..",
        &GUESTS.map(|(package, features, file)| Guest {
            package,
            features,
            file,
            link: &[],
        }),
    )
}
