"""Writing many people by their keys, so that doing it twice changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select, update

from keyback.application.ports.imports import Claim, ImportedPart, ImportOutcome
from keyback.application.ports.storage import Imported, ImportedAccount, ImportResult
from keyback.domain.people import addresses
from keyback.domain.people.addresses import AddressChange, Outcome
from keyback.domain.people.person import Contact, canonicalize, same_name
from keyback.domain.policy.rules import TIERS
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import accounts, contacts, identifiers, people
from keyback.storage.sql.statements import insert_many, update_many
from keyback.storage.stores.groups import put_of_file
from keyback.storage.stores.import_owners import CONTACT, main_address_owners
from keyback.storage.stores.import_rows import fill, person_row, update_rows

Known = dict[str, dict[str, Any]]
Claims = Sequence[frozenset[Claim]]  # of every person, in the order in which they come
FIRST = ("id", "person_id", "channel", "address", "role", "added_at", "confirmed_at")  # of contacts of who is new
PARKED = "\x7f"  # begins the canonical form of a name that its account has given up: nobody can type it


def save_imported(
    tx: TxContext, new: Sequence[Imported], *, at_once: bool = False, adopt: bool = True, generation: int = 0
) -> ImportOutcome:
    """Adds or updates people; for a batch of up to a few thousand.

    A person whose user name or external id belongs to somebody else in the same system is left out (`username_taken`),
    unless that one is in this batch and gives the name up. Changed mail addresses, states and accounts end that
    person's pending links. An `ImportedPart` leaves alone what it does not speak for. Addresses that changed wait
    (`domain.people.addresses`); people who are new have them at once.

    Args:
        at_once: the company moved its addresses: none of them waits.
        adopt: whoever was known by their address may get the key that they have now (`_adopted`).
        generation: of the sync that meets accounts which are new.
    """
    before = _known(tx, [p.key for p in new])
    strangers = [p for p in new if adopt and isinstance(p, ImportedPart) and p.key not in before]
    if adopted := _adopted(tx, strangers):
        before |= _known(tx, adopted)
    whole = [_completed(p, before[p.key]) if isinstance(p, ImportedPart) and p.key in before else p for p in new]
    claims = [frozenset(c for a in p.accounts for c in (_name(a), _number(a))) for p in whole]
    taken = _owners(tx, frozenset[Claim]().union(*claims), before)
    left_out = _left_out(whole, [_lasting(p, c) for p, c in zip(whole, claims, strict=True)], taken)
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
        for a in p.accounts:
            names[a.system, canonicalize(a.username)] = a.external_id
        if mine is None:
            pid = tx.new_id()
            before[p.key] = {"id": pid, "rows": [], "mails": (), "account_ids": {}, "canonicals": {}, **_shape(p)}
            rows["people"].append(person_row(p, pid, tx.now))
            own = _first_contacts(tx, p, pid)
            rows["first"] += [{name: getattr(c, name) for name in FIRST} for c in own]
            fill(tx, rows, p, pid, {}, own)
            results.append("added")
            continue
        outcome = _contacts(tx, p, mine, at_once)
        changes += outcome.changes
        if _differs(mine, _shape(p)) or outcome.rows != {c.id: c for c in mine["rows"]}:
            changed.append((p, mine, outcome))
            results.append("changed")
        else:
            results.append("same")
    _free_names(tx, before.values(), names)
    update_rows(tx, rows, changed)
    rows["accounts"] = [{**row, "generation": generation} for row in rows["accounts"]]
    for table, name in ((people, "people"), (contacts, "first"), (contacts, "contacts"), (accounts, "accounts")):
        insert_many(tx.conn, table, rows[name])
    insert_many(tx.conn, identifiers, rows["identifiers"])
    said = {before[p.key]["id"]: p.groups for n, p in enumerate(whole) if n not in left_out and p.groups is not None}
    elsewhere = put_of_file(tx, said)  # it ends nobody's links: a group lets nobody do anything
    results = [
        "changed" if r == "same" and before[p.key]["id"] in elsewhere else r
        for p, r in zip(whole, results, strict=True)
    ]
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


def _left_out(new: Sequence[Imported], claims: Claims, taken: Mapping[Claim, str]) -> dict[int, set[str]]:
    """Who cannot be written, by their place, and the keys of those who have what they want. Whoever is left out keeps
    what they have, so that others may have to be left out as well."""
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


def _lasting(p: Imported, claims: frozenset[Claim]) -> frozenset[Claim]:
    """What somebody has to have: an account that nobody has numbered may get another number."""
    if all(a.numbered for a in p.accounts):
        return claims
    return frozenset([_name(a) for a in p.accounts] + [_number(a) for a in p.accounts if a.numbered])


def _given_up(claim: Claim, owner: str, gives: Mapping[str, Collection[Claim]]) -> bool:
    """Whether a name's owner is written in this batch too, and has another name afterwards."""
    return claim[0] == "username" and owner in gives and claim not in gives[owner]


def _with_numbers(tx: TxContext, p: Imported, mine: dict[str, Any] | None, numbers: set[tuple[str, str]]) -> Imported:
    """Accounts that nobody has numbered, and that are new, get a number of their own where the name is one already."""
    own = mine["account_ids"] if mine else {}
    out = []
    if all(a.numbered for a in p.accounts):
        numbers.update((a.system, a.external_id) for a in p.accounts)
        return p
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


def _contacts(tx: TxContext, p: Imported, mine: dict[str, Any], at_once: bool) -> Outcome:
    """The contacts as the file wants them; as they are where it names none, or what the last one named."""
    old: list[Contact] = mine["rows"]
    rows, changes = {c.id: c for c in old}, []
    if p.mails and (at_once or mine["mails"] != (*p.mails[:1], *sorted(p.mails[1:]))):
        mails = [c for c in old if c.channel == "mail"]
        found = addresses.settle(mails, p.mails, mine["id"], tx.now, tx.new_id, at_once)
        rows, changes = {**rows, **found.rows}, [*found.changes]
    if p.phones is not None and addresses.named_numbers(old) != tuple(sorted(p.phones)):
        phones = [c for c in old if c.channel == "sms"]
        found = addresses.settle_numbers(phones, p.phones, mine["id"], tx.now, tx.new_id)
        rows, changes = {**rows, **found.rows}, [*changes, *found.changes]
    return Outcome(rows, tuple(changes))


def _first_contacts(tx: TxContext, p: Imported, pid: str) -> list[Contact]:
    mails = [("mail", mail, "backup" if n else "primary") for n, mail in enumerate(p.mails)]
    phones = [("sms", number, "backup") for number in p.phones or ()]
    return [
        Contact(tx.new_id(), pid, channel, address, role, added_at=tx.now, confirmed_at=tx.now)  # type: ignore[arg-type]
        for channel, address, role in (*mails, *phones)
    ]


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
    query = select(people).where(among(people.c.key, keys)).order_by(people.c.id)
    # What owners refuse meanwhile waits until this is written, or is seen.
    found = {r.key: r for r in tx.conn.execute(query.with_for_update() if tx.pg else query)}
    ids = {r.id: key for key, r in found.items()}
    own: dict[str, list[Contact]] = defaultdict(list)
    logins: dict[str, list[Any]] = defaultdict(list)
    if ids:
        theirs = among(contacts.c.person_id, list(ids)) & (contacts.c.channel != "im")
        for c in tx.conn.execute(select(*CONTACT).where(theirs)):
            own[ids[c.person_id]].append(Contact(*c))
        for a in tx.conn.execute(select(accounts).where(among(accounts.c.person_id, list(ids)))):
            logins[ids[a.person_id]].append(a)
    return {
        key: {
            "id": r.id,
            "name": r.name,
            "locale": r.locale,
            "tier": r.tier,
            "state": r.state,
            "rows": own[key],
            "mails": _named(own[key]),
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


def _owners(tx: TxContext, claims: frozenset[Claim], known: Known) -> dict[Claim, str]:
    """Whose the user names and external ids are now, by the person's key. `known`: people who were read already."""
    out: dict[Claim, str] = {}
    for key, mine in known.items():
        for (system, number), canonical in mine["canonicals"].items():
            out |= {("external_id", system, number): key, ("username", system, canonical): key}
    out = {claim: key for claim, key in out.items() if claim in claims}
    for which, column in (("username", accounts.c.canonical), ("external_id", accounts.c.external_id)):
        wanted: dict[str, set[str]] = {}
        for kind, system, value in claims - out.keys():
            if kind == which:
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
        state = a.state if "state" in p.given and "state" in a.says else was.state
        privileged = a.privileged if "privileged" in p.given and "tier" in a.says else was.privileged
        provider = a.provider if "provider" in p.given else was.provider
        if (state, privileged, provider) != (a.state, a.privileged, a.provider):
            a = replace(a, state=state, privileged=privileged, provider=provider)
        merged.append(a)
    wanted = {(a.system, a.external_id) for a in found}
    merged += [a for k, a in old.items() if k not in wanted and a.system not in p.systems and a.state != "disabled"]
    backups = p.mails[1:] if "backup" in p.given else mine["mails"][1:]  # the first is the primary one, or None
    return Imported(
        key=p.key,
        name=p.name or mine["name"],
        locale=p.locale if "locale" in p.given else mine["locale"],
        # Where no column says it for certain, a group still raises it.
        tier=p.tier if "tier" in p.given else max(p.tier, mine["tier"], key=TIERS.index),
        state=p.state if "state" in p.given else mine["state"],
        mails=(p.mails[0], *(m for m in backups if m != p.mails[0])) if p.mails else (),
        accounts=tuple(merged),
        phones=p.phones,
        groups=p.groups,
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
        done.append(replace(a, external_id=which[1]) if which and which[1] != a.external_id else a)
    return done
