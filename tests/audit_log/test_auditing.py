"""The audit log: whoever changes it behind our back is found, and the row is named (P5, P6)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from keyback.application.audit_log import (
    ChainVerdict,
    Exported,
    Finding,
    NotAHead,
    as_cells,
    as_json,
    export,
    plain_cell,
    read_head,
    sign_head,
    verify,
)
from keyback.domain.recovery.events import Note
from keyback.storage.keys.keyring import Keyring
from keyback.storage.stores.audit import row_hash
from tests.support.kit import Kit

ROWS = 210  # more than two batches, as these tests cut them
PAYLOADS = [
    "Ann\r\n{\"seq\":1,\"type\":\"forged\"}",
    "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    '"}\n{"seq":99',
    "=cmd|' /C calc'!A0",
    "\u2028\u2029\x85\x0b\x0c",
    "\u202eevil\u202c\x00\ud800",
]  # fmt: skip


def fill(kit: Kit, n: int, word: str = "x") -> None:
    kit.write(lambda tx: tx.audit.record("s", [Note("tick", {"n": i, "word": word}) for i in range(n)]))


def check(kit: Kit, **over: Any) -> ChainVerdict:
    return kit.run(verify(kit.services.db, kit.services.seals, row_hash, **over))


def dump(kit: Kit, **over: Any) -> tuple[list[Any], Exported]:
    rows: list[Any] = []
    return rows, kit.run(export(kit.services.db, kit.services.seals, row_hash, rows.append, **over))


def sql(kit: Kit, *statements: str, **values: Any) -> None:
    """As somebody would who has the database but not the keyring."""
    with kit.services.db.engine.execution_options(writes=True).begin() as conn:  # type: ignore[attr-defined]
        for s in statements:
            conn.execute(text(s), values)


@pytest.fixture
def kit(database_url: str, make_kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch) -> Kit:
    monkeypatch.setattr("keyback.application.audit_log.BATCH", 100)
    kit = make_kit(url=database_url)
    fill(kit, ROWS)
    return kit


SWAP = [
    "CREATE TEMPORARY TABLE two AS SELECT * FROM events WHERE seq IN (101, 107)",
    "DELETE FROM events WHERE seq IN (101, 107)",
    "INSERT INTO events (seq, at, stream, type, data, hash) SELECT 208 - seq, at, stream, type, data, hash FROM two",
    "DROP TABLE two",
]
CLOSE_UP = ["DELETE FROM events WHERE seq = 205"]
CLOSE_UP += [f"UPDATE events SET seq = {n} WHERE seq = {n + 1}" for n in range(205, ROWS)]
# As if another history had been written over the end.
FORK = ["UPDATE events SET data = '0', hash = :h WHERE seq >= 150", "UPDATE audit_head SET hash = :h"]
ATTACKS = {
    "nothing": ([], None),
    "edit": (["UPDATE events SET data = '7' WHERE seq = 120"], Finding("edited", 120)),
    "edit type": (["UPDATE events SET type = 'tock' WHERE seq = 1"], Finding("edited", 1)),
    "edit instant": (["UPDATE events SET at = at + 1 WHERE seq = 200"], Finding("edited", 200)),
    "edit stream": (["UPDATE events SET stream = 't' WHERE seq = 99"], Finding("edited", 99)),
    "edit the last row": ([f"UPDATE events SET data = '0' WHERE seq = {ROWS}"], Finding("replaced", ROWS)),
    "edit with a new hash": (["UPDATE events SET data = '0', hash = :h WHERE seq = 5"], Finding("replaced", 5)),
    "delete": (["DELETE FROM events WHERE seq = 100"], Finding("missing", 100, 100)),
    "delete the first": (["DELETE FROM events WHERE seq <= 3"], Finding("missing", 1, 3)),
    "delete and close up": (CLOSE_UP, Finding("replaced", 205)),
    "swap": (SWAP, Finding("exchanged", 101, 107)),
    "truncate": ([f"DELETE FROM events WHERE seq > {ROWS - 10}"], Finding("cut_off", ROWS - 9, ROWS)),
    "truncate to nothing": (["DELETE FROM events"], Finding("cut_off", 1, ROWS)),
    "set the end back": (["UPDATE audit_head SET seq = seq - 2"], Finding("extra", ROWS - 1, ROWS)),
    "change the end": (["UPDATE audit_head SET hash = :h"], Finding("head_changed", ROWS)),
    "fork": (FORK, Finding("replaced", 150)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.covers("P5", "A-16.4.2", "C-6")
@pytest.mark.parametrize("attack", ATTACKS)
def test_the_verifier_names_the_first_bad_row(kit: Kit, attack: str) -> None:
    statements, finding = ATTACKS[attack]
    sql(kit, *statements, h=bytes(range(32)))
    verdict = check(kit)
    assert verdict.finding == finding
    if finding is None:
        assert verdict.rows == verdict.seq == ROWS
    else:
        assert str(finding.seq) in finding.words()
        assert verdict.seq == finding.seq - 1 or finding.kind in ("extra", "head_changed")
    _, done = dump(kit)
    assert (done.head is None) == (finding is not None), "what does not hold is not signed"


@pytest.mark.covers("P5")
def test_end_cut_off_together_with_the_recorded_end_shows_against_a_signed_head(kit: Kit) -> None:
    _, before = dump(kit)
    fill(kit, 5)
    assert check(kit, signed=before.head).finding is None
    keep = ROWS - 4
    sql(kit, f"DELETE FROM events WHERE seq > {keep}")
    sql(kit, f"UPDATE audit_head SET seq = {keep}, hash = (SELECT hash FROM events WHERE seq = {keep})")
    assert check(kit).finding is None, "nothing inside the database can tell"
    assert check(kit, signed=before.head).finding == Finding("cut_off", keep + 1, ROWS)


@pytest.mark.covers("P5")
def test_fork_by_who_restored_an_old_database_shows_against_a_signed_head(kit: Kit) -> None:
    _, before = dump(kit)
    keep = ROWS - 4
    sql(kit, f"DELETE FROM events WHERE seq > {keep}")
    sql(kit, f"UPDATE audit_head SET seq = {keep}, hash = (SELECT hash FROM events WHERE seq = {keep})")
    fill(kit, 20, "another history")
    assert check(kit).finding is None
    assert check(kit, signed=before.head).finding == Finding("forked", ROWS)


@pytest.mark.covers("P5")
def test_a_head_cannot_be_forged(kit: Kit, keyring: Keyring) -> None:
    head = sign_head(kit.services.seals, 7, bytes(32), 1_795_000_000_000)
    assert read_head(kit.services.seals, f'{{"seq":1}}\n{head.line()}\n') == head
    for wrong in (head.line().replace('"seq": 7', '"seq": 6'), head.line().replace("1795", "1796")):
        with pytest.raises(NotAHead, match="another keyring"):
            read_head(kit.services.seals, wrong)
    with pytest.raises(NotAHead, match="another keyring"):
        read_head(Keyring({"k1": bytes(range(32))}), head.line())
    for wrong in ("", "[]", "7", '{"seq":"7","hash":"","at":1,"mac":""}', "not json"):
        with pytest.raises(NotAHead, match="no signed head"):
            read_head(kit.services.seals, wrong)


def test_export_from_the_middle_goes_on_where_the_last_one_ended(kit: Kit) -> None:
    rows, first = dump(kit)
    assert first.head
    fill(kit, 3)
    more, second = dump(kit, after=first.head.seq)
    assert [r["seq"] for r in rows + more] == list(range(1, ROWS + 4))
    assert second.head
    assert second.head.seq == ROWS + 3
    assert check(kit, signed=second.head).finding is None
    nothing, third = dump(kit, after=ROWS + 3)
    assert nothing == []
    assert third.head
    assert dump(kit, after=ROWS + 50)[1].finding == Finding("missing", ROWS + 50)


def test_rows_that_come_in_while_it_walks_are_no_fault(kit: Kit) -> None:
    grown: list[int] = []

    def grow(done: int, of: int) -> None:
        if len(grown) < 2:
            grown.append(done)
            tx_rows = [Note("late", {"n": len(grown)})]
            with kit.services.db.engine.connect().execution_options(writes=True) as conn, conn.begin():  # type: ignore[attr-defined]
                from keyback.storage.tx import SqlTx

                tx = SqlTx(conn, 5, kit.services.seals)  # type: ignore[arg-type]
                tx.audit.record("s", tx_rows)
                tx.keep()
                tx.flush()

    verdict = check(kit, progress=grow)
    assert (verdict.finding, verdict.rows) == (None, ROWS + 2)


@pytest.mark.covers("P6", "A-16.4.1")
@pytest.mark.parametrize("payload", PAYLOADS)
def test_one_event_is_one_line_whatever_is_in_it(make_kit: Callable[..., Kit], payload: str) -> None:
    kit = make_kit()
    kit.write(lambda tx: tx.audit.record("s", [Note("named", {"name": payload, payload: "key"})]))
    rows, done = dump(kit)
    [row] = rows
    line = as_json(row)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["data"] == {"name": payload, payload: "key"}
    assert done.head
    assert done.head.line().isprintable()


@pytest.mark.covers("A-1.2.10", "P6")
@pytest.mark.parametrize("start", list("=+-@\t\r＝＋－＠"))
def test_a_spreadsheet_finds_no_formula_and_no_second_line(start: str) -> None:
    evil = f"{start}HYPERLINK(1)\r\n7,8"
    row = {"seq": 1, "at": 2, "stream": evil, "type": "t", "data": evil, "hash": bytes(32)}
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(as_cells(row))
    assert out.getvalue().count("\n") == 1
    [cells] = csv.reader(io.StringIO(out.getvalue()))
    assert all(c[:1] not in "=+-@\t\r＝＋－＠" for c in cells if c)
    assert plain_cell("Ann") == "Ann"


def test_a_row_that_keyback_would_not_have_written_is_exported_as_text(kit: Kit) -> None:
    sql(kit, r"""UPDATE events SET data = '{"n"\: 1}' WHERE seq = 3""")
    rows, _ = dump(kit)
    assert json.loads(as_json(rows[2]))["data"] == '{"n": 1}'
