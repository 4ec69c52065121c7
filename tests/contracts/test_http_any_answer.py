"""Whatever a system answers, a recipe comes to an outcome or a fault of ours, and to texts that can be kept."""

from __future__ import annotations

import json
import random
from typing import Any

import anyio
import httpx2
import pytest

from keyback.application.ports.connectors import Outcome, Unavailable
from keyback.connectors.http import HttpConnector
from keyback.connectors.http.checking import checked
from keyback.connectors.http.options import HttpConnectorOptions, shipped
from keyback.domain.secret import Secret
from keyback.testing.connectors import NEW, plan
from tests.support.selfhosted.harness import RECIPES

ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e400, float("nan"), 10**30, "", "x" * 5000, "\ud800", "\x00a", "a\nb", [], {},
    [[]], [None], {"a": None}, "[1", '{"a": 1}', "\u202eabc", "1" * 400, ["a"] * 50, {"key": "admin"},
]  # fmt: skip
USER = {
    "id": "1", "username": "maya", "mail": "maya@example.com", "name": "maya@example.com", "state": "active", "uid": 1,
    "privileged": False, "userId": 1, "userName": "maya", "email": "maya@example.com", "status": 0, "level": 3,
    "roles": [{"roleKey": "x"}], "enabled": 1, "account": "maya", "type": "regular", "isActive": True,
}  # fmt: skip
NO_JSON = [b"<html>", b"[" * 100_000, '{"id": "客"}'.encode("gbk"), b'{"id":' + b"9" * 5000 + b"}", b"", b"\xff\xfe\0"]
WAITS = ["-5", "31536000", "9" * 20, "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 2099 00:00:00 GMT", "soon", "1.5"]
COOKIES = ["sid=abc; Path=/", "sid=", "sid=a b", "=", 'sid="x"; HttpOnly, b=c', "KSID=1; Path=/"]
PLACES = ["/", "/login", "//evil.example.com/", "https://evil.example.com/", "http://[", "/users/list", ""]


class Anything:
    """Answers at random, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def __call__(self, _: httpx2.Request) -> httpx2.Response:
        r = self.random
        whole = {
            **USER, "users": [USER], "ok": True, "rows": [USER], "list": [USER], "result": {**USER, "rows": [USER]},
            "data": USER | {"list": [USER], "total": 1, "accessToken": "tok", "expiresTime": 1}, "total": 1,
            "code": r.choice([0, 200, 200, "200"]), "token": "tok", "error": r.choice(["", None, "weak_password"]),
            "success": True, "message": "Logged In",
        }  # fmt: skip
        body = json.dumps(self.changed(whole)).encode()
        if r.random() < 0.1:
            body = r.choice(NO_JSON)
        if r.random() < 0.1:
            body = b'<input name=_csrf value=1><meta name="csrf-token" content=2>'
        status = r.choice([200] * 12 + [204, 302, 302, 400, 401, 403, 404, 417, 422, 423, 429, 500, 502, 503])
        headers = {"content-type": "application/json", "location": r.choice(PLACES), "set-cookie": r.choice(COOKIES)}
        return httpx2.Response(status, content=body, headers=headers | {"retry-after": r.choice(WAITS)})

    def changed(self, value: Any) -> Any:
        if self.random.random() < 0.03:
            return self.random.choice(ODD)
        if isinstance(value, dict):
            return {k: self.changed(v) for k, v in value.items() if self.random.random() > 0.03}
        return [self.changed(v) for v in value] if isinstance(value, list) else value


async def everything(connector: HttpConnector) -> None:
    async def listed() -> list[Any]:
        return [a async for page in connector.list_accounts() for a in page]

    for call in (
        lambda: connector.find("maya"), lambda: connector.find("maya@example.com"), listed,
        lambda: connector.verify("maya", Secret(NEW)), lambda: connector.apply(plan("1", "maya")),
        lambda: connector.apply(plan("1", "maya", attempt=2)), lambda: connector.check("maya"),
        lambda: connector.diagnose("maya", "1"),
    ):  # fmt: skip
        try:
            came = await call()  # type: ignore[no-untyped-call]
        except Unavailable:
            continue
        for one in came if isinstance(came, list) else ():
            if isinstance(one, Outcome):
                assert one.retry_after_ms <= 300_000
            for text in (getattr(one, name, None) for name in ("external_id", "username", "mail", "name", "text")):
                assert text is None or "\0" not in text.encode().decode()


@pytest.mark.covers("N11")
@pytest.mark.parametrize("name", [*shipped(), *RECIPES])
def test_any_answer_comes_to_an_outcome_or_a_fault(name: str) -> None:
    recipe = (shipped() | RECIPES)[name]
    keys = {"url": "http://127.0.0.1:9", "recipe": name, "secret": "a-secret-word", "login": "svc"}
    values = {"groups_are_cleared": "yes"} if name == "krayin" else {}
    options = HttpConnectorOptions.model_validate({**keys, "values": values})
    for seed in range(12):
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(Anything(seed)), follow_redirects=False)
        anyio.run(everything, HttpConnector("x", "X", options, checked(recipe, options), client))
