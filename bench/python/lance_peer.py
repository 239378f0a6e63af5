"""The peer of P9 and S22: pylance on tables of the same columns in a folder of the same disk.

It reads the host's own vectors in Parquet. `seconds` is when pylance says that it is done; it syncs nothing, so
`synced_seconds` is when the files that it wrote, and their folders, are synced as well.
"""

import os
import shutil
import statistics
import time

import lance
import lines
import numpy
import pyarrow
import pyarrow.parquet

# As much as the host's own defaults.
CACHES = {"index_cache_size_bytes": 256 << 20, "metadata_cache_size_bytes": 64 << 20}
COLUMNS = ["doc_id", "row", "start", "end"]
AT_ONCE = 16_384

state = {}


def schema(dimension):
    return pyarrow.schema(
        [
            pyarrow.field("doc_id", pyarrow.string(), nullable=False),
            pyarrow.field("row", pyarrow.uint64(), nullable=False),
            pyarrow.field("start", pyarrow.uint32()),
            pyarrow.field("end", pyarrow.uint32()),
            pyarrow.field("vector", pyarrow.list_(pyarrow.float32(), dimension), nullable=False),
        ]
    )


def batch(doc_ids, rows, floats, dimension):
    nothing = pyarrow.nulls(len(rows), pyarrow.uint32())
    vectors = pyarrow.FixedSizeListArray.from_arrays(floats, dimension)
    return pyarrow.record_batch([doc_ids, rows, nothing, nothing, vectors], schema=schema(dimension))


def floats(blobs, dimension):
    """The components of vectors that Parquet has as binary, without a copy."""
    count = len(blobs) * dimension
    values = pyarrow.Array.from_buffers(pyarrow.float32(), count + blobs.offset * dimension, [None, blobs.buffers()[1]])
    return values.slice(blobs.offset * dimension)


def batches(sources, dimension):
    for source in sources:
        file = pyarrow.parquet.ParquetFile(source)
        for part in file.iter_batches(AT_ONCE, columns=["doc_id", "row", "vector"]):
            doc_ids = part.column("doc_id").cast(pyarrow.string())
            yield batch(doc_ids, part.column("row"), floats(part.column("vector"), dimension), dimension)


def files(folder):
    for place, _, names in os.walk(folder):
        for name in names:
            yield os.path.join(place, name)


def timed(folder, work):
    """Does something that writes into a folder, then syncs what it wrote."""
    there = {path: os.stat(path).st_mtime_ns for path in files(folder)}
    held = sum(os.path.getsize(path) for path in there)
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    fresh = [path for path in files(folder) if there.get(path) != os.stat(path).st_mtime_ns]
    for path in fresh + sorted({os.path.dirname(path) for path in fresh}):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    synced = time.perf_counter() - start
    bytes = sum(os.path.getsize(path) for path in files(folder)) - held
    return result, {"seconds": seconds, "synced_seconds": synced, "bytes": max(bytes, 0)}


def compare(sources, base, dimension):
    """Rows whose vectors are the same to the bit as those of a file, and whose ids are their numbers."""
    wanted = numpy.fromfile(base, dtype="<u4").reshape(-1, dimension)
    first = same = 0
    for part in batches(sources, dimension):
        values = part.column("vector").values.to_numpy().view("<u4").reshape(-1, dimension)
        names = part.column("doc_id").to_pylist() == [str(row) for row in range(first, first + part.num_rows)]
        equal = (values == wanted[first : first + part.num_rows]).all(axis=1).sum()
        same += int(equal) if names else 0
        first += part.num_rows
    return {"rows": first, "same": same}


def migrate(sources, folder, dimension):
    state.clear()
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    path = os.path.join(folder, "table")

    def work():
        reader = pyarrow.RecordBatchReader.from_batches(schema(dimension), batches(sources, dimension))
        lance.write_dataset(reader, path)

    _, took = timed(folder, work)
    state.update(folder=folder, dimension=dimension, table=lance.dataset(path, **CACHES))
    return took


def index(partitions, sub_vectors):
    def work():
        table = state["table"].create_index(
            "vector",
            "IVF_PQ",
            name="vector",
            metric="cosine",
            num_partitions=partitions,
            num_sub_vectors=sub_vectors,
        )
        for column in ("doc_id", "row"):
            table.create_scalar_index(column, "BTREE", name=column)
        return table

    state["table"], took = timed(state["folder"], work)
    return took


def search(queries, most, k, nprobes, refine_factor):
    table = state["table"]
    asked = numpy.fromfile(queries, dtype="<f4").reshape(-1, state["dimension"])[:most]
    times, found = [], []
    for vector in asked:
        nearest = {"column": "vector", "q": vector, "k": k, "nprobes": nprobes, "refine_factor": refine_factor}
        start = time.perf_counter()
        hits = table.scanner(
            columns=[*COLUMNS, "_distance"], nearest=nearest, disable_scoring_autoprojection=True
        ).to_table()
        times.append((time.perf_counter() - start) * 1e6)
        found.append([int(id) for id in hits.column("doc_id").to_pylist()])
    return {"p50_us": statistics.median(times), "answers": found}


def documents(ids):
    table, times, found = state["table"], [], 0
    for id in ids:
        start = time.perf_counter()
        rows = table.scanner(columns=[*COLUMNS, "vector"], filter=f"doc_id = '{id}'").to_table()
        times.append((time.perf_counter() - start) * 1e6)
        found += rows.num_rows > 0
    return {"p50_us": statistics.median(times), "found": found}


def append(vectors, count, name):
    dimension = state["dimension"]
    values = numpy.fromfile(vectors, dtype="<f4", count=count * dimension)

    def work():
        doc_ids = pyarrow.array([f"{name}-{at}" for at in range(count)])
        rows = pyarrow.array(range(count), pyarrow.uint64())
        new = batch(doc_ids, rows, pyarrow.array(values), dimension)
        return lance.write_dataset(pyarrow.Table.from_batches([new]), state["table"], mode="append")

    state["table"], took = timed(state["folder"], work)
    return took


operations = [compare, migrate, index, search, documents, append]
lines.serve(f"pylance {lance.__version__}", {each.__name__: each for each in operations})
