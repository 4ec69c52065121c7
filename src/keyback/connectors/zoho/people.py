"""Users of an organization as accounts: finding and listing them, and who among them administers the CRM."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from keyback.application.ports.connectors import FoundAccount
from keyback.connectors.base import numbers_in
from keyback.connectors.zoho.rest import Rest
from keyback.outbound.http import NotDone, OutboundRefusal

PAGE = 200
MAX_PAGES = 10_000
LISTED_SECONDS = 120.0  # Zoho has no look-up by address, so the list is kept for so long; states are read afresh
User = Mapping[str, Any]


class People:
    """Reads users; every method raises `Unavailable` when Zoho cannot be asked.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, rest: Rest, clock: Callable[[], float]) -> None:
        self._rest, self._clock = rest, clock
        self._listed: dict[str, str] = {}
        self._listing = asyncio.Lock()
        self.listed_until = 0.0

    async def find(self, identifier: str) -> list[FoundAccount]:
        """Who has exactly this mail address, which is what people sign in with."""
        wanted = identifier.strip().casefold()
        if not wanted or len(wanted) > 320:
            return []
        async with self._listing:
            if self._clock() >= self.listed_until:
                users = [u async for page in self._pages("AllUsers") for u in page]
                self._listed = {_fold(u.get("email")): str(u.get("id")) for u in users if u.get("email")}
                self.listed_until = self._clock() + LISTED_SECONDS
        known = self._listed.get(wanted)
        user = await self.user(known) if known else None
        account = await self.account(user) if user else None
        return [account] if account and _fold(account.mail) == wanted else []

    async def everybody(self) -> AsyncIterator[list[FoundAccount]]:
        admins = await self._admins()
        async for page in self._pages("AllUsers"):
            yield [_found(u, admins) for u in page]

    async def changed(self, since: str) -> AsyncIterator[list[FoundAccount]]:
        """Who changed since an instant in ISO 8601, and who was deleted, without access."""
        admins = await self._admins()
        for kind in ("AllUsers", "DeletedUsers"):
            async for page in self._pages(kind, since):
                yield [_found(u, admins) for u in page]

    async def user(self, external_id: str) -> User | None:
        """The user with this id as Zoho has them now."""
        if not (external_id.isascii() and external_id.isdecimal()):
            return None
        try:
            users = _users(await self._rest.crm("GET", f"crm/v8/users/{external_id}"))
        except OutboundRefusal as e:
            if e.code == "not_found":
                return None
            raise
        return next((u for u in users if str(u.get("id")) == external_id), None)

    async def account(self, user: User) -> FoundAccount:
        return _found(user, await self._admins())

    async def _admins(self) -> frozenset[str]:
        return frozenset([str(u.get("id")) async for page in self._pages("AdminUsers") for u in page])

    async def _pages(self, kind: str, since: str = "") -> AsyncIterator[list[User]]:
        for page in range(1, MAX_PAGES):
            query = {"type": kind, "page": str(page), "per_page": str(PAGE)}
            answer = await self._rest.crm("GET", "crm/v8/users", query=query, since=since)
            users = _users(answer)
            if users:
                yield users
            if not isinstance(answer, dict) or not (answer.get("info") or {}).get("more_records"):
                return
            if not users:  # who is missing would look as if they had left
                raise NotDone("unavailable", "unexpected answer: an empty page, and more behind it")
        raise NotDone("unavailable", "unexpected answer: pages without end")


def _users(answer: Any) -> list[User]:
    users = answer.get("users", []) if isinstance(answer, dict) else []
    if not isinstance(users, list) or not all(isinstance(u, dict) for u in users):
        raise NotDone("unavailable", "unexpected answer")
    return users


def _found(user: User, admins: frozenset[str]) -> FoundAccount:
    mail = user.get("email")
    active = user.get("status") == "active" and user.get("confirm") is not False
    return FoundAccount(
        str(user.get("id")),
        mail if isinstance(mail, str) else "",
        mail if isinstance(mail, str) else None,
        user.get("full_name"),
        state="active" if active else "disabled",
        privileged=str(user.get("id")) in admins,
        phones=numbers_in(user["mobile"]) if "mobile" in user else None,
    )


def _fold(value: object) -> str:
    return value.strip().casefold() if isinstance(value, str) else ""
