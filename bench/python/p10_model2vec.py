"""P10's peer: the built-in static model served by the Python package model2vec, on one core.

usage: p10_model2vec.py MODEL_FOLDER TEXTS_FILE [SECONDS]

TEXTS_FILE holds one text a line. Encodes the whole file again and again for at least SECONDS
(default 5), after one warm-up pass, and prints one line of JSON with the median pass:
{"peer", "version", "texts", "passes", "texts_per_second", "dimension", "checksum"}.
`checksum` is the inner product of the first and the last vector, so that both sides can show that
they computed the same thing. Needs `pip install model2vec==0.10.0`.
"""

import os

# One core, set before numpy and the tokenizer start their pools.
for variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"]:
    os.environ[variable] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import importlib.metadata
import json
import statistics
import sys
import time

from model2vec import StaticModel


def main(folder, texts_path, seconds=5.0):
    with open(texts_path, encoding="utf-8") as file:
        texts = [line.rstrip("\n") for line in file if line.strip()]
    model = StaticModel.from_pretrained(folder)
    encode = lambda: model.encode(texts, max_length=512, normalize=True, use_multiprocessing=False)
    vectors = encode()
    passes, deadline = [], time.perf_counter() + float(seconds)
    while len(passes) < 3 or time.perf_counter() < deadline:
        start = time.perf_counter()
        vectors = encode()
        passes.append(time.perf_counter() - start)
    result = {
        "peer": "model2vec (Python)",
        "version": importlib.metadata.version("model2vec"),
        "texts": len(texts),
        "passes": len(passes),
        "texts_per_second": round(len(texts) / statistics.median(passes), 1),
        "dimension": int(vectors.shape[1]),
        "checksum": round(float(vectors[0] @ vectors[-1]), 5),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:4])
