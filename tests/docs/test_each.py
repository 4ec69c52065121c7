"""What is folded into one test fails as loudly as many tests would."""

from __future__ import annotations

import pytest

from tests.support.each import each


def test_every_case_is_tried_and_those_that_fail_are_named() -> None:
    tried: list[tuple[int, str]] = []

    @each("n", [1, pytest.param(2, id="second"), 3])
    @each(("word", "length"), [("a", 1), ("four", 4)], ids=["short", "long"])
    def test_folded(n: int, word: str, length: int) -> None:
        tried.append((n, word))
        assert n * len(word) < 8, "too much"
        assert len(word) == length

    with pytest.raises(AssertionError) as failed:
        test_folded()
    assert len(tried) == 6
    told = str(failed.value)
    assert told.startswith("2 of 3 cases")
    assert "[second]" in told
    assert told.count("[long]") == 2
    assert "[short]" not in told
    assert "too much" in told


def test_a_folded_test_without_cases_fails_and_a_skip_stays_one() -> None:
    @each("n", [])
    def test_nothing(n: int) -> None: ...

    with pytest.raises(AssertionError, match="no case"):
        test_nothing()

    @each("n", [1])
    def test_skipped(n: int) -> None:
        pytest.skip("for a reason")

    with pytest.raises(pytest.skip.Exception):
        test_skipped()
