"""The admin API: keys and their scopes, the queue and cases; every route for every scope, from the route table."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import event

from keyback.application.campaigns import lifecycle
from keyback.application.campaigns.lifecycle import Draft
from keyback.application.desk import cases, keys, workbench
from keyback.application.ports.help_requests import HelpRequest
from keyback.application.ports.storage import Job
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.campaigns import Selection
from keyback.domain.operators.keys import FOR_KEYS
from keyback.domain.operators.roles import ALLOWED, Permission, Role
from keyback.domain.units import HOUR
from keyback.web.api.admin.access import AdminRoute, Caller, needs, write_cursor
from keyback.web.api.app import ADMIN, make_api
from tests.support.api_client import Client
from tests.support.console import Staff, staffed, waits
from tests.support.enrolled import person_id
from tests.support.kit import Kit, person
from tests.support.steps import ask

Make = Callable[..., Kit]
P = Permission
NOBODY = "x" * 22
OF_NOBODY = {"cancelRecoveryOf"}  # their bodies name something else that is not there
VIEW, WORK = needs(P.CASES_VIEW), needs(P.CASES_WORK)
ROUTES = [r for router in ADMIN for r in router.routes if isinstance(r, APIRoute)]
WHY = {"reason": "INC-7"}
QUERIES = {"listPeopleInGroup": "group=Sales"}  # what has to be asked for
BODIES: dict[str, dict[str, Any]] = {
    "findPerson": {"q": "omar"},
    "startRecoveryFor": {"journey": "password", **WHY},
    "lockPerson": WHY,
    "endSessionsOf": WHY,
    "cancelRecoveryOf": {"case": NOBODY, **WHY},
    "findCase": {"q": "maya"},
    "answerHelpRequest": {"text": "Ask your manager."},
    "draftCampaign": {"name": "Leak", "reason": "leak"},
    "commentOnCase": {"text": "A note."},
    "setTicket": {"ticket": "INC-1"},
}


def key_for(kit: Kit, *scopes: Permission, days: int = 90) -> str:
    return kit.write(lambda tx: keys.add(tx, "Ticket desk", [s.value for s in scopes], days)).token


def objects(staff: Staff) -> dict[str, str]:
    """One of each that routes name, but for the case."""
    kit = staff.kit
    started = ask(kit, "omar")
    page = HelpRequest(started.handle, b"", "omar", "omar@example.net", "Help.", "en", "open", created_at=kit.clock())
    wanted = Draft("After the break-in", "incident", Selection())
    job = Job("j" * 22, "mail", {"letter": "recovery"}, kit.clock(), kit.clock() + HOUR)

    def make(tx: Any) -> str:
        assert tx.help_requests.add(page)
        tx.outbox.put([job])
        return lifecycle.draft(tx, None, wanted, ()).id

    campaign_id = kit.write(make)
    kit.write(lambda tx: tx.people.save_imported([replace(person("zita"), groups=("Sales",))]))
    who = person_id(kit, "omar")
    known = {"person_id": who, "request_id": started.handle, "campaign_id": campaign_id, "job_id": job.id}
    return {**known, "system": "builtin"}


@pytest.fixture
def desk(make_kit: Make) -> tuple[Staff, Client, str]:
    kit = make_kit()
    staff = staffed(kit)
    return staff, Client(kit), waits(staff)[1]


# ── who may what ────────────────────────────────────────────────────────────


@pytest.mark.covers("A-8.2.1")
def test_every_route_names_a_permission_of_the_one_table() -> None:
    described = {(p, m) for p, ways in make_api(None).openapi()["paths"].items() for m in ways if "/admin" in p}
    assert described == {(r.path, m.lower()) for r in ROUTES for m in r.methods}, "no route is made elsewhere"
    assert [r.path for r in ROUTES if not isinstance(r, AdminRoute)] == []
    named = {r.permission for r in ROUTES if isinstance(r, AdminRoute)} - {P.SIGNED_IN}
    assert named == FOR_KEYS, "each is asked for, and can be given"
    assert {p for some in ALLOWED.values() for p in some} >= FOR_KEYS


def test_a_route_without_a_permission_cannot_be_made() -> None:
    async def forgot() -> None: ...

    with pytest.raises(TypeError, match="one permission"):
        AdminRoute("/admin/forgot", forgot)

    async def two(a: Annotated[Caller, VIEW], b: Annotated[Caller, WORK]) -> None: ...

    with pytest.raises(TypeError, match="one permission"):
        AdminRoute("/admin/two", two)


@pytest.mark.covers("A-8.2.1")
def test_a_key_is_never_given_what_a_person_has_to_answer_for() -> None:
    never = {P.CASES_DECIDE, P.CASES_RECOMMEND, P.CALLS_HANDLE, P.OPERATORS_MANAGE, P.OPERATORS_VOUCH}
    never |= {P.PEOPLE_APPROVE, P.GLASS_BREAK, P.CAMPAIGNS_DECIDE, P.DOCUMENTS_REVIEW, P.TASKS_COMPLETE}
    assert not FOR_KEYS & never


@pytest.mark.slow
@pytest.mark.covers("A-8.2.1", "A-8.2.2", "A-8.3.2")
@pytest.mark.parametrize("scope", sorted(FOR_KEYS))
def test_a_scope_reaches_what_it_names_and_nothing_else(desk: tuple[Staff, Client, str], scope: Permission) -> None:
    staff, client, case_id = desk
    token, known = key_for(staff.kit, scope), {"case_id": case_id, **objects(staff)}
    for route in ROUTES:
        assert isinstance(route, AdminRoute)
        allowed = route.permission in (P.SIGNED_IN, scope)
        (method,) = route.methods
        for there in (True, False):
            path = re.sub(r"\{(\w+)\}", lambda found, t=there: known[found[1]] if t else NOBODY, route.path)  # type: ignore[misc]
            path += f"?{asked}" if (asked := QUERIES.get(str(route.operation_id))) else ""
            body = BODIES.get(str(route.operation_id))
            got = client.call(method, path, body, secret=token)
            assert client.call(method, path, body).status_code == 401, path
            if not allowed:
                assert (got.status_code, got.json()["code"]) == (403, "forbidden"), path
            elif "{" in route.path and (not there or route.operation_id in OF_NOBODY):
                assert got.status_code == 404, path
            else:
                assert got.status_code in (200, 201, 204, 409), (path, got.text)
    denied = [e for e in staff.kit.read(lambda tx: tx.audit.rows(0, 1000)) if e["type"] == "operator_denied"]
    assert denied
    assert staff.kit.read(lambda tx: tx.cases.get(case_id)).state == "in_review"


@pytest.mark.slow
@pytest.mark.covers("A-8.2.2")
def test_no_key_acts_on_an_operator(make_kit: Make) -> None:
    kit = make_kit()
    staff = staffed(kit)
    staff.actor(Role.AGENT, "maya")
    case_id = waits(staff)[1]
    client, token = Client(kit), key_for(kit, P.CASES_VIEW, P.CASES_WORK)
    assert client.get(f"/admin/cases/{case_id}", secret=token).json()["may_act"] is False
    for act, body in (("claim", None), ("comments", {"text": "Hello."})):
        got = client.post(f"/admin/cases/{case_id}/{act}", body, secret=token)
        assert (got.status_code, got.json()["code"]) == (403, "rank")
    assert not kit.read(lambda tx: tx.desk.work(case_id)).claimed_by


def test_what_a_later_version_allows_opens_nothing_here(desk: tuple[Staff, Client, str]) -> None:
    """A key that holds what no key may hold any more, or what is not known, has just the rest."""
    staff, client, _ = desk
    made = staff.kit.write(lambda tx: keys.add(tx, "Old", [P.CASES_VIEW.value]))

    def widen(tx: Any) -> None:
        sql = 'UPDATE operator_keys SET scopes = \'["cases.decide", "cases.view", "moon.land"]\''
        tx.conn.exec_driver_sql(sql)

    staff.kit.write(widen)
    assert client.get("/admin/me", secret=made.token).json()["scopes"] == ["cases.view"]


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("B1", "B15")
def test_no_call_breaks_on_what_nobody_should_send(desk: tuple[Staff, Client, str]) -> None:
    """NUL bytes, wrong types, much too much, and forged cursors: refused or harmless, never a fault of ours."""
    staff, client, case_id = desk
    keys_of = [key_for(staff.kit, *sorted(FOR_KEYS)) for _ in range(3)]
    known, tries = {"case_id": case_id, **objects(staff)}, 0
    for route in ROUTES:
        (method,) = route.methods
        path = re.sub(r"\{(\w+)\}", lambda found: known[found[1]], route.path)
        fit = BODIES.get(str(route.operation_id))
        bodies: list[Any] = [[], "x", 7, {"\0": "x"}] if fit else []
        for name in fit or {}:
            wrong = ("\0", "x\0y", "\ud800", "x" * 60_000, 7, None, True, ["\0"], {"a": 1}, -(2**70), 1.5)
            bodies += [{**(fit or {}), name: w} for w in wrong]
        queries = [
            "",
            "?cursor=%00",
            "?cursor=OTk5OTk5OTk5OTk5OTk5LmE",
            "?cursor=LTEuYQ",
            "?moon=1",
            "?cursor=a&cursor=b",
        ]
        for p in route.dependant.query_params:
            queries += [f"?{p.alias}={w}" for w in ("%00", "x%00y", "%ff", "9" * 30, "x" * 300, "%E2%80%AE")]
        for body in bodies or [None]:
            for query in queries if body in (None, []) else [""]:
                tries += 1
                got = client.call(method, path + query, body, secret=keys_of[tries % 3])
                assert got.status_code < 500, (method, path, query, str(body)[:60], got.text)
    assert tries > 250


@pytest.mark.slow
def test_lists_read_by_an_index_however_long_they_are(desk: tuple[Staff, Client, str]) -> None:
    staff, client, case_id = desk
    token, known = key_for(staff.kit, *sorted(FOR_KEYS)), {"case_id": case_id, **objects(staff)}
    engine, said = staff.kit.services.db.engine, list[tuple[str, Any]]()

    def note(_: Any, __: Any, statement: str, values: Any, *___: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            said.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        for route in ROUTES:
            if "GET" in route.methods:
                path = re.sub(r"\{(\w+)\}", lambda found: known[found[1]], route.path)
                asked = QUERIES.get(str(route.operation_id), "")
                pages = [f"?{asked}"]
                if any(p.alias == "cursor" for p in route.dependant.query_params):
                    pages.append(f"?{asked}&cursor={write_cursor(staff.kit.clock(), 'x' * 22)}")
                for page in pages:
                    assert client.get(path + page, secret=token).status_code == 200, path + page
    finally:
        event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as conn:
        plans = {s: conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {s}", v).all() for s, v in said}
    grows = "cases|people|accounts|contacts|events|outbox|campaigns|campaign_people|documents|help_requests|desk_notes"
    whole = re.compile(rf"SCAN ({grows})(?! USING)\b")
    plain = {s: " | ".join(str(r[3]) for r in rows) for s, rows in plans.items()}
    bad = {s: plan for s, plan in plain.items() if whole.search(plan)}
    assert bad == {}
    assert len(plans) > 20


# ── keys ────────────────────────────────────────────────────────────────────


@pytest.mark.covers("C12")
def test_a_key_is_shown_once_and_kept_as_a_digest(desk: tuple[Staff, Client, str]) -> None:
    staff, client, _ = desk
    officer = staff.actor(Role.SECURITY_OFFICER).operator
    made = staff.kit.write(lambda tx: keys.add(tx, "Ticket desk", ["cases.view"], 30, officer))
    assert re.fullmatch(r"keyback_[a-z2-7]{8}_[A-Za-z0-9_-]{43}", made.token)

    def dump(tx: Any) -> str:
        tables = ("operators", "operator_keys", "events", "outbox")
        return repr([tx.conn.exec_driver_sql(f"SELECT * FROM {t}").all() for t in tables])

    rows = staff.kit.read(dump)
    assert made.token[-43:] not in rows
    assert made.token not in repr(made)
    assert "api_key_added" in rows, "it is in the audit log, and security officers are mailed"
    got = client.get("/admin/me", secret=made.token).json()
    assert (got["name"], got["scopes"]) == ("Ticket desk", ["cases.view"])
    used = staff.kit.read(lambda tx: keys.listed(tx))[0].key
    assert (used.used_from, used.used_at > 0) == ("192.0.2.7", True)


@pytest.mark.covers("A-7.4.2")
def test_keys_expire_are_replaced_and_removed(desk: tuple[Staff, Client, str]) -> None:
    staff, client, _ = desk
    kit = staff.kit

    def status(token: str) -> int:
        return client.get("/admin/me", secret=token).status_code

    first = kit.write(lambda tx: keys.add(tx, "Ticket desk", ["cases.view"], 1))
    wrong = first.token[:-1] + ("A" if first.token[-1] != "A" else "B")
    assert [status(t) for t in (first.token, wrong, "keyback_aaaaaaaa_x", "x")] == [200, 401, 401, 401]
    second = kit.write(lambda tx: keys.rotate(tx, first.key.id, overlap=HOUR))
    assert second.program.id == first.program.id
    assert [status(first.token), status(second.token)] == [200, 200]
    kit.clock.forward(hours=1)
    assert [status(first.token), status(second.token)] == [401, 200]
    kit.clock.forward(hours=23)
    assert status(second.token) == 401
    third = kit.write(lambda tx: keys.rotate(tx, second.key.id, overlap=0))
    assert status(third.token) == 200, "an expired key can be replaced until it is removed"
    for key in (first.key, second.key, third.key):
        kit.write(lambda tx, k=key: keys.remove(tx, k.id))
    assert status(third.token) == 401
    assert kit.read(lambda tx: tx.operators.get(first.program.id)).state == "removed"
    with pytest.raises(Refusal, match="not_found"):
        kit.write(lambda tx: keys.rotate(tx, third.key.id))


@pytest.mark.both
@pytest.mark.covers("A-7.4.2", "A-8.3.2")
def test_what_a_program_had_claimed_is_free_once_its_keys_expired(desk: tuple[Staff, Client, str]) -> None:
    staff, client, case_id = desk
    kit, agent, path = staff.kit, staff.actor(Role.AGENT), f"/admin/cases/{case_id}/claim"
    first = kit.write(lambda tx: keys.add(tx, "Ticket desk", ["cases.work"], 1))
    assert client.post(path, secret=first.token).status_code == 204
    kit.write(lambda tx: keys.rotate(tx, first.key.id))
    kit.write(lambda tx: keys.remove(tx, first.key.id))
    assert kit.write(keys.free_lapsed) == 0, "another key of the same program goes on"
    with pytest.raises(Refusal, match="claimed"):
        kit.write(lambda tx: workbench.claim(tx, agent, case_id))
    kit.clock.forward(hours=24)
    agent = staff.actor(Role.AGENT)
    kit.write(lambda tx: workbench.claim(tx, agent, case_id))
    kit.write(lambda tx: workbench.release(tx, agent, case_id))

    other = kit.write(lambda tx: keys.add(tx, "Bot", ["cases.work"], 1))
    assert client.post(path, secret=other.token).status_code == 204
    kit.clock.forward(hours=24)
    assert client.post(path, secret=other.token).status_code == 401
    assert kit.write(keys.free_lapsed) == 1
    assert not kit.read(lambda tx: tx.desk.work(case_id)).claimed_by
    assert kit.write(keys.free_lapsed) == 0
    told = [e for e in kit.read(lambda tx: tx.audit.rows(0, 1000)) if e["type"] == "api_key_lapsed"]
    assert len(told) == 1


def test_a_key_has_a_name_scopes_and_an_end(make_kit: Make) -> None:
    kit = make_kit()
    for name, scopes, days, code in (
        ("", ["cases.view"], 1, "empty"),
        ("X", [], 1, "scopes"),
        ("X", ["cases.decide"], 1, "scopes"),
        ("X", ["cases.view", "moon.land"], 1, "scopes"),
        ("X", ["cases.view"], 0, "days"),
        ("X", ["cases.view"], 366, "days"),
    ):
        with pytest.raises(BadInput, match=code):
            kit.write(lambda tx, a=(name, scopes, days): keys.add(tx, *a))
    assert kit.read(lambda tx: keys.listed(tx)) == []


def test_a_program_is_no_operator_who_signs_in(desk: tuple[Staff, Client, str]) -> None:
    staff, _, _ = desk
    made = staff.kit.write(lambda tx: keys.add(tx, "Ticket desk", ["cases.view"]))
    assert made.program.id not in {o.id for o in staff.kit.read(lambda tx: tx.operators.listed())}
    browser = staff.add(Role.AGENT)
    assert browser.post("/console/sign-in", email=made.program.mail, password="x", code="000000").status_code == 401


@pytest.mark.covers("D8")
def test_a_key_has_a_limit_of_its_own(make_kit: Make) -> None:
    kit = make_kit(limits={"admin": 4})
    client, one = Client(kit), key_for(kit, P.CASES_VIEW)
    got = [client.get("/admin/me", secret=one).status_code for _ in range(6)]
    assert got == [200] * 4 + [429] * 2


# ── the queue and a case ────────────────────────────────────────────────────


def test_the_queue_comes_in_pages(desk: tuple[Staff, Client, str], monkeypatch: pytest.MonkeyPatch) -> None:
    staff, client, _ = desk
    token = key_for(staff.kit, P.CASES_VIEW)
    page = client.get("/admin/queue", secret=token).json()
    assert [(i["name"], i["username"], i["tier"], i["claimed_by"]) for i in page["items"]] == [
        ("Maya", "m•••", "privileged", None)
    ]
    assert page["next"] is None
    for cursor in ("x", "!!!!", "MTIz", "a" * 101):
        assert client.get(f"/admin/queue?cursor={cursor}", secret=token).status_code == 422, cursor
    assert client.get("/admin/queue?claimed=mine", secret=token).json()["items"] == []
    assert client.get("/admin/queue?recommended=true", secret=token).json()["items"] == []
    assert len(client.get("/admin/queue?claimed=nobody&journey=password", secret=token).json()["items"]) == 1


def test_a_case_is_shown_without_contacts(desk: tuple[Staff, Client, str]) -> None:
    staff, client, case_id = desk
    token = key_for(staff.kit, P.CASES_VIEW)
    got = client.get(f"/admin/cases/{case_id}", secret=token)
    case = got.json()
    assert (case["state"], case["version"], case["may_act"]) == ("in_review", int(got.headers["etag"][1:-1]), True)
    assert "maya@example.com" not in got.text
    assert {e["proof"] for r in case["requests"] for e in r["evidence"]} == {"email_link", "totp"}
    assert client.post("/admin/cases/find", {"q": "maya@example.com"}, secret=token).json() == {"id": case_id}
    assert client.post("/admin/cases/find", {"q": "nobody@example.com"}, secret=token).status_code == 404


def test_a_program_claims_comments_and_names_a_ticket(desk: tuple[Staff, Client, str]) -> None:
    staff, client, case_id = desk
    token = key_for(staff.kit, P.CASES_VIEW, P.CASES_WORK)
    at = f"/admin/cases/{case_id}"
    version = client.get(at, secret=token).headers["etag"]
    assert client.post(f"{at}/claim", secret=token, If_Match='"999"').status_code == 412
    assert client.post(f"{at}/claim", secret=token, If_Match="7").status_code == 400
    assert client.post(f"{at}/claim", secret=token, If_Match=version).status_code == 204
    assert client.post(f"{at}/ticket", {"ticket": "INC-20418"}, secret=token).status_code == 204
    assert client.post(f"{at}/comments", {"text": "  "}, secret=token).json()["errors"] == [
        {"field": "text", "code": "empty"}
    ]
    made = client.post(f"{at}/comments", {"text": "Asked for a call."}, secret=token)
    case = client.get(at, secret=token).json()
    assert (case["claimed_by"]["name"], case["ticket"]) == ("Ticket desk", "INC-20418")
    assert [(c["id"], c["by"]["name"], c["text"]) for c in case["comments"]] == [
        (made.json()["id"], "Ticket desk", "Asked for a call.")
    ]
    agent = staff.actor(Role.AGENT)
    with pytest.raises(Refusal, match="claimed"):
        staff.kit.write(lambda tx: workbench.claim(tx, agent, case_id))
    assert client.post(f"{at}/release", secret=token).status_code == 204
    staff.kit.write(lambda tx: workbench.claim(tx, agent, case_id))
    assert client.post(f"{at}/claim", secret=token).json()["code"] == "claimed"
    seen = staff.kit.read(lambda tx: cases.open_case(tx, agent, case_id, staff.kit.services.policy))
    assert "Ticket desk" in {o.name for o in seen.operators.values()}


@pytest.mark.slow
@pytest.mark.both
def test_an_act_with_an_idempotency_key_happens_once(desk: tuple[Staff, Client, str]) -> None:
    staff, client, case_id = desk
    token, other = key_for(staff.kit, P.CASES_WORK), key_for(staff.kit, P.CASES_WORK)
    path, once = f"/admin/cases/{case_id}/comments", "0123456789abcdef"

    def say(text: str, by: str = token, **more: str) -> Any:
        return client.post(path, {"text": text}, secret=by, **more)

    send = [lambda: client.send("POST", path, {"text": "Once."}, secret=token, Idempotency_Key=once) for _ in range(50)]
    got = client.together(send)
    assert {(g.status_code, g.text) for g in got} == {(201, got[0].text)}
    assert len(staff.kit.read(lambda tx: tx.desk.notes(case_id))) == 1
    assert say("Twice.", Idempotency_Key=once).json()["code"] == "key_of_another_request"
    assert say("Once.", other, Idempotency_Key=once).status_code == 201, "keys of another program are others"
    assert say("Once.", Idempotency_Key="short").status_code == 400
    assert say("", Idempotency_Key="a-refused-one-is-free").status_code == 422
    assert say("Now.", Idempotency_Key="a-refused-one-is-free").status_code == 201
    staff.kit.clock.forward(hours=25)
    staff.kit.write(lambda tx: tx.api_keys.purge(tx.now - 24 * HOUR))
    assert say("Twice.", Idempotency_Key=once).status_code == 201
    assert len(staff.kit.read(lambda tx: tx.desk.notes(case_id))) == 4
