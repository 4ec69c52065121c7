"""The security center over the API: accounts as their systems know them, "not mine", and the steps after a recovery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from keyback.application.clock import wall_clock
from keyback.application.ports.connectors import (
    Activity,
    Capabilities,
    FoundAccount,
    Grant,
    Means,
    Outcome,
    SignIn,
    Step,
    Unavailable,
)
from keyback.application.ports.storage import ImportedAccount
from keyback.connectors.base import ConnectorBase
from keyback.domain.people.factor import Factor
from keyback.domain.units import HOUR
from tests.support.api_client import Client
from tests.support.kit import Clock, Kit, person
from tests.support.steps import OLD, fit, set_password

AT = 1_790_000_000_000


@dataclass
class Ridge(ConnectorBase):
    """A system that tells of an account; `ended` is what it was asked to end."""

    away: bool = False
    ended: list[Sequence[str] | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name, self.title = "ridge", "Ridge"
        means = Means.NATIVE
        self.capabilities = Capabilities(lookup=means, activity=means, revoke_grants=means)

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        if self.away:
            raise Unavailable("unavailable")
        return [FoundAccount("id-1", "maya.new", password_changed_at=AT)]

    async def activity(self, external_id: str) -> Activity:
        grants = (Grant("g1", "Mail merge", AT),)
        return Activity((SignIn(AT + 1000, False, "203.0.113.9", "Safari"), SignIn(AT, True)), grants)

    async def revoke_grants(self, external_id: str, grants: Sequence[str] | None = None) -> Outcome:
        self.ended.append(grants)
        return Outcome(Step.GRANTS, "done")


@pytest.fixture
def ridge() -> Ridge:
    return Ridge()


@pytest.fixture
def client(make_kit: Callable[..., Kit], ridge: Ridge) -> Client:
    kit = make_kit(clock=Clock(wall_clock()))
    accounts = (ImportedAccount("builtin", "maya", "maya"), ImportedAccount("ridge", "id-1", "maya@ridge"))
    fit(kit, replace(person("maya"), accounts=accounts), person("omar"))
    kit.services = replace(
        kit.services,
        connectors={**kit.services.connectors, "ridge": ridge},
        titles={**kit.services.titles, "ridge": "Ridge"},
    )
    set_password(kit, "maya")
    set_password(kit, "omar")
    return Client(kit)


def session(client: Client, who: str = "maya") -> str:
    answer = client.post("/sign-in", {"identifier": who, "password": OLD.reveal()})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["session"])


def row(client: Client, secret: str) -> dict[str, Any]:
    answer = client.get("/account/systems", secret=secret)
    assert answer.status_code == 200, answer.text
    return next(dict(r) for r in answer.json()["accounts"] if r["system"] == "ridge")


@pytest.mark.covers("A1")
def test_nothing_without_a_session(client: Client, ridge: Ridge) -> None:
    calls: tuple[tuple[str, str, Any], ...] = (
        ("GET", "/account/systems", None),
        ("POST", "/account/systems/x/end", {"application": "all"}),
        ("GET", "/account/after", None),
        ("POST", "/account/after", {"step": "manager"}),
    )
    for method, path, body in calls:
        for secret in ("", "nobody's"):
            answer = client.call(method, path, body, secret=secret)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), path
    assert ridge.ended == []


def test_every_account_as_its_system_knows_it(client: Client, ridge: Ridge) -> None:
    found = row(client, session(client))
    account_id = found.pop("account_id")
    assert account_id
    assert found == {
        "system": "ridge",
        "title": "Ridge",
        "username": "maya.new",
        "password_changed_at": "2026-09-21T14:13:20Z",
        "password_due_at": None,
        "sign_ins": [
            {"at": "2026-09-21T14:13:21Z", "ok": False, "source": "203.0.113.9", "client": "Safari"},
            {"at": "2026-09-21T14:13:20Z", "ok": True, "source": "", "client": ""},
        ],
        "applications": [
            {"id": "g1", "title": "Mail merge", "authorized_at": "2026-09-21T14:13:20Z", "last_used_at": None}
        ],
        "tells": True,
        "ends": True,
        "state": "answered",
    }
    assert [r["system"] for r in client.get("/account/systems", secret=session(client, "omar")).json()["accounts"]] == [
        "builtin"
    ]


def test_a_system_that_is_away_is_named(client: Client, ridge: Ridge) -> None:
    ridge.away = True
    found = row(client, session(client))
    assert (found["state"], found["username"], found["password_changed_at"]) == ("slow", "maya@ridge", None)


@pytest.mark.covers("N11")
def test_not_mine_takes_a_fresh_session_and_ends_the_others(client: Client, ridge: Ridge) -> None:
    mine, other, omars = session(client), session(client), session(client, "omar")
    account_id = row(client, mine)["account_id"]
    at = f"/account/systems/{account_id}/end"
    assert client.post(at, {"application": "all"}, secret=omars).status_code == 404, "it is somebody else's"
    assert client.post(at, {"application": "nothing"}, secret=mine).status_code == 404
    assert client.post(at, {"application": "g1"}, secret=mine).json() == {"result": "done"}
    assert ridge.ended == [["g1"]]
    assert client.get("/account/after", secret=other).status_code == 401
    assert client.get("/account/after", secret=mine).status_code == 200
    client.kit.clock.forward(minutes=55)
    client.get("/session", secret=mine)
    late = client.post(at, {"application": "all"}, secret=mine)
    assert (late.status_code, late.json()["code"]) == (403, "step_up")
    assert ridge.ended == [["g1"]]


def test_steps_after_a_recovery_are_ticked_off(client: Client) -> None:
    mine = session(client)

    def done() -> list[str]:
        answer = client.get("/account/after", secret=mine).json()
        return [s["step"] for s in answer["steps"] if s["done"]]

    before = done()
    assert "manager" not in before
    for _ in range(2):
        assert client.post("/account/after", {"step": "manager"}, secret=mine).status_code == 204
    assert set(done()) == {*before, "manager"}
    assert client.post("/account/after", {"step": "everything"}, secret=mine).status_code == 422


def test_what_was_added_lately_is_shown_to_its_owner(client: Client) -> None:
    mine = session(client)
    assert client.get("/account/after", secret=mine).json()["recently_added"] == []
    pid = client.kit.read(lambda tx: tx.people.account_by_username("builtin", "maya")[1].id)

    def add(tx: Any) -> None:
        new = Factor(tx.new_id(), pid, "passkey", "New key", "active", {}, added_at=tx.now, usable_from=tx.now + HOUR)
        tx.factors.add(new)

    client.kit.write(add)
    (added,) = client.get("/account/after", secret=mine).json()["recently_added"]
    assert (added["kind"], added["label"]) == ("passkey", "New key")
