"""What a page shows is what its button does (C24), whatever else was opened in the browser meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from keyback.application.enrolment import contacts
from keyback.application.notifications.account_changes import lock_link
from keyback.application.ports.storage import Tx
from keyback.domain.challenges.challenge import key_purpose, link_token
from keyback.domain.secret import Secret
from keyback.web.ui import links
from tests.support.browser import Browser, opened
from tests.support.enrolled import add_contact, ask_way, person_id
from tests.support.kit import Kit, person
from tests.support.steps import HERE, Tray, ask, case_of, drain, fit, secrets_of, types

Make = Callable[..., Kit]


def two(make_kit: Make, url: str) -> tuple[Kit, Tray]:
    kit = make_kit(url=url)
    return kit, fit(kit, person("siobhan"), person("maya"))


def lock_token(kit: Kit, who: str) -> str:
    pid = person_id(kit, who)

    def notice(tx: Tx) -> str:
        owner = tx.people.person(pid)
        assert owner is not None
        prompt = lock_link(tx, owner, tx.contacts.of_person(pid)[0])
        assert prompt is not None
        tx.challenges.issue([prompt])
        return link_token(tx.seals.derive(key_purpose(prompt.method)), prompt)

    return kit.write(notice)


def locked(kit: Kit) -> list[str]:
    out = []
    for who in ("siobhan", "maya"):
        pid = person_id(kit, who)
        out += [who] if kit.read(lambda tx, p=pid: tx.people.accounts([p])[p][0].state) == "locked" else []  # type: ignore[misc]
    return out


@pytest.mark.covers("C24")
def test_two_notices_in_two_tabs_lock_what_each_shows(make_kit: Make, database_url: str) -> None:
    kit, _ = two(make_kit, database_url)
    browser = Browser(kit)
    first = opened(browser, lock_token(kit, "siobhan"))
    second = opened(browser, lock_token(kit, "maya"))
    assert "siobhan" in first.text
    first.press("/wasnt-me")
    assert locked(kit) == ["siobhan"]
    assert "maya" in browser("GET", second.at).text, "a tab that is loaded again shows what it showed"
    second.press("/wasnt-me")
    assert locked(kit) == ["siobhan", "maya"]


@pytest.mark.covers("C24")
def test_a_form_whose_link_is_gone_or_unnamed_does_nothing(make_kit: Make, database_url: str) -> None:
    kit, _ = two(make_kit, database_url)
    browser = Browser(kit)
    first = opened(browser, lock_token(kit, "siobhan"))
    for _ in range(links.MAX_LINKS):
        last = opened(browser, lock_token(kit, "maya"))
    got = first.press("/wasnt-me")
    assert locked(kit) == []
    assert got.headers["location"] == first.at  # type: ignore[attr-defined]
    assert browser("GET", first.at).status_code == 404
    for of in ("", "x" * 16, "é", last.at.partition("of=")[2][:-1]):
        got = browser("POST", "/wasnt-me", urlencode({"of": of, "take_back": "yes"}))
        assert got.status_code == 303
    assert locked(kit) == []
    assert "siobhan" not in browser("GET", "/wasnt-me").text
    assert len(browser.cookies["keyback-link"].split("~")) == links.MAX_LINKS, "and no browser keeps more"


@pytest.mark.covers("C24", "C5")
@pytest.mark.parametrize("first_pressed", [0, 1])
def test_two_mails_in_two_tabs_each_prove_and_stop_their_own(
    make_kit: Make, database_url: str, first_pressed: int
) -> None:
    kit, tray = two(make_kit, database_url)
    started = [ask(kit, who) for who in ("siobhan", "maya")]
    drain(kit)
    mails = {x.to: secrets_of(x) for x in tray.messages}
    browser = Browser(kit, *started)
    tabs = [opened(browser, mails[f"{who}@example.com"][0]) for who in ("siobhan", "maya")]
    order = (first_pressed, 1 - first_pressed)
    got = tabs[order[0]].press("/link/accept")
    assert got.headers["location"] == f"/r/{started[order[0]].handle}"  # type: ignore[attr-defined]
    assert case_of(kit, started[order[1]].handle) is None
    tabs[order[1]].follow("/link/stop").press("/link/stop")
    case = case_of(kit, started[order[0]].handle)
    assert case is not None
    assert case.state.value == "approved", "what the other tab proved goes on"
    mailed = kit.read(lambda tx: tx.challenges.issued(started[order[1]].handle, "email_link"))
    assert [c.ended for c in mailed] == ["stopped"]


@pytest.mark.covers("C24", "N-R8")
def test_an_invitation_and_a_request_to_vouch_do_not_mix(make_kit: Make, database_url: str) -> None:
    kit, tray = two(make_kit, database_url)
    for who in ("siobhan", "maya"):
        pid = person_id(kit, who)
        owner = kit.read(lambda tx, p=pid: tx.people.person(p))  # type: ignore[misc]
        kit.write(lambda tx, o=owner: contacts.start(tx, o, "helper", "wei@example.com", "Wei", HERE))  # type: ignore[misc]
    drain(kit)
    invited = [token_of(x.content.link) for x in tray.messages if x.kind == "invited"]
    browser = Browser(kit)
    tabs = [opened(browser, t) for t in invited]
    names = ["Siobhan" if "Siobhan" in t.text else "Maya" for t in tabs]
    tabs[0].press("/invited", answer="yes")
    agreed = [n for n in ("Siobhan", "Maya") if roles(kit, n.lower()) == ["primary", "recovery"]]
    assert agreed == [names[0]]
    tabs[1].press("/invited", answer="no")
    assert types(kit).count("helper_declined") == 1
    assert roles(kit, names[1].lower()) == ["primary"]


@pytest.mark.covers("C24", "N-R8")
def test_a_colleague_refuses_whom_the_page_names(make_kit: Make, database_url: str) -> None:
    kit, tray = two(make_kit, database_url)
    for who in ("siobhan", "maya"):
        add_contact(kit, "mail", "wei@example.com", "recovery", who, name="Wei")
        ask_way(kit, ask(kit, who).handle, "recovery_contact")
    browser = Browser(kit)
    tabs = [opened(browser, token_of(x.content.link)) for x in tray.messages if x.kind == "vouch"]
    names = ["Siobhan" if "Siobhan" in t.text else "Maya" for t in tabs]
    assert set(names) == {"Siobhan", "Maya"}
    tabs[0].follow("/vouch/refuse").press("/vouch/refuse")
    open_for = []
    for n in names:
        pid = person_id(kit, n.lower())
        waits = kit.read(lambda tx, p=pid: tx.challenges.live(person_id=p, method="recovery_contact"))  # type: ignore[misc]
        open_for += [n] if waits else []
    assert open_for == [names[1]]


def token_of(link: object) -> str:
    assert isinstance(link, Secret)
    return link.reveal().rsplit("/", 1)[1]


def roles(kit: Kit, who: str) -> list[str]:
    pid = person_id(kit, who)
    return sorted(c.role for c in kit.read(lambda tx: tx.contacts.of_person(pid)))
