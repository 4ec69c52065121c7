"""Second steps of a signed-in person over the API, with an authenticator in software."""

from __future__ import annotations

import json
from typing import Any

import pyotp
import pytest

from keyback.application.signin.step_up import FRESH
from keyback.testing.authenticator import Authenticator
from tests.support.api_client import Client
from tests.support.enrolled import HOME, person_id
from tests.support.kit import Kit, person
from tests.support.remedies import Make, kinds
from tests.support.steps import OLD, drain, fit, set_password


def entered(make_kit: Make, **over: Any) -> tuple[Kit, Any, Client, str]:
    kit = make_kit(public_url=HOME, **over)
    tray = fit(kit, person("maya"), person("omar"))
    set_password(kit, "maya", OLD)
    client = Client(kit)
    session = client.post("/sign-in", {"identifier": "maya", "password": OLD.reveal()}).json()["session"]
    return kit, tray, client, session


def key_for(client: Client, session: str, **over: Any) -> tuple[Authenticator, str, str]:
    asked = client.post("/account/passkeys", secret=session)
    assert asked.status_code == 201, asked.text
    key = Authenticator(**{"origin": HOME, "rp_id": "localhost", **over})
    return key, asked.json()["id"], key.create(json.dumps(asked.json()["options"]))


@pytest.mark.covers("W-1", "N-T3", "E1")
def test_a_passkey_is_added_signs_in_is_a_second_step_and_goes(make_kit: Make, database_url: str) -> None:
    kit, tray, client, session = entered(make_kit, url=database_url)
    before = client.get("/account/factors", secret=session).json()
    assert before == {"factors": [], "offers": ["app", "passkey", "recovery_codes"]}
    key, of, made = key_for(client, session)
    added = client.post(f"/account/passkeys/{of}", {"credential": made, "label": "Laptop"}, secret=session)
    assert (added.status_code, added.json()) == (200, {"result": "added"})
    again = client.post(f"/account/passkeys/{of}", {"credential": made}, secret=session)
    assert (again.status_code, again.json()["code"]) == (409, "over")
    (row,) = client.get("/account/factors", secret=session).json()["factors"]
    assert (row["kind"], row["label"], row["codes_left"]) == ("passkey", "Laptop", None)
    assert row["recovers_from"] > row["added_at"]
    drain(kit)
    assert "passkey_added" in [getattr(x.content, "what", "") for x in tray.messages]

    half = client.post("/sign-in", {"identifier": "maya", "password": OLD.reveal()}).json()
    assert half["code"] == "second_factor_required"
    step = half["second_step"]
    answer = key.get(json.dumps(step["passkey"]))
    body = {"token": step["token"], "proof": "passkey", "answer": answer}
    assert client.post("/sign-in/second-step", body).status_code == 200

    asked = client.post("/sign-in/passkey/challenge").json()
    given = {"ticket": asked["ticket"], "credential": key.get(json.dumps(asked["options"]))}
    alone = client.post("/sign-in/passkey", given)
    assert alone.status_code == 200, alone.text
    mine = alone.json()["session"]
    gone = client.post(f"/account/factors/{row['id']}/remove", secret=mine)
    assert gone.status_code == 204, gone.text
    assert kinds(kit) == []
    asked = client.post("/sign-in/passkey/challenge").json()
    given = {"ticket": asked["ticket"], "credential": key.get(json.dumps(asked["options"]))}
    assert client.post("/sign-in/passkey", given).json()["code"] == "wrong"


@pytest.mark.covers("W-1", "M8")
def test_what_does_not_fit_adds_nothing(make_kit: Make) -> None:
    kit, _, client, session = entered(make_kit)
    for over in ({"origin": "https://evil.example"}, {"rp_id": "evil.example"}, {"flags": 1}):
        _, of, made = key_for(client, session, **over)
        answer = client.post(f"/account/passkeys/{of}", {"credential": made}, secret=session)
        assert (answer.status_code, answer.json()["code"]) == (422, "wrong_passkey"), over
    _, of, made = key_for(client, session)
    for other in ("x", "{}", "[]", made[:-2]):
        assert client.post(f"/account/passkeys/{of}", {"credential": other}, secret=session).status_code in (409, 422)
    assert client.post(f"/account/passkeys/{of}", {"credential": made}, secret=session).json()["code"] == "over"
    assert kinds(kit) == []


def test_an_app_and_codes(make_kit: Make) -> None:
    kit, _, client, session = entered(make_kit)
    new = client.post("/account/apps", secret=session).json()
    at = f"/account/apps/{new['id']}"
    assert client.post(at, {"code": "no"}, secret=session).json()["code"] == "wrong_code"
    code = pyotp.TOTP(new["seed"]).at(kit.clock() // 1000)
    assert client.post(at, {"code": code}, secret=session).status_code == 200
    assert client.post(at, {"code": code}, secret=session).json()["code"] == "over"
    sheet = client.post("/account/recovery-codes", secret=session)
    assert (sheet.status_code, len(sheet.json()["codes"])) == (201, 10)
    rows = client.get("/account/factors", secret=session).json()["factors"]
    assert {(r["kind"], r["codes_left"]) for r in rows} == {("totp", None), ("recovery_codes", 10)}
    assert not any(c in str(rows) for c in sheet.json()["codes"])
    kit.clock.forward(minutes=1)
    half = client.post("/sign-in", {"identifier": "maya", "password": OLD.reveal()}).json()["second_step"]
    body = {"token": half["token"], "proof": "recovery_code", "answer": sheet.json()["codes"][0]}
    assert client.post("/sign-in/second-step", body).status_code == 200


@pytest.mark.covers("A-7.5.1")
def test_a_session_of_long_ago_changes_nothing(make_kit: Make) -> None:
    kit, _, client, session = entered(make_kit)
    kit.clock.forward(minutes=FRESH // 60_000 + 1)
    acts = ["/account/apps", "/account/passkeys", "/account/recovery-codes", f"/account/factors/{'x' * 22}/remove"]
    for path in acts:
        answer = client.post(path, secret=session)
        assert (answer.status_code, answer.json()["code"]) == (403, "step_up"), path
    assert client.get("/account/factors", secret=session).status_code == 200
    for path in [*acts, "/account/factors"]:
        method = "GET" if path == "/account/factors" else "POST"
        assert client.call(method, path, secret="x" * 43).status_code == 401


@pytest.mark.covers("INV-I2")
def test_nobody_removes_or_finishes_what_is_anothers(make_kit: Make) -> None:
    kit, _, client, session = entered(make_kit)
    set_password(kit, "omar", OLD)
    omar = client.post("/sign-in", {"identifier": "omar", "password": OLD.reveal()}).json()["session"]
    _, of, made = key_for(client, session)
    assert client.post(f"/account/passkeys/{of}", {"credential": made}, secret=omar).json()["code"] == "over"
    new = client.post("/account/apps", secret=session).json()
    code = pyotp.TOTP(new["seed"]).at(kit.clock() // 1000)
    assert client.post(f"/account/apps/{new['id']}", {"code": code}, secret=omar).json()["code"] == "over"
    assert client.post(f"/account/apps/{new['id']}", {"code": code}, secret=session).status_code == 200
    pid = person_id(kit)
    (factor,) = kit.read(lambda tx: tx.factors.of_person(pid))
    answer = client.post(f"/account/factors/{factor.id}/remove", secret=omar)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert kinds(kit) == ["totp"]


@pytest.mark.covers("W-6", "A1")
def test_a_challenge_names_nobody_and_wrong_answers_are_one(make_kit: Make) -> None:
    _, _, client, _ = entered(make_kit)
    asked = client.post("/sign-in/passkey/challenge").json()
    assert asked["options"].get("allowCredentials", []) == []
    key = Authenticator(HOME, "localhost")
    unknown = key.get(json.dumps(asked["options"]))
    answers = [
        client.post("/sign-in/passkey", {"ticket": asked["ticket"], "credential": x}) for x in (unknown, "{}", "x")
    ]
    answers.append(client.post("/sign-in/passkey", {"ticket": "A" * 32, "credential": unknown}))
    assert {(a.status_code, a.text) for a in answers} == {(401, answers[0].text)}
