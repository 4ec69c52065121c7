"""The conformance page, its data and the plug-in that guards the marks."""

from __future__ import annotations

import functools
import textwrap
from pathlib import Path

import pytest

from tests.support import conformance

# What the first release promises to show.
PROMISED = {
    "A": (1, 2, 3, 4, 7, 11, 13),
    "B": (1, 4, 5, 6, 7, 13, 15),
    "C": (1, 2, 4, 5, 6, 8, 9, 12, 14, 15, 16, 17, 20, 22),
    "D": (1, 2, 3, 4, 5, 9, 10, 13),
    "E": (1, 4, 8, 15, 16),
    "K": (1, 3, 7, 9, 12),
    "L": (1, 2, 6, 7, 9, 10),
    "O": (2, 3, 6, 8),
    "P": (1, 5, 6, 7),
    "Q": (1, 2, 4, 8, 10, 12, 14, 18),
}


@functools.cache
def _shown() -> list[conformance.Shown]:
    """Every mark in the tests; all of them are read for it."""
    return conformance.scan()


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), "utf-8")


def test_page_is_fresh() -> None:
    expected = conformance.page(_shown(), conformance.requirements())
    assert conformance.PAGE.read_text("utf-8") == expected, "stale: scripts/test --conformance-write tests/docs"


def test_every_id_in_a_mark_is_known() -> None:
    known = conformance.requirements()
    assert [s for s in _shown() if s.id not in known] == []


def test_every_promised_case_is_shown() -> None:
    shown = {s.id for s in _shown()}
    assert [f"{group}{n}" for group, numbers in PROMISED.items() for n in numbers if f"{group}{n}" not in shown] == []


def test_titles_are_short_and_sourced() -> None:
    for row in conformance.requirements().values():
        assert 0 < len(row.title) <= 110, row
        assert row.source, row
        assert row.group, row


def test_titles_do_not_repeat_an_address() -> None:
    assert "://" not in conformance.REQUIREMENTS.read_text("utf-8")


def test_scan_reads_every_kind_of_mark(tmp_path: Path) -> None:
    write(
        tmp_path,
        "tests/web/test_x.py",
        """
        import pytest
        pytestmark = [pytest.mark.slow, pytest.mark.covers("A1")]

        @pytest.mark.covers("C12", "C2")
        async def test_one(): ...

        @pytest.mark.covers("D1")
        class TestMany:
            pytestmark = pytest.mark.covers("D2")

            @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.covers("D3"))])
            def test_two(self, x): ...

        def helper(): ...
        """,
    )
    write(tmp_path, "src/keyback/testing/suite.py", "class S:\n    @mark.covers('N1')\n    def test_c(self): ...\n")
    web = "tests/web/test_x.py"
    assert [(s.id, s.path, s.test) for s in conformance.scan(tmp_path)] == [
        ("A1", web, "TestMany.test_two"),
        ("A1", web, "test_one"),
        ("C2", web, "test_one"),
        ("C12", web, "test_one"),
        ("D1", web, "TestMany.test_two"),
        ("D2", web, "TestMany.test_two"),
        ("D3", web, "TestMany.test_two"),
        ("N1", "src/keyback/testing/suite.py", "S.test_c"),
    ]


def test_scan_wants_plain_strings(tmp_path: Path) -> None:
    write(tmp_path, "tests/test_x.py", "@pytest.mark.covers(*IDS)\ndef test_one(): ...\n")
    with pytest.raises(ValueError, match=r"test_x\.py:1"):
        conformance.scan(tmp_path)


def test_what_is_shown_is_not_called_absent() -> None:
    rows, shown = conformance.requirements(), {s.id for s in _shown()}
    assert [i for i, row in rows.items() if row.absent and i in shown] == []
    assert [i for i, row in rows.items() if row.absent and not 12 < len(row.absent) <= 110] == []


def test_page_names_what_no_test_shows() -> None:
    rows = {
        "A1": conformance.Requirement("A1", "same | answer", "S", "Asking"),
        "A2": conformance.Requirement("A2", "same time", "S", "Asking"),
        "H1": conformance.Requirement("H1", "bombs", "S", "Documents", "No file is taken."),
        "H2": conformance.Requirement("H2", "two formats", "S", "Documents", "No file is taken."),
    }
    text = conformance.page([conformance.Shown("A1", "tests/test_a.py", "test_a")], rows)
    assert "1 of 4 are shown by a test; 2 do not arise yet, or not at all." in text
    assert "| A1 | same \\| answer | S | [tests/test_a.py](../tests/test_a.py): `test_a` |" in text
    assert "\n- Asking: A2\n" in text
    assert text.endswith("\n- No file is taken: H1, H2\n")
