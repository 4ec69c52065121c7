"""Whether two names may be one: what letters say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyback.domain.people.names import FITS, compare, folded
from tests.support.each import each


@pytest.mark.covers("N-A1")
@each(
    ("verified", "record", "fit"),
    [
        (["Maya Okafor"], "Maya Okafor", "exact"),
        (["Okafor", "Maya"], "Maya Okafor", "exact"),
        ([" Maya  Okafor "], "Maya Okafor", "exact"),
        (["三", "张"], "张三", "exact"),
        (["张三"], "张三", "exact"),
        (["张 三"], "张三", "relaxed"),
        (["OKAFOR MAYA"], "Maya Okafor", "relaxed"),
        (["José", "Núñez"], "Jose Nunez", "relaxed"),
        (["Anne-Marie O'Brien"], "Anne Marie O’Brien", "relaxed"),
        (["Maya Ngozi Okafor"], "Maya Okafor", "part"),
        (["Maya"], "Maya Okafor", "part"),
        (["Maya Maya"], "Maya Okafor", "differs"),
        (["Maуa Okafor"], "Maya Okafor", "differs"),  # a Cyrillic letter in it
        (["王伟"], "王芳", "differs"),
        (["張三"], "张三", "differs"),
        (["…"], "Maya", "differs"),
        (["Maya", ""], "Maya", "differs"),
        ([], "", "differs"),
        (["Maya"], "", "differs"),
        (["."], "-", "differs"),
    ],
)
def test_how_a_verified_name_fits_the_one_on_record(verified: list[str], record: str, fit: str) -> None:
    assert compare(verified, record) == fit


@given(st.lists(st.text(max_size=20), max_size=3), st.text(max_size=20))
def test_any_text_gets_an_answer_and_only_what_is_the_same_is_exact(verified: list[str], record: str) -> None:
    fit = compare(verified, record)
    assert fit in FITS
    if fit in ("exact", "relaxed"):
        assert folded(" ".join(verified)) == folded(record)
