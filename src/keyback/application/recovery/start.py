"""Accept first, look up later: writing a request down (ADR 1).

Nothing here depends on who is meant."""

from __future__ import annotations

from dataclasses import dataclass

from keyback.application.handles import new_handle, subject_of
from keyback.application.known_devices import LENGTH
from keyback.application.origin import Origin
from keyback.application.ports.storage import Database, Intake, Seals
from keyback.application.tracing import span
from keyback.domain import tokens
from keyback.domain.challenges import challenge as ch
from keyback.domain.people.phone_identifier import NONE_TAKEN, PhoneIdentifiers
from keyback.domain.policy.rules import Journey
from keyback.domain.units import HOUR

INTAKE_LIFE = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Started:
    """What the starter gets: a handle for everybody to see and a secret that holds the recovery."""

    handle: str
    secret: str
    expires_at: int


async def write_down(
    db: Database,
    seals: Seals,
    identifier: str,
    *,
    journey: Journey,
    system: str,
    locale: str,
    origin: Origin,
    now: int,
    handle: str | None = None,
    numbers: PhoneIdentifiers = NONE_TAKEN,
) -> Started:
    """Makes a request durable and looks nothing up.

    Args:
        identifier: as typed; what was pasted around it is taken off by `domain.people.pasted`.
        numbers: whether it may be a phone number.
        now: ms by this node's clock; used for show only, expiry is set by the worker.
        handle: derived from an idempotency key, else None.

    Raises:
        BadInput: it cannot be an identifier at all.
        StorageDown: it could not be made durable.
    """
    canonical = numbers.canonicalize(identifier)
    handle = handle or new_handle()
    intake = Intake(
        handle=handle,
        identifier=canonical,
        subject=subject_of(seals, canonical),
        journey=journey,
        system=system,
        locale=locale,
        source=origin.source[:45],
        agent=origin.agent,
        asked_at=now,
        expires_at=now + INTAKE_LIFE,
        device=tokens.token_digest(origin.device) if len(origin.device) == LENGTH else None,
    )
    with span("keyback.intake") as traced:
        traced.set("keyback.journey", journey)
        await db.write_down(intake)
    return Started(handle, ch.holder_secret(seals.derive("holder"), handle), now + INTAKE_LIFE)
