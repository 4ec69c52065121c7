"""A worker that was stopped, or was too slow, past the end of its lease sends no second copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from keyback.application import delivery
from keyback.application.clock import wall_clock
from keyback.application.leases import MARGIN_S, BatchLease
from keyback.application.ports.channels import LEASE_OVER, Channel, Message, Receipt
from keyback.channels.gateways.base import PhoneChannel
from keyback.testing.mailbox import Mailbox
from tests.support.kit import Clock, Kit, person
from tests.support.relay import letter, sent
from tests.support.steps import ask, fit

Make = Callable[..., Kit]
LEASE_S = delivery.LEASE / 1000


@dataclass
class Steady:
    """Seconds of this machine, as far as a test moves them."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Stopped:
    """A channel whose process is stopped before it hands the second letter over, while `meanwhile` happens."""

    meanwhile: Callable[[], Any]
    delivered: list[str]
    name: str = "mail"

    async def send(self, batch: Sequence[Message]) -> Sequence[Receipt]:
        receipts = []
        for n, one in enumerate(batch):
            if n == 1:
                await self.meanwhile()
            receipts.append(Receipt("sent") if one.ours else LEASE_OVER)
            self.delivered += [one.id] if one.ours else []
        return receipts

    async def close(self) -> None:
        return None


@dataclass
class Countdown:
    """A lease that is over after so many looks at it."""

    left: int

    def over(self) -> bool:
        self.left -= 1
        return self.left < 0


def send(kit: Kit, channel: Channel, steady: Steady) -> Any:
    s = kit.services
    return delivery.send_batch(s.db, channel, s.titles, s.public_url, lambda: 0.5, clock=steady)


@pytest.mark.slow
@pytest.mark.covers("Q24", "Q12")
@pytest.mark.parametrize("seconds", [LEASE_S - MARGIN_S, LEASE_S, 1800.0])
def test_who_was_stopped_past_the_end_of_a_lease_sends_no_second_copy(
    database_url: str, make_kit: Make, seconds: float
) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, *(person(f"p{n}") for n in range(4)))
    for n in range(4):
        ask(kit, f"p{n}")
    kit.write(lambda tx: letters_waiting(tx))
    steady = Steady()

    async def meanwhile() -> None:
        steady.now += seconds
        kit.clock.forward(seconds=seconds)
        await send(kit, tray, steady)

    stopped = Stopped(meanwhile, [])
    done = kit.run(send(kit, stopped, steady))
    taken = seconds >= LEASE_S  # only then had somebody else taken it
    assert len(stopped.delivered) == 1, "the one before it was stopped"
    assert len(tray.messages) == (4 if taken else 0)
    assert done.again == (0 if taken else 3), "what is no longer ours is marked by nobody but its holder"
    kit.clock.forward(seconds=60)
    kit.run(send(kit, tray, steady))
    assert len(tray.messages) == (4 if taken else 3)
    assert kit.read(lambda tx: tx.outbox.depth()) == {}


def letters_waiting(tx: Any) -> None:
    from keyback.application.recovery import resolve

    assert resolve.resolve(tx).messages == 4


@pytest.mark.covers("Q24")
def test_a_lease_that_was_given_to_somebody_else_is_not_renewed(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    fit(kit, *(person(f"p{n}") for n in range(4)))
    for n in range(4):
        ask(kit, f"p{n}")
    kit.write(lambda tx: letters_waiting(tx))
    steady = Steady()
    lease, db = BatchLease(steady(), delivery.LEASE, steady), kit.services.db
    jobs = kit.write(lambda tx: tx.outbox.claim("mail", 10, delivery.LEASE))
    steady.now += 40
    kit.clock.forward(seconds=40)
    assert lease.old()
    assert kit.run(lease.renew(db, jobs, delivery.LEASE))
    assert lease.until == steady.now + LEASE_S - MARGIN_S
    kit.clock.forward(seconds=LEASE_S - 1)
    assert kit.write(lambda tx: tx.outbox.claim("mail", 10, delivery.LEASE)) == [], "renewed in the database, too"
    kit.clock.forward(seconds=1)
    [one] = kit.write(lambda tx: tx.outbox.claim("mail", 1, delivery.LEASE))
    assert not kit.run(lease.renew(db, jobs, delivery.LEASE))
    assert lease.over()
    assert kit.write(lambda tx: tx.outbox.holds(one)), "nothing of the other's was touched"


@pytest.mark.covers("Q24", "Q14")
def test_a_clock_that_is_set_back_makes_no_lease_longer(make_kit: Make) -> None:
    steady = Steady()
    lease = BatchLease(steady(), delivery.LEASE, steady)
    steady.now += LEASE_S - MARGIN_S - 0.001
    assert not lease.over()
    steady.now += 0.001
    assert lease.over()


# ── the channels ask right before they hand over ────────────────────────────


@pytest.mark.covers("Q24")
@pytest.mark.parametrize("looks", range(8))
def test_the_relay_gets_nothing_whole_after_the_lease(looks: int) -> None:
    """Whenever it ends: before a letter is begun, or with its content in hand."""
    with Mailbox() as box:
        lease = Countdown(looks)
        batch = [replace(letter(n), lease=lease) for n in range(1, 5)]
        receipts = sent(box, batch, pool=1)
        ok = sum(r.status == "sent" for r in receipts)
        assert [r for r in receipts if r.status != "sent"] == [LEASE_OVER] * (4 - ok)
        assert len(box.messages()) == ok
        # It is looked at before each letter is begun, and before its content goes out: that is before the next is.
        assert ok == max(0, looks - 1) // 2


@pytest.mark.covers("Q24")
def test_a_text_message_is_not_handed_over_after_the_lease(make_kit: Make) -> None:
    class Gateway:
        calls = 0

        async def deliver(self, message: Any) -> Receipt:
            self.calls += 1
            return Receipt("sent")

        async def close(self) -> None:
            return None

    class Texts:
        def compose(self, one: Message, now: int) -> str:
            return one.id

    kit, gateway = make_kit(clock=Clock(wall_clock())), Gateway()
    channel = PhoneChannel("sms", gateway, Texts(), lambda: 0)  # type: ignore[arg-type]
    one = replace(letter(1), channel="sms")
    over = replace(one, lease=Countdown(0))
    assert list(kit.run(channel.send([over, one]))) == [LEASE_OVER, Receipt("sent")]
    assert gateway.calls == 1
