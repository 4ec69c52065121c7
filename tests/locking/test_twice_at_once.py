"""The right answer given twice at once: accepted once, called wrong never, and no try spent (R11)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from keyback.application.ports.storage import Database
from keyback.application.recovery import mailed_link, methods, recovery_contact
from keyback.application.signin import second_step, step_up
from keyback.application.signin.sessions import SignedIn
from keyback.application.signin.sign_in import SecondStep
from keyback.application.signin.step_up import StepResult
from keyback.application.throttling import duplicate_answers
from keyback.bootstrap import build, close
from keyback.domain.secret import Secret
from tests.support.api_client import Client
from tests.support.browser import OF_LINKS, Browser
from tests.support.cheaper import cheap_hashing
from tests.support.enrolled import (
    SMS,
    add_codes,
    add_contact,
    add_passkey,
    add_totp,
    answer_way,
    ask_way,
    person_id,
    totp_now,
)
from tests.support.kit import Kit, person
from tests.support.steps import (
    HERE,
    Tray,
    ask,
    begin,
    case_of,
    code_in,
    drain,
    fit,
    here,
    secrets_of,
    set_password,
    sign_in,
    try_code,
)  # fmt: skip

pytestmark = pytest.mark.both

Make = Callable[..., Kit]
METHODS = ["email_link", "sms_code", "backup_email", "im_message", "totp", "recovery_code"]
IM = {"kind": "http", "url": "http://127.0.0.1:9/im", "secret": "whsec_" + "a2V5" * 12}
BURST = 10


def kit_of(make_kit: Make, url: str | None = None) -> tuple[Kit, Tray]:
    kit = make_kit(url=url, sms=SMS, im=IM, public_url="http://localhost:8080")
    kit.write(lambda tx: tx.people.save_imported([person("maya"), person("omar")]))
    return kit, fit(kit)


def page(kit: Kit, tray: Tray, name: str, codes: list[str]) -> tuple[str, str]:
    """A page that waits for an answer of Maya's, and the right one."""
    if name == "email_link":
        handle, _, code, _ = begin(kit, tray)
        return handle, code
    handle = ask(kit, "maya").handle
    drain(kit)
    assert ask_way(kit, handle, name)
    right = {"totp": lambda: totp_now(kit), "recovery_code": lambda: codes.pop()}
    return handle, right.get(name, lambda: code_in(tray))()


def enrol(kit: Kit, name: str) -> list[str]:
    if name == "totp":
        add_totp(kit)
    add_contact(kit, "sms", "+8613800000034")
    add_contact(kit, "mail", "maya@home.example.net")
    add_contact(kit, "im", "maya.okafor")
    return add_codes(kit, count=6) if name == "recovery_code" else []


def answers(kit: Kit, db: Database, name: str, handle: str, typed: str) -> Awaitable[Any]:
    if name == "email_link":
        return mailed_link.try_code(db, kit.services.proofs["email_link"], handle, typed, here(kit))
    return methods.answer(db, kit.services.proofs[name], handle, typed, here(kit))


def burst(kit: Kit, dbs: list[Database], name: str, handle: str, typed: str, n: int = BURST) -> Counter[str]:
    async def go() -> list[Any]:
        return await asyncio.gather(*(answers(kit, db, name, handle, typed) for db in dbs for _ in range(n)))

    return Counter(found[0] for found in kit.run(go()))


def spent(kit: Kit, name: str, handle: str) -> int:
    """Tries that the page has used up."""
    if name == "email_link":
        found = kit.read(lambda tx: tx.intakes.get(handle))
        assert found is not None
        return int(found.tries)
    return next(w.tries for w in kit.read(lambda tx: tx.challenges.requested(handle)) if w.method == name)


@pytest.fixture
def nodes(make_kit: Make, database_url: str) -> Any:
    """A Keyback and the database of a second node beside it."""
    kit, tray = kit_of(make_kit, database_url)

    async def start() -> Any:
        with cheap_hashing():
            return build(kit.settings, clock=kit.clock)

    other = kit.run(start())
    yield kit, tray, [kit.services.db, other.db]
    kit.run(close(other))


@pytest.mark.slow
@pytest.mark.covers("R11", "D1", "INV-I3")
@pytest.mark.parametrize("name", METHODS)
def test_two_bursts_of_ten_on_two_nodes_leave_the_next_right_answer_accepted(nodes: Any, name: str) -> None:
    kit, tray, dbs = nodes
    codes = enrol(kit, name)
    for round_ in range(3):
        handle, right = page(kit, tray, name, codes)
        found = burst(kit, dbs, name, handle, right)
        assert found == {"accepted": 1, "done": 2 * BURST - 1}, round_
        assert burst(kit, dbs, name, handle, right) == {"done": 2 * BURST}
        assert burst(kit, dbs, name, handle, "12345678") <= Counter({"done": 2 * BURST, "not_a_code": 2 * BURST})
        assert spent(kit, name, handle) == 1
        kit.clock.forward(minutes=61)  # a stranger has a few codes an hour sent to one person (`mail_quota`)
    pid, key = person_id(kit), "code" if name == "email_link" else name
    assert kit.read(lambda tx: tx.counters.get(f"h/{key}/{pid}")).hour <= 3, "one for each page"
    assert kit.read(lambda tx: tx.counters.get(f"{key}/{pid}")).total == 0


@pytest.mark.slow
@pytest.mark.covers("R11", "D1")
@pytest.mark.parametrize("name", METHODS)
def test_wrong_answers_at_once_count_one_by_one_even_if_they_are_the_same(make_kit: Make, name: str) -> None:
    kit, tray = kit_of(make_kit)
    codes = enrol(kit, name)
    handle, right = page(kit, tray, name, codes)
    wrong = {"email_link": "00000000", "recovery_code": "AAAAAA-AAAAAA-AAAAAA"}.get(name, "000000")
    wrong = wrong if wrong != right else "1" * len(wrong)
    found = burst(kit, [kit.services.db], name, handle, wrong)
    assert found["wrong"] + found["wrong_code"] == 5
    assert found["no_tries"] == BURST - 5
    assert burst(kit, [kit.services.db], name, handle, right, 1) == {"no_tries": 1}


@pytest.mark.covers("R11", "INV-I5")
def test_one_after_the_other_it_is_the_page_that_says_so_and_no_other_page_learns_of_it(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    handle, _, code, _ = begin(kit, tray)
    stranger, ghost = ask(kit, "maya").handle, ask(kit, "nobody").handle
    drain(kit)
    assert try_code(kit, handle, code) == "accepted"
    assert try_code(kit, handle, code) == try_code(kit, handle, "00000000") == "done", (
        "right or not, it is not looked at"
    )
    assert try_code(kit, stranger, code) == try_code(kit, ghost, code) == "wrong_code"
    assert [spent(kit, "email_link", h) for h in (handle, stranger, ghost)] == [1, 1, 1]


@pytest.mark.covers("R11", "N-R8")
def test_a_colleague_who_presses_twice_has_vouched_once(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_contact(kit, "mail", "friend@example.org", "recovery", name="Omar")
    handle = ask(kit, "maya").handle
    drain(kit)
    ask_way(kit, handle, "recovery_contact")
    link = tray.messages[-1].content.link
    assert isinstance(link, Secret)
    token, proof, db = link.reveal().rsplit("/", 1)[1], kit.services.proofs["recovery_contact"], kit.services.db
    want = kit.read(lambda tx: tx.challenges.requested(handle))[0]
    digits = str(proof.form([methods.stand_in(kit.services.seals, want)], "en")["digits"])

    async def go() -> list[Any]:
        return await asyncio.gather(
            *(recovery_contact.confirm(db, proof, token, digits, here(kit)) for _ in range(BURST))
        )

    assert Counter(code for code, _ in kit.run(go())) == {"accepted": 1, "done": BURST - 1}
    assert kit.run(recovery_contact.confirm(db, proof, token, digits, here(kit)))[0] == "done"
    case = case_of(kit, handle)
    assert case is not None
    assert len(case.evidence) == 1


# ── signing in ──────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("R11", "N-T6", "INV-I1")
@pytest.mark.parametrize("name", ["totp", "recovery_code"])
def test_the_second_step_twice_at_once_opens_one_session_and_spends_nothing(nodes: Any, name: str) -> None:
    kit, _, dbs = nodes
    set_password(kit, "maya")
    add_totp(kit)
    codes, pid, proof = add_codes(kit, count=6), person_id(kit), kit.services.proofs[name]
    for _ in range(3):
        kit.clock.forward(seconds=31)
        typed = totp_now(kit) if name == "totp" else codes.pop()
        asked: Any = sign_in(kit, "maya", Secret("an older password 42"))
        assert isinstance(asked, SecondStep)

        async def go(token: str = asked.token, answer: str = typed) -> list[Any]:
            tries = (second_step.take(db, proof, token, answer, HERE) for db in dbs for _ in range(BURST))
            return await asyncio.gather(*tries)

        for most in (1, 0):
            found = kit.run(go())
            assert sum(isinstance(x, SignedIn) for x in found) == most
            assert {x.code for x in found if isinstance(x, StepResult)} == {"done"}
        assert kit.read(lambda tx: tx.counters.get(f"h/{name}/s/{pid}")).hour == 0
        assert kit.run(second_step.take(dbs[0], proof, asked.token, "000000", HERE)) == StepResult("done")
    assert kit.run(second_step.take(dbs[0], proof, "x" * 43, typed, HERE)) == StepResult("over"), "nobody's"


@pytest.mark.covers("R11")
def test_a_step_before_a_change_may_be_given_twice_as_well(make_kit: Make) -> None:
    kit, _ = kit_of(make_kit)
    codes, pid, proof, db = add_codes(kit), person_id(kit), kit.services.proofs["recovery_code"], kit.services.db
    kit.write(lambda tx: step_up.issue(tx, tx.people.person(pid), "step_up", "page"))

    async def go() -> list[StepResult]:
        return await asyncio.gather(*(step_up.answer(db, proof, "page", codes[0], HERE) for _ in range(BURST)))

    found = kit.run(go())
    assert Counter(s.code for s in found) == {"accepted": 1, "done": BURST - 1}
    assert len({s.new_code.reveal() for s in found if s.new_code}) == 1, "each can show the code that takes its place"


# ── faces ───────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("R11")
def test_the_api_says_200_once_and_wrong_state_to_the_others(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    api = Client(kit)
    for _ in range(3):
        started = api.post("/recoveries", {"identifier": "maya"}).json()
        drain(kit)
        code = tray.messages[-1].content.code
        assert isinstance(code, Secret)
        at, given = f"/recoveries/{started['handle']}", {"code": code.reveal()}

        async def once(at: str = at, given: Any = given, secret: str = started["secret"]) -> Any:
            return await api.send("POST", f"{at}/proofs/email_link/verify", given, secret=secret)

        got = api.together([once] * BURST) + api.together([once] * BURST)
        assert Counter(r.status_code for r in got) == {200: 1, 409: 2 * BURST - 1}
        assert {r.json()["code"] for r in got if r.status_code == 409} == {"wrong_state"}
        assert {r.json()["state"] for r in got if r.status_code == 409} == {"password_due"}
        kit.clock.forward(minutes=21)


@pytest.mark.covers("R11")
def test_the_api_finishes_a_sign_in_once_and_says_wrong_state_to_the_others(make_kit: Make) -> None:
    kit, _ = kit_of(make_kit)
    set_password(kit, "maya")
    add_totp(kit)
    api = Client(kit)
    first = api.post("/sign-in", {"identifier": "maya", "password": "an older password 42"}).json()
    given = {"token": first["second_step"]["token"], "proof": "totp", "answer": totp_now(kit)}

    async def once() -> Any:
        return await api.send("POST", "/sign-in/second-step", given)

    got = api.together([once] * BURST)
    assert Counter(r.status_code for r in got) == {200: 1, 409: BURST - 1}
    assert api.post("/sign-in/second-step", given).json()["code"] == "wrong_state"


# ── what they share ─────────────────────────────────────────────────────────


@pytest.mark.covers("R11")
def test_who_waits_for_another_goes_on_alone_where_that_one_failed() -> None:
    done: list[int] = []

    async def go(good: Any) -> list[Any]:
        async def work() -> int:
            done.append(1)
            await asyncio.sleep(0)
            if len(done) == 1:
                raise RuntimeError("the database was away")
            return len(done)

        tries = (duplicate_answers.first(duplicate_answers.key_of(done, "x", answer="y"), work, good) for _ in range(3))
        return await asyncio.gather(*tries, return_exceptions=True)

    failed, *rest = asyncio.run(go(lambda _: True))
    assert isinstance(failed, RuntimeError)
    assert [again for _, again in rest] == [False, False]
    assert len(done) == 3
    assert duplicate_answers._running == {}


@pytest.mark.covers("R11")
def test_a_client_that_goes_away_ends_nobody_elses_answer() -> None:
    async def go() -> tuple[str, bool]:
        gate = asyncio.Event()

        async def work() -> str:
            await gate.wait()
            return "accepted"

        key = duplicate_answers.key_of(gate, "x", answer="y")
        first = asyncio.ensure_future(duplicate_answers.first(key, work, lambda _: True))
        second = asyncio.ensure_future(duplicate_answers.first(key, work, lambda _: True))
        await asyncio.sleep(0)
        first.cancel()
        gate.set()
        return await second

    assert asyncio.run(go()) == ("accepted", True)


def test_an_answer_to_another_way_is_none_of_its_business(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    codes = enrol(kit, "totp")
    handle, right = page(kit, tray, "totp", codes)
    assert answer_way(kit, handle, "totp", right) == "accepted"
    ask_way(kit, handle, "sms_code")
    assert answer_way(kit, handle, "sms_code", "000000") in ("wrong", "accepted")
    assert answer_way(kit, handle, "sms_code", code_in(tray)) in ("accepted", "done")


# ── pages ───────────────────────────────────────────────────────────────────


def pressed(browser: Browser, path: str, body: str = "", times: int = 3) -> list[httpx2.Response]:
    """One form, sent so many times at once with the cookies that the browser has."""
    of = browser.hidden.get("of") if path.startswith(OF_LINKS) else None
    body = "&".join(filter(None, (body, f"of={of}" if of else "")))
    kit, url = browser.kit, browser.kit.settings.public_url
    headers = {"cookie": "; ".join(f"{k}={v}" for k, v in browser.cookies.items()), "origin": url}
    headers["content-type"] = "application/x-www-form-urlencoded"

    async def one() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=browser.app, client=(HERE.source, 40000))
        async with httpx2.AsyncClient(transport=transport, base_url=url) as http:
            return await http.request("POST", path, headers=headers, content=body.encode())

    async def go() -> list[httpx2.Response]:
        return await asyncio.gather(*(one() for _ in range(times)))

    return kit.run(go())  # type: ignore[no-any-return]


def goes_to(found: list[httpx2.Response]) -> set[tuple[int, str]]:
    return {(r.status_code, r.headers.get("location", "")) for r in found}


@pytest.mark.covers("R11", "E15")
def test_pages_lead_every_press_to_the_page_that_comes_next(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    started = ask(kit, "maya")
    drain(kit)
    token, code, _ = secrets_of(tray.messages[-1])
    at = f"/r/{started.handle}"
    browser = Browser(kit, started)
    for _ in range(2):
        assert goes_to(pressed(browser, f"{at}/code", f"code={code}")) == {(303, at)}

    kit.clock.forward(minutes=30)
    started = ask(kit, "maya")
    drain(kit)
    token, at = secrets_of(tray.messages[-1])[0], f"/r/{started.handle}"
    browser = Browser(kit, started)
    browser.open(token)
    for _ in range(2):
        assert goes_to(pressed(browser, "/link/accept")) == {(303, at)}


@pytest.mark.covers("R11")
def test_on_another_device_every_press_may_go_on_but_a_later_one_may_not(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    started = ask(kit, "maya")
    drain(kit)
    phone, number = Browser(kit), mailed_link.number_for(kit.services.seals, started.handle)
    phone.open(secrets_of(tray.messages[-1])[0])
    found = pressed(phone, "/link/accept", f"number={number}")
    assert {r.status_code for r in found} == {200}
    assert all(started.secret in str(r.headers) for r in found)
    late = pressed(phone, "/link/accept", f"number={number}", 1)[0]
    assert late.status_code == 410
    assert started.secret not in str(late.headers), "a used link opens nothing (C14)"


@pytest.mark.covers("R11")
def test_signing_in_by_a_second_step_every_press_is_signed_in(make_kit: Make) -> None:
    kit, _ = kit_of(make_kit)
    set_password(kit, "maya")
    add_totp(kit)
    browser = Browser(kit)
    browser("POST", "/sign-in", "identifier=maya&password=an+older+password+42")
    found = pressed(browser, "/sign-in/second", f"proof=totp&code={totp_now(kit)}")
    assert goes_to(found) == {(303, "/account")}
    assert len({r.headers.get_list("set-cookie")[0] for r in found}) == 1, "one session"
    assert goes_to(pressed(browser, "/sign-in/second", f"proof=totp&code={totp_now(kit)}")) == {(303, "/account")}


@pytest.mark.slow
@pytest.mark.covers("R11", "W-1")
def test_a_passkey_is_no_exception(nodes: Any) -> None:
    kit, _, dbs = nodes
    device = add_passkey(kit)
    handle = ask(kit, "maya").handle
    drain(kit)
    ask_way(kit, handle, "passkey")
    proof = kit.services.proofs["passkey"]
    asked = kit.read(lambda tx: methods.asked_now(tx, handle, proof))
    typed = device.get(str(proof.form(asked, "en")["options"]))
    assert burst(kit, dbs, "passkey", handle, typed) == {"accepted": 1, "done": 2 * BURST - 1}
    assert burst(kit, dbs, "passkey", handle, typed) == {"done": 2 * BURST}
    assert spent(kit, "passkey", handle) == 1
