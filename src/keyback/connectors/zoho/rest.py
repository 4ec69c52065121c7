"""Zoho's three hosts as JSON: signing in with a refresh token, calls, what errors mean. Nothing of recovery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2

from keyback.connectors.zoho.options import ZohoOptions
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, MaybeDone, NotDone, OutboundRefusal, Reply, vendor_text
from keyback.outbound.oauth import AccessToken

NOTHING = Secret("")
CODES = {
    "INVALID_TOKEN": "auth_expired",
    "OAUTH_SCOPE_MISMATCH": "not_permitted",
    "NO_PERMISSION": "not_permitted",
    "INVALID_DATA": "not_found",
}


class Rest:
    """Calls as one client.

    Raises `ValueError` or `OSError` for secrets and addresses that can't be used.
    """

    def __init__(self, o: ZohoOptions, client: httpx2.AsyncClient | None) -> None:
        self._accounts, self._crm, self._mail = (
            Endpoint(url, client, ca_file=o.ca_file, timeout=o.timeout_s) for url in o.hosts()
        )
        self.breaker = self._crm.breaker
        self._form = {"grant_type": "refresh_token", "client_id": o.client_id}
        self._secret, self._refresh = o.read_secret(), o.read_refresh_token()
        self.token = AccessToken(self._sign_in)

    async def crm(self, method: str, path: str, *, query: Mapping[str, str] | None = None, since: str = "") -> Any:
        """An answer of the CRM; None for no content, and where nothing changed since an instant in ISO 8601."""
        more = {"If-Modified-Since": Secret(since)} if since else {}
        try:
            return await self._call(self._crm, method, path, query=query, headers=more)
        except NotDone as e:
            if since and e.status == 304:
                return None
            raise

    async def mail(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        hide: Secret = NOTHING,
    ) -> Any:
        """An answer of Zoho Mail's organization API. `hide` is cut out of its words."""
        return await self._call(self._mail, method, path, query=query, json=json, hide=hide)

    async def close(self) -> None:
        for endpoint in (self._accounts, self._crm, self._mail):
            await endpoint.close()

    async def _call(
        self,
        at: Endpoint,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, Secret] | None = None,
        hide: Secret = NOTHING,
    ) -> Any:
        """An answer's JSON, None for no content. With a refused token once more, with a new one."""
        for last in (False, True):
            token = await self.token.get()
            sent = {"Authorization": Secret(f"Zoho-oauthtoken {token.reveal()}"), **(headers or {})}
            reply = await at.call(method, path, query=query, json=json, headers=sent, repeatable=method == "GET")
            body = reply.any_json() if reply.status == 401 else None
            if last or not isinstance(body, dict) or body.get("code") != "INVALID_TOKEN":
                break
            self.token.forget(token)
        return _value(reply, hide)

    async def _sign_in(self) -> tuple[Secret, float]:
        secrets = {"client_secret": self._secret.reveal(), "refresh_token": self._refresh.reveal()}
        reply = await self._accounts.call("POST", "oauth/v2/token", form={**self._form, **secrets}, repeatable=True)
        reply.refuse_throttled(30_000)
        answer = reply.json()
        token, domain = answer.get("access_token"), str(answer.get("api_domain") or "")
        if not isinstance(token, str) or not token:  # refused with status 200
            said = vendor_text(answer.get("error") or f"HTTP {reply.status}", self._secret, self._refresh)
            raise NotDone("auth_expired", f"sign-in of the client: {said}")
        if domain and urlsplit(domain).netloc != self._crm.host:
            said = f"the client is of another data center, {vendor_text(domain)}; set data_center"
            raise NotDone("not_permitted", said)
        lifetime = answer.get("expires_in")
        return Secret(token), float(lifetime) if isinstance(lifetime, int) and 0 < lifetime <= 86_400 else 3600.0


def _value(reply: Reply, hide: Secret) -> Any:
    """The JSON of an answer. Raises what its error means, also where it comes with status 200."""
    if reply.status == 204:
        return None
    body = reply.any_json()
    if not isinstance(body, dict):
        raise MaybeDone("unavailable", f"the answer is not a JSON object (HTTP {reply.status})")
    mail = body.get("status")
    if (
        reply.status < 300
        and body.get("status") != "error"
        and not (isinstance(mail, dict) and mail.get("code") != 200)
    ):
        return body
    if reply.status == 429 or body.get("code") == "TOO_MANY_REQUESTS":
        raise NotDone("unavailable", "too many calls", reply.retry_after_ms(30_000))
    if isinstance(mail, dict):
        found = body.get("data")
        data = found if isinstance(found, dict) else {}
        said = " ".join(str(x) for x in (data.get("errorCode"), data.get("moreInfo"), mail.get("description")) if x)
        code = "policy_rejected" if "password" in said.lower() and reply.status == 400 else "not_permitted"
        raise OutboundRefusal("not_found" if reply.status == 404 else code, vendor_text(said, hide))
    raise OutboundRefusal(CODES.get(str(body.get("code")), "not_permitted"), vendor_text(body.get("message", ""), hide))
