"""Answers to security questions: which are taken, and how often somebody may guess."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from keyback.application.throttling import proof_attempts
from keyback.domain.secret import Secret
from keyback.proofs.security_questions.questions import QUESTIONS
from tests.support.enrolled import add_totp, person_id
from tests.support.kit import Kit
from tests.support.questions import ANSWERS, AT, Make, chosen, form, kept, kit_of, mailed
from tests.support.steps import OLD, set_password


@pytest.mark.slow
@pytest.mark.covers("G8")
@pytest.mark.parametrize(
    "answer",
    [
        OLD.reveal(), OLD.reveal().upper(), f"  {OLD.reveal()} ", "iloveyou", "Dragon", "P@ssw0rd", "1q2w3e4r",
        "qwerty 123", "Maya", "maya@example.com", "Qingyu Instruments", "青屿仪器", "aaaa", "！！", "Li Lei",
        "小学第一个同桌",
    ],
)  # fmt: skip
def test_what_is_no_answer(make_kit: Make, answer: str) -> None:
    kit, _, browser = kit_of(make_kit)
    got = browser("POST", AT, form({"deskmate": "Li Lei", "sea": answer, "pay": "a small radio"}))
    if answer == "小学第一个同桌":
        chosen(got)  # words of the question are no answer to that question; to another one they are
        assert browser("POST", AT, form({**ANSWERS, "deskmate": "同桌"})).status_code == 422
        return
    assert got.status_code == 422
    assert kept(kit) == []
    assert 'id="fault-2"' in got.text
    if OLD.reveal() in answer.lower():
        assert "your password" in got.text


@pytest.mark.slow
@pytest.mark.covers("G8")
@pytest.mark.parametrize(
    "password",
    ["Tin frog on a raft", "Tin Frog On A Raft", "TIN FROG ON A RAFT", "ｔｉｎ　ｆｒｏｇ　ｏｎ　ａ　ｒａｆｔ"],
)
def test_ones_own_password_is_no_answer_in_another_case_or_width(make_kit: Make, password: str) -> None:
    kit, _, browser = kit_of(make_kit)
    set_password(kit, "maya", Secret(password), "another")
    for answer in ("tin frog on a raft", "ＴＩＮ frog on a raft"):
        got = browser("POST", AT, form({"deskmate": "Li Lei", "sea": answer, "pay": "a small radio"}))
        assert got.status_code == 422
        assert "your password" in got.text
        assert kept(kit) == []


def _asked(kit: Kit, browser: object, at: str) -> str:
    way = f"{at}/ways/security_questions"
    browser("POST", way)  # type: ignore[operator]
    text = browser("GET", way).text  # type: ignore[operator]
    return next(k for k, q in QUESTIONS.items() if q in text)


@pytest.mark.slow
@pytest.mark.covers("G2")
def test_three_tries_a_question_whatever_is_asked_anew(make_kit: Make, database_url: str) -> None:
    kit, tray, centre = kit_of(make_kit, database_url)
    chosen(centre("POST", AT, form(ANSWERS)))
    add_totp(kit)
    kit.clock.forward(hours=73)

    def page() -> tuple[object, str]:
        browser, at, code = mailed(kit, tray)
        assert browser("POST", f"{at}/code", f"code={code}").status_code == 303
        return browser, at

    def answer(where: tuple[object, str], text: str) -> int:
        browser, at = where
        key = _asked(kit, browser, at)
        body = urlencode({"code": ANSWERS[key] if text == "right" else text})
        return int(browser("POST", f"{at}/ways/security_questions/answer", body).status_code)  # type: ignore[operator]

    first = page()
    for guess in ("walnut", "chestnut", "hazelnut"):
        assert answer(first, guess) == 422
    assert answer(first, "right") == 422, "the fourth is not compared"
    kit.clock.forward(hours=2)
    assert answer(page(), "right") == 422, "nor on another page, two hours later"
    kit.clock.forward(hours=23)
    assert answer(page(), "right") == 303, "a day later"


@pytest.mark.covers("G2")
def test_ten_a_day_over_all_questions(make_kit: Make, database_url: str) -> None:
    kit, _, _ = kit_of(make_kit, database_url)
    pid, other = person_id(kit), person_id(kit, "omar")
    said = [kit.write(lambda tx, n=n: proof_attempts.count_answer(tx, pid, f"q{n // 3}")) for n in range(14)]
    assert said == [True] * 10 + [False] * 4
    assert kit.write(lambda tx: proof_attempts.count_answer(tx, other, "q1")), "of one person only"
    kit.clock.forward(hours=25)
    assert kit.write(lambda tx: proof_attempts.count_answer(tx, pid, "q0"))
