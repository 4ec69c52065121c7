"""Writing many people by their keys, so that doing it twice changes nothing."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import bindparam, select, update

from keyback.application.ports.imports import Claim, ImportedPart, ImportOutcome
from keyback.application.ports.storage import Imported, ImportedAccount, ImportResult
from keyback.domain.people import addresses
from keyback.domain.people.addresses import AddressChange, Outcome, leads_to
from keyback.domain.people.person import Contact, canonicalize, same_name
from keyback.domain.policy.rules import TIERS
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import accounts, contacts, identifiers, people
from keyback.storage.sql.statements import insert_many, update_many
from keyback.storage.stores.import_owners import main_address_owners

Known = dict[str, dict[str, Any]]
PARKED = "\x7f"  # begins the canonical form of a name that its account has given up: nobody can type it


def save_imported(
    tx: TxContext, new: Sequence[Imported], *, at_once: bool = False, adopt: bool = True
) -> ImportOutcome:
    """Adds or updates people; for a batch of up to a few thousand.

    A person whose user name or external id belongs to somebody else in the same system is left out (`username_taken`),
    unless that one is in this batch and gives the name up. Changed mail addresses, states and accounts end that
    person's pending links. An `ImportedPart` leaves alone what it does not speak for. Addresses that changed wait
    (`domain.people.addresses`); people who are new have them at once.

    Args:
        at_once: the company moved its addresses: none of them waits.
        adopt: whoever was known by their address may get the key that they have now (`_adopted`).
    """
    before = _known(tx, [p.key for p in new])
    strangers = [p for p in new if adopt and isinstance(p, ImportedPart) and p.key not in before]
    if adopted := _adopted(tx, strangers):
        before |= _known(tx, adopted)
    whole = [_completed(p, before[p.key]) if isinstance(p, ImportedPart) and p.key in before else p for p in new]
    taken = _owners(tx, whole)
    left_out = _left_out(whole, taken)
    results: list[ImportResult] = []
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    changed: list[tuple[Imported, dict[str, Any], Outcome]] = []
    changes: list[AddressChange] = []
    numbers = {claim[1:] for claim in taken if claim[0] == "external_id"}
    names: dict[tuple[str, str], str] = {}  # whose they are afterwards: the number of an account
    for n, p in enumerate(whole):
        mine = before.get(p.key)
        if n in left_out:
            results.append("username_taken")
            continue
        p = _with_numbers(tx, p, mine, numbers)
        names |= {(a.system, canonicalize(a.username)): a.external_id for a in p.accounts}
        if mine is None:
            pid = tx.new_id()
            before[p.key] = {"id": pid, "rows": [], "mails": (), "account_ids": {}, "canonicals": {}, **_shape(p)}
            rows["people"].append(_person_row(p, pid, tx.now))
            own = _first_contacts(tx, p, pid)
            rows["contacts"] += [_contact_row(c) for c in own]
            _fill(tx, rows, p, pid, {}, own)
            results.append("added")
            continue
        outcome = _addresses(tx, p, mine, at_once)
        changes += outcome.changes
        if _differs(mine, _shape(p)) or outcome.rows != {c.id: c for c in mine["rows"]}:
            changed.append((p, mine, outcome))
            results.append("changed")
        else:
            results.append("same")
    _free_names(tx, before.values(), names)
    _replace(tx, rows, changed)
    for table in (people, contacts, accounts, identifiers):
        insert_many(tx.conn, table, rows[table.name])
    return ImportOutcome(results, changes, {whole[n].key: keys for n, keys in left_out.items()})


def _adopted(tx: TxContext, new: Sequence[Imported]) -> list[str]:
    """Gives people who were known by their address, since no file had keys yet, the key that one gives them now; those
    keys. Only where the name is the same, and nobody else in the file has the address."""
    mails: dict[str, list[Imported]] = defaultdict(list)
    for p in new:
        mails[canonicalize(p.mails[0])].append(p)
    single = {mail: found[0] for mail, found in mails.items() if len(found) == 1}
    owners = main_address_owners(tx, single)
    fitting = {
        mail: [o.key for o in found if not o.has_key and same_name(o.name, single[mail].name)]
        for mail, found in owners.items()
    }
    mine = {old[0]: single[mail].key for mail, old in fitting.items() if len(old) == 1}
    for old, new_key in mine.items():
        tx.conn.execute(update(people).where(people.c.key == old).values(key=new_key))
    return list(mine.values())


def _left_out(new: Sequence[Imported], taken: Mapping[Claim, str]) -> dict[int, set[str]]:
    """Who cannot be written, by their place, and the keys of those who have what they want. Whoever is left out keeps
    what they have, so that others may have to be left out as well."""
    claims = [frozenset([_name(a) for a in p.accounts] + [_number(a) for a in p.accounts if a.numbered]) for p in new]
    out: dict[int, set[str]] = {}
    while True:
        gives = {p.key: claims[n] for n, p in enumerate(new) if n not in out}
        wants: dict[Claim, str] = {}
        found: dict[int, set[str]] = {}
        for n, p in enumerate(new):
            if n in out:
                continue
            owners = {taken.get(c, p.key) for c in claims[n] if not _given_up(c, taken.get(c, p.key), gives)} - {p.key}
            owners |= {wants.get(c, p.key) for c in claims[n]} - {p.key}
            if owners:
                found[n] = owners
            else:
                wants |= dict.fromkeys(claims[n], p.key)
        if not found:
            return out
        out |= found


def _given_up(claim: Claim, owner: str, gives: Mapping[str, Collection[Claim]]) -> bool:
    """Whether a name's owner is written in this batch too, and has another name afterwards."""
    return claim[0] == "username" and owner in gives and claim not in gives[owner]


def _with_numbers(tx: TxContext, p: Imported, mine: dict[str, Any] | None, numbers: set[tuple[str, str]]) -> Imported:
    """Accounts that nobody has numbered, and that are new, get a number of their own where the name is one already."""
    own = mine["account_ids"] if mine else {}
    out = []
    for a in p.accounts:
        if not a.numbered and (a.system, a.external_id) not in own and (a.system, a.external_id) in numbers:
            a = replace(a, external_id=tx.new_id())
        numbers.add((a.system, a.external_id))
        out.append(a)
    return replace(p, accounts=tuple(out))


def _free_names(tx: TxContext, known: Iterable[dict[str, Any]], names: Mapping[tuple[str, str], str]) -> None:
    """Takes the names that go to another account in this batch from those that have them now. Accounts that go on with
    another name get it afterwards; those that are gone are found by their number alone."""
    rows = [
        {"canonical": f"{PARKED}{aid}"}
        for mine in known
        for (system, number), aid in mine["account_ids"].items()
        if names.get((system, mine["canonicals"][system, number]), number) != number
    ]
    update_many(tx.conn, accounts, rows, [{"id": row["canonical"][len(PARKED) :]} for row in rows])


def _addresses(tx: TxContext, p: Imported, mine: dict[str, Any], at_once: bool) -> Outcome:
    """The mail contacts as the file wants them; as they are where it names none, or what the last one named."""
    old: list[Contact] = mine["rows"]
    if not p.mails or (not at_once and mine["mails"] == (*p.mails[:1], *sorted(p.mails[1:]))):
        return Outcome({c.id: c for c in old}, ())
    return addresses.settle(old, p.mails, mine["id"], tx.now, tx.new_id, at_once)


def _first_contacts(tx: TxContext, p: Imported, pid: str) -> list[Contact]:
    return [
        Contact(tx.new_id(), pid, "mail", mail, "backup" if n else "primary", added_at=tx.now, confirmed_at=tx.now)
        for n, mail in enumerate(p.mails)
    ]


def _contact_row(c: Contact) -> dict[str, Any]:
    return {f.name: getattr(c, f.name) for f in dataclasses.fields(c)}


def _shape(p: Imported) -> dict[str, Any]:
    return {
        "name": p.name,
        "locale": p.locale,
        "tier": p.tier,
        "state": p.state,
        "accounts": frozenset(
            (a.system, a.external_id, a.username, a.state, a.privileged, a.provider) for a in p.accounts
        ),
    }


def _differs(mine: dict[str, Any], shape: dict[str, Any]) -> bool:
    wanted = {a[:2] for a in shape["accounts"]}
    # An account that an earlier import no longer had is kept, switched off; it is no difference.
    live = frozenset(a for a in mine["accounts"] if a[:2] in wanted or a[3] != "disabled")
    return live != shape["accounts"] or any(mine[k] != shape[k] for k in ("name", "locale", "tier", "state"))


def _known(tx: TxContext, keys: Sequence[str]) -> Known:
    query = select(people).where(people.c.key.in_(keys)).order_by(people.c.id)
    # What owners refuse meanwhile waits until this is written, or is seen.
    found = {r.key: r for r in tx.conn.execute(query.with_for_update() if tx.pg else query)}
    ids = {r.id: key for key, r in found.items()}
    mails: dict[str, list[Contact]] = defaultdict(list)
    logins: dict[str, list[Any]] = defaultdict(list)
    if ids:
        for c in tx.conn.execute(select(contacts).where(contacts.c.person_id.in_(ids), contacts.c.channel == "mail")):
            mails[ids[c.person_id]].append(Contact(**c._mapping))
        for a in tx.conn.execute(select(accounts).where(accounts.c.person_id.in_(ids))):
            logins[ids[a.person_id]].append(a)
    return {
        key: {
            "id": r.id,
            "name": r.name,
            "locale": r.locale,
            "tier": r.tier,
            "state": r.state,
            "rows": mails[key],
            "mails": _named(mails[key]),
            "accounts": frozenset(
                (a.system, a.external_id, a.username, a.state, bool(a.privileged), a.provider) for a in logins[key]
            ),
            "account_ids": {(a.system, a.external_id): a.id for a in logins[key]},
            "canonicals": {(a.system, a.external_id): a.canonical for a in logins[key]},
        }
        for key, r in found.items()
    }


def _named(rows: Sequence[Contact]) -> tuple[str | None, ...]:
    first, rest = addresses.named(rows)
    return first, *rest


def _name(a: ImportedAccount) -> Claim:
    return "username", a.system, canonicalize(a.username)


def _number(a: ImportedAccount) -> Claim:
    return "external_id", a.system, a.external_id


def _owners(tx: TxContext, new: Sequence[Imported]) -> dict[Claim, str]:
    """Whose the user names and external ids are now, by the person's key."""
    out: dict[Claim, str] = {}
    for claim, column in ((_name, accounts.c.canonical), (_number, accounts.c.external_id)):
        which = "username" if claim is _name else "external_id"
        wanted: dict[str, set[str]] = {}
        for _, system, value in {claim(a) for p in new for a in p.accounts}:
            wanted.setdefault(system, set()).add(value)
        for system, values in sorted(wanted.items()):
            query = select(column, people.c.key).join(people).where(accounts.c.system == system)
            for value, key in tx.conn.execute(query.where(among(column, sorted(values)))):
                out[which, system, value] = key
    return out


def _completed(p: ImportedPart, mine: dict[str, Any]) -> Imported:
    """The person as the file means them: what it does not speak for is as it was."""
    old = {a[:2]: ImportedAccount(*a) for a in mine["accounts"]}
    merged = []
    found = _matched(p, mine)
    for a in found:
        was = old.get((a.system, a.external_id), a)
        merged.append(
            replace(
                a,
                state=a.state if "state" in p.given and "state" in a.says else was.state,
                privileged=a.privileged if "privileged" in p.given and "tier" in a.says else was.privileged,
                provider=a.provider if "provider" in p.given else was.provider,
            )
        )
    wanted = {(a.system, a.external_id) for a in found}
    merged += [a for k, a in old.items() if k not in wanted and a.system not in p.systems and a.state != "disabled"]
    backups = p.mails[1:] if "backup" in p.given else mine["mails"][1:]  # the first is the primary one, or None
    return replace(
        p,
        name=p.name or mine["name"],
        locale=p.locale if "locale" in p.given else mine["locale"],
        # Where no column says it for certain, a group still raises it.
        tier=p.tier if "tier" in p.given else max(p.tier, mine["tier"], key=TIERS.index),
        state=p.state if "state" in p.given else mine["state"],
        mails=(p.mails[0], *(m for m in backups if m != p.mails[0])) if p.mails else (),
        accounts=tuple(merged),
    )


def _matched(p: Imported, mine: dict[str, Any]) -> list[ImportedAccount]:
    """The accounts with the numbers of those that they are already: by number, else by name; and where a person's one
    account in a system has another name, and no number of its own, that one was renamed."""
    canonicals: dict[tuple[str, str], str] = mine["canonicals"]
    by_name = {(system, c): (system, number) for (system, number), c in canonicals.items()}
    live = {a[:2] for a in mine["accounts"] if a[3] != "disabled"}
    out: list[tuple[ImportedAccount, tuple[str, str] | None]] = []
    for a in p.accounts:
        theirs = [k for k in live if k[0] == a.system] or [k for k in canonicals if k[0] == a.system]
        if "username" not in a.says and not a.numbered and len(theirs) == 1:  # the file has no column for it
            a = replace(a, username=next(x[2] for x in mine["accounts"] if x[:2] == theirs[0]))
        which: tuple[str, str] | None = (a.system, a.external_id)
        named = by_name.get((a.system, canonicalize(a.username)))
        if named and (not a.numbered or (which not in canonicals and canonicals[named] == named[1])):
            which = named
        elif which not in canonicals:
            which = None
        out.append((a, which))
    used = {which for _, which in out if which}
    done = []
    for a, which in out:
        spare = [k for k in live if k[0] == a.system and k not in used]
        fresh = sum(x.system == a.system and w is None for x, w in out)
        if which is None and not a.numbered and len(spare) == 1 and fresh == 1:
            which = spare[0]
        done.append(replace(a, external_id=which[1]) if which else a)
    return done


def _person_row(p: Imported, pid: str, now: int) -> dict[str, Any]:
    return {
        "id": pid, "key": p.key, "name": p.name, "locale": p.locale, "tier": p.tier, "state": p.state, "created_at": now
    }  # fmt: skip


def _fill(
    tx: TxContext,
    rows: dict[str, list[dict[str, Any]]],
    p: Imported,
    pid: str,
    kept: dict[tuple[str, str], str],
    own: Iterable[Contact],
) -> None:
    canonicals = {(canonicalize(c.address), "") for c in own if leads_to(c)}
    for a in p.accounts:
        aid = kept.get((a.system, a.external_id)) or tx.new_id()
        canonical = canonicalize(a.username)
        if (a.system, a.external_id) not in kept:
            rows["accounts"].append({
                "id": aid, "person_id": pid, "system": a.system, "external_id": a.external_id, "username": a.username,
                "canonical": canonical, "state": a.state, "privileged": a.privileged, "provider": a.provider,
            })  # fmt: skip
        canonicals.add((canonical, aid))
    rows["identifiers"] += [{"canonical": c, "person_id": pid, "account_id": a} for c, a in sorted(canonicals)]


def _replace(
    tx: TxContext, rows: dict[str, list[dict[str, Any]]], changed: list[tuple[Imported, dict[str, Any], Outcome]]
) -> None:
    """Brings people up to date in place: accounts and contacts keep their ids, since hashes, cases and evidence hang on
    them."""
    if not changed:
        return
    ids = [mine["id"] for _, mine, _ in changed]
    tx.conn.execute(identifiers.delete().where(identifiers.c.person_id.in_(ids)))
    moved: list[dict[str, Any]] = []
    for p, mine, outcome in changed:
        old = {c.id: c for c in mine["rows"]}
        moved += [_contact_row(c) for c in outcome.rows.values() if c.id in old and c != old[c.id]]
        rows["contacts"] += [_contact_row(c) for c in outcome.rows.values() if c.id not in old]
        person = update(people).where(people.c.id == bindparam("pid"))
        raised = people.c.security_version + 1
        values = {"name": p.name, "locale": p.locale, "tier": p.tier, "state": p.state, "security_version": raised}
        tx.conn.execute(person.values(**values), {"pid": mine["id"]})
        kept = mine["account_ids"]
        wanted = {(a.system, a.external_id): a for a in p.accounts}
        for which, aid in kept.items():
            a = wanted.get(which)
            row = update(accounts).where(accounts.c.id == aid)
            if a is None:  # gone there: it must not be recovered any more, but its history stays
                tx.conn.execute(row.values(state="disabled"))
                continue
            tx.conn.execute(
                row.values(
                    username=a.username, canonical=canonicalize(a.username), state=a.state, privileged=a.privileged,
                    provider=a.provider,
                )
            )  # fmt: skip
        _fill(tx, rows, p, mine["id"], kept, outcome.rows.values())
    update_many(tx.conn, contacts, moved, [{"id": c["id"]} for c in moved])
