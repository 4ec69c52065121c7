"""What happens without a message to the owner: they hear of it at once, by every other contact; and nobody confirms for
everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.enrolment import contacts, invitations
from keyback.application.notifications import notify
from keyback.application.policy.coverage import Offer, census
from keyback.application.policy.report import people_words
from keyback.domain.errors import Refusal
from keyback.domain.secret import Secret
from tests.support.browser import Browser
from tests.support.enrolled import SMS, add_codes, add_contact, answer_way, ask_way, person_id
from tests.support.kit import Kit, person
from tests.support.steps import HERE, Tray, ask, case_of, drain, fit

Make = Callable[..., Kit]
OWN = {"maya@example.com", "maya@home.example.net", "+8613800138000"}


def kit_of(make_kit: Make, url: str | None = None, **over: Any) -> tuple[Kit, Tray]:
    kit = make_kit(url=url, sms=SMS, **over)
    tray = fit(kit, person("maya"), *(person(f"p{n}") for n in range(3)))
    return kit, tray


def told(tray: Tray) -> set[str]:
    return {x.to for x in tray.messages if x.kind == "asked"}


@pytest.mark.slow
@pytest.mark.covers("F8")
@pytest.mark.parametrize("journey", ["mailbox", "password", "second_factor", "locked"])
def test_when_a_colleague_is_asked_the_owner_hears_of_it_at_once(
    make_kit: Make, database_url: str, journey: str
) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_contact(kit, "mail", "maya@home.example.net")
    add_contact(kit, "sms", "+8613800138000")
    add_contact(kit, "mail", "friend@example.org", "recovery", name="Wei")
    started = ask(kit, "maya", journey=journey)
    drain(kit)
    ask_way(kit, started.handle, "recovery_contact")
    assert [x.to for x in tray.messages if x.kind == "vouch"] == ["friend@example.org"]
    assert told(tray) == OWN
    link = next(x.content.stop_link for x in tray.messages if x.kind == "asked")
    assert isinstance(link, Secret)
    owner = Browser(kit)
    assert owner("GET", f"/l/{link.reveal().rpartition('/')[2]}").headers["location"].startswith("/stop")
    assert owner("GET", "/stop").status_code == 200
    assert owner("POST", "/stop").status_code == 200
    [vouch] = [x.content.link for x in tray.messages if x.kind == "vouch"]
    assert isinstance(vouch, Secret)
    colleague = Browser(kit)
    colleague("GET", f"/l/{vouch.reveal().rpartition('/')[2]}")
    assert "confirm:1" not in colleague("GET", "/vouch").text
    assert kit.read(lambda tx: [c.state.value for c in tx.cases.listed(state=None, limit=9)]) == ["cancelled"]


@pytest.mark.covers("F8")
def test_half_a_recovery_by_a_saved_code_is_told(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url, policy={"floor": "mfa"})
    add_contact(kit, "mail", "maya@home.example.net")
    code = add_codes(kit)[0]
    started = ask(kit, "maya")
    drain(kit)
    ask_way(kit, started.handle, "recovery_code")
    assert told(tray) == set()
    assert answer_way(kit, started.handle, "recovery_code", code) == "accepted"
    drain(kit)
    case = case_of(kit, started.handle)
    assert case is not None
    assert case.state.value == "proving"
    assert told(tray) == {"maya@example.com", "maya@home.example.net"}


@pytest.mark.slow
@pytest.mark.covers("F8", "A7")
def test_strangers_fill_no_mailbox_with_it(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    add_contact(kit, "mail", "friend@example.org", "recovery", name="Wei")
    for _ in range(20):
        started = ask(kit, "maya")
        drain(kit)
        ask_way(kit, started.handle, "recovery_contact")
    asked, vouched = (len([x for x in tray.messages if x.kind == k]) for k in ("asked", "vouch"))
    assert 1 <= asked <= 3
    assert vouched <= asked, "nobody is asked behind the owner's back"


def invite(kit: Kit, who: str, address: str) -> str:
    """Asks a colleague; the token of the invitation."""
    pid, tray = person_id(kit, who), kit.services.channel
    assert isinstance(tray, Tray)
    kit.write(lambda tx: contacts.start(tx, tx.people.person(pid), "helper", address, "Wei", HERE))  # type: ignore[arg-type]
    drain(kit)
    found = tray.messages[-1].content.link
    assert isinstance(found, Secret)
    return found.reveal().rpartition("/")[2]


@pytest.mark.covers("F11")
def test_nobody_confirms_for_more_people_than_the_cap(make_kit: Make, database_url: str) -> None:
    kit, _ = kit_of(make_kit, database_url)
    tokens = [invite(kit, who, "wei@example.com") for who in ("maya", "p0", "p1")]
    assert [kit.write(lambda tx, t=t: invitations.accept(tx, t, HERE, 2)) for t in tokens] == [True, True, False]
    pid = person_id(kit, "p2")

    def start(tx: Any, address: str = "WEI@example.com") -> str:
        return contacts.start(tx, tx.people.person(pid), "helper", address, "Wei", HERE, 2)

    with pytest.raises(Refusal, match="too_many_people"):
        kit.write(start)
    assert kit.write(lambda tx: start(tx, "omar@example.org"))


@pytest.mark.covers("F11")
def test_other_addresses_of_the_same_colleague_count_as_theirs(make_kit: Make) -> None:
    kit, _ = kit_of(make_kit)
    add_contact(kit, "mail", "p0@home.example.net", who="p0")
    for who in ("p1", "p2"):
        add_contact(kit, "mail", "p0@home.example.net", "recovery", who=who, name="P")
    pid = person_id(kit)
    with pytest.raises(Refusal, match="too_many_people"):
        kit.write(lambda tx: contacts.start(tx, tx.people.person(pid), "helper", "p0@example.com", "P", HERE, 2))  # type: ignore[arg-type]


@pytest.mark.covers("F11")
@pytest.mark.parametrize(
    "others",
    [
        ("wei+a@example.com", "Wei+b@Example.com", "wei@example.com"),
        ("wei@bücher.example", "WEI@BÜCHER.example", "wei+x@xn--bcher-kva.example"),
        ("łucja@example.org", "Łucja@example.org", "łucja+1@example.org"),
        ("w_i@example.com", "w_i+1@example.com", "W_I@example.com"),
    ],
)
def test_one_mailbox_is_one_however_its_address_is_written(
    make_kit: Make, database_url: str, others: tuple[str, str, str]
) -> None:
    kit, _ = kit_of(make_kit, database_url)
    for who, address in zip(("p0", "p1"), others, strict=False):
        add_contact(kit, "mail", address, "recovery", who=who, name="Wei")
    add_contact(kit, "mail", "wxi@example.com", "recovery", who="p2", name="Somebody else")
    pid = person_id(kit)
    assert kit.read(lambda tx: tx.contacts.vouched_by(others[2], pid)) == 2
    assert kit.read(lambda tx: [n for _, n in tx.contacts.colleagues(1, 9)]) == [2]
    with pytest.raises(Refusal, match="too_many_people"):
        kit.write(lambda tx: contacts.start(tx, tx.people.person(pid), "helper", others[2], "Wei", HERE, 2))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.covers("F8", "A7", "INV-I9")
def test_who_goes_on_asking_does_not_keep_the_owner_from_hearing(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    add_contact(kit, "mail", "friend@example.org", "recovery", name="Wei")
    started, pid = ask(kit, "maya"), person_id(kit)
    drain(kit)
    ask_way(kit, started.handle, "recovery_contact")
    intake = kit.read(lambda tx: tx.intakes.get(started.handle))
    [case] = kit.read(lambda tx: tx.cases.listed(state=None, limit=9))
    assert intake is not None
    for _ in range(3 * 60):
        until = kit.clock.now + 86_400_000
        kit.write(lambda tx, until=until: notify.notify_started(tx, pid, "helper_asked", case.id, until, intake))
        kit.clock.forward(minutes=1)
    drain(kit)
    assert len([x for x in tray.messages if x.kind == "asked"]) == 9, "three an hour, for three hours"


@pytest.mark.covers("F11", "D1")
def test_of_many_who_are_agreed_to_at_once_no_more_than_the_cap_come_in(make_kit: Make, database_url: str) -> None:
    kit, _ = kit_of(make_kit, database_url)
    tokens = [invite(kit, who, "wei@example.com") for who in ("maya", "p0", "p1", "p2")]

    async def all_at_once() -> list[bool]:
        db = kit.services.db
        return await asyncio.gather(*(db.write(lambda tx, t=t: invitations.accept(tx, t, HERE, 2)) for t in tokens))

    assert sum(kit.run(all_at_once())) == 2


@pytest.mark.covers("F11")
def test_the_census_names_who_confirms_for_too_many(make_kit: Make, database_url: str) -> None:
    kit, _ = kit_of(make_kit, database_url, policy={"people_per_colleague": 2})
    for who in ("maya", "p0", "p1"):
        add_contact(
            kit, "mail", "Wei@example.com" if who == "p0" else "wei@example.com", "recovery", who=who, name="Wei"
        )
    add_contact(kit, "mail", "ana@example.com", "recovery", who="p2", name="Ana")
    found = kit.run(census(kit.services.db, Offer(kit.services.policy, kit.services.proofs)))
    assert found.colleagues == [("wei@example.com", 3)]
    assert any("wei@example.com – 3" in line for line in people_words(found, "en"))
    assert any("wei@example.com – 3" in line for line in people_words(found, "zh_CN"))
