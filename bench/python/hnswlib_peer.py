"""P1 and P2's peer: hnswlib, compiled for this processor by its own set-up."""

import importlib.metadata
import time

import hnswlib
import numpy

import lines

state = {}


def build(base, rows, dimension, m, ef_construction, threads):
    before = lines.memory("VmRSS")
    start = time.perf_counter()
    index = hnswlib.Index(space="cosine", dim=dimension)
    index.init_index(max_elements=rows, M=m, ef_construction=ef_construction, random_seed=1)
    with open(base, "rb") as file:
        for first, count in lines.parts(rows, dimension):
            chunk = numpy.fromfile(file, dtype="<f4", count=count * dimension)
            ids = numpy.arange(first, first + count)
            index.add_items(chunk.reshape(count, dimension), ids, num_threads=threads)
    seconds = time.perf_counter() - start
    state["index"] = index
    return {"seconds": seconds, "peak_bytes": lines.memory("VmHWM") - before}


def search(queries, k, ef, answers):
    index = state["index"]
    asked = numpy.fromfile(queries, dtype="<f4").reshape(-1, index.dim)
    index.set_ef(ef)
    start = time.perf_counter()
    rows, _ = index.knn_query(asked, k=k, num_threads=1)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "answers": rows.tolist() if answers else None}


lines.serve(f"hnswlib {importlib.metadata.version('hnswlib')}", {"build": build, "search": search})
