"""`keyback keys list`, `rotate`, `add`, `use`, `reseal`, `retire`: the keyring's life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from keyback.application.audit_log import log_of
from keyback.application.passwords.hashing import pepper_id
from keyback.application.recovery.start import INTAKE_LIFE
from keyback.bootstrap_keys import keyring_wrapper, load_keyring, named_peppers
from keyback.cli.common import Told, at, echo_json, load, progress, reason_of, run, storage, sure, usable
from keyback.domain.recovery.events import Note
from keyback.settings import Settings, Unsafe
from keyback.storage.keys.keyfile import KeyFile, is_wrapped
from keyback.storage.keys.keyring import KeyringError
from keyback.storage.maintenance import key_check
from keyback.storage.maintenance import reseal as maintenance_reseal
from keyback.storage.tx import SqlTx

T = TypeVar("T")
STREAM = "keys"
SLACK_MS = 60_000  # a request that was on its way at the moment of a change
RESTART = "Restart Keyback's processes, one after another, so that they seal with it; until then they read both."


@click.group()
def keys() -> None:
    """Change the keys that seal what must not lie in the database in clear."""


def _in_tx(s: Settings, fn: Callable[[SqlTx], T]) -> T:
    async def work() -> T:
        async with storage(s) as db:
            return await db.write(lambda tx: fn(cast(SqlTx, tx)))

    return run(work())


def _opened() -> tuple[Settings, KeyFile]:
    """The settings and the keyring's file.

    Raises:
        Unsafe: the keyring is not in a file, or cannot be used.
    """
    s = load()
    usable(s)
    if s.keyring is not None:
        raise Unsafe("the keyring is in the environment, where it can't be changed. Move it to keyring_file.")
    return s, KeyFile(s.keyring_path, keyring_wrapper(s))


def _changed(s: Settings, file: KeyFile, kind: str, change: Callable[[], str]) -> str:
    """Changes the file and notes it in the audit log.

    The file comes first: a key that is noted and not there would be worse than the other way round.
    """
    try:
        kid = change()
    except FileExistsError:
        words = f"{file.path}.new exists: someone else is changing the keyring, or was interrupted."
        raise click.ClickException(f"{words} If not, delete it and run this again.") from None
    except KeyError as e:
        raise click.ClickException(f"There is no key {e.args[0]}. See them with: keyback keys list") from None
    _in_tx(s, lambda tx: _noted(tx, kind, kid))
    return kid


def _noted(tx: SqlTx, kind: str, kid: str) -> None:
    if kind == "key_retired":
        key_check.drop_key(tx, kid)
    elif kind == "key_added" or key_check.fits(tx, kid) is not False:
        key_check.note_key(tx, kid)
    tx.audit.record(STREAM, [Note(kind, {"key": kid})])


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the keys and what uses each, and how many passwords still use an older pepper."""
    s = load()
    usable(s)
    ring = load_keyring(s)
    pepper = pepper_id(s.password.pepper_file.read_bytes()) if s.password.pepper_file else ""

    def look(tx: SqlTx) -> tuple[list[dict[str, Any]], int]:
        found = [
            {
                "id": kid,
                "in_use": kid == ring.primary,
                "rows": maintenance_reseal.held(tx, kid),
                "live": maintenance_reseal.live(tx, kid),
            }
            for kid in ring.ids
        ]
        return found, maintenance_reseal.behind(tx, pepper)

    rows, behind = _in_tx(s, look)
    if as_json:
        echo_json({"keys": rows, "chain": ring.chain, "passwords_with_another_pepper": behind})
        return
    for row in rows:
        held = ", ".join(f"{n} {table}" for table, n in row["rows"].items() if n) or "no rows"
        words = "seals and opens" if row["in_use"] else "only opens"
        click.echo(f"{row['id']}: {words}; {held}; {row['live']} links and codes under way")
    click.echo(f"The audit log is chained with a key of {ring.chain}.")
    if behind:
        click.echo(
            f"{behind} passwords are hashed with another pepper than today's, or none; each until its next sign-in."
        )


@keys.command()
def rotate() -> None:
    """Add a new random key and use it for sealing from now on. Old keys are kept for reading.

    For a single machine. If several nodes each have a copy of the keyring, run `keys add`, copy the file to all nodes,
    run `keys use`, and copy it again. That way, no node encounters a key that it doesn't have.
    """
    s, file = _opened()
    kid = _changed(s, file, "key_used", lambda: file.add(use=True))
    click.echo(f"{kid} is in use. Back the keyring up now, apart from the database.")
    click.echo(RESTART)
    click.echo("Then: keyback keys reseal; and after a day: keyback keys retire ID, for the old one.")


@keys.command()
def add() -> None:
    """Add a new random key for reading only. Run `keys use` when every node has it."""
    s, file = _opened()
    kid = _changed(s, file, "key_added", lambda: file.add(use=False))
    click.echo(f"{kid} is added. Copy the keyring to every node and back it up, then run: keyback keys use {kid}")


@keys.command()
@click.argument("kid", metavar="ID")
def use(kid: str) -> None:
    """Use this key for sealing from now on. The others are kept for reading."""
    s, file = _opened()

    def change() -> str:
        file.use(kid)
        return kid

    _changed(s, file, "key_used", change)
    click.echo(f"{kid} is in use. Copy the keyring to every node. {RESTART}")


@keys.command()
def reseal() -> None:
    """Reseal every row that was sealed with an old key. Safe while Keyback is running, and safe to repeat."""
    s = load()
    usable(s)
    with progress("Sealing") as tell:
        sealed, broken = run(_reseal(s, tell))
    click.echo(f"{sealed} rows resealed with {load_keyring(s).primary}.")
    if broken:
        raise click.ClickException(
            f"{broken} rows cannot be opened with any key of this keyring. They were left alone."
        )


async def _reseal(s: Settings, tell: Told) -> tuple[int, int]:
    seen = sealed = broken = 0
    async with storage(s) as db:
        of = await db.read(lambda tx: maintenance_reseal.rows_in_all(cast(SqlTx, tx)))
        for what in maintenance_reseal.LASTING:
            batch = maintenance_reseal.Batch("")
            while (last := batch.last) is not None:
                batch = await db.write(lambda tx: maintenance_reseal.reseal(cast(SqlTx, tx), what, last))  # noqa: B023
                seen, sealed, broken = seen + batch.seen, sealed + batch.sealed, broken + batch.broken
                tell(min(seen, of), of)
    return sealed, broken


@keys.command()
@click.argument("kid", metavar="ID")
@click.option(
    "--at-once",
    is_flag=True,
    help="Don't wait for recoveries in progress; they have to start again. For a leaked key.",
)
def retire(kid: str, at_once: bool) -> None:
    """Remove a key from the keyring for good. Refuses while anything still needs it.

    The key for the audit log's chain stays in the file, on a line that serves no other purpose.
    """
    s, file = _opened()
    ring = file.ring()
    if kid == ring.primary:
        raise click.ClickException(f"{kid} is in use. First: keyback keys rotate")
    if kid not in ring.ids:
        raise click.ClickException(f"There is no key {kid}. See them with: keyback keys list")
    why = _in_tx(s, lambda tx: _needed(tx, kid, ring.primary, at_once))
    if why:
        raise click.ClickException(f"{kid} is still needed: {why}")

    def change() -> str:
        if at_once:
            _in_tx(s, lambda tx: maintenance_reseal.expire(tx, kid))
        file.retire(kid)
        return kid

    _changed(s, file, "key_retired", change)
    click.echo(
        f"{kid} is retired. Copy the keyring to every node, restart Keyback's processes, destroy old copies of it."
    )


@keys.command()
def wrap() -> None:
    """Encrypt the keyring file with a key that never leaves your hardware token. See [pkcs11] in the settings.

    Makes that key if the token has none. Keep a plain copy of the file in a safe first, or back the token up by its
    vendor's means: without the token, nothing opens the keyring.
    """
    s, file = _opened()
    if s.pkcs11.module is None:
        raise Unsafe("pkcs11.module is not set. Name your token in the section [pkcs11] first.")
    _rewrap(s, file, wrapped=True)
    click.echo(
        f"{file.path} is wrapped by the token {s.pkcs11.token}. Copy it to every node. Old copies open without it."
    )


@keys.command()
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
def unwrap(yes: bool) -> None:
    """Write the keyring file in clear again, to change or give up the token."""
    sure("Anyone who can read the keyring file can then use its keys. Continue?", yes)
    s, file = _opened()
    if s.pkcs11.module is None:
        raise Unsafe("pkcs11.module is not set: name the token that wraps the keyring.")
    _rewrap(s, file, wrapped=False)
    click.echo(f"{file.path} is in clear. Take the section [pkcs11] out of the settings, or name another token there.")


def _rewrap(s: Settings, file: KeyFile, *, wrapped: bool) -> None:
    if is_wrapped(file.path) is wrapped:
        raise click.ClickException(f"{file.path} is {'wrapped' if wrapped else 'in clear'} already.")
    kid = file.ring().primary

    def change() -> str:
        try:
            file.wrap(wrapped=wrapped)
        except KeyringError as e:
            raise Unsafe(f"nothing was changed: {e}.") from None
        return kid

    _changed(s, file, "keyring_wrapped" if wrapped else "keyring_unwrapped", change)


@keys.command()
@click.argument("which", metavar="ID")
@click.option("--reason", required=True, help="Reason, for the audit log: a ticket number or a sentence.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
def forget(which: str, reason: str, yes: bool) -> None:
    """Start without a key or pepper that is permanently lost. `keyback check` names its ID.

    Anything sealed with it can never be opened again, and passwords hashed with it no longer work: their owners choose
    new ones through a recovery. Refuses while the settings still have it.
    """
    s, why = load(), reason_of(reason)
    usable(s, fitting=False)
    if which in load_keyring(s).ids or which in named_peppers(s):
        raise click.ClickException(f"{which} is not lost: the settings have it. Nothing was changed.")
    sure(f"What was made with {which} is permanently lost. Continue?", yes)

    def work(tx: SqlTx) -> int | None:
        lost = key_check.forget(tx, which)
        if lost is not None:
            tx.audit.record(STREAM, [Note("key_forgotten", {"key": which, "lost": lost, "reason": why})])
        return lost

    lost = _in_tx(s, work)
    if lost is None:
        raise click.ClickException(f"Nothing here was made with a key or pepper {which}. See: keyback check")
    click.echo(f"{which} is forgotten; {lost} rows or passwords are lost with it.")


def _needed(tx: SqlTx, kid: str, primary: str, at_once: bool) -> str:
    """Why a key cannot go yet; empty when it can."""
    rows = maintenance_reseal.held(tx, kid)
    lasting = {w.name: rows[w.name] for w in maintenance_reseal.LASTING if rows[w.name]}
    if lasting:
        words = ", ".join(f"{n} rows of {name}" for name, n in lasting.items())
        return f"{words}. Run: keyback keys reseal. If they come back, a process was not restarted since the change."
    if at_once:
        return ""
    used = [e for e in log_of(tx).of_stream(STREAM) if e["type"] == "key_used"]
    if not used or used[-1]["data"]["key"] != primary:
        return f"since when {primary} is in use is not noted. Run: keyback keys use {primary}"
    until = used[-1]["at"] + INTAKE_LIFE + SLACK_MS
    if tx.now < until:
        return f"recoveries from before the change run until {at(until)}. Wait, or give --at-once."
    passing = sum(n for name, n in rows.items()) + maintenance_reseal.live(tx, kid)
    return f"{passing} links, codes or passwords under way. Wait an hour, or give --at-once." if passing else ""
