"""An operator calls somebody, who sees that it is one of ours where they look anyway."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from keyback.domain.operators.roles import Role
from tests.support.browser import Browser
from tests.support.console import URL, staffed, waits
from tests.support.enrolled import add_contact
from tests.support.kit import Kit
from tests.support.steps import OLD, Tray, ask, case_of, drain, set_password, sign_in, types

Make = Callable[..., Kit]
NOBODY = "No one from us is calling you"


def told(tray: Tray, address: str) -> list[object]:
    return [getattr(m.content, "number", None) for m in tray.messages if m.to == address and m.kind == "call"]


def home_of(kit: Kit, who: str) -> Browser:
    set_password(kit, who, OLD)
    browser = Browser(kit)
    browser.cookies["keyback-session"] = sign_in(kit, who, OLD).token  # type: ignore[union-attr]
    return browser


@pytest.mark.covers("I1", "A-8.2.2")
def test_a_call_is_seen_by_the_person_before_it_is_made(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    add_contact(kit, "im", "omar.farouk", "backup", "omar")
    add_contact(kit, "mail", "noor@example.com", "recovery", "omar", name="Noor")
    kit.clock.forward(hours=73)
    agent, other = staff.add(Role.AGENT), staff.add(Role.SECURITY_OFFICER)
    started = ask(kit, "omar")
    drain(kit)
    omar = home_of(kit, "omar")
    assert NOBODY in omar("GET", "/account").text
    pid = kit.read(lambda tx: tx.people.match(["omar"]))["omar"][0].person.id
    case_id = kit.read(lambda tx: tx.cases.open_of([pid]))[pid].id
    at = f"/console/cases/{case_id}"
    assert agent.post(f"{at}/call", reason="you won a prize").status_code == 422
    got = agent.post(f"{at}/call", reason="security")
    assert got.status_code == 303, got.text
    where = got.headers["location"]
    shown = re.search(r"<output[^>]*>(\d\d)</output>", agent.get(where).text)
    assert shown
    number = shown[1]
    page = omar("GET", "/account").text
    for word in ("Agent", "something unusual", f">{number}<"):
        assert word in page, word
    assert NOBODY not in page
    drain(kit)
    assert told(staff.tray, "omar@example.com") == told(staff.tray, "omar.farouk") == [int(number)]
    assert told(staff.tray, "noor@example.com") == [], "whose call it is not"
    assert other.get(where).status_code == 404
    assert other.post(f"{where}/end").status_code == 404
    # Another call ends the one before; five a day are enough.
    second = agent.post(f"{at}/call", reason="request").headers["location"]
    assert "This call is over" in agent.get(where).text
    agent.post(f"{second}/end")
    assert NOBODY in omar("GET", "/account").text
    last = [agent.post(f"{at}/call", reason="request").status_code for _ in range(4)]
    assert last == [303, 303, 303, 409]
    kit.clock.forward(minutes=16)
    assert NOBODY in omar("GET", "/account").text, "and by itself when its time is over"
    assert {"call_entered", "call_ended"} <= set(types(kit))
    assert case_of(kit, started.handle) is None, "a call proves nothing"


@pytest.mark.covers("INV-I5", "A3")
def test_outside_nobody_learns_of_a_call(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    started, case_id = waits(staff)
    agent = staff.add(Role.AGENT)
    outside, holder = Browser(kit), Browser(kit, started)
    pages = ("/", "/call", "/help", "/sign-in")

    def all_pages() -> list[str]:
        drop = r'data-options="[^"]*"|name="of" value="[^"]*"'
        return [re.sub(drop, "", b("GET", p).text) for b in (outside, holder) for p in pages]

    before = all_pages()
    assert agent.post(f"/console/cases/{case_id}/call", reason="recovery").status_code == 303
    assert all_pages() == before
    assert NOBODY.lower() in before[1].lower()
