"""Nothing else works: somebody asks the help desk, and both sides write without secrets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from keyback.application import retention
from keyback.application.desk import help_request
from keyback.domain.operators.plain_words import is_resident_id, leak
from keyback.domain.operators.roles import Role
from keyback.storage.maintenance import persons
from tests.support.browser import Browser
from tests.support.console import URL, staffed
from tests.support.help import ADDRESS, REASON, XSS, asks, code_to, send
from tests.support.kit import Kit
from tests.support.steps import ask, drain, statements, types

Make = Callable[..., Kit]


@pytest.mark.slow
@pytest.mark.covers("A-7.5.3", "N-R1")
def test_from_a_dead_end_to_an_answer_and_back_again(make_kit: Make, database_url: str) -> None:
    staff = staffed(make_kit(url=database_url, public_url=URL))
    kit = staff.kit
    agent, officer = staff.add(Role.AGENT), staff.add(Role.SECURITY_OFFICER)
    started = ask(kit, "omar")
    drain(kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}/help"
    assert f'href="{at}"' in browser("GET", f"/r/{started.handle}/ways").text
    form = browser("GET", at).text
    assert "You asked for 1 email" in form
    assert send(browser, at, reason=REASON, contact=ADDRESS).headers["location"] == at
    assert "No one is waiting" in agent.get("/console/requests").text, "not before the address is confirmed"
    code = code_to(staff.tray, kit)
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    assert send(browser, f"{at}/code", code=wrong).status_code == 422
    assert send(browser, f"{at}/code", code=code).status_code == 303
    shown = browser("GET", at).text
    assert "You’re next in line" in shown
    assert "within one working day" in shown
    # In the console it is read and answered; the person is told that there is an answer, not what it says.
    assert "1 person is waiting" in agent.get("/console/requests").text
    one = f"/console/requests/{started.handle}"
    page = agent.get(one).text
    for text in (REASON, ADDRESS, "omar", "1 email", "proves nothing"):
        assert text in page, text
    assert agent.post(f"{one}/reply", text="Call us at extension 8100, please.", act="answer").status_code == 303
    drain(kit)
    told = staff.tray.to(ADDRESS, "help_news")[-1].content
    assert (told.what, told.path) == ("answered", at)  # type: ignore[attr-defined]
    assert "Call us at extension 8100" in browser("GET", at).text
    assert send(browser, f"{at}/text", text="I did. Nobody answered.", act="write").status_code == 303
    assert "Nobody answered." in agent.get(one).text
    # A case of whoever it is about; their own contacts are told.
    got = agent.post(f"{one}/case")
    assert got.headers["location"].startswith("/console/cases/")
    bench = agent.get(got.headers["location"]).text
    assert one in bench
    drain(kit)
    assert [m.content.what for m in staff.tray.to("omar@example.com", "asked")] == ["help_asked"]  # type: ignore[attr-defined]
    # Closed, and looked at once more by somebody else.
    assert agent.post(f"{one}/reply", text="We could not reach you.", act="close").status_code == 303
    assert "Your request is closed" in browser("GET", at).text
    assert send(browser, f"{at}/text", text="More.", act="write").status_code == 409
    assert send(browser, f"{at}/text", text="I was on a plane.", act="reopen").status_code == 303
    assert "Opened again" in agent.get(one).text
    assert agent.post(f"{one}/reply", text="No.", act="answer").status_code == 403, "another operator answers now"
    assert officer.post(f"{one}/reply", text="We call you at nine.", act="close").status_code == 303
    assert send(browser, f"{at}/text", text="Again.", act="reopen").status_code == 409, "once"
    assert {"help_asked", "help_confirmed", "help_joined", "help_answered", "help_closed", "help_reopened"} <= set(
        types(kit)
    )


@pytest.mark.covers("INV-I5", "A3", "B7")
def test_a_page_about_nobody_asks_and_waits_like_any_other(make_kit: Make) -> None:
    staff = staffed(make_kit(public_url=URL))
    kit = staff.kit

    def steps(who: str, n: int) -> tuple[list[str], list[Counter[str]]]:
        pages, sql = [], []
        started = ask(kit, who)
        drain(kit)
        browser, at = Browser(kit, started), f"/r/{started.handle}/help"
        to = f"home{n}@example.net"

        def see(method: str, path: str, **values: str) -> None:
            with statements(kit) as seen:
                got = browser(method, path, urlencode(values)) if values else browser(method, path)
            sql.append(Counter(seen))
            text = got.text.replace(started.handle, "HANDLE").replace(to, "TO")
            pages.append(f"{got.status_code} {text} {sorted(k for k in got.headers if k != 'content-length')}")

        see("GET", at)
        see("POST", at, reason=REASON, contact=to)
        see("GET", at)
        code = code_to(staff.tray, kit, to)
        see("POST", f"{at}/code", code=code)
        see("GET", f"{at}/status")
        kit.write(lambda tx: tx.help_requests.save(_closed(tx, started.handle)))
        see("GET", at)
        return pages, sql

    known, unknown = steps("omar", 1), steps("nobody-here", 2)
    assert known == unknown
    handles = [q.handle for q in kit.read(lambda tx: tx.help_requests.listed("closed", (0, ""), 9))]
    for handle in handles:
        kit.write(lambda tx, h=handle: help_request.reopen(tx, h, "Please look again."))
    agent = staff.add(Role.AGENT)
    texts = [agent.get(f"/console/requests/{h}").text for h in handles]
    assert sum("No one<" in t for t in texts) == 1, "only the operator sees who is on record"
    opened = [agent.post(f"/console/requests/{h}/case").status_code for h in handles]
    assert sorted(opened) == [303, 409]
    assert all(
        agent.post(f"/console/requests/{h}/reply", text="Hello.", act="answer").status_code == 303 for h in handles
    )


def _closed(tx: Any, handle: str) -> Any:
    return replace(tx.help_requests.get(handle), state="closed", closed_at=tx.now)


@pytest.mark.covers("L9", "I8")
def test_what_gives_something_away_is_refused_with_a_word_and_nothing_is_lost(make_kit: Make) -> None:
    staff = staffed(make_kit(public_url=URL))
    kit = staff.kit
    agent = staff.add(Role.AGENT)
    started = ask(kit, "omar")
    drain(kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}/help"
    got = send(browser, at, reason="My password is tr0ub4dor", contact=ADDRESS)
    assert got.status_code == 422
    assert "This looks like a password" in got.text
    assert "tr0ub4dor" in got.text, "whoever typed it takes it out themselves"
    assert f'value="{ADDRESS}"' in got.text
    got = send(browser, at, reason=REASON, contact="not an address")
    assert got.status_code == 422
    assert "needs an @" in got.text
    assert REASON.split(",")[0] in got.text
    browser, at = asks(kit, staff.tray, "maya")
    handle = at.split("/")[2]
    for text, word in (
        ("The code is 482 913", "code from a message"),
        ("验证码：48291357", "code from a message"),
        ("11010519491231002X", "number of an ID document"),
        ("http://localhost:8080/l/AAAAAAAAAAAAAAAAAAAAAA", "link from a message"),
        ("密码是 Abc", "looks like a password"),
    ):
        for got in (
            send(browser, f"{at}/text", text=text, act="write"),
            agent.post(f"/console/requests/{handle}/reply", text=text, act="answer"),
        ):
            assert got.status_code == 422, text
            assert word in got.text, text
    lines = kit.read(lambda tx: tx.help_requests.get(handle)).lines
    assert lines == ()
    assert not any("tr0ub4dor" in str(e) for e in kit.read(lambda tx: list(tx.audit.of_stream(handle))))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I forgot my password and my phone is gone.", ""),
        ("我忘了密码，手机也丢了。", ""),
        ("Call me at 138 0013 8000, or extension 8100.", ""),
        ("It was on 20261128, ticket 2026-1234, since 2026-11-28.", ""),
        ("Mein PIN: 4711", "has_password"),
        ("My password is wrong, it says. The password is expired! Password (old) doesn't work.", ""),
        ("密码是对的，还是进不去", ""),
        ("my password is correct-horse-battery", "has_password"),
        ("Password is: Hunter2!", "has_password"),
        ("密码改成Qwerty!9", "has_password"),
        ("口令：abcdef", "has_password"),
        ("My passport is E12345678", "has_number"),
        ("K7QF2M-9X3B1T-ZZ81AC", "has_code"),
        ("6222 0202 0001 2345 678", "has_number"),
        ("１２３４５６", "has_code"),
    ],
)
def test_what_looks_like_a_secret(text: str, found: str) -> None:
    assert leak(text) == found


@pytest.mark.covers("G-1", "G-2")
def test_the_check_digit_of_a_resident_number_only_tells_typing_errors() -> None:
    right = "11010519491231002X"
    assert is_resident_id(right)
    assert is_resident_id("１１０１０５１９４９１２３１００２ｘ")
    for i, was in enumerate(right):
        for c in "0123456789":
            assert c == was or not is_resident_id(right[:i] + c + right[i + 1 :])
    for i in range(17):
        swapped = right[:i] + right[i + 1] + right[i] + right[i + 2 :]
        assert swapped == right or not is_resident_id(swapped)
    assert not is_resident_id("١١٠١٠٥١٩٤٩١٢٣١٠٠٢X"), "digits of another script"
    assert not is_resident_id("110105194902310029"), "no such day"
    assert not is_resident_id("1101051949123100")


@pytest.mark.covers("A-1.2.1")
def test_nothing_that_a_stranger_writes_runs_in_a_page(make_kit: Make) -> None:
    staff = staffed(make_kit(public_url=URL))
    kit = staff.kit
    agent = staff.add(Role.AGENT)
    browser, at = asks(kit, staff.tray, reason=XSS)
    send(browser, f"{at}/text", text=XSS, act="write")
    handle = at.split("/")[2]
    agent.post(f"/console/requests/{handle}/reply", text=XSS, act="answer")
    pages = [
        browser("GET", at).text,
        *(agent.get(p).text for p in (f"/console/requests/{handle}", "/console/requests?tab=answered")),
    ]
    for text in pages:
        assert "&lt;script&gt;" in text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "{{ 7*7 }}" in text
        assert "49" not in re.findall(r"onerror=alert\(2\)&gt; (\S+)", text)


@pytest.mark.covers("A7", "D15")
def test_codes_messages_and_addresses_are_limited(make_kit: Make) -> None:
    staff = staffed(make_kit(public_url=URL))
    kit = staff.kit
    started = ask(kit, "omar")
    drain(kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}/help"
    send(browser, at, reason=REASON, contact=ADDRESS)
    first = code_to(staff.tray, kit)
    assert send(browser, at, reason="Another one.", contact="b@example.net").headers["location"] == at
    assert kit.read(lambda tx: tx.help_requests.get(started.handle)).contact == ADDRESS, "a page asks once"
    assert send(browser, f"{at}/again").status_code == 303, "too soon"
    kit.clock.forward(minutes=3)
    assert send(browser, f"{at}/again").status_code == 200
    second = code_to(staff.tray, kit)
    assert second != first
    for n in range(help_request.MAX_TRIES):
        assert send(browser, f"{at}/code", code=first).status_code == 422, n
    got = send(browser, f"{at}/code", code=second)
    assert got.status_code == 422
    assert "tried too often" in got.text, "the right one is too late"
    # One address gets three codes an hour, whoever asks.
    for n in range(5):
        other = ask(kit, f"nobody-{n}")
        send(Browser(kit, other), f"/r/{other.handle}/help", reason=REASON, contact=ADDRESS)
    drain(kit)
    assert len(staff.tray.to(ADDRESS, "help_code")) == 3
    kit.clock.forward(hours=2)
    browser, at = asks(kit, staff.tray, "maya", contact="maya@example.net")
    answers = [send(browser, f"{at}/text", text=f"Hello {n}.", act="write").status_code for n in range(11)]
    assert answers == [303] * 10 + [429]
    kit.clock.forward(hours=24 * 100)
    kit.write(retention.purge)
    assert kit.read(lambda tx: tx.help_requests.get(at.split("/")[2])) is None


@pytest.mark.covers("N-R1")
def test_who_asks_from_the_front_page_gets_no_mail_and_goes_on_to_the_form(make_kit: Make) -> None:
    staff = staffed(make_kit(public_url=URL))
    kit = staff.kit
    browser = Browser(kit)
    assert 'href="/ask"' in browser("GET", "/").text
    got = send(browser, "/ask", identifier="")
    assert got.status_code == 422
    got = send(browser, "/ask", identifier="omar")
    at = got.headers["location"]
    assert at.endswith("/help")
    assert "You can’t open your mailbox" in browser("GET", at).text
    drain(kit)
    assert staff.tray.to("omar@example.com") == []
    other = Browser(kit)
    assert other("GET", at).status_code == 403
    assert send(other, at, reason=REASON, contact=ADDRESS).status_code == 403


@pytest.mark.covers("C-6")
def test_who_is_erased_leaves_no_request_behind(make_kit: Make) -> None:
    staff = staffed(make_kit(public_url=URL))
    kit = staff.kit
    _, at = asks(kit, staff.tray)
    found = kit.read(lambda tx: tx.people.match(["omar"]))["omar"][0].person.id
    assert kit.write(lambda tx: persons.erase(tx, found, "left"))["help_requests"] == 1
    assert kit.read(lambda tx: tx.help_requests.get(at.split("/")[2])) is None
