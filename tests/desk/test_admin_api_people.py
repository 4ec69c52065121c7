"""The admin API about people: found, masked, and what a program may do about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.desk import keys
from keyback.application.ports.storage import Tx
from keyback.domain.operators.keys import ACTS_AN_HOUR
from keyback.domain.operators.roles import Permission, Role
from tests.support.api_client import Client, Recovery
from tests.support.console import Staff, staffed, waits
from tests.support.enrolled import person_id
from tests.support.kit import Kit
from tests.support.steps import drain

Make = Callable[..., Kit]
P = Permission
WHY = {"reason": "INC-7"}


def key_for(kit: Kit, *scopes: Permission) -> str:
    made = kit.write(lambda tx: keys.add(tx, "Ticket desk", [s.value for s in scopes]))
    return made.token


@pytest.fixture
def desk(make_kit: Make) -> tuple[Staff, Client, str]:
    staff = staffed(make_kit())
    return staff, Client(staff.kit), key_for(staff.kit, P.PEOPLE_VIEW, P.PEOPLE_ACT)


def told(staff: Staff, who: str) -> list[str]:
    drain(staff.kit)
    mails = staff.tray.to(f"{who}@example.com", "account_changed")
    return [m.content.what for m in mails]  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.covers("J3", "A-8.2.2")
def test_a_person_is_found_by_what_is_exact_and_masked(desk: tuple[Staff, Client, str]) -> None:
    staff, client, token = desk
    maya = person_id(staff.kit)
    for q, status in (("maya@example.com", 200), (" Maya ", 200), (maya, 200), ("may", 404), ("%", 404), ("m\0", 404)):
        assert client.post("/admin/people/find", {"q": q}, secret=token).status_code == status, q
    got = client.get(f"/admin/people/{maya}", secret=token)
    seen = got.json()
    assert (seen["tier"], seen["may_act"], seen["open_case"], seen["locked_down"]) == ("privileged", True, None, False)
    assert [c["address"] for c in seen["contacts"]] == ["m•••@example.com"]
    assert [a["username"] for a in seen["accounts"]] == ["m•••"]
    assert [f["kind"] for f in seen["methods"]] == ["totp"]
    assert "maya@example.com" not in got.text
    types = [e["type"] for e in staff.kit.read(lambda tx: tx.audit.rows(0, 1000))]
    assert (types.count("person_viewed"), types.count("person_sought")) == (1, 6)
    page = client.get("/admin/people/without-way-back", secret=token).json()
    assert [x["name"] for x in page["items"]] == [], page
    for cursor in ("x", "!!!!", "MTIz", "MC4AAA"):
        assert client.get(f"/admin/people/without-way-back?cursor={cursor}", secret=token).status_code == 422, cursor
    for _ in range(60):
        last = client.post("/admin/people/find", {"q": "omar"}, secret=token)
    assert (last.status_code, last.json()["code"], "retry-after" in last.headers) == (429, "too_many", True)


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("A-8.2.1", "J3", "H5")
def test_a_program_starts_locks_and_signs_out_where_one_operator_is_enough(desk: tuple[Staff, Client, str]) -> None:
    staff, client, token = desk
    kit = staff.kit
    maya, omar = person_id(kit), person_id(kit, "omar")
    start = {"journey": "password", **WHY}
    got = client.post(f"/admin/people/{maya}/recoveries", start, secret=token)
    assert (got.status_code, got.json()["code"]) == (403, "needs_person"), "two operators start one for her"
    once = "0123456789abcdef"
    path = f"/admin/people/{omar}/recoveries"
    calls = [lambda: client.send("POST", path, start, secret=token, Idempotency_Key=once) for _ in range(50)]
    all_of_them = client.together(calls)
    assert {(a.status_code, a.text) for a in all_of_them} == {(201, all_of_them[0].text)}
    assert all_of_them[0].json()["state"] == "done"
    assert told(staff, "omar") == ["desk_started"], "once, whatever was sent again"
    assert len(staff.tray.to("omar@example.com", "reminder")) == 1
    assert client.post(f"/admin/people/{omar}/end-sessions", WHY, secret=token).status_code == 201
    assert client.post(f"/admin/people/{omar}/lock", WHY, secret=token).status_code == 201
    assert {"desk_sessions_ended", "desk_locked_down"} <= set(told(staff, "omar"))
    seen = client.get(f"/admin/people/{omar}", secret=token).json()
    assert sorted(a["kind"] for a in seen["acts"]) == ["end_sessions", "lock", "start"]
    assert seen["locked_down"] is True
    for path, body in (("unlock", WHY), ("hold", {**WHY, "hours": "1"}), ("approve", WHY)):
        assert client.post(f"/admin/people/{omar}/{path}", body, secret=token).status_code == 404, "not made for keys"


@pytest.mark.covers("A-8.2.2")
def test_a_recovery_is_canceled_under_its_own_person_alone(desk: tuple[Staff, Client, str]) -> None:
    staff, client, token = desk
    case_id = waits(staff)[1]
    maya, omar = person_id(staff.kit), person_id(staff.kit, "omar")
    of_another = client.post(f"/admin/people/{omar}/cancel", {"case": case_id, **WHY}, secret=token)
    assert of_another.status_code == 404
    assert client.get(f"/admin/people/{maya}", secret=token).json()["open_case"] == case_id
    assert client.post(f"/admin/people/{maya}/cancel", {"case": case_id, **WHY}, secret=token).status_code == 201
    assert staff.kit.read(lambda tx: tx.cases.get(case_id)).state == "cancelled"
    again = client.post(f"/admin/people/{maya}/cancel", {"case": case_id, **WHY}, secret=token)
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")


@pytest.mark.covers("A-8.2.2")
def test_a_program_acts_on_no_operator_and_on_few_people_an_hour(desk: tuple[Staff, Client, str]) -> None:
    staff, client, token = desk
    kit, omar = staff.kit, person_id(staff.kit, "omar")

    def acts(tx: Tx) -> None:
        program = tx.api_keys.listed()[0].operator_id
        for _ in range(ACTS_AN_HOUR):
            tx.counters.add([f"op/g/acts/{program}"])

    kit.write(acts)
    last = client.post(f"/admin/people/{omar}/lock", WHY, secret=token)
    assert (last.status_code, last.json()["code"]) == (429, "too_many")
    other = key_for(kit, P.PEOPLE_VIEW, P.PEOPLE_ACT)
    staff.actor(Role.AGENT, "omar")
    got = client.post(f"/admin/people/{omar}/lock", WHY, secret=other)
    assert (got.status_code, got.json()["code"]) == (403, "rank")
    assert client.get(f"/admin/people/{omar}", secret=other).json()["may_act"] is False


@pytest.mark.slow
@pytest.mark.covers("B1", "A-8.3.2")
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"journey": "password"}, 422, "invalid"),
        ({"journey": "passkey", **WHY}, 422, "invalid"),
        ({"journey": 1, **WHY}, 422, "invalid"),
        ({"journey": "password", "reason": ["x"]}, 422, "invalid"),
        ({"journey": "password", "reason": " \0 "}, 422, "invalid"),
        ({"journey": "password", "reason": "x" * 501}, 422, "invalid"),
        ({"journey": "password", **WHY, "four_eyes": False}, 422, "invalid"),
        ([WHY], 422, "not_an_object"),
        ({"journey": "password", "reason": "x" * 70_000}, 413, "too_large"),
    ],
)
def test_what_does_not_fit_starts_nothing(desk: tuple[Staff, Client, str], body: Any, status: int, code: str) -> None:
    staff, client, token = desk
    omar = person_id(staff.kit, "omar")
    got = client.post(f"/admin/people/{omar}/recoveries", body, secret=token)
    assert (got.status_code, got.json()["code"]) == (status, code), got.text
    assert staff.kit.read(lambda tx: tx.actions.of_person(omar, 5)) == []


def test_a_started_recovery_is_gone_on_with_like_any_other(desk: tuple[Staff, Client, str]) -> None:
    """What a program starts is no evidence: the person still verifies."""
    staff, client, token = desk
    omar = person_id(staff.kit, "omar")
    client.post(f"/admin/people/{omar}/recoveries", {"journey": "password", **WHY}, secret=token)
    theirs = Recovery(client, "omar@example.com")
    assert theirs.see()["state"] == "waiting"
