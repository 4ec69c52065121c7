"""Migration 0011: names whose canonical form changes are found by the new one, and nobody loses theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command

from keyback.domain.people.person import canonicalize
from keyback.storage.database import make_engine
from keyback.storage.maintenance.names import Clash, clashes
from keyback.storage.migrate import _config
from tests.support.databases import BACKENDS, empty_postgres

ANN, BEN, EVA, CAI = ("a" * 22, "b" * 22, "e" * 22, "c" * 22)


def insert(conn: Any, table: str, **row: Any) -> None:
    names = ", ".join(row)
    conn.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({', '.join(map(literal, row.values()))})")


def literal(value: Any) -> str:
    return str(value) if isinstance(value, int) else f"'{value}'"


def person(
    conn: Any, pid: str, mail: str, username: str, canonical: str, key: str = "", system: str = "builtin"
) -> None:
    insert(conn, "people", id=pid, key=key or canonical, name=username, locale="en", tier="standard", state="active",
           created_at=0)  # fmt: skip
    insert(conn, "contacts", id=pid, person_id=pid, channel="mail", address=mail, role="primary")
    insert(conn, "accounts", id=pid, person_id=pid, system=system, external_id=pid, username=username,
           canonical=canonical, state="active")  # fmt: skip
    insert(conn, "identifiers", canonical=canonical, person_id=pid, account_id="")
    insert(conn, "identifiers", canonical=canonical, person_id=pid, account_id=pid)


@pytest.mark.parametrize("kind", BACKENDS)
def test_domains_that_were_folded_are_told_apart_and_clashes_are_listed(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "sqlite":
        check(f"sqlite:///{tmp_path}/names.sqlite")
        return
    with empty_postgres(request.getfixturevalue("postgres_server")) as url:
        check(url)


def check(url: str) -> None:
    engine = make_engine(url)
    with engine.connect().execution_options(writes=True) as conn, conn.begin():
        command.upgrade(_config(conn), "0010")
        # As version 0010 wrote them: ß had become ss, and a final sigma another sigma.
        person(conn, ANN, "x@straße.example", "x@straße.example", "x@strasse.example")
        person(conn, BEN, "y@βόλος.example", "benno", "benno", key="7")
        conn.exec_driver_sql("UPDATE identifiers SET canonical = 'y@xn--nxasmq6b.example' WHERE account_id = ''"
                             f" AND person_id = '{BEN}'")  # fmt: skip
        # Two accounts of one system whose forms fall together now.
        person(conn, EVA, "z@fuß.example", "z@fuß.example", "z@fuss.example")
        person(conn, CAI, "cai@example.com", "z@xn--fu-hia.example", "z@xn--fu-hia.example", key="9")
    with engine.connect().execution_options(writes=True) as conn, conn.begin():
        command.upgrade(_config(conn), "0011")
        found: dict[str, set[str]] = {}
        for canonical, pid in conn.exec_driver_sql("SELECT canonical, person_id FROM identifiers"):
            found.setdefault(canonical, set()).add(pid)
        keys = dict(conn.exec_driver_sql("SELECT id, key FROM people").all())
        forms = dict(conn.exec_driver_sql("SELECT id, canonical FROM accounts").all())
        listed = clashes(conn)
    engine.dispose()
    assert found[canonicalize("x@straße.example")] == {ANN}
    assert "x@strasse.example" not in found
    assert found[canonicalize("y@βόλος.example")] == {BEN}
    assert found[canonicalize("benno")] == {BEN}
    assert found[canonicalize("z@fuß.example")] == {EVA, CAI}, "both are found, though one keeps its older form"
    assert keys == {ANN: "x@xn--strae-oqa.example", BEN: "7", EVA: "z@xn--fu-hia.example", CAI: "9"}
    assert forms[ANN] == "x@xn--strae-oqa.example"
    assert (forms[EVA], forms[CAI]) == ("z@fuss.example", "z@xn--fu-hia.example")
    assert listed == [Clash("builtin", "z@fuß.example")]
