"""The outbox in the console: what failed and why, in words and masked; a message that was given up goes out again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.desk import outbox
from keyback.application.desk.sessions import Actor
from keyback.application.ports.channels import Receipt
from keyback.application.ports.outbox_search import HEAPS
from keyback.domain.errors import Refusal
from keyback.domain.operators.roles import ALLOWED, Permission, Role
from keyback.storage.sql.schema import outbox as table
from tests.support.console import Staff, staffed
from tests.support.kit import Kit
from tests.support.steps import ask, drain, secrets_of

Make = Callable[..., Kit]
GONE, AWAY = Receipt("permanent", "refused_recipient"), Receipt("temporary", "unreachable")


def failed(make_kit: Make, receipt: Receipt = GONE, **over: Any) -> Staff:
    """Maya asked for a recovery, and her mail could not be sent."""
    staff = staffed(make_kit(public_url="http://localhost:8080", **over))
    staff.tray.answer = receipt
    staff.kit.clock.forward(hours=73)
    ask(staff.kit, "maya")
    drain(staff.kit)
    return staff


def rows(kit: Kit) -> list[Any]:
    return kit.read(lambda tx: tx.conn.execute(table.select()).all())


def test_a_message_that_was_given_up_is_seen_masked_and_in_words(make_kit: Make) -> None:
    staff = failed(make_kit)
    (job,) = rows(staff.kit)
    page = staff.add(Role.APPROVER).get("/console/outbox").text
    for said in ("Recovery: link and code", "m•••@example.com", "doesn’t accept messages", "refused_recipient", "Maya"):
        assert said in page, said
    assert f"/console/outbox/{job.id}/again" in page
    assert "maya@example.com" not in page
    assert not {s for s in secrets_of(staff.tray.to("maya@example.com")[-1]) if s in page}
    assert "/again" not in staff.add(Role.AUDITOR).get("/console/outbox").text, "an auditor changes nothing"
    admin = staff.add(Role.SYSTEM_ADMINISTRATOR).get("/console/outbox").text
    assert "m•••@example.com" in admin
    assert "Maya" not in admin, "whoever may not find people reads no names"


@pytest.mark.both
def test_a_message_goes_out_again_as_it_was(make_kit: Make, database_url: str) -> None:
    staff = failed(make_kit, url=database_url)
    approver, (job,) = staff.add(Role.APPROVER), rows(staff.kit)
    before = secrets_of(staff.tray.to("maya@example.com")[-1])
    staff.tray.answer = Receipt("sent")
    done = approver.post(f"/console/outbox/{job.id}/again")
    assert done.headers["location"] == "/console/outbox?done=again"
    drain(staff.kit)
    first, second = staff.tray.to("maya@example.com")[-2:]
    assert (first.id, first.written_at) == (second.id, second.written_at), "one Message-ID"
    assert secrets_of(second) == before, "the link and the code that were made for it, and no others"
    assert rows(staff.kit) == []
    noted = [e for e in staff.kit.read(lambda tx: tx.audit.rows(0, 1000)) if e["type"] == "message_sent_again"]
    assert [json.loads(e["data"])["operator"] for e in noted] == [staff.made["approver"].id]
    assert "maya" not in str(noted[0]["data"])
    assert approver.post(f"/console/outbox/{job.id}/again").status_code == 404


def test_a_link_that_is_over_is_not_sent_again(make_kit: Make) -> None:
    staff = failed(make_kit)
    (job,) = rows(staff.kit)
    staff.kit.clock.forward(hours=2)
    approver = staff.add(Role.APPROVER)
    page = approver.get("/console/outbox").text
    assert "no longer valid" in page
    assert "/again" not in page
    refused = approver.post(f"/console/outbox/{job.id}/again")
    assert refused.status_code == 409
    assert "no longer valid" in refused.text
    assert rows(staff.kit)[0].state == "dead"


def test_nobody_sends_to_themselves_or_without_end(make_kit: Make) -> None:
    staff = failed(make_kit)
    kit, (job,) = staff.kit, rows(staff.kit)

    def again(by: Actor) -> None:
        kit.write(lambda tx: outbox.send_again(tx, by, job.id))

    officer = staff.actor(Role.SECURITY_OFFICER)
    for _ in range(outbox.SENDS_AGAIN_A_DAY):
        again(officer)
        drain(kit)
        assert rows(kit)[0].state == "dead", "it failed once more"
    with pytest.raises(Refusal, match="too_many"):
        again(officer)
    other = staff.actor(Role.APPROVER)
    maya = staff.actor(Role.APPROVER, "maya")
    with pytest.raises(Refusal, match="yourself"):
        again(maya)
    with pytest.raises(Refusal, match="rank"):
        again(other)


def test_what_fails_for_now_says_when_it_is_tried_again(make_kit: Make) -> None:
    staff = failed(make_kit, AWAY)
    auditor = staff.add(Role.AUDITOR)
    page = auditor.get("/console/outbox?heap=failing").text
    assert "Next try" in page
    assert "can’t be reached" in page
    assert "Nothing was given up" in auditor.get("/console/outbox").text
    sums = auditor.get("/console/outbox").text
    assert re.search(r"Email.*badge-care[^>]*>1<", sums, re.S)


@pytest.mark.both
def test_a_heap_comes_in_pages_and_the_rest_is_counted(
    make_kit: Make, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff = failed(make_kit, url=database_url)
    kit, (job,) = staff.kit, rows(staff.kit)
    more = [{**job._mapping, "id": f"{n:022}", "created_at": job.created_at + n // 3} for n in range(110)]
    states = [{"state": "dead", "last_code": "expired"}, {"state": "ready", "last_code": "busy"}]
    states += [{"state": "ready", "last_code": ""}]
    for n, state in enumerate(states):
        named = [{**r, **state, "id": f"{n}{r['id'][1:]}"} for r in more]
        kit.write(lambda tx, rs=named: tx.conn.execute(table.insert(), rs))
    actor = staff.actor(Role.AUDITOR)
    monkeypatch.setattr(outbox, "COUNTED", 100)
    for heap, n in zip(HEAPS, (111, 110, 110), strict=True):
        seen, after, pages = [], (0, ""), 0
        while True:
            found = kit.read(lambda tx, a=after, h=heap: outbox.look(tx, actor, h, a))
            seen += [line.id for line in found.lines]
            pages += 1
            if found.more is None:
                break
            after = found.more
        assert (len(seen), len(set(seen)), pages) == (n, n, 3), heap
        assert found.full == frozenset(HEAPS)


def test_who_sees_the_outbox() -> None:
    view = {r for r in Role if Permission.OUTBOX_VIEW in ALLOWED[r]}
    again = {r for r in Role if Permission.OUTBOX_RESEND in ALLOWED[r]}
    assert view == set(Role) - {Role.AGENT}
    assert again == view - {Role.AUDITOR}
