"""The catalogue of events as a page and as a document, for `python -m keyback.cli.docs`."""

from __future__ import annotations

import json

from keyback.application.webhooks.catalogue import CATALOGUE, GROUPS
from keyback.application.webhooks.schema import example, schema

MADE = "Made by `python -m keyback.cli.docs` from the catalogue of events; a test fails while it is stale."


def events_document() -> str:
    """The text of `docs/events.json`."""
    return json.dumps(schema(), ensure_ascii=False, indent=1) + "\n"


def events_page() -> str:
    """The text of `docs/events.md`."""
    lines = ["# Events", "", MADE, ""]
    lines += ["How to receive them is on the webhooks page ([English](en/webhooks.md), [中文](zh/webhooks.md))."]
    lines += ["[events.json](events.json) has them as JSON Schema, with an example of each. Every event has `seq`,"]
    lines += ["and `case` and `person` if it is about one.", ""]
    lines += ["```json", json.dumps(example("requested"), indent=2), "```"]
    for group, title in GROUPS.items():
        lines += ["", f"## {title['en']} · {title['zh_CN']}", ""]
        lines += ["| type | when | 何时 | fields |", "|---|---|---|---|"]
        for kind, event in CATALOGUE.items():
            if event.group == group:
                fields = ", ".join(f"`{name}`" for name in event.fields)
                lines.append(f"| `{kind}` | {event.about['en']} | {event.about['zh_CN']} | {fields} |")
    return "\n".join(lines) + "\n"
