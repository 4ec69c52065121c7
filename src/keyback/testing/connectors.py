"""The contract of connectors as a test suite: subclass `ConnectorContract`, give it a `harness`, run pytest.

    class TestMine(ConnectorContract):
        @pytest.fixture
        async def harness(self):
            yield MyHarness(...)

Every test is a coroutine run by the pytest plug-in of `anyio` on asyncio. Tests of what a system does not have (by its
`Capabilities` and by the harness's `traits`) pass by checking that the connector says so.
"""

from __future__ import annotations

import pytest

from keyback.application.ports.connectors import Capabilities, Means, Outcome, Step, TemporaryPass
from keyback.domain.secret import Secret
from keyback.locale import LOCALES
from keyback.testing.connector_harness import CANARY, NEW, OLD, Harness, OverProxy, Traits, by_step, plan
from keyback.testing.faulty_proxy import Fault, FaultyProxy
from keyback.testing.hostile_answers import HostileAnswers
from keyback.testing.serving import served


class ConnectorContract(HostileAnswers):
    """Subclass gives the fixture `harness`."""

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
        for locale in LOCALES:
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


__all__ = [
    "CANARY",
    "NEW",
    "OLD",
    "ConnectorContract",
    "Fault",
    "FaultyProxy",
    "Harness",
    "HostileAnswers",
    "OverProxy",
    "Traits",
    "by_step",
    "plan",
    "served",
]
