"""An operator sets up a sign-in with the link that works once: a password and an authenticator app, or a passkey.

What the page shows is derived from the link's token and the keyring, so that nothing is stored before it is shown to
work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from keyback.application.desk.operators import STREAM
from keyback.application.enrolment.factors import SEED_BYTES
from keyback.application.origin import Origin
from keyback.application.passwords.validation import judge_alone, public_context
from keyback.application.ports.enrolment import EnrolsApp, EnrolsPasskey, MadePasskey
from keyback.application.ports.storage import Seals, Tx
from keyback.application.services import Services
from keyback.domain import digests, tokens
from keyback.domain.operators.roles import Operator
from keyback.domain.passwords.rules import Context, Violation
from keyback.domain.people.factor import Factor
from keyback.domain.recovery.events import Note
from keyback.domain.secret import Secret

MAX_TRIES = 20  # wrong codes and passkeys for one link
Outcome = Literal["done", "wrong", "over", "known"]


@dataclass(frozen=True, slots=True)
class SettingUp:
    """A link that can still be used. `seed`: of the authenticator app; `challenge` changes with every try (W-1)."""

    operator: Operator
    expires_at: int
    seed: bytes = field(repr=False)
    challenge: bytes = field(repr=False)
    user_handle: bytes = field(repr=False)


def look(tx: Tx, token: str) -> SettingUp | None:
    """Reads; None when the link was used, is over, or never was one."""
    link = tx.operators.link(tokens.token_digest(token)) if token else None
    if link is None or link.used_at is not None or link.tries >= MAX_TRIES:
        return None
    if not link.created_at <= tx.now < link.expires_at:
        return None
    operator = tx.operators.get(link.operator_id, lock=False)
    if operator is None or operator.state == "removed" or operator.security_version != link.security_version:
        return None
    fresh = _derive(tx.seals, token, f"passkey/{link.tries}")
    seed = _derive(tx.seals, token, "seed")[:SEED_BYTES]
    return SettingUp(operator, link.expires_at, seed, fresh[:32], _derive(tx.seals, token, "handle"))


def _derive(seals: Seals, token: str, what: str) -> bytes:
    return digests.long_mac(seals.derive("operator_setup"), f"{what}\0{token}".encode())


def context_of(s: Services, operator: Operator) -> Context:
    """Words that this operator's password may not consist of."""
    base = public_context(s)
    return Context(companies=base.companies, systems=base.systems, names=(operator.name,), mails=(operator.mail,))


async def with_password(
    s: Services, app: EnrolsApp, token: str, password: Secret, typed: str, origin: Origin
) -> tuple[Outcome, tuple[Violation, ...]]:
    """Takes a password and the first code of the app. The password is judged first: nothing is counted for it.

    Raises:
        Busy: the hashing gate is full; nothing was used up.
    """
    found = await s.db.read(lambda tx: look(tx, token))
    if found is None:
        return "over", ()
    broken = judge_alone(s, password.reveal(), context_of(s, found.operator), True)
    if broken:
        return "wrong", broken
    phc = await s.gate.hash(password)

    def finish(tx: Tx) -> Outcome:
        live = _try(tx, token)
        if live is None:
            return "over"
        seed = app.new_seed(live.seed)
        step = app.first_step(seed, typed, tx.now)
        if step is None:
            return "wrong"
        factor = Factor(tx.new_id(), live.operator.id, "totp", "", "active", {"seed": seed}, step, tx.now)
        return _finish(tx, token, live.operator, factor, phc, origin)

    return await s.db.write(finish), ()


def with_passkey(tx: Tx, maker: EnrolsPasskey, token: str, typed: str, label: str, origin: Origin) -> Outcome:
    """Takes the browser's new passkey, which signs in by itself from now on."""
    asked = look(tx, token)
    if asked is None or _try(tx, token) is None:
        return "over"
    made: MadePasskey | None = maker.verify_registration(typed, asked.challenge, asked.user_handle)
    if made is None:
        return "wrong"
    if tx.operators.factor_by_lookup(made.lookup) is not None:
        return "known"
    factor = Factor(
        tx.new_id(), asked.operator.id, "passkey", label, "active", made.data, made.counter, tx.now, lookup=made.lookup
    )
    return _finish(tx, token, asked.operator, factor, None, origin)


def _try(tx: Tx, token: str) -> SettingUp | None:
    """The link once more, locked by counting a try of it before anything is compared."""
    if tx.operators.count_link_try(tokens.token_digest(token), MAX_TRIES) is None:
        return None
    return look(tx, token)


def _finish(tx: Tx, token: str, operator: Operator, factor: Factor, phc: str | None, origin: Origin) -> Outcome:
    if not tx.operators.use_link(tokens.token_digest(token)):
        return "over"
    tx.operators.activate(operator.id, phc)
    tx.operators.add_factor(factor)
    where = {"source": origin.source[:45], "device": origin.agent}
    about = {"operator": operator.id, "role": operator.role.value, "factor": factor.id, "kind": factor.kind}
    tx.audit.record(STREAM, [Note("operator_set_up", {**about, **where})])
    return "done"
