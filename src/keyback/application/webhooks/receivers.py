"""Receivers of events: added, listed, tried, given another secret, removed; and what was given up is sent again."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from keyback.application.audit_log import log_of
from keyback.application.ports.storage import Database, Tx
from keyback.application.ports.webhooks import Answer, Posts, Receiver, Undelivered
from keyback.application.webhooks.catalogue import CATALOGUE
from keyback.application.webhooks.deliver import STREAM
from keyback.application.webhooks.messages import trial_message
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.recovery.events import Note
from keyback.domain.secret import Secret
from keyback.domain.units import HOUR

MAX_RECEIVERS = 20
MAX_URL = 500
SECRET_BYTES = 32
OVERLAP = 24 * HOUR


@dataclass(frozen=True, slots=True)
class MadeSecret:
    """A receiver with its new secret, which is shown once."""

    receiver: Receiver
    secret: Secret = field(repr=False)


@dataclass(frozen=True, slots=True)
class Listed:
    receiver: Receiver
    undelivered: Undelivered
    behind: int


def add(tx: Tx, url: str, types: Collection[str] = ()) -> MadeSecret:
    """Adds a receiver, which gets what happens from now on.

    Args:
        url: an address that the network side took.
        types: of the events that it wants; none: all.

    Raises:
        BadInput: `url` that is too long, or `types` of which one is not in the catalogue.
        Refusal: `too_many`, or `conflict` when the address is a receiver already.
    """
    if len(url) > MAX_URL:
        raise BadInput("url")
    if not set(types) <= set(CATALOGUE):
        raise BadInput("types")
    known = tx.webhooks.listed()
    if len(known) >= MAX_RECEIVERS:
        raise Refusal("too_many")
    if url in {r.url for r in known}:
        raise Refusal("conflict")
    secret = _new_secret(tx)
    wanted = tuple(sorted(set(types)))
    receiver = Receiver(tx.new_id(), url, wanted, ((secret, 0),), log_of(tx).head()[0], tx.now)
    tx.webhooks.add(receiver)
    tx.audit.record(STREAM, [Note("webhook_added", {"webhook": receiver.id, "types": list(wanted)})])
    return MadeSecret(receiver, secret)


def listed(tx: Tx) -> list[Listed]:
    undelivered, head = tx.webhooks.undelivered(), log_of(tx).head()[0]
    return [Listed(r, undelivered.get(r.id, Undelivered()), head - r.read_to) for r in tx.webhooks.listed()]


def rotate(tx: Tx, receiver_id: str, overlap: int = OVERLAP) -> MadeSecret:
    """Gives a receiver another secret. For `overlap` ms everything is signed with both, so that nothing is refused
    while it changes over.

    Raises:
        Refusal: `not_found`.
    """
    receiver = _locked(tx, receiver_id)
    secret, until = _new_secret(tx), tx.now + overlap
    earlier = tuple((s, min(end, until) if end else until) for s, end in receiver.secrets if not end or end > tx.now)
    receiver = replace(receiver, secrets=((secret, 0), *earlier))
    tx.webhooks.save(receiver)
    tx.audit.record(STREAM, [Note("webhook_rotated", {"webhook": receiver.id})])
    return MadeSecret(receiver, secret)


def remove(tx: Tx, receiver_id: str) -> Receiver:
    """Removes a receiver with all that it still had to get.

    Raises:
        Refusal: `not_found`.
    """
    receiver = _locked(tx, receiver_id)
    tx.webhooks.remove(receiver.id)
    tx.audit.record(STREAM, [Note("webhook_removed", {"webhook": receiver.id})])
    return receiver


def resend(tx: Tx, receiver_id: str, since: int = 0) -> int:
    """Makes everything that was given up due now, and switches the receiver on again; how many.

    Args:
        since: an audit row; what happened from there on is sent once more, also what was taken. 0: nothing of it.

    Raises:
        Refusal: `not_found`.
    """
    receiver = _locked(tx, receiver_id)
    count = tx.webhooks.revive(receiver.id)
    read_to = min(receiver.read_to, since - 1) if since > 0 else receiver.read_to
    awake = replace(receiver, state="on", failures=0, failing_since=0, rest_until=0, read_to=read_to)
    tx.webhooks.save(awake)
    about = {"webhook": receiver.id, "count": count, "rows": receiver.read_to - read_to}
    tx.audit.record(STREAM, [Note("webhook_resent", about)])
    return count


async def test(db: Database, posts: Posts, receiver_id: str) -> Answer:
    """Posts one `webhook_test` to a receiver, at once and once.

    Raises:
        Refusal: `not_found`.
    """
    receiver, now, name = await db.read(lambda tx: (_known(tx, receiver_id), tx.now, tx.new_id()))
    return await posts.post(receiver.url, trial_message(f"test_{name}", now), receiver.signing(now), now)


def dead(tx: Tx, receiver_id: str, limit: int = 50) -> Sequence[dict[str, object]]:
    """What was given up, the oldest first.

    Raises:
        Refusal: `not_found`.
    """
    return [dict(row) for row in tx.webhooks.dead(_known(tx, receiver_id).id, limit)]


def _known(tx: Tx, receiver_id: str, *, lock: bool = False) -> Receiver:
    found = tx.webhooks.get(receiver_id, lock=lock)
    if found is None:
        raise Refusal("not_found")
    return found


def _locked(tx: Tx, receiver_id: str) -> Receiver:
    return _known(tx, receiver_id, lock=True)


def _new_secret(tx: Tx) -> Secret:
    return Secret("whsec_" + base64.b64encode(tx.random(SECRET_BYTES)).decode())
