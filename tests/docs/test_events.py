"""The catalogue of events: every row of the audit log is in it or kept in, and its schema is what is posted."""

from __future__ import annotations

import json
import re

import jsonschema_rs
import pytest

from keyback.application.ports.enrolment_storage import Happened
from keyback.application.ports.webhooks import Delivery
from keyback.application.webhooks.catalogue import CATALOGUE, GROUPS, KEPT_IN
from keyback.application.webhooks.messages import message_of, trial_message
from keyback.application.webhooks.words import KEPT, PLAINER, worded
from tests.support.house import ROOT

SCHEMA = json.loads((ROOT / "docs" / "events.json").read_text("utf-8"))
A_CASE, A_PERSON = "c" * 22, "p" * 22


def test_somebody_decided_about_every_row_of_the_audit_log() -> None:
    page = (ROOT / "docs" / "en" / "security-model.md").read_text("utf-8")
    rows = page[page.index("| `requested`, ") :].split("\n\n")[0]
    named = {n for row in rows.splitlines() for n in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert len(named) > 100
    assert set(CATALOGUE) & KEPT_IN == set()
    assert named - set(CATALOGUE) - KEPT_IN == set(), "in the catalogue, or in KEPT_IN"
    assert (set(CATALOGUE) | KEPT_IN) - named == set(), "not recorded by anything"


@pytest.mark.parametrize("kind", sorted(CATALOGUE))
def test_what_is_posted_is_as_the_schema_says(kind: str) -> None:
    check = jsonschema_rs.Draft202012Validator(
        {**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{kind}"}]}, validate_formats=True
    )
    [example] = SCHEMA["$defs"][kind]["examples"]
    check.validate(example)
    data = {
        f.source or n: 1_795_000_000_000 if f.kind.instant else f.kind.example
        for n, f in CATALOGUE[kind].fields.items()
    }
    body = json.loads(
        message_of("r" * 22, Delivery(Happened(7, 1_795_000_000_001, kind, data), 0, A_CASE, A_PERSON)).body
    )
    check.validate(body)
    assert set(body["data"]) == {"seq", "case", "person", *CATALOGUE[kind].fields}
    assert not check.is_valid({**body, "type": "something_else"})


def test_the_test_event_is_in_the_schema_and_nothing_is_without_words() -> None:
    check = jsonschema_rs.Draft202012Validator(SCHEMA, validate_formats=True)
    check.validate(json.loads(trial_message("x", 1_795_000_000_000).body))
    assert all(e.group in GROUPS and e.about["en"] and e.about["zh_CN"] for e in CATALOGUE.values())


def test_every_event_has_words_for_people() -> None:
    assert set(KEPT) == KEPT_IN
    assert set(CATALOGUE) >= set(PLAINER)
    for locale in ("en", "zh_CN"):
        assert not [n for n, e in worded(locale).items() if not e.words or "`" in e.words or e.words.endswith(".")]


def test_a_value_that_does_not_look_as_it_should_is_left_out() -> None:
    for value in ("maya@example.com", "+8613800138000", "Maya Okafor", "x" * 50, "", None, 7, ["a"], {"a": 1}):
        body = message_of("r" * 22, Delivery(Happened(7, 1, "approved", {"by": value})))
        assert json.loads(body.body)["data"] == {"seq": 7}
