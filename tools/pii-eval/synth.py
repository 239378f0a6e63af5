"""Columns of made-up values, seeded.

Two families that share no code: `Faker` makes what weights are fitted to, `Mimesis` with numbers of our own what is
measured at the end, in other locales. Neither is a source of the detector's word lists. Numbers of states come from
`valid.py` in both; the kinds of numbers are split between the two, so that a third of them is met for the first time
at the end.
"""

import base64
import hashlib
import string

import valid

FAKER_LOCALES = ["en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "pt_BR", "nl_NL", "pl_PL", "ru_RU", "ja_JP", "en_IN", "sv_SE", "tr_TR", "zh_CN", "en_AU", "en_CA", "es_MX", "de_AT", "id_ID"]
# Locales of the development part, which training does not have.
FAKER_DEV_LOCALES = ["cs_CZ", "da_DK", "el_GR", "fi_FI", "hu_HU", "ko_KR", "no_NO", "uk_UA", "ro_RO", "hr_HR", "vi_VN", "fr_CA", "de_CH", "en_NZ", "es_CO", "he_IL"]
MIMESIS_LOCALES = ["en", "en-gb", "en-au", "en-ca", "de", "de-ch", "fr", "es", "es-mx", "it", "pt", "pt-br", "nl", "nl-be", "cs", "da", "el", "et", "fi", "hu", "hr", "is", "no", "sk", "sv", "tr", "uk", "ru", "pl", "zh", "ja", "ko", "ar-eg", "kk", "fa"]


def split_numbers(kind, family):
    """Forms that a family may use: most are in both, a third in the last only."""
    rows = [row for row in valid.NUMBERS if row[0] == kind]
    if family == "faker":
        kept = [row for row in rows if int(hashlib.sha256(repr(row[:3]).encode()).hexdigest(), 16) % 3]
        return kept or rows
    return rows


def distinct(make, count, tries=6):
    found = {}
    for _ in range(count * tries):
        if len(found) >= count:
            break
        value = make()
        if value:
            found[str(value).replace("\n", ", ")] = None
    return list(found)


class Common:
    """What both families make alike, from templates and digests."""

    def __init__(self, rng, family):
        self.rng = rng
        self.family = family

    def fill(self, *templates):
        template = self.rng.choice(templates)
        return lambda: valid.fill(self.rng, template)

    def number(self, kind, count):
        rng = self.rng
        _, country, module, templates = rng.choice(split_numbers(kind, self.family))
        values = valid.column(rng, kind, country, module, templates, count)
        if rng.random() < 0.08:  # typing errors
            values = [value if rng.random() < 0.9 else valid.fill(rng, "".join("#" if c.isdigit() else c for c in value)) for value in values]
        return values, country

    def secret(self):
        rng = self.rng
        letters = string.ascii_letters + string.digits
        random = lambda n, of=letters: "".join(rng.choice(of) for _ in range(n))  # noqa: E731
        def jwt():
            part = lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")  # noqa: E731
            return part('{"alg":"HS256","typ":"JWT"}') + "." + part('{"sub":"%s"}' % random(8)) + "." + random(43)
        makers = [
            lambda: "AKIA" + random(16, string.ascii_uppercase + string.digits),
            lambda: "ghp_" + random(36),
            lambda: "sk_live_" + random(24),
            lambda: "xoxb-" + random(12, string.digits) + "-" + random(24),
            jwt,
            lambda: random(rng.choice([20, 32, 40])),
            lambda: random(12) + rng.choice("!$%&*#") + random(2),
            lambda: "$2b$12$" + random(53),
            lambda: "AIza" + random(35),
        ]
        return rng.choice(makers)

    def wallet(self):
        rng = self.rng
        alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
        def base58():
            payload = b"\x00" + rng.randbytes(20)
            raw = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
            number, text = int.from_bytes(raw, "big"), ""
            while number:
                number, rest = divmod(number, 58)
                text = alphabet[rest] + text
            return "1" * (len(raw) - len(raw.lstrip(b"\x00"))) + text
        return rng.choice([base58, lambda: "0x" + rng.randbytes(20).hex()])

    def vin(self):
        rng = self.rng
        values = {c: v for v, group in enumerate(["", "AJ", "BKS", "CLT", "DMU", "ENV", "FW", "GPX", "HY", "RZ"]) for c in group}
        weights = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2]

        def make():
            letters = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
            pick = lambda n, of: "".join(rng.choice(of) for _ in range(n))  # noqa: E731
            body = rng.choice(["1HG", "1FT", "2T1", "5YJ", "JHM", "3VW", "4T1"]) + pick(5, letters) + "0" + pick(3, letters) + pick(5, "0123456789")
            total = sum(w * (int(c) if c.isdigit() else values[c]) for w, c in zip(weights, body))
            return body[:8] + "0123456789X"[total % 11] + body[9:]

        return make

    def npi(self):
        from stdnum import luhn

        rng = self.rng
        def make():
            body = rng.choice("12") + "".join(rng.choice("0123456789") for _ in range(8))
            return body + luhn.calc_check_digit("80840" + body)
        def dea():
            digits = [rng.randint(0, 9) for _ in range(6)]
            check = (digits[0] + digits[2] + digits[4] + 2 * (digits[1] + digits[3] + digits[5])) % 10
            return rng.choice("ABFGMP") + rng.choice(string.ascii_uppercase) + "".join(map(str, digits)) + str(check)
        return rng.choice([make, make, dea])

    def birth(self):
        form = self.rng.choice(["{yyyy}-{mm}-{dd}", "{dd}.{mm}.{yyyy}", "{mm}/{dd}/{yyyy}", "{dd}/{mm}/{yyyy}", "{yyyy}{mm}{dd}"])
        def make():
            day = valid.date(self.rng, "yyyymmdd")
            return form.replace("{yyyy}", day[:4]).replace("{mm}", day[4:6]).replace("{dd}", day[6:])
        return make

    def coordinate(self):
        rng = self.rng
        low, high = rng.choice([(-80, 80), (35, 60), (-170, 170), (-125, -70)])
        digits = rng.choice([4, 5, 6, 7])
        pair = rng.random() < 0.2
        one = lambda: f"{rng.uniform(low, high):.{digits}f}"  # noqa: E731
        return (lambda: f"{rng.uniform(35, 60):.5f}, {rng.uniform(-10, 30):.5f}") if pair else one

    def simple(self, kind):
        """A maker for kinds that need no locale; None for the others."""
        fill = self.fill
        makers = {
            "secret": self.secret, "crypto_wallet": self.wallet, "vin": self.vin, "medical_provider_id": self.npi,
            "date_of_birth": self.birth, "coordinates": self.coordinate,
            "passport": lambda: fill("#########", "@########", "@@#######", "C0@@#@@#@"),
            "driver_license": lambda: fill("@#######", "@###-####-####", "########", "@@######@", "@############", "#########"),
            "bank_account": lambda: fill("########", "##########", "############", "##-##-## ########", "###-######"),
            "mac_address": lambda: (lambda rng, mark: lambda: mark.join(f"{b:02x}" for b in rng.randbytes(6)))(self.rng, self.rng.choice([":", "-", ":"])),
            "iban": lambda: (lambda rng, country: lambda: valid.iban(rng, country or rng.choice(list(valid.IBAN))))(self.rng, self.rng.choice([None, *valid.IBAN])),
        }
        maker = makers.get(kind)
        return maker() if maker else None


class Faker(Common):
    def __init__(self, rng, locales=FAKER_LOCALES):
        from faker import Faker as Source

        super().__init__(rng, "faker")
        self.locale = rng.choice(locales)
        self.fake = Source(self.locale)
        self.fake.seed_instance(rng.randint(0, 2**31))

    def column(self, kind, count):
        fake, rng = self.fake, self.rng
        if any(row[0] == kind for row in valid.NUMBERS):
            return self.number(kind, count)
        maker = self.simple(kind)
        if maker is None:
            address = lambda: fake.street_address()  # noqa: E731
            maker = {
                "email": fake.email,
                "phone": fake.phone_number,
                "person_name": rng.choice([fake.name, fake.first_name, fake.last_name, fake.name, lambda: f"{fake.last_name()}, {fake.first_name()}"]),
                "ip_address": rng.choice([fake.ipv4, fake.ipv4_private, fake.ipv6]),
                "url": fake.url,
                "postal_address": rng.choice([address, address, fake.address]),
                "postal_code": getattr(fake, "postcode", None) or fake.zipcode,
                "city": fake.city,
            }[kind]
        return distinct(maker, count), None


class Mimesis(Common):
    def __init__(self, rng):
        from mimesis import Generic
        from mimesis.locales import Locale

        super().__init__(rng, "mimesis")
        self.locale = rng.choice(MIMESIS_LOCALES)
        self.source = Generic(locale=Locale(self.locale), seed=rng.randint(0, 2**31))

    def column(self, kind, count):
        rng, person, place, net = self.rng, self.source.person, self.source.address, self.source.internet
        if any(row[0] == kind for row in valid.NUMBERS):
            return self.number(kind, count)
        maker = self.simple(kind)
        if maker is None:
            maker = {
                "email": person.email,
                "phone": rng.choice([person.phone_number, lambda: person.phone_number()]),
                "person_name": rng.choice([person.full_name, person.first_name, person.last_name, person.full_name, lambda: f"{person.last_name()}, {person.first_name()}"]),
                "ip_address": rng.choice([net.ip_v4, net.ip_v4, net.ip_v6]),
                "url": net.url,
                "postal_address": place.address,
                "postal_code": place.postal_code,
                "city": place.city,
            }[kind]
        return distinct(maker, count), None


def free_text(rng, source, kind, count):
    """Sentences, some of which contain a value of a kind."""
    openings = ["please contact", "customer wrote from", "see ticket, reply to", "caller left", "updated by hand:", "note for", "asked to be reached at"]
    plain = ["nothing to report", "delivered on time", "the part was replaced and tested again", "waiting for an answer from the warehouse", "order was split in two", "customer was satisfied", "second reminder sent", "no further action needed"]
    values, _ = source.column(kind, count)
    share = rng.choice([0.15, 0.3, 0.6])
    texts, contains = {}, False
    for index in range(count):
        if values and rng.random() < share:
            texts[f"{rng.choice(openings)} {rng.choice(values)} ({index})"] = None
            contains = True
        else:
            texts[f"{rng.choice(plain)}, {rng.choice(plain)} ({index})"] = None
    return list(texts), contains
