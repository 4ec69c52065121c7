"""Holds a stand-in and those who call it to an OpenAPI 3.1 document: both sides of every call are checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jsonschema_rs
import yaml
from starlette.types import ASGIApp, Message, Receive, Scope, Send

VENDORS = Path(__file__).parents[1] / "contracts" / "vendors"


@cache
def read(document: str) -> dict[str, Any]:
    """A contract of `tests/contracts/vendors`; what it gives is everybody's, so nobody changes it."""
    return dict(yaml.load((VENDORS / document).read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


class Held:
    """An ASGI app around a stand-in. `faults` lists what was not as the document says; `checked` counts calls.
    Answers that a stand-in spoils on purpose (it counts them in `injected`) are not looked at.

    Args:
        app: the stand-in.
        document: file name under `vendors`.
    """

    def __init__(self, app: ASGIApp, document: str) -> None:
        self._app = app
        self._doc = read(document)
        self.faults: list[str] = []
        self.checked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return  # given up while it was being sent: no vendor sees such a call
            request += message.get("body", b"")
            more = message.get("more_body", False)
        sent, status, body, ended = False, 0, b"", False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": request, "more_body": False}

        async def watch(message: Message) -> None:
            nonlocal status, body, ended
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                body += message.get("body", b"")
                ended = not message.get("more_body", False)
            await send(message)

        operation = self._operation(scope, request)
        spoiled = getattr(self._app, "injected", 0)
        await self._app(scope, replay, watch)
        spoiled = getattr(self._app, "injected", 0) - spoiled
        if operation is not None and ended and status not in (502, 504) and not spoiled:
            self._answer(operation, status, body)
        self.checked += 1

    def _operation(self, scope: Scope, body: bytes) -> Mapping[str, Any] | None:
        for pattern, methods in self._doc["paths"].items():
            found = re.fullmatch(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(pattern)), scope["path"])
            operation = methods.get(scope["method"].lower()) if found else None
            if found and operation:
                self._request(operation, found.groupdict(), scope, body)
                return operation  # type: ignore[no-any-return]
        self.faults.append(f"no such operation: {scope['method']} {scope['path']}")
        return None

    def _request(self, operation: Mapping[str, Any], path: Mapping[str, str], scope: Scope, body: bytes) -> None:
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        parameters = [self._resolved(p) for p in operation.get("parameters", ())]
        known = {p["name"] for p in parameters if p["in"] == "query"}
        self._must(not set(query) - known, f"unknown query {set(query) - known}")
        for p in parameters:
            given = {"query": query, "path": path, "header": headers}[p["in"]]
            name = p["name"].lower() if p["in"] == "header" else p["name"]
            if name in given:
                self._valid(p["schema"], given[name], f"{p['in']} {name}")
            else:
                self._must(not p.get("required"), f"{p['in']} {name} is missing")
        wanted = operation.get("requestBody", {}).get("content", {})
        for kind, content in wanted.items():
            self._must(headers.get("content-type") == kind, f"content-type {headers.get('content-type')}")
            value = dict(parse_qsl(body.decode())) if "form" in kind else json.loads(body)
            self._valid(content["schema"], value, "body")
        self._must(bool(wanted) or not body, "a body where there is none")

    def _answer(self, operation: Mapping[str, Any], status: int, body: bytes) -> None:
        found = operation["responses"].get(str(status))
        if found is None:
            self.faults.append(f"no answer {status}")
            return
        found = self._resolved(found)
        if "content" not in found:
            self._must(not body, f"answer {status}: a body where there is none")
            return
        self._valid(found["content"]["application/json"]["schema"], json.loads(body), f"answer {status}")

    def _resolved(self, value: Any) -> Any:
        """What a reference within the document means."""
        while "$ref" in value:
            _, *parts = value["$ref"].split("/")
            value = self._doc
            for part in parts:
                value = value[part]
        return value

    def _valid(self, schema: Any, value: Any, where: str) -> None:
        # References in a schema are to the components, which therefore come along.
        whole = {"allOf": [schema], "components": self._doc.get("components", {})}
        for e in jsonschema_rs.Draft202012Validator(whole).iter_errors(value):
            self.faults.append(f"{where}: {e.message}")

    def _must(self, right: bool, fault: str) -> None:
        if not right:
            self.faults.append(fault)
