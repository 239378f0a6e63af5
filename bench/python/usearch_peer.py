"""P1 and P2's peer: USearch in full precision, from its wheel, which picks instructions at run time."""

import time

import numpy
import usearch.index

import lines

state = {}


def build(base, rows, dimension, m, ef_construction, threads):
    before = lines.memory("VmRSS")
    start = time.perf_counter()
    index = usearch.index.Index(
        ndim=dimension, metric="cos", dtype="f32", connectivity=m, expansion_add=ef_construction
    )
    with open(base, "rb") as file:
        for first, count in lines.parts(rows, dimension):
            chunk = numpy.fromfile(file, dtype="<f4", count=count * dimension)
            ids = numpy.arange(first, first + count)
            index.add(ids, chunk.reshape(count, dimension), copy=True, threads=threads)
    seconds = time.perf_counter() - start
    state["index"] = index
    return {"seconds": seconds, "peak_bytes": lines.memory("VmHWM") - before}


def search(queries, k, ef, answers):
    index = state["index"]
    asked = numpy.fromfile(queries, dtype="<f4").reshape(-1, index.ndim)
    index.expansion_search = ef
    start = time.perf_counter()
    found = index.search(asked, k, threads=1)
    seconds = time.perf_counter() - start
    distances = found.computed_distances / len(asked)
    return {"seconds": seconds, "answers": found.keys.tolist() if answers else None, "distances": distances}


lines.serve(f"usearch {usearch.__version__}", {"build": build, "search": search})
