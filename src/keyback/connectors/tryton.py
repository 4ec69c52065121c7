"""Tryton, by its JSON-RPC (tried with 8.2.1, 7.0.59 and 6.0.29).

8.0 moved the calls to `/<database>/rpc/`; older series have them at `/<database>/`, and answer 404 or 405 to the new
path without acting. Before 8.0 nobody is an administrator by a field, only by groups, and access rights point at models
by number. In 6.0 a new password leaves the user's sessions alive, whoever sets it (tried).

Errors of Tryton come with HTTP 200. Setting a password ends the user's sessions by itself. A wrong password at sign-in
counts against the user, and after six of them Tryton answers 429 even to the right one, so `verify` is used sparingly.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from keyback.application.ports.connectors import Capabilities, FoundAccount, Means, Outcome, Plan, Step, Unavailable
from keyback.connectors.base import ConnectorBase, ConnectorOptions
from keyback.connectors.faults import fault
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, MaybeDone, NotDone, OutboundRefusal, vendor_text

FIELDS = ["login", "email", "name", "active", "groups"]
# Whoever may write one of these can make an administrator, of themselves too (tried): as good as one.
KEYS_TO_THE_HOUSE = ["res.user", "res.group", "res.user-res.group", "ir.model.access"]
PAGE = 500
LOCK_MS = 300_000  # Tryton's default `[session] timeout`
QUIET_SECONDS = 60.0  # after the service user was turned away, so that we do not lock it by trying on
NOTHING = Secret("")
ELSEWHERE = frozenset({404, 405})  # no such path in this series


class TrytonOptions(ConnectorOptions):
    """Keys of a Tryton section."""

    database: str
    login: str


class TrytonConnector(ConnectorBase):
    """Connector for one Tryton database.

    Args:
        name: key in `keyback.toml`; title: what people call the system.
        base_url: of the Tryton server, `https://…`, plain http on this machine only.
        database: its name, part of the RPC path.
        admin_login, admin_password: the service user: in a group that may read and write `res.user`.
        client: shared client of `outbound.http.new_client`; without one the connector makes its own.
        timeout: seconds for one call; Tryton itself delays sign-ins after wrong passwords.
    """

    capabilities = Capabilities(
        lookup=Means.NATIVE,
        list=Means.NATIVE,
        verify=Means.NATIVE,
        set_password=Means.NATIVE,
        revoke_sessions=Means.NATIVE,
        status=Means.NATIVE,
    )

    def __init__(
        self,
        name: str,
        title: str,
        base_url: str,
        database: str,
        admin_login: str,
        admin_password: Secret,
        client: httpx2.AsyncClient | None = None,
        *,
        ca_file: Path | None = None,
        timeout: float = 20.0,
    ) -> None:
        if not database or not database.replace("-", "").replace("_", "").isalnum():
            raise ValueError("a Tryton database name has letters, digits, - and _ only")
        self.name, self.title = name, title
        self._http = Endpoint(base_url, client, ca_file=ca_file, timeout=timeout)
        self.breaker = self._http.breaker
        self._paths = [f"{database}/rpc/", f"{database}/"]  # what answered last comes first
        self._login, self._password = admin_login, admin_password
        self._session: Secret | None = None
        self._found_shape: tuple[list[str], str] | None = None
        self._signing_in = asyncio.Lock()
        self._quiet_until, self._locked = 0.0, False

    options_model = TrytonOptions

    @classmethod
    def from_options(cls, name: str, title: str, options: Mapping[str, Any]) -> TrytonConnector:
        """From a section of `keyback.toml`. Raises `ValueError` for missing, unknown or unsafe values."""
        o = TrytonOptions.model_validate(options)
        made = cls(name, title, o.url, o.database, o.login, o.read_secret(), ca_file=o.ca_file, timeout=o.timeout_s)
        made.configured(o)
        return made

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        wanted = identifier.strip().casefold()
        if not wanted or len(wanted) > 320:
            return ()
        like = wanted.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
        # Two searches: inside an OR Tryton would leave inactive users out, whatever the rest asks for (tried).
        rows, powerful = await self._users([["login", "ilike", like]], [["email", "ilike", like]])
        # `ilike` may ignore accents as well, depending on the database.
        return [_account(r, powerful) for r in rows if wanted in {_fold(r.get("login")), _fold(r.get("email"))}]

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        """By id, and each page from the last id on, so that nobody is passed over when others are added or leave."""
        fields, _ = await self._shape()
        powerful = await self._powerful()
        last = 0
        while True:
            where = [["id", ">", last], ["active", "in", [True, False]]]
            rows = await self._search("res.user", where, fields, PAGE, [["id", "ASC"]])
            if not rows:
                return
            if min(r["id"] for r in rows) <= last:
                raise NotDone("unavailable", "unexpected answer: a page goes back")
            yield [_account(r, powerful) for r in rows]
            last = max(r["id"] for r in rows)

    async def verify(self, username: str, password: Secret) -> bool | None:
        """By signing in and out again. None while Tryton has locked the user, or asks for more than a password."""
        return (await self._verify(username, password))[0]

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        try:
            user = await self._guard(plan)
        except OutboundRefusal as e:
            return [Outcome(Step.GUARD, "refused", e.code, e.text)]
        except Unavailable as e:
            return [fault(Step.GUARD, e)]
        if isinstance(user, Outcome):
            return [user]
        done, password = [Outcome(Step.GUARD, "done"), Outcome(Step.UNLOCK, "unsupported")], plan.new_password
        if password is None:
            return done
        later = [Outcome(Step.MUST_CHANGE, "unsupported")] if plan.must_change else []
        if plan.attempt >= 2 and (await self._verify(user.username, password))[0]:
            # An earlier attempt worked. Should it be the old password chosen anew, sessions may still live: end them.
            ended = self._revoked()
            if ended.status == "done":
                ended = await self._write(Step.REVOKE, plan, {"active": True})
            confirmed = [Outcome(Step.CONFIRM, "done")] if ended.status in {"done", "unsupported"} else []
            return [*done, Outcome(Step.SET, "done"), *later, ended, *confirmed]
        changed = await self._write(Step.SET, plan, {"password": password.reveal()})
        if changed.status not in {"done", "uncertain"}:
            return [*done, changed]
        works, why = await self._verify(user.username, password)
        if works:
            return [*done, Outcome(Step.SET, "done"), *later, self._revoked(), Outcome(Step.CONFIRM, "done")]
        if changed.status == "uncertain":
            return [*done, changed]
        # Tryton said yes to the set. Locked: it works when the lock ends. Refused: another way to sign in is in force.
        if works is None:
            last = Outcome(Step.CONFIRM, "unsupported", why, retry_after_ms=LOCK_MS if why == "locked" else 0)
        else:
            last = Outcome(Step.CONFIRM, "uncertain")
        return [*done, changed, *later, self._revoked(), last]

    async def close(self) -> None:
        """Signs the service user out, unless Tryton takes more than two seconds over it."""
        if self._session:
            with contextlib.suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(2):
                    await self._call("common.db.logout", [], self._session)
            self._session = None
        await self._http.close()

    # ── steps ──

    def _revoked(self) -> Outcome:
        """Sessions end by themselves with the set (tried), unless this series leaves them."""
        ends = self.capabilities.revoke_sessions is not Means.NONE
        return Outcome(Step.REVOKE, "done" if ends else "unsupported")

    async def _guard(self, plan: Plan) -> FoundAccount | Outcome:
        """The account as it is now, or why it must not be touched."""
        if not plan.external_id.isdecimal() or plan.external_id == "0":  # 0 is Tryton's own root
            return Outcome(Step.GUARD, "refused", "not_found")
        rows, powerful = await self._users([["id", "=", int(plan.external_id)]])
        if not rows:
            return Outcome(Step.GUARD, "refused", "not_found")
        account = _account(rows[0], powerful)
        if account.privileged and not plan.allow_privileged:
            return Outcome(Step.GUARD, "refused", "privileged_target")
        if account.state == "disabled":
            return Outcome(Step.GUARD, "refused", "not_permitted", "inactive")
        return account

    async def _write(self, step: Step, plan: Plan, values: dict[str, Any]) -> Outcome:
        try:
            params = [[int(plan.external_id)], values, {}]
            await self._rpc("model.res.user.write", params, hide=plan.new_password or NOTHING)
        except OutboundRefusal as e:
            # Tryton gives one kind of error to a weak password and to missing rights.
            code = "policy_rejected" if "password" in values and await self._may_write() else "not_permitted"
            return Outcome(step, "refused", code, e.text)
        except Unavailable as e:
            return fault(step, e)
        return Outcome(step, "done")

    async def _may_write(self) -> bool:
        try:
            access = await self._rpc("model.ir.model.access.get_access", [["res.user"], {}], repeatable=True)
            return bool(access["res.user"]["write"])
        except (Unavailable, LookupError, TypeError):
            return True

    async def _verify(self, login: str, password: Secret) -> tuple[bool | None, str]:
        """Whether it signs in, and when that is unknown, why."""
        try:
            status, session = await self._sign_in(login, password)
        except OutboundRefusal:
            return None, "second_factor"
        except Unavailable as e:
            return None, e.code
        if session:
            with contextlib.suppress(Unavailable):  # a recovery never leaves a session behind
                await self._call("common.db.logout", [], session)
            return True, ""
        return (False, "") if status == 401 else (None, "locked" if status == 429 else "unavailable")

    async def _users(self, *domains: list[Any]) -> tuple[list[dict[str, Any]], frozenset[int]]:
        """Users that fit any of the domains, inactive ones too; and `_powerful`."""
        fields, _ = await self._shape()
        found: dict[int, dict[str, Any]] = {}
        for domain in domains:
            for row in await self._search("res.user", [*domain, ["active", "in", [True, False]]], fields, 20):
                found[row["id"]] = row
        return list(found.values()), await self._powerful()

    async def _powerful(self) -> frozenset[int]:
        """Groups whose members are as good as administrators, with all groups that inherit from them."""
        _, model = await self._shape()
        may: list[Any] = ["OR", ["perm_write", "=", True], ["perm_create", "=", True]]
        rights: list[Any] = [[model, "in", KEYS_TO_THE_HOUSE], may]
        granted = await self._search("ir.model.access", rights, ["group"], 1000)
        roots = sorted({r["group"] for r in granted if isinstance(r.get("group"), int)})
        heirs = (
            await self._search("res.group", [["parent", "child_of", roots, "parent"]], ["id"], 1000) if roots else []
        )
        return frozenset(roots) | frozenset(r["id"] for r in heirs)

    async def _shape(self) -> tuple[list[str], str]:
        """The fields of users that this series has, and the way from access rights to a model's name."""
        if self._found_shape is None:
            users = await self._rpc("model.res.user.fields_get", [["login", "administrator"], 0, {}], repeatable=True)
            rights = await self._rpc("model.ir.model.access.fields_get", [["model"], 0, {}], repeatable=True)
            try:
                numbered = rights["model"]["type"] == "many2one"
                known = [*FIELDS, "administrator"] if "administrator" in users and "login" in users else FIELDS
            except (LookupError, TypeError):
                raise NotDone("unavailable", "unexpected answer") from None
            if numbered and await self._series() < (7, 0):
                self.capabilities = replace(self.capabilities, revoke_sessions=Means.NONE)
            self._found_shape = (known, "model.model" if numbered else "model")
        return self._found_shape

    async def _series(self) -> tuple[int, ...]:
        """The series of a server older than 8.0; 0.0 where it does not say."""
        body = {"id": 1, "method": "common.server.version", "params": []}
        reply = await self._http.call("POST", "", json=body, repeatable=True)
        answer = reply.any_json() if reply.status == 200 else None
        found = re.match(r"(\d{1,3})\.(\d{1,3})\b", str(answer.get("result") if isinstance(answer, dict) else ""))
        return (int(found[1]), int(found[2])) if found else (0, 0)

    # ── calls ──

    async def _search(
        self, model: str, domain: list[Any], fields: list[str], limit: int, order: list[list[str]] | None = None
    ) -> list[dict[str, Any]]:
        rows = await self._rpc(f"model.{model}.search_read", [domain, 0, limit, order, fields, {}], repeatable=True)
        if isinstance(rows, list) and all(isinstance(r, dict) and isinstance(r.get("id"), int) for r in rows):
            return rows
        raise NotDone("unavailable", "unexpected answer")

    async def _rpc(self, method: str, params: list[Any], *, repeatable: bool = False, hide: Secret = NOTHING) -> Any:
        """A call as service user; signs in anew, once, when the session has ended."""
        for _ in range(2):
            session = await self._service_session()
            status, result = await self._call(method, params, session, repeatable=repeatable, hide=hide)
            if status != 401:
                break
            if self._session == session:
                self._session = None
        if status == 200:
            return result
        if status == 429:
            raise NotDone("unavailable", "HTTP 429", 30_000)
        raise NotDone({401: "auth_expired", 403: "not_permitted"}.get(status, "unavailable"), f"HTTP {status}")

    async def _service_session(self) -> Secret:
        async with self._signing_in:
            if self._session:
                return self._session
            if (left := self._quiet_until - time.monotonic()) > 0:
                if self._locked:
                    raise NotDone("unavailable", "the service user is locked", int(left * 1000) + 1)
                raise NotDone("auth_expired", "the service user was turned away a moment ago")
            try:
                status, self._session = await self._sign_in(self._login, self._password)
            except OutboundRefusal:
                status = 401
            if self._session:
                return self._session
            self._quiet_until = time.monotonic() + QUIET_SECONDS
            self._locked = status == 429
            if self._locked:
                raise NotDone("unavailable", "the service user is locked", LOCK_MS)
            raise NotDone(
                "auth_expired" if status == 401 else "unavailable", f"sign-in of the service user: HTTP {status}"
            )

    async def _sign_in(self, login: str, password: Secret) -> tuple[int, Secret | None]:
        status, result = await self._call("common.db.login", [login, {"password": password.reveal()}])
        if status == 200 and isinstance(result, list) and len(result) >= 2:
            token = base64.b64encode(f"{login}:{result[0]}:{result[1]}".encode()).decode()
            return status, Secret(f"Session {token}")
        return status, None

    async def _call(
        self,
        method: str,
        params: list[Any],
        session: Secret | None = None,
        *,
        repeatable: bool = False,
        hide: Secret = NOTHING,
    ) -> tuple[int, Any]:
        """HTTP status and result. Raises `Refusal` for Tryton's own errors, `Unavailable` for all else.

        Args:
            hide: cut out of Tryton's text, should it repeat it.
        """
        headers = {"Authorization": session} if session else {}
        body = {"id": 1, "method": method, "params": params}
        for path in list(self._paths):
            reply = await self._http.call("POST", path, json=body, headers=headers, repeatable=repeatable)
            if reply.status not in ELSEWHERE:
                break
        if reply.status not in ELSEWHERE and path != self._paths[0]:
            self._paths.reverse()
        if "retry-after" in reply.headers:  # Tryton's own 429 has none and means a locked user
            reply.refuse_throttled()
        if reply.status != 200:
            return reply.status, None
        answer = reply.json()
        error = answer.get("error")
        if not error:
            return 200, answer.get("result")
        if isinstance(error, list) and len(error) > 1 and isinstance(error[1], list):
            raise OutboundRefusal("not_permitted", vendor_text(" ".join(str(t) for t in error[1][:2] if t), hide))
        raise MaybeDone("unavailable", "Tryton failed inside")  # the rest of it is a Python traceback


def _account(row: dict[str, Any], powerful: Iterable[int]) -> FoundAccount:
    groups = row.get("groups") or []
    return FoundAccount(
        str(row["id"]),
        str(row.get("login") or ""),
        row.get("email"),
        row.get("name"),
        state="active" if row.get("active") else "disabled",
        # 0 is Tryton's own root, who is in no group.
        privileged=row["id"] == 0 or bool(row.get("administrator")) or bool(set(groups) & set(powerful)),
    )


def _fold(value: object) -> str:
    return value.strip().casefold() if isinstance(value, str) else ""
