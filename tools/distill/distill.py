"""Makes the model files: teacher vectors in, `tokenizer.json`, `model.safetensors`, `config.json` out.

Run corpora.py and encode.py first (README.md has the three commands). Seeded; the same inputs and
library versions give the same files. Prints the table of figures that README.md quotes.
"""

import json
import os
import sys
import time

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer

import evaluate
import student
import vocabulary

ROWS, ADDED_WORDS = 29_050, 1_200
SIZE_LIMIT = 8_000_000
DEVELOPMENT = 4_000
TOWARDS_PRIOR = 2.0
NEIGHBOURHOODS = {"epochs": 5, "rate": 0.02, "heat": 0.05, "pull": 2.0}


class Material:
    """Texts with their teacher vectors, the new vocabulary, and the sparse mean matrices."""

    def __init__(self, folder, model):
        texts = json.load(open(f"{folder}/texts.json"))
        words = [t for _, t in texts["train"]]
        self.old = Tokenizer.from_file(f"{model}/tokenizer.json")
        self.old.no_padding()
        self.old.no_truncation()
        self.tokens = vocabulary.choose(self.old, words, ROWS, ADDED_WORDS)
        self.new = vocabulary.load(self.tokens)
        self.token_vectors = np.load(f"{folder}/tokens.npy")
        self.held_out_texts = texts["held_out"]
        self.held_out = dict(np.load(f"{folder}/held_out.npz"))
        chunks = len(os.listdir(f"{folder}/targets"))
        vectors = np.concatenate([np.load(f"{folder}/targets/{n}.npy") for n in range(chunks)]).astype(np.float32)
        words = words[: len(vectors)]
        self.development_texts, self.development = words[:DEVELOPMENT], vectors[:DEVELOPMENT]
        singles = [t for t in self.tokens if t.isalpha() and len(t) > 1 and self.old.token_to_id(t)]
        single_vectors = self.token_vectors[[self.old.token_to_id(t) for t in singles]]
        self.targets = np.concatenate([vectors[DEVELOPMENT:], single_vectors])
        self.matrix = student.mean_matrix(self.new, words[DEVELOPMENT:] + singles)

    def features(self, word_table):
        """What is known of each token without any text: its vector alone, and its input row."""
        rows = []
        for token in self.tokens:
            known = self.old.token_to_id(token)
            rows.append([known] if known is not None else self.old.encode(token, add_special_tokens=False).ids)
        return np.stack(
            [np.concatenate([self.token_vectors[r].mean(0), 10 * word_table[r].mean(0)]) for r in rows]
        ).astype(np.float32)


def progress(material, table):
    """overlap@10 on the development texts: the figure to choose settings by."""
    vectors = student.mean_matrix(material.new, material.development_texts) @ table
    return {"development": evaluate.overlap(vectors, material.development)}


def figures(material, table):
    """overlap@10 on the development texts and on each held-out pool."""
    out = progress(material, table)
    for pool, texts in material.held_out_texts.items():
        out[pool] = evaluate.overlap(student.mean_matrix(material.new, texts) @ table, material.held_out[pool])
    return out


def baselines(material):
    plain = student.plain_recipe(material.token_vectors)
    rows = {"feature hashing": evaluate.feature_hashing, "plain recipe": lambda t: student.mean_matrix(material.old, t) @ plain}
    for name, embed in rows.items():
        pools = {p: evaluate.overlap(embed(t), material.held_out[p]) for p, t in material.held_out_texts.items()}
        show(name, {"development": evaluate.overlap(embed(material.development_texts), material.development)} | pools)


def show(name, values):
    print(f"{time.strftime('%H:%M:%S')} {name:24}", {k: round(v, 4) for k, v in values.items()}, flush=True)


def fit(material, word_table):
    axes = student.principal_axes(material.targets)
    goal = student.unit(material.targets @ axes)
    weights = student.frequency_weights(material.matrix)
    table = student.ridge_prior(material.matrix, material.features(word_table), weights, goal)
    show("ridge prior", figures(material, table))
    table = student.least_squares(material.matrix, table, goal, TOWARDS_PRIOR)
    show("least squares", figures(material, table))
    table = np.ascontiguousarray(table / np.sqrt((table**2).mean()), dtype=np.float32)
    report = lambda epoch, current: show(f"neighbourhoods {epoch + 1}", progress(material, current))
    return student.fit_neighbourhoods(material.matrix, table, material.targets, goal, report=report, **NEIGHBOURHOODS)


def write(folder, tokens, table):
    rows, scales = student.quantise(table)
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/tokenizer.json", "w", encoding="utf-8") as file:
        file.write(vocabulary.tokenizer_json(tokens))
    save_file({"embeddings": rows, "weights": scales}, f"{folder}/model.safetensors")
    with open(f"{folder}/config.json", "w", encoding="utf-8") as file:
        json.dump({"model_type": "model2vec", "normalize": True, "hidden_dim": student.DIMENSION, "seq_length": 512}, file)
    size = sum(os.path.getsize(f"{folder}/{n}") for n in ["tokenizer.json", "model.safetensors", "config.json"])
    if size > SIZE_LIMIT:
        raise ValueError(f"the model files take {size} bytes, more than {SIZE_LIMIT}: lower ROWS")
    print("bytes", size)
    return rows.astype(np.float32) * scales[:, None]


def main(folder, model, out):
    from safetensors.numpy import load_file

    word_table = load_file(f"{model}/model.safetensors")["embeddings.word_embeddings.weight"].astype(np.float32)
    material = Material(folder, model)
    print(len(material.targets), "training texts,", len(material.tokens), "tokens")
    baselines(material)
    table = fit(material, word_table)
    show("int8", figures(material, write(out, material.tokens, table)))


if __name__ == "__main__":
    main(*sys.argv[1:4])
