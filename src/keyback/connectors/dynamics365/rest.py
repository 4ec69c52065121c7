"""Entra's token endpoint, and Graph and Dataverse as JSON: signing in, pages, what errors mean. Nothing of recovery."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2

from keyback.connectors.dynamics365.options import Dynamics365Options, ElevatorOptions
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, MaybeDone, NotDone, OutboundRefusal, Reply, vendor_text
from keyback.outbound.oauth import AccessToken, read_certificate, read_private_key, signed_assertion

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
NOTHING = Secret("")
EVENTUAL = {"ConsistencyLevel": Secret("eventual")}
PREMIUM = "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
CODES = {
    "Request_ResourceNotFound": "not_found",
    "ResourceNotFound": "not_found",
    "resourceNotFound": "not_found",
    "0x80040217": "not_found",
    PREMIUM: "quota_missing",
    "InvalidAuthenticationToken": "auth_expired",
}
SYNCED = "on-premises mastered"
STALE = frozenset({"syncStateNotFound", "syncStateInvalid", "resyncRequired"})
MAX_PAGES = 2000
Row = Mapping[str, Any]


class StaleMark(OutboundRefusal):
    """A delta token that the service has forgotten, as it does after seven days: everybody has to be read again."""


class App:
    """One app registration at Entra's token endpoint.

    Args:
        now: milliseconds since 1970.

    Raises `ValueError` for a key, certificate or secret that can't be used, `OSError` for a file that can't be read.
    """

    def __init__(
        self,
        o: Dynamics365Options | ElevatorOptions,
        login: Endpoint,
        address: str,
        tenant: str,
        now: Callable[[], int],
    ) -> None:
        self._login, self._path, self.now = login, f"{tenant}/oauth2/v2.0/token", now
        self._audience = f"{address}/{self._path}"
        self._client_id = o.client_id
        self._key = read_private_key(o.private_key_file) if o.private_key_file else None
        self.certificate = read_certificate(o.certificate_file, self._key) if self._key and o.certificate_file else None
        self._secret = NOTHING if self._key else o.read_secret()
        self.ahead: int | None = None  # how far Microsoft's clock is ahead of ours, ms

    def token_for(self, resource: str) -> AccessToken:
        """Tokens for what is behind this address."""

        async def fetch() -> tuple[Secret, float]:
            return await self._fetch(f"{resource}/.default")

        return AccessToken(fetch)

    async def _fetch(self, scope: str) -> tuple[Secret, float]:
        form = {"grant_type": "client_credentials", "client_id": self._client_id, "scope": scope}
        shown = self._secret
        if self._key and self.certificate:
            claims = {"aud": self._audience, "iss": self._client_id, "sub": self._client_id}
            shown = signed_assertion(
                self._key,
                claims,
                algorithm="PS256",
                header={"x5t#S256": self.certificate.thumbprint},
                now=lambda: self.now() / 1000,
            )
            form |= {"client_assertion_type": ASSERTION, "client_assertion": shown.reveal()}
        else:
            form["client_secret"] = self._secret.reveal()
        reply = await self._login.call("POST", self._path, form=form, repeatable=True)
        self.ahead = reply.clock_ahead_ms(self.now())
        answer = reply.json()
        token, lives = answer.get("access_token"), answer.get("expires_in")
        if reply.status == 200 and isinstance(token, str) and token:
            return Secret(token), float(lives) if isinstance(lives, int) else 3599.0
        if reply.status == 429 or answer.get("error") == "temporarily_unavailable":
            raise NotDone("unavailable", "too many calls", reply.retry_after_ms(10_000))
        # What follows the sentence are ids of the call for Microsoft's support.
        said = str(answer.get("error_description") or answer.get("error") or f"HTTP {reply.status}")
        said = said.replace("\r\n", " Trace ID").partition(" Trace ID")[0]
        raise NotDone("auth_expired", vendor_text(f"sign-in of the app: {said}", shown))


class Api:
    """One of the two services.

    Args:
        prefix: path that all calls begin with, such as `v1.0`.
    """

    def __init__(self, http: Endpoint, address: str, prefix: str, app: App) -> None:
        self.http, self._address, self._prefix, self._app = http, address.rstrip("/"), prefix, app
        self.token = app.token_for(self._address)

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, Secret] | None = None,
        hide: Secret = NOTHING,
    ) -> Any:
        """An answer's JSON, None for no content. With a refused token once more, with a new one.

        Args:
            path: below the prefix.
            hide: cut out of the service's text, should it repeat it.

        Raises `OutboundRefusal` for what the service refuses, `NotDone` or `MaybeDone` for faults.
        """
        for last in (False, True):
            token = await self.token.get()
            reply = await self.http.call(
                method,
                f"{self._prefix}/{path}",
                query=query,
                json=json,
                headers={"Authorization": Secret(f"Bearer {token.reveal()}"), **(headers or {})},
                repeatable=method == "GET",
            )
            if reply.status != 401 or last:
                break
            self.token.forget(token)
        return _value(reply, hide)

    async def rows(
        self, path: str, query: Mapping[str, str] | None = None, headers: Mapping[str, Secret] | None = None
    ) -> list[Row]:
        """All rows of a list that is short, or is cut by `$top`."""
        return _rows(await self.call("GET", path, query=query, headers=headers))

    async def pages(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, Secret] | None = None
    ) -> AsyncIterator[list[Row]]:
        """All rows of a list, page by page, as `@odata.nextLink` leads; it never leads to another host or list."""
        for _ in range(MAX_PAGES):
            answer = await self.call("GET", path, query=query, headers=headers)
            yield _rows(answer)
            link = answer.get("@odata.nextLink")
            if link is None:
                return
            if not str(link).startswith(f"{self._address}/{self._prefix}/{path}?"):
                raise NotDone("unavailable", "unexpected answer: the next page is elsewhere")
            query = parameters(str(link))
        raise NotDone("unavailable", "unexpected answer: pages without end")


def endpoints(o: Dynamics365Options, client: httpx2.AsyncClient | None) -> tuple[Endpoint, Endpoint, Endpoint]:
    """Token endpoint, Graph and Dataverse; no other address is ever called."""
    login, graph, dataverse = (
        Endpoint(u, client, ca_file=o.ca_file, timeout=o.timeout_s) for u in (o.hosts.login, o.hosts.graph, o.url)
    )
    return login, graph, dataverse


def _rows(answer: Any) -> list[Row]:
    rows = answer.get("value") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        raise NotDone("unavailable", "unexpected answer")
    return rows


def _value(reply: Reply, hide: Secret) -> Any:
    """The JSON of an answer. Raises what its error means."""
    if reply.status == 204:
        return None
    reply.refuse_throttled()
    if reply.status == 401:
        raise OutboundRefusal("auth_expired", "the access token is refused")
    body = reply.any_json()
    if not isinstance(body, dict):
        raise MaybeDone("unavailable", f"the answer is not Microsoft's (HTTP {reply.status})")
    if reply.status < 300:
        return body
    error = body.get("error")
    if not isinstance(error, dict) or not error.get("code"):
        raise MaybeDone("unavailable", f"the answer is not Microsoft's (HTTP {reply.status})")
    kind, text = str(error["code"]), vendor_text(error.get("message", ""), hide)
    if reply.status == 410 or kind in STALE:
        raise StaleMark("not_found", text)
    raise OutboundRefusal(_meaning(reply.status, kind, text.lower()), text)


def _meaning(status: int, kind: str, text: str) -> str:
    """Our code for an error. Texts vary and are not documented: they tell a policy from other bad requests alone."""
    if SYNCED in text:
        return "synced_elsewhere"
    if status == 400 and "password" in text:
        return "policy_rejected"
    return CODES.get(kind) or ("not_found" if status == 404 else "not_permitted")


def parameters(link: str) -> dict[str, str]:
    """The parameters of a link that the service gave."""
    return dict(parse_qsl(urlsplit(link).query))


def quoted(text: str) -> str:
    """An OData string: nothing in it can end it."""
    return "'" + text.replace("'", "''") + "'"


def text_of(row: Row, key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def instant(value: object) -> int | None:
    """Milliseconds since 1970 of `2026-11-01T08:00:00Z`, with or without a fraction."""
    try:
        return int(datetime.fromisoformat(str(value)).timestamp() * 1000)
    except ValueError:
        return None
