"""Attacks on the API: what it tells, what it takes, and in which order."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import structlog

from keyback.application.clock import wall_clock
from keyback.application.ports.storage import Imported, ImportedAccount, StorageDown
from keyback.storage.database import SqlDatabase
from keyback.testing.mailbox import Mailbox
from keyback.web.api import recoveries
from keyback.web.http import edge
from tests.support.api_client import BASE, MAYA, NEW, Client, Recovery
from tests.support.kit import Clock, Kit, person

CANARY = "Kanarienvogel-4711-Zeisig"
WIDE = {"recoveries": 9999, "proofs": 9999, "sign_ins": 9999, "checks": 9999}
UNKNOWN = "0123456789abcdefghijkl"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as box:
        yield box


@pytest.fixture
def client(make_kit: Callable[..., Kit], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Client:
    clock = Clock()
    monkeypatch.setattr("keyback.web.intake.wall_clock", clock)
    client = Client(make_kit(mail={"port": mailbox.port}, clock=clock, limits=WIDE))
    client.people()
    return client


def is_problem(answer: httpx2.Response) -> None:
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) >= {"type", "title", "status", "code"}


# ── what it tells ───────────────────────────────────────────────────────────


def account(name: str, **over: Any) -> ImportedAccount:
    return ImportedAccount(**{"system": "builtin", "external_id": name, "username": name, **over})


CROWD = {
    "known": MAYA,
    "disabled": person("dora", state="disabled"),
    "locked": Imported(
        "luka", "Luka", "en", "standard", "active", ("luka@example.com",), (account("luka", state="locked"),)
    ),
    "no mail": Imported("nils", "Nils", "en", "standard", "active", (), (account("nils"),)),
    "single sign-on": Imported(
        "sora", "Sora", "en", "standard", "active", ("sora@example.com",), (account("sora", provider="entra"),)
    ),
    "privileged": person("paul", tier="privileged"),
}


@pytest.mark.slow
@pytest.mark.covers("A1", "J5", "C9", "N-P6")
def test_every_answer_is_the_same_for_everybody(client: Client) -> None:
    client.people(*CROWD.values())
    names = {"known": "maya", "disabled": "dora", "locked": "luka", "no mail": "nils", "single sign-on": "sora"}
    names |= {"privileged": "paul", "unknown": "zara", "unknown mail": "zara@example.com", "per cent": "%"}
    seen: dict[str, list[tuple[Any, ...]]] = {}
    started = {kind: client.post("/recoveries", {"identifier": name}) for kind, name in names.items()}
    client.drain()
    for kind, first in started.items():
        handle, secret = first.json()["handle"], first.json()["secret"]
        path = f"/recoveries/{handle}"
        calls = [
            first,
            client.get(path, secret=secret),
            client.get(path),
            client.get(path, secret="x" * 32),
            client.post(f"{path}/proofs/email_link", secret=secret),
            client.post(f"{path}/proofs/email_link/verify", {"code": "12345678"}, secret=secret),
            client.post(f"{path}/proofs/email_link/verify", {"code": "no code"}, secret=secret),
            client.post(f"{path}/password", {"new_password": NEW}, secret=secret),
            client.post("/passwords/check", {"password": "maya", "handle": handle}, secret=secret),
            client.post(f"{path}/cancel", secret=secret),
            client.get(path, secret=secret),
            client.post("/sign-in", {"identifier": names[kind], "password": "an older password"}),
        ]
        number = str(calls[1].json()["number"])
        hide = ((handle, "HANDLE"), (secret, "SECRET"), (f'"number":{number}', '"number":NUMBER'))

        def plain(text: str, hide: tuple[tuple[str, str], ...] = hide) -> str:
            for given, name in hide:
                text = text.replace(given, name)
            return text

        seen[kind] = [
            (c.status_code, plain(c.text), [(k, v) for k, v in c.headers.multi_items() if k != "date"]) for c in calls
        ]
    for kind, answers in seen.items():
        assert answers == seen["known"], kind


@pytest.mark.covers("A1")
def test_no_secret_is_refused_alike_for_handles_that_exist_or_not(client: Client) -> None:
    mine = Recovery(client)
    other = Recovery(client, "nobody")
    for more in ("", "/proofs/email_link", "/proofs/email_link/verify", "/password", "/cancel"):
        method = "POST" if more else "GET"
        body = {"/password": {"new_password": NEW}, "/proofs/email_link/verify": {"code": "12345678"}}.get(more)
        answers = [
            client.call(method, f"/recoveries/{handle}{more}", body, **how)
            for handle in (mine.handle, other.handle, UNKNOWN)
            for how in ({}, {"secret": "x"}, {"secret": "x" * 400}, {"authorization": f"Basic {mine.secret}"})
        ]
        assert {(a.status_code, a.content, tuple(a.headers.multi_items())) for a in answers} == {
            (401, answers[0].content, tuple(answers[0].headers.multi_items()))
        }
        assert answers[0].headers["www-authenticate"].startswith("Bearer")
        assert answers[0].json()["code"] == "unauthorized"


@pytest.mark.covers("L9", "A-16.2.5", "A-16.5.1", "A-16.5.4")
def test_no_password_comes_back_or_into_the_log(
    client: Client, mailbox: Mailbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    r = Recovery(client)
    r.prove(mailbox)
    caplog.set_level(logging.DEBUG)
    bodies: list[tuple[str, Any]] = []
    for path, field in (
        (f"/recoveries/{r.handle}/password", "new_password"),
        ("/sign-in", "password"),
        ("/passwords/check", "password"),
        (f"/recoveries/{r.handle}/proofs/email_link/verify", "code"),
        ("/recoveries", "identifier"),
    ):
        odd = ([CANARY], {CANARY: CANARY}, {"a": {"b": [CANARY]}}, CANARY * 300, CANARY + "\0")
        bodies += [(path, {field: v}) for v in odd]
        bodies += [(path, {field: CANARY, CANARY: 1}), (path, {CANARY: CANARY}), (path, [CANARY]), (path, CANARY)]
        bodies += [(path, {field: CANARY, "identifier": [CANARY], "accounts": [[CANARY]], "handle": CANARY})]
    with structlog.testing.capture_logs() as logs:
        answers = [client.post(path, body, secret=r.secret) for path, body in bodies]
        answers += [
            client.post(path, raw=raw, secret=r.secret)
            for path in {path for path, _ in bodies}
            for raw in (
                f'{{"password": "{CANARY}'.encode(),
                f'{{"password": "{CANARY}", "password": "{CANARY}"}}'.encode(),
                CANARY.encode(),
            )
        ]

        def fails(*args: object, **kwargs: object) -> None:
            raise RuntimeError(f"{CANARY} {args} {kwargs}")

        monkeypatch.setattr(recoveries, "personal", fails)
        broken = client.post(f"/recoveries/{r.handle}/password", {"new_password": CANARY}, secret=r.secret)
    assert (broken.status_code, broken.json()["code"]) == (500, "error")
    assert [x["error"] for x in logs if x["event"] == "request_failed"] == ["RuntimeError"]
    assert all(CANARY not in a.text and CANARY not in str(a.headers) for a in (*answers, broken))
    assert CANARY not in str(logs) + caplog.text
    assert {a.status_code for a in answers} <= {200, 400, 401, 409, 413, 422}


@pytest.mark.covers("D13", "A-16.5.3")
def test_no_storage_no_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    r = Recovery(client)

    async def down(self: SqlDatabase, what: object) -> None:
        raise StorageDown("gone")

    for name in ("read", "write", "write_down"):
        monkeypatch.setattr(SqlDatabase, name, down)
    answers = [
        client.get(r.path, secret=r.secret),
        client.post("/recoveries", {"identifier": "maya"}),
        r.post("/proofs/email_link"),
        r.try_code("12345678"),
        r.post("/password", {"new_password": NEW}),
        r.post("/cancel"),
        client.post("/sign-in", {"identifier": "maya", "password": NEW}),
        client.get("/session", secret="x"),
        client.post("/sign-out", secret="x"),
    ]
    assert {(a.status_code, a.json()["code"], a.headers["retry-after"]) for a in answers} == {(503, "unavailable", "5")}


# ── what it takes ───────────────────────────────────────────────────────────

FIELDS = [
    ("/recoveries", "identifier", {}),
    ("/recoveries", "journey", {"identifier": "maya"}),
    ("/recoveries", "system", {"identifier": "maya"}),
    ("/recoveries", "locale", {"identifier": "maya"}),
    ("/recoveries/{handle}/proofs/email_link/verify", "code", {}),
    ("/recoveries/{handle}/password", "new_password", {}),
    ("/recoveries/{handle}/password", "accounts", {"new_password": "maya"}),
    ("/sign-in", "identifier", {"password": "x"}),
    ("/sign-in", "password", {"identifier": "maya"}),
    ("/passwords/check", "password", {}),
    ("/passwords/check", "handle", {"password": "x"}),
]
OPTIONAL = {"journey", "system", "locale", "accounts", "handle"}
WRONG = [
    '["maya@example.com", "eve@example.com"]', '["maya@example.com"]', "[[]]", "{}", '{"$gt": ""}', "0", "1", "-1.5",
    "1e400", "9" * 5000, "NaN", "true", "false", "null", r'"\ud800"', r'"a\udfff"', '"' + "x" * 60_000 + '"',
    "[" * 20_000, '{"a":' * 5000 + "1" + "}" * 5000,
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.covers("B1", "B13", "B15", "A-15.3.3", "A-15.3.5", "A-15.3.7")
@pytest.mark.parametrize("path, field, rest", FIELDS, ids=[f"{p} {f}" for p, f, _ in FIELDS])
def test_one_text_where_one_text_is_due(client: Client, mailbox: Mailbox, path: str, field: str, rest: Any) -> None:
    r = Recovery(client)
    if "password" in path:
        r.prove(mailbox)
    else:
        client.drain()
    sent = len(mailbox.messages())
    path = path.format(handle=r.handle)
    others = "".join(f', "{k}": {json.dumps(v)}' for k, v in rest.items())
    for value in WRONG:
        if value == "null" and field in OPTIONAL:
            continue
        if field == "accounts" and value == '["maya@example.com"]':
            continue  # a list is due there
        is_problem(client.post(path, raw=f'{{"{field}": {value}{others}}}'.encode(), secret=r.secret))
    for raw in (
        f'{{"{field}": "maya", "{field}": "eve@example.com"{others}}}'.encode(),
        f'{{"{field}[]": "maya"{others}}}'.encode(),
        f'{{"{field}": "\xff\xfe"{others}}}'.encode("latin-1"),
        f'{{"{field}": "\xc0\xaf"{others}}}'.encode("latin-1"),
        f'{{"{field}": "maya", "extra": 1{others}}}'.encode(),
        b"", b"null", b"[]", b'"maya"', b"{", b"\0", b"{}" * 2, b"1",
    ):  # fmt: skip
        is_problem(client.post(path, raw=raw, secret=r.secret))
    huge = f'{{"{field}": "{"x" * 1_000_000}"{others}}}'.encode()
    assert client.post(path, raw=huge, secret=r.secret).status_code == 413
    client.drain()
    assert len(mailbox.messages()) == sent


@pytest.mark.slow
@pytest.mark.covers("B15", "B13")
@pytest.mark.parametrize("text", ["\0", "maya\0", "%", "%00", "maya%", "' OR 1=1 --", "\u202e", "\uffff", "١٢٣٤٥٦٧٨"])
def test_odd_texts_match_nothing_and_break_nothing(client: Client, mailbox: Mailbox, text: str) -> None:
    r = Recovery(client)
    client.drain()
    started = client.post("/recoveries", {"identifier": text})
    assert started.status_code in (202, 422), started.text
    client.drain()
    assert len(mailbox.messages()) == 1
    is_problem(r.try_code(text))
    is_problem(client.post("/sign-in", {"identifier": text, "password": text}))
    is_problem(client.get(f"/recoveries/{quote(text, safe='')}", secret=r.secret))
    assert client.post("/passwords/check", {"password": text}).status_code == 200
    r.post("/cancel")


@pytest.mark.slow
@pytest.mark.covers("B13")
@pytest.mark.parametrize(
    "handle", ["0", "true", "null", "x" * 21, "x" * 23, "x" * 21 + "~", "x" * 22 + "%0a", "%00", "x" * 5000]
)
def test_a_handle_of_another_shape_is_not_found(client: Client, handle: str) -> None:
    answer = client.get(f"/recoveries/{handle}", secret="x")
    is_problem(answer)
    assert answer.status_code == 404


@pytest.mark.covers("O3", "L1")
def test_bodies_are_bounded(client: Client, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    r = Recovery(client)
    r.prove(mailbox)
    many = json.dumps({f"k{i}": 1 for i in range(5000)}).encode()
    is_problem(r.post("/password", raw=many))
    long = r.post("/password", {"new_password": "é" * 2500})
    assert [v["code"] for v in long.json()["violations"]] == ["password_too_long_to_read"]
    assert r.post("/password", {"new_password": "x" * 5001}).json()["errors"] == [
        {"field": "new_password", "code": "too_long"}
    ]
    assert r.post("/password", {"new_password": NEW}, content_encoding="gzip").status_code == 415

    async def drip() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b" " * 1024

    async def stall() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(3600)

    async def send(content: AsyncIterator[bytes]) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=client.app)
        headers = {"content-type": "application/json", "authorization": f"Bearer {r.secret}"}
        async with httpx2.AsyncClient(transport=transport, base_url=client.kit.settings.public_url) as http:
            return await http.post(f"{BASE}{r.path}/password", content=content, headers=headers)

    long = client.kit.run(send(drip()))
    is_problem(long)
    assert (long.status_code, long.json()["code"], long.headers["connection"]) == (413, "too_long", "close")
    monkeypatch.setattr(edge, "BODY_TIME_S", 0.0)
    slow = client.kit.run(send(stall()))
    is_problem(slow)
    assert (slow.status_code, slow.json()["code"], slow.headers["connection"]) == (408, "too_slow", "close")


ROUTES = {
    "/recoveries": "POST",
    f"/recoveries/{UNKNOWN}": "GET",
    f"/recoveries/{UNKNOWN}/proofs/email_link": "POST",
    f"/recoveries/{UNKNOWN}/proofs/email_link/verify": "POST",
    f"/recoveries/{UNKNOWN}/password": "POST",
    f"/recoveries/{UNKNOWN}/cancel": "POST",
    "/sign-in": "POST",
    "/session": "GET",
    "/sign-out": "POST",
    "/passwords/check": "POST",
}


@pytest.mark.slow
@pytest.mark.covers("O6")
@pytest.mark.parametrize("path, method", ROUTES.items())
def test_one_method_and_one_content_type(client: Client, path: str, method: str) -> None:
    for other in {"GET", "HEAD", "POST", "OPTIONS"} - {method}:
        answer = client.call(other, path, x_http_method_override=method)
        assert answer.status_code == 405, (other, answer.text)
        assert answer.headers["allow"] == method
        assert not [h for h in answer.headers if h.startswith("access-control")]
    for other in ("PUT", "PATCH", "DELETE", "TRACE"):
        assert client.call(other, path).status_code == 405
    if method == "POST":
        for kind in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "",
            "text/json",
        ):
            answer = client.post(path, raw=b'{"identifier": "maya"}', content_type=kind)
            is_problem(answer)
            assert answer.status_code in (401, 415)
        foreign = client.post(path, {}, origin="https://evil.example.com", sec_fetch_site="cross-site")
        assert foreign.status_code == 403
    assert client.post(path + "/").status_code == 404


def test_where_no_body_is_due_none_is_taken(client: Client) -> None:
    r = Recovery(client)
    for path in ("/proofs/email_link", "/cancel"):
        is_problem(r.post(path, {"identifier": "eve@example.com"}))
        is_problem(r.post(path, raw=b"x"))
    assert r.post("/proofs/sms_code").status_code == 409  # this Keyback sends none
    assert r.post("/proofs/nonsense").status_code == 404
    assert r.post("/proofs/email_link", {}).status_code == 202
    assert client.get("/nothing").json()["code"] == "not_found"


# ── in which order ──────────────────────────────────────────────────────────

STATES = ("waiting", "ghost", "username", "proven", "need_more", "done", "cancelled", "expired")
CALLS: dict[str, dict[str, tuple[int, str]]] = {
    "verify": {"waiting": (422, "wrong_code"), "ghost": (422, "wrong_code")},
    "again": {"waiting": (202, ""), "ghost": (202, ""), "username": (202, "")},
    "password": {"proven": (200, ""), "done": (409, "already_chosen")},
    "cancel": {s: (200, "") for s in STATES if s not in ("done", "expired")} | {"expired": (200, "")},
}


def bring_to(client: Client, mailbox: Mailbox, state: str) -> Recovery:
    if state == "ghost":
        return Recovery(client, "nobody")
    if state == "username":
        return Recovery(client, journey="username")
    if state == "need_more":
        client.people(person("olga", tier="mfa"))
        r = Recovery(client, "olga")
        r.prove(mailbox, "olga@example.com")
        return r
    r = Recovery(client)
    if state in ("proven", "done", "expired"):
        r.prove(mailbox)
    if state == "done":
        assert r.choose("harbour violin cactus 9").json()["state"] == "done"
    if state == "cancelled":
        r.post("/cancel")
    if state == "expired":
        client.kit.clock.forward(minutes=25)
    return r


def do(r: Recovery, call: str) -> httpx2.Response:
    match call:
        case "verify":
            return r.try_code("00000000")
        case "password":
            return r.choose()
        case "again":
            return r.post("/proofs/email_link")
        case _:
            return r.post("/cancel")


@pytest.mark.slow
@pytest.mark.covers("C22", "A-2.3.1")
@pytest.mark.parametrize("state", STATES)
def test_no_step_can_be_skipped_or_repeated(client: Client, mailbox: Mailbox, state: str) -> None:
    for call, allowed in CALLS.items():
        mailbox.clear()
        client.kit.clock.forward(hours=25)  # the mail budget of the day
        r = bring_to(client, mailbox, state)
        answer = do(r, call)
        status, code = allowed.get(state, (409, "wrong_state"))
        assert answer.status_code == status, (call, answer.text)
        if status >= 400:
            assert answer.json()["code"] == code
        r.post("/cancel")
    signed_in = client.post("/sign-in", {"identifier": "maya", "password": NEW})
    assert signed_in.status_code == (200 if state == "proven" else 401)


@pytest.mark.slow
@pytest.mark.covers("D9", "C20")
def test_nothing_of_one_recovery_serves_another(client: Client, mailbox: Mailbox) -> None:
    client.people(MAYA, person("eve"))
    mine, hers = Recovery(client, "eve"), Recovery(client)
    client.drain()
    my_code = mailbox.wait_for("eve@example.com")[0]["codes"][0]
    her_code = mailbox.wait_for("maya@example.com")[0]["codes"][0]
    assert hers.try_code(my_code).json()["code"] == "wrong_code"
    assert mine.try_code(her_code).json()["code"] == "wrong_code"
    assert mine.try_code(my_code).status_code == 200
    assert client.post(f"{hers.path}/password", {"new_password": NEW}, secret=mine.secret).status_code == 401
    assert hers.try_code(her_code).status_code == 200
    her_account = hers.see()["accounts"][0]["id"]
    assert mine.choose(body={"accounts": [her_account]}).json()["code"] == "no_accounts"
    for more in ({"identifier": "maya"}, {"username": "maya"}, {"person_id": "maya"}, {"handle": hers.handle}):
        assert mine.choose(body=more).json()["errors"] == [{"field": "", "code": "unknown_field"}]
    assert mine.choose().status_code == 200
    assert client.post("/sign-in", {"identifier": "eve", "password": NEW}).status_code == 200
    assert client.post("/sign-in", {"identifier": "maya", "password": NEW}).status_code == 401


@pytest.mark.slow
@pytest.mark.covers("C14", "D10")
def test_a_code_counts_once_however_often_it_is_sent(client: Client, mailbox: Mailbox) -> None:
    r = Recovery(client)
    client.drain()
    code = mailbox.wait_for("maya@example.com")[0]["codes"][0]
    path, body = f"{r.path}/proofs/email_link/verify", {"code": code}
    answers = client.together([lambda: client.send("POST", path, body, secret=r.secret)] * 50)
    assert [a.status_code for a in answers].count(200) == 1
    assert {a.status_code for a in answers} <= {200, 409, 422, 429}
    assert r.try_code(code).status_code == 409
    assert r.choose().status_code == 200
    assert r.try_code(code).status_code == 409


@pytest.mark.slow
@pytest.mark.covers("C15")
def test_fifty_passwords_at_once_one_wins(database_url: str, make_kit: Callable[..., Kit], mailbox: Mailbox) -> None:
    kit = make_kit(url=database_url, mail={"port": mailbox.port}, clock=Clock(wall_clock()), limits=WIDE)
    client = Client(kit)
    client.people()
    r = Recovery(client)
    r.prove(mailbox)
    passwords = [f"{NEW} number {i}" for i in range(50)]
    calls: list[Any] = [
        lambda p=p: client.send("POST", f"{r.path}/password", {"new_password": p}, secret=r.secret) for p in passwords
    ]
    answers = client.together(calls)
    won = [p for p, a in zip(passwords, answers, strict=True) if a.status_code == 200]
    assert len(won) == 1
    others = {(a.status_code, a.json().get("code")) for a in answers if a.status_code != 200}
    assert others <= {(409, "already_chosen"), (409, "conflict")}
    assert client.post("/sign-in", {"identifier": "maya", "password": won[0]}).status_code == 200
    lost = next(p for p in passwords if p not in won)
    assert client.post("/sign-in", {"identifier": "maya", "password": lost}).status_code == 401


@pytest.mark.slow
@pytest.mark.covers("E15")
def test_fifty_times_the_same_act_is_one(client: Client, mailbox: Mailbox) -> None:
    r = Recovery(client)
    r.prove(mailbox)
    mailbox.clear()
    body, key = {"new_password": NEW}, {"idempotency_key": "one-and-the-same-act"}
    path = f"{r.path}/password"
    answers = client.together([lambda: client.send("POST", path, body, secret=r.secret, **key)] * 50)
    assert {(a.status_code, a.text) for a in answers} == {(200, answers[0].text)}
    assert [x["result"] for x in answers[0].json()["results"]] == ["done"]
    client.drain()
    assert len(mailbox.wait_for("maya@example.com")) == 1
    started = [client.post("/recoveries", {"identifier": "maya"}, **key) for _ in range(2)]
    assert started[0].json()["handle"] == started[1].json()["handle"]
    other = client.post("/recoveries", {"identifier": "eve"}, **key)
    assert other.json()["handle"] != started[0].json()["handle"]
