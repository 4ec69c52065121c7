"""Who changed in the tenant: Entra by delta query, the CRM by `modifiedon`.

Sources: learn.microsoft.com/graph/delta-query-overview (`$deltatoken=latest`, `@removed`, tokens of identity resources
live for seven days, 410 and `syncStateNotFound`), …/api/user-delta, Dataverse's table `systemuser`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from keyback.connectors.base import mark_now, marked_instant
from keyback.connectors.dynamics365.rest import Api, Row, StaleMark, parameters, text_of
from keyback.outbound.http import NotDone, OutboundRefusal

DELTA = "users/delta"
# What a list says of a user, and delta queries can follow.
FOLLOWED = "userPrincipalName,mail,displayName,accountEnabled,userType,onPremisesSyncEnabled,mobilePhone,department"
MANY = 2000  # so many changed that the whole list costs fewer calls


class Changes:
    """Marks are an instant for the CRM and a token for Entra.

    Args:
        now: milliseconds since 1970.
    """

    def __init__(self, graph: Api, dataverse: Api, now: Callable[[], int]) -> None:
        self._graph, self._dataverse, self._now = graph, dataverse, now

    async def mark(self) -> str | None:
        """Where both stand now; None where Entra has no delta query for this app."""
        try:
            answer = await self._graph.call("GET", DELTA, query={"$deltatoken": "latest", "$select": FOLLOWED})
        except OutboundRefusal:
            return None
        token = parameters(text_of(answer, "@odata.deltaLink")).get("$deltatoken")
        return f"{mark_now(self._now() / 1000)} {token}" if token else None

    async def since(self, mark: str) -> set[str] | None:
        """Ids in Entra of who changed since a mark, or left; None where that cannot be told, or they are very many."""
        at, _, token = mark.partition(" ")
        if not token or marked_instant(at) is None:
            return None
        ids: set[str] = set()
        try:
            async for page in self._graph.pages(DELTA, {"$deltatoken": token}):
                ids |= {text_of(r, "id").lower() for r in page}
        except StaleMark:
            return None
        query = {"$filter": f"modifiedon ge {at}", "$select": "systemuserid,azureactivedirectoryobjectid"}
        async for page in self._dataverse.pages("systemusers", query):
            ids |= {text_of(r, "azureactivedirectoryobjectid").lower() for r in page}
        return ids - {""} if len(ids) <= MANY else None


async def some(api: Api, path: str, key: str, ids: Sequence[str], select: str) -> list[Row]:
    """The rows with these ids, which are GUIDs; few enough for one filter.

    Graph compares ids as strings, Dataverse as GUIDs.
    """
    if not ids:
        return []
    values = [f"'{i}'" for i in ids] if path == "users" else ids
    where = f"{key} in ({','.join(values)})" if path == "users" else " or ".join(f"{key} eq {v}" for v in values)
    rows = await api.rows(path, {"$filter": where, "$select": select})
    if len({text_of(r, key).lower() for r in rows} - {i.lower() for i in ids}):
        raise NotDone("unavailable", "unexpected answer: somebody who was not asked for")
    return rows


def gone(id: str, member: Row) -> Row:
    """A member of the CRM whose user was deleted in Entra."""
    name, mail = text_of(member, "domainname"), text_of(member, "internalemailaddress")
    return {"id": id, "userPrincipalName": name, "mail": mail, "accountEnabled": False}
