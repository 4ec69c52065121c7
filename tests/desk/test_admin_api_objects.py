"""The admin API for campaigns, requests for help, documents, the outbox and reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.campaigns import lifecycle, run
from keyback.application.desk import keys
from keyback.application.ports.channels import Receipt
from keyback.application.ports.documents import Document
from keyback.application.ports.storage import Tx
from keyback.domain.operators.documents import Review
from keyback.domain.operators.roles import Permission, Role
from tests.support.api_client import Client
from tests.support.console import URL, Staff, staffed, waits
from tests.support.enrolled import person_id
from tests.support.help import REASON, XSS, asks
from tests.support.kit import Kit, person
from tests.support.steps import ask, drain, secrets_of

Make = Callable[..., Kit]
P = Permission
DRAFT = {"name": "Leak of November", "reason": "leak", "per_minute": 600}


def key_for(kit: Kit, *scopes: Permission, name: str = "Ticket desk") -> str:
    made = kit.write(lambda tx: keys.add(tx, name, [s.value for s in scopes]))
    return made.token


@pytest.fixture
def desk(make_kit: Make) -> tuple[Staff, Client]:
    staff = staffed(make_kit(public_url=URL))
    return staff, Client(staff.kit)


def events(kit: Kit, kind: str) -> list[dict[str, Any]]:
    return [e for e in kit.read(lambda tx: tx.audit.rows(0, 2000)) if e["type"] == kind]


# ── campaigns ───────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("A-8.2.1", "H5")
def test_a_program_drafts_a_campaign_that_an_officer_approves(desk: tuple[Staff, Client]) -> None:
    staff, client = desk
    kit = staff.kit
    kit.write(lambda tx: tx.people.save_imported([person(f"p{n:02}") for n in range(6)]))
    token, other = (key_for(kit, P.CAMPAIGNS_VIEW, P.CAMPAIGNS_DRAFT, name=n) for n in ("Alarm", "Other"))
    once = "0123456789abcdef"
    calls = [lambda: client.send("POST", "/admin/campaigns", DRAFT, secret=token, Idempotency_Key=once)] * 50
    got = client.together(calls)
    assert {(g.status_code, g.text) for g in got} == {(201, got[0].text)}
    (made,) = kit.read(lambda tx: tx.campaigns.listed(9))
    at = f"/admin/campaigns/{made.id}"
    while kit.write(run.collect):
        pass
    dry = client.get(at, secret=token).json()
    assert (dry["state"], dry["drafted_by"]["name"], dry["people"]["all"], dry["people"]["waiting"]) == (
        "drafted", "Alarm", 8, 8,
    )  # fmt: skip
    assert client.post(f"{at}/approve", secret=token).status_code == 404, "no such call is made"
    assert client.post(f"{at}/resume", secret=token).json()["code"] == "wrong_state"
    officer = staff.actor(Role.SECURITY_OFFICER).operator
    kit.write(lambda tx: lifecycle.act(tx, officer, made.id, "approve", dry["version"]))
    assert client.post(f"{at}/pause", secret=token, Idempotency_Key=once + "p").status_code == 204
    assert client.get(at, secret=other).json()["state"] == "paused"
    by_another = client.post(f"{at}/resume", secret=other)
    assert (by_another.status_code, by_another.json()["code"]) == (403, "needs_person")
    assert client.post(f"{at}/resume", secret=token).status_code == 204
    kit.write(lambda tx: lifecycle.act(tx, officer, made.id, "pause"))
    assert client.post(f"{at}/resume", secret=token).json()["code"] == "needs_person", "an operator paused it"
    kit.write(lambda tx: lifecycle.act(tx, officer, made.id, "resume"))
    kit.clock.forward(minutes=2)
    drain(kit)
    kit.run(client.worker.drain())
    done = client.get(at, secret=token).json()
    assert (done["state"], done["people"]["sent"], done["seconds_left"]) == ("done", 8, 0)
    assert client.post(f"{at}/stop", secret=token).json()["code"] == "wrong_state"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"per_minute": "600"}, "per_minute"),
        ({"per_minute": 10**9}, "per_minute"),
        ({"older_days": -1}, "older_days"),
        ({"must_renew": 1}, "must_renew"),
        ({"quiet_from": "25:00"}, "quiet_from"),
        ({"reason": "because"}, "reason"),
        ({"system": "moon"}, "system"),
        ({"people": ["x"] * 1001}, "people"),
        ({"people": []}, "people"),
        ({"people": ["nobody@example.com"]}, "people"),
        ({"people": ["\0"]}, "people"),
        ({"name": "\0"}, "name"),
        ({"state": "running"}, ""),
    ],
)
def test_drafts_that_do_not_fit_leave_nothing(desk: tuple[Staff, Client], more: dict[str, Any], field: str) -> None:
    staff, client = desk
    got = client.post("/admin/campaigns", {**DRAFT, **more}, secret=key_for(staff.kit, P.CAMPAIGNS_DRAFT))
    assert got.status_code == 422, got.text
    assert got.json()["errors"][0]["field"] == field
    assert staff.kit.read(lambda tx: tx.campaigns.listed(9)) == []


def test_campaigns_come_in_pages_and_not_without_end(desk: tuple[Staff, Client], monkeypatch: Any) -> None:
    staff, client = desk
    token = key_for(staff.kit, P.CAMPAIGNS_VIEW, P.CAMPAIGNS_DRAFT)
    for _ in range(20):
        assert client.post("/admin/campaigns", DRAFT, secret=token).status_code == 201
    assert client.post("/admin/campaigns", DRAFT, secret=token).json()["code"] == "many_campaigns"
    monkeypatch.setattr("keyback.web.api.admin.campaigns.PAGE", 8)
    seen, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/admin/campaigns?cursor={cursor}", secret=token).json()
        seen += [c["id"] for c in page["items"]]
        cursor = page["next"]
    assert (len(seen), len(set(seen))) == (20, 20)
    for forged in ("x", "!!!!", "OTk5OTk5OTk5OTk5OTk5OTk5LmE", "%00"):
        assert client.get(f"/admin/campaigns?cursor={forged}", secret=token).status_code == 422, forged


# ── requests for help and documents ─────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("N-R1", "A-8.2.2")
def test_a_request_for_help_is_read_masked_and_answered_without_secrets(desk: tuple[Staff, Client]) -> None:
    staff, client = desk
    kit = staff.kit
    browser, at = asks(kit, staff.tray, "omar", reason=f"{REASON} {XSS}")
    handle = at.split("/")[2]
    token, path = key_for(kit, P.CASES_VIEW, P.CASES_WORK), f"/admin/help-requests/{handle}"
    page = client.get("/admin/help-requests", secret=token).json()
    assert [(i["id"], i["username"], i["state"]) for i in page["items"]] == [(handle, "o•••", "open")]
    assert (page["waiting"], page["next"]) == (1, None)
    got = client.get(path, secret=token)
    assert got.json()["contact"] == "o•••@example.net"
    assert "omar.at.home" not in got.text
    assert [p["name"] for p in got.json()["people"]] == ["Omar"]
    for text, code in (("Your password is hunter2!", "has_password"), (" \0 ", "text_empty")):
        refused = client.post(f"{path}/messages", {"text": text}, secret=token)
        assert (refused.status_code, refused.json()["errors"]) == (422, [{"field": "text", "code": code}])
    once = "0123456789abcdef"
    calls = [lambda: client.send("POST", f"{path}/messages", {"text": "Hello."}, secret=token, Idempotency_Key=once)]
    assert {g.status_code for g in client.together(calls * 50)} == {204}
    seen = client.get(path, secret=token).json()
    assert [(x["by"]["name"], x["text"]) for x in seen["messages"]] == [("Ticket desk", "Hello.")]
    assert seen["state"] == "answered"
    assert "Hello." in browser("GET", at).text
    assert client.post(f"{path}/messages", {"text": "x", "close": True}, secret=token).status_code == 422
    staff.actor(Role.AGENT, "omar")
    got = client.post(f"{path}/messages", {"text": "Hello again."}, secret=token)
    assert (got.status_code, got.json()["code"]) == (403, "rank")


@pytest.mark.covers("A-8.2.2")
def test_of_documents_a_program_sees_where_they_stand_and_no_picture(desk: tuple[Staff, Client]) -> None:
    staff, client = desk
    kit = staff.kit
    started, case_id = waits(staff)
    maya, agent = person_id(kit), staff.actor(Role.AGENT).operator
    doc = Document(
        "d" * 22, case_id, maya, started.handle, "passport", "2026-11", "waiting", kit.clock(), kit.clock(),
        digest=b"p" * 32,
    )  # fmt: skip

    def put(tx: Tx) -> None:
        tx.documents.add(doc)
        tx.documents.seal(doc.id, b"JPEG-OF-A-PASSPORT")
        tx.documents.review(doc.id, Review(agent.id, tx.now, "no", at=tx.now))

    kit.write(put)
    token = key_for(kit, P.CASES_VIEW)
    for path in ("/admin/documents", f"/admin/cases/{case_id}/documents"):
        (item,) = client.get(path, secret=token).json()["items"]
        assert (item["id"], item["state"], item["reviewers"], item["decided_at"]) == (doc.id, "waiting", 1, None)
        assert not {"verdict", "reviews", "digest", "image"} & set(item)
    for path in (f"/admin/documents/{doc.id}/image", f"/admin/documents/{doc.id}", f"/admin/documents/{doc.id}/take"):
        assert client.get(path, secret=token).status_code == 404


# ── the outbox and reports ──────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("A-8.2.2")
def test_a_message_that_was_given_up_is_seen_masked_and_sent_again_once(desk: tuple[Staff, Client]) -> None:
    staff, client = desk
    kit = staff.kit
    staff.tray.answer = Receipt("permanent", "refused_recipient")
    kit.clock.forward(hours=73)
    ask(kit, "omar")
    drain(kit)
    secrets = secrets_of(staff.tray.to("omar@example.com")[-1])
    token = key_for(kit, P.OUTBOX_VIEW, P.OUTBOX_RESEND)
    got = client.get("/admin/outbox", secret=token)
    (item,) = got.json()["items"]
    assert (item["what"], item["to"], item["code"], item["person"], item["may_resend"]) == (
        "recovery", "o•••@example.com", "refused_recipient", None, True,
    )  # fmt: skip
    assert not [s for s in (*secrets, "omar@example.com") if s in got.text]
    names = key_for(kit, P.OUTBOX_VIEW, P.PEOPLE_VIEW)
    assert client.get("/admin/outbox?heap=dead", secret=names).json()["items"][0]["person"] == person_id(kit, "omar")
    assert client.get("/admin/outbox?heap=moon", secret=token).status_code == 422
    staff.tray.answer = Receipt("sent")
    path, once = f"/admin/outbox/{item['id']}/resend", "0123456789abcdef"
    assert client.post(path, secret=names).status_code == 403
    calls = [lambda: client.send("POST", path, secret=token, Idempotency_Key=once)] * 50
    assert {g.status_code for g in client.together(calls)} == {204}
    drain(kit)
    assert len(events(kit, "message_sent_again")) == 1
    assert client.get("/admin/outbox", secret=token).json()["items"] == []
    assert client.post(path, secret=token).status_code == 404


@pytest.mark.covers("A-8.2.2")
def test_systems_are_the_console_s_and_no_address_is_told(desk: tuple[Staff, Client]) -> None:
    staff, client = desk
    kit, token = staff.kit, key_for(staff.kit, P.SYSTEMS_VIEW)
    kit.write(lambda tx: tx.system_states.checked("builtin", "bad", "at 10.0.0.7: <b>refused</b>", "Ask."))
    kit.write(lambda tx: tx.system_states.reached("builtin", tx.now - 60_000, tx.now))
    (one,) = client.get("/admin/systems", secret=token).json()["items"]
    assert client.get("/admin/systems/builtin", secret=token).json() == one
    assert (one["state"], one["builtin"], one["check"]["status"], one["tasks"]["open"]) == ("stop", True, "bad", 0)
    assert one["reached_at"] < one["failing_since"]
    assert one["capabilities"]["set_password"] == "native"
    assert "10.0.0.7" not in json.dumps(one), "words of a check may name addresses"
    for wrong in ("nowhere", "x" * 41, "%00", "..%2Fbuiltin"):
        assert client.get(f"/admin/systems/{wrong}", secret=token).status_code in (404, 422), wrong
    assert client.get("/admin/systems", secret=key_for(kit, P.REPORTS_VIEW)).status_code == 403


def test_reports_are_the_console_s_figures(desk: tuple[Staff, Client]) -> None:
    staff, client = desk
    token = key_for(staff.kit, P.REPORTS_VIEW)
    staff.kit.write(lambda tx: tx.reports.add({("2026-11-28", "funnel", "asked"): 7, ("2026-11-28", "causes", "x"): 2}))
    asked = "from=2026-11-01&to=2026-11-30"
    got = client.get(f"/admin/reports?{asked}", secret=token).json()
    assert (got["from"], got["sums"]["funnel"]["asked"], got["sums"]["causes"]["x"]) == ("2026-11-01", 7, "<5")
    table = client.get(f"/admin/reports.csv?{asked}", secret=token)
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert "funnel,asked,,7\r\n" in table.text
    for wrong in ("from=2026-11-31", "from=2026-12-01&to=2026-11-01", "from=2020-01-01&to=2026-11-01", "from=today"):
        got = client.get(f"/admin/reports?{wrong}", secret=token)
        assert (got.status_code, json.loads(got.text)["code"]) == (422, "invalid"), wrong
