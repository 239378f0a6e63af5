"""P1 and P2's peer: Faiss's HNSW over unit vectors, from its wheel, which picks instructions at run time."""

import time

import faiss
import numpy

import lines

state = {}


def unit(vectors):
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def build(base, rows, dimension, m, ef_construction, threads):
    before = lines.memory("VmRSS")
    start = time.perf_counter()
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexHNSWFlat(dimension, m, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = ef_construction
    with open(base, "rb") as file:
        for first, count in lines.parts(rows, dimension):
            chunk = numpy.fromfile(file, dtype="<f4", count=count * dimension)
            index.add(unit(chunk.reshape(count, dimension)))
    seconds = time.perf_counter() - start
    state["index"] = index
    return {"seconds": seconds, "peak_bytes": lines.memory("VmHWM") - before}


def search(queries, k, ef, answers):
    index = state["index"]
    asked = numpy.fromfile(queries, dtype="<f4").reshape(-1, index.d)
    faiss.omp_set_num_threads(1)
    index.hnsw.efSearch = ef
    faiss.cvar.hnsw_stats.reset()
    start = time.perf_counter()
    _, rows = index.search(unit(asked), k)
    seconds = time.perf_counter() - start
    distances = faiss.cvar.hnsw_stats.ndis / len(asked)
    return {"seconds": seconds, "answers": rows.tolist() if answers else None, "distances": distances}


lines.serve(f"faiss {faiss.__version__}", {"build": build, "search": search})
