"""Ten tables without people in them, of kinds that the labelled set has not: python hard.py [--clear|--opaque].

For finding defects of rules by eye, not for fitting and not for measuring: whoever mends a rule because of it has seen
it. Each table is made with 5, 20, 60 and 300 rows, several times over, under its own names and under opaque ones, and
what is flagged is printed by column with the share of its makings. Columns of which people would argue (places,
networks, names of authors and players) are left out.
"""

import base64
import collections
import datetime
import random
import string
import sys

import headers
import judge

SIZES = [5, 20, 60, 300]
MAKINGS = 6
UPPER = string.ascii_uppercase


def digits(r, n, first="0123456789"):
    return r.choice(first) + "".join(r.choice("0123456789") for _ in range(n - 1))


def letters(r, n, alphabet=UPPER):
    return "".join(r.choice(alphabet) for _ in range(n))


def hexes(r, n):
    return letters(r, n, "0123456789abcdef")


def day(r, form="%Y-%m-%d", span=900):
    return (datetime.datetime(2022, 3, 1) + datetime.timedelta(minutes=r.randint(0, span * 1440))).strftime(form)


def luhn(body):
    """The body with its Luhn digit behind it: cards, ICCIDs and library barcodes share the rule."""
    total = sum(sum(divmod(int(c) * (2 if at % 2 == 0 else 1), 10)) for at, c in enumerate(reversed(body)))
    return body + str(-total % 10)


def gs1(body):
    """The body with its GS1 digit: EAN, GLN, SSCC."""
    return body + str(-sum(int(c) * (3 if at % 2 == 0 else 1) for at, c in enumerate(reversed(body))) % 10)


def isbn10(r):
    body = digits(r, 9, "0123")
    rest = -sum(int(c) * (10 - at) for at, c in enumerate(body)) % 11
    return body + ("X" if rest == 10 else str(rest))


def isin(r):
    body = r.choice(["US", "DE", "FR", "GB", "NL"]) + letters(r, 9, string.digits)
    return body + luhn("".join(str(int(c, 36)) for c in body))[-1]


def container(r):
    body = r.choice(["MSCU", "MAEU", "HLCU", "CMAU"]) + digits(r, 6)
    values = {c: v for c, v in zip(UPPER, [v for v in range(10, 40) if v % 11])}
    total = sum((values.get(c) or int(c)) * 2**at for at, c in enumerate(body))
    return body + str(total % 11 % 10)


def one_of(*words):
    return lambda r, i: r.choice(words)


def number(least, most):
    return lambda r, i: str(r.randint(least, most))


def fraction(least, most, places):
    return lambda r, i: f"{r.uniform(least, most):.{places}f}"


def counter(least, step=1):
    return lambda r, i: str(least + i * step + r.randint(0, step - 1))


TEXT, INT, FLOAT, DATE, TIME = "Utf8", "Int64", "Float64", "Date32", "Timestamp(Microsecond, None)"
TEAMS = ["Ajax", "Arsenal", "Celtic", "Everton", "Juventus", "Santos", "Dallas Stars", "Chelsea", "Fiorentina", "Rangers", "St. Louis Blues"]
# table: rows of (name, declared type, maker of a value from the generator and the row)
TABLES = {
    "shipments": [
        ("shipment_id", TEXT, lambda r, i: f"SHP{digits(r, 7)}"),
        ("awb", TEXT, lambda r, i: (lambda b: f"{r.choice(['020', '176', '157'])}-{b}{int(b) % 7}")(digits(r, 7, "123456789"))),
        ("container_no", TEXT, lambda r, i: container(r)),
        ("bl_number", TEXT, lambda r, i: f"MAEU{digits(r, 9)}"),
        ("hs_code", TEXT, lambda r, i: f"{digits(r, 4)}.{digits(r, 2)}.{digits(r, 4)}"),
        ("un_locode", TEXT, one_of("DEHAM", "NLRTM", "CNSHA", "SGSIN", "USLAX", "BEANR")),
        ("vessel_name", TEXT, one_of("Ever Given", "MSC Oscar", "Emma Maersk", "Maria Schulte", "Hamburg Express", "Cosco Pride", "Queen Mary 2", "Margaret Knight", "Santa Clara", "Cap San Diego")),
        ("imo_number", INT, number(9100000, 9899999)),
        ("sscc", TEXT, lambda r, i: gs1(digits(r, 17))),
        ("gln", TEXT, lambda r, i: gs1(digits(r, 12, "4"))),
        ("tracking_no", TEXT, lambda r, i: digits(r, 12, "123456789")),
        ("dhl_tracking", TEXT, lambda r, i: digits(r, 10, "123456789")),
        ("ups", TEXT, lambda r, i: f"1Z{letters(r, 6, UPPER + string.digits)}{digits(r, 10)}"),
        ("pro_number", TEXT, lambda r, i: f"{digits(r, 3)}-{digits(r, 6)}"),
        ("seal_no", TEXT, lambda r, i: f"{letters(r, 2)}{digits(r, 7)}"),
        ("dims", TEXT, lambda r, i: f"{r.randint(10, 120)}x{r.randint(10, 80)}x{r.randint(10, 80)}"),
        ("eta", TIME, lambda r, i: day(r, "%Y-%m-%dT%H:%M:%S")),
        ("ship_date", DATE, lambda r, i: day(r)),
        ("incoterm", TEXT, one_of("FOB", "CIF", "DAP", "EXW")),
        ("carrier_name", TEXT, one_of("Hapag Lloyd", "Maersk Line", "Kuehne Nagel", "Schenker", "Norfolk Southern")),
        ("dock_door", TEXT, lambda r, i: f"D{r.randint(1, 60):02d}"),
        ("route_code", TEXT, lambda r, i: f"{letters(r, 3)}-{letters(r, 3)}"),
        ("weight_kg", FLOAT, fraction(1, 900, 2)),
        ("po_number", TEXT, lambda r, i: f"45{digits(r, 8)}"),
        ("bin_location", TEXT, lambda r, i: f"{r.randint(1, 40)}-{letters(r, 1)}-{r.randint(1, 9)}"),
    ],
    "sensors": [
        ("sensor_id", TEXT, lambda r, i: f"TH-{digits(r, 4)}"),
        ("dev_eui", TEXT, lambda r, i: "70B3D57ED" + hexes(r, 7).upper()),
        ("iccid", TEXT, lambda r, i: luhn("8949" + digits(r, 14))),
        ("meter_serial", TEXT, lambda r, i: digits(r, 10, "123456789")),
        ("lat", FLOAT, fraction(47, 55, 5)),
        ("lon", FLOAT, fraction(6, 15, 5)),
        ("temperature", FLOAT, fraction(-10, 35, 2)),
        ("pressure", FLOAT, fraction(980, 1040, 2)),
        ("battery_mv", INT, number(2900, 3600)),
        ("rssi", INT, number(-120, -40)),
        ("frame", TEXT, lambda r, i: hexes(r, 24)),
        ("reading_at", TEXT, lambda r, i: day(r, "%Y-%m-%dT%H:%M:%SZ")),
        ("received_ms", INT, counter(1_700_000_000_000, 60_000)),
        ("received_us", INT, counter(1_700_000_000_000_000, 60_000_000)),
        ("firmware", TEXT, lambda r, i: f"{r.randint(1, 4)}.{r.randint(0, 20)}.{r.randint(0, 9)}.{r.randint(0, 300)}"),
        ("calibrated_on", DATE, lambda r, i: day(r)),
        ("crc", TEXT, lambda r, i: hexes(r, 4)),
        ("topic", TEXT, lambda r, i: f"plant/{r.randint(1, 9)}/line/{r.randint(1, 20)}/temp"),
        ("uptime", INT, number(100, 90_000_000)),
        ("utm_east", FLOAT, fraction(300_000, 700_000, 2)),
        ("grid_ref", TEXT, lambda r, i: f"{letters(r, 2)} {digits(r, 3)} {digits(r, 3)}"),
        ("station_name", TEXT, one_of("Mauna Loa", "Jungfraujoch", "Cape Grim", "Alice Springs", "Barrow", "Lindenberg", "Payerne", "Cabauw", "Summit Camp")),
        ("wind", TEXT, lambda r, i: f"{r.randint(0, 359):03d}/{r.randint(0, 40):02d}"),
        ("channel", TEXT, lambda r, i: f"CH{r.randint(1, 16)}"),
        ("accel", TEXT, lambda r, i: f"{r.uniform(-1, 1):.3f},{r.uniform(-1, 1):.3f},{r.uniform(-1, 1):.3f}"),
        ("range_pair", TEXT, lambda r, i: f"{r.uniform(0, 50):.3f}, {r.uniform(50, 99):.3f}"),
    ],
    "ledger": [
        ("gl_account", TEXT, lambda r, i: digits(r, 6, "1234567")),
        ("account_code", TEXT, lambda r, i: f"{digits(r, 4, '1234567')}-{digits(r, 3)}"),
        ("account_name", TEXT, one_of("Accounts Receivable", "Office Supplies", "Retained Earnings", "Cash", "Goodwill", "Accrued Wages", "Rent Expense", "Freight In")),
        ("journal_id", TEXT, lambda r, i: f"JE-{digits(r, 6)}"),
        ("document_no", TEXT, counter(1_900_000_100, 7)),
        ("doc_id", INT, counter(5_100_000_200, 3)),
        ("posting_date", DATE, lambda r, i: day(r)),
        ("value_date", TEXT, lambda r, i: day(r, "%d.%m.%Y")),
        ("fiscal_period", TEXT, lambda r, i: f"{r.randint(2020, 2024)}-{r.randint(1, 12):02d}"),
        ("period", INT, lambda r, i: day(r, "%Y%m")),
        ("debit", FLOAT, fraction(0, 90_000, 2)),
        ("isin", TEXT, lambda r, i: isin(r)),
        ("cusip", TEXT, lambda r, i: digits(r, 6) + letters(r, 2, UPPER + string.digits) + digits(r, 1)),
        ("cusip_digits", TEXT, lambda r, i: digits(r, 9)),
        ("sedol", TEXT, lambda r, i: letters(r, 6, "BCDFGHJKLMNPQRSTVWXYZ0123456789") + digits(r, 1)),
        ("lei", TEXT, lambda r, i: "5493" + letters(r, 14, UPPER + string.digits) + digits(r, 2)),
        ("bic", TEXT, one_of("DEUTDEFF", "COBADEFFXXX", "BNPAFRPP", "CHASUS33", "BARCGB22", "INGBNL2A")),
        ("ticker", TEXT, one_of("AAPL", "MSFT", "BRK.B", "VOW3", "SAP", "KO")),
        ("fx_rate", FLOAT, fraction(0.8, 1.4, 4)),
        ("cost_center", TEXT, lambda r, i: f"CC-{digits(r, 4)}"),
        ("profit_center", INT, number(100000, 999999)),
        ("invoice_ref", TEXT, lambda r, i: f"INV-{r.randint(2020, 2024)}-{digits(r, 5)}"),
        ("entry_no", TEXT, lambda r, i: f"{digits(r, 3)}-{digits(r, 2)}-{digits(r, 4)}"),
        ("voucher", TEXT, lambda r, i: f"{digits(r, 2)}-{digits(r, 7)}"),
        ("counterparty", TEXT, one_of("Siemens AG", "Acme Corp", "Johnson & Johnson", "Morgan Stanley", "Wells Fargo", "Goldman Sachs", "Charles Schwab", "JP Morgan", "Ernst & Young", "Marsh McLennan")),
        ("fund_name", TEXT, one_of("Vanguard Growth", "Fidelity Magellan", "Franklin Income", "Templeton World", "Black Rock Alpha")),
        ("end_to_end_id", TEXT, lambda r, i: f"E2E{digits(r, 14)}"),
        ("balance", TEXT, lambda r, i: f"{r.randint(1, 999)},{r.randint(0, 999):03d}.{r.randint(0, 99):02d}"),
    ],
    "ci_runs": [
        ("run_id", INT, counter(6_543_210_987, 1_000)),
        ("job_id", INT, counter(17_812_345_678, 900)),
        ("build_number", INT, counter(4411)),
        ("commit", TEXT, lambda r, i: hexes(r, 40)),
        ("short", TEXT, lambda r, i: hexes(r, 7)),
        ("branch", TEXT, lambda r, i: r.choice(["main", "develop", f"feature/login-{r.randint(1, 900)}", f"fix/JIRA-{digits(r, 4)}", "release/2024.1"])),
        ("actor", TEXT, one_of("renovate[bot]", "dependabot[bot]", "github-actions", "ci-runner")),
        ("image", TEXT, lambda r, i: "sha256:" + hexes(r, 64)),
        ("tag", TEXT, lambda r, i: f"v{r.randint(0, 9)}.{r.randint(0, 30)}.{r.randint(0, 9)}"),
        ("runner", TEXT, one_of("ubuntu-22.04", "macos-14", "windows-2022", "self-hosted")),
        ("test_name", TEXT, lambda r, i: f"test_{r.choice(['user', 'email', 'phone', 'login'])}_{r.choice(['parses', 'fails', 'saves'])}_{r.randint(1, 300)}"),
        ("log_line", TEXT, lambda r, i: f"{day(r, '%H:%M:%S.000')} [INFO] step {r.randint(1, 40)} finished in {r.randint(2, 999)}ms (exit {r.randint(0, 2)})"),
        ("started_at", TIME, lambda r, i: day(r, "%Y-%m-%dT%H:%M:%S")),
        ("duration_ms", INT, number(1_000, 4_000_000)),
        ("cache_key", TEXT, lambda r, i: f"linux-cargo-{hexes(r, 20)}"),
        ("status", TEXT, one_of("success", "failure", "cancelled")),
        ("coverage", FLOAT, fraction(40, 99, 2)),
        ("build_id", TEXT, lambda r, i: f"{day(r, '%Y%m%d')}.{r.randint(1, 30)}"),
        ("pipeline", TEXT, lambda r, i: f"{day(r, '%Y%m%d%H%M%S')}"),
        ("nightly", TEXT, lambda r, i: day(r, "%y%m%d-%H%M")),
        ("host", TEXT, lambda r, i: f"ip-10-0-{r.randint(0, 255)}-{r.randint(0, 255)}"),
        ("path", TEXT, lambda r, i: f"/home/runner/work/app/src/{r.choice(['user', 'auth', 'mail'])}.rs:{r.randint(1, 900)}"),
        ("package", TEXT, lambda r, i: f"@scope/{r.choice(['core', 'ui', 'cli'])}@{r.randint(1, 9)}.{r.randint(0, 9)}.0"),
        ("etag", TEXT, lambda r, i: f'W/"{hexes(r, 32)}"'),
        ("nonce", TEXT, lambda r, i: base64.b64encode(r.randbytes(9)).decode()),
        ("trace_id", TEXT, lambda r, i: hexes(r, 32)),
        ("pr_title", TEXT, one_of("Bump serde to 1.0.200", "Fix flaky login test", "Mark slow tests", "Update README", "Grant Bill access to main")),
    ],
    "variants": [
        ("gene", TEXT, one_of("BRCA1", "TP53", "EGFR", "KRAS", "MYC", "APOE", "SHH", "JAK2", "NOTCH1", "PAX6", "SOX2", "FOXP2")),
        ("gene_alias", TEXT, one_of("Rosa", "Otto", "Tara", "Wnt", "Hedgehog", "Frizzled", "Toll", "Ken", "Barbie", "Prospero")),
        ("ensembl", TEXT, lambda r, i: f"ENSG{digits(r, 11, '0')}"),
        ("refseq", TEXT, lambda r, i: f"NM_{digits(r, 6)}.{r.randint(1, 9)}"),
        ("rsid", TEXT, lambda r, i: f"rs{r.randint(1000, 99999999)}"),
        ("chrom", TEXT, lambda r, i: f"chr{r.randint(1, 22)}"),
        ("pos", INT, number(10_000_000, 248_000_000)),
        ("end_pos", INT, number(100_000_000, 248_000_000)),
        ("ref", TEXT, one_of("A", "C", "G", "T")),
        ("hgvs", TEXT, lambda r, i: f"c.{r.randint(10, 3000)}{r.choice('ACGT')}>{r.choice('ACGT')}"),
        ("uniprot", TEXT, lambda r, i: f"{r.choice('OPQ')}{digits(r, 5)}"),
        ("sample_id", TEXT, lambda r, i: f"NA{digits(r, 5)}"),
        ("tcga", TEXT, lambda r, i: f"TCGA-{digits(r, 2)}-{digits(r, 4)}-{digits(r, 2)}"),
        ("accession", TEXT, lambda r, i: f"SRR{digits(r, 7)}"),
        ("genbank", TEXT, lambda r, i: f"{letters(r, 2)}{digits(r, 6)}"),
        ("pvalue", TEXT, lambda r, i: f"{r.uniform(1, 9):.2f}e-{r.randint(3, 30):02d}"),
        ("go_term", TEXT, lambda r, i: f"GO:{digits(r, 7)}"),
        ("cigar", TEXT, lambda r, i: f"{r.randint(1, 80)}M{r.randint(1, 9)}S"),
        ("organism", TEXT, one_of("Homo sapiens", "Mus musculus", "Danio rerio", "Arabidopsis thaliana", "Escherichia coli")),
        ("pubmed", INT, number(9_000_000, 38_000_000)),
        ("seq", TEXT, lambda r, i: letters(r, 40, "ACGT")),
        ("peptide", TEXT, lambda r, i: letters(r, 11, "ACDEFGHIKLMNPQRSTVWY")),
        ("locus", TEXT, lambda r, i: f"{r.randint(1, 22)}:{r.randint(10**6, 2 * 10**8)}-{r.randint(10**6, 2 * 10**8)}"),
        ("cas_no", TEXT, lambda r, i: f"{r.randint(50, 99999)}-{digits(r, 2)}-{digits(r, 1)}"),
        ("inchikey", TEXT, lambda r, i: f"{letters(r, 14)}-{letters(r, 10)}-N"),
        ("clinvar", INT, number(100_000, 999_999)),
        ("strain", TEXT, one_of("C57BL/6J", "BALB/c", "Wistar", "Sprague Dawley", "Long Evans", "Brown Norway", "Lewis")),
        ("flowcell", TEXT, lambda r, i: f"{letters(r, 5, UPPER + string.digits)}XX:{r.randint(1, 8)}:{r.randint(1101, 2228)}:{r.randint(1000, 30000)}"),
    ],
    "matches": [
        ("team", TEXT, one_of(*TEAMS)),
        ("opponent", TEXT, one_of(*TEAMS)),
        ("stadium", TEXT, one_of("Anfield", "Camp Nou", "Old Trafford", "Lambeau Field", "Wembley", "Madison Square Garden", "Arthur Ashe Stadium", "Stamford Bridge", "San Siro", "Villa Park")),
        ("score", TEXT, lambda r, i: f"{r.randint(0, 5)}-{r.randint(0, 5)}"),
        ("record", TEXT, lambda r, i: f"{r.randint(0, 30)}-{r.randint(0, 20)}-{r.randint(0, 9)}"),
        ("match_date", DATE, lambda r, i: day(r)),
        ("founded", DATE, lambda r, i: f"{r.randint(1890, 2000)}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}"),
        ("attendance", INT, number(9_000, 81_000)),
        ("event_id", INT, number(401_000_000, 401_999_999)),
        ("set_scores", TEXT, lambda r, i: f"6-{r.randint(0, 4)} {r.randint(2, 7)}-{r.randint(4, 6)} 6-{r.randint(0, 4)}"),
        ("split", TEXT, lambda r, i: f"{r.randint(1, 4)}:{r.randint(0, 59):02d}.{r.randint(0, 99):02d}"),
        ("odds", FLOAT, fraction(1.1, 9, 2)),
        ("season", TEXT, lambda r, i: (lambda y: f"{y}-{y % 100 + 1:02d}")(r.randint(1995, 2023))),
        ("league", TEXT, one_of("Premier League", "La Liga", "Serie A", "Bundesliga")),
        ("horse", TEXT, one_of("Red Rum", "Secretariat", "Black Caviar", "Desert Orchid", "Frankel", "Winx", "Saint Liam", "Charlie Brown", "Lady Eli")),
        ("mascot", TEXT, one_of("Benny the Bull", "Gritty", "Mr. Met", "Bernie Brewer", "Wally", "Fredbird")),
        ("trophy", TEXT, one_of("Stanley Cup", "Larry O'Brien", "Vince Lombardi", "Jules Rimet", "Webb Ellis", "Claret Jug", "Ryder Cup")),
        ("elo", INT, number(1200, 2800)),
        ("pgn", TEXT, lambda r, i: f"1. e4 e{r.randint(3, 6)} 2. Nf3 d{r.randint(3, 6)}"),
        ("fen", TEXT, lambda r, i: f"r1bqkb1r/pppp1ppp/2n2n2/4p3/{r.randint(1, 7)}P1/8/PPPP1PPP/RNBQKB1R w KQkq - {r.randint(0, 9)} {r.randint(1, 60)}"),
        ("gate", TEXT, lambda r, i: f"{letters(r, 1)}{r.randint(1, 40)}"),
        ("ticket_no", TEXT, lambda r, i: digits(r, 12)),
        ("kickoff", TEXT, lambda r, i: f"{r.randint(12, 21)}:{r.choice(['00', '30', '45'])}"),
    ],
    "catalogue": [
        ("isbn10", TEXT, lambda r, i: isbn10(r)),
        ("isbn", TEXT, lambda r, i: gs1("978" + digits(r, 9))),
        ("issn", TEXT, lambda r, i: f"{digits(r, 4)}-{digits(r, 3)}{r.choice('0123456789X')}"),
        ("oclc", INT, number(10_000_000, 1_400_000_000)),
        ("oclc_9", TEXT, lambda r, i: digits(r, 9, "123456789")),
        ("call_number", TEXT, lambda r, i: f"{letters(r, 2)}{r.randint(10, 999)}.{r.randint(1, 99)} .{letters(r, 1)}{r.randint(10, 99)}"),
        ("dewey", FLOAT, fraction(0, 999, 3)),
        ("lccn", TEXT, lambda r, i: f"{r.randint(2001, 2023)}{digits(r, 6)}"),
        ("item_barcode", TEXT, lambda r, i: luhn("31234" + digits(r, 8))),
        ("copy_id", TEXT, lambda r, i: digits(r, 14, "3")),
        ("title", TEXT, one_of("Anna Karenina", "Jane Eyre", "David Copperfield", "Emma", "Rebecca", "Oliver Twist", "Moby Dick", "Tom Sawyer", "The Trial", "Middlemarch", "War and Peace", "A Brief History of Time", "Modern Cooking", "Data Structures", "Robinson Crusoe")),
        ("publisher", TEXT, one_of("Penguin", "Faber & Faber", "John Wiley", "Random House", "Simon Schuster", "Harper Collins", "Reclam", "Alfred Knopf", "Little Brown", "Thames Hudson")),
        ("doi", TEXT, lambda r, i: f"10.{digits(r, 4)}/j.{letters(r, 5, string.ascii_lowercase)}.{r.randint(2000, 2023)}.{digits(r, 2)}"),
        ("arxiv", TEXT, lambda r, i: f"{day(r, '%y%m')}.{digits(r, 5)}"),
        ("handle", TEXT, lambda r, i: f"hdl:{digits(r, 4)}/{digits(r, 5)}"),
        ("pages", TEXT, lambda r, i: f"{r.randint(1, 300)}-{r.randint(301, 600)}"),
        ("due_date", DATE, lambda r, i: day(r)),
        ("published", DATE, lambda r, i: f"{r.randint(1890, 2023)}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}"),
        ("series", TEXT, one_of("Loeb Classical Library", "Penguin Classics", "Everyman", "Lecture Notes")),
        ("subject", TEXT, one_of("Botany", "Paris", "Marxism", "Christian art", "Law", "Mary, Queen of Scots")),
        ("shelfmark", TEXT, lambda r, i: f"{digits(r, 5)}.{letters(r, 1)}.{digits(r, 2)}"),
        ("issue", TEXT, lambda r, i: f"{r.randint(1, 90)}({r.randint(1, 12)})"),
        ("format", TEXT, one_of("Hardcover", "Paperback", "eBook")),
        ("wikidata", TEXT, lambda r, i: f"Q{r.randint(100, 99999999)}"),
        ("udc", TEXT, lambda r, i: f"{digits(r, 3)}.{digits(r, 2)}:{digits(r, 3)}"),
        ("ismn", TEXT, lambda r, i: f"979-0-{digits(r, 4)}-{digits(r, 4)}-{digits(r, 1)}"),
    ],
    "cells": [
        ("cell_id", INT, number(1, 2**28 - 1)),
        ("eci", INT, number(10**8, 2**28 - 1)),
        ("enb", INT, number(10_000, 999_999)),
        ("lac", INT, number(1, 65_535)),
        ("mcc_mnc", TEXT, one_of("26201", "26202", "26203", "31041", "20801", "23410", "44010")),
        ("cgi", TEXT, lambda r, i: f"262-01-{r.randint(1000, 65535)}-{r.randint(1000, 65535)}"),
        ("tac", TEXT, lambda r, i: f"35{digits(r, 6)}"),
        ("rop_start", TEXT, lambda r, i: day(r, "%Y%m%d%H%M")),
        ("interval", TEXT, lambda r, i: day(r, "%Y%m%d.%H%M+0100")),
        ("epoch", INT, counter(1_699_999_200, 900)),
        ("bytes_down", INT, number(10**9, 10**10 - 1)),
        ("bytes_up", INT, number(10**10, 10**11)),
        ("octets", INT, number(10**12, 10**13 - 1)),
        ("packets", INT, number(10**14, 10**15 - 1)),
        ("drops", INT, number(0, 900)),
        ("erlang", FLOAT, fraction(0, 40, 3)),
        ("npa_nxx", TEXT, lambda r, i: f"{r.randint(201, 989)}-{r.randint(201, 999)}"),
        ("point_code", TEXT, lambda r, i: f"{r.randint(1, 7)}-{r.randint(1, 255)}-{r.randint(1, 7)}"),
        ("pci", INT, number(0, 503)),
        ("dn", TEXT, lambda r, i: f"SubNetwork=1,MeContext=ENB{r.randint(100, 999)},EUtranCell={r.randint(1, 6)}"),
        ("cause", TEXT, one_of("16", "17", "31", "41", "127")),
        ("azimuth", INT, number(0, 359)),
        ("freq_mhz", FLOAT, fraction(700, 3800, 2)),
        ("site_name", TEXT, one_of("Hamburg_01", "Berlin Mitte", "Koeln Dom", "Ulm Nord", "Bonn", "Mainz Sued", "Kiel")),
        ("trunk", TEXT, lambda r, i: f"TG{digits(r, 3)}"),
        ("counter_name", TEXT, one_of("pmRrcConnEstabSucc", "pmPdcpVolDlDrb", "pmHoExeSucc")),
        ("charging_id", INT, number(10**8, 4 * 10**9)),
        ("node", TEXT, lambda r, i: f"AS{r.randint(1000, 65000)}"),
        ("oid", TEXT, lambda r, i: f"1.3.6.1.2.1.2.2.1.{r.randint(1, 22)}.{r.randint(1, 48)}"),
        ("snr", TEXT, lambda r, i: f"{r.uniform(1, 30):.1f} dB"),
    ],
    "game_events": [
        ("match_id", INT, counter(7_654_321_098, 900)),
        ("event_us", INT, counter(1_700_000_000_123_456, 900_000)),
        ("seed", TEXT, lambda r, i: str(r.randint(10**18, 9 * 10**18))),
        ("snowflake", TEXT, counter(1_122_334_455_667_788_990, 10**12)),
        ("item_name", TEXT, one_of("Ruby Ring", "Sword of Dawn", "Iron Shield", "Amber Crown", "Jade Dagger", "Phoenix Feather", "Holly Wand")),
        ("map", TEXT, one_of("Dust II", "Mirage", "Ancient", "Nuke", "Verdun", "Austin", "Florence", "Lincoln", "Kings Canyon", "Olympus")),
        ("weapon", TEXT, one_of("M4A1-S", "AK-47", "AWP", "MP5", "P90", "FN 57")),
        ("position", TEXT, lambda r, i: f"{r.uniform(-2000, 2000):.3f} {r.uniform(-2000, 2000):.3f} {r.uniform(0, 90):.3f}"),
        ("xy", TEXT, lambda r, i: f"({r.uniform(-99, 99):.3f}, {r.uniform(-99, 99):.3f})"),
        ("yaw", FLOAT, fraction(-180, 180, 4)),
        ("pitch", FLOAT, fraction(-89, 89, 4)),
        ("build", TEXT, lambda r, i: f"1.{r.randint(0, 4)}.{r.randint(1000, 9999)}.0"),
        ("ping", INT, number(4, 300)),
        ("xp", INT, number(0, 10**6)),
        ("gold", INT, number(10**8, 10**9 - 1)),
        ("event", TEXT, one_of("kill", "death", "login", "logout", "assist")),
        ("session", TEXT, lambda r, i: f"{hexes(r, 8)}-{hexes(r, 4)}-4{hexes(r, 3)}-a{hexes(r, 3)}-{hexes(r, 12)}"),
        ("playtime", TEXT, lambda r, i: f"{r.randint(0, 40)}h {r.randint(0, 59)}m"),
        ("guild", TEXT, one_of("Knights of Ni", "Dark Brotherhood", "Order of Rose", "House Stark", "Iron Legion")),
        ("quest", TEXT, one_of("Find Martha", "Rescue Grace", "The Lost Hunter", "Chase Carter", "Kill Bill")),
        ("hardware", TEXT, one_of("GeForce RTX 4090", "Radeon RX 7800", "Apple M2")),
        ("replay", TEXT, lambda r, i: f"{digits(r, 10, '6789')}_{digits(r, 9)}.dem"),
        ("loot_code", TEXT, lambda r, i: f"{letters(r, 4)}-{letters(r, 4, UPPER + string.digits)}-{digits(r, 4)}"),
        ("save_slot", TEXT, lambda r, i: f"slot_{r.randint(1, 9)}"),
        ("shard", TEXT, one_of("eu-west-1", "us-east-2", "ap-south-1")),
        ("damage", TEXT, lambda r, i: f"{r.randint(1, 300)}/{r.randint(300, 900)}"),
        ("asset_hash", TEXT, lambda r, i: letters(r, 22, string.ascii_letters + string.digits)),
    ],
    "tax_rates": [
        ("bracket", TEXT, lambda r, i: f"{r.randint(1, 90) * 1000}-{r.randint(91, 300) * 1000}"),
        ("rate", FLOAT, fraction(0, 45, 2)),
        ("filing_status", TEXT, one_of("Single", "Married Joint", "Head of Household", "Widow")),
        ("form", TEXT, one_of("W-2", "1040-ES", "1099-MISC", "8949", "W-8BEN")),
        ("section", TEXT, lambda r, i: f"§ {r.randint(1, 501)}({r.choice('abcde')})({r.randint(1, 9)})"),
        ("county", TEXT, one_of("Cook", "Orange", "Harris", "Clark", "Dallas", "King", "Wayne", "Middlesex", "Travis", "Franklin", "Jefferson", "Montgomery", "Lee", "Marion")),
        ("county_name", TEXT, one_of("Cook County", "St. Clair", "Prince George's", "Santa Clara", "San Bernardino", "Anne Arundel")),
        ("fips", TEXT, lambda r, i: f"{r.randint(1, 56):02d}{r.randint(1, 199):03d}"),
        ("county_fips", INT, number(1001, 56_045)),
        ("parcel", TEXT, lambda r, i: f"{digits(r, 2)}-{digits(r, 2)}-{digits(r, 3)}-{digits(r, 3)}"),
        ("apn", TEXT, lambda r, i: f"{digits(r, 3)}-{digits(r, 3)}-{digits(r, 3)}"),
        ("parcel_no", TEXT, lambda r, i: f"{digits(r, 3)}-{digits(r, 2)}-{digits(r, 4)}"),
        ("hts", TEXT, lambda r, i: f"{digits(r, 4)}.{digits(r, 2)}.{digits(r, 2)}.{digits(r, 2)}"),
        ("naics", INT, number(111_110, 928_120)),
        ("tax_code", TEXT, one_of("S1", "S2", "V19", "Z0")),
        ("tax_rate", TEXT, lambda r, i: f"{r.uniform(0, 25):.3f}%"),
        ("tax_year", INT, number(1990, 2024)),
        ("tax_amount", FLOAT, fraction(10, 9000, 2)),
        ("tax_class", TEXT, one_of("A", "B", "C")),
        ("assessed", INT, number(100_000, 999_999_999)),
        ("effective_date", DATE, lambda r, i: f"{r.randint(1970, 2024)}-{r.choice(['01', '07'])}-01"),
        ("enacted", DATE, lambda r, i: f"{r.randint(1935, 2006)}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}"),
        ("public_law", TEXT, lambda r, i: f"{r.randint(80, 118)}-{r.randint(1, 400)}"),
        ("docket", TEXT, lambda r, i: f"{r.randint(1, 9)}:{r.randint(10, 24)}-cv-{digits(r, 5)}"),
        ("notice", TEXT, lambda r, i: f"{r.randint(1990, 2024)}-{r.randint(1, 90)}"),
        ("ruling", TEXT, lambda r, i: f"PLR {digits(r, 9, '2')}"),
        ("filing_no", TEXT, lambda r, i: f"0000{digits(r, 6)}-{r.randint(10, 24)}-{digits(r, 6)}"),
        ("taxpayer_count", INT, number(10**6, 10**8)),
        ("tax_district", INT, number(10_000, 99_999)),
    ],
}


def made():
    """Every table at every size, several times, under clear and opaque names."""
    for name, columns in TABLES.items():
        for size in SIZES:
            for making in range(MAKINGS):
                rng = random.Random(f"{name}-{size}-{making}")
                filled = []
                for header, declared, maker in columns:
                    counts = collections.Counter(maker(rng, row) for row in range(size))
                    filled.append({"name": header, "clear": header, "type": declared, "values": list(counts.items())})
                yield {"name": name, "regime": "clear", "columns": filled}
                yield {"name": name, "regime": "opaque", "columns": [column | {"name": headers.opaque(rng)} for column in filled]}


def main():
    wanted = {word.lstrip("-") for word in sys.argv[1:]} or {"clear", "opaque"}
    tables = [table for table in made() if table["regime"] in wanted]
    flagged, columns = collections.Counter(), collections.Counter()
    for table, answer in zip(tables, judge.ask(tables)):
        columns[table["regime"]] += len(table["columns"])
        for finding in answer:
            column = table["columns"][finding["column"]]
            flagged[table["regime"], table["name"], column["clear"], finding["kind"], finding["whole"]] += 1
    for regime in sorted(wanted):
        total = sum(count for key, count in flagged.items() if key[0] == regime)
        print(f"{regime}: {total} findings in {columns[regime]} columns")
    for (regime, table, column, kind, whole), count in sorted(flagged.items()):
        print(f"{regime:<7} {table:<12} {column:<16} {kind}{'' if whole else ' in some values'}: {count} of {len(SIZES) * MAKINGS}")


if __name__ == "__main__":
    main()
