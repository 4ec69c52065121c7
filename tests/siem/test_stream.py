"""The audit log reaches a SIEM: in order, at least once, whatever the SIEM does; nothing secret is in it."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keyback.application.ports.siem import Away, Siem, SiemRules
from keyback.application.siem import stream
from keyback.application.siem.lines import ALARMING, FAILED
from keyback.application.siem.stream import PIECE, SiemStream
from keyback.application.webhooks.catalogue import CATALOGUE, KEPT_IN
from keyback.domain.recovery.events import Note
from keyback.outbound.syslog import SyslogLink, SyslogServer
from keyback.settings_siem import Siem as Section
from tests.support.certificates import certificate
from tests.support.kit import Kit, person
from tests.support.steps import choose, drain, fit, proven
from tests.support.syslog_receiver import SyslogReceiver

Make = Callable[..., Kit]
both = pytest.mark.both
HOST = "recover.example.com"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[SyslogReceiver]:
    made = SyslogReceiver(certificate(tmp_path))
    yield made
    made.stop()


LINKS: list[SyslogLink] = []  # that a test made


@pytest.fixture
def kit(make_kit: Make, database_url: str) -> Iterator[Kit]:
    made = make_kit(url=database_url)
    yield made
    while LINKS:
        made.run(LINKS.pop().close())


def link(receiver: SyslogReceiver, timeout_s: float = 2.0) -> SyslogLink:
    made = receiver.certificate
    server = SyslogServer("127.0.0.1", receiver.port, made is not None, made and made.ca, timeout_s=timeout_s)
    LINKS.append(SyslogLink(server))
    return LINKS[-1]


def sender(kit: Kit, receiver: SyslogReceiver, form: Any = "json", max_behind: int = 10**6, **more: Any) -> SiemStream:
    """A stream that begins at the newest row there is."""
    made = SiemStream(kit.services.db, Siem(link(receiver, **more), SiemRules(HOST, form, max_behind)), lambda: 0.5)
    kit.run(made.step())
    return made


def happen(kit: Kit, *kinds: str, at: str = "c" * 22, **data: Any) -> None:
    for kind in kinds:
        kit.write(lambda tx, k=kind: tx.audit.record(at, [Note(k, data)]))


def until(kit: Kit, fn: Callable[[], bool], sent: SiemStream | None = None) -> None:
    """Lets the stream work until it is so; a receiver hears of what was sent a moment later."""
    for _ in range(600):
        if fn():
            return
        if sent:
            kit.run(sent.step())
        time.sleep(0.02)
    raise AssertionError("not within 600 rounds")


def numbers(receiver: SyslogReceiver) -> list[int]:
    return [line.content["data"]["seq"] for line in receiver.lines]


@both
def test_a_whole_recovery_stands_in_the_siem_in_its_order_and_with_nothing_secret(
    kit: Kit, receiver: SyslogReceiver
) -> None:
    services = dataclasses.replace(kit.services, siem=Siem(link(receiver), SiemRules(HOST, "json", 10**6)))
    kit.services = services
    drain(kit)
    tray = fit(kit, person("maya"))
    case_id = proven(kit, tray)
    choose(kit, case_id)
    drain(kit)
    until(kit, lambda: "recovered" in receiver.kinds())
    mine = [line for line in receiver.lines if line.content["data"].get("case") == case_id]
    assert [line.kind for line in mine if line.kind in CATALOGUE] == [
        "requested", "proof_accepted", "approved", "password_chosen", "account_settled", "recovered", "closed",
    ]  # fmt: skip
    assert {(line.facility, line.host) for line in receiver.lines} == {(10, HOST)}
    rows = {r.event.seq: r for r in kit.read(lambda tx: tx.siem.rows(0, 1000))}
    assert all(line.content["hash"] == rows[line.content["data"]["seq"]].hash for line in receiver.lines)
    assert numbers(receiver) == sorted(set(numbers(receiver)))
    for canary in (b"maya", b"@", b"correct horse", b"127.0.0.1"):
        assert canary not in receiver.raw


def test_what_is_no_id_or_code_stays_out(kit: Kit, receiver: SyslogReceiver) -> None:
    sent = sender(kit, receiver)
    secret = "tr0ub4dor\r\n<34>1 forged maya@example.com 令牌"
    happen(kit, "proof_refused", proof=secret, reason=secret, told=secret)
    happen(kit, "person_viewed", operator=secret, reason=secret, q=secret)
    until(kit, lambda: len(receiver.lines) == 2, sent)
    assert [line.content["data"].keys() for line in receiver.lines] == [{"seq"}, {"seq"}]
    assert b"tr0ub4dor" not in receiver.raw


@both
def test_an_outage_loses_nothing_and_what_was_under_way_comes_again(kit: Kit, receiver: SyslogReceiver) -> None:
    sent = sender(kit, receiver)
    happen(kit, "requested", "recovered")
    until(kit, lambda: len(receiver.lines) == 2, sent)
    receiver.mode = "refuses"
    receiver.cut()
    happen(kit, *["locked_down"] * 3)
    until(kit, lambda: not sent._link.is_open and _position(kit).failures > 0, sent)
    failing = _position(kit)
    assert failing.last_code in ("closed", "no_tls", "unreachable")
    connections = receiver.connections
    for _ in range(5):
        kit.run(sent.step())
    assert receiver.connections == connections, "left alone while it rests"
    receiver.mode = "takes"
    kit.clock.forward(minutes=2)
    until(kit, lambda: receiver.kinds().count("locked_down") >= 3, sent)
    # The first two had been acknowledged for too short a time to count.
    assert receiver.kinds() == ["requested", "recovered", "requested", "recovered", *["locked_down"] * 3]
    kit.run(sent.finish())
    assert _position(kit).failures == 0
    assert _position(kit).read_to == max(numbers(receiver))


def test_what_has_settled_is_not_sent_again(
    kit: Kit, receiver: SyslogReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SETTLED_S", 0.0)
    sent = sender(kit, receiver)
    happen(kit, "requested")
    until(kit, lambda: bool(receiver.lines) and _position(kit).read_to == numbers(receiver)[0], sent)
    receiver.cut()
    # Nothing settles in no time: what goes into a connection that breaks would count as taken.
    until(kit, lambda: not sent._link.is_open, sent)
    happen(kit, "recovered")

    def on() -> bool:
        kit.clock.forward(seconds=2)
        return "recovered" in receiver.kinds()

    until(kit, on, sent)
    assert receiver.kinds() == ["requested", "recovered"]


@pytest.mark.parametrize("mode", ["mute", "cuts", "refuses"])
def test_one_that_hangs_or_lies_delays_nobody_and_loses_nothing(kit: Kit, receiver: SyslogReceiver, mode: str) -> None:
    receiver.mode = mode
    sent = sender(kit, receiver, timeout_s=0.3)
    begun = _position(kit).read_to
    kit.write(lambda tx: tx.audit.record("c" * 22, [Note("requested", {"journey": "x" * 39})] * 3000))
    until(kit, lambda: _position(kit).failures > 0, sent)
    assert _position(kit).read_to == begun
    assert not receiver.lines


@both
def test_too_far_behind_it_goes_on_with_the_newest_and_says_what_it_left_out(
    kit: Kit, receiver: SyslogReceiver
) -> None:
    sender(kit, receiver)
    begun = _position(kit).read_to
    kit.write(lambda tx: tx.audit.record("c" * 22, [Note("requested")] * 50))
    kit.clock.forward(minutes=2)
    later = sender(kit, receiver, max_behind=20)
    until(kit, lambda: "siem_skipped" in receiver.kinds(), later)
    told = receiver.lines[-1]
    assert (told.kind, told.severity) == ("siem_skipped", 2)
    assert numbers(receiver) == list(range(begun + 31, begun + 52))
    row = kit.read(lambda tx: tx.siem.rows(begun + 50, 1))[0]
    assert row.event.data == {"count": 30, "first": begun + 1, "last": begun + 30}
    assert _position(kit).skipped == 30


@both
def test_one_worker_sends_at_a_time_and_the_next_goes_on_where_it_ended(kit: Kit, receiver: SyslogReceiver) -> None:
    one = sender(kit, receiver)
    other = SiemStream(kit.services.db, Siem(link(receiver), SiemRules(HOST, "json", 10**6)), lambda: 0.5)
    happen(kit, "requested")
    kit.run(other.step())
    assert not receiver.lines
    until(kit, lambda: len(receiver.lines) == 1, one)
    kit.run(one.finish())
    happen(kit, "recovered")
    until(kit, lambda: len(receiver.lines) == 2, other)
    assert receiver.kinds() == ["requested", "recovered"]


@pytest.mark.slow
@both
def test_sending_again_from_a_number_takes_it_from_a_worker_that_is_sending(kit: Kit, receiver: SyslogReceiver) -> None:
    sent = sender(kit, receiver)
    happen(kit, *["requested"] * (PIECE + 5))
    until(kit, lambda: len(receiver.lines) == PIECE + 5, sent)
    first = numbers(receiver)[0]
    assert kit.write(lambda tx: stream.send_again(tx, first)) == PIECE + 5
    kit.run(sent.finish())
    until(kit, lambda: len(receiver.lines) == 2 * PIECE + 11, sent)
    assert numbers(receiver)[PIECE + 5 :] == list(range(first, first + PIECE + 6))


@pytest.mark.slow
@pytest.mark.both
def test_every_event_there_is_has_its_place_in_ocsf(kit: Kit, receiver: SyslogReceiver) -> None:
    sent = sender(kit, receiver, "ocsf")
    kinds = sorted(CATALOGUE | dict.fromkeys(KEPT_IN))
    happen(kit, *kinds, operator="o" * 22)
    until(kit, lambda: len(receiver.lines) == len(kinds), sent)
    assert receiver.kinds() == [k[:32] for k in kinds]
    for event in (line.content for line in receiver.lines):
        assert event["category_uid"] == 3
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        needs = {3001: "user", 3002: "user", 3004: "entity"}[event["class_uid"]]
        assert {"uid", "name"} & event[needs].keys()
        assert {"time", "severity_id", "metadata", "message"} <= event.keys()
        assert {"version", "product"} <= event["metadata"].keys()
    seen = {e["metadata"]["event_code"]: e for e in (line.content for line in receiver.lines)}
    picked = {k: (seen[k]["class_uid"], seen[k]["activity_id"], seen[k]["status_id"]) for k in seen}
    assert picked["sign_in_failed"] == (3002, 1, 2)
    assert picked["locked_down"] == (3001, 9, 1)
    assert picked["passkey_removed"] == (3001, 11, 1)
    assert picked["person_viewed"] == (3004, 2, 1)


def test_what_alarms_is_an_event_that_there_is() -> None:
    assert CATALOGUE.keys() | KEPT_IN >= (ALARMING | FAILED)
    assert max(map(len, itertools.chain(CATALOGUE, KEPT_IN))) <= 32


def test_a_certificate_of_somebody_else_is_refused(receiver: SyslogReceiver) -> None:
    stranger = SyslogLink(SyslogServer("127.0.0.1", receiver.port, timeout_s=2.0))
    with pytest.raises(Away, match="certificate"):
        _run(stranger.try_out([b"1 x"]))
    with pytest.raises(Away, match="unusable"):
        _run(SyslogLink(SyslogServer("127.0.0.1", receiver.port, ca_file=Path("/nowhere.pem"))).try_out())
    plain = SyslogReceiver()
    with pytest.raises(Away, match="stalled"):
        _run(SyslogLink(SyslogServer("127.0.0.1", plain.port, timeout_s=2.0)).try_out())


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"host": "siem.example.com", "security": "plain"}, "loopback"),
        ({"host": "https://siem.example.com"}, "host name alone"),
        ({"host": "siem.example.com:6514"}, "host name alone"),
        ({"host": "siem.example.com", "key_file": "/etc/key.pem"}, "certificate_file"),
        ({"host": "siem.example.com", "format": "cef"}, "ocsf"),
    ],
)
def test_wrong_settings_say_what_is_wrong(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Section(**values)


def _position(kit: Kit) -> Any:
    return kit.read(lambda tx: tx.siem.position())


def _run(work: Any) -> None:
    asyncio.run(work)
