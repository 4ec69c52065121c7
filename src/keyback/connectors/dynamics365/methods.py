"""Authentication methods of Graph: second factors, temporary passes, applications that act for somebody, sign-ins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from keyback.application.ports.connectors import Finding, Grant, SignIn, SystemFactor, TemporaryPass
from keyback.connectors.dynamics365.rest import Api, Row, instant, text_of
from keyback.domain.secret import Secret
from keyback.domain.units import HOUR, MINUTE
from keyback.outbound.http import MaybeDone, OutboundRefusal, vendor_text

# Type of method to our kind, its collection (None: no application removes it) and what its owner knows it by: a name
# that is the same in every language, or none.
KINDS: Mapping[str, tuple[str, str | None, str]] = {
    "microsoftAuthenticator": ("app", "microsoftAuthenticatorMethods", "Microsoft Authenticator"),
    "softwareOath": ("totp", "softwareOathMethods", ""),
    "fido2": ("passkey", "fido2Methods", ""),
    "phone": ("phone", "phoneMethods", ""),
    "windowsHelloForBusiness": ("passkey", None, "Windows Hello"),
    "platformCredential": ("passkey", None, "macOS"),
    "hardwareOath": ("totp", None, "OATH"),
    "email": ("mail", None, ""),
}
SHORTEST, LONGEST = 10, 43_200  # minutes that a pass may live
# AADSTS codes (learn.microsoft.com, "Microsoft Entra authentication and authorization error codes").
LOCKED, MUST_CHANGE, SECOND_STEP_FAILED = 50053, 50055, 500121
LATELY = 10 * MINUTE
TODAY = 24 * HOUR
REPEATED = 3  # failures of a second step that are no slips any more


class Methods:
    """Reads and removes single methods of one person, by their id in Entra."""

    def __init__(self, graph: Api) -> None:
        self._graph = graph
        self._titles: dict[str, str] = {}

    async def factors(self, id: str) -> list[SystemFactor]:
        out = []
        for row in await self._graph.rows(f"users/{id}/authentication/methods"):
            known = KINDS.get(_kind(row))
            if known:
                kind, where, title = known
                own = vendor_text(row.get("displayName") or "")
                out.append(SystemFactor(text_of(row, "id"), kind, own or title, where is not None))
        return out

    async def remove(self, id: str, factor: str) -> bool:
        """False where no application may; one that is gone counts as removed."""
        rows = await self._graph.rows(f"users/{id}/authentication/methods")
        row = next((r for r in rows if r.get("id") == factor), None)
        if row is None:
            return True
        where = KINDS.get(_kind(row), ("", None, ""))[1]
        if where is None:
            return False
        try:
            await self._graph.call("DELETE", f"users/{id}/authentication/{where}/{quote(factor, safe='')}")
        except OutboundRefusal as e:
            if e.code != "not_found":
                raise
        return True

    async def new_pass(self, id: str, minutes: int, now: int) -> TemporaryPass:
        """A pass for one sign-in. Only this answer ever shows it."""
        lives = min(max(minutes, SHORTEST), LONGEST)
        body = {"lifetimeInMinutes": lives, "isUsableOnce": True}
        made = await self._graph.call("POST", f"users/{id}/authentication/temporaryAccessPassMethods", json=body)
        text = made.get("temporaryAccessPass")
        if not isinstance(text, str) or not text:
            raise MaybeDone("unavailable", "the answer has no pass")
        begins = instant(made.get("startDateTime")) or now
        return TemporaryPass(Secret(text), begins + int(made.get("lifetimeInMinutes") or lives) * MINUTE, True)

    async def grants(self, id: str) -> list[Grant]:
        rows = await self._graph.rows(f"users/{id}/oauth2PermissionGrants")
        return [Grant(text_of(r, "id"), await self._title(r)) for r in rows]

    async def revoke(self, id: str, grants: Sequence[str] | None) -> None:
        for row in await self._graph.rows(f"users/{id}/oauth2PermissionGrants"):
            if grants is None or row.get("id") in grants:
                try:
                    await self._graph.call("DELETE", f"oauth2PermissionGrants/{quote(text_of(row, 'id'), safe='')}")
                except OutboundRefusal as e:
                    if e.code != "not_found":
                        raise

    async def sign_ins(self, id: str, most: int = 20) -> list[SignIn]:
        return [_sign_in(r) for r in await self._rows(id, most)]

    async def troubles(self, id: str, now: int) -> list[Finding]:
        """What sign-ins say that failed lately, with none that succeeded since."""
        out = []
        seen = [(_code(r), instant(r.get("createdDateTime")) or 0) for r in await self._rows(id, 20)]
        entered = max((at for code, at in seen if code == 0), default=0)
        failed = {code for code, at in seen if at >= entered and now - at < LATELY}
        if LOCKED in failed:
            out.append(Finding("locked", "smart lockout"))
        if MUST_CHANGE in failed:
            out.append(Finding("must_change"))
        fails = sum(code == SECOND_STEP_FAILED and at > entered and now - at < TODAY for code, at in seen)
        if fails >= REPEATED:
            out.append(Finding("factor_lost", f"it failed {fails} times"))
        return out

    async def _rows(self, id: str, most: int) -> list[Row]:
        return await self._graph.rows("auditLogs/signIns", {"$filter": f"userId eq '{id}'", "$top": str(most)})

    async def _title(self, grant: Row) -> str:
        """The application's name; its id without the permission to read it."""
        app = text_of(grant, "clientId")
        if app not in self._titles:
            try:
                found = await self._graph.call("GET", f"servicePrincipals/{quote(app, safe='')}")
            except OutboundRefusal:
                return app
            self._titles[app] = vendor_text(found.get("displayName") or app)
        return self._titles[app]


def _kind(row: Row) -> str:
    return text_of(row, "@odata.type").removeprefix("#microsoft.graph.").removesuffix("AuthenticationMethod")


def _code(row: Row) -> object:
    return (row.get("status") or {}).get("errorCode")


def _sign_in(row: Row) -> SignIn:
    status, place = row.get("status") or {}, row.get("location") or {}
    where = ", ".join(str(place[k]) for k in ("city", "countryOrRegion") if place.get(k))
    why = status.get("failureReason") if status.get("errorCode") else ""
    words = [str(x) for x in (row.get("appDisplayName"), where, why) if x]
    return SignIn(
        instant(row.get("createdDateTime")) or 0,
        status.get("errorCode") == 0,
        vendor_text(row.get("ipAddress") or ""),
        vendor_text(row.get("clientAppUsed") or ""),
        vendor_text(" · ".join(words)),
    )
