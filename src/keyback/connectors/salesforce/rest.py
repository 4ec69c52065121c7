"""Salesforce's REST API: signing in, queries, and what its errors mean. Nothing of recovery."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2

from keyback.connectors.salesforce.options import SalesforceOptions
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, MaybeDone, NotDone, OutboundRefusal, Reply, vendor_text
from keyback.outbound.oauth import AccessToken, read_private_key, signed_assertion

TOKEN_SECONDS = 1800.0  # Salesforce doesn't say how long a token lives; a refused one is fetched again
NOTHING = Secret("")
CODES = {
    "INVALID_NEW_PASSWORD": "policy_rejected",
    "INSUFFICIENT_ACCESS": "not_permitted",
    "INSUFFICIENT_ACCESS_OR_READONLY": "not_permitted",
    "INVALID_SESSION_ID": "auth_expired",
    "NOT_FOUND": "not_found",
    "ENTITY_IS_DELETED": "not_found",
}
Row = Mapping[str, Any]


class Rest:
    """One org.

    Args:
        now: milliseconds since 1970.

    Raises `ValueError` for a key or an address that can't be used.
    """

    def __init__(
        self,
        options: SalesforceOptions,
        client: httpx2.AsyncClient | None = None,
        *,
        now: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        o = options
        self.now = now
        self.http = Endpoint(o.url, client, ca_file=o.ca_file, timeout=o.timeout_s)
        self.version = o.api_version
        self._client_id, self._username = o.client_id, o.username
        self._key = read_private_key(o.private_key_file) if o.private_key_file else None
        self._secret = None if self._key else o.read_secret()
        sandbox = ".sandbox." in (urlsplit(o.url).hostname or "")
        self._audience = o.audience or ("https://test.salesforce.com" if sandbox else "https://login.salesforce.com")
        self.token = AccessToken(self._sign_in)

    async def query(self, fields: str, table: str, where: str = "", *, order: str = "", limit: int = 2000) -> list[Row]:
        """Rows of one object, as many as fit one answer. Values in `where` come from `quoted`."""
        parts = (
            "SELECT",
            fields,
            "FROM",
            table,
            where and f"WHERE {where}",
            order and f"ORDER BY {order}",
            f"LIMIT {limit}",
        )
        answer = await self.call("GET", "query", query={"q": " ".join(p for p in parts if p)}, repeatable=True)
        rows = answer.get("records") if isinstance(answer, dict) else None
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise NotDone("unavailable", "unexpected answer")
        return rows

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        repeatable: bool = False,
        hide: Secret = NOTHING,
    ) -> Any:
        """An answer's JSON, None for no content. With a refused token once more, with a new one.

        Args:
            path: below the version.
            hide: cut out of Salesforce's text, should it repeat it.
        """
        for last in (False, True):
            token = await self.token.get()
            reply = await self.http.call(
                method,
                f"services/data/{self.version}/{path}",
                query=query,
                json=json,
                headers={"Authorization": Secret(f"Bearer {token.reveal()}")},
                repeatable=repeatable,
            )
            if reply.status != 401 or last:
                break
            self.token.forget(token)
        return _value(reply, hide)

    async def revoke(self, token: str) -> None:
        """Ends one OAuth token; one that ended meanwhile counts as ended."""
        reply = await self.http.call("POST", "services/oauth2/revoke", form={"token": token})
        if reply.status >= 400:
            answer = reply.json()
            if answer.get("error") != "invalid_token":
                raise OutboundRefusal("not_permitted", vendor_text(answer.get("error_description"), Secret(token)))

    async def _sign_in(self) -> tuple[Secret, float]:
        if self._key is not None:
            claims = {"iss": self._client_id, "sub": self._username or "", "aud": self._audience}
            shown = signed_assertion(self._key, claims, now=lambda: self.now() / 1000)
            form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": shown.reveal()}
        else:
            shown = self._secret or NOTHING
            form = {"grant_type": "client_credentials", "client_id": self._client_id, "client_secret": shown.reveal()}
        reply = await self.http.call("POST", "services/oauth2/token", form=form, repeatable=True)
        reply.refuse_throttled()
        answer = reply.json()
        token = answer.get("access_token")
        if reply.status == 200 and isinstance(token, str) and token:
            return Secret(token), TOKEN_SECONDS
        said = (
            " ".join(str(answer[k]) for k in ("error", "error_description") if answer.get(k)) or f"HTTP {reply.status}"
        )
        raise NotDone("auth_expired", vendor_text(f"sign-in of the app: {said}", shown))


def _value(reply: Reply, hide: Secret) -> Any:
    """The JSON of an answer. Raises what its error means; Salesforce's errors are a list."""
    if reply.status == 204:
        return None
    body = reply.any_json()
    if reply.status < 300:
        if body is None:
            raise MaybeDone("unavailable", f"the answer is not JSON (HTTP {reply.status})")
        return body
    first = body[0] if isinstance(body, list) and body and isinstance(body[0], dict) else {}
    kind, text = str(first.get("errorCode", "")), vendor_text(first.get("message", ""), hide)
    if kind == "REQUEST_LIMIT_EXCEEDED" or reply.status == 429:
        if "concurrent" in text.lower() or not kind:
            raise NotDone("unavailable", "too many calls at once", reply.retry_after_ms(10_000))
        raise NotDone("quota_missing", text)
    if reply.status == 410:
        raise OutboundRefusal("not_permitted", "this API version was retired; set api_version")
    if not kind:
        raise MaybeDone("unavailable", f"the answer is not Salesforce's (HTTP {reply.status})")
    raise OutboundRefusal(CODES.get(kind, "not_permitted"), text)


def quoted(text: str) -> str:
    """A SOQL string. Nothing in it can end it: backslash and quote are escaped, control characters left out."""
    plain = "".join(c for c in text if c.isprintable())
    return "'" + plain.replace("\\", "\\\\").replace("'", "\\'") + "'"


def text_of(row: Row, key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def instant(value: object) -> int | None:
    """Milliseconds since 1970 of `2026-11-01T08:00:00.000+0000`."""
    try:
        return int(datetime.strptime(str(value), "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() * 1000)
    except ValueError:
        return None
