"""The mail channel against a real SMTP server that fails in every way a relay does."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from keyback.application.ports.channels import Channel
from keyback.channels.mail import smtp
from keyback.channels.mail.smtp import SmtpSettings
from keyback.channels.mail.smtp_replies import clean, refused
from keyback.domain.secret import Secret
from keyback.testing import mailbox
from keyback.testing.mailbox import Mailbox
from tests.support.relay import BASE, HELLO, NOW, checked, codes, letter, made, opened, script, sent, to

OK = ("sent", "ok")


@pytest.fixture(params=[True, False], ids=["pipelined", "stepwise"])
def box(request: pytest.FixtureRequest) -> Iterator[Mailbox]:
    with Mailbox(pipelining=request.param) as server:
        yield server


def test_is_a_channel(box: Mailbox) -> None:
    channel: Channel = made(box)
    assert channel.name == "mail"
    assert sent(box, []) == []
    asyncio.run(channel.close())


def test_letters_arrive_in_order_over_one_connection(box: Mailbox) -> None:
    assert codes(sent(box, [letter(i) for i in range(20)])) == [OK] * 20
    got = box.messages()
    assert [m["to"] for m in got] == [to(i) for i in range(20)]
    assert [m["id"] for m in got] == [str(i + 1) for i in range(20)]
    assert got[3]["links"] == [f"{BASE}/l/link3", f"{BASE}/l/stop3"]
    assert got[3]["codes"] == ["48271905"]
    assert got[3]["subject"] == "找回你在青屿仪器的账号"
    assert got[3]["message_id"] == "<letter-3@qingyu.example.com>"
    assert box.connections == 1


@pytest.mark.slow
def test_a_large_batch_uses_the_pool_and_loses_nothing(box: Mailbox) -> None:
    n = 3 * smtp.CHUNK
    assert codes(sent(box, [letter(i) for i in range(n)], pool=2)) == [OK] * n
    assert sorted(m["to"] for m in box.messages()) == sorted(to(i) for i in range(n))
    assert box.connections == 2


def test_what_arrives_is_what_was_written(box: Mailbox) -> None:
    dots = replace(letter(), content=replace(letter().content, device="." * 30 + "\n.\r\n.x"), name=".")
    assert codes(sent(box, [dots])) == [OK]
    found = box.messages()[0]
    assert found["links"] == [f"{BASE}/l/link1", f"{BASE}/l/stop1"]
    assert found["text"].splitlines()[0] == ".，你好。"


@pytest.mark.covers("K1", "A-1.3.11")
@pytest.mark.parametrize("bad", ["a@example.com>\r\nRCPT TO:<b@example.com", "a b@example.com", ""])
def test_a_bad_address_stops_its_own_letter_only(box: Mailbox, bad: str) -> None:
    receipts = sent(box, [letter(1), letter(2, to=bad), letter(3)])
    assert codes(receipts) == [OK, ("permanent", "bad_letter"), OK]
    assert [m["to"] for m in box.messages()] == [to(1), to(3)]
    assert "example.com" not in receipts[1].detail


def test_a_refused_recipient_stops_its_own_letter_only(box: Mailbox) -> None:
    box.refuse(to(2), f"550 5.1.1 <{to(2)}>: unknown; see https://relay.example.com/48271905")
    receipts = sent(box, [letter(1), letter(2), letter(3)])
    assert codes(receipts) == [OK, ("permanent", "refused_recipient"), OK]
    assert receipts[1].detail == "550 5.1.1 … unknown; see …"
    assert box.connections == 1


def test_a_relay_that_carries_nothing_for_us_is_not_the_recipients_fault(box: Mailbox) -> None:
    box.refuse(to(1), "554 5.7.1 Relay access denied")
    assert codes(sent(box, [letter(1), letter(2)])) == [("temporary", "relay_refuses_us"), OK]


@pytest.mark.covers("K7")
def test_greylisting_is_temporary(box: Mailbox) -> None:
    async def go() -> list[tuple[str, str]]:
        box.greylist(5)
        async with opened(box) as channel:
            return [c for _ in range(6) for c in codes(list(await channel.send([letter()])))]

    assert asyncio.run(go()) == [("temporary", "greylisted")] * 5 + [OK]
    assert len(box.messages()) == 1
    assert box.connections == 1


@pytest.mark.covers("K7")
def test_nothing_is_sent_after_its_time(box: Mailbox) -> None:
    letters = [letter(1), letter(2, expires_at=NOW), letter(3, expires_at=NOW + 1)]
    assert codes(sent(box, letters)) == [OK, ("permanent", "expired"), OK]
    assert [m["to"] for m in box.messages()] == [to(1), to(3)]


@pytest.mark.covers("K9")
def test_a_lost_reply_is_told_and_the_second_mail_is_the_same(box: Mailbox) -> None:
    box.cut_after_data(1)
    assert codes(sent(box, [letter(1), letter(2)])) == [("temporary", "reply_lost"), OK]
    assert codes(sent(box, [letter(1)])) == [OK]
    first, again = box.messages(to(1))
    unlike = {k for k in first if first[k] != again[k]}
    assert unlike <= {"id", "at"}
    assert first["message_id"] == again["message_id"] == "<letter-1@qingyu.example.com>"


def test_a_connection_lost_before_the_content_is_tried_once_more(box: Mailbox) -> None:
    box.drop(1)
    assert codes(sent(box, [letter(1), letter(2)])) == [OK, OK]
    assert [m["to"] for m in box.messages()] == [to(1), to(2)]


def test_a_relay_that_hangs_up_on_everything_is_left_alone(box: Mailbox) -> None:
    box.drop(1000)
    assert codes(sent(box, [letter(i) for i in range(30)])) == [("temporary", "unreachable")] * 30
    assert box.connections <= smtp.LOSSES
    assert box.messages() == []


def test_a_connection_that_died_in_the_pool_is_replaced(box: Mailbox) -> None:
    async def go() -> list[tuple[str, str]]:
        async with opened(box) as channel:
            first = list(await channel.send([letter(1)]))
            box.hang_up()
            return codes(first + list(await channel.send([letter(2)])))

    assert asyncio.run(go()) == [OK, OK]
    assert [m["to"] for m in box.messages()] == [to(1), to(2)]


def test_a_dead_pooled_connection_is_not_held_against_the_letter(box: Mailbox) -> None:
    async def go() -> list[tuple[str, str]]:
        async with opened(box) as channel:
            first = list(await channel.send([letter(1)]))
            box.hang_up()
            box.drop(1)
            return codes(first + list(await channel.send([letter(2)])))

    assert asyncio.run(go()) == [OK, OK]


def test_connections_are_kept_for_a_while_only(box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        async with opened(box) as channel:
            for i in range(3):
                await channel.send([letter(i)])
            assert box.connections == 1
            monkeypatch.setattr(smtp, "IDLE_S", -1.0)
            await channel.send([letter(3)])
            assert box.connections == 2

    asyncio.run(go())


def test_a_sender_the_relay_does_not_take_is_our_fault(box: Mailbox) -> None:
    box.reject_sender()
    assert codes(sent(box, [letter(1), letter(2)])) == [("temporary", "relay_refuses_us")] * 2
    box.reject_sender("450 4.3.2 Not now")
    assert codes(sent(box, [letter(1), letter(2)])) == [("temporary", "busy")] * 2
    box.reject_sender("")
    assert codes(sent(box, [letter(1)])) == [OK]


@pytest.mark.parametrize(
    "reply, code",
    [
        ("554 5.7.1 Looks like spam", ("temporary", "relay_refuses_us")),
        ("554 5.6.0 Malformed", ("permanent", "refused_message")),
        ("452 4.3.1 Full", ("temporary", "busy")),
        ("421 4.3.2 Going down", ("temporary", "busy")),
    ],
)
def test_refused_content(box: Mailbox, reply: str, code: tuple[str, str]) -> None:
    box.reject_content(reply)
    assert codes(sent(box, [letter(1)])) == [code]


@pytest.mark.covers("K12")
def test_a_local_part_in_chinese_needs_a_relay_that_knows_it(box: Mailbox) -> None:
    letters = [letter(1, to="陈屿@例子.example"), letter(2, to="maya@例子.example")]
    assert codes(sent(box, letters)) == [("permanent", "bad_letter"), OK]
    assert [m["to"] for m in box.messages()] == ["maya@xn--fsqu00a.example"]
    with Mailbox(utf8=True) as modern:
        assert codes(sent(modern, letters)) == [OK, OK]
        assert modern.messages()[0]["to"] == "陈屿@xn--fsqu00a.example"


@pytest.mark.covers("B4")
@pytest.mark.parametrize("stored", ["mike@example.com", "MIKE@Example.COM"])
def test_the_recipient_is_the_stored_address(box: Mailbox, stored: str) -> None:
    assert codes(sent(box, [letter(to=stored)])) == [OK]
    assert [m["to"] for m in box.messages()] == [stored]


def test_a_relay_that_stalls_holds_up_the_batch_once() -> None:
    with Mailbox() as slow:
        slow.stall(30)
        receipts = sent(slow, [letter(i) for i in range(40)], timeout_s=0.3, pool=1)
        assert codes(receipts) == [("temporary", "timeout")] * 40
        assert slow.connections == 1  # one wait, not forty


def test_the_loop_goes_on_while_the_relay_stalls() -> None:
    async def go() -> None:
        with Mailbox() as slow:
            slow.stall(600)
            async with opened(slow, timeout_s=60) as channel:
                task = asyncio.create_task(channel.send([letter()]))
                while not slow.stalled:
                    await asyncio.sleep(0.01)
                assert not task.done()
                slow.stall(0)
                slow.hang_up()
                assert codes(list(await task)) == [OK]

    asyncio.run(go())


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_nobody_there() -> None:
    receipts = sent(free_port(), [letter(i) for i in range(100)])
    assert codes(receipts) == [("temporary", "unreachable")] * 100
    assert receipts[0].detail == "ConnectionRefusedError"


@pytest.mark.parametrize(
    "replies, code",
    [
        ([b"554 5.7.1 Not from your network\r\n"], "relay_refuses_us"),
        ([b"421 4.3.2 Too many connections\r\n"], "busy"),
        ([b"220 relay\r\n", b"550 no\r\n", b"550 no\r\n"], "relay_refuses_us"),
        ([b"220 relay\r\n", HELLO, b"hello?\r\n"], "unreachable"),
        ([b"nonsense\r\n"], "unreachable"),
        ([b"220 " + b"x" * 10_000 + b"\r\n"], "relay_refuses_us"),
        ([b"\xff\x00\r\n"], "unreachable"),
    ],
)
def test_odd_relays(replies: list[bytes], code: str) -> None:
    with script(*replies) as (port, _):
        # One of those that come to nothing is waited for; a busy machine may be late with the others.
        (receipt,) = sent(port, [letter()], timeout_s=0.3 if code == "unreachable" else 10.0)
    assert receipt.status == "temporary"
    assert receipt.code == code
    assert receipt.detail.isprintable()
    assert len(receipt.detail) <= 210


def test_a_relay_that_wants_content_for_nobody_gets_none() -> None:
    replies = [
        b"220 relay\r\n",
        HELLO,
        b"250 ok\r\n",
        b"550 5.1.1 unknown\r\n",
        b"354 go on\r\n",
        b"554 none\r\n",
        b"250 ok\r\n",
    ]
    with script(*replies, b"221 bye\r\n") as (port, heard):
        assert codes(sent(port, [letter()])) == [("permanent", "refused_recipient")]
    assert [h.split(b":")[0].strip() for h in heard[1:6]] == [b"MAIL FROM", b"RCPT TO", b"DATA", b".", b"RSET"]


# ── encryption ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_encrypted_and_signed_in(tls: str) -> None:
    with Mailbox(tls=tls, login=("keyback", "s3cret-of-the-relay")) as safe:
        login = {"security": tls, "ca_file": safe.ca_file, "username": "keyback"}
        assert codes(sent(safe, [letter(1), letter(2)], **login, password=Secret("s3cret-of-the-relay"))) == [OK, OK]
        wrong = sent(safe, [letter(3), letter(4)], **login, password=Secret("wrong-secret"))
        assert codes(wrong) == [("temporary", "relay_refuses_us")] * 2
        assert "wrong-secret" not in repr(wrong)
        assert codes(sent(safe, [letter(5)], security=tls, ca_file=safe.ca_file)) == [("temporary", "relay_refuses_us")]
        assert [m["to"] for m in safe.messages()] == [to(1), to(2)]


@pytest.mark.covers("A-12.3.2", "A-16.3.4")
@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_nobody_vouches_for(tls: str) -> None:
    with Mailbox(tls=tls) as safe, capture_logs() as logs:
        assert codes(sent(safe, [letter(1), letter(2)], security=tls)) == [("temporary", "tls_failed")] * 2
        assert safe.messages() == []
    assert logs == [{"event": "relay_refuses", "code": "tls_failed", "log_level": "warning"}]


@pytest.mark.covers("A-12.3.2")
@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_for_another_name(tls: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **kw: Any) -> Any:
        return real("127.0.0.1" if host == "relay.example.com" else host, *args, **kw)

    with Mailbox(tls=tls) as safe:
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        receipts = sent(safe, [letter()], security=tls, host="relay.example.com", ca_file=safe.ca_file)
        assert codes(receipts) == [("temporary", "tls_failed")]
        assert safe.messages() == []


@pytest.mark.covers("A-12.3.2", "A-16.3.4")
def test_never_in_clear_when_encryption_is_asked_for(box: Mailbox) -> None:
    with capture_logs() as logs:
        assert codes(sent(box, [letter(1), letter(2)], security="starttls")) == [("temporary", "no_starttls")] * 2
    assert box.messages() == []
    assert [x["code"] for x in logs] == ["no_starttls"]


@pytest.mark.covers("K1")
def test_what_came_before_encryption_counts_for_nothing() -> None:
    early = b"220 go\r\n250-relay\r\n250 AUTH PLAIN\r\n235 in\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n"
    with script(b"220 relay\r\n", b"250-relay\r\n250 STARTTLS\r\n", early) as (port, heard):
        (receipt,) = sent(port, [letter()], security="starttls")
    assert receipt.status == "temporary"
    assert [h[:8] for h in heard[:2]] == [b"ehlo " + heard[0][5:8], b"STARTTLS"]
    assert not any(b"MAIL" in h or b"AUTH" in h for h in heard)


@pytest.mark.parametrize(
    "over",
    [
        {"host": "relay.example.com", "security": "plain"},
        {"host": "192.0.2.1", "security": "plain"},
        {"security": "none"},
        {"username": "keyback"},
        {"password": Secret("x")},
        {"pool": 0},
        {"timeout_s": 0.0},
    ],
)
def test_settings_that_cannot_be_meant(over: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        SmtpSettings(**{"host": "127.0.0.1"} | over)


def test_a_ca_file_that_is_not_there() -> None:
    with pytest.raises(OSError):
        made(25, security="starttls", ca_file="/nowhere/ca.pem")


# ── check, close, words ─────────────────────────────────────────────────────


def test_check(box: Mailbox) -> None:
    assert checked(box).status == "sent"
    assert checked(box, security="starttls").code == "no_starttls"
    assert checked(free_port()).code == "unreachable"
    with Mailbox(tls="starttls") as safe:
        found = checked(safe, security="starttls", ca_file=safe.ca_file)
        assert (found.status, found.detail.split(";")[0]) == ("sent", "starttls, pipelining")
        assert "SMTPUTF8" in found.detail
    assert box.messages() == []


def test_closing_says_goodbye_and_ends_the_threads(box: Mailbox) -> None:
    async def go() -> None:
        async with opened(box) as channel:
            await channel.send([letter()])
            assert any(t.name.startswith("smtp") for t in threading.enumerate())

    asyncio.run(go())
    assert not any(t.name.startswith("smtp") for t in threading.enumerate())


@pytest.mark.covers("C8")
def test_settings_and_server_words_tell_nothing() -> None:
    shown = repr(SmtpSettings("127.0.0.1", username="keyback", password=Secret("s3cret-of-the-relay")))
    assert "s3cret" not in shown
    said = clean(b"for <maya@example.com> \r\n\x1b[31m code 4827 1905 at https://id.example.com/l/abc " + b"x" * 400)
    assert not any(w in said for w in ("maya", "4827", "/l/abc", "\x1b"))
    assert len(said) <= 200
    assert refused(1, 550, "5.1.1 unknown").status == "permanent"


# ── the mailbox itself ──────────────────────────────────────────────────────


def test_the_mailbox_runs_inside_a_loop_and_keeps_the_last_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "KEEP", 10)

    async def go() -> None:
        box = await Mailbox().astart()
        try:
            async with opened(box) as channel:
                receipts = await channel.send([letter(i) for i in range(15)])
            assert codes(list(receipts)) == [OK] * 15
            kept = box.messages()
            assert (len(kept), kept[-1]["id"]) == (10, "15")
            box.clear()
            assert box.messages() == []
        finally:
            await box.astop()

    asyncio.run(go())


def test_the_mailbox_tells_of_a_port_that_is_taken() -> None:
    with Mailbox() as first, pytest.raises(OSError):
        Mailbox(first.port).start()


def test_waiting_for_a_message_that_does_not_come(box: Mailbox) -> None:
    with pytest.raises(TimeoutError):
        box.wait_for("nobody@example.com", timeout=0.01)
