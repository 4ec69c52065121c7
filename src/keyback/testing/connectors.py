"""The contract of connectors as a test suite: subclass `ConnectorContract`, give it a `harness`, run pytest.

    class TestMine(ConnectorContract):
        @pytest.fixture
        async def harness(self):
            yield MyHarness(...)

Every test is a coroutine run by the pytest plug-in of `anyio` on asyncio. Tests of what a system does not have (by its
`Capabilities` and by the harness's `traits`) pass by checking that the connector says so.
"""

from __future__ import annotations

import logging

import pytest

from keyback.application.ports.connectors import Capabilities, Means, Outcome, Step, TemporaryPass, Unavailable
from keyback.domain.secret import Secret
from keyback.testing.connector_harness import CANARY, NEW, OLD, Harness, Traits, by_step, plan
from keyback.testing.faulty_proxy import Fault, FaultyProxy
from keyback.testing.serving import served


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
        name = harness.traits.login("finder")
        for identifier in (name, "finder@example.com", "Finder@Example.com"):
            (found,) = await harness.connector.find(identifier)
            assert (found.external_id, found.username, found.mail) == (key, name, "finder@example.com")
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

    async def test_finds_many(self, harness: Harness) -> None:
        if harness.connector.capabilities.lookup is Means.NONE or not harness.traits.shared_mail:
            return
        keys = {await harness.add_user(name, "shared@example.com") for name in ("first", "second")}
        assert {a.external_id for a in await harness.connector.find("shared@example.com")} == keys
        assert {f.code for f in await harness.connector.diagnose("shared@example.com")} == {"ambiguous"}
        assert await harness.connector.diagnose("shared@example.com", min(keys)) == ()

    async def test_lists_everybody_once(self, harness: Harness) -> None:
        names = {f"listed{n}" for n in range(7)}
        for name in names:
            await harness.add_user(name, f"{name}@example.com")
        listed = [a async for page in harness.connector.list_accounts() for a in page]
        if harness.connector.capabilities.list is Means.NONE:
            assert listed == []
            return
        assert len({a.external_id for a in listed}) == len(listed)
        assert {harness.traits.login(name) for name in names} <= {a.username for a in listed}

    async def test_lists_who_came_since_a_mark(self, harness: Harness) -> None:
        connector = harness.connector
        if (mark := await connector.mark()) is None:
            return
        key = await harness.add_user("newcomer", "n@example.com")
        listed = {a.external_id: a async for page in connector.list_changed(mark) for a in page}
        everybody = {a.external_id: a async for page in connector.list_accounts() for a in page}
        assert listed[key] == everybody[key]
        assert {a.external_id async for page in connector.list_changed("?") for a in page} == everybody.keys()

    async def test_diagnosis_names_what_is_in_the_way_and_changes_nothing(self, harness: Harness) -> None:
        connector = harness.connector
        key = await harness.add_user("fine", "fine@example.com")
        gone = await harness.add_user("gone2", "gone2@example.com", disabled=True)
        if connector.capabilities.lookup is Means.NONE:
            assert list(await connector.diagnose(harness.traits.login("fine"), key)) == []
            return
        assert list(await connector.diagnose(harness.traits.login("fine"), key)) == []
        assert "inactive" in {f.code for f in await connector.diagnose(harness.traits.login("gone2"), gone)}
        assert [f.code for f in await connector.diagnose("nobody-here")] == ["not_found"]
        if connector.capabilities.unlock is not Means.NONE:
            await harness.lock(key)
            if harness.traits.shows_locks:
                assert "locked" in {f.code for f in await connector.diagnose(harness.traits.login("fine"), key)}
            assert await harness.open_session("fine", OLD) is None, "a diagnosis unlocks nobody"
        else:
            assert await harness.open_session("fine", OLD)

    async def test_check_reads_and_changes_nothing(self, harness: Harness) -> None:
        key = await harness.add_user("checked", "checked@example.com")
        lines = await harness.connector.check(harness.traits.login("checked"))
        assert lines
        assert {line.status for line in lines} <= {"ok", "warn"}, lines
        assert all(set(line.costs) <= set(Capabilities.__slots__) for line in lines)
        if harness.connector.capabilities.lookup is not Means.NONE:
            assert [line.what for line in lines if "one account, active" in line.text] == ["read"]
        assert await harness.open_session("checked", OLD)
        if harness.traits.counts:
            assert await harness.changes(key) == 0
        if harness.traits.network:
            await harness.fault("refuse")
            assert "bad" in {line.status for line in await harness.connector.check(harness.traits.login("checked"))}
            await harness.fault("")

    async def test_must_change_is_done_or_said_to_be_missing(self, harness: Harness) -> None:
        key = await harness.add_user("changer", "changer@example.com")
        done = by_step(await harness.connector.apply(plan(key, "changer", must_change=True)))
        if await self._left_to_the_person(harness, "changer", key, done):
            return
        assert done[Step.SET].status == "done"
        if harness.connector.capabilities.must_change is Means.NONE:
            assert done[Step.MUST_CHANGE].status == "unsupported"
        else:
            assert done[Step.MUST_CHANGE].status == "done"
            assert await harness.must_change("changer", NEW)

    async def test_what_is_not_claimed_is_unsupported_and_what_is_claimed_works(self, harness: Harness) -> None:
        connector, can = harness.connector, harness.connector.capabilities
        key = await harness.add_user("carer", "carer@example.com")
        assert (await connector.activity(key) is None) is (can.activity is Means.NONE)
        if can.revoke_grants is Means.NONE:
            assert (await connector.revoke_grants(key)).status == "unsupported"
        else:
            kept, ended = await harness.grant(key, "Data loader"), await harness.grant(key, "False loader")
            assert (await connector.revoke_grants(key, [ended])).status == "done"
            activity = await connector.activity(key)
            assert activity is not None
            assert [g.id for g in activity.grants] == [kept]
            assert (await connector.revoke_grants(key)).status == "done"
            activity = await connector.activity(key)
            assert activity is not None
            assert activity.grants == ()
        if can.reset_factor is Means.NONE:
            assert (await connector.factors(key), (await connector.reset_factor(key, "1")).status) == (
                (),
                "unsupported",
            )
        else:
            factor = await harness.factor(key)
            assert [f.id for f in await connector.factors(key) if f.removable] == [factor]
            assert (await connector.reset_factor(key, factor)).status == "done"
            assert [f.id for f in await connector.factors(key) if f.removable] == []
        got = await connector.temporary_pass(key, 60)
        if can.temporary_pass is Means.NONE:
            assert isinstance(got, Outcome)
            assert got.status == "unsupported"
        else:
            assert isinstance(got, TemporaryPass)
            assert got.secret.reveal() not in repr(got)

    @pytest.mark.covers("N9")
    async def test_factors_and_passes_of_privileged_targets_are_left_alone(self, harness: Harness) -> None:
        key = await harness.add_user("chief2", "chief2@example.com", privileged=True)
        refused = {"refused", "unsupported"}
        outcome = await harness.connector.reset_factor(key, "1")
        assert outcome.status in refused
        got = await harness.connector.temporary_pass(key, 60)
        assert isinstance(got, Outcome)
        assert got.status in refused
        assert {outcome.code, got.code} <= {"", "privileged_target"}

    async def test_guided_parts_have_steps_in_both_languages(self, harness: Harness) -> None:
        can = harness.connector.capabilities
        if Means.GUIDED not in {getattr(can, c) for c in Capabilities.__slots__}:
            return
        for locale in ("en", "zh_CN"):
            guide = harness.connector.guide(locale)
            assert guide is not None
            assert guide.steps

    async def test_shows_state_and_privilege(self, harness: Harness) -> None:
        await harness.add_user("boss", "boss@example.com", privileged=True)
        await harness.add_user("gone", "gone@example.com", disabled=True)
        (boss,) = await harness.connector.find(harness.traits.login("boss"))
        (gone,) = await harness.connector.find(harness.traits.login("gone"))
        assert (boss.privileged, boss.state) == (True, "active")
        assert (gone.privileged, gone.state) == (False, "disabled")

    async def test_set_makes_the_new_password_work_and_ends_the_old(self, harness: Harness) -> None:
        key = await harness.add_user("setter", "setter@example.com")
        session = await harness.open_session("setter", OLD)
        assert session is not None
        assert await session()
        done = by_step(await harness.connector.apply(plan(key, "setter")))
        if await self._left_to_the_person(harness, "setter", key, done):
            return
        assert done[Step.GUARD].status == done[Step.SET].status == "done"
        assert done[Step.CONFIRM].status in self._confirmed(harness)
        if harness.connector.capabilities.revoke_sessions is not Means.NONE:
            assert done[Step.REVOKE].status == "done"
            assert not await session()
        assert await harness.open_session("setter", NEW)
        assert await harness.open_session("setter", OLD) is None

    async def test_verify_tells_right_from_wrong(self, harness: Harness) -> None:
        await harness.add_user("verifier", "verifier@example.com")
        name = harness.traits.login("verifier")
        if harness.connector.capabilities.verify is Means.NONE:
            assert await harness.connector.verify(name, Secret(OLD)) is None
            return
        assert await harness.connector.verify(name, Secret(OLD)) is True
        assert await harness.connector.verify(name, Secret(NEW)) is False
        assert await harness.connector.verify("nobody", Secret(OLD)) is not True

    async def test_weak_password_is_refused_in_the_systems_own_words(self, harness: Harness) -> None:
        key = await harness.add_user("weakling", "weakling@example.com")
        refused = by_step(await harness.connector.apply(plan(key, "weakling", "short")))[Step.SET]
        if await self._left_to_the_person(harness, "weakling", key, {Step.SET: refused}):
            return
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
        if await self._left_to_the_person(harness, "chief", key, allowed):
            return
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
            if await self._left_to_the_person(harness, "twice", key, done):
                continue
            self._settled_or_unknown(harness, done)
        if harness.connector.capabilities.set_password is Means.GUIDED:
            return
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
