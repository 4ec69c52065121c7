"""The role just in time: a second identity gives Keyback's app a directory role for one act, and takes it back.

Changes of roles take a while to spread, and old ones may still be read. So nothing is assumed: a role counts once an
act is let through, and is gone once it is no longer listed. A role that a crash left is found and taken at the next
look-up, by whatever process of Keyback makes it; an act whose role another process took meanwhile asks for it again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import quote

import structlog

from keyback.application.ports.connectors import Unavailable
from keyback.connectors.dynamics365.rest import Api, text_of
from keyback.domain.units import MINUTE
from keyback.outbound.http import MaybeDone, NotDone, OutboundRefusal

log = structlog.get_logger("keyback.dynamics365")
USER_ADMIN = "fe930be7-5e62-47db-91af-98c3a49a38b1"
PRIVILEGED_AUTH_ADMIN = "7be44c8a-adaf-4e2a-84d6-ab2649e08a13"
OURS = frozenset({USER_ADMIN, PRIVILEGED_AUTH_ADMIN})
ASSIGNMENTS = "roleManagement/directory/roleAssignments"
WAITS = (1.0, 2.0, 3.0, 5.0, 5.0, 5.0, 8.0, 8.0, 8.0)  # seconds between looks: about three times what is usual
CONFLICT = "conflicting object"  # Graph's words for a role that the principal has
TIDY_EVERY = MINUTE
Sleep = Callable[[float], Awaitable[None]]


class Elevation:
    """Gives and takes roles of one principal.

    Args:
        api: Graph, signed in to as the elevator.
        principal: object id of the application that acts.
        lowered: called when a role was given or taken: tokens that were made before may not know of it.
        now: milliseconds since 1970; sleep: takes seconds.
    """

    def __init__(
        self, api: Api, principal: str, lowered: Callable[[], None], now: Callable[[], int], sleep: Sleep
    ) -> None:
        self._api, self._principal, self._lowered, self._now, self._sleep = api, principal, lowered, now, sleep
        self._one = asyncio.Lock()
        self._tidied = 0
        self._users = Counter[str]()  # acts at work, by role
        self._given: dict[str, set[str]] = {}  # ids of assignments that may stand, by role
        self._unanswered = set[str]()  # roles asked for without an answer, and not seen since

    async def act(self, role: str, change: Callable[[], Awaitable[None]]) -> None:
        """Does one change with a role, and takes the role whatever came of it. Acts at the same time share it.

        Raises what `change` raises, `not_permitted` only after the role had time to spread; or why the role could not
        be given, before anything was changed.
        """
        self._users[role] += 1
        try:
            async with self._one:
                if role not in self._given:
                    await self._give(role)
            await self._try(role, change)
        finally:
            self._users[role] -= 1
            # Not ended by whoever gives up waiting: the role must go.
            await asyncio.shield(asyncio.ensure_future(self._leave(role)))

    async def tidy(self) -> None:
        """Takes what a crash left, at most once a minute; faults wait for the next time."""
        if self._one.locked() or self._users.total() or self._now() - self._tidied < TIDY_EVERY:
            return
        async with self._one:
            self._tidied = self._now()
            try:
                for id in await self.standing():
                    log.warning("role_left", principal=self._principal)
                    await self._remove(id)
                    self._lowered()
            except Unavailable as e:
                log.warning("role_kept", principal=self._principal, reason=e.code)

    async def standing(self, roles: Collection[str] = OURS) -> list[str]:
        """Ids of assignments that the principal has now, of these roles."""
        rows = await self._api.rows(ASSIGNMENTS, {"$filter": f"principalId eq '{self._principal}'"})
        return [text_of(r, "id") for r in rows if r.get("roleDefinitionId") in roles]

    async def _give(self, role: str) -> None:
        """Asked for until it is listed: another process may have given it just now, and take it any moment."""
        wanted = {"principalId": self._principal, "roleDefinitionId": role, "directoryScopeId": "/"}
        ids = self._given.setdefault(role, set())
        for wait in WAITS:
            try:
                self._unanswered.add(role)
                made = await self._api.call("POST", ASSIGNMENTS, json=wanted)
                ids.add(text_of(made, "id"))
                self._unanswered.discard(role)
            except MaybeDone:
                pass  # whether it was given shows below, and what was given is taken
            except OutboundRefusal as e:
                if CONFLICT not in e.text:
                    self._unanswered.discard(role)
                if CONFLICT not in e.text and not await self.standing((role,)):
                    raise OutboundRefusal(e.code, f"elevator: {e.text}") from None
            self._lowered()
            if await self.standing((role,)):
                self._unanswered.discard(role)
                return
            await self._sleep(wait)
        raise NotDone("unavailable", "the role was not given in time", 15_000)

    async def _try(self, role: str, change: Callable[[], Awaitable[None]]) -> None:
        """Refusals change nothing, so an act is asked for until the role has spread to where it is checked."""
        for wait in WAITS:
            try:
                await change()
                return
            except OutboundRefusal as e:
                if e.code != "not_permitted":
                    raise
            await self._sleep(wait)
            self._lowered()
            async with self._one:
                if not await self.standing((role,)):  # another process took it
                    await self._give(role)
        await change()

    async def _leave(self, role: str) -> None:
        """Takes the role, unless somebody is at work with it."""
        async with self._one:
            if self._users[role] or role not in self._given:
                return
            ids = self._given.pop(role)
            # A role that was asked for without an answer may stand and not be listed yet: looked for to the end.
            doubtful = role in self._unanswered
            self._unanswered.discard(role)
            reason = "listed"
            for wait in WAITS:
                try:
                    found = ids | set(await self.standing((role,)))
                    for id in found:
                        await self._remove(id)
                    ids = set()
                    self._lowered()
                    doubtful = doubtful and not found
                    if not doubtful and not await self.standing((role,)):
                        return
                    reason = "unanswered" if doubtful else "listed"
                except Unavailable as e:
                    reason = e.code
                await self._sleep(wait)
            self._tidied = 0  # tried again at the next look-up
            if reason == "unanswered":
                return  # never listed: it was most likely not given
            log.error("role_kept", principal=self._principal, reason=reason)

    async def _remove(self, id: str) -> None:
        try:
            await self._api.call("DELETE", f"{ASSIGNMENTS}/{quote(id, safe='')}")
        except OutboundRefusal as e:
            if e.code != "not_found":
                raise
