"""Who is in the CRM, and how they sign in: Dataverse's systemusers joined with Entra's users."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace

from keyback.application.ports.connectors import FoundAccount
from keyback.connectors.base import numbers_in, texts_in
from keyback.connectors.dynamics365.changes import Changes, gone, some
from keyback.connectors.dynamics365.elevation import ASSIGNMENTS
from keyback.connectors.dynamics365.options import GUID, Dynamics365Options
from keyback.connectors.dynamics365.rest import EVENTUAL, Api, Row, instant, quoted, text_of
from keyback.domain.units import MINUTE
from keyback.outbound.http import OutboundRefusal

USER = (
    "id,userPrincipalName,mail,otherMails,displayName,accountEnabled,userType,onPremisesSyncEnabled,"
    "lastPasswordChangeDateTime"
)
MEMBER = (
    "systemuserid,domainname,internalemailaddress,fullname,isdisabled,islicensed,accessmode,applicationid,"
    "azureactivedirectoryobjectid,_parentsystemuserid_value"
)
LISTED_USER, LISTED_MEMBER = f"{USER},mobilePhone,department", f"{MEMBER},mobilephone"
ADMINISTRATIVE = 1
MACHINES = frozenset({3, 4, 5})  # support, non-interactive, delegated: nobody signs in with these
ROLES = "transitiveMemberOf/microsoft.graph.directoryRole"
CRM_ROLES = "systemuserroles_association"
CRM_ADMIN = "627090ff-40a3-4053-8790-584edc5be201"  # template of System Administrator, in every environment
MOST = 20
SOME = 15  # ids that one filter of Graph may name
DOMAIN_KEPT = 10 * MINUTE


class People:
    """Reads accounts.

    Args:
        now: milliseconds since 1970.
    """

    def __init__(self, graph: Api, dataverse: Api, options: Dynamics365Options, now: Callable[[], int]) -> None:
        self._graph, self._dataverse, self._o, self._now = graph, dataverse, options, now
        self._domains: dict[str, tuple[int, bool]] = {}
        self.changes = Changes(graph, dataverse, now)

    async def find(self, identifier: str) -> list[FoundAccount]:
        """Members of the CRM with exactly this user name or mail address, in letters of either case."""
        wanted = identifier.strip()
        if not wanted or len(wanted) > 320 or not wanted.isprintable():
            return []
        value = quoted(wanted)
        members, users = await asyncio.gather(
            self._members(f"domainname eq {value} or internalemailaddress eq {value}"),
            self._graph.rows(
                "users",
                {
                    "$filter": f"userPrincipalName eq {value} or mail eq {value} or otherMails/any(x:x eq {value})",
                    "$select": USER,
                    "$count": "true",
                    "$top": str(MOST),
                },
                EVENTUAL,
            ),
        )
        rows = {text_of(u, "id").lower(): u for u in users if _answers(u, wanted.casefold())}
        known = {i: m for i, m in members.items() if _answers(m, wanted.casefold())}
        ids = list(dict.fromkeys([*known, *rows]))[:MOST]
        found = await asyncio.gather(*(self._whole(i, rows.get(i), known.get(i)) for i in ids))
        return [a for a in found if a]

    async def account(self, external_id: str) -> FoundAccount | None:
        """The member with this id in Entra, as they are now."""
        return await self._whole(external_id.lower()) if GUID.fullmatch(external_id) else None

    async def elsewhere(self, external_id: str) -> bool:
        """Whether somebody may sign in to the tenant, but isn't in this environment: it may be another one's."""
        if not GUID.fullmatch(external_id) or await self._members(f"azureactivedirectoryobjectid eq {external_id}"):
            return False
        user = await self._user(external_id.lower(), "id,accountEnabled")
        return user is not None and user.get("accountEnabled") is True

    async def pages(self) -> AsyncIterator[list[FoundAccount]]:
        """All members. Who administers by a group, or in the CRM alone, isn't told here; `account` tells."""
        members: dict[str, Row] = {}
        async for page in self._dataverse.pages("systemusers", {"$select": LISTED_MEMBER}):
            members |= _by_id(page)
        managers = {text_of(m, "systemuserid"): i for i, m in members.items()}
        powerful = await self._powerful()
        async for page in self._graph.pages("users", {"$select": LISTED_USER, "$top": "999"}):
            ours = [(u, members.get(text_of(u, "id").lower())) for u in page]
            accounts = [await self._listed(u, m, managers, powerful) for u, m in ours if m]
            if accounts:
                yield accounts

    async def some(self, ids: Iterable[str]) -> AsyncIterator[list[FoundAccount]]:
        """Of these ids in Entra, those who are in the CRM, as a list shows them. Who is there and not in Entra any more
        has no access."""
        powerful = await self._powerful()
        wanted = sorted(i for i in ids if GUID.fullmatch(i))
        for n in range(0, len(wanted), SOME):
            part = wanted[n : n + SOME]
            rows = await some(self._dataverse, "systemusers", "azureactivedirectoryobjectid", part, LISTED_MEMBER)
            if not (members := _by_id(rows)):
                continue
            above = sorted({m for r in members.values() if (m := text_of(r, "_parentsystemuserid_value"))})
            rows = await some(self._dataverse, "systemusers", "systemuserid", above, MEMBER)
            managers = {text_of(m, "systemuserid"): i for i, m in _by_id(rows).items()}
            rows = await some(self._graph, "users", "id", list(members), LISTED_USER)
            users = {text_of(u, "id").lower(): u for u in rows}
            yield [await self._listed(users.get(i) or gone(i, m), m, managers, powerful) for i, m in members.items()]

    async def _powerful(self) -> set[str]:
        """Ids in Entra of who has a role there."""
        pages = self._graph.pages(ASSIGNMENTS, {})
        return {text_of(r, "principalId").lower() async for held in pages for r in held}

    async def _listed(self, user: Row, member: Row, managers: Mapping[str, str], powerful: set[str]) -> FoundAccount:
        account = await self._account(user, member, powerful=text_of(user, "id").lower() in powerful)
        return replace(
            account,
            manager=managers.get(text_of(member, "_parentsystemuserid_value"), ""),
            phones=numbers_in(user.get("mobilePhone")) or numbers_in(member.get("mobilephone")),
            groups=texts_in(user.get("department")),
        )

    async def changed_at(self, external_id: str) -> int | None:
        """When the password was last set, ms since 1970, to the second."""
        user = await self._user(external_id, "id,lastPasswordChangeDateTime")
        return instant(user.get("lastPasswordChangeDateTime")) if user else None

    async def _whole(self, id: str, user: Row | None = None, member: Row | None = None) -> FoundAccount | None:
        """Reads what is missing of somebody; None for who is not in the CRM."""
        if member is None:
            member = (await self._members(f"azureactivedirectoryobjectid eq {id}")).get(id)
        if member is None:
            return None
        user = user or await self._user(id, USER)
        if user is None:
            return None
        held, in_crm = await asyncio.gather(
            self._graph.rows(f"users/{id}/{ROLES}"),
            self._dataverse.rows(
                f"systemusers({text_of(member, 'systemuserid')})/{CRM_ROLES}", {"$select": "_roletemplateid_value"}
            ),
        )
        powerful = bool(held) or any(text_of(r, "_roletemplateid_value").lower() == CRM_ADMIN for r in in_crm)
        return await self._account(user, member, powerful=powerful)

    async def _user(self, id: str, select: str) -> Row | None:
        try:
            answer: Row = await self._graph.call("GET", f"users/{id}", query={"$select": select})
        except OutboundRefusal as e:
            if e.code == "not_found":
                return None
            raise
        return answer

    async def _members(self, where: str) -> dict[str, Row]:
        query = {"$filter": where, "$select": MEMBER, "$top": str(MOST)}
        return _by_id(await self._dataverse.rows("systemusers", query))

    async def _account(self, user: Row, member: Row, *, powerful: bool) -> FoundAccount:
        name = text_of(user, "userPrincipalName")
        synced, guest = user.get("onPremisesSyncEnabled") is True, user.get("userType") == "Guest"
        on = user.get("accountEnabled") is True and member.get("isdisabled") is not True
        licensed = member.get("islicensed")
        return FoundAccount(
            text_of(user, "id").lower(),
            name,
            text_of(user, "mail") or text_of(member, "internalemailaddress") or None,
            text_of(user, "displayName") or text_of(member, "fullname") or None,
            state="active" if on else "disabled",
            privileged=powerful or member.get("accessmode") == ADMINISTRATIVE,
            synced_from=self._o.synced_from if synced else None,
            federated=guest or await self._federated(name.partition("@")[2].lower()),
            licensed=licensed if isinstance(licensed, bool) else None,
            password_changed_at=instant(user.get("lastPasswordChangeDateTime")),
        )

    async def _federated(self, domain: str) -> bool:
        """Whether sign-in of a domain is handed on; False without the permission to know (`check` says so)."""
        if not domain or not all(c.isalnum() or c in ".-" for c in domain):
            return False
        at, known = self._domains.get(domain, (0, False))
        if self._now() - at < DOMAIN_KEPT:
            return known
        try:
            found = await self._graph.call("GET", f"domains/{domain}")
        except OutboundRefusal:
            found = {}
        federated = bool(found.get("authenticationType") == "Federated")
        self._domains[domain] = (self._now(), federated)
        return federated


def _by_id(rows: Iterable[Row]) -> dict[str, Row]:
    """People of these systemusers by their id in Entra: without applications, and those who have none there."""
    return {
        text_of(r, "azureactivedirectoryobjectid").lower(): r
        for r in rows
        if GUID.fullmatch(text_of(r, "azureactivedirectoryobjectid"))
        and not r.get("applicationid")
        and r.get("accessmode") not in MACHINES
    }


def _answers(row: Row, name: str) -> bool:
    others = row.get("otherMails")
    names = [text_of(row, k) for k in ("userPrincipalName", "mail", "domainname", "internalemailaddress")]
    names += [str(o) for o in others] if isinstance(others, list) else []
    return name in {n.strip().casefold() for n in names}
