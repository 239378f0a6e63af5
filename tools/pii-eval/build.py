"""Builds the labelled set: data/{train,dev,test}.jsonl, a table a line, each table three times, once a regime.

Deterministic for given versions of the packages in requirements.txt.
"""

import copy
import json
import pathlib
import random
import sys

import harmless
import headers
import real
import synth

HERE = pathlib.Path(__file__).parent
DATA = HERE / "data"
TABLES = {"train": 260, "dev": 60, "test": 170}
THINGS = {"train": 90, "dev": 20, "test": 60}
KINDS = list(headers.CLEAR)
CERTAIN = {"email", "iban", "url", "mac_address", "crypto_wallet"}
BREAKABLE = {"credit_card", "national_id", "tax_id", "health_id", "iban", "imei", "bank_routing"}
INTEGERS = {"us_ssn", "national_id", "tax_id", "bank_routing", "imei", "credit_card", "phone", "postal_code", "medical_provider_id", "bank_account"}


def count_of(rng):
    return rng.choice([3, 5, 10, 20, 30, 45, 60, 60])


def clear_header(rng, kind, split, country):
    """The kind's name, or the word that the country itself uses."""
    own = {"BR": ["cpf"], "PL": ["pesel"], "ES": ["dni", "nif"], "IT": ["codice_fiscale"], "FR": ["nir"], "NL": ["bsn"], "SE": ["personnummer"], "GB": ["nino", "ni_number"], "IN": ["aadhaar_no"], "CN": ["身份证号"], "FI": ["hetu"], "CA": ["sin"], "MX": ["curp"], "CH": ["ahv_nr"], "DK": ["cpr"]}
    if kind == "national_id" and country in own and rng.random() < 0.5:
        return rng.choice(own[country])
    header = rng.choice(headers.CLEAR[kind][0 if split != "test" else 1])
    return header


def positive(rng, source, kind, split):
    count = count_of(rng)
    # One value suffices for what nothing else looks like; the fit has to know.
    if split == "train" and kind in CERTAIN and rng.random() < 0.15:
        count = 1
    values, country = source.column(kind, count)
    # Test data: right in form, wrong in every check digit. Only a name can tell.
    broken = kind in BREAKABLE and rng.random() < 0.07
    if broken:
        values = list({"".join(rng.choice("0123456789") if c.isdigit() and at > 3 else c for at, c in enumerate(value)): None for value in values})
    declared = "Utf8"
    if kind in INTEGERS and rng.random() < 0.35 and all(value.isdigit() for value in values):
        declared, values = "Int64", list(dict.fromkeys(str(int(value)) for value in values))
    if kind == "coordinates" and "," not in values[0]:
        declared = "Float64"
    if kind == "date_of_birth" and values[0][4:5] == "-" and rng.random() < 0.5:
        declared = "Date32"
    repeats = kind in {"person_name", "city", "postal_code"}
    pairs = [[value[:256], rng.randint(1, 3) if repeats else 1] for value in values]
    return {"name": clear_header(rng, kind, split, country), "type": declared, "values": pairs, "label": kind, "scope": "whole", "country": country, "broken": broken, "source": f"{source.family}:{source.locale}"}


def people_table(rng, index, split):
    if split == "test":
        source = synth.Mimesis(rng)
    else:
        source = synth.Faker(rng, synth.FAKER_LOCALES if split == "train" else synth.FAKER_DEV_LOCALES)
    columns = []
    # Every kind comes round equally often; common ones besides.
    kinds = [KINDS[(index * 5 + step) % len(KINDS)] for step in range(5)]
    kinds += rng.sample(["person_name", "email", "phone", "city", "postal_address"], 2)
    for kind in dict.fromkeys(kinds):
        columns.append(positive(rng, source, kind, split))
    # Coordinates beside people are theirs, so sensors keep to tables of things.
    things = [name for name in harmless.names_for(split) if not name.startswith("sensor")]
    for name in rng.sample(things, rng.randint(3, 5)):
        columns.append(harmless.column(rng, name, count_of(rng)))
    if rng.random() < 0.3:
        kind = rng.choice(["email", "phone", "iban", "credit_card", "secret"])
        texts, found = synth.free_text(rng, source, kind, 60)
        columns.append({"name": rng.choice(["notes", "comment", "remarks"]), "type": "Utf8", "values": [[text, 1] for text in texts], "label": kind if found else None, "scope": "some", "source": "text"})
    rng.shuffle(columns)
    return {"family": f"people-{index}", "name": f"people_{index}", "columns": columns}


def things_table(rng, index, split):
    names = rng.sample(harmless.names_for(split), rng.randint(4, 9))
    columns = [harmless.column(rng, name, count_of(rng)) for name in names]
    return {"family": f"things-{index}", "name": f"things_{index}", "columns": columns}


def regimes(rng, table, split):
    """The table under clear, opaque and misleading names."""
    for regime in ["clear", "opaque", "misleading"]:
        made = copy.deepcopy(table)
        for column in made["columns"]:
            column["clear"] = column["name"]
            if column.get("broken") and regime != "clear":
                column["label"] = "skip"
            if regime == "opaque":
                column["name"] = headers.opaque(rng)
            elif regime == "misleading":
                column["name"] = misleading(rng, column, split)
        made["regime"] = regime
        yield made


def misleading(rng, column, split):
    """Another kind's name, a harmless thing's, or a property's."""
    turn = rng.random()
    others = [kind for kind in KINDS if kind != column["label"]]
    if turn < 0.4:
        return clear_header(rng, rng.choice(others), split, None)
    return rng.choice(headers.HARMLESS if turn < 0.8 else headers.NEAR)


def main():
    DATA.mkdir(exist_ok=True)
    made = {split: [] for split in TABLES}
    for split in TABLES:
        rng = random.Random(f"tables-{split}")
        for index in range(TABLES[split]):
            made[split].append(people_table(rng, index, split))
        for index in range(THINGS[split]):
            made[split].append(things_table(rng, index, split))
    for table in real.tables():
        made[table.pop("split")].append(table)
    for split, tables in made.items():
        rng = random.Random(f"headers-{split}")
        with open(DATA / f"{split}.jsonl", "w", encoding="utf-8") as file:
            for table in tables:
                for version in regimes(rng, table, split):
                    file.write(json.dumps(version, ensure_ascii=False) + "\n")
        columns = [column for table in tables for column in table["columns"]]
        positives = sum(1 for column in columns if column.get("label"))
        print(split, len(tables), "tables", len(columns), "columns", positives, "positive", file=sys.stderr)


if __name__ == "__main__":
    main()
