"""Small requirements of their own: sessions and who may have one, what the API takes, where randomness comes from."""

from __future__ import annotations

import ast
import base64
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

import keyback
from keyback.application.handles import holds
from keyback.application.ports.enrolment import EnrolsPasskey
from keyback.application.retention import purge
from keyback.application.signin import sessions
from keyback.domain.challenges.challenge import holder_secret
from keyback.domain.policy.rules import PROOFS, Evidence, suffices
from keyback.domain.secret import Secret
from keyback.domain.tokens import same, token_digest
from keyback.domain.units import HOUR
from keyback.settings_sections import Password
from keyback.storage.sql.schema import accounts, credentials, people
from keyback.testing.authenticator import Authenticator
from keyback.web.app import make_app, make_context, openapi
from tests.support.browser import call
from tests.support.enrolled import add_totp, answer_way, ask_way
from tests.support.kit import Kit, person
from tests.support.steps import HERE, NEW, OLD, accept, begin, drain, fit, set_password, sign_in, try_code

Make = Callable[..., Kit]


def owned(make_kit: Make) -> Kit:
    kit = make_kit()
    fit(kit, person("maya"))
    set_password(kit, "maya")
    return kit


def who_is(kit: Kit, token: str) -> Any:
    return kit.read(lambda tx: sessions.session_of(tx, token))


# ── sessions ────────────────────────────────────────────────────────────────


@pytest.mark.covers("N-S2", "A-7.2.1", "A-7.2.3", "A-7.2.4")
def test_every_sign_in_has_a_token_of_its_own_that_the_server_looks_up(make_kit: Make) -> None:
    kit = owned(make_kit)
    tokens = [sign_in(kit, "maya", OLD).token for _ in range(5)]  # type: ignore[union-attr]
    assert len(set(tokens)) == 5
    assert {len(base64.urlsafe_b64decode(t + "=")) for t in tokens} == {32}
    assert all(who_is(kit, t) for t in tokens)
    for t in ("", "x" * 43, tokens[0][:-1], tokens[0] + "A", tokens[0].swapcase()):
        assert who_is(kit, t) is None


@pytest.mark.covers("A-7.2.2", "A-7.2.4")
def test_a_planted_session_is_not_taken_over(make_kit: Make) -> None:
    kit = owned(make_kit)
    app = make_app(make_context(kit.settings, kit.services))
    planted = "A" * 43
    names = ("keyback-session", "__Host-keyback-session")
    headers = {"cookie": "; ".join(f"{n}={planted}" for n in names), "sec-fetch-site": "same-origin"}
    form = {"identifier": "maya", "password": OLD.reveal()}
    got = call(kit, app, "POST", "/sign-in", data=form, headers=headers)
    assert (got.status_code, got.headers["location"]) == (303, "/account")
    (cookie,) = [c for c in got.headers.get_list("set-cookie") if "session=" in c]
    token = cookie.split(";")[0].partition("=")[2]
    assert token != planted
    assert who_is(kit, token) is not None
    assert who_is(kit, planted) is None


@pytest.mark.covers("A-7.3.2", "N-S1")
def test_a_session_ends_after_its_time_however_much_it_is_used(make_kit: Make) -> None:
    kit = owned(make_kit)
    token = sign_in(kit, "maya", OLD).token  # type: ignore[union-attr]
    for _ in range(23):
        kit.clock.forward(minutes=30)
        assert who_is(kit, token) is not None
        kit.write(lambda tx: tx.sessions.touch(token_digest(token)))
    kit.clock.now += HOUR // 2 - 1
    assert who_is(kit, token) is not None
    kit.clock.now += 1
    assert who_is(kit, token) is None


@pytest.mark.covers("A-7.3.1", "N-S1")
def test_a_session_that_nobody_uses_ends_after_an_hour(make_kit: Make) -> None:
    kit = owned(make_kit)
    token = sign_in(kit, "maya", OLD).token  # type: ignore[union-attr]
    kit.clock.now += HOUR - 1
    assert who_is(kit, token) is not None
    kit.clock.now += 1
    assert who_is(kit, token) is None


@pytest.mark.covers("A-7.4.2", "A-8.3.2", "N-R14")
@pytest.mark.parametrize("what", ["person", "account"])
def test_who_is_disabled_is_out_at_once(make_kit: Make, what: str) -> None:
    kit = owned(make_kit)
    token = sign_in(kit, "maya", OLD).token  # type: ignore[union-attr]
    assert who_is(kit, token) is not None
    one = person("maya")
    off = replace(one.accounts[0], state="disabled")
    gone = replace(one, state="disabled") if what == "person" else replace(one, accounts=(off,))
    kit.write(lambda tx: tx.people.save_imported([gone]))
    assert who_is(kit, token) is None
    assert type(sign_in(kit, "maya", OLD)).__name__ == "NotSignedIn"


@pytest.mark.covers("N-S5", "O-F7")
def test_the_secret_of_a_proven_recovery_opens_no_account(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    handle, token, _, _ = begin(kit, tray)
    assert accept(kit, token) is None
    app = make_app(make_context(kit.settings, kit.services))
    held = holder_secret(kit.services.seals.derive("holder"), handle)
    own = {"cookie": f"keyback-recovery={handle}.{held}"}
    assert "new_password" in call(kit, app, "GET", f"/r/{handle}", headers=own).text
    for value in (held, f"{handle}.{held}"):
        names = ("keyback-session", "keyback-recovery", "__Host-keyback-session", "__Host-keyback-recovery")
        headers = {"cookie": "; ".join(f"{n}={value}" for n in names)}
        for path in ("/account", "/account/ways", "/account/contacts", "/account/password", "/account/devices"):
            assert call(kit, app, "GET", path, headers=headers).headers["location"] == "/sign-in", path
        bearer = {"authorization": f"Bearer {value}"}
        assert call(kit, app, "GET", "/api/v1/session", headers=bearer).status_code == 401


@pytest.mark.covers("A-6.3.2")
def test_a_new_installation_has_nobody_in_it(make_kit: Make) -> None:
    kit = make_kit()
    tables = (people, accounts, credentials)
    assert kit.read(lambda tx: [tx.conn.execute(select(t)).first() for t in tables]) == [None, None, None]
    for name in ("admin", "root", "keyback"):
        assert type(sign_in(kit, name, Secret(name))).__name__ == "NotSignedIn"


@pytest.mark.covers("A-16.2.1", "A-16.3.1")
def test_sign_ins_good_and_bad_are_on_record_with_who_when_and_where(make_kit: Make) -> None:
    kit = owned(make_kit)
    sign_in(kit, "maya", NEW)
    kit.clock.forward(minutes=1)
    done = sign_in(kit, "maya", OLD)
    rows = [r for r in kit.read(lambda tx: tx.audit.rows(limit=1000)) if r["type"] in ("sign_in_failed", "signed_in")]
    assert [r["type"] for r in rows] == ["sign_in_failed", "signed_in"]
    assert [r["at"] for r in rows] == [kit.clock.now - 60_000, kit.clock.now]
    for r in rows:
        assert done.person.id in str(r)  # type: ignore[union-attr]
        assert HERE.source in str(r)


# ── interfaces and source ───────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("A-6.4.6")
def test_no_address_of_the_api_sets_a_password_but_those_of_its_owner() -> None:
    takes = set()
    doc = openapi()
    for path, item in doc["paths"].items():
        for method, operation in item.items():
            body = operation.get("requestBody", {}) if isinstance(operation, dict) else {}
            if any("password" in name for name in _fields(doc, body)):
                takes.add(f"{method} {path.removeprefix('/api/v1')}")
    assert takes == {"post /recoveries/{handle}/password", "post /sign-in", "post /passwords/check"}


def _fields(doc: Any, node: Any) -> Iterator[str]:
    """Names of all fields that a body may have."""
    if isinstance(node, dict):
        if "$ref" in node:
            target = doc
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            yield from _fields(doc, target)
        yield from node.get("properties", {})
        for inner in node.values():
            yield from _fields(doc, inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _fields(doc, inner)


OF_THE_SYSTEM = {"UUID", "uuid4"}  # the first only reads; the others of `uuid` are made of clocks and names


@pytest.mark.slow
@pytest.mark.covers("N-T9", "A-6.5.3")
def test_randomness_comes_from_the_system_everywhere_but_in_the_waits_of_the_worker() -> None:
    root = Path(keyback.__file__).parent
    users = set()
    for file in root.rglob("*.py"):
        text = file.read_text("utf-8")
        if "random" not in text and "uuid" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if {"random", "numpy.random"} & set(names):
                users.add(file.relative_to(root).as_posix())
            if file.relative_to(root).parts[0] in {"demo", "testing"}:
                continue  # stand-ins number invented people
            if isinstance(node, ast.ImportFrom) and node.module == "uuid":
                assert {a.name for a in node.names} <= OF_THE_SYSTEM, file
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "uuid":
                assert node.attr in OF_THE_SYSTEM, file
    assert users == {"worker.py"}


@pytest.mark.covers("R-1")
def test_hashing_costs_what_is_recommended_unless_somebody_says_otherwise() -> None:
    p = Password()
    assert (p.argon2_t, p.argon2_m_kib, p.argon2_p) == (3, 64 * 1024, 1)
    assert p.memory_budget_mib * 1024 >= p.argon2_m_kib


# ── passkeys and biometrics ─────────────────────────────────────────────────


@pytest.mark.covers("N-T7", "A-6.5.7")
def test_no_biometrics_reach_us_and_a_passkey_never_stands_alone_in_a_recovery(make_kit: Make) -> None:
    kit = make_kit(public_url="http://localhost:8080")
    assert not [p for p in PROOFS if any(w in p for w in ("face", "finger", "voice", "iris", "biometric"))]
    device, proof = Authenticator("http://localhost:8080", "localhost"), kit.services.proofs["passkey"]
    assert isinstance(proof, EnrolsPasskey)
    challenge = b"c" * 32
    options = proof.registration_options(challenge, b"h" * 32, "maya", "Maya", "Qingyu", ())
    asked = json.loads(options)
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert asked.get("attestation", "none") == "none"
    made = proof.verify_registration(device.create(options), challenge, b"h" * 32)
    assert made is not None
    kept = json.dumps(made.data, default=str)
    key = {"aaguid", "backed_up", "backup_eligible", "credential_id", "public_key", "rp_id", "transports"}
    assert set(made.data) == key | {"user_handle"}, "a key and what it is, no image of anybody"
    assert len(kept) < 2000
    passkey = Evidence("passkey", "bound", "factor:1", 0)
    assert not any(suffices([passkey], tier) for tier in ("mfa", "privileged"))
    shown = [Evidence(p, kind, f"{p}:1", 0) for p, kind in PROOFS.items() if p not in ("passkey", "id_document")]
    for tier in ("standard", "mfa", "privileged"):
        pairs = [(a.proof, b.proof) for a in shown for b in shown if suffices([a, b], tier)]  # type: ignore[arg-type]
        assert ("email_link", "recovery_code") in pairs, "who cannot use biometrics has other ways"


# ── secrets and statements ──────────────────────────────────────────────────


@pytest.mark.covers("A-11.2.4")
def test_codes_and_tokens_are_compared_by_the_one_comparison_that_takes_as_long(
    make_kit: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it rigged to say yes, everything wrong is right: so nothing else decides."""
    kit = make_kit()
    tray = fit(kit, person("maya", tier="mfa"))
    add_totp(kit)
    handle, _, code, _ = begin(kit, tray)
    wrong = f"{(int(code) + 1) % 10**8:08}"
    assert ask_way(kit, handle, "totp")
    seals = kit.services.seals
    assert try_code(kit, handle, wrong) == "wrong_code"
    assert answer_way(kit, handle, "totp", "000000") == "wrong"
    assert not holds(seals, handle, "x")
    assert not same("1", "2")
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: True)
    assert holds(seals, handle, "x")
    assert same("1", "2")
    assert answer_way(kit, handle, "totp", "000000") == "accepted"
    assert try_code(kit, handle, wrong) == "accepted"


@pytest.mark.covers("A-1.2.4")
def test_nothing_that_is_typed_becomes_part_of_a_statement(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    nasty = "x'); DROP TABLE people; --"
    seen: list[str] = []
    engine = kit.services.db.engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", lambda c, cur, statement, *_: seen.append(statement))
    odd = replace(person("maya"), name=nasty, accounts=(replace(person("maya").accounts[0], username=nasty.lower()),))
    tray = fit(kit, odd)
    app = make_app(make_context(kit.settings, kit.services))
    handle, _, _, _ = begin(kit, tray, "maya@example.com")
    held = f"keyback-recovery={handle}.{holder_secret(kit.services.seals.derive('holder'), handle)}"
    for path, form in (
        ("/forgot", {"identifier": nasty}),
        ("/find", {"identifier": nasty, "system": nasty}),
        ("/sign-in", {"identifier": nasty, "password": nasty}),
        ("/sign-in/second", {"proof": nasty, "code": nasty}),
        (f"/r/{handle}/code", {"code": nasty}),
        (f"/r/{handle}/ways/totp", {"target": nasty}),
        (f"/r/{handle}/password", {"new_password": nasty, "accounts": nasty, "submission": nasty}),
        (f"/r/{nasty}/code", {"code": nasty}),
    ):
        headers = {"sec-fetch-site": "same-origin", "cookie": held, "user-agent": nasty}
        assert call(kit, app, "POST", path, data=form, headers=headers).status_code < 500, path
    drain(kit)
    assert len(seen) > 30
    assert [s for s in seen if "drop" in s.lower()] == []
    assert kit.read(lambda tx: tx.people.match(["maya@example.com"]))["maya@example.com"][0].person.name == nasty


@pytest.mark.covers("C-7")
def test_the_audit_log_outlives_every_purge(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    fit(kit, person("maya"))
    set_password(kit, "maya")
    sign_in(kit, "maya", NEW)
    sign_in(kit, "maya", OLD)
    before = kit.read(lambda tx: tx.audit.rows(limit=1000))
    assert len(before) >= 2
    kit.clock.forward(hours=24 * 366 * 3)
    while kit.write(purge):
        pass
    assert kit.read(lambda tx: tx.audit.rows(limit=1000)) == before


# ── what answers tell ───────────────────────────────────────────────────────


@pytest.mark.covers("A-13.4.2", "A-13.4.5", "A-13.4.6")
def test_answers_name_no_version_and_there_is_nothing_to_debug_with(make_kit: Make, monkeypatch: Any) -> None:
    kit = make_kit()
    front: Any = make_app(make_context(kit.settings, kit.services))
    api = next(r.app for r in front._app.routes if getattr(r, "path", "") == "/api/v1")
    assert (front._app.debug, api.debug, api.docs_url, api.redoc_url) == (False, False, None, None)
    for path in (
        "/docs",
        "/redoc",
        "/metrics",
        "/openapi.json",
        "/api/v1/docs",
        "/api/v1/redoc",
        "/debug",
        "/.git/HEAD",
    ):
        assert call(kit, front, "GET", path).status_code == 404, path

    def broken(*_: object) -> None:
        raise RuntimeError("canary of the inside")

    monkeypatch.setattr(sessions, "session_of", broken)
    headers = {"cookie": "keyback-session=" + "A" * 43, "authorization": "Bearer " + "A" * 43}
    for path in ("/", "/account", "/none", "/healthz", "/readyz", "/api/v1/session", "/api/v1/none"):
        got = call(kit, front, "GET", path, headers=headers)
        told = got.text + str(got.headers)
        for name in ("keyback", "fastapi", "starlette", "uvicorn", "sqlalchemy"):
            assert version(name) not in told, (path, name)
        assert "canary" not in told, path
        assert "Traceback" not in told, path
