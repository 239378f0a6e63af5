"""P7's peer: datafog-core over the same columns, its default kinds on, one table of all of them a call."""

import importlib.metadata
import json
import time

import datafog_core

import lines

state = {}


def prepare(columns, values):
    with open(columns, encoding="utf-8") as file:
        read = [json.loads(line) for line in file]
    # Names repeat over tables; as keys they must not.
    state["table"] = {f"{c['name']}_{i}": c["values"][:values] for i, c in enumerate(read)}
    return {"cells": sum(len(column) for column in state["table"].values())}


def run():
    start = time.perf_counter()
    datafog_core.scan_structured(state["table"])
    return {"seconds": time.perf_counter() - start}


version = importlib.metadata.version("datafog-core")
lines.serve(f"datafog-core {version}", {"prepare": prepare, "run": run})
