"""The engine of challenges: a mailed token leads to its page in one look-up; answers are counted, and taken once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.challenges.consume import consume
from keyback.application.challenges.count import allowed
from keyback.application.challenges.issue import draft, issue
from keyback.application.ports.proofs import Enrolments, PendingChallenge, Target, Verdict
from keyback.application.ports.storage import Tx
from keyback.domain.challenges import challenge as ch
from keyback.domain.people.person import Person
from keyback.domain.tokens import token_digest
from keyback.web.portal import link
from tests.support.browser import Browser
from tests.support.enrolled import add_contact, person_id
from tests.support.kit import Kit, person
from tests.support.steps import begin, fit, statements

Make = Callable[..., Kit]
PURPOSES: tuple[Any, ...] = ("recovery", "enrol", "step_up", "sign_in", "cancel")
METHODS = ("recovery_contact", "notice", "account", "address", "sms_code", "passkey")


def somebody(tx: Tx, pid: str) -> Person:
    found = tx.people.person(pid)
    assert found is not None
    return found


@pytest.mark.covers("C5")
def test_every_mailed_token_leads_to_its_page_and_is_looked_up_once(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    pid, browser = person_id(kit), Browser(kit)
    _, mailed, _, stop = begin(kit, tray)

    def token(tx: Tx, purpose: Any, method: str) -> str:
        c = issue(tx, somebody(tx, pid), purpose, method, ch.LINK_LIFE)
        return ch.link_token(tx.seals.derive(ch.key_purpose(method)), c)

    pages = [(mailed, "/link"), (stop, "/stop")]
    for (purpose, method), page in link.PAGES.items():
        if method != ch.EMAIL_LINK:
            pages.append((kit.write(lambda tx, p=purpose, m=method: token(tx, p, m)), page))  # type: ignore[misc]
    for sent, page in pages:
        with statements(kit) as seen:
            where = browser("GET", f"/l/{sent}").headers["location"]
        assert where.partition("?")[0] == page
        assert len([s for s in seen if s.startswith("SELECT prompts.")]) == 1
    assert browser("GET", f"/l/{'A' * 22}").headers["location"].partition("?")[0] == "/link"


def test_whatever_is_mailed_as_a_link_has_a_page() -> None:
    notices = {("cancel", m) for m in ("notice", "account", "address")}
    linked = {(p, m) for p in ("recovery", "enrol") for m in (ch.EMAIL_LINK, ch.RECOVERY_CONTACT)}
    linked |= {("recovery", "choose_again")}
    assert set(link.PAGES) == (linked | notices) - {("enrol", ch.EMAIL_LINK)}
    for purpose, method in link.PAGES:
        assert ch.has_link(ch.Challenge("id", purpose, method, "p", bytes(32), 0, 0, 1))  # type: ignore[arg-type]


def test_a_token_is_told_from_the_one_that_stops(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    handle, mailed, _, stop = begin(kit, fit(kit, person("maya")))
    of = kit.read(lambda tx: tx.challenges.issued(handle, ch.EMAIL_LINK))[0].id
    found = [kit.read(lambda tx, t=t: tx.challenges.by_token(token_digest(t))) for t in (mailed, stop, "x" * 22)]  # type: ignore[misc]
    assert [f and (f.challenge.id, f.stops) for f in found] == [(of, False), (of, True), None]
    assert kit.read(lambda tx: tx.challenges.by_link(token_digest(stop))) is None, "and proves nothing"


@pytest.mark.covers("D1")
def test_one_too_many_is_not_counted(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    assert [kit.write(lambda tx: allowed(tx, "a/total", "a/hour", total=3)) for _ in range(5)] == [True] * 3 + [
        False
    ] * 2
    assert [kit.write(lambda tx: allowed(tx, "b", hour=2)) for _ in range(4)] == [True, True, False, False]
    counts = kit.read(lambda tx: [tx.counters.get(k) for k in ("a/total", "a/hour", "b")])
    assert [(c.total, c.hour) for c in counts] == [(3, 3), (3, 3), (2, 2)]


@pytest.mark.covers("INV-I1")
def test_a_challenge_is_consumed_once_and_not_by_what_was_removed(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    fit(kit, person("maya"))
    pid, contact = person_id(kit), add_contact(kit, "mail", "maya@example.net", "backup")

    def put(tx: Tx) -> PendingChallenge:
        who = somebody(tx, pid)
        c = draft(tx, who, "recovery", "backup_email", ch.SHORT_LIFE, target=contact)
        tx.challenges.issue([c])
        return PendingChallenge(c, Enrolments(who), Target(contact, f"mail:{contact}"), b"")

    first, second = kit.write(put), kit.write(put)
    took = lambda a: kit.write(lambda tx: consume(tx, a, Verdict(a, "ok"), None))  # noqa: E731
    assert [took(first), took(first)] == ["used", "over"]
    kit.write(lambda tx: tx.contacts.remove(contact))
    assert took(second) == "replayed"


def test_many_are_issued_in_one_statement(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    fit(kit, person("maya"))
    pid = person_id(kit)

    def issued(tx: Tx, n: int) -> list[ch.Challenge]:
        who = somebody(tx, pid)
        new = [draft(tx, who, p, m, 1000, handle="h" * 22) for p in PURPOSES for m in METHODS][:n]
        tx.challenges.issue(new)
        return new

    costs = []
    for n in (1, len(PURPOSES) * len(METHODS)):
        with statements(kit) as seen:
            new = kit.write(lambda tx, n=n: issued(tx, n))  # type: ignore[misc]
        costs.append(len([s for s in seen if "INTO prompts" in s]))
        found = kit.read(lambda tx, new=new: tx.challenges.many([c.id for c in new]))  # type: ignore[misc]
        assert {c.id: (c.purpose, c.method, c.nonce) for c in new} == {
            i: (c.purpose, c.method, c.nonce) for i, c in found.items()
        }
    assert costs[0] == costs[1]
