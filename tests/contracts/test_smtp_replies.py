"""Whose fault a relay's reply is: by status code, then by words, then by the command.

Replies as Postfix, Exim, Exchange, qmail and large providers word them.
"""

from __future__ import annotations

import base64
import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from keyback.application.ports.channels import Receipt
from keyback.channels.mail.smtp_replies import CONTENT, MAIL, RCPT, Down, refused
from keyback.channels.mail.smtp_session import host_name, own_name
from keyback.domain.secret import Secret
from keyback.settings import read_secret
from keyback.testing.mailbox import Mailbox
from tests.support.each import each
from tests.support.relay import HELLO, checked, codes, letter, script, sent, to

OURS = """\
553 5.7.1 Sender address rejected: not owned by user keyback
554 5.7.1 Client host rejected: Access denied
554 5.7.1 Relay access denied
550 5.7.1 Unable to relay
550 5.7.1 Command rejected
554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.example.com
550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain
550 5.7.60 SMTP; Client does not have permissions to send as this sender
504 5.5.2 relay: Helo command rejected: need fully-qualified hostname
550 5.1.8 Sender address rejected: Domain not found
530 5.7.0 Must issue a STARTTLS command first
535 5.7.8 Error: authentication failed
553 Mail from must equal authorized user
550 User has no permission
550 5.7.26 This mail is unauthenticated
550 SPF check failed
553 sorry, that domain is not in my list of allowed rcpthosts
571 Delivery not authorized, message refused
550 Administrative prohibition
550 Sender verify failed
550 5.7.0 Domain not allowed to send
554 Transaction failed
550 Domain frequency limited
550 Connection frequency limited
550 Ip frequency limited
550 Sender frequency limited
550 Connection denied
550 Suspected bounce attacks
550 Mail content denied
550 RP:RCL
550 RP:TRC
554 DT:SPM 163 smtp13
550 MI:SPF mx14
553 HL:MEP
554 Reject by behaviour spam
550 5.7.1 <maya@example.com>: Recipient address rejected: Please see http://www.openspf.org/Why
554 5.7.1 Sender account disabled
550 Your account has been suspended
550 The sending account is disabled
550 5.4.6 Unusual sending activity detected
550 5.1.8 Access denied, bad outbound sender
554 5.1.8 Email Outgoing Blocked
550 Your domain is not found in our list
551 the sender's account is restricted
550 Maximum credits exceeded
550 发信频率过高，请稍后
550 发件人账号已停用
550 5.7.1 Our system has detected that this message is likely unsolicited mail""".splitlines()

THEIRS = """\
550 5.1.1 unknown
550 5.1.1 Recipient address rejected: User unknown in relay recipient table
550 5.1.1 Sender address ok but recipient unknown
550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found
550 5.2.1 The email account that you tried to reach is disabled
552 5.2.2 mailbox full
550 5.4.1 Recipient address rejected: Access denied. AS(201806281)
550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required
554 5.7.1 Recipient address rejected: user invalid gone
550 5.5.0 Requested action not taken: mailbox unavailable
550 5.0.0 user not found
550 no such user here
550 Mailbox unavailable or access denied
550 Unrouteable address
554 delivery error: dd This user doesn't have an account
550 Mailbox not found
550 User not found: maya
550 User suspended
550 User is disabled
559 Invalid rcptto
550 sorry, no mailbox here by that name. (#5.1.1)
554 delivery error: dd Sorry, your message cannot be delivered. This mailbox is disabled (554.30)
550 5.1.1 The email account that you tried to reach does not exist
550 收件人不存在
554 收件人邮箱已满
550 用户不存在
556 5.1.10 Domain does not accept mail""".splitlines()


def judged(stage: int, reply: str) -> Receipt:
    return refused(stage, int(reply[:3]), reply[4:])


@each("stage", [RCPT, CONTENT])
def test_what_is_held_against_us_never_drops_a_mail(stage: int) -> None:
    wrong = {r: found for r in OURS if (found := judged(stage, r)).code != "relay_refuses_us"}
    assert not wrong
    assert {judged(stage, r).status for r in OURS} == {"temporary"}


@each("stage", [RCPT, CONTENT])
def test_what_is_wrong_with_the_address_is_told_so(stage: int) -> None:
    wrong = {r: found for r in THEIRS if (found := judged(stage, r)).code != "refused_recipient"}
    assert not wrong


def test_a_sender_that_is_refused_stops_all_mails_and_a_bad_form_its_own() -> None:
    for reply in OURS:
        with pytest.raises(Down):
            judged(MAIL, reply)
    assert judged(MAIL, "553 5.6.7 No SMTPUTF8").code != "relay_refuses_us"
    assert judged(CONTENT, "554 5.6.0 Malformed").code == "refused_message"


@each(
    "reply, code",
    [
        ("450 4.7.1 Client host rejected: cannot find your hostname", "relay_refuses_us"),
        ("454 4.7.1 Relay access denied", "relay_refuses_us"),
        ("450 4.1.8 Sender address rejected: Domain not found", "relay_refuses_us"),
        ("451 4.7.1 Greylisting in action, please come back later", "greylisted"),
        ("450 4.2.0 Client host rejected: Greylisted, try again later", "greylisted"),
        ("452 4.2.2 Over quota", "greylisted"),
    ],
)
def test_temporary_refusals_that_are_about_us_are_told_too(reply: str, code: str) -> None:
    found = judged(RCPT, reply)
    assert (found.status, found.code) == ("temporary", code)


@each("reply", ["553 5.7.1 Sender address rejected: not owned by user", "550 5.7.60 send as"])
def test_mails_that_a_relay_holds_against_us_wait_and_are_warned_of(reply: str) -> None:
    with Mailbox() as box, capture_logs() as logs:
        box.refuse(to(1), reply)
        assert codes(sent(box, [letter(1), letter(2)])) == [("temporary", "relay_refuses_us"), ("sent", "ok")]
        box.reject_content(reply)
        assert codes(sent(box, [letter(3)])) == [("temporary", "relay_refuses_us")]
    assert [entry["code"] for entry in logs if entry["event"] == "relay_refuses"] == ["relay_refuses_us"] * 2


# ── what `check` tries ──────────────────────────────────────────────────────

GOOD = b"250 ok\r\n"


@each(
    "replies, said",
    [
        ([b"501 5.5.4 Invalid domain name\r\n"], "EHLO"),
        ([b"550 5.7.1 Access denied\r\n"], "EHLO"),
        ([HELLO, b"550 5.7.1 Sender not yours\r\n"], "MAIL"),
        ([HELLO, GOOD, b"554 5.7.1 Client host rejected: Access denied\r\n"], "RCPT"),
        ([HELLO, GOOD, GOOD, GOOD, GOOD, b"554 5.7.1 Relay access denied\r\n"], "RCPT"),
    ],
)
def test_check_finds_what_only_shows_later(replies: list[bytes], said: str) -> None:
    with script(b"220 relay\r\n", *replies) as (port, heard):
        found = checked(port)
    assert (found.code, found.detail.split()[0].rstrip(":")) == ("relay_refuses_us", said)
    assert not any(h.startswith(b"DATA") for h in heard)


def test_check_does_not_mind_that_nobody_lives_there() -> None:
    answers = [HELLO, GOOD, b"550 5.1.1 unknown\r\n", GOOD, GOOD, b"556 5.1.10 null MX\r\n", GOOD]
    with script(b"220 relay\r\n", *answers) as (port, _):
        assert checked(port).status == "sent"


def test_a_relay_without_ehlo_is_greeted_the_old_way() -> None:
    with script(b"220 relay\r\n", b"502 what\r\n", b"250 relay\r\n", *[GOOD] * 6) as (port, heard):
        assert checked(port).status == "sent"
    assert [h.split()[0] for h in heard[:2]] == [b"ehlo", b"helo"]


# ── letters beyond ASCII in what administrators type ────────────────────────

PASSWORD = "Pässwort-密码"


@each("ways", [b"PLAIN LOGIN", b"LOGIN", b"CRAM-MD5"])
def test_user_names_and_passwords_may_be_any_text(ways: bytes) -> None:
    hello = b"250-relay\r\n250 AUTH " + ways + b"\r\n"
    steps = [b"334 VXNlcm5hbWU6\r\n", b"235 in\r\n"] if ways == b"LOGIN" else [b"235 in\r\n"]
    with script(b"220 relay\r\n", hello, *steps, *[GOOD] * 6) as (port, heard):
        found = checked(port, username="müller", password=Secret(PASSWORD))
    if ways == b"CRAM-MD5":
        assert (found.status, found.code) == ("temporary", "relay_refuses_us")
        return
    assert found.status == "sent"
    assert PASSWORD.encode() in b"".join(base64.b64decode(h.split()[-1]) for h in heard[1 : 2 + (ways == b"LOGIN")])


def test_host_names_may_be_in_any_script(monkeypatch: pytest.MonkeyPatch) -> None:
    assert host_name("mail.bücher.example") == "mail.xn--bcher-kva.example"
    assert own_name("邮件.example").isascii()
    monkeypatch.setattr(socket, "gethostname", lambda: "büro pc")
    assert own_name("") == "[127.0.0.1]"
    with pytest.raises(ValueError, match="not a host name"):
        host_name("a b.例子")


@pytest.mark.parametrize(
    "raw",
    [b"\xef\xbb\xbfs3cret\r\n", b"s3cret\n", "s3cret\r\n".encode("utf-16"), b"\n s3cret \n\n"],
)
def test_a_secret_is_read_as_its_editor_meant_it(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(raw)
    assert read_secret(path) == "s3cret"


def test_a_secret_in_another_encoding_is_told(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes("密码".encode("gbk"))
    with pytest.raises(ValueError, match="UTF-8"):
        read_secret(path)
