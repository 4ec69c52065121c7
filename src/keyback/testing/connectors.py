"""The contract of connectors as a test suite: subclass `ConnectorContract`, give it a `harness`, run pytest.

    class TestMine(ConnectorContract):
        @pytest.fixture
        async def harness(self):
            yield MyHarness(...)

Every test is a coroutine run by the pytest plug-in of `anyio` on asyncio. Tests of what a system does not have (by its
`Capabilities` and by the harness's `traits`) pass by checking that the connector says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import pytest

from keyback.application.ports.connectors import Connector, Means, Outcome, Plan, Step, Unavailable
from keyback.domain.secret import Secret
from keyback.testing.serving import served

OLD, NEW, CANARY = "Old-pass-123456", "Neu-und-lang-778899", "Kanarienvogel-4711-geheim"
Fault = Literal["", "refuse", "hang", "drop_reply"]


@dataclass(frozen=True, slots=True)
class Traits:
    """What the system under test has.

    Args:
        policy: it refuses weak passwords itself.
        network: it can be unreachable, hang, or lose a reply.
        counts: `changes` knows how often a password was set.
    """

    policy: bool = True
    network: bool = True
    counts: bool = True


class Harness(Protocol):
    """What the suite needs besides the connector: the other side's own controls."""

    connector: Connector
    traits: Traits

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        """Add a user with password `OLD`; gives the external id."""
        ...

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        """Sign in as the person would, not through the connector: None when refused, else "is it still alive?"."""
        ...

    async def lock(self, external_id: str) -> None:
        """Lock the user; called only where the connector claims `unlock`."""
        ...

    async def changes(self, external_id: str) -> int:
        """How often the system set this user's password; called only with `traits.counts`."""
        ...

    async def fault(self, how: Fault) -> None:
        """Break the way to the system: `refuse` connections or service, `hang` for ever, `drop_reply` to the set only.
        The empty word mends it."""
        ...


def plan(external_id: str, username: str, password: str = NEW, **more: Any) -> Plan:
    return Plan(more.pop("job_id", f"job-{username}"), external_id, username, Secret(password), **more)


def by_step(outcomes: Any) -> dict[Step, Outcome]:
    """Outcomes by step; a step never comes twice, and nothing follows one that stopped the plan."""
    found = {o.step: o for o in outcomes}
    assert len(found) == len(outcomes)
    assert list(found) == [s for s in Step if s in found], "steps are out of order"
    stopped = [i for i, o in enumerate(outcomes) if o.status in {"refused", "retry"}]
    assert stopped in ([], [len(outcomes) - 1]), "a plan goes on after the step that stopped it"
    return found


class ConnectorContract:
    """Subclass gives the fixture `harness`."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    pytestmark = pytest.mark.anyio

    async def test_finds_none_and_one(self, harness: Harness) -> None:
        key = await harness.add_user("finder", "finder@example.com")
        await harness.add_user("findex", "findex@example.com")
        if harness.connector.capabilities.lookup is Means.NONE:
            assert list(await harness.connector.find("finder")) == []
            return
        for identifier in ("finder", "finder@example.com", "Finder@Example.com"):
            (found,) = await harness.connector.find(identifier)
            assert (found.external_id, found.username, found.mail) == (key, "finder", "finder@example.com")
            assert (found.state, found.privileged) == ("active", False)
        for identifier in (
            "finde",
            "find_r",
            "finde%",
            "%",
            "*",
            "",
            " ",
            "x" * 5000,
            "fin\x00der",
            "nobody@example.com",
        ):
            assert list(await harness.connector.find(identifier)) == []

    async def test_shows_state_and_privilege(self, harness: Harness) -> None:
        await harness.add_user("boss", "boss@example.com", privileged=True)
        await harness.add_user("gone", "gone@example.com", disabled=True)
        (boss,) = await harness.connector.find("boss")
        (gone,) = await harness.connector.find("gone")
        assert (boss.privileged, boss.state) == (True, "active")
        assert (gone.privileged, gone.state) == (False, "disabled")

    async def test_set_makes_the_new_password_work_and_ends_the_old(self, harness: Harness) -> None:
        key = await harness.add_user("setter", "setter@example.com")
        session = await harness.open_session("setter", OLD)
        assert session is not None
        assert await session()
        done = by_step(await harness.connector.apply(plan(key, "setter")))
        assert done[Step.GUARD].status == done[Step.SET].status == done[Step.CONFIRM].status == "done"
        if harness.connector.capabilities.revoke_sessions is not Means.NONE:
            assert done[Step.REVOKE].status == "done"
            assert not await session()
        assert await harness.open_session("setter", NEW)
        assert await harness.open_session("setter", OLD) is None

    async def test_verify_tells_right_from_wrong(self, harness: Harness) -> None:
        await harness.add_user("verifier", "verifier@example.com")
        if harness.connector.capabilities.verify is Means.NONE:
            assert await harness.connector.verify("verifier", Secret(OLD)) is None
            return
        assert await harness.connector.verify("verifier", Secret(OLD)) is True
        assert await harness.connector.verify("verifier", Secret(NEW)) is False
        assert await harness.connector.verify("nobody", Secret(OLD)) is not True

    async def test_weak_password_is_refused_in_the_systems_own_words(self, harness: Harness) -> None:
        key = await harness.add_user("weakling", "weakling@example.com")
        refused = by_step(await harness.connector.apply(plan(key, "weakling", "short")))[Step.SET]
        if not harness.traits.policy:  # ours has run before
            assert refused.status == "done"
            return
        assert (refused.status, refused.code) == ("refused", "policy_rejected")
        assert len(refused.vendor_text) > 10
        assert await harness.open_session("weakling", OLD)

    @pytest.mark.covers("N9")
    async def test_privileged_target_is_refused_unless_allowed(self, harness: Harness) -> None:
        key = await harness.add_user("chief", "chief@example.com", privileged=True)
        outcomes = await harness.connector.apply(plan(key, "chief"))
        assert [(o.step, o.status, o.code) for o in outcomes] == [(Step.GUARD, "refused", "privileged_target")]
        assert await harness.open_session("chief", OLD)
        allowed = by_step(await harness.connector.apply(plan(key, "chief", allow_privileged=True)))
        assert allowed[Step.SET].status == "done"
        assert await harness.open_session("chief", NEW)

    async def test_unknown_and_disabled_targets_are_refused(self, harness: Harness) -> None:
        key = await harness.add_user("leaver", "leaver@example.com", disabled=True)
        outcomes = [await harness.connector.apply(plan(k, "leaver")) for k in (key, "999999", "", "../1", "no number")]
        assert outcomes[0][0].code == "not_permitted"
        assert [[(o.step, o.status) for o in os] for os in outcomes] == [[(Step.GUARD, "refused")]] * 5
        assert {os[0].code for os in outcomes[1:]} == {"not_found"}

    @pytest.mark.covers("N12")
    async def test_same_job_twice_changes_once(self, harness: Harness) -> None:
        key = await harness.add_user("twice", "twice@example.com")
        for attempt in (1, 2, 3):
            done = by_step(await harness.connector.apply(plan(key, "twice", attempt=attempt)))
            assert done[Step.SET].status == done[Step.CONFIRM].status == "done"
        if harness.traits.counts:
            assert await harness.changes(key) == 1
        assert await harness.open_session("twice", NEW)

    async def test_unlock_lets_the_person_in(self, harness: Harness) -> None:
        key = await harness.add_user("locked", "locked@example.com")
        if harness.connector.capabilities.unlock is Means.NONE:
            done = by_step(await harness.connector.apply(plan(key, "locked")))
            assert done[Step.UNLOCK].status == "unsupported"
            return
        await harness.lock(key)
        assert await harness.open_session("locked", OLD) is None
        assert by_step(await harness.connector.apply(plan(key, "locked")))[Step.UNLOCK].status == "done"
        assert await harness.open_session("locked", NEW)

    @pytest.mark.covers("N12")
    async def test_lost_reply_is_uncertain_or_confirmed_and_never_set_twice(self, harness: Harness) -> None:
        self._needs_network(harness)
        key = await harness.add_user("loser", "loser@example.com")
        await harness.fault("drop_reply")
        first = by_step(await harness.connector.apply(plan(key, "loser")))[Step.SET]
        assert first.status in {"uncertain", "done"}
        await harness.fault("")
        assert await harness.open_session("loser", NEW), "the set was not carried out: the harness dropped too early"
        second = by_step(await harness.connector.apply(plan(key, "loser", attempt=2)))
        assert second[Step.SET].status == second[Step.CONFIRM].status == "done"
        if harness.traits.counts:
            assert await harness.changes(key) == 1

    @pytest.mark.covers("N11")
    async def test_unreachable_is_to_be_retried_and_then_works(self, harness: Harness) -> None:
        self._needs_network(harness)
        key = await harness.add_user("patient", "patient@example.com")
        await harness.fault("refuse")
        last = (await harness.connector.apply(plan(key, "patient")))[-1]
        assert (last.status, last.code) == ("retry", "unavailable")
        assert last.retry_after_ms > 0
        assert await harness.connector.verify("patient", Secret(OLD)) is None
        with pytest.raises(Unavailable) as raised:
            await harness.connector.find("patient")
        assert raised.value.code == "unavailable"
        await harness.fault("")
        assert await harness.open_session("patient", OLD), "nothing may have changed"
        assert by_step(await harness.connector.apply(plan(key, "patient", attempt=2)))[Step.SET].status == "done"

    async def test_hanging_system_ends_in_an_outcome(self, harness: Harness) -> None:
        self._needs_network(harness)
        key = await harness.add_user("waiter", "waiter@example.com")
        await harness.fault("hang")
        last = (await harness.connector.apply(plan(key, "waiter")))[-1]
        assert last.status in {"retry", "uncertain"}
        assert await harness.connector.verify("waiter", Secret(OLD)) is None
        await harness.fault("")

    @pytest.mark.covers("N10")
    async def test_no_secret_is_logged_shown_or_raised(
        self, harness: Harness, caplog: pytest.LogCaptureFixture
    ) -> None:
        key = await harness.add_user("singer", "singer@example.com")
        seen: list[object] = [harness.connector]
        ways: tuple[Fault, ...] = ("", "refuse", "drop_reply", "hang") if harness.traits.network else ("",)
        with caplog.at_level(logging.DEBUG):
            for n, way in enumerate(ways):
                if way:
                    await harness.fault(way)
                    seen.append(harness.connector)
                for password in (CANARY, CANARY[:7]):  # the second is weak where there is a policy
                    task = plan(key, "singer", password, job_id=f"job-{n}-{len(password)}")
                    seen += [task, *await harness.connector.apply(task)]
                    if way == "hang":
                        break
                else:
                    await harness.connector.verify("singer", Secret(CANARY))
                    try:
                        seen += await harness.connector.find("singer")
                    except Unavailable as e:
                        seen += [e, e.args, e.__cause__, e.__context__]
            if harness.traits.network:
                await harness.fault("")
        text = "\n".join(f"{s!r} {s}" for s in seen) + caplog.text
        assert CANARY[:7] not in text
        assert "Bearer " not in text

    @staticmethod
    def _needs_network(harness: Harness) -> None:
        if not harness.traits.network:
            pytest.skip("not on this platform: the system is in this process")


@dataclass(slots=True)
class FaultyProxy:
    """A TCP relay on 127.0.0.1 that can break: between a connector and a real server, whatever they speak.

    Args:
        target: host and port of the server.
        marker: bytes of the request whose reply `drop_reply` loses; requests with it are counted in `marked`.
    """

    target: tuple[str, int]
    marker: bytes
    how: Fault = ""
    marked: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Gives the address as `http://127.0.0.1:PORT`."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        finally:
            self._server.close()
            self._hang_up()
            await self._server.wait_closed()

    async def set(self, how: Fault) -> None:
        """Switch, and cut the connections that are open, so that the next call meets the new state."""
        self.how = how
        self._hang_up()
        await asyncio.sleep(0.05)

    def _hang_up(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.how == "refuse":
            writer.transport.abort()
            return
        self._open.add(writer)
        up_writer: asyncio.StreamWriter | None = None
        back: asyncio.Task[None] | None = None
        lose = asyncio.Event()
        try:
            while data := await reader.read(65536):
                if self.how == "hang":
                    continue
                if up_writer is None:
                    up_reader, up_writer = await asyncio.open_connection(*self.target)
                    back = asyncio.create_task(self._back(up_reader, writer, lose))
                if self.marker in data:
                    self.marked += 1
                    if self.how == "drop_reply":
                        lose.set()
                up_writer.write(data)
                await up_writer.drain()
        except OSError:
            pass
        finally:
            self._open.discard(writer)
            for w in (writer, up_writer):
                if w:
                    w.transport.abort()
            if back:
                back.cancel()

    async def _back(self, up_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lose: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await up_reader.read(65536):
                if lose.is_set():
                    break
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


__all__ = [
    "NEW",
    "OLD",
    "ConnectorContract",
    "Fault",
    "FaultyProxy",
    "Harness",
    "Traits",
    "by_step",
    "plan",
    "served",
]
