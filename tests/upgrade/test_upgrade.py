"""An upgrade loses nothing: from a database in the middle of its work, as an earlier version left it.

The fixture is what `make_fixture.py` wrote in a checkout of that version. The tests run in their order: the later ones
move the clock.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pyotp
import pytest
import structlog
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import Engine, MetaData, inspect, select

from keyback.application.enrolment import reminders
from keyback.application.ports.desk_storage import QueueQuery
from keyback.application.recovery import evidence
from keyback.cli import main
from keyback.storage.database import make_engine
from keyback.storage.sql.schema import people
from keyback.testing.authenticator import Authenticator
from tests.support.databases import BACKENDS, empty_postgres
from tests.support.kit import Clock
from tests.upgrade.place import FIXTURE, OFFICE, Browser, Place, opened

KNOWN: dict[str, Any] = json.loads((FIXTURE / "secrets.json").read_text("utf-8"))
# Tables whose rows a later migration carries elsewhere or ends, and why that loses nothing. What is in them is shown
# to go on by the tests below.
MOVED: dict[str, str] = {}
# Columns, as "table.column", that a later migration writes anew for rows that are there, and why.
REWRITTEN: dict[str, str] = {}

Rows = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


@dataclass
class Upgraded:
    """A place that was migrated, with every row as it was before and after."""

    place: Place
    clock: Clock
    before: Rows
    after: Rows


def load(url: str) -> None:
    """Puts the fixture into an empty database."""
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as conn:
            conn.executescript((FIXTURE / "sqlite.sql").read_text("utf-8"))
        return
    engine = make_engine(url)
    with engine.connect().execution_options(writes=True) as conn, conn.begin():
        for line in (FIXTURE / "postgres.sql").read_text("utf-8").splitlines():
            conn.exec_driver_sql(line)
    engine.dispose()


def rows_of(engine: Engine) -> Rows:
    """Every row of every table by its key, whatever the schema is."""
    metadata = MetaData()
    metadata.reflect(engine)
    out: Rows = {}
    with engine.connect() as conn:
        for name, table in metadata.tables.items():
            keys = inspect(engine).get_pk_constraint(name)["constrained_columns"]
            found = conn.execute(select(table)).mappings()
            out[name] = {tuple(row[k] for k in keys): dict(row) for row in found}
    return out


def keyback(*args: str, code: int = 0) -> str:
    """A command of today's version on the old settings."""
    handlers, level = logging.root.handlers[:], logging.root.level
    result = CliRunner().invoke(main, args)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()
    assert result.exit_code == code, (args, result.output, result.exception)
    return result.stdout


@contextmanager
def database(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder}/keyback.sqlite"
    else:
        with empty_postgres(request.getfixturevalue("postgres_server")) as url:
            yield url


@pytest.fixture(scope="module", params=BACKENDS)
def upgraded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    folder = tmp_path_factory.mktemp("upgrade")
    folder.chmod(0o700)
    ring = folder / "keyring"
    ring.write_bytes((FIXTURE / "keyring").read_bytes())
    ring.chmod(0o600)
    clock = Clock(KNOWN["now"])
    with database(request.param, request, folder) as url:
        load(url)
        engine = make_engine(url)
        before = rows_of(engine)
        with opened(folder, clock, url, lambda: keyback("migrate")) as place:
            yield Upgraded(place, clock, before, rows_of(engine))
        engine.dispose()


@pytest.fixture
def place(upgraded: Upgraded) -> Place:
    return upgraded.place


def verify(place: Place, held: dict[str, Any], code: str, proof: str = "email_link") -> str:
    path = f"/recoveries/{held['handle']}/proofs/{proof}/verify"
    answer = place.api("POST", path, {"code": code}, secret=held["secret"], source=OFFICE)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["state"])


def choose(place: Place, held: dict[str, Any]) -> dict[str, Any]:
    """Chooses the new password on the page, and lets the worker put it in place."""
    at = f"/r/{held['handle']}"
    answer = Browser(place, held["cookies"], OFFICE).press(
        at, f"{at}/password", new_password=KNOWN["new"], new_password_again=KNOWN["new"]
    )
    assert answer.status_code == 303, answer.text
    place.drain()
    return place.state(held)


def app_code(place: Place, seed: str = KNOWN["seed"]) -> str:
    return pyotp.TOTP(seed).at(place.clock() // 1000)


def sign_in(place: Place, who: str, password: str, source: str = OFFICE) -> int:
    body = {"identifier": who, "password": password}
    return place.api("POST", "/sign-in", body, source=source).status_code


# ── rows, settings, commands ────────────────────────────────────────────────


@pytest.mark.slow
def test_no_row_and_no_value_is_lost(upgraded: Upgraded) -> None:
    lost = []
    for name, rows in upgraded.before.items():
        if name in MOVED or name == "alembic_version":
            continue
        if name not in upgraded.after:
            lost.append(name)
            continue
        for key, row in rows.items():
            now = upgraded.after[name].get(key)
            if now is None:
                lost.append(f"{name} {key}")
                continue
            lost += [f"{name} {key} {c}" for c in row if f"{name}.{c}" not in REWRITTEN and now.get(c) != row[c]]
    assert lost == []
    assert {"cases", "challenges", "prompts", "outbox", "sessions", "factors"} <= {
        k for k, v in upgraded.before.items() if v
    }


def carried(link: dict[str, Any]) -> dict[str, Any]:
    """A row of `challenges` as one of `prompts`."""
    same = ("id", "case_id", "person_id", "nonce", "key_id", "security_version", "stop_digest", "created_at")
    ends = ("ended", "ended_at", "fetched_at")
    return {
        "purpose": "recovery", "proof": "email_link", "handle": link["intake_id"], "target": link["contact_id"],
        "digest": link["link_digest"], "expires_at": link["link_expires_at"], **{c: link[c] for c in same},
        **{c: link.get(c) for c in ends},
    }  # fmt: skip


def test_every_mailed_link_is_a_challenge_like_any_other(upgraded: Upgraded) -> None:
    links = upgraded.before["challenges"]
    assert any(row["ended"] is None for row in links.values())
    for key, row in links.items():
        assert upgraded.after["prompts"][key] == carried(row)
    assert len(upgraded.after["prompts"]) == len(upgraded.before["prompts"]) + len(links)


def test_the_old_settings_are_taken_and_the_audit_log_verifies(place: Place) -> None:
    keyback("check")
    keyback("audit", "verify")
    assert f"Revision {json.loads(keyback('migrate', '--json'))['after']} already" in keyback("migrate")


def test_operators_see_the_open_cases(place: Place) -> None:
    listed = json.loads(keyback("case", "list", "--json"))
    assert len(listed) == len(json.loads(keyback("case", "list", "--json", "--limit", "10000")))
    assert {"proving", "approved", "applying", "held"} & {c["state"] for c in listed}


# ── who was signed in, or about to be ───────────────────────────────────────


def test_sessions_go_on_and_half_a_sign_in_is_finished(place: Place) -> None:
    assert Browser(place, KNOWN["centre"]["cookies"]).get("/account").status_code == 200
    assert place.api("GET", "/session", secret=KNOWN["session"]["token"]).json()["username"] == "hana"
    browser = Browser(place, KNOWN["half"]["cookies"])
    done = browser.press("/sign-in/second", "/sign-in/second", proof="totp", code=app_code(place))
    assert done.headers["location"] == "/account"


def test_who_guessed_still_waits_and_the_owner_does_not(place: Place) -> None:
    guessed = KNOWN["guessed"]
    assert sign_in(place, guessed["identifier"], KNOWN["password"], guessed["source"]) == 429
    assert sign_in(place, guessed["identifier"], KNOWN["password"]) == 200


# ── recoveries in each state ────────────────────────────────────────────────


def test_a_mailed_link_and_a_mailed_code_are_good(place: Place) -> None:
    link, code = KNOWN["link"], KNOWN["code"]
    browser = Browser(place, link["cookies"])
    done = browser.follow(link["links"][0], "/link", "/link/accept")
    assert done.headers["location"] == f"/r/{link['handle']}"
    assert place.state(link)["state"] == "need_more"  # it waits, as from an unknown place
    assert verify(place, code, code["code"]) == "password_due"


def test_a_link_that_stops_a_recovery_stops_it(place: Place) -> None:
    held, browser = KNOWN["stop"], Browser(place)
    assert browser.follow(held["links"][1], "/stop").status_code == 200
    again = Browser(place, held["cookies"])
    assert "/link/accept" not in again.get(again.open(held["links"][0])).text


def test_codes_that_were_sent_are_good(place: Place) -> None:
    for proof in ("sms_code", "im_message", "backup_email"):
        held = KNOWN[proof]
        assert verify(place, held, held["answer"], proof) in ("need_more", "password_due"), proof
    assert verify(place, KNOWN["totp"], app_code(place), "totp") == "need_more"
    assert place.state(KNOWN["totp"])["reason"] == "hold"  # two proofs, and a browser that nobody knows


def test_a_colleague_who_was_asked_confirms(place: Place) -> None:
    held = KNOWN["colleague"]
    shown = Browser(place, held["cookies"]).get(f"/r/{held['handle']}/ways/recovery_contact").text
    assert held["digits"] in shown
    colleague = Browser(place)
    assert colleague.follow(held["link"], "/vouch", code=held["digits"]).status_code == 200
    assert place.state(held)["state"] != "waiting"


def test_what_is_in_review_stays_so(place: Place) -> None:
    assert place.state(KNOWN["review"])["reason"] == "review"
    (waiting,) = place.read(lambda tx: tx.desk.queue(QueueQuery()))
    assert waiting[0].state == "in_review", "and whoever waits is in the help desk's queue"


def test_a_hold_is_cancelled_by_the_link_that_was_mailed(place: Place) -> None:
    held, browser = KNOWN["cancel"], Browser(place)
    assert place.state(held)["reason"] == "hold"
    assert browser.follow(held["mails"][-1][-1], "/stop").status_code == 200
    assert place.state(held)["state"] == "ended"


def test_a_proven_recovery_chooses_its_password(place: Place) -> None:
    assert choose(place, KNOWN["proven"])["state"] == "done"
    assert sign_in(place, "ines", KNOWN["new"]) == 200


# ── what the worker had before it ───────────────────────────────────────────


def test_jobs_messages_and_requests_that_waited_are_done(place: Place) -> None:
    place.drain()
    results = {r["system"]: r["result"] for r in place.state(KNOWN["applying"])["results"]}
    assert results == {"builtin": "done", "crm": "yours"}
    assert [sign_in(place, "lena", KNOWN[p]) for p in ("new", "password")] == [200, 401]
    for key, who in (("unsent", "omar"), ("asked", "noor")):
        mail = place.mails(f"{who}@qingyu.example")[-1]
        assert verify(place, KNOWN[key], mail["codes"][0]) == "password_due", key
    text = next(m for m in place.phone.messages if m["to"] == "+8613800000010")
    assert verify(place, KNOWN["unsent_text"], text["codes"][0], "sms_code") in ("need_more", "password_due")


# ── the security center ─────────────────────────────────────────────────────


def test_what_was_being_enrolled_is_finished(place: Place) -> None:
    known = KNOWN["centre"]
    browser = Browser(place, known["cookies"])
    done = browser.press(known["pending"], known["pending"], code=known["code"])
    assert done.headers["location"] == "/account/contacts?done=confirmed"
    seed = re.search(r'secret-key"[^>]*>([A-Z2-7 ]+)<', browser.get(known["app"]).text)
    assert seed
    done = browser.press(known["app"], known["app"], code=app_code(place, seed[1].replace(" ", "")))
    assert done.headers["location"] == "/account/ways?done=totp_added"
    friend = Browser(place)
    assert friend.follow(known["invitation"], "/invited", answer="yes").status_code == 200
    assert "Juno Park" in browser.get("/account/contacts").text


def test_what_was_enrolled_is_taken(place: Place) -> None:
    known = KNOWN["centre"]
    for proof in ("recovery_code", "passkey"):
        asked = place.api("POST", "/sign-in", {"identifier": "ivo", "password": KNOWN["password"]}).json()
        step = asked["second_step"]
        answer = known["codes"][0] if proof == "recovery_code" else passkey().get(json.dumps(step["passkey"]))
        body = {"token": step["token"], "proof": proof, "answer": answer}
        assert place.api("POST", "/sign-in/second-step", body).status_code == 200, proof


def passkey() -> Authenticator:
    kept = KNOWN["centre"]["passkey"]
    key = load_pem_private_key(kept["pem"].encode(), None)
    return Authenticator(
        "https://recover.qingyu.example",
        "recover.qingyu.example",
        credential_id=bytes.fromhex(kept["credential_id"]),
        user_handle=bytes.fromhex(kept["user_handle"]),
        _key=key,  # type: ignore[arg-type]
    )


def test_the_link_that_locks_an_account_locks_it(place: Place) -> None:
    browser = Browser(place)
    assert browser.follow(KNOWN["centre"]["lock"], "/wasnt-me").status_code == 200
    assert Browser(place, KNOWN["centre"]["cookies"]).get("/account").headers["location"] == "/sign-in"


# ── later ───────────────────────────────────────────────────────────────────


def test_a_mail_that_the_relay_delayed_goes_out(upgraded: Upgraded) -> None:
    place = upgraded.place
    upgraded.clock.forward(minutes=6)
    place.drain()
    mail = place.mails("paul@qingyu.example")[-1]
    assert verify(place, KNOWN["greylisted"], mail["codes"][0]) == "password_due"


def test_a_hold_ends_when_it_was_to_end(upgraded: Upgraded) -> None:
    place = upgraded.place
    assert place.state(KNOWN["hold"])["reason"] == "hold"
    upgraded.clock.forward(minutes=10)
    place.write(evidence.release)
    assert choose(place, KNOWN["hold"])["state"] == "done"
    assert sign_in(place, "hana", KNOWN["new"]) == 200


def test_security_questions_are_answered_in_a_new_recovery(upgraded: Upgraded) -> None:
    place = upgraded.place
    upgraded.clock.forward(hours=73)  # from when on they may recover
    held = place.api("POST", "/recoveries", {"identifier": "ivo"}, source=OFFICE).json()
    place.drain()
    verify(place, held, place.mails("ivo@qingyu.example")[-1]["codes"][0])
    at = f"/r/{held['handle']}/ways/security_questions"
    browser = Browser(place, {"__Host-keyback-recovery": f"{held['handle']}.{held['secret']}"}, OFFICE)
    browser("POST", at)
    page = unescape(browser.get(at).text)
    words = {"deskmate": "sat next to you", "teacher": "strictest teacher", "toy": "favorite toy"}
    answer = next(KNOWN["centre"]["answers"][k] for k, text in words.items() if text in page)
    assert browser.press(at, f"{at}/answer", code=answer).status_code != 422


def test_a_yearly_reminder_that_was_planned_is_sent(upgraded: Upgraded) -> None:
    place = upgraded.place
    upgraded.clock.forward(hours=24 * 340)
    place.write(reminders.remind)
    place.drain()
    assert "/account/contacts" in place.mails("cora@qingyu.example")[-1]["text"]


@pytest.mark.covers("INV-I8")
def test_the_same_import_changes_nobody_and_the_audit_log_still_verifies(place: Place) -> None:
    """But for their groups, which the version before did not keep: the first import brings them."""
    for changed in (20, 0):
        report = json.loads(keyback("people", "import", str(FIXTURE / "people.csv"), "--json"))
        assert (report["added"], report["changed"], report["bad"]) == (0, changed, 0)
    keyback("audit", "verify")


def test_people_who_were_there_are_no_syncs(place: Place) -> None:
    """Migrations 0014, 0017 and 0018: no sync has met them, so none switches them off, and nobody manages them."""
    systems = {a.system for xs in place.read(lambda tx: tx.people.accounts(_everybody(tx))).values() for a in xs}
    assert systems
    for system in systems:
        live, missing, run = place.read(
            lambda tx, s=system: (tx.syncs.live(s), tx.syncs.count_missing(s, 1), tx.syncs.run(s))
        )
        assert (live > 0, missing, run) == (True, 0, None)
    assert not any(place.read(lambda tx: [tx.people.manager_of(i) for i in _everybody(tx)]))


def _everybody(tx: Any) -> list[str]:
    return [r.id for r in tx.conn.execute(select(people.c.id))]


# ── the version before, on today's schema ───────────────────────────────────


@pytest.mark.parametrize("kind", BACKENDS)
def test_what_the_version_before_writes_is_taken_by_the_new_schema(
    kind: str, request: pytest.FixtureRequest, make_database: Any
) -> None:
    """Every statement of the fixture names its version's columns alone: what is new must not be missed."""
    engine = make_engine(make_database(kind))
    script = (FIXTURE / ("sqlite.sql" if kind == "sqlite" else "postgres.sql")).read_text("utf-8").splitlines()
    begin = next(i for i, x in enumerate(script) if x.startswith("INSERT INTO alembic_version"))
    written = script[begin + 1 :]
    with engine.connect().execution_options(writes=True) as conn, conn.begin():
        for statement in written:
            conn.exec_driver_sql(statement)
    rows = rows_of(engine)
    engine.dispose()
    assert len(written) > 300
    assert all(rows["prompts"][key] == carried(row) for key, row in rows["challenges"].items())
    mailed = {k for k, row in rows["prompts"].items() if row["proof"] == "email_link"}
    assert mailed == set(rows["challenges"])
