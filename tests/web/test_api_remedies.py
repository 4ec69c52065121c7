"""Recoveries that are not about a password, over the API: the rules of the pages, and nothing more is told or taken."""

from __future__ import annotations

import json
from typing import Any, get_args

import httpx2
import pyotp
import pytest

from keyback.application.recovery import evidence, replace_passkey
from keyback.application.signin.sessions import SignedIn
from keyback.domain.challenges import challenge as ch
from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.secret import Secret
from keyback.web.api.models import Journey
from tests.support.api_client import Client
from tests.support.enrolled import add_contact, add_totp
from tests.support.guided import kit_of as guided
from tests.support.kit import Kit
from tests.support.remedies import Make, begun, by_phone, device, kinds, kit_of, lost, waited
from tests.support.steps import OLD, accept, ask, drain, secrets_of, set_password, sign_in

ACTS = {
    "/unlock": None,
    "/second-step/app": None,
    "/second-step/app/verify": {"id": "x" * 16, "code": "000000"},
    "/second-step/passkey": None,
    "/second-step/passkey/verify": {"id": "x" * 16, "credential": "{}"},
    "/mailbox": {"mailbox": "none"},
    "/mailbox/new": {"address": "thief@example.org"},
    "/mailbox/verify": {"id": "x" * 16, "code": "00000000"},
    "/tasks/" + "x" * 22: {"act": "ask"},
}


class Page:
    """One recovery as a program holds it, with its secret."""

    def __init__(self, kit: Kit, started: Any) -> None:
        self.handle, self.kit = started.handle, kit
        self.client = Client(kit)
        self.secret = ch.holder_secret(kit.services.seals.derive("holder"), started.handle)

    def see(self) -> dict[str, Any]:
        answer = self.client.get(f"/recoveries/{self.handle}", secret=self.secret)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def __call__(self, path: str, body: Any = None) -> httpx2.Response:
        return self.client.post(f"/recoveries/{self.handle}{path}", body, secret=self.secret)


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json().get("code", ""))


# ── a lost second step ──────────────────────────────────────────────────────


@pytest.mark.covers("O-M1", "N-T3", "E1")
def test_an_app_takes_the_place_of_a_lost_one(make_kit: Make, database_url: str) -> None:
    kit, tray, started = lost(make_kit, url=database_url)
    page = Page(kit, started)
    due = page.see()
    assert (due["state"], due["name"], due["offers"]) == ("second_step_due", "Maya", ["app", "passkey"])
    assert [r["kind"] for r in due["replaces"]] == ["totp"]
    assert (due["system"], due["has_system_factors"]) == (None, False)
    new = page("/second-step/app").json()
    assert set(new) == {"id", "seed", "uri", "expires_at"}
    assert new["seed"] in new["uri"]
    assert "maya" in new["uri"]
    assert new["seed"] not in str(page.see()), "nobody sees it again"
    app = pyotp.TOTP(new["seed"])
    assert kinds(kit) == ["recovery_codes", "totp"], "nothing changed yet"
    assert code_of(page("/second-step/app/verify", {"id": new["id"], "code": "no"})) == (422, "wrong_code")
    given = {"id": new["id"], "code": app.at(kit.clock() // 1000)}
    assert code_of(page("/second-step/app/verify", {**given, "id": "y" * 16})) == (409, "wrong_state")
    done = page("/second-step/app/verify", given)
    assert (done.status_code, done.json()["state"], done.json()["remedied"]) == (200, "done", "factor_replaced")
    assert page.see() == done.json()
    again = page("/second-step/app/verify", given)
    assert (code_of(again), again.json()["state"]) == ((409, "wrong_state"), "done")
    assert kinds(kit) == ["recovery_codes", "totp"]
    drain(kit)
    assert "factor_replaced" in [getattr(x.content, "what", "") for x in tray.messages]


@pytest.mark.covers("O-M1", "W-1", "M8")
def test_a_passkey_takes_its_place_and_signs_in_alone(make_kit: Make) -> None:
    kit, _, started = lost(make_kit)
    page, key = Page(kit, started), device()
    first = page("/second-step/passkey").json()
    options = json.dumps(first["options"])
    foreign = device(origin="https://evil.example").create(options)
    refused = page("/second-step/passkey/verify", {"id": first["id"], "credential": foreign})
    assert code_of(refused) == (422, "wrong_passkey")
    late = {"id": first["id"], "credential": key.create(options)}
    assert code_of(page("/second-step/passkey/verify", late)) == (409, "wrong_state"), "its challenge was over"
    asked = page("/second-step/passkey").json()
    made = key.create(json.dumps(asked["options"]))
    given = {"id": asked["id"], "credential": made}
    assert code_of(page("/second-step/passkey/verify", {**given, "id": first["id"]})) == (409, "wrong_state")
    done = page("/second-step/passkey/verify", given)
    assert done.json()["remedied"] == "factor_replaced", done.text
    assert kinds(kit) == ["passkey", "recovery_codes"]
    challenge = page.client.post("/sign-in/passkey/challenge").json()
    answer = key.get(json.dumps(challenge["options"]))
    entered = page.client.post("/sign-in/passkey", {"ticket": challenge["ticket"], "credential": answer})
    assert entered.status_code == 200, entered.text
    session = page.client.get("/session", secret=entered.json()["session"])
    assert session.json()["username"] == "maya"
    replayed = page.client.post("/sign-in/passkey", {"ticket": challenge["ticket"], "credential": answer})
    assert code_of(replayed) == (401, "wrong")


def test_app_and_passkey_take_each_others_place(make_kit: Make) -> None:
    kit, _, started = lost(make_kit)
    page = Page(kit, started)
    asked = page("/second-step/passkey").json()
    new = page("/second-step/app").json()
    given = {"id": asked["id"], "credential": device().create(json.dumps(asked["options"]))}
    assert code_of(page("/second-step/passkey/verify", given)) == (409, "wrong_state")
    assert kit.read(lambda tx: replace_passkey.waiting(tx, started.handle)) is None
    code = pyotp.TOTP(new["seed"]).at(kit.clock() // 1000)
    assert page("/second-step/app/verify", {"id": new["id"], "code": code}).status_code == 200


def test_where_there_can_be_no_passkeys_none_is_offered(make_kit: Make) -> None:
    kit, _, started = lost(make_kit, public_url="http://127.0.0.1:8080")
    page = Page(kit, started)
    assert page.see()["offers"] == ["app"]
    assert code_of(page("/second-step/passkey")) == (409, "not_offered")
    assert code_of(page("/second-step/passkey/verify", ACTS["/second-step/passkey/verify"])) == (409, "wrong_state")
    assert code_of(page.client.post("/sign-in/passkey/challenge")) == (409, "not_offered")
    assert code_of(page.client.post("/sign-in/passkey", {"ticket": "t" * 32, "credential": "{}"})) == (401, "wrong")


@pytest.mark.covers("N-T6")
def test_codes_of_the_new_app_are_limited(make_kit: Make) -> None:
    kit, _, started = lost(make_kit)
    page = Page(kit, started)
    new = page("/second-step/app").json()
    for _ in range(25):
        page("/second-step/app/verify", {"id": new["id"], "code": "000000"})
    right = pyotp.TOTP(new["seed"]).at(kit.clock() // 1000)
    answer = page("/second-step/app/verify", {"id": new["id"], "code": right})
    assert answer.status_code in (422, 429)
    assert page.see()["state"] == "second_step_due"


# ── a lost mailbox ──────────────────────────────────────────────────────────


@pytest.mark.covers("N-R7", "N-R12", "E1")
def test_a_mailbox_gives_way_to_one_that_answered(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    started = by_phone(kit, tray)
    page = Page(kit, started)
    assert (page.see()["state"], page.see()["reason"]) == ("need_more", "hold")
    assert code_of(page("/mailbox/new", {"address": "maya.new@example.net"})) == (409, "wrong_state"), "not in the hold"
    waited(kit)
    due = page.see()
    assert (due["state"], due["mailboxes"], due["asked"]) == ("mailbox_due", [], None)
    for bad in ("nonsense", "a b@example.org,c@example.org"):
        assert code_of(page("/mailbox/new", {"address": bad})) == (422, "not_mail")
    assert code_of(page("/mailbox/new", {"address": "maya@example.com"})) == (422, "known")
    asked = page("/mailbox/new", {"address": "maya.new@example.net"})
    assert asked.status_code == 202
    of = asked.json()["id"]
    assert page.see()["asked"] == {"id": of, "address": "maya.new@example.net"}
    drain(kit)
    code = tray.messages[-1].content.code
    assert isinstance(code, Secret)
    wrong = f"{(int(code.reveal()) + 1) % 10**6:06}"
    assert code_of(page("/mailbox/verify", {"id": of, "code": wrong})) == (422, "wrong_code")
    assert code_of(page("/mailbox/verify", {"id": "y" * 16, "code": code.reveal()})) == (409, "wrong_state")
    done = page("/mailbox/verify", {"id": of, "code": code.reveal()})
    assert done.json()["remedied"] == "mailbox_replaced", done.text
    found = kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0]
    assert [c.address for c in found.contacts] == ["maya.new@example.net"]
    assert code_of(page("/mailbox/new", {"address": "x@example.net"})) == (409, "wrong_state")


def test_a_confirmed_mailbox_takes_its_place_at_once(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    second = add_contact(kit, "mail", "maya@home.example.net")
    foreign = add_contact(kit, "mail", "omar@home.example.net", who="omar")
    page = Page(kit, by_phone(kit, tray))
    waited(kit)
    assert page.see()["mailboxes"] == [{"id": second, "hint": "m•••@home.example.net"}]
    assert code_of(page("/mailbox", {"mailbox": foreign})) == (422, "unknown_mailbox")
    assert page("/mailbox", {"mailbox": second}).json()["remedied"] == "mailbox_replaced"


@pytest.mark.covers("N-T3")
def test_codes_to_new_addresses_are_limited(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    page = Page(kit, by_phone(kit, tray))
    waited(kit)
    got = [code_of(page("/mailbox/new", {"address": f"m{n}@example.net"}))[0] for n in range(5)]
    assert got == [202, 202, 202, 429, 429]


# ── locked ──────────────────────────────────────────────────────────────────


@pytest.mark.covers("J1", "C-2")
def test_unlocking_leaves_the_password_as_it_is(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    set_password(kit, "maya", OLD)
    page = Page(kit, begun(kit, tray, "locked"))
    due = page.see()
    assert due["state"] == "password_due"
    assert due["unlockable"] == [a["id"] for a in due["accounts"]]
    done = page("/unlock")
    assert (done.json()["state"], done.json()["failed"]) == ("done", []), done.text
    assert [a["username"] for a in done.json()["unlocked"]] == ["maya"]
    assert page.see()["remedied"] == "unlocked"
    assert code_of(page("/unlock")) == (409, "wrong_state")
    assert isinstance(sign_in(kit, "maya", OLD), SignedIn)


# ── afterwards ──────────────────────────────────────────────────────────────


@pytest.mark.covers("E7", "F1")
def test_after_a_new_password_what_was_planted_is_named_and_removed(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    set_password(kit, "maya", OLD)
    planted = add_totp(kit, usable_from=kit.clock() + COOLING_OFF, label="Thief's phone")
    kit.clock.forward(minutes=5)
    page = Page(kit, begun(kit, tray, "password"))
    kit.clock.forward(minutes=6)
    kit.write(evidence.release)
    assert page("/recent-factors/remove", {"factors": [planted]}).json() == {"removed": 0}, "not before"
    client, path = page.client, f"/recoveries/{page.handle}/password"
    body = {"new_password": "supper ladder teapot 7"}
    chosen = client.together([lambda: client.send("POST", path, body, secret=page.secret)])[0]
    assert chosen.status_code == 200, chosen.text
    assert [(f["id"], f["kind"], f["label"]) for f in page.see()["recent_factors"]] == [
        (planted, "totp", "Thief's phone")
    ]
    assert page("/recent-factors/remove", {"factors": ["x", planted]}).json() == {"removed": 1}
    assert page.see()["recent_factors"] == []
    assert isinstance(sign_in(kit, "maya", Secret("supper ladder teapot 7")), SignedIn)


def test_a_task_can_be_seen_asked_for_and_closed(make_kit: Make) -> None:
    kit, tray, _ = guided(make_kit)
    started = ask(kit, "maya")
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    page = Page(kit, started)
    client, path = page.client, f"/recoveries/{page.handle}/password"
    body = {"new_password": "supper ladder teapot 7"}
    client.together([lambda: client.send("POST", path, body, secret=page.secret)])
    task = next(r["task"] for r in page.see()["results"] if r["task"])
    assert (task["state"], task["asked"], task["may_ask"]) == ("open", True, False)
    at = f"/tasks/{task['id']}"
    assert code_of(page(at, {"act": "ask"})) == (409, "too_early")
    kit.clock.forward(hours=2)
    assert page(at, {"act": "ask"}).status_code == 204
    stranger = Page(kit, ask(kit, "maya"))
    assert code_of(stranger(at, {"act": "in"})) == (409, "wrong_state")
    assert page(at, {"act": "in"}).status_code == 204
    assert [r["task"]["state"] for r in page.see()["results"] if r["task"]] == ["done"]


# ── what it tells, and to whom ──────────────────────────────────────────────


@pytest.mark.covers("A1", "J5")
@pytest.mark.parametrize("journey", [j for j in get_args(Journey) if j != "username"])
def test_nothing_tells_known_from_unknown(make_kit: Make, journey: str) -> None:
    """Every act of every journey, for somebody with everything, somebody with nothing, and nobody."""
    kit, _ = kit_of(make_kit)
    add_totp(kit)
    add_contact(kit, "mail", "maya@home.example.net")
    add_contact(kit, "sms", "+8613800000034")
    seen = []
    for who in ("maya", "omar", "nobody-at-all"):
        page = Page(kit, ask(kit, who, journey=journey))
        drain(kit)
        first = page.see()
        assert (first["state"], first["journey"]) == ("waiting", journey)
        assert (first["number"] is None) == (journey == "mailbox")
        first.pop("number")
        answers = [(path, a.status_code, a.text) for path, b in ACTS.items() for a in [page(path, b)]]
        answers += [(n, page(f"/proofs/{n}").status_code, "") for n in ("sms_code", "totp", "recovery_code")]
        answers.append(("recent", 200, page("/recent-factors/remove", {"factors": ["x"]}).text))
        seen.append((first, answers))
    assert all(status == 409 for path, status, _ in seen[0][1] if path in ACTS), seen[0][1]
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.covers("E2", "J3", "INV-I2")
def test_no_act_is_for_another_journey_another_page_or_one_method_too_few(make_kit: Make) -> None:
    kit, tray, started = lost(make_kit)
    owner = Page(kit, started)
    for path in ("/unlock", "/mailbox", "/mailbox/new", "/mailbox/verify"):
        answer = owner(path, ACTS[path])
        assert (code_of(answer), answer.json()["state"]) == ((409, "wrong_state"), "second_step_due"), path
    body = {"new_password": "supper ladder teapot 7"}
    assert code_of(owner("/password", body)) == (409, "wrong_state"), "it was not asked for"
    stranger = ask(kit, "maya", journey="second_factor")
    drain(kit)
    mailed = ask(kit, "maya", journey="second_factor")
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None  # with the mailbox alone
    for other in (Page(kit, stranger), Page(kit, mailed)):
        for path, sent in ACTS.items():
            if "second-step" in path:
                assert code_of(other(path, sent)) == (409, "wrong_state"), path
    assert kinds(kit) == ["recovery_codes", "totp"]


@pytest.mark.covers("C9", "E2")
def test_the_secret_of_another_recovery_opens_none_of_it(make_kit: Make) -> None:
    kit, _, started = lost(make_kit)
    page, other = Page(kit, started), Page(kit, ask(kit, "omar"))
    for path, body in [*ACTS.items(), ("/recent-factors/remove", {"factors": ["x"]})]:
        at = f"/recoveries/{page.handle}{path}"
        answers = [page.client.post(at, body, secret=s) for s in ("", "x" * 43, other.secret)]
        assert {code_of(a) for a in answers} == {(401, "unauthorized")}, path
        assert len({a.text for a in answers}) == 1


@pytest.mark.covers("B1", "B15")
def test_bodies_are_strict(make_kit: Make) -> None:
    kit, _, started = lost(make_kit)
    page = Page(kit, started)
    for path, body in ACTS.items():
        for bad in ({"more": 1}, {**(body or {}), "more": "x"}, dict.fromkeys(body or {"x": 1}, 1)):
            assert page(path, bad).status_code == 422, (path, bad)
    assert page("/mailbox/new", {"address": ""}).status_code == 422
    assert page("/second-step/app/verify", {"id": "", "code": "1"}).status_code == 422, "what it is for has to be named"
