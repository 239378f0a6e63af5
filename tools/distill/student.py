"""Fitting the token table: ridge from the teacher's own token vectors, then least squares, then
neighbourhoods.

A text's student vector is the normalised mean of its tokens' rows, so everything here is a sparse
matrix (texts x tokens, rows summing to one) times a table (tokens x 256).
"""

import numpy as np
from scipy import sparse

DIMENSION = 256
SIF = 1e-4


def mean_matrix(tokenizer, texts):
    """CSR texts x tokens; unknown tokens are left out as the served model leaves them out."""
    unknown = tokenizer.token_to_id("[UNK]")
    starts, columns, values = [0], [], []
    for start in range(0, len(texts), 20_000):
        for encoding in tokenizer.encode_batch(texts[start : start + 20_000], add_special_tokens=False):
            ids = [i for i in encoding.ids if i != unknown]
            columns.extend(ids)
            values.extend([1 / max(len(ids), 1)] * len(ids))
            starts.append(len(columns))
    shape = (len(starts) - 1, tokenizer.get_vocab_size())
    matrix = sparse.csr_matrix((np.array(values, np.float32), np.array(columns, np.int32), starts), shape)
    matrix.sum_duplicates()
    return matrix


def zipf_weights(count):
    """Down-weighting by rank: a vocabulary lists its tokens roughly by falling frequency."""
    chance = 1 / (np.arange(count) + 2)
    chance /= chance.sum()
    return (SIF / (SIF + chance)).astype(np.float32)[:, None]


def frequency_weights(matrix):
    """The same down-weighting from counted frequencies, smoothed."""
    counts = np.bincount(matrix.indices, minlength=matrix.shape[1]) + 0.5
    chance = counts / counts.sum()
    return (1e-3 / (1e-3 + chance)).astype(np.float32)[:, None]


def plain_recipe(token_vectors):
    """The recipe to beat: token through the model, centred PCA, rank weights. No texts."""
    centred = token_vectors - token_vectors.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return centred @ axes[:DIMENSION].T * zipf_weights(len(token_vectors))


def principal_axes(targets):
    """The 256 directions (384 x 256) that keep most of the teacher's inner products."""
    _, axes = np.linalg.eigh(targets.T @ targets)
    return np.ascontiguousarray(axes[:, ::-1][:, :DIMENSION])


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def ridge_prior(matrix, features, weights, goal, strength=1.0):
    """The linear map from token features to rows whose weighted means come nearest to the goal.

    Tokens that no training text holds get their rows from here, in the same space as the others."""
    weighted = features * weights
    design = matrix @ weighted
    gram = design.T @ design + strength * np.eye(design.shape[1], dtype=np.float32)
    return weighted @ np.linalg.solve(gram, design.T @ goal)


def least_squares(matrix, prior, goal, strength, rounds=25):
    """argmin |matrix E - goal|^2 + strength |E - prior|^2 by conjugate gradients, all columns at once."""
    back = matrix.T.tocsr()
    step = np.zeros_like(prior)
    residual = back @ (goal - matrix @ prior)
    direction, size = residual.copy(), (residual**2).sum(0)
    for _ in range(rounds):
        image = back @ (matrix @ direction) + strength * direction
        pace = size / np.maximum((direction * image).sum(0), 1e-20)
        step += pace * direction
        residual -= pace * image
        previous, size = size, (residual**2).sum(0)
        direction = residual + (size / np.maximum(previous, 1e-20)) * direction
    return prior + step


def clusters(targets, count, generator, rounds=4):
    """Spherical k-means labels: batches made of whole neighbourhoods teach near distinctions."""
    centres = targets[generator.choice(len(targets), count, replace=False)]
    for _ in range(rounds):
        labels = np.concatenate([np.argmax(part @ centres.T, 1) for part in np.array_split(targets, 50)])
        members = sparse.csr_matrix((np.ones(len(labels), np.float32), (labels, np.arange(len(labels)))), (count, len(labels)))
        centres = unit(members @ targets)
    return labels


def batches(labels, generator, size, piece=64):
    """Texts in an order where each batch is a mix of neighbourhoods."""
    order = generator.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    pieces = np.array_split(order, max(len(order) // piece, 1))
    generator.shuffle(pieces)
    order = np.concatenate(pieces)
    return [order[start : start + size] for start in range(0, len(order) - size // 2, size)]


def softmax(scores):
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def neighbourhood_gradient(student, teacher, heat):
    """Gradient, by student vectors, of KL(teacher's || student's softmax over the batch)."""
    scores = [v @ v.T / heat for v in (teacher, student)]
    for s in scores:
        np.fill_diagonal(s, -1e9)
    wanted, got = map(softmax, scores)
    slope = (got - wanted) / heat
    return (slope + slope.T) @ student


class Adam:
    """Adam over the rows that a batch touches."""

    def __init__(self, table):
        self.table, self.mean, self.square = table, np.zeros_like(table), np.zeros_like(table)
        self.steps = np.zeros((len(table), 1), np.float32)

    def step(self, rows, gradient, rate):
        self.steps[rows] += 1
        self.mean[rows] = 0.9 * self.mean[rows] + 0.1 * gradient
        self.square[rows] = 0.99 * self.square[rows] + 0.01 * gradient**2
        mean = self.mean[rows] / (1 - 0.9 ** self.steps[rows])
        square = self.square[rows] / (1 - 0.99 ** self.steps[rows])
        self.table[rows] -= rate * mean / (np.sqrt(square) + 1e-8)


def fit_neighbourhoods(matrix, table, targets, goal, *, epochs, rate, heat, pull, size=1536, seed=3, report=None):
    """Refines the table so that texts have the teacher's neighbours within mixed batches.

    `pull` weighs the distance to the goal itself against the neighbourhood term."""
    generator = np.random.default_rng(seed)
    labels = clusters(targets, max(len(targets) // 250, 1), generator)
    adam, total, done = Adam(table), epochs * (len(labels) // size), 0
    for epoch in range(epochs):
        for batch in batches(labels, generator, size):
            part = matrix[batch]
            rows = np.unique(part.indices)
            part = part[:, rows]
            pooled = part @ table[rows]
            norms = np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-6)
            vectors = pooled / norms
            slope = neighbourhood_gradient(vectors, targets[batch], heat) - pull * goal[batch]
            slope = (slope - vectors * (slope * vectors).sum(1, keepdims=True)) / norms
            adam.step(rows, part.T @ slope / len(batch), rate * max(1 - done / max(total, 1), 0.02))
            done += 1
        if report:
            report(epoch, table)
    return table


def quantise(table):
    """(int8 rows, float32 scale of each row), symmetric."""
    scale = np.maximum(np.abs(table).max(1), 1e-12) / 127
    return np.round(table / scale[:, None]).astype(np.int8), scale.astype(np.float32)
