"""P5's peer: the same scoring function as an Extism guest with JSON in and out.

The guest is compiled once. A fresh call makes an instance of it, calls and drops it; a reused one calls
the instance that is there. JSON of the host's side is not timed here: Python would be blamed for its
own slowness, so the bench adds what it costs in Rust.
"""

import importlib.metadata
import json
import time

from extism.extism import CompiledPlugin, Plugin

import lines

state = {}


def prepare(guest, question):
    if "compiled" not in state:
        with open(guest, "rb") as file:
            state["compiled"] = CompiledPlugin(file.read())
    state["plugin"] = Plugin(state["compiled"])
    state["question"] = question.encode()
    return {"verdicts": json.loads(state["plugin"].call("evaluate", state["question"]))}


def run(calls, fresh):
    compiled, question, plugin = state["compiled"], state["question"], state["plugin"]
    start = time.perf_counter()
    if fresh:
        for _ in range(calls):
            with Plugin(compiled) as instance:
                instance.call("evaluate", question)
    else:
        for _ in range(calls):
            plugin.call("evaluate", question)
    return {"seconds": time.perf_counter() - start}


version = importlib.metadata.version("extism-sys")
lines.serve(f"Extism {version}", {"prepare": prepare, "run": run})
