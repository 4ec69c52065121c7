"""Users of Odoo as accounts: finding and listing them, and who among them is as good as an administrator."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from keyback.application.ports.connectors import FoundAccount
from keyback.connectors.base import numbers_in, texts_in
from keyback.connectors.odoo.api import OdooApi
from keyback.outbound.http import NotDone

FIELDS = ("login", "email", "name", "active", "login_date")
# 19 keeps the groups that were chosen in `group_ids` and all that come with them here; before, one field had both.
GROUPS = ("all_group_ids", "groups_id")
# Whoever may write one of these can make an administrator, of themselves too.
KEYS_TO_THE_HOUSE = ["res.users", "res.groups", "ir.model.access"]
ADMINISTRATORS = ["group_system", "group_erp_manager"]
# Of the employee, with the module `hr`, and of the contact until Odoo 18. `phone` may be on a desk.
MOBILES = ("mobile_phone", "mobile")
DEPARTMENT = "department_id"  # of the employee, with the module `hr`: id and name
EVERYBODY = {"active_test": False}  # archived users too
SUPERUSER = 1  # OdooBot, in every database; nobody's account
PAGE = 500
KEPT_SECONDS = 600.0  # modules are seldom installed


@dataclass(frozen=True, slots=True)
class Shape:
    """What this database's `res.users` has."""

    groups: str
    oauth: bool
    ldap: bool
    mobile: str
    department: bool

    @property
    def fields(self) -> list[str]:
        more = [self.mobile, "oauth_uid" if self.oauth else "", DEPARTMENT if self.department else ""]
        return [*FIELDS, self.groups, *filter(None, more)]


class People:
    """Reads users; every method raises `Unavailable` when Odoo cannot be asked.

    Args:
        directory: whether users sign in through the directory where the module for that is installed.
    """

    def __init__(self, api: OdooApi, directory: bool) -> None:
        self._api, self.directory = api, directory
        self._shape: tuple[float, Shape] | None = None

    async def named(self, wanted: str) -> list[FoundAccount]:
        """By login or mail address, in any case; `wanted` is folded."""
        like = wanted.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
        rows = await self._rows(["|", ["login", "=ilike", like], ["email", "=ilike", like]], 20)
        rows = [r for r in rows if wanted in {_fold(r.get("login")), _fold(r.get("email"))}]
        return await self._accounts(rows)

    async def account(self, external_id: str) -> FoundAccount | None:
        if not external_id.isascii() or not external_id.isdecimal() or len(external_id) > 9:
            return None
        found = await self._accounts(await self._rows([["id", "=", int(external_id)]], 1))
        return found[0] if found else None

    async def everybody(self) -> AsyncIterator[Sequence[FoundAccount]]:
        await self.sees_all_companies()
        powerful, last = await self._powerful(), SUPERUSER
        while rows := await self._rows([["id", ">", last]], PAGE):
            newest = max(r["id"] for r in rows)
            if newest <= last:
                raise NotDone("unavailable", "a page came twice")
            last = newest
            yield await self._accounts(rows, powerful)

    async def sees_all_companies(self) -> None:
        """Raises `NotDone` where the service user sees a part of the users only: the rest would count as gone."""
        fields = ["company_ids", "companies_count"]
        rows = await self._search("res.users", [["login", "=", self._api.login]], fields, 1)
        mine = rows[0].get("company_ids") if rows else None
        if not isinstance(mine, list) or len(mine) < int(rows[0].get("companies_count") or 0):
            raise NotDone("not_permitted", "the service user is not in all companies, so it does not see everybody")

    async def shape(self) -> Shape:
        if self._shape and time.monotonic() < self._shape[0]:
            return self._shape[1]
        wanted = [*GROUPS, *MOBILES, DEPARTMENT, "oauth_uid"]
        fields = await self._api.call("res.users", "fields_get", allfields=wanted, attributes=["type"])
        groups = next((g for g in GROUPS if isinstance(fields, dict) and g in fields), "")
        if not groups:
            raise NotDone("not_permitted", "the service user does not see who is in which group")
        ldap = await self._api.call("ir.model", "search_count", domain=[["model", "=", "res.company.ldap"]])
        mobile = next((m for m in MOBILES if m in fields), "")
        shape = Shape(groups, "oauth_uid" in fields, ldap != 0, mobile, DEPARTMENT in fields)
        self._shape = (time.monotonic() + KEPT_SECONDS, shape)
        return shape

    async def sign_ins(self, external_id: str) -> list[int]:
        """When they signed in, newest first, in ms. Odoo keeps few."""
        whose = [["create_uid", "=", int(external_id)]]
        rows = await self._search("res.users.log", whose, ["create_date"], 20, "id desc")
        return [at for r in rows if (at := _instant(r.get("create_date"))) is not None]

    # ── rows ──

    async def _rows(self, domain: list[Any], limit: int) -> list[dict[str, Any]]:
        rows = await self._search("res.users", domain, (await self.shape()).fields, limit, "id")
        return [r for r in rows if r["id"] != SUPERUSER]

    async def _accounts(
        self, rows: Sequence[dict[str, Any]], powerful: frozenset[int] | None = None
    ) -> list[FoundAccount]:
        if not rows:
            return []
        shape = await self.shape()
        powerful = await self._powerful() if powerful is None else powerful
        return [self._account(r, shape, powerful) for r in rows]

    def _account(self, row: dict[str, Any], shape: Shape, powerful: frozenset[int]) -> FoundAccount:
        groups = row.get(shape.groups)
        return FoundAccount(
            str(row["id"]),
            str(row.get("login") or ""),
            row.get("email") or None,
            row.get("name") or None,
            state="active" if row.get("active") is True else "disabled",
            privileged=not isinstance(groups, list) or bool(powerful.intersection(groups)),
            sso_only=bool(row.get("oauth_uid")) or (shape.ldap and self.directory),
            last_sign_in_at=_instant(row.get("login_date")),
            phones=numbers_in(row.get(shape.mobile)) if shape.mobile else None,
            groups=_department(row.get(DEPARTMENT)) if shape.department else None,
        )

    async def _powerful(self) -> frozenset[int]:
        """Groups whose members are as good as administrators: the two of Odoo itself, and any that may write users,
        groups or access rights."""
        may = ["|", ["perm_write", "=", True], ["perm_create", "=", True]]
        rights = [["model_id.model", "in", KEYS_TO_THE_HOUSE], ["active", "=", True], *may]
        granted = await self._search("ir.model.access", rights, ["group_id"], 1000)
        named = [["module", "=", "base"], ["model", "=", "res.groups"], ["name", "in", ADMINISTRATORS]]
        own = await self._search("ir.model.data", named, ["res_id"], 10)
        ids = {r["res_id"] for r in own if isinstance(r.get("res_id"), int)}
        if len(ids) < len(ADMINISTRATORS):
            raise NotDone("not_permitted", "the service user cannot see which groups administer Odoo")
        ids |= {g[0] for r in granted if isinstance(g := r.get("group_id"), list) and g and isinstance(g[0], int)}
        return frozenset(ids)

    async def _search(
        self, model: str, domain: list[Any], fields: Sequence[str], limit: int, order: str = "id"
    ) -> list[dict[str, Any]]:
        rows = await self._api.call(
            model,
            "search_read",
            domain=domain,
            fields=list(fields),
            offset=0,
            limit=limit,
            order=order,
            context=EVERYBODY,
        )
        if isinstance(rows, list) and all(isinstance(r, dict) and type(r.get("id")) is int for r in rows):
            return rows
        raise NotDone("unavailable", "unexpected answer")


def _department(value: object) -> tuple[str, ...]:
    """Its name: a many-to-one comes as id and name, or as false."""
    return texts_in(value[1]) if isinstance(value, list) and len(value) == 2 else ()


def _fold(value: object) -> str:
    return value.strip().casefold() if isinstance(value, str) else ""


def _instant(value: object) -> int | None:
    """Odoo writes UTC without saying so."""
    try:
        return int(datetime.strptime(str(value)[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None
