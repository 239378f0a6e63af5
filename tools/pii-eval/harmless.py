"""Columns that hold no personal data and look as if they did."""

import datetime
import hashlib
import string

COLOURS = "Crimson Olive Teal Navy Silver Amber Ivory Coral Lavender Indigo Maroon Violet Scarlet Rose Hazel Ruby Jade Sienna".split()
PRODUCTS = "Galaxy Pixel iPhone Moto Redmi Xperia Nova Edge Razr Lumia ThinkPad Inspiron Pavilion Spectre ZenBook Aspire Surface MacBook".split()
ADJECTIVES = "Classic Deluxe Premium Ultra Compact Portable Organic Smart Wireless Heavy Light Grand Royal".split()
NOUNS = "Chair Table Lamp Mixer Bottle Jacket Shirt Speaker Router Blender Kettle Sofa Backpack Desk Mug Blanket".split()
COMPANIES = "Inc LLC Ltd GmbH Group Holdings Corp Partners Labs Systems Foods Energy Bank Motors".split()
WORDS = "north river stone bright data cloud blue global alpha prime delta summit green solar vertex quantum".split()
COUNTRIES = "Germany France Spain Italy Poland Brazil Japan China India Kenya Norway Sweden Greece Turkey Chile Peru Mexico Canada".split()
STATES = "Alabama Alaska Arizona California Colorado Florida Georgia Idaho Illinois Indiana Iowa Kansas Kentucky Maine Montana Ohio Oregon Texas Utah".split()
TEAMS = "Tigers Eagles Lions Hawks Bears Wolves Sharks Falcons Bulls Giants Rangers Kings".split()
LANGS = "English German French Spanish Italian Polish Russian Japanese Chinese Korean Arabic Hindi Turkish Greek".split()


def digits(rng, n):
    return "".join(rng.choice("0123456789") for _ in range(n))


def stamp(rng, form):
    moment = datetime.datetime(2019, 1, 1) + datetime.timedelta(seconds=rng.randint(0, 200_000_000))
    return moment.strftime(form)


def hexes(rng, n):
    return hashlib.sha256(rng.randbytes(8)).hexdigest()[:n]


# name: (declared type, maker of one value, headers)
MAKERS = {
    "order_id": ("Utf8", lambda r: f"ORD-{digits(r, 4)}-{digits(r, 5)}", ["order_id", "orderNo"]),
    "sku": ("Utf8", lambda r: f"{r.choice(string.ascii_uppercase)}{r.choice(string.ascii_uppercase)}-{digits(r, 4)}-{r.choice('SMLX')}", ["sku", "article"]),
    "part": ("Utf8", lambda r: f"{r.choice('ABCDE')}{digits(r, 7)}", ["part_no", "item_code"]),
    "version": ("Utf8", lambda r: ".".join(str(r.randint(0, 30)) for _ in range(3)), ["version", "release"]),
    "version4": ("Utf8", lambda r: ".".join(str(r.randint(0, 25)) for _ in range(4)), ["version", "firmware_version", "build"]),
    "timestamp": ("Timestamp(Microsecond, None)", lambda r: stamp(r, "%Y-%m-%dT%H:%M:%S"), ["created_at", "updated", "ts"]),
    "timestamp_text": ("Utf8", lambda r: stamp(r, "%Y-%m-%d %H:%M:%S"), ["event_time", "logged_at"]),
    "date_recent": ("Date32", lambda r: stamp(r, "%Y-%m-%d"), ["order_date", "due_date", "start_date", "released"]),
    "date_text": ("Utf8", lambda r: stamp(r, "%d.%m.%Y"), ["order_date", "Lieferdatum", "date"]),
    "date_wide": ("Date32", lambda r: (datetime.date(1950, 1, 1) + datetime.timedelta(days=r.randint(0, 25_000))).isoformat(), ["founded", "published", "event_date"]),
    "sha1": ("Utf8", lambda r: hexes(r, 40), ["sha1", "commit", "checksum"]),
    "md5": ("Utf8", lambda r: hexes(r, 32), ["md5", "hash", "etag"]),
    "short_sha": ("Utf8", lambda r: hexes(r, 8), ["commit", "rev"]),
    "uuid": ("Utf8", lambda r: (lambda h: f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:32]}")(hexes(r, 32)), ["id", "uuid", "request_id"]),
    "int9": ("Int64", lambda r: str(r.randint(10**8, 10**9 - 1)), ["id", "record_no", "customer_id"]),
    "int10": ("Int64", lambda r: str(r.randint(10**9, 10**10 - 1)), ["id", "account_id", "ticket"]),
    "int11": ("Int64", lambda r: str(r.randint(10**10, 10**11 - 1)), ["id", "serial_no"]),
    "int13": ("Utf8", lambda r: digits(r, 13), ["barcode", "reference"]),
    "int16": ("Utf8", lambda r: digits(r, 16), ["tracking_number", "transaction_ref"]),
    "epoch": ("Int64", lambda r: str(r.randint(1_500_000_000, 1_750_000_000)), ["epoch", "created", "ts"]),
    "epoch_ms": ("Int64", lambda r: str(r.randint(1_500_000_000_000, 1_750_000_000_000)), ["timestamp_ms", "event_ts"]),
    "counter": ("Int64", None, ["id", "row", "seq"]),
    "int5": ("Int64", lambda r: str(r.randint(10_000, 99_999)), ["count", "population", "views", "store_no"]),
    "int4": ("Int64", lambda r: str(r.randint(1000, 9999)), ["code", "amount", "units"]),
    "price": ("Float64", lambda r: f"{r.uniform(1, 900):.2f}", ["price", "amount", "cost"]),
    "measure": ("Float64", lambda r: f"{r.gauss(20, 8):.4f}", ["temperature", "score", "latency"]),
    "sensor_lat": ("Float64", lambda r: f"{r.uniform(40, 60):.5f}", ["lat", "latitude", "station_lat"]),
    "sensor_lon": ("Float64", lambda r: f"{r.uniform(-20, 40):.5f}", ["lon", "longitude"]),
    "isbn": ("Utf8", lambda r: f"978-{digits(r, 1)}-{digits(r, 2)}-{digits(r, 6)}-{digits(r, 1)}", ["isbn", "isbn13"]),
    "ean": ("Int64", lambda r: "40" + digits(r, 11), ["ean", "gtin"]),
    "colour": ("Utf8", lambda r: r.choice(COLOURS), ["color", "colour", "Farbe"]),
    "product": ("Utf8", lambda r: f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)}", ["product", "product_name", "item"]),
    "phone_model": ("Utf8", lambda r: f"{r.choice(PRODUCTS)} {r.choice(['', 'Pro ', 'S', 'Max '])}{r.randint(2, 23)}", ["phone_model", "device", "model"]),
    "company": ("Utf8", lambda r: f"{r.choice(WORDS).title()} {r.choice(WORDS).title()} {r.choice(COMPANIES)}", ["company", "vendor", "supplier_name"]),
    "country": ("Utf8", lambda r: r.choice(COUNTRIES), ["country", "origin"]),
    "state": ("Utf8", lambda r: r.choice(STATES), ["state", "region"]),
    "team": ("Utf8", lambda r: r.choice(TEAMS), ["team", "club"]),
    "language": ("Utf8", lambda r: r.choice(LANGS), ["language", "locale"]),
    "status": ("Utf8", lambda r: r.choice(["new", "open", "shipped", "paid", "returned", "closed", "on hold"]), ["status", "state", "order_status"]),
    "enum_upper": ("Utf8", lambda r: r.choice(["ACTIVE", "INACTIVE", "PENDING", "BLOCKED", "TRIAL"]), ["account_status", "flag", "mode"]),
    "card_type": ("Utf8", lambda r: r.choice(["Visa", "Mastercard", "Amex", "Discover", "JCB", "Maestro"]), ["card_type", "card_brand", "payment_method"]),
    "phone_type": ("Utf8", lambda r: r.choice(["home", "mobile", "work", "fax", "other"]), ["phone_type", "contact_type"]),
    "boolean_text": ("Utf8", lambda r: r.choice(["true", "false"]), ["email_verified", "is_active", "opt_in"]),
    "boolean": ("Boolean", lambda r: r.choice(["true", "false"]), ["email_verified", "phone_confirmed", "active"]),
    "small_int": ("Int64", lambda r: str(r.randint(0, 40)), ["name_length", "email_count", "created_by_ip_count", "quantity"]),
    "year": ("Int64", lambda r: str(r.randint(1950, 2024)), ["year", "birth_year", "model_year"]),
    "age": ("Int64", lambda r: str(r.randint(18, 90)), ["age", "score"]),
    "percent": ("Utf8", lambda r: f"{r.randint(0, 100)}%", ["discount", "share", "rate"]),
    "size": ("Utf8", lambda r: f"{r.randint(1, 900)} {r.choice(['MB', 'GB', 'KB'])}", ["size", "file_size"]),
    "path": ("Utf8", lambda r: f"/var/{r.choice(WORDS)}/{r.choice(WORDS)}/{digits(r, 3)}.log", ["path", "file", "location"]),
    "filename": ("Utf8", lambda r: f"{r.choice(WORDS)}_{digits(r, 4)}.{r.choice(['zip', 'csv', 'png', 'pdf'])}", ["filename", "attachment", "zip"]),
    "log": ("Utf8", lambda r: f"[{stamp(r, '%H:%M:%S')}] {r.choice(['INFO', 'WARN', 'ERROR'])} worker-{r.randint(1, 9)} took {r.randint(3, 900)} ms", ["message", "log"]),
    "sentence": ("Utf8", lambda r: f"The {r.choice(WORDS)} {r.choice(WORDS)} was {r.choice(['moved', 'tested', 'sold', 'rebuilt'])} to {r.choice(WORDS)} {r.randint(1, 99)}", ["description", "notes", "comment"]),
    "hex_colour": ("Utf8", lambda r: "#" + hexes(r, 6).upper(), ["color", "hex"]),
    "duration": ("Utf8", lambda r: f"{r.randint(0, 12):02d}:{r.randint(0, 59):02d}:{r.randint(0, 59):02d}", ["duration", "time"]),
    "currency": ("Utf8", lambda r: r.choice(["EUR", "USD", "GBP", "JPY", "CHF", "SEK", "PLN"]), ["currency", "curr"]),
    "tz": ("Utf8", lambda r: r.choice(["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Africa/Nairobi", "UTC"]), ["timezone", "tz"]),
    "mime": ("Utf8", lambda r: r.choice(["text/html", "image/png", "application/json", "video/mp4"]), ["content_type", "mime"]),
    "flight": ("Utf8", lambda r: f"{r.choice(['LH', 'BA', 'UA', 'AF'])}{r.randint(10, 2999)}", ["flight", "flight_no"]),
    "iata": ("Utf8", lambda r: "".join(r.choice(string.ascii_uppercase) for _ in range(3)), ["airport", "origin", "code"]),
    "gene": ("Utf8", lambda r: f"{r.choice(['BRCA', 'TP', 'EGFR', 'MYC', 'KRAS'])}{r.randint(1, 60)}", ["gene", "marker"]),
    "icd": ("Utf8", lambda r: f"{r.choice(string.ascii_uppercase)}{digits(r, 2)}.{digits(r, 1)}", ["diagnosis_code", "icd10"]),
    "plate_serial": ("Utf8", lambda r: f"SN{digits(r, 9)}", ["serial", "device_serial"]),
    "package": ("Utf8", lambda r: f"lib{r.choice(WORDS)}{r.randint(1, 9)}-{r.choice(['dev', 'bin', 'doc'])}", ["package", "name"]),
    "job": ("Utf8", lambda r: r.choice(["Engineer", "Teacher", "Nurse", "Driver", "Accountant", "Cook", "Lawyer", "Clerk", "Analyst"]), ["job", "occupation", "role"]),
    "department": ("Utf8", lambda r: r.choice(["Sales", "Marketing", "Finance", "Support", "Research", "Legal", "IT", "Logistics"]), ["department", "dept"]),
    "weekday": ("Utf8", lambda r: r.choice(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]), ["day", "weekday"]),
    "month": ("Utf8", lambda r: r.choice(["January", "February", "March", "April", "May", "June", "July", "August", "September"]), ["month"]),
    "score_range": ("Utf8", lambda r: f"{r.randint(0, 40)}-{r.randint(41, 99)}", ["range", "age_group"]),
    "zip_size": ("Int64", lambda r: str(r.randint(1_000, 900_000)), ["zip_size", "bytes"]),
    "hashed_mail": ("Utf8", lambda r: hexes(r, 64), ["email_hash", "email_sha256"]),
    "domain": ("Utf8", lambda r: f"{r.choice(WORDS)}{r.choice(WORDS)}.{r.choice(['com', 'org', 'net', 'io'])}", ["email_domain", "domain"]),
    "quarter": ("Utf8", lambda r: f"{r.randint(2005, 2024)}-Q{r.randint(1, 4)}", ["quarter", "period"]),
    "invoice": ("Utf8", lambda r: f"INV{digits(r, 8)}", ["invoice_no", "document"]),
    "bin_code": ("Utf8", lambda r: "".join(r.choice("01") for _ in range(8)), ["mask", "bits"]),
    "cve": ("Utf8", lambda r: f"CVE-20{r.randint(10, 24)}-{digits(r, 5)}", ["cve", "issue"]),
    "book": ("Utf8", lambda r: f"The {r.choice(ADJECTIVES)} {r.choice(NOUNS)} of {r.choice(WORDS).title()}", ["title", "book"]),
    "dna": ("Utf8", lambda r: "".join(r.choice("ACGT") for _ in range(24)), ["sequence", "primer"]),
    "base64": ("Utf8", lambda r: __import__("base64").b64encode(r.randbytes(12)).decode(), ["cursor", "payload", "thumb"]),
    "slug": ("Utf8", lambda r: f"{r.choice(WORDS)}-{r.choice(WORDS)}-{r.choice(NOUNS).lower()}", ["slug", "page"]),
}


def names_for(split):
    """Two thirds of the makers serve each split; every second one of the last is new there."""
    chosen = []
    for name in MAKERS:
        place = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 3
        if (split == "test") != (place == 0) or place == 2:
            chosen.append(name)
    return chosen


def column(rng, name, count):
    declared, maker, headers = MAKERS[name]
    if maker is None:
        start = rng.randint(1, 10**rng.choice([3, 6, 9, 10]))
        values = [str(start + index) for index in range(count)]
    else:
        found = {}
        for _ in range(count * 3):
            if len(found) >= count:
                break
            text = maker(rng)
            found[text] = found.get(text, 0) + 1
        values = list(found)
    enumerated = len(values) < count / 2
    pairs = [[value, rng.randint(5, 60) if enumerated else 1] for value in values]
    return {"name": rng.choice(headers), "type": declared, "values": pairs, "label": None, "scope": None, "source": name}
