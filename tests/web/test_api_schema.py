"""The description of the API: it is current, and what the API answers is what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from keyback.application.clock import wall_clock
from keyback.application.desk import keys
from keyback.domain.operators.keys import FOR_KEYS
from keyback.testing.mailbox import Mailbox
from keyback.web.api import recoveries
from keyback.web.app import openapi
from tests.support.api_client import Client, Recovery
from tests.support.kit import Clock, Kit

FILE = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
DOC = openapi()
SCHEMA = schemathesis.openapi.from_dict(DOC)
OPERATIONS = [o.ok() for o in SCHEMA.get_all_operations()]
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
# What no generated request can do: guess a code, a password or a session.
NEEDS_MORE = {"POST /recoveries/{handle}/proofs/{proof}/verify", "POST /sign-in", "GET /session"}
NEEDS_MORE |= {"POST /recoveries/{handle}/password"}  # and hardly ever a good password for all accounts
NEEDS_MORE |= {"POST /sign-in/second-step"}
NEEDS_MORE |= {"GET /account/systems", "POST /account/systems/{account_id}/end"}
NEEDS_MORE |= {"GET /account/after", "POST /account/after"}
# What takes two methods and a wait (`test_system_factors.py`).
OF_A_SYSTEM = "/recoveries/{handle}/accounts/{account_id}"
NEEDS_MORE |= {
    f"POST {OF_A_SYSTEM}/second-step",
    f"POST {OF_A_SYSTEM}/temporary-pass",
    "GET /recoveries/{handle}/factors",
}
NEEDS_MORE |= {f"POST {OF_A_SYSTEM}/factors/remove"}
# What takes a proof, and mostly a wait (`test_api_remedies.py`), or a session (`test_api_factors.py`).
NEEDS_MORE |= {"POST /recoveries/{handle}/" + x for x in ("unlock", "mailbox", "mailbox/new", "mailbox/verify")}
NEEDS_MORE |= {f"POST /recoveries/{{handle}}/second-step/{x}{y}" for x in ("app", "passkey") for y in ("", "/verify")}
NEEDS_MORE |= {
    "POST /recoveries/{handle}/tasks/{task}",
    "POST /sign-in/passkey",
    "POST /sign-in/passkey/challenge",
    "GET /account/factors",
}
NEEDS_MORE |= {f"POST /account/{x}{y}" for x in ("apps", "passkeys") for y in ("", "/{factor}")}
NEEDS_MORE |= {"POST /account/recovery-codes", "POST /account/factors/{factor}/remove"}
# What takes an address, and the code that goes there (`test_help_api.py`).
NEEDS_MORE |= {f"POST /recoveries/{{handle}}/help{x}" for x in ("", "/verify", "/resend", "/messages", "/reopen")}
# What waits for an operator (`test_admin_api.py`).
NEEDS_MORE |= {f"POST /admin/cases/{x}" for x in ("find", "{case_id}/claim", "{case_id}/release")}
# What is about an object that there has to be (`test_admin_api_people.py`, `test_admin_api_objects.py`).
OF_AN_OBJECT = re.compile(r" /admin/(people|help-requests|campaigns|outbox|systems)/(\{|find$|in-group$)")
WIDE = {"recoveries": 9999, "proofs": 9999, "sign_ins": 9999, "checks": 9999, "admin": 9999}


def test_the_document_in_the_repository_is_current() -> None:
    """Write it anew with `keyback openapi --out docs/openapi.json`."""
    assert FILE.read_text("utf-8") == json.dumps(DOC, ensure_ascii=False, indent=2) + "\n"


def same_name(value: object) -> str:
    """What generators make of a value of an enumeration: `zh-CN` and `zh_CN` are one key."""
    return re.sub(r"[^a-z0-9]", "_", str(value).lower())


def enumerations(node: Any) -> Iterator[list[object]]:
    if isinstance(node, dict):
        if isinstance(node.get("enum"), list):
            yield node["enum"]
        node = list(node.values())
    if isinstance(node, list):
        for inside in node:
            yield from enumerations(inside)


def test_generators_can_read_it() -> None:
    """No two values with one name, and nothing optional with a default of null, which reads as "always there"."""
    found = list(enumerations(DOC))
    assert found
    assert [e for e in found if len({same_name(v) for v in e}) < len(e)] == []
    schemas = DOC["components"]["schemas"]
    assert [
        (n, k) for n, s in schemas.items() for k, p in s.get("properties", {}).items() if p.get("default", 1) is None
    ] == []


def test_the_examples_of_a_start_are_taken(make_kit: Callable[..., Kit], sqlite_url: str) -> None:
    members = DOC["components"]["schemas"]["Start"]["properties"]
    client = Client(make_kit(url=sqlite_url))
    for name, member in members.items():
        for example in member.get("examples", ()):
            r = client.post("/recoveries", {"identifier": "maya@example.com", name: example})
            assert r.status_code == 202, (name, example, r.text)


def test_every_operation_is_described() -> None:
    assert DOC["openapi"].startswith("3.1")
    operations = [(path, o) for path, methods in DOC["paths"].items() for o in methods.values()]
    assert len({o["operationId"] for _, o in operations}) == len(operations) >= 25
    for path, o in operations:
        assert o["summary"]
        assert len(o["description"]) > 20, path
        assert {"500", "503"} <= set(o["responses"])
        for status, answer in o["responses"].items():
            fine = "text/csv; charset=utf-8" if path.endswith(".csv") else "application/json"
            kind = fine if int(status) < 300 else "application/problem+json"
            assert status == "204" or list(answer["content"]) == [kind], (path, status)
            for example in answer.get("content", {}).get(kind, {}).get("examples", {}).values():
                assert example["value"]["status"] == int(status)
        open_to_all = path in ("/recoveries", "/passwords/check") or path.startswith("/sign-in")
        assert open_to_all or o["security"] in ([{"recoverySecret": []}], [{"session": []}], [{"apiKey": []}]), path
    assert set(DOC["components"]["securitySchemes"]) == {"recoverySecret", "session", "apiKey"}


@pytest.fixture
def client(make_kit: Callable[..., Kit]) -> Iterator[Client]:
    with Mailbox() as mailbox:
        client = Client(make_kit(mail={"port": mailbox.port}, limits=WIDE, clock=Clock(wall_clock())))
        client.people()
        client.mailbox = mailbox
        yield client


@pytest.mark.slow
def test_the_served_document_is_the_same(client: Client) -> None:
    assert client.get("/openapi.json").json() == DOC


@pytest.mark.slow
@pytest.mark.covers("B13", "B15")
@pytest.mark.parametrize("operation", OPERATIONS, ids=[o.label for o in OPERATIONS])
def test_answers_conform(client: Client, operation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoveries, "WAIT_S", 0.0)
    waiting, ghost, proven = Recovery(client), Recovery(client, "nobody"), Recovery(client)
    proven.prove(client.mailbox)
    holders: list[tuple[str | None, str]] = [(None, ""), (None, "x")]
    holders += [(r.handle, r.secret) for r in (waiting, ghost, proven)] + [("0123456789abcdefghijkl", "x")]
    if operation.path.startswith("/admin"):
        waits = client.kit.read(lambda tx: tx.intakes.get(proven.handle)).case_id
        made = client.kit.write(lambda tx: keys.add(tx, "A program", sorted(FOR_KEYS)))
        holders = [(waits, made.token), ("0123456789abcdefghijkl", made.token), (waits, "keyback_aaaaaaaa_x")]
    seen: set[int] = set()
    names = cycle(recoveries.BUILT_IN)
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @settings(
            max_examples=8,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def conform(case: Any) -> None:
            if mode is GenerationMode.POSITIVE and "proof" in (case.path_parameters or {}):  # noqa: B023
                case.path_parameters["proof"] = next(names)  # packages bring more, so any name may be one
            for handle, secret in holders:
                answer = send(client, case, handle, secret)
                assert answer.status_code < 500
                seen.add(answer.status_code)
                case.validate_response(answer, checks=CHECKS)

        try:
            conform()
        except (schemathesis.errors.InvalidSchema, Unsatisfiable):
            assert mode is GenerationMode.NEGATIVE  # nothing about this operation can be negated
    assert max(seen) >= 400
    assert min(seen) < 300 or operation.label in NEEDS_MORE or OF_AN_OBJECT.search(operation.label), seen


def send(client: Client, case: Any, handle: str | None, secret: str) -> Any:
    """The generated request, for this handle and with this secret, over our own client."""
    for name in ("handle", "case_id"):
        if handle is not None and name in (case.path_parameters or {}):
            case.path_parameters[name] = handle
    kwargs = case.as_transport_kwargs(base_url="http://127.0.0.1:8080")
    known = {k: kwargs[k] for k in ("method", "url", "headers", "params", "json", "data") if kwargs.get(k) is not None}
    prepared = requests.Request(**known).prepare()
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
    kept = {"content-type", "idempotency-key", "if-match", "accept-language"}
    headers = {k.lower(): v for k, v in prepared.headers.items() if k.lower() in kept}
    path = prepared.path_url.removeprefix("/api/v1")
    return client.call(prepared.method, path, raw=body, secret=secret, **headers)


def test_every_shape_has_a_name_of_its_own() -> None:
    """Generators of clients make a class of each, and stop at two of one name."""
    names = list(openapi()["components"]["schemas"])
    assert [n for n in names if "__" in n] == []
