"""Calls of Odoo's models by either protocol, and signing in as a browser does. Errors come out as ours."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from keyback.application.ports.connectors import Unavailable
from keyback.connectors.odoo.options import Protocol
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, MaybeDone, NotDone, OutboundRefusal, Reply, vendor_text

NOTHING = Secret("")
COOL_MS = 60_000  # Odoo's default `base.login_cooldown_duration`
QUIET_SECONDS = 60.0  # after the service user was turned away: failures count against our address, for everybody
REFUSALS = {"UserError": "policy_rejected", "ValidationError": "policy_rejected", "RedirectWarning": "policy_rejected"}
REFUSALS |= {"AccessError": "not_permitted", "MissingError": "not_found"}
# What JSON-RPC takes by position, since old versions differ in names.
POSITIONAL = {
    "search_read": ("domain", "fields", "offset", "limit", "order"),
    "search_count": ("domain",),
    "fields_get": ("allfields", "attributes"),
    "write": ("vals",),
}


class NoSuchCall(NotDone):
    """This Odoo has no such model or method: a module is not installed, or the version is another one."""


class OdooApi:
    """Calls as the service user.

    Args:
        http: the server's address.
        database, login: see `OdooOptions`; key: API key of that user.
        protocol: `auto` is found out with the first call and kept.
    """

    def __init__(self, http: Endpoint, database: str, login: str, key: Secret, protocol: Protocol = "auto") -> None:
        self.http, self.database, self.login = http, database, login
        self._key, self._protocol = key, protocol
        self._uid: int | None = None
        self._preparing = asyncio.Lock()
        self._quiet_until = 0.0

    async def protocol(self) -> Protocol:
        """The protocol in use. Raises `Unavailable` when the server does not answer."""
        async with self._preparing:
            if self._protocol == "auto":
                self._protocol = "json2" if await self._speaks_json2() else "jsonrpc"
            return self._protocol

    async def call(
        self, model: str, method: str, ids: Sequence[int] = (), *, hide: Secret = NOTHING, **given: Any
    ) -> Any:
        """What a public method of a model returns.

        Args:
            ids: of the records that it is called on; none for a method of the model.
            hide: cut out of Odoo's text, should it repeat it.
            given: the method's arguments by name, `context` among them.

        Raises `OutboundRefusal` for Odoo's own no, `NoSuchCall`, and `Unavailable` for all else.
        """
        reads = method != "write"
        if await self.protocol() == "json2":
            body = {**({"ids": list(ids)} if ids else {}), **given}
            return self._of_json2(await self._post_json2(f"{model}/{method}", body, reads), hide)
        uid = await self._service_id()
        names = POSITIONAL.get(method, ())
        most = max((n for n, name in enumerate(names, 1) if name in given), default=0)
        positional = [*([list(ids)] if ids else []), *(given.get(name) for name in names[:most])]
        more = {k: v for k, v in given.items() if k not in names}
        args = [self.database, uid, self._key.reveal(), model, method, positional, more]
        try:
            return await self._rpc("object", "execute_kw", args, reads=reads, hide=hide)
        except NotDone as e:
            if e.code == "auth_expired":
                self._turned_away()
            raise

    async def signs_in(self, login: str, password: Secret) -> tuple[bool | None, str]:
        """Whether the password signs in by the form, and when that is unknown, why. Leaves no session behind.

        Never raises. A wrong password counts against this machine's address, whoever's it is.
        """
        params = {"db": self.database, "login": login, "password": password.reveal()}
        try:
            reply = await self.http.call("POST", "web/session/authenticate", json=_envelope(params))
            answer = reply.json()
        except Unavailable as e:
            return None, e.code
        result, error = answer.get("result"), answer.get("error")
        if error:
            name, said = _exception(error.get("data") if isinstance(error, dict) else None)
            if name != "AccessDenied":
                return None, "unavailable"
            # Only the words of this one are never translated; the other is "too many failures, wait".
            return (False, "") if said in {"Access Denied", "Access denied"} else (None, "locked")
        if not isinstance(result, dict) or "uid" not in result:
            return None, "unavailable"
        if isinstance(result["uid"], int):
            await self._sign_out(reply)
        return True, ""  # without a uid the password was right and Odoo asks for the second factor next

    # ── JSON-2 ──

    async def _post_json2(self, path: str, body: Any, reads: bool, *, as_is: bool = False) -> Reply:
        headers = {"Authorization": Secret(f"bearer {self._key.reveal()}"), "X-Odoo-Database": Secret(self.database)}
        return await self.http.call("POST", f"json/2/{path}", json=body, headers=headers, repeatable=reads, as_is=as_is)

    async def _speaks_json2(self) -> bool:
        reply = await self._post_json2("res.users/context_get", {}, True, as_is=True)
        if reply.status in {200, 401, 403, 422} and isinstance(reply.any_json(), dict):
            return True
        if 300 <= reply.status < 500 and reply.status not in {401, 403, 422, 429}:
            return False
        raise NotDone("unavailable", f"HTTP {reply.status}", reply.retry_after_ms(5_000), reply.status)

    def _of_json2(self, reply: Reply, hide: Secret) -> Any:
        value = reply.any_json()
        if reply.status == 200:
            if value is None and reply.body.strip() != b"null":
                raise MaybeDone("unavailable", "the answer is not JSON (HTTP 200)")
            return value
        if reply.status == 429:
            raise NotDone("unavailable", "HTTP 429", reply.retry_after_ms(30_000), 429)
        if not isinstance(value, dict) or "name" not in value:
            raise NotDone("unavailable", f"HTTP {reply.status}, and not from Odoo", 0, reply.status)
        if reply.status == 401:
            raise NotDone("auth_expired", "the API key is wrong or has expired", 0, 401)
        if reply.status == 404 and _exception(value)[0] != "MissingError":
            raise NoSuchCall("unavailable", "no such call in this Odoo", 0, 404)
        self._refuse(value, hide)
        raise NotDone("unavailable", f"HTTP {reply.status}: {_exception(value)[0]}", 0, reply.status)

    # ── JSON-RPC ──

    async def _service_id(self) -> int:
        async with self._preparing:
            if self._uid is not None:
                return self._uid
            if time.monotonic() < self._quiet_until:
                raise NotDone("auth_expired", "the service user was turned away a moment ago")
            args = [self.database, self.login, self._key.reveal(), {}]
            uid = await self._rpc("common", "authenticate", args, reads=True)
            if isinstance(uid, int) and uid > 0:  # False for a wrong key
                self._uid = uid
                return uid
            self._turned_away()
            raise NotDone("auth_expired", "the login or the API key is wrong, or the key has expired")

    def _turned_away(self) -> None:
        self._uid, self._quiet_until = None, time.monotonic() + QUIET_SECONDS

    async def _rpc(self, service: str, method: str, args: list[Any], *, reads: bool, hide: Secret = NOTHING) -> Any:
        body = _envelope({"service": service, "method": method, "args": args})
        reply = await self.http.call("POST", "jsonrpc", json=body, repeatable=reads)
        if reply.status != 200:
            raise NotDone("unavailable", f"HTTP {reply.status}", reply.retry_after_ms(5_000), reply.status)
        answer = reply.json()
        error = answer.get("error")
        if error is None:
            return answer.get("result")
        data = error.get("data") if isinstance(error, dict) else None
        if not isinstance(data, dict):
            raise MaybeDone("unavailable", "Odoo failed inside")
        name, said = _exception(data)
        if name == "AccessDenied" and said not in {"Access Denied", "Access denied"}:
            raise NotDone("unavailable", "Odoo turns this address away for a minute", COOL_MS)
        if name == "AttributeError" and reads:
            raise NoSuchCall("unavailable", "no such call in this Odoo")
        self._refuse(data, hide)
        raise MaybeDone("unavailable", f"Odoo failed inside ({name})")  # the rest of it is a traceback

    def _refuse(self, data: Mapping[str, Any], hide: Secret) -> None:
        """Raises what Odoo's own no means; returns for other exceptions."""
        name, said = _exception(data)
        if name == "AccessDenied":
            raise NotDone("auth_expired", "the login or the API key is wrong, or the key has expired")
        if name in REFUSALS:
            raise OutboundRefusal(REFUSALS[name], vendor_text(said, hide, self._key))

    async def _sign_out(self, reply: Reply) -> None:
        found = re.search(r"\bsession_id=([A-Za-z0-9_-]{8,200})", reply.headers.get("set-cookie", ""))
        if found:
            headers = {"Cookie": Secret(f"session_id={found[1]}")}
            with contextlib.suppress(Unavailable):  # a recovery never leaves a session behind
                await self.http.call("POST", "web/session/destroy", json=_envelope({}), headers=headers)


def _envelope(params: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}


def _exception(data: object) -> tuple[str, str]:
    """The exception's name without its module, letters only, and what it says."""
    if not isinstance(data, dict):
        return "", ""
    name = re.sub(r"[^A-Za-z]", "", str(data.get("name", "")).rpartition(".")[2])[:40]
    return name, str(data.get("message") or "")
