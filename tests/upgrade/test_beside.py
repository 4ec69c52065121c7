"""Mailed links beside a node of the version before, which keeps them in a table of its own (migration 0012).

Its statements are here as it runs them. Every link works on both, and is used up once.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from keyback.application.ports.storage import Tx
from keyback.application.recovery import extra_mail, mailed_link
from keyback.domain.challenges.challenge import EMAIL_LINK, Challenge
from keyback.domain.tokens import token_digest
from keyback.storage.database import SqlDatabase
from tests.support.kit import Kit, person
from tests.support.steps import accept, ask, begin, fit, try_code

pytestmark = pytest.mark.both

Make = Callable[..., Kit]
END = "UPDATE challenges SET ended=:ending, ended_at=:now WHERE challenges.id = :id AND challenges.ended IS NULL"
FETCH = "UPDATE challenges SET fetched_at=:now WHERE challenges.id = :id AND challenges.fetched_at IS NULL"
RUN_OUT = "UPDATE challenges SET link_expires_at=:now, code_expires_at=:now WHERE challenges.key_id = :kid"
ADD = """INSERT INTO challenges (id, intake_id, case_id, person_id, contact_id, nonce, key_id, security_version,
 link_digest, stop_digest, created_at, link_expires_at, code_expires_at) VALUES (:id, :intake_id, :case_id, :person_id,
 :contact_id, :nonce, :key_id, :security_version, :link_digest, :stop_digest, :created_at, :link_expires_at,
 :code_expires_at)"""
BY_LINK = "SELECT * FROM challenges WHERE link_digest = :digest"


def run(kit: Kit, sql: str, **values: Any) -> int:
    """A statement of the version before; how many rows it changed."""
    return int(kit.write(lambda tx: tx.conn.execute(text(sql), values).rowcount))  # type: ignore[attr-defined]


def row(kit: Kit, token: str) -> dict[str, Any]:
    """A link as a node of the version before finds it."""
    found = kit.read(
        lambda tx: tx.conn.execute(text(BY_LINK), {"digest": token_digest(token)}).mappings().one()  # type: ignore[attr-defined]
    )
    return dict(found)


def mailed(make_kit: Make, url: str) -> tuple[Kit, str, str, str, str]:
    """A kit, a request and its mail: handle, link, code, stop link."""
    kit = make_kit(url=url)
    return kit, *begin(kit, fit(kit, person("maya")))


def look(kit: Kit, token: str) -> mailed_link.LinkView:
    return kit.read(lambda tx: mailed_link.look_at_link(tx, token))


def test_what_we_mail_is_a_row_of_theirs(make_kit: Make, database_url: str) -> None:
    kit, handle, link, _, stop = mailed(make_kit, database_url)
    ours = kit.read(lambda tx: tx.challenges.issued(handle, EMAIL_LINK))[0]
    found = row(kit, link)
    assert bytes(found.pop("nonce")) == ours.nonce
    assert (bytes(found.pop("link_digest")), bytes(found.pop("stop_digest"))) == (
        token_digest(link), token_digest(stop),
    )  # fmt: skip
    assert found == {
        "id": ours.id, "intake_id": handle, "case_id": ours.case_id, "person_id": ours.person_id,
        "contact_id": ours.target, "key_id": ours.key_id, "security_version": ours.security_version,
        "created_at": ours.created_at, "link_expires_at": ours.expires_at, "code_expires_at": ours.code_until,
        "ended": None, "ended_at": None, "fetched_at": None,
    }  # fmt: skip


def test_what_they_used_is_used(make_kit: Make, database_url: str) -> None:
    kit, _, link, _, _ = mailed(make_kit, database_url)
    assert run(kit, END, id=row(kit, link)["id"], ending="used", now=kit.clock()) == 1
    assert look(kit, link).problem == "used"
    assert accept(kit, link) == "used"


def test_what_we_used_is_used(make_kit: Make, database_url: str) -> None:
    kit, _, link, _, _ = mailed(make_kit, database_url)
    assert accept(kit, link) is None
    found = row(kit, link)
    assert found["ended"] == "used"
    assert found["ended_at"] is not None
    assert run(kit, END, id=found["id"], ending="used", now=kit.clock()) == 0


def theirs(kit: Kit, like: Challenge) -> tuple[str, str]:
    """Another mail of the same request, as a node of the version before writes it down: its link and its code."""

    def add(tx: Tx) -> tuple[str, str]:
        nonce, key = tx.random(32), tx.seals.derive("challenge", tx.seals.primary)
        mac = {
            label: hmac.digest(key, label.encode() + b"\0" + nonce, "sha256")[:16] for label in ("link", "stop", "code")
        }
        tokens = {k: base64.urlsafe_b64encode(mac[k]).rstrip(b"=").decode() for k in ("link", "stop")}
        values = {
            "id": tx.new_id(), "intake_id": like.handle, "case_id": like.case_id, "person_id": like.person_id,
            "contact_id": like.target, "nonce": nonce, "key_id": tx.seals.primary,
            "security_version": like.security_version, "created_at": tx.now, "link_expires_at": tx.now + 3_600_000,
            "link_digest": hashlib.sha256(tokens["link"].encode()).digest(), "code_expires_at": tx.now + 600_000,
            "stop_digest": hashlib.sha256(tokens["stop"].encode()).digest(),
        }  # fmt: skip
        tx.conn.execute(text(ADD), values)  # type: ignore[attr-defined]
        return tokens["link"], f"{int.from_bytes(mac['code'], 'big') % 10**8:08d}"

    return kit.write(add)


@pytest.mark.parametrize("by", ["link", "code"])
def test_what_they_mailed_is_taken_once(make_kit: Make, database_url: str, by: str) -> None:
    kit, handle, first, _, _ = mailed(make_kit, database_url)
    link, code = theirs(kit, kit.read(lambda tx: tx.challenges.issued(handle, EMAIL_LINK))[0])
    if by == "link":
        assert accept(kit, link) is None
    else:
        assert try_code(kit, handle, code) == "accepted"
    assert [row(kit, t)["ended"] for t in (link, first)] == ["used", "overtaken"]
    assert accept(kit, link) == "used"


def test_a_link_fetches_one_mail_whoever_is_asked(make_kit: Make, database_url: str) -> None:
    kit, handle, link, _, _ = mailed(make_kit, database_url)
    other, _ = theirs(kit, kit.read(lambda tx: tx.challenges.issued(handle, EMAIL_LINK))[0])
    mine = ask(kit, "maya").handle
    assert run(kit, FETCH, id=row(kit, link)["id"], now=kit.clock()) == 1
    assert not kit.write(lambda tx: extra_mail.fetch(tx, link, mine))
    assert kit.write(lambda tx: extra_mail.fetch(tx, other, mine))
    assert run(kit, FETCH, id=row(kit, other)["id"], now=kit.clock()) == 0


def test_what_a_lost_key_ends_there_is_over_here(make_kit: Make, database_url: str) -> None:
    kit, handle, link, code, _ = mailed(make_kit, database_url)
    run(kit, RUN_OUT, kid=kit.services.seals.primary, now=kit.clock())
    assert look(kit, link).problem == "expired"
    assert try_code(kit, handle, code) == "expired"


@pytest.mark.covers("C15", "INV-I1")
def test_of_fifty_on_both_versions_one_ends_it(make_kit: Make, database_url: str) -> None:
    kit, handle, _, _, _ = mailed(make_kit, database_url)
    mine = kit.read(lambda tx: tx.challenges.issued(handle, EMAIL_LINK))[0].id

    async def go() -> list[bool]:
        nodes = [SqlDatabase(database_url, kit.services.seals) for _ in range(2)]  # type: ignore[arg-type]
        values = {"id": mine, "ending": "used", "now": 1}
        old = lambda tx: tx.conn.execute(text(END), values).rowcount == 1  # noqa: E731
        new = lambda tx: tx.challenges.end(mine, "used")  # noqa: E731
        try:
            return await asyncio.gather(*(nodes[n % 2].write(new if n % 2 else old) for n in range(50)))
        finally:
            for node in nodes:
                await node.close()

    assert sum(kit.run(go())) == 1
