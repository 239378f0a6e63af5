"""Runs the teacher over the texts, in chunks that survive an interruption.

Writes below the work folder: `tokens.npy` (30,522 x 384), `held_out.npz` and `targets/N.npy`
(4,096 texts each, in the order of texts.json). Stops after `seconds`, keeping whole chunks.
"""

import json
import os
import sys
import time

import numpy as np

from teacher import Teacher

CHUNK = 4096


def main(folder, model, seconds):
    deadline = time.monotonic() + seconds
    texts = json.load(open(f"{folder}/texts.json"))
    teacher = Teacher(model)
    if not os.path.exists(f"{folder}/held_out.npz"):
        np.savez(f"{folder}/held_out.npz", **{k: teacher.encode(v) for k, v in texts["held_out"].items()})
        np.save(f"{folder}/tokens.npy", teacher.token_table())
    os.makedirs(f"{folder}/targets", exist_ok=True)
    train = [t for _, t in texts["train"]]
    for number, start in enumerate(range(0, len(train), CHUNK)):
        path = f"{folder}/targets/{number}.npy"
        if os.path.exists(path):
            continue
        if time.monotonic() > deadline:
            break
        np.save(path, teacher.encode(train[start : start + CHUNK]).astype(np.float16))
        print(number, f"{deadline - time.monotonic():.0f} s left", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
