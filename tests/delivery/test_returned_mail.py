"""What becomes of mail that does not arrive: believed only of mails of ours, told after the first proof, never a
lock-out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keyback.application.notifications import returned_mail
from keyback.application.ports.channels import Receipt
from keyback.application.ports.returned_mail import MailboxAway, ReturnSources
from keyback.application.recovery.methods import available_methods
from keyback.channels.mail.delivery_reports import MAX_REPORT, read_report
from keyback.channels.mail.return_mailbox import ImapMailbox, MailboxSettings
from keyback.domain.people.person import Contact
from keyback.domain.people.returned_mail import LIFE, make_token, read_token
from keyback.domain.secret import Secret
from keyback.domain.units import HOUR, MINUTE
from keyback.testing.mailbox import Mailbox
from keyback.web.app import make_app, make_context
from keyback.web.delivery_reports import is_signed
from tests.support.browser import Browser, call
from tests.support.each import each
from tests.support.enrolled import SMS, add_contact, add_totp, answer_way, ask_way, person_id, totp_now
from tests.support.imap import ImapServer
from tests.support.kit import Kit, person
from tests.support.reports import report
from tests.support.steps import ask, begin, case_of, drain, fit, try_code, types

Make = Callable[..., Kit]
KEY = b"k" * 32
ID = base64.urlsafe_b64encode(bytes(range(16))).decode().rstrip("=")
AT = 1_795_000_000_000
HOOK = "whsec_" + base64.b64encode(b"the key of the mail service, 32b").decode()


def contact_of(kit: Kit, contact_id: str) -> Contact:
    return kit.read(lambda tx: tx.contacts.many([contact_id]))[contact_id]


def take(kit: Kit, raw: bytes) -> int:
    said = read_report(raw)
    return kit.write(lambda tx: returned_mail.take(tx, [said])) if said else 0


def mail_to(kit: Kit, contact_id: str) -> str:
    """The Message-ID of a mail that was just sent to a contact."""
    contact = contact_of(kit, contact_id)
    token = returned_mail.token_for(kit.services.seals, contact, kit.clock.now)
    return f"<{ID}.{token}@example.com>"


# ── the token ───────────────────────────────────────────────────────────────


@pytest.mark.covers("Y1")
def test_a_token_says_whose_mail_came_back_and_cannot_be_made_without_the_key() -> None:
    token = make_token(KEY, ID, AT)
    found = read_token([b"other" * 8, KEY], token.upper(), AT)  # servers change the case of addresses
    assert found is not None
    assert (found.contact_id, 0 <= found.written_at - AT < MINUTE) == (ID, True)
    assert read_token([b"other" * 8], token, AT) is None
    assert read_token([KEY], token, AT + LIFE + 2 * MINUTE) is None
    for i in range(len(token)):
        other = token[:i] + ("a" if token[i] != "a" else "b") + token[i + 1 :]
        assert read_token([KEY], other, AT) is None, i
    assert make_token(KEY, "short", AT) == make_token(KEY, "ü" * 22, AT) == ""


def test_every_mail_carries_it_and_returns_to_a_mailbox_of_its_own_where_there_is_one(make_kit: Make) -> None:
    with Mailbox() as mailbox:
        kit = make_kit(mail={"port": mailbox.port}, bounces={"address": "bounces@example.com"})
        kit.write(lambda tx: tx.people.save_imported([person("maya")]))
        ask(kit, "maya")
        drain(kit)
        (mail,) = mailbox.messages()
    pid = person_id(kit)
    (primary,) = kit.read(lambda tx: tx.contacts.of_person(pid))
    local = mail["returns_to"].partition("@")[0]
    name, token = local.split("+")
    assert name == "bounces"
    assert len(local) <= 64  # RFC 5321 section 4.5.3.1.1
    assert token in mail["message_id"]
    keys = [kit.services.seals.derive("returned_mail")]
    found = read_token(keys, token, kit.clock.now)
    assert found is not None
    assert found.contact_id == primary.id


# ── reports ─────────────────────────────────────────────────────────────────

TOKEN = make_token(KEY, ID, AT)
OURS = f"<{ID}.{TOKEN}@example.com>"


@each(
    ("over", "found"),
    [
        ({}, ("returned", "5.1.1")),
        ({"kind": "text/rfc822-headers"}, ("returned", "5.1.1")),
        (
            {"status": "5.4.4", "said": "X-Postfix; Host or domain name not found. Name service error"},
            ("returned", "5.4.4"),
        ),
        (
            {"status": "4.4.3", "said": "X-Postfix; Host or domain name not found, delivery expired"},
            ("returned", "4.4.3"),
        ),
        ({"status": "5.2.2", "said": "smtp; 552 5.2.2 over quota"}, ("returned", "5.2.2")),
        ({"status": "5.7.1", "said": "smtp; 550 5.7.1 blocked by RBL"}, None),
        ({"status": "4.4.7", "said": "smtp; delivery time expired"}, None),
        ({"action": "delayed", "status": "4.4.1"}, None),
        ({"action": "delivered", "status": "2.0.0", "said": "smtp; 250 ok"}, ("arrived", "")),
        ({"action": "relayed", "status": "2.0.0"}, None),
    ],
)
@pytest.mark.covers("Y1")
def test_what_a_report_says(over: dict[str, str], found: tuple[str, str] | None) -> None:
    said = read_report(report(OURS, **over))
    assert (said and (said.fate, said.status)) == found
    if said:
        assert said.tokens == (TOKEN,)


def test_the_address_that_a_report_came_to_names_the_mail_too() -> None:
    said = read_report(report("<rewritten@relay.example.com>", to=f"Bounces+{TOKEN.upper()}@example.com"))
    assert said is not None
    assert said.tokens == (TOKEN,)


@pytest.mark.covers("Y2")
def test_no_mail_of_a_stranger_costs_much_or_says_anything() -> None:
    nested = b"Content-Type: multipart/report; boundary=a\r\n\r\n"
    for i in range(3000):
        nested += f"--a{i}\r\nContent-Type: multipart/mixed; boundary=a{i}\r\n\r\n".encode()
    odd = [b"", b"\0" * 100, nested, report(OURS)[:700], b"Content-Type: multipart/report\r\n\r\n--x", b"\xff" * 5000]
    odd.append(report(OURS, body="x" * 3 * MAX_REPORT, kind="application/octet-stream"))
    odd.append(f"To: bounces+{TOKEN}@example.com\r\nSubject: Out of office\r\n\r\nI am away.".encode())
    odd.append(report(OURS).replace(b"multipart/report", b"multipart/mixed"))
    dice = random.Random(7)
    for _ in range(200):
        raw = bytearray(report(OURS))
        for _ in range(30):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        read_report(bytes(raw))
    assert [read_report(raw) for raw in odd] == [None] * len(odd)


# ── what follows ────────────────────────────────────────────────────────────


@pytest.mark.both
@pytest.mark.covers("Y1", "INV-I9")
def test_a_returned_mail_counts_once_and_only_until_its_owner_is_reached(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    home = add_contact(kit, "mail", "maya@home.example")
    early = mail_to(kit, home)
    kit.clock.forward(hours=1)
    assert take(kit, report(early)) == 1
    assert (contact_of(kit, home).bounce, contact_of(kit, home).bounce_at) == ("returned", kit.clock.now)
    kit.clock.forward(hours=1)
    assert take(kit, report(early)) == 0  # the same report again
    handle, _, code, _ = begin(kit, tray)
    assert try_code(kit, handle, code) == "accepted"
    assert ask_way(kit, handle, "backup_email", home)  # it is not taken away
    (sent,) = tray.to("maya@home.example", "mail_code")
    assert answer_way(kit, handle, "backup_email", sent.content.code.reveal()) == "accepted"  # type: ignore[attr-defined]
    assert contact_of(kit, home).bounce == ""
    assert take(kit, report(early)) == 0  # what was sent before says nothing any more
    kit.clock.forward(minutes=2)
    assert take(kit, report(mail_to(kit, home), action="delivered", status="2.0.0")) == 0
    assert take(kit, report(mail_to(kit, home))) == 1
    kit.clock.forward(minutes=2)
    assert take(kit, report(mail_to(kit, home), action="delivered", status="2.0.0")) == 1
    assert [t for t in types(kit) if t.startswith("contact_")] == ["contact_bounced", "contact_reached"] * 2


@pytest.mark.covers("Y1")
def test_a_stranger_turns_nothing_off_with_a_forged_report(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"), person("omar"))
    home = add_contact(kit, "mail", "maya@home.example")
    ours = mail_to(kit, home)
    forged = make_token(os.urandom(32), home, kit.clock.now)
    other = add_contact(kit, "mail", "omar@home.example", who="omar")
    spliced = mail_to(kit, other)[:50] + ours[50:]
    for message_id in (f"<{ID}.{forged}@example.com>", f"<{home}@example.com>", ours[:-20], spliced):
        assert take(kit, report(message_id)) == 0
    assert {contact_of(kit, c).bounce for c in (home, other)} == {""}


@pytest.mark.covers("Y3")
def test_a_contact_that_does_not_arrive_warns_nobody_and_is_offered_last(make_kit: Make) -> None:
    kit = make_kit(sms=SMS, public_url="https://recover.example.com", policy={"known_networks": []})
    tray = fit(kit, person("maya"), person("omar"))
    home = add_contact(kit, "mail", "maya@home.example")
    more = add_contact(kit, "mail", "maya@second.example")
    phone = add_contact(kit, "sms", "+8613800000034")
    for contact_id in (home, phone):
        kit.write(lambda tx, c=contact_id: tx.contacts.bounced(c, "returned", tx.now))
    handle, _, code, _ = begin(kit, tray)
    assert try_code(kit, handle, code) == "accepted"
    case = case_of(kit, handle)
    assert case is not None
    s = kit.services
    found = kit.read(lambda tx: available_methods(tx, s.proofs, s.policy, case, handle))
    assert [m.proof for m in found] == ["backup_email", "sms_code"]
    assert [t.id for t in found[0].targets] == [more, home]
    drain(kit)
    told = {x.to for x in tray.messages if x.kind == "hold"}
    assert told >= {"maya@home.example", "+8613800000034"}  # told all the same: it may be back
    kit.write(lambda tx: tx.contacts.bounced(more, "returned", tx.now))
    kit.clock.forward(hours=2)
    handle, _, code, _ = begin(kit, tray)
    assert try_code(kit, handle, code) == "accepted"
    again = case_of(kit, handle)
    assert again is not None
    assert (dict(again.waiting)[handle] - kit.clock.now) / MINUTE == 15  # as if the primary one were alone


@pytest.mark.covers("Y3", "A4", "A1")
def test_what_became_of_a_message_is_told_after_the_first_proof_alone(make_kit: Make) -> None:
    kit = make_kit(sms=SMS)
    tray = fit(kit, person("maya"))
    home = add_contact(kit, "mail", "maya@home.example")
    add_totp(kit)
    tray.answer = Receipt("permanent", "refused_recipient", "550 5.1.1 unknown")
    pages = []
    for who in ("maya", "nobody"):
        started = ask(kit, who)
        drain(kit)
        browser, at = Browser(kit, started), f"/r/{started.handle}"
        assert browser("POST", f"{at}/ways/backup_email").status_code == 303
        drain(kit)
        seen = [browser("GET", f"{at}/ways/backup_email").text, browser("GET", at).text]
        pages.append([len(text) for text in seen])
        assert not any("refused" in text or "came back" in text for text in seen)
        if who == "maya":
            page, path = browser, at
    assert pages[0] == pages[1]
    assert contact_of(kit, home).bounce == "refused"
    kit.clock.forward(minutes=5)
    assert page("POST", f"{path}/ways/totp").status_code == 303
    drain(kit)
    assert page("POST", f"{path}/ways/totp/answer", f"code={totp_now(kit)}").status_code == 303
    assert page("POST", f"{path}/ways/backup_email", f"target={home}").status_code == 303
    drain(kit)
    told = page("GET", f"{path}/ways/backup_email").text
    assert "refused it. Use another method." in told
    assert "maya@home.example" not in told
    tray.answer = Receipt("sent")
    kit.clock.forward(minutes=5)
    page("POST", f"{path}/ways/backup_email", f"target={home}")
    drain(kit)
    assert "refused it" not in page("GET", f"{path}/ways/backup_email").text
    assert contact_of(kit, home).bounce == ""  # the relay takes it again


# ── who tells us ────────────────────────────────────────────────────────────


def mailbox_of(server: ImapServer, **over: Any) -> ImapMailbox:
    values = {"host": "localhost", "port": server.port, "username": "bounces", "password": Secret("let me read")}
    return ImapMailbox(MailboxSettings(**{**values, "ca_file": str(server.ca), "timeout_s": 5.0, **over}))


@pytest.mark.covers("Y1")
def test_the_mailbox_is_read_over_tls_and_only_what_had_its_effect_is_put_aside(make_kit: Make, tmp_path: Path) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    home = add_contact(kit, "mail", "maya@home.example")
    with ImapServer(tmp_path) as server:
        server.mails = [(report(mail_to(kit, home)), set()), (b"Subject: hello\r\n\r\nhi", set())]

        async def fails(_: Any) -> None:
            raise BrokenPipeError

        with pytest.raises(BrokenPipeError):
            kit.run(mailbox_of(server).read(fails))
        assert [flags for _, flags in server.mails] == [set(), set()]
        kit.services = replace(kit.services, returns=ReturnSources(mailbox_of(server, delete=True)))

        async def believe(news: Any) -> int:
            return await kit.services.db.write(lambda tx: returned_mail.take(tx, news))

        assert kit.run(mailbox_of(server).read(believe)) == 2
        assert contact_of(kit, home).bounce == "returned"
        assert [flags for _, flags in server.mails] == [{"\\Seen"}, {"\\Seen"}]
        assert kit.run(mailbox_of(server).read(believe)) == 0
        server.mails.append((report(mail_to(kit, home)), set()))
        assert kit.run(mailbox_of(server, delete=True).read(believe)) == 1
        assert len(server.mails) == 2
        for over in ({"password": Secret("wrong")}, {"ca_file": None}, {"port": 1}):
            with pytest.raises(MailboxAway) as told:
                kit.run(mailbox_of(server, **over).check())
            assert "wrong" not in str(told.value)
        server.failing = "SELECT"
        with pytest.raises(MailboxAway, match="folder"):
            kit.run(mailbox_of(server).check())


def signed(body: str, at: int, name: str = "msg_1", secret: str = HOOK) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = base64.b64encode(hmac.digest(key, f"{name}.{at // 1000}.{body}".encode(), hashlib.sha256)).decode()
    return {"webhook-id": name, "webhook-timestamp": str(at // 1000), "webhook-signature": f"v1a,x v1,{text}"}


@pytest.mark.covers("Y2")
def test_a_mail_service_says_so_by_a_signed_call_that_counts_once(make_kit: Make) -> None:
    kit = make_kit(bounces={"hook_secret": HOOK})
    fit(kit, person("maya"))
    home = add_contact(kit, "mail", "maya@home.example")
    said = {"message_id": mail_to(kit, home), "status": "5.1.1", "reason": "550 user unknown"}
    body = json.dumps({"type": "email.bounced", "data": said})
    app, now = make_app(make_context(kit.settings, kit.services)), kit.clock.now

    def post(headers: dict[str, str], text: str = body) -> tuple[int, str]:
        got = call(kit, app, "POST", "/api/hooks/bounces", content=text, headers=headers)
        answer = got.json()
        return got.status_code, answer.get("outcome") or answer.get("code")

    other = "whsec_" + base64.b64encode(b"z" * 32).decode()
    assert post({}) == (401, "bad_signature")
    assert post(signed(body, now, secret=other)) == (401, "bad_signature")
    assert post(signed(body, now) | {"webhook-id": "msg_2"}) == (401, "bad_signature")
    assert post(signed(body, now - HOUR)) == (401, "stale")
    assert post(signed(body, now + HOUR)) == (401, "stale")
    assert contact_of(kit, home).bounce == ""
    assert post(signed("[]", now, "odd"), "[]") == (422, "not_a_report")
    deep = "[" * 20_000
    assert post(signed(deep, now, "deep"), deep) == (422, "not_a_report")
    assert post(signed(body, now)) == (200, "taken")
    assert contact_of(kit, home).bounce == "returned"
    kit.clock.forward(minutes=1)
    kit.write(lambda tx: tx.contacts.reached(home))
    assert post(signed(body, now)) == (200, "seen")  # a replay has no effect
    assert contact_of(kit, home).bounce == ""
    spam = json.dumps({"type": "email.bounced", "data": said | {"status": "5.7.1", "reason": "spam"}})
    assert post(signed(spam, kit.clock.now, "msg_3"), spam) == (200, "ignored")
    forged = json.dumps({"type": "email.bounced", "data": {"message_id": f"<{home}@example.com>", "status": "5.1.1"}})
    assert post(signed(forged, kit.clock.now, "msg_4"), forged) == (200, "ignored")


def test_without_a_secret_no_call_is_taken(make_kit: Make) -> None:
    kit = make_kit()
    body = "{}"
    app = make_app(make_context(kit.settings, kit.services))
    got = call(kit, app, "POST", "/api/hooks/bounces", content=body, headers=signed(body, kit.clock.now))
    assert got.status_code == 404
    assert not is_signed(b"", "", "", b"", "")
