"""Precision, recall and F1 of the detector on a part of the labelled set: python evaluate.py dev|test [--misses]."""

import collections
import pathlib
import sys

import judge

HERE = pathlib.Path(__file__).parent


def rates(hit, false, missed):
    precision = hit / (hit + false) if hit + false else 0.0
    recall = hit / (hit + missed) if hit + missed else 0.0
    both = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return precision, recall, both


class Score:
    """Counts over columns. A wrong kind is a false finding and a missed column."""

    def __init__(self):
        self.by_kind = collections.defaultdict(lambda: [0, 0, 0])
        self.harmless = self.flagged = 0
        self.countries = [0, 0]

    def add(self, label, found):
        if label is None:
            self.harmless += 1
            self.flagged += bool(found)
        for kind in found:
            self.by_kind[kind][0 if kind == label else 1] += 1
        if label is not None and label not in found:
            self.by_kind[label][2] += 1

    def micro(self):
        return rates(*(sum(counts[at] for counts in self.by_kind.values()) for at in range(3)))

    def macro(self):
        each = [rates(*counts)[2] for counts in self.by_kind.values() if counts[0] + counts[2]]
        return sum(each) / len(each) if each else 0.0

    def harmless_flagged(self):
        return self.flagged / self.harmless if self.harmless else 0.0


def score(tables, answers, misses=False, only=None):
    """Scores by regime from findings: lists of (kind, country) a column a table."""
    scores = collections.defaultdict(Score)
    for table, answer in zip(tables, answers):
        for index, column in enumerate(table["columns"]):
            label = column["label"]
            if label == "skip" or (only is not None and label is not None and label not in only):
                continue
            found = {kind for kind, _ in answer.get(index, [])}
            if only is not None:
                found &= only
            tally = scores[table["regime"]]
            tally.add(label, found)
            if label in found and column.get("country"):
                countries = [country for kind, country in answer[index] if kind == label]
                tally.countries[0] += countries[0] == column["country"]
                tally.countries[1] += 1
            if misses and ({label} if label else set()) != found:
                values = [value for value, _ in column["values"][:3]]
                print(table["regime"][:4], table["name"], column["name"], f"({column['clear']})", label, "->", sorted(found) or "-", str(values)[:90], sep="\t")
    return scores


def findings(tables):
    answers = []
    for answer in judge.ask(tables):
        by_column = collections.defaultdict(list)
        for finding in answer:
            by_column[finding["column"]].append((finding["kind"], finding["country"]))
        answers.append(by_column)
    return answers


def report(scores, title):
    for regime, tally in scores.items():
        precision, recall, f1 = tally.micro()
        right, asked = tally.countries
        print(f"{title} {regime:<10} micro P {precision:.3f} R {recall:.3f} F1 {f1:.3f}  macro F1 {tally.macro():.3f}  harmless flagged {tally.harmless_flagged():.1%} of {tally.harmless}  country {right}/{asked}")


def main():
    part = sys.argv[1] if len(sys.argv) > 1 else "dev"
    tables = judge.load(HERE / "data" / f"{part}.jsonl")
    scores = score(tables, findings(tables), "--misses" in sys.argv)
    report(scores, part)
    if "--kinds" in sys.argv:
        for regime, tally in scores.items():
            for kind, counts in sorted(tally.by_kind.items()):
                print(f"{regime[:4]} {kind:<20} P {rates(*counts)[0]:.2f} R {rates(*counts)[1]:.2f} F1 {rates(*counts)[2]:.2f}  {counts}")


if __name__ == "__main__":
    main()
