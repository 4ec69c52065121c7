"""Contacts that were not confirmed for long: asked about once a year, then they weigh less, then nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from keyback.application.enrolment import contacts, reminders
from keyback.application.policy.coverage import Offer, census
from keyback.domain.errors import Refusal
from keyback.domain.people.ages import DAY, Ages, age_of
from keyback.domain.people.person import Contact
from keyback.domain.policy import rules
from keyback.domain.policy.presets import PRESETS
from keyback.domain.policy.rules import Evidence, Risk, rule, suffices
from keyback.domain.policy.search import search
from keyback.domain.recovery.case import Case
from keyback.domain.secret import Secret
from keyback.settings_policy import make_policy
from keyback.storage import migrate
from keyback.storage.database import make_engine
from keyback.storage.sql.schema import contacts as contacts_table
from tests.support.browser import Browser
from tests.support.enrolled import SMS, add_contact, answer_way, ask_way, person_id
from tests.support.kit import Kit, person
from tests.support.steps import HERE, OLD, Tray, ask, case_of, drain, fit, set_password

Make = Callable[..., Kit]
PHONE = "+8613800138000"


def kit_of(make_kit: Make, url: str | None = None, **over: Any) -> tuple[Kit, Tray]:
    kit = make_kit(url=url, sms=SMS, **over)
    return kit, fit(kit, person("maya"))


def shows(kit: Kit, tray: Tray, name: str, target: str) -> Case | None:
    """A recovery that shows nothing but this; None where nothing was sent."""
    started = ask(kit, "maya")
    drain(kit)
    tray.messages.clear()
    ask_way(kit, started.handle, name, target)
    codes = [x.content.code for x in tray.messages if x.kind in ("sms_code", "mail_code")]
    if not codes:
        return None
    assert isinstance(codes[0], Secret)
    assert answer_way(kit, started.handle, name, codes[0].reveal()) == "accepted"
    return case_of(kit, started.handle)


@pytest.mark.slow
@pytest.mark.covers("F4")
@pytest.mark.parametrize(
    ("channel", "address", "name"), [("sms", PHONE, "sms_code"), ("mail", "maya@home.example.net", "backup_email")]
)
@pytest.mark.parametrize(("days", "state"), [(100, "approved"), (394, "approved"), (400, "proving"), (800, "")])
def test_what_was_enrolled_long_ago_recovers_less_then_nothing(
    make_kit: Make, database_url: str, channel: str, address: str, name: str, days: int, state: str
) -> None:
    kit, tray = kit_of(make_kit, database_url)
    cid = add_contact(kit, channel, address)
    kit.clock.forward(hours=24 * days)
    case = shows(kit, tray, name, cid)
    assert (case.state.value if case else "") == state
    if state == "proving":
        assert case is not None
        assert case.evidence[0].aged
        kit.clock.forward(hours=25)  # strangers' messages have a quota
        again = shows(kit, tray, name, cid)
        assert again is not None
        assert again.state.value == "proving", "answering does not make it young: its next owner would do so"
    pid = person_id(kit)
    kit.write(lambda tx: contacts.still_mine(tx, pid, cid, HERE))
    kit.clock.forward(hours=25)
    fresh = shows(kit, tray, name, cid)
    assert fresh is not None
    assert fresh.state.value == "approved", "its owner, signed in, says that it is still theirs"


@pytest.mark.covers("F4")
def test_using_one_in_time_confirms_it(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    cid = add_contact(kit, "sms", PHONE)
    for _ in range(3):
        kit.clock.forward(hours=24 * 300)
        case = shows(kit, tray, "sms_code", cid)
        assert case is not None
        assert case.state.value == "approved"


@pytest.mark.covers("F4")
def test_nobody_confirms_contacts_of_others(make_kit: Make) -> None:
    kit, _ = kit_of(make_kit)
    kit.write(lambda tx: tx.people.save_imported([person("omar")]))
    cid, omar = add_contact(kit, "sms", PHONE), person_id(kit, "omar")
    with pytest.raises(Refusal, match="not_found"):
        kit.write(lambda tx: contacts.still_mine(tx, omar, cid, HERE))


@pytest.mark.slow
@pytest.mark.covers("F4")
def test_owners_are_asked_once_a_year_and_once_more_before_the_end(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    for address in (PHONE, "+8613800138001"):
        add_contact(kit, "sms", address, confirmed_at=kit.clock())
    told: list[tuple[int, str]] = []
    for day in range(0, 800, 5):
        kit.write(lambda tx: reminders.ask_about_contacts(tx, kit.services.policy.ages))
        drain(kit)
        told += [(day, str(x.content.what)) for x in tray.messages if x.kind == "reminder"]
        tray.messages.clear()
        kit.clock.forward(hours=120)
    assert told == [(365, "contacts"), (730, "contacts_last")], "one for both"


@pytest.mark.covers("F4")
def test_the_primary_address_does_not_age_and_everything_is_still_told() -> None:
    ages, now = Ages(), 3000 * DAY
    old = {"added_at": DAY, "confirmed_at": DAY}
    assert age_of(Contact("1", "p", "mail", "a@example.com", "primary", **old), now, ages) == "fresh"  # type: ignore[arg-type]
    assert age_of(Contact("2", "p", "mail", "b@example.com", "recovery", **old), now, ages) == "over"  # type: ignore[arg-type]
    assert age_of(Contact("3", "p", "sms", PHONE, "backup"), now, ages) == "fresh", "written by the version before"


def _e(proof: str, channel: str, aged: bool) -> Evidence:
    return Evidence(proof, rules.PROOFS[proof], channel, 0, aged=aged)


@pytest.mark.covers("F4")
def test_what_aged_evidence_is_worth() -> None:
    sms, mail, friend = (_e("sms_code", "phone:1", True), _e("backup_email", "mail:2", True),
                         _e("recovery_contact", "contact:3", True))  # fmt: skip
    assert not suffices([sms], "standard")
    assert suffices([sms, mail], "standard")
    assert not suffices([sms, _e("backup_email", "phone:1", True)], "standard")
    assert not suffices([sms, friend], "mfa")
    assert suffices([_e("sms_code", "phone:1", False), friend], "mfa")
    assert suffices([sms, _e("totp", "totp:1", False)], "mfa")
    assert not suffices([sms, mail], "mfa", frozenset({"two_issued_codes"}))
    assert not suffices([sms, _e("id_document", "desk", False)], "mfa")
    fresh = [_e("email_link", "mail:1", False)]
    assert rule([*fresh, sms], "standard", Risk(), rules.Policy()).kind == "hold", "it shortens no wait"


@pytest.mark.slow
@pytest.mark.covers("F4")
def test_the_search_finds_a_rule_that_forgets_ages() -> None:
    def forgetful(evidence: Any, *args: Any, **kw: Any) -> Any:
        return rule([Evidence(e.proof, e.kind, e.channel, e.accepted_at) for e in evidence], *args, **kw)

    preset = PRESETS["nist"]
    fine = {f.claim.id: f for f in search(rules.Policy(), preset, most=2).found}
    assert fine["aged"].holds
    broken = {f.claim.id: f for f in search(rules.Policy(), preset, ruling=forgetful, most=2).found}
    assert not broken["aged"].holds


@pytest.mark.covers("F4")
def test_ages_are_settings(make_kit: Make) -> None:
    kit = make_kit(policy={"contacts_remind_days": 100, "contacts_void_days": 300})
    assert make_policy(kit.settings).ages == Ages(100 * DAY, 130 * DAY, 300 * DAY)


@pytest.mark.covers("F4")
def test_people_without_a_way_back_are_counted_by_age(make_kit: Make) -> None:
    kit, _ = kit_of(make_kit, policy={"floor": "mfa"})
    add_contact(kit, "mail", "friend@example.org", "recovery", name="Wei")
    offer = Offer(kit.services.policy, kit.services.proofs)
    ways = []
    for _ in range(2):
        ways.append(kit.run(census(kit.services.db, offer)).ways["alone"])
        kit.clock.forward(hours=24 * 800)
    assert ways == [1, 0]


@pytest.mark.covers("F4")
def test_an_upgrade_leaves_everybody_time_to_confirm(make_kit: Make, database_url: str) -> None:
    """Contacts of ten years ago, imported ones without any time, and one of yesterday."""
    kit, tray = kit_of(make_kit, database_url)
    add_contact(kit, "sms", PHONE)
    engine = make_engine(database_url)
    with engine.begin() as conn:
        conn.execute(text("DROP INDEX ix_contacts_reminded"))
        conn.execute(text("DROP INDEX ix_contacts_colleagues"))
        conn.execute(text("ALTER TABLE contacts DROP COLUMN confirmed_at"))
        conn.execute(text("ALTER TABLE contacts DROP COLUMN reminded"))
        conn.execute(text("UPDATE contacts SET added_at = 0 WHERE role = 'backup'"))
        conn.execute(text("UPDATE alembic_version SET version_num = '0009'"))
    with engine.connect().execution_options(writes=True) as conn, conn.begin():
        command.upgrade(migrate._config(conn), "0010")
        conn.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": migrate.head()})
    with engine.connect() as conn:
        [at] = conn.execute(text("SELECT confirmed_at FROM contacts WHERE role = 'backup'")).scalars()
        assert conn.execute(text("SELECT confirmed_at FROM contacts WHERE role = 'primary'")).scalar_one() >= 0
    engine.dispose()
    kit.clock.now = at + 305 * DAY  # the day of the upgrade
    pid = person_id(kit)
    [cid] = [c.id for c in kit.read(lambda tx: tx.contacts.of_person(pid)) if c.channel == "sms"]
    for days, kind in ((0, ""), (61, "contacts"), (28, "")):
        kit.clock.forward(hours=24 * days)
        tray.messages.clear()
        kit.write(lambda tx: reminders.ask_about_contacts(tx, kit.services.policy.ages))
        drain(kit)
        assert [str(x.content.what) for x in tray.messages if x.kind == "reminder"] == ([kind] if kind else [])
    case = shows(kit, tray, "sms_code", cid)
    assert case is not None
    assert case.state.value == "approved", "89 days after the upgrade it still weighs fully"


@pytest.mark.covers("F4")
def test_the_owner_presses_still_mine(make_kit: Make) -> None:
    kit = make_kit(sms=SMS)
    fit(kit, person("maya"))
    cid = add_contact(kit, "sms", PHONE)
    set_password(kit, "maya")
    at = f"/account/contacts/{cid}/keep"
    kit.clock.forward(hours=24 * 400)
    assert Browser(kit)("POST", at).headers["location"].startswith("/sign-in")
    browser = Browser(kit)
    browser("POST", "/sign-in", f"identifier=maya&password={OLD.reveal().replace(' ', '+')}")
    first = browser("GET", "/account").text
    assert "Once a year: do these still reach you?" in first, "the page after the sign-in asks"
    assert f'action="{at}"' in first
    page = browser("GET", "/account/contacts").text
    assert "not enough on its own" in page
    assert f'action="{at}"' in page
    assert browser("POST", at).headers["location"] == "/account/contacts?done=kept"
    assert at not in browser("GET", "/account/contacts").text
    assert "Once a year" not in browser("GET", "/account").text, "it is not asked again for another year"
    pid = person_id(kit)
    assert "contact_confirmed" in [h.type for h in kit.read(lambda tx: tx.audit.of_person(pid, 1 << 62, 20))]
    kit.clock.forward(minutes=11)
    assert browser("POST", at).headers["location"].startswith("/account/confirm")


@pytest.mark.covers("F4")
@pytest.mark.parametrize("added", [True, False])
def test_a_contact_without_a_date_gets_one(make_kit: Make, database_url: str, added: bool) -> None:
    """As a node of the version before writes it beside us."""
    kit, _ = kit_of(make_kit, database_url)
    cid = add_contact(kit, "sms", PHONE)
    was = kit.clock.now
    bare: dict[str, int] = {"confirmed_at": 0, **({} if added else {"added_at": 0})}
    kit.write(lambda tx: tx.conn.execute(contacts_table.update().where(contacts_table.c.id == cid).values(**bare)))
    kit.clock.forward(hours=24)
    kit.write(lambda tx: reminders.ask_about_contacts(tx, Ages()))
    row = kit.read(lambda tx: tx.contacts.many([cid])[cid])
    assert row.confirmed_at == (was if added else kit.clock.now)
