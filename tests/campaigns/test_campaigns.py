"""Many people are asked to renew their passwords: whom it means, who may let it go, and that each is asked once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest

from keyback.application.campaigns import lifecycle, run
from keyback.application.campaigns.lifecycle import Draft
from keyback.application.ports.campaigns import Campaign
from keyback.application.ports.channels import Receipt
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.campaigns import NEXT, Pacing, Selection
from keyback.domain.operators.roles import Role
from tests.support.console import URL, Staff, staffed
from tests.support.enrolled import person_id
from tests.support.kit import Kit, person
from tests.support.steps import NEW, OLD, accept, ask, case_of, choose, drain, secrets_of, set_password, sign_in, types

Make = Callable[..., Kit]
SYSTEMS = ("builtin", "zoho")


def company(make_kit: Make, url: str | None = None, **over: Any) -> Staff:
    kit = make_kit(url=url, public_url=URL, **over)
    staff = staffed(kit)
    people = [person(f"p{n:02}") for n in range(12)]
    people += [
        person("zoe", system="zoho"),
        person("sso", provider="Entra ID"),
        person("off", state="disabled"),
        person("admin", privileged=True),
    ]
    kit.write(lambda tx: tx.people.save_imported(people))
    kit.write(lambda tx: tx.people.save_imported([replace(person("mute"), mails=())]))
    return staff


def drafted(staff: Staff, *listed: str, **over: Any) -> Campaign:
    by = staff.actor(Role.APPROVER, "drafter").operator
    selection = over.pop("selection", Selection(listed=bool(listed)))
    wanted = Draft("After the break-in", "incident", selection, **over)
    made = staff.kit.write(lambda tx: lifecycle.draft(tx, by, wanted, SYSTEMS))
    if listed:
        staff.kit.write(lambda tx: lifecycle.name_people(tx, made.id, listed))
        assert not staff.kit.write(run.collect), "a list that is not complete is not looked at"
        staff.kit.write(lambda tx: lifecycle.act(tx, by, made.id, "listed"))
    while staff.kit.write(run.collect):
        pass
    return view(staff, made.id).campaign


def approved(staff: Staff, *listed: str, **over: Any) -> Campaign:
    made = drafted(staff, *listed, **over)
    by = staff.actor(Role.SECURITY_OFFICER, "officer").operator
    return staff.kit.write(lambda tx: lifecycle.act(tx, by, made.id, "approve", made.version))


def view(staff: Staff, campaign_id: str) -> lifecycle.CampaignView:
    return staff.kit.read(lambda tx: lifecycle.view(tx, campaign_id))


def case_id(kit: Kit, started: Any) -> str:
    found = case_of(kit, started.handle)
    assert found
    return found.id


def told(staff: Staff) -> Counter[str]:
    return Counter(m.to for m in staff.tray.messages if m.kind == "campaign")


@pytest.mark.both
def test_a_dry_run_counts_whom_it_means_and_asks_nobody(make_kit: Make, database_url: str) -> None:
    staff = company(make_kit, database_url)
    found = view(staff, drafted(staff).id)
    assert found.campaign.state == "drafted"
    t = found.tally
    assert (t.of(), t.of("waiting"), t.of("unreachable"), t.of("elsewhere")) == (18, 16, 1, 1)
    assert t.of(privileged=True) == 2, "an administrator of a system, and whoever is privileged by tier"
    drain(staff.kit)
    assert not told(staff), "nobody is asked before somebody else has approved it"


@pytest.mark.both
def test_people_are_chosen_by_system_tier_age_and_list(make_kit: Make, database_url: str) -> None:
    staff = company(make_kit, database_url)
    kit = staff.kit

    def chosen(*listed: str, **how: Any) -> int:
        made = drafted(staff, *listed, selection=Selection(listed=bool(listed), **how))
        n = view(staff, made.id).tally.of()
        by = staff.actor(Role.APPROVER, "drafter").operator
        kit.write(lambda tx: lifecycle.act(tx, by, made.id, "stop"))
        return n

    assert chosen(system="zoho") == 1
    assert chosen(tier="privileged") == 2
    assert chosen(older_days=30) == 16, "an age that nobody knows counts as old; a password elsewhere has none"
    set_password(kit, "p01", OLD)
    assert chosen(older_days=30) == 15, "p01's and maya's are known to be new"
    kit.clock.forward(hours=24 * 31)
    assert chosen(older_days=30) == 17
    assert chosen("p01", "P02@Example.com", "nobody@example.com", "", "p01") == 2
    assert chosen("zoe", "p03", system="builtin") == 1, "everything that is given has to be true"


def test_a_list_says_how_many_it_does_not_know(make_kit: Make) -> None:
    staff = company(make_kit)
    made = drafted(staff, "p01", "nobody", "p\0x", "p02@example.com")
    assert (made.given, made.unknown) == (4, 2)


@pytest.mark.both
@pytest.mark.covers("Q1")
def test_each_is_asked_once_and_what_came_of_it_is_counted(make_kit: Make, database_url: str) -> None:
    staff = company(make_kit, database_url)
    kit = staff.kit
    made = approved(staff)
    drain(kit)
    assert set(told(staff).values()) == {1}
    assert len(told(staff)) == 16
    (mail,) = (m for m in staff.tray.messages if m.to == "p01@example.com")
    assert (mail.content.why, mail.content.username) == ("incident", "p01")
    assert view(staff, made.id).campaign.state == "done"
    started = ask(kit, "p01")
    ask(kit, "p02")
    drain(kit)
    kit.clock.forward(minutes=2)
    kit.run(run.look(kit.services.db))
    t = view(staff, made.id).tally
    assert (t.did("opened"), t.did("recovered"), t.did("")) == (2, 0, 14)
    assert accept(kit, secrets_of(staff.tray.to("p01@example.com")[-1])[0]) is None
    choose(kit, case_id(kit, started), NEW)
    drain(kit)
    kit.run(run.look(kit.services.db))
    t = view(staff, made.id).tally
    assert (t.did("opened"), t.did("recovered"), t.did("")) == (1, 1, 14)


@pytest.mark.both
def test_whoever_is_recovering_when_asked_counts(make_kit: Make, database_url: str) -> None:
    staff = company(make_kit, database_url)
    ask(staff.kit, "p01")
    drain(staff.kit)
    made = approved(staff)
    drain(staff.kit)
    assert view(staff, made.id).tally.did("opened") == 1


@pytest.mark.covers("A-8.2.2")
def test_nobody_approves_what_they_drafted_or_did_not_see(make_kit: Make) -> None:
    staff = company(make_kit)
    made = drafted(staff)
    drafter, officer = (
        staff.actor(r, n).operator for r, n in ((Role.APPROVER, "drafter"), (Role.SECURITY_OFFICER, "officer"))
    )

    def code(by: Any, what: Any, seen: int = made.version) -> str:
        try:
            staff.kit.write(lambda tx: lifecycle.act(tx, by, made.id, what, seen))
        except Refusal as e:
            return e.code
        return "done"

    assert code(drafter, "approve") == "own_work"
    assert code(officer, "approve", made.version - 1) == "changed"
    assert code(officer, "resume") == "wrong_state"
    assert code(officer, "approve") == "done"
    assert code(officer, "approve") == "wrong_state"
    assert types(staff.kit).count("campaign_changed") == 3, "drafted, collected, approved"


def test_drafts_are_checked(make_kit: Make) -> None:
    staff = company(make_kit)
    by = staff.actor(Role.APPROVER, "drafter").operator
    good = Draft("One", "incident", Selection())
    for code, over in (
        ("empty", {"name": " "}),
        ("too_long", {"name": "x" * 81}),
        ("system", {"selection": Selection(system="nowhere")}),
        ("pace", {"pacing": Pacing(-1)}),
    ):
        with pytest.raises(BadInput, match=code):
            staff.kit.write(lambda tx, over=over: lifecycle.draft(tx, by, replace(good, **over), SYSTEMS))  # type: ignore[misc]


@pytest.mark.both
def test_a_pace_is_kept_and_quiet_hours_too(make_kit: Make, database_url: str) -> None:
    staff = company(make_kit, database_url)
    kit = staff.kit
    made = approved(staff, pacing=Pacing(4))
    asked = []
    for _ in range(3):
        kit.clock.forward(seconds=30)
        asked.append(kit.write(run.ask) + kit.write(run.ask))
    assert asked == [2, 2, 2]
    kit.clock.forward(hours=5)
    assert kit.write(run.ask) == 4, "a pause is not caught up with"
    minute = (kit.clock() // 60_000) % 1440
    quiet = Pacing(0, minute - 5, minute + 5)
    kit.write(lambda tx: tx.campaigns.save(replace(tx.campaigns.get(made.id), pacing=quiet)))
    assert kit.write(lambda tx: run.ask(tx, UTC)) == 0
    kit.clock.forward(minutes=6)
    assert kit.write(lambda tx: run.ask(tx, UTC)) == 6


def test_quiet_hours_may_go_over_midnight() -> None:
    night = Pacing(0, 22 * 60, 7 * 60)
    assert [night.quiet(m) for m in (21 * 60, 22 * 60, 0, 7 * 60 - 1, 7 * 60)] == [False, True, True, True, False]
    assert not any(Pacing(9).quiet(m) for m in range(1440))


def test_a_slow_campaign_keeps_no_other_waiting(make_kit: Make) -> None:
    staff = company(make_kit)
    approved(staff, "p01", "p02", pacing=Pacing(1))
    approved(staff, "p03")
    staff.kit.clock.forward(seconds=1)
    assert staff.kit.write(run.ask) == 1
    drain(staff.kit)
    assert list(told(staff)) == ["p03@example.com"]


@pytest.mark.both
def test_pausing_and_stopping_hold_at_once(make_kit: Make, database_url: str) -> None:
    staff = company(make_kit, database_url)
    kit, by = staff.kit, staff.actor(Role.APPROVER, "drafter").operator
    made = approved(staff, pacing=Pacing(300))
    kit.clock.forward(seconds=1)
    assert kit.write(run.ask) == 5
    kit.write(lambda tx: lifecycle.act(tx, by, made.id, "pause"))
    kit.clock.forward(seconds=1)
    assert kit.write(run.ask) == 0
    kit.write(lambda tx: lifecycle.act(tx, by, made.id, "stop"))
    drain(kit)
    assert not told(staff), "what waits in the outbox of a campaign that was stopped is not sent"
    t = view(staff, made.id).tally
    assert (t.of("gone"), t.of("waiting")) == (5, 11)


def test_who_left_since_is_not_asked(make_kit: Make) -> None:
    staff = company(make_kit)
    kit = staff.kit
    made = approved(staff)
    kit.write(lambda tx: tx.people.save_imported([person("p01", state="disabled")]))
    drain(kit)
    assert "p01@example.com" not in told(staff)
    assert view(staff, made.id).tally.of("gone") == 1


def test_a_message_that_is_refused_for_good_is_counted(make_kit: Make) -> None:
    staff = company(make_kit)
    staff.tray.answer = Receipt("permanent", "mailbox_unknown")
    made = approved(staff, "p01")
    drain(staff.kit)
    t = view(staff, made.id).tally
    assert (t.of("failed"), t.of("sent")) == (1, 0)


def test_sessions_end_and_a_password_is_good_only_for_another_one(make_kit: Make) -> None:
    staff = company(make_kit)
    kit = staff.kit
    for who in ("p01", "p02"):
        set_password(kit, who, OLD)
    assert not sign_in(kit, "p01", OLD).must_change
    approved(staff, "p01", end_sessions=True, must_renew=True)
    drain(kit)
    pid = person_id(kit, "p01")
    assert not kit.read(lambda tx: tx.sessions.of_person(pid))
    assert sign_in(kit, "p01", OLD).must_change == "due"
    assert not sign_in(kit, "p02", OLD).must_change, "nobody else's"
    started = ask(kit, "p01")
    drain(kit)
    assert accept(kit, secrets_of(staff.tray.to("p01@example.com")[-1])[0]) is None
    choose(kit, case_id(kit, started), NEW)
    drain(kit)
    assert not sign_in(kit, "p01", NEW).must_change


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("Q2", "Q10")
def test_a_run_that_breaks_off_goes_on_and_asks_nobody_twice(make_kit: Make, database_url: str) -> None:
    """Several workers at once, each of which is stopped in the middle of what it does, again and again."""
    staff = company(make_kit, database_url)
    kit = staff.kit
    kit.write(lambda tx: tx.people.save_imported([person(f"q{n:03}") for n in range(300)]))
    by = staff.actor(Role.APPROVER, "drafter").operator
    made = kit.write(lambda tx: lifecycle.draft(tx, by, Draft("All", "leak", Selection()), SYSTEMS))

    class Broken(Exception):
        pass

    def breaks(act: Callable[[Any], int]) -> Callable[[Any], int]:
        def of(tx: Any) -> int:
            if act(tx):
                raise Broken
            return 0

        return of

    async def workers(act: Callable[[Any], int]) -> int:
        acts = [act, breaks(act)] * 4
        done = await asyncio.gather(*(kit.services.db.write(a) for a in acts), return_exceptions=True)
        assert all(isinstance(d, int | Broken) for d in done), done
        return sum(d for d in done if isinstance(d, int))

    before = run.COLLECT, run.ASK
    run.COLLECT, run.ASK = 40, 20
    try:
        while kit.run(workers(run.collect)):
            pass
        officer = staff.actor(Role.SECURITY_OFFICER, "officer").operator
        version = view(staff, made.id).campaign.version
        kit.write(lambda tx: lifecycle.act(tx, officer, made.id, "approve", version))
        while kit.run(workers(run.ask)):
            pass
    finally:
        run.COLLECT, run.ASK = before
    drain(kit)
    assert len(told(staff)) == 316
    assert set(told(staff).values()) == {1}
    assert view(staff, made.id).campaign.state == "done"


def test_what_is_over_for_long_keeps_its_figures_and_no_people(make_kit: Make) -> None:
    staff = company(make_kit)
    made = approved(staff)
    drain(staff.kit)
    before = view(staff, made.id).tally
    staff.kit.clock.forward(hours=24 * 200)
    assert staff.kit.write(lambda tx: tx.campaigns.purge(tx.now)) == before.of()
    assert staff.kit.write(lambda tx: tx.campaigns.purge(tx.now)) == 0
    assert view(staff, made.id).tally == before


def test_every_state_has_an_end() -> None:
    ends = {"done", "declined", "stopped"}
    assert {s for s, _ in NEXT} | ends == {s for s, _ in NEXT} | set(NEXT.values())
    assert not {s for s, _ in NEXT} & ends
