"""Events are taken by the library that Standard Webhooks gives out, and what was touched is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from keyback.application.clock import wall_clock
from keyback.application.webhooks import receivers
from keyback.domain.recovery.events import Note
from tests.support.kit import Clock, Kit
from tests.support.receiver import Posted, ReceiverStandIn
from tests.support.steps import drain


def headers_of(posted: Posted) -> dict[str, str]:
    return {
        "webhook-id": posted.id,
        "webhook-timestamp": str(posted.at),
        "webhook-signature": " ".join(posted.signatures),
    }


def test_the_published_library_takes_them(make_kit: Callable[..., Kit]) -> None:
    kit, receiver = make_kit(clock=Clock(wall_clock())), ReceiverStandIn()
    with receiver.serving() as url:
        made = kit.write(lambda tx: receivers.add(tx, url, ()))
        kit.write(lambda tx: tx.audit.record("c" * 22, [Note("requested"), Note("recovered")]))
        drain(kit)
        new = kit.write(lambda tx: receivers.rotate(tx, made.receiver.id))
        kit.write(lambda tx: tx.audit.record("c" * 22, [Note("closed")]))
        drain(kit)
    old, fresh = Webhook(made.secret.reveal()), Webhook(new.secret.reveal())
    assert len(receiver.taken) >= 3
    for posted in receiver.taken:
        said = old.verify(posted.body, headers_of(posted))  # also while two secrets are good
        assert said == posted.event
    last = receiver.taken[-1]
    assert fresh.verify(last.body, headers_of(last)) == last.event
    with pytest.raises(WebhookVerificationError):
        fresh.verify(receiver.taken[0].body, headers_of(receiver.taken[0]))
    for touched in (
        {**headers_of(last), "webhook-id": "another"},
        {**headers_of(last), "webhook-timestamp": str(last.at + 1)},
        {**headers_of(last), "webhook-timestamp": str(last.at - 600)},
        {**headers_of(last), "webhook-signature": "v1,AAAA"},
    ):
        with pytest.raises(WebhookVerificationError):
            fresh.verify(last.body, touched)
    with pytest.raises(WebhookVerificationError):
        fresh.verify(last.body + b" ", headers_of(last))
