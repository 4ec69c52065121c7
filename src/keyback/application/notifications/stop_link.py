"""The link in a notice, by which its reader stops what it tells of."""

from __future__ import annotations

from keyback.application.ports.storage import Tx
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.people.person import Person


def stop_link(
    tx: Tx, person: Person, method: str, until: int, *, target: str, handle: str = "", case_id: str = ""
) -> Challenge:
    """A challenge whose link stops something; not written down yet.

    Args:
        until: ms until when the link works.
    """
    return Challenge(
        id=tx.new_id(),
        purpose="cancel",
        method=method,
        person_id=person.id,
        nonce=tx.random(32),
        security_version=person.security_version,
        created_at=tx.now,
        expires_at=until,
        handle=handle,
        case_id=case_id,
        target=target,
    )
