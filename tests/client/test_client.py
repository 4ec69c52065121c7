"""`keyback.client` against a live Keyback, against the document of the API, and against servers that lie."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, get_args

import httpx2
import pytest

from keyback.client import AsyncClient, AsyncRecovery, Client, NoAnswer, Problem, Recovery, calls, models
from keyback.client.calls import MAX_ANSWER, Call
from keyback.client.models import Model, NeedMore, PasswordDue
from keyback.storage.database import make_engine
from keyback.storage.migrate import migrate
from keyback.testing.mailbox import Mailbox
from tests.support.house import ROOT
from tests.support.live import Live, add_person, live

DOC = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))
NEW = "copper lantern orchard 5"
SECRET = "s" * 43


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as made:
        yield made


@pytest.fixture(scope="module")
def site(mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("client")
    url = f"sqlite:///{folder / 'keyback.db'}"
    engine = make_engine(url)
    migrate(engine)
    engine.dispose()
    with live(url, folder, mail_port=mailbox.port) as made:
        yield made


def mailed(mailbox: Mailbox, who: str) -> str:
    """The code in the newest mail to somebody."""
    for _ in range(1200):
        for mail in reversed(mailbox.messages()):
            if mail["to"] == f"{who}@example.com" and mail["codes"]:
                return str(mail["codes"][0])
        time.sleep(0.05)
    raise AssertionError(f"no mail to {who}")


@pytest.mark.slow
def test_a_whole_recovery(site: Live, mailbox: Mailbox) -> None:
    add_person(site, "ada")
    with Client(site.url, locale="zh-CN") as keyback:
        recovery = keyback.start("ada")
        assert recovery.secret not in repr(recovery)
        waiting = recovery.status()
        assert isinstance(waiting, models.Waiting)
        assert waiting.expires_at.tzinfo is not None
        code = mailed(mailbox, "ada")
        with pytest.raises(Problem) as wrong:
            recovery.verify("email_link", code[:-1] + ("3" if code[-1] == "2" else "2"))
        assert (wrong.value.status, wrong.value.code, wrong.value.tries_left) == (422, "wrong_code", 4)
        assert recovery.verify("email_link", code).state == "password_due"
        due = recovery.status()
        assert isinstance(due, PasswordDue)
        assert [a.username for a in due.accounts] == ["ada"]
        with pytest.raises(Problem) as refused:
            recovery.choose_password("ada2026")
        assert refused.value.code == "password_refused"
        assert any("一" <= c <= "鿿" for c in refused.value.violations[0].text), "in the language asked for"
        assert recovery.check_password(NEW).violations == ()
        recovery.choose_password(NEW)
        done = recovery.settled()
        assert [r.result for r in done.results] == ["done"]
        signed = keyback.sign_in("ada", NEW)
        assert signed.session not in repr(signed)
        assert keyback.session(signed.session).username == "ada"
        assert keyback.after_recovery(signed.session).steps
        assert keyback.accounts(signed.session).accounts[0].username == "ada"
        keyback.sign_out(signed.session)
        with pytest.raises(Problem, match="401"):
            keyback.session(signed.session)


@pytest.mark.slow
def test_the_same_for_asyncio_and_for_somebody_nobody_knows(site: Live, mailbox: Mailbox) -> None:
    add_person(site, "emil")

    async def go() -> None:
        async with AsyncClient(site.url) as keyback:
            nobody, emil = [await keyback.start(name) for name in ("nobody-at-all", "emil")]
            assert type(await nobody.status()) is type(await emil.status())
            await emil.verify("email_link", await asyncio.to_thread(mailed, mailbox, "emil"))
            await emil.choose_password(NEW)
            assert (await emil.settled()).state == "done"
            assert (await nobody.cancel()).reason == "cancelled"
            again = keyback.resume(emil.handle, emil.secret)
            assert (await again.status()).state == "done"
            with pytest.raises(Problem, match="401"):
                await keyback.resume(emil.handle, SECRET).status()

    asyncio.run(go())


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_about_it_is_right(
    site: Live, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    who = f"maya-{language}"
    add_person(site, who)
    page = (ROOT / "docs" / language / "client.md").read_text("utf-8")
    whole, states, _ = re.findall(r"```python\n(.*?)```", page, re.S)
    refused = iter(["kitten", NEW])

    def typed(prompt: str) -> str:
        return next(refused) if re.search("password|密码", prompt) else mailed(mailbox, who)

    monkeypatch.setattr("builtins.input", typed)
    code = whole.replace("https://recover.example.com", site.url).replace("maya.okafor", who)
    exec(compile(code, "client.md", "exec"), {})
    said = capsys.readouterr().out
    assert "Keyback done" in said
    assert "15" in said, "why the first one was refused"
    there: dict[str, Any] = {"NeedMore": NeedMore, "PasswordDue": PasswordDue}
    exec(compile(states, "client.md", "exec"), there)
    with Client(site.url) as keyback:
        assert there["next_step"](keyback.start("nobody")) == "waiting"


# ── held to the document of the API ─────────────────────────────────────────


def _calls() -> list[Call[Any]]:
    """One of every call there is."""
    out = []
    for _, make in inspect.getmembers(calls, inspect.isfunction):
        names = list(inspect.signature(make).parameters)
        if str(inspect.signature(make).return_annotation).startswith("Call["):
            out.append(make(**{n: ["x"] if n in ("accounts", "factors") else "x" for n in names}))
    return out


def test_every_operation_is_there_with_what_the_document_says() -> None:
    wanted = {
        (method.upper(), path)
        for path, item in DOC["paths"].items()
        for method in item
        if method in ("get", "post", "put", "delete", "patch") and not path.startswith("/admin")
    }
    found = set()
    for call in _calls():
        [path] = [p for p in DOC["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "x", p), call.path) and "admin" not in p]
        found.add((call.method, path))
        operation = DOC["paths"][path][call.method.lower()]
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        schema = DOC["components"]["schemas"].get(content.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
        assert set(call.body or {}) <= schema.get("properties", {}).keys(), path
        assert set(schema.get("required", ())) <= set(call.body or {}), path
        assert bool(call.once) == any(p["name"] == "Idempotency-Key" for p in operation.get("parameters", ())), path
        ok = next(r for status, r in operation["responses"].items() if status.startswith("2"))
        assert (call.reads is None) == ("content" not in ok), path
    assert found == wanted


def test_every_model_has_the_members_that_the_document_names() -> None:
    for name, model in inspect.getmembers(models, inspect.isclass):
        if not issubclass(model, Model) or model is Model:
            continue
        schema = DOC["components"]["schemas"][name]
        assert model.model_fields.keys() == schema["properties"].keys(), name
        needed = {n for n, f in model.model_fields.items() if f.is_required()}
        assert needed == set(schema.get("required", ())), name


def test_both_clients_are_alike() -> None:
    for one, other in ((Client, AsyncClient), (Recovery, AsyncRecovery)):
        mine, theirs = (
            {n: f for n, f in inspect.getmembers(c, inspect.isfunction) if not n.startswith("_")} for c in (one, other)
        )
        assert mine.keys() == theirs.keys()
        for name, f in mine.items():
            assert list(inspect.signature(f).parameters) == list(inspect.signature(theirs[name]).parameters), name
            assert f.__doc__ == theirs[name].__doc__, name


def test_the_journeys_are_those_of_the_document() -> None:
    named = DOC["components"]["schemas"]["Start"]["properties"]["journey"]["anyOf"][0]["enum"]
    assert set(get_args(models.Journey)) == set(named)


# ── servers that lie ────────────────────────────────────────────────────────


def against(answer: Callable[[httpx2.Request], httpx2.Response], **more: Any) -> Recovery:
    client = Client("https://recover.example.com", transport=httpx2.MockTransport(answer), **more)
    return client.resume("h" * 22, SECRET)


@pytest.mark.covers("INV-I4")
@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, text="<html>a proxy's page</html>"),
        httpx2.Response(200, json=["a list"]),
        httpx2.Response(200, json={"state": "no such state"}),
        httpx2.Response(200, json={"state": "waiting", "number": "x"}),
        httpx2.Response(200, content=b" " * (MAX_ANSWER + 1)),
        httpx2.Response(302, headers={"location": "https://evil.example.com/"}),
        httpx2.Response(502, text="bad gateway"),
        httpx2.Response(400, json={"code": 7, "title": []}),
        httpx2.Response(200, content=b"\xff\xfe\x00"),
    ],
    ids=range(9),
)
def test_what_is_no_answer_of_keybacks_is_none_and_shows_no_secret(answer: httpx2.Response) -> None:
    asked = []

    def reply(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return answer

    with pytest.raises(NoAnswer) as e:
        against(reply).status()
    assert SECRET not in f"{e.value!r}{e.value}"
    assert [r.url.host for r in asked] == ["recover.example.com"]
    assert asked[0].headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in str(asked[0].url)


def test_a_connection_that_fails_is_no_answer_either() -> None:
    def reply(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError(f"no way to {SECRET}")

    with pytest.raises(NoAnswer) as e:
        against(reply).status()
    assert SECRET not in f"{e.value!r}{e.value}"


def test_busy_is_asked_again_and_what_may_have_been_done_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    left = [429, 503]
    ended = {"state": "ended", "reason": "expired", "results": [], "of a later version": 1}

    def busy(request: httpx2.Request) -> httpx2.Response:
        if left:
            problem = {"type": "about:blank", "title": "Busy", "status": left[0], "code": "busy"}
            return httpx2.Response(left.pop(0), json=problem, headers={"retry-after": "2"})
        return httpx2.Response(200, json=ended)

    assert against(busy, patience_s=60.0).status().state == "ended"
    assert slept == [2, 2]
    left[:] = [429]
    with pytest.raises(Problem) as e:
        against(busy).status()
    assert (e.value.status, e.value.retry_after) == (429, 2)

    def unsure(request: httpx2.Request) -> httpx2.Response:
        problem = {"type": "about:blank", "title": "Nobody knows", "status": 503, "code": "unconfirmed"}
        return httpx2.Response(503, json=problem, headers={"retry-after": "soon"})

    with pytest.raises(Problem, match="unconfirmed"):
        against(unsure, patience_s=60.0).temporary_pass("a")
    assert slept == [2, 2]


@pytest.mark.parametrize(
    "url",
    [
        "http://recover.example.com", "ftp://recover.example.com", "recover.example.com", "https://",
        "https://u:p@recover.example.com", "https://recover.example.com/path", "https://recover.example.com?x=1",
    ],
)  # fmt: skip
def test_an_address_that_would_not_do_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        Client(url)


def test_what_is_named_goes_nowhere_else() -> None:
    asked = []

    def reply(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.raw_path.decode())
        return httpx2.Response(404, json={"type": "about:blank", "title": "x", "status": 404, "code": "not_found"})

    recovery = against(reply)
    for name in ("..", ".", ""):
        with pytest.raises(ValueError, match="is no name"):
            recovery.verify(name, "1")
    for proof in ("../../../admin/people", "a/b", "a?b=c", "a#b"):
        with pytest.raises(Problem):
            recovery.verify(proof, "1")
    assert all(p.startswith(f"/api/v1/recoveries/{'h' * 22}/proofs/") for p in asked), asked
