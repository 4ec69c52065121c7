"""Reads users: looks up, lists, and makes an account of one user's JSON."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Final

from keyback.application.ports.connectors import FoundAccount
from keyback.connectors.base import numbers_in
from keyback.connectors.http import pointers
from keyback.connectors.http.answers import items_of
from keyback.connectors.http.caller import Caller
from keyback.connectors.http.recipe import AccountPart, Condition, ListRequest
from keyback.connectors.http.templates import Context
from keyback.connectors.http.transforms import Unfit
from keyback.domain.secret import Secret
from keyback.outbound.http import NotDone, OutboundRefusal

LISTED_SECONDS: Final = 120.0  # a list that is looked through is kept so long; states are read afresh
MAX_LISTED: Final = 200_000
MAX_PAGES: Final = 10_000
MAX_FOUND_PAGES: Final = 5  # of a look-up by keyword
LIST_SECONDS: Final = 60.0  # to look through a whole list
MAX_IDENTIFIER: Final = 320
MAX_TEXT: Final = 1000


class User:
    """One user: the account, and what the recipe keeps of it for its requests."""

    __slots__ = ("account", "extra")

    def __init__(self, account: FoundAccount, extra: Mapping[str, str | None]) -> None:
        self.account, self.extra = account, extra


class People:
    """Args:
    left_alone: usernames or ids that count as privileged whatever the system says.
    clock: monotonic seconds.
    """

    def __init__(
        self, caller: Caller, left_alone: Iterable[str] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._caller, self._recipe, self._clock = caller, caller.recipe, clock
        self._left_alone = frozenset(name.casefold() for name in left_alone)
        part = self._recipe.account
        self._disabled, self._locked, self._sso_only, self._privileged = (
            tuple(c.filled(self._fill) for c in conditions)
            for conditions in (part.disabled, part.locked, part.sso_only, part.privileged)
        )
        self._listed: dict[str, set[str]] = {}
        self._listed_until = 0.0
        self._listing = asyncio.Lock()

    async def find(self, identifier: str) -> list[FoundAccount]:
        """Accounts whose username or mail address is exactly this, whatever the system's search thinks is alike."""
        name = identifier.strip()
        if not name or len(name) > MAX_IDENTIFIER or any(unicodedata.category(c)[0] == "C" for c in name):
            return []
        wanted, found = name.casefold(), dict[str, FoundAccount]()
        for request in self._recipe.requests.find or ():
            try:
                async for rows in self._pages("find", request, self._caller.context(identifier=name), MAX_FOUND_PAGES):
                    for row in rows:
                        if _named(self._recipe.account, row) & {wanted}:
                            await self._add(found, row, wanted)
            except Unfit:
                continue  # nobody in this system can be called that
            except OutboundRefusal as e:
                if e.code != "not_found":
                    raise
        if not found and (self._recipe.find_in_list or not self._recipe.requests.find):
            for external_id in sorted(await self._from_list(wanted)):
                if (user := await self.read(external_id)) and wanted in _names(user.account):
                    found[external_id] = user.account
        return list(found.values())

    async def _add(self, found: dict[str, FoundAccount], row: Any, wanted: str) -> None:
        if self._detailed:
            external_id = pointers.text_at(row, self._recipe.account.id)
            user = await self.read(external_id) if external_id else None
        else:
            user = self._user(row)
        if user and wanted in _names(user.account):
            found[user.account.external_id] = user.account

    @property
    def _detailed(self) -> bool:
        """Whether a look-up's rows say too little of a user, so that each is read by itself."""
        return self._recipe.read_found or self._recipe.requests.roles is not None

    async def list_all(self) -> AsyncIterator[list[FoundAccount]]:
        """Everybody, a page at a time, each once. Where roles are read apart, each is read by itself."""
        request, seen = self._recipe.requests.everybody, set[str]()
        if request is None:
            return
        async for rows in self._pages("list", request, self._caller.context(), MAX_PAGES):
            page: dict[str, FoundAccount] = {}
            for row in rows:
                user = self._user(row, privileged=self._detailed)
                if self._detailed:
                    user = await self.read(user.account.external_id) or user
                if user.account.external_id not in seen:
                    page[user.account.external_id] = user.account
            seen |= page.keys()
            if page:
                yield list(page.values())

    async def read(self, external_id: str, username: str = "") -> User | None:
        """One user as it is now; None where there is none with this id."""
        requests = self._recipe.requests
        if not external_id or len(external_id) > MAX_IDENTIFIER or not external_id.isprintable():
            return None
        context = self._caller.context(id=external_id, username=username)
        try:
            if requests.read:
                body = await self._caller.ask("read", requests.read, context)
                row = pointers.unwrapped(pointers.find_one(body, requests.read.item or ""))
                if requests.read.items is not None:  # a search by id
                    row = _with_id(self._recipe.account, items_of(requests.read, body), external_id)
            else:
                row = await self._searched(external_id, username)
            if row is None:
                return None
            user = self._user(row, privileged=requests.roles is not None)
            if user.account.external_id != external_id:
                return None
            if requests.roles:
                context = context.with_(username=user.account.username)
                roles = items_of(requests.roles, await self._caller.ask("roles", requests.roles, context))
                user = self._user({**row, "roles": roles})
            return user
        except Unfit:
            return None
        except OutboundRefusal as e:
            if e.code == "not_found":
                return None
            raise

    async def _searched(self, external_id: str, username: str) -> Any:
        """The row of a user where the system cannot read one by id: by the name it had, else in the list."""
        account = self._recipe.account
        for name, request in [
            *(("find", r) for r in self._recipe.requests.find or () if username),
            *((("list", self._recipe.requests.everybody),) if self._recipe.requests.everybody else ()),
        ]:
            most = MAX_FOUND_PAGES if name == "find" else MAX_PAGES
            async for rows in self._pages(name, request, self._caller.context(identifier=username), most):
                if (row := _with_id(account, rows, external_id)) is not None:
                    return row
        return None

    async def _from_list(self, wanted: str) -> set[str]:
        request = self._recipe.requests.everybody
        if request is None:
            return set()
        async with self._listing:
            if self._clock() >= self._listed_until:
                try:
                    async with asyncio.timeout(LIST_SECONDS):
                        self._listed = await self._by_name(request)
                except TimeoutError:
                    raise NotDone("unavailable", "looking through the list of users takes too long") from None
                self._listed_until = self._clock() + LISTED_SECONDS
        return self._listed.get(wanted, set())

    async def _by_name(self, request: ListRequest) -> dict[str, set[str]]:
        """IDs of everybody in the list, by username and by mail address."""
        listed: dict[str, set[str]] = {}
        async for rows in self._pages("list", request, self._caller.context(), MAX_PAGES):
            for row in rows:
                external_id = pointers.text_at(row, self._recipe.account.id)
                for name in _named(self._recipe.account, row) if external_id else ():
                    listed.setdefault(name, set()).add(str(external_id))
            if len(listed) > MAX_LISTED:
                raise NotDone("unavailable", "the list of users is too long to be looked through")
        return listed

    async def _pages(self, name: str, request: ListRequest, context: Context, most: int) -> AsyncIterator[list[Any]]:
        """Pages of a list: to the first that is shorter than the others, the same as the one before, or without a
        cursor, or until there are as many as the system says; of a look-up, to the first that is not full. Some give
        the last page again and again; but where the second is the first already, though that was full, the system takes
        no notice of the page. Raises `NotDone` where a list of everybody cannot be that."""
        paging, cursor, before = self._recipe.paging, "", frozenset[str]()
        size, read, first, total = paging.size if paging else 0, 0, 0, None
        for n in range(most):
            at: dict[str, str | int] = {"cursor": cursor, "size": size}
            if paging:
                at |= {"page": n + paging.first, "offset": read}
            try:
                body = await self._caller.ask(name, request, context.with_(**at))
            except OutboundRefusal as e:
                if not n or e.code != "not_found":
                    raise
                body = []  # some say so of a page after the last
            rows = items_of(request, body)
            ids = frozenset(filter(None, (pointers.text_at(r, self._recipe.account.id) for r in rows)))
            repeated = bool(ids) and ids == before
            if repeated and n == 1 and name == "list" and len(rows) >= size:
                raise NotDone("unavailable", "unexpected answer: every page is the first one")
            before, first = ids, first or len(rows)
            if not repeated:
                read += len(rows)
                yield rows
            cursor = pointers.text_at(body, request.next) or ""
            total = _count(pointers.text_at(body, request.total)) if body else total
            # Some give fewer than they are asked for; to end there would take everybody else for gone.
            short = len(rows) < (min(first, size) if name == "list" else size)
            last = repeated or not rows or (not cursor if paging and paging.kind == "cursor" else short)
            if paging is None or last or (total is not None and read >= total):
                if name == "list" and total is not None and read < total:
                    raise NotDone("unavailable", "unexpected answer: the list ends before its total")
                return
        if name == "list":  # who is missing would look as if they had left
            raise NotDone("unavailable", "unexpected answer: pages without end")

    def _user(self, row: Any, *, privileged: bool = False) -> User:
        """Args: privileged: counts as such until the roles were read. Raises `NotDone` for what is no user."""
        part = self._recipe.account
        external_id, username = pointers.text_at(row, part.id), pointers.text_at(row, part.username)
        if not isinstance(row, dict) or not external_id or username is None or len(external_id) > MAX_IDENTIFIER:
            raise NotDone("unavailable", "unexpected answer: a user without the id and the username it should have")
        left_alone = {external_id.casefold(), username.casefold()} & self._left_alone
        disabled, locked = _any(row, self._disabled), _any(row, self._locked)
        account = FoundAccount(
            external_id,
            username[:MAX_TEXT],
            _short(pointers.text_at(row, part.mail)),
            _short(pointers.text_at(row, part.name)),
            state="disabled" if disabled else "locked" if locked else "active",
            privileged=privileged or bool(left_alone) or _any(row, self._privileged, missing=True),
            sso_only=_any(row, self._sso_only),
            phones=_texts(row, part.mobile),
            groups=_texts(row, part.groups),
        )
        return User(account, {k: pointers.text_at(row, p) for k, p in part.extra.items()})

    def _fill(self, text: str) -> str:
        return self._caller.context().text(text, "text")

    def context(self, user: User, **more: Secret | str | int | bool | None) -> Context:
        """Placeholders of a request about this user."""
        known: dict[str, Secret | str | int | bool | None] = {f"account.{k}": v for k, v in user.extra.items()}
        a = user.account
        return self._caller.context(**{**known, "id": a.external_id, "username": a.username, "mail": a.mail, **more})


def _count(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() else None  # some say -1 for too many to count


def _texts(row: Any, at: str | None) -> tuple[str, ...] | None:
    """None where the recipe names none. Some systems keep a number as a number."""
    if at is None:
        return None
    return numbers_in(*(_short(pointers.as_text(v)) for v in pointers.find_all(row, at) or ()))


def _short(text: str | None) -> str | None:
    return text[:MAX_TEXT] if text else None


def _named(part: AccountPart, row: Any) -> set[str]:
    found = (pointers.text_at(row, part.username), pointers.text_at(row, part.mail))
    return {t.strip().casefold() for t in found if t and t.strip()}


def _names(account: FoundAccount) -> set[str]:
    return {t.strip().casefold() for t in (account.username, account.mail) if t}


def _with_id(part: AccountPart, rows: list[Any], external_id: str) -> Any:
    return next((r for r in rows if pointers.text_at(r, part.id) == external_id), None)


def _any(row: Any, conditions: Iterable[Condition], *, missing: bool = False) -> bool:
    """Whether one holds. `privileged` holds where nothing is there: an answer cut short makes nobody harmless."""
    return any(c.holds(row, missing) for c in conditions)
