"""Calls to a directory: ldap3 in threads, one address, bounded in time and size (see ADR 38).

ldap3 has had no release since 2021, so nothing outside this file imports it. A call opens a connection of its own and
closes it: recoveries are few, and a connection that is new is never a stale one, of which nobody knows what it did.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import ldap3
from ldap3.core.exceptions import LDAPExceptionError, LDAPInvalidFilterError, LDAPSocketOpenError, LDAPStartTLSError
from ldap3.operation.search import parse_filter

from keyback.connectors.directory.sockets import BoundedSocket, StrictTls
from keyback.domain.secret import Secret
from keyback.outbound.breaker import Breaker
from keyback.outbound.http import MaybeDone, NotDone, OutboundRefusal, vendor_text

PASSWORD_POLICY = "1.3.6.1.4.1.42.2.27.8.5.1"  # noqa: S105 - the control of draft-behera-ldap-password-policy
PAGE = 500
THREADS = 4
T = TypeVar("T")
Change = tuple[Literal["add", "delete", "replace"], Sequence[bytes]]
_KINDS = {"add": ldap3.MODIFY_ADD, "delete": ldap3.MODIFY_DELETE, "replace": ldap3.MODIFY_REPLACE}
_POLICY_ERRORS = (
    "expired", "locked", "must_change", "may_not_change", "old_password_needed", "weak", "too_short", "too_young",
    "used",
)  # fmt: skip
# Result codes of RFC 4511 A.1 in our codes. What is missing here is `not_permitted`.
_CODES = {
    8: "not_permitted", 13: "not_permitted", 19: "policy_rejected", 32: "not_found", 49: "auth_expired",
    50: "not_permitted", 53: "policy_rejected",
}  # fmt: skip
_LATER = {3, 51, 52}  # took too long, busy, unavailable: nothing was done


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """An entry of the directory; attribute names in lower case, values as bytes."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]

    def text(self, name: str) -> str | None:
        """The first value as text; None when there is none."""
        values = self.attributes.get(name.lower())
        return values[0].decode("utf-8", "replace") if values else None

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(v.decode("utf-8", "replace") for v in self.attributes.get(name.lower(), ()))

    def number(self, name: str) -> int | None:
        text = self.text(name)
        return int(text) if text and text.lstrip("-").isdecimal() and len(text) < 20 else None


@dataclass(frozen=True, slots=True)
class Bound:
    """What a try to sign in came to. `why` is a word of the password policy; `text` what the directory said."""

    ok: bool
    code: int
    why: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a directory is and how it is spoken to.

    Args:
        security: `tls` from the first byte, `starttls`, or `plain`.
        tls_name: the name its certificate has, when that is not `host`.
        ca_file: PEM file of the authorities to trust instead of the system's.
        timeout: seconds for one call from the first to the last byte; connecting may take half of it.
    """

    host: str
    port: int
    security: Literal["tls", "starttls", "plain"] = "tls"
    tls_name: str = ""
    ca_file: Path | None = None
    timeout: float = 20.0


class Directory:
    """One directory, as one service account. No other host is ever called: referrals are not followed.

    Raises `ValueError` or `OSError` for a CA file that cannot be used.
    """

    def __init__(self, address: Address, user: str, password: Secret) -> None:
        self._at, self._user, self._password = address, user, password
        self.breaker = Breaker()
        self._context = ssl.create_default_context(cafile=str(address.ca_file) if address.ca_file else None)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ldap")

    async def search(self, base: str, where: str, attributes: Sequence[str], limit: int = 20) -> list[Entry]:
        """Entries under `base` that fit the filter, at most `limit`; none when there is no such base."""
        return await self._call(lambda c: _search(c, base, where, attributes, ldap3.SUBTREE, limit), changes=False)

    async def read(self, dn: str, attributes: Sequence[str]) -> Entry | None:
        """One entry; the empty name is the directory's description of itself."""
        found = await self._call(lambda c: _search(c, dn, "(objectClass=*)", attributes, ldap3.BASE, 1), changes=False)
        return found[0] if found else None

    async def pages(self, base: str, where: str, attributes: Sequence[str]) -> AsyncIterator[list[Entry]]:
        """All entries that fit, a page at a time, over one connection."""
        connection: list[ldap3.Connection] = []
        cookie: bytes | None = None

        def page(c: ldap3.Connection) -> list[Entry]:
            nonlocal cookie
            c.socket.renew(self._at.timeout)
            found = _search(c, base, where, attributes, ldap3.SUBTREE, 0, page=PAGE, cookie=cookie)
            cookie = (
                ((c.result.get("controls") or {}).get("1.2.840.113556.1.4.319") or {}).get("value", {}).get("cookie")
            )
            return found

        try:
            yield await self._call(page, changes=False, keep=connection)
            while cookie:
                yield await self._call(page, changes=False, using=connection[0])
        finally:
            if connection:
                await asyncio.get_running_loop().run_in_executor(self._threads, _close, connection[0])

    async def modify(self, dn: str, changes: Mapping[str, Change], hide: Secret | None = None) -> None:
        """Change attributes, all or none. Raises `OutboundRefusal`, `NotDone` or `MaybeDone`.

        Args:
            hide: cut out of what the directory says, should it repeat it.
        """
        wanted = {name: [(_KINDS[kind], list(values))] for name, (kind, values) in changes.items()}

        def act(c: ldap3.Connection) -> None:
            c.modify(dn, wanted)
            _judge(c.result, hide)

        await self._call(act, changes=True)

    async def set_password(self, dn: str, new: Secret) -> None:
        """Password Modify (RFC 3062). Raises as `modify`."""

        def act(c: ldap3.Connection) -> None:
            c.extend.standard.modify_password(user=dn, new_password=new.reveal().encode())
            _judge(c.result, new)

        await self._call(act, changes=True)

    async def bind(self, user: str, password: Secret) -> Bound:
        """Whether this name and password sign in. An empty password never does (RFC 4513 5.1.2)."""
        if not user or not password.reveal():
            return Bound(False, 49)
        return await self._call(lambda c: _bound(c), changes=False, user=user, password=password)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    # ── one call ──

    async def _call(
        self,
        act: Callable[[ldap3.Connection], T],
        *,
        changes: bool,
        user: str | None = None,
        password: Secret | None = None,
        keep: list[ldap3.Connection] | None = None,
        using: ldap3.Connection | None = None,
    ) -> T:
        if using is None and (wait := self.breaker.wait_ms()):
            raise NotDone("unavailable", "not reachable a moment ago, waiting before the next try", wait)
        work = lambda: self._work(act, changes, user, password, keep, using)  # noqa: E731
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            # The thread has ended its own waits by then, but for a handshake or a name that comes byte by byte.
            async with asyncio.timeout(self._at.timeout * 2 + 1):
                result, failure = await future
        except TimeoutError:
            result, failure = None, MaybeDone("unavailable", "no answer in time") if changes else NotDone("unavailable")
        # Raised here, not where it was caught: ldap3's error would ride along as context and holds the connection.
        if failure is not None:
            raise failure
        return result  # type: ignore[return-value]

    def _work(
        self,
        act: Callable[[ldap3.Connection], T],
        changes: bool,
        user: str | None,
        password: Secret | None,
        keep: list[ldap3.Connection] | None,
        using: ldap3.Connection | None,
    ) -> tuple[T | None, NotDone | MaybeDone | None]:
        """In a thread: the result, or the fault as a value."""
        connection, sent = using, False
        try:
            connection = connection or self._open(user or self._user, password or self._password)
            if using is None and user is None:
                connection.bind(controls=None)
                if failure := _service_refused(connection.result):
                    return None, failure
            self.breaker.reached()
            sent = changes
            result = act(connection)
            if keep is not None:
                keep.append(connection)
                connection = None
            return result, None
        except (NotDone, MaybeDone) as e:
            return None, e
        except LDAPSocketOpenError as e:
            self.breaker.missed()
            return None, NotDone("unavailable", f"not reachable ({_reason(e)})")
        except LDAPStartTLSError as e:
            return None, NotDone("unavailable", f"no TLS ({_reason(e)})")
        except Exception as e:  # garbage ends in any error at all
            why = f"no usable answer ({type(e).__name__})"
            if sent:
                return None, MaybeDone("unavailable", why)
            self.breaker.missed()
            return None, NotDone("unavailable", why)
        finally:
            if connection is not None and using is None:
                _close(connection)

    def _open(self, user: str, password: Secret) -> ldap3.Connection:
        at = self._at
        tls = StrictTls(self._context, at.tls_name or at.host, at.timeout)
        server = ldap3.Server(
            at.host, at.port, use_ssl=at.security == "tls", tls=tls, get_info=ldap3.NONE, connect_timeout=at.timeout / 2
        )
        connection = ldap3.Connection(
            server,
            user,
            password.reveal().encode(),  # as bytes it is sent as it is
            auto_bind=ldap3.AUTO_BIND_NONE,
            auto_referrals=False,
            return_empty_attributes=False,
            check_names=False,
            auto_encode=False,
            auto_escape=False,
        )
        try:
            connection.open(read_server_info=False)
        except BaseException:
            if connection.socket is not None:  # the library leaves it open when nobody answers there
                connection.socket.close()
            raise
        connection.socket = BoundedSocket(connection.socket, at.timeout)
        if at.security == "starttls":
            connection.start_tls(read_server_info=False)
            connection.socket = BoundedSocket(connection.socket, at.timeout)
        return connection


def escaped(value: str) -> str:
    """A value inside a filter (RFC 4515): everything but letters and digits is escaped, so nothing can end it."""
    return "".join(c if c.isascii() and c.isalnum() else "".join(f"\\{b:02x}" for b in c.encode()) for c in value)


def checked_filter(value: str) -> str:
    """A filter of the settings. Raises `ValueError` when it is none."""
    text = value.strip()
    try:
        parse_filter(text, None, False, False, None, False)
    except (LDAPInvalidFilterError, LDAPExceptionError, IndexError, ValueError):
        raise ValueError("is not an LDAP filter, which is like (objectClass=inetOrgPerson)") from None
    return text


def _search(
    c: ldap3.Connection,
    base: str,
    where: str,
    attributes: Sequence[str],
    scope: str,
    limit: int,
    *,
    page: int | None = None,
    cookie: bytes | None = None,
) -> list[Entry]:
    c.search(
        base, where, scope, ldap3.DEREF_NEVER, list(attributes), size_limit=limit, paged_size=page, paged_cookie=cookie
    )
    result, response = c.result, c.response or []
    if result["result"] == 4 and page:  # who is missing would look as if they had left
        raise NotDone("unavailable", "the directory lists only some of its entries; raise the limit of this account")
    if result["result"] in (4, 32):  # more than the limit; no such base
        pass
    else:
        _judge(result, None)
    return [
        Entry(r["dn"], {k.lower(): tuple(v) for k, v in r["raw_attributes"].items() if v})
        for r in response
        if r["type"] == "searchResEntry"
    ]


def _bound(c: ldap3.Connection) -> Bound:
    c.bind(controls=[(PASSWORD_POLICY, False, None)])
    result = c.result
    why = _policy_error(result.get("controls") or {})
    if result["result"] in _LATER:
        raise NotDone("unavailable", vendor_text(result["description"]), 5_000)
    return Bound(result["result"] == 0, result["result"], why, vendor_text(result.get("message") or ""))


def _policy_error(controls: Mapping[str, Any]) -> str:
    """The error of a password policy response: SEQUENCE { warning [0] OPTIONAL, error [1] ENUMERATED OPTIONAL }."""
    value = (controls.get(PASSWORD_POLICY) or {}).get("value")
    if isinstance(value, bytes) and len(value) >= 5 and value[-3:-1] == b"\x81\x01" and value[-1] < len(_POLICY_ERRORS):
        return _POLICY_ERRORS[value[-1]]
    return ""


def _service_refused(result: Mapping[str, Any]) -> NotDone | None:
    """Why Keyback's own account may not go on."""
    if result["result"] == 0:
        return None
    words = vendor_text(f"{result['description']} {result.get('message') or ''}".strip())
    if result["result"] in _LATER:
        return NotDone("unavailable", words, 5_000)
    code = "auth_expired" if result["result"] in (49, 32, 34) else "not_permitted"
    return NotDone(code, f"sign-in of the service account: {words}")


def _judge(result: Mapping[str, Any], hide: Secret | None) -> None:
    code = result["result"]
    if code == 0:
        return
    said = vendor_text(result.get("message") or result["description"], *([hide] if hide else []))
    if code in _LATER:
        raise NotDone("unavailable", said, 5_000)
    if code == 10:
        raise OutboundRefusal("not_permitted", "this server takes no changes; name the one that it copies from")
    raise OutboundRefusal(_CODES.get(code, "not_permitted"), said)


_REASONS = (
    ("certificate", "its certificate isn't trusted"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate isn't trusted"),
    ("refused", "connection refused"),
    ("invalid server address", "no such host name"),
    ("timed out", "no answer in time"),
    ("SSL", "it doesn't speak TLS as this machine does"),
)


def _reason(e: Exception) -> str:
    """Why no connection came about, without addresses: what ldap3's text speaks of."""
    text = str(e)
    return next((words for part, words in _REASONS if part in text), type(e).__name__)


def _close(connection: ldap3.Connection) -> None:
    try:
        connection.unbind()
    except Exception:  # it is closed one way or another
        connection.strategy.close()
