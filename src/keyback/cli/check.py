"""`keyback check`: is everything there that Keyback needs, and what to do if not."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import secrets
import time
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import urlsplit

import click

from keyback.application.clock import wall_clock
from keyback.application.passwords.hashing import HashGate
from keyback.application.ports.channels import Receipt
from keyback.application.ports.connectors import Connector
from keyback.application.ports.storage import StorageDown, Tx
from keyback.bootstrap import load_keyring, make_channel, make_connector, make_gate, make_phone, make_proofs, peppers_of
from keyback.cli.check_providers import look as look_at_providers
from keyback.cli.check_syncs import look as look_at_syncs
from keyback.cli.common import echo_json, load, no_settings, revision, run, safe, schema_problem
from keyback.cli.examples import left_over
from keyback.cli.sender import look
from keyback.domain.secret import Secret
from keyback.registry import CONNECTORS, GATEWAYS, BadPart, load_gateway, taken
from keyback.settings import Settings, Unsafe, refuse_unsafe
from keyback.settings_faults import unknown_variables
from keyback.settings_policy import make_policy
from keyback.settings_safety import open_to_others, wide_known, wide_proxies
from keyback.storage.clock import JUMP_MS
from keyback.storage.database import SqlDatabase
from keyback.storage.keys.keyring import Keyring
from keyback.storage.maintenance import strays
from keyback.storage.maintenance.key_check import misfits
from keyback.storage.maintenance.names import clashes
from keyback.storage.tx import SqlTx
from keyback.web.http.rate_limits import Limiter
from keyback.web.http.server import bind

PATIENCE_S = 30.0
SKEW_WARN_MS, SKEW_BAD_MS = 2_000, 30_000
SLOW_HASH_MS = 1_000


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was looked at; `next` says what to do when it is not `ok`."""

    name: str
    status: Literal["ok", "warn", "bad"]
    detail: str
    next: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(as_json: bool) -> None:
    """Check settings, keyring, database, relay, systems, syncs, providers, clock, hashing, and the sender's DNS.

    Changes no data and sends no email. Exit code 1 if anything fails.
    """
    results = run(_all(load()))
    bad = any(r.status == "bad" for r in results)
    if as_json:
        echo_json({"ok": not bad, "checks": [dataclasses.asdict(r) for r in results]})
    else:
        for r in results:
            click.echo(f"{r.status:<4}  {r.name}: {safe(r.detail)}" + (f"\n      {safe(r.next)}" if r.next else ""))
    if bad:
        raise click.exceptions.Exit(1)


async def _all(s: Settings) -> list[Result]:
    results = [_settings(s), *(Result(name, "warn", detail, step) for name, detail, step in left_over(s))]
    results += _listening(s)
    results += [Result("environment", "warn", *found) for found in unknown_variables(os.environ, Settings)]
    results += [Result("trusted_proxies", *found) for found in wide_proxies(s)]
    results += [Result("policy.known_networks", *found) for found in wide_known(s)]
    for words in open_to_others(s):
        what, _, step = words.partition(". ")
        results.append(Result("files", "bad", what, step))
    keyring: Keyring | None = None
    try:
        keyring = load_keyring(s)
        results.append(Result("keyring", "ok", f"{len(keyring.ids)} key(s), {keyring.primary} is used"))
    except Unsafe as e:
        results.append(Result("keyring", "bad", str(e)))
    results.append(_schema(s))
    migrated = results[-1].status != "bad"
    results += _fitting(s, keyring) if migrated and keyring else []
    # A key for the moment lets the rest be looked at while the real one is missing; nothing is sealed with it.
    db = SqlDatabase(s.database, keyring or Keyring({"none": secrets.token_bytes(32)})) if migrated else None
    try:
        if db:
            results += await _database(db)
            results += await _strays(s, db)
            results += await _syncs(s, db)
        mail = await _mail(s)
        results.append(mail)
        if db and "SMTPUTF8" in mail.detail:
            results += await _unreachable(db)
        results += [await _phone(s, name) for name in ("sms", "im") if getattr(s, name).kind]
        gate = _gate(s)
        if isinstance(gate, Result):
            return [*results, gate]
        if db:
            results += await asyncio.gather(*(_system(s, name, db, gate) for name in s.systems))
        providers = await look_at_providers(s)
        results += [*_taken(), *(Result(*dataclasses.astuple(f)) for f in providers)]
        if not any(f.name == "providers" for f in providers):  # proofs are made of them
            results += _proofs(s, gate)
        results.append(await _hashing(s, gate))
        results += await _limits(s)
        results += [Result(*dataclasses.astuple(f)) for f in await look(s.mail.sender)]
        gate.close()
    finally:
        if db:
            await db.close()
    return results


def _fitting(s: Settings, ring: Keyring) -> list[Result]:
    """Whether keys and peppers are this database's."""
    gate = _gate(s)
    try:
        found = misfits(s.database, ring, None if isinstance(gate, Result) else peppers_of(gate))
    except StorageDown:
        return []  # told by what comes next
    finally:
        if not isinstance(gate, Result):
            gate.close()
    return [Result("fit", "bad", f.words, f.next) for f in found]


def _settings(s: Settings) -> Result:
    try:
        refuse_unsafe(s)
        make_policy(s)
    except Unsafe as e:
        return Result("settings", "bad", f"{no_settings()} {e}".strip())
    return Result("settings", "ok", f"for {s.public_url}")


def _listening(s: Settings) -> list[Result]:
    """Whether `serve` could listen there. An address that is in use may be that of a Keyback that runs."""
    out = []
    for name in ("listen", "metrics_listen"):
        where = getattr(s, name)
        if not where:
            continue
        try:
            bind(where).close()
            out.append(Result(name, "ok", where))
        except OSError as e:
            if e.errno == errno.EADDRINUSE:
                out.append(Result(name, "ok", f"{where} is in use, as by a Keyback that runs"))
            else:
                words = f"{where} cannot be listened on: {e.strerror or type(e).__name__}"
                out.append(Result(name, "bad", words, f"Set {name} to an address and port of this machine."))
    if s.metrics_listen and s.metrics_listen == s.listen and not s.listen.endswith(":0"):
        next_ = "Give each a port of its own."
        out.append(Result("metrics_listen", "bad", "it is the same as listen, and only one of them gets it", next_))
    return out


def _schema(s: Settings) -> Result:
    try:
        status, words = schema_problem(revision(s))
    except StorageDown as e:
        return Result("database", "bad", f"cannot be reached ({e})", "See that it runs and that database_url is right.")
    except Unsafe as e:
        return Result("database", "bad", str(e))
    return Result("database", status, words)  # type: ignore[arg-type]


async def _database(db: SqlDatabase) -> list[Result]:
    try:
        await db.write(_touch)
        before = wall_clock()
        theirs = await db.read(lambda tx: tx.now)
        ours = (before + wall_clock()) // 2
    except StorageDown as e:
        return [Result("writing", "bad", f"cannot write to the database ({e})", "See rights and room on its disk.")]
    skew = abs(theirs - ours)
    status: Literal["ok", "warn", "bad"] = "ok" if skew < SKEW_WARN_MS else "warn" if skew < SKEW_BAD_MS else "bad"
    words = f"{skew / 1000:.1f} s between this machine and the database"
    if db.clock.behind_ms > SKEW_WARN_MS:
        status = "bad" if db.clock.behind_ms > JUMP_MS else "warn"
        words = f"{db.clock.behind_ms / 1000:.0f} s behind the newest row of the audit log"
        next_ = "Set the database's clock right. If it is right, run: keyback clock repair"
        return [Result("writing", "ok", "a write was kept"), Result("clock", status, words, next_)]
    return [
        Result("writing", "ok", "a write was kept"),
        Result("clock", status, words, "" if status == "ok" else "Keep both clocks right with NTP."),
    ]


async def _strays(s: Settings, db: SqlDatabase) -> list[Result]:
    """Accounts and passkeys that the settings no longer reach, since a system or the host was renamed."""
    host = urlsplit(s.public_url).hostname or ""
    try:
        accounts = await db.read(lambda tx: strays.accounts_elsewhere(cast(SqlTx, tx), list(s.systems)))
        passkeys = await db.read(lambda tx: strays.passkeys_elsewhere(cast(SqlTx, tx), host))
        alike = await db.read(lambda tx: clashes(cast(SqlTx, tx).conn))
    except StorageDown:
        return []  # told by what comes before
    out = []
    for clash in alike:
        words = f"{clash.name} ({clash.system or 'key of an import'}) keeps an older form, which another name has now"
        out.append(Result("names", "warn", words, "Rename one of the two where the import comes from."))
    for name, n in accounts.items():
        words = (
            f"{n} accounts belong to the system {name}, which the settings do not name: none of them can be recovered"
        )
        step = f"Name it again (systems.{name}). To give it up, import its accounts as disabled while it is named."
        out.append(Result("systems", "warn", words, step))
    for name, n in passkeys.items():
        words = f"{n} passkeys were made for {name}, and browsers offer none of them on {host}"
        step = f"Set public_url back to {name}, or have their owners add new ones in the security center."
        out.append(Result("passkeys", "warn", words, step))
    return out


async def _syncs(s: Settings, db: SqlDatabase) -> list[Result]:
    try:
        now, runs = await db.read(lambda tx: (tx.now, {run.system: run for run in tx.syncs.runs()}))
    except StorageDown:
        return []  # told by what comes before
    return [Result(*dataclasses.astuple(f)) for f in look_at_syncs(s, runs, now)]


def _touch(tx: Tx) -> None:
    """A row that counts nothing and is purged in time."""
    tx.counters.add(["check"])
    tx.counters.reset("check")


async def _mail(s: Settings) -> Result:
    if not s.mail.host:
        status: Literal["warn", "bad"] = "warn" if s.demo else "bad"
        return Result("mail", status, "no relay is set", "Set mail.host and mail.sender.")
    where = f"{s.mail.host}:{s.mail.port}"
    try:
        channel = make_channel(s, wall_clock)
    except (Unsafe, OSError) as e:
        return Result("mail", "bad", str(e))
    ask = getattr(channel, "check", None)
    try:
        receipt = await asyncio.wait_for(ask(), PATIENCE_S) if ask else None
    except TimeoutError:
        return Result("mail", "bad", f"{where} does not answer", "See that this machine may reach it.")
    finally:
        await channel.close()
    if receipt is None or receipt.status == "sent":
        return Result("mail", "ok", f"{where} takes mail by {receipt.detail if receipt else s.mail.security}")
    words = f"{where}: {receipt.code} {receipt.detail}".strip()
    return Result("mail", "bad", words, _mail_step(receipt))


def _mail_step(receipt: Receipt) -> str:
    """Which settings to look at, by what the relay refused."""
    said = receipt.detail
    if said.startswith("EHLO"):
        return "Set mail.local_hostname to this machine's full host name."
    if said.startswith("MAIL"):
        return "Have the relay accept mail from mail.sender, or change mail.sender."
    if said.startswith("RCPT"):
        return "Have the relay accept mail from this machine to addresses inside and outside the company."
    return "Check mail.host, mail.port, mail.security, mail.username and mail.password_file."


async def _unreachable(db: SqlDatabase) -> list[Result]:
    """People whom this relay can send nothing."""
    try:
        n = await db.read(lambda tx: strays.beyond_ascii(cast(SqlTx, tx)))
    except StorageDown:
        return []  # told by what comes before
    words = f"{n} addresses have letters beyond ASCII before the @, and the relay takes none of them: no email arrives"
    next_ = "Give these people another address, or use a relay that offers SMTPUTF8."
    return [Result("mail addresses", "warn", words, next_)] if n else []


async def _phone(s: Settings, name: Literal["sms", "im"]) -> Result:
    try:
        channel = make_phone(s, name, wall_clock)
    except (Unsafe, OSError, BadPart) as e:
        return Result(name, "bad", str(e))
    assert channel is not None
    title = load_gateway(getattr(s, name).kind).about.title[s.default_locale]
    try:
        receipt = await asyncio.wait_for(channel.check(), PATIENCE_S)
    except TimeoutError:
        return Result(name, "bad", "does not answer", "See that this machine may reach it.")
    finally:
        await channel.close()
    words = f"{title}: {receipt.detail}"
    if receipt.status == "sent":
        return Result(name, "ok", words)
    return Result(name, "bad", words, f"See {name}.url and the keys of {name} in the settings.")


async def _system(s: Settings, name: str, db: SqlDatabase, gate: HashGate) -> Result:
    label = f"system {name}"
    try:
        connector = make_connector(name, s.systems[name], db, gate)
    except (Unsafe, OSError, BadPart) as e:
        return Result(label, "bad", str(e))
    try:
        return _led(await _asked(name, connector), name, connector)
    finally:
        await connector.close()


def _led(found: Result, name: str, connector: Connector) -> Result:
    """The same, and whether people are led to the system once their new password works there."""
    if found.status != "ok" or connector.url or name == "builtin":
        return found
    step = f"Set systems.{name}.sign_in_url, or pages and emails end without a button that opens it."
    return Result(found.name, "warn", f"{found.detail}; it has no address where people sign in", step)


async def _asked(name: str, connector: Connector) -> Result:
    """What the connector's own check found: its gravest line, with the key to look at and what is missing for it."""
    label = f"system {name}"
    try:
        lines = await asyncio.wait_for(connector.check(), PATIENCE_S)
    except TimeoutError:
        return Result(label, "bad", "does not answer", f"See systems.{name}.url, and that this machine may reach it.")
    except Exception as e:  # of a plug-in
        return Result(label, "bad", f"its check broke off ({type(e).__name__})", f"See the package of systems.{name}.")
    faults = sorted((x for x in lines if x.status != "ok"), key=lambda x: x.status != "bad")
    if not faults:
        return Result(label, "ok", lines[0].text if lines else "answers")
    worst = faults[0]
    told = [f"{x.what}: {x.text}" + (f" (no {', '.join(x.costs)})" if x.costs else "") for x in faults]
    step = f"{worst.advice or 'See its keys.'} Keys: systems.{name}. All of it: keyback connector test {name}"
    return Result(label, worst.status, "; ".join(told[:3]) + (" …" if len(told) > 3 else ""), step)


def _taken() -> list[Result]:
    """Connectors and gateways of packages under a name of ours; `make_proofs` tells of proofs."""
    groups = {"systems": CONNECTORS, "gateways": GATEWAYS}
    return [Result(name, "warn", words) for name, group in groups.items() for words in taken(group)]


def _proofs(s: Settings, gate: HashGate) -> list[Result]:
    """Those of packages; ours are always right. The rest of Keyback goes on without one that cannot be used."""
    proofs = make_proofs(s, gate)
    good = [n for n in s.proofs if n in proofs.offered]
    idle = [n for n in s.proofs if n in proofs.abouts and n not in proofs.offered]
    out = [Result(f"proof {n}", "ok", f"{proofs.abouts[n].title}: {proofs.offered[n].kind}") for n in good]
    step = "See that what carries it is set, and that it can be used under public_url."
    out += [Result(f"proof {n}", "warn", "it is not offered here", step) for n in idle]
    unused, step = sorted(set(s.proof_options) - set(s.proofs)), "Add it to proofs, or remove its table."
    out += [Result("proof_options", "warn", f"{n} is not in proofs, so its keys are not used", step) for n in unused]
    return [*out, *(Result("proofs", "bad", words, "Until then the rest goes on without it.") for words in proofs.bad)]


def _gate(s: Settings) -> HashGate | Result:
    try:
        return make_gate(s)
    except (Unsafe, OSError) as e:
        return Result("hashing", "bad", str(e))


async def _hashing(s: Settings, gate: HashGate) -> Result:
    began = time.perf_counter()
    try:
        await gate.hash(Secret(secrets.token_urlsafe(18)))
    except Exception as e:
        words = f"a password could not be hashed ({type(e).__name__})"
        return Result("hashing", "bad", words, "See password.argon2_m_kib.")
    ms = (time.perf_counter() - began) * 1000
    p = s.password
    words = f"{ms:.0f} ms and {p.argon2_m_kib / 1024:.0f} MiB a password, {gate.permits} at once"
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20 if hasattr(os, "sysconf") else None
    if free is not None and free < gate.permits * p.argon2_m_kib // 1024:
        return Result("hashing", "warn", f"{words}; only {free} MiB are free", "Lower password.memory_budget_mib.")
    if ms > SLOW_HASH_MS:
        return Result("hashing", "warn", words, "Slow: people wait for it at sign-in. Lower password.argon2_t.")
    return Result("hashing", "ok", words)


async def _limits(s: Settings) -> list[Result]:
    if not s.valkey_url:
        return []
    try:
        limiter = Limiter(s.limits, s.valkey_url)
    except Unsafe as e:
        return [Result("limits", "bad", str(e))]
    up = await limiter.up()
    await limiter.close()
    words = "Valkey answers" if up else "Valkey does not answer"
    return [Result("limits", "ok" if up else "bad", words, "" if up else "See that it runs and valkey_url is right.")]
