#!/usr/bin/env bash
# A client's session with a running host, over plain HTTP: a table in, an index on it, a search, a few trials, the
# best of them serving, and that taken back.
#
#   BOATHOUSE_URL=http://127.0.0.1:7700 examples/session.sh
#
# A host with keys wants one in BOATHOUSE_KEY. Needs curl and nothing else.
set -euo pipefail

url=${BOATHOUSE_URL:-http://127.0.0.1:7700}
call() { # METHOD PATH [more arguments of curl]
    curl --silent --show-error --fail-with-body --request "$1" "$url$2" \
        ${BOATHOUSE_KEY:+--header "authorization: Bearer $BOATHOUSE_KEY"} "${@:3}"
}
post() { # PATH JSON
    call POST "$1" --header 'content-type: application/json' --data "$2"
}
field() { # NAME: its first value on standard input
    grep --only-matching "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4
}
# Follows the task on standard input to its end; its last event holds it whole.
follow() {
    local end
    end=$(call GET "/tasks/$(field id)/events" --no-buffer | grep '^data:' | tail -n 1)
    case $end in
        *'"state":"succeeded"'*) ;;
        *) echo "$end" >&2 && return 1 ;;
    esac
}

echo "== a table becomes a dataset"
call POST '/ingest/file?dataset=notes&format=csv' --data-binary @- <<'CSV' | follow
id,body
1,Bread from the oven with salted butter
2,How to mend the chain of an old bicycle
3,Tomatoes want sun and a warm wall
4,The ferry leaves the harbour at seven
5,A sourdough starter lives on flour and water
6,Pump the tyres before every long ride
7,Basil grows well beside tomatoes
8,Ships wait for the tide outside the port
CSV
call GET /datasets/notes && echo

echo "== a text column becomes an index"
post /vectors/indexes '{"name": "notes", "dataset": "notes", "text_column": "body", "id_column": "id"}' | follow

echo "== search"
post /vectors/indexes/notes/search '{"text": "baking bread at home", "k": 2}' && echo

echo "== four trials, and the best of them"
post /vectors/autotune/notes '{"max_trials": 4}' >/dev/null
best=$(call GET '/vectors/trials/notes/best?metric=pareto')
echo "$best"

echo "== it serves, and then what served before"
trial=$(echo "$best" | field id)
post /vectors/promote/notes "{\"trial\": \"$trial\", \"reason\": \"an example\", \"force\": true}" && echo
call POST /vectors/rollback/notes && echo
