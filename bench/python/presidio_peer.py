"""P7's peer: Presidio's structured analyzer over a part of the same columns.

spaCy's trained models are not on PyPI, so the pipeline is a blank one: recognisers by pattern, checksum
and library work, names of people are not found. With a model it would be slower.
"""

import importlib.metadata
import json
import time

import pandas
import spacy
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_structured import PandasAnalysisBuilder

import lines

state = {}


class BlankEngine(SpacyNlpEngine):
    def load(self):
        self.nlp = {"en": spacy.blank("en")}


def prepare(columns, values):
    with open(columns, encoding="utf-8") as file:
        read = [json.loads(line) for line in file]
    table = {f"{c['name']}_{i}": c["values"][:values] for i, c in enumerate(read)}
    state["table"] = pandas.DataFrame(table)
    engine = BlankEngine(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.load()
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    state["builder"] = PandasAnalysisBuilder(analyzer)
    return {"cells": int(state["table"].size)}


def run():
    start = time.perf_counter()
    state["builder"].generate_analysis(state["table"])
    return {"seconds": time.perf_counter() - start}


version = importlib.metadata.version("presidio-structured")
lines.serve(f"presidio-structured {version}", {"prepare": prepare, "run": run})
