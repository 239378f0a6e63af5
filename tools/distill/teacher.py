"""The teacher: all-MiniLM-L6-v2 as an ONNX graph written from its safetensors weights.

`Teacher.encode` returns unit sentence vectors (n x 384, mean pooling over all tokens including
[CLS] and [SEP], as the model's own pooling configuration says). `token_table` returns what the
model makes of every vocabulary entry alone. Nothing here trains; see distill.py.
"""

import os

import numpy as np
import openvino
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

LAYERS, HEADS, WIDTH = 6, 12, 384
MAX_TOKENS = 128


class GraphWriter:
    """Collects nodes and constants; every method returns the name of its result."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], {}

    def constant(self, value, name=None):
        name = name or f"c{len(self.constants)}"
        self.constants.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(self, name, transpose=False):
        value = self.weights[name].astype(np.float32)
        return self.constant(np.ascontiguousarray(value.T) if transpose else value, name)

    def op(self, kind, *inputs, **attributes):
        result = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [result], **attributes))
        return result

    def linear(self, x, prefix):
        product = self.op("MatMul", x, self.weight(f"{prefix}.weight", transpose=True))
        return self.op("Add", product, self.weight(f"{prefix}.bias"))

    def norm(self, x, prefix):
        scale, bias = self.weight(f"{prefix}.weight"), self.weight(f"{prefix}.bias")
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-12)

    def heads(self, x, order):
        shape = self.constant(np.array([0, 0, HEADS, WIDTH // HEADS], np.int64))
        return self.op("Transpose", self.op("Reshape", x, shape), perm=order)

    def attention(self, x, bias, prefix):
        query = self.heads(self.linear(x, f"{prefix}.self.query"), [0, 2, 1, 3])
        key = self.heads(self.linear(x, f"{prefix}.self.key"), [0, 2, 3, 1])
        value = self.heads(self.linear(x, f"{prefix}.self.value"), [0, 2, 1, 3])
        scale = self.constant(np.float32(1 / np.sqrt(WIDTH // HEADS)))
        scores = self.op("Add", self.op("Mul", self.op("MatMul", query, key), scale), bias)
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), value)
        flat = self.constant(np.array([0, 0, WIDTH], np.int64))
        joined = self.op("Reshape", self.op("Transpose", mixed, perm=[0, 2, 1, 3]), flat)
        return self.norm(self.op("Add", self.linear(joined, f"{prefix}.output.dense"), x), f"{prefix}.output.LayerNorm")

    def gelu(self, x):
        inner = self.op("Erf", self.op("Mul", x, self.constant(np.float32(1 / np.sqrt(2)))))
        half = self.op("Mul", x, self.constant(np.float32(0.5)))
        return self.op("Mul", half, self.op("Add", inner, self.constant(np.float32(1))))

    def layer(self, x, bias, prefix):
        x = self.attention(x, bias, f"{prefix}.attention")
        wide = self.gelu(self.linear(x, f"{prefix}.intermediate.dense"))
        return self.norm(self.op("Add", self.linear(wide, f"{prefix}.output.dense"), x), f"{prefix}.output.LayerNorm")


def write_graph(weights):
    """ids, mask (both batch x tokens) -> unit vectors (batch x 384)."""
    g = GraphWriter(weights)
    words = g.op("Gather", g.weight("embeddings.word_embeddings.weight"), "ids")
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    length = g.op("Slice", g.op("Shape", "ids"), g.constant(np.array([1])), g.constant(np.array([2])))
    positions = g.op("Slice", g.constant(places.astype(np.float32)), g.constant(np.array([0])), length)
    x = g.norm(g.op("Add", words, positions), "embeddings.LayerNorm")
    real = g.op("Cast", "mask", to=TensorProto.FLOAT)
    absent = g.op("Mul", g.op("Sub", real, g.constant(np.float32(1))), g.constant(np.float32(1e9)))
    bias = g.op("Unsqueeze", absent, g.constant(np.array([1, 2])))
    for number in range(LAYERS):
        x = g.layer(x, bias, f"encoder.layer.{number}")
    weighted = g.op("Mul", x, g.op("Unsqueeze", real, g.constant(np.array([2]))))
    total = g.op("ReduceSum", weighted, g.constant(np.array([1])), keepdims=0)
    g.nodes.append(helper.make_node("LpNormalization", [total], ["vectors"], axis=-1, p=2))
    pair = lambda name: helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
    result = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", WIDTH])
    graph = helper.make_graph(g.nodes, "minilm", [pair("ids"), pair("mask")], [result], list(g.constants.values()))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


class Teacher:
    def __init__(self, folder, threads=2):
        weights = load_file(os.path.join(folder, "model.safetensors"))
        core = openvino.Core()
        graph = core.read_model(write_graph(weights).SerializeToString())
        self.model = core.compile_model(graph, "CPU", {"INFERENCE_NUM_THREADS": threads})
        self.tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)

    def encode_ids(self, ids, batch_tokens=2048):
        """ids: lists of token ids with [CLS] and [SEP]. Batches hold texts of like length."""
        order = np.argsort([len(i) for i in ids], kind="stable")
        out = np.empty((len(ids), WIDTH), np.float32)
        start = 0
        while start < len(order):
            end = start + 1
            while end < len(order) and len(ids[order[end]]) * (end - start + 1) <= batch_tokens:
                end += 1
            rows = order[start:end]
            tokens = np.zeros((len(rows), len(ids[rows[-1]])), np.int64)
            mask = np.zeros_like(tokens)
            for slot, row in enumerate(rows):
                tokens[slot, : len(ids[row])] = ids[row]
                mask[slot, : len(ids[row])] = 1
            out[rows] = self.model({"ids": tokens, "mask": mask})["vectors"]
            start = end
        return out

    def encode(self, texts):
        return self.encode_ids([e.ids for e in self.tokenizer.encode_batch(texts)])

    def token_table(self):
        """The model's vector for every vocabulary entry on its own, `[CLS] t [SEP]`."""
        cls, sep = self.tokenizer.token_to_id("[CLS]"), self.tokenizer.token_to_id("[SEP]")
        return self.encode_ids([[cls, t, sep] for t in range(self.tokenizer.get_vocab_size())])
