"""Writes bench/data/pii-columns.jsonl: a realistic mix of columns of all kinds, for measuring speed.

Tables of the development part under clear names: `{"name", "columns": [{"name", "type", "values": [[text, count]]}]}`.
"""

import json

import judge


def main():
    tables = judge.load(judge.ROOT / "tools" / "pii-eval" / "data" / "dev.jsonl")
    target = judge.ROOT / "bench" / "data" / "pii-columns.jsonl"
    target.parent.mkdir(exist_ok=True)
    with open(target, "w", encoding="utf-8") as file:
        for table in tables:
            if table["regime"] == "clear":
                columns = [{key: column[key] for key in ("name", "type", "values")} for column in table["columns"]]
                file.write(json.dumps({"name": table["name"], "columns": columns}, ensure_ascii=False) + "\n")
    print(target)


if __name__ == "__main__":
    main()
