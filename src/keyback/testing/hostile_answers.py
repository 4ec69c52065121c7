"""What a connector does when its system hangs, floods, lies or repeats secrets; part of `ConnectorContract`.

Every test puts the fault on the way between the connector and a system that is well, so the same tests fit them all.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable

import pytest
from structlog.testing import capture_logs

from keyback.application.ports.connectors import Connector, Means, Outcome, Step, TemporaryPass, Unavailable
from keyback.domain.secret import Secret
from keyback.testing.connector_harness import CANARY, NEW, OLD, Harness, by_step, plan
from keyback.testing.faulty_proxy import ANY_PROTOCOL, LARGEST, OF_HTTP, RETRY_AFTER_S, Fault


class HostileAnswers:
    """Subclass gives the fixture `harness`; see `keyback.testing.connectors.ConnectorContract`."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    pytestmark = pytest.mark.anyio

    @pytest.mark.covers("N1", "N11")
    async def test_hostile_answers_are_faults_and_change_nothing(self, harness: Harness) -> None:
        self._needs_network(harness)
        for how in (*ANY_PROTOCOL, *OF_HTTP) if harness.proxy.http else ANY_PROTOCOL[:-1]:
            await self._withstands(harness, how)
        assert harness.proxy.strayed == 0, "a redirect was followed to another address"

    @pytest.mark.covers("N1", "N11")
    async def test_no_call_waits_without_end(self, harness: Harness) -> None:
        self._needs_network(harness)
        for how in ("hang",) if harness.proxy.http else ("hang", ANY_PROTOCOL[-1]):
            await self._withstands(harness, how)  # type: ignore[arg-type]

    async def test_what_is_throttled_waits_as_long_as_the_system_says(self, harness: Harness) -> None:
        self._needs_network(harness)
        if not harness.proxy.http:
            return
        key = await harness.add_user("eager", "eager@example.com")
        await harness.fault("throttle")
        for attempt in (1, 2):
            last = (await harness.connector.apply(plan(key, "eager", attempt=attempt)))[-1]
            assert (last.status, last.code) == ("retry", "unavailable")
            assert 0 < last.retry_after_ms <= RETRY_AFTER_S * 1000
            if attempt == 1:
                assert last.retry_after_ms == RETRY_AFTER_S * 1000
        await harness.fault("")
        assert await harness.open_session("eager", OLD)

    @pytest.mark.covers("N12")
    async def test_tokens_that_ended_are_fetched_again_and_the_password_is_set_once(self, harness: Harness) -> None:
        if not harness.traits.tokens:
            return
        key = await harness.add_user("expiring", "expiring@example.com")
        assert await harness.connector.find(harness.traits.login("expiring"))
        await harness.expire_tokens()
        done = by_step(await harness.connector.apply(plan(key, "expiring")))
        if await self._left_to_the_person(harness, "expiring", key, done):
            return
        self._settled_or_unknown(harness, done)
        assert done[Step.SET].status == "done"
        if harness.traits.counts:
            assert await harness.changes(key) == 1

    @pytest.mark.covers("N10")
    async def test_secrets_that_the_system_repeats_are_shown_nowhere(
        self, harness: Harness, caplog: pytest.LogCaptureFixture
    ) -> None:
        self._needs_network(harness)
        key = await harness.add_user("echoed", "echoed@example.com")
        name = harness.traits.login("echoed")
        if harness.connector.capabilities.lookup is not Means.NONE:
            assert await harness.connector.find(name)
        seen: list[object] = []
        with caplog.at_level(logging.DEBUG), capture_logs() as logs:
            for fresh in (False, True):
                if fresh:
                    await harness.renew()
                await harness.fault("echo" if harness.proxy.http else "garbage")
                seen += [*(await _read(harness.connector, key, name, CANARY)).values()]
                seen += [*(await _changed(harness.connector, key, name, CANARY)).values()]
                seen += [*await harness.connector.check(name), harness.connector]
                await harness.fault("")
        text = "\n".join(f"{s!r} {s} {getattr(s, '__cause__', '')} {getattr(s, '__context__', '')}" for s in seen)
        text += caplog.text + str(logs)
        shown = [s for s in (CANARY, *harness.proxy.secrets) if s in text]
        assert not shown, [text[max(0, text.index(s) - 200) :][:300] for s in shown]

    @pytest.mark.covers("N12")
    async def test_lost_reply_is_uncertain_or_confirmed_and_never_set_twice(self, harness: Harness) -> None:
        self._needs_network(harness)
        key = await harness.add_user("loser", "loser@example.com")
        await harness.fault("drop_reply")
        if harness.connector.capabilities.set_password is Means.GUIDED:  # it only reads, so nothing is uncertain
            assert (await harness.connector.apply(plan(key, "loser")))[-1].status in {"retry", "pending"}
            await harness.fault("")
            assert await harness.open_session("loser", OLD)
            return
        first = by_step(await harness.connector.apply(plan(key, "loser")))[Step.SET]
        assert first.status in {"uncertain", "done"}
        await harness.fault("")
        assert await harness.open_session("loser", NEW), "the set was not carried out: the harness dropped too early"
        second = by_step(await harness.connector.apply(plan(key, "loser", attempt=2)))
        self._settled_or_unknown(harness, second)
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
        assert await harness.connector.verify(harness.traits.login("patient"), Secret(OLD)) is None
        with pytest.raises(Unavailable) as raised:
            await harness.connector.find("patient")
        assert raised.value.code == "unavailable"
        await harness.fault("")
        assert await harness.open_session("patient", OLD), "nothing may have changed"
        done = by_step(await harness.connector.apply(plan(key, "patient", attempt=2)))
        if not await self._left_to_the_person(harness, "patient", key, done):
            assert done[Step.SET].status == "done"

    async def test_hanging_system_ends_in_an_outcome(self, harness: Harness) -> None:
        self._needs_network(harness)
        key = await harness.add_user("waiter", "waiter@example.com")
        await harness.fault("hang")
        last = (await harness.connector.apply(plan(key, "waiter")))[-1]
        assert last.status in {"retry", "uncertain"}
        assert await harness.connector.verify(harness.traits.login("waiter"), Secret(OLD)) is None
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

    async def _withstands(self, harness: Harness, how: Fault) -> None:
        """Asks and tells the system everything while its answers are like this, then finds all as it was."""
        await self._rest(harness)
        can = harness.connector.capabilities
        name = f"victim-{how.replace('_', '-')}"
        key = await harness.add_user(name, f"{name}@example.com")
        login = harness.traits.login(name)
        if can.lookup is not Means.NONE and how != ANY_PROTOCOL[0]:  # the first finds it before its own sign-in
            assert await harness.connector.find(login)
        await harness.fault(how)
        read = await _read(harness.connector, key, login, OLD)
        for call, claim in (("find", can.lookup), ("diagnose", can.lookup), ("list_accounts", can.list),
                            ("activity", can.activity), ("factors", can.reset_factor)):  # fmt: skip
            wanted = claim is not Means.NONE
            assert isinstance(read[call], Unavailable) is wanted, f"{how}: {call} came to {read[call]!r}"
        assert read["verify"] is None, f"{how}: a password was judged by an answer that says nothing"
        for call, outcome in (await _changed(harness.connector, key, login, NEW)).items():
            assert isinstance(outcome, Outcome), f"{how}: {call} came to {outcome!r}"
            assert outcome.status in {"retry", "refused", "uncertain", "unsupported"}, f"{how}: {call} is {outcome}"
        if can.lookup is not Means.NONE:
            assert "bad" in {line.status for line in await harness.connector.check(login)}, how
        if how == "flood":
            assert harness.proxy.flooded < LARGEST, "the answer was taken in without end"
        await harness.fault("")
        await (
            harness.renew()
        )  # a connection that the fault left behind may end at any moment, also within the next call
        assert await harness.open_session(name, OLD), f"{how}: something was changed"
        done = by_step(await harness.connector.apply(plan(key, login, job_id=f"after-{how}")))
        if not await self._left_to_the_person(harness, name, key, done):
            assert done[Step.SET].status == "done", f"{how}: {done}"

    @staticmethod
    async def _rest(harness: Harness) -> None:
        """Where the system is left alone after failures in a row, another connector doesn't wait for that to end."""
        if harness.connector.health.breaker == "open":
            await harness.renew()

    @staticmethod
    async def _left_to_the_person(harness: Harness, name: str, key: str, done: dict[Step, Outcome]) -> bool:
        """Whether people are guided in this system; the set step then waits for them, and nothing has changed."""
        if harness.connector.capabilities.set_password is not Means.GUIDED:
            return False
        assert (done[Step.SET].status, done[Step.SET].code) == ("pending", "guided")
        assert not {Step.MUST_CHANGE, Step.REVOKE, Step.CONFIRM} & set(done), "nothing follows what wasn't done"
        if harness.traits.counts:
            assert await harness.changes(key) == 0
        assert await harness.open_session(name, OLD)
        return True

    @staticmethod
    def _confirmed(harness: Harness) -> set[str]:
        """Where no password can be tried, no set can be confirmed."""
        return {"done"} if harness.connector.capabilities.verify is not Means.NONE else {"done", "unsupported"}

    def _settled_or_unknown(self, harness: Harness, done: dict[Step, Outcome]) -> None:
        """A repeated job is found done; where that cannot be found out, it is left uncertain and not set again."""
        if harness.connector.capabilities.verify is Means.NONE and done[Step.SET].status == "uncertain":
            return
        assert done[Step.SET].status == "done"
        assert done[Step.CONFIRM].status in self._confirmed(harness)

    @staticmethod
    def _needs_network(harness: Harness) -> None:
        if not harness.traits.network:
            pytest.skip("not on this platform: the system is in this process")


async def _read(connector: Connector, key: str, name: str, password: str) -> dict[str, object]:
    """What each call that reads comes to: its value, or the fault. Anything else that it raises goes on."""
    calls: dict[str, Awaitable[object]] = {
        "find": connector.find(name),
        "diagnose": connector.diagnose(name, key),
        "list_accounts": _all_pages(connector),
        "activity": connector.activity(key),
        "factors": connector.factors(key),
        "password_rules": connector.password_rules(key),
        "verify": connector.verify(name, Secret(password)),
    }
    came: dict[str, object] = {}
    for call, awaited in calls.items():
        try:
            came[call] = await awaited
        except Unavailable as e:
            came[call] = e
    return came


async def _all_pages(connector: Connector) -> object:
    return [page async for page in connector.list_accounts()]


async def _changed(connector: Connector, key: str, name: str, password: str) -> dict[str, Outcome | TemporaryPass]:
    """What each call that changes comes to."""
    return {
        "apply": (await connector.apply(plan(key, name, password)))[-1],
        "again": (await connector.apply(plan(key, name, password, attempt=2)))[-1],
        "revoke_sessions": await connector.revoke_sessions(key),
        "revoke_grants": await connector.revoke_grants(key),
        "reset_factor": await connector.reset_factor(key, "1"),
        "temporary_pass": await connector.temporary_pass(key, 60),
        "stop": await connector.stop(key),
    }
