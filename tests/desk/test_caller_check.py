"""Somebody calls the help desk: numbers that match, a callback, and what a false caller gets."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.desk import caller_check
from keyback.application.desk.sessions import Actor
from keyback.application.recovery import evidence, methods, recovery_contact
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.start import Started
from keyback.domain.errors import Refusal
from keyback.domain.operators.calls import NUMBERS_AN_HOUR, WRONG_AN_HOUR
from keyback.domain.operators.roles import Role
from tests.support.browser import Browser
from tests.support.console import URL, Console, Staff, staffed
from tests.support.enrolled import add_contact, add_totp, ask_way
from tests.support.kit import Kit
from tests.support.steps import HERE, accept, ask, case_of, drain, secrets_of, statements, types

Make = Callable[..., Kit]
PHONE = "+14155550142"
BURST = 50


def desk(make_kit: Make, url: str | None = None) -> Staff:
    """Omar signs in with an app that he has lost, and has a phone on record."""
    staff = staffed(make_kit(url=url, public_url=URL))
    add_totp(staff.kit, "omar")
    add_contact(staff.kit, "sms", PHONE, "backup", "omar")
    staff.kit.clock.forward(hours=73)
    return staff


def number_on(page: str) -> str:
    found = re.search(r"<output[^>]*>(\d{3}).(\d{3})</output>", page.replace("&nbsp;", " "))
    assert found, page
    return found[1] + found[2]


def calls(kit: Kit, who: str = "omar") -> tuple[Started, Browser, str]:
    """A person who asked and has a number to read out."""
    started = ask(kit, who)
    browser = Browser(kit, started)
    at = f"/r/{started.handle}/call"
    assert "Show my number" in browser("GET", at).text
    assert browser("POST", at).headers["location"] == at
    return started, browser, number_on(browser("GET", at).text)


def check_of(console: Console, number: str) -> str:
    got = console.post("/console/calls", number=f"{number[:3]} {number[3:]}")
    assert got.status_code == 303, got.text
    return got.headers["location"]


def contact_on(page: str) -> str:
    found = re.search(r'name="contact" value="([^"]+)"', page)
    assert found, page
    return found[1]


@pytest.mark.slow
@pytest.mark.covers("I1", "N-R11", "A-8.2.2")
def test_a_caller_is_recovered_by_number_match_a_mail_and_a_second_operator(make_kit: Make, database_url: str) -> None:
    staff = desk(make_kit, database_url)
    kit = staff.kit
    agent, approver = staff.add(Role.AGENT), staff.add(Role.APPROVER)
    started, browser, first = calls(kit)
    drain(kit)
    at = check_of(agent, first)
    page = agent.get(at).text
    assert PHONE in page, "the number on record, to call back"
    assert "omar@example.com" not in page, "and nothing else of the record"
    case_id = kit.read(lambda tx: tx.calls.check(at.rsplit("/", 1)[1])).case_id
    assert "omar@example.com" not in agent.get(f"/console/cases/{case_id}").text
    shown = browser("GET", f"/r/{started.handle}/call").text
    assert "Hang up" in shown
    second = number_on(shown)
    assert second != first
    done = agent.post(f"{at}/number", contact=contact_on(page), number=second)
    assert done.headers["location"] == at
    assert "Caller check passed" in agent.get(at).text
    bench = agent.get(f"/console/cases/{case_id}").text
    assert PHONE in bench, "the gate is open, for whoever passed the check"
    assert "omar@example.com" in bench
    assert PHONE not in approver.get(f"/console/cases/{case_id}").text
    case = case_of(kit, started.handle)
    assert case
    assert case.state == "proving", "a call alone opens nothing"
    assert browser("GET", f"/r/{started.handle}/call").headers["location"] == f"/r/{started.handle}"
    # The mail is the second method; then somebody else approves, and all contacts can cancel for a day.
    token = secrets_of(staff.tray.to("omar@example.com")[-1])[0]
    assert accept(kit, token) is None
    case = case_of(kit, started.handle)
    assert case
    assert case.state == "in_review"
    assert "After a call, someone else" in browser("GET", f"/r/{started.handle}").text
    officer = staff.add(Role.SECURITY_OFFICER)
    agent.confirm()
    sent = {"page": started.handle, "version": str(case.version), "reason": "Called back."}
    assert agent.post(f"/console/cases/{case_id}/approve", **sent).status_code == 403
    approver.confirm()
    got = approver.post(f"/console/cases/{case_id}/approve", **sent)
    assert got.headers["location"].endswith("done=approved"), got.text
    case = case_of(kit, started.handle)
    assert case
    assert case.state == "on_hold"
    assert case.hold_of(started.handle) - kit.clock() > 23 * 3_600_000
    kit.clock.forward(hours=25)
    kit.write(evidence.release)
    assert "Choose a new password" in browser("GET", f"/r/{started.handle}").text
    assert officer.get("/console").status_code in (200, 303)
    kit.clock.forward(hours=2)
    agent.sign_in("agent@example.com")
    assert PHONE not in agent.get(f"/console/cases/{case_id}").text, "the gate closes by itself"


@pytest.mark.covers("I1", "I3")
def test_a_false_caller_is_refused_and_the_person_is_told(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit = staff.kit
    agent, other = staff.add(Role.AGENT), staff.add(Role.SECURITY_OFFICER)
    started, browser, first = calls(kit)
    at = check_of(agent, first)
    assert other.get(at).status_code == 404, "a check is one operator's"
    assert other.post(f"{at}/refuse").status_code == 404
    contact = contact_on(agent.get(at).text)
    for n, status in ((1, 422), (2, 422), (3, 303)):
        got = agent.post(f"{at}/number", contact=contact, number="000000")
        assert got.status_code == status, n
    assert "Caller refused" in agent.get(at).text
    assert agent.post(f"{at}/number", contact=contact, number="000000").status_code == 409
    assert "That check is over" in browser("GET", f"/r/{started.handle}/call").text
    drain(kit)
    told = [m.content.what for m in staff.tray.to("omar@example.com", "asked")]  # type: ignore[attr-defined]
    assert told == ["call_begun", "call_failed"]
    assert all(m.content.stop_link for m in staff.tray.to("omar@example.com", "asked"))  # type: ignore[attr-defined]
    assert {"caller_check_begun", "caller_number_wrong", "caller_check_failed"} <= set(types(kit))
    case = case_of(kit, started.handle)
    assert case is None, "nothing was shown"
    # The second one is refused at once: whoever answered did not call.
    browser("POST", f"/r/{started.handle}/call")
    at = check_of(agent, number_on(browser("GET", f"/r/{started.handle}/call").text))
    page = agent.get(at).text
    assert f'action="{at}/refuse"' not in page, "what ends the check stands on a page of its own"
    assert f'action="{at}/refuse"' in agent.get(f"{at}/refuse").text
    assert agent.post(f"{at}/refuse").headers["location"] == at
    assert agent.get(f"{at}/refuse").headers["location"] == at
    drain(kit)
    assert len(staff.tray.to("omar@example.com", "asked")) == 4


@pytest.mark.covers("INV-I5", "A3", "B7")
def test_a_page_about_nobody_is_called_back_like_any_other(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit = staff.kit
    agent = staff.add(Role.AGENT)

    def steps(who: str) -> tuple[list[str], list[tuple[str, ...]]]:
        pages, sql = [], []
        started = ask(kit, who)
        drain(kit)
        browser, at = Browser(kit, started), f"/r/{started.handle}/call"

        def see(method: str, path: str) -> None:
            with statements(kit) as seen:
                got = browser(method, path)
            sql.append(tuple(seen))
            text = re.sub(r"\d{3}&nbsp;\d{3}", "NUMBER", got.text.replace(started.handle, "HANDLE"))
            text = re.sub(r'(data-version="[a-z]+|"version":"[a-z]+)\d+', r"\1", text)
            pages.append(f"{got.status_code} {text} {sorted(k for k in got.headers if k != 'content-length')}")

        for method, path in (("GET", at), ("POST", at), ("GET", at), ("GET", f"{at}/status")):
            see(method, path)
        check_of(agent, number_on(browser("GET", at).text))
        for path in (at, f"{at}/status"):
            see("GET", path)
        return pages, sql

    known, unknown = steps("omar"), steps("nobody-here")
    assert known[0] == unknown[0]
    assert [Counter(s) for s in known[1]] == [Counter(s) for s in unknown[1]]
    mine = agent.get("/console/calls").text
    last = re.findall(r"/console/calls/([\w-]{22})", mine)[0]
    page = agent.get(f"/console/calls/{last}").text
    assert "No number to call back" in page
    assert agent.post(f"/console/calls/{last}/number", contact="x", number="123456").status_code == 409
    assert agent.post(f"/console/calls/{last}/refuse").status_code == 303


@pytest.mark.slow
@pytest.mark.covers("I1", "N-O3")
def test_numbers_are_short_lived_single_use_and_limited(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit = staff.kit
    agent, second = staff.add(Role.AGENT), staff.add(Role.SECURITY_OFFICER)
    started, browser, first = calls(kit)
    at = f"/r/{started.handle}/call"
    kit.clock.forward(minutes=11)
    assert second.post("/console/calls", number=first).status_code == 422
    assert "That check is over" in browser("GET", at).text
    browser("POST", at)
    newer = number_on(browser("GET", at).text)
    browser("POST", at)
    newest = number_on(browser("GET", at).text)
    assert second.post("/console/calls", number=newer).status_code == 422, "a newer number ends the older one"
    got = browser("POST", at)
    assert got.status_code == 429
    assert "shown several numbers" in got.text
    assert len({first, newer, newest}) == NUMBERS_AN_HOUR
    check = check_of(second, newest)
    assert agent.post("/console/calls", number=newest).status_code == 422, "it works once"
    for _ in range(WRONG_AN_HOUR):
        last = agent.post("/console/calls", number="12345").status_code
    assert last == 429
    assert "Wait an hour" in agent.post("/console/calls", number=newest).text
    kit.clock.forward(minutes=31)
    second.sign_in("security_officer@example.com")
    assert "This check is over" in second.get(check).text
    assert second.post(f"{check}/refuse").status_code == 409


@pytest.mark.covers("A-8.2.2", "I6")
def test_nobody_checks_themselves_or_somebody_above_them(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit = staff.kit
    agent = staff.add(Role.AGENT)
    staff.add(Role.SECURITY_OFFICER, "omar@example.com")
    _, _, number = calls(kit)
    got = agent.post("/console/calls", number=number)
    assert got.status_code == 403
    assert "same or a higher role" in got.text


@pytest.mark.covers("I1")
def test_a_recovery_contact_confirms_where_there_is_no_phone(make_kit: Make) -> None:
    staff = staffed(make_kit(public_url=URL))
    kit = staff.kit
    add_contact(kit, "mail", "noor@example.com", "recovery", "omar", name="Noor")
    kit.clock.forward(hours=73)
    agent = staff.add(Role.AGENT)
    started, _, number = calls(kit)
    at = check_of(agent, number)
    assert "A recovery contact can confirm instead" in agent.get(at).text
    assert agent.post(f"{at}/confirmed").status_code == 409
    ask_way(kit, started.handle, "recovery_contact")
    proof = kit.services.proofs["recovery_contact"]
    (want,) = kit.read(lambda tx: tx.challenges.requested(started.handle))
    shown = kit.read(
        lambda tx: proof.form(
            methods.on_page(tx.seals, want, proof, methods.asked_now(tx, started.handle, proof)), "en"
        )
    )
    link = staff.tray.to("noor@example.com", "vouch")[-1].content.link  # type: ignore[attr-defined]
    here = Here(HERE, kit.services.policy)
    token = link.reveal().rsplit("/", 1)[1]
    done = kit.run(recovery_contact.confirm(kit.services.db, proof, token, str(shown["digits"]), here))
    assert done[0] == "accepted"
    assert "Accept their confirmation" in agent.get(at).text
    assert agent.post(f"{at}/confirmed").headers["location"] == at
    assert "Caller check passed" in agent.get(at).text


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("F10", "INV-I1")
def test_fifty_operators_who_type_one_number_begin_one_check(make_kit: Make, database_url: str) -> None:
    staff = desk(make_kit, database_url)
    kit = staff.kit
    _, _, number = calls(kit)
    policy = kit.services.policy
    actors = [staff.actor(Role.AGENT, f"agent{n}") for n in range(BURST)]

    def begin(actor: Actor) -> Callable[[Any], Any]:
        return lambda tx: caller_check.begin(tx, actor, number, policy)

    begun = [c for c in in_parallel(kit, [begin(a) for a in actors]) if not isinstance(c, str)]
    assert len(begun) == 1
    (check,) = begun
    mine = next(a for a in actors if a.operator.id == check.operator_id)
    phone = kit.read(lambda tx: caller_check.open_check(tx, mine, check.id, policy)).phones[0].id
    second = kit.read(lambda tx: caller_check.look(tx, check.handle)).number

    def take(tx: Any) -> Any:
        return caller_check.take(tx, mine, check.id, phone, second, policy)

    assert Counter(map(str, in_parallel(kit, [take] * BURST))) == {"passed": 1, "over": BURST - 1}
    case = kit.read(lambda tx: tx.cases.get(check.case_id))
    assert [e.proof for e in case.evidence] == ["caller_check"]


def in_parallel(kit: Kit, acts: list[Callable[[Any], Any]]) -> list[Any]:
    async def one(act: Callable[[Any], Any]) -> Any:
        try:
            return await kit.services.db.write(act)
        except Refusal as e:
            return e.code

    async def go() -> list[Any]:
        return await asyncio.gather(*map(one, acts))

    return kit.run(go())  # type: ignore[no-any-return]


@pytest.mark.covers("INV-I3", "F3")
def test_a_phone_that_left_the_record_is_no_evidence_any_more(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit = staff.kit
    _, _, number = calls(kit)
    policy, actor = kit.services.policy, staff.actor(Role.AGENT)
    check = kit.write(lambda tx: caller_check.begin(tx, actor, number, policy))
    assert not isinstance(check, str)
    phone = kit.read(lambda tx: caller_check.open_check(tx, actor, check.id, policy)).phones[0].id
    second = kit.read(lambda tx: caller_check.look(tx, check.handle)).number
    assert kit.write(lambda tx: caller_check.take(tx, actor, check.id, phone, second, policy)) == "passed"
    case = kit.read(lambda tx: tx.cases.get(check.case_id))
    assert [e.channel for e in kit.read(lambda tx: evidence.still_holds(tx, case, check.handle))] == [f"phone:{phone}"]
    off = replace(policy, off=policy.off | {"caller_check"})
    with pytest.raises(Refusal, match="off"):
        kit.write(lambda tx: caller_check.begin(tx, actor, number, off))
    kit.write(lambda tx: tx.contacts.remove(phone))
    assert kit.read(lambda tx: evidence.still_holds(tx, case, check.handle)) == []
