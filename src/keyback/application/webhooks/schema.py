"""The catalogue as one document of JSON Schema 2020-12, with an example of each event."""

from __future__ import annotations

from typing import Any

from keyback.application.webhooks import fields as f
from keyback.application.webhooks.catalogue import CATALOGUE, TEST, Event

AT = f.INSTANT.example
SEQ = {"type": "integer", "minimum": 0, "description": "Its place in the audit log: of two events, which came first."}
CASE = f.ID.schema() | {"description": "The recovery that it is about."}
PERSON = f.ID.schema() | {"description": "The person that it is about, by our ID, which the admin API takes."}
OF_NOBODY = frozenset({"desk", "people", "operators"})  # groups whose events may be about no one


def example(kind: str) -> dict[str, Any]:
    """An event with every field that it can have."""
    event = CATALOGUE[kind]
    data: dict[str, Any] = {"seq": 4711}
    if event.group == "recovery":
        data["case"] = "qP7dJr2oTzKcYw0vEhUb5A"
    if event.group not in OF_NOBODY:
        data["person"] = "Mx41nGfSLe8RkuC6ZiHyWQ"
    data |= {name: field.kind.example for name, field in event.fields.items()}
    return {"type": kind, "timestamp": AT, "data": data}


def schema() -> dict[str, Any]:
    """The document: any event validates against one of its `$defs`, which is named like its `type`."""
    found = {kind: _one(kind, event) for kind, event in CATALOGUE.items()}
    found[TEST] = _one(TEST, Event("", {"en": "What `keyback webhook test` posts."}))
    del found[TEST]["examples"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Events that Keyback posts",
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in found],
        "$defs": found,
    }


def _one(kind: str, event: Event) -> dict[str, Any]:
    properties: dict[str, Any] = {"seq": SEQ, "case": CASE, "person": PERSON}
    properties |= {name: field.kind.schema() for name, field in event.fields.items()}
    # Later versions may add fields, to an event or beside it; none goes away or changes its meaning.
    data = {"type": "object", "required": ["seq"], "properties": properties}
    whole = {
        "type": {"const": kind},
        "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
        "data": data,
    }
    made = {"type": "object", "description": event.about["en"], "required": [*whole], "properties": whole}
    return made | {"examples": [example(kind)] if kind in CATALOGUE else []}
