"""Any system that lets passwords be set by SCIM 2.0 (RFC 7643, RFC 7644); tried with scim2-server 0.8.3.

SCIM has no sign-in, so no password can be checked. What tells whether a lost set was carried out is the version or the
date that the server gives a user: when it is the same as before, nothing happened and the set is safe to send.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx2

from keyback.application.ports.connectors import (
    Capabilities,
    CheckLine,
    FoundAccount,
    Means,
    Outcome,
    Plan,
    Step,
    Unavailable,
)
from keyback.connectors.base import (
    ConnectorBase,
    ConnectorOptions,
    mark_now,
    marked_instant,
    numbers_in,
    sample_line,
    unreachable,
)
from keyback.connectors.faults import fault
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, MaybeDone, NotDone, OutboundRefusal, Reply, vendor_text

SIGNS_IN = "secret_file"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MEDIA = Secret("application/scim+json")
PAGE = 100
MAX_PAGES = 10_000
MAX_JOBS = 1000
_TEL = re.compile(r"^\s*tel:|;.*$", re.I)
CODES = {400: "policy_rejected", 401: "auth_expired", 403: "not_permitted", 404: "not_found", 409: "policy_rejected"}


class ScimOptions(ConnectorOptions):
    """Keys of a `scim` section.

    Args:
        url: the base address, such as `https://id.example.com/scim/v2`.
        privileged_roles: values of `roles` or `userType` that administrators have.
        privileged_groups: names or ids of groups whose members are administrators.
    """

    privileged_roles: frozenset[str] = frozenset()
    privileged_groups: frozenset[str] = frozenset()


class ScimConnector(ConnectorBase):
    """Connector for one SCIM service; see `ScimOptions`. `client` is a shared one of `outbound.http.new_client`.

    Raises `ValueError` or `OSError` for a secret or an address that can't be used.
    """

    capabilities = Capabilities(lookup=Means.NATIVE, list=Means.NATIVE, set_password=Means.NATIVE, status=Means.NATIVE)
    options_model = ScimOptions

    def __init__(self, name: str, title: str, options: ScimOptions, client: httpx2.AsyncClient | None = None) -> None:
        self.name, self.title, self._options = name, title, options
        self._http = Endpoint(options.url, client, ca_file=options.ca_file, timeout=options.timeout_s)
        self.breaker = self._http.breaker
        bearer = Secret(f"Bearer {options.read_secret().reveal()}")
        self._headers = {"Authorization": bearer, "Content-Type": MEDIA, "Accept": MEDIA}
        self._before: OrderedDict[str, str] = OrderedDict()  # by job, the user's version before the set; "": not sent
        self.configured(options)

    # ── reading ──

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        wanted = identifier.strip()
        if not wanted or len(wanted) > 320 or not wanted.isprintable():
            return ()
        value = json.dumps(wanted)  # RFC 7644 3.4.2.2: a value is a JSON string, so nothing can end it
        rows: dict[str, dict[str, Any]] = {}
        for attribute in ("userName", "emails.value"):  # some servers know no "or"
            for row in (await self._page({"filter": f"{attribute} eq {value}", "count": "20"}))[0]:
                rows[str(row.get("id"))] = row
        found = [(self._account(row), row) for row in rows.values()]
        return [a for a, row in found if wanted.casefold() in {a.username.casefold(), *_addresses(row)}]

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        async for page in self._pages({}):
            yield page

    async def mark(self) -> str | None:
        says = await self._ask("GET", "ServiceProviderConfig")
        return mark_now() if (says.get("filter") or {}).get("supported") is True else None

    async def list_changed(self, since: str) -> AsyncIterator[Sequence[FoundAccount]]:
        """By `meta.lastModified` (RFC 7643 3.1); everybody where the server refuses to filter by that."""
        where = {"filter": f"meta.lastModified ge {json.dumps(since)}"} if marked_instant(since) else {}
        try:
            async for page in self._pages(where):
                yield page
        except OutboundRefusal as e:
            if not where or e.code != CODES[400]:
                raise
            async for page in self._pages({}):
                yield page

    async def _pages(self, where: Mapping[str, str]) -> AsyncIterator[Sequence[FoundAccount]]:
        at = 1
        for _ in range(MAX_PAGES):
            rows, total = await self._page({**where, "startIndex": str(at), "count": str(PAGE)})
            if rows:
                yield [self._account(row) for row in rows]
            at += len(rows)
            if at > total:
                return
            if not rows:  # who is missing would look as if they had left
                raise NotDone("unavailable", "unexpected answer: the list ends before its total")
        raise NotDone("unavailable", "unexpected answer: pages without end")

    async def _page(self, query: Mapping[str, str]) -> tuple[list[dict[str, Any]], int]:
        answer = await self._ask("GET", "Users", query=query)
        rows = answer.get("Resources") or []
        if not isinstance(rows, list) or not all(isinstance(r, dict) and isinstance(r.get("id"), str) for r in rows):
            raise NotDone("unavailable", "unexpected answer")
        total = answer.get("totalResults")
        return rows, total if isinstance(total, int) else len(rows)

    def _account(self, row: Mapping[str, Any]) -> FoundAccount:
        o = self._options
        roles = {*_values(row.get("roles")), str(row.get("userType") or "")}
        groups = _values(row.get("groups"))
        mails = _addresses(row)
        name = row.get("displayName") or (row.get("name") or {}).get("formatted")
        return FoundAccount(
            str(row["id"]),
            str(row.get("userName") or ""),
            mails[0] if mails else None,
            str(name) if name else None,
            state="active" if row.get("active", True) else "disabled",
            privileged=bool(roles & o.privileged_roles or groups & o.privileged_groups),
            manager=_manager(row),
            phones=_mobiles(row),
            groups=_groups(row),
        )

    # ── the plan ──

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        step = Step.GUARD
        done: list[Outcome] = []
        try:
            if not plan.external_id or not plan.external_id.isprintable():
                return [Outcome(step, "refused", "not_found")]
            row = await self._ask("GET", self._user(plan))
            account = self._account(row)
            if account.external_id != plan.external_id:
                return [Outcome(step, "refused", "not_found")]
            if account.privileged and not plan.allow_privileged:
                return [Outcome(step, "refused", "privileged_target")]
            if account.state == "disabled":
                return [Outcome(step, "refused", "not_permitted", "inactive")]
            done = [Outcome(step, "done"), Outcome(Step.UNLOCK, "unsupported")]
            if plan.new_password is None:
                return done
            step = Step.SET
            if plan.attempt >= 2 and self._before.get(plan.job_id) not in ("", _version(row)):
                return [*done, Outcome(step, "uncertain", "unavailable")]
            self._remember(plan, _version(row))
            await self._set(plan, plan.new_password)
            self._remember(plan, "done")
        except OutboundRefusal as e:
            return [*done, Outcome(step, "refused", e.code, e.text)]
        except Unavailable as e:
            if step is Step.GUARD or not isinstance(e, MaybeDone):
                self._before.setdefault(plan.job_id, "")
                if step is Step.SET:
                    self._remember(plan, "")
            return [*done, fault(step, e)]
        done.append(Outcome(step, "done"))
        if plan.must_change:
            done.append(Outcome(Step.MUST_CHANGE, "unsupported"))
        return [*done, Outcome(Step.REVOKE, "unsupported"), Outcome(Step.CONFIRM, "unsupported")]

    def _remember(self, plan: Plan, version: str) -> None:
        self._before[plan.job_id] = version
        while len(self._before) > MAX_JOBS:
            self._before.popitem(last=False)

    async def _set(self, plan: Plan, password: Secret) -> None:
        change = {"op": "replace", "path": "password", "value": password.reveal()}
        body = {"schemas": [PATCH], "Operations": [change]}
        await self._ask("PATCH", self._user(plan), json=body, hide=password)

    @staticmethod
    def _user(plan: Plan) -> str:
        return f"Users/{quote(plan.external_id, safe='')}".replace("..", "%2E%2E")

    # ── looking after it ──

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        try:
            says = await self._ask("GET", "ServiceProviderConfig")
            lines = [CheckLine("reach", "ok", "answers"), CheckLine("sign_in", "ok", "the token is taken")]
            for part, cost in (("changePassword", "set_password"), ("patch", "set_password"), ("filter", "lookup")):
                if not (says.get(part) or {}).get("supported", False):
                    words = f"the server says that it does not support {part}"
                    lines.append(CheckLine("permission", "bad", words, (cost,), "Ask the vendor, or use kind guided."))
            if not self._options.privileged_roles and not self._options.privileged_groups:
                advice = "Name what administrators have in privileged_roles or privileged_groups."
                lines.append(CheckLine("permission", "warn", "no one counts as an administrator", advice=advice))
            await self._page({"count": "1"})
            if sample:
                lines.append(sample_line(await self.find(sample)))
        except Unavailable as e:
            return (unreachable(e, SIGNS_IN),)
        return lines

    async def close(self) -> None:
        await self._http.close()

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        hide: Secret | None = None,
    ) -> dict[str, Any]:
        reply = await self._http.call(
            method, path, json=json, query=query, headers=self._headers, repeatable=method == "GET"
        )
        reply.refuse_throttled()
        if reply.status >= 400:
            raise OutboundRefusal(CODES.get(reply.status, "not_permitted"), _said(reply, hide))
        return {} if reply.status == 204 or not reply.body else reply.json()


def _said(reply: Reply, hide: Secret | None) -> str:
    """What the server says of an error (RFC 7644 3.12)."""
    try:
        answer = reply.json()
    except MaybeDone:
        return f"HTTP {reply.status}"
    return vendor_text(answer.get("detail") or answer.get("scimType") or reply.status, *([hide] if hide else []))


def _addresses(row: Mapping[str, Any]) -> list[str]:
    """The mail addresses, the primary one first."""
    entries = [e for e in row.get("emails") or [] if isinstance(e, dict) and isinstance(e.get("value"), str)]
    return [e["value"].casefold() for e in sorted(entries, key=lambda e: not e.get("primary"))]


def _mobiles(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Numbers of type `mobile` (RFC 7643 4.1.2), which may be written as RFC 3966 does: `tel:+1-201-555-0123`. A user
    without the attribute has none: absent, null and empty are one (2.5)."""
    entries = row.get("phoneNumbers")
    rows = [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    values = [e.get("value") for e in rows if str(e.get("type") or "").casefold() == "mobile"]
    return numbers_in(*(_TEL.sub("", v) if isinstance(v, str) else v for v in values))


def _manager(row: Mapping[str, Any]) -> str | None:
    """The id of the manager (RFC 7643 4.3); None where the server knows no such attributes at all."""
    work = row.get(ENTERPRISE)
    if not isinstance(work, dict):
        return None
    manager = work.get("manager")  # some servers give the id by itself
    value = manager.get("value") if isinstance(manager, dict) else manager
    return value if isinstance(value, str) else ""


def _groups(row: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Names of groups (RFC 7643 4.1.2) and of the department (4.3); None where the server says neither."""
    work, entries = row.get(ENTERPRISE), row.get("groups")
    if not isinstance(work, dict) and not isinstance(entries, list):
        return None
    rows = [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    names = [e.get("display") for e in rows] + ([work.get("department")] if isinstance(work, dict) else [])
    return tuple(n for n in names if isinstance(n, str))


def _values(entries: object) -> set[str]:
    """Values and shown names of a list of many-valued attributes."""
    rows = [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    return {str(e[key]) for e in rows for key in ("value", "display") if e.get(key)}


def _version(row: Mapping[str, Any]) -> str:
    """What changes with every change of the user; a word of its own where the server has nothing of the kind."""
    meta = row.get("meta") or {}
    return str(meta.get("version") or meta.get("lastModified") or "unknown") if isinstance(meta, dict) else "unknown"
