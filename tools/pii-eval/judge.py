"""Runs the detector outside of WebAssembly over tables, through the example `judge` of plugins/pii."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def program():
    """Builds the example in the profile of guests and returns its path."""
    command = ["cargo", "build", "-q", "-p", "boathouse-pii", "--example", "judge", "--profile", "guest", "--config", "profile.guest.lto=false"]
    subprocess.run(command, cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "guest" / "examples" / "judge"


def load(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def ask(tables, mode=""):
    """One answer a table."""
    lines = []
    for table in tables:
        columns = [{"name": c["name"], "type": c["type"], "values": c["values"]} for c in table["columns"]]
        lines.append(json.dumps({"name": table["name"], "columns": columns}))
    done = subprocess.run([program(), *([mode] if mode else [])], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
