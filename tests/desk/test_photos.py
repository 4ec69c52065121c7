"""HR's photo beside an identity document: for its reviewers alone, from before the recovery, each look recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.desk import photos
from keyback.domain.errors import Refusal
from keyback.domain.operators.roles import Role
from keyback.storage.maintenance import persons
from tests.support.console import Staff
from tests.support.kit import Kit
from tests.support.sent_documents import desk, looks, photo, says, sent
from tests.support.steps import case_of, types

Make = Callable[..., Kit]


def on_record(staff: Staff, shade: int = 90) -> bytes:
    """Omar's photo comes on record now; what is kept of it."""
    kit = staff.kit
    made = kit.run(kit.services.images.clean(photo(shade), side=photos.SIDE))  # type: ignore[union-attr]
    pid = omar(kit)
    kit.write(lambda tx: photos.put(tx, pid, made, "server"))
    return made.jpeg  # type: ignore[no-any-return]


def omar(kit: Kit) -> str:
    return str(kit.read(lambda tx: tx.people.match(["omar"]))["omar"][0].person.id)


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("N-A1", "L-8", "I3")
def test_reviewers_alone_see_the_photo_and_each_look_is_on_record(make_kit: Make, database_url: str) -> None:
    staff = desk(make_kit, database_url)
    kit = staff.kit
    shown = on_record(staff)
    kit.clock.forward(hours=72)
    agent, approver, officer = (staff.add(r) for r in (Role.AGENT, Role.APPROVER, Role.SECURITY_OFFICER))
    started, browser, at, document = sent(staff)
    one = f"/console/documents/{document}"
    case = case_of(kit, started.handle)
    assert case
    agent.confirm()
    assert agent.get(f"{one}/photo").status_code == 404, "not before they have taken it"
    assert f'src="{one}/photo"' in looks(agent, document)
    got = agent.get(f"{one}/photo")
    assert (got.content, got.headers["cache-control"]) == (shown, "no-store")
    kit.clock.forward(minutes=6)
    assert agent.get(f"{one}/photo").headers["location"].startswith("/console/confirm"), "the second factor again"
    looks(approver, document)
    officer.confirm()
    assert officer.get(f"{one}/photo").status_code == 404, "two are enough"
    agent.confirm()
    assert says(agent, document, "yes").status_code == 303
    agent.confirm()
    assert agent.get(f"{one}/photo").status_code == 404, "not once they have answered"
    views = [h for h in kit.read(lambda tx: list(tx.audit.of_stream(case.id))) if h["type"] == "photo_viewed"]
    assert len(views) == 1
    for path in (at, f"{at}/photo", f"{one}/photo"):
        assert shown not in browser("GET", path).content, "nothing of it on the person's own pages"
    assert "photo" not in browser("GET", f"/r/{started.handle}").text
    row = kit.read(lambda tx: tx.conn.exec_driver_sql("SELECT sealed FROM person_photos").scalar())  # type: ignore[attr-defined]
    assert b"\xff\xd8\xff" not in bytes(row)


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("N-R9", "N-A1")
def test_a_photo_that_came_for_the_recovery_is_no_record(make_kit: Make, database_url: str) -> None:
    staff = desk(make_kit, database_url)
    kit = staff.kit
    on_record(staff)
    kit.clock.forward(hours=71)
    agent = staff.add(Role.AGENT)
    _, _, _, document = sent(staff)
    text = looks(agent, document)
    assert "It isn’t shown" in text
    assert f"/console/documents/{document}/photo" not in text
    assert agent.get(f"/console/documents/{document}/photo").status_code == 404
    on_record(staff, 140)
    agent.confirm()
    assert agent.get(f"/console/documents/{document}/photo").status_code == 404, "nor one that replaced it meanwhile"
    assert "photo_viewed" not in types(kit)


@pytest.mark.both
@pytest.mark.covers("L-1", "H12")
def test_a_photo_goes_when_it_is_removed_and_with_the_person(make_kit: Make, database_url: str) -> None:
    staff = desk(make_kit, database_url)
    kit, pid = staff.kit, omar(staff.kit)

    def kept() -> Any:
        return kit.read(lambda tx: (bool(tx.photos.since(pid)), bool(tx.photos.jpeg(pid))))

    first, second = on_record(staff), on_record(staff, 150)
    assert first != second == kit.read(lambda tx: tx.photos.jpeg(pid))
    assert kit.write(lambda tx: photos.remove(tx, pid, "server"))
    assert not kit.write(lambda tx: photos.remove(tx, pid, "server"))
    assert kept() == (False, False)
    assert types(kit).count("photo_removed") == 1
    on_record(staff)
    assert kit.write(lambda tx: persons.erase(tx, pid, "left"))["person_photos"] == 1
    assert kept() == (False, False)
    with pytest.raises(Refusal, match="not_found"):
        on_record_of_nobody(staff, pid)


def on_record_of_nobody(staff: Staff, pid: str) -> None:
    made = staff.kit.run(staff.kit.services.images.clean(photo(), side=photos.SIDE))  # type: ignore[union-attr]
    staff.kit.write(lambda tx: photos.put(tx, pid, made, "server"))
