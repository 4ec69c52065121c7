"""Pages that put a lost second step right, against real parts: an app or a passkey, all at once and once only."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pyotp
import pytest

from keyback.application.enrolment import factors
from keyback.application.recovery import mailed_link, replace_passkey
from keyback.application.signin import passkey, second_step, step_up
from keyback.application.signin.sessions import SignedIn
from keyback.application.signin.sign_in import SecondStep
from keyback.domain.errors import Refusal
from tests.support.browser import Browser
from tests.support.enrolled import person_id
from tests.support.kit import person
from tests.support.remedies import URL, Make, device, kinds, lost, options_of
from tests.support.steps import HERE, OLD, accept, ask, drain, fit, here, secrets_of, sign_in


@pytest.mark.covers("O-M1", "W-1", "N-T3", "INV-I7")
def test_a_passkey_takes_the_place_of_a_lost_app(make_kit: Make, database_url: str) -> None:
    kit, tray, started = lost(make_kit, url=database_url)
    browser, at, key = Browser(kit, started), f"/r/{started.handle}", device()
    assert f'action="{at}/passkey/new"' in browser("GET", at).text
    assert browser("POST", f"{at}/passkey/new").headers["location"] == at
    answer = key.create(options_of(browser("GET", at).text))
    done = browser("POST", f"{at}/passkey", f"assertion={quote(answer)}")
    assert done.headers["location"] == at
    assert "Your new second step works" in browser("GET", at).text
    assert kinds(kit) == ["passkey", "recovery_codes"]
    assert browser("POST", f"{at}/passkey", f"assertion={quote(answer)}").headers["location"] == at
    assert kinds(kit).count("passkey") == 1
    proof: Any = kit.services.proofs["passkey"]
    ticket = passkey.new_ticket(kit.clock())
    asked = proof.form([passkey.stand_in(kit.services.seals, ticket)], "en")["options"]
    shown = key.get(asked)
    lookup = proof.lookup(shown)
    entered = kit.run(passkey.by_passkey(kit.services.db, proof, ticket, lookup, shown, HERE))
    assert isinstance(entered, SignedIn)
    assert isinstance(sign_in(kit, "maya", OLD), SecondStep)
    pid = person_id(kit)
    new = next(f for f in kit.read(lambda tx: tx.factors.of_person(pid)) if f.kind == "passkey")
    assert new.usable_from > kit.clock() + 71 * 3_600_000, "it recovers nothing before its owner had time to see it"
    drain(kit)
    assert "factor_replaced" in [getattr(x.content, "what", "") for x in tray.messages]


@pytest.mark.covers("W-1", "M8")
def test_an_answer_that_does_not_fit_ends_the_challenge_and_changes_nothing(make_kit: Make) -> None:
    kit, _, started = lost(make_kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    browser("POST", f"{at}/passkey/new")
    options = options_of(browser("GET", at).text)
    foreign = device(origin="https://evil.example").create(options)
    refused = browser("POST", f"{at}/passkey", f"assertion={quote(foreign)}")
    assert refused.status_code == 422
    assert "we can’t use" in refused.text
    right = device().create(options)
    assert browser("POST", f"{at}/passkey", f"assertion={quote(right)}").status_code == 303
    assert kinds(kit) == ["recovery_codes", "totp"], "the challenge was over"
    for text in ("", "x", "{}", json.dumps({"id": 1})):
        browser("POST", f"{at}/passkey/new")
        assert browser("POST", f"{at}/passkey", f"assertion={quote(text)}").status_code == 422
    assert kinds(kit) == ["recovery_codes", "totp"]


@pytest.mark.covers("E2", "J3", "N-R11")
def test_no_other_page_makes_the_passkey(make_kit: Make) -> None:
    kit, tray, started = lost(make_kit)
    Browser(kit, started)("POST", f"/r/{started.handle}/passkey/new")
    prompt = kit.read(lambda tx: replace_passkey.waiting(tx, started.handle))
    assert prompt is not None
    pid, maker = person_id(kit), kit.services.proofs["passkey"]
    assert kit.read(lambda tx: factors.open_passkey(tx, tx.people.person(pid), prompt.id)) is None, "nor does a session"
    stranger = ask(kit, "maya", journey="second_factor")
    drain(kit)
    mailed = ask(kit, "maya", journey="second_factor")
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None  # with the mailbox alone
    for page in (stranger, mailed):
        Browser(kit, page)("POST", f"/r/{page.handle}/passkey/new")
        for act in (
            replace_passkey.start,
            lambda tx, h, w: replace_passkey.replace(tx, maker, h, "", w),
        ):
            with pytest.raises(Refusal):
                kit.write(lambda tx, p=page, a=act: a(tx, p.handle, here(kit)))
    assert kinds(kit) == ["recovery_codes", "totp"]


@pytest.mark.slow
def test_app_and_passkey_may_be_changed_for_each_other_until_one_works(make_kit: Make) -> None:
    kit, _, started = lost(make_kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    browser("POST", f"{at}/passkey/new")
    answer = device().create(options_of(browser("GET", at).text))
    browser("POST", f"{at}/factor/new")
    shown = browser("GET", at).text
    assert "data-options" not in shown
    seed = re.search(r'<b class="mono secret-key"[^>]*>([A-Z2-7 ]+)</b>', shown)
    assert seed
    assert browser("POST", f"{at}/passkey", f"assertion={quote(answer)}").status_code == 303
    assert kinds(kit) == ["recovery_codes", "totp"], "its challenge went with the page"
    code = pyotp.TOTP(seed[1].replace(" ", "")).at(kit.clock() // 1000)
    assert browser("POST", f"{at}/factor", "code=000000").status_code == 422
    assert browser("POST", f"{at}/factor", f"code={code}").headers["location"] == at
    assert "Your new second step works" in browser("GET", at).text


def test_where_browsers_make_no_passkeys_only_the_app_is_offered(make_kit: Make) -> None:
    for over in ({"public_url": "http://127.0.0.1:8080"}, {"policy": {"off": ["passkey", "security_questions"]}}):
        kit, _, started = lost(make_kit, **over)
        browser, at = Browser(kit, started), f"/r/{started.handle}"
        assert "passkey" not in browser("GET", at).text.split("<h1>")[1].split("</main>")[0].lower()
        assert browser("POST", f"{at}/passkey/new").headers["location"] == at
        assert kit.read(lambda tx, h=started.handle: replace_passkey.waiting(tx, h)) is None
        assert browser("POST", f"{at}/passkey", "assertion=x").headers["location"] == at


@pytest.mark.covers("N-T6")
def test_wrong_answers_to_the_lost_app_do_not_count_against_the_new_one(make_kit: Make) -> None:
    kit, _, started = lost(make_kit)
    pid = person_id(kit)
    kit.write(lambda tx: tx.counters.add([f"totp/s/{pid}", f"passkey/s/{pid}"] * step_up.CAP))
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    browser("POST", f"{at}/factor/new")
    seed = re.search(r'<b class="mono secret-key"[^>]*>([A-Z2-7 ]+)</b>', browser("GET", at).text)
    assert seed
    app = pyotp.TOTP(seed[1].replace(" ", ""))
    browser("POST", f"{at}/factor", f"code={app.at(kit.clock() // 1000)}")
    kit.clock.forward(seconds=31)
    asked = sign_in(kit, "maya", OLD)
    assert isinstance(asked, SecondStep)
    code = app.at(kit.clock() // 1000)
    proof = kit.services.proofs["totp"]
    assert isinstance(kit.run(second_step.take(kit.services.db, proof, asked.token, code, HERE)), SignedIn)


@pytest.mark.parametrize(
    ("journey", "word"), [("locked", "Unlock"), ("second_factor", "Second step"), ("mailbox", "New address")]
)
def test_the_steps_say_what_is_put_right(make_kit: Make, journey: str, word: str) -> None:
    kit = make_kit(public_url=URL)
    tray = fit(kit, person("maya"))
    started = ask(kit, "maya", journey=journey)
    browser = Browser(kit, started)
    texts = [browser("GET", f"/r/{started.handle}").text]
    if journey != "mailbox":
        drain(kit)
        other = Browser(kit)
        texts.append(other.open(secrets_of(tray.messages[-1])[0]).text)
        number = mailed_link.number_for(kit.services.seals, started.handle)
        texts.append(other("POST", "/link/accept", f"number={number}").text)
        texts.append(browser("GET", f"/r/{started.handle}").text)
    for text in texts:
        steps = text.split('class="steps"')[1].split("</nav>")[0]
        assert word in steps
        assert "New password" not in steps
