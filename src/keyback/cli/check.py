"""`keyback check`: is everything there that Keyback needs, and what to do if not."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import secrets
from typing import Any

import click

from keyback.application.passwords.hashing import HashGate
from keyback.application.ports.storage import StorageDown
from keyback.bootstrap import make_proofs
from keyback.bootstrap_keys import load_keyring, make_gate, peppers_of
from keyback.cli import check_bots, check_channels, check_database, check_keys, check_siem, check_systems
from keyback.cli.check_brand import look as look_at_brand
from keyback.cli.check_providers import look as look_at_providers
from keyback.cli.check_providers import look_at_identity
from keyback.cli.check_result import Result
from keyback.cli.common import echo_json, load, no_settings, run, safe
from keyback.cli.examples import left_over
from keyback.cli.sender import look
from keyback.registry import CONNECTORS, GATEWAYS, taken
from keyback.settings import Settings, Unsafe, refuse_unsafe
from keyback.settings_faults import unknown_variables
from keyback.settings_policy import make_policy
from keyback.settings_safety import open_to_others, wide_known, wide_proxies
from keyback.storage.database import SqlDatabase
from keyback.storage.keys.keyring import Keyring
from keyback.storage.maintenance.key_check import misfits
from keyback.web.http.rate_limits import Limiter
from keyback.web.http.server import bind


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(as_json: bool) -> None:
    """Check settings, keyring, database, relay, systems, syncs, events, providers, clock, hashing, the sender's DNS.

    Sends no email and changes nothing but what the console shows of systems. Exit code 1 if anything fails.
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
    results += [*_listening(s), *(Result(*dataclasses.astuple(f)) for f in look_at_brand(s))]
    results += [Result("environment", "warn", *found) for found in unknown_variables(os.environ, Settings)]
    results += [Result("trusted_proxies", *found) for found in wide_proxies(s)]
    results += [Result("policy.known_networks", *found) for found in wide_known(s)]
    results += [Result("files", "bad", *words.partition(". ")[::2]) for words in open_to_others(s)]
    keyring: Keyring | None = None
    try:
        keyring = load_keyring(s)
        results.append(check_keys.described(s, keyring))
    except Unsafe as e:
        results.append(Result("keyring", "bad", str(e)))
    results.append(check_database.schema(s))
    migrated = results[-1].status != "bad"
    results += _fitting(s, keyring) if migrated and keyring else []
    # A key for the moment lets the rest be looked at while the real one is missing; nothing is sealed with it.
    db = SqlDatabase(s.database, keyring or Keyring({"none": secrets.token_bytes(32)})) if migrated else None
    try:
        if db:
            results += [
                *await check_database.writing(db),
                *await check_database.out_of_reach(s, db),
                *await check_database.syncs_and_webhooks(s, db),
            ]
        results.append(mail := await check_channels.mail(s))
        if db and "SMTPUTF8" in mail.detail:
            results += await check_database.beyond_the_relay(db)
        results += [await check_channels.phone(s, name) for name in ("sms", "im") if getattr(s, name).kind]
        gate = _gate(s)
        if isinstance(gate, Result):
            return [*results, gate]
        if db:
            results += await check_systems.keep(
                db, s.systems, await asyncio.gather(*(check_systems.look(s, n, db, gate) for n in s.systems))
            )
        providers = await look_at_providers(s)
        outside: tuple[Any, ...] = (
            *providers,
            *await look_at_identity(s),
            *await check_siem.reach(s),
            *await check_bots.look(s),
        )
        results += [*_taken(), *(Result(*dataclasses.astuple(f)) for f in outside)]
        if not any(f.name == "providers" for f in providers):  # proofs are made of them
            results += _proofs(s, gate)
        results.append(await check_keys.hashing(s, gate))
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
