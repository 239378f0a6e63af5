#!/usr/bin/env bash
# A plugin from zero: a project, a taste of its own, its test, the component, the host's checks, the upload, a
# comparison with what serves, its service for one index, and that taken back.
#
#   examples/plugin.sh DIR INDEX
#
# DIR is a new folder, INDEX an index with trials at the host of BOATHOUSE_URL. The program is `boathouse`, or what
# BOATHOUSE says. Needs cargo with the target wasm32-wasip2 (`rustup target add wasm32-wasip2`).
set -euo pipefail

folder=$1 index=$2
boathouse() { "${BOATHOUSE:-boathouse}" --url "${BOATHOUSE_URL:-http://127.0.0.1:7700}" "$@"; }

echo "== a project"
boathouse plugin new --kind scoring --lang rust --name my-team/hasty "$folder"
cd "$folder"

echo "== a taste of its own: a millisecond costs 0.5 of recall instead of 0.2"
sed 's/0\.2/0.5/' src/lib.rs >lib.rs.new
mv lib.rs.new src/lib.rs

echo "== its test, and the component"
cargo test
cargo build --release --target wasm32-wasip2
component=${CARGO_TARGET_DIR:-target}/wasm32-wasip2/release/plugin.wasm

echo "== what the host would say, then the upload"
boathouse plugin check "$component"
boathouse plugin push "$component"

echo "== beside what serves, over the trials that are there"
boathouse plugin shadow my-team/hasty 0.1.0
boathouse plugin shadow my-team/hasty 0.1.0 --show

echo "== in service for one index"
boathouse plugin activate my-team/hasty 0.1.0 --index "$index"
boathouse --json tune best "$index"

echo "== and back"
boathouse plugin rollback my-team/hasty
boathouse plugin events
