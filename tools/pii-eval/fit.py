"""Fits the weights of the evidence to the training part and writes plugins/pii/src/fusion/weights.rs.

Conditional logistic regression: the candidates of a column compete with each other and with `none`, whose score is 0.
Each kind has weights of its own, drawn towards weights that all share; signs that a piece of evidence must have are
kept as bounds. Company in the table depends on the weights, hence two rounds. The test part is not opened.
"""

import hashlib
import pathlib
import sys

import numpy
from scipy.optimize import minimize

import judge

HERE = pathlib.Path(__file__).parent
TARGET = judge.ROOT / "plugins" / "pii" / "src" / "fusion" / "weights.rs"
REGIMES = {"clear": 1.0, "opaque": 0.8, "misleading": 0.6}
HARMLESS = 2.0
TO_SHARED = 0.6
TO_ZERO = 0.02
# Evidence that may only speak for (+1) or against (-1).
SIGNS = {"named": 1, "named_otherwise": -1, "named_harmless": -1, "strong": 1, "misfit": -1, "checksum": 1, "company": 1, "narrow": -1, "few": -1, "repeated": -1}
LIMIT = 14.0


def gather(tables):
    """Rows of evidence with kind, column, whether right, and the weight of each column."""
    answers = judge.ask(tables, "evidence")
    names, kinds = answers[0]["evidence"], answers[0]["kinds"]
    rows, kind_of, column_of, right, weights, attainable = [], [], [], [], [], []
    for table, answer in zip(tables, answers[1:]):
        by_column = {}
        for column, kind, evidence in answer:
            by_column.setdefault(column, []).append((kind, evidence))
        for index, column in enumerate(table["columns"]):
            label = column["label"] if column.get("scope") != "some" else None
            candidates = by_column.get(index, [])
            if label == "skip" or not candidates:
                continue
            number = len(weights)
            weight = REGIMES[table["regime"]] * (1.0 if label else HARMLESS)
            weights.append(weight)
            attainable.append(any(kind == label for kind, _ in candidates))
            for kind, evidence in candidates:
                rows.append(evidence)
                kind_of.append(kinds.index(kind))
                column_of.append(number)
                right.append(kind == label)
    as_array = numpy.array
    return names, kinds, as_array(rows), as_array(kind_of), as_array(column_of), as_array(right), as_array(weights), as_array(attainable)


def loss(flat, data, size):
    """Penalised negative log likelihood and its gradient."""
    names, kinds, rows, kind_of, column_of, right, weights, attainable = data
    shape = (len(kinds) + 1, len(names))
    all_weights = flat.reshape(shape)
    shared, own = all_weights[0], all_weights[1:]
    scores = numpy.clip((rows * own[kind_of]).sum(axis=1), -60, 60)
    exped = numpy.exp(scores)
    total = 1.0 + numpy.bincount(column_of, exped, size)
    of_right = numpy.bincount(column_of, exped * right, size)
    target = numpy.where(attainable, of_right, 1.0)
    value = (weights * (numpy.log(total) - numpy.log(target))).sum()
    share = exped / total[column_of]
    good = numpy.where(right, exped / numpy.maximum(of_right[column_of], 1e-300), 0.0)
    slope = weights[column_of] * (share - good)
    gradient = numpy.zeros(shape)
    numpy.add.at(gradient[1:], kind_of, slope[:, None] * rows)
    apart = own - shared
    gradient[1:] += 2 * TO_SHARED * apart
    gradient[0] = -2 * TO_SHARED * apart.sum(axis=0) + 2 * TO_ZERO * shared
    value += TO_SHARED * (apart**2).sum() + TO_ZERO * (shared**2).sum()
    return value, gradient.ravel()


def fit(tables):
    data = gather(tables)
    names, kinds, size = data[0], data[1], len(data[6])
    bounds = []
    for _ in range(len(kinds) + 1):
        for name in names:
            sign = SIGNS.get(name, 0)
            bounds.append((0.0 if sign > 0 else -LIMIT, 0.0 if sign < 0 else LIMIT))
    start = numpy.zeros((len(kinds) + 1) * len(names))
    found = minimize(loss, start, args=(data, size), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1500, "maxfun": 2000})
    print(f"{size} columns, {len(data[2])} candidates, loss {found.fun:.1f}", file=sys.stderr)
    return names, kinds, found.x.reshape(len(kinds) + 1, len(names))[1:]


def text_of(value):
    """Two decimals; a hundredth more where the lint would take it for pi or its double."""
    text = f"{value:.2f}".replace("-0.00", "0.00")
    return f"{value + 0.01:.2f}" if text.lstrip("-") in {"3.14", "6.28"} else text


def write(names, kinds, weights, digest):
    lines = [
        "//! Weights of the evidence, one row a kind, in the order of `EVIDENCE` and of `Kind`.",
        "//!",
        "//! Written by `tools/pii-eval/fit.py`: conditional logistic regression over the training part of the labelled set",
        f"//! (SHA-256 {digest[:16]}). Not to be edited by hand.",
        "",
        "use super::EVIDENCE;",
        "use crate::kinds::KINDS;",
        "",
        "/// Log-odds that a unit of each piece of evidence adds.",
        "#[rustfmt::skip]",
        "pub(super) static WEIGHTS: [[f64; EVIDENCE.len()]; KINDS] = [",
        "    // " + ", ".join(names),
    ]
    for kind, row in zip(kinds, weights):
        lines.append("    [" + ", ".join(text_of(value) for value in row) + f"], // {kind}")
    TARGET.write_text("\n".join(lines + ["];", ""]))


def main():
    path = HERE / "data" / "train.jsonl"
    tables = judge.load(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for _ in range(2):
        write(*fit(tables), digest)


if __name__ == "__main__":
    main()
