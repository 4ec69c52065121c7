"""The API's main job, on both databases, and every way through and round a recovery."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keyback.application.clock import wall_clock
from keyback.application.ports.storage import Imported, ImportedAccount
from keyback.domain.recovery import case as dc
from keyback.testing.mailbox import Mailbox
from keyback.web.api import recoveries
from keyback.web.api.app import make_api
from keyback.web.app import make_context
from keyback.web.http.problems import TITLES
from tests.support import api_client
from tests.support.api_client import NEW, Client, Recovery
from tests.support.enrolled import add_codes
from tests.support.kit import Clock, Kit, person

OTHER = "window pepper velvet 31"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as box:
        yield box


@pytest.fixture
def client(make_kit: Callable[..., Kit], mailbox: Mailbox) -> Client:
    client = Client(kit_of(make_kit, mailbox))
    client.people()
    return client


def kit_of(make_kit: Callable[..., Kit], mailbox: Mailbox, **over: Any) -> Kit:
    """A Keyback whose clock starts at the machine's: an intake is stamped by the node that takes it."""
    return make_kit(mail={"port": mailbox.port}, clock=Clock(wall_clock()), **over)


def is_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), body
    assert body["title"] == TITLES.get(status, "Error")
    return body


@pytest.mark.covers("E1", "C9")
def test_from_forgotten_to_signed_in(database_url: str, make_kit: Callable[..., Kit], mailbox: Mailbox) -> None:
    client = Client(kit_of(make_kit, mailbox, url=database_url))
    client.people()
    started = client.post("/recoveries", {"identifier": " MAYA@example.com", "locale": "zh-CN"})
    assert set(started.json()) == {"handle", "secret", "status_url", "expires_at"}
    held = {"secret": started.json()["secret"]}
    path = f"/recoveries/{started.json()['handle']}"
    assert started.json()["status_url"] == client.kit.settings.public_url + "/api/v1" + path

    waiting = client.get(path, **held).json()
    client.drain()
    mail = mailbox.wait_for("maya@example.com")[0]
    assert client.get(path, **held).json() == waiting
    assert (waiting["state"], waiting["journey"], waiting["tries_left"]) == ("waiting", "password", 5)
    assert mail["codes"][0] not in started.text + str(waiting)

    wrong = f"{(int(mail['codes'][0]) + 1) % 10**8:08}"
    body = is_problem(client.post(f"{path}/proofs/email_link/verify", {"code": wrong}, **held), 422, "wrong_code")
    assert body["tries_left"] == 4
    proven = client.post(
        f"{path}/proofs/email_link/verify", {"code": f"{mail['codes'][0][:4]} {mail['codes'][0][4:]}"}, **held
    )
    assert proven.json() == {"state": "password_due"}

    due = client.get(path, **held, accept_language="zh-CN").json()
    assert due["name"] == "Maya"
    assert [(a["system"], a["title"], a["username"]) for a in due["accounts"]] == [("builtin", "Keyback", "maya")]
    assert due["requirements"][0]["code"] == "password_too_short"
    assert any("\u4e00" <= c <= "\u9fff" for c in due["requirements"][0]["text"])

    send = client.send
    chosen = client.together([lambda: send("POST", f"{path}/password", {"new_password": NEW}, **held)])[0]
    assert chosen.status_code == 200, chosen.text
    assert chosen.json()["state"] == "done"
    assert [(r["result"], r["username"], r["signed_out"]) for r in chosen.json()["results"]] == [("done", "maya", True)]
    assert client.get(path, **held).json() == chosen.json()
    # The secret of a recovery opens no session.
    is_problem(client.get("/session", **held), 401, "unauthorized")

    signed_in = client.post("/sign-in", {"identifier": "Maya", "password": NEW})
    session = {"secret": signed_in.json()["session"]}
    seen = client.get("/session", **session).json()
    assert (seen["name"], seen["username"], seen["expires_at"]) == ("Maya", "maya", signed_in.json()["expires_at"])
    assert client.post("/sign-out", **session).status_code == 204
    is_problem(client.get("/session", **session), 401, "unauthorized")
    assert client.post("/sign-out", **session).status_code == 204
    mailbox.wait_for("maya@example.com", 2)


def test_sign_in_refuses_alike(client: Client, make_kit: Callable[..., Kit]) -> None:
    wrong = client.post("/sign-in", {"identifier": "maya", "password": "an older password"})
    nobody = client.post("/sign-in", {"identifier": "nobody", "password": "an older password"})
    unreadable = client.post("/sign-in", {"identifier": "\0", "password": "\0"})
    is_problem(wrong, 401, "wrong")
    assert wrong.headers["www-authenticate"].startswith("Bearer")
    assert wrong.content == nobody.content == unreadable.content
    assert wrong.headers == nobody.headers == unreadable.headers


def test_sign_in_slows_down_and_sheds(client: Client) -> None:
    words = [*["the same again"] * 4, *(f"no {n}" for n in range(5))]
    answers = [client.post("/sign-in", {"identifier": "maya", "password": w}) for w in words]
    assert [a.status_code for a in answers] == [401] * 8 + [429], "the fifth different one makes the next one wait"
    is_problem(answers[-1], 429, "slow_down")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 30


def test_a_full_gate_says_busy(make_kit: Callable[..., Kit]) -> None:
    # Dear enough that all four meet, on a busy machine too.
    dear = {"argon2_t": 12, "argon2_m_kib": 19 * 1024, "memory_budget_mib": 19, "queue": 0}
    client = Client(make_kit(password=dear))
    calls = [lambda: client.send("POST", "/sign-in", {"identifier": "x", "password": "y"})] * 4
    answers = client.together(calls)
    busy = [a for a in answers if a.status_code == 503]
    assert {a.status_code for a in answers} == {401, 503}
    is_problem(busy[0], 503, "busy")
    assert busy[0].headers["retry-after"] == "2"


def test_limits_of_a_network(make_kit: Callable[..., Kit]) -> None:
    client = Client(make_kit(limits={"recoveries": 2, "proofs": 1, "sign_ins": 1, "checks": 1}))
    r = Recovery(client)
    assert r.post("/proofs/email_link").status_code == 202
    assert r.try_code("12345678").status_code == 422
    for answer in (
        client.post("/recoveries", {"identifier": "x"}),
        r.post("/proofs/email_link"),
        r.try_code("12345678"),
        r.post("/password", {"new_password": NEW}),
    ):
        is_problem(answer, 429, "slow_down")
        assert answer.headers["retry-after"] == "60"
    assert [client.post("/passwords/check", {"password": "x"}).status_code for _ in range(2)] == [200, 429]
    assert [client.post("/sign-in", {"identifier": "x", "password": "x"}).status_code for _ in range(2)] == [401, 429]


@pytest.mark.covers("N-R6")
def test_five_tries_then_none(client: Client, mailbox: Mailbox) -> None:
    r = Recovery(client)
    client.drain()
    code = mailbox.wait_for("maya@example.com")[0]["codes"][0]
    not_one = is_problem(r.try_code("1234567"), 422, "not_a_code")
    assert not_one["tries_left"] == 5
    left = [
        is_problem(r.try_code(f"{(int(code) + n) % 10**8:08}"), 422, "wrong_code")["tries_left"] for n in range(1, 6)
    ]
    assert left == [4, 3, 2, 1, 0]
    assert is_problem(r.try_code(code), 429, "no_tries")["tries_left"] == 0
    assert r.see()["tries_left"] == 0


def test_a_further_mail_every_two_minutes(client: Client, mailbox: Mailbox) -> None:
    known, ghost = Recovery(client), Recovery(client, "nobody@example.com")
    for r in (known, ghost):
        before = r.see()
        client.drain()
        early = r.post("/proofs/email_link")
        assert (early.status_code, early.json()) == (202, {"state": "waiting", "resend_at": before["resend_at"]})
    client.kit.clock.forward(minutes=3)
    again = [r.post("/proofs/email_link").json() for r in (known, ghost)]
    assert again[0] == again[1] == {"state": "waiting", "resend_at": known.see()["resend_at"]}
    assert again[0]["resend_at"] > before["resend_at"]
    client.drain()
    assert len(mailbox.wait_for("maya@example.com", 2)) == 2


def test_every_fault_of_a_password_at_once(make_kit: Callable[..., Kit], mailbox: Mailbox) -> None:
    client = Client(kit_of(make_kit, mailbox, password={"preset": "classic"}))
    client.people()
    r = Recovery(client)
    r.prove(mailbox)
    english = is_problem(r.post("/password", {"new_password": "maya"}), 422, "password_refused")
    chinese = r.post("/password", {"new_password": "maya"}, accept_language="zh-CN,en;q=0.5").json()
    codes = [v["code"] for v in english["violations"]]
    assert codes == [v["code"] for v in chinese["violations"]]
    assert codes == [
        "password_too_short", "password_class_upper", "password_class_digit", "password_class_symbol",
        "password_context_word",
    ]  # fmt: skip
    for e, c in zip(english["violations"], chinese["violations"], strict=True):
        assert set(e) == {"code", "text", "suggestion"}
        assert e["text"].isascii() or "’" in e["text"]
        assert any("\u4e00" <= x <= "\u9fff" for x in c["text"])
    assert r.see()["state"] == "password_due"


@pytest.mark.slow
@pytest.mark.covers("E15")
def test_the_same_key_is_the_same_act(client: Client, mailbox: Mailbox) -> None:
    r = Recovery(client)
    r.prove(mailbox)
    first = r.choose(idempotency_key="key-of-this-act-1")
    again = r.choose(idempotency_key="key-of-this-act-1")
    assert (again.status_code, again.json()) == (200, first.json())
    is_problem(r.choose(OTHER, idempotency_key="key-of-another-act"), 409, "already_chosen")
    is_problem(r.choose(OTHER), 409, "already_chosen")
    is_problem(r.choose(OTHER, idempotency_key="short"), 400, "bad_idempotency_key")
    assert client.post("/sign-in", {"identifier": "maya", "password": NEW}).status_code == 200


def test_a_chosen_account_only(client: Client, mailbox: Mailbox) -> None:
    r = Recovery(client)
    r.prove(mailbox)
    account = r.see()["accounts"][0]["id"]
    refused = is_problem(r.choose(body={"accounts": ["01ARZ3NDEKTSV4RRFFQ69G5FAV"]}), 422, "no_accounts")
    assert refused["field"] == "accounts"
    is_problem(r.choose(body={"accounts": []}), 422, "invalid")
    assert [x["account_id"] for x in r.choose(body={"accounts": [account]}).json()["results"]] == [account]


def test_slow_systems_answer_what_is_known(client: Client, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    r = Recovery(client)
    r.prove(mailbox)
    monkeypatch.setattr(recoveries, "WAIT_S", 0.0)
    chosen = r.post("/password", {"new_password": NEW}, idempotency_key="key-of-this-act-1")  # no worker runs
    assert (chosen.status_code, chosen.json()["state"]) == (202, "applying")
    assert [x["result"] for x in chosen.json()["results"]] == ["waiting"]
    assert r.post("/password", {"new_password": NEW}, idempotency_key="key-of-this-act-1").json() == chosen.json()
    is_problem(r.post("/cancel"), 409, "wrong_state")
    client.drain()
    assert r.see()["state"] == "done"


def test_guided_systems_say_what_to_do(make_kit: Callable[..., Kit], mailbox: Mailbox) -> None:
    guide = {"kind": "guided", "title": "Lighthouse", "url": "https://crm.example.com/reset"}
    guide["steps"] = {"en": ["Open it."], "zh_CN": ["打开它。"]}  # type: ignore[assignment]
    systems = {"builtin": {"kind": "builtin", "title": "Keyback"}, "crm": guide}
    client = Client(kit_of(make_kit, mailbox, systems=systems))
    accounts = (
        ImportedAccount(system="builtin", external_id="maya", username="maya"),
        ImportedAccount(system="crm", external_id="7", username="maya.l"),
    )
    client.people(Imported("maya", "Maya", "en", "standard", "active", ("maya@example.com",), accounts))
    r = Recovery(client)
    r.prove(mailbox)
    results = {x["system"]: x for x in r.choose().json()["results"]}
    assert results["builtin"]["result"] == "done"
    assert (results["crm"]["result"], results["crm"]["at"]) == ("yours", None)
    assert (results["crm"]["steps"], results["crm"]["url"]) == (["Open it."], "https://crm.example.com/reset")
    assert r.see(accept_language="zh")["results"][1]["steps"] == ["打开它。"]


def test_more_than_a_mail_is_asked(client: Client, mailbox: Mailbox) -> None:
    client.people(person("olga", tier="mfa"))
    r = Recovery(client, "olga")
    client.drain()
    code = mailbox.wait_for("olga@example.com")[0]["codes"][0]
    assert r.try_code(code).json() == {"state": "need_more"}
    seen = r.see()
    assert (seen["state"], seen["reason"], seen["proofs"]) == ("need_more", "proof", [])
    body = is_problem(r.choose(), 409, "wrong_state")
    assert body["state"] == "need_more"


@pytest.mark.covers("N-R11", "N-R3")
def test_a_saved_code_after_the_mail_leads_through_the_wait(client: Client, mailbox: Mailbox) -> None:
    client.people(person("olga", tier="mfa"))
    codes = add_codes(client.kit, "olga")
    r = Recovery(client, "olga")
    is_problem(r.post("/proofs/nonsense"), 404, "not_found")
    assert r.post("/proofs/recovery_code").status_code == 202  # the same before and after the first proof
    r.prove(mailbox, "olga@example.com")
    way = r.see()["proofs"][0]
    assert way["proof"] == "recovery_code"
    asked = r.post(f"/proofs/recovery_code?target={way['target']}")
    assert (asked.status_code, "form" in asked.json()) == (202, False)
    assert is_problem(r.post("/proofs/recovery_code/verify", {"code": "x"}), 422, "not_a_code")["tries_left"] == 4
    proven = r.post("/proofs/recovery_code/verify", {"code": codes[0]}).json()
    assert proven["state"] == "need_more"
    assert proven["new_code"] not in (codes[0], "")
    seen = r.see()
    assert seen["reason"] == "hold"
    assert seen["hold_until"]
    is_problem(r.choose(), 409, "wrong_state")
    client.kit.write(lambda tx: tx.cases.act(*released(tx)))
    assert r.see()["state"] == "password_due"


def released(tx: Any) -> Any:
    """The one case of the test, and what lets it go on."""
    case = tx.cases.listed(state="on_hold", limit=1)[0]
    return case, dc.decide(case, dc.Release(), case.waiting[0][1])


@pytest.mark.covers("A1", "W-6")
def test_other_ways_answer_alike_for_everybody(client: Client) -> None:
    client.people(person("olga", tier="mfa"))
    add_codes(client.kit, "olga")
    seen = []
    for who in ("olga", "nobody"):
        r = Recovery(client, who)
        client.drain()
        asked = [r.post(f"/proofs/{p}").json() for p in ("recovery_code", "recovery_contact", "totp")]
        client.drain()
        digits = asked[1].pop("form")["digits"]
        assert len(digits) == 4
        shapes = [sorted(a) for a in asked]
        seen.append((shapes, [r.post("/proofs/totp/verify", {"code": "123456"}).json() for _ in range(6)]))
    assert seen[0] == seen[1]


def test_forgotten_user_names_are_mailed_and_nothing_more(client: Client, mailbox: Mailbox) -> None:
    r = Recovery(client, journey="username")
    client.drain()
    mailbox.wait_for("maya@example.com")
    seen = r.see()
    assert (seen["state"], seen["journey"], seen["number"]) == ("waiting", "username", None)
    is_problem(r.try_code("12345678"), 409, "wrong_state")


def test_stopping(client: Client, mailbox: Mailbox) -> None:
    r = Recovery(client)
    client.drain()
    code = mailbox.wait_for("maya@example.com")[0]["codes"][0]
    stopped = r.post("/cancel")
    assert (stopped.status_code, stopped.json()) == (200, {"state": "ended", "reason": "cancelled", "results": []})
    assert r.post("/cancel").json() == stopped.json() == r.see()
    for answer in (r.try_code(code), r.post("/proofs/email_link"), r.choose()):
        assert is_problem(answer, 409, "wrong_state")["state"] == "ended"

    proven = Recovery(client)
    proven.prove(mailbox)
    assert proven.post("/cancel").json() == stopped.json()


def test_time_is_over(client: Client, mailbox: Mailbox) -> None:
    unproven, r = Recovery(client, "nobody"), Recovery(client)
    r.prove(mailbox)
    client.kit.clock.forward(minutes=21)
    assert r.see() == {"state": "ended", "reason": "expired", "results": []}
    is_problem(r.choose(), 409, "wrong_state")
    client.kit.clock.forward(hours=24 * 400)
    assert unproven.see()["reason"] == "expired"
    is_problem(unproven.try_code("12345678"), 409, "wrong_state")
    client.kit.write(lambda tx: tx.purge(intakes_before=2**60, challenges_before=0, dead_before=0, counters_before=0))
    assert unproven.see()["reason"] == "expired"
    is_problem(unproven.post("/proofs/email_link"), 409, "wrong_state")


def test_a_person_who_is_gone_meanwhile(client: Client, mailbox: Mailbox) -> None:
    r = Recovery(client)
    r.prove(mailbox)
    client.people(person("maya", state="disabled"))
    assert r.see() == {"state": "ended", "reason": "closed", "results": []}
    is_problem(r.choose(), 409, "wrong_state")


def test_personal_words_count_for_the_holder_only(client: Client, mailbox: Mailbox) -> None:
    r = Recovery(client)
    candidate = {"password": "maya maya 2026 maya"}

    def codes(body: dict[str, str], secret: str = "") -> list[str]:
        answer = client.post("/passwords/check", body, secret=secret)
        assert answer.status_code == 200, answer.text
        return [v["code"] for v in answer.json()["violations"]]

    with_handle = {**candidate, "handle": r.handle}
    assert "password_context_word" not in codes(candidate)
    assert "password_context_word" not in codes(with_handle, r.secret)
    r.prove(mailbox)
    assert "password_context_word" in codes(with_handle, r.secret)
    is_problem(client.post("/passwords/check", with_handle), 401, "unauthorized")
    is_problem(client.post("/passwords/check", {**candidate, "handle": "short"}), 422, "invalid")
    empty = client.post("/passwords/check", {"password": ""}, accept_language="zh").json()
    assert (empty["strength"], empty["violations"][0]["code"]) == (0, "password_too_short")


def test_the_intake_answers_the_same_when_it_is_routed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    direct = Client(client.kit, make_api(make_context(client.kit.settings, client.kit.services)))
    monkeypatch.setattr(api_client, "BASE", "")
    answer = direct.post("/recoveries", {"identifier": "maya"})
    assert (answer.status_code, set(answer.json())) == (202, {"handle", "secret", "status_url", "expires_at"})
    is_problem(direct.post("/recoveries", {"identifier": ["maya"]}), 422, "not_a_string")
    is_problem(direct.post("/recoveries", raw=b"x", content_type="text/plain"), 415, "unsupported_media_type")
