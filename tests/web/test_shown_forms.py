"""Forms of two steps act on what their page showed (C24), whatever another tab did meanwhile; a table of all forms."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyotp
import pytest

import keyback.web
from keyback.application.enrolment import security_questions
from keyback.application.people import address_changes
from keyback.domain.secret import Secret
from keyback.web.app import make_app, make_context
from keyback.web.ui import links
from tests.support import reach
from tests.support.browser import Browser, Tab
from tests.support.enrolled import add_codes, add_contact, add_passkey, add_totp, ask_way, person_id, totp_now
from tests.support.forms import actions
from tests.support.kit import Kit, person
from tests.support.questions import ANSWERS, form, kept
from tests.support.questions import kit_of as questioned
from tests.support.remedies import by_phone, device, kinds, lost, options_of, waited
from tests.support.remedies import kit_of as phones
from tests.support.steps import OLD, Tray, accept, ask, drain, fit, secrets_of, set_password, types

Make = Callable[..., Kit]
URL = "http://localhost:8080"
SECOND, CODES = "/sign-in/second", "/account/codes"


def tab(browser: Browser, at: str) -> Tab:
    got = browser("GET", at)
    assert got.status_code == 200, (at, got.headers.get("location"))
    return Tab(browser, got.text, at)


def goes(got: Any) -> str:
    return str(got.headers.get("location", got.status_code))


def code_of(tray: Tray, to: str) -> str:
    code = next(x for x in reversed(tray.messages) if x.to == to).content.code
    assert isinstance(code, Secret)
    return code.reveal()


def refusals(kit: Kit) -> int:
    return sum(t in ("second_step_refused", "proof_refused") for t in types(kit))


# ── what a recovery puts right ──────────────────────────────────────────────


@pytest.mark.covers("C24", "N-R7")
def test_the_code_of_another_address_moves_nothing_while_the_page_shows_the_first(
    make_kit: Make, database_url: str
) -> None:
    kit, tray = phones(make_kit, database_url)
    started = by_phone(kit, tray)
    waited(kit)
    browser, at, pid = Browser(kit, started), f"/r/{started.handle}", person_id(kit)
    browser("POST", f"{at}/mailbox/new", "address=first%40example.net")
    first = tab(browser, at)
    browser("POST", f"{at}/mailbox/new", "address=second%40example.net")
    drain(kit)
    assert "first@example.net" in first.text
    for _ in range(6):
        assert goes(first.press(f"{at}/mailbox/code", code=code_of(tray, "second@example.net"))) == at
    assert kit.read(lambda tx: tx.counters.get(f"new_mailbox/{pid}")).hour == 0, "no try"
    second = tab(browser, at)
    assert "second@example.net" in second.text, "and the page says which one is waited for"
    assert kit.read(lambda tx: tx.people.match(["maya@example.com"]))["maya@example.com"]
    second.press(f"{at}/mailbox/code", code=code_of(tray, "second@example.net"))
    found = kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0]
    assert [c.address for c in found.contacts] == ["second@example.net"]


@pytest.mark.covers("C24", "N-R7")
def test_a_newer_code_to_the_same_address_is_what_the_older_page_waits_for_too(make_kit: Make) -> None:
    kit, tray = phones(make_kit)
    started = by_phone(kit, tray)
    waited(kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    browser("POST", f"{at}/mailbox/new", "address=maya.new%40example.net")
    first = tab(browser, at)
    browser("POST", f"{at}/mailbox/new", "address=maya.new%40example.net")
    drain(kit)
    assert first.press(f"{at}/mailbox/code", code=code_of(tray, "maya.new@example.net")).status_code == 303  # type: ignore[attr-defined]
    found = kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0]
    assert [c.address for c in found.contacts] == ["maya.new@example.net"]


@pytest.mark.covers("C24", "O-M1")
def test_the_code_of_an_older_seed_is_no_try_at_the_newer_one(make_kit: Make, database_url: str) -> None:
    kit, _, started = lost(make_kit, url=database_url)
    browser, at, pid = Browser(kit, started), f"/r/{started.handle}", person_id(kit)

    def shown() -> tuple[Tab, str]:
        browser("POST", f"{at}/factor/new")
        page = tab(browser, at)
        seed = re.search(r'<b class="mono secret-key"[^>]*>([A-Z2-7 ]+)</b>', page.text)
        assert seed
        return page, pyotp.TOTP(seed[1].replace(" ", "")).at(kit.clock() // 1000)

    (first, older), (second, newer) = shown(), shown()
    for _ in range(12):
        assert goes(first.press(f"{at}/factor", code=older)) == at
    assert kit.read(lambda tx: tx.counters.get(f"enrol/{pid}")).hour == 0
    assert goes(first.press(f"{at}/factor", code=newer)) == at
    assert kinds(kit) == ["recovery_codes", "totp"]
    assert "Your new second step works" not in browser("GET", at).text
    assert goes(second.press(f"{at}/factor", code=newer)) == at
    assert "Your new second step works" in browser("GET", at).text


@pytest.mark.covers("C24", "W-1")
def test_a_passkey_made_for_an_older_challenge_does_not_end_the_newer_one(make_kit: Make) -> None:
    kit, _, started = lost(make_kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    tabs = []
    for _ in range(2):
        browser("POST", f"{at}/passkey/new")
        tabs.append(tab(browser, at))
    answers = [device().create(options_of(t.text)) for t in tabs]
    assert goes(tabs[0].press(f"{at}/passkey", assertion=answers[0])) == at
    assert kinds(kit) == ["recovery_codes", "totp"]
    assert goes(tabs[1].press(f"{at}/passkey", assertion=answers[1])) == at
    assert kinds(kit) == ["passkey", "recovery_codes"]


# ── other ways to prove ─────────────────────────────────────────────────────


@pytest.mark.covers("C24", "D1")
def test_an_answer_is_for_the_number_that_the_page_names(make_kit: Make, database_url: str) -> None:
    kit, tray = phones(make_kit, database_url)
    numbers = [add_contact(kit, "sms", n) for n in ("+8613800000034", "+8613900000035")]
    started = ask(kit, "maya")
    drain(kit)
    ask_way(kit, started.handle, "backup_email")
    browser, at = Browser(kit, started), f"/r/{started.handle}/ways/sms_code"
    case_page(kit, tray, started)
    tabs = []
    for n in numbers:
        got = browser("POST", at, urlencode({"target": n}))
        assert goes(got) == at
        tabs.append(tab(browser, at))
        drain(kit)
        kit.clock.forward(minutes=3)
    assert "34" in re.sub(r"\D", "", tabs[0].text)
    before = tries(kit, started.handle)
    for _ in range(6):
        assert goes(tabs[0].press(f"{at}/answer", code=code_of(tray, "+8613900000035"))) == at
    assert tries(kit, started.handle) == before, "no try"
    assert refusals(kit) == 0
    got = tabs[1].press(f"{at}/answer", code=code_of(tray, "+8613900000035"))
    assert goes(got) == f"/r/{started.handle}"


def case_page(kit: Kit, tray: Tray, started: Any) -> None:
    """The page has shown the mailed link, so that it may choose, and needs more: there is a second step."""
    add_totp(kit)
    token = next(secrets_of(x)[0] for x in tray.messages if x.kind == "recovery")
    assert accept(kit, token) is None


def tries(kit: Kit, handle: str) -> int:
    return next(w.tries for w in kit.read(lambda tx: tx.challenges.requested(handle)) if w.method == "sms_code")


@pytest.mark.covers("C24", "W-1")
def test_a_passkey_for_an_older_challenge_is_no_try_for_anybody(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    fit(kit, person("maya"))
    key = add_passkey(kit)
    for who in ("maya", "nobody"):
        started = ask(kit, who)
        drain(kit)
        browser, at = Browser(kit, started), f"/r/{started.handle}/ways/passkey"
        tabs = []
        for _ in range(2):
            browser("POST", at)
            tabs.append(tab(browser, at))
            drain(kit)
        old = key.get(options_of(tabs[0].text))
        assert [goes(tabs[0].press(f"{at}/answer", assertion=old)) for _ in range(7)] == [at] * 7
        wants = kit.read(lambda tx, h=started.handle: tx.challenges.requested(h))  # type: ignore[misc]
        assert [w.tries for w in wants] == [0], who
        got = tabs[1].press(f"{at}/answer", assertion=key.get(options_of(tabs[1].text)))
        assert goes(got) == (f"/r/{started.handle}" if who == "maya" else "422"), who


@pytest.mark.slow
@pytest.mark.covers("A3", "C24")
def test_the_digits_for_a_colleague_stay_for_everybody_however_often_they_are_asked_for(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    add_contact(kit, "mail", "omar@home.example.net", "recovery", name="Omar")
    for who in ("maya", "nobody"):
        started = ask(kit, who)
        drain(kit)
        browser, at = Browser(kit, started), f"/r/{started.handle}/ways/recovery_contact"
        found = []
        for _ in range(5):  # more than a stranger may have sent
            browser("POST", at)
            for _ in range(2):
                found += re.findall(r"<b>(\d{4})</b>", browser("GET", at).text)
                drain(kit)
            kit.clock.forward(minutes=3)
        assert len(found) == 10, who
        assert len(set(found)) == 1, who


# ── signing in ──────────────────────────────────────────────────────────────


def half(browser: Browser, who: str) -> str:
    got = browser("POST", "/sign-in", urlencode({"identifier": who, "password": OLD.reveal()}))
    assert goes(got).startswith(SECOND)
    return goes(got)


def two_people(make_kit: Make, url: str | None = None) -> Kit:
    kit = make_kit(url=url, public_url=URL)
    fit(kit, person("maya"), person("omar"))
    for who in ("maya", "omar"):
        set_password(kit, who, OLD, f"seeded-{who}")
    return kit


def in_as(browser: Browser) -> str:
    found = re.search(r"(maya|omar)", browser("GET", "/account/activity").text + browser("GET", "/account").text)
    return found[1] if found else ""


@pytest.mark.slow
@pytest.mark.covers("C24", "N-T4")
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_half_sign_ins_in_two_tabs_each_take_their_own_code(
    make_kit: Make, database_url: str, order: tuple[int, int]
) -> None:
    kit = two_people(make_kit, database_url)
    add_totp(kit, "maya")
    codes = {who: add_codes(kit, who) for who in ("maya", "omar")}
    add_totp(kit, "omar")
    browser, people = Browser(kit), ("maya", "omar")
    at = [half(browser, who) for who in people]
    tabs = [tab(browser, f"{SECOND}?with=recovery_code"), tab(browser, f"{at[1]}&with=recovery_code")]
    # The first was drawn before the other began; here it is loaded by the name that its form carries.
    marks = [links.mark_of(kit.services.seals, t) for t in browser.cookies["keyback-second"].split("~")][::-1]
    tabs[0] = tab(browser, f"{SECOND}?with=recovery_code&of={marks[0]}")
    assert [who in t.text for who, t in zip(people, tabs, strict=True)] == [True, True], "the page says who signs in"
    for i in order:
        got = tabs[i].press(SECOND, code=codes[people[i]][0])
        assert goes(got) in ("/account", "200"), people[i]
        assert people[i] in browser("GET", "/account").text
    assert refusals(kit) == 0


@pytest.mark.covers("C24", "N-T4")
def test_a_half_sign_in_that_this_browser_lost_costs_no_try(make_kit: Make) -> None:
    kit = two_people(make_kit)
    add_totp(kit, "maya")
    add_totp(kit, "omar")
    browser = Browser(kit)
    half(browser, "maya")
    first = tab(browser, SECOND)
    for _ in range(links.MAX_LINKS):
        at = half(browser, "omar")
    assert len(browser.cookies["keyback-second"].split("~")) == links.MAX_LINKS
    for _ in range(12):
        got = first.press(SECOND, code="000000")
        assert goes(got).startswith(SECOND)
    assert refusals(kit) == 0
    assert goes(browser("GET", goes(got))) == SECOND, "and it leads to the one that waits"
    assert "omar" in browser("GET", SECOND).text
    assert goes(tab(browser, at).press(SECOND, code=totp_now(kit))) == "/account"
    assert in_as(browser) == "omar"


@pytest.mark.covers("C24", "W-1")
def test_a_challenge_that_a_wrong_passkey_ended_in_another_tab_is_asked_again(make_kit: Make) -> None:
    kit = two_people(make_kit)
    key = add_passkey(kit)
    browser = Browser(kit)
    half(browser, "maya")
    tabs = [tab(browser, SECOND), tab(browser, SECOND)]
    assert goes(tabs[0].press(SECOND, assertion="{}")) == "422"
    assert refusals(kit) == 1
    old = key.get(options_of(tabs[1].text))
    at = goes(tabs[1].press(SECOND, assertion=old))
    assert at.startswith(f"{SECOND}?of=")
    assert refusals(kit) == 1, "no try"
    again = tab(browser, at)
    assert goes(again.press(SECOND, assertion=key.get(options_of(again.text)))) == "/account"
    kit.clock.forward(minutes=11)
    at = "/account/confirm?next=/account/codes"
    tabs = [tab(browser, at), tab(browser, at)]
    assert goes(tabs[0].press("/account/confirm", assertion="{}")) == "422"
    old = key.get(options_of(tabs[1].text))
    assert goes(tabs[1].press("/account/confirm", assertion=old)) == f"{at}&with=passkey"
    assert refusals(kit) == 2
    again = tab(browser, at)
    assert goes(again.press("/account/confirm", assertion=key.get(options_of(again.text)))) == CODES


@pytest.mark.covers("C24", "W-6")
def test_every_sign_in_page_takes_the_passkey_that_was_shown_its_own_challenge(make_kit: Make) -> None:
    kit = two_people(make_kit)
    key = add_passkey(kit)
    browser = Browser(kit)
    tabs = [tab(browser, "/sign-in") for _ in range(links.MAX_LINKS + 1)]
    assert len(browser.cookies["keyback-ticket"].split("~")) == links.MAX_LINKS
    answers = [key.get(options_of(t.text)) for t in tabs]
    got = tabs[0].press("/sign-in/passkey", assertion=answers[0])
    assert goes(got) == "/sign-in", "the sixth pushed it out: asked again, and nothing was looked at"
    assert "sign_in_failed" not in types(kit)
    assert refusals(kit) == 0
    assert goes(tabs[1].press("/sign-in/passkey", assertion=answers[1])) == "/account"
    assert in_as(browser) == "maya"


# ── the security centre ─────────────────────────────────────────────────────


@pytest.mark.covers("C24", "N-L1")
def test_a_set_of_codes_made_meanwhile_is_not_replaced_unseen(make_kit: Make, database_url: str) -> None:
    kit = two_people(make_kit, database_url)
    browser = Browser(kit)
    assert goes(browser("POST", "/sign-in", urlencode({"identifier": "maya", "password": OLD.reveal()}))) == "/account"
    tabs = [tab(browser, CODES), tab(browser, CODES)]
    made = tabs[1].press(CODES)
    sheet = re.findall(r"<li>([0-9A-Z]{4,6}(?:-[0-9A-Z]{4,6}){2,4})</li>", made.text)  # type: ignore[attr-defined]
    assert len(sheet) == 10
    for _ in range(2):
        assert goes(tabs[0].press(CODES)) == CODES
    assert types(kit).count("codes_made") == 1
    add_totp(kit)
    other = Browser(kit)
    half(other, "maya")
    assert goes(tab(other, f"{SECOND}?with=recovery_code").press(SECOND, code=sheet[0])) == "200", "still good"
    kit.clock.forward(seconds=1)
    browser = other
    again = tab(browser, CODES)
    assert "codes are left from the set" in again.text
    assert again.press(CODES).status_code == 200  # type: ignore[attr-defined]
    assert types(kit).count("codes_made") == 2


@pytest.mark.covers("C24", "G5")
def test_answers_given_meanwhile_are_not_replaced_unseen(make_kit: Make) -> None:
    kit, _, browser = questioned(make_kit)
    at = "/account/questions"
    tabs = [tab(browser, at), tab(browser, at)]
    got = browser("POST", at, "&".join((form(ANSWERS), urlencode({"of": tabs[1].forms[at]["of"]}))))
    assert goes(got) == "/account/ways?done=questions_set"
    first = kept(kit)
    got = browser(
        "POST", at, "&".join((form({**ANSWERS, "sea": "Qingdao"}), urlencode({"of": tabs[0].forms[at]["of"]})))
    )
    assert goes(got) == at
    assert [f.id for f in kept(kit)] == [f.id for f in first]
    assert security_questions.ASKED == 3


# ── all forms ───────────────────────────────────────────────────────────────

OF = "a digest of the link, the half sign-in, the challenge, the seed, the address or the set that was shown (`of`)"
ADDRESS = "its address names the one thing that the page is about"
FIELD = "a field names the thing that was pressed"
START = "it begins something; what was there before stays, or ends with a page that says so"
WHOLE = "it says that it acts on everything there is, whenever it came"
SEEN = "it names the version that was shown, and is refused for another one"
FORMS: dict[str, str] = {
    "/console/campaigns": START,
    "/console/campaigns/*/approve": SEEN,
    "/console/campaigns/*/decline": ADDRESS,
    "/console/campaigns/*/pause": ADDRESS,
    "/console/campaigns/*/resume": ADDRESS,
    "/console/campaigns/*/stop": ADDRESS,
    "/console/audit": "it changes nothing",
    "/console/audit/export": "it changes nothing",
    "/console/calls": START,
    "/account/callers/*": ADDRESS,
    "/account/callers/*/refuse": ADDRESS,
    "/console/calls/*/confirmed": ADDRESS,
    "/console/calls/*/manager": ADDRESS,
    "/console/calls/*/number": ADDRESS,
    "/console/calls/*/refuse": ADDRESS,
    "/console/cases/*/approve": SEEN,
    "/console/cases/*/call": ADDRESS,
    "/console/cases/*/claim": ADDRESS,
    "/console/cases/*/decline": SEEN,
    "/console/cases/*/note": ADDRESS,
    "/console/cases/*/recommend": SEEN,
    "/console/cases/*/release": ADDRESS,
    "/console/documents/*/answer": ADDRESS,
    "/console/documents/*/name": ADDRESS,
    "/console/documents/*/take": ADDRESS,
    "/console/requests/*/case": ADDRESS,
    "/console/requests/*/reply": ADDRESS,
    "/console/confirm": "its code works once; a passkey answers the challenge that was shown (`of`)",
    "/console/find": START,
    "/console/keys": START,
    "/console/keys/*/remove": ADDRESS,
    "/console/keys/*/rotate": ADDRESS,
    "/console/operators": START,
    "/console/outbound/*/end": ADDRESS,
    "/console/operators/*/remove": ADDRESS,
    "/console/approvals/*/alone": ADDRESS,
    "/console/approvals/*/approve": "an act is for one version of the case or of the person's security",
    "/console/approvals/*/decline": ADDRESS,
    "/console/approvals/*/withdraw": ADDRESS,
    "/console/outbox/*/again": ADDRESS,
    "/console/people/*/cancel": "it names the recovery that was shown, and is refused for another one",
    "/console/people/*/hold": "hours beyond what the policy set, whatever the end was meanwhile",
    "/console/people/*/lock": WHOLE,
    "/console/people/*/sessions": WHOLE,
    "/console/people/*/start": ADDRESS,
    "/console/people/*/unlock": WHOLE,
    "/console/people/find": START,
    "/console/new-links": START,
    "/console/new-links/*/approve": "a new link is for one version of the operator's sign-in",
    "/console/new-links/*/decline": ADDRESS,
    "/start/*": ADDRESS,
    "/console/tasks/*/decline": ADDRESS,
    "/console/tasks/*/done": ADDRESS,
    "/console/set-up": "a set-up link works once, whichever page shows it",
    "/console/set-up/passkey": "a set-up link works once; the challenge is of the try that was shown",
    "/console/sign-in": START,
    "/console/sign-in/passkey": OF,
    "/console/cases/*/ticket": ADDRESS,
    "/console/views": "the filters that the page showed are in it",
    "/console/views/*/remove": ADDRESS,
    "/console/sign-out": WHOLE,
    "/account/after": FIELD,
    "/account/codes": OF,
    "/account/chat": START,
    "/account/codes/file": FIELD,
    "/account/confirm": OF,
    "/account/contacts/add/*": START,
    "/account/contacts/*": ADDRESS,
    "/account/contacts/*/again": ADDRESS,
    "/account/contacts/*/keep": ADDRESS,
    "/account/devices": FIELD,
    "/account/systems/end": FIELD,
    "/account/lock": WHOLE,
    "/account/providers": START,
    "/account/passkeys": START,
    "/account/passkeys/*": ADDRESS,
    "/account/name/*": ADDRESS,
    "/account/password": "it asks for the current password, so another one since then refuses it",
    "/account/questions": OF,
    "/account/remove/*": ADDRESS,
    "/account/totp": START,
    "/account/totp/*": ADDRESS,
    "/ask": START,
    "/find": START,
    "/forgot": START,
    "/invited": OF,
    "/again": OF,
    "/link/accept": OF,
    "/link/again": OF,
    "/link/fetch": OF,
    "/link/stop": OF,
    "/new-address": OF,
    "/passwords/check": "it changes nothing",
    "/r/*/again": ADDRESS,
    "/r/*/call": ADDRESS,
    "/r/*/cancel": ADDRESS,
    "/r/*/code": ADDRESS,
    "/r/*/document": START,
    "/r/*/document/image": START,
    "/r/*/document/send": ADDRESS,
    "/r/*/identity/*": START,
    "/r/*/help": START,
    "/r/*/help/again": ADDRESS,
    "/r/*/help/code": ADDRESS,
    "/r/*/help/text": ADDRESS,
    "/r/*/factor": OF,
    "/r/*/factor/new": START,
    "/r/*/factors/remove": FIELD,
    "/r/*/mailbox": FIELD,
    "/r/*/mailbox/code": OF,
    "/r/*/mailbox/new": START,
    "/r/*/passkey": OF,
    "/r/*/passkey/new": START,
    "/r/*/password": ADDRESS,
    "/r/*/second-step": FIELD,
    "/r/*/system": FIELD,
    "/r/*/system-factors": FIELD,
    "/r/*/temporary-pass": FIELD,
    "/r/*/unlock": ADDRESS,
    "/r/*/ways/*": FIELD,
    "/r/*/ways/*/answer": OF,
    "/sign-in": START,
    "/sign-in/passkey": OF,
    "/sign-in/second": OF,
    "/sign-out": WHOLE,
    "/stop": OF,
    "/vouch": OF,
    "/vouch/refuse": OF,
    "/wasnt-me": OF,
}
PAGES = Path(keyback.web.__file__).parent
DRAWN = re.compile(r'<form [^>]*method="post" action="(.+?)"(?=[ >])(.*?)</form>', re.S)


def star(pattern: str) -> str:
    return re.sub(r"\{[^}]*\}", "*", pattern)


def drawn() -> list[tuple[str, str]]:
    """Every form of every template: its address, and what is in it."""
    out = []
    for path in PAGES.rglob("*.html"):
        text = path.read_text("utf-8")
        macro = re.search(r"\{% macro hidden\(\) %\}(.*?)\{% endmacro %\}", text, re.S)
        for action, inside in DRAWN.findall(text):
            inside = inside.replace("{{ hidden() }}", macro[1]) if macro else inside
            addresses = [action, *re.findall(r'formaction="(.+?)"', inside)]
            out += [(a, inside) for address in addresses for a in actions(text, address)]
    return out


def taken(kit: Kit) -> list[tuple[str, str]]:
    """Every address that takes a form, and the full name of what takes it."""
    app = make_app(make_context(kit.settings, kit.services))
    own = [(star(p), f) for m, p, f in reach.routes(app._app.routes) if m == "POST" and not p.startswith("/api/")]
    return own + [(p, "keyback.web.intake.form_intake") for p in app._hot if not p.startswith("/api/")]


@pytest.mark.covers("C24")
def test_every_form_names_what_it_showed_or_has_a_reason_not_to(make_kit: Make, sqlite_url: str) -> None:
    routes = taken(make_kit(url=sqlite_url))
    assert {p for p, _ in routes} == set(FORMS), "a new form: say here what it carries, or why it needs nothing"
    forms = [(a, inside) for a, inside in drawn() if not a.startswith("/demo/")]
    assert {a for a, _ in forms} == set(FORMS) - {"/passwords/check"}
    for action, inside in forms:
        if FORMS[action] == OF:
            assert "{{ shown() }}" in inside, action
        if FORMS[action] == FIELD and not action.endswith("/ways/*"):
            names = "remove|session|device|contact|codes|step|grant|account|factor|task"
            assert re.search(rf'name="({names})"', inside), action
    for pattern, handler in routes:
        module, _, name = handler.rpartition(".")
        source = inspect.getsource(inspect.unwrap(getattr(import_module(module), name)))
        if FORMS[pattern] == OF:
            assert re.search(r"\b(shown|links)\.FIELD|sent\.fits", source), pattern
        if FORMS[pattern] == ADDRESS:
            assert "*" in pattern


@pytest.mark.covers("F10")
def test_addresses_take_their_place_after_their_people_are_locked(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    fit(kit, person("maya"), person("omar"))
    people = {who: person_id(kit, who) for who in ("maya", "omar")}
    for who, pid in people.items():
        old = kit.read(lambda tx, p=pid: tx.contacts.of_person(p)[0].id)  # type: ignore[misc]
        add_contact(kit, "mail", f"{who}@new.example.net", who=who, replaces=old)
    calls: list[str] = []

    def watched(tx: Any) -> int:
        lock, take = tx.people.lock, tx.contacts.take_places

        def locking(person_id: str) -> Any:
            calls.append(person_id)
            return lock(person_id)

        def taking(person_ids: Any) -> Any:
            calls.append("take")
            return take(person_ids)

        tx.people.lock, tx.contacts.take_places = locking, taking
        return address_changes.take_places(tx)

    assert kit.write(watched) == 2
    assert [c for i, c in enumerate(calls) if c not in calls[:i]] == [*sorted(people.values()), "take"]
    assert kit.write(address_changes.take_places) == 0
