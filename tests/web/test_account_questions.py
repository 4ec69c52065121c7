"""Security questions over HTTP: chosen in the centre, asked only after the mailed link, deciding nothing."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest

from keyback.application.enrolment import security_questions
from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.secret import Secret
from keyback.proofs.security_questions.questions import ASKED, QUESTIONS
from tests.support.browser import Browser
from tests.support.enrolled import add_contact, add_totp, ask_way, person_id, totp_now
from tests.support.kit import Kit
from tests.support.questions import ANSWERS, AT, ON, Make, chosen, form, kept, kit_of, mailed
from tests.support.steps import Tray, ask, drain


def told(kit: Kit, tray: Tray, what: str) -> set[str]:
    drain(kit)
    return {x.to for x in tray.messages if x.kind == "account_changed" and x.content.what == what}


def test_the_page_and_the_proof_ask_for_as_many() -> None:
    assert security_questions.ASKED == ASKED


def test_they_are_offered_only_where_the_policy_has_them_on(make_kit: Make) -> None:
    kit, _, browser = kit_of(make_kit, policy={})
    assert AT not in browser("GET", "/account/ways").text
    for got in (browser("GET", AT), browser("POST", AT, form(ANSWERS))):
        assert got.headers["location"] == "/account/ways"
    assert kept(kit) == []


@pytest.mark.covers("O-Q2", "O-Q4", "G5", "F1")
def test_three_answers_are_kept_as_hashes_and_every_contact_hears_of_it(make_kit: Make, database_url: str) -> None:
    kit, tray, browser = kit_of(make_kit, database_url)
    add_contact(kit, "mail", "maya@home.example.net")
    page = browser("GET", AT).text
    assert set(re.findall(r'<option value="(\w+)"', page)) == set(QUESTIONS)
    chosen(browser("POST", AT, form(ANSWERS)))
    [factor] = kept(kit)
    assert [a["question"] for a in factor.data["answers"]] == list(ANSWERS)
    assert all(a["phc"].startswith("$argon2id$") for a in factor.data["answers"])
    now = kit.read(lambda tx: tx.now)
    assert factor.usable_from == now + COOLING_OFF, "what is new recovers nothing yet"
    assert told(kit, tray, "questions_set") == {"maya@example.com", "maya@home.example.net"}
    everywhere = [browser("GET", p).text for p in (AT, "/account/ways?done=questions_set", "/account/activity")]
    assert "Security questions set up" in everywhere[2]
    remove = re.search(r"/account/remove/[\w-]+", everywhere[1])
    assert remove
    everywhere.append(browser("GET", remove[0]).text)
    for html in everywhere:
        assert not [a for a in ANSWERS.values() if a in html]


@pytest.mark.covers("O-Q4", "G5")
@pytest.mark.parametrize("lang, said", [("en", "anyone would try first"), ("zh", "很容易被猜到")])
def test_all_that_is_wrong_is_said_at_once_and_no_answer_comes_back(make_kit: Make, lang: str, said: str) -> None:
    kit, tray, browser = kit_of(make_kit)
    browser("GET", f"/sign-in?lang={lang}")
    for fields, places in (
        ("question_1=deskmate&answer_1=maya&question_2=sea&answer_2=1234&question_3=&answer_3=walnut", (1, 2, 3)),
        ("question_1=my+own&answer_1=walnut&question_2=sea&answer_2=1234&question_3=pay&answer_3=a+radio", (1, 2)),
        ("question_1=sea&answer_1=walnut&question_2=sea&answer_2=1234&question_3=pay&answer_3=WALNUT", (2, 3)),
    ):
        got = browser("POST", AT, fields)
        assert got.status_code == 422
        assert tuple(int(n) for n in re.findall(r'id="fault-(\d)"', got.text)) == places
        assert len(re.findall(r'aria-invalid="true"', got.text)) == len(places)
        assert (said in got.text) == (fields.count("sea") == 1)
        assert "walnut" not in got.text.lower()
        assert 'value="1234"' not in got.text
        assert '<option value="sea" selected>' in got.text
    assert kept(kit) == []
    assert told(kit, tray, "questions_set") == set()


@pytest.mark.covers("O-Q2", "A-7.5.1")
def test_changing_them_needs_a_fresh_proof(make_kit: Make) -> None:
    kit, _, browser = kit_of(make_kit)
    chosen(browser("POST", AT, form(ANSWERS)))
    before = kept(kit)
    kit.clock.forward(minutes=11)
    for got in (browser("GET", AT), browser("POST", AT, form(ANSWERS))):
        assert got.headers["location"] == f"/account/confirm?next={AT}"
    assert kept(kit) == before
    assert Browser(kit)("POST", AT, form(ANSWERS)).headers["location"] == "/sign-in"


@pytest.mark.covers("O-Q2", "N-L1", "N-T3")
def test_a_new_choice_replaces_the_old_one_and_removing_is_told(make_kit: Make, database_url: str) -> None:
    kit, tray, browser = kit_of(make_kit, database_url)
    chosen(browser("POST", AT, form(ANSWERS)))
    [first] = kept(kit)
    assert "replaces them immediately" in browser("GET", AT).text
    chosen(browser("POST", AT, form({"film": "Red Sorghum", "song": "茉莉花", "toy": "tin frog"})))
    [second] = kept(kit)
    assert second.id != first.id
    assert browser("POST", f"/account/remove/{second.id}").headers["location"] == "/account/ways?done=removed"
    assert kept(kit) == []
    assert told(kit, tray, "questions_removed") == {"maya@example.com"}


def test_a_lockdown_while_answers_are_hashed_wins(make_kit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    kit, _, browser = kit_of(make_kit)
    maker, pid = kit.services.proofs[security_questions.KIND], person_id(kit)
    real = type(maker).hashed  # type: ignore[attr-defined]

    async def slow(self: Any, picked: Any) -> Any:
        await kit.services.db.write(lambda tx: tx.people.bump_security(pid))
        return await real(self, picked)

    monkeypatch.setattr(type(maker), "hashed", slow)
    assert browser("POST", AT, form(ANSWERS)).headers["location"] == AT
    assert kept(kit) == []


# ── at a recovery ───────────────────────────────────────────────────────────


@pytest.mark.covers("O-Q1", "A1")
def test_before_the_mailed_link_nobody_is_asked_one(make_kit: Make, database_url: str) -> None:
    kit, _, centre = kit_of(make_kit, database_url)
    chosen(centre("POST", AT, form(ANSWERS)))
    kit.clock.forward(hours=73)
    for who in ("maya", "omar", "nobody"):
        started = ask(kit, who)
        drain(kit)
        browser, at = Browser(kit, started), f"/r/{started.handle}"
        assert "security_questions" not in browser("GET", f"{at}/ways").text
        for method, path in (("POST", ""), ("GET", ""), ("POST", "/answer")):
            got = browser(method, f"{at}/ways/security_questions{path}", "code=Li+Lei" if path else "")
            drain(kit)
            assert got.headers.get("location") == at, (who, method, path)
        # Nor does the worker put one that was written down past the pages.
        ask_way(kit, started.handle, "security_questions")
        assert not kit.read(lambda tx, h=started.handle: tx.challenges.issued(h, "security_questions"))


@pytest.mark.covers("O-Q1")
def test_another_proof_than_the_mailed_link_does_not_bring_them_up(make_kit: Make) -> None:
    kit, tray, centre = kit_of(make_kit, policy={**ON, "floor": "mfa"})
    add_contact(kit, "mail", "maya@home.example.net")
    chosen(centre("POST", AT, form(ANSWERS)))
    kit.clock.forward(hours=73)
    browser, at, _ = mailed(kit, tray)
    browser("POST", f"{at}/ways/backup_email")
    drain(kit)
    code = tray.messages[-1].content.code
    assert isinstance(code, Secret)
    assert browser("POST", f"{at}/ways/backup_email/answer", f"code={code.reveal()}").status_code == 303
    assert "backup email" in browser("GET", at).text
    assert "security_questions" not in browser("GET", f"{at}/ways").text
    assert browser("POST", f"{at}/ways/security_questions").headers["location"] == at


@pytest.mark.slow
@pytest.mark.covers("O-Q1", "O-Q3", "G1", "G3", "G6", "SD-D1")
def test_after_the_mailed_link_a_right_answer_is_taken_and_opens_nothing(make_kit: Make, database_url: str) -> None:
    kit, tray, centre = kit_of(make_kit, database_url)
    chosen(centre("POST", AT, form(ANSWERS)))
    add_totp(kit)
    kit.clock.forward(hours=73)
    browser, at, code = mailed(kit, tray)
    assert browser("POST", f"{at}/code", f"code={code}").status_code == 303
    way = f"{at}/ways/security_questions"
    assert f'action="{way}"' in browser("GET", at).text
    seen = set()
    for _ in range(4):
        browser("POST", way)
        seen |= {key for key, text in QUESTIONS.items() if text in browser("GET", way).text}
    assert len(seen) == 1, "reloading and asking anew bring no other question"
    [key] = seen & set(ANSWERS)
    wrong = browser("POST", f"{way}/answer", urlencode({"code": next(a for k, a in ANSWERS.items() if k != key)}))
    assert wrong.status_code == 422
    assert QUESTIONS[key] in wrong.text
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in ANSWERS[key].upper())
    assert browser("POST", f"{way}/answer", urlencode({"code": f" {wide}。"})).headers["location"] == at
    got = browser("GET", at).text
    assert 'name="new_password"' not in got
    assert f'action="{at}/ways/totp"' in got, "the same other proof is wanted as before"


@pytest.mark.covers("G1", "SD-D1")
def test_an_answer_is_not_offered_where_it_would_shorten_no_wait(make_kit: Make) -> None:
    kit, tray, centre = kit_of(make_kit)
    chosen(centre("POST", AT, form(ANSWERS)))
    add_contact(kit, "mail", "friend@example.org", "recovery", name="Omar")
    add_totp(kit)
    kit.clock.forward(hours=73)
    browser, at, code = mailed(kit, tray)
    assert browser("POST", f"{at}/code", f"code={code}").status_code == 303
    assert f'action="{at}/ways/security_questions"' in browser("GET", at).text
    browser("POST", f"{at}/ways/totp")
    assert browser("POST", f"{at}/ways/totp/answer", f"code={totp_now(kit)}").status_code == 303
    held = browser("GET", at).text
    assert "Please wait a moment" in held
    assert f'action="{at}/ways/recovery_contact"' in held
    assert "security_questions" not in held
