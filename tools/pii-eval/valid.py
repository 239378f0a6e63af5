"""Numbers that pass the rules of their issuers, by rejection against python-stdnum.

python-stdnum (LGPL) serves as an oracle: the detector's own rules are not used. A template has `#` for a digit, `@`
for a letter, `{yymmdd}` and the like for a date of birth, `[abc]` for one of several characters.
"""

import datetime
import importlib
import re

# (kind, country, module, templates, how it is written)
NUMBERS = [
    ("us_ssn", "US", "us.ssn", ["###-##-####", "###-##-####", "#########"]),
    ("tax_id", "US", "us.itin", ["9##-[78]#-####", "9##[78]#####"]),
    ("national_id", "CA", "ca.sin", ["### ### ###", "###-###-###", "#########"]),
    ("national_id", "BR", "br.cpf", ["###.###.###-##", "###########"]),
    ("tax_id", "BR", "br.cnpj", ["##.###.###/0001-##", "##############"]),
    ("national_id", "MX", "mx.curp", ["[ABCGLMR][AEIOU][CGLMRS][AJLM]{yymmdd}[HM][DN][FC][BCDLMR][BCDLMR][BCDLMR]0#"]),
    ("tax_id", "AR", "ar.cuit", ["2[037]-########-#", "2[037]#########"]),
    ("national_id", "CL", "cl.rut", ["1#.###.###-#", "########-#"]),
    ("national_id", "ES", "es.dni", ["########@"]),
    ("national_id", "ES", "es.nie", ["[XYZ]#######@"]),
    ("national_id", "IT", "it.codicefiscale", ["[BCDFGLMRS][BCDLMRS][BCDLMRS][BCDLMRS][BCDLMRS][BCDLMRS]{yy}[ABCDEHLMPRST][0123]#[AFHL]###@"]),
    ("national_id", "FR", "fr.nir", ["[12]{yy}0[1-9]75######"]),
    ("tax_id", "DE", "de.idnr", ["[1-9]##########"]),
    ("national_id", "PL", "pl.pesel", ["{yymmdd}#####"]),
    ("tax_id", "PL", "pl.nip", ["###-###-##-##", "##########"]),
    ("national_id", "CZ", "cz.rc", ["{yymmdd}/####"]),
    ("national_id", "RO", "ro.cnp", ["[12]{yymmdd}[01]#####"]),
    ("national_id", "BG", "bg.egn", ["{yymmdd}####"]),
    ("national_id", "HR", "hr.oib", ["###########"]),
    ("tax_id", "PT", "pt.nif", ["[1-35]########", "[12]## ### ###"]),
    ("tax_id", "GR", "gr.vat", ["#########"]),
    ("national_id", "GR", "gr.amka", ["{ddmmyy}#####"]),
    ("national_id", "IE", "ie.pps", ["#######@"]),
    ("national_id", "CH", "ch.ssn", ["756.####.####.##"]),
    ("national_id", "AT", "at.vnr", ["[1-9]###{ddmmyy}"]),
    ("national_id", "BE", "be.nn", ["{yymmdd}#####"]),
    ("national_id", "NL", "nl.bsn", ["#########"]),
    ("national_id", "SE", "se.personnummer", ["{yymmdd}-####", "{yyyymmdd}-####"]),
    ("national_id", "NO", "no.fodselsnummer", ["{ddmmyy}#####"]),
    ("national_id", "DK", "dk.cpr", ["{ddmmyy}-[0-3]###"]),
    ("national_id", "FI", "fi.hetu", ["{ddmmyy}-###@", "{ddmmyy}-####"]),
    ("national_id", "IS", "is_.kennitala", ["{ddmmyy}-###9"]),
    ("national_id", None, "ee.ik", ["[34]{yymmdd}####"]),
    ("national_id", "LV", "lv.pvn", ["{ddmmyy}-1####"]),
    ("national_id", "TR", "tr.tckimlik", ["[1-9]##########"]),
    ("tax_id", "RU", "ru.inn", ["############"]),
    ("tax_id", "UA", "ua.rntrc", ["##########"]),
    ("national_id", "GB", "nino", ["[ABCEGHJ][ABCEGHJ]######[A-D]"]),
    ("health_id", "GB", "gb.nhs", ["### ### ####", "##########"]),
    ("tax_id", "GB", "gb.utr", ["##########"]),
    ("health_id", "AU", None, ["[2-6]### ##### 1"]),
    ("tax_id", "AU", "au.tfn", ["### ### ###", "#########"]),
    ("tax_id", "AU", "au.abn", ["## ### ### ###"]),
    ("tax_id", "NZ", "nz.ird", ["[4-9]#-###-###", "1##-###-###"]),
    ("national_id", "IN", "in_.aadhaar", ["[2-9]### #### ####", "[2-9]###########"]),
    ("tax_id", "IN", "in_.pan", ["@@@P@####@"]),
    ("national_id", "CN", "cn.ric", ["110101{yyyymmdd}####", "440306{yyyymmdd}####"]),
    ("national_id", "KR", "kr.rrn", ["{yymmdd}-[12]######"]),
    ("national_id", "ZA", "za.idnr", ["{yymmdd}####08#"]),
    ("national_id", "IL", "il.idnr", ["#########"]),
    ("national_id", "TH", "th.pin", ["[1-8]-####-#####-##-#"]),
    ("national_id", "MY", "my.nric", ["{yymmdd}-14-####"]),
    ("national_id", "ID", "id.nik", ["317101{ddmmyy}00##"]),
    ("national_id", "PK", "pk.cnic", ["[34]####-#######-#"]),
    ("national_id", "EC", "ec.ci", ["17[0-5]#######"]),
    ("bank_routing", "US", "us.rtn", ["[01][12]#######", "[23][12]#######"]),
    ("imei", None, "imei", ["35#############", "8600###########", "35-######-######-#"]),
    ("credit_card", None, "luhn", ["4###############", "5[1-5]##############", "4### #### #### ####", "3[47]#############", "6011############"]),
]

IBAN = {"DE": "##################", "FR": "#######################", "ES": "####################", "GB": "@@@@##############", "NL": "@@@@##########",
        "IT": "@######################", "PL": "########################", "CH": "#################", "SE": "####################", "AT": "################", "PT": "#####################", "BE": "############"}


def date(rng, form):
    day = datetime.date(1945, 1, 1) + datetime.timedelta(days=rng.randint(0, 22_000))
    codes = {"yyyy": "%Y", "yy": "%y", "mm": "%m", "dd": "%d"}
    return day.strftime(re.sub("yyyy|yy|mm|dd", lambda found: codes[found.group()], form))


def fill(rng, template):
    """A random string of a template."""
    def piece(found):
        text = found.group()
        if text == "#":
            return rng.choice("0123456789")
        if text == "@":
            return rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        if text.startswith("{"):
            return date(rng, text[1:-1])
        choices = re.sub(r"(\w)-(\w)", lambda r: "".join(map(chr, range(ord(r[1]), ord(r[2]) + 1))), text[1:-1])
        return rng.choice(choices)
    return re.sub(r"#|@|\{\w+\}|\[[^\]]+\]", piece, template)


def oracle(module):
    if module == "luhn":
        from stdnum import luhn
        return lambda text: luhn.is_valid(text.replace(" ", ""))
    if module == "nino":
        return lambda text: text[:2] not in {"BG", "GB"}
    if module is None:
        def medicare(text):
            digits = [int(c) for c in text if c.isdigit()]
            return sum(w * d for w, d in zip((1, 3, 7, 9, 1, 3, 7, 9), digits)) % 10 == digits[8]
        return medicare
    return importlib.import_module(f"stdnum.{module}").is_valid


def complete(rng, template, valid, tries=40_000):
    """A valid string: the tail is varied first, since check characters stand at the end."""
    for _ in range(tries):
        text = fill(rng, template)
        if valid(text):
            return text
        # Two last characters, all ways.
        for last in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            if (last.isdigit() or not text[-1].isdigit() or template.startswith("{ddmmyy}-###")) and valid(text[:-1] + last):
                return text[:-1] + last
    raise ValueError(template)


def column(rng, kind, country, module, templates, count):
    """Distinct valid numbers, all written alike; None when the oracle finds none."""
    template = rng.choice(templates)
    valid = oracle(module)
    if module == "lv.pvn":
        from stdnum.lv import pvn
        valid = pvn.is_valid
    found = {}
    tries = 0
    while len(found) < count and tries < count * 3:
        tries += 1
        if module == "fr.nir":
            from stdnum.fr import nir
            base = fill(rng, template)
            base = base + "".join(rng.choice("0123456789") for _ in range(13 - len(base)))
            text = base[:13] + nir.calc_check_digits(base[:13])
        else:
            text = complete(rng, template, valid)
        found[text] = None
    return list(found)


def iban(rng, country):
    bban = fill(rng, IBAN[country].replace(" ", ""))
    digits = "".join(str(int(c, 36)) for c in bban + country + "00")
    text = f"{country}{98 - int(digits) % 97:02d}{bban}"
    return text


if __name__ == "__main__":
    import random
    import sys

    rng = random.Random(1)
    for kind, country, module, templates in NUMBERS:
        try:
            print(kind, country, module, column(rng, kind, country, module, templates, 2), file=sys.stdout)
        except Exception as error:
            print("FAILED", kind, country, module, repr(error)[:80])
