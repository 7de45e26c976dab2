#!/usr/bin/env python3
"""Holds exchanges with a Graph against Microsoft's published OpenAPI description of Graph v1.0.

Reads one JSON object from standard input:
    description  path of the description
    exchanges    path of a file with one exchange a line: method, path (what stands behind the host, with
                 its query), request (the body, or null), status, response (the body, or null); the
                 requests of a $batch stand each for itself
and writes one to standard output: operations, how many exchanges there were of each operation of the
description; and faults, what is not as it is described. Beyond JSON Schema, a property that the
description does not know is a fault, and so is a path or a method.
"""

import json
import re
import sys
from urllib.parse import parse_qsl, unquote, urlsplit

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

ROOT = "urn:graph"
# What the protocol adds to any object (OData JSON Format 4.01, 4.6), whatever its schema says.
ANNOTATION = re.compile(r"^([A-Za-z]+)?@odata\.[A-Za-z.]+$")
NO_CONTENT = 204
# Graph spells it so, and its description in small letters.
INNER_ERROR = "innerError"
# Directory extensions are properties of the tenant's own.
EXTENSION = re.compile(r"^extension_[0-9a-f]{32}_\w+$")


def draft_2020(node):
    """A schema of OpenAPI 3.0 as one of JSON Schema 2020-12."""
    if isinstance(node, list):
        return [draft_2020(one) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {"$ref": ROOT + node["$ref"]}
    skipped = ("nullable", "discriminator", "example", "x-ms-docs-key-type")
    schema = {key: draft_2020(value) for key, value in node.items() if key not in skipped}
    if isinstance(schema.get("required"), list):
        # Derived types are told apart by it; Graph itself sends it where a type is derived, and nowhere else.
        schema["required"] = [name for name in schema["required"] if name != "@odata.type"]
    if isinstance(node.get("nullable"), dict):
        # A property that is called so.
        schema["nullable"] = draft_2020(node["nullable"])
    elif node.get("nullable"):
        schema = {"anyOf": [schema, {"type": "null"}]}
    return schema


class Description:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.document = json.load(file)
        converted = {"components": draft_2020(self.document["components"])}
        resource = Resource.from_contents(converted, default_specification=DRAFT202012)
        self.registry = Registry().with_resource(ROOT, resource)
        self.templates = [(self.pattern(path), path) for path in self.document["paths"]]
        # Words of the path before what stands for any word.
        self.templates.sort(key=lambda pair: pair[1].count("{"))

    @staticmethod
    def pattern(template):
        parts = re.split(r"(\{[^}]+\})", template)
        parts = ["[^/]+" if part.startswith("{") else re.escape(part) for part in parts]
        return re.compile("^" + "".join(parts) + "$")

    def resolved(self, node):
        while "$ref" in node:
            found = self.document
            for word in node["$ref"].removeprefix("#/").split("/"):
                found = found[word.replace("~1", "/").replace("~0", "~")]
            node = found
        return node

    def operation(self, method, path):
        for pattern, template in self.templates:
            if pattern.match(path) and method.lower() in self.document["paths"][template]:
                return template, self.document["paths"][template]
        return None, None

    def schema(self, holder):
        content = self.resolved(holder).get("content", {})
        return content.get("application/json", {}).get("schema")

    def known(self, schema):
        """The properties that a schema knows; None of one that says nothing of them."""
        schema = self.resolved(schema)
        known = dict(schema.get("properties", {}))
        for part in schema.get("allOf", []) + schema.get("anyOf", []) + schema.get("oneOf", []):
            known.update(self.known(part) or {})
        return known or None

    def derived(self, value):
        """The schema of the type that an object says it is, where its place is for any of several."""
        name = str(value.get("@odata.type", "")).removeprefix("#")
        return self.document["components"]["schemas"].get(name)

    def invalid(self, schema, value, where):
        validator = Draft202012Validator(draft_2020(schema), registry=self.registry)
        for error in validator.iter_errors(value):
            yield f"{where}/{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"

    def unknown(self, schema, value, where):
        schema = self.resolved(schema)
        if isinstance(value, list):
            for at, one in enumerate(value):
                yield from self.unknown(schema.get("items", {}), one, f"{where}/{at}")
            return
        if not isinstance(value, dict):
            return
        derived = self.derived(value)
        if derived is not None:
            schema = derived
            yield from self.invalid(derived, value, where)
        known = self.known(schema)
        if known is None:
            return
        for name, inner in value.items():
            if ANNOTATION.match(name) or EXTENSION.match(name):
                continue
            if name == INNER_ERROR and INNER_ERROR.lower() in known:
                continue
            if name not in known:
                yield f"{where}: no property is called {name}"
            else:
                yield from self.unknown(known[name], inner, f"{where}/{name}")

    def faults(self, holder, body, where):
        schema = self.schema(holder)
        if schema is None:
            if body is not None:
                yield f"{where}: a body, where none is described"
            return
        yield from self.invalid(schema, body, where)
        yield from self.unknown(schema, body, where)


def answer_of(operation, status):
    answers = operation["responses"]
    for name in (str(status), f"{status // 100}XX", "default"):
        if name in answers:
            return answers[name]
    return None


def faults_of(description, exchange, operations):
    address = urlsplit(exchange["path"])
    path = unquote(address.path).removeprefix("/v1.0")
    method = exchange["method"].upper()
    template, described = description.operation(method, path)
    if template is None:
        yield f"{method} {path}: is not described"
        return
    name = f"{method} {template}"
    operations[name] = operations.get(name, 0) + 1
    operation = described[method.lower()]
    parameters = operation.get("parameters", []) + described.get("parameters", [])
    known = {description.resolved(one)["name"] for one in parameters}
    for option, _ in parse_qsl(address.query, keep_blank_values=True):
        if option not in known:
            yield f"{name}: no parameter is called {option}"
    request = exchange.get("request")
    if "requestBody" in operation:
        yield from description.faults(operation["requestBody"], request, f"{name} request")
    elif request is not None:
        yield f"{name}: a request body, where none is described"
    answer = answer_of(operation, exchange["status"])
    if answer is None:
        yield f"{name}: no answer {exchange['status']} is described"
        return
    response = exchange.get("response")
    if exchange["status"] == NO_CONTENT:
        if response is not None:
            yield f"{name}: a body in an answer without content"
        return
    yield from description.faults(answer, response, f"{name} answer {exchange['status']}")


def main():
    question = json.load(sys.stdin)
    description = Description(question["description"])
    operations, faults = {}, []
    with open(question["exchanges"], encoding="utf-8") as exchanges:
        for line in exchanges:
            faults += faults_of(description, json.loads(line), operations)
    json.dump({"operations": operations, "faults": faults}, sys.stdout)


if __name__ == "__main__":
    main()
