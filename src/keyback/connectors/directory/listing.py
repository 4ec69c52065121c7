"""What a list of people needs to know of everybody at once, so that nobody costs a search: who is privileged, who is
switched off, and who the managers are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from keyback.application.ports.connectors import FoundAccount
from keyback.connectors.base import numbers_in
from keyback.connectors.directory.port import Directory, Entry

_MEMBERS = ("member", "uniqueMember", "memberUid")
_LOOSE = re.compile(r"\\|\s[,=+]|[,=+]\s")
_FIRST = re.compile(r"(?:cn|ou)\s*=((?:[^\\,+]|\\.)*)(?:[,+]|\Z)", re.IGNORECASE)
_ESCAPE = re.compile(rb"\\([0-9A-Fa-f]{2}|.)")


@dataclass(frozen=True, slots=True)
class Known:
    """What was read before a list.

    Args:
        privileged: distinguished names (`folded`) of people who are.
        logins: user names (case-folded) of such people.
        primary_groups: numbers of groups that make people so whose primary one they are (Active Directory).
        off: distinguished names of people whom the company has switched off.
        managers: external ids by distinguished name.
        mobile: the attribute with people's mobile numbers.
        groups: the attributes with their groups and departments.
    """

    privileged: frozenset[str] = frozenset()
    logins: frozenset[str] = frozenset()
    primary_groups: frozenset[int] = frozenset()
    off: frozenset[str] = frozenset()
    managers: Mapping[str, str] | None = None
    mobile: str = "mobile"
    groups: tuple[str, ...] = ()

    def told(self, entry: Entry, account: FoundAccount, names: Iterable[str]) -> FoundAccount:
        """The account with what is known besides its own attributes; `names`: what the person signs in with."""
        dn = folded(entry.dn)
        privileged = (
            account.privileged
            or dn in self.privileged
            or any(name.casefold() in self.logins for name in (account.username, *names))
            or entry.number("primaryGroupID") in self.primary_groups
        )
        manager = (self.managers or {}).get(folded(entry.text("manager") or ""), "")
        state = "disabled" if dn in self.off else account.state
        phones = numbers_in(*entry.texts(self.mobile))
        groups = tuple(named(text) for a in self.groups for text in entry.texts(a)) if self.groups else None
        return replace(account, privileged=privileged, manager=manager, state=state, phones=phones, groups=groups)


def named(text: str) -> str:
    """A group by its own name: of a distinguished name the first part's value, and any other text as it stands."""
    found = _FIRST.match(text)
    if found is None:
        return text
    raw = _ESCAPE.sub(lambda m: bytes([int(m[1], 16)]) if len(m[1]) == 2 else m[1], found[1].encode())
    return raw.decode("utf-8", "replace").strip()


def folded(dn: str) -> str:
    """A distinguished name (RFC 4514) in one form, however its parts are spaced, escaped and cased."""
    if not _LOOSE.search(dn):
        return dn.casefold()
    parts = re.split(r"(?<!\\)((?:\\\\)*[,=+])", dn)
    text = "".join(p.strip(" ") for p in parts)
    raw = _ESCAPE.sub(lambda m: _kept(m[1]), text.encode())
    return raw.decode("utf-8", "replace").casefold()


def _kept(escaped: bytes) -> bytes:
    """An escaped character as it is; but one that would part a name stays apart from one that does."""
    char = bytes([int(escaped, 16)]) if len(escaped) == 2 else escaped
    return b"\\" + char if char in b",=+\\" else char


async def fitting(directory: Directory, base: str, where: str) -> frozenset[str]:
    """Distinguished names of all entries that fit a filter."""
    pages = directory.pages(base, where, ["1.1"])
    return frozenset([folded(e.dn) async for page in pages for e in page])


async def members(directory: Directory, base: str, groups: Sequence[str]) -> tuple[set[str], set[str]]:
    """Distinguished names, and user names, of members of these groups, and of groups in them."""
    every = "".join(f"({name}=*)" for name in _MEMBERS)
    known = {folded(e.dn): e.dn async for page in directory.pages(base, f"(|{every})", ["1.1"]) for e in page}
    names, logins, seen, new = set[str](), set[str](), set[str](), list(groups)
    while new:
        dn = new.pop()
        seen.add(folded(dn))
        group = await directory.read(dn, _MEMBERS)
        if group is None:
            continue
        logins |= {name.casefold() for name in group.texts("memberUid")}
        here = {folded(t) for kind in _MEMBERS[:2] for t in group.texts(kind)}
        new += [known[m] for m in here - seen if m in known]
        names |= here
    return names, logins


async def managers(
    directory: Directory, base: str, where: str, ids: Sequence[str], id_of: Callable[[Entry], str], *, whole: bool
) -> Mapping[str, str]:
    """External ids of everybody who manages somebody of those that fit a filter, by their distinguished names.

    Args:
        ids: attributes that `id_of` looks at.
        whole: the filter fits all people; else managers beside it are read one by one.
    """
    known: dict[str, str] = {}
    wanted: dict[str, str] = {}
    async for page in directory.pages(base, where, [*ids, "manager"]):
        for e in page:
            known[folded(e.dn)] = id_of(e)
            if dn := e.text("manager"):
                wanted[folded(dn)] = dn
    found = {dn: known[dn] for dn in wanted if dn in known}
    for dn in () if whole else wanted.keys() - found.keys():
        entry = await directory.read(wanted[dn], ids)
        found[dn] = id_of(entry) if entry else ""
    return found
