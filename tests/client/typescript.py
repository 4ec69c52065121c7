"""Writes the types of the TypeScript client from `docs/openapi.json`: `python -m tests.client.typescript`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.support.house import ROOT

HERE = ROOT / "clients" / "typescript"
HEAD = "// Made from docs/openapi.json by `python -m tests.client.typescript`. Don't edit.\n\n"
METHODS = ("get", "post", "put", "delete", "patch")
SIMPLE = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
PARAMETER = re.compile(r"\{(\w+)\}")
Json = dict[str, Any]


def operations(doc: Json) -> Iterator[tuple[str, str, str, Json]]:
    """(operationId, method, path, operation) of everything but the admin API."""
    for path, item in doc["paths"].items():
        if not path.startswith("/admin"):
            for method in METHODS:
                if method in item:
                    yield item[method]["operationId"], method.upper(), path, item[method]


def type_of(schema: Json) -> str:
    """A schema as a type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(v) for v in schema["enum"])
    for many in ("anyOf", "oneOf"):
        if many in schema and schema.get("type") != "string":
            return " | ".join(dict.fromkeys(type_of(s) for s in schema[many]))
    kind = schema.get("type")
    if kind == "array":
        inner = type_of(schema["items"])
        return f"({inner})[]" if "|" in inner else f"{inner}[]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"Record<string, {type_of(more)}>" if isinstance(more, dict) and more else "Record<string, unknown>"
    return SIMPLE.get(str(kind), "unknown")


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield str(node["$ref"]).rpartition("/")[2]
        for inside in node.values():
            yield from _refs(inside)
    elif isinstance(node, list):
        for inside in node:
            yield from _refs(inside)


def reached(doc: Json) -> list[str]:
    """Schemas that these operations use, directly or not."""
    schemas, found = doc["components"]["schemas"], set[str]()
    waiting = [r for *_, o in operations(doc) for r in _refs(o)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _refs(schemas[name])
    return sorted(found)


def _said(text: str, indent: str = "") -> str:
    return f"{indent}/** {' '.join(text.split()).replace('*/', '')} */\n" if text else ""


def interface(name: str, schema: Json) -> str:
    """One schema as an interface. What always comes in an answer with a default is there, too."""
    needed = set(schema.get("required", ()))
    lines = [_said(schema.get("description", "")) + f"export interface {name} {{\n"]
    for member, of in schema.get("properties", {}).items():
        there = member in needed or of.get("default") is not None or of.get("type") == "array"
        mark = "" if there else "?"
        lines.append(_said(of.get("description", ""), "  ") + f"  {member}{mark}: {type_of(of)};\n")
    return "".join(lines) + "}\n"


def answer(operation: Json) -> str:
    """What an operation answers where all is well."""
    found = []
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            schema = response.get("content", {}).get("application/json", {}).get("schema")
            found.append(type_of(schema) if schema else "void")
    return " | ".join(dict.fromkeys(found))


def types() -> str:
    """`types.d.ts`."""
    doc = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))
    schemas = doc["components"]["schemas"]
    out = [HEAD, *(interface(n, schemas[n]) + "\n" for n in reached(doc))]
    out.append("/** Every operation: what it takes and gives. */\nexport interface Operations {\n")
    for name, _, path, o in operations(doc):
        where = ", ".join(f"{p}: string" for p in PARAMETER.findall(path))
        query = [p for p in o.get("parameters", ()) if p["in"] == "query"]
        asked = ", ".join(f"{p['name']}{'' if p.get('required') else '?'}: string" for p in query)
        body = o.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        takes = f"{{ path: {{ {where} }}; query: {{ {asked} }}; body: {type_of(body) if body else 'undefined'} }}"
        out.append(_said(o["summary"], "  ") + f"  {name}: {{ takes: {takes}; gives: {answer(o)} }};\n")
    return "".join(out).replace("{  }", "{}") + "}\n"


def table() -> str:
    """`operations.js`."""
    doc = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))
    rows = [f"  {name}: ['{method}', '{path}'],\n" for name, method, path, _ in operations(doc)]
    return f"{HEAD}/** Method and path of every operation. */\nexport const OPERATIONS = {{\n{''.join(rows)}}};\n"


FILES = {"types.d.ts": types, "operations.js": table}

if __name__ == "__main__":
    for name, make in FILES.items():
        (HERE / name).write_text(make(), "utf-8")
