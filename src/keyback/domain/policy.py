"""Which evidence suffices for whom: one pure predicate (NIST SP 800-63B-4 section 4.2, N-R10, N-R11)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from keyback.domain.person import Tier

ProofClass = Literal["issued", "saved", "contact", "bound", "proofing", "knowledge"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A proof that was accepted on one case.

    Args:
        proof: which way, such as `email_link`.
        kind: its class; knowledge weighs nothing.
        channel: what it came through, such as `mail:CONTACT-ID`; the same channel never counts twice.
        accepted_at: ms.
    """

    proof: str
    kind: ProofClass
    channel: str
    accepted_at: int


def suffices(evidence: Iterable[Evidence], tier: Tier) -> bool:
    """Whether this evidence may change the password of a person of this tier.

    `standard`: one issued or saved proof, or a contact (N-R10). `mfa`: two of issued, saved and contact, of different
    classes and different channels; or one of them and a bound factor; or identity proofing and one issued proof
    (N-R11). `privileged`: as `mfa`, without SMS; a second operator approves unless a passkey was used, so until
    somebody can approve, nothing but a passkey path is enough here.
    """
    weighing = [e for e in evidence if e.kind != "knowledge" and not (tier == "privileged" and e.proof == "sms_code")]
    codes = [e for e in weighing if e.kind in ("issued", "saved", "contact")]
    if tier == "standard":
        return bool(codes)
    strong = (
        any(a.kind != b.kind and a.channel != b.channel for a in codes for b in codes)
        or any(e.kind == "bound" and c.channel != e.channel for e in weighing for c in codes)
        or (any(e.kind == "proofing" for e in weighing) and any(c.kind == "issued" for c in codes))
    )
    if tier == "mfa":
        return strong
    return strong and any(e.proof == "passkey" for e in weighing)
