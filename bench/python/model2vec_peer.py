"""P10's peer: the built-in static model served by the Python package model2vec, on one core."""

import importlib.metadata
import time

from model2vec import StaticModel

import lines

state = {}


def encode():
    return state["model"].encode(
        state["texts"], max_length=512, normalize=True, use_multiprocessing=False
    )


def prepare(model, texts):
    with open(texts, encoding="utf-8") as file:
        state["texts"] = file.read().rstrip("\n").split("\n")
    state["model"] = StaticModel.from_pretrained(model)
    vectors = encode()
    return {"texts": len(vectors), "product": float(vectors[0] @ vectors[-1])}


def run():
    start = time.perf_counter()
    encode()
    return {"seconds": time.perf_counter() - start}


version = importlib.metadata.version("model2vec")
lines.serve(f"model2vec {version}", {"prepare": prepare, "run": run})
