"""How long pages are on a phone, and what stands before the first thing to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e import samples
from tests.support.each import each

# Every room, in the state that most people see it in. What grows with what somebody has (contacts, systems, a list of
# what happened), the demo, and help are as long as they are.
ROOMS = [
    "triage", "forgot", "forgot-locked", "forgot-error-0", "find", "waiting", "waiting-wrong", "waiting-resent",
    "waiting-username", "link-same", "link-number", "link-expired", "link-used", "started-password", "cancel",
    "stopped", "not-yours", "ways", "ways-more", "ways-lost", "way-sms_code", "way-known", "way-totp", "way-passkey",
    "way-recovery_code", "way-contact", "held", "held-long", "in-review", "ask", "new-code", "unlock",
    "replace-factor", "replace-mailbox", "password", "results-done", "results-crm", "remedied-unlocked",
    "remedied-factor_replaced", "vouch", "ended-expired", "ended-cancelled", "sign-in", "sign-in-wrong",
    "account-second-code", "account-confirm-password", "account-overview-calm", "account-factors-none",
    "account-totp-start", "account-passkey-ask", "account-codes-first", "account-add-mail", "account-password",
    "account-password-done", "account-lock", "account-end-others", "account-after", "account-systems-done",
    "error-404", "error-429", "error-503", "accessibility",
]  # fmt: skip
MOST = 1200  # px; less than two screens of 640
# As long as they are: help, and what happened, which is a list.
LISTS = ("help", "demo", "console-", "account-activity")
# Longer for a reason, and no longer than this: every fault of a form at once, each account with what was found there.
LONGER = {
    "ways-mail-came-back": 1241, "document-consent": 1209, "document-agree": 1270,
    "document-cover-none": 1224, "identity-agree": 1229, "identity-denied": 1229, "identity-not_fresh": 1229,
    "identity-level": 1251, "identity-level_missing": 1229, "identity-away": 1251, "identity-too_many": 1229,
    "identity-sent": 1229, "identity-other": 1229, "unlock-failing": 1295, "diagnosis": 1900,
    "diagnosis-too-often": 1299, "password-aside": 1606, "system-factors": 1370, "system-factors-pass": 1563,
    "system-factors-removed": 1572, "system-factors-uncertain": 1508, "system-factors-desk": 1508,
    "system-factors-refused": 1485, "system-factors-away": 1508, "system-factors-too_many": 1485,
    "system-factors-privileged": 1531, "diagnosis-every-finding": 2450, "password-errors": 1446,
    "password-none": 1251, "results": 1366, "results-again": 1219,
    "results-open": 1345, "results-second": 1435, "results-refusals": 1664, "account-factors": 1255,
    "account-factors-passkey_added": 1244, "account-factors-renamed": 1209,
    "account-factors-provider_added": 1255, "account-factors-questions_set": 1244,
    "account-factors-removed": 1244, "account-add-sms-last": 1232, "account-overview": 1346,
    "account-overview-good": 1331, "account-overview-asks": 1377,
    "account-password-current": 1218, "account-callers-wrong": 1236,
    "account-callers-failed": 1259, "account-callers-own": 1259, "account-callers-over": 1236,
    "account-questions": 1229, "account-questions-set": 1229, "account-questions-busy": 1341,
    "account-questions-no_question": 1466, "account-questions-too_long": 1579,
    "account-questions-same_answer": 1462,
}  # fmt: skip
TALL = "() => document.documentElement.scrollHeight"
BEFORE = """() => { const until = document.querySelector('#again h2'), words = [];
  const walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode()) && !until.contains(node);)
    if (node.parentElement.checkVisibility() && !node.parentElement.closest('output, .vh')) words.push(node.data);
  return words.join(' '); }"""


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 640}, reduced_motion="reduce")
    samples.serve(context)
    yield context.new_page()
    context.close()


@pytest.mark.covers("X-8")
@each("locale", ["en", "zh_CN"])
def test_pages_are_short_on_a_phone(phone: Page, locale: str) -> None:
    tall = {name: phone.evaluate(TALL) for name in samples.walk(phone, locale, ROOMS)}
    assert {name: px for name, px in tall.items() if px > MOST} == {}


@pytest.mark.slow
@pytest.mark.covers("X-8")
@each("locale", ["en", "zh_CN"])
def test_no_page_in_any_state_grows(phone: Page, locale: str) -> None:
    names = [name for name in samples.drawn(locale) if not name.startswith(LISTS)]
    tall = {name: phone.evaluate(TALL) for name in samples.walk(phone, locale, names)}
    assert len(tall) > 200
    assert {name: px for name, px in tall.items() if px > LONGER.get(name, MOST)} == {}


@each("locale", ["en", "zh_CN"])
def test_the_page_that_waits_says_little_before_what_to_do_if_nothing_came(phone: Page, locale: str) -> None:
    """At most 60 words, or 100 characters of Chinese, in place of words."""
    samples.show(phone, "waiting", locale)
    said = phone.evaluate(BEFORE)
    assert (len(said.split()) <= 60) if locale == "en" else (len("".join(said.split())) <= 120), said


@each("name", ["results-done", "remedied-unlocked"])
def test_the_end_moves_only_for_those_who_allow_it(browser: Browser, name: str) -> None:
    for motion, moves in (("reduce", False), ("no-preference", True)):
        context = browser.new_context(viewport={"width": 360, "height": 640}, reduced_motion=motion)  # type: ignore[arg-type]
        samples.serve(context)
        page = context.new_page()
        samples.show(page, name)
        assert page.locator(".relief .key").evaluate("e => getComputedStyle(e).animationName !== 'none'") is moves
        context.close()
