"""The contract suite on every connector of the house, and what is particular to each."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.util
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyback.application.ports.connectors import FoundAccount, Means, Plan, Step, Unavailable
from keyback.connectors import tryton
from keyback.connectors.builtin import BuiltinConnector
from keyback.connectors.demo import DemoConnector
from keyback.connectors.faults import fault
from keyback.connectors.guided import GuidedConnector
from keyback.connectors.tryton import TrytonConnector
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, MaybeDone, NotDone, vendor_text
from keyback.testing.connectors import (
    NEW,
    OLD,
    ConnectorContract,
    FaultyProxy,
    OverProxy,
    Traits,
    by_step,
    plan,
)
from keyback.testing.demo_crm import DemoCrm
from keyback.testing.tryton_server import TrytonServer, start_tryton
from tests.support.demo_harness import TOKEN, DemoHarness
from tests.support.kit import Kit
from tests.support.real_sync import PEOPLE, RENAMED, follows
from tests.support.tryton import SERIES, programs


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# ── demo ──


@pytest.fixture
def crm() -> DemoCrm:
    return DemoCrm(None, TOKEN)


@pytest.fixture
async def demo(crm: DemoCrm) -> AsyncIterator[DemoHarness]:
    async with DemoHarness.over(crm) as harness:
        yield harness


class TestDemo(ConnectorContract):
    @pytest.fixture
    async def harness(self, demo: DemoHarness) -> DemoHarness:
        return demo

    async def test_policy_of_the_vendor_can_be_switched_on(self, demo: DemoHarness) -> None:
        key = await demo.add_user("alice", "alice@example.com")
        demo.crm.broken = "policy"
        last = (await demo.connector.apply(plan(key, "alice")))[-1]
        assert (last.step, last.status, last.code) == (Step.SET, "refused", "policy_rejected")
        assert last.vendor_text.startswith("Password was used before")

    async def test_slow_but_in_time_is_done(self, demo: DemoHarness) -> None:
        key = await demo.add_user("alice", "alice@example.com")
        demo.crm.slow = 0.05
        assert {o.status for o in await demo.connector.apply(plan(key, "alice"))} == {"done"}

    async def test_wrong_token_is_named(self, demo: DemoHarness) -> None:
        key = await demo.add_user("alice", "alice@example.com")
        demo.crm._token = "another"
        assert [(o.status, o.code) for o in await demo.connector.apply(plan(key, "alice"))] == [
            ("refused", "auth_expired")
        ]
        with pytest.raises(Unavailable) as raised:
            await demo.connector.find("alice")
        assert raised.value.code == "auth_expired"
        assert await demo.connector.verify("alice", Secret(OLD)) is None

    async def test_must_change_is_said_to_be_missing(self, demo: DemoHarness) -> None:
        key = await demo.add_user("alice", "alice@example.com")
        done = by_step(await demo.connector.apply(replace(plan(key, "alice"), must_change=True)))
        assert done[Step.MUST_CHANGE].status == "unsupported"
        assert done[Step.CONFIRM].status == "done"


@pytest.mark.anyio
async def test_demo_pages_and_toggle(crm: DemoCrm) -> None:
    crm.add_user("alice", "alice@example.com", "Alice <b>Ng</b>", OLD)
    transport = httpx2.ASGITransport(app=crm)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as c:
        assert "Username" in (await c.get("/sign-in")).text
        zh = await c.get("/sign-in", headers={"accept-language": "zh-CN"})
        assert "用户名" in zh.text
        ok = await c.post("/sign-in", data={"username": "alice", "password": OLD})
        assert (ok.status_code, crm.user("1").sessions) == (200, 1)
        assert "Signed in as Alice &lt;b&gt;Ng&lt;/b&gt;." in ok.text
        bad = await c.post("/sign-in", data={"username": '"><script>', "password": "x"})
        assert bad.status_code == 403
        assert "<script" not in bad.text
        for _ in range(5):
            locked = await c.post("/sign-in", data={"username": "alice", "password": "x"})
        assert "locked" in locked.text
        assert crm.user("1").state == "locked"

        assert (await c.post("/api/find", json={"identifier": "alice"})).status_code == 401
        toggled = await c.post("/toggle", data={"slow": "0.01", "broken": "refuse"})
        assert toggled.json() == {"slow": 0.01, "broken": "refuse"} == {"slow": crm.slow, "broken": crm.broken}
        assert (await c.post("/sign-in", data={"username": "alice", "password": OLD})).status_code == 503
        assert (await c.post("/toggle", json={"broken": "on fire"})).status_code == 400
        assert (await c.post("/toggle", json={"slow": "nan"})).status_code == 400
        cross = await c.post("/toggle", json={"broken": ""}, headers={"sec-fetch-site": "cross-site"})
        assert (cross.status_code, crm.broken) == (403, "refuse")
        assert (await c.post("/toggle", json={"broken": ""})).json()["broken"] == crm.broken == ""


def test_demo_state_outlives_the_process(tmp_path: Path) -> None:
    file = tmp_path / "crm.json"
    first = DemoCrm(file, TOKEN)
    first.add_user("林小红", "lin@example.com", "林小红", OLD, privileged=True)
    assert first.sign_in("林小红", OLD)
    second = DemoCrm(file, TOKEN)
    assert list(second.users) == list(first.users)
    assert second.sign_in("林小红", OLD)
    assert OLD not in file.read_text("utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["crm.json"]
    with pytest.raises(ValueError, match="taken"):
        second.add_user("林小红", None, "Other", OLD)


# ── built-in ──


@dataclass(frozen=True)
class Ok:
    ok: bool


class FakeGate:
    async def hash(self, password: Secret) -> str:
        return "$fake$" + os.urandom(4).hex() + "$" + self._digest(password)

    async def verify(self, phc: str | None, password: Secret) -> Ok:
        return Ok(phc is not None and phc.split("$")[3] == self._digest(password))

    @staticmethod
    def _digest(password: Secret) -> str:
        return hashlib.sha256(password.reveal().encode()).hexdigest()


class MemoryStore:
    def __init__(self) -> None:
        self.accounts: dict[str, FoundAccount] = {}
        self.phc: dict[str, str] = {}
        self.jobs: dict[str, set[str]] = {}
        self.sessions: dict[str, int] = {}
        self.down = False

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        if self.down:
            raise Unavailable("unavailable")
        return [a for a in self.accounts.values() if identifier.casefold() in {a.username, a.mail}]

    async def credential(self, external_id: str) -> str | None:
        return self.phc.get(external_id)

    async def credential_by_username(self, username: str) -> tuple[str, str] | None:
        found = [a for a in await self.find(username) if a.username == username and a.state == "active"]
        return (found[0].external_id, self.phc[found[0].external_id]) if found else None

    async def set_credential(self, external_id: str, phc: str, job_id: str) -> bool:
        jobs = self.jobs.setdefault(external_id, set())
        if job_id in jobs:
            return False
        jobs.add(job_id)
        self.phc[external_id] = phc
        self.sessions[external_id] = 0
        return True

    async def unlock(self, external_id: str) -> None:
        self.accounts[external_id] = replace(self.accounts[external_id], state="active")


@dataclass
class BuiltinHarness:
    store: MemoryStore
    connector: BuiltinConnector
    traits = Traits(policy=False, network=False)

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        key = str(len(self.store.accounts) + 1)
        state: Any = "disabled" if disabled else "active"
        self.store.accounts[key] = FoundAccount(key, username, mail, username, state, privileged)
        self.store.phc[key] = await FakeGate().hash(Secret(OLD))
        return key

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        held = await self.store.credential_by_username(username)
        if not held or not (await FakeGate().verify(held[1], Secret(password))).ok:
            return None
        self.store.sessions[held[0]] = 1

        async def alive() -> bool:
            return self.store.sessions[held[0]] > 0

        return alive

    async def lock(self, external_id: str) -> None:
        self.store.accounts[external_id] = replace(self.store.accounts[external_id], state="locked")

    async def changes(self, external_id: str) -> int:
        return len(self.store.jobs.get(external_id, ()))


class TestBuiltin(ConnectorContract):
    @pytest.fixture
    def harness(self) -> BuiltinHarness:
        store = MemoryStore()
        return BuiltinHarness(store, BuiltinConnector("builtin", "Keyback", FakeGate(), store))

    async def test_store_that_is_down_is_retried(self, harness: BuiltinHarness) -> None:
        key = await harness.add_user("alice", "alice@example.com")
        harness.store.down = True
        assert [(o.step, o.status) for o in await harness.connector.apply(plan(key, "alice"))] == [
            (Step.GUARD, "retry")
        ]
        assert await harness.connector.verify("alice", Secret(OLD)) is None

    async def test_a_password_overwritten_meanwhile_is_not_called_done(
        self, harness: BuiltinHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = await harness.add_user("alice", "alice@example.com")

        stored = harness.store.set_credential

        async def steal(external_id: str, phc: str, job_id: str) -> bool:
            fresh = await stored(external_id, phc, job_id)
            harness.store.phc[external_id] = await FakeGate().hash(Secret("somebody else's"))
            return fresh

        monkeypatch.setattr(harness.store, "set_credential", steal)
        done = by_step(await harness.connector.apply(plan(key, "alice")))
        assert done[Step.CONFIRM].status == "uncertain"


# ── guided ──


@pytest.mark.anyio
async def test_guided_waits_for_the_person() -> None:
    steps = {"en": ["Open the page.", "Ask for a link."], "zh_CN": ["打开网页。", "要一个链接。"]}
    c = GuidedConnector("acme", "Acme CRM", steps, "https://acme.example.com/reset")
    outcomes = await c.apply(Plan("j", "1", "alice", Secret(NEW)))
    assert [(o.step, o.status, o.code) for o in outcomes] == [(Step.GUARD, "done", ""), (Step.SET, "pending", "guided")]
    assert (await c.find("alice"), await c.verify("alice", Secret(OLD))) == ((), None)
    assert (c.guide("zh_CN").steps[0], c.guide("fr").steps[0]) == ("打开网页。", "Open the page.")
    for url in ("javascript:alert(1)", "acme.example.com", "ftp://acme.example.com/", ""):
        with pytest.raises(ValueError):
            GuidedConnector("acme", "Acme CRM", steps, url)
    with pytest.raises(ValueError):
        GuidedConnector("acme", "Acme CRM", {"en": []}, "https://acme.example.com/")


# ── settings ──


def test_sections_of_the_settings_become_connectors(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from-file\n", "utf-8")
    section: dict[str, Any] = {"url": "https://crm.example.com", "secret_file": str(file)}
    demo = DemoConnector.from_options("demo", "Demo", section)
    assert demo._headers["Authorization"] == Secret("Bearer from-file")
    tryton = {**section, "database": "crm", "login": "keyback", "timeout_s": 5}
    assert TrytonConnector.from_options("crm", "Tryton", tryton)._password == Secret("from-file")
    guided = {"url": "https://crm.example.com/reset", "steps": {"en": ["Go."], "zh_CN": ["去。"]}}
    assert GuidedConnector.from_options("crm", "CRM", guided).guide("en").steps == ("Go.",)
    with pytest.raises(ValueError):
        GuidedConnector.from_options("crm", "CRM", {**guided, "secret": "x"})
    for wrong in ({"secret_file": None}, {"pasword": NEW}, {"url": "http://crm.example.com"}, {"timeout_s": NEW}):
        with pytest.raises(ValueError) as raised:
            TrytonConnector.from_options("crm", "Tryton", {**tryton, **wrong})
        assert NEW not in str(raised.value)
    with pytest.raises(ValueError):
        TrytonConnector.from_options("crm", "Tryton", section)


# ── http ──


def endpoint(
    answer: Callable[[httpx2.Request], httpx2.Response],
    now: list[float] | None = None,
    base: str = "https://crm.example.com/x",
) -> Endpoint:
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    return Endpoint(base, client, timeout=5, clock=lambda: (now or [0.0])[0])


@pytest.mark.parametrize(
    "url",
    ["http://crm.example.com", "ftp://crm.example.com", "crm.example.com", "https://", "https://a:b@crm.example.com",
     "https://crm.example.com/?a=1", "http://127.0.0.1.example.com", "http://10.0.0.1"],
)  # fmt: skip
def test_unsafe_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError):
        Endpoint(url)


@pytest.mark.covers("A-13.2.4", "A-1.3.6")
@pytest.mark.anyio
async def test_only_the_own_address_is_called() -> None:
    called: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        called.append(f"{request.url.scheme}://{request.url.netloc.decode()}{request.url.path}")
        return httpx2.Response(200, json={})

    for path in ("../admin", "a/../../b"):
        with pytest.raises(ValueError):
            await endpoint(answer).call("POST", path)
    for path in ("//evil.example.com/a", "@evil.example.com/a", "https://evil.example.com/a"):
        await endpoint(answer).call("POST", path)
    assert len(called) == 3
    assert [c for c in called if not c.startswith("https://crm.example.com/x/")] == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "kind"),
    [(302, NotDone), (307, NotDone), (503, NotDone), (500, MaybeDone), (502, MaybeDone), (504, MaybeDone)],
)
async def test_statuses_that_are_faults(status: int, kind: type[Unavailable]) -> None:
    calls = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        calls.append(request.url.host)
        return httpx2.Response(status, headers={"location": "https://evil.example.com/"})

    with pytest.raises(kind):
        await endpoint(answer).call("POST", "set", json={"password": NEW})
    assert calls == ["crm.example.com"]


@pytest.mark.anyio
async def test_long_and_strange_answers_are_faults() -> None:
    for body in (b"x" * (2 << 20), b"<html>", b"[1]", b"[" * 200_000, b"\xff", b""):
        with pytest.raises(MaybeDone) as raised:
            (await endpoint(lambda _, b=body: httpx2.Response(200, content=b)).call("POST", "a")).json()
        assert len(str(raised.value)) < 100


@pytest.mark.anyio
async def test_breaker_opens_after_five_and_tries_once_after_thirty_seconds() -> None:
    now, calls, up = [100.0], [0], [False]

    def answer(request: httpx2.Request) -> httpx2.Response:
        calls[0] += 1
        if up[0]:
            return httpx2.Response(200, json={})
        raise httpx2.ConnectError("refused", request=request)

    e = endpoint(answer, now)

    async def refused() -> NotDone:
        with pytest.raises(NotDone) as raised:
            await e.call("POST", "a")
        return raised.value

    for _ in range(5):
        await refused()
    assert calls == [5]
    now[0] += 10
    assert (await refused()).retry_after_ms == 20_000
    assert calls == [5]
    now[0] += 20
    await refused()  # the trial
    await refused()
    assert calls == [6]
    up[0] = True
    now[0] += 30
    for _ in range(3):
        await e.call("POST", "a")
    assert calls == [9]


@pytest.mark.anyio
async def test_only_reads_are_repeated_after_a_stale_connection() -> None:
    calls = [0]

    def answer(request: httpx2.Request) -> httpx2.Response:
        calls[0] += 1
        if calls[0] == 1:
            raise httpx2.RemoteProtocolError("Server disconnected", request=request)
        return httpx2.Response(200, json={"n": calls[0]})

    assert (await endpoint(answer).call("POST", "read", repeatable=True)).json() == {"n": 2}
    calls[0] = 0
    with pytest.raises(MaybeDone):
        await endpoint(answer).call("POST", "write")
    assert calls == [1]


@pytest.mark.anyio
@pytest.mark.covers("N10")
async def test_faults_keep_nothing_of_the_request() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout(f"at {request.url} {request.content!r}", request=request)

    with pytest.raises(MaybeDone) as raised:
        await endpoint(answer).call("POST", "a", json={"password": NEW + "\ud800"}, headers={"A": Secret("tok-1")})
    assert raised.value.__cause__ is raised.value.__context__ is None
    assert NEW not in repr(raised.value)
    assert fault(Step.SET, raised.value).status == "uncertain"
    assert fault(Step.GUARD, raised.value).status == "retry"


@pytest.mark.covers("A-1.3.3")
def test_vendor_text_is_one_clean_line() -> None:
    said = f"Bad\r\nSet-Cookie: a\x1b[31m\u202e «{NEW}» " + "long " * 200
    text = vendor_text(said, Secret(NEW), Secret(""))
    assert text.startswith("Bad Set-Cookie: a [31m «…» long")
    assert len(text) <= 300
    assert vendor_text("x" * 295 + NEW, Secret(NEW)) == "x" * 295 + "…"


# ── Tryton, the real one ──

TRYTON = importlib.util.find_spec("trytond") is not None or bool(os.environ.get("CI"))
needs_tryton = pytest.mark.skipif(not TRYTON, reason="trytond is not installed")
SVC = "Service-pass-123456"


@dataclass
class TrytonHarness(OverProxy):
    server: TrytonServer
    proxy: FaultyProxy
    connector: TrytonConnector
    url: str
    traits = Traits()

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        key = self.server.create_user(username, mail, OLD, administrator=privileged)
        if disabled:
            self.server.admin("model.res.user.write", [int(key)], {"active": False})
        return key

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        session = self.server.login(username, password)
        if session is None:
            return None

        async def alive() -> bool:
            return self.server.alive(session)

        return alive

    async def lock(self, external_id: str) -> None:
        raise AssertionError("Tryton cannot be unlocked from outside")

    async def changes(self, external_id: str) -> int:
        return self.proxy.marked

    async def renew(self, *, timeout_s: float = 20) -> None:
        await self.connector.close()
        self.connector = self.service(SVC, timeout_s)

    def sessions(self, external_id: str) -> int:
        (row,) = self.server.admin("model.res.user.read", [int(external_id)], ["sessions"])
        return int(row["sessions"])

    def service(self, password: str, timeout: float = 20) -> TrytonConnector:
        return TrytonConnector("tryton", "Tryton", self.url, "crm", "keyback", Secret(password), timeout=timeout)


@pytest.fixture(scope="module", params=SERIES)
def tryton_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonServer]:
    server = start_tryton(tmp_path_factory.mktemp("tryton"), programs=programs(request.param))
    try:
        rights = {
            "model": server.model("res.user"),
            "perm_read": True,
            "perm_write": True,
            "perm_create": False,
            "perm_delete": False,
        }
        values = {"name": "Account recovery", "model_access": [["create", [rights]]]}
        (group,) = server.admin("model.res.group.create", [values])
        (heir,) = server.admin("model.res.group.create", [{"name": "Recovery, night shift", "parent": group}])
        server.create_user("keyback", "keyback@example.com", SVC, groups=[["add", [group]]])
        server.create_user("nightshift", "nightshift@example.com", OLD, groups=[["add", [heir]]])
        yield server
    finally:
        server.stop()


@needs_tryton
@pytest.mark.slow
class TestTryton(ConnectorContract):
    @pytest.fixture
    async def harness(self, tryton_server: TrytonServer) -> AsyncIterator[TrytonHarness]:
        host, port = tryton_server.url.removeprefix("http://").split(":")
        proxy = FaultyProxy((host, int(port)), b'], {"password": ')
        async with proxy.running() as url:
            h = TrytonHarness(tryton_server, proxy, None, url)  # type: ignore[arg-type]
            h.connector = h.service(SVC)
            yield h
            await proxy.set("")
            await h.connector.close()

    @pytest.mark.covers("N9")
    async def test_who_can_make_administrators_is_privileged(self, harness: TrytonHarness) -> None:
        for login in ("keyback", "nightshift", "admin"):
            (found,) = await harness.connector.find(login)
            assert found.privileged
            (outcome,) = await harness.connector.apply(plan(found.external_id, login))
            assert (outcome.status, outcome.code) == ("refused", "privileged_target")
        assert list(await harness.connector.find("root")) == [] or (await harness.connector.find("root"))[0].privileged
        (outcome,) = await harness.connector.apply(plan("0", "root", allow_privileged=True))
        assert outcome.code == "not_found"

    async def test_a_list_has_inactive_users_and_who_is_privileged_on_each_page(
        self, harness: TrytonHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await harness.add_user("listed", "listed@example.com")
        await harness.add_user("left", "left@example.com", disabled=True)
        monkeypatch.setattr(tryton, "PAGE", 2)
        pages = [page async for page in harness.connector.list_accounts()]
        assert max(map(len, pages)) == 2
        listed = {a.username: a for page in pages for a in page}
        assert len(listed) == sum(map(len, pages))
        for login in ("listed", "left", "keyback", "nightshift", "admin"):
            assert [listed[login]] == list(await harness.connector.find(login))
        assert (listed["left"].state, listed["nightshift"].privileged) == ("disabled", True)

    async def test_recovery_leaves_no_session(self, harness: TrytonHarness) -> None:
        key = await harness.add_user("leaves", "leaves@example.com")
        assert await harness.connector.verify("leaves", Secret(OLD)) is True
        assert by_step(await harness.connector.apply(plan(key, "leaves")))[Step.CONFIRM].status == "done"
        assert harness.sessions(key) == 0

    async def test_sessions_end_even_when_the_old_password_was_chosen_again(self, harness: TrytonHarness) -> None:
        key = await harness.add_user("again", "again@example.com")
        session = await harness.open_session("again", OLD)
        assert session is not None
        done = by_step(await harness.connector.apply(plan(key, "again", OLD, attempt=2)))
        assert (done[Step.SET].status, done[Step.CONFIRM].status, harness.proxy.marked) == ("done", "done", 0)
        # 6.0 leaves them alive whatever is set, and that is what it says.
        assert await session() is (done[Step.REVOKE].status == "unsupported")
        assert (done[Step.REVOKE].status == "done") is (harness.connector.capabilities.revoke_sessions is Means.NATIVE)

    async def test_renamed_user_is_confirmed_by_the_name_of_today(self, harness: TrytonHarness) -> None:
        key = await harness.add_user("before", "rename@example.com")
        harness.server.admin("model.res.user.write", [int(key)], {"login": "after"})
        assert by_step(await harness.connector.apply(plan(key, "before")))[Step.CONFIRM].status == "done"

    async def test_service_session_that_ended_is_renewed(self, harness: TrytonHarness) -> None:
        await harness.add_user("renew", "renew@example.com")
        assert len(await harness.connector.find("renew")) == 1
        (svc,) = await harness.connector.find("keyback")
        harness.server.admin("model.res.user.write", [int(svc.external_id)], {"active": True})  # ends its sessions
        assert len(await harness.connector.find("renew")) == 1

    async def test_wrong_service_password_is_named_and_not_tried_on(self, harness: TrytonHarness) -> None:
        key = await harness.add_user("nobodys", "nobodys@example.com")
        wrong = harness.service("wrong-password-1")
        with pytest.raises(Unavailable) as raised:
            await wrong.find("nobodys")
        assert raised.value.code == "auth_expired"
        for _ in range(10):
            (outcome,) = await wrong.apply(plan(key, "nobodys"))
            assert (outcome.status, outcome.code) == ("refused", "auth_expired")
        await wrong.close()
        assert harness.server.login("keyback", SVC), "the service user was locked out by us"

    async def test_missing_rights_are_named(self, harness: TrytonHarness) -> None:
        key = await harness.add_user("target", "target@example.com")
        harness.server.create_user("powerless", "powerless@example.com", SVC)
        c = TrytonConnector("tryton", "Tryton", harness.url, "crm", "powerless", Secret(SVC))
        last = (await c.apply(plan(key, "target")))[-1]
        await c.close()
        assert (last.step, last.status, last.code) == (Step.SET, "refused", "not_permitted")

    async def test_locked_user_gets_the_password_and_the_truth(self, harness: TrytonHarness) -> None:
        key = await harness.add_user("locked2", "locked2@example.com")
        # Straight into the table: six bad sign-ins would be slowed down by Tryton for up to a minute.
        with contextlib.closing(sqlite3.connect(harness.server.workdir / "tryton" / "crm.sqlite", timeout=10)) as db:
            for _ in range(6):
                db.execute(
                    "INSERT INTO res_user_login_attempt (login, create_date, create_uid) VALUES (?, ?, 0)",
                    ("locked2", datetime.datetime.now().isoformat(" ")),
                )
            db.commit()
        assert harness.server.rpc("common.db.login", ["locked2", {"password": OLD}])[0] == 429
        assert await harness.connector.verify("locked2", Secret(OLD)) is None
        done = by_step(await harness.connector.apply(plan(key, "locked2")))
        assert done[Step.SET].status == "done"
        assert (done[Step.CONFIRM].status, done[Step.CONFIRM].code) == ("unsupported", "locked")
        assert done[Step.CONFIRM].retry_after_ms == 300_000

    async def test_unknown_database_is_unavailable(self, harness: TrytonHarness) -> None:
        c = TrytonConnector("tryton", "Tryton", harness.url, "other", "keyback", Secret(SVC))
        with pytest.raises(Unavailable) as raised:
            await c.find("alice")
        await c.close()
        assert raised.value.code == "unavailable"
        with pytest.raises(ValueError):
            TrytonConnector("tryton", "Tryton", harness.url, "../crm", "keyback", Secret(SVC))


@needs_tryton
@pytest.mark.slow
def test_a_sync_follows_a_real_tryton(tryton_server: TrytonServer, make_kit: Callable[..., Kit]) -> None:
    keys = [tryton_server.create_user(name, f"{name}@example.com", OLD) for name in PEOPLE]
    write = partial(tryton_server.admin, "model.res.user.write")
    connector = TrytonConnector("tryton", "Tryton", tryton_server.url, "crm", "keyback", Secret(SVC))
    follows(
        make_kit(),
        connector,
        lambda: write([int(keys[0])], {"login": RENAMED}),
        lambda: write([int(keys[1])], {"active": False}),
    )
