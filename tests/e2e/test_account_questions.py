"""Security questions in a browser: chosen by keyboard after mistakes, and asked once the mailed code was typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, expect

from keyback.locale import gettext
from keyback.proofs.security_questions.questions import QUESTIONS
from tests.e2e.account_steps import add_totp, signed_in
from tests.e2e.keyboard import looked_at, press, tab_to
from tests.e2e.site import Site, running
from tests.e2e.steps import ask
from tests.e2e.ways_steps import answer, mail_code, pick

ANSWERS = {"deskmate": "Li Lei", "sea": "Beidaihe, 北戴河", "pay": "a small radio"}


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("questions"), policy={"security_questions": True}) as site:
        yield site


@pytest.mark.slow
@pytest.mark.covers("O-Q1", "O-Q4", "G5", "X-6", "X-8")
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_they_are_chosen_and_asked(home: Site, device: Callable[..., BrowserContext], locale: str) -> None:
    who = home.person("zh_CN" if locale == "zh-CN" else "en")
    page = device(locale, 360, base_url=home.url).new_page()
    signed_in(page, who)
    add_totp(page, home)
    page.goto("/account/ways")
    press(page, "a[href='/account/questions']")
    page.wait_for_url("**/account/questions")
    looked_at(page)
    for given in (dict.fromkeys(ANSWERS, "1234"), ANSWERS):
        for i, (key, said) in enumerate(given.items(), 1):
            tab_to(page, f"#question_{i}")
            page.locator(f"#question_{i}").select_option(key)
            tab_to(page, f"#answer_{i}")
            page.keyboard.type(said)
        page.keyboard.press("Enter")
        if given is not ANSWERS:
            expect(page.locator("p.error")).to_have_count(3)
            expect(page.locator("#answer_1")).to_have_value("")
            looked_at(page)
    page.wait_for_url("**/account/ways?done=questions_set")
    looked_at(page)

    home.applied()
    notices = len(home.mailbox.messages(who.mail))
    home.later(minutes=73 * 60)
    later = device(locale, 360, base_url=home.url).new_page()
    ask(later, who.key)
    mail_code(later, home, who, notices + 1)
    later.goto(later.url)  # it may have been loading itself anew
    expect(later.locator("h1")).to_have_text(gettext(who.locale, "One more method, please"))
    pick(later, "security_questions")
    asked = {key: gettext(who.locale, text) for key, text in QUESTIONS.items()}
    label = later.locator("label[for='code']").text_content()
    looked_at(later)
    [key] = [k for k, text in asked.items() if text == label]
    answer(later, ANSWERS[key].upper())
    later.wait_for_url(lambda url: "/ways" not in url)
    expect(later.locator("#new_password")).to_have_count(0)
    expect(later.locator("form[action$='/ways/totp']")).to_have_count(1)
