#!/usr/bin/env bash
# Puts the bundled proposer `boathouse/surrogate` in the place of the one that serves, for one index, lets it tune
# that index, and takes it back. Each is one call.
#
#   BOATHOUSE_URL=http://127.0.0.1:7700 examples/surrogate.sh INDEX
#
# A host with keys wants one in BOATHOUSE_KEY. Needs curl and nothing else.
set -euo pipefail

index=${1:?the name of an index}
url=${BOATHOUSE_URL:-http://127.0.0.1:7700}
call() { # METHOD PATH [more arguments of curl]
    curl --silent --show-error --fail-with-body --request "$1" "$url$2" \
        ${BOATHOUSE_KEY:+--header "authorization: Bearer $BOATHOUSE_KEY"} "${@:3}"
}
post() { # PATH JSON
    call POST "$1" --header 'content-type: application/json' --data "$2"
}

plugin=/plugins/proposer/boathouse/surrogate
version=$(call GET "$plugin" | grep --only-matching '"version":"[^"]*"' | head -n 1 | cut -d '"' -f 4)

echo "== it proposes for $index"
post "$plugin/versions/$version/activate" "{\"indexes\": [\"$index\"]}" && echo

echo "== at most twelve trials, and why each"
post "/vectors/autotune/$index" '{"strategy": "proposer", "max_trials": 12}' |
    grep --only-matching '"reason":"[^"]*"'

echo "== what served before proposes again"
post "$plugin/rollback" '{}' && echo
