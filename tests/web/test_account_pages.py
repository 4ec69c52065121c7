"""The security centre over HTTP: what needs a fresh proof, what every contact hears, and how its owner says no."""

from __future__ import annotations

import re
from typing import Any

import pytest

from keyback.application.signin import step_up
from keyback.domain.people.factor import COOLING_OFF
from tests.support.centre import NEW, PASSWORD, Centre, centre_id, later, note


def row(html: str, text: str) -> str:
    """The id that the link to remove something carries."""
    for line in re.findall(r"<li>.*?</li>", html, re.S):
        found = re.search(r"/account/remove/([\w-]+)", line)
        if text in line and found:
            return found[1]
    raise AssertionError(text)


def six(mail: dict[str, Any]) -> str:
    found = re.search(r"^(\d{6})\r?$", mail["text"], re.M)
    assert found, mail["text"]
    return found[1]


@pytest.mark.slow
@pytest.mark.covers("A-7.5.1", "F1", "N-E2", "N-L1")
@pytest.mark.parametrize("path", ["/account/totp", "/account/passkeys", "/account/codes", "/account/contacts/add/mail"])
def test_what_protects_the_account_needs_a_fresh_proof(centre: Centre, path: str) -> None:
    assert centre.get(path).headers["location"] == "/sign-in"
    centre.sign_in()
    assert centre.get(path).status_code == 200  # the password was typed a moment ago
    later(centre, 11)
    for answer in (centre.get(path), centre.post(path)):
        assert answer.headers["location"].startswith("/account/confirm?next=/account")
    assert centre.post("/account/confirm", password="not it at all", next=path).status_code == 422
    assert centre.get(path).status_code == 303
    assert centre.post("/account/confirm", password=PASSWORD, next=path).headers["location"] == path
    assert centre.get(path).status_code == 200


@pytest.mark.slow
@pytest.mark.covers("A-7.5.1", "N-L1", "M5", "A-7.5.3")
def test_a_password_is_no_step_up_for_somebody_with_a_second_step(centre: Centre) -> None:
    centre.sign_in()
    centre.add_app()
    later(centre, 11)
    assert centre.post("/account/codes").headers["location"].startswith("/account/confirm")
    assert centre.post("/account/confirm", password=PASSWORD, next="/account/codes").status_code == 303
    assert centre.get("/account/codes").status_code == 303, "the password changed nothing"
    assert "one-time-code" in centre.get("/account/confirm?next=/account/codes").text
    assert centre.post("/account/confirm", proof="totp", code=centre.digits(), next="/account/codes").status_code == 303
    assert centre.get("/account/codes").status_code == 200
    made = centre.post("/account/codes").text
    codes = re.findall(r"<li>([0-9A-Z-]{20})</li>", made)
    assert len(codes) == 10
    assert codes[0] not in centre.get("/account/codes").text, "shown once"
    file = centre.post("/account/codes/file", codes=" ".join(codes))
    assert codes[9] in file.text
    assert "attachment" in file.headers["content-disposition"]
    assert centre.post("/account/codes/file", codes="<b>").status_code == 303


@pytest.mark.covers("A-3.7.2")
def test_after_a_step_up_nobody_is_sent_elsewhere(centre: Centre) -> None:
    centre.sign_in()
    later(centre, 11)
    for path in ("https://evil.example", "//evil.example", "/account/../sign-out", "/accounts", "javascript:x"):
        answer = centre.post("/account/confirm", password=PASSWORD, next=path)
        assert answer.headers["location"] == "/account"


@pytest.mark.slow
@pytest.mark.covers("N-T1", "N-T6", "M1", "N-O1", "A-6.3.6", "O-W2")
def test_signing_in_asks_for_the_app_and_takes_each_step_once(centre: Centre) -> None:
    centre.sign_in()
    centre.add_app()
    total, _ = step_up._keys(centre.at.services.proofs["totp"], centre.who().id)
    other = centre.another()
    assert centre.sign_in(client=other) == "/sign-in/second"
    assert other.get("/account").headers["location"] == "/sign-in"
    assert other.post("/sign-in/second", data={"proof": "totp", "code": "000000"}).status_code == 422
    assert other.post("/sign-in/second", data={"proof": "email_link", "code": "1"}).status_code == 303
    assert centre.at.read(lambda tx: tx.counters.get(total)).total == 1
    third = centre.another()
    centre.sign_in(client=third)  # a right password clears nothing of the app's
    assert centre.at.read(lambda tx: tx.counters.get(total)).total == 1
    code = centre.digits()
    assert other.post("/sign-in/second", data={"proof": "totp", "code": code}).headers["location"] == "/account"
    assert centre.at.read(lambda tx: tx.counters.get(total)).total == 0
    assert third.post("/sign-in/second", data={"proof": "totp", "code": code}).status_code in (303, 422)
    assert third.get("/account").headers["location"] == "/sign-in"


@pytest.mark.slow
@pytest.mark.covers("N-L2", "M13", "N-R3")
def test_a_saved_code_stands_in_for_the_app_once(centre: Centre) -> None:
    centre.sign_in()
    codes = re.findall(r"<li>([0-9A-Z-]{20})</li>", centre.post("/account/codes").text)
    centre.add_app()
    new = ""
    for code, expected in ((codes[0], 200), (codes[0], 422), ("new", 200), (codes[1], 200)):
        client = centre.another()
        assert centre.sign_in(client=client) == "/sign-in/second"
        done = client.post("/sign-in/second", data={"proof": "recovery_code", "code": code.replace("new", new).lower()})
        assert done.status_code == expected
        if expected == 200:  # the one that takes its place, shown once
            new = re.findall(r"<b[^>]*>([0-9A-Z-]{20})</b>", done.text)[0]
            assert new not in codes
            assert new not in client.get("/account/codes").text
            assert client.get("/account").status_code == 200
    held = centre.at.read(lambda tx: tx.factors.codes([f.id for f in tx.factors.of_person(centre.who().id)]))
    assert sum(c.used_at is None for c in held) == 10, "the sheet stays full"


@pytest.mark.slow
@pytest.mark.covers("F1", "F2", "N-R7", "N-E1", "A-6.3.7")
def test_a_backup_mailbox_is_confirmed_told_about_and_cools_in(centre: Centre) -> None:
    centre.sign_in()
    where = centre.post("/account/contacts/add/mail", address="maya@example.net").headers["location"]
    code = six(centre.mails("maya@example.net", 1)[0])
    assert centre.at.read(lambda tx: len(tx.people.contacts([centre_id(tx)])[centre_id(tx)])) == 1, "not used yet"
    wrong = f"{(int(code) + 1) % 10**6:06}"
    assert centre.post(where, code=wrong).status_code == 422
    assert centre.post(where, code=code).headers["location"] == "/account/contacts?done=confirmed"
    told = centre.mails("maya@example.com", 1)[-1]
    assert "m•••@example.net" in told["text"]
    assert "maya@example.net" not in told["text"]
    new = next(c for c in centre.at.read(lambda tx: tx.contacts.of_person(centre_id(tx))) if c.role == "backup")
    assert new.usable_from - centre.at.read(lambda tx: tx.now) > COOLING_OFF - 60_000
    removing = row(centre.get("/account/contacts").text, "maya@example.net")
    assert "maya@example.net" in centre.get(f"/account/remove/{removing}").text
    centre.post(f"/account/remove/{removing}")
    assert "removed" in centre.mails("maya@example.net", 2)[-1]["text"], "the removed one hears of it too"
    assert "removed" in centre.mails("maya@example.com", 2)[-1]["text"]
    kinds = [h.type for h in centre.at.read(lambda tx: tx.audit.of_person(centre_id(tx), 2**62, 50))]
    assert {"mail_added", "mail_removed"} <= set(kinds)


@pytest.mark.covers("F3")
def test_a_code_goes_to_the_stored_address_of_ones_own_contact_only(centre: Centre) -> None:
    centre.sign_in("omar")
    theirs = centre.post("/account/contacts/add/mail", address="omar@example.net").headers["location"]
    centre.browser.cookies.clear()
    centre.sign_in()
    assert centre.post(f"{theirs}/again").headers["location"] == "/account/contacts"
    assert centre.post(f"{theirs}/again", address="thief@example.net").status_code == 422
    assert centre.post(theirs, code="000000").headers["location"] == "/account/contacts"
    assert centre.get(f"/account/remove/{theirs.rpartition('/')[2]}").headers["location"] == "/account"


@pytest.mark.covers("W-7", "A-6.3.3")
def test_the_last_second_step_stays_where_one_is_wanted(centre: Centre) -> None:
    centre.sign_in("omar")
    centre.add_app()
    factor = row(centre.get("/account/ways").text, "Authenticator app")
    assert "the last method" in centre.get(f"/account/remove/{factor}").text
    centre.post(f"/account/remove/{factor}")
    assert row(centre.get("/account/ways").text, "Authenticator app") == factor


@pytest.mark.covers("N-T3", "N-R12", "A-6.3.7")
def test_a_removed_app_signs_in_no_more(centre: Centre) -> None:
    centre.sign_in()
    centre.add_app()
    factor = row(centre.get("/account/ways").text, "Authenticator app")
    assert centre.post(f"/account/remove/{factor}").headers["location"] == "/account/ways?done=removed"
    other = centre.another()
    assert centre.sign_in(client=other) == "/account"
    assert "removed" in centre.mails("maya@example.com", 2)[-1]["text"]


def notice_link(mail: dict[str, Any]) -> str:
    return str(next(x for x in mail["links"] if "/l/" in x)).partition("/l/")[2]


@pytest.mark.slow
@pytest.mark.covers("E13", "E7", "N-T3", "C5")
def test_this_was_not_me_locks_takes_back_and_leads_to_a_recovery(centre: Centre) -> None:
    centre.sign_in()
    centre.add_app()
    link = notice_link(centre.mails("maya@example.com", 1)[0])
    owner = centre.another()
    for _ in range(3):
        at = owner.get(f"/l/{link}").headers["location"]
        assert at.startswith("/wasnt-me?of=")
        assert "Authenticator app" in owner.get(at).text
    assert centre.get("/account").status_code == 200, "opening the link changed nothing"
    sent = {"take_back": "yes", "of": at.partition("of=")[2]}
    done = owner.post("/wasnt-me", data=sent)
    assert done.status_code == 200
    assert centre.get("/account").headers["location"] == "/sign-in"
    assert centre.sign_in() == "401", "who knows the password is out"
    pid = centre.who().id
    assert not centre.at.read(lambda tx: tx.factors.of_person(pid))
    assert "locked" in centre.mails("maya@example.com", 2)[-1]["text"]
    assert owner.get(f"/l/{link}").headers["location"] == at
    assert owner.post("/wasnt-me", data=sent).status_code == 410, "once"
    started = owner.post("/forgot", data={"identifier": "maya", "system": "", "journey": "password"})
    assert started.headers["location"].startswith("/r/")


@pytest.mark.slow
@pytest.mark.covers("E13", "F1")
def test_a_contact_that_is_new_cannot_lock_the_owner_out(centre: Centre) -> None:
    centre.sign_in()
    where = centre.post("/account/contacts/add/mail", address="thief@example.net").headers["location"]
    centre.post(where, code=six(centre.mails("thief@example.net", 1)[0]))
    centre.add_app()
    assert not [x for x in centre.mails("thief@example.net", 2)[-1]["links"] if "/l/" in x]
    assert [x for x in centre.mails("maya@example.com", 2)[-1]["links"] if "/l/" in x]


@pytest.mark.slow
@pytest.mark.covers("N-R8")
def test_a_recovery_contact_agrees_by_a_post_and_can_be_removed(centre: Centre) -> None:
    centre.sign_in()
    own = centre.post("/account/contacts/add/helper", name="Me", address="maya@example.com")
    assert own.status_code == 422
    asked = centre.post("/account/contacts/add/helper", name="Wei Chen", address="wei@example.com")
    assert asked.headers["location"] == "/account/contacts?done=invited"
    mail = centre.mails("wei@example.com", 1)[0]
    link, colleague, pid = notice_link(mail), centre.another(), centre.who().id
    at = colleague.get(f"/l/{link}").headers["location"]
    assert at.startswith("/invited?of=")
    assert colleague.get(at).status_code == 200
    assert centre.at.read(lambda tx: [c.role for c in tx.contacts.of_person(pid)]) == ["primary"]
    assert colleague.post("/invited", data={"answer": "yes", "of": at.partition("of=")[2]}).status_code == 200
    helper = next(c for c in centre.at.read(lambda tx: tx.contacts.of_person(pid)) if c.role == "recovery")
    assert helper.usable_from > centre.at.read(lambda tx: tx.now)
    assert colleague.get(f"/l/{link}").headers["location"] == at
    assert colleague.get(at).status_code == 410
    centre.post(f"/account/remove/{row(centre.get('/account/contacts').text, 'Wei Chen')}")
    assert centre.at.read(lambda tx: [c.role for c in tx.contacts.of_person(pid)]) == ["primary"]


@pytest.mark.slow
@pytest.mark.covers("A-7.5.2", "A-7.4.1")
def test_sessions_are_listed_and_ended(centre: Centre) -> None:
    centre.sign_in()
    other = centre.another()
    centre.sign_in(client=other)
    page = centre.get("/account/devices").text
    theirs = re.search(r'href="(/account/devices/end\?session=([0-9a-f]{32}))"', page)
    assert theirs
    assert f'name="session" value="{theirs[2]}"' in centre.get(theirs[1]).text
    assert other.get("/account").status_code == 200, "it was asked first"
    centre.post("/account/devices", session=theirs[2])
    assert other.get("/account").headers["location"] == "/sign-in"
    centre.sign_in(client=other)
    centre.post("/account/devices", session="others")
    assert other.get("/account").headers["location"] == "/sign-in"
    assert centre.get("/account").status_code == 200
    assert "Another device signed out" in centre.get("/account/activity").text


@pytest.mark.slow
@pytest.mark.covers("A-7.4.3", "E4", "E8", "A-6.2.2", "A-6.3.7", "O-F8")
def test_a_new_password_ends_the_other_sessions(centre: Centre) -> None:
    centre.sign_in()
    other = centre.another()
    centre.sign_in(client=other)
    current = {"current_password": PASSWORD}
    short = centre.post("/account/password", new_password="short", **current)
    assert short.status_code == 422
    differ = centre.post("/account/password", new_password=NEW, new_password_again=NEW + "x", **current)
    assert differ.status_code == 422
    assert centre.post("/account/password", new_password=NEW, **current).status_code == 200
    assert other.get("/account").headers["location"] == "/sign-in"
    assert centre.get("/account").status_code == 200
    assert centre.sign_in(client=other) == "401"
    assert centre.sign_in(password=NEW, client=other) == "/account"
    assert "password" in centre.mails("maya@example.com", 1)[-1]["text"]


@pytest.mark.slow
@pytest.mark.covers("A-16.3.1")
def test_activity_tells_what_happened_and_pages(centre: Centre) -> None:
    centre.sign_in(password="wrong password here")
    centre.sign_in()
    page = centre.get("/account/activity").text
    assert page.index("You signed in") < page.index("Wrong password")
    for _ in range(35):
        centre.at.run(centre.at.services.db.write(lambda tx: tx.audit.record(centre_id(tx), [note()])))
    first = centre.get("/account/activity").text
    older = re.search(r"/account/activity\?before=(\d+)", first)
    assert older
    assert "Wrong password" in centre.get(older[0]).text
    assert centre.get("/account/activity?before=x").status_code == 200


@pytest.mark.covers("E7")
def test_after_care_finds_what_was_planted(centre: Centre) -> None:
    centre.sign_in()
    centre.add_app()
    page = centre.get("/account/after").text
    planted = re.search(r'name="remove" value="([\w-]+)"', page)
    assert planted
    centre.post("/account/after", step="recent", remove=planted[1])
    pid = centre.who().id
    assert not centre.at.read(lambda tx: tx.factors.of_person(pid))
    centre.post("/account/after", step="contacts")
    assert centre.get("/account/after").text.count('value="contacts"') == 0


@pytest.mark.covers("I4")
def test_nothing_of_others_can_be_removed_by_after_care(centre: Centre) -> None:
    centre.sign_in("omar")
    centre.add_app()
    theirs = row(centre.get("/account/ways").text, "Authenticator app")
    centre.browser.cookies.clear()
    centre.sign_in()
    centre.post("/account/after", step="recent", remove=theirs)
    assert [f.id for f in centre.at.read(lambda tx: tx.factors.of_person(centre.who("omar").id))] == [theirs]


def test_readiness_names_the_next_step(centre: Centre) -> None:
    centre.sign_in()
    assert "You could recover on your own in" in centre.get("/account").text
    assert "/account/codes" in centre.get("/account").text
