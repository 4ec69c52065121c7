"""Events reach receivers: signed, at least once, in the order of each case; whoever hangs, floods or lies delays only
themselves."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keyback.application.webhooks import deliver, receivers
from keyback.application.webhooks.catalogue import CATALOGUE
from keyback.application.webhooks.deliver import PAUSES
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR, MINUTE
from keyback.outbound.webhooks import WebhookPosts
from tests.support.kit import Kit, person
from tests.support.receiver import ReceiverStandIn
from tests.support.steps import ask, choose, drain, fit, proven, statements

Make = Callable[..., Kit]
both = pytest.mark.both
CASE = "c" * 22


@pytest.fixture
def receiver() -> ReceiverStandIn:
    return ReceiverStandIn()


@pytest.fixture
def url(receiver: ReceiverStandIn) -> Iterator[str]:
    with receiver.serving() as url:
        yield url


@pytest.fixture
def kit(make_kit: Make, database_url: str) -> Kit:
    made = make_kit(url=database_url)
    patient = made.services.posts
    made.services = dataclasses.replace(made.services, posts=WebhookPosts(timeout_s=0.5))
    made.run(patient.close())
    return made


def add(kit: Kit, url: str, *types: str) -> tuple[str, str]:
    """Id and secret of a new receiver, which has had the news of itself."""
    made = kit.write(lambda tx: receivers.add(tx, url, types))
    return made.receiver.id, made.secret.reveal()


def happen(kit: Kit, *events: tuple[str, str]) -> None:
    """Writes rows (stream, type) to the audit log."""
    for stream, kind in events:
        kit.write(lambda tx, s=stream, k=kind: tx.audit.record(s, [Note(k)]))


def one(kit: Kit, url: str = "") -> receivers.Listed:
    """The receiver that there is, or the one at an address."""
    [found] = [x for x in kit.read(receivers.listed) if url in ("", x.receiver.url)]
    return found


def pass_time(kit: Kit, ms: int) -> None:
    """In steps that a worker looks at."""
    for _ in range(max(1, ms // (5 * MINUTE))):
        kit.clock.forward(seconds=min(ms, 5 * MINUTE) / 1000 + 120)
        drain(kit)


@both
def test_a_whole_recovery_is_told_in_its_order(kit: Kit, receiver: ReceiverStandIn, url: str) -> None:
    _, secret = add(kit, url)
    tray = fit(kit, person("maya"))
    case_id = proven(kit, tray)
    choose(kit, case_id)
    drain(kit)
    told = [p for p in receiver.taken if p.event["data"].get("case") == case_id]
    assert [p.event["type"] for p in told] == [
        "requested", "proof_accepted", "approved", "password_chosen", "account_settled", "recovered",
        "closed",
    ]  # fmt: skip
    assert all(p.signed_with(secret) for p in receiver.taken)
    assert [p.seq for p in told] == sorted(p.seq for p in told)
    assert len({p.id for p in receiver.calls}) == len(receiver.calls)
    assert one(kit).behind == 0
    drain(kit)
    assert len(receiver.calls) == len(receiver.taken)


@both
def test_what_was_not_taken_comes_again_and_what_follows_in_its_case_waits(
    kit: Kit, receiver: ReceiverStandIn, url: str
) -> None:
    add(kit, url, "requested", "recovered", "locked_down")
    receiver.refuses = frozenset({"requested"})
    happen(kit, (CASE, "requested"), (CASE, "recovered"), ("another", "locked_down"))
    drain(kit)
    assert receiver.types() == ["locked_down"]
    receiver.refuses = frozenset()
    drain(kit)
    assert receiver.types() == ["locked_down"], "before its pause is over"
    kit.clock.forward(seconds=10)
    drain(kit)
    assert receiver.types() == ["locked_down", "requested", "recovered"]
    first, again = [p for p in receiver.calls if p.event["type"] == "requested"]
    assert (first.id, first.body) == (again.id, again.body)


@pytest.mark.slow
@both
def test_after_three_days_it_is_given_up_and_can_be_sent_again(kit: Kit, receiver: ReceiverStandIn, url: str) -> None:
    made, _ = add(kit, url, "requested", "recovered")
    receiver.refuses = frozenset({"requested"})
    happen(kit, (CASE, "requested"), (CASE, "recovered"))
    drain(kit)
    for pause in PAUSES:
        assert one(kit).undelivered.dead == 0
        kit.clock.forward(seconds=pause * 1.25 / 1000 + 400)
        drain(kit)
    assert Counter(p.event["type"] for p in receiver.calls)["requested"] == len(PAUSES) + 1
    assert 2.9 * 24 * HOUR < sum(PAUSES) < 3.1 * 24 * HOUR
    kit.clock.forward(minutes=6)
    drain(kit)
    assert receiver.types() == ["recovered"], "what follows goes on"
    [letter] = kit.read(lambda tx: receivers.dead(tx, made))
    assert (letter["type"], letter["last_code"], letter["attempts"]) == ("requested", "http_500", len(PAUSES) + 1)
    receiver.refuses = frozenset()
    assert kit.write(lambda tx: receivers.resend(tx, made)) == 1
    drain(kit)
    assert receiver.types() == ["recovered", "requested"]
    assert one(kit).undelivered.dead == 0


@both
def test_everything_since_an_event_can_be_sent_once_more_under_the_same_ids(
    kit: Kit, receiver: ReceiverStandIn, url: str
) -> None:
    made, _ = add(kit, url, "requested", "recovered")
    happen(kit, (CASE, "requested"), (CASE, "recovered"))
    drain(kit)
    kit.write(lambda tx: receivers.resend(tx, made, receiver.taken[1].seq))
    drain(kit)
    assert receiver.types() == ["requested", "recovered", "recovered"]
    assert receiver.taken[1].id == receiver.taken[2].id


def test_two_secrets_sign_while_one_takes_the_place_of_the_other(kit: Kit, receiver: ReceiverStandIn, url: str) -> None:
    made, old = add(kit, url, "requested")
    new = kit.write(lambda tx: receivers.rotate(tx, made)).secret.reveal()
    happen(kit, (CASE, "requested"))
    drain(kit)
    assert receiver.taken[-1].signed_with(old)
    assert receiver.taken[-1].signed_with(new)
    kit.clock.forward(hours=25)
    happen(kit, (CASE, "requested"))
    drain(kit)
    assert not receiver.taken[-1].signed_with(old)
    assert receiver.taken[-1].signed_with(new)
    after = kit.write(lambda tx: receivers.rotate(tx, made, 0)).secret.reveal()
    happen(kit, (CASE, "requested"))
    drain(kit)
    assert not receiver.taken[-1].signed_with(new), "the secret got out"
    assert receiver.taken[-1].signed_with(after)


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["hang", "flood", 302, 404, 503])
def test_who_takes_nothing_delays_no_other_and_is_left_alone(
    kit: Kit, receiver: ReceiverStandIn, url: str, trouble: int | str
) -> None:
    bad = ReceiverStandIn(status=trouble, headers={"location": url})
    with bad.serving() as bad_url:
        add(kit, bad_url, "requested")
        add(kit, url, "requested")
        for n in range(8):
            happen(kit, (f"case-{n}", "requested"))
        drain(kit)
        assert len(receiver.taken) == 8
        for _ in range(4):
            kit.clock.forward(seconds=1)
            drain(kit)
        # Four at a time, and no more than it takes to see that it takes nothing.
        assert 4 <= len(bad.calls) <= 12
        assert len(receiver.taken) == 8
        listed = one(kit, bad_url)
        assert listed.receiver.failures >= 2
        bad.status = 200
        for _ in range(3):
            pass_time(kit, 5 * MINUTE)
        assert len({p.id for p in bad.taken}) == 8, "and nothing is lost"
        assert one(kit, bad_url).receiver.failures == 0


def test_a_wait_that_is_asked_for_is_kept(kit: Kit, receiver: ReceiverStandIn, url: str) -> None:
    add(kit, url, "requested")
    receiver.status, receiver.headers = 429, {"retry-after": "200"}
    happen(kit, (CASE, "requested"))
    drain(kit)
    receiver.status = 200
    kit.clock.forward(seconds=190)
    drain(kit)
    assert len(receiver.calls) == 1
    kit.clock.forward(seconds=20)
    drain(kit)
    assert receiver.types() == ["requested"]


def test_who_is_gone_is_switched_off_and_can_come_back(kit: Kit, receiver: ReceiverStandIn, url: str) -> None:
    made, _ = add(kit, url, "requested")
    receiver.status = 410
    happen(kit, (CASE, "requested"))
    drain(kit)
    assert one(kit).receiver.state == "off"
    receiver.status = 200
    pass_time(kit, HOUR)
    assert len(receiver.calls) == 1
    kit.write(lambda tx: receivers.resend(tx, made))
    drain(kit)
    assert receiver.types() == ["requested"]


@both
def test_a_lane_that_lost_its_lease_changes_nothing(kit: Kit, url: str) -> None:
    made, _ = add(kit, url, "requested")
    happen(kit, (CASE, "requested"))
    rand: Any = lambda: 0.5  # noqa: E731
    first = kit.write(lambda tx: deliver.next_turn(tx, made, 0, [], rand))
    assert len(first.deliveries) == 1
    assert kit.write(lambda tx: deliver.next_turn(tx, made, 0, [], rand)).receiver is None, "another one is at it"
    kit.clock.forward(minutes=2)
    second = kit.write(lambda tx: deliver.next_turn(tx, made, 0, [], rand))
    assert [d.event.seq for d in second.deliveries] == [d.event.seq for d in first.deliveries]
    taken = [(first.deliveries[0], receivers.Answer("taken"))]
    assert kit.write(lambda tx: deliver.next_turn(tx, made, first.receiver.fence, taken, rand)).receiver is None
    assert one(kit).undelivered.ready == 1
    done = kit.write(lambda tx: deliver.next_turn(tx, made, second.receiver.fence, taken, rand))
    assert (done.deliveries, one(kit).undelivered.ready) == ([], 0)


def test_only_a_window_of_what_waits_lies_in_the_database(
    kit: Kit, receiver: ReceiverStandIn, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "WINDOW", 5)
    receiver.status = 500
    add(kit, url, "requested")
    happen(kit, *((f"case-{n}", "requested") for n in range(12)))
    drain(kit)
    assert one(kit).undelivered.ready == 5
    assert one(kit).behind == 7
    receiver.status = 200
    pass_time(kit, 10 * MINUTE)
    assert len({p.id for p in receiver.taken}) == 12


def test_a_request_costs_the_same_whether_there_are_receivers_or_not(kit: Kit, url: str) -> None:
    fit(kit, person("maya"))
    ask(kit, "maya@example.com")
    with statements(kit) as before:
        ask(kit, "maya@example.com")
    add(kit, url)
    with statements(kit) as after:
        ask(kit, "nobody@example.com")
    assert len(before) == len(after)
    assert not any("webhook" in s for s in (*before, *after))


def test_what_a_receiver_cannot_be(kit: Kit, url: str) -> None:
    with pytest.raises(BadInput, match="types"):
        add(kit, url, "requestet")
    add(kit, url)
    for refused, code in ((url, "conflict"), (url + "/x" * 300, "url")):
        with pytest.raises((Refusal, BadInput), match=code):
            add(kit, refused)
    for n in range(receivers.MAX_RECEIVERS - 1):
        add(kit, f"{url}/{n}")
    with pytest.raises(Refusal, match="too_many"):
        add(kit, f"{url}/more")
    with pytest.raises(Refusal, match="not_found"):
        kit.write(lambda tx: receivers.remove(tx, "x" * 22))


@pytest.mark.slow
def test_nothing_secret_and_no_contact_is_in_any_event(kit: Kit, receiver: ReceiverStandIn, url: str) -> None:
    """Also where a row of the log holds them: whatever stands in a field that does not look as it should stays here."""
    add(kit, url)
    canaries = ["canary@example.com", "+8613800138000", "Canary Wharf", "link/canary", "canary.bird"]

    def record(tx: Any) -> None:
        for n, (kind, event) in enumerate(CATALOGUE.items()):
            names = {field.source or name for name, field in event.fields.items()} | {"source", "device", "reason"}
            canary = canaries[n % len(canaries)]
            tx.audit.record(f"stream-{n}", [Note(kind, dict.fromkeys(sorted(names), canary) | {"more": canaries})])

    kit.write(record)
    drain(kit)
    assert {p.event["type"] for p in receiver.taken} == set(CATALOGUE)
    for p in receiver.taken:
        assert not [c for c in canaries if c in p.body.decode()], p.event


def test_a_recovery_leaks_no_name_address_or_code(kit: Kit, receiver: ReceiverStandIn, url: str) -> None:
    add(kit, url)
    tray = fit(kit, person("quillfeather", "gossamer@example.com"))
    case_id = proven(kit, tray, "quillfeather")
    choose(kit, case_id)
    drain(kit)
    said = b" ".join(p.body for p in receiver.taken).decode().lower()
    assert "recovered" in said
    assert not [w for w in ("quillfeather", "gossamer", "192.0.2.7", "@", "teapot") if w in said]
    for stored in kit.read(lambda tx: [json.loads(r["data"]) for r in tx.audit.rows(0, 1000)]):
        for secret in (stored.get("challenge_id"), stored.get("intake_id"), stored.get("submission")):
            assert not secret or secret.lower() not in said
