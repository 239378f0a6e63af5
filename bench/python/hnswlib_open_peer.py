"""P3's peer: hnswlib, an index saved by `save_index` and loaded by `load_index`."""

import importlib.metadata
import os
import time

import hnswlib
import numpy

import lines

# Rows handed over at a time, so that the whole data set is not held twice.
CHUNK = 10_000


def store(base, rows, dimension, m, ef_construction, threads, path):
    index = hnswlib.Index(space="cosine", dim=dimension)
    index.init_index(max_elements=rows, M=m, ef_construction=ef_construction, random_seed=1)
    with open(base, "rb") as file:
        for first in range(0, rows, CHUNK):
            count = min(CHUNK, rows - first)
            chunk = numpy.fromfile(file, dtype="<f4", count=count * dimension)
            ids = numpy.arange(first, first + count)
            index.add_items(chunk.reshape(count, dimension), ids, num_threads=threads)
    index.save_index(path)
    return {"bytes": os.path.getsize(path)}


def open_index(path, query, rows, dimension, k, ef):
    asked = numpy.fromfile(query, dtype="<f4", count=dimension).reshape(1, dimension)
    start = time.perf_counter()
    index = hnswlib.Index(space="cosine", dim=dimension)
    index.load_index(path, max_elements=rows)
    index.set_ef(ef)
    found, _ = index.knn_query(asked, k=k, num_threads=1)
    seconds = time.perf_counter() - start
    private = lines.memory("RssAnon")
    return {"seconds": seconds, "private_bytes": private, "found": found[0].tolist()}


def find(path, base, rows, dimension, every, k, ef):
    vectors = numpy.memmap(base, dtype="<f4", mode="r", shape=(rows, dimension))
    index = hnswlib.Index(space="cosine", dim=dimension)
    index.load_index(path, max_elements=rows)
    index.set_ef(ef)
    asked = numpy.arange(0, rows, every)
    answers, _ = index.knn_query(vectors[asked], k=k, num_threads=1)
    found = int((answers == asked.astype(answers.dtype)[:, None]).any(axis=1).sum())
    return {"asked": len(asked), "found": found}


operations = {"store": store, "open": open_index, "find": find}
lines.serve(f"hnswlib {importlib.metadata.version('hnswlib')}", operations)
