"""What `keyback connector test` finds of Dynamics 365: each permission by a call that only reads, and what it costs."""

from __future__ import annotations

from collections.abc import Callable

from keyback.application.ports.connectors import CheckLine, Unavailable
from keyback.connectors.base import DAY, sample_line, unreachable
from keyback.connectors.dynamics365.elevation import ASSIGNMENTS, OURS, Elevation
from keyback.connectors.dynamics365.options import Dynamics365Options
from keyback.connectors.dynamics365.people import CRM_ROLES, ROLES, People
from keyback.connectors.dynamics365.rest import Api, App, text_of
from keyback.domain.units import MINUTE

SIGNS_IN = "tenant, client_id, and private_key_file with certificate_file or secret_file"
SOON = 30 * DAY
# Directory roles that may set passwords of people who administer nothing.
RESETTERS = OURS | {
    "729827e3-9c14-49f7-bb1b-9608f156bbb8",  # Helpdesk Administrator
    "966707d0-3269-4727-9be2-8c3a10f19b9d",  # Password Administrator
    "62e90394-69f5-4237-9190-012177145e10",  # Global Administrator
}
# Path below a user, the application permission, what is lost without it.
OF_USER = (
    (ROLES, "RoleManagement.Read.Directory", ("lookup", "set_password")),
    ("oauth2PermissionGrants", "DelegatedPermissionGrant.ReadWrite.All", ("revoke_grants",)),
)
METHODS_OF_USER = (
    ("authentication/methods", "UserAuthenticationMethod.Read.All", ("reset_factor",)),
    ("authentication/temporaryAccessPassMethods", "UserAuthMethod-TAP.ReadWrite.All", ("temporary_pass",)),
)


class Checking:
    """Args: as in the connector; `app` is Keyback's own."""

    def __init__(
        self,
        options: Dynamics365Options,
        app: App,
        graph: Api,
        dataverse: Api,
        elevation: Elevation | None,
        now: Callable[[], int],
    ) -> None:
        self._o, self._app, self._graph, self._dataverse = options, app, graph, dataverse
        self._elevation, self._now = elevation, now

    async def lines(self, people: People, sample: str | None) -> list[CheckLine]:
        lines: list[CheckLine] = []
        try:
            await self._graph.token.get()
        except Unavailable as e:
            return [*self._clock(), unreachable(e, SIGNS_IN, "url, login_url or graph_url")]
        lines += [CheckLine("reach", "ok", "Entra answers"), *self._clock()]
        lines += [CheckLine("sign_in", "ok", "the app signs in"), *self._certificate()]
        lines.append(await self._crm())
        lines += await self._permissions()
        lines.append(await self._role())
        if sample:
            try:
                lines.append(sample_line(await people.find(sample)))
            except Unavailable as e:
                lines.append(CheckLine("read", "bad", f"{e.code}: {e}"))
        return lines

    def _clock(self) -> list[CheckLine]:
        ahead = self._app.ahead
        if ahead is None or abs(ahead) <= MINUTE:
            return []
        words = f"this machine's clock differs from Microsoft's by {abs(ahead) // 1000} s"
        return [CheckLine("clock", "bad", words, advice="Set the clock; assertions are refused otherwise.")]

    def _certificate(self) -> list[CheckLine]:
        if self._app.certificate is None:
            advice = "Prefer a certificate: private_key_file and certificate_file. A client secret can be copied."
            return [CheckLine("sign_in", "ok", "by a client secret", advice=advice)]
        left = self._app.certificate.ends_at - self._now()
        if left > SOON:
            return []
        words = f"the certificate ends in {left // DAY} days" if left > 0 else "the certificate has ended"
        return [CheckLine("sign_in", "warn", words, advice="Upload a new certificate and change certificate_file.")]

    async def _crm(self) -> CheckLine:
        try:
            await self._dataverse.call("GET", "WhoAmI")
            users = await self._dataverse.rows("systemusers", {"$select": "systemuserid", "$top": "1"})
            for user in users:
                at = f"systemusers({text_of(user, 'systemuserid')})/{CRM_ROLES}"
                await self._dataverse.rows(at, {"$select": "_roletemplateid_value"})
        except Unavailable as e:
            advice = "Add the app as an application user of the environment. Its role reads users and security roles."
            return CheckLine("permission", "bad", f"Dataverse: {e.code}: {e}", ("lookup", "list", "status"), advice)
        return CheckLine("permission", "ok", "Dataverse can be read")

    async def _permissions(self) -> list[CheckLine]:
        try:
            users = await self._graph.rows("users", {"$select": "id,userPrincipalName", "$top": "1"})
        except Unavailable as e:
            return [self._missing("users", e, "User.Read.All", ("lookup", "list", "set_password"), bad=True)]
        lines = [CheckLine("permission", "ok", "users can be read")]
        for user in users:
            needs = [*OF_USER, *(METHODS_OF_USER if self._o.hosts.methods else ())]
            for path, permission, costs in needs:
                lines.append(await self._may(f"users/{text_of(user, 'id')}/{path}", permission, costs))
            domain = text_of(user, "userPrincipalName").partition("@")[2]
            if domain:
                lines.append(await self._may(f"domains/{domain}", "Domain.Read.All", ("status",)))
        lines.append(await self._sign_ins())
        return lines

    async def _may(self, path: str, permission: str, costs: tuple[str, ...]) -> CheckLine:
        what = path.rpartition("/")[2].removeprefix("microsoft.graph.") if "users/" in path else "domains"
        try:
            await self._graph.call("GET", path)
        except Unavailable as e:
            if e.code != "not_found":
                return self._missing(what, e, permission, costs)
        return CheckLine("permission", "ok", f"{what} can be read")

    async def _sign_ins(self) -> CheckLine:
        try:
            await self._graph.rows("auditLogs/signIns", {"$top": "1"})
        except Unavailable as e:
            if e.code == "quota_missing":
                advice = "Sign-ins need Entra ID P1 or P2 in the tenant. All else works without."
                return CheckLine("quota", "warn", "the tenant isn't licensed for sign-ins", ("activity",), advice)
            return self._missing("signIns", e, "AuditLog.Read.All", ("activity",))
        return CheckLine("permission", "ok", "signIns can be read")

    async def _role(self) -> CheckLine:
        """Whether passwords may be set, as far as reading tells."""
        costs = ("set_password", "must_change")
        if self._o.principal_id is None:
            advice = "Set principal_id, so that the app's directory role can be looked at."
            return CheckLine("permission", "warn", "the app's directory role is not known", (), advice)
        if self._elevation:
            try:
                left = await self._elevation.standing(RESETTERS)
            except Unavailable as e:
                return self._missing("elevator: roleAssignments", e, "RoleManagement.ReadWrite.Directory", costs)
            if left:
                advice = "One that a crash left is taken at the next look-up. Take one that was given by hand."
                return CheckLine("permission", "warn", "the app has a standing directory role", (), advice)
            return CheckLine("permission", "ok", "the elevator can read directory roles, and the app has none")
        try:
            rows = await self._graph.rows(ASSIGNMENTS, {"$filter": f"principalId eq '{self._o.principal_id}'"})
        except Unavailable as e:
            return self._missing("roleAssignments", e, "RoleManagement.Read.Directory", costs)
        if {text_of(r, "roleDefinitionId") for r in rows} & RESETTERS:
            return CheckLine("permission", "ok", "the app has a directory role that sets passwords")
        advice = "Assign User Administrator to the app, or configure an elevator."
        return CheckLine("permission", "warn", "the app has no directory role that sets passwords", costs, advice)

    @staticmethod
    def _missing(what: str, e: Unavailable, permission: str, costs: tuple[str, ...], *, bad: bool = False) -> CheckLine:
        advice = f"Give the app the application permission {permission}, with admin consent."
        return CheckLine("permission", "bad" if bad else "warn", f"{what} can't be read ({e.code})", costs, advice)
