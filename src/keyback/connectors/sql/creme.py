"""Crème CRM, by its database: its table of users, the hash of its passwords, and who administers it (see ADR 46).

Its package has no interface for users; the forms of its administration set passwords for whoever signs in as an
administrator, and find nobody by name or address. Crème is made with Django, whose sessions carry a digest of the
password's hash: a new hash ends them all, and nothing has to be deleted.

Sources: creme-crm 2.8.6, `creme_core/models/auth.py`, `creme_core/auth/password_validation.py`,
`creme_config/auth.py`; Django 5.2, `contrib/auth/base_user.py` and `password_validation.py`. All of it was tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Self

from pydantic import model_validator

from keyback.application.ports.connectors import Capabilities, Means, Outcome, Step
from keyback.connectors.sql.connector import SqlConnector
from keyback.connectors.sql.options import DatabaseOptions, PrivilegedRule, Rule, SqlOptions
from keyback.connectors.sql.people import People, Person, as_text, id_text
from keyback.connectors.sql.port import Transaction
from keyback.domain.passwords.target_rules import TargetRules
from keyback.domain.secret import Secret

USERS: Final = "creme_core_cremeuser"
ROLES: Final = "creme_core_userrole"
MEMBERS: Final = "creme_core_cremeuser_roles"
_RULES: Final = TargetRules(min_length=8, no_names=True, known="documented")
_EVERY: Final = 100_000  # roles are few; none may be left out


class CremeOptions(DatabaseOptions):
    """Keys of a section of kind `creme`: the database alone, since the tables are Crème's."""

    @model_validator(mode="after")
    def _one_of_its_own(self) -> Self:
        if self.kind == "sqlserver":
            raise ValueError("Crème's database is PostgreSQL, MySQL, MariaDB or SQLite")
        return self

    def whole(self) -> SqlOptions:
        """The section of kind `sql` that says the same, and names the tables."""
        given = {name: getattr(self, name) for name in DatabaseOptions.model_fields}
        return SqlOptions(
            **given,
            table=USERS,
            username_column="username",
            mail_column="email",
            hash_column="password",
            hash_format="pbkdf2_sha256",
            privileged=(
                PrivilegedRule(column="is_superuser", except_values=(False,)),
                PrivilegedRule(column="is_staff", except_values=(False,)),
            ),
            disabled=(Rule(column="is_active", except_values=(True,)),),
        )


class CremePeople(People):
    """Reads users, and not teams, which stand in the same table."""

    def __init__(self, options: SqlOptions) -> None:
        super().__init__(options)
        self.columns = (*self.columns, "first_name", "last_name", "role_id")

    def _read(
        self, t: Transaction, where: str, values: Sequence[Any], *, limit: int, order: str = "", lock: bool = False
    ) -> list[Person]:
        where = f"({where}) AND {self._dialect.equal('is_team')}"
        values = (*values, self._dialect.value(False))
        return super()._read(t, where, values, limit=limit, order=order, lock=lock)

    def _privileged_elsewhere(self, t: Transaction, rows: Sequence[dict[str, Any]]) -> set[str]:
        """Those who may take a role with a special permission, such as to administer users; whoever has none of the
        roles that exist is taken for one of them."""
        if not rows:
            return set()
        d = self._dialect
        known = t.rows(*d.select(("id", "raw_special_perms"), ROLES, "1 = 1", limit=_EVERY))
        plain = {key for key, special in known if not as_text(special).strip()}
        out = {id_text(r["id"]) for r in rows if r["role_id"] not in plain}
        keys = [r["id"] for r in rows]
        among = d.among("cremeuser_id", len(keys))
        for key, role in t.rows(*d.select(("cremeuser_id", "userrole_id"), MEMBERS, among, keys, limit=_EVERY * 10)):
            if role not in plain:
                out.add(id_text(key))
        return out

    def _name(self, row: dict[str, Any]) -> str | None:
        return f"{as_text(row['first_name'])} {as_text(row['last_name'])}".strip() or None


class CremeConnector(SqlConnector):
    """Connector for Crème CRM; see `CremeOptions`.

    Raises `ValueError` or `OSError` when its secret can't be used.
    """

    capabilities = Capabilities(
        lookup=Means.NATIVE,
        list=Means.NATIVE,
        verify=Means.NATIVE,
        set_password=Means.NATIVE,
        revoke_sessions=Means.NATIVE,
        status=Means.NATIVE,
    )
    options_model = CremeOptions  # type: ignore[assignment]

    def __init__(self, name: str, title: str, options: CremeOptions) -> None:
        super().__init__(name, title, options.whole(), CremePeople)
        self.capabilities = replace(self.capabilities, revoke_sessions=Means.NATIVE)
        self.rules = self.rules or _RULES

    def _revoked(self, *, set_now: bool) -> Outcome:
        # Set earlier, it ended them; or it is the old password, chosen again, and they live.
        return Outcome(Step.REVOKE, "done" if set_now else "unsupported")

    def _unfit(self, password: Secret) -> str:
        """As Crème's own rules would say it, which nobody asks when the table is written."""
        text = password.reveal()
        if len(text) < _RULES.min_length:
            return "This password is too short. It must contain at least 8 characters."
        return "This password is entirely numeric." if text.isdigit() else super()._unfit(password)
