"""Whether keyring and peppers are those that this database was written with, before anything is written with others.

The database keeps a check value of each: a MAC over a constant, which tells nothing about the key. It is noted once a
stored row has shown that the key is the right one, or where there is no row yet that could say otherwise.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, func, select
from sqlalchemy.exc import DBAPIError

from keyback.application.passwords.hashing import PEPPERED
from keyback.domain import digests, tokens
from keyback.domain.challenges import challenge as ch
from keyback.storage.engine import make_engine
from keyback.storage.faults import down
from keyback.storage.keys.keyring import Keyring, Unsealable
from keyback.storage.maintenance import reseal
from keyback.storage.sql import schema as s
from keyback.storage.sql import schema_desk as d
from keyback.storage.sql.statements import insert_many
from keyback.storage.stores.audit import GENESIS, PURPOSE, row_hash
from keyback.storage.stores.factors import PURPOSE as FACTOR
from keyback.storage.tx import SqlTx

CONSTANT = b"keyback check value"
FORGOTTEN = b""  # in the place of a check value: an administrator said that it is lost for good
GM = "crypto/gm"
NO_PEPPER = "-"
SAMPLE = 5  # rows that a key is tried on
ID_LENGTH = 8  # of a pepper
PUT_BACK = "Put this database's own keyring back, or set database_url to the database that this keyring belongs to."


@dataclass(frozen=True, slots=True)
class Peppers:
    """What the settings name. `values` are check values by id, `primary` is the id in use; empty for none."""

    values: Mapping[str, bytes]
    primary: str


@dataclass(frozen=True, slots=True)
class Misfit:
    """A setting that does not belong to this database: what is wrong, and what to do."""

    words: str
    next: str

    def __str__(self) -> str:
        return f"{self.words}. {self.next}"


def find(tx: SqlTx, peppers: Peppers | None = None, *, deep: bool = True) -> list[Misfit]:
    """What does not fit. Changes nothing.

    Args:
        peppers: None leaves them out, for commands that hash nothing.
        deep: look at rows where there is no check value; without, only what is noted is compared.
    """
    known = _known(tx)
    other = _cryptography(tx, known, deep)
    if other:
        return [other]  # no key can fit
    found = [*_keys(tx, known, deep), *_chain(tx, known, deep)]
    return found + (list(_peppers(tx, known, peppers, deep)) if peppers is not None else [])


def misfits(url: str, ring: Keyring, peppers: Peppers | None = None) -> list[Misfit]:
    """`find` in a database that nobody has opened yet. Raises StorageDown."""
    engine = make_engine(url)
    try:
        with engine.connect() as conn:
            return find(SqlTx(conn, 0, ring, writes=False), peppers)
    except DBAPIError as e:
        raise down(e) from None
    finally:
        engine.dispose()


def settle(tx: SqlTx, peppers: Peppers) -> list[Misfit]:
    """`find`; where everything fits, notes the check values that are missing and can be vouched for by now."""
    found = find(tx, peppers)
    if found:
        return found
    known, new = _known(tx), tx.audit.head()[0] == 0
    for kid in tx.seals.ids:
        if f"key/{kid}" not in known and (fits(tx, kid) or (new and fits(tx, kid) is None)):
            note_key(tx, kid)
    if digests.chosen() == "gm":
        _note(tx, GM, CONSTANT)
    chain = tx.seals.chain
    if f"chain/{chain}" not in known and (new or _chain_fits(tx)):
        _note(tx, f"chain/{chain}", _chain_value(tx.seals))
    hashed = _hashed(tx)
    for pid, value in peppers.values.items():
        # Its id is a MAC too: a stored hash that names it was made with it.
        if f"pepper/{pid}" not in known and (pid == peppers.primary or pid in hashed):
            _note(tx, f"pepper/{pid}", value)
    if not peppers.primary and f"pepper/{NO_PEPPER}" not in known:
        _note(tx, f"pepper/{NO_PEPPER}", CONSTANT)
    return []


def note_key(tx: SqlTx, kid: str) -> None:
    """Notes the check value of a key that is known to be the right one, such as one that was just made."""
    _note(tx, f"key/{kid}", _key_value(tx.seals, kid))


def drop_key(tx: SqlTx, kid: str) -> None:
    """A key was retired: nobody has to have it any more."""
    tx.conn.execute(s.installation.delete().where(s.installation.c.name == f"key/{kid}"))


def forget(tx: SqlTx, which: str) -> int | None:
    """Notes that a key or a pepper is lost for good, so that Keyback starts without it.

    Returns:
        How many rows or passwords are lost with it; None when nothing here was ever made with one of that name.
    """
    known = _known(tx)
    rows, lost = reseal.held(tx, which), _hashed(tx).get(which, 0)
    if f"key/{which}" in known or any(rows.values()):
        drop_key(tx, which)
        _note(tx, f"key/{which}", FORGOTTEN)
        return sum(rows[w.name] for w in reseal.LASTING)
    if f"pepper/{which}" in known or lost:
        tx.conn.execute(s.installation.delete().where(s.installation.c.name == f"pepper/{which}"))
        _note(tx, f"pepper/{which}", FORGOTTEN)
        return lost
    return None


def _cryptography(tx: SqlTx, known: Mapping[str, bytes], deep: bool) -> Misfit | None:
    """What this database was written with is never changed: digests in it cannot be recalculated."""
    gm = digests.chosen() == "gm"
    if not gm and GM in known:
        return Misfit('this database was written with crypto = "gm"', 'Set crypto = "gm" again.')
    if gm and GM not in known and (known or (deep and _chain_fits(tx) is False)):
        words = 'crypto is "gm", but this database was written without it'
        return Misfit(words, "Take crypto out of the settings, or begin with a new database and a new keyring.")
    return None


# ── keys ────────────────────────────────────────────────────────────────────


def _keys(tx: SqlTx, known: Mapping[str, bytes], deep: bool) -> Iterator[Misfit]:
    for kid in tx.seals.ids:
        value = known.get(f"key/{kid}")
        wrong = value != _key_value(tx.seals, kid) if value else deep and fits(tx, kid) is False
        if wrong:
            words = f"the keyring's key {kid} is not the {kid} that this database was written with"
            yield Misfit(words, PUT_BACK)
    for name, value in known.items():
        kind, _, kid = name.partition("/")
        if kind != "key" or kid in tx.seals.ids or value == FORGOTTEN:
            continue
        rows = reseal.held(tx, kid)
        lasting = sum(rows[w.name] for w in reseal.LASTING)
        if lasting or reseal.live(tx, kid):
            words = f"key {kid} is not in the keyring, and {lasting} rows cannot be opened without it"
            lost = f"If that key is lost for good, run: keyback keys forget {kid}"
            yield Misfit(words, f"Add its line from the keyring's backup. {lost}")


def fits(tx: SqlTx, kid: str) -> bool | None:
    """Whether stored rows were made with this key; None where there are none to tell by."""
    told = [_chain_fits(tx)] if kid == tx.seals.chain else []
    for what in reseal.LASTING:
        head = Keyring.head(kid)
        mine = func.substr(what.column, 1, len(head)) == head
        for bound, sealed in tx.conn.execute(select(what.bound_to, what.column).where(mine).limit(SAMPLE)):
            try:
                tx.seals.open(bytes(sealed), what.purpose, bound)
            except Unsealable:
                told.append(False)
            else:
                told.append(True)
    mailed = (s.challenges.c.key_id == kid) & (s.challenges.c.proof == ch.EMAIL_LINK)
    links = select(s.challenges.c.nonce, s.challenges.c.stop_digest).where(mailed)
    for nonce, digest in tx.conn.execute(links.limit(SAMPLE)):
        token = ch.stop_token(tx.seals.derive(ch.key_purpose(ch.EMAIL_LINK), kid), bytes(nonce))
        told.append(hmac.compare_digest(tokens.token_digest(token), bytes(digest)))
    return True if True in told else False if False in told else None


def _chain(tx: SqlTx, known: Mapping[str, bytes], deep: bool) -> Iterator[Misfit]:
    mine, next_ = f"chain/{tx.seals.chain}", "Put back the keyring's lines that this database was written with."
    noted = {name: value for name, value in known.items() if name.startswith("chain/")}
    if (noted and noted.get(mine) != _chain_value(tx.seals)) or (not noted and deep and _chain_fits(tx) is False):
        words = f"the audit log of this database is chained with another key than the keyring's {tx.seals.chain}"
        yield Misfit(words, next_)


def _chain_fits(tx: SqlTx) -> bool | None:
    """Whether the log's first row was chained with the ring's key. Where it was not but the last one was, somebody
    else has to judge: None, as where there is no row."""
    rows = tx.audit.rows(0, 1)
    if not rows:
        return None
    if _chained(tx, GENESIS, rows[0]):
        return True
    seq, _ = tx.audit.head()
    last = tx.audit.rows(seq - 2, 2)
    return None if len(last) == 2 and _chained(tx, last[0]["hash"], last[1]) else False


def _chained(tx: SqlTx, before: bytes, r: Mapping[str, Any]) -> bool:
    key = tx.seals.derive(PURPOSE, tx.seals.chain)
    made = row_hash(key, before, r["seq"], r["at"], r["stream"], r["type"], r["data"])
    return hmac.compare_digest(made, bytes(r["hash"]))


# ── peppers ─────────────────────────────────────────────────────────────────


def _peppers(tx: SqlTx, known: Mapping[str, bytes], named: Peppers, deep: bool) -> Iterator[Misfit]:
    hashed = _hashed(tx) if deep else {}
    noted = {n.removeprefix("pepper/"): v for n, v in known.items() if n.startswith("pepper/")}
    settled = (named.primary or NO_PEPPER) in noted
    for pid in sorted({*hashed, *noted} - {NO_PEPPER}):
        value, n = noted.get(pid), hashed.get(pid, 0)
        if value == FORGOTTEN or (pid in named.values and value in (None, named.values[pid])):
            continue
        if deep and not n and settled:
            continue  # it was replaced by the one in use, and nothing needs it any more
        words = f"{n} passwords, recovery codes and answers are" if n else "this database's passwords are"
        yield Misfit(
            f"{words} hashed with a pepper (id {pid}) that the settings do not name: right passwords would be refused",
            "Name its file in password.pepper_file, or in password.old_pepper_files if another one is in use. "
            f"If it is lost for good, run: keyback keys forget {pid}",
        )


def _hashed(tx: SqlTx) -> dict[str, int]:
    """How many passwords, unused recovery codes and answers to questions need which pepper."""
    out: dict[str, int] = {}
    unused = s.saved_codes.c.used_at.is_(None)
    wheres: tuple[tuple[ColumnElement[str], ColumnElement[bool]], ...] = (
        (s.credentials.c.phc, s.credentials.c.phc.like(f"{PEPPERED}%")),
        (d.operators.c.phc, d.operators.c.phc.like(f"{PEPPERED}%")),
        (s.saved_codes.c.phc, s.saved_codes.c.phc.like(f"{PEPPERED}%") & unused),
    )
    for phc, mine in wheres:
        pid = func.substr(phc, len(PEPPERED) + 1, ID_LENGTH, type_=Text())
        for name, n in tx.conn.execute(select(pid, func.count()).where(mine).group_by(pid)):
            out[name.partition("$")[0]] = out.get(name.partition("$")[0], 0) + int(n)
    for answer in _answers(tx):
        if answer.startswith(PEPPERED):
            name = answer[len(PEPPERED) :].partition("$")[0]
            out[name] = out.get(name, 0) + 1
    return out


def _answers(tx: SqlTx) -> Iterator[str]:
    """Hashes of answers to questions, as far as the ring opens them."""
    mine = (s.factors.c.kind == "security_questions") & (s.factors.c.state == "active")
    for fid, sealed in tx.conn.execute(select(s.factors.c.id, s.factors.c.sealed).where(mine)):
        try:
            data = json.loads(tx.seals.open(bytes(sealed), FACTOR, fid))
        except (Unsealable, ValueError):
            continue
        yield from (str(answer.get("phc", "")) for answer in data.get("answers", ()))


# ── check values ────────────────────────────────────────────────────────────


def _key_value(ring: Keyring, kid: str) -> bytes:
    return digests.mac(ring.derive("check-value", kid), CONSTANT)


def _chain_value(ring: Keyring) -> bytes:
    return digests.mac(ring.derive(PURPOSE, ring.chain), CONSTANT)


def _known(tx: SqlTx) -> dict[str, bytes]:
    kinds = s.installation.c.name.like("%/%")
    return {r.name: bytes(r.value) for r in tx.conn.execute(select(s.installation).where(kinds))}


def _note(tx: SqlTx, name: str, value: bytes) -> None:
    insert_many(tx.conn, s.installation, [{"name": name, "value": value, "at": tx.now}], ignore=True)
