"""Users of an org as accounts: who they are, what they may do, and whether they are locked or frozen."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

from keyback.application.ports.connectors import FoundAccount
from keyback.connectors.base import numbers_in, texts_in
from keyback.connectors.salesforce.rest import Rest, Row, instant, quoted, text_of
from keyback.domain.units import HOUR
from keyback.outbound.http import OutboundRefusal

POWERS = ("PermissionsModifyAllData", "PermissionsManageUsers", "PermissionsIsSsoEnabled")
OWN = "Id, Username, Email, Name, IsActive, UserType, LastLoginDate, LastPasswordChangeDate, ManagerId"
FIELDS = ", ".join((OWN, *(f"Profile.{p}" for p in POWERS)))
LISTED = f"{FIELDS}, MobilePhone, Department"
PEOPLE = frozenset({"Standard", "PowerPartner", "PowerCustomerSuccess", "CustomerSuccess", "CspLitePortal"})
PAGE = 500
# Of VerificationHistory.Status (object reference).
PASSED = frozenset({"Succeeded", "AutomatedSuccess"})
FAILED = frozenset({"FailedInvalidCode", "FailedTooManyAttempts", "FailedGeneralError", "RecoverableError"})
LATELY = 24 * HOUR


class People:
    """Reads users. Locks, freezes and the powers of permission sets are asked once for all of a page."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def find(self, identifier: str) -> list[FoundAccount]:
        """Who has exactly this user name or mail address, in letters of either case."""
        wanted = identifier.strip()
        if not wanted or len(wanted) > 320:
            return []
        value = quoted(wanted)
        rows = await self._rest.query(FIELDS, "User", f"Username = {value} OR Email = {value}", limit=20)
        name = wanted.casefold()
        return await self._accounts([r for r in rows if name in {_fold(r, "Username"), _fold(r, "Email")}])

    async def pages(self, since: str = "") -> AsyncIterator[list[FoundAccount]]:
        """Everybody, or who changed since an instant in ISO 8601."""
        where = changed = f"SystemModstamp >= {since}" if since else ""
        while rows := await self._rest.query(LISTED, "User", where, order="Id", limit=PAGE):
            behind = f"Id > {quoted(text_of(rows[-1], 'Id'))}"
            where = f"{changed} AND {behind}" if changed else behind
            page = await self._accounts(rows)
            if page:
                yield page

    async def account(self, external_id: str) -> FoundAccount | None:
        """The user with this id, as they are now."""
        if not re.fullmatch(r"005[A-Za-z0-9]{12}([A-Za-z0-9]{3})?", external_id):
            return None
        rows = await self._rest.query(FIELDS, "User", f"Id = {quoted(external_id)}", limit=1)
        return next(iter(await self._accounts(rows)), None)

    async def of_production(self, username: str) -> bool:
        """Whether this is a sandbox's user name, and the org has the one that it was made of. A sandbox appends its
        own name: `maya@example.com` is `maya@example.com.uat` there."""
        own = username.strip().rpartition(".")[0]
        if "." not in own.partition("@")[2]:
            return False
        rows = await self._rest.query("Id, Username", "User", f"Username = {quoted(own)}", limit=1)
        return any(_fold(r, "Username") == own.casefold() for r in rows)

    async def second_step_fails(self, external_id: str, now: int) -> int:
        """How often the second step of signing in failed within a day, with none that succeeded since; 0 without
        Manage Users, as `check` says."""
        fields, who = "VerificationTime, Status", f"UserId = {quoted(external_id)} AND Activity = 'Login'"
        try:
            rows = await self._rest.query(fields, "VerificationHistory", who, order="VerificationTime DESC", limit=20)
        except OutboundRefusal:
            return 0
        seen = [(text_of(r, "Status"), instant(r.get("VerificationTime")) or 0) for r in rows]
        passed = max((at for status, at in seen if status in PASSED), default=0)
        return sum(status in FAILED and at > max(passed, now - LATELY) for status, at in seen)

    async def logins(self, ids: Sequence[str]) -> dict[str, Row]:
        """`UserLogin` by user; empty without Manage Users, when the object isn't there (`check` says so)."""
        wanted = ", ".join(map(quoted, ids))
        try:
            rows = await self._rest.query(
                "Id, UserId, IsFrozen, IsPasswordLocked", "UserLogin", f"UserId IN ({wanted})", limit=PAGE
            )
        except OutboundRefusal:
            return {}
        return {text_of(r, "UserId"): r for r in rows}

    async def _accounts(self, rows: Sequence[Row]) -> list[FoundAccount]:
        rows = [r for r in rows if r.get("UserType") in PEOPLE]
        ids = [text_of(r, "Id") for r in rows]
        if not ids:
            return []
        logins, powers = await self.logins(ids), await self._powers(ids)
        return [_account(r, logins.get(text_of(r, "Id")), powers.get(text_of(r, "Id"), frozenset())) for r in rows]

    async def _powers(self, ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Which of `POWERS` each has by any permission set; each profile has one of its own."""
        fields = ", ".join(("AssigneeId", *(f"PermissionSet.{p}" for p in POWERS)))
        wanted = ", ".join(map(quoted, ids))
        either = " OR ".join(f"PermissionSet.{p} = true" for p in POWERS)
        rows = await self._rest.query(fields, "PermissionSetAssignment", f"AssigneeId IN ({wanted}) AND ({either})")
        out: dict[str, frozenset[str]] = {}
        for row in rows:
            held, who = row.get("PermissionSet") or {}, text_of(row, "AssigneeId")
            out[who] = out.get(who, frozenset()) | {p for p in POWERS if held.get(p)}
        return out


def _account(row: Row, login: Row | None, powers: frozenset[str]) -> FoundAccount:
    profile = row.get("Profile") or {}
    held = powers | {k for k, v in profile.items() if v is True}
    locked = bool(login and login.get("IsPasswordLocked"))
    return FoundAccount(
        text_of(row, "Id"),
        text_of(row, "Username"),
        row.get("Email"),
        row.get("Name"),
        state="disabled" if row.get("IsActive") is not True else "locked" if locked else "active",
        privileged=bool(held & {"PermissionsModifyAllData", "PermissionsManageUsers"}),
        sso_only="PermissionsIsSsoEnabled" in held,
        frozen=bool(login and login.get("IsFrozen")),
        password_changed_at=instant(row.get("LastPasswordChangeDate")),
        last_sign_in_at=instant(row.get("LastLoginDate")),
        manager=text_of(row, "ManagerId"),
        phones=numbers_in(row["MobilePhone"]) if "MobilePhone" in row else None,
        groups=texts_in(row["Department"]) if "Department" in row else None,
    )


def _fold(row: Row, key: str) -> str:
    return text_of(row, key).strip().casefold()
