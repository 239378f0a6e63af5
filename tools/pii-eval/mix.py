"""Writes a realistic mix of columns of all kinds, for measuring speed.

Twelve tables of 500 rows, each with five or six columns of personal data (every kind comes round) and seven of other
things: as tables for the example `judge` (data/mix.jsonl), and as columns, one a line, `{"name", "type", "values":
[text, ...]}`, for the bench (bench/data/pii-columns.jsonl).
"""

import json
import random

import build
import harmless
import judge
import synth

ROWS = 500


def main():
    rng = random.Random("mix")
    bench = judge.ROOT / "bench" / "data" / "pii-columns.jsonl"
    bench.parent.mkdir(exist_ok=True)
    build.count_of = lambda _: ROWS
    values = 0
    with open(build.DATA / "mix.jsonl", "w", encoding="utf-8") as tables, open(bench, "w", encoding="utf-8") as lines:
        for index in range(12):
            source = synth.Faker(rng)
            kinds = [build.KINDS[(index * 5 + step) % len(build.KINDS)] for step in range(5)]
            columns = [build.positive(rng, source, kind, "dev") for kind in kinds]
            columns += [harmless.column(rng, name, ROWS) for name in rng.sample(list(harmless.MAKERS), 6)]
            texts, _ = synth.free_text(rng, source, "email", ROWS)
            columns.append({"name": "notes", "type": "Utf8", "values": [[text, 1] for text in texts]})
            columns = [{key: column[key] for key in ("name", "type", "values")} for column in columns]
            values += sum(len(column["values"]) for column in columns)
            tables.write(json.dumps({"name": f"mix_{index}", "columns": columns}, ensure_ascii=False) + "\n")
            for column in columns:
                column = column | {"values": [text for text, _ in column["values"]]}
                lines.write(json.dumps(column, ensure_ascii=False) + "\n")
    print(f"{bench}: {values} values")


if __name__ == "__main__":
    main()
