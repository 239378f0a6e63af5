"""Neighbour overlap@10: of a text's ten nearest by the teacher, how many the student also has.

Every text of a pool is a query against the rest of its pool; cosine on both sides.
"""

import hashlib
import re

import numpy as np


def nearest(vectors, k=10):
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    scores = vectors.astype(np.float32) @ vectors.astype(np.float32).T
    np.fill_diagonal(scores, -np.inf)
    return np.argpartition(-scores, k, axis=1)[:, :k]


def overlap(student, teacher, k=10):
    pairs = zip(nearest(student, k), nearest(teacher, k))
    return float(np.mean([len(set(a) & set(b)) / k for a, b in pairs]))


def feature_hashing(texts, dimension=256):
    """Signed hashing of lower-cased words: what a host without a model would do."""
    out = np.zeros((len(texts), dimension), np.float32)
    for row, text in zip(out, texts):
        for word in re.findall(r"\w+", text.lower()):
            digest = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
            row[digest % dimension] += 1 if digest >> 63 else -1
    return out
