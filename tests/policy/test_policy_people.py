"""Whom a policy leaves without a way back: counted over everybody, by what the proofs would really be put to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.policy.coverage import PAGE, Offer, census, evidence_of, way_back
from keyback.application.ports.storage import Tx
from keyback.application.recovery.methods import holder_of
from keyback.domain.people.factor import COOLING_OFF, Factor, SavedCode
from keyback.domain.people.person import Contact, Tier
from keyback.domain.policy.rules import Policy
from tests.support.kit import Kit, person

SMS = {"kind": "http", "url": "https://gateway.example.net/", "secret": "whsec_" + "A" * 43 + "=", "prefixes": ["+86"]}


@pytest.fixture
def kit(make_kit: Callable[..., Kit], database_url: str) -> Kit:
    return make_kit(url=database_url, sms=SMS)


def enroll(kit: Kit, key: str, *what: str, usable_from: int = 0, **more: Any) -> str:
    """A person with contacts (`sms`, `backup`, `colleague`) and factors (`totp`, `recovery_codes` …) enrolled."""

    def fn(tx: Tx) -> str:
        tx.people.save_imported([person(key, **more)])
        pid = tx.people.match([key])[key][0].person.id
        for name in what:
            new = tx.new_id()
            match name:
                case "sms":
                    tx.contacts.add(Contact(new, pid, "sms", "+8613800000000", "backup", usable_from=usable_from))
                case "backup":
                    tx.contacts.add(
                        Contact(new, pid, "mail", f"{key}@home.example.org", "backup", usable_from=usable_from)
                    )
                case "colleague":
                    tx.contacts.add(Contact(new, pid, "mail", "lead@example.com", "recovery", usable_from=usable_from))
                case "used_codes" | "recovery_codes":
                    tx.factors.add(Factor(new, pid, "recovery_codes", "", "active", usable_from=usable_from))
                    code = SavedCode(tx.new_id(), new, "AB", "$argon2id$")
                    tx.factors.put_codes([code])
                    if name == "used_codes":
                        tx.factors.use_code(code.id)
                case _:
                    tx.factors.add(Factor(new, pid, name, "", "active", usable_from=usable_from))  # type: ignore[arg-type]
        return pid

    return kit.write(fn)


def offer(kit: Kit, **policy: Any) -> Offer:
    return Offer(replace(kit.services.policy, **policy), kit.services.proofs)


@pytest.mark.covers("N-R1", "INV-I9", "SD-D5")
def test_those_without_a_way_back_are_counted_and_named(kit: Kit) -> None:
    enroll(kit, "mail-only")
    enroll(kit, "app", "totp")
    enroll(kit, "two-codes", "sms", "backup", tier="mfa")
    enroll(kit, "saved", "recovery_codes", tier="mfa")
    enroll(kit, "used-up", "used_codes", tier="mfa")
    enroll(kit, "boss", "totp", tier="privileged")
    enroll(kit, "admin", "recovery_codes", privileged=True)
    enroll(kit, "bare-boss", tier="privileged")
    enroll(kit, "gone", state="disabled")
    found = kit.run(census(kit.services.db, offer(kit)))
    assert found.people == 8
    assert found.ways == {"alone": 3, "operator": 2, "none": 3}
    assert {s.name for s in found.stranded} == {"Two-Codes", "Used-Up", "Bare-Boss"}
    assert found.lost == 0
    few = kit.run(census(kit.services.db, offer(kit), listed=1))
    assert len(few.stranded) == 1
    assert few.ways == found.ways


@pytest.mark.covers("INV-I9", "N-R1")
def test_who_would_lose_the_last_way_is_known_before_the_change(kit: Kit) -> None:
    enroll(kit, "mail-only")
    enroll(kit, "saved", "recovery_codes")
    enroll(kit, "lost-already", tier="privileged")
    before, after = offer(kit), offer(kit, floor="mfa")
    found = kit.run(census(kit.services.db, after, before))
    assert [s.name for s in found.losers] == ["Mail-Only"]
    assert found.losers[0].had == "alone"
    assert found.losers[0].tier == "mfa"
    assert found.lost == 1
    assert found.ways["none"] == 2
    none_but_mail = {n: p for n, p in kit.services.proofs.items() if n != "recovery_code"}
    assert kit.run(census(kit.services.db, Offer(after.policy, none_but_mail), after)).losers[0].name == "Saved"


@pytest.mark.covers("F1", "E7")
@pytest.mark.parametrize("what", ["sms", "backup", "colleague", "totp", "recovery_codes"])
def test_what_was_planted_less_than_72_hours_ago_is_no_way(kit: Kit, what: str) -> None:
    pid = enroll(kit, "target", what, usable_from=kit.clock.now + COOLING_OFF, tier="mfa")
    kit.clock.forward(hours=72, seconds=-1)

    def seen(tx: Tx) -> tuple[int, list[str]]:
        holder = holder_of(tx, tx.people.people([pid])[pid])
        return len(holder.factors) + len(holder.contacts), [
            t.channel for p in kit.services.proofs.values() if p.name != "email_link" for t in p.targets(holder)
        ]

    assert kit.read(seen) == (1, [])
    assert kit.run(census(kit.services.db, offer(kit))).ways["none"] == 1
    kit.clock.forward(seconds=1)
    assert len(kit.read(seen)[1]) == 1


def test_the_count_agrees_with_what_a_page_would_offer(kit: Kit) -> None:
    everything = ("sms", "backup", "colleague", "totp", "recovery_codes")
    pid = enroll(kit, "rich", *everything)

    def both(tx: Tx) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        holder = holder_of(tx, tx.people.people([pid])[pid])
        offered = {(n, t.channel) for n, p in kit.services.proofs.items() for t in p.targets(holder)}
        (one,) = tx.all_people.page("", 10)
        return offered, {(e.proof, e.channel) for e in evidence_of(one, offer(kit), tx.now)}

    offered, counted = kit.read(both)
    assert counted == offered
    others = {"sms_code", "backup_email", "recovery_contact", "totp", "recovery_code"}
    assert {p for p, _ in offered} == {"email_link", *others}


@pytest.mark.slow
def test_pages_leave_nobody_out(kit: Kit) -> None:
    many = [person(f"p{n:04}", state="disabled" if n % 10 == 0 else "active") for n in range(PAGE + 30)]
    kit.write(lambda tx: tx.people.save_imported(many))
    assert kit.run(census(kit.services.db, offer(kit))).people == sum(p.state == "active" for p in many)
    ids = kit.read(lambda tx: [e.person.id for e in tx.all_people.page("", 5000)])
    small, after = [], ""
    while page := kit.read(lambda tx, a=after: tx.all_people.page(a, 100)):  # type: ignore[misc]
        small += [e.person.id for e in page]
        after = page[-1].person.id
    assert small == ids


@pytest.mark.parametrize(("tier", "way"), [("standard", "alone"), ("mfa", "none"), ("privileged", "none")])
def test_a_mailbox_is_a_way_back_without_a_second_step_only(kit: Kit, tier: Tier, way: str) -> None:
    enroll(kit, "x")
    (one,) = kit.read(lambda tx: tx.all_people.page("", 10))
    assert way_back(evidence_of(one, offer(kit), kit.clock.now), tier, Policy()) == way
