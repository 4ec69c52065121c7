"""Passkeys: WebAuthn level 3. Phishing-resistant, since the browser signs the origin.

The question's nonce is the challenge. Every passkey is discoverable and verifies its user: so a page names none before
it knows whom it is about (W-6), and an answer shows possession and knowledge, or biometrics, at once.
Sources: https://www.w3.org/TR/webauthn-3/ sections 7.1, 7.2, 13.4.3; NIST SP 800-63B-4 section 3.1.7.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import idna

from keyback.application.ports.proofs import N_, About, Enrolments, Given, PendingChallenge, Target, Verdict
from keyback.domain import digests
from keyback.domain.challenges.challenge import SHORT_LIFE
from keyback.domain.people.factor import Factor
from keyback.domain.policy.rules import ProofClass
from keyback.proofs import question
from keyback.proofs.question import Carrier

HANDLE_BYTES = 64  # of a user handle: random, so that it says nothing about its owner (W-5)
KNOWN_ALREADY = frozenset({"sign_in", "step_up"})  # there a password said who it is, and the page may name passkeys


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """What to keep of a new passkey, as `domain.people.factor.Factor` has it: `data`, `lookup` and the first
    `counter`."""

    data: Mapping[str, Any] = field(repr=False)
    lookup: bytes = field(repr=False)
    counter: int


class Passkey:
    """One question per passkey that is enrolled; the credential that answers decides which of them was meant.

    Args:
        public_url: where people reach Keyback; its host is the relying party.

    Raises:
        ValueError: the host is an IP address, which browsers refuse (see `can_be`).
    """

    name = "passkey"
    about = About(
        Path(__file__).parent,
        title=N_("A passkey"),
        note=N_("On this device, your phone or a security key"),
        noun=N_("a passkey"),
        by=N_("by passkey"),
        wrong=N_("That passkey isn’t registered for this account. Try another one, or another method."),
        form_for_clients=True,
        one_try=True,
    )
    kind: ProofClass = "bound"
    carrier: Carrier = ""
    life_ms = SHORT_LIFE

    def __init__(self, public_url: str) -> None:
        if not can_be(public_url):
            raise ValueError("passkeys need a host name, not an IP address")
        self.rp_id, self.origin = _party(public_url)

    @classmethod
    def make(cls, given: Given) -> Passkey | None:
        return cls(given.public_url) if can_be(given.public_url) else None

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        return [Target(f.id, f"passkey:{f.id}", f.label) for f in question.factors(holder, "passkey")]

    def form(self, asked: Sequence[PendingChallenge], locale: str) -> Mapping[str, object]:
        """`options`: JSON for `PublicKeyCredential.parseRequestOptionsFromJSON`."""
        from keyback.proofs.passkey import ceremony

        ids = {a.target.id for a in asked if a.challenge.purpose in KNOWN_ALREADY}
        named = [f for a in asked[:1] for f in question.factors(a.holder, "passkey") if f.id in ids]
        challenge = asked[0].challenge.nonce if asked else bytes(32)
        return {"options": ceremony.request_options(self.rp_id, challenge, named)}

    def lookup(self, answer: str) -> bytes | None:
        """The digest by which the passkey of an answer is found where nobody said who they are."""
        from keyback.proofs.passkey import ceremony

        given = ceremony.read(answer)
        return _digest(given.raw_id) if given else None

    async def verify(self, asked: Sequence[PendingChallenge], answer: str, now: int) -> Verdict:
        """`sign_count` (and suspicious) for a signature count that did not go up: the passkey may have a copy (W-4)."""
        from keyback.proofs.passkey import ceremony

        given = ceremony.read(answer)
        if given is None:
            return Verdict(code="not_a_code")
        for a in question.live(self.name, asked, now):
            factor = question.meant(a, a.holder.factors, now)
            if factor is not None and ceremony.is_of(factor, given):
                alone = a.challenge.purpose not in KNOWN_ALREADY
                count = ceremony.signature_count(
                    given, factor, a.challenge.nonce, self.rp_id, self.origin, needs_handle=alone
                )
                if count is not None:
                    return _verdict(a, factor, count)
                break
        ceremony.waste()
        return Verdict()

    # ── enrolling ───────────────────────────────────────────────────────────

    def user_handle(self, known: Sequence[Factor], random: bytes) -> bytes:
        """The handle of a person: that of their passkeys so far, else 64 fresh random bytes.

        Raises:
            ValueError: another number of bytes.
        """
        if len(random) != HANDLE_BYTES:
            raise ValueError("a user handle has 64 bytes")
        old = next((str(f.data["user_handle"]) for f in known if f.kind == "passkey"), None)
        return base64.urlsafe_b64decode(old + "==") if old else random

    def registration_options(
        self, challenge: bytes, user_handle: bytes, username: str, name: str, company: str, known: Sequence[Factor]
    ) -> str:
        """JSON for `PublicKeyCredential.parseCreationOptionsFromJSON`.

        Args:
            challenge: the challenge's nonce.
            username: what the passkey will be listed under; `name` is the person's.
            known: passkeys of the person; the device that holds one makes no second.
        """
        from keyback.proofs.passkey import ceremony

        mine = [f for f in known if f.kind == "passkey"]
        return ceremony.creation_options(self.rp_id, challenge, user_handle, (company, username, name), mine)

    def verify_registration(self, answer: str, challenge: bytes, user_handle: bytes) -> NewPasskey | None:
        """What to keep of the browser's answer (`RegistrationResponseJSON`); None where it does not fit."""
        from keyback.proofs.passkey import ceremony

        done = ceremony.registered(answer, challenge, user_handle, self.rp_id, self.origin)
        return NewPasskey(done[0], _digest(done[1]), done[2]) if done else None


def can_be(public_url: str) -> bool:
    """Whether browsers make passkeys for this address: they need a host name, `localhost` included, not an IP one."""
    try:
        ipaddress.ip_address(urlsplit(public_url).hostname or "0.0.0.0")  # noqa: S104
    except ValueError:
        return True
    return False


def _party(public_url: str) -> tuple[str, str]:
    """Relying party and origin, as browsers write them: A-labels, no port where it is the usual one."""
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    host = host if host.isascii() else idna.encode(host, uts46=True).decode()
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    port = f":{parts.port}" if parts.port not in (None, usual) else ""
    return host, f"{parts.scheme}://{host}{port}"


def _digest(credential_id: bytes) -> bytes:
    return digests.digest(credential_id)


def _verdict(a: PendingChallenge, factor: Factor, count: int) -> Verdict:
    if count == factor.counter == 0:  # a synced passkey, which does not count
        return Verdict(a, "ok", two_factors=True)
    if count <= factor.counter:
        return Verdict(code="sign_count", suspicious="sign_count")
    return Verdict(a, "ok", counter=count, two_factors=True)
