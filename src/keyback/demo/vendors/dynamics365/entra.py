"""Entra's token endpoint for applications, its clouds, and directory roles with the time that they take to spread."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from keyback.demo.vendors.keys import public_key, unchecked_claims

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIVES_MS = 3_599_000
USER_ADMIN = "fe930be7-5e62-47db-91af-98c3a49a38b1"
HELPDESK_ADMIN = "729827e3-9c14-49f7-bb1b-9608f156bbb8"
PASSWORD_ADMIN = "966707d0-3269-4727-9be2-8c3a10f19b9d"  # noqa: S105
AUTH_ADMIN = "c4e39bd9-1100-46d3-8c65-fb160da0071f"
PRIVILEGED_AUTH_ADMIN = "7be44c8a-adaf-4e2a-84d6-ab2649e08a13"
GLOBAL_ADMIN = "62e90394-69f5-4237-9190-012177145e10"
ROLE_NAMES = {
    USER_ADMIN: "User Administrator",
    HELPDESK_ADMIN: "Helpdesk Administrator",
    PASSWORD_ADMIN: "Password Administrator",
    AUTH_ADMIN: "Authentication Administrator",
    PRIVILEGED_AUTH_ADMIN: "Privileged Authentication Administrator",
    GLOBAL_ADMIN: "Global Administrator",
}
RESETS = frozenset({USER_ADMIN, HELPDESK_ADMIN, PASSWORD_ADMIN, PRIVILEGED_AUTH_ADMIN, GLOBAL_ADMIN})
RESETS_ADMINS = frozenset({PRIVILEGED_AUTH_ADMIN, GLOBAL_ADMIN})


@dataclass(frozen=True, slots=True)
class Cloud:
    """Hosts of one of Microsoft's clouds, and what it lacks."""

    login: str
    graph: str
    dataverse: str
    methods: bool = True


CLOUDS: Mapping[str, Cloud] = {
    "global": Cloud("https://login.microsoftonline.com", "https://graph.microsoft.com", ".crm.dynamics.com"),
    "21vianet": Cloud(
        "https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn", ".crm.dynamics.cn", False
    ),
}


class Denied(Exception):
    """`error`, the AADSTS number and its text."""

    def __init__(self, status: int, error: str, number: int, text: str) -> None:
        super().__init__(text)
        self.status, self.error, self.number, self.text = status, error, number, f"AADSTS{number}: {text}"

    def body(self, now: int) -> dict[str, Any]:
        at = datetime.fromtimestamp(now / 1000, UTC)
        return {
            "error": self.error,
            "error_description": self.text,
            "error_codes": [self.number],
            "timestamp": f"{at:%Y-%m-%d %H:%M:%SZ}",
            "trace_id": str(uuid.uuid4()),
            "correlation_id": str(uuid.uuid4()),
        }


@dataclass(slots=True)
class EntraApp:
    """An application registration with its service principal.

    Args:
        client_id: of the application; `principal` is the object id of its service principal.
        certificate: public key in PEM, or a certificate, that its assertions are signed for.
        permissions: application permissions of Graph with admin consent.
        dataverse: is an application user there; `dataverse_writes` may disable people.
    """

    client_id: str
    principal: str
    certificate: str = ""
    secret: str = ""
    permissions: set[str] = field(default_factory=set)
    dataverse: bool = False
    dataverse_writes: bool = False


@dataclass(slots=True)
class Assignment:
    """A directory role of a principal. It counts, or is gone, once it was looked at `looks` times."""

    id: str
    principal: str
    role: str
    looks: int = 0
    gone: bool = False


class Roles:
    """Who has which directory role. `lag` is how often it has to be looked at until a change has spread."""

    def __init__(self) -> None:
        self.lag = 0
        self.all: list[Assignment] = []

    def assign(self, principal: str, role: str, *, at_once: bool = False) -> Assignment:
        new = Assignment(secrets.token_urlsafe(32), principal, role, 0 if at_once else self.lag)
        self.all.append(new)
        return new

    def remove(self, id: str) -> Assignment | None:
        found = next((a for a in self.all if a.id == id and not a.gone), None)
        if found:
            found.gone, found.looks = True, self.lag
        return found

    def of(self, principal: str) -> set[str]:
        """Roles in effect; looking is what makes time pass."""
        return {a.role for a in self.listed(principal)}

    def listed(self, principal: str) -> list[Assignment]:
        out = []
        for a in [a for a in self.all if a.principal == principal]:
            new, a.looks = a.looks > 0, max(0, a.looks - 1)
            if a.gone and not new:
                self.all.remove(a)
            elif a.gone or not new:
                out.append(a)
        return out


@dataclass(frozen=True, slots=True)
class Token:
    app: EntraApp
    audience: Literal["graph", "dataverse", "both"]
    until: int


class Tokens:
    """Access tokens that were given out."""

    def __init__(self, tenant: str, apps: Mapping[str, EntraApp], cloud: Cloud) -> None:
        self._tenant, self._apps, self._cloud = tenant, apps, cloud
        self._given: dict[str, Token] = {}

    def app_of(self, token: str, audience: str, now: int) -> EntraApp | None:
        given = self._given.get(token)
        good = given is not None and now < given.until and given.audience in (audience, "both")
        return given.app if given and good else None

    def expire(self) -> None:
        """Ends every access token at once."""
        self._given.clear()

    def give(self, tenant: str, form: Mapping[str, str], base: str, now: int) -> str:
        """An access token for a request to `base`. Raises `Denied` with Entra's words."""
        if tenant != self._tenant:
            raise Denied(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
        if form.get("grant_type") != "client_credentials":
            raise Denied(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        app = self._apps.get(form.get("client_id", ""))
        if app is None:
            raise Denied(400, "unauthorized_client", 700016, "Application was not found in the directory.")
        self._check(app, form, base, now)
        audience = self._audience(form.get("scope", ""), base)
        token = f"eyJ0.{secrets.token_urlsafe(60)}"
        self._given[token] = Token(app, audience, now + LIVES_MS)
        return token

    def _audience(self, scope: str, base: str) -> Literal["graph", "dataverse", "both"]:
        host, _, rest = scope.rpartition("/.default")
        if rest or not host:
            raise Denied(400, "invalid_scope", 1002012, "The provided value for scope is not valid.")
        host = host.rstrip("/")
        if host == base:
            return "both"  # Graph and Dataverse are behind one address here
        if host == self._cloud.graph:
            return "graph"
        if host.startswith("https://") and host.endswith(self._cloud.dataverse):
            return "dataverse"
        raise Denied(400, "invalid_resource", 500011, f"The resource principal named {host} was not found.")

    def _check(self, app: EntraApp, form: Mapping[str, str], base: str, now: int) -> None:
        if "client_assertion" not in form:
            given = form.get("client_secret", "")
            if not app.secret or not secrets.compare_digest(app.secret.encode(), given.encode()):
                raise Denied(401, "invalid_client", 7000215, "Invalid client secret provided.")
            return
        assertion = form["client_assertion"]
        failed = Denied(401, "invalid_client", 700027, "Client assertion failed signature validation.")
        if form.get("client_assertion_type") != ASSERTION:
            raise Denied(400, "invalid_request", 900144, "The request body must contain client_assertion_type.")
        claims = unchecked_claims(assertion)
        try:
            key = RSAKey.import_key(public_key(app.certificate))
            jwt.decode(assertion, key, algorithms=["RS256", "PS256"])
            header = jws.extract_compact(assertion.encode()).headers()
        except (JoseError, ValueError):
            raise failed from None
        if not {"x5t", "x5t#S256"} & set(header):
            raise failed
        places = {f"{host}/{self._tenant}/oauth2/v2.0/token" for host in (self._cloud.login, base)}
        if claims.get("aud") not in places:
            raise Denied(401, "invalid_client", 700023, "Client assertion audience claim does not match Realm issuer.")
        if not claims.get("iss") == claims.get("sub") == app.client_id:
            raise Denied(401, "invalid_client", 700021, "Client assertion application identifier doesn't match.")
        start, end = claims.get("nbf", 0), claims.get("exp", 0)
        if not (isinstance(start, int) and isinstance(end, int) and start - 300 <= now // 1000 < end):
            raise Denied(401, "invalid_client", 700024, "Client assertion is not within its valid time range.")
