"""HTTP for connectors and channels: one address, bounded in time and size, faults told apart by what they may do.

Every fault is an `Unavailable` that never holds a URL's query, a body, a header or a secret (ASVS 5.0 16.2.5).
"""

from __future__ import annotations

import asyncio
import ipaddress
import json as jsonlib
import logging
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
from pydantic import ConfigDict, Field, SecretStr

from keyback.application.tracing import span
from keyback.domain.secret import Secret
from keyback.outbound.breaker import Breaker
from keyback.outbound.replies import (
    MAX_REPLY,
    MaybeDone,
    NotDone,
    OutboundRefusal,
    Reply,
    unpacked,
    vendor_text,
    without_credentials,
)
from keyback.settings_values import Checked

__all__ = [
    "MAX_REPLY", "Endpoint", "HttpOptions", "MaybeDone", "NotDone", "OutboundRefusal", "Reply", "is_loopback",
    "new_client", "vendor_text", "why_not",
]  # fmt: skip

CONNECTIONS = 20
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
SLOW = (httpx2.TimeoutException, TimeoutError)
CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "no such host name"),
    (ssl.SSLCertVerificationError, "its certificate isn't trusted"),
    (ssl.SSLError, "it doesn't speak TLS as this machine does"),
    (ConnectionRefusedError, "connection refused"),
    (httpx2.ConnectTimeout, "no answer in time"),
)


def _without_query(record: logging.LogRecord) -> bool:
    """The client's own log line of a call, less the query: some services want tokens there."""
    if isinstance(record.args, tuple):
        record.args = tuple(a.copy_with(query=None) if isinstance(a, httpx2.URL) else a for a in record.args)
    return True


logging.getLogger("httpx2").addFilter(_without_query)


@cache
def _usual_authorities() -> ssl.SSLContext:
    """One for all clients: reading the authorities takes 25 ms and 0.8 MiB."""
    return httpx2.create_ssl_context(trust_env=False)


def new_client(ca_file: Path | None = None) -> httpx2.AsyncClient:
    """A client for `Endpoint`: no redirects, no proxy or credentials from the environment, few idle connections.

    It keeps no cookies: those of a person's sign-in, tried to see whether a password works, would sign our next call in
    as that person.

    Args:
        ca_file: PEM file of the company's own certificate authority; without it the usual ones count.
    """
    verify = ssl.create_default_context(cafile=str(ca_file)) if ca_file else _usual_authorities()
    limits = httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=4, keepalive_expiry=5)
    client = httpx2.AsyncClient(verify=verify, follow_redirects=False, trust_env=False, limits=limits)
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
    return client


class HttpOptions(Checked):
    """Keys that everything takes in its section of `keyback.toml` that is reached by HTTP; others are errors.

    Values never show in error messages, since one of them is the secret. `timeout_s` is seconds for one call.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str
    secret: SecretStr | None = None
    secret_file: Path | None = None
    ca_file: Path | None = None
    timeout_s: float = Field(20.0, gt=0, le=120)

    def read_secret(self) -> Secret:
        """Raises `ValueError` when there is none, `OSError` when the file cannot be read."""
        text = self.secret.get_secret_value() if self.secret else ""
        if self.secret_file:
            text = self.secret_file.read_text(encoding="utf-8").strip("\r\n")
        if not text:
            raise ValueError("it needs secret_file or secret, and that must not be empty")
        return Secret(text)


def why_not(e: BaseException) -> str:
    """Why no connection came about, in words for an administrator and without addresses."""
    seen: BaseException | None = e
    while seen is not None:
        for kind, words in CAUSES:
            if isinstance(seen, kind):
                return words
        seen = seen.__cause__ or seen.__context__
    return type(e).__name__


class Endpoint:
    """One system's HTTP address: no other host or port is ever called (egress allow-list).

    Args:
        base_url: `https://…`, or `http://` on this machine; a path is kept as prefix.
        client: shared client of `new_client`; without one the endpoint makes and closes its own.
        ca_file: for its own client, see `new_client`.
        timeout: seconds for one call from first to last byte; connecting may take half of it.
        clock: monotonic seconds, for the breaker.

    Raises `ValueError` for an address that is not usable or not safe.
    """

    def __init__(
        self,
        base_url: str,
        client: httpx2.AsyncClient | None = None,
        *,
        ca_file: Path | None = None,
        timeout: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        url = httpx2.URL(base_url)
        if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
            raise ValueError("the url is http(s)://host[:port][/path] without user, query or fragment")
        if url.scheme == "http" and not is_loopback(url.host):
            raise ValueError("the url must be https:// unless it leads to this machine")
        self._base = url
        self._client = client or new_client(ca_file)
        self._owned = client is None
        self._timeout = timeout
        self._limits = httpx2.Timeout(timeout, connect=timeout / 2, pool=timeout / 2)
        self.breaker = Breaker(clock)

    @property
    def host(self) -> str:
        """Host, and port unless it is the usual one: what the header says, for signatures that cover it."""
        return self._base.netloc.decode("ascii")

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, Secret] | None = None,
        repeatable: bool = False,
        as_is: bool = False,
    ) -> Reply:
        """One request under the base address.

        Args:
            path: without leading slash; must stay on the address; empty for the address itself.
            json, form, content: the body, one of them at most; `content` is JSON that is already bytes, since its
                signature goes along.
            query: never shown in faults or logs.
            headers: such as Authorization, wrapped so that no traceback shows them.
            repeatable: the call only reads, so one that found a stale connection is sent again, once.
            as_is: redirects and 5xx are returned too, for a caller that knows what they mean.

        Raises `NotDone` or `MaybeDone`; answers 400 to 499 are returned, redirects and 5xx are faults.
        """
        url = self._url(path)
        if query:
            url = url.copy_merge_params(query)
        self._pass_breaker()
        kind = "application/json"
        # Encoded here and in ASCII: the library's own encoding error would carry the body along.
        if json is not None:
            content = jsonlib.dumps(json).encode("ascii")
        elif form is not None:
            content, kind = urlencode(form).encode("ascii"), "application/x-www-form-urlencoded"
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": kind}
        theirs = {name.lower() for name in headers or {}}
        sent = {name: value for name, value in sent.items() if name.lower() not in theirs}
        sent |= {name: value.reveal() for name, value in (headers or {}).items()}
        for last in (False, True) if repeatable else (True,):
            with span("keyback.http") as traced:
                traced.set("http.request.method", method)
                traced.set("server.address", self._base.host)
                reply, failure = await self._once(method, url, content or b"", sent, tuple((headers or {}).values()))
                traced.set("http.response.status_code", reply.status if reply else 0)
            if reply is not None:
                return reply if as_is else self._judge(reply)
            if isinstance(failure, NotDone):
                self.breaker.missed()
            elif failure and failure.cut and not last:
                continue
            break
        # Raised here, not where it was caught: the library's error would ride along as context and holds the request.
        raise failure or MaybeDone("unavailable")

    async def close(self) -> None:
        if self._owned:
            await self._client.aclose()

    def _url(self, path: str) -> httpx2.URL:
        url = self._base.copy_with(path=self._base.path.rstrip("/") + "/" + path) if path else self._base
        if (url.scheme, url.host, url.port) != (self._base.scheme, self._base.host, self._base.port) or ".." in path:
            raise ValueError("no other address may be called")
        return url

    def _pass_breaker(self) -> None:
        if wait := self.breaker.wait_ms():
            raise NotDone("unavailable", "not reachable a moment ago, waiting before the next try", wait)

    async def _once(
        self,
        method: str,
        url: httpx2.URL,
        content: bytes,
        headers: Mapping[str, str],
        credentials: Sequence[Secret],
    ) -> tuple[Reply | None, NotDone | MaybeDone | None]:
        """The reply, or the fault as a value."""
        body = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream(
                    method, url, content=content, headers=headers, timeout=self._limits, follow_redirects=False
                ) as r,
            ):
                self.breaker.reached()
                packed = r.headers.get("content-encoding", "").strip().lower()
                # The library would unpack a piece of it to any length.
                pieces = r.aiter_bytes(65536) if packed in {"", "identity"} else r.aiter_raw(65536)
                async for chunk in pieces:
                    body += chunk
                    if len(body) > MAX_REPLY:
                        return None, MaybeDone("unavailable", "the answer is too long")
                if packed not in {"", "identity"}:
                    plain = unpacked(body, packed)
                    if plain is None or len(plain) > MAX_REPLY:
                        return None, MaybeDone("unavailable", "the answer is too long, or cannot be unpacked")
                    body = plain
                if r.status_code >= 400:
                    body = without_credentials(body, credentials)
                return Reply(r.status_code, bytes(body), {k.lower(): v for k, v in r.headers.items()}), None
        except NEVER_SENT as e:
            return None, NotDone("unavailable", f"not reachable ({why_not(e)})")
        except (httpx2.HTTPError, TimeoutError) as e:
            return None, MaybeDone("unavailable", f"no answer ({type(e).__name__})", cut=not isinstance(e, SLOW))

    def _judge(self, reply: Reply) -> Reply:
        if reply.status in {501, 503} or 300 <= reply.status < 400:
            raise NotDone("unavailable", f"HTTP {reply.status}", reply.retry_after_ms(0), reply.status)
        if reply.status >= 500:
            raise MaybeDone("unavailable", f"HTTP {reply.status}")
        return reply


def is_loopback(host: str) -> bool:
    """Whether this host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
