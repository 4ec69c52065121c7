"""One reason for one cause: what a mailed link and its code say when they have ended, and what that costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.recovery import cancel, mailed_link
from keyback.application.signin.sign_in import SignedIn
from keyback.domain.throttling.limits import TRIES_SHOWN
from keyback.web.app import make_app, make_context
from tests.support.browser import call
from tests.support.enrolled import add_contact, answer_way, ask_way, person_id
from tests.support.kit import Kit, person
from tests.support.steps import (
    OLD,
    accept,
    ask,
    begin,
    case_of,
    choose,
    drain,
    fit,
    secrets_of,
    set_password,
    sign_in,
    statements,
    try_code,
)

Make = Callable[..., Kit]


def spent(kit: Kit, handle: str) -> int:
    return int(kit.read(lambda tx: tx.intakes.get(handle)).tries)


def sign_in_elsewhere(kit: Kit, tray: Any, handle: str) -> None:
    assert isinstance(sign_in(kit, "maya", OLD), SignedIn)


def wait_ten_minutes(kit: Kit, tray: Any, handle: str) -> None:
    kit.clock.forward(minutes=11)


def wait_an_hour(kit: Kit, tray: Any, handle: str) -> None:
    kit.clock.forward(minutes=61)


def send_again(kit: Kit, tray: Any, handle: str) -> None:
    kit.clock.forward(minutes=2)
    assert kit.write(lambda tx: mailed_link.ask_again(tx, handle))
    drain(kit)


def use_another(kit: Kit, tray: Any, handle: str) -> None:
    _, newer, _, _ = begin(kit, tray)
    assert accept(kit, newer) is None


def recover_otherwise(kit: Kit, tray: Any, handle: str) -> None:
    other, newer, _, _ = begin(kit, tray)
    assert accept(kit, newer) is None
    case = case_of(kit, other)
    assert case is not None
    choose(kit, case.id)
    drain(kit)


def disable(kit: Kit, tray: Any, handle: str) -> None:
    kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), state="disabled")]))


def move(kit: Kit, tray: Any, handle: str) -> None:
    kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), mails=("maya@example.org",))]))


CAUSES = {
    sign_in_elsewhere: ("changed", "changed", "Your account has changed since this email"),
    move: ("changed", "changed", "Your account has changed since this email"),
    wait_ten_minutes: (None, "expired", ""),
    wait_an_hour: ("expired", "expired", "This link has expired"),
    send_again: ("replaced", "replaced", "There is a newer email"),
    use_another: ("overtaken", "overtaken", "Another request was finished first"),
    recover_otherwise: ("overtaken", "overtaken", "Another request was finished first"),
    disable: ("off", "off", "This account can’t be recovered now"),
}


@pytest.mark.slow
@pytest.mark.covers("C17", "INV-I6")
@pytest.mark.parametrize("cause", CAUSES, ids=lambda c: c.__name__)
def test_each_cause_has_its_reason_and_a_right_code_costs_no_try(make_kit: Make, cause: Any) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    handle, link, code, _ = begin(kit, tray)
    pid = person_id(kit)
    cause(kit, tray, handle)
    of_link, of_code, head = CAUSES[cause]
    assert [try_code(kit, handle, code) for _ in range(TRIES_SHOWN + 2)] == [of_code] * (TRIES_SHOWN + 2)
    assert spent(kit, handle) == 0
    assert kit.read(lambda tx: tx.counters.get(f"code/{pid}")).total == 0
    seen = kit.read(lambda tx: mailed_link.look_at_link(tx, link))
    assert seen.problem == of_link
    app = make_app(make_context(kit.settings, kit.services))
    if head:
        at = call(kit, app, "GET", f"/l/{link}")
        cookie = at.headers["set-cookie"].partition(";")[0]
        page = call(kit, app, "GET", at.headers["location"], headers={"cookie": cookie})
        assert (page.status_code, f"<h1>{head}</h1>" in page.text) == (410, True)
        assert ("newer email" in page.text) is (of_link == "replaced")


def test_the_page_says_what_is_the_matter_with_a_right_code(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    app = make_app(make_context(kit.settings, kit.services))
    form = {"sec-fetch-site": "same-origin"}
    started = call(kit, app, "POST", "/forgot", data={"identifier": "maya"}, headers=form)
    page, cookie = started.headers["location"], started.headers["set-cookie"].partition(";")[0]
    drain(kit)
    code = secrets_of(tray.messages[-1])[1]
    kit.clock.forward(minutes=11)
    got = call(kit, app, "POST", f"{page}/code", data={"code": code}, headers={**form, "cookie": cookie})
    assert "That code has expired. Send a new email" in got.text
    sign_in_elsewhere(kit, tray, "")
    got = call(kit, app, "POST", f"{page}/code", data={"code": code}, headers={**form, "cookie": cookie})
    assert "someone signed in, or the account changed" in got.text
    wrong = f"{(int(code) + 1) % 10**8:08}"
    got = call(kit, app, "POST", f"{page}/code", data={"code": wrong}, headers={**form, "cookie": cookie})
    assert "4 tries left" in got.text
    again = call(kit, app, "POST", f"{page}/again", headers={**form, "cookie": cookie})
    assert again.status_code == 200
    drain(kit)
    code = secrets_of(tray.messages[-1])[1]
    got = call(kit, app, "POST", f"{page}/code", data={"code": code}, headers={**form, "cookie": cookie})
    assert got.headers["location"] == page


@pytest.mark.covers("A3")
def test_a_wrong_code_says_and_costs_the_same_for_everybody_whatever_ended(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    handle, _, code, _ = begin(kit, tray)
    ghost = ask(kit, "nobody").handle
    drain(kit)
    sign_in_elsewhere(kit, tray, handle)
    wrong = f"{(int(code) + 1) % 10**8:08}"
    runs = []
    for h in (handle, ghost):
        with statements(kit) as seen:
            assert try_code(kit, h, wrong) == "wrong_code"
        runs.append(list(seen))
    assert runs[0] == runs[1]
    assert try_code(kit, ghost, code) == "wrong_code"
    assert (spent(kit, handle), spent(kit, ghost)) == (1, 2)


def test_what_cannot_be_stopped_any_more_says_why(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    handle, link, _, stop = begin(kit, tray)

    def problem() -> str | None:
        return kit.read(lambda tx: mailed_link.look_at_stop(tx, stop)).problem

    assert problem() is None
    assert accept(kit, link) is None
    case = case_of(kit, handle)
    assert case is not None
    choose(kit, case.id)
    drain(kit)
    assert problem() == "finished"
    assert kit.write(lambda tx: cancel.stop_by_owner(tx, stop)).problem == "finished"
    _, _, _, other = begin(kit, tray)
    assert kit.write(lambda tx: cancel.stop_by_owner(tx, other)).problem is None
    assert kit.read(lambda tx: mailed_link.look_at_stop(tx, other)).problem == "stopped"
    assert kit.read(lambda tx: mailed_link.look_at_stop(tx, "A" * 22)).problem == "unknown"


@pytest.mark.covers("K-1")
def test_change_password_leads_to_the_form_of_whoever_is_signed_in(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    set_password(kit, "maya")
    app = make_app(make_context(kit.settings, kit.services))
    fields = {"identifier": "maya", "password": OLD.reveal()}
    r = call(kit, app, "POST", "/sign-in", data=fields, headers={"sec-fetch-site": "same-origin"})
    cookie = "; ".join(c.partition(";")[0] for c in r.headers.get_list("set-cookie"))

    def leads(cookie: str) -> tuple[int, str]:
        got = call(kit, app, "GET", "/.well-known/change-password", headers={"cookie": cookie})
        return got.status_code, got.headers["location"]

    assert leads(cookie) == (302, "/account/password")
    assert call(kit, app, "GET", "/account/password", headers={"cookie": cookie}).status_code == 200
    assert leads("") == (302, "/forgot")
    assert leads("keyback-session=" + "a" * 43) == (302, "/forgot")
    pid = person_id(kit)
    kit.write(lambda tx: tx.sessions.end_all(pid))
    assert leads(cookie) == (302, "/forgot")


@pytest.mark.covers("A3", "C16")
def test_codes_of_other_methods_say_why_they_ended_too(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    add_contact(kit, "mail", "maya@home.example.net")
    kit.clock.forward(minutes=1)
    handle, ghost = ask(kit, "maya").handle, ask(kit, "nobody").handle
    for h in (handle, ghost):
        assert ask_way(kit, h, "backup_email")

    def newest() -> str:
        code = [x for x in tray.messages if x.kind == "mail_code"][-1].content.code  # type: ignore[union-attr]
        return str(code.reveal())

    def tries(h: str) -> int:
        return next(w.tries for w in kit.read(lambda tx: tx.challenges.requested(h)) if w.method == "backup_email")

    first = newest()
    kit.clock.forward(minutes=3)
    for h in (handle, ghost):
        assert ask_way(kit, h, "backup_email")
    second = newest()
    assert [answer_way(kit, handle, "backup_email", first) for _ in range(TRIES_SHOWN + 1)] == ["replaced"] * 6
    assert answer_way(kit, ghost, "backup_email", first) == "wrong"
    assert (tries(handle), tries(ghost)) == (0, 1)
    runs = []
    for h in (handle, ghost):
        with statements(kit) as seen:
            assert answer_way(kit, h, "backup_email", "000000" if newest() != "000000" else "111111") == "wrong"
        runs.append(len(seen))
    assert runs[0] == runs[1]
    kit.clock.forward(minutes=11)
    assert [answer_way(kit, handle, "backup_email", second) for _ in range(2)] == ["expired"] * 2
    assert tries(handle) == 1
