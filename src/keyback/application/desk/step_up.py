"""An operator shows a second factor once more before they decide something."""

from __future__ import annotations

from typing import Literal

from keyback.application.desk import sign_in
from keyback.application.desk.operators import STREAM
from keyback.application.desk.sessions import Actor
from keyback.application.origin import Origin
from keyback.application.ports.proofs import PendingChallenge, Proof, Verdict
from keyback.application.ports.storage import Database, Tx
from keyback.application.signin import passkey as tickets
from keyback.domain import digests
from keyback.domain.recovery.events import Note
from keyback.domain.throttling.limits import WINDOW_TRIES

Outcome = Literal["done", "wrong", "slow_down"]


def asked(tx: Tx, actor: Actor, kind: Literal["totp", "passkey"], ticket: str = "") -> list[PendingChallenge]:
    """The questions to an operator's own factors of a kind; those of a passkey by the challenge of a ticket."""
    mine = [f for f in tx.operators.factors(actor.operator.id) if f.kind == kind]
    if kind == "totp":
        return [sign_in.put(tx, actor.operator, f, tx.random(32)) for f in mine]
    if not tickets.is_fresh(tx.now, ticket):
        return []
    nonce, at = tickets.challenge_of(tx.seals, ticket), tickets.made_at(ticket)
    return [sign_in.put(tx, actor.operator, f, nonce, at) for f in mine]


async def confirm(
    db: Database, proof: Proof, kind: Literal["totp", "passkey"], actor: Actor, typed: str, ticket: str, origin: Origin
) -> Outcome:
    """Takes an answer; the session is fresh for a few minutes when it is right."""

    def begin(tx: Tx) -> tuple[bool, list[PendingChallenge], int]:
        counts = tx.counters.add(_keys(actor))
        allowed = all(c.hour <= WINDOW_TRIES for c in counts.values())
        used = kind == "passkey" and tx.counters.add([_once(ticket)])[_once(ticket)].total > 1
        return allowed, [] if used else asked(tx, actor, kind, ticket), tx.now

    allowed, live, now = await db.write(begin)
    if not allowed:
        return "slow_down"
    verdict = await proof.verify(live, typed[:8192], now)
    return await db.write(lambda tx: _finish(tx, actor, kind, verdict, origin))


def _keys(actor: Actor) -> list[str]:
    return [f"op/g/{actor.operator.id}/step"]


def _once(ticket: str) -> str:
    return f"op/g/ticket/{digests.digest(ticket.encode()).hex()[:32]}"


def _finish(tx: Tx, actor: Actor, kind: str, verdict: Verdict, origin: Origin) -> Outcome:
    about = {"operator": actor.operator.id, "method": kind, "source": origin.source[:45], "device": origin.agent}
    operator = tx.operators.get(actor.operator.id, lock=True)
    alive = operator is not None and operator.security_version == actor.operator.security_version
    if not alive or not sign_in.use(tx, verdict):
        tx.audit.record(STREAM, [Note("operator_step_up_failed", about)])
        return "wrong"
    tx.counters.take_back(_keys(actor))
    tx.operators.prove(actor.session.digest)
    tx.audit.record(STREAM, [Note("operator_confirmed", about)])
    return "done"
