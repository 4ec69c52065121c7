"""Sessions of the console: shorter than people's, with an idle limit, and a step-up before what matters."""

from __future__ import annotations

from dataclasses import dataclass, field

from keyback.application.desk.operators import STREAM
from keyback.application.origin import Origin
from keyback.application.ports.desk_storage import OperatorSession
from keyback.application.ports.storage import Tx
from keyback.application.signin.sessions import new_token
from keyback.domain import tokens
from keyback.domain.errors import Refusal
from keyback.domain.operators.approvals import FRESH_MS
from keyback.domain.operators.roles import Operator
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR

SESSION_LIFE = 8 * HOUR  # a shift; `storage.stores.operators.IDLE` ends it sooner


@dataclass(frozen=True, slots=True)
class Actor:
    """The operator of a live session. `now`: ms, when it was looked up."""

    operator: Operator
    session: OperatorSession = field(repr=False)
    now: int

    @property
    def fresh(self) -> bool:
        """Whether they showed a second factor just now."""
        return self.now < self.session.proven_at + FRESH_MS


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`token` is the session's secret; the database keeps its digest."""

    operator: Operator
    token: str = field(repr=False)


def open_session(tx: Tx, operator: Operator, method: str, origin: Origin) -> SignedIn:
    """Opens a session for an operator who has shown two factors, by `password` or `passkey`."""
    token = new_token()
    source, device = origin.source[:45], origin.agent
    digest = tokens.token_digest(token)
    life = tx.now + SESSION_LIFE
    tx.operators.add_session(OperatorSession(digest, operator.id, tx.now, tx.now, life, source, device, tx.now))
    about = {"operator": operator.id, "method": method, "source": source, "device": device}
    tx.audit.record(STREAM, [Note("operator_signed_in", about)])
    return SignedIn(operator, token)


def actor_of(tx: Tx, token: str) -> Actor | None:
    """The operator behind a cookie, whose session goes on; None where it is over."""
    digest = tokens.token_digest(token)
    session = tx.operators.session(digest)
    operator = tx.operators.get(session.operator_id) if session else None
    if session is None or operator is None or operator.state != "active":
        return None
    tx.operators.touch(digest)
    return Actor(operator, session, tx.now)


def must_be_fresh(tx: Tx, actor: Actor) -> None:
    """Lets an operator on who is still signed in as they were, and showed a second factor just now.

    Raises:
        Refusal: `over` or `step_up`.
    """
    live = tx.operators.session(actor.session.digest)
    operator = tx.operators.get(actor.operator.id)
    if live is None or operator is None or operator.security_version != actor.operator.security_version:
        raise Refusal("over")
    if tx.now >= live.proven_at + FRESH_MS:
        raise Refusal("step_up")


def sign_out(tx: Tx, token: str) -> None:
    """Ends the session; ending one that is over is no fault."""
    ended = tx.operators.end_session(tokens.token_digest(token))
    if ended:
        tx.audit.record(STREAM, [Note("operator_signed_out", {"operator": ended.operator_id})])
