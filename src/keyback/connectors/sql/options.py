"""Sections of `keyback.toml` of kind `sql`: the database, the table of users, and what its columns mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from keyback.connectors.base import CommonOptions
from keyback.connectors.sql.hashes import Format
from keyback.domain.secret import Secret
from keyback.outbound.http import is_loopback

Kind = Literal["postgresql", "mysql", "sqlserver", "sqlite"]
PORTS: Final[dict[Kind, int]] = {"postgresql": 5432, "mysql": 3306, "sqlserver": 1433, "sqlite": 0}
_NAME: Final = re.compile(r"[^\W\d][\w$]{0,63}\Z")
Scalar = bool | int | str


def _column(value: str) -> str:
    if not _NAME.match(value):
        raise ValueError("is a column's name: letters, digits, _ and $")
    return value


def _table(value: str) -> str:
    parts = value.split(".")
    if len(parts) > 3 or not all(_NAME.match(p) for p in parts):
        raise ValueError("is a table's name, with its schema where it has one, such as users or crm.users")
    return value


Column = Annotated[str, AfterValidator(_column)]
Table = Annotated[str, AfterValidator(_table)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Rule(_Part):
    """What a column says of somebody; one of `values`, `except_values`, `filled` and `at_least`.

    Args:
        values: it holds when the column has one of these.
        except_values: it holds unless the column has one of these; empty columns are not among them.
        filled: it holds when the column has anything at all.
        at_least: it holds from this number on.
    """

    column: Column
    values: tuple[Scalar, ...] = ()
    except_values: tuple[Scalar, ...] = ()
    filled: bool = False
    at_least: int | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum((bool(self.values), bool(self.except_values), self.filled, self.at_least is not None)) != 1:
            raise ValueError("it needs one of values, except_values, filled and at_least")
        return self


class PrivilegedRule(Rule):
    """Who is privileged: by a column of the table of users, or of another `table` whose column `by` has the id."""

    table: Table | None = None
    by: Column | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.table is None) is not (self.by is None):
            raise ValueError("table and by go together")
        return self


def _in_short(value: Any) -> Any:
    """`role=admin,owner` as a rule."""
    if not isinstance(value, str):
        return value
    column, _, values = value.partition("=")
    return ({"column": column.strip(), "values": tuple(v.strip() for v in values.split(",") if v.strip())},)


class LockRule(_Part):
    """Who is locked: from `at_least` failures on, until the moment in the column, or with one of these `values`.

    Args:
        cleared: what unlocking writes; by default 0 for failures and nothing (NULL) for a moment.
    """

    column: Column
    at_least: int | None = Field(None, ge=1)
    until: bool = False
    values: tuple[Scalar, ...] = ()
    cleared: Scalar | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum((self.at_least is not None, self.until, bool(self.values))) != 1:
            raise ValueError("it needs one of at_least, until and values")
        if self.values and self.cleared is None:
            raise ValueError("with values it needs cleared, what unlocking writes")
        return self


class Rows(_Part):
    """Rows of another table that belong to somebody.

    Args:
        of: what `column` has of the person: the `id` or the `username`.
    """

    table: Table
    column: Column
    of: Literal["id", "username"] = "id"


class DatabaseOptions(CommonOptions):
    """Keys of a section that names a database.

    Args:
        url: as in postgresql://db.example.com/crm, mysql://, sqlserver://, or sqlite:///var/lib/crm/crm.db.
        login: what Keyback signs in to the database as; its password is `secret_file` or `secret`.
        allow_plain: no TLS; on this machine that needs no allowance.
        tls_name: the name in the server's certificate, when `url` has another one or an address.
        ca_file: the authority of the server's certificate, PEM.
        timeout_s: seconds for one call from the first to the last byte; connecting may take half of it.
    """

    url: str
    login: str = Field("", json_schema_extra={"asked": True})
    secret: SecretStr | None = None
    secret_file: Path | None = None
    ca_file: Path | None = Field(None, json_schema_extra={"asked": True})
    tls_name: str = ""
    allow_plain: bool = False
    timeout_s: float = Field(20.0, gt=0, le=120)

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        wrong = ValueError("must be like postgresql://db.example.com/crm, or mysql, sqlserver, sqlite:///FILE")
        try:
            parts.port  # noqa: B018 - raises for one that is none
        except ValueError:
            raise wrong from None
        if parts.scheme not in PORTS or parts.username or parts.password or parts.query or parts.fragment:
            raise wrong
        path = unquote(parts.path)
        if "\0" in path or (parts.scheme == "sqlite") is bool(parts.hostname) or len(path) < 2:
            raise wrong
        if parts.scheme != "sqlite" and "/" in path[1:]:
            raise wrong
        return value

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.kind == "sqlite":
            return self
        if not self.login:
            raise ValueError("it needs login")
        if not self.secret and not self.secret_file:
            raise ValueError("it needs secret_file or secret")
        if not self.ca_file and not self.allow_plain and not is_loopback(self.host):
            raise ValueError("it needs ca_file, the authority of the server's certificate")
        return self

    @classmethod
    def takes_secret(cls, section: Mapping[str, Any]) -> bool:
        return not str(section.get("url", "")).startswith("sqlite:")

    @property
    def kind(self) -> Kind:
        return urlsplit(self.url).scheme  # type: ignore[return-value]

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or PORTS[self.kind]

    @property
    def database(self) -> str:
        """Its name, or the file."""
        path = unquote(urlsplit(self.url).path)
        return path if self.kind == "sqlite" else path[1:]

    def read_secret(self) -> Secret:
        """Raises `ValueError` when it is empty, `OSError` when the file cannot be read."""
        if self.kind == "sqlite":
            return Secret("")
        text = self.secret.get_secret_value() if self.secret else ""
        if self.secret_file:
            text = self.secret_file.read_text(encoding="utf-8").strip("\r\n")
        if not text:
            raise ValueError("its secret must not be empty")
        return Secret(text)


class SqlOptions(DatabaseOptions):
    """Keys of an sql section.

    Args:
        table: the table of users, with its schema where it has one.
        id_column: the primary key, which never changes.
        username_column: what people sign in with.
        mail_column: their email address; it may be left out.
        mobile_column: their mobile number, for text messages; it may be left out.
        group_column: their group or department; several with semicolons between them; it may be left out.
        hash_column: the password's hash.
        hash_format: bcrypt, argon2id, pbkdf2_sha256, or phpass.
        hash_prefix: what stands before the hash, such as {bcrypt} of Spring Security or argon2 of Django.
        privileged: who administers the system, by a column and its values, as in role=admin,owner; or rules.
        disabled: who may not sign in, by columns.
        locked: who is locked out, by columns, and how unlocking writes them.
        unlock_rows: rows that keep somebody out and are deleted to unlock.
        sessions: rows of sign-ins, deleted to end them.
        must_change_column: becomes true when a change at next sign-in is required.
        changed_at_column: becomes the time of the change.
    """

    table: Table
    id_column: Column = "id"
    username_column: Column
    mail_column: Column | None = Field(None, json_schema_extra={"asked": True})
    name_column: Column | None = None
    mobile_column: Column | None = None
    group_column: Column | None = None
    hash_column: Column
    hash_format: Format
    hash_prefix: str = Field("", max_length=40)
    privileged: Annotated[tuple[PrivilegedRule, ...], BeforeValidator(_in_short), Field(min_length=1)]
    disabled: tuple[Rule, ...] = ()
    locked: tuple[LockRule, ...] = ()
    unlock_rows: tuple[Rows, ...] = ()
    sessions: tuple[Rows, ...] = ()
    must_change_column: Column | None = None
    changed_at_column: Column | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        columns = [self.id_column, self.username_column, self.hash_column, *(r.column for r in self.locked)]
        columns += [c for c in (self.mail_column, self.must_change_column, self.changed_at_column) if c]
        if len({c.casefold() for c in columns}) != len(columns):
            raise ValueError("one column can't mean two things")
        return self


def fits(value: Any, words: tuple[Scalar, ...]) -> bool:
    """Whether a column's value is one of these, however the database writes truth: true, 1, t, a set bit."""
    return _word(value) in {_word(w) for w in words}


def _word(value: Any) -> str:
    if isinstance(value, bytes | bytearray) and len(value) == 1 and value[0] < 2:  # BIT(1) of MySQL
        value = bool(value[0])
    if isinstance(value, bool):
        return "1" if value else "0"
    text = str(value).strip().casefold()
    return {"true": "1", "t": "1", "false": "0", "f": "0"}.get(text, text)
