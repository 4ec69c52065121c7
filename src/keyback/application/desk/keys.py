"""Keys of the admin API: made, shown once, replaced, removed; and who comes with one."""

from __future__ import annotations

import base64
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from keyback.application.desk.notices import tell_officers
from keyback.application.desk.operators import MAX_NAME, SERVER, STREAM
from keyback.application.desk.sessions import Actor
from keyback.application.ports.desk_storage import OperatorSession
from keyback.application.ports.storage import Tx
from keyback.domain import tokens
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators import keys
from keyback.domain.operators.actions import ActionKind
from keyback.domain.operators.keys import FOR_KEYS, ApiKey
from keyback.domain.operators.roles import Operator, Permission, Role
from keyback.domain.people.person import Tier
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR, MINUTE

MAX_PROGRAMS = 100
SEEN_EVERY = MINUTE  # a key's last use is written down no more often


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key; `token` is shown once, the database keeps its digest."""

    key: ApiKey
    program: Operator
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListedKey:
    key: ApiKey
    program: Operator


def add(tx: Tx, name: str, scopes: Collection[str], days: int = keys.DAYS, by: Operator | None = None) -> MadeKey:
    """Adds a program with its first key.

    Args:
        scopes: values of permissions.
        days: until it expires.
        by: who makes it in the console; None on the server.

    Raises:
        BadInput: `empty` name, `scopes` (none, or one that no key can have) or `days`.
        Refusal: `too_many` programs.
    """
    name = " ".join(name.split())[:MAX_NAME]
    if not name:
        raise BadInput("empty")
    wanted = frozenset(p for p in FOR_KEYS if p.value in scopes)
    if not wanted or len(wanted) != len(set(scopes)):
        raise BadInput("scopes")
    if not 1 <= days <= keys.MAX_DAYS:
        raise BadInput("days")
    if len({k.operator_id for k in tx.api_keys.listed()}) >= MAX_PROGRAMS:
        raise Refusal("too_many")
    # A program is an operator of the lowest rank whom no sign-in form knows; what it may do is in its key alone.
    own = tx.new_id()
    program = Operator(own, name, f"program/{own}", Role.AGENT, "active", created_at=tx.now, scopes=frozenset())
    tx.operators.add(program)
    return _make(tx, program, wanted, tx.now + days * 24 * HOUR, by, Note("api_key_added"))


def rotate(tx: Tx, key_id: str, by: Operator | None = None, overlap: int = keys.OVERLAP) -> MadeKey:
    """Gives a program a new key with the same scopes and as much time as the old one had, which goes on for `overlap`
    ms at most.

    Raises:
        Refusal: `not_found` when the key is not there any more.
    """
    old = _live(tx, key_id)
    program = tx.operators.get(old.operator_id, lock=True)
    if program is None or program.state == "removed":
        raise Refusal("not_found")
    tx.api_keys.shorten(program.id, tx.now + overlap)
    return _make(tx, program, old.scopes, tx.now + old.expires_at - old.created_at, by, Note("api_key_rotated"))


def remove(tx: Tx, key_id: str, by: Operator | None = None) -> ListedKey:
    """Removes a key at once; with its last one the program goes, and what it claimed is free again.

    Raises:
        Refusal: `not_found`.
    """
    key = _live(tx, key_id)
    program = tx.operators.get(key.operator_id, lock=True)
    if program is None or not tx.api_keys.end(key.id):
        raise Refusal("not_found")
    about = {**_about(program, key), "by": by.id if by else SERVER}
    if not tx.api_keys.of(program.id):
        tx.operators.remove(program.id)
        about["cases_freed"] = tx.desk.free(program.id)
    tx.audit.record(STREAM, [Note("api_key_removed", about)])
    return ListedKey(key, program)


def listed(tx: Tx) -> list[ListedKey]:
    """Keys that were not removed, expired ones too, the newest first."""
    found = tx.api_keys.listed()
    programs = tx.operators.many([k.operator_id for k in found])
    return [ListedKey(k, programs[k.operator_id]) for k in found]


def actor_of(tx: Tx, token: str) -> Actor | None:
    """The program behind a key; None for one that is unknown, removed or expired. It never has a fresh second factor:
    it has none."""
    key = tx.api_keys.by_prefix(keys.prefix_of(token))
    digest = tokens.token_digest(token)
    if key is None or not tokens.same(key.digest.hex(), digest.hex()) or not key.live(tx.now):
        return None
    program = tx.operators.get(key.operator_id)
    if program is None or program.state != "active" or program.scopes is None:
        return None
    own = Operator(
        program.id, program.name, program.mail, program.role, program.state, scopes=key.scopes & FOR_KEYS,
        security_version=program.security_version, created_at=program.created_at,
    )  # fmt: skip
    session = OperatorSession(digest, own.id, key.created_at, key.used_at, key.expires_at, "", key.prefix)
    return Actor(own, session, tx.now)


def may_ask(tx: Tx, program: Operator, kind: ActionKind, tier: Tier) -> None:
    """Lets a program on to an act on a person that it may do alone, and counts it.

    Raises:
        Refusal: `needs_person` where an operator has to do it; `too_many` in one hour.
    """
    if keys.needs_person(kind, tier):
        raise Refusal("needs_person")
    counter = f"op/g/acts/{program.id}"
    if tx.counters.add([counter])[counter].hour > keys.ACTS_AN_HOUR:
        raise Refusal("too_many")


def has_lapsed(tx: Tx, operator_id: str) -> bool:
    """Whether this is a program without a key that is valid."""
    found = tx.operators.get(operator_id)
    is_program = found is not None and found.scopes is not None
    return is_program and not any(k.live(tx.now) for k in tx.api_keys.of(operator_id))


def free_lapsed(tx: Tx) -> int:
    """Gives back to the queue what programs had claimed whose last key expired; how many cases."""
    programs: dict[str, bool] = {}
    for k in tx.api_keys.listed():
        programs[k.operator_id] = programs.get(k.operator_id, False) or k.live(tx.now)
    freed = 0
    for operator_id in sorted(i for i, live in programs.items() if not live):
        if cases := tx.desk.free(operator_id):
            tx.audit.record(STREAM, [Note("api_key_lapsed", {"operator": operator_id, "cases_freed": cases})])
            freed += cases
    return freed


def note_use(tx: Tx, actor: Actor, source: str) -> None:
    """Writes down that a key was used, and from where."""
    key = tx.api_keys.by_prefix(actor.session.device)
    if key is not None:
        tx.api_keys.used(key.id, source)


def is_due(actor: Actor) -> bool:
    """Whether the last use of a key has to be written down again."""
    return actor.now >= actor.session.seen_at + SEEN_EVERY


def _live(tx: Tx, key_id: str) -> ApiKey:
    key = tx.api_keys.get(key_id)
    if key is None or key.ended_at:
        raise Refusal("not_found")
    return key


def _make(
    tx: Tx, program: Operator, scopes: frozenset[Permission], until: int, by: Operator | None, what: Note
) -> MadeKey:
    prefix = base64.b32encode(tx.random(keys.NAME_BYTES)).decode().lower()
    secret = base64.urlsafe_b64encode(tx.random(keys.SECRET_BYTES)).rstrip(b"=").decode()
    token, maker = keys.spell(prefix, secret), by.id if by else SERVER
    key = ApiKey(tx.new_id(), program.id, prefix, tokens.token_digest(token), scopes, tx.now, maker, until)
    tx.api_keys.add(key)
    about = {**_about(program, key), "by": maker, "scopes": sorted(s.value for s in scopes), "expires_at": until}
    tx.audit.record(STREAM, [replace(what, data=about)])
    tell_officers(tx, "api_key_added", program.name, by.name if by else SERVER)
    return MadeKey(key, program, token)


def _about(program: Operator, key: ApiKey) -> dict[str, object]:
    return {"operator": program.id, "key": key.id, "prefix": key.prefix}
