"""What the invented people have enrolled: contacts, authenticator apps, passkeys, recovery codes. Its secrets are no
secrets."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyotp

from keyback.application.ports.proofs import MakesCodes
from keyback.application.ports.storage import Tx
from keyback.application.services import Services
from keyback.demo.company import STAFF, Staff
from keyback.demo.passkeys import kept_of, passkey_of
from keyback.domain.people.factor import CODES, Factor, SavedCode
from keyback.domain.people.person import Contact, canonicalize
from keyback.web.demo.pages import DemoApp, DemoCodes, DemoPasskey

STEP_S = 30
SEEDED = {"demo": True}  # tells the codes of the demo from those that somebody made later
BY_NAME = {s.username: s for s in STAFF}


@dataclass(frozen=True, slots=True)
class Saved:
    """A recovery code as it stands on paper, with what is kept of it."""

    text: str
    slot: str
    phc: str


def seed_of(username: str) -> str:
    """The seed of somebody's app, the same in every demo (20 bytes in base32)."""
    return base64.b32encode(hashlib.sha1(f"demo app {username}".encode(), usedforsecurity=False).digest()).decode()


def codes_of(proof: MakesCodes, username: str) -> Sequence[tuple[str, str]]:
    """(text, slot) of somebody's recovery codes, the same in every demo."""
    return [(c.text, c.slot) for c in proof.new_codes(_from(username), CODES)]


def _from(username: str) -> Callable[[int], bytes]:
    count = 0

    def some(n: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_128(f"demo codes {username} {count}".encode()).digest(n)

    return some


def _maker(services: Services) -> MakesCodes:
    proof = services.proofs["recovery_code"]
    assert isinstance(proof, MakesCodes)
    return proof


async def new_codes(services: Services) -> Mapping[str, Sequence[Saved]]:
    """Everybody's recovery codes, hashed: user name to ten of them."""
    proof = _maker(services)

    async def of(s: Staff) -> list[Saved]:
        made = proof.new_codes(_from(s.username), CODES)
        kept = await asyncio.gather(*(proof.hashed(c.secret) for c in made))
        return [Saved(c.text, c.slot, phc) for c, phc in zip(made, kept, strict=True)]

    return {s.username: await of(s) for s in STAFF if s.saved}


def enrol(tx: Tx, codes: Mapping[str, Sequence[Saved]]) -> None:
    """Writes down what everybody has besides their mail addresses; usable at once."""
    people = ids(tx)
    for s in STAFF:
        person, new = people[s.username], tx.new_id
        if s.phone:
            tx.contacts.add(Contact(new(), person, "sms", s.phone, "backup", origin="person", added_at=tx.now))
        if s.chat:
            tx.contacts.add(Contact(new(), person, "im", s.chat, "backup", origin="person", added_at=tx.now))
        if s.friend:
            f = BY_NAME[s.friend]
            tx.contacts.add(
                Contact(new(), person, "mail", f.mails[0], "recovery", origin="person", name=f.name, added_at=tx.now)
            )
        if s.app:
            seed = {"seed": seed_of(s.username)}
            tx.factors.add(Factor(new(), person, "totp", "", "active", seed, added_at=tx.now))
        if s.passkey:
            data, lookup = kept_of(s.username)
            tx.factors.add(Factor(new(), person, "passkey", "", "active", data, added_at=tx.now, lookup=lookup))
        if s.saved:
            kept = Factor(new(), person, "recovery_codes", "", "active", SEEDED, added_at=tx.now)
            tx.factors.add(kept)
            tx.factors.put_codes([SavedCode(new(), kept.id, c.slot, c.phc, tx.now) for c in codes[s.username]])


def passkeys() -> tuple[DemoPasskey, ...]:
    """The passkeys that people have from the start."""
    return tuple(passkey_of(s.username, s.name) for s in STAFF if s.passkey)


def ids(tx: Tx) -> dict[str, str]:
    """User name to person id of everybody in the demo."""
    names = {canonicalize(s.login(s.systems[0])): s.username for s in STAFF}
    found = tx.people.match(list(names))
    return {names[name]: matches[0].person.id for name, matches in found.items() if matches}


async def shown(services: Services) -> tuple[tuple[DemoApp, ...], tuple[DemoCodes, ...]]:
    """For the page `/demo/authenticator`."""
    proof = _maker(services)
    return await services.db.read(lambda tx: _shown(tx, proof))


def _shown(tx: Tx, proof: MakesCodes) -> tuple[tuple[DemoApp, ...], tuple[DemoCodes, ...]]:
    """What the apps of the sixty show now, those that somebody has just set up too, and the codes they put away."""
    by_id = {person: username for username, person in ids(tx).items()}
    factors = tx.factors.of_people(list(by_id), states=("active", "pending"))
    step, left = divmod(tx.now // 1000, STEP_S)
    apps, codes = [], []
    for person, username in by_id.items():
        s = BY_NAME[username]
        for f in factors.get(person, ()):
            if f.kind == "totp":
                code = pyotp.TOTP(str(f.data["seed"])).generate_otp(step)
                used = f.counter >= step
                apps.append(DemoApp(s.name, username, f.label, code, STEP_S - left, used, f.state == "pending"))
            elif f.kind == "recovery_codes" and f.state == "active" and f.data.get("demo"):
                good = {c.slot for c in tx.factors.codes([f.id]) if c.used_at is None}
                both = tuple((text, slot not in good) for text, slot in codes_of(proof, username))
                codes.append(DemoCodes(s.name, username, both))
    return tuple(apps), tuple(codes)
