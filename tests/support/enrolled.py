"""People with something enrolled, to be asked for it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pyotp

from keyback.application.origin import Origin
from keyback.application.ports.proofs import MakesCodes
from keyback.application.ports.storage import Tx
from keyback.application.recovery import methods
from keyback.application.recovery.evidence import Here
from keyback.domain.people.factor import Factor, SavedCode
from keyback.domain.people.person import Contact
from keyback.domain.policy.rules import Policy
from keyback.proofs.passkey.method import Passkey
from keyback.testing.authenticator import Authenticator
from tests.support.kit import Kit
from tests.support.steps import HERE, drain

SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
SMS = {"kind": "http", "url": "http://127.0.0.1:9/sms", "secret": "whsec_" + "a2V5" * 12, "prefixes": ["+86"]}


def person_id(kit: Kit, who: str = "maya") -> str:
    mail = f"{who}@example.com"
    return str(kit.read(lambda tx: tx.people.match([mail]))[mail][0].person.id)


def add_contact(kit: Kit, channel: Any, address: str, role: Any = "backup", who: str = "maya", **more: Any) -> str:
    pid = person_id(kit, who)

    def add(tx: Tx) -> str:
        c = Contact(tx.new_id(), pid, channel, address, role, origin="person", added_at=tx.now, **more)
        assert tx.contacts.add(c)
        return c.id

    return kit.write(add)


def add_totp(kit: Kit, who: str = "maya", **more: Any) -> str:
    pid = person_id(kit, who)

    def add(tx: Tx) -> str:
        f = Factor(tx.new_id(), pid, "totp", "Phone", "active", {"seed": SEED}, added_at=tx.now)
        tx.factors.add(replace(f, **more))
        return f.id

    return kit.write(add)


def add_codes(kit: Kit, who: str = "maya", count: int = 3) -> list[str]:
    """The codes as their owner has them on paper."""
    proof, pid = kit.services.proofs["recovery_code"], person_id(kit, who)
    assert isinstance(proof, MakesCodes)
    new = proof.new_codes(os.urandom, count)
    kept = [kit.run(proof.hashed(c.secret)) for c in new]

    def add(tx: Tx) -> None:
        f = Factor(tx.new_id(), pid, "recovery_codes", "", "active", added_at=tx.now)
        tx.factors.add(f)
        tx.factors.put_codes(
            [SavedCode(tx.new_id(), f.id, c.slot, phc, tx.now) for c, phc in zip(new, kept, strict=True)]
        )

    kit.write(add)
    return [c.text for c in new]


def totp_now(kit: Kit, steps: int = 0) -> str:
    return pyotp.TOTP(SEED).at(kit.clock() // 1000 + 30 * steps)


def ask_way(kit: Kit, handle: str, name: str, target: str = "") -> bool:
    """Asks for a way and lets the worker put the question."""
    queued = kit.write(lambda tx: methods.ask(tx, handle, kit.services.proofs[name], target))
    drain(kit)
    return queued


def answer_way(kit: Kit, handle: str, name: str, typed: str, origin: Origin = HERE) -> str:
    proof = kit.services.proofs[name]
    return kit.run(methods.answer(kit.services.db, proof, handle, typed, Here(origin, kit.services.policy)))[0]


def policy_of(kit: Kit) -> Policy:
    return kit.services.policy


HOME = "http://localhost:8080"


def add_passkey(kit: Kit, who: str = "maya") -> Authenticator:
    proof, pid, key = kit.services.proofs["passkey"], person_id(kit, who), Authenticator(HOME, "localhost")
    assert isinstance(proof, Passkey)
    options = proof.registration_options(bytes(32), bytes(64), who, who.title(), "Qingyu", [])
    new = proof.verify_registration(key.create(options), bytes(32), bytes(64))
    assert new is not None
    factor = Factor("", pid, "passkey", "Laptop", "active", new.data, new.counter, lookup=new.lookup)
    kit.write(lambda tx: tx.factors.add(replace(factor, id=tx.new_id())))
    return key
